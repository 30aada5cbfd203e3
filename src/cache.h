/* SPDX-License-Identifier: MIT
 *
 * What was read, to be read again without asking: entries by key, in a bounded number of bytes.
 * An entry is immutable and reference-counted; it may be held for as long as a response takes,
 * and no lock is held meanwhile.
 *
 * An entry says which topics it was made of: a token's line, a policy, a runtime. Whoever knows
 * that something changed drops its topic, and every entry made of it is gone at that moment,
 * those included that are still on their way from the database: an entry carries the ticket
 * that was drawn before its statement was sent, a drop draws one too, and an entry is good only
 * while its ticket is later than the last drop of each of its topics. Topics are kept as hashes:
 * two that share a slot fall together, which costs a statement and never the truth.
 *
 * Whether memory may answer at all is the gate's to say (cache_gate.h), and who drops what
 * others change is lease.c. What entries mean is the stores' business.
 */
#ifndef CACHE_H
#define CACHE_H

#include "error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cache;       /* opaque */
struct cache_entry; /* opaque */
struct cache_gate;
struct cache_view;

/* First byte of a key: what it names. */
enum cache_kind {
    CACHE_CALLER = 1,  /* an entry: who holds a token, on a site and for a namespace */
    CACHE_POLICIES,    /* an entry: the policies of tokens, compiled, by their text */
    CACHE_RUNTIME,     /* an entry and a topic: one runtime */
    CACHE_RUNTIMES,    /* an entry: all runtimes of a namespace; a topic: any of them */
    CACHE_PLUGINS,     /* a topic: any plugin of a namespace */
    CACHE_PLUGIN,      /* an entry: the versions of one */
    CACHE_PLUGIN_LIST, /* an entry: all plugins of a namespace */
    CACHE_PLUGIN_NAMES, /* an entry: those of a type */
    CACHE_TOKEN,       /* a topic: one token, by its accessor */
    CACHE_CALLERS,     /* a topic: all tokens */
    CACHE_POLICY,      /* a topic: one policy */
    CACHE_NAMESPACE,   /* a topic: one namespace */
};

enum { CACHE_KEY_MAX = 1280 };

/* A kind and what tells one of it from others. */
struct cache_key {
    size_t length; /* more than CACHE_KEY_MAX: too long, which nothing is kept under */
    unsigned char bytes[CACHE_KEY_MAX];
};

/* Begins a key, and adds to it; NULL adds what nothing else does. A number may be any. */
void cache_key_init(struct cache_key *key, enum cache_kind kind);
void cache_key_bytes(struct cache_key *key, const void *bytes, size_t length);
void cache_key_text(struct cache_key *key, const char *text);
void cache_key_number(struct cache_key *key, int64_t number);

struct cache_options {
    size_t max_bytes;          /* of all entries, with what they take beside their content */
    unsigned max_staleness_ms; /* 0: the gate stays closed, and only what has no topics is kept */
};

/* NULL with *err: out of memory. Ours: cache_free, when no entry is held any more. */
struct cache *cache_new(const struct cache_options *options, struct error *err)
    __attribute__((warn_unused_result));
void cache_free(struct cache *cache); /* NULL is fine */

struct cache_gate *cache_gate(struct cache *cache);

/* --- reading */

/* The entry of that key, held by us: cache_release. NULL: there is none that the view sees, be it
 * that no poll has confirmed it yet. A view of NULL is for what has no topics. */
struct cache_entry *cache_find(struct cache *cache, const struct cache_view *view,
                               const struct cache_key *key) __attribute__((warn_unused_result));

/* The last entry of that key, held by us, whatever of what it was made of was dropped since, unless
 * all was; for what is worth something in parts. NULL: there is none. */
struct cache_entry *cache_find_last(struct cache *cache, const struct cache_key *key)
    __attribute__((warn_unused_result));

/* Whether what such an entry says of one topic is what the view sees. */
bool cache_still_says(const struct cache_entry *entry, const struct cache_view *view,
                      uint32_t topic);

/* Counts that something was found so. */
void cache_note_hit(struct cache *cache);

const void *cache_bytes(const struct cache_entry *entry); /* aligned for anything */
size_t cache_size(const struct cache_entry *entry);
void cache_release(struct cache_entry *entry); /* NULL is fine */
struct cache_entry *cache_hold(struct cache_entry *entry); /* once more */

/* --- filling */

/* To be drawn before the statement is sent whose answer is to be kept; never 0. */
uint64_t cache_draw(struct cache *cache);

/* The slot of a topic; which topics there are: cache_topic.h. */
uint32_t cache_slot(const struct cache *cache, const struct cache_key *key);

struct cache_content {
    const void *bytes;         /* copied */
    size_t size;               /* of bytes */
    size_t elsewhere;          /* bytes that the content holds at other places */
    size_t entries;            /* bytes of the entries that it holds, which count by themselves */
    bool lasts;                /* stays for cache_find_last when something of it is dropped */
    void (*fini)(void *bytes); /* called when nobody holds the entry any more; NULL: nothing to do */
};

/* The bytes of an entry above which it is too large to be kept, those that it holds included. */
size_t cache_largest(const struct cache *cache);

/* An entry held by us, which nobody else sees yet. key NULL: nor ever will, but for entries that
 * hold it. NULL: no memory; fini was not called. */
struct cache_entry *cache_entry_new(struct cache *cache, const struct cache_key *key,
                                    uint64_t ticket, const uint32_t topics[], size_t topic_count,
                                    const struct cache_content *content)
    __attribute__((warn_unused_result));

/* Lets others find the entry, instead of an older one of its key that says something else, unless
 * something that it was made of was dropped meanwhile or it is too large. It stays held by us. */
void cache_land(struct cache *cache, struct cache_entry *entry);

/* --- dropping */

/* Nothing that was read before this is found any more: of one topic, of all of them. Visible to
 * whoever looks once this has returned. */
void cache_drop(struct cache *cache, uint32_t topic);
void cache_drop_all(struct cache *cache);

/* --- for people */

struct cache_counts {
    uint64_t hits, misses; /* of cache_find, but for what has no topics, and cache_note_hit */
    uint64_t landed, late; /* entries that were kept; that something was dropped of meanwhile */
    uint64_t evicted;      /* to make room */
    uint64_t dropped_all;  /* how often everything was dropped */
    uint64_t entries;      /* at this moment, those included that only wait to be cleared away */
    uint64_t bytes;
};

void cache_count(struct cache *cache, struct cache_counts *out);

#endif
