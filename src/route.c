/* SPDX-License-Identifier: MIT */
#include "route.h"

#include "arena.h"
#include "handler_audit.h"
#include "handler_capability.h"
#include "handler_help.h"
#include "handler_metrics.h"
#include "handler_namespace.h"
#include "handler_plugin.h"
#include "handler_policy.h"
#include "handler_runtime.h"
#include "handler_status.h"
#include "handler_token.h"
#include "metrics.h"
#include "store_namespace_api.h"
#include "store_plugin.h"
#include "store_policy_api.h"
#include "store_runtime.h"
#include "store_runtime_list.h"
#include "store_token_api.h"
#include "text.h"

#include <stdlib.h>
#include <string.h>

#define CATALOG "sys/plugins/runtimes/catalog"
#define PLUGINS "sys/plugins/catalog"

static const struct route_field runtime_fields[] = {
    {"type", "string", "The kind of runtime, from the path: container."},
    {"name", "string", "What plugins call the runtime, from the path."},
    {"oci_runtime", "string", "The OCI runtime that runs the container. Default: runsc."},
    {"cgroup_parent", "string", "The cgroup below which containers are put."},
    {"cpu_nanos", "int64", "The CPU limit of a container, in nanos. 0: none."},
    {"memory_bytes", "int64", "The memory limit of a container, in bytes. 0: none."},
    {"rootless", "bool", "Whether the container engine runs without root."},
    {NULL, NULL, NULL},
};

static const struct route_field list_fields[] = {
    {"type", "string", "Only runtimes of this kind. Not given: of every kind."},
    {NULL, NULL, NULL},
};

static const struct route_field no_fields[] = {{NULL, NULL, NULL}};

static const struct route_field plugin_fields[] = {
    {"type", "string", "auth, database or secret, from the path if it is there."},
    {"name", "string", "The plugin's name, from the path."},
    {"version", "string", "Its semantic version. Not given: it has none."},
    {"sha256", "string", "The SHA-256 of its binary or image, in hexadecimal digits."},
    {"sha_256", "string", "The older name of `sha256`."},
    {"command", "string", "The command that starts it."},
    {"args", "list of strings", "The arguments of the command."},
    {"env", "list of strings", "The environment of the command, NAME=value each."},
    {"oci_image", "string", "The OCI image to run it from."},
    {"runtime", "string", "The plugin runtime that the image runs in."},
    {"download", "bool", "Not offered."},
    {NULL, NULL, NULL},
};

static const struct route_field plugin_names_fields[] = {
    {"type", "string", "The type of the plugins, from the path."},
    {NULL, NULL, NULL},
};

static const struct route_field policy_fields[] = {
    {"name", "string", "The policy's name, from the path."},
    {"policy", "string", "The rules, in HCL or JSON, as they are or in base64."},
    {NULL, NULL, NULL},
};

static const struct route_field old_policy_fields[] = {
    {"name", "string", "The policy's name, from the path."},
    {"policy", "string", "The rules, in HCL or JSON, as they are or in base64."},
    {"rules", "string", "The older name of `policy`."},
    {NULL, NULL, NULL},
};

static const struct route_field capability_fields[] = {
    {"token", "string", "The token that is asked about."},
    {"path", "list of strings", "The older name of `paths`."},
    {"paths", "list of strings", "The paths that are asked about."},
    {NULL, NULL, NULL},
};

static const struct route_field accessor_capability_fields[] = {
    {"accessor", "string", "The accessor of the token that is asked about."},
    {"path", "list of strings", "The older name of `paths`."},
    {"paths", "list of strings", "The paths that are asked about."},
    {NULL, NULL, NULL},
};

static const struct route_field create_fields[] = {
    {"policies", "list of strings", "The token's policies. Not given: those of the caller's."},
    {"meta", "map of strings", "Names and values to be kept with the token."},
    {"no_parent", "bool", "Not to end with the caller's token. Needs sudo."},
    {"no_default_policy", "bool", "Without the policy default."},
    {"renewable", "bool", "Whether it may be renewed. Default: true."},
    {"ttl", "duration", "How long it lives. Default: 768h."},
    {"lease", "duration", "The older name of `ttl`."},
    {"explicit_max_ttl", "duration", "How long it lives at most, renewed or not."},
    {"period", "duration", "What each renewal gives. Needs sudo."},
    {"display_name", "string", "For people."},
    {"num_uses", "int64", "How many requests it is good for. 0: any number."},
    {"type", "string", "service, which is the only kind."},
    {"id", "string", "Not offered: tokens are made by the server alone."},
    {"entity_alias", "string", "Not offered."},
    {"role_name", "string", "From the path; there are no roles."},
    {NULL, NULL, NULL},
};

static const struct route_field token_fields[] = {
    {"token", "string", "The token that is meant."},
    {"accessor", "string", "The accessor of the token that is meant."},
    {"increment", "duration", "How long it is to live from now on."},
    {NULL, NULL, NULL},
};

static const struct route_field audit_hash_fields[] = {
    {"path", "string", "The audit log, from the path: file."},
    {"input", "string", "The text that is to be hashed."},
    {NULL, NULL, NULL},
};

static const struct route_field namespace_fields[] = {
    {"name", "string", "The namespace's name, from the path; one segment."},
    {"custom_metadata", "map of strings", "Names and texts to be kept with the namespace."},
    {NULL, NULL, NULL},
};

static const struct route_field mount_fields[] = {
    {"name", "string", "A path below the mount, from the path."},
    {NULL, NULL, NULL},
};

static const struct route_field health_fields[] = {
    {"standbyok", "bool", "A standby is as good."},
    {"perfstandbyok", "bool", "Has no meaning here."},
    {"activecode", "int64", "The status when all is well. Default: 200."},
    {"standbycode", "int64", "The status of a standby. Default: 429."},
    {"sealedcode", "int64", "Has no meaning here."},
    {"uninitcode", "int64", "Has no meaning here."},
    {"drsecondarycode", "int64", "Has no meaning here."},
    {"performancestandbycode", "int64", "Has no meaning here."},
    {"haunhealthycode", "int64", "Has no meaning here."},
    {"removedcode", "int64", "Has no meaning here."},
    {NULL, NULL, NULL},
};

static const struct route_field metrics_fields[] = {
    {"format", "string", "prometheus, or nothing: JSON."},
    {NULL, NULL, NULL},
};

#define SYS(path_, help_, fields_, ...)                                                      \
    {                                                                                        \
        .path = "sys/" path_, .help = help_, .fields = fields_, .mount_type = "system",      \
        .operations = {__VA_ARGS__},                                                         \
    }
#define POLICY(path_, help_, fields_, ...)                                                   \
    {                                                                                        \
        .path = "sys/" path_, .help = help_, .fields = fields_, .mount_type = "system",      \
        .names_policy = true, .operations = {__VA_ARGS__},                                   \
    }
#define TOKEN(path_, help_, fields_, ...)                                                    \
    {                                                                                        \
        .path = "auth/token/" path_, .help = help_, .fields = fields_,                       \
        .mount_type = "token", .operations = {__VA_ARGS__},                                  \
    }
/* What clients look at before they log in. */
#define PROBE(path_, help_, fields_, access_, ...)                                           \
    {                                                                                        \
        .path = "sys/" path_, .help = help_, .fields = fields_, .mount_type = "",            \
        .access = access_, .operations = {__VA_ARGS__},                                      \
    }

/* With the type in the path and without. */
#define PLUGIN_HELP                                                                          \
    "One plugin, or one version of it. POST or PUT registers it, over the one of that name and\n" \
    "version if there is one; GET reads it; DELETE removes it."
#define PLUGIN_OPERATIONS                                                                    \
    [OPERATION_READ] = {handler_plugin_read, store_plugin_load},                             \
    [OPERATION_UPDATE] = {handler_plugin_register, NULL},                                    \
    [OPERATION_DELETE] = {handler_plugin_delete, NULL}

static const struct route routes[] = {
    {
        .path = CATALOG "/{type}/{name}",
        .help = "One plugin runtime. POST or PUT registers it, over the one of that name if\n"
                "there is one; GET reads it; DELETE removes it, unless a plugin uses it.",
        .fields = runtime_fields,
        .mount_type = "system",
        .operations =
            {
                [OPERATION_READ] = {handler_runtime_read, store_runtime_load},
                [OPERATION_UPDATE] = {handler_runtime_register, NULL},
                [OPERATION_DELETE] = {handler_runtime_delete, NULL},
            },
    },
    {
        .path = CATALOG,
        .help = "The plugin runtimes that are registered. GET and LIST list them.",
        .fields = list_fields,
        .optional_slash = true,
        .mount_type = "system",
        .operations =
            {
                [OPERATION_READ] = {handler_runtime_list, store_runtime_load_list},
                [OPERATION_LIST] = {handler_runtime_list, store_runtime_load_list},
            },
    },
    {
        .path = PLUGINS "/{plugin_type}",
        .help = "The names of the plugins of one type, those without a version. LIST lists them.",
        .fields = plugin_names_fields,
        .optional_slash = true,
        .mount_type = "system",
        .operations = {[OPERATION_LIST] = {handler_plugin_list_names, store_plugin_load_names}},
    },
    {
        .path = PLUGINS,
        .help = "The plugins that are registered, of all types. GET lists them.",
        .fields = no_fields,
        .optional_slash = true,
        .mount_type = "system",
        .operations = {[OPERATION_READ] = {handler_plugin_list, store_plugin_load_all}},
    },
    SYS("plugins/catalog/{plugin_type}/{rest}", PLUGIN_HELP, plugin_fields, PLUGIN_OPERATIONS),
    SYS("plugins/catalog/{rest}", PLUGIN_HELP, plugin_fields, PLUGIN_OPERATIONS),
    TOKEN("create", "Issues a token, a child of the caller's.", create_fields,
          [OPERATION_UPDATE] = {handler_token_create, store_token_api_load_self}),
    TOKEN("create-orphan", "Issues a token that ends with no other.", create_fields,
          [OPERATION_UPDATE] = {handler_token_create_orphan, store_token_api_load_self}),
    TOKEN("create/{name}", "Issues a token by a role, of which there are none.", create_fields,
          [OPERATION_UPDATE] = {handler_token_create_for_role, NULL}),
    TOKEN("lookup-self", "What is known of the caller's token.", token_fields,
          [OPERATION_READ] = {handler_token_lookup_self, store_token_api_load_self},
          [OPERATION_UPDATE] = {handler_token_lookup_self, store_token_api_load_self}),
    TOKEN("lookup", "What is known of a token.", token_fields,
          [OPERATION_READ] = {handler_token_lookup, NULL},
          [OPERATION_UPDATE] = {handler_token_lookup, NULL}),
    TOKEN("lookup-accessor", "What is known of a token.", token_fields,
          [OPERATION_UPDATE] = {handler_token_lookup_accessor, NULL}),
    TOKEN("renew-self", "Lengthens the life of the caller's token.", token_fields,
          [OPERATION_UPDATE] = {handler_token_renew_self, NULL}),
    TOKEN("renew", "Lengthens the life of a token.", token_fields,
          [OPERATION_UPDATE] = {handler_token_renew, NULL}),
    TOKEN("renew-accessor", "Lengthens the life of a token.", token_fields,
          [OPERATION_UPDATE] = {handler_token_renew_accessor, NULL}),
    TOKEN("revoke-self", "Ends the caller's token and its children.", token_fields,
          [OPERATION_UPDATE] = {handler_token_revoke_self, NULL}),
    TOKEN("revoke", "Ends a token and its children.", token_fields,
          [OPERATION_UPDATE] = {handler_token_revoke, NULL}),
    TOKEN("revoke-orphan", "Ends a token and leaves its children.", token_fields,
          [OPERATION_UPDATE] = {handler_token_revoke_orphan, NULL}),
    TOKEN("revoke-accessor", "Ends a token and its children.", token_fields,
          [OPERATION_UPDATE] = {handler_token_revoke_accessor, NULL}),
    TOKEN("accessors/", "The accessors of all tokens.", no_fields,
          [OPERATION_LIST] = {handler_token_list_accessors, store_token_api_load_accessors}),
    TOKEN("tidy", "Deletes what is left of tokens that have ended.", no_fields,
          [OPERATION_UPDATE] = {handler_token_tidy, NULL}),
    SYS("policies/acl/", "The policies that there are.", no_fields,
        [OPERATION_LIST] = {handler_policy_list, store_policy_api_load_list}),
    SYS("policies/acl", "The policies that there are.", no_fields,
        [OPERATION_LIST] = {handler_policy_list, store_policy_api_load_list}),
    POLICY("policies/acl/{rest}", "One policy.", policy_fields,
        [OPERATION_READ] = {handler_policy_read, store_policy_api_load},
        [OPERATION_UPDATE] = {handler_policy_write, NULL},
        [OPERATION_DELETE] = {handler_policy_delete, NULL}),
    SYS("policy/", "The policies that there are.", no_fields,
        [OPERATION_READ] = {handler_policy_list_old, store_policy_api_load_list},
        [OPERATION_LIST] = {handler_policy_list_old, store_policy_api_load_list}),
    SYS("policy", "The policies that there are.", no_fields,
        [OPERATION_READ] = {handler_policy_list_old, store_policy_api_load_list},
        [OPERATION_LIST] = {handler_policy_list_old, store_policy_api_load_list}),
    POLICY("policy/{rest}", "One policy.", old_policy_fields,
        [OPERATION_READ] = {handler_policy_read_old, store_policy_api_load},
        [OPERATION_UPDATE] = {handler_policy_write_old, NULL},
        [OPERATION_DELETE] = {handler_policy_delete, NULL}),
    SYS("namespaces/", "The namespaces directly below.", no_fields,
        [OPERATION_LIST] = {handler_namespace_list, store_namespace_api_load_list}),
    SYS("namespaces", "The namespaces directly below.", no_fields,
        [OPERATION_LIST] = {handler_namespace_list, store_namespace_api_load_list}),
    SYS("namespaces/{rest}", "One namespace directly below. DELETE refuses one that holds anything.",
        namespace_fields,
        [OPERATION_READ] = {handler_namespace_read, store_namespace_api_load},
        [OPERATION_UPDATE] = {handler_namespace_write, NULL},
        [OPERATION_PATCH] = {handler_namespace_patch, NULL},
        [OPERATION_DELETE] = {handler_namespace_delete, NULL}),
    SYS("audit-hash/{rest}", "The hash of a text as the audit log has it.", audit_hash_fields,
        [OPERATION_UPDATE] = {handler_audit_hash, NULL}),
    SYS("capabilities", "What a token may do on paths.", capability_fields,
        [OPERATION_UPDATE] = {handler_capability_token, NULL}),
    SYS("capabilities-self", "What the caller may do on paths.", capability_fields,
        [OPERATION_UPDATE] = {handler_capability_self, NULL}),
    SYS("capabilities-accessor", "What a token may do on paths.", accessor_capability_fields,
        [OPERATION_UPDATE] = {handler_capability_accessor, NULL}),
    {
        .path = "sys/metrics",
        .help = "What is counted: for Prometheus with ?format=prometheus, else as JSON.",
        .fields = metrics_fields,
        .mount_type = "system",
        .shows_metrics = true,
        .operations = {[OPERATION_READ] = {handler_metrics_read, NULL}},
    },
    PROBE("health", "Whether the catalog answers.", health_fields, ROUTE_TO_ANYBODY,
          [OPERATION_READ] = {handler_status_health, NULL},
          [OPERATION_NONE] = {handler_status_health, NULL}),
    PROBE("seal-status", "What a seal would be: open.", no_fields, ROUTE_TO_ANYBODY,
          [OPERATION_READ] = {handler_status_seal, NULL}),
    PROBE("init", "Whether there is a catalog.", no_fields, ROUTE_TO_ANYBODY,
          [OPERATION_READ] = {handler_status_init, NULL}),
    PROBE("leader", "Which of several servers leads: there is no such thing.", no_fields,
          ROUTE_TO_ANYBODY, [OPERATION_READ] = {handler_status_leader, NULL}),
    PROBE("internal/ui/mounts", "The mounts that show themselves.", no_fields,
          ROUTE_BY_TOKEN_IF_ANY, [OPERATION_READ] = {handler_status_mounts, NULL}),
    PROBE("internal/ui/mounts/{rest}", "What a mount is like.", mount_fields, ROUTE_BY_TOKEN,
          [OPERATION_READ] = {handler_status_mount, NULL}),
};

enum { ROUTES = sizeof routes / sizeof *routes };
_Static_assert((int)ROUTES <= (int)METRICS_NO_ROUTE, "requests are counted by row");

const struct route *route_rows(size_t *count)
{
    *count = ROUTES;
    return routes;
}

size_t route_number(const struct route *route)
{
    return route ? (size_t)(route - routes) : METRICS_NO_ROUTE;
}

static const struct route_operation help_operation = {handler_help, NULL};

/* Paths that need sudo, relative to the namespace: exact, or a prefix that ends in '*'. As
 * the root paths of vault/logical_system.go and vault/token_store.go, and the catalog itself,
 * which the API's page protects and Vault forgets. */
static const char *const sudo_paths[] = {
    CATALOG,
    CATALOG "/*",
    PLUGINS "/*",
    "auth/token/accessors/",
    "auth/token/revoke-orphan",
    /* Not served here: they are told apart in the dry run of policies, and by a 403 that comes
     * before the 404. */
    "sys/auth/*",
    "sys/mounts/auth/+/tune",
    "sys/remount",
    "sys/audit",
    "sys/audit/*",
    "sys/raw",
    "sys/raw/*",
    "sys/replication/primary/secondary-token",
    "sys/replication/performance/primary/secondary-token",
    "sys/replication/dr/primary/secondary-token",
    "sys/replication/reindex",
    "sys/replication/dr/reindex",
    "sys/replication/performance/reindex",
    "sys/rotate",
    "sys/config/cors",
    "sys/config/auditing/*",
    "sys/config/ui/headers/*",
    "sys/config/oauth-resource-server/*",
    "sys/revoke-prefix/*",
    "sys/revoke-force/*",
    "sys/leases",
    "sys/leases/revoke-prefix/*",
    "sys/leases/revoke-force/*",
    "sys/leases/lookup/*",
    "sys/storage/raft/snapshot-auto/config/*",
    "sys/reporting/scan",
    "sys/internal/inspect/*",
    "sys/internal/counters/activity/export",
    "sys/seal",
    "sys/step-down",
};

/* Whether path has the pattern: '+' stands for a segment, '*' at the end for anything. */
static bool has_pattern(const char *path, const char *pattern)
{
    for (; *pattern && strcmp(pattern, "*") != 0; pattern++) {
        size_t segment = *pattern == '+' ? strcspn(path, "/") : 0;
        if (segment > 0)
            path += segment;
        else if (*pattern != *path++)
            return false;
    }
    return *pattern || !*path;
}

static bool needs_sudo(const char *path)
{
    for (size_t i = 0; i < sizeof sudo_paths / sizeof *sudo_paths; i++) {
        if (has_pattern(path, sudo_paths[i]))
            return true;
    }
    return false;
}

/* Vault's pattern for names, \w(([\w-.]+)?\w)?, in ASCII. */
static bool is_name(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        bool at_end = i == 0 || i == length - 1;
        if (!text_is_word(text[i]) && (at_end || (text[i] != '-' && text[i] != '.')))
            return false;
    }
    return length > 0;
}

static bool is_type(const char *text, size_t length)
{
    return length == strlen("container") && strncmp(text, "container", length) == 0;
}

static bool is_plugin_type(const char *text, size_t length)
{
    static const char *const types[] = {"auth", "database", "secret"};

    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        if (length == strlen(types[i]) && strncmp(text, types[i], length) == 0)
            return true;
    }
    return false;
}

static bool capture(const char **out, const char *text, size_t length, struct arena *arena,
                    struct error *err)
{
    *out = arena_strndup(arena, text, length);
    return *out || error_exhausted(err);
}

/* Whether path has route's pattern. Names are captured as they are met, so after a mismatch
 * the match may hold some, until the next route is tried; nobody reads them without a route. */
static bool fits(const struct route *route, const char *path, struct match *match,
                 struct arena *arena, struct error *err)
{
    const char *pattern = route->path;

    match->type = match->name = NULL;
    while (*pattern) {
        if (text_starts_with(pattern, "{rest}"))
            return *path && capture(&match->name, path, strlen(path), arena, err);
        size_t expected = strcspn(pattern, "/"), given = strcspn(path, "/");
        if (text_starts_with(pattern, "{type}")) {
            if (!is_type(path, given) || !capture(&match->type, path, given, arena, err))
                return false;
        } else if (text_starts_with(pattern, "{plugin_type}")) {
            if (!is_plugin_type(path, given) || !capture(&match->type, path, given, arena, err))
                return false;
        } else if (text_starts_with(pattern, "{name}")) {
            if (!is_name(path, given) || !capture(&match->name, path, given, arena, err))
                return false;
        } else if (expected != given || strncmp(pattern, path, given) != 0) {
            return false;
        }
        pattern += expected;
        path += given;
        if (*pattern == '/' && *path == '/') {
            pattern++;
            path++;
        } else if (*pattern) {
            return false;
        }
    }
    return !*path || (route->optional_slash && strcmp(path, "/") == 0);
}

bool route_find(struct match *match, const char *path, enum operation operation,
                struct arena *arena, struct error *err)
{
    *match = (struct match){.operation = operation,
                            .sudo = operation != OPERATION_HELP && needs_sudo(path)};
    err->code = ERROR_NONE;
    for (size_t i = 0; i < ROUTES && !match->route; i++) {
        if (fits(&routes[i], path, match, arena, err))
            match->route = &routes[i];
        else if (err->code != ERROR_NONE)
            return false;
    }
    return true;
}

const struct route_operation *route_check(const struct match *match, const char *path,
                                          struct error *err)
{
    static const char item[] = CATALOG "/";
    const struct route *route = match->route;

    if (!route && !text_starts_with(path, "sys/") && !text_starts_with(path, "auth/token/")) {
        error_set(err, ERROR_NOT_FOUND,
                  "no handler for route \"%s\". route entry not found.", path);
        return NULL;
    }
    if (!route) {
        bool bad_type = text_starts_with(path, item) &&
                        !is_type(path + strlen(item), strcspn(path + strlen(item), "/"));
        error_set(err, ERROR_NOT_FOUND, "unsupported path%s",
                  bad_type ? ": the plugin runtime type must be \"container\"" : "");
        return NULL;
    }
    if (match->operation == OPERATION_HELP)
        return &help_operation;
    if (!route->operations[match->operation].handler) {
        error_set(err, ERROR_UNSUPPORTED_OPERATION, "%s",
                  route->access == ROUTE_TO_ANYBODY ? "" : "unsupported operation");
        return NULL;
    }
    return &route->operations[match->operation];
}

bool route_is_open(const struct match *match, bool metrics_to_anybody)
{
    const struct route *route = match->route;

    return route && (route->access == ROUTE_TO_ANYBODY ||
                     (route->shows_metrics && metrics_to_anybody));
}

static bool knows(const struct route *route, const char *name)
{
    const struct route_field *field = route->fields;

    while (field->name && strcmp(field->name, name) != 0)
        field++;
    return field->name != NULL;
}

/* Whether a parameter's value comes from the path. */
static bool captures(const struct match *match, const char *name)
{
    return (match->type && strcmp(name, "type") == 0) ||
           (match->name && strcmp(name, "name") == 0);
}

static int by_bytes(const void *left, const void *right)
{
    return strcmp(*(const char *const *)left, *(const char *const *)right);
}

/* "text: [a b]", as Go prints a list of strings; nothing if there are no names. */
static bool warn(json_t **warnings, const char *text, const char **names, size_t count,
                 struct arena *arena)
{
    size_t size = strlen(text) + sizeof ": []", used = 0;

    if (count == 0)
        return true;
    qsort(names, count, sizeof *names, by_bytes);
    for (size_t i = 0; i < count; i++)
        size += strlen(names[i]) + 1;
    char *line = arena_alloc(arena, size);
    if (!line)
        return false;
    for (size_t i = 0; i < count; i++) {
        text_format(line + used, size - used, "%s%s%s", i == 0 ? text : " ",
                    i == 0 ? ": [" : "", names[i]);
        used += strlen(line + used);
    }
    text_format(line + used, size - used, "]");
    if (!*warnings)
        *warnings = json_array();
    return json_array_append_new(*warnings, json_string(line)) == 0;
}

bool route_warn(const struct match *match, const json_t *data, json_t **warnings,
                struct arena *arena, struct error *err)
{
    size_t size = json_object_size(data), unknown_count = 0, replaced_count = 0;
    const char **unknown = arena_alloc(arena, size * sizeof *unknown);
    const char **replaced = arena_alloc(arena, size * sizeof *replaced);
    const char *name;
    json_t *value;

    if (!unknown || !replaced)
        return error_exhausted(err);
    json_object_foreach((json_t *)data, name, value)
    {
        if (!knows(match->route, name))
            unknown[unknown_count++] = name;
        if (captures(match, name) && !json_is_null(value))
            replaced[replaced_count++] = name;
    }
    return (warn(warnings, "Endpoint ignored these unrecognized parameters", unknown,
                 unknown_count, arena) &&
            warn(warnings,
                 "Endpoint replaced the value of these parameters with the values captured "
                 "from the endpoint's path",
                 replaced, replaced_count, arena)) ||
           error_exhausted(err);
}
