/* SPDX-License-Identifier: MIT
 *
 * Answers a file of cases, one JSON object a line, by policy.c: a line of output for each line
 * of input, in order. What a case expects is not looked at.
 */
#include "policy.h"
#include "tool.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *string_of(const json_t *test, const char *key)
{
    return json_string_value(json_object_get(test, key));
}

static json_t *skipped(const char *why)
{
    return json_pack("{s:s}", "skipped", why);
}

/* The policies of a case as one. NULL with *err: ERROR_BAD_REQUEST if one does not parse. */
static struct policy *compile(const json_t *test, struct error *err)
{
    const json_t *texts = json_object_get(test, "policies");
    size_t count = json_array_size(texts);
    struct policy_source *sources = calloc(count + 1, sizeof *sources);

    if (!sources) {
        error_exhausted(err);
        return NULL;
    }
    for (size_t i = 0; i < count; i++) {
        const json_t *text = json_array_get(texts, i);
        sources[i] = (struct policy_source){
            .name = "",
            .text = json_is_string(text) ? json_string_value(text) : "",
            .length = json_string_length(text),
        };
    }
    struct policy *policy = policy_compile(sources, count, err);
    free(sources);
    return policy;
}

static json_t *answer_allow(const json_t *test, bool root, struct error *err)
{
    struct policy_decision decision = {.allowed = root, .sudo = root};
    struct policy_request request = {
        .path = string_of(test, "path"),
        .data = json_object_get(test, "data"),
        .wrap_ttl = json_integer_value(json_object_get(test, "wrap_ttl")),
    };

    if (!request.path || !string_of(test, "op") ||
        !operation_parse(string_of(test, "op"), &request.operation))
        return skipped("op or path is not known");
    if (!root) {
        struct policy *policy = compile(test, err);
        if (!policy)
            return NULL;
        decision = policy_evaluate(policy, &request);
        policy_free(policy);
    }
    json_t *answer =
        json_pack("{s:b, s:b}", "allowed", decision.allowed, "sudo", decision.sudo);
    if (json_object_get(test, "sudo_required")) {
        bool needed = json_is_true(json_object_get(test, "sudo_required"));
        json_object_set_new(answer, "request_allowed",
                            json_boolean(decision.allowed && (decision.sudo || !needed)));
    }
    return answer;
}

static int compare(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static json_t *answer_capabilities(const json_t *test, bool root, struct error *err)
{
    const char *names[16], *path = string_of(test, "path");
    size_t count = 0;

    if (root)
        return json_pack("{s:[s]}", "capabilities", "root");
    if (!path)
        return skipped("path is not known");
    struct policy *policy = compile(test, err);
    if (!policy)
        return NULL;
    unsigned set = policy_capabilities(policy, path);
    policy_free(policy);
    for (unsigned bit = CAPABILITY_DENY; bit <= CAPABILITY_SUBSCRIBE; bit <<= 1) {
        if (set & bit)
            names[count++] = capability_name((enum capability)bit);
    }
    qsort(names, count, sizeof *names, compare);
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, json_string(names[i]));
    return json_pack("{s:o}", "capabilities", list);
}

static json_t *answer_parse(const json_t *test, struct error *err)
{
    const json_t *text = json_object_get(test, "policy");
    char message[ERROR_TEXT_MAX + 32] = "";

    if (!json_is_string(text))
        return skipped("policy is not known");
    bool good = policy_check(
        &(struct policy_source){"", json_string_value(text), json_string_length(text)}, err);
    if (!good && err->code != ERROR_BAD_REQUEST)
        return NULL;
    if (!good)
        snprintf(message, sizeof message, "failed to parse policy: %s", err->text);
    return json_pack("{s:b, s:s}", "parse_ok", good, "error", message);
}

/* Whether a case gives values to templates and has one: tokens have no entity here. */
static bool fills_templates(const json_t *test)
{
    const json_t *texts = json_object_get(test, "policies");
    bool templated = false;

    for (size_t i = 0; i < json_array_size(texts); i++) {
        const char *text = json_string_value(json_array_get(texts, i));
        templated = templated || (text && strstr(text, "{{"));
    }
    return templated && json_object_size(json_object_get(test, "entity")) > 0;
}

/* The answer to a case, new. NULL with *err. */
static json_t *answer(const json_t *test, struct error *err)
{
    const char *kind = string_of(test, "kind"), *matching = string_of(test, "list_matching");
    bool root = json_is_true(json_object_get(test, "root"));

    if (json_object_get(test, "env"))
        return skipped("env: there are no switches for older behaviour");
    if (matching && strcmp(matching, "legacy-exact") == 0)
        return skipped("list_matching: lists are matched item by item");
    if (fills_templates(test))
        return skipped("entity: templates are those of a token without entity");
    if (kind && strcmp(kind, "allow") == 0)
        return answer_allow(test, root, err);
    if (kind && strcmp(kind, "capabilities") == 0)
        return answer_capabilities(test, root, err);
    if (kind && strcmp(kind, "parse") == 0)
        return answer_parse(test, err);
    return skipped("kind: not allow, capabilities or parse");
}

/* One line in, one line out. A line that is no case is skipped, and the first such is what the
 * whole ends with: *fault. False: no answer could be made, with *fault. */
static bool answer_line(const char *text, size_t length, const char *where, struct error *fault)
{
    struct error err = {.code = ERROR_NONE}, wrong = {.code = ERROR_NONE};
    json_error_t place;
    json_auto_t *test = json_loadb(text, length, JSON_REJECT_DUPLICATES, &place);
    json_t *line = NULL;

    if (!json_is_object(test))
        error_set(&wrong, ERROR_BAD_REQUEST, "%s: not a JSON object%s%s", where,
                  test ? "" : ": ", test ? "" : place.text);
    else if (!(line = answer(test, &err)) && err.code == ERROR_BAD_REQUEST)
        error_set(&wrong, ERROR_BAD_REQUEST, "%s: failed to parse policy: %.3000s", where,
                  err.text);
    if (wrong.code != ERROR_NONE)
        line = skipped(wrong.text);
    bool printed = line && json_dumpf(line, stdout, JSON_COMPACT) == 0 && putchar('\n') == '\n';
    json_decref(line);
    if (!printed)
        return error_exhausted(fault);
    if (fault->code == ERROR_NONE)
        *fault = wrong;
    return true;
}

/* Reads on after a line that is no case, so that answers and lines go on together. */
bool tool_policy_cases(const char *path, struct error *err)
{
    FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
    char *line = NULL, where[512];
    size_t size = 0;
    ssize_t length;
    bool good = true;

    if (!file)
        return error_set(err, ERROR_BAD_REQUEST, "-cases: %s: %s", path, strerror(errno));
    for (unsigned long number = 1; good && (length = getline(&line, &size, file)) > 0;
         number++) {
        snprintf(where, sizeof where, "%.400s:%lu", path, number);
        good = answer_line(line, (size_t)length, where, err);
    }
    if (good && ferror(file))
        error_set(err, ERROR_BAD_REQUEST, "-cases: %s: %s", path, strerror(errno));
    free(line);
    if (file != stdin)
        fclose(file);
    return err->code == ERROR_NONE;
}
