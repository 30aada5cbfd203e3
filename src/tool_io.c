/* SPDX-License-Identifier: MIT
 *
 * Files in; tables and JSON out, as Vault's tool lays them out: columns four spaces apart,
 * times to live as durations, lists as [a b] and maps as map[k:v].
 */
#include "tool.h"

#include "secret.h"
#include "text.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

char *tool_read(const char *path, size_t max, size_t *length, struct error *err)
{
    bool is_stdin = strcmp(path, "-") == 0;
    FILE *file = is_stdin ? stdin : fopen(path, "re");
    char *text = malloc(max + 2);

    if (!file)
        error_set(err, ERROR_BAD_REQUEST, "%s: %s", path, strerror(errno));
    else if (!text)
        error_exhausted(err);
    if (!file || !text)
        goto failed;
    *length = fread(text, 1, max + 1, file);
    if (ferror(file)) {
        error_set(err, ERROR_BAD_REQUEST, "%s: %s", path, strerror(errno));
        goto failed;
    }
    if (*length > max) {
        error_set(err, ERROR_BAD_REQUEST, "%s: %zu bytes at most", path, max);
        goto failed;
    }
    text[*length] = '\0';
    if (!is_stdin)
        fclose(file);
    return text;

failed:
    if (file && !is_stdin)
        fclose(file);
    free(text);
    return NULL;
}

bool tool_read_secret(char out[static TOOL_SECRET_MAX], char *argument, struct error *err)
{
    if (strcmp(argument, "-") == 0) {
        if (!fgets(out, TOOL_SECRET_MAX, stdin))
            return error_set(err, ERROR_BAD_REQUEST, "nothing on standard input");
        out[strcspn(out, "\r\n")] = '\0';
    } else {
        text_format(out, TOOL_SECRET_MAX, "%s", argument);
        secret_wipe(argument, strlen(argument));
    }
    return true;
}

void tool_warn(const char *format, ...)
{
    va_list arguments;

    fputs("WARNING! ", stderr);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
}

bool tool_print_json(const json_t *value, struct error *err)
{
    (void)err;
    return json_dumpf(value, stdout, JSON_INDENT(2) | JSON_ENCODE_ANY) == 0 &&
           putchar('\n') == '\n';
}

static bool ends_with(const char *text, const char *end)
{
    size_t length = strlen(text), wanted = strlen(end);

    return length >= wanted && strcmp(text + length - wanted, end) == 0;
}

static bool is_duration(const char *key)
{
    return ends_with(key, "ttl") || ends_with(key, "period") || ends_with(key, "_duration");
}

/* 5400 → 1h30m */
static void write_duration(FILE *out, int64_t seconds)
{
    int64_t hours = seconds / 3600, minutes = seconds / 60 % 60;

    if (hours > 0)
        fprintf(out, "%" PRId64 "h", hours);
    if (minutes > 0)
        fprintf(out, "%" PRId64 "m", minutes);
    if (seconds % 60 > 0 || seconds == 0)
        fprintf(out, "%" PRId64 "s", seconds % 60);
}

/* What tokens carry was written by others: a terminal gets no control bytes of theirs. */
static void write_text(FILE *out, const char *text)
{
    for (; *text; text++) {
        bool control = (unsigned char)*text < 0x20 || *text == 0x7F ||
                       (*text == '\xC2' && (unsigned char)text[1] < 0xA0);
        if (control && *text == '\xC2')
            text++;
        fputc(control ? '?' : *text, out);
    }
}

static void write_value(FILE *out, const char *key, const json_t *value, const char *none)
{
    const char *name;
    json_t *item;
    size_t i;

    switch (json_typeof(value)) {
    case JSON_NULL:
        fputs(none, out);
        break;
    case JSON_STRING:
        write_text(out, json_string_value(value));
        break;
    case JSON_INTEGER:
        if (json_integer_value(value) == 0 && ends_with(key, "_duration"))
            fputs("\u221E", out); /* without end */
        else if (is_duration(key))
            write_duration(out, json_integer_value(value));
        else
            fprintf(out, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
        break;
    case JSON_ARRAY:
        fputc('[', out);
        json_array_foreach(value, i, item)
        {
            fputs(i > 0 ? " " : "", out);
            write_value(out, "", item, none);
        }
        fputc(']', out);
        break;
    case JSON_OBJECT:
        fputs("map[", out);
        json_object_foreach((json_t *)value, name, item)
        {
            fputs(item == json_object_iter_value(json_object_iter((json_t *)value)) ? "" : " ",
                  out);
            write_text(out, name);
            fputc(':', out);
            write_value(out, "", item, none);
        }
        fputc(']', out);
        break;
    default:
        fputs(json_is_true(value) ? "true" : "false", out);
    }
}

/* The same as a text; ours. NULL: no memory. */
static char *text_of(const char *key, const json_t *value, const char *none)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);

    if (!out)
        return NULL;
    write_value(out, key, value, none);
    if (fclose(out) != 0) {
        free(text);
        return NULL;
    }
    return text;
}

/* Characters, not bytes. */
static int width_of(const char *text)
{
    int width = 0;

    for (; *text; text++)
        width += ((unsigned char)*text & 0xC0) != 0x80;
    return width;
}

/* A table of cells[rows][columns]; the last column is as long as it likes, the others as wide
 * as they have to be and not less than widths says. */
static void print_cells(char *const cells[], size_t rows, size_t columns, int widths[])
{
    for (size_t i = 0; i < rows * columns; i++) {
        int width = width_of(cells[i]) + 4;
        if (width > widths[i % columns])
            widths[i % columns] = width;
    }
    for (size_t i = 0; i < rows * columns; i++) {
        bool last = (i + 1) % columns == 0;
        printf("%s%*s%s", cells[i], last ? 0 : widths[i % columns] - width_of(cells[i]), "",
               last ? "\n" : "");
    }
}

/* Prints a table and frees its cells. A cell that is NULL stands for memory that ran out. */
static bool print_table(char **cells, size_t rows, size_t columns, int widths[],
                        struct error *err)
{
    bool complete = true;

    for (size_t i = 0; i < rows * columns; i++)
        complete = complete && cells[i];
    if (complete)
        print_cells(cells, rows, columns, widths);
    for (size_t i = 0; i < rows * columns; i++)
        free(cells[i]);
    free(cells);
    return complete || error_exhausted(err);
}

static char *dashes_for(const char *title)
{
    char *dashes = strdup(title);

    return dashes ? memset(dashes, '-', strlen(dashes)) : NULL;
}

static bool print_pairs(const json_t *object, struct error *err)
{
    char **cells = calloc(2 * (json_object_size(object) + 2), sizeof *cells);
    int widths[2] = {0};
    const char *name;
    json_t *value;
    size_t used = 0;

    if (!cells)
        return error_exhausted(err);
    for (int i = 0; i < 2; i++) {
        cells[i] = strdup(i == 0 ? "Key" : "Value");
        cells[2 + i] = dashes_for(i == 0 ? "Key" : "Value");
    }
    used = 4;
    json_object_foreach((json_t *)object, name, value)
    {
        cells[used++] = strdup(name);
        cells[used++] = text_of(name, value, "<nil>");
    }
    return print_table(cells, used / 2, 2, widths, err);
}

bool tool_print(const json_t *object, const struct tool_flags *flags, struct error *err)
{
    const json_t *value = flags->field ? json_object_get(object, flags->field) : object;

    if (!value)
        return error_set(err, ERROR_BAD_REQUEST, "field \"%s\" is not in the result",
                         flags->field);
    if (flags->field && json_is_string(value))
        return puts(json_string_value(value)) >= 0;
    if (flags->json || flags->field)
        return tool_print_json(value, err);
    return print_pairs(object, err);
}

bool tool_print_page(const json_t *rows, const struct tool_column columns[], size_t count,
                     struct tool_paging *paging, struct error *err)
{
    char **cells;
    size_t i, used = 0;
    json_t *row;

    assert(count <= TOOL_COLUMNS_MAX);
    cells = calloc(count * (json_array_size(rows) + 2), sizeof *cells);
    if (!cells)
        return error_exhausted(err);
    for (i = 0; !paging->begun && i < 2 * count; i++)
        cells[used++] = i < count ? strdup(columns[i].title) : dashes_for(columns[i - count].title);
    paging->begun = true;
    json_array_foreach(rows, i, row)
    {
        for (size_t k = 0; k < count; k++)
            cells[used++] = text_of(columns[k].key, json_object_get(row, columns[k].key), "n/a");
    }
    return print_table(cells, used / count, count, paging->widths, err);
}

bool tool_print_rows(const json_t *rows, const struct tool_column columns[], size_t count,
                     const struct tool_flags *flags, struct error *err)
{
    struct tool_paging paging = {.begun = false};

    return flags->json ? tool_print_json(rows, err)
                       : tool_print_page(rows, columns, count, &paging, err);
}
