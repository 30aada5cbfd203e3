/* SPDX-License-Identifier: MIT
 *
 * One rule of a policy: a pattern of paths, and what is granted where it matches. Shared
 * by policy_parse.c, which makes rules from text, policy.c, which chooses among them, and
 * policy_parameter.c, which looks at what was sent. Not for anybody else.
 */
#ifndef POLICY_RULE_H
#define POLICY_RULE_H

#include "error.h"
#include "policy.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { POLICY_PARAMETER_NAME_MAX = 255 }; /* bytes of a parameter's name */

/* In the order in which they are stored. */
enum policy_rule_kind {
    POLICY_RULE_EXACT = 0, /* secret/a */
    POLICY_RULE_PREFIX,    /* secret/a* */
    POLICY_RULE_WILDCARD,  /* secret/+/a, secret/+/a*: segments, compared one by one */
};

struct policy_segment {
    const char *text; /* into the rule's path */
    size_t length;
    bool any; /* "+" */
};

struct policy_rule {
    enum policy_rule_kind kind;
    bool glob;  /* the pattern ends in '*': each prefix, some wildcards */
    char *path; /* ours: the pattern without one leading '/' and without that '*' */
    size_t length;
    size_t first_wildcard;           /* where its first '+' stands; a prefix's length */
    size_t wildcard_count;           /* segments that are "+" */
    struct policy_segment *segments; /* ours; of a wildcard only */
    size_t segment_count;
    size_t parent;      /* policy.c's: of a prefix, and of a wildcard with a glob among those of
                           its shape, 1 + the index of the longest other that starts it; 0: none */
    size_t shape_count; /* policy.c's: of a wildcard, how many of its shape begin here */

    unsigned capabilities;                    /* CAPABILITY_DENY stands alone */
    int64_t min_wrapping_ns, max_wrapping_ns; /* 0: none */
    json_t *allowed, *denied; /* ours: name in lower case → list of values; NULL: none */
    json_t *required;         /* ours: list of names in lower case; NULL: none */
    struct policy_origin *origins; /* ours: a list of origin_count */
    size_t origin_count;
};

/* A list that grows; zeroed, it is empty. */
struct policy_rules {
    struct policy_rule *list; /* ours */
    size_t count, capacity;
    bool lenient; /* read as policy_check does */
};

/* Makes *rule, zeroed, one without capabilities for a pattern as written in a policy. */
bool policy_rule_init(struct policy_rule *rule, const char *pattern, struct error *err)
    __attribute__((warn_unused_result));
void policy_rule_fini(struct policy_rule *rule); /* a zeroed rule is fine */

/* Appends *rule and zeroes it: what it owned is the list's. */
bool policy_rules_append(struct policy_rules *rules, struct policy_rule *rule,
                         struct error *err) __attribute__((warn_unused_result));
void policy_rules_fini(struct policy_rules *rules);

/* Says where the rule, as it is now, comes from. Once for each. */
bool policy_rule_set_source(struct policy_rule *rule, size_t source, struct error *err)
    __attribute__((warn_unused_result));

/* Adds the values in list (borrowed) to those of a name in *map, which is made at need.
 * With empty_wins a list without values, which stands for any value, swallows the other
 * one. */
bool policy_rule_add_parameter(json_t **map, const char *name, json_t *list,
                               bool empty_wins, struct error *err)
    __attribute__((warn_unused_result));

/* Adds to *rule what another of the same pattern says, so that both hold. */
bool policy_rule_merge(struct policy_rule *rule, const struct policy_rule *other,
                       struct error *err) __attribute__((warn_unused_result));

/* Whether the pattern a is more specific than the pattern b: what decides between two
 * that match. Neither may be exact; of two that differ, one outranks the other. */
bool policy_rule_outranks(const struct policy_rule *a, const struct policy_rule *b);

/* An order of the shapes of wildcards: which segments are "+", and whether a glob is at the
 * end. 0: the same. */
int policy_rule_compare_shape(const struct policy_rule *a, const struct policy_rule *b);

/* For qsort: by kind, wildcards by shape, then by path. 0 means the same pattern. */
int policy_rule_compare(const void *a, const void *b);

#endif
