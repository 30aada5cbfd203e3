/* SPDX-License-Identifier: MIT */
#include "metrics_sheet.h"

#include "metrics.h"
#include "text.h"

#include <math.h>
#include <stddef.h>

void metrics_sheet_open(struct metrics_sheet *sheet, const char *list)
{
    fprintf(sheet->out, "\"%s\":[", list);
    sheet->begun = false;
}

void metrics_sheet_close(struct metrics_sheet *sheet)
{
    putc(']', sheet->out);
}

void metrics_sheet_begin(struct metrics_sheet *sheet, const char *name,
                         enum metrics_kind kind, const char *help)
{
    sheet->name = name;
    sheet->kind = kind;
    sheet->help = help;
    sheet->begun = sheet->begun && !sheet->is_prometheus;
}

static void put_number(const struct metrics_sheet *sheet, double number)
{
    fprintf(sheet->out, "%.15g", number);
}

/* Escaped as both formats have it, which do so with these three and no more. */
static void put_quoted(const struct metrics_sheet *sheet, const char *text)
{
    putc('"', sheet->out);
    for (; *text; text++) {
        if (*text == '\n')
            fputs("\\n", sheet->out);
        else if (*text == '"' || *text == '\\')
            fprintf(sheet->out, "\\%c", *text);
        else
            putc((unsigned char)*text < 0x20 ? ' ' : *text, sheet->out);
    }
    putc('"', sheet->out);
}

/* name="value",… or "name":"value",… */
static void put_labels(const struct metrics_sheet *sheet,
                       const struct metrics_label labels[])
{
    for (size_t i = 0; labels && labels[i].name; i++) {
        fprintf(sheet->out,
                sheet->is_prometheus ? "%s%s=" : "%s\"%s\":", i > 0 ? "," : "",
                labels[i].name);
        put_quoted(sheet, labels[i].value);
    }
}

/* A dotted name as Prometheus takes it. */
static void put_name(const struct metrics_sheet *sheet)
{
    for (const char *c = sheet->name; *c; c++)
        putc(text_is_word(*c) ? *c : '_', sheet->out);
}

/* One line. bound: of a bucket, or NULL. */
static void put_line(const struct metrics_sheet *sheet, const char *suffix,
                     const struct metrics_label labels[], const char *bound,
                     double number)
{
    put_name(sheet);
    fputs(suffix, sheet->out);
    if (labels || bound)
        putc('{', sheet->out);
    put_labels(sheet, labels);
    if (bound)
        fprintf(sheet->out, "%sle=\"%s\"", labels ? "," : "", bound);
    fputs(labels || bound ? "} " : " ", sheet->out);
    put_number(sheet, number);
    putc('\n', sheet->out);
}

/* What stands before a sample. */
static void begin_sample(struct metrics_sheet *sheet)
{
    static const char *const types[] = {"gauge", "counter", "summary", "histogram"};

    if (sheet->is_prometheus && !sheet->begun) {
        fputs("# HELP ", sheet->out);
        put_name(sheet);
        fprintf(sheet->out, " %s\n# TYPE ", sheet->help);
        put_name(sheet);
        fprintf(sheet->out, " %s\n", types[sheet->kind]);
    } else if (!sheet->is_prometheus) {
        fprintf(sheet->out, "%s{\"Name\":\"%s\",", sheet->begun ? "," : "", sheet->name);
    }
    sheet->begun = true;
}

static void put_member(const struct metrics_sheet *sheet, const char *name, double number)
{
    fprintf(sheet->out, "\"%s\":", name);
    put_number(sheet, number);
    putc(',', sheet->out);
}

static void end_json(const struct metrics_sheet *sheet,
                     const struct metrics_label labels[])
{
    fputs("\"Labels\":{", sheet->out);
    put_labels(sheet, labels);
    fputs("}}", sheet->out);
}

/* What Vault says of a number of samples. */
static void put_statistics(const struct metrics_sheet *sheet,
                           const struct metrics_times *times, double unit)
{
    double count = (double)times->count, mean = times->count > 0 ? times->sum / count : 0;
    double variance =
        times->count > 1 ? (times->squares - times->sum * mean) / (count - 1) : 0;

    put_member(sheet, "Count", count);
    put_member(sheet, "Rate",
               sheet->seconds > 0 ? times->sum * unit / sheet->seconds : 0);
    put_member(sheet, "Sum", times->sum * unit);
    put_member(sheet, "Min", times->least * unit);
    put_member(sheet, "Max", times->most * unit);
    put_member(sheet, "Mean", mean * unit);
    put_member(sheet, "Stddev", variance > 0 ? sqrt(variance) * unit : 0);
}

/* Counters are raised by one each time. */
void metrics_sheet_number(struct metrics_sheet *sheet,
                          const struct metrics_label labels[], double number)
{
    double one = number > 0;
    const struct metrics_times raised = {.count = (uint64_t)number,
                                         .sum = number,
                                         .squares = number,
                                         .least = one,
                                         .most = one};

    begin_sample(sheet);
    if (sheet->is_prometheus) {
        put_line(sheet, "", labels, NULL, number);
        return;
    }
    if (sheet->kind == METRICS_GAUGE)
        put_member(sheet, "Value", number);
    else
        put_statistics(sheet, &raised, 1);
    end_json(sheet, labels);
}

static void put_buckets(const struct metrics_sheet *sheet,
                        const struct metrics_label labels[],
                        const struct metrics_times *times)
{
    uint64_t below = 0;
    char bound[24];

    for (size_t i = 0; i < METRICS_BOUNDS; i++) {
        below += times->buckets[i];
        text_format(bound, sizeof bound, "%g", metrics_bounds[i]);
        put_line(sheet, "_bucket", labels, bound, (double)below);
    }
    put_line(sheet, "_bucket", labels, "+Inf", (double)times->count);
}

void metrics_sheet_times(struct metrics_sheet *sheet, const struct metrics_label labels[],
                         const struct metrics_times *times)
{
    double unit = sheet->kind == METRICS_SUMMARY ? 1000 : 1;

    begin_sample(sheet);
    if (!sheet->is_prometheus) {
        put_statistics(sheet, times, unit);
        end_json(sheet, labels);
        return;
    }
    if (sheet->kind == METRICS_HISTOGRAM)
        put_buckets(sheet, labels, times);
    put_line(sheet, "_sum", labels, NULL, times->sum * unit);
    put_line(sheet, "_count", labels, NULL, (double)times->count);
}
