/* SPDX-License-Identifier: MIT
 *
 * The topics: what entries are made of and what changes name. Stores, which fill and write, and
 * lease.c, which hears of what others write, name them alike here.
 */
#ifndef CACHE_TOPIC_H
#define CACHE_TOPIC_H

#include <stdint.h>

struct cache;

uint32_t cache_topic_token(const struct cache *cache, const char *accessor);
uint32_t cache_topic_callers(const struct cache *cache); /* every token at once */
uint32_t cache_topic_policy(const struct cache *cache, int64_t namespace_id, const char *name);
uint32_t cache_topic_namespace(const struct cache *cache, int64_t namespace_id);
uint32_t cache_topic_runtime(const struct cache *cache, int64_t namespace_id, const char *type,
                             const char *name);
uint32_t cache_topic_runtimes(const struct cache *cache, int64_t namespace_id); /* any of them */
uint32_t cache_topic_plugins(const struct cache *cache, int64_t namespace_id);  /* any of them */

#endif
