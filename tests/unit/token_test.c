/* SPDX-License-Identifier: MIT
 *
 * The pure parts of the endpoints of tokens and policies: terms, display names, lists of policy
 * names, durations as warnings spell them, base64.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base64.h"
#include "duration.h"
#include "policy_names.h"
#include "response.h"
#include "token_auth.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HOUR INT64_C(3600)
#define MAX ((int64_t)TOKEN_TTL_MAX)

/* What is asked for, what comes of it, and the warning; NULL: none. */
static const struct {
    int64_t ttl, period, explicit_max_ttl, wanted;
    const char *warning;
} terms[] = {
    {0, 0, 0, MAX, NULL},
    {1, 0, 0, 1, NULL},
    {HOUR, 0, 0, HOUR, NULL},
    {MAX, 0, 0, MAX, NULL},
    {MAX + 1, 0, 0, MAX,
     "TTL of \"768h1s\" exceeded the effective max_ttl of \"768h\"; TTL value is capped "
     "accordingly"},
    {0, HOUR, 0, HOUR, NULL},
    {2 * HOUR, HOUR, 0, HOUR, NULL},
    {HOUR, 2 * HOUR, 0, 2 * HOUR, NULL},
    {0, MAX, 0, MAX, NULL},
    {0, MAX + HOUR, 0, MAX,
     "period of \"769h\" exceeded the effective max_ttl of \"768h\"; period value is capped "
     "accordingly"},
    {0, 0, HOUR, HOUR,
     "TTL of \"768h\" exceeded the effective max_ttl of \"1h\"; TTL value is capped accordingly"},
    {HOUR, 0, HOUR, HOUR, NULL},
    {HOUR - 1, 0, HOUR, HOUR - 1, NULL},
    {HOUR + 90, 0, HOUR, HOUR,
     "TTL of \"1h1m30s\" exceeded the effective max_ttl of \"1h\"; TTL value is capped "
     "accordingly"},
    {0, 0, MAX, MAX, NULL},
    {0, 0, MAX + 1, MAX, NULL},
    {MAX + HOUR, 0, MAX + 2 * HOUR, MAX,
     "TTL of \"769h\" exceeded the effective max_ttl of \"768h\"; TTL value is capped "
     "accordingly"},
    {0, 2 * HOUR, HOUR, HOUR,
     "period of \"2h\" exceeded the effective max_ttl of \"1h\"; period value is capped "
     "accordingly"},
};

static void a_term_is_what_was_asked_for_within_its_bounds(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof terms / sizeof *terms; i++) {
        struct token_term term =
            token_auth_term(terms[i].ttl, terms[i].period, terms[i].explicit_max_ttl);
        struct response response = {.data = NULL};
        struct error err = {0};
        assert_true(token_auth_warn_capped(&response, &term, &err));
        const char *warning = json_string_value(json_array_get(response.warnings, 0));
        if (term.ttl != terms[i].wanted ||
            strcmp(warning ? warning : "", terms[i].warning ? terms[i].warning : "") != 0 ||
            json_array_size(response.warnings) != (terms[i].warning != NULL))
            fail_msg("case %zu → %lld, %s", i, (long long)term.ttl, warning ? warning : "silent");
        response_fini(&response);
    }
}

static const struct {
    const char *name, *wanted;
} display_names[] = {
    {"", "token"},
    {"ann", "token-ann"},
    {"Ann-09", "token-Ann-09"},
    {"a_b.c d/e", "token-a-b-c-d-e"},
    {"a-", "token-a"},
    {"a--", "token-a-"},
    {"-", "token-"},
    {".", "token-"},
    {"é", "token-"},
    {"éé", "token--"},
    {"aéb€c😀d", "token-a-b-c-d"},
    {"a\nb\t", "token-a-b"},
    {"\"<&>\"", "token-----"},
};

static void a_display_name_is_letters_digits_and_hyphens(void **state)
{
    char out[TOKEN_DISPLAY_NAME_MAX], name[TOKEN_DISPLAY_NAME_MAX];
    const size_t most = TOKEN_DISPLAY_NAME_MAX - 1 - strlen("token-");

    (void)state;
    for (size_t i = 0; i < sizeof display_names / sizeof *display_names; i++) {
        assert_true(token_display_name(out, display_names[i].name));
        if (strcmp(out, display_names[i].wanted) != 0)
            fail_msg("\"%s\" → \"%s\"", display_names[i].name, out);
    }
    memset(name, 'x', sizeof name);
    name[most] = '\0';
    assert_true(token_display_name(out, name));
    assert_int_equal(strlen(out), TOKEN_DISPLAY_NAME_MAX - 1);
    name[most] = 'x';
    name[most + 1] = '\0';
    assert_false(token_display_name(out, name));
}

static const struct {
    int64_t seconds;
    const char *text;
} durations[] = {
    {0, "0s"},          {1, "1s"},
    {59, "59s"},        {60, "1m"},
    {61, "1m1s"},       {3599, "59m59s"},
    {3600, "1h"},       {3605, "1h5s"},
    {3660, "1h1m"},     {3665, "1h1m5s"},
    {36000, "10h"},     {36600, "10h10m"},
    {MAX, "768h"},      {MAX - 1, "767h59m59s"},
    {MAX + 90, "768h1m30s"},
    {INT64_MAX, "2562047788015215h30m7s"},
};

static void a_duration_has_no_part_that_is_zero(void **state)
{
    char out[DURATION_TEXT];

    (void)state;
    for (size_t i = 0; i < sizeof durations / sizeof *durations; i++) {
        duration_format(out, durations[i].seconds);
        assert_string_equal(out, durations[i].text);
    }
}

/* A list as JSON; ours to json_decref. */
static json_t *parse(const char *text)
{
    json_t *list = json_loads(text, 0, NULL);

    if (!list)
        fail_msg("not JSON: %s", text);
    return list;
}

static void assert_list(json_t *list, const char *wanted, const char *given)
{
    char *got = json_dumps(list, JSON_COMPACT);

    if (!got || strcmp(got, wanted) != 0)
        fail_msg("%s → %s, not %s", given, got ? got : "NULL", wanted);
    free(got);
    json_decref(list);
}

static const struct {
    const char *given, *wanted;
} name_lists[] = {
    {"[]", "[]"},
    {"[\"\"]", "[]"},
    {"[\" \\t\"]", "[]"},
    {"[\"b\", \"a\"]", "[\"a\",\"b\"]"},
    {"[\"a\", \"A\", \" a \", \"a\\n\"]", "[\"a\"]"},
    {"[\"a b\"]", "[\"a b\"]"},
    {"[\"b\", \"B-1\", \"_\", \"10\", \"9\"]", "[\"10\",\"9\",\"_\",\"b\",\"b-1\"]"},
    {"[\"root\"]", "[\"root\"]"},
    {"[\"a\", \" ROOT\", \"default\"]", "[\"root\"]"},
    {"[\"root2\", \"a\"]", "[\"a\",\"root2\"]"},
    {"[\"É\"]", "[\"É\"]"},
};

static void names_are_trimmed_lowered_sorted_and_root_alone(void **state)
{
    (void)state;
    struct error err = {0};
    for (size_t i = 0; i < sizeof name_lists / sizeof *name_lists; i++) {
        json_t *given = parse(name_lists[i].given);
        assert_list(policy_names_clean(given, &err), name_lists[i].wanted, name_lists[i].given);
        json_decref(given);
    }
    assert_list(policy_names_clean(NULL, &err), "[]", "no list");
}

static const struct {
    const char *given;
    bool add, remove;
    const char *wanted;
} defaults[] = {
    {"[]", false, false, "[]"},
    {"[]", true, false, "[\"default\"]"},
    {"[]", true, true, "[]"},
    {"[\"p\"]", false, false, "[\"p\"]"},
    {"[\"p\", \"a\"]", true, false, "[\"a\",\"default\",\"p\"]"},
    {"[\"default\", \"p\"]", true, false, "[\"default\",\"p\"]"},
    {"[\"default\", \"p\"]", false, false, "[\"default\",\"p\"]"},
    {"[\"default\", \"p\"]", false, true, "[\"p\"]"},
    {"[\"root\"]", true, false, "[\"root\"]"},
    {"[\"root\"]", false, true, "[\"root\"]"},
};

static void default_is_added_or_taken_away_but_never_beside_root(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof defaults / sizeof *defaults; i++) {
        struct error err = {0};
        json_t *given = parse(defaults[i].given);
        assert_list(
            policy_names_with_default(given, defaults[i].add, defaults[i].remove, &err),
            defaults[i].wanted, defaults[i].given);
        json_decref(given);
    }
}

static const struct {
    const char *names, *others;
    bool contains;
} subsets[] = {
    {"[\"a\", \"b\"]", "[]", true},
    {"[\"a\", \"b\"]", "[\"b\"]", true},
    {"[\"a\", \"b\"]", "[\"b\", \"a\", \"b\"]", true},
    {"[\"a\", \"b\"]", "[\"c\"]", false},
    {"[\"a\", \"b\"]", "[\"a\", \"c\"]", false},
    {"[\"ab\"]", "[\"a\"]", false},
    {"[\"root\"]", "[\"a\"]", false},
    {"[]", "[]", true},
    {"[]", "[\"a\"]", false},
};

static void a_subset_has_nothing_else(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof subsets / sizeof *subsets; i++) {
        json_t *names = parse(subsets[i].names), *others = parse(subsets[i].others);
        if (policy_names_contain(names, others) != subsets[i].contains)
            fail_msg("%s in %s", subsets[i].others, subsets[i].names);
        json_decref(names);
        json_decref(others);
    }
}

static const struct {
    const char *names, *reserved;
} reserved[] = {
    {"[]", NULL},
    {"[\"a\", \"default\", \"root\"]", NULL},
    {"[\"a\", \"response-wrapping\"]", "response-wrapping"},
    {"[\"control-group\", \"a\"]", "control-group"},
    {"[\"control-group2\", \"xresponse-wrapping\"]", NULL},
};

static void some_names_no_token_may_have(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof reserved / sizeof *reserved; i++) {
        json_t *names = parse(reserved[i].names);
        const char *got = policy_names_reserved(names);
        if (strcmp(got ? got : "", reserved[i].reserved ? reserved[i].reserved : "") != 0)
            fail_msg("%s → %s", reserved[i].names, got ? got : "none");
        json_decref(names);
    }
    assert_true(policy_name_is_fixed("root"));
    assert_false(policy_name_is_fixed("default"));
    assert_false(policy_name_is_fixed("Root"));
}

/* NULL: refused. */
static const struct {
    const char *text, *wanted;
} encoded[] = {
    {"YQ==", "a"},
    {"YWI=", "ab"},
    {"YWJj", "abc"},
    {"YWJjZA==", "abcd"},
    {"w6k=", "é"},
    {"Pz8/", "???"},
    {"Pj4+", ">>>"},
    {"YR==", "a"},
    {"YWJj\n", "abc"},
    {"YW\r\nJj\nZA=\n=\r\n", "abcd"},
    {"", NULL},
    {"\n", NULL},
    {"=", NULL},
    {"====", NULL},
    {"YQ", NULL},
    {"YQ=", NULL},
    {"YQ===", NULL},
    {"Y===", NULL},
    {"YW=j", NULL},
    {"YQ==YQ==", NULL},
    {"YWJ", NULL},
    {"YWJjY", NULL},
    {"Pj4-", NULL},
    {"YW_j", NULL},
    {" YWJj", NULL},
    {"YWJj ", NULL},
    {"YW Jj", NULL},
    {" YWJ", NULL},
    {"YWJ ", NULL},
    {"\tYWJ", NULL},
    {"YWJ\xC3\xA9", NULL},
    {"path \"x\" {}", NULL},
    {"AGE=", NULL},
    {"YQBi", NULL},
    {"YQA=", NULL},
    {"AA==", NULL},
};

static void base64_is_all_of_a_text_or_none_of_it(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof encoded / sizeof *encoded; i++) {
        size_t room = strlen(encoded[i].text) + 1;
        char *out = malloc(room); /* not a byte more, so that a sanitizer sees one */
        bool decoded = base64_decode_text(out, encoded[i].text);
        if (decoded != (encoded[i].wanted != NULL) ||
            (decoded && strcmp(out, encoded[i].wanted) != 0))
            fail_msg("\"%s\" → %s", encoded[i].text, decoded ? out : "refused");
        free(out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_term_is_what_was_asked_for_within_its_bounds),
        cmocka_unit_test(a_display_name_is_letters_digits_and_hyphens),
        cmocka_unit_test(a_duration_has_no_part_that_is_zero),
        cmocka_unit_test(names_are_trimmed_lowered_sorted_and_root_alone),
        cmocka_unit_test(default_is_added_or_taken_away_but_never_beside_root),
        cmocka_unit_test(a_subset_has_nothing_else),
        cmocka_unit_test(some_names_no_token_may_have),
        cmocka_unit_test(base64_is_all_of_a_text_or_none_of_it),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("token", tests, NULL, NULL);
}
