/* SPDX-License-Identifier: MIT */
#include "etag.h"

#include "text.h"

#include <stddef.h>
#include <string.h>

/* What weak tags are compared by. */
static const char *opaque_part(const char *tag)
{
    return text_starts_with(tag, "W/") ? tag + 2 : tag;
}

static const char *skip_blanks(const char *text)
{
    return text + strspn(text, " \t");
}

/* The length of a quoted text at the beginning; 0: there is none. */
static size_t quoted_length(const char *text)
{
    const unsigned char *c = (const unsigned char *)text;

    if (*c++ != '"')
        return 0;
    while (*c == 0x21 || (*c >= 0x23 && *c != 0x7F))
        c++;
    return *c == '"' ? (size_t)((const char *)c + 1 - text) : 0;
}

bool etag_is_named(const char *if_none_match, const char *tag)
{
    const char *wanted = opaque_part(tag), *next = if_none_match;
    bool named = false;

    if (!next)
        return false;
    next = skip_blanks(next);
    if (*next == '*')
        return !*skip_blanks(next + 1);
    while (*next) {
        const char *one = opaque_part(next);
        size_t length = quoted_length(one);
        if (length == 0 && *next != ',') /* an element of a list may be empty */
            return false;
        named = named || (length > 0 && length == strlen(wanted) &&
                          memcmp(one, wanted, length) == 0);
        next = skip_blanks(length > 0 ? one + length : next);
        if (*next && *next != ',')
            return false;
        next = *next ? skip_blanks(next + 1) : next;
    }
    return named;
}
