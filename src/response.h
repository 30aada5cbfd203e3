/* SPDX-License-Identifier: MIT
 *
 * The one writer of output: Vault's envelope, its errors, its headers, in the spelling of Go's
 * encoding/json, byte for byte.
 */
#ifndef RESPONSE_H
#define RESPONSE_H

#include "error.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct arena;
struct request;

struct response {
    json_t *data;     /* NULL and no warnings: 204. Ours */
    json_t *warnings; /* NULL, or an array of strings. Ours */
    const char *mount_type;
    bool is_bare; /* data is the whole body: no envelope around it, no warnings */
};

void response_fini(struct response *response);

/* Where a response goes: a function, so that tests take it too. False: the peer is gone. */
struct output {
    bool (*write)(void *context, const char *bytes, size_t length);
    void *context;
};

/* Writes headers and body: the error if err->code is one, else the response. Returns the HTTP
 * status that was sent. */
unsigned response_send(const struct response *response, const struct request *request,
                       const struct error *err, struct arena *arena,
                       const struct output *output);

/* JSON as Go's encoding/json spells it: compact; <, >, & and U+2028, U+2029 escaped; escapes
 * with lower-case digits. In the arena, NULL: out of memory. */
char *response_go_json(const json_t *value, struct arena *arena)
    __attribute__((warn_unused_result));

#endif
