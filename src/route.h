/* SPDX-License-Identifier: MIT
 *
 * The table of paths: which operations each has, what they load, who handles them, which
 * parameters they know; and the table of paths that need sudo. Data and the search in it; pure.
 */
#ifndef ROUTE_H
#define ROUTE_H

#include "error.h"
#include "operation.h"

#include <jansson.h>
#include <stdbool.h>

struct arena;
struct call;
struct caller;
struct credential;
struct db;
struct object;

/* Finds the caller and what the operation is about, in one statement. */
typedef bool load_function(struct db *db, const struct credential *credential, const char *type,
                           const char *name, struct arena *arena, struct caller *caller,
                           struct object *object, struct error *err);

/* Validates, stores, answers. */
typedef bool handler_function(struct call *call, struct error *err);

struct route_operation {
    handler_function *handler; /* NULL: the path has no such operation */
    load_function *load;       /* NULL: the caller alone is loaded */
};

struct route_field {
    const char *name; /* of a parameter, in the path, query or body */
    const char *type;
    const char *help;
};

/* Whom a route lets in. */
enum route_access {
    ROUTE_BY_POLICY = 0,   /* who has a token whose policies allow it */
    ROUTE_BY_TOKEN,        /* who has a token, whatever its policies */
    ROUTE_BY_TOKEN_IF_ANY, /* anybody, but a token that is sent must be one */
    ROUTE_TO_ANYBODY,      /* anybody; nobody looks for a token */
};

struct route {
    const char *path;       /* segments; {type}, {plugin_type} and {name} stand for one each,
                               {rest} as the last for all that are left, its slashes included */
    const char *help;
    const struct route_field *fields; /* of all operations; the last one has no name */
    bool optional_slash;    /* whether the path may end in a slash */
    const char *mount_type; /* the envelope's */
    bool names_policy;      /* {rest} is a policy's name, which has many spellings */
    enum route_access access;
    bool shows_metrics;     /* to anybody, where the configuration says so */
    struct route_operation operations[OPERATION_MAX];
};

/* What a path leads to. A path that leads nowhere has a match too, because nobody learns that
 * before authorise() has let them. */
struct match {
    const struct route *route; /* NULL: no row has the path */
    const char *type;          /* what {type} or {plugin_type} stands for, or NULL; in the arena */
    const char *name;          /* what {name} or {rest} stands for, or NULL; in the arena */
    bool sudo;                 /* the request needs sudo besides the operation's capability */
    enum operation operation;
};

/* All rows, for who shows them, or counts by them. */
const struct route *route_rows(size_t *count);
size_t route_number(const struct route *route); /* METRICS_NO_ROUTE for NULL */

/* Looks a path up. False: out of memory, with *err. */
bool route_find(struct match *match, const char *path, enum operation operation,
                struct arena *arena, struct error *err) __attribute__((warn_unused_result));

/* The operation that was found; every route has OPERATION_HELP. NULL with *err: the path leads
 * nowhere (404) or has no such operation (405). */
const struct route_operation *route_check(const struct match *match, const char *path,
                                          struct error *err);

/* Whether nobody looks for a token, nor records the request. */
bool route_is_open(const struct match *match, bool metrics_to_anybody);

/* Vault's warnings about a request's data, for a response that has something to say: parameters
 * that the route does not know, and those that its path has already. They are added to
 * *warnings, an array or NULL. False: out of memory, with *err. */
bool route_warn(const struct match *match, const json_t *data, json_t **warnings,
                struct arena *arena, struct error *err) __attribute__((warn_unused_result));

#endif
