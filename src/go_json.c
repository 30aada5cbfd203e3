/* SPDX-License-Identifier: MIT */
#include "go_json.h"

#include "arena.h"
#include "secret.h"
#include "text.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* What jansson writes and Go escapes. None of it occurs outside of strings. */
static const struct {
    const char *from, *to;
} escapes[] = {
    {"<", "\\u003c"},
    {">", "\\u003e"},
    {"&", "\\u0026"},
    {"\xE2\x80\xA8", "\\u2028"},
    {"\xE2\x80\xA9", "\\u2029"},
};

/* Writes at out what the bytes at *from become, and moves *from behind them. */
static size_t respell(char *out, const char **from)
{
    size_t length = 1;

    if (**from == '\\') { /* \n, or \u001F, whose digits Go writes in lower case */
        length = (*from)[1] == 'u' ? 6 : 2;
        for (size_t i = 0; i < length; i++)
            out[i] = (char)(i < 2 ? (*from)[i] : tolower((unsigned char)(*from)[i]));
        *from += length;
        return length;
    }
    for (size_t i = 0; i < sizeof escapes / sizeof *escapes; i++) {
        if (text_starts_with(*from, escapes[i].from)) {
            *from += strlen(escapes[i].from);
            length = strlen(escapes[i].to);
            memcpy(out, escapes[i].to, length);
            return length;
        }
    }
    *out = *(*from)++;
    return 1;
}

size_t go_json_growth(const char *json, size_t length)
{
    size_t growth = 0;

    for (const char *c = json; c < json + length; c++)
        growth += *c == '<' || *c == '>' || *c == '&' || *c == '\xE2' ? 5 : 0;
    return growth;
}

size_t go_json_respell(char *out, const char *json, size_t length)
{
    const char *end = json + length;
    size_t used = 0;

    while (json < end) {
        const char *plain = json;
        while (json < end && *json != '\\' && *json != '<' && *json != '>' && *json != '&' &&
               *json != '\xE2')
            json++;
        memcpy(out + used, plain, (size_t)(json - plain));
        used += (size_t)(json - plain);
        if (json < end)
            used += respell(out + used, &json);
    }
    return used;
}

char *go_json(const json_t *value, struct arena *arena)
{
    char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);

    if (!text)
        return NULL;
    size_t length = strlen(text);
    char *out = arena_alloc(arena, length + go_json_growth(text, length) + 1);
    if (out)
        go_json_respell(out, text, length);
    secret_free(text); /* perhaps a token */
    return out;
}
