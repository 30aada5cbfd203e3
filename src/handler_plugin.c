/* SPDX-License-Identifier: MIT */
#include "handler_plugin.h"

#include "arena.h"
#include "field.h"
#include "handler.h"
#include "request.h"
#include "response.h"
#include "route.h"
#include "semver.h"
#include "store_plugin.h"
#include "text.h"

#include <stdlib.h>
#include <string.h>

enum {
    NAME_MAX_BYTES = 255,  /* runtime_name_check */
    TEXT_MAX_BYTES = 4096, /* plugin_command_check, plugin_oci_image_check */
};

static bool refuse(struct error *err, const char *text)
{
    return error_set(err, ERROR_BAD_REQUEST, "%s", text);
}

/* As for runtimes; what else a name may not be is plugin_name_check's. */
static bool check_name(const char *name, struct error *err)
{
    return !strstr(name, "..") || refuse(err, "name: \"..\" is not allowed");
}

/* --- lists */

static const char *text_of(const json_t *plugin, const char *key)
{
    return json_string_value(json_object_get(plugin, key));
}

/* By type, name and version; versions that are equal by precedence by their bytes. */
static int by_precedence(const void *left_item, const void *right_item)
{
    const json_t *left = *(const json_t *const *)left_item;
    const json_t *right = *(const json_t *const *)right_item;
    int order = strcmp(text_of(left, "type"), text_of(right, "type"));

    if (order == 0)
        order = strcmp(text_of(left, "name"), text_of(right, "name"));
    if (order == 0)
        order = semver_compare(text_of(left, "version"), text_of(right, "version"));
    return order != 0 ? order : strcmp(text_of(left, "version"), text_of(right, "version"));
}

/* A sorted copy. New; NULL with *err. */
static json_t *sort(const json_t *plugins, struct arena *arena, struct error *err)
{
    size_t count = json_array_size(plugins);
    json_t **items = arena_alloc(arena, (count + 1) * sizeof(json_t *));
    json_t *sorted = items ? json_array() : NULL;

    for (size_t i = 0; sorted && i < count; i++)
        items[i] = json_array_get(plugins, i);
    if (sorted)
        qsort(items, count, sizeof *items, by_precedence);
    for (size_t i = 0; sorted && i < count; i++) {
        if (json_array_append(sorted, items[i]) != 0) {
            json_decref(sorted);
            sorted = NULL;
        }
    }
    if (!sorted)
        error_exhausted(err);
    return sorted;
}

/* The names of a type's plugins that have no version. New; NULL: out of memory. */
static json_t *names_of(const json_t *plugins, const char *type)
{
    json_t *names = json_array(), *plugin;
    size_t i;
    bool good = names != NULL;

    json_array_foreach(plugins, i, plugin)
    {
        if (good && strcmp(text_of(plugin, "type"), type) == 0 && !*text_of(plugin, "version"))
            good = json_array_append(names, json_object_get(plugin, "name")) == 0;
    }
    if (good)
        return names;
    json_decref(names);
    return NULL;
}

bool handler_plugin_list(struct call *call, struct error *err)
{
    /* In the order of the answer's keys; all but one are types. */
    static const char *const keys[] = {"auth", "database", "detailed", "secret", "unknown"};
    json_auto_t *plugins = sort(call->object.json, call->arena, err);
    json_t *data = plugins ? json_object() : NULL;
    bool good = data != NULL;

    for (size_t i = 0; good && i < sizeof keys / sizeof *keys; i++) {
        json_auto_t *value = strcmp(keys[i], "detailed") == 0 ? json_incref(plugins)
                                                              : names_of(plugins, keys[i]);
        good = value && (json_array_size(value) == 0 || json_object_set(data, keys[i], value) == 0);
    }
    call->response->data = data;
    call->response->is_tagged = true;
    return good || error_exhausted(err);
}

bool handler_plugin_list_names(struct call *call, struct error *err)
{
    if (json_array_size(call->object.json) == 0)
        return error_set(err, ERROR_NOT_FOUND, "%s", "");
    call->response->data = json_pack("{s: O}", "keys", call->object.json);
    call->response->is_tagged = true;
    return call->response->data || error_exhausted(err);
}

/* --- what says which plugin is meant */

/* The type in the path, else in the data; "": in neither. */
static bool read_type(const struct call *call, const char **type, struct error *err)
{
    static const char *const types[] = {"", "auth", "database", "secret", "unknown"};

    *type = call->match->type;
    if (*type)
        return true;
    if (!field_string(call->request->data, "type", NAME_MAX_BYTES, type, err))
        return false;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        if (strcmp(*type, types[i]) == 0)
            return true;
    }
    return error_set(err, ERROR_BAD_REQUEST, "\"%s\" is not a supported plugin type", *type);
}

/* The version in its canonical form; "": not given. */
static bool read_version(const struct call *call, char version[static SEMVER_SIZE],
                         struct error *err)
{
    const char *text;

    version[0] = '\0';
    if (!field_string(call->request->data, "version", SEMVER_TEXT_MAX, &text, err))
        return false;
    return !*text || semver_canonical(version, text) ||
           error_set(err, ERROR_BAD_REQUEST,
                     "version \"%s\" is not a valid semantic version: must be like v1.2.3, "
                     "v1.2.3-rc1 or v1.2.3+build",
                     text);
}

bool handler_plugin_read(struct call *call, struct error *err)
{
    char version[SEMVER_SIZE];
    const char *type;

    if (!check_name(call->match->name, err) || !read_type(call, &type, err))
        return false;
    if (!*type)
        return response_warn(call->response, err,
                             "Deprecated API endpoint, cannot read plugin information from "
                             "catalog for \"%s\"",
                             call->match->name);
    if (!read_version(call, version, err))
        return false;
    call->response->data = json_incref(json_object_get(call->object.json, version));
    call->response->is_tagged = true;
    return call->response->data || error_set(err, ERROR_NOT_FOUND, "%s", "");
}

bool handler_plugin_delete(struct call *call, struct error *err)
{
    char version[SEMVER_SIZE];
    const char *type;

    if (!check_name(call->match->name, err) || !read_type(call, &type, err) ||
        !read_version(call, version, err))
        return false;
    if (semver_is_builtin(version))
        return error_set(err, ERROR_BAD_REQUEST, "version \"%s\" cannot be deleted", version);
    if (!*type) {
        type = "unknown";
        if (!response_warn(call->response, err,
                           "Deprecated API endpoint, cannot deregister plugin from catalog for "
                           "\"%s\"",
                           call->match->name))
            return false;
    }
    return store_plugin_delete(call->db, call->credential, type, call->match->name, version, err);
}

/* --- registration */

/* What the client sent, before it makes sense. */
struct form {
    const char *sha256, *command, *oci_image, *runtime;
    json_t *args, *env; /* ours */
    bool download;
};

static bool read_form(const json_t *data, struct form *form, struct error *err)
{
    const char *older;

    *form = (struct form){.args = NULL};
    if (!field_string(data, "sha256", TEXT_MAX_BYTES, &form->sha256, err) ||
        !field_string(data, "sha_256", TEXT_MAX_BYTES, &older, err) ||
        !field_string(data, "command", TEXT_MAX_BYTES, &form->command, err) ||
        !field_string(data, "oci_image", TEXT_MAX_BYTES, &form->oci_image, err) ||
        !field_string(data, "runtime", NAME_MAX_BYTES, &form->runtime, err) ||
        !field_boolean(data, "download", &form->download, err) ||
        !field_list(data, "args", &form->args, err) || !field_list(data, "env", &form->env, err))
        return false;
    if (!*form->sha256)
        form->sha256 = older;
    return true;
}

/* Vault's checks in Vault's order. */
static bool check_form(const struct form *form, const char *version, struct error *err)
{
    if (semver_is_builtin(version))
        return error_set(err, ERROR_BAD_REQUEST,
                         "version \"%s\" is not allowed because 'builtin' is a reserved metadata "
                         "identifier",
                         version);
    if (form->download)
        return refuse(err, "download is an enterprise only feature");
    if (!*form->sha256 && !*version)
        return refuse(err, "must provide at least one of sha256 or version: use sha256 for binary "
                           "registration (version optional) or version only for artifact "
                           "registration");
    if (*form->sha256 && !*form->command && !*form->oci_image)
        return refuse(err, "must provide at least one of command or oci_image");
    if (strchr(form->command, ' ') && json_array_size(form->args) > 0)
        return refuse(err, "must not specify args in command and args field");
    return true;
}

/* What stands behind a space is an argument. */
static bool split_command(const char **command, json_t *args, struct arena *arena,
                          struct error *err)
{
    const char *rest = *command + strcspn(*command, " ");

    *command = arena_strndup(arena, *command, (size_t)(rest - *command));
    bool good = *command != NULL;
    while (good && *rest) {
        size_t length = strcspn(++rest, " ");
        good = json_array_append_new(args, json_stringn(rest, length)) == 0;
        rest += length;
    }
    return good || error_exhausted(err);
}

static bool read_sha256(unsigned char sha256[static PLUGIN_SHA256_SIZE], const char *text,
                        struct error *err)
{
    bool good = strlen(text) == 2 * PLUGIN_SHA256_SIZE;

    for (size_t i = 0; good && i < PLUGIN_SHA256_SIZE; i++) {
        int high = text_hex_value(text[2 * i]), low = text_hex_value(text[2 * i + 1]);
        good = high >= 0 && low >= 0;
        sha256[i] = (unsigned char)(good ? high * 16 + low : 0);
    }
    return good || refuse(err, "sha256: must be 64 hexadecimal digits");
}

/* Without a sum of a binary, what is registered is an artifact, which brings its command. */
static bool ignore_command(struct call *call, struct form *form, struct error *err)
{
    if (*form->sha256 || !*form->command)
        return true;
    bool warned = response_warn(call->response, err,
                                "command \"%s\" is ignored: without sha256 the plugin is an "
                                "artifact, whose command is known",
                                form->command);
    form->command = "";
    return warned;
}

static bool store(struct call *call, struct form *form, const char *type, const char *version,
                  struct error *err)
{
    unsigned char sha256[PLUGIN_SHA256_SIZE];

    if (!check_form(form, version, err) || !ignore_command(call, form, err) ||
        !split_command(&form->command, form->args, call->arena, err) ||
        (*form->sha256 && !read_sha256(sha256, form->sha256, err)) ||
        !check_name(call->match->name, err))
        return false;
    if (strstr(form->command, ".."))
        return refuse(err, "command: \"..\" is not allowed");
    return store_plugin_put(call->db, call->credential,
                            &(struct plugin){
                                .type = *type ? type : "unknown",
                                .name = call->match->name,
                                .version = version,
                                .command = form->command,
                                .args = form->args,
                                .env = form->env,
                                .sha256 = *form->sha256 ? sha256 : NULL,
                                .oci_image = form->oci_image,
                                .runtime = *form->runtime ? form->runtime : NULL,
                            },
                            err);
}

bool handler_plugin_register(struct call *call, struct error *err)
{
    struct form form;
    char version[SEMVER_SIZE];
    const char *type;
    bool good = read_form(call->request->data, &form, err) && read_type(call, &type, err) &&
                read_version(call, version, err) && store(call, &form, type, version, err);

    json_decref(form.args);
    json_decref(form.env);
    return good;
}
