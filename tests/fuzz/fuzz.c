/* SPDX-License-Identifier: MIT */
#include "fuzz.h"

#include "utf8.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void fuzz_require(bool holds, const char *rule, const char *file, int line)
{
    if (holds)
        return;
    fprintf(stderr, "%s:%d: broken: %s\n", file, line, rule);
    abort();
}

void fuzz_check_error(const struct error *err)
{
    FUZZ_REQUIRE(err->code > ERROR_NONE && err->code < ERROR_MAX);
    FUZZ_REQUIRE(err->code != ERROR_EXHAUSTED && err->code != ERROR_INTERNAL);
    FUZZ_REQUIRE(memchr(err->text, '\0', sizeof err->text) != NULL);
    FUZZ_REQUIRE(memchr(err->detail, '\0', sizeof err->detail) != NULL);
    FUZZ_REQUIRE(utf8_valid(err->text));
}
