/* SPDX-License-Identifier: MIT
 *
 * What requests are served with: one reading of the configuration and what was opened from
 * it. A reload replaces it while requests go on; the last one to leave the old closes it.
 */
#ifndef SERVICE_H
#define SERVICE_H

#include "error.h"

struct arena;
struct config;
struct db;
struct input;
struct output;
struct service;

/* Reads the configuration at path, which is borrowed, sets up logging and makes the pool of
 * connections without connecting. NULL with *err. Ours: service_close, once no thread uses
 * it. */
struct service *service_open(const char *path, struct error *err)
    __attribute__((warn_unused_result));
void service_close(struct service *service); /* NULL is fine */

/* What was read first: for what a reload cannot change, and for -t. Borrowed until the first
 * reload. */
const struct config *service_config(const struct service *service);
struct db *service_db(const struct service *service);

/* Whether the schema fits; false with *err, which is of storage if nobody knows yet. Where it does
 * not, requests get 503 until it does. */
bool service_check(struct service *service, struct error *err)
    __attribute__((warn_unused_result));

/* Opens the audit log, and begins to keep true what is remembered; before that nothing is. To be
 * called once, before the first request. False with *err. */
bool service_begin(struct service *service, struct error *err)
    __attribute__((warn_unused_result));

/* Serves one request; for any number of threads at once. context is the struct service. */
void service_serve(void *context, const struct input *input, const struct output *output,
                   struct arena *arena);

/* What is to be done now and then, and nothing if no request came since the last time: looks
 * whether the schema still fits, every second, and deletes tokens that have ended. Returns the
 * milliseconds until it wants to be called again. */
unsigned service_tick(void *context);

/* Reads the configuration again. What is not fit to serve is refused, with the reason in the
 * log, and everything stays as it was: a file with a fault, a schema that does not fit, and a
 * new connection_url at which nobody answers. */
void service_reload(void *context);

#endif
