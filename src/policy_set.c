/* SPDX-License-Identifier: MIT */
#include "policy_set.h"

#include "policy.h"
#include "policy_default.h"
#include "text.h"

#include <stdlib.h>
#include <string.h>

/* Bytes of a token's policies: more are not compiled. */
enum { TEXT_MAX = 2 * 1024 * 1024 };

struct policy_set {
    bool is_root;
    struct policy *policy; /* NULL: root, or a fault. Ours */
    char *fault;           /* what does not compile; NULL: nothing. Ours */
    json_t *names;         /* ours */
    bool *exists;          /* of each name. Ours */
};

static const char *name_of(const json_t *pair)
{
    return json_string_value(json_array_get(pair, 0));
}

/* The text of a stored policy, or of one that is built in; NULL: it does not exist. */
static const char *text_of(const json_t *pair)
{
    const char *text = json_string_value(json_array_get(pair, 1));

    return !text && strcmp(name_of(pair), "default") == 0 ? policy_default_text : text;
}

/* Those that exist. False with *err. */
static bool compile(struct policy_set *set, const json_t *policies, struct error *err)
{
    size_t count = 0, total = 0, i;
    struct policy_source *sources = calloc(json_array_size(policies) + 1, sizeof *sources);
    const json_t *pair;

    if (!sources)
        return error_exhausted(err);
    json_array_foreach(policies, i, pair)
    {
        const char *text = text_of(pair);
        total += text ? strlen(text) : 0;
        set->exists[i] = text != NULL;
        if (text && total <= TEXT_MAX)
            sources[count++] = (struct policy_source){name_of(pair), text, strlen(text)};
    }
    if (total <= TEXT_MAX)
        set->policy = policy_compile(sources, count, err);
    else
        error_set(err, ERROR_BAD_REQUEST, "together more than %d bytes", TEXT_MAX);
    free(sources);
    return set->policy != NULL;
}

static bool copy_names(struct policy_set *set, const json_t *policies)
{
    const json_t *pair;
    size_t i;
    bool good = (set->names = json_array()) != NULL;

    set->exists = calloc(json_array_size(policies) + 1, sizeof *set->exists);
    good = good && set->exists;
    json_array_foreach(policies, i, pair)
        good = good && json_array_append(set->names, json_array_get(pair, 0)) == 0;
    return good;
}

struct policy_set *policy_set_new(const json_t *policies, struct error *err)
{
    struct policy_set *set = calloc(1, sizeof *set);

    if (!set || !copy_names(set, policies)) {
        policy_set_free(set);
        error_exhausted(err);
        return NULL;
    }
    set->is_root = policy_set_count(set) == 1 && strcmp(policy_set_name(set, 0), "root") == 0;
    if (set->is_root || compile(set, policies, err))
        return set;
    set->fault = err->code == ERROR_BAD_REQUEST ? strdup(err->text) : NULL;
    if (set->fault)
        return set;
    policy_set_free(set);
    error_exhausted(err);
    return NULL;
}

void policy_set_free(struct policy_set *set)
{
    if (!set)
        return;
    policy_free(set->policy);
    free(set->fault);
    json_decref(set->names);
    free(set->exists);
    free(set);
}

bool policy_set_is_root(const struct policy_set *set)
{
    return set->is_root;
}

const struct policy *policy_set_compiled(const struct policy_set *set, const char *accessor,
                                         struct error *err)
{
    if (set->policy)
        return set->policy;
    error_set(err, ERROR_INTERNAL, "internal error");
    text_format(err->detail, sizeof err->detail, "a policy of accessor %s does not compile: %s",
                accessor, set->fault ? set->fault : "");
    return NULL;
}

bool policy_set_is_good(const struct policy_set *set)
{
    return !set->fault;
}

size_t policy_set_count(const struct policy_set *set)
{
    return json_array_size(set->names);
}

const char *policy_set_name(const struct policy_set *set, size_t i)
{
    return json_string_value(json_array_get(set->names, i));
}

bool policy_set_grants(const struct policy_set *set, size_t i,
                       const struct policy_sources *grantors)
{
    size_t source = 0; /* those that do not exist were not compiled */

    for (size_t k = 0; k < i; k++)
        source += set->exists[k];
    return set->is_root || (set->exists[i] && policy_sources_have(grantors, source));
}

size_t policy_set_size(const struct policy_set *set)
{
    size_t size = sizeof *set;

    for (size_t i = 0; i < policy_set_count(set); i++)
        size += 64 + strlen(policy_set_name(set, i));
    return size + (set->policy ? policy_size(set->policy) : 0);
}
