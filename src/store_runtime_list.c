/* SPDX-License-Identifier: MIT */
#include "store_runtime_list.h"

#include "arena.h"
#include "cache.h"
#include "cache_gate.h"
#include "cache_topic.h"
#include "db.h"
#include "go_json.h"
#include "response.h"
#include "runtime_list.h"
#include "store_caller.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    GATHERED = 4 << 20,  /* bytes of a list that is not kept and still read only once */
    PAGE_ROWS = 16384,   /* as the statement has it */
    LONG_READINGS = 2,   /* of lists of more than a page, at once */
    LONG_WAITING = 8,    /* threads that wait for their turn at one, ... */
    LONG_WAIT_S = 5,     /* ... for so long */
    LONG_MS = 20 * 1000, /* that one may take then, instead of what other requests may */
};

static const char head_text[] = "{\"runtimes\":[", tail_text[] = "]}";

/* What memory says of one moment: a list of the namespace, and what is asked of it. */
struct loading {
    struct db *db;
    const struct credential *credential;
    const char *type; /* "": all */
    struct arena *arena;
    struct caller *caller;
    struct object *object;
    bool spent;   /* one of the token's uses */
    bool follows; /* memory can follow what changes */
};

enum outcome {
    FAILED = 0, /* with *err */
    DONE,       /* the caller is found, and the list if the caller may be let in */
    OPEN,       /* not to be had in that way */
};

/* --- what is sent, from memory */

/* The pieces of a list: the head, its chunks, the tail. */
struct kept_source {
    struct source source;
    const struct runtime_list *list;
    struct runtime_range range;
    size_t next; /* 0: the head; then the chunks, from 1 on */
};

static size_t length_of(size_t count, size_t length)
{
    size_t no_comma = count > 0; /* before the first */

    return strlen(head_text) + length - no_comma + strlen(tail_text);
}

static bool next_kept(struct source *source, const char **bytes, size_t *length,
                      struct error *err)
{
    struct kept_source *kept = (struct kept_source *)source;
    size_t chunks = kept->range.end - kept->range.first, turn = kept->next++;

    (void)err;
    *bytes = turn == 0 ? head_text : tail_text;
    *length = turn <= chunks + 1 ? strlen(*bytes) : 0;
    if (turn > 0 && turn <= chunks)
        *bytes = runtime_list_text(kept->list, kept->range.first + turn - 1, length);
    if (turn == 1 && chunks > 0) {
        ++*bytes;
        --*length;
    }
    return true;
}

static void rewind_kept(struct source *source)
{
    ((struct kept_source *)source)->next = 0;
}

/* Answers with what is asked of a list, of which the entry is the object's from here on. */
static bool serve(struct loading *loading, struct cache_entry *entry, struct error *err)
{
    struct kept_source *kept = arena_alloc(loading->arena, sizeof *kept);
    unsigned char *hash = arena_alloc(loading->arena, SECRET_HASH_SIZE);

    loading->object->entry = entry;
    if (!kept || !hash)
        return error_exhausted(err);
    const struct runtime_list *list = cache_bytes(entry);
    struct runtime_range range = runtime_list_range(list, loading->type);
    if (!runtime_list_hash(hash, list, &range))
        return error_exhausted(err);
    *kept = (struct kept_source){
        .source = {length_of(range.count, range.length), range.count, hash, next_kept, rewind_kept},
        .list = list,
        .range = range,
    };
    loading->object->source = &kept->source;
    return true;
}

/* --- memory */

static void list_key(struct cache_key *key, int64_t namespace_id)
{
    cache_key_init(key, CACHE_RUNTIMES);
    cache_key_number(key, namespace_id);
}

static struct cache_entry *last_list(struct cache *cache, int64_t namespace_id)
{
    struct cache_key key;

    list_key(&key, namespace_id);
    return cache_find_last(cache, &key);
}

bool store_runtime_find(const struct credential *credential, const struct cache_view *view,
                        const struct store_object *what, int64_t namespace_id,
                        struct object *object)
{
    struct cache *cache = credential->cache;
    struct cache_entry *entry = last_list(cache, namespace_id);

    uint32_t topic = cache_topic_runtime(cache, namespace_id, what->type, what->name);

    if (entry && cache_still_says(entry, view, topic))
        object->text =
            runtime_list_find(cache_bytes(entry), what->type, what->name, &object->length);
    if (!object->text) {
        cache_release(entry);
        return false;
    }
    object->entry = entry;
    cache_note_hit(cache);
    return true;
}

/* The caller and the list from memory. OPEN: one of them is not in it. */
static enum outcome recall(struct loading *loading, const struct cache_view *view,
                           struct error *err)
{
    struct cache_key key;

    if (loading->credential->asks_database ||
        !store_caller_recall(loading->credential, view, loading->caller)) {
        caller_fini(loading->caller);
        return OPEN;
    }
    list_key(&key, loading->caller->namespace_id);
    struct cache_entry *entry = cache_find(loading->credential->cache, view, &key);
    if (!entry)
        return OPEN;
    return serve(loading, entry, err) ? DONE : FAILED;
}

/* Lets others find the list that was made, if that may be, and answers with it. */
static enum outcome finish(struct loading *loading, struct runtime_list_builder *builder,
                           uint64_t ticket, const struct runtime_moment *moment, bool keeps,
                           struct error *err)
{
    struct cache *cache = loading->credential->cache;
    int64_t namespace_id = loading->caller->namespace_id;
    struct cache_key key;

    list_key(&key, namespace_id);
    struct cache_entry *entry = runtime_list_entry(
        builder, &key, ticket, cache_topic_runtimes(cache, namespace_id), moment);
    if (!entry)
        return error_exhausted(err);
    if (keeps)
        cache_land(cache, entry);
    return serve(loading, entry, err) ? DONE : FAILED;
}

/* --- statements */

/* A load's parameters: the credential's, then these. */
enum {
    AFTER_TYPE = CREDENTIAL_PARAMETERS,
    AFTER_NAME,
    PAGE_PARAMETERS,
    SINCE = CREDENTIAL_PARAMETERS,
    SERVER,
    CLOCK,
    CHANGES_PARAMETERS,
};

/* The columns behind the caller's, of both statements. */
enum { ROWS = STORE_CALLER_COLUMNS, ROWS_SNAPSHOT, ROWS_SERVER, ROWS_CLOCK };

#define MOMENT                                                                               \
    ", pg_current_snapshot(), pg_postmaster_start_time(), extract(epoch FROM clock_timestamp())"

/* The keys of a runtime in the API, in their order there. */
#define KEYS                                                                                 \
    "runtime.cgroup_parent, runtime.cpu_nanos, runtime.memory_bytes, runtime.name,"          \
    " runtime.oci_runtime, runtime.rootless, runtime.type"

/* A line for each: type, name, JSON. None of them has a tab or a line feed in it. */
static const struct db_statement page_statement = {
    .name = "runtime_list_page",
    .parameters = PAGE_PARAMETERS,
    .sql = STORE_CALLER_SELECT
           ", (SELECT string_agg(page.type || E'\\t' || page.name || E'\\t' || row_to_json(page),"
           "                     E'\\n')"
           "     FROM (SELECT " KEYS
           "             FROM runtime_catalog.runtime AS runtime"
           "            WHERE runtime.namespace_id = caller.namespace_id"
           "              AND (runtime.type, runtime.name) > ($7, $8)"
           "            ORDER BY runtime.type, runtime.name"
           "            LIMIT 16384) AS page)" MOMENT STORE_CALLER_FROM,
};

/* The same of every runtime that was changed since a moment, without JSON where there is none any
 * more. Null: nobody knows what was changed, or the server is not the one that was asked at that
 * moment and has not crashed since. A crash ends all backends, so whoever was there before has
 * seen none. */
static const struct db_statement changes_statement = {
    .name = "runtime_list_changes",
    .parameters = CHANGES_PARAMETERS,
    .sql = "WITH change AS MATERIALIZED ("
           "    SELECT table_name, namespace_id, key"
           "      FROM runtime_catalog.follow_changes($7::pg_snapshot)) " STORE_CALLER_SELECT
           ", CASE WHEN NOT pg_is_in_recovery()"
           "        AND pg_postmaster_start_time() = $8::timestamptz"
           "        AND (SELECT extract(epoch FROM activity.backend_start) <= $9::numeric"
           "               FROM pg_stat_get_activity(pg_backend_pid()) AS activity)"
           "        AND (SELECT count(*) <= 10000" /* as LEASE_CHANGES_MAX */
           "                AND coalesce(bool_and(change.namespace_id IS NOT NULL), true)"
           "               FROM change)"
           "  THEN (SELECT coalesce(string_agg(changed.type || E'\\t' || changed.name || E'\\t'"
           "                                   || coalesce(changed.json::text, ''), E'\\n'"
           "                                   ORDER BY changed.type COLLATE \"C\","
           "                                            changed.name COLLATE \"C\"), '')"
           "          FROM (SELECT key.type, key.name,"
           "                       (SELECT row_to_json(row)"
           "                          FROM (SELECT " KEYS
           "                                  FROM runtime_catalog.runtime AS runtime"
           "                                 WHERE runtime.namespace_id = caller.namespace_id"
           "                                   AND runtime.type = key.type"
           "                                   AND runtime.name = key.name) AS row) AS json"
           "                  FROM (SELECT DISTINCT change.key->>'type' AS type,"
           "                                        change.key->>'name' AS name"
           "                          FROM change"
           "                         WHERE change.table_name = 'runtime'"
           "                           AND change.namespace_id = caller.namespace_id) AS key)"
           "               AS changed)"
           "  END" MOMENT STORE_CALLER_FROM,
};

static struct runtime_moment moment_of(const struct db_result *result)
{
    return (struct runtime_moment){
        db_result_text(result, 0, ROWS_SNAPSHOT),
        db_result_text(result, 0, ROWS_SERVER),
        db_result_text(result, 0, ROWS_CLOCK),
    };
}

/* Reads the caller of an answer, and from here on the token's use is taken. DONE: there is nobody
 * to have a list. */
static enum outcome read_caller(struct loading *loading, uint64_t ticket,
                                const struct db_result *result, bool *keeps, struct error *err)
{
    loading->spent = true;
    if (!store_caller_read(loading->credential, ticket, result, loading->arena, loading->caller,
                           keeps, err))
        return FAILED;
    *keeps = *keeps && loading->follows;
    return loading->caller->namespace_id == 0 ? DONE : OPEN;
}

/* --- what has changed since a list was read */

/* The list, with its changes: text. OPEN: it is too large now. */
static enum outcome merge(struct loading *loading, struct cache_entry *last, const char *text,
                          uint64_t ticket, const struct runtime_moment *moment, bool keeps,
                          struct error *err)
{
    struct cache *cache = loading->credential->cache;
    struct runtime_list_builder *builder =
        runtime_list_builder_new(cache, cache_largest(cache), NULL);
    struct runtime_sums sums;
    enum outcome outcome = FAILED;

    if (!builder || !runtime_list_merge(builder, cache_bytes(last), text) ||
        !runtime_list_end(builder, &sums))
        error_exhausted(err);
    else
        outcome = sums.kept ? finish(loading, builder, ticket, moment, keeps, err) : OPEN;
    runtime_list_builder_free(builder);
    return outcome;
}

/* The list as the answer has it. One that is as it was stays where it is: polls have confirmed
 * it. */
static enum outcome follow(struct loading *loading, struct cache_entry *last, uint64_t ticket,
                           const struct db_result *result, struct error *err)
{
    static const struct cache_view anything = {.polls = UINT64_MAX};
    struct cache *cache = loading->credential->cache;
    int64_t namespace_id = loading->caller->namespace_id;
    bool keeps;
    enum outcome outcome = read_caller(loading, ticket, result, &keeps, err);

    if (outcome != OPEN)
        return outcome;
    const char *text = db_result_text(result, 0, ROWS);
    if (!text || loading->caller->namespace_id != namespace_id)
        return OPEN;
    if (!*text && cache_still_says(last, &anything, cache_topic_runtimes(cache, namespace_id)))
        return serve(loading, cache_hold(last), err) ? DONE : FAILED;
    struct runtime_moment moment = moment_of(result);
    return merge(loading, last, text, ticket, &moment, keeps, err);
}

static enum outcome by_changes(struct loading *loading, struct error *err)
{
    struct cache *cache = loading->credential->cache;
    struct cache_entry *last = last_list(cache, loading->caller->namespace_id);
    struct db_parameter parameters[CHANGES_PARAMETERS];

    if (!last)
        return OPEN;
    struct runtime_moment moment = runtime_list_moment(cache_bytes(last));
    credential_parameters(parameters, loading->credential, !loading->spent);
    parameters[SINCE] = (struct db_parameter){moment.snapshot, 0};
    parameters[SERVER] = (struct db_parameter){moment.server, 0};
    parameters[CLOCK] = (struct db_parameter){moment.clock, 0};
    uint64_t ticket = cache_draw(cache);
    struct db_result *result = db_execute(loading->db, &changes_statement, parameters, err);
    enum outcome outcome = result ? follow(loading, last, ticket, result, err) : FAILED;
    db_result_free(result);
    cache_release(last);
    return outcome;
}

/* --- a list that is read as a whole */

/* Where a page begins: behind a runtime. */
struct position {
    char type[RUNTIME_LIST_TYPE_MAX + 1], name[RUNTIME_LIST_TYPE_MAX + 1];
};

static void note(struct position *position, const struct runtime_row *row)
{
    memcpy(position->type, row->type, row->type_length);
    position->type[row->type_length] = '\0';
    memcpy(position->name, row->name, row->name_length);
    position->name[row->name_length] = '\0';
}

/* snapshot NULL: a statement of its own, which may take one of the token's uses. */
static struct db_result *ask_page(const struct loading *loading, struct db_snapshot *snapshot,
                                  const struct position *after, struct error *err)
{
    struct db_parameter parameters[PAGE_PARAMETERS];

    credential_parameters(parameters, loading->credential, !snapshot && !loading->spent);
    parameters[AFTER_TYPE] = (struct db_parameter){after->type, 0};
    parameters[AFTER_NAME] = (struct db_parameter){after->name, 0};
    return snapshot ? db_snapshot_execute(snapshot, &page_statement, parameters, err)
                    : db_execute(loading->db, &page_statement, parameters, err);
}

/* Adds the rows of a page. *last: there is no other. */
static bool add_page(struct runtime_list_builder *builder, const struct db_result *result,
                     struct position *position, bool *last, struct error *err)
{
    const char *text = db_result_text(result, 0, ROWS);
    struct runtime_row row;
    size_t count = 0;

    for (text = text ? text : ""; runtime_row_next(&row, &text); count++) {
        if (!runtime_list_add(builder, &row))
            return error_exhausted(err);
        note(position, &row);
    }
    *last = count < PAGE_ROWS;
    return true;
}

static size_t keep_bytes(const struct loading *loading)
{
    size_t largest = cache_largest(loading->credential->cache);

    return loading->follows && largest > GATHERED ? largest : GATHERED;
}

/* By one statement. OPEN: there is more. */
static enum outcome by_page(struct loading *loading, struct error *err)
{
    struct runtime_list_builder *builder =
        runtime_list_builder_new(loading->credential->cache, keep_bytes(loading), loading->type);
    uint64_t ticket = cache_draw(loading->credential->cache);
    struct position position = {"", ""};
    struct runtime_sums sums;
    bool keeps = false, last = false;
    enum outcome outcome = FAILED;

    if (!builder)
        return error_exhausted(err);
    struct db_result *result = ask_page(loading, NULL, &position, err);
    if (result)
        outcome = read_caller(loading, ticket, result, &keeps, err);
    if (outcome == OPEN && !add_page(builder, result, &position, &last, err))
        outcome = FAILED;
    if (outcome == OPEN && last) {
        struct runtime_moment moment = moment_of(result);
        if (!runtime_list_end(builder, &sums))
            outcome = error_exhausted(err);
        else if (sums.kept)
            outcome = finish(loading, builder, ticket, &moment, keeps, err);
    }
    db_result_free(result);
    runtime_list_builder_free(builder);
    return outcome;
}

/* Only so many read long lists at once, and only so many wait for that: the others' threads have
 * other answers to give, and memory is not for as many lists as there are threads. */
static struct {
    pthread_mutex_t mutex;
    pthread_cond_t free;
    unsigned running, waiting;
} turns = {.mutex = PTHREAD_MUTEX_INITIALIZER, .free = PTHREAD_COND_INITIALIZER};

static bool begin_turn(struct error *err)
{
    struct timespec until;
    int fault = 0;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += LONG_WAIT_S;
    pthread_mutex_lock(&turns.mutex);
    if (turns.waiting < LONG_WAITING) {
        turns.waiting++;
        while (turns.running == LONG_READINGS && fault == 0)
            fault = pthread_cond_clockwait(&turns.free, &turns.mutex, CLOCK_MONOTONIC, &until);
        turns.waiting--;
    }
    bool mine = turns.running < LONG_READINGS;
    turns.running += mine;
    pthread_mutex_unlock(&turns.mutex);
    return mine || error_set(err, ERROR_STORAGE_AWAY, "storage is busy");
}

static void end_turn(void)
{
    pthread_mutex_lock(&turns.mutex);
    turns.running--;
    pthread_cond_signal(&turns.free);
    pthread_mutex_unlock(&turns.mutex);
}

/* What is sent while it is read. */
struct read_source {
    struct source source;
    struct loading loading;
    struct db_snapshot *snapshot;
    struct position position;
    size_t left; /* bytes that are to come */
    char *text;  /* of a page */
    bool begun, ended;
};

static bool is_wanted(const struct runtime_row *row, const char *type)
{
    return !*type ||
           (row->type_length == strlen(type) && memcmp(row->type, type, row->type_length) == 0);
}

/* The rows of a page, as they are sent. False with *err. */
static bool spell_page(struct read_source *reader, const struct db_result *result, size_t *length,
                       struct error *err)
{
    const char *text = db_result_rows(result) == 1 ? db_result_text(result, 0, ROWS) : NULL;
    struct runtime_row row;
    size_t count = 0, used = 0;

    text = text ? text : "";
    size_t size = strlen(text);
    free(reader->text);
    reader->text = malloc(size + go_json_growth(text, size) + 1); /* for a tab a row a comma */
    if (!reader->text)
        return error_exhausted(err);
    for (; runtime_row_next(&row, &text); count++) {
        note(&reader->position, &row);
        if (!is_wanted(&row, reader->loading.type))
            continue;
        if (reader->begun)
            reader->text[used++] = ',';
        reader->begun = true;
        used += go_json_respell(reader->text + used, row.json, row.json_length);
    }
    reader->ended = count < PAGE_ROWS;
    *length = used;
    return true;
}

/* What is wanted of the next pages, until there is something. Each statement has its own bound. */
static bool read_on(struct read_source *reader, const char **bytes, size_t *length,
                    struct error *err)
{
    bool good = true;

    db_set_deadline(0);
    for (*length = 0; good && *length == 0 && !reader->ended; *bytes = reader->text) {
        struct db_result *result =
            ask_page(&reader->loading, reader->snapshot, &reader->position, err);
        good = result && spell_page(reader, result, length, err);
        db_result_free(result);
    }
    return good;
}

static bool next_read(struct source *source, const char **bytes, size_t *length,
                      struct error *err)
{
    struct read_source *reader = (struct read_source *)source;

    *length = 0;
    if (reader->left == source->length) {
        *bytes = head_text;
        *length = strlen(head_text);
    } else if (!read_on(reader, bytes, length, err)) {
        return false;
    }
    if (*length == 0 && reader->left > 0) {
        *bytes = tail_text;
        *length = strlen(tail_text);
    }
    if (*length > reader->left || (*bytes == tail_text && *length != reader->left))
        return error_set(err, ERROR_INTERNAL, "internal error"); /* not what was counted */
    reader->left -= *length;
    return true;
}

static void close_read(struct source *source)
{
    struct read_source *reader = (struct read_source *)source;

    db_snapshot_close(reader->snapshot);
    free(reader->text);
    end_turn();
}

/* Reads all pages of one moment, the caller with the first of them. OPEN: the sums are made. */
static enum outcome read_pages(struct loading *loading, struct db_snapshot *snapshot,
                               struct runtime_list_builder *builder, uint64_t ticket,
                               struct db_result **first, bool *keeps, struct error *err)
{
    struct position position = {"", ""};
    enum outcome outcome = OPEN;
    bool last = false;

    while (outcome == OPEN && !last) {
        struct db_result *result = ask_page(loading, snapshot, &position, err);
        if (!result)
            return FAILED;
        if (!*first)
            outcome = read_caller(loading, ticket, result, keeps, err);
        else if (db_result_rows(result) == 0)
            outcome = error_set(err, ERROR_PERMISSION_DENIED, ERROR_TEXT_INVALID_TOKEN);
        if (outcome == OPEN && !add_page(builder, result, &position, &last, err))
            outcome = FAILED;
        if (!*first)
            *first = result;
        else
            db_result_free(result);
    }
    return outcome;
}

/* Answers with what is read once more, while it is sent; snapshot and turn are the object's
 * then. */
static enum outcome send_later(struct loading *loading, struct db_snapshot *snapshot,
                               const struct runtime_sums *sums, struct error *err)
{
    struct read_source *reader = arena_alloc(loading->arena, sizeof *reader);
    unsigned char *hash = arena_alloc(loading->arena, sizeof sums->hash);
    size_t length = length_of(sums->count, sums->length);

    if (!reader || !hash)
        return error_exhausted(err);
    memcpy(hash, sums->hash, sizeof sums->hash);
    *reader = (struct read_source){
        .source = {length, sums->count, hash, next_read, NULL},
        .loading = *loading,
        .snapshot = snapshot,
        .left = length,
    };
    loading->object->source = &reader->source;
    loading->object->close = close_read;
    return DONE;
}

/* Page by page. *sent: snapshot and turn are the object's from here on. */
static enum outcome by_snapshot(struct loading *loading, struct db_snapshot *snapshot, bool *sent,
                                struct error *err)
{
    struct runtime_list_builder *builder =
        runtime_list_builder_new(loading->credential->cache, keep_bytes(loading), loading->type);
    uint64_t ticket = cache_draw(loading->credential->cache);
    struct db_result *first = NULL;
    struct runtime_sums sums;
    bool keeps = false;

    if (!builder)
        return error_exhausted(err);
    enum outcome outcome = read_pages(loading, snapshot, builder, ticket, &first, &keeps, err);
    if (outcome == OPEN && !runtime_list_end(builder, &sums))
        outcome = error_exhausted(err);
    if (outcome == OPEN && sums.kept) {
        struct runtime_moment moment = moment_of(first);
        outcome = finish(loading, builder, ticket, &moment, keeps, err);
    } else if (outcome == OPEN) {
        outcome = send_later(loading, snapshot, &sums, err);
        *sent = outcome == DONE;
    }
    db_result_free(first);
    runtime_list_builder_free(builder);
    return outcome;
}

/* When it is our turn: by then another one may have read it. */
static enum outcome in_turn(struct loading *loading, struct error *err)
{
    struct db_snapshot *snapshot = NULL;
    bool sent = false;

    if (!begin_turn(err))
        return FAILED;
    db_set_deadline(LONG_MS);
    enum outcome outcome = loading->follows ? by_changes(loading, err) : OPEN;
    if (outcome == OPEN) {
        snapshot = db_snapshot_open(loading->db, err);
        outcome = snapshot ? by_snapshot(loading, snapshot, &sent, err) : FAILED;
    }
    if (!sent) {
        db_snapshot_close(snapshot);
        end_turn();
    }
    return outcome;
}

/* Finds out whose list it is, where memory does not know. DONE: there is nobody to have one. */
static enum outcome find_caller(struct loading *loading, struct error *err)
{
    if (!store_caller_load(loading->db, loading->credential, loading->arena, loading->caller, err))
        return FAILED;
    loading->spent = true;
    return loading->caller->namespace_id == 0 ? DONE : OPEN;
}

bool store_runtime_load_list(struct db *db, const struct credential *credential,
                             const char *type, const char *name, struct arena *arena,
                             struct caller *caller, struct object *object, struct error *err)
{
    struct loading loading = {db, credential, type ? type : "", arena, caller, object,
                              .spent = false};
    struct cache_view view;
    enum outcome outcome = OPEN;

    (void)name;
    *caller = (struct caller){.known = false};
    *object = (struct object){.json = NULL};
    loading.follows = cache_gate_enter(cache_gate(credential->cache), &view);
    if (loading.follows)
        outcome = recall(&loading, &view, err);
    if (outcome == OPEN && loading.follows && !caller->known)
        outcome = find_caller(&loading, err);
    if (outcome == OPEN && loading.follows)
        outcome = by_changes(&loading, err);
    if (outcome == OPEN)
        outcome = by_page(&loading, err);
    if (outcome == OPEN)
        outcome = in_turn(&loading, err);
    return outcome == DONE;
}
