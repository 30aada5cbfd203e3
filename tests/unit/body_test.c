/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "body.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define AT(line, column) "failed to parse JSON: line " #line ", column " #column ": "

/* Parses and returns the error's text; "": there is none. */
static const char *parse(const char *text, size_t length)
{
    static struct error err;
    json_t *value;

    err = (struct error){0};
    bool parsed = body_parse(&value, text, length, &err);
    assert_int_equal(parsed, value != NULL);
    assert_int_equal(err.code, parsed ? ERROR_NONE : ERROR_BAD_REQUEST);
    assert_int_equal(err.line > 0, !parsed);
    json_decref(value);
    return err.text;
}

static const char *const good[] = {
    "{}", "[]", "null", "true", "5", "-0", "1.5e3", "\"\"", " \t\r\n{ } \t\r\n",
    "{\"a\": [1, {\"b\": null}], \"\": \"[{\\\",:\"}", "{\"a\": {\"k\": 1}, \"b\": {\"k\": 1}}",
    "\"\\ud83d\\ude00\"", "9223372036854775807", "-9223372036854775808", "\"\x7f\"",
};

static void a_value_of_any_type_is_parsed(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_string_equal(parse(good[i], strlen(good[i])), "");
}

static const struct {
    const char *text, *error;
} bad[] = {
    {"", AT(1, 0) "the text ends too early"},
    {"{\"a\": 1", AT(1, 7) "the text ends too early"},
    {"{\"a\":\n\n", AT(3, 0) "the text ends too early"},
    {"{\"a\": tru}", AT(1, 9) "invalid syntax"},
    {"{\"a\": 1,}", AT(1, 9) "invalid syntax"},
    {"{\"a\": 1e400}", AT(1, 11) "a number does not fit into 64 bits"},
    {"{}\n x", AT(2, 2) "something follows the value"},
    {"{\"a\": 1, \"a\": 2}", AT(1, 12) "a key is given twice in one object"},
    {"{\"a\": 1, \"\\u0061\": 2}", AT(1, 17) "a key is given twice in one object"},
    {"{\"x\": {\"a\": 1,\n\"a\": 2}}", AT(2, 3) "a key is given twice in one object"},
    {"[9223372036854775808]", AT(1, 20) "a number does not fit into 64 bits"},
    {"[-9223372036854775809]", AT(1, 21) "a number does not fit into 64 bits"},
    {"[\"\xff\"]", AT(1, 2) "not valid UTF-8"},
    {"[\"\xed\xa0\x80\"]", AT(1, 2) "not valid UTF-8"},
    {"[\"\\u0000\"]", AT(1, 9) "U+0000 is not allowed"},
    {"{\"\\u0000\": 1}", AT(1, 9) "U+0000 is not allowed"},
    {"[\"\\ud800\"]", AT(1, 9) "invalid syntax"},
    {"[\"\\udc00\"]", AT(1, 9) "invalid syntax"},
    {"[\"\\ud800\\u0041\"]", AT(1, 15) "invalid syntax"},
    {"[\"\x01\"]", AT(1, 2) "invalid syntax"},
    {"\xef\xbb\xbf{}", AT(1, 1) "invalid syntax"},
};

static void a_fault_is_told_with_its_place(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_string_equal(parse(bad[i].text, strlen(bad[i].text)), bad[i].error);
    assert_string_equal(parse("{}\0", 3), AT(1, 3) "U+0000 is not allowed");
    assert_string_equal(parse("[\n1\0]", 5), AT(2, 2) "U+0000 is not allowed");
    assert_string_equal(parse("[true\0]", 7), AT(1, 6) "U+0000 is not allowed");
}

/* Before, count times what is repeated, after. */
static struct {
    const char *before, *repeated, *after;
    size_t limit; /* so often it is let through, and once more is refused */
    const char *error;
} limits[] = {
    {"{\"v\": [0", ",0", "]}", BODY_ENTRIES_MAX - 1,
     AT(1, 20007) "too many entries in one object or list"},
    {"[[0,0,0],\n[0", ",0", "]]", BODY_ENTRIES_MAX - 1,
     AT(2, 20001) "too many entries in one object or list"},
    {"\"", "x", "\"", BODY_STRING_MAX, AT(1, 1048578) "a string is too long"},
    {"[\"\", \"", "\\n", "\"]", BODY_STRING_MAX / 2, AT(1, 1048583) "a string is too long"},
    {"{\"", "ü", "\": 1}", BODY_STRING_MAX / 2, AT(1, 524291) "a string is too long"},
};

static const char *parse_repeated(const char *before, const char *repeated, size_t count,
                                  const char *after)
{
    size_t step = strlen(repeated), used = strlen(before);
    char *text = malloc(used + count * step + strlen(after) + 1);

    strcpy(text, before);
    for (size_t i = 0; i < count; i++, used += step)
        memcpy(text + used, repeated, step);
    strcpy(text + used, after);
    const char *error = parse(text, strlen(text));
    free(text);
    return error;
}

static void limits_are_vaults(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        assert_string_equal(parse_repeated(limits[i].before, limits[i].repeated,
                                           limits[i].limit, limits[i].after),
                            "");
        assert_string_equal(parse_repeated(limits[i].before, limits[i].repeated,
                                           limits[i].limit + 1, limits[i].after),
                            limits[i].error);
    }
}

static const char *parse_nested(size_t depth, char opens, const char *inside, char closes)
{
    char *text = malloc(2 * depth + strlen(inside) + 1);

    memset(text, opens, depth);
    strcpy(text + depth, inside);
    memset(text + depth + strlen(inside), closes, depth);
    const char *error = parse(text, 2 * depth + strlen(inside));
    free(text);
    return error;
}

static void nesting_has_a_limit(void **state)
{
    (void)state;
    assert_string_equal(parse_nested(BODY_DEPTH_MAX, '[', "1", ']'), "");
    assert_string_equal(parse_nested(BODY_DEPTH_MAX, '[', "\"[[{{\"", ']'), "");
    assert_string_equal(parse_nested(BODY_DEPTH_MAX - 1, '[', "{},{\"a\":1},[[],[]]", ']'),
                        AT(1, 312) "nested too deeply");
    assert_string_equal(parse_nested(BODY_DEPTH_MAX + 1, '[', "1", ']'),
                        AT(1, 301) "nested too deeply");
    assert_string_equal(parse_nested(500000, '[', "", ' '), AT(1, 301) "nested too deeply");
    assert_string_equal(parse_nested(500000, '{', "", ' '), AT(1, 301) "nested too deeply");
}

/* A hundred lists in a list; each has 4999 tokens, the last one has last. */
static const char *parse_tokens(const char *last)
{
    static char text[500 * 1000 + 1000];
    size_t used = 0, row;

    text[used++] = '[';
    for (row = 0; row < 99; row++) {
        used += (size_t)sprintf(text + used, "[0");
        for (unsigned i = 1; i < 2499; i++)
            used += (size_t)sprintf(text + used, ",7");
        used += (size_t)sprintf(text + used, "],");
    }
    used += (size_t)sprintf(text + used, "[%s", last);
    for (unsigned i = 1; i < 2498; i++)
        used += (size_t)sprintf(text + used, ",7");
    used += (size_t)sprintf(text + used, "]]");
    return parse(text, used);
}

static void the_tokens_of_a_body_are_counted(void **state)
{
    (void)state;
    assert_string_equal(parse_tokens("{}"), ""); /* 500000 */
    assert_string_equal(parse_tokens("0,\"[{,:\\\"\""), AT(1, 500008) "too many values");
    assert_string_equal(parse_tokens("true,-1.5e-7"), AT(1, 500010) "too many values");
}

static void every_key_of_an_object_counts(void **state)
{
    char *text = malloc((BODY_ENTRIES_MAX + 1) * 16);

    (void)state;
    for (unsigned count = BODY_ENTRIES_MAX; count <= BODY_ENTRIES_MAX + 1; count++) {
        size_t used = 0;
        for (unsigned i = 0; i < count; i++)
            used += (size_t)sprintf(text + used, "%c\"k%05u\":1", i ? ',' : '{', i);
        used += (size_t)sprintf(text + used, "}");
        assert_string_equal(parse(text, used),
                            count > BODY_ENTRIES_MAX
                                ? AT(1, 110001) "too many entries in one object or list"
                                : "");
    }
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_value_of_any_type_is_parsed),
        cmocka_unit_test(a_fault_is_told_with_its_place),
        cmocka_unit_test(limits_are_vaults),
        cmocka_unit_test(nesting_has_a_limit),
        cmocka_unit_test(every_key_of_an_object_counts),
        cmocka_unit_test(the_tokens_of_a_body_are_counted),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("body", tests, NULL, NULL);
}
