/* SPDX-License-Identifier: MIT
 *
 * The order of the checks and the comparison of values are those of AllowOperation and of
 * valueIn…ParameterList in vault/acl.go, as from 1.21: lists, and strings that may be
 * lists written with commas, are compared item by item.
 *
 * Names are folded to lower case in ASCII only: no parameter has a name beyond it.
 */
#include "policy_parameter.h"

#include "policy_rule.h"
#include "text.h"

#include <string.h>
#include <strings.h>

struct slice {
    const char *text;
    size_t length;
};

/* What Go's strings.TrimSpace takes off: Unicode's White_Space. */
static const char *const spaces[] = {
    " ",
    "\t",
    "\n",
    "\v",
    "\f",
    "\r",
    "\xC2\x85",
    "\xC2\xA0",
    "\xE1\x9A\x80",
    "\xE2\x80\x80",
    "\xE2\x80\x81",
    "\xE2\x80\x82",
    "\xE2\x80\x83",
    "\xE2\x80\x84",
    "\xE2\x80\x85",
    "\xE2\x80\x86",
    "\xE2\x80\x87",
    "\xE2\x80\x88",
    "\xE2\x80\x89",
    "\xE2\x80\x8A",
    "\xE2\x80\xA8",
    "\xE2\x80\xA9",
    "\xE2\x80\xAF",
    "\xE2\x81\x9F",
    "\xE3\x80\x80",
};

/* Compares the first length bytes of a policy's text with as many that were sent. */
static bool bytes_equal(const char *entry, const char *sent, size_t length, bool fold)
{
    if (!fold)
        return memcmp(entry, sent, length) == 0;
    for (size_t i = 0; i < length; i++)
        if (entry[i] != text_to_lower(sent[i]))
            return false;
    return true;
}

static bool contains(struct slice entry, struct slice sent, bool fold)
{
    if (!fold)
        return memmem(sent.text, sent.length, entry.text, entry.length) != NULL;
    /* What is folded are names of policies, of which a token's have 4096 bytes together. */
    if (sent.length > 4096)
        return false;
    for (size_t at = 0; at + entry.length <= sent.length; at++)
        if (bytes_equal(entry.text, sent.text + at, entry.length, fold))
            return true;
    return false;
}

/* '*' at either end of an entry stands for any text; an entry of one byte is literal, so
 * that
 * "*" matches only itself (GlobbedStringsMatch of go-secure-stdlib). */
static bool glob_matches(struct slice entry, struct slice sent, bool fold)
{
    bool open_end = entry.length >= 2 && entry.text[entry.length - 1] == '*';
    bool open_start = entry.length >= 2 && entry.text[0] == '*';

    entry.text += open_start;
    entry.length -= (size_t)open_start + open_end;
    if (open_start && open_end)
        return contains(entry, sent, fold);
    if (sent.length < entry.length ||
        (!open_start && !open_end && sent.length != entry.length))
        return false;
    size_t skipped = open_start ? sent.length - entry.length : 0;
    return bytes_equal(entry.text, sent.text + skipped, entry.length, fold);
}

static struct slice slice_of(const json_t *string)
{
    return (struct slice){json_string_value(string), json_string_length(string)};
}

static bool text_in_list(const json_t *list, struct slice sent, bool fold)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *entry = json_array_get(list, i);

        if (json_is_string(entry) && glob_matches(slice_of(entry), sent, fold))
            return true;
    }
    return false;
}

/* Deep equality as Go has it between what HCL and what JSON decode to: numbers are of
 * different types there and so never equal; null equals nothing that a policy can hold.
 * Recursion ends with the policy's value, which hcl.c bounds. */
static bool deep_equal(const json_t *entry, const json_t *sent, bool fold)
{
    if (json_typeof(entry) != json_typeof(sent))
        return false;
    switch (json_typeof(entry)) {
    case JSON_TRUE:
    case JSON_FALSE:
        return true;
    case JSON_STRING: {
        struct slice a = slice_of(entry), b = slice_of(sent);

        return a.length == b.length && bytes_equal(a.text, b.text, a.length, fold);
    }
    case JSON_ARRAY:
        if (json_array_size(entry) != json_array_size(sent))
            return false;
        for (size_t i = 0; i < json_array_size(entry); i++)
            if (!deep_equal(json_array_get(entry, i), json_array_get(sent, i), fold))
                return false;
        return true;
    case JSON_OBJECT: {
        const char *name;
        json_t *value;

        json_object_foreach((json_t *)entry, name, value)
        {
            const json_t *other = json_object_get(sent, name);

            if (other == NULL || !deep_equal(value, other, fold))
                return false;
        }
        return json_object_size(entry) == json_object_size(sent);
    }
    default:
        return false;
    }
}

/* The length of the white space that text[length] starts, or with at_end ends, with; 0:
 * none. */
static size_t space_length(struct slice text, bool at_end)
{
    for (size_t i = 0; i < sizeof spaces / sizeof *spaces; i++) {
        size_t length = strlen(spaces[i]);

        if (length <= text.length &&
            memcmp(text.text + (at_end ? text.length - length : 0), spaces[i], length) ==
                0)
            return length;
    }
    return 0;
}

static struct slice trimmed(struct slice text)
{
    size_t length;

    while ((length = space_length(text, false)) > 0) {
        text.text += length;
        text.length -= length;
    }
    while ((length = space_length(text, true)) > 0)
        text.length -= length;
    return text;
}

static bool value_in_list(const json_t *list, const json_t *sent, bool fold)
{
    if (json_is_string(sent))
        return text_in_list(list, fold ? trimmed(slice_of(sent)) : slice_of(sent), fold);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *entry = json_array_get(list, i);

        if (deep_equal(entry, sent, fold))
            return true;
    }
    return false;
}

/* Whether all of the pieces between commas are in the list, or any. An empty text has
 * none. */
static bool pieces_in_list(const json_t *list, struct slice sent, bool all, bool fold)
{
    while (sent.length > 0) {
        const char *comma = memchr(sent.text, ',', sent.length);
        size_t length = comma == NULL ? sent.length : (size_t)(comma - sent.text);
        struct slice piece = {sent.text, length};

        if (text_in_list(list, trimmed(piece), fold) != all)
            return !all;
        if (comma == NULL)
            break;
        sent.text += length + 1;
        sent.length -= length + 1;
        if (sent.length == 0) /* the text ends in a comma: one more piece, an empty one */
            return text_in_list(list, sent, fold);
    }
    return all;
}

static bool items_in_list(const json_t *list, const json_t *sent, bool all, bool fold)
{
    for (size_t i = 0; i < json_array_size(sent); i++)
        if (value_in_list(list, json_array_get(sent, i), fold) != all)
            return !all;
    return all;
}

/* Whether a list of a policy covers a value: an empty list any value, else the value as a
 * whole, or item by item, where all must be found to allow and any suffices to deny. So
 * "" and [] always pass what is allowed. Strings inside a list are not split. */
static bool list_covers(const json_t *list, const json_t *sent, bool all, bool fold)
{
    if (json_array_size(list) == 0 || value_in_list(list, sent, fold))
        return true;
    if (json_is_array(sent))
        return items_in_list(list, sent, all, fold);
    return json_is_string(sent) && pieces_in_list(list, slice_of(sent), all, fold);
}

/* The list that a policy has for a name that was sent, whatever its case. */
static const json_t *list_of(const json_t *parameters, const char *name)
{
    char folded[POLICY_PARAMETER_NAME_MAX + 1];
    size_t length = strlen(name);

    if (length > POLICY_PARAMETER_NAME_MAX) /* a longer one stands in no policy */
        return NULL;
    for (size_t i = 0; i <= length; i++)
        folded[i] = text_to_lower(name[i]);
    return json_object_get(parameters, folded);
}

/* Names of policies are stored in lower case, so what was sent for these two is compared
 * as it will be stored: "ROOT" must not slip past a rule about "root". */
static bool holds_policy_names(const char *name)
{
    return strcasecmp(name, "policies") == 0 || strcasecmp(name, "token_policies") == 0;
}

/* The name of what was sent and may not be goes to *parameter. */
static bool denied_allow(const json_t *denied, json_t *data, const char **parameter)
{
    const char *name;
    json_t *value;

    if (json_object_get(denied, "*") != NULL)
        return false;
    json_object_foreach(data, name, value)
    {
        const json_t *list = list_of(denied, name);

        *parameter = name;
        if (list != NULL && list_covers(list, value, false, holds_policy_names(name)))
            return false;
    }
    return true;
}

static bool allowed_allow(const json_t *allowed, json_t *data, const char **parameter)
{
    bool others = json_object_get(allowed, "*") != NULL;
    const char *name;
    json_t *value;

    if (json_object_size(allowed) == 0 || (others && json_object_size(allowed) == 1))
        return true;
    json_object_foreach(data, name, value)
    {
        const json_t *list = list_of(allowed, name);

        *parameter = name;
        if (list == NULL ? !others
                         : !list_covers(list, value, true, holds_policy_names(name)))
            return false;
    }
    return true;
}

enum policy_reason policy_parameter_decide(const struct policy_rule *rule,
                                           const json_t *data, const char **parameter)
{
    for (size_t i = 0; i < json_array_size(rule->required); i++) {
        *parameter = json_string_value(json_array_get(rule->required, i));
        if (json_object_get(data, *parameter) == NULL)
            return POLICY_PARAMETER_REQUIRED;
    }
    *parameter = NULL;
    if (json_object_size(data) == 0)
        return POLICY_GRANTED;
    if (!denied_allow(rule->denied, (json_t *)data, parameter))
        return POLICY_PARAMETER_DENIED;
    if (!allowed_allow(rule->allowed, (json_t *)data, parameter))
        return POLICY_PARAMETER_NOT_ALLOWED;
    *parameter = NULL;
    return POLICY_GRANTED;
}
