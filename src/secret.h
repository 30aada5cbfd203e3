/* SPDX-License-Identifier: MIT
 *
 * Tokens, their hashes and random identifiers. The one module that uses libcrypto.
 */
#ifndef SECRET_H
#define SECRET_H

#include <stdbool.h>
#include <stddef.h>

enum {
    SECRET_HASH_SIZE = 32,    /* bytes of a SHA-256 */
    SECRET_HASH_TEXT = 64,    /* characters of it in hexadecimal */
    SECRET_TOKEN_TEXT = 28,   /* characters of a token: "hvs." and 24 base62 digits, as Vault's */
    SECRET_ACCESSOR_TEXT = 24,
    SECRET_UUID_TEXT = 36,
};

/* SHA-256 of bytes[length]. False: libcrypto failed; out is not to be used. */
bool secret_hash(unsigned char out[static SECRET_HASH_SIZE], const void *bytes, size_t length)
    __attribute__((warn_unused_result));

/* The same, in lower-case hexadecimal with a NUL. */
bool secret_hash_text(char out[static SECRET_HASH_TEXT + 1], const void *bytes, size_t length)
    __attribute__((warn_unused_result));

/* HMAC-SHA256 under one key. Any number of threads may use one at once. */
struct secret_hmac; /* opaque */

/* The key is copied. NULL: libcrypto failed, or no memory. Ours: secret_hmac_free. */
struct secret_hmac *secret_hmac_new(const char *key) __attribute__((warn_unused_result));
void secret_hmac_free(struct secret_hmac *hmac); /* NULL is fine */

enum { SECRET_HMAC_TEXT = 12 + SECRET_HASH_TEXT };

/* "hmac-sha256:" and the HMAC of bytes[length] in lower-case hexadecimal, with a NUL, as Vault
 * writes it. False: libcrypto failed; out is not to be used. */
bool secret_hmac_text(struct secret_hmac *hmac, char out[static SECRET_HMAC_TEXT + 1],
                      const void *bytes, size_t length) __attribute__((warn_unused_result));

/* A new token, a new accessor, a new identifier in the shape of a UUID (8-4-4-4-12 lower-case
 * hexadecimal digits, all random, as Vault's request ids), from the system's random source.
 * False: the source failed; out is not to be used. */
bool secret_token(char out[static SECRET_TOKEN_TEXT + 1]) __attribute__((warn_unused_result));
bool secret_accessor(char out[static SECRET_ACCESSOR_TEXT + 1])
    __attribute__((warn_unused_result));
bool secret_uuid(char out[static SECRET_UUID_TEXT + 1]) __attribute__((warn_unused_result));

/* Random bytes, from the same source. False: it failed. */
bool secret_random(void *out, size_t size) __attribute__((warn_unused_result));

/* Puts asterisks for the digits of whatever begins as a token does, be it cut: for texts that are
 * written where a client may have put one by mistake, in a path or for a name. */
void secret_mask(char *text, size_t length);

/* Overwrites memory in a way that the compiler does not leave out. */
void secret_wipe(void *memory, size_t size);

/* free(3), and nothing is left of what was there. NULL is fine. */
void secret_free(void *memory);

#endif
