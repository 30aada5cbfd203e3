/* SPDX-License-Identifier: MIT */
#include "authenticate.h"

#include "request.h"
#include "route.h"
#include "store_caller.h"
#include "text.h"

#include <string.h>

static bool load(struct caller *caller, const struct credential *credential, struct object *object,
                 struct db *db, const struct match *match, const struct request *request,
                 struct arena *arena, struct error *err)
{
    load_function *load_object =
        match->route ? match->route->operations[match->operation].load : NULL;
    /* A list may be narrowed by ?type=; its handler judges the value. */
    const char *type = match->type
                           ? match->type
                           : json_string_value(json_object_get(request->data, "type"));

    if (!load_object)
        return store_caller_load(db, credential, arena, caller, err);
    return load_object(db, credential, type, match->name, arena, caller, object, err);
}

/* A token is good for its own namespace and those below; elsewhere it is one that nobody knows. It
 * is never of a namespace above the site's. */
static bool reaches(const struct caller *caller, const struct request *request)
{
    return text_starts_with(request->named, caller->token_namespace + strlen(request->site));
}

bool authenticate(struct caller *caller, struct credential *credential, struct object *object,
                  struct db *db, const struct match *match, const struct request *request,
                  struct arena *arena, struct error *err)
{
    *caller = (struct caller){.known = false};
    *object = (struct object){.json = NULL};
    *credential = (struct credential){
        .cache = credential->cache,
        .asks_database = credential->asks_database,
        .site = request->site,
        .named = request->named,
        .address = request->address,
        .request_id = request->id,
        .is_free = match->route && match->route->access != ROUTE_BY_POLICY,
    };
    if (!request->token)
        return error_set(err, ERROR_PERMISSION_DENIED, ERROR_TEXT_NO_TOKEN);
    if (!secret_hash(credential->hash, request->token, strlen(request->token)))
        return error_set(err, ERROR_INTERNAL, "internal error");
    if (!load(caller, credential, object, db, match, request, arena, err))
        return false;
    if (!caller->known)
        return error_set(err, ERROR_PERMISSION_DENIED, ERROR_TEXT_INVALID_TOKEN);
    if (!caller->address_allowed)
        return error_set(err, ERROR_PERMISSION_DENIED, ERROR_TEXT_NO_TOKEN);
    if (!reaches(caller, request)) {
        caller->known = false;
        return error_set(err, ERROR_PERMISSION_DENIED, ERROR_TEXT_INVALID_TOKEN);
    }
    credential->namespace_id = caller->namespace_id;
    credential->accessor = caller->accessor;
    return true;
}
