/* SPDX-License-Identifier: MIT
 *
 * Chooses the one rule that counts for a path, and decides by it. Rules are kept in one
 * array:
 *
 *     exact, by path | prefixes, by path | wildcards, by shape and then by path
 *
 * so that all are found by bisection. Wildcards are of one shape if they have '+' for the same
 * segments and all end in a glob or none does: with '+' in these places the target is one of
 * them, or starts with some. The order among those that match is Vault's (vault/acl.go).
 */
#include "policy.h"

#include "policy_parameter.h"
#include "policy_parse.h"
#include "policy_rule.h"
#include "text.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
    FEW = 8, /* wildcards of one shape are tried one by one */
    MASKED_MAX = 4096 + 1024,
};

struct policy {
    struct policy_rules rules;
    const struct policy_rule *prefixes,
        *wildcards; /* into rules.list, exact ones before */
    size_t exact_count, prefix_count, wildcard_count;
};

/* What is asked for; without the slashes that the path starts with. */
struct target {
    const char *path;
    size_t length;
};

static const unsigned needed[OPERATION_MAX] = {
    [OPERATION_READ] = CAPABILITY_READ,       [OPERATION_LIST] = CAPABILITY_LIST,
    [OPERATION_CREATE] = CAPABILITY_CREATE,   [OPERATION_UPDATE] = CAPABILITY_UPDATE,
    [OPERATION_DELETE] = CAPABILITY_DELETE,   [OPERATION_PATCH] = CAPABILITY_PATCH,
    [OPERATION_RECOVER] = CAPABILITY_RECOVER, [OPERATION_REVOKE] = CAPABILITY_UPDATE,
    [OPERATION_RENEW] = CAPABILITY_UPDATE,    [OPERATION_ROLLBACK] = CAPABILITY_UPDATE,
};

static size_t bit_of(unsigned capability)
{
    size_t bit = (size_t)__builtin_ctz(capability);

    assert(bit < CAPABILITIES);
    return bit;
}

const char *capability_name(enum capability capability)
{
    static const char *const names[CAPABILITIES] = {"deny",    "create",   "read", "update",
                                        "delete",  "list",     "sudo", "patch",
                                        "recover", "subscribe"};

    return names[bit_of(capability)];
}

/* Sorts the rules and unites those of one pattern, whichever policies they came from. */
static bool unite(struct policy_rules *rules, struct error *err)
{
    size_t kept = 0;

    if (rules->count == 0)
        return true;
    qsort(rules->list, rules->count, sizeof *rules->list, policy_rule_compare);
    for (size_t i = 1; i < rules->count; i++) {
        struct policy_rule *rule = &rules->list[i];

        if (policy_rule_compare(&rules->list[kept], rule) != 0) {
            struct policy_rule moved = *rule;

            *rule = (struct policy_rule){0};
            rules->list[++kept] = moved;
        } else {
            if (!policy_rule_merge(&rules->list[kept], rule, err))
                return false;
            policy_rule_fini(rule);
        }
    }
    rules->count = kept + 1;
    return true;
}

/* Each prefix learns the longest other one that it starts with. In sorted order that is
 * the one before it, or one that the one before it starts with. */
static void link_prefixes(struct policy_rule *prefixes, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        size_t parent = i;

        while (parent > 0) {
            const struct policy_rule *other = &prefixes[parent - 1];

            if (strncmp(other->path, prefixes[i].path, other->length) == 0)
                break;
            parent = other->parent;
        }
        prefixes[i].parent = parent;
    }
}

/* Each wildcard learns how many of its shape begin with it. */
static void link_shapes(struct policy_rule *wildcards, size_t count)
{
    for (size_t i = count; i-- > 0;) {
        bool last = i + 1 == count || policy_rule_compare_shape(&wildcards[i], &wildcards[i + 1]) != 0;

        wildcards[i].shape_count = last ? 1 : wildcards[i + 1].shape_count + 1;
    }
    for (size_t i = 0; i < count; i += wildcards[i].shape_count) {
        if (wildcards[i].glob)
            link_prefixes(&wildcards[i], wildcards[i].shape_count);
    }
}

static void index_rules(struct policy *policy)
{
    for (size_t i = 0; i < policy->rules.count; i++) {
        enum policy_rule_kind kind = policy->rules.list[i].kind;

        policy->exact_count += kind == POLICY_RULE_EXACT;
        policy->prefix_count += kind == POLICY_RULE_PREFIX;
        policy->wildcard_count += kind == POLICY_RULE_WILDCARD;
    }
    if (policy->rules.count == 0)
        return;
    struct policy_rule *prefixes = policy->rules.list + policy->exact_count;

    link_prefixes(prefixes, policy->prefix_count);
    link_shapes(prefixes + policy->prefix_count, policy->wildcard_count);
    policy->prefixes = prefixes;
    policy->wildcards = prefixes + policy->prefix_count;
}

/* Appends the rules of source number index. */
static bool read_source(const struct policy_source *source, size_t index,
                        struct policy_rules *rules, struct error *err)
{
    size_t before = rules->count;

    if (!policy_parse(source, rules, err)) {
        text_format(err->detail, sizeof err->detail, "policy %s", source->name);
        return false;
    }
    for (size_t i = before; i < rules->count; i++) {
        if (!policy_rule_set_source(&rules->list[i], index, err))
            return false;
    }
    return true;
}

bool policy_check(const struct policy_source *source, struct error *err)
{
    struct policy_rules rules = {.lenient = true};
    bool good = read_source(source, 0, &rules, err);

    policy_rules_fini(&rules);
    return good;
}

struct policy *policy_compile(const struct policy_source sources[], size_t count,
                              struct error *err)
{
    struct policy *policy = calloc(1, sizeof *policy);

    if (policy == NULL) {
        error_exhausted(err);
        return NULL;
    }
    for (size_t i = 0; i < count; i++)
        if (!read_source(&sources[i], i, &policy->rules, err))
            goto failed;
    if (!unite(&policy->rules, err))
        goto failed;
    index_rules(policy);
    return policy;

failed:
    policy_free(policy);
    return NULL;
}

void policy_free(struct policy *policy)
{
    if (policy == NULL)
        return;
    policy_rules_fini(&policy->rules);
    free(policy);
}

size_t policy_size(const struct policy *policy)
{
    size_t size = sizeof *policy + policy->rules.capacity * sizeof *policy->rules.list;

    for (size_t i = 0; i < policy->rules.count; i++) {
        const struct policy_rule *rule = &policy->rules.list[i];
        size += rule->length + rule->segment_count * sizeof *rule->segments + 64 +
                rule->origin_count * sizeof *rule->origins +
                json_dumpb(rule->allowed, NULL, 0, 0) * 8 +
                json_dumpb(rule->denied, NULL, 0, 0) * 8 +
                json_dumpb(rule->required, NULL, 0, 0) * 8;
    }
    return size;
}

/* How many of rules[count], sorted by path, are not larger than the target. */
static size_t bisect(const struct policy_rule *rules, size_t count, struct target target)
{
    size_t low = 0, high = count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct policy_rule *rule = &rules[middle];
        size_t shorter = rule->length < target.length ? rule->length : target.length;
        int order = memcmp(rule->path, target.path, shorter);

        if (order < 0 || (order == 0 && rule->length <= target.length))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The one that is the target. */
static const struct policy_rule *find_equal(const struct policy_rule *rules, size_t count,
                                            struct target target)
{
    size_t end = bisect(rules, count, target);

    if (end == 0)
        return NULL;
    const struct policy_rule *rule = &rules[end - 1];

    return rule->length == target.length &&
                   memcmp(rule->path, target.path, target.length) == 0
               ? rule
               : NULL;
}

/* The longest that the target starts with. Whatever starts the target also starts the largest
 * rule that is not larger than the target, so that one and those that it starts with are all
 * there is to try. */
static const struct policy_rule *find_longest(const struct policy_rule *rules, size_t count,
                                              struct target target)
{
    size_t at = bisect(rules, count, target);

    if (at == 0)
        return NULL;
    const struct policy_rule *rule = &rules[at - 1];
    size_t common = 0;

    while (common < rule->length && common < target.length &&
           rule->path[common] == target.path[common])
        common++;
    while (at > 0 && rules[at - 1].length > common)
        at = rules[at - 1].parent;
    return at > 0 ? &rules[at - 1] : NULL;
}

static const struct policy_rule *find_exact(const struct policy *policy, struct target target)
{
    return find_equal(policy->rules.list, policy->exact_count, target);
}

static const struct policy_rule *find_prefix(const struct policy *policy, struct target target)
{
    return find_longest(policy->prefixes, policy->prefix_count, target);
}

/* As many segments on both sides; where the rule ends in a glob its last piece starts a
 * segment of the target, and more may follow. */
static bool wildcard_matches(const struct policy_rule *rule, struct target target)
{
    const char *at = target.path, *end = target.path + target.length;
    size_t literal = rule->first_wildcard; /* most rules fail here, at once */

    if (target.length < literal || memcmp(rule->path, target.path, literal) != 0)
        return false;
    for (size_t i = 0; i < rule->segment_count; i++) {
        const struct policy_segment *segment = &rule->segments[i];
        bool last = i + 1 == rule->segment_count;
        const char *slash = memchr(at, '/', (size_t)(end - at));
        size_t length = (size_t)((slash == NULL ? end : slash) - at);

        if (!segment->any) {
            bool cut = last && rule->glob;

            if (cut ? length < segment->length : length != segment->length)
                return false;
            if (memcmp(at, segment->text, segment->length) != 0)
                return false;
        }
        if (last)
            return rule->glob || slash == NULL;
        if (slash == NULL)
            return false;
        at = slash + 1;
    }
    return false;
}

static const struct policy_rule *higher(const struct policy_rule *a,
                                        const struct policy_rule *b)
{
    return a == NULL || (b != NULL && policy_rule_outranks(b, a)) ? b : a;
}

struct candidates {
    const struct policy_rule *deny, *list, *any; /* the highest-ranked of each sort */
};

static void consider(struct candidates *best, const struct policy_rule *rule)
{
    if (rule == NULL)
        return;
    best->any = higher(best->any, rule);
    if (rule->capabilities & CAPABILITY_DENY)
        best->deny = higher(best->deny, rule);
    if (rule->capabilities & CAPABILITY_LIST)
        best->list = higher(best->list, rule);
}

/* Puts '+' in the target for the segments for which the shape has it. False: it is too long. */
static bool mask(struct target *target, const struct policy_rule *shape,
                 char masked[static MASKED_MAX])
{
    const char *at = target->path, *end = target->path + target->length;
    size_t used = 0, left = shape->wildcard_count;

    if (target->length + shape->segment_count > MASKED_MAX)
        return false;
    for (size_t i = 0; left > 0; i++) {
        const char *slash = memchr(at, '/', (size_t)(end - at));
        const char *next = slash == NULL ? end : slash + 1;

        if (shape->segments[i].any) {
            left--;
            masked[used++] = '+';
            at = slash == NULL ? end : slash;
        }
        memcpy(masked + used, at, (size_t)(next - at));
        used += (size_t)(next - at);
        at = next;
        if (slash == NULL)
            break;
    }
    memcpy(masked + used, at, (size_t)(end - at));
    *target = (struct target){masked, used + (size_t)(end - at)};
    return true;
}

/* Wildcards of one shape. */
static void consider_shape(struct candidates *best, const struct policy_rule *shape,
                           struct target target)
{
    size_t count = shape->shape_count;
    char masked[MASKED_MAX];

    if (count < FEW || !mask(&target, shape, masked)) {
        for (size_t i = 0; i < count; i++) {
            if (wildcard_matches(&shape[i], target))
                consider(best, &shape[i]);
        }
    } else if (!shape->glob) {
        consider(best, find_equal(shape, count, target));
    } else {
        const struct policy_rule *rule = find_longest(shape, count, target);

        for (; rule != NULL; rule = rule->parent > 0 ? &shape[rule->parent - 1] : NULL)
            consider(best, rule);
    }
}

/* The longest prefix, and the wildcards that match. */
static void consider_patterns(struct candidates *best, const struct policy *policy,
                              struct target target)
{
    const struct policy_rule *wildcards = policy->wildcards;

    consider(best, find_prefix(policy, target));
    for (size_t i = 0; i < policy->wildcard_count; i += wildcards[i].shape_count)
        consider_shape(best, &wildcards[i], target);
}

static const struct policy_rule *find_pattern(const struct policy *policy, struct target target)
{
    struct candidates best = {NULL, NULL, NULL};

    consider_patterns(&best, policy, target);
    return best.any;
}

/* A list's path ends with a slash, the rule that is meant for it perhaps not, so what
 * matches either form is a candidate. A deny holds unless a rule that grants list is more
 * specific: before Vault 2.0.3 a deny below foo/private/ lost against list below foo/.
 * Otherwise a rule that grants list comes before a more specific one that does not. */
static const struct policy_rule *find_list_pattern(const struct policy *policy,
                                                   struct target target)
{
    struct target bare = {target.path, target.length - 1};
    struct candidates best = {NULL, NULL, NULL};

    consider_patterns(&best, policy, target);
    consider_patterns(&best, policy, bare);
    if (best.deny != NULL || best.list != NULL)
        return higher(best.deny, best.list);
    return best.any;
}

/* The one rule that counts; NULL: none matches. Capabilities of others are not added. */
static const struct policy_rule *find_rule(const struct policy *policy, bool lists,
                                           const char *path)
{
    while (path[0] == '/')
        path++;
    struct target target = {path, strlen(path)};
    bool slash = lists && target.length > 0 && path[target.length - 1] == '/';
    const struct policy_rule *rule = find_exact(policy, target);

    if (rule == NULL && slash)
        rule = find_exact(policy, (struct target){path, target.length - 1});
    if (rule != NULL)
        return rule;
    return slash ? find_list_pattern(policy, target) : find_pattern(policy, target);
}

/* Whether the rule's bounds on the life of a wrapped response hold; a bound wants a
 * wrapped one. Checked for every operation, list and delete too. */
static bool wrapping_allowed(const struct policy_rule *rule, int64_t wrap_ttl)
{
    const int64_t second = 1000000000;
    int64_t wrapping_ns;

    if (rule->min_wrapping_ns == 0 && rule->max_wrapping_ns == 0)
        return true;
    if (wrap_ttl <= 0)
        return false;
    if (__builtin_mul_overflow(wrap_ttl, second, &wrapping_ns))
        wrapping_ns = INT64_MAX;
    return wrapping_ns >= rule->min_wrapping_ns &&
           (rule->max_wrapping_ns == 0 || wrapping_ns <= rule->max_wrapping_ns);
}

static bool has_parameters(enum operation operation)
{
    return operation == OPERATION_READ || operation == OPERATION_UPDATE ||
           operation == OPERATION_CREATE || operation == OPERATION_PATCH ||
           operation == OPERATION_RECOVER;
}

static enum policy_reason decide(const struct policy_rule *rule,
                                 const struct policy_request *request,
                                 const char **parameter)
{
    enum operation operation = request->operation;

    if ((rule->capabilities & needed[operation]) == 0)
        return POLICY_NO_CAPABILITY;
    if (!wrapping_allowed(rule, request->wrap_ttl))
        return POLICY_WRAPPING;
    return has_parameters(operation)
               ? policy_parameter_decide(rule, request->data, parameter)
               : POLICY_GRANTED;
}

static struct policy_sources sources_of(const struct policy_rule *rule, unsigned capabilities)
{
    return (struct policy_sources){rule->origins, rule->origin_count, capabilities};
}

bool policy_sources_have(const struct policy_sources *sources, size_t number)
{
    for (size_t i = 0; i < sources->count; i++) {
        const struct policy_origin *origin = &sources->origins[i];

        if (origin->source == number &&
            (sources->capabilities == 0 || (origin->capabilities & sources->capabilities) != 0))
            return true;
    }
    return false;
}

struct policy_decision policy_evaluate(const struct policy *policy,
                                       const struct policy_request *request)
{
    enum operation operation = request->operation;
    struct policy_decision decision = {.reason = POLICY_NO_RULE};

    assert(operation >= OPERATION_NONE && operation < OPERATION_MAX);
    if (operation == OPERATION_HELP) /* anybody may read help, without a rule */
        return (struct policy_decision){.allowed = true};
    const struct policy_rule *rule =
        find_rule(policy, operation == OPERATION_LIST, request->path);

    if (rule == NULL)
        return decision;
    decision.reason = decide(rule, request, &decision.parameter);
    decision.allowed = decision.reason == POLICY_GRANTED;
    if (decision.allowed)
        decision.grantors = sources_of(rule, needed[operation]);
    decision.sudo = (rule->capabilities & CAPABILITY_SUDO) != 0;
    return decision;
}

bool policy_explain(const struct policy *policy, const struct policy_request *request,
                    struct policy_explanation *out)
{
    const struct policy_rule *rule =
        find_rule(policy, request->operation == OPERATION_LIST, request->path);

    if (rule != NULL)
        *out = (struct policy_explanation){rule->path, rule->glob, rule->capabilities,
                                           sources_of(rule, 0)};
    return rule != NULL;
}

/* Asked as for a list, so that a path that ends with a slash finds the rule without it
 * too. */
unsigned policy_capabilities(const struct policy *policy, const char *path)
{
    const struct policy_rule *rule = find_rule(policy, true, path);

    return rule == NULL || rule->capabilities == 0 ? CAPABILITY_DENY : rule->capabilities;
}

bool policy_refuse(struct error *err)
{
    char fault[ERROR_TEXT_MAX], place[48] = "";
    unsigned line = err->line, column = err->column;

    if (err->code != ERROR_BAD_REQUEST)
        return false;
    memcpy(fault, err->text, sizeof fault);
    bool told = text_starts_with(fault, "At ") || strstr(fault, " at ") || strstr(fault, " on line ");
    if (line > 0 && !told)
        text_format(place, sizeof place, " (line %u, column %u)", line, column);
    return error_set_at(err, ERROR_BAD_REQUEST, line, column, "failed to parse policy: %.3000s%s",
                        fault, place);
}
