/* SPDX-License-Identifier: MIT */
#include "body.h"

#include <string.h>

/* Offset of the quote that ends the string which begins at text[at]; length: nothing ends it. */
static size_t string_end(const char *text, size_t length, size_t at)
{
    for (at++; at < length && text[at] != '"'; at++)
        at += text[at] == '\\';
    return at < length ? at : length;
}

/* Offset of the last byte of a number or a word, or of what stands in its place. */
static size_t scalar_end(const char *text, size_t length, size_t at)
{
    while (at + 1 < length && !memchr(" \t\r\n{}[],:\"", text[at + 1], 11))
        at++;
    return at;
}

/* Offset of a raw NUL, length if there is none. jansson overlooks one behind a number or a
 * word. */
static size_t find_nul(const char *text, size_t length)
{
    const char *nul = memchr(text, '\0', length);

    return nul ? (size_t)(nul - text) : length;
}

/* What is too much, with the offset of the byte where it begins to be; NULL: nothing is. The
 * text may be malformed: that is found later. */
static const char *beyond_limit(const char *text, size_t length, size_t *at)
{
    unsigned commas[BODY_DEPTH_MAX + 1] = {0}; /* of each open object or list */
    size_t depth = 0, tokens = 0, end;

    for (*at = 0; *at < length; *at = end + 1) {
        end = *at;
        switch (text[*at]) {
        case ' ': case '\t': case '\r': case '\n':
            continue;
        case '{': case '[':
            if (depth == BODY_DEPTH_MAX)
                return "nested too deeply";
            commas[++depth] = 0;
            break;
        case '}': case ']':
            depth -= depth > 0;
            break;
        case ',':
            if (++commas[depth] == BODY_ENTRIES_MAX)
                return "too many entries in one object or list";
            break;
        case ':':
            break;
        case '"':
            end = string_end(text, length, *at);
            if (end - *at - 1 > BODY_STRING_MAX) {
                *at += 1 + BODY_STRING_MAX;
                return "a string is too long";
            }
            break;
        default:
            end = scalar_end(text, length, *at);
        }
        if (++tokens > BODY_TOKENS_MAX)
            return "too many values";
    }
    return NULL;
}

/* jansson's own texts quote the input. */
static const char *fault_text(const json_error_t *fault)
{
    switch (json_error_code(fault)) {
    case json_error_premature_end_of_input:
        return "the text ends too early";
    case json_error_end_of_input_expected:
        return "something follows the value";
    case json_error_duplicate_key:
        return "a key is given twice in one object";
    case json_error_numeric_overflow:
        return "a number does not fit into 64 bits";
    case json_error_invalid_utf8:
        return "not valid UTF-8";
    case json_error_null_character:
    case json_error_null_byte_in_key:
        return "U+0000 is not allowed";
    default:
        return "invalid syntax";
    }
}

static bool refuse(unsigned line, unsigned column, const char *why, struct error *err)
{
    return error_set_at(err, ERROR_BAD_REQUEST, line, column,
                        "failed to parse JSON: line %u, column %u: %s", line, column, why);
}

/* Lines and columns count from 1, columns in characters, as jansson's do. */
static bool refuse_at(const char *text, size_t at, const char *why, struct error *err)
{
    unsigned line = 1, column = 0;

    for (size_t i = 0; i <= at; i++) {
        bool begins = i > 0 && text[i - 1] == '\n';
        line += begins;
        column = (begins ? 0 : column) + (((unsigned char)text[i] & 0xC0) != 0x80);
    }
    return refuse(line, column, why, err);
}

bool body_parse(json_t **out, const char *text, size_t length, struct error *err)
{
    json_error_t fault;
    size_t at;
    const char *beyond = beyond_limit(text, length, &at);

    *out = NULL;
    if (beyond)
        return refuse_at(text, at, beyond, err);
    at = find_nul(text, length);
    if (at < length)
        return refuse_at(text, at, "U+0000 is not allowed", err);
    *out = json_loadb(text, length, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &fault);
    if (*out)
        return true;
    if (json_error_code(&fault) == json_error_out_of_memory)
        return error_exhausted(err);
    return refuse((unsigned)fault.line, (unsigned)fault.column, fault_text(&fault), err);
}
