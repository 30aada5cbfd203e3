/* SPDX-License-Identifier: MIT
 *
 * The worker's configuration: HCL in the shape of Vault's own server configuration. One table
 * of keys (config.c) says what there is; the reader, the sample file and the manual page
 * follow it.
 */
#ifndef CONFIG_H
#define CONFIG_H

#include "error.h"
#include "log.h"
#include "sandbox.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct config { /* strings are ours */
    char *connection_url; /* may hold a password */
    unsigned max_connections; /* at most threads / 2 */
    unsigned connect_ms, pool_ms, statement_ms;
    unsigned tidy_ms; /* between two looks for tokens that have ended */
    char *address; /* NULL: not set */
    mode_t mode;
    char *peer_users; /* names, a blank between two; NULL: not set */
    size_t max_request_size; /* bytes */
    unsigned threads;
    unsigned request_ms, shutdown_ms;
    bool unauthenticated_metrics;
    unsigned max_staleness_ms; /* 0: nothing is remembered */
    size_t max_bytes; /* that are remembered */
    char *audit_path; /* NULL: there is no audit log */
    mode_t audit_mode;
    bool hmac_accessor, elide_list_responses;
    char *api_version;
    enum sandbox_calls seccomp;
    enum log_level log_level;
    enum log_format log_format;
};

/* A row of the table. */
struct config_key {
    const char *block; /* "storage", "listener", "cache", "audit"; "": the top level */
    const char *name;
    const char *default_text; /* as the file would have it; NULL: not set by default */
};

/* The table, for those who compare something with it. */
const struct config_key *config_keys(size_t *count);

/* Reads a file. False with *err: ERROR_MISCONFIGURED, the text begins with file and line and
 * never holds a value of connection_url. On success *config is due to config_fini. */
bool config_load(struct config *config, const char *path, struct error *err)
    __attribute__((warn_unused_result));

/* The same from text[length]; file_name is for messages. */
bool config_parse(struct config *config, const char *file_name, const char *text,
                  size_t length, struct error *err) __attribute__((warn_unused_result));

void config_fini(struct config *config);

#endif
