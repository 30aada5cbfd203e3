/* SPDX-License-Identifier: MIT
 *
 * Numbers with names, in the text format 0.0.4 of Prometheus or in Vault's JSON: how it is
 * written, not what.
 */
#ifndef METRICS_SHEET_H
#define METRICS_SHEET_H

#include <stdbool.h>
#include <stdio.h>

struct metrics_times;

enum metrics_kind { METRICS_GAUGE = 0, METRICS_COUNTER, METRICS_SUMMARY, METRICS_HISTOGRAM };

struct metrics_sheet {
    FILE *out;          /* borrowed; what goes wrong with it shows there */
    bool is_prometheus;
    double seconds;     /* that counting has gone on for; 0: not known */

    /* What is being written, for the functions below. */
    const char *name;
    enum metrics_kind kind;
    const char *help;
    bool begun; /* Prometheus: the name's first sample is there. JSON: the list's */
};

/* The last of several has no name. */
struct metrics_label {
    const char *name, *value;
};

/* In JSON a list begins, and ends, in which all names are of one sort. */
void metrics_sheet_open(struct metrics_sheet *sheet, const char *list);
void metrics_sheet_close(struct metrics_sheet *sheet);

/* Samples of that name follow, if any. The texts are borrowed until the next. A dot in the name is
 * an underscore in Prometheus. */
void metrics_sheet_begin(struct metrics_sheet *sheet, const char *name, enum metrics_kind kind,
                         const char *help);

/* A gauge, or a counter. labels NULL: none. */
void metrics_sheet_number(struct metrics_sheet *sheet, const struct metrics_label labels[],
                          double number);

/* A summary, in milliseconds as Vault's, or a histogram, in seconds as Prometheus has them. */
void metrics_sheet_times(struct metrics_sheet *sheet, const struct metrics_label labels[],
                         const struct metrics_times *times);

#endif
