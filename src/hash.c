/* SPDX-License-Identifier: MIT */
#include "hash.h"


static uint64_t rotate(uint64_t word, unsigned bits)
{
    return word << bits | word >> (64 - bits);
}

static void mix(uint64_t v[static 4], unsigned rounds)
{
    while (rounds-- > 0) {
        v[0] += v[1];
        v[2] += v[3];
        v[1] = rotate(v[1], 13) ^ v[0];
        v[3] = rotate(v[3], 16) ^ v[2];
        v[0] = rotate(v[0], 32);
        v[2] += v[1];
        v[0] += v[3];
        v[1] = rotate(v[1], 17) ^ v[2];
        v[3] = rotate(v[3], 21) ^ v[0];
        v[2] = rotate(v[2], 32);
    }
}

/* Up to eight bytes, the first one lowest. */
static uint64_t read_word(const unsigned char *bytes, size_t length)
{
    uint64_t word = 0;

    for (size_t i = 0; i < length; i++)
        word |= (uint64_t)bytes[i] << (8 * i);
    return word;
}

uint64_t hash_bytes(const struct hash_seed *seed, const void *bytes, size_t length)
{
    const unsigned char *next = bytes;
    size_t rest = length % 8;
    uint64_t v[4] = {
        seed->low ^ UINT64_C(0x736f6d6570736575),
        seed->high ^ UINT64_C(0x646f72616e646f6d),
        seed->low ^ UINT64_C(0x6c7967656e657261),
        seed->high ^ UINT64_C(0x7465646279746573),
    };

    for (size_t left = length; left >= 8; left -= 8, next += 8) {
        uint64_t word = read_word(next, 8);
        v[3] ^= word;
        mix(v, 2);
        v[0] ^= word;
    }
    uint64_t last = (uint64_t)(length & 0xFF) << 56 | read_word(next, rest);
    v[3] ^= last;
    mix(v, 2);
    v[0] ^= last;
    v[2] ^= 0xFF;
    mix(v, 4);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}
