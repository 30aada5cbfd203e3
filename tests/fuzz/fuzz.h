/* SPDX-License-Identifier: MIT
 *
 * What the fuzz targets share. Each is a function from bytes to nothing that must neither
 * crash nor see a rule broken; libFuzzer calls it with what it thinks up, replay.c with what
 * is known.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include "error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Aborts, and says where, unless the rule holds. */
#define FUZZ_REQUIRE(rule) fuzz_require((rule), #rule, __FILE__, __LINE__)
void fuzz_require(bool holds, const char *rule, const char *file, int line);

/* A fault that a client may see: a code, and a text that is UTF-8. Out of memory is none that
 * an input of this size may cause. */
void fuzz_check_error(const struct error *err);

#endif
