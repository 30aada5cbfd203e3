/* SPDX-License-Identifier: MIT */
#include "field.h"

#include "duration.h"
#include "text.h"

#include <string.h>

static bool refuse(const char *field, const char *wanted, struct error *err)
{
    return error_set(err, ERROR_BAD_REQUEST, "%s: must be %s", field, wanted);
}

/* The member; NULL: absent or null, which are the same to Vault. */
static const json_t *member(const json_t *data, const char *field)
{
    const json_t *value = json_object_get(data, field);

    return json_is_null(value) ? NULL : value;
}

bool field_string(const json_t *data, const char *field, size_t max_bytes, const char **out,
                  struct error *err)
{
    const json_t *value = member(data, field);

    *out = "";
    if (!value)
        return true;
    if (json_is_boolean(value)) {
        *out = json_is_true(value) ? "1" : "0";
        return true;
    }
    if (!json_is_string(value))
        return refuse(field, "a string", err);
    if (json_string_length(value) > max_bytes)
        return error_set(err, ERROR_BAD_REQUEST, "%s: %zu bytes at most", field, max_bytes);
    *out = json_string_value(value);
    return true;
}

/* The base that a text's prefix names, and the prefix's length. A single 0 in front means
 * octal and is a digit itself; so is the 0 of a prefix that nothing follows. */
static unsigned base_of(const char *text, size_t *prefix)
{
    *prefix = 0;
    if (text[0] != '0')
        return 10;
    if (text[1] == '\0' || text[2] == '\0' || !strchr("xXoObB", text[1]))
        return 8;
    *prefix = 2;
    return strchr("xX", text[1]) ? 16 : strchr("oO", text[1]) ? 8 : 2;
}

/* Digits of a base; an underscore may stand between two, and between prefix and digits. */
static bool parse_digits(const char *text, unsigned base, bool has_prefix, uint64_t *out)
{
    bool may_join = has_prefix; /* the last thing read was a digit or the prefix */

    *out = 0;
    for (; *text; text++) {
        int value = text_hex_value(*text);
        if (*text == '_' && may_join) {
            may_join = false;
            continue;
        }
        if (value < 0 || (unsigned)value >= base ||
            __builtin_mul_overflow(*out, base, out) ||
            __builtin_add_overflow(*out, (unsigned)value, out))
            return false;
        may_join = true;
    }
    return may_join && text[-1] != '_';
}

static bool parse_integer(const char *text, int64_t *out)
{
    bool negative = *text == '-';
    uint64_t limit = (uint64_t)INT64_MAX + negative, magnitude;
    size_t prefix;

    text += *text == '-' || *text == '+';
    unsigned base = base_of(text, &prefix);
    if (!text[prefix] || !parse_digits(text + prefix, base, prefix > 0, &magnitude) ||
        magnitude > limit)
        return false;
    /* -1 first: the magnitude of INT64_MIN fits no int64_t. */
    *out = negative && magnitude > 0 ? -(int64_t)(magnitude - 1) - 1 : (int64_t)magnitude;
    return true;
}

bool field_integer(const json_t *data, const char *field, int64_t *out, struct error *err)
{
    const json_t *value = member(data, field);

    *out = 0;
    if (!value)
        return true;
    if (json_is_integer(value))
        *out = json_integer_value(value);
    else if (json_is_boolean(value))
        *out = json_is_true(value);
    else if (!json_is_string(value) ||
             (*json_string_value(value) && !parse_integer(json_string_value(value), out)))
        return refuse(field, "an integer of 64 bits", err);
    return true;
}

bool field_boolean(const json_t *data, const char *field, bool *out, struct error *err)
{
    const json_t *value = member(data, field);

    *out = false;
    if (!value)
        return true;
    if (json_is_boolean(value))
        *out = json_is_true(value);
    else if (json_is_integer(value) && (json_integer_value(value) & ~1) == 0)
        *out = json_integer_value(value) == 1;
    else if (!json_is_string(value) ||
             (*json_string_value(value) && !text_parse_bool(json_string_value(value), out)))
        return refuse(field, "true or false", err);
    return true;
}

/* text[*length] without the blanks around it. */
static const char *trim(const char *text, size_t *length)
{
    while (*length > 0 && strchr(" \t\r\n", *text)) {
        text++;
        (*length)--;
    }
    while (*length > 0 && strchr(" \t\r\n", text[*length - 1]))
        (*length)--;
    return text;
}

/* Adds text[length] without the blanks around it, unless nothing is left. */
static bool add_string(json_t *list, const char *text, size_t length)
{
    text = trim(text, &length);
    return length == 0 || json_array_append_new(list, json_stringn(text, length)) == 0;
}

static bool add_strings(json_t *list, const char *text, bool split)
{
    while (split && strchr(text, ',')) {
        size_t length = strcspn(text, ",");
        if (!add_string(list, text, length))
            return false;
        text += length + 1;
    }
    return add_string(list, text, strlen(text));
}

static bool is_list_of_strings(const json_t *value)
{
    bool good = json_is_string(value) || json_is_array(value);
    json_t *item;
    size_t i;

    json_array_foreach(value, i, item) good = good && json_is_string(item);
    return good;
}

bool field_strings(const json_t *data, const char *field, bool split, json_t **out,
                   struct error *err)
{
    const json_t *value = member(data, field);
    json_t *item;
    size_t i;

    *out = NULL;
    if (!value)
        return true;
    if (!is_list_of_strings(value))
        return refuse(field, "a list of strings", err);
    *out = json_array();
    bool added = !json_is_string(value) || add_strings(*out, json_string_value(value), split);
    json_array_foreach(value, i, item)
        added = added && add_strings(*out, json_string_value(item), false);
    if (added)
        return true;
    json_decref(*out);
    *out = NULL;
    return error_exhausted(err);
}

static bool add_trimmed(json_t *list, const json_t *item)
{
    size_t length = json_string_length(item);
    const char *text = trim(json_string_value(item), &length);

    return json_array_append_new(list, json_stringn(text, length)) == 0;
}

bool field_list(const json_t *data, const char *field, json_t **out, struct error *err)
{
    const json_t *value = member(data, field);
    json_t *item;
    size_t i;

    *out = NULL;
    if (value && !is_list_of_strings(value))
        return refuse(field, "a list of strings", err);
    *out = json_array();
    bool added = *out && (json_string_length(value) == 0 || add_trimmed(*out, value));
    json_array_foreach(value, i, item) added = added && add_trimmed(*out, item);
    if (added)
        return true;
    json_decref(*out);
    *out = NULL;
    return error_exhausted(err);
}

/* "key=value" into map. */
static bool add_pair(json_t *map, const char *field, const json_t *item, struct error *err)
{
    const char *text = json_string_value(item);
    const char *equals = text ? strchr(text, '=') : NULL;

    if (!equals || equals == text)
        return refuse(field, "an object of strings, or a list of texts such as \"key=value\"", err);
    return json_object_setn_new(map, text, (size_t)(equals - text), json_string(equals + 1)) == 0 ||
           error_exhausted(err);
}

static bool add_member(json_t *map, const char *field, const char *key, json_t *item,
                       struct error *err)
{
    if (!json_is_string(item))
        return refuse(field, "an object of strings, or a list of texts such as \"key=value\"", err);
    return json_object_set(map, key, item) == 0 || error_exhausted(err);
}

bool field_map(const json_t *data, const char *field, json_t **out, struct error *err)
{
    json_t *value = (json_t *)member(data, field), *item, *map;
    const char *key;
    bool good = true;
    size_t i;

    *out = NULL;
    if (!value)
        return true;
    if (!json_is_object(value) && !json_is_array(value))
        return refuse(field, "an object of strings, or a list of texts such as \"key=value\"", err);
    map = json_object();
    if (!map)
        return error_exhausted(err);
    json_object_foreach(value, key, item) good = good && add_member(map, field, key, item, err);
    json_array_foreach(value, i, item) good = good && add_pair(map, field, item, err);
    if (good)
        *out = map;
    else
        json_decref(map);
    return good;
}

bool field_seconds(const json_t *data, const char *field, int64_t *out, struct error *err)
{
    static const int64_t most = INT64_C(100) * 366 * 86400;
    const json_t *value = member(data, field);
    const char *text = json_string_value(value);
    bool negative = text && *text == '-';
    int64_t ns;

    *out = 0;
    if (!value)
        return true;
    if (json_is_integer(value))
        *out = json_integer_value(value);
    else if (text && (!negative || text[1]) && duration_parse(text + negative, &ns))
        *out = (ns / DURATION_SECOND + (ns % DURATION_SECOND != 0)) * (negative ? -1 : 1);
    else
        return refuse(field, "a number of seconds or a duration such as \"1h30m\"", err);
    if (*out < 0)
        return error_set(err, ERROR_BAD_REQUEST, "%s must be positive", field);
    return *out <= most || refuse(field, "a hundred years at most", err);
}
