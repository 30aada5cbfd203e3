/* SPDX-License-Identifier: MIT */
#include "schema.h"

#include "db.h"
#include "secret.h"
#include "text.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TRIGGERS = 15 }; /* that the migrations make, all of them ENABLE ALWAYS */

/* The columns of schema_check's statement. */
enum { NEWEST, MISSING, OLDEST_WORKER, SERVES, ALWAYS, NOT_ALWAYS };

static bool check_versions(const struct db_result *result, struct error *err)
{
    const char *newest = db_result_text(result, 0, NEWEST);
    const char *missing = db_result_text(result, 0, MISSING);
    const char *always = db_result_text(result, 0, ALWAYS);

    if (missing)
        return error_set(err, ERROR_MISCONFIGURED,
                         "the schema is at version %s and too old for this program, which needs "
                         "%d: migration %s has not run; run runtime-catalog migrate",
                         newest, SCHEMA_VERSION, missing);
    if (!db_result_true(result, 0, SERVES))
        return error_set(err, ERROR_MISCONFIGURED,
                         "the schema is at version %s and too new for this program: it needs "
                         "runtime-catalogd %s, this is " VERSION_TEXT,
                         newest, db_result_text(result, 0, OLDEST_WORKER));
    if (strtol(always, NULL, 10) < TRIGGERS || db_result_true(result, 0, NOT_ALWAYS))
        return error_set(err, ERROR_MISCONFIGURED,
                         "%s of the schema's triggers are enabled always, which is not all of "
                         "them: changes would go unrecorded",
                         always);
    return true;
}

static bool table_exists(struct db *db, bool *exists, struct error *err)
{
    static const struct db_statement statement = {
        .name = "schema_exists",
        .sql = "SELECT pg_catalog.to_regclass('runtime_catalog.schema_version') IS NOT NULL",
    };
    struct db_result *result = db_execute(db, &statement, NULL, err);

    *exists = result && db_result_true(result, 0, 0);
    db_result_free(result);
    return result != NULL;
}

/* What the check failed on may be that there is nothing to check. */
static bool explain_failure(struct db *db, struct error *err)
{
    struct error ignored;
    bool exists = true;

    if (table_exists(db, &exists, &ignored) && !exists)
        error_set(err, ERROR_MISCONFIGURED,
                  "the database has no runtime_catalog schema: run runtime-catalog migrate");
    return false;
}

bool schema_check(struct db *db, struct error *err)
{
    /* Of all migrations that ran the most demanding one counts, whichever came last. */
    static const struct db_statement statement = {
        .name = "schema_check",
        .parameters = 2,
        .sql = "SELECT ran.newest,"
               "       (SELECT min(needed) FROM generate_series(1, $1::integer) AS needed"
               "         WHERE NOT needed = ANY (ran.versions)),"
               "       array_to_string(ran.oldest_worker, '.'),"
               "       ran.oldest_worker <= string_to_array($2, '.')::numeric[],"
               "       hung.always, hung.not_always"
               "  FROM (SELECT coalesce(max(version), 0) AS newest,"
               "               coalesce(array_agg(version), '{}') AS versions,"
               "               max(string_to_array(oldest_worker, '.')::numeric[]) AS oldest_worker"
               "          FROM runtime_catalog.schema_version) AS ran,"
               "       (SELECT count(*) FILTER (WHERE t.tgenabled = 'A') AS always,"
               "               count(*) FILTER (WHERE t.tgenabled <> 'A') > 0 AS not_always"
               "          FROM pg_catalog.pg_trigger AS t"
               "          JOIN pg_catalog.pg_class AS c ON c.oid = t.tgrelid"
               "          JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace"
               "         WHERE n.nspname = 'runtime_catalog'"
               "           AND NOT t.tgisinternal AND t.tgparentid = 0) AS hung",
    };
    char version[16];

    text_format(version, sizeof version, "%d", SCHEMA_VERSION);
    struct db_result *result =
        db_execute(db, &statement, (struct db_parameter[]){{version, 0}, {VERSION_TEXT, 0}}, err);
    if (!result)
        return explain_failure(db, err);
    bool good = check_versions(result, err);
    db_result_free(result);
    return good;
}

enum schema_state schema_health(struct db *db)
{
    static const struct db_statement statement = {
        .name = "schema_standby",
        .sql = "SELECT pg_catalog.pg_is_in_recovery(),"
               "       pg_catalog.current_setting('transaction_read_only')::boolean",
    };
    struct error err;

    if (!schema_check(db, &err))
        return err.code == ERROR_STORAGE_READ_ONLY ? SCHEMA_STANDBY
               : err.code == ERROR_STORAGE_AWAY    ? SCHEMA_AWAY
                                                   : SCHEMA_UNFIT;
    struct db_result *result = db_execute(db, &statement, NULL, &err);
    enum schema_state state = !result                        ? SCHEMA_AWAY
                              : db_result_true(result, 0, 0) ? SCHEMA_STANDBY
                              : db_result_true(result, 0, 1) ? SCHEMA_READ_ONLY
                                                             : SCHEMA_GOOD;
    db_result_free(result);
    return state;
}

const char *schema_state_name(enum schema_state state)
{
    static const char *const names[] = {
        [SCHEMA_GOOD] = "available",
        [SCHEMA_STANDBY] = "standby",
        [SCHEMA_READ_ONLY] = "read-only",
        [SCHEMA_AWAY] = "not available",
        [SCHEMA_UNFIT] = "schema does not fit",
    };

    return names[state];
}

const char *migration_state_name(enum migration_state state)
{
    static const char *const names[] = {"applied", "pending", "edited", "unknown"};

    return names[state];
}

static bool file_error(struct error *err, const char *path)
{
    return error_set(err, ERROR_MISCONFIGURED, "%s: %s", path, strerror(errno));
}

/* The whole of a file with a NUL behind it; ours to free. NULL with *err. */
static char *read_file(const char *path, size_t *length, struct error *err)
{
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    char *text = NULL;

    *length = 0;
    if (fd >= 0 && fstat(fd, &status) == 0)
        text = calloc(1, (size_t)status.st_size + 1);
    if (text) {
        ssize_t got = read(fd, text, (size_t)status.st_size);
        *length = got > 0 ? (size_t)got : 0;
    }
    if (!text || *length != (size_t)status.st_size) {
        file_error(err, path);
        free(text);
        text = NULL;
    }
    if (fd >= 0)
        close(fd);
    return text;
}

/* 0001_name.sql */
static int is_migration(const struct dirent *entry)
{
    const char *name = entry->d_name;
    size_t length = strlen(name);

    for (int i = 0; i < 4; i++) {
        if (!text_is_digit(name[i]))
            return 0;
    }
    return name[4] == '_' && length > 9 && strcmp(name + length - 4, ".sql") == 0;
}

static bool read_migration(struct migration *migration, const char *directory,
                           const char *file_name, struct error *err)
{
    size_t length;

    migration->version = (int)strtol(file_name, NULL, 10);
    migration->name = strndup(file_name + 5, strlen(file_name) - 9);
    migration->state = MIGRATION_PENDING;
    if (asprintf(&migration->path, "%s/%s", directory, file_name) < 0 || !migration->name)
        return error_exhausted(err);
    migration->text = read_file(migration->path, &length, err);
    return migration->text && (secret_hash_text(migration->checksum, migration->text, length) ||
                               error_set(err, ERROR_INTERNAL, "libcrypto failed"));
}

static bool list_files(struct migrations *migrations, const char *directory, struct error *err)
{
    struct dirent **entries = NULL;
    int count = scandir(directory, &entries, is_migration, alphasort);
    bool good = count >= 0 || file_error(err, directory);

    if (count == 0)
        good = error_set(err, ERROR_MISCONFIGURED, "%s: there are no migrations here", directory);
    migrations->items = calloc((size_t)(count > 0 ? count : 0) + 1, sizeof *migrations->items);
    if (good && !migrations->items)
        good = error_exhausted(err);
    for (int i = 0; i < count; i++) {
        good = good && read_migration(&migrations->items[migrations->count++], directory,
                                      entries[i]->d_name, err);
        free(entries[i]);
    }
    free(entries);
    return good;
}

static struct migration *find(struct migrations *migrations, int version)
{
    for (size_t i = 0; i < migrations->count; i++) {
        if (migrations->items[i].version == version)
            return &migrations->items[i];
    }
    return NULL;
}

static struct migration *append(struct migrations *migrations, int version, const char *name)
{
    struct migration *grown =
        realloc(migrations->items, (migrations->count + 1) * sizeof *grown);

    if (!grown)
        return NULL;
    migrations->items = grown;
    struct migration *added = &grown[migrations->count++];
    *added = (struct migration){.version = version, .name = strdup(name)};
    added->state = MIGRATION_UNKNOWN;
    return added->name ? added : NULL;
}

static bool add_row(struct migrations *migrations, const struct db_result *result, size_t row,
                    struct error *err)
{
    int version = (int)strtol(db_result_text(result, row, 0), NULL, 10);
    const char *checksum = db_result_text(result, row, 2);
    struct migration *migration = find(migrations, version);

    if (!migration)
        migration = append(migrations, version, db_result_text(result, row, 1));
    if (!migration)
        return error_exhausted(err);
    if (migration->path)
        migration->state = strcmp(migration->name, db_result_text(result, row, 1)) == 0 &&
                                   (!checksum || strcmp(checksum, migration->checksum) == 0)
                               ? MIGRATION_APPLIED
                               : MIGRATION_EDITED;
    migration->unsigned_row = !checksum;
    migration->oldest_worker = strdup(db_result_text(result, row, 3));
    migration->applied_at = strdup(db_result_text(result, row, 4));
    migration->applied_by = strdup(db_result_text(result, row, 5));
    return (migration->oldest_worker && migration->applied_at && migration->applied_by) ||
           error_exhausted(err);
}

static int compare_versions(const void *a, const void *b)
{
    const struct migration *one = a, *other = b;

    return (one->version > other->version) - (one->version < other->version);
}

bool schema_list(struct migrations *migrations, struct db *db, const char *directory,
                 struct error *err)
{
    static const struct db_statement statement = {
        .name = "schema_list",
        .sql = "SELECT version, name, checksum, oldest_worker,"
               "       to_char(applied_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'),"
               "       applied_by"
               "  FROM runtime_catalog.schema_version"
               " ORDER BY version",
    };
    bool exists = false;

    *migrations = (struct migrations){.count = 0};
    bool good = list_files(migrations, directory, err) && table_exists(db, &exists, err);
    if (!good || !exists)
        return good;
    struct db_result *result = db_execute(db, &statement, NULL, err);
    good = result != NULL;
    for (size_t row = 0; good && row < db_result_rows(result); row++)
        good = add_row(migrations, result, row, err);
    db_result_free(result);
    qsort(migrations->items, migrations->count, sizeof *migrations->items, compare_versions);
    return good;
}

void schema_list_fini(struct migrations *migrations)
{
    for (size_t i = 0; i < migrations->count; i++) {
        free(migrations->items[i].name);
        free(migrations->items[i].path);
        free(migrations->items[i].text);
        free(migrations->items[i].oldest_worker);
        free(migrations->items[i].applied_at);
        free(migrations->items[i].applied_by);
    }
    free(migrations->items);
    *migrations = (struct migrations){.count = 0};
}

/* Whether the schema has a migration that was pending; false also if nobody can say. */
static bool has_run(struct db *db, const struct migration *migration)
{
    static const struct db_statement statement = {
        .name = "schema_has_run",
        .parameters = 1,
        .sql = "SELECT FROM runtime_catalog.schema_version WHERE version = $1::integer",
    };
    char version[16];
    struct error ignored;

    text_format(version, sizeof version, "%d", migration->version);
    struct db_result *result =
        db_execute(db, &statement, (struct db_parameter[]){{version, 0}}, &ignored);
    bool ran = result && db_result_rows(result) == 1;
    db_result_free(result);
    return ran;
}

static bool store_checksum(struct db *db, const struct migration *migration, struct error *err)
{
    static const struct db_statement statement = {
        .name = "schema_sign",
        .parameters = 3,
        .sql = "UPDATE runtime_catalog.schema_version SET checksum = $3"
               " WHERE version = $1::integer AND name = $2 AND coalesce(checksum, $3) = $3"
               " RETURNING true",
    };
    char version[16];

    text_format(version, sizeof version, "%d", migration->version);
    struct db_result *result = db_execute(
        db, &statement,
        (struct db_parameter[]){{version, 0}, {migration->name, 0}, {migration->checksum, 0}},
        err);
    bool stored = result && db_result_rows(result) == 1;
    if (result && !stored)
        error_set(err, ERROR_MISCONFIGURED,
                  "%s has run, but schema_version has another file under its number, or none",
                  migration->path);
    db_result_free(result);
    return stored;
}

/* What fails may have run all the same: by somebody else meanwhile, or by us, if the connection
 * was lost as it ended. */
static bool run(struct db *db, const struct migration *migration, struct error *err)
{
    struct error cause;

    if (db_script(db, migration->text, &cause) || has_run(db, migration))
        return true;
    error_set(err, cause.code, "%s failed", migration->path);
    memcpy(err->detail, cause.detail, sizeof err->detail);
    return false;
}

bool schema_apply(struct db *db, const struct migration *migration, struct error *err)
{
    return (migration->state == MIGRATION_APPLIED || run(db, migration, err)) &&
           store_checksum(db, migration, err);
}
