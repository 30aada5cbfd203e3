/* SPDX-License-Identifier: MIT
 *
 * From FastCGI parameters and a body to one parsed request. Every limit on what a client may
 * send is checked here, and everything that can be refused without knowing who asks.
 *
 * Not for: whether the path leads anywhere (route.c), or may be asked for (authorise.c).
 */
#ifndef REQUEST_H
#define REQUEST_H

#include "error.h"
#include "operation.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct arena;

/* The FastCGI parameters that are read, and the member of struct parameters each goes to.
 * nginx/snippets/params.conf sends exactly these; HTTP_… are headers, which nginx sends by
 * itself. A header given twice is refused: which one counts must not be a matter of taste. */
#define REQUEST_PARAMETERS(X)                                                                \
    X(REQUEST_METHOD, method)                                                                \
    X(REQUEST_URI, uri)                                                                      \
    X(DOCUMENT_URI, document_uri)                                                            \
    X(CONTENT_TYPE, content_type)                                                            \
    X(CONTENT_LENGTH, content_length)                                                        \
    X(REMOTE_ADDR, remote_address)                                                           \
    X(REMOTE_PORT, remote_port)                                                              \
    X(REQUEST_ID, request_id)                                                                \
    X(RUNTIME_CATALOG_NAMESPACE, site)                                                       \
    X(HTTP_X_VAULT_TOKEN, token)                                                             \
    X(HTTP_AUTHORIZATION, authorization)                                                     \
    X(HTTP_X_VAULT_NAMESPACE, namespace)                                                     \
    X(HTTP_X_VAULT_WRAP_TTL, wrap_ttl)                                                       \
    X(HTTP_X_VAULT_POLICY_OVERRIDE, policy_override)                                         \
    X(HTTP_X_VAULT_RECOVER_SNAPSHOT_ID, recover_snapshot_id)

/* Headers of which any number may come and the first of a name counts. Only the form of an answer
 * depends on the last two; the others go to the audit log as they are. */
#define REQUEST_LOOSE_HEADERS(X)                                                             \
    X(HTTP_USER_AGENT, user_agent)                                                           \
    X(HTTP_CORRELATION_ID, correlation_id)                                                   \
    X(HTTP_X_CORRELATION_ID, x_correlation_id)                                               \
    X(HTTP_ACCEPT, accept)                                                                   \
    X(HTTP_IF_NONE_MATCH, if_none_match)

struct parameters { /* as sent; NULL: not sent */
#define X(name, member) const char *member;
    REQUEST_PARAMETERS(X)
    REQUEST_LOOSE_HEADERS(X)
#undef X
};

/* Where a request comes from: a struct of functions, so that tests feed it too. */
struct input {
    char *const *environment; /* NAME=value, NULL at the end; alive until request_fini */
    /* Reads up to size bytes of the body; fewer: the body has ended. */
    size_t (*read)(void *context, char *buffer, size_t size);
    void *context;
};

enum {
    REQUEST_TOKEN_MAX = 8192,    /* bytes, as Vault 2.1 */
    REQUEST_PATH_MAX = 4096,     /* bytes, as sent */
    REQUEST_ID_SIZE = 37, /* a UUID's text and its NUL */
};

struct request {
    struct parameters parameters;
    char id[REQUEST_ID_SIZE]; /* nginx's $request_id in the shape of a UUID, or a new one */
    enum operation operation; /* OPERATION_NONE for HEAD and OPTIONS; OPERATION_HELP whatever
                                 the method, if ?help= is not empty */
    const char *path;         /* what follows /v1/ and the namespace there, decoded once; a
                                 list's ends in a slash */
    json_t *data;             /* an object, never NULL: the query of a read, list or delete, the
                                 body of a write, nothing for help. Ours */
    const char *token;        /* NULL: none was sent */
    const char *site;         /* path of the namespace that the site is fixed to; "": none */
    const char *named;        /* path, below site, of the namespace that X-Vault-Namespace and
                                 behind it the path name; "": none */
    const char *address;      /* the client's IP address; NULL: not known */
};

/* Parses. max_size is the most bytes that a body may have. False with *err; request->id is
 * set even then, and request_fini is due in any case. Strings are borrowed from the input or
 * live in the arena. The body is read to its end, or the rest is left to the server. */
bool request_parse(struct request *request, const struct input *input, size_t max_size,
                   struct arena *arena, struct error *err)
    __attribute__((warn_unused_result));
/* Whether nginx, a log and a policy would all read the path, without the slash in front, alike: no
 * empty segment, no "." and "..". One slash at the end is fine. */
bool request_path_is_canonical(const char *path);

void request_fini(struct request *request);

#endif
