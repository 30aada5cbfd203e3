/* SPDX-License-Identifier: MIT
 *
 * driver CONNECTION_URL [MAX_CONNECTIONS [CONNECT_MS]]: src/db.c by itself. Reads a statement a
 * line and answers each with a line of JSON: {"rows": […]} or {"code", "status", "text", "detail"},
 * and "ms", what it took. Ends with 1 and such an error at once if the connection string is not fit.
 */
#include "db.h"
#include "error.h"
#include "log.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { STATEMENTS_MAX = 100, LINE_MAX_BYTES = 16 * 1024 };

static double now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1000 + (double)now.tv_nsec / 1e6;
}

static void answer(json_t *value)
{
    char *text = json_dumps(value, JSON_COMPACT);

    puts(text);
    fflush(stdout);
    free(text);
    json_decref(value);
}

static json_t *error_of(const struct error *err)
{
    return json_pack("{s:s, s:i, s:s, s:s}", "code", error_name(err->code), "status",
                     (int)error_status(err->code), "text", err->text, "detail", err->detail);
}

/* First columns alone. */
static json_t *rows_of(struct db_result *result)
{
    json_t *rows = json_array();

    for (size_t i = 0; i < db_result_rows(result); i++) {
        const char *text = db_result_text(result, i, 0);
        json_array_append_new(rows, text ? json_string(text) : json_null());
    }
    return json_pack("{s:o}", "rows", rows);
}

/* The same text is the same statement, prepared once. */
static const struct db_statement *statement_of(const char *sql)
{
    static struct db_statement statements[STATEMENTS_MAX];
    static char names[STATEMENTS_MAX][16];
    static size_t count;

    for (size_t i = 0; i < count; i++) {
        if (strcmp(statements[i].sql, sql) == 0)
            return &statements[i];
    }
    if (count == STATEMENTS_MAX)
        abort();
    snprintf(names[count], sizeof names[count], "s%zu", count);
    statements[count] = (struct db_statement){.name = names[count], .sql = strdup(sql)};
    return &statements[count++];
}

int main(int argc, char *argv[])
{
    struct db_options options = {
        .connection_url = argc > 1 ? argv[1] : "",
        .application_name = "driver",
        .max_connections = argc > 2 ? (unsigned)atoi(argv[2]) : 1,
        .connect_ms = argc > 3 ? (unsigned)atoi(argv[3]) : 2000,
        .pool_ms = 2000,
        .statement_ms = 5000,
    };
    char line[LINE_MAX_BYTES];
    struct error err = {.code = ERROR_NONE};
    struct db *db = db_open(&options, &err);

    log_set_level(LOG_LEVEL_DEBUG);
    if (!db) {
        answer(error_of(&err));
        return EXIT_FAILURE;
    }
    while (fgets(line, sizeof line, stdin)) {
        line[strcspn(line, "\n")] = '\0';
        double begun = now_ms();
        struct db_result *result = db_execute(db, statement_of(line), NULL, &err);
        json_t *said = result ? rows_of(result) : error_of(&err);
        db_result_free(result);
        json_object_set_new(said, "ms", json_real(now_ms() - begun));
        answer(said);
    }
    db_close(db);
    return EXIT_SUCCESS;
}
