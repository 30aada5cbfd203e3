/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "field.h"

#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A body's JSON, parsed as body.c does. */
static json_t *parse(const char *text)
{
    json_t *data = json_loads(text, 0, NULL);

    if (!data)
        fail_msg("not JSON: %s", text);
    return data;
}

/* Integers that are written as text, with their values. */
static const struct {
    const char *text;
    int64_t value;
} integers[] = {
    {"", 0},
    {"0", 0},
    {"00", 0},
    {"-0", 0},
    {"+0", 0},
    {"5", 5},
    {"+5", 5},
    {"-5", -5},
    {"1_000", 1000},
    {"1_0_0", 100},
    {"0x10", 16},
    {"0X1f", 31},
    {"0x1F", 31},
    {"-0x10", -16},
    {"0x_10", 16},
    {"0x1_0", 16},
    {"010", 8},
    {"0_10", 8},
    {"0o17", 15},
    {"0O17", 15},
    {"0o_17", 15},
    {"0b101", 5},
    {"0B101", 5},
    {"0b_1_0", 2},
    {"9223372036854775807", INT64_MAX},
    {"9_223_372_036_854_775_807", INT64_MAX},
    {"-9223372036854775808", INT64_MIN},
    {"-9223372036854775807", -INT64_MAX},
    {"0x7fffffffffffffff", INT64_MAX},
    {"-0x8000000000000000", INT64_MIN},
    {"0777777777777777777777", INT64_MAX},
    {"-0o1000000000000000000000", INT64_MIN},
    {"0b111111111111111111111111111111111111111111111111111111111111111", INT64_MAX},
    {"-0b1000000000000000000000000000000000000000000000000000000000000000", INT64_MIN},
    {"0000000000000000000000000000000000000000000000000000000000000000000000000000000000000001",
     1},
    {"0x0000000000000000000000000000000000000000000000000000000000000000000000000000000000001",
     1},
};

static void an_integer_may_be_written_as_text(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof integers / sizeof *integers; i++) {
        json_t *data = json_pack("{s:s}", "n", integers[i].text);
        struct error err = {0};
        int64_t value = 4711;
        if (!field_integer(data, "n", &value, &err) || value != integers[i].value)
            fail_msg("\"%s\" → %lld %s", integers[i].text, (long long)value, err.text);
        json_decref(data);
    }
}

static const char *const not_integers[] = {
    "+", "-", "--5", "+-5", " 5", "5 ", "5\n", "1.0", "1.5", "1e3", ".5", "5.", "abc", "true",
    "_5", "5_", "1__0", "-_5", "0x", "0X", "0o", "0b", "0x_", "0x__1", "0_x1", "0_", "_0", "08",
    "0o8", "0b2", "0xg", "0x1.0", "x10", "0x-1", "0o+1", "١", "1,000", "1 000", "0d10", "10h",
    "9223372036854775808", "-9223372036854775809", "0x8000000000000000",
    "-0x8000000000000001", "01000000000000000000000", "18446744073709551615",
    "18446744073709551616", "18446744073709551617", "99999999999999999999999999999999999999",
    "0x10000000000000000", "0b10000000000000000000000000000000000000000000000000000000000000000",
};

static void what_go_does_not_parse_is_no_integer(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof not_integers / sizeof *not_integers; i++) {
        json_t *data = json_pack("{s:s}", "n", not_integers[i]);
        struct error err = {0};
        int64_t value;
        if (field_integer(data, "n", &value, &err))
            fail_msg("\"%s\" → %lld", not_integers[i], (long long)value);
        assert_int_equal(err.code, ERROR_BAD_REQUEST);
        assert_string_equal(err.text, "n: must be an integer of 64 bits");
        json_decref(data);
    }
}

/* The grammar once more, as a regular expression; what it lets through is short enough for
 * strtoll. Go's package documentation gives it as the syntax of integer literals. */
static const char grammar[] = "^[+-]?(0[xX](_?[0-9a-fA-F])+|0[oO](_?[0-7])+|0[bB](_?[01])+|"
                              "0(_?[0-7])*|[1-9](_?[0-9])*)?$";

static int64_t value_of(const char *text)
{
    char plain[16];
    size_t used = 0;
    int base = 10;

    for (; *text; text++) {
        bool first = used == 0 || (used == 1 && (*plain == '-' || *plain == '+'));
        if (first && base == 10 && *text == '0' && text[1]) {
            base = strchr("xX", text[1]) ? 16 : strchr("bB", text[1]) ? 2 : 8;
            text += strchr("xXbBoO", text[1]) ? 1 : 0;
        } else if (*text != '_')
            plain[used++] = *text;
    }
    plain[used] = '\0';
    return strtoll(plain, NULL, base);
}

/* Every text of up to five of these bytes. */
static void every_short_text_is_read_as_the_grammar_says(void **state)
{
    static const char bytes[] = "+-0178fxXobB_ ";
    const size_t count = sizeof bytes - 1;
    size_t seen = 0, good = 0;
    regex_t expression;

    (void)state;
    assert_int_equal(regcomp(&expression, grammar, REG_EXTENDED | REG_NOSUB), 0);
    json_t *data = json_object();
    for (size_t length = 0, total = 1; length <= 5; length++, total *= count) {
        for (size_t number = 0; number < total; number++) {
            char text[6] = "";
            struct error err;
            int64_t value;
            for (size_t i = 0, rest = number; i < length; i++, rest /= count)
                text[i] = bytes[rest % count];
            bool sign_only = length == 1 && (*text == '+' || *text == '-');
            bool wanted = !sign_only && regexec(&expression, text, 0, NULL, 0) == 0;
            json_object_set_new(data, "n", json_string(text));
            if (field_integer(data, "n", &value, &err) != wanted)
                fail_msg("\"%s\" is%s an integer", text, wanted ? "" : " not");
            if (wanted && value != value_of(text))
                fail_msg("\"%s\" → %lld", text, (long long)value);
            seen++;
            good += wanted;
        }
    }
    print_message("# %zu texts, %zu of them integers\n", seen, good);
    assert_true(good > 4000 && good < seen / 2);
    json_decref(data);
    regfree(&expression);
}

/* What the member v holds, and what each type makes of it. NULL: it is refused. */
static const struct {
    const char *value, *string, *integer, *boolean;
} values[] = {
    {"null", "", "0", "false"},
    {"true", "1", "1", "true"},
    {"false", "0", "0", "false"},
    {"0", NULL, "0", "false"},
    {"1", NULL, "1", "true"},
    {"-0", NULL, "0", "false"},
    {"2", NULL, "2", NULL},
    {"-1", NULL, "-1", NULL},
    {"9223372036854775807", NULL, "9223372036854775807", NULL},
    {"-9223372036854775808", NULL, "-9223372036854775808", NULL},
    {"1.0", NULL, NULL, NULL},
    {"0.0", NULL, NULL, NULL},
    {"1.5", NULL, NULL, NULL},
    {"1e3", NULL, NULL, NULL},
    {"1E0", NULL, NULL, NULL},
    {"[]", NULL, NULL, NULL},
    {"[1]", NULL, NULL, NULL},
    {"{}", NULL, NULL, NULL},
    {"{\"v\": 1}", NULL, NULL, NULL},
    {"\"\"", "", "0", "false"},
    {"\"1\"", "1", "1", "true"},
    {"\"0\"", "0", "0", "false"},
    {"\"t\"", "t", NULL, "true"},
    {"\"T\"", "T", NULL, "true"},
    {"\"true\"", "true", NULL, "true"},
    {"\"TRUE\"", "TRUE", NULL, "true"},
    {"\"True\"", "True", NULL, "true"},
    {"\"f\"", "f", NULL, "false"},
    {"\"F\"", "F", NULL, "false"},
    {"\"false\"", "false", NULL, "false"},
    {"\"FALSE\"", "FALSE", NULL, "false"},
    {"\"False\"", "False", NULL, "false"},
    {"\"tRUE\"", "tRUE", NULL, NULL},
    {"\" true\"", " true", NULL, NULL},
    {"\"yes\"", "yes", NULL, NULL},
    {"\"on\"", "on", NULL, NULL},
    {"\"2\"", "2", "2", NULL},
    {"\"01\"", "01", "1", NULL},
    {"\"0x1\"", "0x1", "1", NULL},
    {"\"abcd\"", "abcd", NULL, NULL},
    {"\"äö\"", "äö", NULL, NULL},
};

enum { STRING_MAX_BYTES = 5 };

static const char *expected_error(const char *type)
{
    return strcmp(type, "string") == 0    ? "v: must be a string"
           : strcmp(type, "integer") == 0 ? "v: must be an integer of 64 bits"
                                          : "v: must be true or false";
}

static void check(const char *value, const char *type, const char *wanted)
{
    char text[64], got[64] = "";
    struct error err = {0};
    const char *string = NULL;
    int64_t integer = 4711;
    bool boolean = false, read;

    snprintf(text, sizeof text, "{\"v\": %s}", value);
    json_t *data = parse(text);
    if (strcmp(type, "string") == 0) {
        read = field_string(data, "v", STRING_MAX_BYTES, &string, &err);
        snprintf(got, sizeof got, "%s", string);
    } else if (strcmp(type, "integer") == 0) {
        read = field_integer(data, "v", &integer, &err);
        snprintf(got, sizeof got, "%lld", (long long)integer);
    } else {
        read = field_boolean(data, "v", &boolean, &err);
        snprintf(got, sizeof got, "%s", boolean ? "true" : "false");
    }
    if (read != !!wanted || (wanted && strcmp(got, wanted) != 0))
        fail_msg("%s as %s: %s, %s", value, type, read ? got : "refused", err.text);
    if (!wanted)
        assert_string_equal(err.text, expected_error(type));
    json_decref(data);
}

static void each_type_takes_what_vault_coerces_to_it(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        check(values[i].value, "string", values[i].string);
        check(values[i].value, "integer", values[i].integer);
        check(values[i].value, "boolean", values[i].boolean);
    }
}

static void an_absent_member_is_the_zero_value(void **state)
{
    json_t *data = parse("{\"V\": \"5\"}"); /* names are case-sensitive */
    struct error err;
    const char *string = NULL;
    int64_t integer = 4711;
    bool boolean = true;

    (void)state;
    assert_true(field_string(data, "v", STRING_MAX_BYTES, &string, &err));
    assert_true(field_integer(data, "v", &integer, &err));
    assert_true(field_boolean(data, "v", &boolean, &err));
    assert_string_equal(string, "");
    assert_int_equal(integer, 0);
    assert_false(boolean);
    json_decref(data);
}

static void a_string_has_so_many_bytes_at_most(void **state)
{
    json_t *data = parse("{\"fits\": \"ab€\", \"long\": \"abc€\"}");
    struct error err;
    const char *string;

    (void)state;
    assert_true(field_string(data, "fits", STRING_MAX_BYTES, &string, &err));
    assert_string_equal(string, "ab€");
    assert_false(field_string(data, "long", STRING_MAX_BYTES, &string, &err));
    assert_int_equal(err.code, ERROR_BAD_REQUEST);
    assert_string_equal(err.text, "long: 5 bytes at most");
    json_decref(data);
}

/* A list, a map or a time: the value of "v" as JSON, and what is read of it, as JSON, or what is
 * said of it. */
#define LIST_WANTED "v: must be a list of strings"
#define MAP_WANTED                                                                           \
    "v: must be an object of strings, or a list of texts such as \"key=value\""
#define SECONDS_WANTED                                                                       \
    "v: must be a number of seconds or a duration such as \"1h30m\""

static const struct {
    const char *kind; /* list, split (at commas), map, seconds */
    const char *value;
    const char *wanted;
} composed[] = {
    {"list", "null", "null"},
    {"list", "[]", "[]"},
    {"list", "\"\"", "[]"},
    {"list", "[\"\", \" \"]", "[]"},
    {"list", "\"a\"", "[\"a\"]"},
    {"list", "\"a,b\"", "[\"a,b\"]"},
    {"list", "[\"a,b\", \" c\\t\"]", "[\"a,b\",\"c\"]"},
    {"list", "[\"a\", \"a\"]", "[\"a\",\"a\"]"},
    {"list", "5", LIST_WANTED},
    {"list", "true", LIST_WANTED},
    {"list", "{\"a\": \"b\"}", LIST_WANTED},
    {"list", "[\"a\", 5]", LIST_WANTED},
    {"list", "[null]", LIST_WANTED},
    {"list", "[[\"a\"]]", LIST_WANTED},
    {"split", "null", "null"},
    {"split", "\"\"", "[]"},
    {"split", "\",\"", "[]"},
    {"split", "\"a\"", "[\"a\"]"},
    {"split", "\"a,b\"", "[\"a\",\"b\"]"},
    {"split", "\" a , ,b, \"", "[\"a\",\"b\"]"},
    {"split", "[\"a,b\"]", "[\"a,b\"]"},
    {"map", "null", "null"},
    {"map", "{}", "{}"},
    {"map", "[]", "{}"},
    {"map", "{\"b\": \"2\", \"a\": \"\"}", "{\"a\":\"\",\"b\":\"2\"}"},
    {"map", "[\"a=1\", \"b=x=y\", \"c=\"]", "{\"a\":\"1\",\"b\":\"x=y\",\"c\":\"\"}"},
    {"map", "[\"a=1\", \"a=2\"]", "{\"a\":\"2\"}"},
    {"map", "\"a=1\"", MAP_WANTED},
    {"map", "5", MAP_WANTED},
    {"map", "{\"a\": 1}", MAP_WANTED},
    {"map", "{\"a\": \"1\", \"b\": null}", MAP_WANTED},
    {"map", "[\"a\"]", MAP_WANTED},
    {"map", "[\"=1\"]", MAP_WANTED},
    {"map", "[5]", MAP_WANTED},
    {"seconds", "null", "0"},
    {"seconds", "0", "0"},
    {"seconds", "3600", "3600"},
    {"seconds", "\"\"", "0"},
    {"seconds", "\"3600\"", "3600"},
    {"seconds", "\"1h30m\"", "5400"},
    {"seconds", "\"2d\"", "172800"},
    {"seconds", "\"1500ms\"", "2"},
    {"seconds", "\"999ms\"", "1"},
    {"seconds", "\"1ns\"", "1"},
    {"seconds", "\"-0.5s\"", "v must be positive"},
    {"seconds", "\"-\"", "v: must be a number of seconds or a duration such as \"1h30m\""},
    {"seconds", "\"-0s\"", "0"},
    {"seconds", "3162240000", "3162240000"},
    {"seconds", "3162240001", "v: must be a hundred years at most"},
    {"seconds", "\"36601d\"", "v: must be a hundred years at most"},
    {"seconds", "9223372036854775807", "v: must be a hundred years at most"},
    {"seconds", "-1", "v must be positive"},
    {"seconds", "\"-1h\"", "v must be positive"},
    {"seconds", "\"-5\"", "v must be positive"},
    {"seconds", "\"--5\"", SECONDS_WANTED},
    {"seconds", "\"soon\"", SECONDS_WANTED},
    {"seconds", "\"1h \"", SECONDS_WANTED},
    {"seconds", "\"99999999999d\"", SECONDS_WANTED},
    {"seconds", "1.5", SECONDS_WANTED},
    {"seconds", "true", SECONDS_WANTED},
    {"seconds", "[60]", SECONDS_WANTED},
};

static bool read_composed(const char *kind, const json_t *data, json_t **out, struct error *err)
{
    int64_t seconds;

    if (strcmp(kind, "map") == 0)
        return field_map(data, "v", out, err);
    if (strcmp(kind, "seconds") != 0)
        return field_strings(data, "v", strcmp(kind, "split") == 0, out, err);
    *out = NULL;
    if (!field_seconds(data, "v", &seconds, err))
        return false;
    *out = json_integer(seconds);
    return true;
}

static void lists_maps_and_times_are_read_or_refused_in_plain_words(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof composed / sizeof *composed; i++) {
        json_t *value = json_loads(composed[i].value, JSON_DECODE_ANY, NULL), *out;
        json_t *data = json_pack("{s:o}", "v", value);
        struct error err = {0};
        bool read = read_composed(composed[i].kind, data, &out, &err);
        char *got = read && out ? json_dumps(out, JSON_COMPACT | JSON_ENCODE_ANY | JSON_SORT_KEYS)
                                : NULL;
        if (strcmp(!read ? err.text : got ? got : "null", composed[i].wanted) != 0)
            fail_msg("%s %s → %s", composed[i].kind, composed[i].value,
                     !read ? err.text : got ? got : "null");
        assert_int_equal(err.code, read ? ERROR_NONE : ERROR_BAD_REQUEST);
        assert_true(read || !out);
        free(got);
        json_decref(out);
        json_decref(data);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_integer_may_be_written_as_text),
        cmocka_unit_test(what_go_does_not_parse_is_no_integer),
        cmocka_unit_test(every_short_text_is_read_as_the_grammar_says),
        cmocka_unit_test(each_type_takes_what_vault_coerces_to_it),
        cmocka_unit_test(an_absent_member_is_the_zero_value),
        cmocka_unit_test(a_string_has_so_many_bytes_at_most),
        cmocka_unit_test(lists_maps_and_times_are_read_or_refused_in_plain_words),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("field", tests, NULL, NULL);
}
