/* SPDX-License-Identifier: MIT */
#include "db.h"

#include "db_connection.h"
#include "db_refusal.h"
#include "db_servers.h"
#include "text.h"

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    RETRY_MS = 250, /* between two attempts to reach a database that is away */
    STALL_MS = 250, /* a pool of which no connection came free for so long hangs */
    LOOK_MS = 1000, /* between two looks for a server that fits better, and ten times as long */
    ATTEMPTS = 4,   /* at a statement */
    PAUSE_MS = 10,  /* before the second attempt, half of it or more; twice that before the next */
};

enum state {
    STATE_GOOD = 0,
    STATE_DOUBT, /* a statement got no answer in time: the next to come makes a new connection */
    STATE_AWAY,  /* the last attempt to connect failed */
};

struct db {
    struct db_options options; /* application_name is ours */
    struct db_servers servers;

    pthread_mutex_t mutex; /* guards everything below */
    pthread_cond_t changed;
    struct connection *idle;
    unsigned connections; /* idle, lent or being made */
    unsigned waiting;     /* callers who wait for a connection */
    uint64_t waited;      /* how often one had to */
    uint64_t errors;      /* statements that got no answer, or an internal error */
    int64_t moved_at;     /* when a connection was lent or came back last */
    enum state state;
    bool trying;               /* not STATE_GOOD: somebody is making the next attempt to connect */
    int64_t retry_at;          /* no attempt before */
    enum error_code away_code; /* STATE_AWAY: what it came of */

    size_t server;       /* that answered last, and is asked first */
    uint64_t generation; /* of connections: those of an older one are not used any more */
    bool poor;           /* they are to a server that will do while there is no better one */
    bool looking;        /* poor: somebody looks for a better one */
    int64_t look_at;     /* poor: nobody looks before */
    int64_t distrust_at; /* no new generation because of a refusal before */
    enum keeping *keeping; /* of each server */
    char described[160];   /* what the log said last of who answers */
};

/* The greatest timeline of a cluster that any pool has seen: one pool's connections must not stay
 * where another one's have learnt that nobody should be. */
static struct {
    pthread_mutex_t mutex; /* guards what follows */
    char system[24];
    unsigned timeline;
} seen = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static _Thread_local int64_t thread_deadline; /* 0: none */

void db_set_deadline(unsigned ms)
{
    thread_deadline = ms == 0 ? 0 : connection_clock() + ms;
}

/* The moment at which a wait of ms ends (0: without end), or the thread's deadline. */
static int64_t deadline_after(unsigned ms)
{
    int64_t deadline = ms == 0 ? 0 : connection_clock() + ms;

    if (deadline == 0 || (thread_deadline != 0 && thread_deadline < deadline))
        return thread_deadline;
    return deadline;
}

/* --- finding a server --- */

/* A cluster's timeline grows with each promotion, so an older one is that of a primary which was
 * replaced and does not know. Nobody is to write there, nor to read. Returns the timeline that
 * replaced the connection's; 0: none. */
static unsigned replaced_by(const struct connection *connection)
{
    unsigned newer = 0;

    if (connection->timeline == 0)
        return 0;
    pthread_mutex_lock(&seen.mutex);
    if (strcmp(seen.system, connection->system) == 0 && seen.timeline > connection->timeline) {
        newer = seen.timeline;
    } else {
        text_format(seen.system, sizeof seen.system, "%s", connection->system);
        seen.timeline = connection->timeline;
    }
    pthread_mutex_unlock(&seen.mutex);
    return newer;
}

static enum db_fit fit_of(const struct db *db, const struct connection *connection,
                          struct error *err)
{
    enum db_fit fit = connection->read_only ? db->servers.read_only : db->servers.writable;
    unsigned newer = replaced_by(connection);
    char who[128];

    connection_describe(connection, who, sizeof who);
    if (newer > 0) {
        db_refusal_set(err, ERROR_STORAGE_AWAY, "");
        text_format(err->detail, sizeof err->detail,
                    "%s: an old primary, timeline %u was seen since", who, newer);
        return DB_FIT_NOT;
    }
    if (fit == DB_FIT_NOT)
        db_refusal_set(err,
                       connection->read_only ? ERROR_STORAGE_READ_ONLY : ERROR_STORAGE_AWAY, who);
    return fit;
}

/* What each of the servers had against it. One that was there, but read-only, tells the most. */
static void add_fault(struct error *sum, const struct error *fault)
{
    char detail[ERROR_DETAIL_MAX];

    text_format(detail, sizeof detail, "%s%s%s", sum->detail, *sum->detail ? "; " : "",
                fault->detail);
    if (sum->code != ERROR_STORAGE_READ_ONLY)
        error_set(sum, fault->code, "%s", fault->text);
    text_format(sum->detail, sizeof sum->detail, "%s", detail);
}

static struct connection *connect_to(struct db *db, size_t server, int64_t deadline,
                                     struct error *err)
{
    pthread_mutex_lock(&db->mutex);
    enum keeping keeping = db->keeping[server];
    pthread_mutex_unlock(&db->mutex);
    struct connection *connection =
        connection_open(&db->servers, server, &db->options, keeping, deadline,
                        err);
    if (!connection)
        return NULL;
    enum db_fit fit = fit_of(db, connection, err);
    if (fit == DB_FIT_NOT) {
        connection_close(connection);
        return NULL;
    }
    connection->poor = fit == DB_FIT_POORLY;
    pthread_mutex_lock(&db->mutex);
    db->keeping[server] = connection->keeping;
    pthread_mutex_unlock(&db->mutex);
    return connection;
}

/* The first server that fits well, beginning with the one that answered last; else, or at once if
 * the caller is content with that, one that fits poorly. Each has its share of the time, so that
 * one that hangs leaves some for the others. */
static struct connection *connect_to_any(struct db *db, size_t first, bool content,
                                         struct error *err)
{
    int64_t deadline = connection_clock() + db->options.connect_ms;
    size_t count = db->servers.count;
    struct connection *second_best = NULL;
    struct error fault;

    *err = (struct error){.code = ERROR_NONE};
    for (size_t i = 0; i < count; i++) {
        int64_t now = connection_clock(), share = (deadline - now) / (int64_t)(count - i);
        struct connection *connection =
            connect_to(db, (first + i) % count, now + share, &fault);
        if (connection && (content || !connection->poor)) {
            connection_close(second_best);
            return connection;
        }
        if (!connection)
            add_fault(err, &fault);
        if (second_best)
            connection_close(connection);
        else
            second_best = connection;
    }
    return second_best;
}

/* --- the pool --- */

/* Takes them out of the pool; they are the caller's to close, which takes a while. */
static struct connection *take_all_idle(struct db *db)
{
    struct connection *idle = db->idle;

    for (struct connection *one = idle; one; one = one->next)
        db->connections--;
    db->idle = NULL;
    return idle;
}

static void close_all(struct connection *connections)
{
    while (connections) {
        struct connection *next = connections->next;
        connection_close(connections);
        connections = next;
    }
}

/* From here on connections are to the server of this one. Returns those that are of no use any
 * more, and in *news what the log should say, if that is new. */
static struct connection *follow(struct db *db, struct connection *connection, bool *news)
{
    struct connection *useless = NULL;
    char described[sizeof db->described];
    int64_t now = connection_clock();

    if (connection->server != db->server || connection->poor != db->poor) {
        db->generation++;
        useless = take_all_idle(db);
    }
    if (now >= db->look_at)
        db->look_at = now + LOOK_MS;
    db->server = connection->server;
    db->poor = connection->poor;
    connection->generation = db->generation;
    connection_describe(connection, described, sizeof described);
    *news = strcmp(described, db->described) != 0;
    if (*news)
        memcpy(db->described, described, sizeof described);
    return useless;
}

static void tell(const struct db *db, const struct connection *connection, bool back)
{
    char described[160];

    if (db->options.quiet)
        return;
    connection_describe(connection, described, sizeof described);
    log_write(connection->poor ? LOG_LEVEL_WARN : LOG_LEVEL_INFO, "storage is %s%s%s",
              back ? "back: " : "", described,
              connection->poor ? ": no better server answers" : "");
}

/* Whether a new connection, or that there is none, is of consequence. While others serve it only
 * means that their server has no room for one more. */
static bool matters(const struct db *db, const struct connection *connection)
{
    return (connection && (!connection->poor || db->poor)) || db->state != STATE_GOOD ||
           db->connections == 1;
}

/* An attempt to connect has ended. False: it is of no consequence, and *connection is gone. A
 * server that hangs does not answer on old connections either. */
static bool note_attempt(struct db *db, struct connection **connection, const struct error *err)
{
    struct connection *useless = NULL;
    bool news = false;

    pthread_mutex_lock(&db->mutex);
    bool counts = matters(db, *connection), connected = *connection && counts;
    bool lost = counts && !connected && db->state != STATE_AWAY && *db->described;
    bool back = connected && db->state == STATE_AWAY;
    if (connected)
        useless = follow(db, *connection, &news);
    else if (db->state == STATE_DOUBT)
        useless = take_all_idle(db);
    if (counts)
        db->state = connected ? STATE_GOOD : STATE_AWAY;
    if (!connected)
        db->connections--;
    if (db->state == STATE_AWAY) {
        db->away_code = err->code;
        memset(db->keeping, 0, db->servers.count * sizeof *db->keeping);
    }
    db->trying = false;
    db->retry_at = connected ? 0 : connection_clock() + RETRY_MS;
    pthread_cond_broadcast(&db->changed);
    pthread_mutex_unlock(&db->mutex);
    close_all(useless);
    if (lost && !db->options.quiet)
        log_write(error_level(err->code), "%s: %s", error_name(err->code), err->detail);
    if (news || back)
        tell(db, *connection, back);
    if (!counts) {
        connection_close(*connection);
        *connection = NULL;
    }
    return counts;
}

static void forget_connection(struct db *db, struct connection *connection)
{
    bool timed_out = connection->timed_out;

    connection_close(connection);
    pthread_mutex_lock(&db->mutex);
    if (timed_out && db->state == STATE_GOOD)
        db->state = STATE_DOUBT;
    db->connections--;
    db->moved_at = connection_clock();
    pthread_cond_signal(&db->changed);
    pthread_mutex_unlock(&db->mutex);
}

enum turn { TURN_WAIT, TURN_IDLE, TURN_LOOK, TURN_NEW, TURN_AWAY };

/* What there is for a caller right now. An attempt to connect is begun only if it can end
 * within the caller's time: one that is cut short says nothing about PostgreSQL. */
static enum turn next_turn(const struct db *db)
{
    int64_t now = connection_clock();
    bool may_connect = thread_deadline == 0 || now + db->options.connect_ms <= thread_deadline;

    if (db->idle && db->state != STATE_DOUBT)
        return db->poor && !db->looking && may_connect && now >= db->look_at ? TURN_LOOK
                                                                            : TURN_IDLE;
    if (db->state == STATE_AWAY && (db->trying || now < db->retry_at))
        return TURN_AWAY;
    if (db->trying || !may_connect || db->connections >= db->options.max_connections ||
        (db->connections > 0 && db->state == STATE_GOOD && now < db->retry_at))
        return TURN_WAIT;
    return TURN_NEW;
}

/* Waits until something changes. False: time is up, or the pool hangs and too many wait. */
static bool wait_for_change(struct db *db, int64_t deadline)
{
    int64_t until = connection_clock() + STALL_MS;

    if (deadline < until)
        until = deadline;
    struct timespec at = {.tv_sec = until / 1000, .tv_nsec = until % 1000 * 1000000};
    db->waiting++;
    bool changed = pthread_cond_timedwait(&db->changed, &db->mutex, &at) == 0;
    bool stalled = !changed && db->waiting > db->options.max_waiting &&
                   connection_clock() - db->moved_at >= STALL_MS;
    db->waiting--;
    return changed || (!stalled && connection_clock() < deadline);
}

/* Takes an idle connection, or the right to make one: to have one (TURN_NEW), or a better one
 * (TURN_LOOK). TURN_AWAY and TURN_WAIT, with *err: the database is away, or none came free in
 * time. */
static enum turn take(struct db *db, int64_t deadline, struct connection **connection,
                      struct error *err)
{
    enum turn turn;

    *connection = NULL;
    pthread_mutex_lock(&db->mutex);
    turn = next_turn(db);
    db->waited += turn == TURN_WAIT;
    while (turn == TURN_WAIT && wait_for_change(db, deadline))
        turn = next_turn(db);
    if (turn == TURN_IDLE || turn == TURN_LOOK) {
        *connection = db->idle;
        db->idle = db->idle->next;
        if (db->keeping[(*connection)->server] == KEEPING_NO) /* one has found out since */
            (*connection)->keeping = KEEPING_NO;
        db->looking = db->looking || turn == TURN_LOOK;
    } else if (turn == TURN_NEW) {
        db->connections++;
        db->trying = db->state != STATE_GOOD;
    } else {
        db_refusal_set(err, turn == TURN_AWAY ? db->away_code : ERROR_STORAGE_AWAY,
                       turn != TURN_AWAY ? "every connection to PostgreSQL is busy"
                       : db->away_code == ERROR_STORAGE_READ_ONLY
                           ? "PostgreSQL took no writes a moment ago"
                           : "PostgreSQL did not answer a moment ago");
    }
    if (*connection || turn == TURN_NEW)
        db->moved_at = connection_clock();
    pthread_mutex_unlock(&db->mutex);
    return turn;
}

/* Looks for a better server than that of the connection, while others go on with what there is.
 * The more time it takes, the seldomer. */
static struct connection *look(struct db *db, struct connection *connection)
{
    struct connection *useless = NULL, *better;
    int64_t begun = connection_clock();
    bool news = false;
    struct error err;

    better = connect_to_any(db, connection->server, false, &err);
    pthread_mutex_lock(&db->mutex);
    int64_t now = connection_clock(), pause = 10 * (now - begun);
    db->looking = false;
    db->look_at = now + (pause > LOOK_MS ? pause : LOOK_MS);
    bool found = better && !better->poor;
    if (found)
        useless = follow(db, better, &news);
    pthread_cond_broadcast(&db->changed);
    pthread_mutex_unlock(&db->mutex);
    close_all(useless);
    if (news)
        tell(db, better, false);
    connection_close(found ? connection : better);
    return found ? better : connection;
}

static struct connection *make_connection(struct db *db, struct error *err)
{
    pthread_mutex_lock(&db->mutex);
    size_t first = db->server;
    bool content = db->poor && connection_clock() < db->look_at;
    pthread_mutex_unlock(&db->mutex);
    return connect_to_any(db, first, content, err);
}

static struct connection *acquire(struct db *db, struct error *err)
{
    int64_t deadline = deadline_after(db->options.pool_ms);
    struct connection *connection;
    enum turn turn;

    while ((turn = take(db, deadline, &connection, err)) != TURN_AWAY && turn != TURN_WAIT) {
        if (turn == TURN_NEW) {
            connection = make_connection(db, err);
            if (note_attempt(db, &connection, err))
                return connection;
            continue;
        }
        if (turn == TURN_LOOK)
            connection = look(db, connection);
        if (connection_is_fresh(connection) && replaced_by(connection) == 0)
            return connection;
        forget_connection(db, connection);
    }
    return NULL;
}

static void release(struct db *db, struct connection *connection)
{
    bool usable = connection_is_idle(connection);

    pthread_mutex_lock(&db->mutex);
    usable = usable && connection->generation == db->generation;
    if (usable) {
        connection->next = db->idle;
        db->idle = connection;
        db->moved_at = connection_clock();
        pthread_cond_signal(&db->changed);
    }
    pthread_mutex_unlock(&db->mutex);
    if (!usable)
        forget_connection(db, connection);
}

/* --- statements --- */

/* Gives up all connections that are as old as this one, for what it says of its server has changed.
 * Not again and again, if that does not help. */
static bool distrust(struct db *db, const struct connection *connection)
{
    struct connection *useless = NULL;
    int64_t now = connection_clock();

    pthread_mutex_lock(&db->mutex);
    bool known = connection->generation != db->generation;
    bool helps = known || now >= db->distrust_at;
    if (!known && helps) {
        db->generation++;
        db->distrust_at = now + RETRY_MS;
        useless = take_all_idle(db);
    }
    pthread_mutex_unlock(&db->mutex);
    close_all(useless);
    return helps;
}

/* From here on no connection of that server prepares anything. */
static bool unprepare(struct db *db, struct connection *connection)
{
    bool helps = connection->keeping == KEEPING_YES;

    connection->keeping = KEEPING_NO;
    pthread_mutex_lock(&db->mutex);
    db->keeping[connection->server] = KEEPING_NO;
    pthread_mutex_unlock(&db->mutex);
    return helps;
}

/* Does what is to be done before another attempt. False: another one is of no use. */
static bool apply(struct db *db, struct connection *connection, enum remedy remedy,
                  const struct error *err)
{
    switch (remedy) {
    case REMEDY_NONE:
        return false;
    case REMEDY_RETRY:
        return true;
    case REMEDY_RECONNECT: /* that a standby takes no writes is no news */
        return !(err->code == ERROR_STORAGE_READ_ONLY && connection->read_only) &&
               distrust(db, connection);
    case REMEDY_UNPREPARED:
        return unprepare(db, connection);
    }
    return false;
}

/* The result if it is one; else what went wrong, and what to do about it. */
static PGresult *judge(struct db *db, struct connection *connection, PGresult *result,
                       enum remedy *remedy, struct error *err)
{
    *remedy = REMEDY_NONE;
    if (!result)
        return NULL;
    if (!connection_was_refused(result) && !connection->unconfirmed)
        return result;
    if (connection_was_refused(result))
        *remedy = db_refusal_read(result, connection->completed, err);
    else
        db_refusal_set(err, ERROR_STORAGE_AWAY, "the COMMIT was not confirmed by a standby");
    PQclear(result);
    if (!apply(db, connection, *remedy, err))
        *remedy = REMEDY_NONE;
    return NULL;
}

/* Half of a bound that grows with each attempt, and as much of the other half as chance has it, so
 * that those who collided do not do so again. False: no time is left for another attempt. */
static bool pause_before(unsigned attempt, int64_t deadline)
{
    uint32_t half = (uint32_t)PAUSE_MS << (attempt - 2);
    int64_t ms = half / 2 + arc4random_uniform(half / 2 + 1);
    struct timespec time = {.tv_nsec = ms * 1000000};

    if (deadline != 0 && connection_clock() + ms >= deadline)
        return false;
    nanosleep(&time, NULL);
    return true;
}

static PGresult *execute(struct db *db, const struct db_statement *statement,
                         const struct db_parameter parameters[], enum remedy *remedy,
                         struct error *err)
{
    struct connection *connection = acquire(db, err);

    *remedy = REMEDY_NONE;
    if (!connection)
        return NULL;
    int64_t deadline = deadline_after(db->options.statement_ms);
    PGresult *result =
        judge(db, connection, connection_execute(connection, statement, parameters, deadline, err),
              remedy, err);
    if (deadline == thread_deadline) /* cut short, which says nothing about PostgreSQL */
        connection->timed_out = false;
    release(db, connection);
    return result;
}

/* Not what a constraint refuses: that is the client's. */
static void note_error(struct db *db, const struct error *err)
{
    if (!error_is_of_storage(err) && err->code != ERROR_INTERNAL)
        return;
    pthread_mutex_lock(&db->mutex);
    db->errors++;
    pthread_mutex_unlock(&db->mutex);
}

/* Nothing is held while it pauses. */
struct db_result *db_execute(struct db *db, const struct db_statement *statement,
                             const struct db_parameter parameters[], struct error *err)
{
    int64_t deadline = deadline_after(db->options.statement_ms);
    enum remedy remedy;
    PGresult *result = execute(db, statement, parameters, &remedy, err);

    for (unsigned attempt = 2; remedy != REMEDY_NONE && attempt <= ATTEMPTS; attempt++) {
        if (!pause_before(attempt, deadline))
            break;
        log_debug("%s: attempt %u, because of %s", statement->name, attempt, err->detail);
        result = execute(db, statement, parameters, &remedy, err);
    }
    if (!result)
        note_error(db, err);
    return (struct db_result *)result;
}

bool db_script(struct db *db, const char *sql, struct error *err)
{
    struct connection *connection = acquire(db, err);
    enum remedy ignored;

    if (!connection)
        return false;
    int64_t deadline = deadline_after(db->options.statement_ms);
    PGresult *result = judge(db, connection, connection_script(connection, sql, deadline, err),
                             &ignored, err);
    release(db, connection);
    PQclear(result);
    return result != NULL;
}

/* --- several statements of one moment --- */

struct db_snapshot {
    struct db *db;
    struct connection *connection; /* lent */
};

static bool run_script(struct db_snapshot *snapshot, const char *sql, struct error *err)
{
    int64_t deadline = deadline_after(snapshot->db->options.statement_ms);
    enum remedy ignored;
    PGresult *result =
        judge(snapshot->db, snapshot->connection,
              connection_script(snapshot->connection, sql, deadline, err), &ignored, err);

    PQclear(result);
    return result != NULL;
}

struct db_snapshot *db_snapshot_open(struct db *db, struct error *err)
{
    struct db_snapshot *snapshot = malloc(sizeof *snapshot);

    if (!snapshot) {
        error_exhausted(err);
        return NULL;
    }
    *snapshot = (struct db_snapshot){db, acquire(db, err)};
    if (snapshot->connection &&
        run_script(snapshot, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", err))
        return snapshot;
    if (snapshot->connection)
        release(db, snapshot->connection);
    free(snapshot);
    return NULL;
}

struct db_result *db_snapshot_execute(struct db_snapshot *snapshot,
                                      const struct db_statement *statement,
                                      const struct db_parameter parameters[], struct error *err)
{
    struct connection *connection = snapshot->connection;
    int64_t deadline = deadline_after(snapshot->db->options.statement_ms);
    enum remedy ignored;

    PGresult *result =
        judge(snapshot->db, connection,
              connection_execute(connection, statement, parameters, deadline, err), &ignored, err);
    if (deadline == thread_deadline) /* as in execute() */
        connection->timed_out = false;
    if (!result)
        note_error(snapshot->db, err);
    return (struct db_result *)result;
}

/* Where the end is not heard of the connection is not used again. */
void db_snapshot_close(struct db_snapshot *snapshot)
{
    struct error ignored;

    if (!snapshot)
        return;
    (void)!run_script(snapshot, "ROLLBACK", &ignored);
    release(snapshot->db, snapshot->connection);
    free(snapshot);
}

/* --- for people --- */

/* Every idle one is in the list. */
static unsigned idle_of(const struct db *db)
{
    unsigned count = 0;

    for (const struct connection *one = db->idle; one; one = one->next)
        count++;
    return count;
}

void db_count(struct db *db, struct db_counts *out)
{
    pthread_mutex_lock(&db->mutex);
    *out = (struct db_counts){
        .connections = db->connections,
        .busy = db->connections - idle_of(db),
        .waiting = db->waiting,
        .waited = db->waited,
        .errors = db->errors,
    };
    pthread_mutex_unlock(&db->mutex);
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

static bool set_up(struct db *db, const struct db_options *options, struct error *err)
{
    db->options = *options;
    db->options.application_name = strdup(options->application_name);
    if (!db->options.application_name)
        return error_exhausted(err);
    if (!db_servers_init(&db->servers, options->connection_url, err))
        return false;
    db->options.connection_url = db->servers.connection_url;
    db->keeping = calloc(db->servers.count, sizeof *db->keeping);
    return db->keeping || error_exhausted(err);
}

struct db *db_open(const struct db_options *options, struct error *err)
{
    pthread_condattr_t attributes;
    struct db *db = calloc(1, sizeof *db);

    if (!db) {
        error_exhausted(err);
        return NULL;
    }
    pthread_mutex_init(&db->mutex, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&db->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    if (!set_up(db, options, err)) {
        db_close(db);
        return NULL;
    }
    return db;
}

void db_close(struct db *db)
{
    if (!db)
        return;
    close_all(db->idle);
    pthread_cond_destroy(&db->changed);
    pthread_mutex_destroy(&db->mutex);
    db_servers_fini(&db->servers);
    free((char *)db->options.application_name);
    free(db->keeping);
    free(db);
}
