/* SPDX-License-Identifier: MIT */
#include "secret.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rand.h>

#include <limits.h>
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* libcrypto takes four times as long to make a context as to use one again, and a context serves
 * one thread at a time: those that nobody uses just now wait here for the next to come. */
struct secret_hmac {
    EVP_MAC_CTX *keyed; /* what new ones are copied from */
    pthread_mutex_t mutex; /* guards idle and count */
    EVP_MAC_CTX *idle[32];
    size_t count;
};

/* Looked up once: libcrypto would do so, under a lock, for each hash. */
static EVP_MD *sha256;

static void fetch_sha256(void)
{
    sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
}

bool secret_hash(unsigned char out[static SECRET_HASH_SIZE], const void *bytes, size_t length)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    unsigned int size = 0;

    pthread_once(&once, fetch_sha256);
    return sha256 && EVP_Digest(bytes, length, out, &size, sha256, NULL) == 1 &&
           size == SECRET_HASH_SIZE;
}

static void write_hex(char *out, const unsigned char hash[static SECRET_HASH_SIZE])
{
    static const char hexadecimal[] = "0123456789abcdef";

    for (size_t i = 0; i < SECRET_HASH_SIZE; i++) {
        *out++ = hexadecimal[hash[i] >> 4];
        *out++ = hexadecimal[hash[i] & 0xF];
    }
    *out = '\0';
}

bool secret_hash_text(char out[static SECRET_HASH_TEXT + 1], const void *bytes, size_t length)
{
    unsigned char hash[SECRET_HASH_SIZE];

    if (!secret_hash(hash, bytes, length))
        return false;
    write_hex(out, hash);
    return true;
}

struct secret_hmac *secret_hmac_new(const char *key)
{
    static char digest[] = "SHA256";
    const OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end(),
    };
    struct secret_hmac *hmac = calloc(1, sizeof *hmac);
    EVP_MAC *algorithm = EVP_MAC_fetch(NULL, OSSL_MAC_NAME_HMAC, NULL);

    if (hmac) {
        pthread_mutex_init(&hmac->mutex, NULL);
        hmac->keyed = EVP_MAC_CTX_new(algorithm);
    }
    EVP_MAC_free(algorithm);
    if (hmac && hmac->keyed &&
        EVP_MAC_init(hmac->keyed, (const unsigned char *)key, strlen(key), parameters) == 1)
        return hmac;
    secret_hmac_free(hmac);
    return NULL;
}

void secret_hmac_free(struct secret_hmac *hmac)
{
    if (!hmac)
        return;
    while (hmac->count > 0)
        EVP_MAC_CTX_free(hmac->idle[--hmac->count]);
    EVP_MAC_CTX_free(hmac->keyed);
    pthread_mutex_destroy(&hmac->mutex);
    free(hmac);
}

static EVP_MAC_CTX *take_context(struct secret_hmac *hmac)
{
    EVP_MAC_CTX *context = NULL;

    pthread_mutex_lock(&hmac->mutex);
    if (hmac->count > 0)
        context = hmac->idle[--hmac->count];
    pthread_mutex_unlock(&hmac->mutex);
    return context ? context : EVP_MAC_CTX_dup(hmac->keyed);
}

static void put_context(struct secret_hmac *hmac, EVP_MAC_CTX *context)
{
    pthread_mutex_lock(&hmac->mutex);
    bool kept = hmac->count < sizeof hmac->idle / sizeof *hmac->idle;
    if (kept)
        hmac->idle[hmac->count++] = context;
    pthread_mutex_unlock(&hmac->mutex);
    if (!kept)
        EVP_MAC_CTX_free(context);
}

bool secret_hmac_text(struct secret_hmac *hmac, char out[static SECRET_HMAC_TEXT + 1],
                      const void *bytes, size_t length)
{
    static const char prefix[] = "hmac-sha256:";
    unsigned char mac[SECRET_HASH_SIZE];
    size_t size = 0;
    EVP_MAC_CTX *context = take_context(hmac);

    if (!context)
        return false;
    bool good = EVP_MAC_init(context, NULL, 0, NULL) == 1 &&
                EVP_MAC_update(context, bytes, length) == 1 &&
                EVP_MAC_final(context, mac, &size, sizeof mac) == 1 && size == sizeof mac;
    put_context(hmac, context);
    memcpy(out, prefix, strlen(prefix));
    write_hex(out + strlen(prefix), mac);
    return good;
}

static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
static const char token_prefix[] = "hvs.";

/* count random base62 digits and a NUL. A byte above the last multiple of 62 is thrown away,
 * so that every digit is as likely as any other. */
static bool random_base62(char *out, size_t count)
{
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
    size_t prefix = strlen(token_prefix);

    memcpy(out, token_prefix, prefix);
    return random_base62(out + prefix, SECRET_TOKEN_TEXT - prefix);
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

enum { MASKED_MIN = 4 }; /* digits: what a token is cut to is as little to be shown as a whole one */

void secret_mask(char *text, size_t length)
{
    char *end = text + length, *found;
    size_t prefix = strlen(token_prefix);

    while ((found = memmem(text, (size_t)(end - text), token_prefix, prefix))) {
        text = found + prefix;
        size_t count = 0;
        while (text + count < end && memchr(digits, text[count], sizeof digits - 1))
            count++;
        if (count >= MASKED_MIN)
            memset(text, '*', count);
    }
}

/* OPENSSL_cleanse() does the same eight bytes at a time, and takes three times as long. */
void secret_wipe(void *memory, size_t size)
{
    explicit_bzero(memory, size);
}

void secret_free(void *memory)
{
    if (memory)
        secret_wipe(memory, malloc_usable_size(memory));
    free(memory);
}
