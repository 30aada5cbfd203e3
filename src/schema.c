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

enum { TRIGGERS = 14 }; /* that the migrations make, all of them ENABLE ALWAYS */

/* A version's three numbers as one. -1: it is none. */
static long version_number(const char *text)
{
    unsigned major, minor, patch;

    if (sscanf(text, "%u.%u.%u", &major, &minor, &patch) != 3)
        return -1;
    return ((long)major * 1000 + minor) * 1000 + patch;
}

static bool check_versions(const struct db_result *result, struct error *err)
{
    const char *newest = db_result_text(result, 0, 0);
    const char *oldest_worker = db_result_text(result, 0, 1);
    const char *triggers = db_result_text(result, 0, 2);

    if (strtol(newest, NULL, 10) < SCHEMA_VERSION)
        return error_set(err, ERROR_MISCONFIGURED,
                         "the schema is at version %s and too old for this program, which needs "
                         "%d: run runtime-catalog migrate",
                         newest, SCHEMA_VERSION);
    if (version_number(oldest_worker) > version_number(VERSION_TEXT))
        return error_set(err, ERROR_MISCONFIGURED,
                         "the schema is at version %s and too new for this program: it needs "
                         "runtime-catalogd %s, this is " VERSION_TEXT,
                         newest, oldest_worker);
    if (strtol(triggers, NULL, 10) < TRIGGERS)
        return error_set(err, ERROR_MISCONFIGURED,
                         "%s of the schema's %d triggers are enabled always: changes would go "
                         "unrecorded",
                         triggers, TRIGGERS);
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

bool schema_check(struct db *db, struct error *err)
{
    static const struct db_statement statement = {
        .name = "schema_check",
        .sql = "SELECT coalesce(max(version), 0),"
               "       coalesce((array_agg(oldest_worker ORDER BY version DESC))[1], '0.0.0'),"
               "       (SELECT count(*)"
               "          FROM pg_catalog.pg_trigger AS t"
               "          JOIN pg_catalog.pg_class AS c ON c.oid = t.tgrelid"
               "          JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace"
               "         WHERE n.nspname = 'runtime_catalog' AND NOT t.tgisinternal"
               "           AND t.tgenabled = 'A')"
               "  FROM runtime_catalog.schema_version",
    };
    bool exists;

    if (!table_exists(db, &exists, err))
        return false;
    if (!exists)
        return error_set(err, ERROR_MISCONFIGURED,
                         "the database has no runtime_catalog schema: run runtime-catalog "
                         "migrate");
    struct db_result *result = db_execute(db, &statement, NULL, err);
    bool good = result && check_versions(result, err);
    db_result_free(result);
    return good;
}

enum schema_state schema_health(struct db *db)
{
    static const struct db_statement statement = {
        .name = "schema_standby",
        .sql = "SELECT pg_catalog.pg_is_in_recovery()",
    };
    struct error err;

    if (!schema_check(db, &err))
        return err.code == ERROR_STORAGE_READ_ONLY ? SCHEMA_STANDBY
               : err.code == ERROR_STORAGE_AWAY    ? SCHEMA_AWAY
                                                   : SCHEMA_UNFIT;
    struct db_result *result = db_execute(db, &statement, NULL, &err);
    enum schema_state state = !result                           ? SCHEMA_AWAY
                              : db_result_true(result, 0, 0) ? SCHEMA_STANDBY
                                                                : SCHEMA_GOOD;
    db_result_free(result);
    return state;
}

const char *schema_state_name(enum schema_state state)
{
    static const char *const names[] = {
        [SCHEMA_GOOD] = "available",
        [SCHEMA_STANDBY] = "standby",
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
    char *text = read_file(migration->path, &length, err);
    if (!text)
        return false;
    bool hashed = secret_hash_text(migration->checksum, text, length);
    free(text);
    return hashed || error_set(err, ERROR_INTERNAL, "libcrypto failed");
}

static bool list_files(struct migrations *migrations, const char *directory, struct error *err)
{
    struct dirent **entries = NULL;
    int count = scandir(directory, &entries, is_migration, alphasort);
    bool good = count >= 0 || file_error(err, directory);

    if (count == 0)
        good = error_set(err, ERROR_MISCONFIGURED, "%s: there are no migrations here", directory);
    /* Room for as many again that only the database knows. */
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
        migration->state = !checksum || strcmp(checksum, migration->checksum) == 0
                               ? MIGRATION_APPLIED
                               : MIGRATION_EDITED;
    migration->unsigned_row = !checksum;
    migration->applied_at = strdup(db_result_text(result, row, 3));
    migration->applied_by = strdup(db_result_text(result, row, 4));
    return (migration->applied_at && migration->applied_by) || error_exhausted(err);
}

bool schema_list(struct migrations *migrations, struct db *db, const char *directory,
                 struct error *err)
{
    static const struct db_statement statement = {
        .name = "schema_list",
        .sql = "SELECT version, name, checksum,"
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
    return good;
}

void schema_list_fini(struct migrations *migrations)
{
    for (size_t i = 0; i < migrations->count; i++) {
        free(migrations->items[i].name);
        free(migrations->items[i].path);
        free(migrations->items[i].applied_at);
        free(migrations->items[i].applied_by);
    }
    free(migrations->items);
    *migrations = (struct migrations){.count = 0};
}

static bool store_checksum(struct db *db, const struct migration *migration, struct error *err)
{
    static const struct db_statement statement = {
        .name = "schema_sign",
        .parameters = 2,
        .sql = "UPDATE runtime_catalog.schema_version SET checksum = $2"
               " WHERE version = $1::integer AND checksum IS NULL",
    };
    char version[16];

    text_format(version, sizeof version, "%d", migration->version);
    struct db_result *result = db_execute(
        db, &statement, (struct db_parameter[]){{version, 0}, {migration->checksum, 0}}, err);
    db_result_free(result);
    return result != NULL;
}

bool schema_apply(struct db *db, const struct migration *migration, struct error *err)
{
    size_t length;

    if (migration->state == MIGRATION_PENDING) {
        char *text = read_file(migration->path, &length, err);
        if (!text)
            return false;
        bool ran = db_script(db, text, err);
        free(text);
        if (!ran && err->code != ERROR_ALREADY_DONE)
            return false;
    }
    return store_checksum(db, migration, err);
}
