/* SPDX-License-Identifier: MIT */
#include "db_servers.h"

#include "text.h"

#include <libpq-fe.h>

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { KEYWORD_MAX = 64 };

/* What target_session_attrs of libpq asks for. libpq's default, any, means more here: a server
 * that takes no writes is left as soon as there is one that does. */
static const struct {
    const char *name;
    enum db_fit writable, read_only;
} wishes[] = {
    {"any", DB_FIT_WELL, DB_FIT_POORLY},
    {"read-write", DB_FIT_WELL, DB_FIT_NOT},
    {"primary", DB_FIT_WELL, DB_FIT_NOT},
    {"read-only", DB_FIT_NOT, DB_FIT_WELL},
    {"standby", DB_FIT_NOT, DB_FIT_WELL},
    {"prefer-standby", DB_FIT_POORLY, DB_FIT_WELL},
};

static bool is_keyword(const char *word)
{
    PQconninfoOption *known = PQconndefaults();
    bool found = false;

    for (const PQconninfoOption *one = known; one && one->keyword && !found; one++)
        found = strcmp(one->keyword, word) == 0;
    PQconninfoFree(known);
    return found;
}

/* Moves *text behind a value of a keyword=value string: bare, or in single quotes. */
static void skip_value(const char **text)
{
    bool quoted = **text == '\'';

    *text += quoted;
    while (**text && (quoted ? **text != '\'' : !isspace((unsigned char)**text)))
        *text += **text == '\\' && (*text)[1] ? 2 : 1;
    *text += quoted && **text;
}

/* Moves *text behind a keyword and what separates it from its value, which *text is at then. Empty:
 * no keyword stands here. */
static void read_keyword(const char **text, bool is_uri, char word[static KEYWORD_MAX])
{
    size_t length = 0;

    *text += strspn(*text, is_uri ? "?&" : " \t\n\r\f\v");
    length = strspn(*text, "abcdefghijklmnopqrstuvwxyz_");
    const char *behind = *text + length;
    if (!is_uri)
        behind += strspn(behind, " \t\n\r\f\v");
    if (*behind != '=' || length >= KEYWORD_MAX)
        length = 0;
    memcpy(word, *text, length);
    word[length] = '\0';
    *text = behind + (*behind == '=');
    if (!is_uri)
        *text += strspn(*text, " \t\n\r\f\v");
}

/* The keyword that makes libpq refuse a connection string. False: none, or it may be the rest of
 * a password that ought to be quoted or escaped, which nobody is to read. */
static bool find_unknown(const char *connection_url, char word[static KEYWORD_MAX])
{
    bool is_uri = text_starts_with(connection_url, "postgres://") ||
                  text_starts_with(connection_url, "postgresql://");
    const char *text = is_uri ? strchr(connection_url, '?') : connection_url;

    if (!text || (is_uri && strchr(text, '@')))
        return false;
    while (*text) {
        read_keyword(&text, is_uri, word);
        if (!*word || strstr(word, "password"))
            return false;
        if (!is_keyword(word) && !(is_uri && strcmp(word, "ssl") == 0))
            return true;
        if (is_uri)
            text += strcspn(text, "&");
        else
            skip_value(&text);
    }
    return false;
}

/* A password in a URI that holds an unescaped '@' or '/' ends up here, and libpq's messages
 * would show it. */
static bool option_is_plausible(const PQconninfoOption *option, struct error *err)
{
    const char *value = option->val ? option->val : "";

    if (strcmp(option->keyword, "host") == 0 && strchr(value, '@') && *value != '/')
        return error_set(err, ERROR_MISCONFIGURED,
                         "connection_url: the host holds an '@': in a URI's password write %%40");
    if (strcmp(option->keyword, "port") == 0 && value[strspn(value, "0123456789,")])
        return error_set(err, ERROR_MISCONFIGURED,
                         "connection_url: the port is no number: in a URI's password write %%2F "
                         "for '/' and %%3A for ':'");
    return true;
}

/* libpq's message about a connection string may quote it, password and all. */
static bool check(const char *connection_url, struct error *err)
{
    char *message = NULL, word[KEYWORD_MAX];
    PQconninfoOption *options = PQconninfoParse(connection_url, &message);

    PQfreemem(message);
    if (!options && find_unknown(connection_url, word))
        return error_set(err, ERROR_MISCONFIGURED,
                         "connection_url: libpq %d knows no keyword \"%s\"",
                         PQlibVersion() / 10000, word);
    if (!options)
        return error_set(err, ERROR_MISCONFIGURED,
                         "connection_url: neither keyword=value pairs nor a postgresql:// URI "
                         "that libpq understands");
    bool good = true;
    for (const PQconninfoOption *option = options; option->keyword; option++)
        good = good && option_is_plausible(option, err);
    PQconninfoFree(options);
    return good;
}

static const char *value_of(const PQconninfoOption *options, const char *keyword)
{
    while (options->keyword && strcmp(options->keyword, keyword) != 0)
        options++;
    return options->keyword && options->val ? options->val : "";
}

/* How many a list has; one that is not given counts as one that is empty. */
static size_t count_of(const char *list)
{
    size_t count = 1;

    for (; *list; list++)
        count += *list == ',';
    return count;
}

/* The next of a list, which is cut up. NULL: it is empty, or the list has ended. */
static const char *next_of(char **rest)
{
    const char *item = strsep(rest, ",");

    return item && *item ? item : NULL;
}

/* libpq takes the value of an option that is empty from elsewhere, so none of several may be. */
static bool split(struct db_servers *servers, struct error *err)
{
    char *hosts = servers->hosts, *hostaddrs = servers->hostaddrs, *ports = servers->ports;
    bool one_port = count_of(ports) == 1;

    for (size_t i = 0; i < servers->count; i++) {
        struct db_server *server = &servers->items[i];
        server->host = next_of(&hosts);
        server->hostaddr = next_of(&hostaddrs);
        server->port = one_port ? (*servers->ports ? servers->ports : NULL) : next_of(&ports);
        if (!server->host && !server->hostaddr)
            return error_set(err, ERROR_MISCONFIGURED,
                             "connection_url: one of several hosts is empty");
        if (!server->port && !one_port)
            return error_set(err, ERROR_MISCONFIGURED,
                             "connection_url: one of several ports is empty");
    }
    return true;
}

static bool list(struct db_servers *servers, const PQconninfoOption *options, struct error *err)
{
    servers->hosts = strdup(value_of(options, "host"));
    servers->hostaddrs = strdup(value_of(options, "hostaddr"));
    servers->ports = strdup(value_of(options, "port"));
    if (!servers->hosts || !servers->hostaddrs || !servers->ports)
        return error_exhausted(err);
    size_t hosts = count_of(servers->hosts), ports = count_of(servers->ports);
    servers->count = *servers->hostaddrs ? count_of(servers->hostaddrs) : hosts;
    if (*servers->hosts && hosts != servers->count)
        return error_set(err, ERROR_MISCONFIGURED, "connection_url: %zu hosts and %zu hostaddrs",
                         hosts, servers->count);
    if (ports > 1 && ports != servers->count)
        return error_set(err, ERROR_MISCONFIGURED, "connection_url: %zu ports and %zu hosts",
                         ports, servers->count);
    servers->items = calloc(servers->count, sizeof *servers->items);
    if (!servers->items)
        return error_exhausted(err);
    return servers->count == 1 || split(servers, err); /* one alone is left to libpq */
}

static bool read_wish(struct db_servers *servers, const char *wish, struct error *err)
{
    for (size_t i = 0; i < sizeof wishes / sizeof *wishes; i++) {
        if (strcmp(wish, wishes[i].name) == 0) {
            servers->writable = wishes[i].writable;
            servers->read_only = wishes[i].read_only;
            return true;
        }
    }
    return error_set(err, ERROR_MISCONFIGURED,
                     "connection_url: target_session_attrs: must be any, read-write, read-only, "
                     "primary, standby or prefer-standby");
}

/* libpq looks into the environment and the service file only when it is about to connect; an
 * sslmode that is none keeps it from going on. */
static bool read_options(struct db_servers *servers, struct error *err)
{
    static const char none[] = "-";
    const char *const names[] = {"dbname", "sslmode", NULL};
    const char *const values[] = {servers->connection_url, none, NULL};
    PGconn *pg = PQconnectStartParams(names, values, 1);
    PQconninfoOption *options = pg ? PQconninfo(pg) : NULL;
    bool good;

    if (!options)
        good = error_exhausted(err);
    else if (strcmp(value_of(options, "sslmode"), none) != 0)
        good = error_set(err, ERROR_MISCONFIGURED, "connection_url: %.200s", PQerrorMessage(pg));
    else
        good = list(servers, options, err) &&
               read_wish(servers, value_of(options, "target_session_attrs"), err);
    PQconninfoFree(options);
    PQfinish(pg);
    return good;
}

bool db_servers_init(struct db_servers *servers, const char *connection_url, struct error *err)
{
    *servers = (struct db_servers){.count = 0};
    if (!check(connection_url, err))
        return false;
    servers->connection_url = strdup(connection_url);
    bool good = servers->connection_url ? read_options(servers, err) : error_exhausted(err);
    if (!good)
        db_servers_fini(servers);
    return good;
}

void db_servers_fini(struct db_servers *servers)
{
    free(servers->connection_url);
    free(servers->items);
    free(servers->hosts);
    free(servers->hostaddrs);
    free(servers->ports);
    *servers = (struct db_servers){.count = 0};
}
