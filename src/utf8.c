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
        size_t length = utf8_sequence(text, left);
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
