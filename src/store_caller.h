/* SPDX-License-Identifier: MIT
 *
 * Who asks, and what a route is about: from memory, or from PostgreSQL in one statement and so
 * of one moment. What every statement of the worker begins with. Tokens themselves:
 * store_token.h, store_token_api.h.
 *
 * From memory comes only a whole: the caller with the policies, and the object if there is one.
 * What is not there or would be a refusal is never said from memory; a token whose uses are
 * counted is never in it.
 */
#ifndef STORE_CALLER_H
#define STORE_CALLER_H

#include "cache.h"
#include "db.h"
#include "error.h"
#include "policy.h"
#include "secret.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct arena;
struct cache_view;
struct object;
struct policy_set;
struct source;

/* What a request shows for itself, and the memory that may answer it. Every statement of the
 * worker begins with the former, as the arguments of runtime_catalog.authenticate(): $1 to $6. */
struct credential {
    unsigned char hash[SECRET_HASH_SIZE]; /* of the token */
    const char *site;                     /* struct request's members, borrowed */
    const char *named;
    const char *address;
    const char *request_id;
    bool is_free; /* the path is open, so that asking costs none of the token's uses */

    struct cache *cache;
    bool asks_database;   /* whatever memory knows */
    int64_t namespace_id; /* authenticate(): of the namespace asked for; 0: none */
    const char *accessor; /* authenticate(): the token's */
};

enum { CREDENTIAL_PARAMETERS = 6 };

/* Fills parameters[CREDENTIAL_PARAMETERS] for a statement; spend: whether it takes one of the
 * token's uses, which the first statement of a request does. Values are borrowed. */
void credential_parameters(struct db_parameter parameters[static CREDENTIAL_PARAMETERS],
                           const struct credential *credential, bool spend);

/* What the audit log says of a caller besides. */
struct caller_facts {
    int64_t token_namespace_id;
    const char *display_name;
    const char *meta;  /* JSON; "": none */
    int64_t issued_at; /* seconds since 1970 */
    int64_t ttl;       /* seconds that it was issued for; 0: no end */
    int64_t uses_left; /* after this request; 0: none, or any number */
};

/* Who asks: what the database says of the credential. Strings live as long as this does. */
struct caller {
    bool known;                  /* false: no such token, or no longer; nothing else is set */
    bool address_allowed;        /* false: bound to other networks; nothing else is set */
    bool is_remembered;          /* all of it, and the object, came from memory */
    int64_t namespace_id;        /* of the namespace asked for, as far as the token reaches; 0: there
                                    is none */
    const char *accessor;
    const char *token_namespace; /* path of the token's namespace */
    const struct policy_set *policies;
    const char *below;           /* authorise(): the request's namespace, relative to the token's */
    bool sudo;                   /* authorise(): the rule for the path holds sudo */
    struct policy_sources grantors; /* authorise(): as in struct policy_decision */
    struct caller_facts facts;

    struct cache_entry *policies_entry, *entry; /* what the pointers above may lead into; ours */
};

void caller_fini(struct caller *caller);

/* What a route is about: JSON, or nothing. */
struct object {
    json_t *json;     /* ours; NULL: there is none, or it stands in text */
    const char *text; /* as go_json() spells it, not terminated; NULL: there is none */
    size_t length;    /* of text */
    struct source *source; /* instead of text, what comes in pieces; NULL: nothing does */

    struct cache_entry *entry; /* that text or source is in; NULL: the arena. Ours */
    void (*close)(struct source *source); /* NULL: the source holds nothing */
};

void object_fini(struct object *object);

/* Loads the caller and nothing else: for routes that need no object beforehand. False: the
 * storage failed, with *err. A caller who is not known is no failure. */
bool store_caller_load(struct db *db, const struct credential *credential, struct arena *arena,
                       struct caller *caller, struct error *err) __attribute__((warn_unused_result));

/* For the stores: the columns that every loading statement begins with, to be followed by
 * `, (…) AS object` and STORE_CALLER_FROM. */
#define STORE_CALLER_SELECT                                                                  \
    "SELECT caller.accessor,"                                                                \
    "       caller.token_namespace,"                                                         \
    "       caller.namespace_id,"                                                            \
    "       caller.address_allowed,"                                                         \
    "       caller.policies,"                                                                \
    "       caller.token_namespace_id,"                                                      \
    "       caller.line,"                                                                    \
    "       caller.ends_at,"                                                                 \
    "       caller.bound_cidrs,"                                                             \
    "       caller.display_name,"                                                            \
    "       caller.meta,"                                                                    \
    "       caller.issued_at,"                                                               \
    "       caller.ttl,"                                                                     \
    "       caller.uses_left,"                                                               \
    "       pg_postmaster_start_time()"
#define STORE_CALLER_FROM                                                                    \
    "  FROM runtime_catalog.authenticate($1, $2, $3, $4::inet, $5, $6::boolean) AS caller"

/* How the object of a load is called in memory, and of what it is made. */
struct store_object {
    enum cache_kind kind; /* CACHE_RUNTIME, CACHE_RUNTIMES, or one of the plugins' */
    const char *type;     /* NULL: of any */
    const char *name;     /* NULL: no single one */
    bool as_text;         /* as object.text, else as object.json */
    /* Where else it may be in memory: as object.text and object.entry. NULL: nowhere. */
    bool (*find)(const struct credential *credential, const struct cache_view *view,
                 const struct store_object *what, int64_t namespace_id, struct object *object);
};

/* Loads the caller and the object, from memory if both are there, else by a statement of that
 * shape, whose last column is the object. what NULL: the object is never kept. */
bool store_caller_load_with(struct db *db, const struct db_statement *statement,
                            const struct db_parameter parameters[],
                            const struct credential *credential, const struct store_object *what,
                            struct arena *arena, struct caller *caller, struct object *object,
                            struct error *err) __attribute__((warn_unused_result));

/* In parts, for a store that keeps its objects in a way of its own. */

/* The caller from memory, if the caller may be let in. */
bool store_caller_recall(const struct credential *credential, const struct cache_view *view,
                         struct caller *caller);

/* The caller from the result of such a statement, which was sent under that ticket. *keeps: whether what
 * else it says may be kept, as the caller is then. False with *err. */
bool store_caller_read(const struct credential *credential, uint64_t ticket,
                       const struct db_result *result, struct arena *arena,
                       struct caller *caller, bool *keeps, struct error *err)
    __attribute__((warn_unused_result));

/* The columns of such a statement from which on there are others: the object, and what follows. */
enum { STORE_CALLER_COLUMNS = 15 };

#endif
