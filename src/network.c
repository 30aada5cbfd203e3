/* SPDX-License-Identifier: MIT */
#include "network.h"

#include "text.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

struct network {
    int family;
    unsigned char bytes[sizeof(struct in6_addr)];
    unsigned bits; /* that count */
};

static unsigned bits_of(int family)
{
    return family == AF_INET ? 32 : 128;
}

static bool read_address(struct network *network, const char *text)
{
    network->family = strchr(text, ':') ? AF_INET6 : AF_INET;
    network->bits = bits_of(network->family);
    return inet_pton(network->family, text, network->bytes) == 1;
}

/* "10.0.0.0/8"; without a slash it is one address. */
static bool read_network(struct network *network, const char *text, size_t length)
{
    char copy[INET6_ADDRSTRLEN + sizeof "/128"], *end = NULL;

    if (length >= sizeof copy)
        return false;
    text_format(copy, sizeof copy, "%.*s", (int)length, text);
    char *slash = strchr(copy, '/');
    if (slash)
        *slash = '\0';
    if (!read_address(network, copy))
        return false;
    unsigned long bits = slash ? strtoul(slash + 1, &end, 10) : network->bits;
    if (slash && (!text_is_digit(slash[1]) || *end || bits > network->bits))
        return false;
    network->bits = (unsigned)bits;
    return true;
}

static bool has(const struct network *network, const struct network *address)
{
    size_t whole = network->bits / 8;
    unsigned rest = network->bits % 8, mask = 0xFFu << (8 - rest) & 0xFF;

    return network->family == address->family &&
           memcmp(network->bytes, address->bytes, whole) == 0 &&
           (rest == 0 || ((network->bytes[whole] ^ address->bytes[whole]) & mask) == 0);
}

bool network_list_has(const char *list, const char *address)
{
    struct network network, client;

    if (!address || !read_address(&client, address) || *list != '{')
        return false;
    for (const char *next = list + 1; *next;) {
        size_t length = strcspn(next, ",}");
        if (read_network(&network, next, length) && has(&network, &client))
            return true;
        next += length + (next[length] != '\0');
    }
    return false;
}
