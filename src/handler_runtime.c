/* SPDX-License-Identifier: MIT */
#include "handler_runtime.h"

#include "field.h"
#include "handler.h"
#include "request.h"
#include "response.h"
#include "route.h"
#include "store_runtime.h"
#include "store_caller.h"
#include "text.h"

#include <string.h>

static const char default_oci_runtime[] = "runsc"; /* gVisor's, as the API's page says */

enum {
    NAME_MAX_BYTES = 255,       /* runtime_name_check */
    TEXT_MAX_BYTES = 4096,      /* runtime_oci_runtime_check, runtime_cgroup_parent_check */
    DELETE_ATTEMPTS = 3,        /* see handler_runtime_delete */
};

/* Vault's storage refuses ".." inside a name, and so does runtime_name_check; a name of any
 * length passes Vault's pattern. */
static bool check_name(const char *name, struct error *err)
{
    if (strstr(name, ".."))
        return error_set(err, ERROR_BAD_REQUEST, "name: \"..\" is not allowed");
    if (strlen(name) > NAME_MAX_BYTES)
        return error_set(err, ERROR_BAD_REQUEST, "name: %d bytes at most", NAME_MAX_BYTES);
    return true;
}

/* With what was loaded, as it is. */
static bool answer(struct call *call)
{
    call->response->serialised = call->object.text;
    call->response->serialised_length = call->object.length;
    call->response->source = call->object.source;
    call->response->is_tagged = true;
    return true;
}

bool handler_runtime_read(struct call *call, struct error *err)
{
    if (!check_name(call->match->name, err))
        return false;
    if (!call->object.text)
        return error_set(err, ERROR_NOT_FOUND, "%s", "");
    return answer(call);
}

/* ?type=: absent, empty, or one of Vault's names; "unsupported" is one, and has no runtimes. */
static bool check_type_parameter(const json_t *data, struct error *err)
{
    const json_t *type = json_object_get(data, "type");
    const char *text = json_string_value(type);

    if (!type)
        return true;
    if (!text)
        return error_set(err, ERROR_BAD_REQUEST, "query parameter type: given more than once");
    if (!*text || strcmp(text, "container") == 0 || strcmp(text, "unsupported") == 0)
        return true;
    return error_set(err, ERROR_BAD_REQUEST, "\"%s\" is not a supported plugin runtime type",
                     text);
}

bool handler_runtime_list(struct call *call, struct error *err)
{
    return check_type_parameter(call->request->data, err) && answer(call);
}

static bool read_runtime(const struct call *call, struct runtime *runtime, struct error *err)
{
    const json_t *data = call->request->data;

    *runtime = (struct runtime){.type = call->match->type, .name = call->match->name};
    if (!check_name(runtime->name, err) ||
        !field_string(data, "oci_runtime", TEXT_MAX_BYTES, &runtime->oci_runtime, err) ||
        !field_string(data, "cgroup_parent", TEXT_MAX_BYTES, &runtime->cgroup_parent, err) ||
        !field_integer(data, "cpu_nanos", &runtime->cpu_nanos, err) ||
        !field_integer(data, "memory_bytes", &runtime->memory_bytes, err) ||
        !field_boolean(data, "rootless", &runtime->rootless, err))
        return false;
    if (!*runtime->oci_runtime)
        runtime->oci_runtime = default_oci_runtime;
    if (runtime->cpu_nanos < 0)
        return error_set(err, ERROR_BAD_REQUEST, "runtime cpu in nanos cannot be negative");
    if (runtime->memory_bytes < 0)
        return error_set(err, ERROR_BAD_REQUEST, "runtime memory in bytes cannot be negative");
    return true;
}

bool handler_runtime_register(struct call *call, struct error *err)
{
    struct runtime runtime;

    return read_runtime(call, &runtime, err) &&
           store_runtime_put(call->db, call->credential, &runtime, err);
}

/* Vault's sentence, and one more for the Terraform provider, which looks for "in use". */
static bool refuse_in_use(const char *name, const json_t *plugins, struct error *err)
{
    char names[ERROR_TEXT_MAX - 512];
    size_t used = 0, i;
    json_t *plugin;

    names[0] = '\0';
    json_array_foreach(plugins, i, plugin)
    {
        if (!text_format(names + used, sizeof names - used, "%s%s", i > 0 ? " " : "",
                         json_string_value(plugin)))
            break;
        used += strlen(names + used);
        if (sizeof names - used < 8)
            break;
    }
    return error_set(err, ERROR_IN_USE,
                     "unable to delete \"%s\" runtime. Registered plugins=[%s] are referencing "
                     "it. The runtime is still in use.",
                     name, names);
}

/* The foreign key decides, the names are for the message. Where there are none by the time that
 * they are asked for, nothing refuses any more, or something else does: trying again finds out. */
bool handler_runtime_delete(struct call *call, struct error *err)
{
    const char *type = call->match->type, *name = call->match->name;

    if (!check_name(name, err))
        return false;
    for (int attempt = 1; attempt <= DELETE_ATTEMPTS; attempt++) {
        json_auto_t *plugins = NULL;
        if (store_runtime_delete(call->db, call->credential, type, name, err))
            return true;
        if (err->code != ERROR_IN_USE ||
            !store_runtime_plugins(call->db, call->credential, type, name, &plugins, err))
            return false;
        refuse_in_use(name, plugins, err);
        if (json_array_size(plugins) > 0)
            return false;
    }
    return false;
}
