/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "etag.h"

static const struct {
    const char *if_none_match;
    bool named;
} cases[] = {
    {NULL, false},
    {"", false},
    {"W/\"a\"", true},
    {"\"a\"", true}, /* the comparison is weak */
    {"*", true},
    {" * ", true},
    {"W/\"b\"", false},
    {"W/\"A\"", false},
    {"\"\"", false},
    {"\"aa\"", false},
    {"\"b\", W/\"a\"", true},
    {"\"b\",\"c\"\t,  \"a\"", true},
    {"\"a\", \"b\"", true},
    {"\"b,\", \"a\"", true}, /* a comma inside is one of the tag's */
    {"\"b, W/\"a\"", false},
    {", ,\"a\",", true}, /* elements may be empty: RFC 9110, section 5.6.1.2 */
    {",", false},
    {"\"\xC3\xA9\", \"a\"", true},
    /* What is not well-formed. */
    {"a", false},
    {"\"a", false},
    {"a\"", false},
    {"W/a", false},
    {"w/\"a\"", false},
    {"W /\"a\"", false},
    {"W/ \"a\"", false},
    {"'a'", false},
    {"**", false},
    {"*, \"a\"", false},
    {"\"a\", *", false},
    {"\"a\" \"b\"", false},
    {"\"a\";\"b\"", false},
    {"\"a\", b", false},
    {"\"b c\", \"a\"", false},
    {"\"a\\\"\", \"a\"", false}, /* a backslash escapes nothing */
};

static void a_tag_is_named_or_not(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (etag_is_named(cases[i].if_none_match, "W/\"a\"") != cases[i].named)
            fail_msg("If-None-Match: %s", cases[i].if_none_match);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_tag_is_named_or_not),
    };

    return cmocka_run_group_tests_name("etag", tests, NULL, NULL);
}
