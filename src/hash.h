/* SPDX-License-Identifier: MIT
 *
 * SipHash-2-4 (Aumasson and Bernstein, 2012): a hash for tables whose keys clients choose. Without
 * the seed nobody makes many keys that collide. Not for secrets: secret.h.
 */
#ifndef HASH_H
#define HASH_H

#include <stddef.h>
#include <stdint.h>

struct hash_seed {
    uint64_t low, high;
};

uint64_t hash_bytes(const struct hash_seed *seed, const void *bytes, size_t length);

#endif
