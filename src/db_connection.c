/* SPDX-License-Identifier: MIT
 *
 * A statement that took too long is not cancelled: its connection is given up, because a
 * cancelled COMMIT may still have happened.
 */
#include "db_connection.h"

#include "text.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { PROBES = 3 };

int64_t connection_clock(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static bool away(struct error *err, const char *detail)
{
    error_set(err, ERROR_STORAGE_AWAY, "storage is not available");
    text_format(err->detail, sizeof err->detail, "%s", detail);
    return false;
}

/* libpq's message without its line ends; it names host, port and user, never the password. */
static bool away_message(struct error *err, const PGconn *pg)
{
    away(err, PQerrorMessage(pg));
    size_t length = strcspn(err->detail, "\n");
    err->detail[length] = '\0';
    return false;
}

/* Waits for events on a socket until deadline. False: time is up. */
static bool await_socket(int fd, short events, int64_t deadline)
{
    for (;;) {
        int64_t left = deadline == 0 ? -1 : deadline - connection_clock();
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

void connection_close(struct connection *connection)
{
    if (!connection)
        return;
    PQfinish(connection->pg);
    free(connection);
}

bool connection_is_fresh(const struct connection *connection)
{
    struct pollfd poller = {.fd = PQsocket(connection->pg), .events = POLLIN};

    return PQstatus(connection->pg) == CONNECTION_OK && poll(&poller, 1, 0) == 0;
}

bool connection_is_idle(const struct connection *connection)
{
    return PQstatus(connection->pg) == CONNECTION_OK &&
           PQtransactionStatus(connection->pg) == PQTRANS_IDLE;
}

/* A COMMIT that was to wait for a standby and was made to stop: PostgreSQL says so in a warning of
 * its own, which unlike those of functions comes from no context. */
static void hear_notice(void *context, const PGresult *notice)
{
    struct connection *connection = context;
    const char *severity = PQresultErrorField(notice, PG_DIAG_SEVERITY_NONLOCALIZED);
    const char *sqlstate = PQresultErrorField(notice, PG_DIAG_SQLSTATE);

    if (severity && strcmp(severity, "WARNING") == 0 && sqlstate &&
        (strcmp(sqlstate, "01000") == 0 || strcmp(sqlstate, "57P01") == 0) &&
        !PQresultErrorField(notice, PG_DIAG_CONTEXT))
        connection->unconfirmed = true;
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

bool connection_was_refused(const PGresult *result)
{
    ExecStatusType status = PQresultStatus(result);

    return status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK &&
           status != PGRES_EMPTY_QUERY;
}

/* The one result of what was sent, or the first that was refused. */
static PGresult *collect(struct connection *connection, int64_t deadline, struct error *err)
{
    PGresult *kept = NULL, *result;

    while (await_result(connection, deadline, err)) {
        result = PQgetResult(connection->pg);
        if (!result && !kept)
            away(err, "the connection was lost");
        if (!result)
            return kept;
        if (kept && connection_was_refused(kept)) {
            PQclear(result);
            continue;
        }
        connection->completed = kept != NULL;
        PQclear(kept);
        kept = result;
    }
    if (kept && connection_was_refused(kept))
        return kept; /* and with that the session ended */
    PQclear(kept);
    return NULL;
}

/* Waits for the answer to what was just given to libpq; sent: whether it took it. */
static PGresult *answer_to(struct connection *connection, int sent, int64_t deadline,
                           struct error *err)
{
    connection->completed = connection->unconfirmed = false;
    if (sent)
        return collect(connection, deadline, err);
    away_message(err, connection->pg);
    return NULL;
}

PGresult *connection_script(struct connection *connection, const char *sql, int64_t deadline,
                            struct error *err)
{
    return answer_to(connection, PQsendQuery(connection->pg, sql), deadline, err);
}

/* The statement with its name in front, as activity, logs and pg_stat_statements show it; ours,
 * free(). NULL with *err. */
static char *text_with_name(const struct db_statement *statement, struct error *err)
{
    char *text;

    if (asprintf(&text, "/* %s */ %s", statement->name, statement->sql) >= 0)
        return text;
    error_exhausted(err);
    return NULL;
}

/* Sees to it that a statement is prepared. False: *refusal says why not, or is NULL with *err. */
static bool prepare(struct connection *connection, const struct db_statement *statement,
                    int64_t deadline, PGresult **refusal, struct error *err)
{
    *refusal = NULL;
    for (size_t i = 0; i < connection->prepared_count; i++) {
        if (connection->prepared[i] == statement)
            return true;
    }
    assert(connection->prepared_count < CONNECTION_PREPARED_MAX);
    char *text = text_with_name(statement, err);
    if (!text)
        return false;
    PGresult *result =
        answer_to(connection, PQsendPrepare(connection->pg, statement->name, text, 0, NULL),
                  deadline, err);
    free(text);
    if (result && connection_was_refused(result)) {
        *refusal = result;
        return false;
    }
    if (result)
        connection->prepared[connection->prepared_count++] = statement;
    PQclear(result);
    return result != NULL;
}

PGresult *connection_execute(struct connection *connection, const struct db_statement *statement,
                             const struct db_parameter parameters[], int64_t deadline,
                             struct error *err)
{
    const char *values[DB_PARAMETERS_MAX];
    int lengths[DB_PARAMETERS_MAX], formats[DB_PARAMETERS_MAX];
    int count = (int)statement->parameters;
    PGresult *refusal;

    assert(statement->parameters <= DB_PARAMETERS_MAX);
    for (int i = 0; i < count; i++) {
        values[i] = parameters[i].value;
        lengths[i] = (int)parameters[i].size;
        formats[i] = parameters[i].size > 0;
    }
    if (connection->keeping != KEEPING_YES) {
        char *text = text_with_name(statement, err);
        int sent = text && PQsendQueryParams(connection->pg, text, count, NULL, values, lengths,
                                             formats, 0);
        free(text);
        return text ? answer_to(connection, sent, deadline, err) : NULL;
    }
    if (!prepare(connection, statement, deadline, &refusal, err))
        return refusal;
    return answer_to(connection,
                     PQsendQueryPrepared(connection->pg, statement->name, count, values, lengths,
                                         formats, 0),
                     deadline, err);
}

/* The connection string, with one server in the place of the list. What the caller of libpq sets
 * before dbname is a default, what it sets after that is not. */
static PGconn *dial(const struct db_servers *servers, size_t i, const struct db_options *options)
{
    const struct db_server *server = &servers->items[i];
    const char *names[8] = {"client_encoding", "fallback_application_name", "dbname",
                            "target_session_attrs"};
    const char *values[8] = {"UTF8", options->application_name, servers->connection_url, "any"};
    const char *const own_names[] = {"host", "hostaddr", "port"};
    const char *const own[] = {server->host, server->hostaddr, server->port};
    size_t used = 4;

    for (size_t k = 0; k < 3; k++) {
        if (!own[k])
            continue;
        names[used] = own_names[k];
        values[used++] = own[k];
    }
    return PQconnectStartParams(names, values, 1);
}

static bool finish_dialling(struct connection *connection, int64_t deadline, struct error *err)
{
    PGconn *pg = connection->pg;
    PostgresPollingStatusType status = PGRES_POLLING_WRITING;

    while (status != PGRES_POLLING_OK) {
        if (status == PGRES_POLLING_FAILED || PQstatus(pg) == CONNECTION_BAD)
            return away_message(err, pg);
        short events = status == PGRES_POLLING_READING ? POLLIN : POLLOUT;
        if (!await_socket(PQsocket(pg), events, deadline)) {
            away(err, "");
            text_format(err->detail, sizeof err->detail,
                        "%s:%s: no connection within the time allowed", PQhost(pg), PQport(pg));
            return false;
        }
        status = PQconnectPoll(pg);
    }
    return PQsetnonblocking(pg, 1) == 0 || away_message(err, pg);
}

static struct connection *dialled(const struct db_servers *servers, size_t server,
                                  const struct db_options *options, int64_t deadline,
                                  struct error *err)
{
    struct connection *connection = calloc(1, sizeof *connection);

    if (connection)
        connection->pg = dial(servers, server, options);
    if (!connection || !connection->pg) {
        free(connection);
        error_exhausted(err);
        return NULL;
    }
    connection->server = server;
    PQsetNoticeReceiver(connection->pg, hear_notice, connection);
    if (!finish_dialling(connection, deadline, err)) {
        connection_close(connection);
        return NULL;
    }
    return connection;
}

/* Runs a query that has to succeed. NULL with *err; the text of PostgreSQL's is libpq's. */
static PGresult *ask(struct connection *connection, const char *sql, int64_t deadline,
                     struct error *err)
{
    PGresult *result = connection_script(connection, sql, deadline, err);

    if (result && (connection_was_refused(result) || PQntuples(result) != 1)) {
        away_message(err, connection->pg);
        PQclear(result);
        return NULL;
    }
    return result;
}

static const char *text_of(const PGresult *result, int column)
{
    return column < PQnfields(result) ? PQgetvalue(result, 0, column) : "";
}

#define WHO_ANSWERS                                                                          \
    "/* who_answers */ SELECT pg_catalog.pg_backend_pid(),"                                  \
    "       pg_catalog.current_setting('transaction_read_only'),"                            \
    "       pg_catalog.pg_is_in_recovery()"

/* The second query is for engines, and for rights, that do not have the rest of the first: the
 * timeline is that of the first eight digits of a WAL file's name. */
static PGresult *ask_who(struct connection *connection, int64_t deadline, struct error *err)
{
    PGresult *result = ask(connection,
                           WHO_ANSWERS
                           ", system_identifier,"
                           " CASE WHEN NOT pg_catalog.pg_is_in_recovery()"
                           "      THEN pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn())"
                           "  END FROM pg_catalog.pg_control_system()",
                           deadline, err);

    if (!result && connection_is_idle(connection))
        result = ask(connection, WHO_ANSWERS, deadline, err);
    return result;
}

static bool find_who(struct connection *connection, int64_t deadline, struct error *err)
{
    PGresult *result = ask_who(connection, deadline, err);
    char timeline[12];

    if (!result)
        return false;
    connection->pooled = strtol(text_of(result, 0), NULL, 10) != PQbackendPID(connection->pg);
    connection->in_recovery = *text_of(result, 2) == 't';
    connection->read_only = connection->in_recovery || strcmp(text_of(result, 1), "on") == 0;
    text_format(connection->system, sizeof connection->system, "%s", text_of(result, 3));
    text_format(timeline, sizeof timeline, "%.8s", text_of(result, 4));
    connection->timeline = (unsigned)strtoul(timeline, NULL, 16);
    PQclear(result);
    return true;
}

/* The process that serves a connection at this moment; 0: nobody answers. */
static long serving_pid(struct connection *connection, int64_t deadline)
{
    struct error err;
    PGresult *result = ask(connection, "/* serving_pid */ SELECT pg_catalog.pg_backend_pid()",
                           deadline, &err);
    long pid = result ? strtol(text_of(result, 0), NULL, 10) : 0;

    PQclear(result);
    return pid;
}

/* A pooler that lets two connections use the same server in turn gives the one that became free
 * last to whoever comes first, so that does not take long to show, unless many others come
 * between. */
static enum keeping watch_pooler(struct connection *one, struct connection *other,
                                 int64_t deadline)
{
    long first = serving_pid(one, deadline), second = serving_pid(other, deadline);
    long again = first, then = second;

    for (int i = 0; first != second && i < PROBES; i++) {
        again = serving_pid(one, deadline);
        then = serving_pid(other, deadline);
        if (again != first || then != second)
            break;
    }
    if (first == 0 || second == 0 || again == 0 || then == 0)
        return KEEPING_UNKNOWN;
    return first == second || again != first || then != second ? KEEPING_NO : KEEPING_YES;
}

static bool find_keeping(struct connection *connection, const struct db_servers *servers,
                         const struct db_options *options, int64_t deadline, struct error *err)
{
    struct connection *other;

    if (!connection->pooled) {
        connection->keeping = KEEPING_YES;
        return true;
    }
    other = dialled(servers, connection->server, options, deadline, err);
    if (other)
        connection->keeping = watch_pooler(connection, other, deadline);
    connection_close(other);
    return connection_is_idle(connection) || away_message(err, connection->pg);
}

/* Settings do not stay with a connection either where statements do not. */
static bool begin_session(struct connection *connection, const char *sql, int64_t deadline,
                          struct error *err)
{
    PGresult *result = NULL;
    bool wanted = sql && connection->keeping == KEEPING_YES;

    if (wanted)
        result = ask(connection, sql, deadline, err);
    PQclear(result);
    return !wanted || result;
}

struct connection *connection_open(const struct db_servers *servers, size_t server,
                                   const struct db_options *options, enum keeping keeping,
                                   int64_t deadline, struct error *err)
{
    struct connection *connection = dialled(servers, server, options, deadline, err);

    if (!connection)
        return NULL;
    connection->keeping = keeping;
    if (!find_who(connection, deadline, err) ||
        (keeping == KEEPING_UNKNOWN &&
         !find_keeping(connection, servers, options, deadline, err)) ||
        !begin_session(connection, options->session, deadline, err)) {
        connection_close(connection);
        return NULL;
    }
    return connection;
}

void connection_describe(const struct connection *connection, char *out, size_t size)
{
    const PGconn *pg = connection->pg;
    const char *version = PQparameterStatus(pg, "server_version");
    char timeline[32] = "";

    if (!version)
        version = "?";
    if (connection->timeline > 0)
        text_format(timeline, sizeof timeline, ", timeline %u", connection->timeline);
    text_format(out, size, "PostgreSQL %.*s at %s:%s%s%s%s", (int)strcspn(version, " "), version,
                PQhost(pg), PQport(pg), timeline,
                connection->in_recovery ? ", a standby"
                : connection->read_only ? ", which takes no writes"
                                        : "",
                !connection->pooled                   ? ""
                : connection->keeping == KEEPING_YES ? ", through a pooler"
                                                     : ", through a pooler that keeps no prepared "
                                                       "statements");
}
