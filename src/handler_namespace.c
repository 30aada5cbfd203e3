/* SPDX-License-Identifier: MIT */
#include "handler_namespace.h"

#include "arena.h"
#include "field.h"
#include "handler.h"
#include "namespace_path.h"
#include "request.h"
#include "response.h"
#include "route.h"
#include "store_namespace.h"
#include "store_namespace_api.h"

#include <string.h>

static const char metadata_field[] = "custom_metadata";

static bool does_not_exist(const char *name, struct error *err)
{
    return error_set(err, ERROR_NOT_FOUND, "namespace \"%s/\" does not exist", name);
}

/* The name in the path, one segment; a slash behind it does not matter. NULL with *err. */
static const char *name_of(const struct call *call, struct error *err)
{
    const char *given = call->match->name;
    size_t length = strcspn(given, "/");
    const char *name = arena_strndup(call->arena, given, length);

    if (!name)
        error_exhausted(err);
    if (given[length] == '\0' || given[length + 1] == '\0')
        return name;
    error_set(err, ERROR_BAD_REQUEST, "name must not contain /");
    return NULL;
}

/* What PostgreSQL would say as well, and log the row with it. */
static bool check_name(const struct call *call, const char *name, struct error *err)
{
    const char *above = arena_join(call->arena, call->request->site, call->request->named);

    return above ? namespace_name_check(above, name, err) : error_exhausted(err);
}

bool handler_namespace_list(struct call *call, struct error *err)
{
    if (json_array_size(json_object_get(call->object.json, "keys")) == 0)
        return error_set(err, ERROR_NOT_FOUND, "%s", "");
    call->response->data = json_incref(call->object.json);
    return true;
}

bool handler_namespace_read(struct call *call, struct error *err)
{
    if (!name_of(call, err))
        return false;
    if (!call->object.json)
        return error_set(err, ERROR_NOT_FOUND, "%s", "");
    call->response->data = json_incref(call->object.json);
    return true;
}

bool handler_namespace_write(struct call *call, struct error *err)
{
    const char *name = name_of(call, err);
    json_auto_t *metadata = NULL;

    if (!name || !field_map(call->request->data, metadata_field, &metadata, err) ||
        !check_name(call, name, err) ||
        !store_namespace_check_metadata(metadata, err))
        return false;
    if (!store_namespace_api_put(call->db, call->credential, name, metadata,
                                 &call->response->data, err))
        return false;
    return call->response->data ||
           error_set(err, ERROR_NOT_FOUND, "the namespace above does not exist");
}

/* What of the body is a patch: an object of texts and nulls, or null. *patch is ours; nothing in
 * it: nothing was sent. */
static bool read_patch(const json_t *data, json_t **patch, struct error *err)
{
    const json_t *sent = json_object_get(data, metadata_field);
    json_auto_t *rest = json_deep_copy(data);
    json_t *texts = json_object_get(rest, metadata_field), *value;
    const char *key;
    void *next;

    if (!rest)
        return error_exhausted(err);
    if (json_is_null(sent)) {
        *patch = json_null();
        return true;
    }
    json_object_foreach_safe(texts, next, key, value)
    {
        if (json_is_null(value))
            json_object_del(texts, key);
    }
    if (!field_map(rest, metadata_field, patch, err))
        return false;
    if (!*patch)
        *patch = json_object();
    bool good = *patch != NULL;
    json_object_foreach((json_t *)sent, key, value)
    {
        if (json_is_null(value))
            good = good && json_object_set(*patch, key, value) == 0;
    }
    return good || error_exhausted(err);
}

bool handler_namespace_patch(struct call *call, struct error *err)
{
    const char *name = name_of(call, err);
    json_auto_t *patch = NULL;

    if (!name || !read_patch(call->request->data, &patch, err) ||
        !store_namespace_check_metadata(patch, err))
        return false;
    if (!store_namespace_api_patch(call->db, call->credential, name, patch,
                                   &call->response->data, err))
        return false;
    return call->response->data || does_not_exist(name, err);
}

bool handler_namespace_delete(struct call *call, struct error *err)
{
    const char *name = name_of(call, err);
    bool existed;

    if (!name || !store_namespace_api_delete(call->db, call->credential, name, &existed, err))
        return false;
    return existed || response_warn(call->response, err, "requested namespace does not exist");
}
