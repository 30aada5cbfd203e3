/* SPDX-License-Identifier: MIT */
#include "json_text.h"

#include "secret.h"
#include "text.h"
#include "utf8.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_SIZE = 2048 };

/* To a larger place. A token may stand in it, by a client's mistake: nothing is left at the old one. */
static bool move(struct json_text *text, size_t size)
{
    char *bytes = malloc(size);

    if (!bytes)
        return false;
    if (text->used > 0)
        memcpy(bytes, text->bytes, text->used);
    secret_free(text->bytes);
    text->bytes = bytes;
    text->size = size;
    return true;
}

/* Room for more bytes behind those that there are; NULL: there is none. */
static char *reserve(struct json_text *text, size_t more)
{
    size_t size = text->size ? text->size : FIRST_SIZE;

    while (size - text->used < more && size <= SIZE_MAX / 2)
        size *= 2;
    if (!text->failed && size > text->size)
        text->failed = !move(text, size);
    return text->failed ? NULL : text->bytes + text->used;
}

static void put(struct json_text *text, const char *bytes, size_t length)
{
    char *out = reserve(text, length);

    if (!out)
        return;
    memcpy(out, bytes, length);
    text->used += length;
}

/* Before a value or a name: a comma, unless it is the first, or has its name in front. */
static void separate(struct json_text *text)
{
    if (text->used > 0 && !strchr("{[:", text->bytes[text->used - 1]))
        put(text, ",", 1);
}

void json_text_raw(struct json_text *text, const char *json, size_t length)
{
    separate(text);
    put(text, json, length);
}

void json_text_open(struct json_text *text, char bracket)
{
    separate(text);
    put(text, &bracket, 1);
}

void json_text_close(struct json_text *text, char bracket)
{
    put(text, &bracket, 1);
}

/* How many bytes stand for themselves. */
static size_t plain(const char *value)
{
    size_t length = 0;

    while (value[length] >= 0x20 && value[length] < 0x7F && value[length] != '"' &&
           value[length] != '\\')
        length++;
    return length;
}

static void put_quoted(struct json_text *text, const char *value)
{
    size_t left = strlen(value);
    char escaped[UTF8_ESCAPED_MAX];

    put(text, "\"", 1);
    while (left > 0) {
        size_t length = plain(value);
        put(text, value, length);
        value += length;
        left -= length;
        if (left == 0)
            break;
        if (*value == '"' || *value == '\\')
            put(text, "\\", 1);
        length = utf8_escape(escaped, &value, &left);
        put(text, escaped, length);
    }
    put(text, "\"", 1);
}

void json_text_name(struct json_text *text, const char *name)
{
    separate(text);
    put_quoted(text, name);
    put(text, ":", 1);
}

void json_text_string(struct json_text *text, const char *value)
{
    separate(text);
    put_quoted(text, value);
}

void json_text_integer(struct json_text *text, int64_t value)
{
    char digits[24];

    text_format(digits, sizeof digits, "%" PRId64, value);
    json_text_raw(text, digits, strlen(digits));
}

void json_text_real(struct json_text *text, double value)
{
    char digits[32];

    text_format(digits, sizeof digits, "%.17g", value);
    json_text_raw(text, digits, strlen(digits));
}

void json_text_boolean(struct json_text *text, bool value)
{
    json_text_raw(text, value ? "true" : "false", value ? 4 : 5);
}

void json_text_string_member(struct json_text *text, const char *name, const char *value)
{
    if (!value || !*value)
        return;
    json_text_name(text, name);
    json_text_string(text, value);
}

void json_text_integer_member(struct json_text *text, const char *name, int64_t value)
{
    if (value == 0)
        return;
    json_text_name(text, name);
    json_text_integer(text, value);
}

void json_text_end_line(struct json_text *text)
{
    put(text, "\n", 1);
}

void json_text_fini(struct json_text *text)
{
    secret_free(text->bytes);
    *text = (struct json_text){.bytes = NULL};
}
