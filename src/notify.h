/* SPDX-License-Identifier: MIT
 *
 * What the worker tells the service manager that started it, and hears from it: the protocols
 * of sd_notify(3), sd_watchdog_enabled(3) and sd_listen_fds(3), which are a few lines each.
 * Without a service manager every function does nothing.
 */
#ifndef NOTIFY_H
#define NOTIFY_H

#include <stdbool.h>

/* Reads the environment, once, before the first thread. */
void notify_open(void);

/* How many listening sockets the service manager passed; their descriptors begin at: */
enum { NOTIFY_FIRST_LISTENER = 3 };
unsigned notify_listeners(void);

/* Milliseconds within which notify_alive() wants to be called again; 0: never. */
unsigned notify_watchdog_ms(void);

void notify_ready(void); /* serves, or serves again after: */
void notify_reloading(void);
void notify_stopping(void);
void notify_alive(void);

#endif
