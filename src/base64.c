/* SPDX-License-Identifier: MIT */
#include "base64.h"

#include <openssl/evp.h>

#include <string.h>

/* The next four characters, or what is left. Go passes over line ends, wherever they are. */
static size_t take_group(unsigned char group[static 4], const char **text)
{
    size_t length = 0;

    for (; **text && length < 4; (*text)++) {
        if (!strchr("\r\n", **text))
            group[length++] = (unsigned char)**text;
    }
    return length;
}

bool base64_decode_text(char *out, const char *text)
{
    unsigned char group[4], bytes[3];
    size_t length, count = sizeof bytes;
    const char *start = out;

    while ((length = take_group(group, &text)) > 0) {
        if (length != sizeof group || count < sizeof bytes) /* nothing follows padding */
            return false;
        count -= group[3] == '=';
        count -= group[3] == '=' && group[2] == '=';
        /* EVP_DecodeBlock takes padding for zeros, wherever it is. */
        if (memchr(group, '=', count + 1) ||
            EVP_DecodeBlock(bytes, group, sizeof group) != sizeof bytes ||
            memchr(bytes, '\0', count))
            return false;
        memcpy(out, bytes, count);
        out += count;
    }
    *out = '\0';
    return out > start;
}
