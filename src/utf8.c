/* SPDX-License-Identifier: MIT */
#include "utf8.h"

#include <string.h>

/* The rows of RFC 3629, section 4: which second byte each first byte allows. */
static const struct {
    unsigned char first_low, first_high, second_low, second_high;
    size_t length;
} sequences[] = {
    {0x00, 0x7F, 0, 0, 1},       {0xC2, 0xDF, 0x80, 0xBF, 2}, {0xE0, 0xE0, 0xA0, 0xBF, 3},
    {0xE1, 0xEC, 0x80, 0xBF, 3}, {0xED, 0xED, 0x80, 0x9F, 3}, {0xEE, 0xEF, 0x80, 0xBF, 3},
    {0xF0, 0xF0, 0x90, 0xBF, 4}, {0xF1, 0xF3, 0x80, 0xBF, 4}, {0xF4, 0xF4, 0x80, 0x8F, 4},
};

size_t utf8_sequence(const char *text, size_t length)
{
    const unsigned char *bytes = (const unsigned char *)text;

    if (length == 0)
        return 0;
    for (size_t i = 0; i < sizeof sequences / sizeof *sequences; i++) {
        if (bytes[0] < sequences[i].first_low || bytes[0] > sequences[i].first_high)
            continue;
        size_t wanted = sequences[i].length;
        if (wanted == 1)
            return 1;
        if (length < wanted || bytes[1] < sequences[i].second_low ||
            bytes[1] > sequences[i].second_high)
            return 0;
        for (size_t k = 2; k < wanted; k++) {
            if ((bytes[k] & 0xC0) != 0x80)
                return 0;
        }
        return wanted;
    }
    return 0;
}

bool utf8_valid(const char *text)
{
    size_t left = strlen(text);

    while (left > 0) {
        size_t length = (unsigned char)*text < 0x80 ? 1 : utf8_sequence(text, left);
        if (length == 0)
            return false;
        text += length;
        left -= length;
    }
    return true;
}

size_t utf8_encode(uint32_t c, char *out)
{
    static const unsigned char marks[] = {0, 0, 0xC0, 0xE0, 0xF0}; /* by length */
    size_t length = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;

    for (size_t i = length - 1; i > 0; i--, c >>= 6)
        out[i] = (char)(0x80 | (c & 0x3F));
    out[0] = (char)(marks[length] | c);
    return length;
}

/* Unicode 15: the ranges of the categories that utf8.h names. */
static const struct {
    uint32_t low, high;
} unprintable[] = {
    {0x0000, 0x001F},   {0x007F, 0x00A0},   {0x00AD, 0x00AD},   {0x0600, 0x0605},
    {0x061C, 0x061C},   {0x06DD, 0x06DD},   {0x070F, 0x070F},   {0x0890, 0x0891},
    {0x08E2, 0x08E2},   {0x1680, 0x1680},   {0x180E, 0x180E},   {0x2000, 0x200F},
    {0x2028, 0x202F},   {0x205F, 0x2064},   {0x2066, 0x206F},   {0x3000, 0x3000},
    {0xE000, 0xF8FF},   {0xFEFF, 0xFEFF},   {0xFFF9, 0xFFFB},   {0x110BD, 0x110BD},
    {0x110CD, 0x110CD}, {0x13430, 0x13438}, {0x1BCA0, 0x1BCA3}, {0x1D173, 0x1D17A},
    {0xE0001, 0xE0001}, {0xE0020, 0xE007F}, {0xF0000, 0xFFFFD}, {0x100000, 0x10FFFD},
};

/* The code point at the start of a valid sequence of that length. */
static uint32_t decode(const char *text, size_t length)
{
    static const unsigned char masks[] = {0, 0x7F, 0x1F, 0x0F, 0x07}; /* by length */
    uint32_t c = (unsigned char)text[0] & masks[length];

    for (size_t i = 1; i < length; i++)
        c = c << 6 | ((unsigned char)text[i] & 0x3F);
    return c;
}

static bool shows(uint32_t c)
{
    for (size_t i = 0; i < sizeof unprintable / sizeof *unprintable; i++) {
        if (c >= unprintable[i].low && c <= unprintable[i].high)
            return false;
    }
    return true;
}

bool utf8_printable(const char *text)
{
    size_t left = strlen(text), length;

    for (; left > 0; text += length, left -= length) {
        length = 1;
        if (*text >= 0x20 && *text < 0x7F)
            continue;
        length = utf8_sequence(text, left);
        if (!shows(length > 0 ? decode(text, length) : 0))
            return false;
    }
    return true;
}

static size_t escape_unit(char *out, uint32_t unit)
{
    static const char digits[] = "0123456789abcdef";

    out[0] = '\\';
    out[1] = 'u';
    for (int i = 0; i < 4; i++)
        out[2 + i] = digits[unit >> (12 - 4 * i) & 0xF];
    return 6;
}

size_t utf8_escape(char out[static UTF8_ESCAPED_MAX], const char **text, size_t *left)
{
    const char *from = *text;
    size_t length = utf8_sequence(from, *left);
    uint32_t c = length > 0 ? decode(from, length) : 0xFFFD;

    *text += length > 0 ? length : 1;
    *left -= length > 0 ? length : 1;
    if (length > 0 && ((c >= 0x20 && c < 0x7F) || shows(c))) {
        memcpy(out, from, length);
        return length;
    }
    if (c < 0x10000)
        return escape_unit(out, c);
    escape_unit(out, 0xD800 + ((c - 0x10000) >> 10));
    return 6 + escape_unit(out + 6, 0xDC00 + ((c - 0x10000) & 0x3FF));
}
