/* SPDX-License-Identifier: MIT */
#include "cache_topic.h"

#include "cache.h"

#include <stddef.h>

/* Of a kind, by what it belongs to and up to two names. */
static uint32_t topic(const struct cache *cache, enum cache_kind kind, int64_t namespace_id,
                      const char *first, const char *second)
{
    struct cache_key key;

    cache_key_init(&key, kind);
    cache_key_number(&key, namespace_id);
    cache_key_text(&key, first);
    cache_key_text(&key, second);
    return cache_slot(cache, &key);
}

uint32_t cache_topic_token(const struct cache *cache, const char *accessor)
{
    return topic(cache, CACHE_TOKEN, 0, accessor, NULL);
}

uint32_t cache_topic_callers(const struct cache *cache)
{
    return topic(cache, CACHE_CALLERS, 0, NULL, NULL);
}

uint32_t cache_topic_policy(const struct cache *cache, int64_t namespace_id, const char *name)
{
    return topic(cache, CACHE_POLICY, namespace_id, name, NULL);
}

uint32_t cache_topic_namespace(const struct cache *cache, int64_t namespace_id)
{
    return topic(cache, CACHE_NAMESPACE, namespace_id, NULL, NULL);
}

uint32_t cache_topic_runtime(const struct cache *cache, int64_t namespace_id, const char *type,
                             const char *name)
{
    return topic(cache, CACHE_RUNTIME, namespace_id, type, name);
}

uint32_t cache_topic_runtimes(const struct cache *cache, int64_t namespace_id)
{
    return topic(cache, CACHE_RUNTIMES, namespace_id, NULL, NULL);
}

uint32_t cache_topic_plugins(const struct cache *cache, int64_t namespace_id)
{
    return topic(cache, CACHE_PLUGINS, namespace_id, NULL, NULL);
}
