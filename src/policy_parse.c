/* SPDX-License-Identifier: MIT
 *
 * What vault/policy.go checks when it reads a policy, in its order and, as far as they
 * are plain words, with its texts. What Vault reads but this program cannot hold anybody
 * to, control groups and MFA, is checked as there and then, unless the caller is lenient,
 * refused: a restriction is never dropped in silence. Strings of the tree are plain C
 * strings here: hcl.c lets no NUL through.
 */
#include "policy_parse.h"

#include "duration.h"
#include "hcl.h"
#include "policy_rule.h"
#include "text.h"

#include <stdlib.h>
#include <string.h>

enum { WHERE_MAX = 1024 };

/* One path block. */
struct block {
    const json_t *object;  /* its items */
    const char *path;      /* as written */
    char where[WHERE_MAX]; /* `path "p"`, for messages */
    unsigned line, column; /* of the block */
    bool templated;
};

static const json_t *items_of(const json_t *object)
{
    return json_object_get(object, "items");
}

static unsigned place_of(const json_t *item, const char *which)
{
    return (unsigned)json_integer_value(json_object_get(item, which));
}

/* A key of an item, from 0; NULL: it has fewer. */
static const char *key_of(const json_t *item, size_t index)
{
    return json_string_value(json_array_get(json_object_get(item, "keys"), index));
}

static const json_t *value_of(const json_t *item)
{
    return json_object_get(item, "value");
}

/* A fault in an item, at its place. */
#define fail_at(err, item, ...)                                                          \
    error_set_at((err), ERROR_BAD_REQUEST, place_of((item), "line"),                     \
                 place_of((item), "column"), __VA_ARGS__)

/* Writes text between double quotes: a message stays one line whatever it quotes. */
static void quote(char *out, size_t size, const char *text)
{
    size_t used = 0;

    out[used++] = '"';
    for (; *text != '\0' && used + 8 < size; text++) {
        unsigned char c = (unsigned char)*text;

        if (c == '"' || c == '\\') {
            out[used++] = '\\';
            out[used++] = (char)c;
        } else if (c < 0x20 || c == 0x7F) {
            text_format(out + used, 5, "\\x%02x", c);
            used += 4;
        } else {
            out[used++] = (char)c;
        }
    }
    for (; ((unsigned char)*text & 0xC0) == 0x80; text--)
        used--; /* what comes next continues a sequence: cut before its first byte */
    text_format(out + used, size - used, *text == '\0' ? "\"" : "...\"");
}

/* Names each key that is not among the valid ones, with where in front. */
static bool check_keys(const json_t *object, const char *const valid[], const char *where,
                       struct error *err)
{
    char text[ERROR_TEXT_MAX] = "", quoted[WHERE_MAX];
    const json_t *first = NULL;
    size_t used = 0;

    for (size_t i = 0; i < json_array_size(items_of(object)); i++) {
        const json_t *item = json_array_get(items_of(object), i);
        const char *key = key_of(item, 0);
        size_t k = 0;

        while (valid[k] != NULL && strcmp(valid[k], key) != 0)
            k++;
        if (valid[k] != NULL || used + 4 > sizeof text)
            continue;
        quote(quoted, sizeof quoted, key);
        text_format(text + used, sizeof text - used, "%s%s%sinvalid key %s on line %u",
                    first == NULL ? "" : "; ", where, where[0] == '\0' ? "" : ": ",
                    quoted, place_of(item, "line"));
        used = strlen(text);
        if (first == NULL)
            first = item;
    }
    return first == NULL || fail_at(err, first, "%s", text);
}

/* The item that sets a key in a block. False if it is set twice or in no way that a value
 * can be; *item is NULL if it is not set. */
static bool find_item(const struct block *block, const char *key, const json_t **item,
                      struct error *err)
{
    *item = NULL;
    for (size_t i = 0; i < json_array_size(items_of(block->object)); i++) {
        const json_t *other = json_array_get(items_of(block->object), i);

        if (strcmp(key_of(other, 0), key) != 0)
            continue;
        if (*item != NULL)
            return fail_at(err, other, "%s: %s is set twice", block->where, key);
        if (key_of(other, 1) != NULL)
            return fail_at(err, other, "%s: %s takes no label", block->where, key);
        *item = other;
    }
    return true;
}

/* The list of strings that a key is set to; *list is borrowed, NULL if it is not set. */
static bool find_strings(const struct block *block, const char *key, const json_t **list,
                         struct error *err)
{
    const json_t *item;

    *list = NULL;
    if (!find_item(block, key, &item, err))
        return false;
    if (item == NULL)
        return true;
    *list = value_of(item);
    bool strings = json_is_array(*list);

    for (size_t i = 0; strings && i < json_array_size(*list); i++)
        strings = json_is_string(json_array_get(*list, i));
    return strings ||
           fail_at(err, item, "%s: %s must be a list of strings", block->where, key);
}

/* What the older `policy = "…"` stands for; patch is in none of them. */
static bool legacy_capabilities(const struct block *block, unsigned *out,
                                struct error *err)
{
    const unsigned reads = CAPABILITY_READ | CAPABILITY_LIST;
    const unsigned writes =
        reads | CAPABILITY_CREATE | CAPABILITY_UPDATE | CAPABILITY_DELETE;
    char quoted[WHERE_MAX];
    const json_t *item;

    *out = 0;
    if (!find_item(block, "policy", &item, err))
        return false;
    if (item == NULL)
        return true;
    if (!json_is_string(value_of(item)))
        return fail_at(err, item, "%s: policy must be a string", block->where);
    const char *name = json_string_value(value_of(item));

    if (strcmp(name, "deny") == 0)
        *out = CAPABILITY_DENY;
    else if (strcmp(name, "read") == 0)
        *out = reads;
    else if (strcmp(name, "write") == 0)
        *out = writes;
    else if (strcmp(name, "sudo") == 0)
        *out = writes | CAPABILITY_SUDO;
    else if (name[0] != '\0') {
        quote(quoted, sizeof quoted, name);
        return fail_at(err, item, "%s: invalid policy %s", block->where, quoted);
    }
    return true;
}

static unsigned capability_of(const char *name)
{
    for (unsigned bit = CAPABILITY_DENY; bit <= CAPABILITY_SUBSCRIBE; bit <<= 1)
        if (strcmp(name, capability_name((enum capability)bit)) == 0)
            return bit;
    return 0;
}

/* A deny drops every other capability; words after it are not even looked at. */
static bool read_capabilities(const struct block *block, unsigned *out, struct error *err)
{
    char quoted[WHERE_MAX];
    const json_t *item, *list;
    unsigned legacy;

    if (!legacy_capabilities(block, &legacy, err) ||
        !find_item(block, "capabilities", &item, err) ||
        !find_strings(block, "capabilities", &list, err))
        return false;
    *out = legacy;
    for (size_t i = 0; !(*out & CAPABILITY_DENY) && i < json_array_size(list); i++) {
        const char *name = json_string_value(json_array_get(list, i));
        unsigned capability = capability_of(name);

        if (capability == 0) {
            quote(quoted, sizeof quoted, name);
            return fail_at(err, item, "%s: invalid capability %s", block->where, quoted);
        }
        *out |= capability;
    }
    if (*out & CAPABILITY_DENY)
        *out = CAPABILITY_DENY;
    return true;
}

static json_t *plain_new(const json_t *value);

/* Puts the value of an item under the item's keys but the first ones, each a level. */
static bool put_plain(json_t *object, const json_t *item, size_t first)
{
    const char *key = key_of(item, first), *next;

    for (; (next = key_of(item, first + 1)) != NULL; first++, key = next) {
        json_t *inner = json_object_get(object, key);

        if (!json_is_object(inner)) {
            inner = json_object();
            if (json_object_set_new(object, key, inner) != 0)
                return false;
        }
        object = inner;
    }
    json_t *plain = plain_new(value_of(item)), *old = json_object_get(object, key);

    if (json_is_object(plain) && json_is_object(old)) { /* a block that is repeated */
        bool updated = json_object_update_recursive(old, plain) == 0;

        json_decref(plain);
        return updated;
    }
    return json_object_set_new(object, key, plain) == 0;
}

/* A value of the tree as the JSON that a client would send for it; NULL: out of memory. A
 * new reference. The depth is bounded by hcl.c. */
static json_t *plain_new(const json_t *value)
{
    bool whole = true;

    if (!json_is_array(value) && !json_is_object(value))
        return json_deep_copy(value);
    json_t *plain = json_is_array(value) ? json_array() : json_object();
    const json_t *parts = json_is_array(value) ? value : items_of(value);

    for (size_t i = 0; plain != NULL && whole && i < json_array_size(parts); i++) {
        const json_t *part = json_array_get(parts, i);

        whole = json_is_array(plain) ? json_array_append_new(plain, plain_new(part)) == 0
                                     : put_plain(plain, part, 0);
    }
    if (!whole) {
        json_decref(plain);
        return NULL;
    }
    return plain;
}

/* The values that an item gives a parameter, a list; one object alone, or what JSON's
 * flattening took apart, stands for a list of it. *list is new, NULL if they are none. */
static bool parameter_values(const json_t *item, size_t first, json_t **list,
                             struct error *err)
{
    const json_t *value = value_of(item);
    json_t *plain = NULL;

    *list = NULL;
    if (key_of(item, first + 1) != NULL) {
        plain = json_object();
        if (plain != NULL && !put_plain(plain, item, first + 1)) {
            json_decref(plain);
            plain = NULL;
        }
    } else if (json_is_array(value) || json_is_object(value)) {
        plain = plain_new(value);
    } else {
        return true;
    }
    *list = json_is_array(plain) ? plain : json_array();
    if (plain != *list && json_array_append_new(*list, plain) != 0) {
        json_decref(*list);
        *list = NULL;
    }
    return *list != NULL || error_exhausted(err);
}

static void fold(char *text)
{
    for (; *text != '\0'; text++)
        if (*text >= 'A' && *text <= 'Z')
            *text = (char)(*text - 'A' + 'a');
}

/* Adds the parameter that an item's key number first names. */
static bool read_parameter(const struct block *block, const char *what,
                           const json_t *item, size_t first, json_t **parameters,
                           struct error *err)
{
    char name[POLICY_PARAMETER_NAME_MAX + 1], quoted[WHERE_MAX];
    json_t *list;

    if (!text_format(name, sizeof name, "%s", key_of(item, first)))
        return fail_at(err, item, "%s: %s: a name is longer than %d bytes", block->where,
                       what, POLICY_PARAMETER_NAME_MAX);
    if (!parameter_values(item, first, &list, err))
        return false;
    if (list == NULL) {
        quote(quoted, sizeof quoted, name);
        return fail_at(err, item, "%s: %s: %s must be a list of values", block->where,
                       what, quoted);
    }
    fold(name);
    /* within one block the narrower one of "any value" and a list of values holds */
    bool added = policy_rule_add_parameter(parameters, name, list, what[0] == 'd', err);

    json_decref(list);
    return added;
}

/* allowed_parameters and denied_parameters: a map, or several blocks of one. */
static bool read_parameters(const struct block *block, const char *what,
                            json_t **parameters, struct error *err)
{
    for (size_t i = 0; i < json_array_size(items_of(block->object)); i++) {
        const json_t *item = json_array_get(items_of(block->object), i);
        const json_t *map = value_of(item);

        if (strcmp(key_of(item, 0), what) != 0)
            continue;
        if (key_of(item, 1) != NULL) {
            if (!read_parameter(block, what, item, 1, parameters, err))
                return false;
            continue;
        }
        if (!json_is_object(map))
            return fail_at(err, item, "%s: %s must map names to lists of values",
                           block->where, what);
        for (size_t k = 0; k < json_array_size(items_of(map)); k++)
            if (!read_parameter(block, what, json_array_get(items_of(map), k), 0,
                                parameters, err))
                return false;
    }
    return true;
}

static bool read_required(const struct block *block, json_t **required, struct error *err)
{
    char name[POLICY_PARAMETER_NAME_MAX + 1];
    const json_t *list;

    if (!find_strings(block, "required_parameters", &list, err))
        return false;
    for (size_t i = 0; i < json_array_size(list); i++) {
        if (!text_format(name, sizeof name, "%s",
                         json_string_value(json_array_get(list, i))))
            return error_set_at(err, ERROR_BAD_REQUEST, block->line, block->column,
                                "%s: required_parameters: a name is longer than %d bytes",
                                block->where, POLICY_PARAMETER_NAME_MAX);
        fold(name);
        if (*required == NULL && (*required = json_array()) == NULL)
            return error_exhausted(err);
        if (json_array_append_new(*required, json_string(name)) != 0)
            return error_exhausted(err);
    }
    return true;
}

/* A time to live as policies may write it: a number (whole seconds count) or a text. */
static bool read_duration(const json_t *value, int64_t *ns)
{
    double real = json_real_value(value);

    if (json_is_integer(value))
        return json_integer_value(value) >= 0 &&
               !__builtin_mul_overflow(json_integer_value(value), DURATION_SECOND, ns);
    if (json_is_real(value)) {
        *ns = real >= 0 && real < 9e9 ? (int64_t)real * DURATION_SECOND : 0;
        return real >= 0 && real < 9e9;
    }
    return json_is_string(value) && duration_parse(json_string_value(value), ns);
}

static bool read_ttl(const struct block *block, const char *key, int64_t *ns,
                     struct error *err)
{
    const json_t *item;

    if (!find_item(block, key, &item, err))
        return false;
    return item == NULL || read_duration(value_of(item), ns) ||
           fail_at(err, item,
                   "error parsing %s: neither a number of seconds nor a duration such as "
                   "\"1h30m\"",
                   key);
}

static size_t size_of_list(const json_t *object, const char *key)
{
    return json_array_size(json_object_get(object, key));
}

/* One factor of a control group, as plain JSON. NULL, or what is wrong with it. */
static const char *factor_fault(const json_t *factor, unsigned capabilities)
{
    const json_t *identity = json_object_get(factor, "identity");
    const json_t *approvals = json_object_get(identity, "approvals");
    const json_t *controlled = json_object_get(factor, "controlled_capabilities");
    int64_t count = json_integer_value(approvals);

    if (!json_is_object(identity))
        return "no control_group factor provided";
    if (json_is_string(approvals))
        count = strtoll(json_string_value(approvals), NULL, 10);
    if (count <= 0 ||
        size_of_list(identity, "group_ids") + size_of_list(identity, "group_names") == 0)
        return "must provide more than one identity group and approvals > 0";
    for (size_t i = 0; i < json_array_size(controlled); i++) {
        const char *name = json_string_value(json_array_get(controlled, i));

        if (name == NULL || !(capability_of(name) & capabilities))
            return "control group factor capabilities must be a subset of the policy's "
                   "capabilities";
    }
    return NULL;
}

static const char *control_group_fault(const json_t *group, unsigned capabilities)
{
    json_t *ttl = json_object_get(group, "ttl"), *factor;
    json_t *factors = json_object_get(group, "factor");
    const char *name, *fault = NULL;
    int64_t ns;

    if (ttl != NULL && !read_duration(ttl, &ns))
        return "error parsing control group max ttl: neither a number of seconds nor a "
               "duration such as \"1h30m\"";
    json_object_foreach(factors, name, factor)
    {
        if (fault == NULL)
            fault = factor_fault(factor, capabilities);
    }
    if (json_object_size(factors) == 0)
        return "no control group factors provided";
    return fault;
}

/* Whether the block has a control group, and one that Vault would take. */
static bool check_control_group(const struct block *block, unsigned capabilities,
                                bool *found, struct error *err)
{
    json_auto_t *plain = plain_new(block->object);

    if (plain == NULL)
        return error_exhausted(err);
    const json_t *group = json_object_get(plain, "control_group");

    *found = group != NULL;
    if (group == NULL)
        return true;
    const char *fault = json_is_object(group) ? control_group_fault(group, capabilities)
                                              : "control_group must be a block";

    return fault == NULL ||
           error_set_at(err, ERROR_BAD_REQUEST, block->line, block->column, "%s", fault);
}

/* Everything in a block that restricts what its capabilities grant. */
static bool read_restrictions(const struct block *block, struct policy_rule *rule,
                              bool lenient, struct error *err)
{
    const json_t *methods, *types;
    bool controlled = false;

    if (!read_parameters(block, "allowed_parameters", &rule->allowed, err) ||
        !read_parameters(block, "denied_parameters", &rule->denied, err) ||
        !read_ttl(block, "min_wrapping_ttl", &rule->min_wrapping_ns, err) ||
        !read_ttl(block, "max_wrapping_ttl", &rule->max_wrapping_ns, err) ||
        !find_strings(block, "mfa_methods", &methods, err) ||
        !check_control_group(block, rule->capabilities, &controlled, err))
        return false;
    if (rule->max_wrapping_ns != 0 && rule->max_wrapping_ns < rule->min_wrapping_ns)
        return error_set_at(err, ERROR_BAD_REQUEST, block->line, block->column,
                            "max_wrapping_ttl cannot be less than min_wrapping_ttl");
    if (!read_required(block, &rule->required, err) ||
        !find_strings(block, "subscribe_event_types", &types, err))
        return false;
    if (lenient || (!controlled && json_array_size(methods) == 0))
        return true;
    return error_set_at(err, ERROR_BAD_REQUEST, block->line, block->column,
                        "%s: %s is not enforced here", block->where,
                        controlled ? "control_group" : "mfa_methods");
}

/* Whether a path is a template, `{{identity.entity.id}}`: each "{{" has its "}}" before
 * the next (sdk/helper/identitytpl). */
static bool check_template(struct block *block, struct error *err)
{
    const char *at = block->path, *open, *close;

    while ((open = strstr(at, "{{")) != NULL) {
        const char *next = strstr(open + 2, "{{");

        close = strstr(at, "}}");
        if (close == NULL || close < open || (next != NULL && next < close))
            break;
        at = close + 2;
        block->templated = true;
    }
    if (open == NULL && strstr(at, "}}") == NULL)
        return true;
    return error_set_at(err, ERROR_BAD_REQUEST, block->line, block->column,
                        "failed to validate policy templating: unbalanced templating "
                        "characters");
}

static bool check_wildcards(const struct block *block, struct error *err)
{
    char quoted[WHERE_MAX];

    if (strstr(block->path, "+*") == NULL)
        return true;
    quote(quoted, sizeof quoted, block->path + (block->path[0] == '/'));
    return error_set_at(err, ERROR_BAD_REQUEST, block->line, block->column,
                        "path %s: invalid use of wildcards ('+*' is forbidden)", quoted);
}

static bool read_block(struct block *block, struct policy_rules *rules, struct error *err)
{
    static const char *const valid[] = {"comment",
                                        "policy",
                                        "capabilities",
                                        "allowed_parameters",
                                        "denied_parameters",
                                        "required_parameters",
                                        "min_wrapping_ttl",
                                        "max_wrapping_ttl",
                                        "mfa_methods",
                                        "control_group",
                                        "subscribe_event_types",
                                        NULL};
    struct policy_rule rule = {0};

    if (!check_template(block, err) ||
        !check_keys(block->object, valid, block->where, err))
        return false;
    bool read =
        check_wildcards(block, err) && policy_rule_init(&rule, block->path, err) &&
        read_capabilities(block, &rule.capabilities, err) &&
        ((rule.capabilities & CAPABILITY_DENY) ||
         read_restrictions(block, &rule, rules->lenient, err));

    /* A template is filled from the identity of the token's entity. Tokens have none
     * here, and for those Vault leaves the rule out and keeps the rest of the policy. */
    if (read && !block->templated)
        read = policy_rules_append(rules, &rule, err);
    policy_rule_fini(&rule);
    return read;
}

/* An item whose key number first is a block's path: path "p" { … }, or the "p" { … }
 * within path = { … }, as JSON has it. */
static bool read_path(const json_t *item, size_t first, struct policy_rules *rules,
                      struct error *err)
{
    struct block block = {.object = value_of(item),
                          .path = key_of(item, first),
                          .line = place_of(item, "line"),
                          .column = place_of(item, "column")};
    char quoted[WHERE_MAX - 8];

    quote(quoted, sizeof quoted, block.path);
    text_format(block.where, sizeof block.where, "path %s", quoted);
    if (!json_is_object(block.object) || key_of(item, first + 1) != NULL)
        return fail_at(err, item, "%s must be one block of keys", block.where);
    return read_block(&block, rules, err);
}

static bool read_item(const json_t *item, struct policy_rules *rules, struct error *err)
{
    const json_t *value = value_of(item);

    if (strcmp(key_of(item, 0), "name") ==
        0) /* checked, then of no effect, as in Vault */
        return (json_is_string(value) && key_of(item, 1) == NULL) ||
               fail_at(err, item, "name must be a string");
    if (key_of(item, 1) != NULL)
        return read_path(item, 1, rules, err);
    if (!json_is_object(value))
        return fail_at(err, item, "path must be a block: path \"…\" { … }");
    for (size_t i = 0; i < json_array_size(items_of(value)); i++)
        if (!read_path(json_array_get(items_of(value), i), 0, rules, err))
            return false;
    return true;
}

/* Puts the place in front of a text about syntax, as Vault has it; a text about an
 * argument that was set twice names its place already. */
static void name_place(struct error *err)
{
    char text[ERROR_TEXT_MAX];

    if (err->code != ERROR_BAD_REQUEST || err->line == 0 ||
        text_starts_with(err->text, "The argument "))
        return;
    memcpy(text, err->text, sizeof text);
    error_set_at(err, err->code, err->line, err->column, "At %u:%u: %s", err->line,
                 err->column, text);
}

bool policy_parse(const struct policy_source *source, struct policy_rules *rules,
                  struct error *err)
{
    static const char *const valid[] = {"name", "path", NULL};
    json_auto_t *root = hcl_parse(source->text, source->length, err);

    if (root == NULL) {
        name_place(err);
        return false;
    }
    if (!check_keys(root, valid, "", err))
        return false;
    for (size_t i = 0; i < json_array_size(items_of(root)); i++)
        if (!read_item(json_array_get(items_of(root), i), rules, err))
            return false;
    return true;
}
