/* SPDX-License-Identifier: MIT */
#include "secret.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include <limits.h>
#include <stdio.h>
#include <string.h>

bool secret_hash(unsigned char out[static SECRET_HASH_SIZE], const void *bytes, size_t length)
{
    unsigned int size = 0;

    return EVP_Digest(bytes, length, out, &size, EVP_sha256(), NULL) == 1 &&
           size == SECRET_HASH_SIZE;
}

bool secret_hash_text(char out[static SECRET_HASH_TEXT + 1], const void *bytes, size_t length)
{
    unsigned char hash[SECRET_HASH_SIZE];

    if (!secret_hash(hash, bytes, length))
        return false;
    for (size_t i = 0; i < sizeof hash; i++)
        snprintf(out + 2 * i, 3, "%02x", hash[i]);
    return true;
}

/* count random base62 digits and a NUL. A byte above the last multiple of 62 is thrown away,
 * so that every digit is as likely as any other. */
static bool random_base62(char *out, size_t count)
{
    static const char digits[] =
        "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    unsigned char random[64];
    size_t done = 0;

    while (done < count) {
        if (RAND_bytes(random, (int)sizeof random) != 1)
            return false;
        for (size_t i = 0; i < sizeof random && done < count; i++) {
            if (random[i] < 62 * 4)
                out[done++] = digits[random[i] % 62];
        }
    }
    out[done] = '\0';
    secret_wipe(random, sizeof random);
    return true;
}

bool secret_token(char out[static SECRET_TOKEN_TEXT + 1])
{
    memcpy(out, "hvs.", 4);
    return random_base62(out + 4, SECRET_TOKEN_TEXT - 4);
}

bool secret_accessor(char out[static SECRET_ACCESSOR_TEXT + 1])
{
    return random_base62(out, SECRET_ACCESSOR_TEXT);
}

bool secret_uuid(char out[static SECRET_UUID_TEXT + 1])
{
    unsigned char r[16];

    if (RAND_bytes(r, (int)sizeof r) != 1)
        return false;
    snprintf(out, SECRET_UUID_TEXT + 1,
             "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", r[0], r[1],
             r[2], r[3], r[4], r[5], r[6], r[7], r[8], r[9], r[10], r[11], r[12], r[13], r[14],
             r[15]);
    return true;
}

bool secret_random(void *out, size_t size)
{
    return size <= INT_MAX && RAND_bytes(out, (int)size) == 1;
}

void secret_wipe(void *memory, size_t size)
{
    OPENSSL_cleanse(memory, size);
}
