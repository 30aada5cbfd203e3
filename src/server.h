/* SPDX-License-Identifier: MIT
 *
 * The threads, libfcgi's loop, and the drain at the end. Knows no path and no JSON. The one
 * module that uses libfcgi.
 */
#ifndef SERVER_H
#define SERVER_H

#include "error.h"
#include "listener.h"
#include "sandbox.h"

#include <stdbool.h>
#include <sys/types.h>

struct arena;
struct connections;
struct input;
struct output;

struct server_options {
    struct listener_options listener;
    enum sandbox_calls seccomp;
    const char *audit_path; /* in whose folder files may be made and written; NULL: none */
    unsigned threads;
    unsigned descriptors; /* that may be open at once, beside connections of the web server: these
                             may have all others */
    unsigned request_ms;  /* bound of waiting for the web server in the middle of a request */
    unsigned shutdown_ms; /* bound of answering what was accepted, once told to stop */
    /* Serves one request; called by every thread. */
    void (*serve)(void *context, const struct input *input, const struct output *output,
                  struct arena *arena);
    void (*reload)(void *context);   /* on SIGHUP; called by the thread of server_run, as is tick: */
    unsigned (*tick)(void *context); /* now and then; returns the milliseconds until the next */
    void *context;
};

/* From here on a SIGHUP waits for server_run. To be called before anything slow. */
void server_block_signals(void);

/* Listens, enters the sandbox, serves until SIGTERM or SIGINT, stops accepting, answers what was accepted and what
 * arrives on kept connections until the peer lets go or shutdown_ms are over. The service
 * manager (notify.h) hears of each turn, and of the threads as long as they get on with it. To be
 * called once, before any other thread. False with *err: there is no socket, no sandbox, or no thread could be
 * made. *left becomes the number of threads that still serve because shutdown_ms were over:
 * what they use must not be freed. */
bool server_run(const struct server_options *options, unsigned *left, struct error *err)
    __attribute__((warn_unused_result));

/* The web server's connections, from the first request on that is served. */
const struct connections *server_connections(void);

#endif
