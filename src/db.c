/* SPDX-License-Identifier: MIT
 *
 * Every wait has a bound and runs over poll(2), so that no answer of PostgreSQL's, and no
 * missing one, holds a thread for longer. A statement that took too long is not cancelled: its
 * connection is given up, because a cancelled COMMIT may still have happened.
 */
#include "db.h"

#include "text.h"

#include <libpq-fe.h>

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    RETRY_MS = 250, /* between two attempts to reach a database that is away */
    STALL_MS = 250, /* a pool of which no connection came free for so long hangs */
    PREPARED_MAX = 48,
};

struct connection {
    struct connection *next; /* in the list of idle ones */
    PGconn *pg;
    const struct db_statement *prepared[PREPARED_MAX];
    size_t prepared_count;
    bool timed_out; /* a statement got no answer in time */
};

enum state {
    STATE_GOOD = 0,
    STATE_DOUBT, /* a statement got no answer in time: the next to come makes a new connection */
    STATE_AWAY,  /* the last attempt to connect failed */
};

struct db {
    struct db_options options; /* its strings are ours */

    pthread_mutex_t mutex; /* guards everything below */
    pthread_cond_t changed;
    struct connection *idle;
    unsigned connections; /* idle, lent or being made */
    unsigned waiting;     /* callers who wait for a connection */
    int64_t moved_at;     /* when a connection was lent or came back last */
    enum state state;
    bool trying;      /* not STATE_GOOD: somebody is making the next attempt to connect */
    int64_t retry_at; /* no attempt before */
};

static _Thread_local int64_t thread_deadline; /* of now_ms(); 0: none */

/* Milliseconds of a clock that nobody sets. */
static int64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* What PostgreSQL refused, as our errors: by constraint first, then by SQLSTATE, whole or by
 * class (its first two characters). PostgreSQL manual, appendix A. */
static const struct {
    const char *constraint;
    enum error_code code;
    const char *text; /* NULL: our own trigger's, which has a number in it */
} constraints[] = {
    {"plugin_runtime_fkey", ERROR_IN_USE, "the runtime is still in use"},
    {"runtime_name_check", ERROR_BAD_REQUEST,
     "name: 255 bytes at most, letters, digits, '_', '-' and '.', no '..'"},
    {"runtime_type_check", ERROR_BAD_REQUEST, "type: \"container\" is the only one"},
    {"runtime_oci_runtime_check", ERROR_BAD_REQUEST, "oci_runtime: 4096 bytes at most"},
    {"runtime_cgroup_parent_check", ERROR_BAD_REQUEST, "cgroup_parent: 4096 bytes at most"},
    {"runtime_cpu_nanos_check", ERROR_BAD_REQUEST, "runtime cpu in nanos cannot be negative"},
    {"runtime_memory_bytes_check", ERROR_BAD_REQUEST,
     "runtime memory in bytes cannot be negative"},
    {"plugin_type_check", ERROR_BAD_REQUEST,
     "type: must be \"auth\", \"database\", \"secret\" or \"unknown\""},
    {"plugin_name_check", ERROR_BAD_REQUEST,
     "name: 255 bytes of printable ASCII at most, without blanks and without \"..\""},
    {"plugin_version_check", ERROR_BAD_REQUEST, "version: 255 bytes of printable ASCII at most"},
    {"plugin_command_check", ERROR_BAD_REQUEST, "command: 4096 bytes at most"},
    {"plugin_args_check", ERROR_BAD_REQUEST, "args: 4096 bytes at most, all together"},
    {"plugin_env_check", ERROR_BAD_REQUEST, "env: 4096 bytes at most, all together"},
    {"plugin_sha256_check", ERROR_BAD_REQUEST, "sha256: must be 64 hexadecimal digits"},
    {"plugin_oci_image_check", ERROR_BAD_REQUEST, "oci_image: 4096 bytes at most"},
    {"policy_name_check", ERROR_BAD_REQUEST,
     "name: 255 bytes of printable ASCII at most, no upper case, not \"root\""},
    {"policy_text_check", ERROR_BAD_REQUEST, "policy: 524288 bytes at most"},
    {"token_policies_check", ERROR_BAD_REQUEST, "policies: 4096 bytes at most"},
    {"token_display_name_check", ERROR_BAD_REQUEST, "display_name: 4096 bytes at most"},
    {"token_meta_check", ERROR_BAD_REQUEST, "meta: 4096 bytes at most"},
    /* The caller's own token, parent of what it issues, went at this very moment. */
    {"token_parent_fkey", ERROR_PERMISSION_DENIED, ERROR_TEXT_INVALID_TOKEN},
    {"namespace_path_check", ERROR_BAD_REQUEST,
     "namespace: letters, digits, '_', '-' and '.', which is not the first, 512 bytes of path at "
     "most"},
    {"namespace_reserved_check", ERROR_BAD_REQUEST,
     "root, sys, audit, auth, cubbyhole and identity are reserved paths and cannot be used as "
     "namespace names"},
    {"namespace_path_key", ERROR_ALREADY_DONE, "namespace already exists"},
    {"namespace_custom_metadata_check", ERROR_BAD_REQUEST,
     "custom_metadata: 4096 bytes at most"},
    {"runtime_limit", ERROR_BAD_REQUEST, NULL},
    /* A namespace that went while somebody was about to put something into it. */
    {"namespace_parent_fkey", ERROR_NOT_FOUND, "the namespace does not exist"},
    {"runtime_namespace_fkey", ERROR_NOT_FOUND, "the namespace does not exist"},
    {"plugin_namespace_fkey", ERROR_NOT_FOUND, "the namespace does not exist"},
    {"policy_namespace_fkey", ERROR_NOT_FOUND, "the namespace does not exist"},
    {"token_namespace_fkey", ERROR_NOT_FOUND, "the namespace does not exist"},
    {"schema_version_pkey", ERROR_ALREADY_DONE, "this migration has run already"},
};

static const struct {
    const char *sqlstate; /* five characters, or the two of a class */
    enum error_code code;
} sqlstates[] = {
    {"08", ERROR_STORAGE_AWAY},    /* connection exceptions */
    {"25006", ERROR_STORAGE_AWAY}, /* read-only: a standby */
    {"40", ERROR_STORAGE_AWAY},    /* rolled back: serialisation failure, deadlock */
    {"53", ERROR_STORAGE_AWAY},    /* disk full, out of memory, too many connections */
    {"55P03", ERROR_STORAGE_AWAY}, /* lock not available in time */
    {"57", ERROR_STORAGE_AWAY},    /* cancelled by a time-out, shutting down, starting up */
    {"58", ERROR_STORAGE_AWAY},    /* system error, such as I/O */
    {"28", ERROR_STORAGE_AWAY},    /* not authorised to connect */
    {"3D000", ERROR_STORAGE_AWAY}, /* no such database */
};

static const char storage_away[] = "storage is not available";

static bool away(struct error *err, const char *detail)
{
    error_set(err, ERROR_STORAGE_AWAY, "%s", storage_away);
    text_format(err->detail, sizeof err->detail, "%s", detail);
    return false;
}

/* The primary message alone goes to the log: PostgreSQL's DETAIL may quote the row. */
static bool refuse(const PGresult *result, struct error *err)
{
    const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char *constraint = PQresultErrorField(result, PG_DIAG_CONSTRAINT_NAME);
    const char *primary = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    const char *message = primary ? primary : "";

    if (!sqlstate)
        return away(err, "the connection was lost");
    error_set(err, ERROR_INTERNAL, "internal error");
    for (size_t i = 0; constraint && i < sizeof constraints / sizeof *constraints; i++) {
        if (strcmp(constraint, constraints[i].constraint) == 0)
            error_set(err, constraints[i].code, "%s",
                      constraints[i].text ? constraints[i].text : message);
    }
    for (size_t i = 0; i < sizeof sqlstates / sizeof *sqlstates; i++) {
        if (text_starts_with(sqlstate, sqlstates[i].sqlstate))
            error_set(err, sqlstates[i].code, "%s", storage_away);
    }
    text_format(err->detail, sizeof err->detail, "SQLSTATE %s: %s", sqlstate, message);
    return false;
}

void db_set_deadline(unsigned ms)
{
    thread_deadline = ms == 0 ? 0 : now_ms() + ms;
}

/* The moment at which a wait of ms ends (0: without end), or the thread's deadline. */
static int64_t deadline_after(unsigned ms)
{
    int64_t deadline = ms == 0 ? 0 : now_ms() + ms;

    if (deadline == 0 || (thread_deadline != 0 && thread_deadline < deadline))
        return thread_deadline;
    return deadline;
}

/* Waits for events on a socket until deadline (0: without end). False: time is up. */
static bool await_socket(int fd, short events, int64_t deadline)
{
    for (;;) {
        int64_t left = deadline == 0 ? -1 : deadline - now_ms();
        struct pollfd poller = {.fd = fd, .events = events};

        if (deadline != 0 && left <= 0)
            return false;
        int ready = poll(&poller, 1, (int)left);
        if (ready > 0)
            return true;
        if (ready < 0 && errno != EINTR)
            return false;
    }
}

static void connection_free(struct connection *connection)
{
    if (!connection)
        return;
    PQfinish(connection->pg);
    free(connection);
}

static void ignore_notice(void *context, const PGresult *notice)
{
    (void)context;
    (void)notice;
}

/* libpq's message without its line ends; it names host, port and user, never the password. */
static bool away_message(struct error *err, const PGconn *pg)
{
    away(err, PQerrorMessage(pg));
    size_t length = strcspn(err->detail, "\n");
    err->detail[length] = '\0';
    return false;
}

static bool connection_finish(struct connection *connection, int64_t deadline,
                              struct error *err)
{
    PostgresPollingStatusType status = PGRES_POLLING_WRITING;

    while (status != PGRES_POLLING_OK) {
        if (status == PGRES_POLLING_FAILED || PQstatus(connection->pg) == CONNECTION_BAD)
            return away_message(err, connection->pg);
        short events = status == PGRES_POLLING_READING ? POLLIN : POLLOUT;
        if (!await_socket(PQsocket(connection->pg), events, deadline))
            return away(err, "no connection within the time allowed");
        status = PQconnectPoll(connection->pg);
    }
    PQsetNoticeReceiver(connection->pg, ignore_notice, NULL);
    if (PQsetnonblocking(connection->pg, 1) != 0)
        return away_message(err, connection->pg);
    return true;
}

static struct connection *connection_new(const struct db_options *options, struct error *err)
{
    const char *const names[] = {"client_encoding", "fallback_application_name", "dbname", NULL};
    const char *const values[] = {"UTF8", options->application_name, options->connection_url,
                                  NULL};
    struct connection *connection = calloc(1, sizeof *connection);

    if (!connection) {
        error_exhausted(err);
        return NULL;
    }
    connection->pg = PQconnectStartParams(names, values, 1);
    if (!connection->pg) {
        free(connection);
        error_exhausted(err);
        return NULL;
    }
    if (!connection_finish(connection, now_ms() + options->connect_ms, err)) {
        connection_free(connection);
        return NULL;
    }
    return connection;
}

/* A connection that sat idle has nothing to say: bytes or an end that arrived meanwhile mean
 * that the server let it go. Found out before a statement is sent, so nothing is in doubt. */
static bool connection_is_fresh(const struct connection *connection)
{
    struct pollfd poller = {.fd = PQsocket(connection->pg), .events = POLLIN};

    return PQstatus(connection->pg) == CONNECTION_OK && poll(&poller, 1, 0) == 0;
}

/* Takes them out of the pool; they are the caller's to free, which takes a while. */
static struct connection *take_all_idle(struct db *db)
{
    struct connection *idle = db->idle;

    for (struct connection *one = idle; one; one = one->next)
        db->connections--;
    db->idle = NULL;
    return idle;
}

static void connections_free(struct connection *connections)
{
    while (connections) {
        struct connection *next = connections->next;
        connection_free(connections);
        connections = next;
    }
}

/* Whether the attempt says that PostgreSQL is away: others that serve say that it has only no
 * room for one more. A server that hangs does not answer on old connections either. */
static bool note_attempt(struct db *db, bool connected)
{
    struct connection *useless = NULL;

    pthread_mutex_lock(&db->mutex);
    bool full = !connected && db->state == STATE_GOOD && db->connections > 1;
    if (db->state == STATE_AWAY && connected)
        log_info("storage is back");
    if (db->state == STATE_DOUBT && !connected)
        useless = take_all_idle(db);
    if (!full)
        db->state = connected ? STATE_GOOD : STATE_AWAY;
    db->trying = false;
    db->retry_at = connected ? 0 : now_ms() + RETRY_MS;
    if (!connected)
        db->connections--;
    pthread_cond_broadcast(&db->changed);
    pthread_mutex_unlock(&db->mutex);
    connections_free(useless);
    return !connected && !full;
}

static void forget_connection(struct db *db, struct connection *connection)
{
    bool timed_out = connection->timed_out;

    connection_free(connection);
    pthread_mutex_lock(&db->mutex);
    if (timed_out && db->state == STATE_GOOD)
        db->state = STATE_DOUBT;
    db->connections--;
    db->moved_at = now_ms();
    pthread_cond_signal(&db->changed);
    pthread_mutex_unlock(&db->mutex);
}

enum turn { TURN_WAIT, TURN_IDLE, TURN_NEW, TURN_AWAY };

/* What there is for a caller right now. An attempt to connect is begun only if it can end
 * within the caller's time: one that is cut short says nothing about PostgreSQL. */
static enum turn next_turn(const struct db *db)
{
    bool may_connect = thread_deadline == 0 ||
                       now_ms() + db->options.connect_ms <= thread_deadline;

    if (db->idle && db->state != STATE_DOUBT)
        return TURN_IDLE;
    if (db->state == STATE_AWAY && (db->trying || now_ms() < db->retry_at))
        return TURN_AWAY;
    if (db->trying || !may_connect || db->connections >= db->options.max_connections ||
        (db->connections > 0 && db->state == STATE_GOOD && now_ms() < db->retry_at))
        return TURN_WAIT;
    return TURN_NEW;
}

/* Waits until something changes. False: time is up, or the pool hangs and too many wait. */
static bool wait_for_change(struct db *db, int64_t deadline)
{
    int64_t until = now_ms() + STALL_MS;

    if (deadline < until)
        until = deadline;
    struct timespec at = {.tv_sec = until / 1000, .tv_nsec = until % 1000 * 1000000};
    db->waiting++;
    bool changed = pthread_cond_timedwait(&db->changed, &db->mutex, &at) == 0;
    bool stalled = !changed && db->waiting > db->options.max_waiting &&
                   now_ms() - db->moved_at >= STALL_MS;
    db->waiting--;
    return changed || (!stalled && now_ms() < deadline);
}

/* Takes an idle connection, or the right to make one (*connection NULL). False: the database
 * is away, or none came free in time. */
static bool take(struct db *db, int64_t deadline, struct connection **connection,
                 struct error *err)
{
    enum turn turn;

    *connection = NULL;
    pthread_mutex_lock(&db->mutex);
    while ((turn = next_turn(db)) == TURN_WAIT && wait_for_change(db, deadline))
        ;
    if (turn == TURN_IDLE) {
        *connection = db->idle;
        db->idle = db->idle->next;
    } else if (turn == TURN_NEW) {
        db->connections++;
        db->trying = db->state != STATE_GOOD;
    }
    if (turn == TURN_IDLE || turn == TURN_NEW)
        db->moved_at = now_ms();
    pthread_mutex_unlock(&db->mutex);
    if (turn == TURN_IDLE || turn == TURN_NEW)
        return true;
    return away(err, turn == TURN_AWAY ? "PostgreSQL did not answer a moment ago"
                                       : "every connection to PostgreSQL is busy");
}

static struct connection *acquire(struct db *db, struct error *err)
{
    int64_t deadline = deadline_after(db->options.pool_ms);
    struct connection *connection;

    while (take(db, deadline, &connection, err)) {
        bool is_new = !connection;
        if (is_new)
            connection = connection_new(&db->options, err);
        if (is_new && (note_attempt(db, connection != NULL) || connection))
            return connection;
        if (!is_new && connection_is_fresh(connection))
            return connection;
        if (!is_new)
            forget_connection(db, connection);
    }
    return NULL;
}

static void release(struct db *db, struct connection *connection)
{
    if (PQstatus(connection->pg) != CONNECTION_OK ||
        PQtransactionStatus(connection->pg) != PQTRANS_IDLE) {
        forget_connection(db, connection);
        return;
    }
    pthread_mutex_lock(&db->mutex);
    connection->next = db->idle;
    db->idle = connection;
    db->moved_at = now_ms();
    pthread_cond_signal(&db->changed);
    pthread_mutex_unlock(&db->mutex);
}

/* Sends what is queued and waits until a result can be taken without blocking. */
static bool await_result(struct connection *connection, int64_t deadline, struct error *err)
{
    PGconn *pg = connection->pg;
    int unsent = 1;

    while (unsent > 0 || PQisBusy(pg)) {
        unsent = PQflush(pg);
        if (unsent < 0)
            return away_message(err, pg);
        if (unsent == 0 && !PQisBusy(pg))
            break;
        if (!await_socket(PQsocket(pg), unsent > 0 ? POLLIN | POLLOUT : POLLIN, deadline)) {
            connection->timed_out = true;
            return away(err, "no answer within the time allowed");
        }
        if (!PQconsumeInput(pg))
            return away_message(err, pg);
    }
    return true;
}

/* The one result of what was sent, or the first that failed; ours. NULL with *err: lost, and
 * the connection is not to be used again. */
static PGresult *collect(struct connection *connection, int64_t deadline, struct error *err)
{
    PGresult *kept = NULL;

    for (;;) {
        PGresult *result;
        if (!await_result(connection, deadline, err))
            break;
        result = PQgetResult(connection->pg);
        if (!result) {
            if (!kept)
                away(err, "the connection was lost");
            return kept;
        }
        if (kept && PQresultStatus(kept) == PGRES_FATAL_ERROR) {
            PQclear(result);
        } else {
            PQclear(kept);
            kept = result;
        }
    }
    PQclear(kept);
    return NULL;
}

/* As collect, and a refusal is an error too. */
static PGresult *collect_good(struct connection *connection, int64_t deadline,
                              struct error *err)
{
    PGresult *result = collect(connection, deadline, err);

    if (!result)
        return NULL;
    ExecStatusType status = PQresultStatus(result);
    if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK || status == PGRES_EMPTY_QUERY)
        return result;
    refuse(result, err);
    PQclear(result);
    return NULL;
}

static bool prepare(struct connection *connection, const struct db_statement *statement,
                    int64_t deadline, struct error *err)
{
    for (size_t i = 0; i < connection->prepared_count; i++) {
        if (connection->prepared[i] == statement)
            return true;
    }
    assert(connection->prepared_count < PREPARED_MAX);
    if (!PQsendPrepare(connection->pg, statement->name, statement->sql, 0, NULL))
        return away_message(err, connection->pg);
    PGresult *result = collect_good(connection, deadline, err);
    if (!result)
        return false;
    PQclear(result);
    connection->prepared[connection->prepared_count++] = statement;
    return true;
}

static PGresult *execute(struct connection *connection, const struct db_statement *statement,
                         const struct db_parameter parameters[], int64_t deadline,
                         struct error *err)
{
    const char *values[DB_PARAMETERS_MAX];
    int lengths[DB_PARAMETERS_MAX], formats[DB_PARAMETERS_MAX];

    assert(statement->parameters <= DB_PARAMETERS_MAX);
    for (unsigned i = 0; i < statement->parameters; i++) {
        values[i] = parameters[i].value;
        lengths[i] = (int)parameters[i].size;
        formats[i] = parameters[i].size > 0;
    }
    if (!prepare(connection, statement, deadline, err))
        return NULL;
    if (!PQsendQueryPrepared(connection->pg, statement->name, (int)statement->parameters, values,
                             lengths, formats, 0)) {
        away_message(err, connection->pg);
        return NULL;
    }
    return collect_good(connection, deadline, err);
}

struct db_result *db_execute(struct db *db, const struct db_statement *statement,
                             const struct db_parameter parameters[], struct error *err)
{
    struct connection *connection = acquire(db, err);

    if (!connection)
        return NULL;
    PGresult *result = execute(connection, statement, parameters, deadline_after(db->options.statement_ms), err);
    release(db, connection);
    return (struct db_result *)result;
}

bool db_script(struct db *db, const char *sql, struct error *err)
{
    struct connection *connection = acquire(db, err);
    PGresult *result = NULL;

    if (!connection)
        return false;
    if (PQsendQuery(connection->pg, sql))
        result = collect_good(connection, deadline_after(db->options.statement_ms), err);
    else
        away_message(err, connection->pg);
    release(db, connection);
    PQclear(result);
    return result != NULL;
}

size_t db_result_rows(const struct db_result *result)
{
    return (size_t)PQntuples((const PGresult *)result);
}

const char *db_result_text(const struct db_result *result, size_t row, unsigned column)
{
    const PGresult *pg = (const PGresult *)result;

    if (PQgetisnull(pg, (int)row, (int)column))
        return NULL;
    return PQgetvalue(pg, (int)row, (int)column);
}

bool db_result_true(const struct db_result *result, size_t row, unsigned column)
{
    const char *text = db_result_text(result, row, column);

    return text && strcmp(text, "t") == 0;
}

void db_result_free(struct db_result *result)
{
    PQclear((PGresult *)result);
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
static bool connection_url_is_valid(const char *connection_url, struct error *err)
{
    char *message = NULL;
    PQconninfoOption *options = PQconninfoParse(connection_url, &message);

    PQfreemem(message);
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

struct db *db_open(const struct db_options *options, struct error *err)
{
    pthread_condattr_t attributes;

    if (!connection_url_is_valid(options->connection_url, err))
        return NULL;
    struct db *db = calloc(1, sizeof *db);
    if (!db) {
        error_exhausted(err);
        return NULL;
    }
    db->options = *options;
    db->options.connection_url = strdup(options->connection_url);
    db->options.application_name = strdup(options->application_name);
    pthread_mutex_init(&db->mutex, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&db->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    if (!db->options.connection_url || !db->options.application_name) {
        db_close(db);
        error_exhausted(err);
        return NULL;
    }
    return db;
}

void db_close(struct db *db)
{
    if (!db)
        return;
    while (db->idle) {
        struct connection *connection = db->idle;
        db->idle = connection->next;
        connection_free(connection);
    }
    pthread_cond_destroy(&db->changed);
    pthread_mutex_destroy(&db->mutex);
    free((char *)db->options.connection_url);
    free((char *)db->options.application_name);
    free(db);
}
