/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "duration.h"
#include "hcl.h"
#include "secret.h"
#include "text.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_MAX = 1024 * 1024 };

/* Puts one value into its member. False: it is not fit, and what would be is in *wanted. */
typedef bool set_function(void *member, const json_t *value, const char **wanted);

static bool set_string(void *member, const json_t *value, const char **wanted)
{
    char **string = member;

    *wanted = "a string that is not empty";
    if (!json_is_string(value) || json_string_length(value) == 0)
        return false;
    free(*string);
    *string = strdup(json_string_value(value));
    return *string != NULL;
}

/* A path of a Unix socket: sockaddr_un holds 107 bytes and a NUL. */
static bool set_address(void *member, const json_t *value, const char **wanted)
{
    static const char scheme[] = "unix:/";
    const char *text = json_string_value(value);

    bool good = text && text_starts_with(text, scheme) && text[strlen(scheme)] &&
                strlen(text) - strlen("unix:") <= 107 && set_string(member, value, wanted);
    *wanted = "\"unix:\" and an absolute path of 107 bytes at most";
    return good;
}

/* Names of users, which hold no blanks, joined by blanks. */
static bool set_users(void *member, const json_t *value, const char **wanted)
{
    char **users = member, joined[1024] = "";
    size_t i, used = 0;
    json_t *name;

    *wanted = "a list of users, such as [\"www-data\"]";
    json_array_foreach(value, i, name)
    {
        const char *text = json_string_value(name);
        if (!text || !*text || strpbrk(text, " \t\n") ||
            !text_format(joined + used, sizeof joined - used, "%s%s", used ? " " : "", text))
            return false;
        used = strlen(joined);
    }
    if (used == 0)
        return false;
    free(*users);
    *users = strdup(joined);
    return *users != NULL;
}

static bool in_range(const json_t *value, json_int_t low, json_int_t high)
{
    return json_is_integer(value) && json_integer_value(value) >= low &&
           json_integer_value(value) <= high;
}

static bool set_unsigned(unsigned *member, const json_t *value, unsigned low, unsigned high)
{
    if (!in_range(value, low, high))
        return false;
    *member = (unsigned)json_integer_value(value);
    return true;
}

static bool set_count(void *member, const json_t *value, const char **wanted)
{
    *wanted = "an integer from 1 to 500";
    return set_unsigned(member, value, 1, 500);
}

static bool set_threads(void *member, const json_t *value, const char **wanted)
{
    *wanted = "an integer from 2 to 1000";
    return set_unsigned(member, value, 2, 1000);
}

static bool set_mode(void *member, const json_t *value, const char **wanted)
{
    const char *text = json_string_value(value);
    char *end = NULL;
    unsigned long mode = text ? strtoul(text, &end, 8) : 0;

    *wanted = "an octal number in quotes, such as \"0660\"";
    if (!text || !text_is_digit(*text) || *end || mode > 0777)
        return false;
    *(mode_t *)member = (mode_t)mode;
    return true;
}

/* Nobody runs a log, and no program may be made of one. */
static bool set_audit_mode(void *member, const json_t *value, const char **wanted)
{
    bool good = set_mode(member, value, wanted) && (*(mode_t *)member & 0111) == 0 &&
                (*(mode_t *)member & 0600) == 0600;

    *wanted = "an octal number in quotes, such as \"0600\", that lets the owner read and write "
              "and nobody execute";
    return good;
}

/* 1048576, "64KiB", "1MiB": 1 KiB to 1 GiB. */
static bool set_size(void *member, const json_t *value, const char **wanted)
{
    static const struct {
        const char *unit;
        unsigned long long bytes;
    } units[] = {{"", 1}, {"B", 1}, {"KiB", 1024}, {"MiB", 1 << 20}, {"GiB", 1 << 30}};
    const char *text = json_string_value(value);
    char *end = NULL;
    unsigned long long count, bytes = 0;

    *wanted = "a size from 1KiB to 1GiB, such as \"1MiB\"";
    if (text && text_is_digit(*text) && strlen(text) < 16)
        count = strtoull(text, &end, 10);
    else if (in_range(value, 0, 1 << 30))
        count = (unsigned long long)json_integer_value(value);
    else
        return false;
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        if (strcmp(end ? end : "", units[i].unit) == 0 && count <= 1 << 30)
            bytes = count * units[i].bytes;
    }
    if (bytes < 1024 || bytes > 1 << 30)
        return false;
    *(size_t *)member = (size_t)bytes;
    return true;
}

/* "1m30s", "50ms", or a number of seconds, as milliseconds from low to high. */
static bool set_duration(unsigned *member, const json_t *value, unsigned low, unsigned high)
{
    int64_t ns;

    if (in_range(value, 0, high / 1000))
        ns = json_integer_value(value) * DURATION_SECOND;
    else if (!json_is_string(value) || !duration_parse(json_string_value(value), &ns))
        return false;
    int64_t ms = ns / (DURATION_SECOND / 1000);
    if (ms < low || ms > high)
        return false;
    *member = (unsigned)ms;
    return true;
}

/* What a request's memory has room for, with all that is made of it. */
static bool set_request_size(void *member, const json_t *value, const char **wanted)
{
    bool good = set_size(member, value, wanted) && *(size_t *)member <= 32 << 20;

    *wanted = "a size from 1KiB to 32MiB, such as \"1MiB\"";
    return good;
}

static bool set_staleness(void *member, const json_t *value, const char **wanted)
{
    *wanted = "a duration from \"0s\" to \"60s\", such as \"50ms\"";
    return set_duration(member, value, 0, 60 * 1000);
}

static bool set_timeout(void *member, const json_t *value, const char **wanted)
{
    *wanted = "a duration from \"10ms\" to \"10m\", such as \"2s\"";
    return set_duration(member, value, 10, 10 * 60 * 1000);
}

static bool set_seccomp(void *member, const json_t *value, const char **wanted)
{
    *wanted = "enforce, kill or off";
    return json_is_string(value) && sandbox_calls_parse(json_string_value(value), member);
}

static bool set_boolean(void *member, const json_t *value, const char **wanted)
{
    *wanted = "true or false";
    *(bool *)member = json_is_true(value);
    return json_is_boolean(value) ||
           (json_is_string(value) && text_parse_bool(json_string_value(value), member));
}

static bool set_path(void *member, const json_t *value, const char **wanted)
{
    const char *text = json_string_value(value);
    bool good = text && *text == '/' && set_string(member, value, wanted);

    *wanted = "an absolute path";
    return good;
}

static bool set_log_level(void *member, const json_t *value, const char **wanted)
{
    *wanted = "trace, debug, info, warn or error";
    return json_is_string(value) && log_level_parse(json_string_value(value), member);
}

static bool set_log_format(void *member, const json_t *value, const char **wanted)
{
    *wanted = "standard or json";
    return json_is_string(value) && log_format_parse(json_string_value(value), member);
}

/* block, key, member of struct config, default and how it is set, a row a key; keys[] and
 * setters[] are both made from it. */
#define CONFIG_KEYS(X)                                                                       \
    X("storage", connection_url, connection_url, NULL, set_string)                           \
    X("storage", max_connections, max_connections, "8", set_count)                           \
    X("storage", connect_timeout, connect_ms, "\"2s\"", set_timeout)                         \
    X("storage", pool_timeout, pool_ms, "\"2s\"", set_timeout)                               \
    X("storage", statement_timeout, statement_ms, "\"5s\"", set_timeout)                     \
    X("storage", tidy_interval, tidy_ms, "\"1m\"", set_timeout)                                \
    X("listener", address, address, NULL, set_address)                                       \
    X("listener", mode, mode, "\"0660\"", set_mode)                                          \
    X("listener", peer_users, peer_users, NULL, set_users)                                   \
    X("listener", max_request_size, max_request_size, "\"1MiB\"", set_request_size)                  \
    X("listener", threads, threads, "64", set_threads)                                       \
    X("listener", request_timeout, request_ms, "\"10s\"", set_timeout)                       \
    X("listener", shutdown_timeout, shutdown_ms, "\"10s\"", set_timeout)                     \
    X("listener", unauthenticated_metrics_access, unauthenticated_metrics, "false", set_boolean) \
    X("cache", max_staleness, max_staleness_ms, "\"50ms\"", set_staleness)                   \
    X("cache", max_bytes, max_bytes, "\"64MiB\"", set_size)                                  \
    X("audit", file_path, audit_path, NULL, set_path)                                        \
    X("audit", mode, audit_mode, "\"0600\"", set_audit_mode)                                 \
    X("audit", hmac_accessor, hmac_accessor, "true", set_boolean)                            \
    X("audit", elide_list_responses, elide_list_responses, "false", set_boolean)             \
    X("", api_version, api_version, "\"2.1.0\"", set_string)                                 \
    X("", seccomp, seccomp, "\"enforce\"", set_seccomp)                                       \
    X("", log_level, log_level, "\"info\"", set_log_level)                                   \
    X("", log_format, log_format, "\"standard\"", set_log_format)

static const struct config_key keys[] = {
#define X(block, name, member, default_text, setter) {block, #name, default_text},
    CONFIG_KEYS(X)
#undef X
};

static const struct {
    set_function *set;
    size_t offset;
} setters[] = {
#define X(block, name, member, default_text, setter) {setter, offsetof(struct config, member)},
    CONFIG_KEYS(X)
#undef X
};

enum { KEYS = sizeof keys / sizeof *keys };

/* Blocks and the label that each must have; NULL: none. */
static const struct {
    const char *name, *label;
} blocks[] = {{"storage", "postgresql"}, {"listener", "fastcgi"}, {"cache", NULL}, {"audit", "file"}};

enum { BLOCKS = sizeof blocks / sizeof *blocks, AUDIT = BLOCKS - 1 };

struct reader {
    struct config *config;
    const char *file_name;
    bool seen_blocks[BLOCKS];
    struct error *err;
};

const struct config_key *config_keys(size_t *count)
{
    *count = KEYS;
    return keys;
}

static int line_of(const json_t *item)
{
    return (int)json_integer_value(json_object_get(item, "line"));
}

static const char *key_of(const json_t *item, size_t i)
{
    return json_string_value(json_array_get(json_object_get(item, "keys"), i));
}

static bool read_key(struct reader *reader, const char *block, const json_t *item)
{
    const char *name = key_of(item, 0), *wanted = "";
    const char *space = *block ? " " : "";

    for (size_t i = 0; i < KEYS; i++) {
        if (strcmp(keys[i].block, block) != 0 || strcmp(keys[i].name, name) != 0)
            continue;
        if (setters[i].set((char *)reader->config + setters[i].offset,
                           json_object_get(item, "value"), &wanted))
            return true;
        return error_set(reader->err, ERROR_MISCONFIGURED, "%s:%d: %s%s%s: must be %s",
                         reader->file_name, line_of(item), block, space, name, wanted);
    }
    return error_set(reader->err, ERROR_MISCONFIGURED, "%s:%d: unknown key \"%s\"%s%s",
                     reader->file_name, line_of(item), name, *block ? " in " : "", block);
}

static bool read_block(struct reader *reader, size_t block, const json_t *item)
{
    const char *label = key_of(item, 1), *wanted = blocks[block].label;
    json_t *items = json_object_get(json_object_get(item, "value"), "items"), *inner;
    size_t i;

    if ((label == NULL) != (wanted == NULL) || (label && strcmp(label, wanted) != 0) ||
        key_of(item, 2) || !items)
        return error_set(reader->err, ERROR_MISCONFIGURED, "%s:%d: must be a block: %s%s%s%s {",
                         reader->file_name, line_of(item), blocks[block].name,
                         wanted ? " \"" : "", wanted ? wanted : "", wanted ? "\"" : "");
    if (reader->seen_blocks[block])
        return error_set(reader->err, ERROR_MISCONFIGURED, "%s:%d: %s is given twice",
                         reader->file_name, line_of(item), blocks[block].name);
    reader->seen_blocks[block] = true;
    json_array_foreach(items, i, inner)
    {
        if (!read_key(reader, blocks[block].name, inner))
            return false;
    }
    return true;
}

static bool read_item(struct reader *reader, const json_t *item)
{
    for (size_t i = 0; i < BLOCKS; i++) {
        if (strcmp(key_of(item, 0), blocks[i].name) == 0)
            return read_block(reader, i, item);
    }
    return read_key(reader, "", item);
}

/* The defaults are read like a file's values, so that there is one meaning of each. */
static bool set_defaults(struct config *config, struct error *err)
{
    for (size_t i = 0; i < KEYS; i++) {
        const char *wanted;
        if (!keys[i].default_text)
            continue;
        json_auto_t *value = json_loads(keys[i].default_text, JSON_DECODE_ANY, NULL);
        if (!value || !setters[i].set((char *)config + setters[i].offset, value, &wanted))
            return error_exhausted(err);
    }
    return true;
}

/* What no key shows alone. */
static bool check_whole(const struct reader *reader)
{
    const struct config *config = reader->config;

    if (!config->connection_url)
        return error_set(reader->err, ERROR_MISCONFIGURED,
                         "%s: storage connection_url: must be set", reader->file_name);
    if (reader->seen_blocks[AUDIT] && !config->audit_path)
        return error_set(reader->err, ERROR_MISCONFIGURED, "%s: audit file_path: must be set",
                         reader->file_name);
    if (config->max_connections > config->threads / 2)
        return error_set(reader->err, ERROR_MISCONFIGURED,
                         "%s: storage max_connections: must be at most half of listener threads "
                         "(%u), so that a database that hangs leaves threads for other answers",
                         reader->file_name, config->threads / 2);
    if (config->connect_ms > config->request_ms / 2)
        return error_set(reader->err, ERROR_MISCONFIGURED,
                         "%s: storage connect_timeout: must be at most half of listener "
                         "request_timeout",
                         reader->file_name);
    return true;
}

static bool read_tree(struct reader *reader, const json_t *tree)
{
    json_t *item;
    size_t i;

    json_array_foreach(json_object_get(tree, "items"), i, item)
    {
        if (!read_item(reader, item))
            return false;
    }
    return check_whole(reader);
}

bool config_parse(struct config *config, const char *file_name, const char *text,
                  size_t length, struct error *err)
{
    struct reader reader = {.config = config, .file_name = file_name, .err = err};
    json_auto_t *tree = hcl_parse(text, length, err);
    bool good = false;

    *config = (struct config){.connection_url = NULL};
    if (tree)
        good = set_defaults(config, err) && read_tree(&reader, tree);
    else if (err->code == ERROR_BAD_REQUEST) {
        struct error fault = *err;
        error_set(err, ERROR_MISCONFIGURED, "%s:%u:%u: %.2048s", file_name, fault.line,
                  fault.column, fault.text);
    }
    if (!good)
        config_fini(config);
    return good;
}

/* Not a pipe, on which somebody would have to wait. NULL with errno. */
static FILE *open_regular(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat status;
    FILE *file = NULL;

    if (fd >= 0 && fstat(fd, &status) == 0 && !S_ISREG(status.st_mode))
        errno = EINVAL;
    else if (fd >= 0)
        file = fdopen(fd, "r");
    if (fd >= 0 && !file)
        close(fd);
    return file;
}

bool config_load(struct config *config, const char *path, struct error *err)
{
    FILE *file = open_regular(path);
    char *text = malloc(FILE_MAX);
    bool good = false;

    if (!text)
        error_exhausted(err);
    else if (!file)
        error_set(err, ERROR_MISCONFIGURED, "%s: %s", path, strerror(errno));
    else {
        size_t length = fread(text, 1, FILE_MAX, file);
        if (ferror(file) || length == FILE_MAX)
            error_set(err, ERROR_MISCONFIGURED, "%s: cannot be read, or is too large", path);
        else
            good = config_parse(config, path, text, length, err);
    }
    if (file)
        fclose(file);
    secret_free(text); /* perhaps a password */
    return good;
}

void config_fini(struct config *config)
{
    secret_free(config->connection_url);
    free(config->address);
    free(config->peer_users);
    free(config->audit_path);
    free(config->api_version);
    *config = (struct config){.connection_url = NULL};
}
