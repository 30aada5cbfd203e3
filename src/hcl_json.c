/* SPDX-License-Identifier: MIT
 *
 * A recursive reader that makes a tree in which every JSON object is an object and every
 * member an item with one key; then a second pass that flattens it, from the top down, as
 * hashicorp/hcl does. Strings are decoded in place, in the one copy of the text.
 */
#include "hcl_json.h"

#include "hcl.h"
#include "hcl_tree.h"
#include "text.h"
#include "utf8.h"

#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct reader {
    char *text; /* the copy, a NUL behind it and none in it */
    size_t offset;
    size_t line_start; /* offset of the line's first byte */
    unsigned line;
    unsigned depth; /* of the objects and lists that are open, the outermost not counted */
    struct error *err;
};

struct place {
    unsigned line, column;
};

static struct place here(const struct reader *r)
{
    return (struct place){r->line, (unsigned)(r->offset - r->line_start) + 1};
}

static bool fault_at(const struct reader *r, struct place place, const char *text)
{
    return error_set_at(r->err, ERROR_BAD_REQUEST, place.line, place.column, "%s", text);
}

/* A fault at the current byte. */
static bool fault(const struct reader *r, const char *text)
{
    return fault_at(r, here(r), r->text[r->offset] == '\0' ? "the text ends too early" : text);
}

static char peek(const struct reader *r)
{
    return r->text[r->offset];
}

/* The next byte that is not blank. */
static char next(struct reader *r)
{
    for (; peek(r) != '\0' && strchr(" \t\r\n", peek(r)) != NULL; r->offset++) {
        if (peek(r) == '\n') {
            r->line++;
            r->line_start = r->offset + 1;
        }
    }
    return peek(r);
}

/* ---- scalars ---- */

/* Four hexadecimal digits. */
static bool read_unit(struct reader *r, uint32_t *unit)
{
    *unit = 0;
    for (int i = 0; i < 4; i++, r->offset++) {
        int digit = text_hex_value(peek(r));
        if (digit < 0)
            return fault(r, "illegal char escape");
        *unit = *unit << 4 | (uint32_t)digit;
    }
    return true;
}

/* What follows \u: one unit of UTF-16, or both of a pair. */
static bool read_code_point(struct reader *r, uint32_t *value)
{
    struct place place = here(r);
    uint32_t low;

    if (!read_unit(r, value))
        return false;
    if (*value == 0)
        return fault_at(r, place, "an escape stands for a null character (0x00)");
    if (*value < 0xD800 || *value > 0xDFFF)
        return true;
    bool paired = *value < 0xDC00 && peek(r) == '\\' && r->text[r->offset + 1] == 'u';
    if (paired) {
        r->offset += 2;
        if (!read_unit(r, &low))
            return false;
        paired = low >= 0xDC00 && low <= 0xDFFF;
    }
    if (!paired)
        return fault_at(r, place, "half of a surrogate pair");
    *value = 0x10000 + ((*value - 0xD800) << 10) + (low - 0xDC00);
    return true;
}

static bool read_escape(struct reader *r, char **out)
{
    static const char letters[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
    char c = r->text[++r->offset];
    const char *letter = c == '\0' ? NULL : strchr(letters, c);
    uint32_t value;

    if (letter != NULL) {
        r->offset++;
        *(*out)++ = meanings[letter - letters];
        return true;
    }
    if (c != 'u')
        return fault(r, "illegal char escape");
    r->offset++;
    if (!read_code_point(r, &value))
        return false;
    *out += utf8_encode(value, *out);
    return true;
}

/* At the opening quote. */
static bool read_string(struct reader *r, json_t **string)
{
    char *start = r->text + ++r->offset, *out = start;

    while (peek(r) != '"') {
        if ((unsigned char)peek(r) < 0x20)
            return fault(r, "a control character must be written as an escape");
        if (peek(r) != '\\')
            *out++ = r->text[r->offset++];
        else if (!read_escape(r, &out))
            return false;
    }
    r->offset++;
    return hcl_made(string, json_stringn_nocheck(start, (size_t)(out - start)), r->err);
}

static size_t digits_at(const struct reader *r, size_t offset)
{
    return strspn(r->text + offset, "0123456789");
}

static bool read_real(struct reader *r, size_t length, json_t **number)
{
    double real = strtod(r->text + r->offset, NULL);

    if (isinf(real))
        return fault(r, "number out of range, 64-bit floating point");
    r->offset += length;
    return hcl_made(number, json_real(real), r->err);
}

static bool read_number(struct reader *r, json_t **number)
{
    size_t start = r->offset + (peek(r) == '-' ? 1 : 0), end = start;
    size_t digits = digits_at(r, start);
    bool real = false;

    if (digits == 0 || (r->text[start] == '0' && digits > 1))
        return fault(r, "illegal number");
    end += digits;
    if (r->text[end] == '.') {
        digits = digits_at(r, end + 1);
        if (digits == 0)
            return fault(r, "illegal number");
        end += 1 + digits;
        real = true;
    }
    if (r->text[end] == 'e' || r->text[end] == 'E') {
        end += r->text[end + 1] == '+' || r->text[end + 1] == '-' ? 2 : 1;
        digits = digits_at(r, end);
        if (digits == 0)
            return fault(r, "illegal exponent");
        end += digits;
        real = true;
    }
    if (real)
        return read_real(r, end - r->offset, number);
    errno = 0;
    long long integer = strtoll(r->text + r->offset, NULL, 10);
    if (errno == ERANGE)
        return fault(r, "integer out of range, 64 bits with sign");
    r->offset = end;
    return hcl_made(number, json_integer(integer), r->err);
}

/* true, false, and null, which hashicorp/hcl reads as "". */
static bool read_word(struct reader *r, json_t **value)
{
    static const char *const words[] = {"true", "false", "null"};
    size_t length = strspn(r->text + r->offset, "abcdefghijklmnopqrstuvwxyz");

    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (length != strlen(words[i]) ||
            memcmp(r->text + r->offset, words[i], length) != 0)
            continue;
        r->offset += length;
        return hcl_made(value, i == 2 ? json_string("") : json_boolean(i == 0), r->err);
    }
    return fault(r, "expected a value");
}

/* ---- lists and objects ---- */

static bool read_value(struct reader *r, json_t **value);

static bool enter(struct reader *r)
{
    if (r->depth >= HCL_DEPTH_MAX)
        return error_set_at(r->err, ERROR_BAD_REQUEST, here(r).line, here(r).column,
                            "nested deeper than %d levels", HCL_DEPTH_MAX);
    r->depth++;
    return true;
}

/* Behind an element: a comma and what is not the end, or the end, which is consumed. */
static bool read_separator(struct reader *r, char end, bool *ended)
{
    char c = next(r);

    *ended = c == end;
    if (c != end && c != ',')
        return fault(r, end == ']' ? "expected ',' or ']'" : "expected ',' or '}'");
    r->offset++;
    if (c == ',' && next(r) == end)
        return fault(r, "expected something behind ','");
    return true;
}

static bool read_elements(struct reader *r, json_t *list)
{
    bool ended = false;

    r->offset++;
    if (next(r) == ']') {
        r->offset++;
        return true;
    }
    while (!ended) {
        json_t *element;
        next(r);
        if (!read_value(r, &element))
            return false;
        if (json_array_append_new(list, element) != 0)
            return error_exhausted(r->err);
        if (!read_separator(r, ']', &ended))
            return false;
    }
    return true;
}

static bool read_member(struct reader *r, json_t *items, json_t *seen)
{
    json_auto_t *keys = json_array();
    struct place place = here(r);
    json_t *key = NULL, *value;

    if (peek(r) != '"')
        return fault(r, "expected a key, a string");
    if (!read_string(r, &key))
        return false;
    if (json_array_append_new(keys, key) != 0) /* keys may be NULL */
        return error_exhausted(r->err);
    if (!hcl_note_key(seen, json_string_value(key), place.line, place.column, r->err))
        return false;
    if (next(r) != ':')
        return fault(r, "expected ':'");
    r->offset++;
    next(r);
    if (!read_value(r, &value))
        return false;
    json_t *item =
        hcl_item_new(keys, !json_is_object(value), place.line, place.column, value);
    return json_array_append_new(items, item) == 0 || error_exhausted(r->err);
}

static bool read_members(struct reader *r, json_t *items)
{
    json_auto_t *seen = json_object();
    bool ended = false;

    if (seen == NULL)
        return error_exhausted(r->err);
    r->offset++;
    if (next(r) == '}') {
        r->offset++;
        return true;
    }
    while (!ended) {
        next(r);
        if (!read_member(r, items, seen) || !read_separator(r, '}', &ended))
            return false;
    }
    return true;
}

static bool read_object(struct reader *r, json_t **object)
{
    json_auto_t *items = json_array();

    if (items == NULL)
        return error_exhausted(r->err);
    return read_members(r, items) &&
           hcl_made(object, hcl_object_new(json_incref(items)), r->err);
}

static bool read_list(struct reader *r, json_t **list)
{
    if (!hcl_made(list, json_array(), r->err))
        return false;
    if (read_elements(r, *list))
        return true;
    json_decref(*list);
    return false;
}

/* A new reference in *value, which is untouched or void on failure. */
static bool read_value(struct reader *r, json_t **value)
{
    char c = peek(r);

    if (c == '"')
        return read_string(r, value);
    if (c == '-' || text_is_digit(c))
        return read_number(r, value);
    if (c != '{' && c != '[')
        return read_word(r, value);
    if (!enter(r))
        return false;
    if (!(c == '{' ? read_object(r, value) : read_list(r, value)))
        return false;
    r->depth--;
    return true;
}

/* ---- flattening ---- */

static json_t *flattened(const json_t *value);

/* Whether flattening goes through: an object, or a list, of nothing but objects. */
static bool is_nest(const json_t *value)
{
    const json_t *parts = json_is_object(value) ? json_object_get(value, "items") : value;
    const json_t *part;
    size_t index;

    json_array_foreach(parts, index, part)
    {
        if (!json_is_object(parts == value ? part : json_object_get(part, "value")))
            return false;
    }
    return json_array_size(parts) > 0;
}

/* Appends to items what value, known under keys, reads like: each key of an object that
 * holds nothing but objects becomes one more key of an item of its own, and a list of
 * nothing but objects becomes an item for each. The item's place is its last key's. */
static bool append_flattened(json_t *items, json_t *keys, const json_t *item,
                             const json_t *value)
{
    const json_t *element;
    size_t index;

    if (!is_nest(value)) {
        json_t *line = json_object_get(item, "line");
        json_t *column = json_object_get(item, "column");
        json_t *flat = flattened(value);
        return flat != NULL &&
               json_array_append_new(
                   items, hcl_item_new(keys, !json_is_object(value),
                                       (unsigned)json_integer_value(line),
                                       (unsigned)json_integer_value(column), flat)) == 0;
    }
    json_array_foreach(value, index, element)
    {
        if (!append_flattened(items, keys, item, element))
            return false;
    }
    json_array_foreach(json_object_get(value, "items"), index, element)
    {
        json_auto_t *longer = json_copy(keys);
        if (json_array_extend(longer, json_object_get(element, "keys")) != 0 ||
            !append_flattened(items, longer, element, json_object_get(element, "value")))
            return false;
    }
    return true;
}

static json_t *flattened_object(const json_t *object)
{
    json_auto_t *items = json_array();
    const json_t *item;
    size_t index;

    json_array_foreach(json_object_get(object, "items"), index, item)
    {
        if (!append_flattened(items, json_object_get(item, "keys"), item,
                              json_object_get(item, "value")))
            return NULL;
    }
    return items == NULL ? NULL : hcl_object_new(json_incref(items));
}

/* A new reference to what value reads like; NULL: out of memory. The depth is bounded by
 * the reader. */
static json_t *flattened(const json_t *value)
{
    const json_t *element;
    size_t index;

    if (json_is_object(value))
        return flattened_object(value);
    if (!json_is_array(value))
        return json_incref((json_t *)value);
    json_auto_t *list = json_array();
    json_array_foreach(value, index, element)
    {
        if (json_array_append_new(list, flattened(element)) != 0)
            return NULL;
    }
    return json_incref(list);
}

json_t *hcl_json_parse(const char *text, size_t length, struct error *err)
{
    struct reader r = {.text = malloc(length + 1), .line = 1, .err = err};
    json_t *tree = NULL, *flat;

    if (r.text == NULL) {
        error_exhausted(err);
        return NULL;
    }
    memcpy(r.text, text, length);
    r.text[length] = '\0';
    bool whole = next(&r) == '{' ? read_object(&r, &tree) : fault(&r, "illegal char");
    if (whole && next(&r) != '\0')
        whole = fault(&r, "something follows the outermost object");
    whole = whole && hcl_made(&flat, flattened(tree), err);
    json_decref(tree);
    free(r.text);
    return whole ? flat : NULL;
}
