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

/* Data that comes piece by piece, each as go_json() spells it. */
struct source {
    size_t length; /* of all pieces together */
    size_t count;  /* of what it is a list of */
    const unsigned char *hash; /* of what they say, SECRET_HASH_SIZE bytes */
    /* The next piece, which lives until the one after it; *length 0: that was all. False: it has
     * broken off, with *err. */
    bool (*next)(struct source *source, const char **bytes, size_t *length, struct error *err);
    /* From the start again; NULL: it comes once. */
    void (*rewind)(struct source *source);
};

struct response {
    json_t *data;     /* NULL, no auth and no warnings: 204. Ours */
    const char *serialised; /* instead of data: the same as go_json() spells it. Borrowed */
    size_t serialised_length;
    struct source *source;  /* instead of data, likewise. Borrowed */
    json_t *auth;     /* a token that was created or renewed; NULL: none. Ours */
    json_t *warnings; /* NULL, or an array of strings. Ours */
    bool is_tagged; /* data says the same as long as nothing is changed: it goes out with an ETag, and
                       is not sent to who has it already */
    const char *mount_type;
    const char *content_type; /* of success; NULL: JSON */
    unsigned status; /* of success; 0: 200, or 204 if there is nothing to say */
    bool is_bare;    /* data, or what is serialised, is the whole body: no envelope around it, no
                        warnings */
    bool repeats;    /* the keys of data stand in front of the envelope as well, as in Vault's
                        oldest endpoints */
};

void response_fini(struct response *response);

/* Adds a warning. False: out of memory, with *err. */
bool response_warn(struct response *response, struct error *err, const char *format, ...)
    __attribute__((format(printf, 3, 4), warn_unused_result));

/* Whether there is nothing to say. */
bool response_is_empty(const struct response *response);

/* Where a response goes: a function, so that tests take it too. False: the peer is gone. */
struct output {
    bool (*write)(void *context, const char *bytes, size_t length);
    void (*break_off)(void *context); /* so that nobody takes what was written for the whole */
    void *context;
};

/* Writes headers and body: the error if err->code is one, else the response. Returns the HTTP
 * status that was sent. A source that breaks off breaks off the answer, with *err. */
unsigned response_send(const struct response *response, const struct request *request,
                       struct error *err, struct arena *arena,
                       const struct output *output);

#endif
