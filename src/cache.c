/* SPDX-License-Identifier: MIT
 *
 * Entries lie in shards, each a hash table that remembers in which order its entries came
 * (uthash.h). To make room the oldest goes, unless it was found since it was last looked at, or
 * is held by somebody: then it becomes the newest.
 *
 * Tickets come from one counter. A drop leaves its ticket in the slot of the topic; nobody
 * searches for entries then: who finds one compares. Bytes are counted until an entry is freed,
 * so that what is only held counts as well.
 */
#include "cache.h"

#include "cache_gate.h"
#include "hash.h"
#include "secret.h"

#include <assert.h>
#include <pthread.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define HASH_NONFATAL_OOM 1
#define uthash_nonfatal_oom(entry) ((entry)->is_found = false)
#include <uthash.h>

enum {
    SHARDS = 16,
    SLOTS_MIN = 4096,
    SLOT_BYTES = 1024, /* one slot for so many bytes of entries */
    LARGEST = 4,       /* an entry is at most this part of all bytes */
};

struct cache_entry {
    struct cache *cache;
    _Atomic unsigned holders; /* the table is one */
    uint64_t hash;         /* of the key */
    uint64_t ticket;
    uint64_t confirmed_by; /* the poll from which on it counts; 0: it has no topics */
    void (*fini)(void *bytes);
    size_t content_size, total_size;
    size_t held_size; /* of the entries that it holds */
    UT_hash_handle hh;      /* the shard's mutex guards this and the two below */
    bool is_found, is_kept; /* since it was last looked at; in the table */
    bool lasts;
    unsigned short topic_count;
    unsigned short key_length;
    const unsigned char *key;
    const uint32_t *topics;
    alignas(max_align_t) unsigned char content[]; /* then the topics, then the key */
};

struct shard {
    pthread_mutex_t mutex; /* guards everything below */
    struct cache_entry *entries;
    uint64_t hits, misses, landed, late, evicted;
};

struct cache {
    size_t max_bytes;
    struct cache_gate *gate;
    struct hash_seed seed;
    _Atomic uint64_t tickets;
    _Atomic uint64_t all_dropped; /* ticket of the last cache_drop_all */
    _Atomic uint64_t drops_of_all;
    _Atomic uint64_t parts_found;
    _Atomic size_t bytes;
    uint32_t slot_count;
    _Atomic uint64_t *slots; /* ticket of the last drop of a topic */
    struct shard shards[SHARDS];
};

/* --- keys */

void cache_key_init(struct cache_key *key, enum cache_kind kind)
{
    key->length = 1;
    key->bytes[0] = (unsigned char)kind;
}

static void append(struct cache_key *key, const void *bytes, size_t length)
{
    if (key->length <= CACHE_KEY_MAX && length <= CACHE_KEY_MAX - key->length) {
        memcpy(key->bytes + key->length, bytes, length);
        key->length += length;
    } else {
        key->length = CACHE_KEY_MAX + 1;
    }
}

/* Its length goes first, so that no two ways to cut a key give the same one. */
void cache_key_bytes(struct cache_key *key, const void *bytes, size_t length)
{
    uint16_t prefix = (uint16_t)(length < CACHE_KEY_MAX ? length : CACHE_KEY_MAX + 1);

    append(key, &prefix, sizeof prefix);
    append(key, bytes, length);
}

void cache_key_text(struct cache_key *key, const char *text)
{
    static const uint16_t nothing = UINT16_MAX;

    if (text)
        cache_key_bytes(key, text, strlen(text));
    else
        append(key, &nothing, sizeof nothing);
}

void cache_key_number(struct cache_key *key, int64_t number)
{
    append(key, &number, sizeof number);
}

/* --- the whole */

struct cache *cache_new(const struct cache_options *options, struct error *err)
{
    struct cache *cache = calloc(1, sizeof *cache);
    size_t slots = options->max_bytes / SLOT_BYTES;

    if (!cache || !secret_random(&cache->seed, sizeof cache->seed)) {
        free(cache);
        error_exhausted(err);
        return NULL;
    }
    cache->max_bytes = options->max_bytes;
    cache->slot_count = (uint32_t)(slots > SLOTS_MIN ? slots : SLOTS_MIN);
    for (size_t i = 0; i < SHARDS; i++)
        pthread_mutex_init(&cache->shards[i].mutex, NULL);
    cache->gate = cache_gate_new(options->max_staleness_ms);
    cache->slots = calloc(cache->slot_count, sizeof *cache->slots);
    if (!cache->gate || !cache->slots) {
        cache_free(cache);
        error_exhausted(err);
        return NULL;
    }
    return cache;
}

static void take_out(struct shard *shard, struct cache_entry *entry);

void cache_free(struct cache *cache)
{
    if (!cache)
        return;
    for (size_t i = 0; i < SHARDS; i++) {
        while (cache->shards[i].entries)
            take_out(&cache->shards[i], cache->shards[i].entries);
        pthread_mutex_destroy(&cache->shards[i].mutex);
    }
    assert(cache->bytes == 0); /* nobody holds an entry */
    cache_gate_free(cache->gate);
    free((void *)cache->slots);
    free(cache);
}

size_t cache_largest(const struct cache *cache)
{
    return cache->max_bytes / LARGEST;
}

struct cache_gate *cache_gate(struct cache *cache)
{
    return cache->gate;
}

/* --- entries */

uint64_t cache_draw(struct cache *cache)
{
    return ++cache->tickets;
}

static uint64_t hash_of(const struct cache *cache, const struct cache_key *key)
{
    size_t length = key->length <= CACHE_KEY_MAX ? key->length : CACHE_KEY_MAX;

    return hash_bytes(&cache->seed, key->bytes, length);
}

uint32_t cache_slot(const struct cache *cache, const struct cache_key *key)
{
    return (uint32_t)(hash_of(cache, key) % cache->slot_count);
}

/* Whether nothing that it was made of was dropped since its ticket was drawn. */
static bool is_good(const struct cache_entry *entry)
{
    const struct cache *cache = entry->cache;

    if (entry->topic_count == 0)
        return true;
    if (cache->all_dropped > entry->ticket)
        return false;
    for (size_t i = 0; i < entry->topic_count; i++) {
        if (cache->slots[entry->topics[i]] > entry->ticket)
            return false;
    }
    return true;
}

/* Or whether parts of it may still be. */
static bool is_of_use(const struct cache_entry *entry)
{
    return is_good(entry) || (entry->lasts && entry->cache->all_dropped <= entry->ticket);
}

struct cache_entry *cache_entry_new(struct cache *cache, const struct cache_key *key,
                                    uint64_t ticket, const uint32_t topics[], size_t topic_count,
                                    const struct cache_content *content)
{
    const size_t alignment = alignof(uint32_t);
    size_t topics_at = (content->size + alignment - 1) & ~(alignment - 1);
    size_t key_at = topics_at + topic_count * sizeof *topics;
    size_t key_length = key && key->length <= CACHE_KEY_MAX ? key->length : 0;
    size_t size = sizeof(struct cache_entry) + key_at + key_length;
    struct cache_entry *entry = topic_count <= UINT16_MAX ? malloc(size) : NULL;

    if (!entry)
        return NULL;
    *entry = (struct cache_entry){
        .cache = cache,
        .holders = 1,
        .hash = key ? hash_of(cache, key) : 0,
        .ticket = ticket,
        .fini = content->fini,
        .content_size = content->size,
        .total_size = size + content->elsewhere,
        .held_size = content->entries,
        .lasts = content->lasts,
        .topic_count = (unsigned short)topic_count,
        .key_length = (unsigned short)key_length,
        .key = entry->content + key_at,
        .topics = (const uint32_t *)(const void *)(entry->content + topics_at),
    };
    if (content->size > 0)
        memcpy(entry->content, content->bytes, content->size);
    if (topic_count > 0)
        memcpy(entry->content + topics_at, topics, topic_count * sizeof *topics);
    if (key_length > 0)
        memcpy(entry->content + key_at, key->bytes, key_length);
    cache->bytes += entry->total_size;
    return entry;
}

struct cache_entry *cache_hold(struct cache_entry *entry)
{
    entry->holders++;
    return entry;
}

const void *cache_bytes(const struct cache_entry *entry)
{
    return entry->content;
}

size_t cache_size(const struct cache_entry *entry)
{
    return entry->content_size;
}

void cache_release(struct cache_entry *entry)
{
    if (!entry || --entry->holders > 0)
        return;
    if (entry->fini)
        entry->fini(entry->content);
    entry->cache->bytes -= entry->total_size;
    free(entry);
}

/* --- the table */

/* By the bits that uthash, which takes the lower half, does not look at. */
static struct shard *shard_of(struct cache *cache, uint64_t hash)
{
    return &cache->shards[(hash >> 32) % SHARDS];
}

static void take_out(struct shard *shard, struct cache_entry *entry)
{
    HASH_DELETE(hh, shard->entries, entry);
    entry->is_kept = false;
    cache_release(entry);
}

/* False: no memory. */
static bool put_in(struct shard *shard, struct cache_entry *entry)
{
    entry->is_found = true; /* false after uthash_nonfatal_oom */
    HASH_ADD_KEYPTR_BYHASHVALUE(hh, shard->entries, entry->key, entry->key_length,
                                (unsigned)entry->hash, entry);
    bool added = entry->is_found;
    entry->is_found = false;
    entry->is_kept = added;
    return added;
}

static struct cache_entry *look_up(struct shard *shard, uint64_t hash, const void *key,
                                   size_t length)
{
    struct cache_entry *entry;

    HASH_FIND_BYHASHVALUE(hh, shard->entries, key, length, (unsigned)hash, entry);
    return entry;
}

struct cache_entry *cache_find(struct cache *cache, const struct cache_view *view,
                               const struct cache_key *key)
{
    if (key->length > CACHE_KEY_MAX)
        return NULL;
    uint64_t hash = hash_of(cache, key);
    struct shard *shard = shard_of(cache, hash);
    pthread_mutex_lock(&shard->mutex);
    struct cache_entry *entry = look_up(shard, hash, key->bytes, key->length);
    bool good = entry && is_good(entry);
    bool counts = good && (!view || entry->confirmed_by <= view->polls);
    if (entry && !is_of_use(entry))
        take_out(shard, entry);
    if (counts) {
        entry->is_found = true;
        entry->holders++;
    }
    shard->hits += view && counts;
    shard->misses += view && !counts;
    pthread_mutex_unlock(&shard->mutex);
    if (good && !counts)
        cache_gate_want(cache->gate);
    return counts ? entry : NULL;
}

struct cache_entry *cache_find_last(struct cache *cache, const struct cache_key *key)
{
    if (key->length > CACHE_KEY_MAX)
        return NULL;
    uint64_t hash = hash_of(cache, key);
    struct shard *shard = shard_of(cache, hash);
    pthread_mutex_lock(&shard->mutex);
    struct cache_entry *entry = look_up(shard, hash, key->bytes, key->length);
    if (entry && !is_of_use(entry)) {
        take_out(shard, entry);
        entry = NULL;
    }
    if (entry) {
        entry->is_found = true;
        entry->holders++;
    }
    pthread_mutex_unlock(&shard->mutex);
    return entry;
}

bool cache_still_says(const struct cache_entry *entry, const struct cache_view *view,
                      uint32_t topic)
{
    const struct cache *cache = entry->cache;

    return entry->confirmed_by <= view->polls && cache->all_dropped <= entry->ticket &&
           cache->slots[topic] <= entry->ticket;
}

void cache_note_hit(struct cache *cache)
{
    cache->parts_found++;
}

/* Takes the oldest entry that nobody looked for or holds out of a shard. False: there is none. */
static bool evict_from(struct shard *shard)
{
    bool evicted = false;

    pthread_mutex_lock(&shard->mutex);
    for (unsigned left = HASH_COUNT(shard->entries); left > 0 && !evicted; left--) {
        struct cache_entry *oldest = shard->entries;
        bool spared = is_of_use(oldest) && (oldest->is_found || oldest->holders > 1);
        if (!spared) {
            take_out(shard, oldest);
            shard->evicted++;
            evicted = true;
        } else {
            HASH_DELETE(hh, shard->entries, oldest);
            if (!put_in(shard, oldest))
                cache_release(oldest);
        }
    }
    pthread_mutex_unlock(&shard->mutex);
    return evicted;
}

static void make_room(struct cache *cache, size_t first)
{
    for (size_t i = 0; i < 2 * SHARDS && cache->bytes > cache->max_bytes; i++) {
        while (cache->bytes > cache->max_bytes && evict_from(&cache->shards[(first + i) % SHARDS]))
            ;
    }
}

/* Whether both say the same and were made of the same. */
static bool agree(const struct cache_entry *one, const struct cache_entry *other)
{
    return one->content_size == other->content_size && one->topic_count == other->topic_count &&
           memcmp(one->content, other->content, one->content_size) == 0 &&
           memcmp(one->topics, other->topics, one->topic_count * sizeof *one->topics) == 0;
}

/* An older entry that says the same stays: polls have confirmed it already, and it is as true. */
void cache_land(struct cache *cache, struct cache_entry *entry)
{
    if (entry->key_length == 0 ||
        entry->total_size + entry->held_size > cache_largest(cache))
        return;
    struct shard *shard = shard_of(cache, entry->hash);
    pthread_mutex_lock(&shard->mutex);
    entry->confirmed_by = entry->topic_count > 0 ? cache_gate_next_poll(cache->gate) : 0;
    bool good = is_good(entry);
    struct cache_entry *older =
        good ? look_up(shard, entry->hash, entry->key, entry->key_length) : NULL;
    bool stays = older && is_good(older) && agree(older, entry);
    if (older && !stays)
        take_out(shard, older);
    if (good && !stays && put_in(shard, entry)) {
        entry->holders++;
        shard->landed++;
    }
    shard->late += !good;
    pthread_mutex_unlock(&shard->mutex);
    make_room(cache, (size_t)(shard - cache->shards));
}

/* --- dropping */

/* Of two drops at once the later ticket stays. */
static void stamp(_Atomic uint64_t *place, uint64_t ticket)
{
    uint64_t seen = *place;

    while (seen < ticket && !atomic_compare_exchange_weak(place, &seen, ticket))
        ;
}

void cache_drop(struct cache *cache, uint32_t topic)
{
    stamp(&cache->slots[topic], cache_draw(cache));
}

void cache_drop_all(struct cache *cache)
{
    stamp(&cache->all_dropped, cache_draw(cache));
    cache->drops_of_all++;
}

/* --- for people */

void cache_count(struct cache *cache, struct cache_counts *out)
{
    *out = (struct cache_counts){
        .hits = cache->parts_found,
        .bytes = cache->bytes,
        .dropped_all = cache->drops_of_all,
    };
    for (size_t i = 0; i < SHARDS; i++) {
        struct shard *shard = &cache->shards[i];
        pthread_mutex_lock(&shard->mutex);
        out->hits += shard->hits;
        out->misses += shard->misses;
        out->landed += shard->landed;
        out->late += shard->late;
        out->evicted += shard->evicted;
        out->entries += HASH_COUNT(shard->entries);
        pthread_mutex_unlock(&shard->mutex);
    }
}
