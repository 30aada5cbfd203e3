/* SPDX-License-Identifier: MIT */
#include "field.h"

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
