/* SPDX-License-Identifier: MIT
 *
 * Policies: the rules as cases, one JSON object a line, in tests/data/policy; the choice
 * of a rule against a plain search; memory that runs out. Linked with --wrap for malloc,
 * calloc, realloc and free.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "policy.h"

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    CASES = 534, /* in tests/data/policy: one that vanishes is a failure */
    SOURCES_MAX = 8,
    NAME_SIZE = 300,
};

/* ---- memory ---- */

static size_t allocations_left = SIZE_MAX; /* until one fails; SIZE_MAX: none does */
static size_t live;

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void __real_free(void *memory);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
void __wrap_free(void *memory);

static bool allocation_fails(void)
{
    if (allocations_left == 0)
        return true;
    if (allocations_left != SIZE_MAX)
        allocations_left--;
    return false;
}

static void *counted(void *memory)
{
    live += memory != NULL;
    return memory;
}

void *__wrap_malloc(size_t size)
{
    return allocation_fails() ? NULL : counted(__real_malloc(size));
}

void *__wrap_calloc(size_t count, size_t size)
{
    return allocation_fails() ? NULL : counted(__real_calloc(count, size));
}

void *__wrap_realloc(void *old, size_t size)
{
    if (allocation_fails())
        return NULL;
    return old == NULL ? counted(__real_realloc(old, size)) : __real_realloc(old, size);
}

void __wrap_free(void *memory)
{
    live -= memory != NULL;
    __real_free(memory);
}

/* ---- cases ---- */

static const char *string_of(const json_t *test, const char *key)
{
    return json_string_value(json_object_get(test, key));
}

static struct policy_source source_of(const char *text)
{
    return (struct policy_source){.name = "test", .text = text, .length = strlen(text)};
}

/* Compiles the policies of a case; they must parse. */
static struct policy *compile(const json_t *test)
{
    const json_t *texts = json_object_get(test, "policies");
    struct policy_source sources[SOURCES_MAX];
    struct error err = {0};

    assert_in_range(json_array_size(texts), 0, SOURCES_MAX);
    for (size_t i = 0; i < json_array_size(texts); i++)
        sources[i] = source_of(json_string_value(json_array_get(texts, i)));
    struct policy *policy = policy_compile(sources, json_array_size(texts), &err);

    if (policy == NULL)
        fail_msg("%s", err.text);
    return policy;
}

static void check_allow(const json_t *test)
{
    struct policy_request request = {
        .path = string_of(test, "path"),
        .data = json_object_get(test, "data"),
        .wrap_ttl = json_integer_value(json_object_get(test, "wrap_ttl")),
    };
    struct policy *policy = compile(test);

    assert_true(operation_parse(string_of(test, "op"), &request.operation));
    struct policy_decision decision = policy_evaluate(policy, &request);

    policy_free(policy);
    assert_int_equal(decision.allowed, json_is_true(json_object_get(test, "allowed")));
    assert_int_equal(decision.sudo, json_is_true(json_object_get(test, "sudo")));
    assert_int_equal(decision.allowed, decision.reason == POLICY_GRANTED);
    if (json_object_get(test, "request_allowed") == NULL)
        return;
    bool needs_sudo = json_is_true(json_object_get(test, "sudo_required"));

    assert_int_equal(decision.allowed && (!needs_sudo || decision.sudo),
                     json_is_true(json_object_get(test, "request_allowed")));
}

static void check_capabilities(const json_t *test)
{
    const json_t *names = json_object_get(test, "capabilities");
    struct policy *policy = compile(test);
    unsigned capabilities = policy_capabilities(policy, string_of(test, "path"));

    policy_free(policy);
    assert_int_equal(__builtin_popcount(capabilities), json_array_size(names));
    for (size_t i = 0; i < json_array_size(names); i++) {
        const char *name = json_string_value(json_array_get(names, i));
        unsigned bit = CAPABILITY_DENY;

        while (bit < CAPABILITY_SUBSCRIBE &&
               strcmp(capability_name((enum capability)bit), name) != 0)
            bit <<= 1;
        assert_string_equal(capability_name((enum capability)bit), name);
        assert_true(capabilities & bit);
    }
}

/* Whether a text was taken or refused as it should be: with the error named, or part of it. */
static void check_outcome(const json_t *test, bool taken, const char *error,
                          const struct error *err)
{
    const char *part = string_of(test, "error_contains");

    if (!taken && error == NULL && part == NULL)
        fail_msg("%s", err->text);
    assert_int_equal(taken, error == NULL && part == NULL);
    if (taken)
        return;
    assert_int_equal(err->code, ERROR_BAD_REQUEST);
    assert_string_equal(err->detail, "policy test");
    if (error != NULL)
        assert_string_equal(err->text, error);
    else
        assert_non_null(strstr(err->text, part));
    if (json_object_get(test, "line") != NULL)
        assert_int_equal(err->line, json_integer_value(json_object_get(test, "line")));
}

/* What is read is what Vault reads; what is compiled, and so stored, is what can be enforced,
 * which compile_error says where it is less. */
static void check_parse(const json_t *test)
{
    struct policy_source source = source_of(string_of(test, "policy"));
    const char *error = string_of(test, "error"),
               *compile_error = string_of(test, "compile_error");
    struct error err = {.text = ""};
    bool good = policy_check(&source, &err);

    assert_int_equal(good, json_is_true(json_object_get(test, "parse_ok")));
    check_outcome(test, good, error, &err);
    struct policy *policy = policy_compile(&source, 1, &err);

    policy_free(policy);
    check_outcome(test, policy != NULL, compile_error != NULL ? compile_error : error, &err);
}

static void check_case(void **state)
{
    const json_t *test = *state;
    const char *kind = string_of(test, "kind");

    if (strcmp(kind, "allow") == 0)
        check_allow(test);
    else if (strcmp(kind, "capabilities") == 0)
        check_capabilities(test);
    else if (strcmp(kind, "parse") == 0)
        check_parse(test);
    else
        fail_msg("no such kind: %s", kind);
}

/* Reads the cases of a file and appends them to an array. */
static void read_cases(const char *path, json_t *cases)
{
    FILE *file = fopen(path, "r");
    char *line = NULL;
    size_t size = 0;
    ssize_t length;

    assert_non_null(file);
    while ((length = getline(&line, &size, file)) > 0) {
        json_error_t fault;
        json_t *test = json_loadb(line, (size_t)length, JSON_REJECT_DUPLICATES, &fault);

        if (test == NULL)
            fail_msg("%s: %s", path, fault.text);
        json_array_append_new(cases, test);
    }
    __real_free(line); /* libc's own, not counted */
    fclose(file);
}

static json_t *all_cases(void)
{
    json_t *cases = json_array();
    glob_t files;

    assert_int_equal(glob(TOP_SRCDIR "/tests/data/policy/*.jsonl", 0, NULL, &files), 0);
    for (size_t i = 0; i < files.gl_pathc; i++)
        read_cases(files.gl_pathv[i], cases);
    globfree(&files);
    return cases;
}

/* ---- the choice of a rule ---- */

struct pattern {
    char text[16];
    const char *capability; /* one of grants[] */
};

static const char *const grants[] = {"read", "update", "list", "deny"};

/* Whether a pattern matches a path, by the words of the documentation: piece by piece. */
static bool naive_matches(const char *pattern, const char *path)
{
    const char *rest = pattern;

    for (;;) {
        size_t length = strcspn(rest, "/"), piece = strcspn(path, "/");
        bool last = rest[length] == '\0';

        if (last && length > 0 && rest[length - 1] == '*')
            return strncmp(rest, path, length - 1) == 0;
        if (!(length == 1 && rest[0] == '+') &&
            (length != piece || strncmp(rest, path, piece) != 0))
            return false;
        if (last || path[piece] == '\0')
            return last && path[piece] == '\0';
        rest += length + 1;
        path += piece + 1;
    }
}

/* The rank of a pattern as one number each, most significant first. */
static void naive_rank(const char *pattern, int rank[static 4])
{
    int length = (int)strlen(pattern), plus = (int)strcspn(pattern, "+");
    bool star = length > 0 && pattern[length - 1] == '*';

    rank[0] = plus < length ? plus : length - star;
    rank[1] = !star;
    rank[2] = 0;
    for (const char *at = pattern; at[0] != '\0'; at++)
        if (at[0] == '+' && (at == pattern || at[-1] == '/') &&
            (at[1] == '/' || at[1] == '\0'))
            rank[2]--;
    rank[3] = length - star;
}

static bool naive_outranks(const char *a, const char *b)
{
    int first[4], second[4];

    naive_rank(a, first);
    naive_rank(b, second);
    for (int i = 0; i < 4; i++)
        if (first[i] != second[i])
            return first[i] > second[i];
    return strcmp(a, b) > 0;
}

static const struct pattern *naive_find(const struct pattern patterns[], size_t count,
                                        const char *path)
{
    const struct pattern *best = NULL;

    for (size_t i = 0; i < count; i++)
        if (strcmp(patterns[i].text, path) == 0)
            return &patterns[i];
    for (size_t i = 0; i < count; i++) {
        const char *text = patterns[i].text;

        if (strpbrk(text, "+*") != NULL && naive_matches(text, path) &&
            (best == NULL || naive_outranks(text, best->text)))
            best = &patterns[i];
    }
    return best;
}

/* Whether a pattern counts for one form of a list's path: each with '+', and the longest other. */
static bool naive_counts(const struct pattern patterns[], size_t count, const char *text,
                         const char *path)
{
    if (strpbrk(text, "+*") == NULL || !naive_matches(text, path))
        return false;
    for (size_t i = 0; i < count && strchr(text, '+') == NULL; i++) {
        const char *other = patterns[i].text;

        if (strchr(other, '+') == NULL && strchr(other, '*') != NULL &&
            strlen(other) > strlen(text) && naive_matches(other, path))
            return false;
    }
    return true;
}

/* Of those that count for either form and have a capability (NULL: any), the first in rank. */
static const struct pattern *naive_first(const struct pattern patterns[], size_t count,
                                         const char *path, const char *bare,
                                         const char *capability)
{
    const struct pattern *best = NULL;

    for (size_t i = 0; i < count; i++) {
        const char *text = patterns[i].text;

        if ((naive_counts(patterns, count, text, path) ||
             naive_counts(patterns, count, text, bare)) &&
            (capability == NULL || strcmp(patterns[i].capability, capability) == 0) &&
            (best == NULL || naive_outranks(text, best->text)))
            best = &patterns[i];
    }
    return best;
}

/* The same for a list: with and without the slash at the end, and a deny or a list before all
 * else. */
static const struct pattern *naive_find_list(const struct pattern patterns[], size_t count,
                                             const char *path)
{
    size_t length = strlen(path);
    char bare[16];

    if (length == 0 || path[length - 1] != '/')
        return naive_find(patterns, count, path);
    sprintf(bare, "%.*s", (int)length - 1, path);
    for (int form = 0; form < 2; form++)
        for (size_t i = 0; i < count; i++)
            if (strcmp(patterns[i].text, form == 0 ? path : bare) == 0)
                return &patterns[i];
    const struct pattern *deny = naive_first(patterns, count, path, bare, "deny");
    const struct pattern *list = naive_first(patterns, count, path, bare, "list");

    if (deny == NULL && list == NULL)
        return naive_first(patterns, count, path, bare, NULL);
    return list == NULL || (deny != NULL && naive_outranks(deny->text, list->text)) ? deny
                                                                                     : list;
}

static uint32_t random_state = 1;

static unsigned random_below(unsigned limit)
{
    random_state = random_state * 1664525u + 1013904223u;
    return (random_state >> 16) % limit;
}

/* Some pieces of "a", "b", "" and, in patterns, "+"; perhaps with a '*' at the end. */
static void random_path(char *out, bool pattern)
{
    static const char *const pieces[] = {"a", "b", "ab", "", "+", "+"};
    unsigned count = 1 + random_below(4);
    char *at = out;

    for (unsigned i = 0; i < count; i++)
        at +=
            sprintf(at, "%s%s", i == 0 ? "" : "/", pieces[random_below(pattern ? 6 : 4)]);
    if (pattern && at > out && at[-1] != '+' && random_below(2) == 0)
        strcpy(at, "*");
    if (out[0] == '/') /* a leading slash is not part of a pattern */
        out[0] = 'a';
}

static void check_choice(const struct policy *policy, const struct pattern *wanted,
                         enum operation operation, const char *capability, const char *path)
{
    struct policy_request request = {.operation = operation, .path = path};

    if (policy_evaluate(policy, &request).allowed !=
        (wanted != NULL && strcmp(wanted->capability, capability) == 0))
        fail_msg("%s %s, expected %s", capability, path, wanted == NULL ? "no rule" : wanted->text);
}

/* 1,200 policies of a few patterns out of few, some of them of many, so that there are many of one
 * shape: the index finds what a plain search finds. */
static void finds_the_rule_that_a_plain_search_finds(void **state)
{
    enum { MANY = 300 };
    static struct pattern patterns[MANY];
    static char text[MANY * 64];

    (void)state;
    for (int round = 0; round < 1200; round++) {
        size_t count = 0, wanted = 1 + random_below(round % 4 == 0 ? MANY : 40);
        char path[16], *end = text;
        struct error err;

        while (count < wanted) {
            bool known = false;

            random_path(patterns[count].text, true);
            for (size_t i = 0; i < count; i++)
                known |= strcmp(patterns[i].text, patterns[count].text) == 0;
            if (known) {
                wanted--;
                continue;
            }
            patterns[count].capability = grants[random_below(4)];
            end += sprintf(end, "path \"%s\" { capabilities = [\"%s\"] }\n",
                           patterns[count].text, patterns[count].capability);
            count++;
        }
        struct policy_source source = source_of(text);
        struct policy *policy = policy_compile(&source, 1, &err);

        assert_non_null(policy);
        for (int i = 0; i < 100; i++) {
            random_path(path, false);
            const struct pattern *one = naive_find(patterns, count, path);

            check_choice(policy, one, OPERATION_UPDATE, "update", path);
            check_choice(policy, one, OPERATION_READ, "read", path);
            check_choice(policy, naive_find_list(patterns, count, path), OPERATION_LIST, "list", path);
        }
        policy_free(policy);
    }
}

/* ---- the rest ---- */

static void no_policy_allows_nothing(void **state)
{
    struct error err;
    struct policy *policy = policy_compile(NULL, 0, &err);
    struct policy_request request = {.operation = OPERATION_READ, .path = "a"};

    (void)state;
    assert_non_null(policy);
    assert_false(policy_evaluate(policy, &request).allowed);
    assert_int_equal(policy_capabilities(policy, "a"), CAPABILITY_DENY);
    policy_free(policy);
    policy_free(NULL);
}

/* HEAD and OPTIONS have no capability: only the root policy, which is not ours, allows
 * them. */
static void an_operation_without_capability_is_never_allowed(void **state)
{
    struct policy_source source = source_of("path \"*\" { policy = \"sudo\" }");
    struct policy_request request = {.operation = OPERATION_NONE, .path = "a"};
    struct error err;
    struct policy *policy = policy_compile(&source, 1, &err);

    (void)state;
    assert_non_null(policy);
    assert_false(policy_evaluate(policy, &request).allowed);
    assert_true(policy_evaluate(policy, &request).sudo);
    policy_free(policy);
}

/* Asserts which of 70 sources there are: all but number 1 and 2, or one alone. */
static void assert_sources(const struct policy_sources *sources, size_t alone)
{
    for (size_t i = 0; i < 70; i++)
        assert_int_equal(policy_sources_have(sources, i), alone ? i == alone : i != 1 && i != 2);
}

/* The rule that decides, and the policies that have it, however many there are. */
static void the_rule_that_decides_is_told(void **state)
{
    struct policy_source sources[70];
    struct policy_request request = {.operation = OPERATION_LIST, .path = "a/b/"};
    struct policy_explanation rule;
    struct error err;

    (void)state;
    for (size_t i = 0; i < 70; i++)
        sources[i] = source_of("path \"a/*\" { policy = \"read\" }");
    sources[69] = source_of("path \"a/*\" { policy = \"write\" }");
    sources[1] = source_of("path \"b\" { policy = \"read\" }");
    sources[2] = source_of("path \"/a/b\" { policy = \"write\" }");
    struct policy *policy = policy_compile(sources, 70, &err);

    assert_non_null(policy);
    assert_true(policy_explain(policy, &request, &rule));
    assert_string_equal(rule.path, "a/b");
    assert_false(rule.glob);
    assert_sources(&rule.sources, 2);
    assert_true(rule.capabilities & CAPABILITY_UPDATE);
    request.path = "a/c";
    assert_true(policy_explain(policy, &request, &rule));
    assert_string_equal(rule.path, "a/");
    assert_true(rule.glob);
    assert_sources(&rule.sources, 0);
    struct policy_decision decision = policy_evaluate(policy, &request);
    assert_sources(&decision.grantors, 0);
    request.operation = OPERATION_DELETE;
    decision = policy_evaluate(policy, &request);
    assert_true(decision.allowed);
    assert_sources(&decision.grantors, 69);
    request.path = "c";
    assert_false(policy_explain(policy, &request, &rule));
    policy_free(policy);
}

/* What a message quotes is cut between characters, and a message ends within its array.
 */
static void long_paths_are_quoted_in_part(void **state)
{
    struct error err;
    char text[5000];

    (void)state;
    for (size_t length = 1010; length < 1040; length++) {
        size_t used = (size_t)sprintf(text, "path \"%.*s", (int)(length % 3), "xy");

        for (size_t i = 0; i < length; i += 2)
            used += (size_t)sprintf(text + used, "\xC3\xA9");
        strcpy(text + used, "\" { policy = \"banana\" }");
        struct policy_source source = source_of(text);

        assert_null(policy_compile(&source, 1, &err));
        assert_non_null(strstr(err.text, "...\": invalid policy \"banana\""));
        json_t *string = json_string(err.text); /* NULL if not UTF-8 */

        assert_non_null(string);
        json_decref(string);
    }
    size_t used = 0;

    for (int i = 0; i < 400; i++)
        used += (size_t)sprintf(text + used, "k%03d = 1\n", i);
    struct policy_source source = source_of(text);

    assert_null(policy_compile(&source, 1, &err));
    assert_int_equal(strlen(err.text), sizeof err.text - 1);
    assert_int_equal(err.line, 1);
}

/* A parameter's name that no policy can hold is not one that a policy lists. */
static void long_parameter_names(void **state)
{
    char name[NAME_SIZE], text[2 * NAME_SIZE];
    struct error err;

    (void)state;
    for (size_t length = 254; length < 258; length++) {
        memset(name, 'n', length);
        name[length] = '\0';
        sprintf(text,
                "path \"a\" { policy = \"write\" denied_parameters = { \"%s\" = [] } }",
                name);
        struct policy_source source = source_of(text);
        struct policy *policy = policy_compile(&source, 1, &err);

        assert_int_equal(policy != NULL, length <= 255);
        if (policy == NULL) {
            assert_string_equal(
                err.text,
                "path \"a\": denied_parameters: a name is longer than 255 bytes");
            continue;
        }
        for (size_t sent = 254; sent < 258; sent++) {
            memset(name, 'N', sent);
            name[sent] = '\0';
            json_t *data = json_pack("{s:s}", name, "x");
            struct policy_request request = {OPERATION_UPDATE, "a", data, 0};

            assert_int_equal(policy_evaluate(policy, &request).allowed, sent != length);
            json_decref(data);
        }
        policy_free(policy);
    }
}

static const char everything[] =
    "name = \"all\"\n"
    "path \"a/b\" { capabilities = [\"read\", \"update\"]\n"
    "  allowed_parameters = { \"X\" = [\"1\", [true, {\"k\" = \"v\"}]] \"*\" = [] }\n"
    "  denied_parameters = { \"y\" = [{\"k\" = {\"l\" = \"v\"}}] }\n"
    "  required_parameters = [\"x\"]\n"
    "  min_wrapping_ttl = 10 max_wrapping_ttl = \"1h\" }\n"
    "path \"a/b\" { policy = \"write\" allowed_parameters = { \"x\" = [\"2\"] \"z\" = [] "
    "}\n"
    "  required_parameters = [\"w\"] }\n"
    "path \"a/*\" { policy = \"read\" } path \"a/+/c\" { policy = \"sudo\" }\n"
    "path \"{{identity.entity.id}}\" { policy = \"read\" }\n"
    "path \"1\" {} path \"2\" {} path \"3\" {} path \"4\" {} path \"5\" {} path \"6\" "
    "{}\n"
    "path \"7\" {} path \"8\" {} path \"9\" {} path \"10\" {} path \"11\" {} path \"12\" "
    "{}\n";

/* Out of memory at the first allocation, the second, … until all succeed. */
static void fail_each_allocation(const char *text)
{
    struct policy_source source = source_of(text);
    size_t before = live, failures = 0;
    struct policy *policy = NULL;

    for (; policy == NULL; failures++) {
        struct error err = {0};

        allocations_left = failures;
        policy = policy_compile(&source, 1, &err);
        bool failed = allocations_left == 0;

        allocations_left = SIZE_MAX;
        if (policy != NULL)
            assert_false(failed && failures == 0);
        else
            assert_int_equal(err.code, ERROR_EXHAUSTED);
        if (policy == NULL)
            assert_int_equal(live, before);
    }
    assert_in_range(failures, 50, 5000);
    policy_free(policy);
    assert_int_equal(live, before);
}

static void memory_that_runs_out_is_an_error(void **state)
{
    (void)state;
    fail_each_allocation(everything);
    fail_each_allocation(
        "{\"path\": {\"a\": {\"capabilities\": [\"update\"], \"allowed_parameters\":"
        " {\"x\": [{\"k\": \"1\"}, {\"k\": {\"l\": \"1\"}}], \"y\": []}},"
        " \"b\": {\"policy\": \"read\"}}}");
}

static void evaluation_allocates_nothing(void **state)
{
    struct policy_source source = source_of(everything);
    struct error err;
    struct policy *policy = policy_compile(&source, 1, &err);
    json_t *data =
        json_pack("{s:s, s:[b,{s:s}], s:s}", "w", "", "x", 1, "k", "v", "Q", "a, b");
    struct policy_request request = {OPERATION_UPDATE, "a/b", data, 60};

    (void)state;
    assert_non_null(policy);
    allocations_left = 0;
    for (int operation = OPERATION_NONE; operation < OPERATION_MAX; operation++) {
        request.operation = (enum operation)operation;
        policy_evaluate(policy, &request);
    }
    unsigned capabilities = policy_capabilities(policy, "a/x/");

    allocations_left = SIZE_MAX;
    assert_int_equal(capabilities, CAPABILITY_READ | CAPABILITY_LIST);
    json_decref(data);
    policy_free(policy);
}

static void every_case_is_there(void **state)
{
    assert_int_equal(json_array_size(*state), CASES);
}

int main(void)
{
    const struct CMUnitTest behaviours[] = {
        cmocka_unit_test(no_policy_allows_nothing),
        cmocka_unit_test(an_operation_without_capability_is_never_allowed),
        cmocka_unit_test(finds_the_rule_that_a_plain_search_finds),
        cmocka_unit_test(the_rule_that_decides_is_told),
        cmocka_unit_test(long_paths_are_quoted_in_part),
        cmocka_unit_test(long_parameter_names),
        cmocka_unit_test(evaluation_allocates_nothing),
        cmocka_unit_test(memory_that_runs_out_is_an_error),
    };
    size_t fixed = sizeof behaviours / sizeof *behaviours;

    cmocka_set_message_output(CM_OUTPUT_TAP);
    json_set_alloc_funcs(__wrap_malloc, __wrap_free);
    json_t *cases = all_cases();
    size_t count = fixed + 1 + json_array_size(cases);
    struct CMUnitTest *tests = calloc(count, sizeof *tests);

    memcpy(tests, behaviours, sizeof behaviours);
    tests[fixed] = (struct CMUnitTest){.name = "every_case_is_there",
                                       .test_func = every_case_is_there,
                                       .initial_state = cases};
    for (size_t i = 0; i < json_array_size(cases); i++) {
        json_t *test = json_array_get(cases, i);

        tests[fixed + 1 + i] = (struct CMUnitTest){.name = string_of(test, "name"),
                                                   .test_func = check_case,
                                                   .initial_state = test};
    }
    int failed = _cmocka_run_group_tests("policy", tests, count, NULL, NULL);

    free(tests);
    json_decref(cases);
    return failed;
}
