/* SPDX-License-Identifier: MIT */
#include "base64.h"

#include <openssl/evp.h>

#include <limits.h>
#include <string.h>

bool base64_decode_text(char *out, const char *text)
{
    size_t length = strcspn(text, "=");
    size_t padding = strlen(text) - length;
    int size;

    /* EVP_DecodeBlock passes over blanks at both ends, and takes padding for zeros. */
    if (length == 0 || (length + padding) % 4 != 0 || padding > 2 || length > INT_MAX / 2 ||
        strspn(text + length, "=") != padding || strpbrk(text, " \t\r\n"))
        return false;
    size = EVP_DecodeBlock((unsigned char *)out, (const unsigned char *)text,
                           (int)(length + padding));
    if (size < (int)padding)
        return false;
    out[(size_t)size - padding] = '\0';
    return strlen(out) == (size_t)size - padding;
}
