/* SPDX-License-Identifier: MIT
 *
 * A rule's pattern (parsePaths in vault/policy.go), its rank among others (vault/acl.go)
 * and the union of two rules of the same pattern (NewACL there).
 */
#include "policy_rule.h"

#include "policy.h"
#include "text.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* "+" stands for a segment where it is a whole one, yet any "/+" makes a rule of the
 * wildcard kind: foo/+bar is one that matches only its own text. */
static bool has_wildcard(const char *pattern)
{
    return strcmp(pattern, "+") == 0 || text_starts_with(pattern, "+/") ||
           strstr(pattern, "/+") != NULL;
}

static bool split(struct policy_rule *rule, struct error *err)
{
    const char *at = rule->path;
    size_t count = 1;

    for (const char *slash = strchr(at, '/'); slash != NULL;
         slash = strchr(slash + 1, '/'))
        count++;
    rule->segments = calloc(count, sizeof *rule->segments);
    if (rule->segments == NULL)
        return error_exhausted(err);
    for (rule->segment_count = 0; rule->segment_count < count; rule->segment_count++) {
        size_t length = strcspn(at, "/");
        bool any = length == 1 && at[0] == '+';

        rule->segments[rule->segment_count] = (struct policy_segment){at, length, any};
        rule->wildcard_count += any;
        at += length + 1;
    }
    return true;
}

bool policy_rule_init(struct policy_rule *rule, const char *pattern, struct error *err)
{
    if (pattern[0] == '/')
        pattern++;
    rule->length = strlen(pattern);
    rule->glob = rule->length > 0 && pattern[rule->length - 1] == '*';
    if (rule->glob)
        rule->length--;
    if (has_wildcard(pattern)) {
        rule->kind = POLICY_RULE_WILDCARD;
        rule->first_wildcard = (size_t)(strchr(pattern, '+') - pattern);
    } else {
        rule->kind = rule->glob ? POLICY_RULE_PREFIX : POLICY_RULE_EXACT;
        rule->first_wildcard = rule->length;
    }
    rule->path = calloc(rule->length + 1, 1);
    if (rule->path == NULL)
        return error_exhausted(err);
    memcpy(rule->path, pattern, rule->length);
    return rule->kind != POLICY_RULE_WILDCARD || split(rule, err);
}

void policy_rule_fini(struct policy_rule *rule)
{
    free(rule->path);
    free(rule->segments);
    free(rule->origins);
    json_decref(rule->allowed);
    json_decref(rule->denied);
    json_decref(rule->required);
    *rule = (struct policy_rule){0};
}

bool policy_rules_append(struct policy_rules *rules, struct policy_rule *rule,
                         struct error *err)
{
    if (rules->count == rules->capacity) {
        size_t capacity = rules->capacity == 0 ? 16 : 2 * rules->capacity;
        void *list = realloc(rules->list, capacity * sizeof *rules->list);

        if (list == NULL)
            return error_exhausted(err);
        rules->list = list;
        rules->capacity = capacity;
    }
    rules->list[rules->count++] = *rule;
    *rule = (struct policy_rule){0};
    return true;
}

void policy_rules_fini(struct policy_rules *rules)
{
    for (size_t i = 0; i < rules->count; i++)
        policy_rule_fini(&rules->list[i]);
    free(rules->list);
    *rules = (struct policy_rules){0};
}

bool policy_rule_add_parameter(json_t **map, const char *name, json_t *list,
                               bool empty_wins, struct error *err)
{
    if (*map == NULL && (*map = json_object()) == NULL)
        return error_exhausted(err);
    json_t *values = json_object_get(*map, name);
    bool any =
        json_array_size(list) == 0 || (values != NULL && json_array_size(values) == 0);

    if (values == NULL || (any && empty_wins)) {
        /* a list of its own: two rules may not share one that a third is merged into */
        json_t *own = any && empty_wins ? json_array() : json_copy(list);

        if (json_object_set_new(*map, name, own) != 0)
            return error_exhausted(err);
        return true;
    }
    return json_array_extend(values, list) == 0 || error_exhausted(err);
}

bool policy_rule_set_source(struct policy_rule *rule, size_t source, struct error *err)
{
    rule->origins = calloc(1, sizeof *rule->origins);
    if (rule->origins == NULL)
        return error_exhausted(err);
    *rule->origins = (struct policy_origin){source, rule->capabilities};
    rule->origin_count = 1;
    return true;
}

static bool merge_origins(struct policy_rule *rule, const struct policy_rule *other,
                          struct error *err)
{
    size_t count = rule->origin_count + other->origin_count;
    struct policy_origin *origins = realloc(rule->origins, count * sizeof *origins);

    if (origins == NULL)
        return error_exhausted(err);
    memcpy(origins + rule->origin_count, other->origins,
           other->origin_count * sizeof *origins);
    rule->origins = origins;
    rule->origin_count = count;
    return true;
}

static bool merge_parameters(json_t **map, json_t *other, struct error *err)
{
    const char *name;
    json_t *list;

    json_object_foreach(
        other, name,
        list) if (!policy_rule_add_parameter(map, name, list, true, err)) return false;
    return true;
}

static void merge_ttl(int64_t *ttl, int64_t other)
{
    if (other > 0 && (*ttl == 0 || other < *ttl))
        *ttl = other;
}

/* Capabilities and required names add up, of two times to live the shorter one holds, a
 * deny is for good. A rule that names no parameters does not lift what the other one
 * says. */
bool policy_rule_merge(struct policy_rule *rule, const struct policy_rule *other,
                       struct error *err)
{
    if (!merge_origins(rule, other, err))
        return false;
    rule->capabilities |= other->capabilities;
    if (rule->capabilities & CAPABILITY_DENY) {
        rule->capabilities = CAPABILITY_DENY;
        return true;
    }
    merge_ttl(&rule->min_wrapping_ns, other->min_wrapping_ns);
    merge_ttl(&rule->max_wrapping_ns, other->max_wrapping_ns);
    if (other->required != NULL) {
        if (rule->required == NULL && (rule->required = json_array()) == NULL)
            return error_exhausted(err);
        if (json_array_extend(rule->required, other->required) != 0)
            return error_exhausted(err);
    }
    return merge_parameters(&rule->allowed, other->allowed, err) &&
           merge_parameters(&rule->denied, other->denied, err);
}

/* Like strcmp, -1 where the first is larger: for an order with the largest first. */
static int descending(size_t a, size_t b)
{
    return (a < b) - (a > b);
}

/* Highest rank first: literal text before the first '+' or the glob the longer, no glob
 * at the end, fewer "+", longer, and last the larger text (vault/acl.go, the comparison
 * of wildcard path descriptors). */
static int compare_rank(const struct policy_rule *a, const struct policy_rule *b)
{
    int order = descending(a->first_wildcard, b->first_wildcard);

    if (order == 0)
        order = descending(b->glob, a->glob);
    if (order == 0)
        order = descending(b->wildcard_count, a->wildcard_count);
    if (order == 0)
        order = descending(a->length, b->length);
    return order != 0 ? order : strcmp(b->path, a->path);
}

bool policy_rule_outranks(const struct policy_rule *a, const struct policy_rule *b)
{
    assert(a->kind != POLICY_RULE_EXACT && b->kind != POLICY_RULE_EXACT);
    return compare_rank(a, b) < 0;
}

int policy_rule_compare_shape(const struct policy_rule *a, const struct policy_rule *b)
{
    if (a->glob != b->glob)
        return a->glob ? 1 : -1;
    for (size_t i = 0; i < a->segment_count || i < b->segment_count; i++) {
        bool any_of_a = i < a->segment_count && a->segments[i].any;
        bool any_of_b = i < b->segment_count && b->segments[i].any;

        if (any_of_a != any_of_b)
            return any_of_a ? 1 : -1;
    }
    return 0;
}

int policy_rule_compare(const void *a, const void *b)
{
    const struct policy_rule *first = a, *second = b;

    if (first->kind != second->kind)
        return first->kind < second->kind ? -1 : 1;
    int order = first->kind == POLICY_RULE_WILDCARD ? policy_rule_compare_shape(first, second) : 0;
    return order != 0 ? order : strcmp(first->path, second->path);
}
