/* SPDX-License-Identifier: MIT
 *
 * workless SOCKET FILE THREADS: the worker's own loop, with FILE as the answer to everything. What
 * it loses against responder.c is what the loop costs, what the worker loses against it is what a
 * request costs. Ends with SIGTERM.
 */
#include "response.h"
#include "server.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { BYTES_MAX = 16 * 1024, WAIT_MS = 60000 };

static char bytes[BYTES_MAX];
static size_t length;

static void answer(void *context, const struct input *input, const struct output *output,
                   struct arena *arena)
{
    (void)context;
    (void)input;
    (void)arena;
    output->write(output->context, bytes, length);
}

static void reload(void *context)
{
    (void)context;
}

static unsigned tick(void *context)
{
    (void)context;
    return WAIT_MS;
}

int main(int argc, char *argv[])
{
    char address[128];
    struct error err;
    unsigned left;
    FILE *file = argc == 4 ? fopen(argv[2], "rb") : NULL;

    if (!file)
        return EXIT_FAILURE;
    length = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    snprintf(address, sizeof address, "unix:%s", argv[1]);
    bool served = server_run(
        &(struct server_options){
            .listener = {.address = address, .mode = 0600},
            .seccomp = SANDBOX_CALLS_ENFORCE,
            .threads = (unsigned)atoi(argv[3]),
            .request_ms = WAIT_MS,
            .serve = answer,
            .reload = reload,
            .tick = tick,
        },
        &left, &err);
    if (!served)
        fprintf(stderr, "%s\n", err.text);
    return served ? EXIT_SUCCESS : EXIT_FAILURE;
}
