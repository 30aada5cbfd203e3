/* SPDX-License-Identifier: MIT
 *
 * Whether policies allow a request, and why: by policy.c and route.c, as the worker decides it,
 * and without any server.
 */
#include "arena.h"
#include "policy.h"
#include "request.h"
#include "route.h"
#include "text.h"
#include "tool.h"

#include <stdlib.h>
#include <string.h>

enum { POLICY_TEXT_MAX = 524288, PATH_SIZE = 8192 };

bool tool_policy_test_check(struct tool_flags *flags, char *const arguments[],
                            struct error *err)
{
    const char *stray = tool_flags_stray(flags, " cases ");

    (void)arguments;
    if (flags->cases)
        return !stray || error_set(err, ERROR_BAD_REQUEST, "-%s does not go with -cases", stray);
    if (flags->policies.count == 0)
        return error_set(err, ERROR_BAD_REQUEST, "-policy: at least one file is needed");
    if (flags->operation == OPERATION_NONE)
        return error_set(err, ERROR_BAD_REQUEST, "-operation is needed");
    if (!flags->path)
        return error_set(err, ERROR_BAD_REQUEST, "-path is needed");
    if (text_starts_with(flags->path, "/v1/"))
        return error_set(err, ERROR_BAD_REQUEST, "-path: what follows /v1/");
    return request_path_is_canonical(flags->path + strspn(flags->path, "/")) ||
           error_set(err, ERROR_BAD_REQUEST,
                     "-path: must be canonical, without //, /./ and /../; the worker refuses it");
}

/* What policies are asked about: no slash in front, and of a list one at the end. */
static bool take_path(char path[static PATH_SIZE], const struct tool_flags *flags,
                      struct error *err)
{
    const char *given = flags->path + strspn(flags->path, "/");
    size_t length = strlen(given);
    bool slash = flags->operation == OPERATION_LIST && (length == 0 || given[length - 1] != '/');

    return text_format(path, PATH_SIZE, "%s%s", given, slash ? "/" : "") ||
           error_set(err, ERROR_BAD_REQUEST, "-path: too long");
}

/* Whether the worker asks for sudo on a path. */
static bool find_sudo(bool *needed, const char *path, enum operation operation,
                      struct error *err)
{
    struct arena *arena = arena_new(2 * PATH_SIZE);
    struct match match;
    bool found = arena ? route_find(&match, path, operation, arena, err) : error_exhausted(err);

    *needed = found && match.sudo;
    arena_free(arena);
    return found;
}

static void explain(char *out, size_t size, const struct policy_decision *decision,
                    const struct policy_explanation *rule, enum operation operation,
                    bool needs_sudo)
{
    const char *name = operation_name(operation);
    const char *parameter = decision->parameter;

    switch (decision->reason) {
    case POLICY_GRANTED:
        if (needs_sudo && !decision->sudo)
            text_format(out, size, "the rule grants %s; the path needs sudo as well", name);
        else if (operation == OPERATION_HELP)
            text_format(out, size, "whoever has a token may ask for help");
        else
            text_format(out, size, "the rule grants %s%s", name, needs_sudo ? " and sudo" : "");
        break;
    case POLICY_NO_RULE:
        text_format(out, size, "no rule matches the path");
        break;
    case POLICY_NO_CAPABILITY:
        text_format(out, size, "the rule %s %s",
                    rule->capabilities & CAPABILITY_DENY ? "denies" : "does not grant", name);
        break;
    case POLICY_WRAPPING:
        text_format(out, size, "the rule wants a wrapped response, from min_wrapping_ttl to "
                               "max_wrapping_ttl");
        break;
    case POLICY_PARAMETER_REQUIRED:
        text_format(out, size, "required_parameters: \"%s\" was not sent", parameter);
        break;
    case POLICY_PARAMETER_DENIED:
        text_format(out, size, "denied_parameters: %s%s%s was sent", parameter ? "\"" : "",
                    parameter ? parameter : "something", parameter ? "\"" : "");
        break;
    case POLICY_PARAMETER_NOT_ALLOWED:
        text_format(out, size, "allowed_parameters: \"%s\" was sent, which is not among them",
                    parameter);
        break;
    }
}

static json_t *names_of(const struct policy_sources *sources, const struct tool_list *names)
{
    json_t *list = json_array();

    for (size_t i = 0; i < names->count; i++) {
        if (policy_sources_have(sources, i))
            json_array_append_new(list, json_string(names->items[i]));
    }
    return list;
}

static json_t *capabilities_of(unsigned set)
{
    json_t *list = json_array();

    for (unsigned bit = CAPABILITY_DENY; bit <= CAPABILITY_SUBSCRIBE; bit <<= 1) {
        if (set & bit)
            json_array_append_new(list, json_string(capability_name((enum capability)bit)));
    }
    return list;
}

static bool answer(const struct policy *policy, const struct tool_flags *flags,
                   struct error *err)
{
    char path[PATH_SIZE], reason[1024], rule_path[PATH_SIZE];
    struct policy_explanation rule = {.path = NULL};
    bool needs_sudo;

    if (!take_path(path, flags, err) || !find_sudo(&needs_sudo, path, flags->operation, err))
        return false;
    struct policy_request request = {flags->operation, path, flags->data, flags->wrap_ttl};
    struct policy_decision decision = policy_evaluate(policy, &request);
    bool found = policy_explain(policy, &request, &rule);
    bool allowed = decision.allowed && (decision.sudo || !needs_sudo);

    explain(reason, sizeof reason, &decision, &rule, flags->operation, needs_sudo);
    if (found)
        text_format(rule_path, sizeof rule_path, "%s%s", rule.path, rule.glob ? "*" : "");
    json_auto_t *result = json_pack(
        "{s:b, s:s, s:s?, s:o, s:o, s:b, s:b}", "allowed", allowed, "reason", reason, "rule",
        found ? rule_path : NULL, "policies", names_of(&rule.sources, &flags->policies),
        "capabilities", capabilities_of(rule.capabilities), "sudo", decision.sudo,
        "sudo_required", needs_sudo);
    if (!result)
        return error_exhausted(err);
    return tool_print(result, flags, err) && allowed;
}

static struct policy *compile(const struct tool_list *files, struct error *err)
{
    struct policy_source sources[TOOL_LIST_MAX] = {{NULL, NULL, 0}};
    struct policy *policy = NULL;
    char fault[ERROR_TEXT_MAX];
    bool read = true;

    for (size_t i = 0; read && i < files->count; i++) {
        sources[i].name = files->items[i];
        sources[i].text = tool_read(files->items[i], POLICY_TEXT_MAX, &sources[i].length, err);
        read = sources[i].text != NULL;
    }
    if (read && !(policy = policy_compile(sources, files->count, err)) &&
        err->code == ERROR_BAD_REQUEST) {
        text_format(fault, sizeof fault, "failed to parse %s: %s", err->detail, err->text);
        error_set(err, ERROR_BAD_REQUEST, "%s", fault);
    }
    for (size_t i = 0; i < files->count; i++)
        free((char *)sources[i].text);
    return policy;
}

bool tool_policy_test(struct db *db, const struct tool_flags *flags, char *const arguments[],
                      struct error *err)
{
    (void)db;
    (void)arguments;
    if (flags->cases)
        return tool_policy_cases(flags->cases, err);
    struct policy *policy = compile(&flags->policies, err);
    if (!policy)
        return false;
    bool allowed = answer(policy, flags, err);
    policy_free(policy);
    return allowed;
}
