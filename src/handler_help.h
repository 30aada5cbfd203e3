/* SPDX-License-Identifier: MIT
 *
 * What `vault path-help` prints: the help of a route, for anybody who has a token.
 */
#ifndef HANDLER_HELP_H
#define HANDLER_HELP_H

#include "error.h"

#include <stdbool.h>

struct call;

/* 200 with {"help": …, "openapi": null, "see_also": null}, and no envelope around it. */
bool handler_help(struct call *call, struct error *err);

#endif
