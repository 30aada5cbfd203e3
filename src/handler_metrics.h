/* SPDX-License-Identifier: MIT
 *
 * What is counted, as people and programs read it: the text format 0.0.4 of Prometheus, or JSON in
 * the shape of Vault's. Vault's names where Vault counts the same; a dot there is an underscore
 * here, in Prometheus.
 */
#ifndef HANDLER_METRICS_H
#define HANDLER_METRICS_H

#include "error.h"

#include <stdbool.h>

struct call;

/* GET sys/metrics, in the root namespace alone: what is counted is of all namespaces. */
bool handler_metrics_read(struct call *call, struct error *err);

#endif
