/* SPDX-License-Identifier: MIT
 *
 * Times to live as Vault's users write them. Pure.
 */
#ifndef DURATION_H
#define DURATION_H

#include <stdbool.h>
#include <stdint.h>

#define DURATION_SECOND INT64_C(1000000000) /* in nanoseconds */

/* The nanoseconds that text stands for: a number of seconds ("300"), one of days ("7d"),
 * or a duration as Go writes it, not negative ("1h30m", "1.5h", "500ms"); "" is 0. False,
 * and *ns undefined, for any other text and for what 63 bits cannot hold. */
bool duration_parse(const char *text, int64_t *ns) __attribute__((warn_unused_result));

enum { DURATION_TEXT = 48 };

/* Seconds, not negative, as Vault's warnings spell them, without parts that are zero: "768h",
 * "1h5s", "1m30s", "0s". */
void duration_format(char out[static DURATION_TEXT], int64_t seconds);

#endif
