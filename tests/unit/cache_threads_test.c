/* SPDX-License-Identifier: MIT
 *
 * Threads that find, fill, write, drop, evict and poll all at once, with what stands for the database
 * between them: nothing that is found is older than the bound or than what was written here, and
 * nothing is lost or freed twice. ./dev check runs it under ThreadSanitizer as well.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cache.h"
#include "cache_gate.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

enum {
    THINGS = 24,
    VERSIONS = 1 << 16, /* of a thing; then it is written no more */
    STALENESS_MS = 20,
    PADDING = 3000,
    MAX_BYTES = 48 * 1024, /* which is not enough for all */
    LONGEST_US = 300,
    SECONDS_MAX = 30,
};

static const char server[] = "2026-01-02 03:04:05.678+00";

static struct cache *cache;
static atomic_bool over;
static atomic_uint too_old, unlike_own, torn, made, finished, held;

/* What stands for the database. */
static struct {
    pthread_mutex_t mutex; /* guards the three below; whoever has it sees one moment */
    unsigned version[THINGS];
    unsigned char log[THINGS * VERSIONS];
    size_t logged;
    _Atomic int64_t acknowledged_us[THINGS][VERSIONS + 1]; /* each version; 0: not yet */
} database = {.mutex = PTHREAD_MUTEX_INITIALIZER};
static atomic_uint own[THINGS]; /* the last version that was written here and acknowledged */

/* What an entry says: versions of two things that were read at one moment. */
struct content {
    unsigned thing[2], version[2];
    unsigned char padding[PADDING];
};

static unsigned dice(unsigned *seed, unsigned sides)
{
    return (unsigned)rand_r(seed) % sides;
}

static void rest(unsigned *seed, unsigned most_us)
{
    struct timespec time = {.tv_nsec = dice(seed, most_us) * 1000L};

    nanosleep(&time, NULL);
}

static uint32_t topic_of(unsigned thing)
{
    struct cache_key key;

    cache_key_init(&key, CACHE_RUNTIME);
    cache_key_number(&key, thing);
    return cache_slot(cache, &key);
}

static struct cache_key key_of(const unsigned thing[2])
{
    struct cache_key key;

    cache_key_init(&key, CACHE_RUNTIME);
    cache_key_number(&key, thing[0]);
    cache_key_number(&key, thing[1]);
    return key;
}

static void count_fini(void *bytes)
{
    (void)bytes;
    finished++;
}

/* --- requests */

static void look_at(const struct content *content, const unsigned thing[2], const unsigned written[2],
                    int64_t came_us)
{
    for (size_t i = 0; i < 2; i++) {
        unsigned version = content->version[i];
        int64_t next_us = database.acknowledged_us[thing[i]][version + 1];

        torn += content->thing[i] != thing[i];
        too_old += next_us != 0 && next_us < came_us - STALENESS_MS * 1000;
        unlike_own += version < written[i];
    }
    torn += content->padding[PADDING - 1] != (unsigned char)content->version[0];
}

static void fill(const unsigned thing[2], unsigned *seed)
{
    struct content content = {.thing = {thing[0], thing[1]}};
    uint32_t topics[] = {topic_of(thing[0]), topic_of(thing[1])};
    struct cache_key key = key_of(thing);
    uint64_t ticket = cache_draw(cache);

    pthread_mutex_lock(&database.mutex);
    content.version[0] = database.version[thing[0]];
    content.version[1] = database.version[thing[1]];
    pthread_mutex_unlock(&database.mutex);
    content.padding[PADDING - 1] = (unsigned char)content.version[0];
    rest(seed, LONGEST_US);
    struct cache_entry *entry = cache_entry_new(
        cache, &key, ticket, topics, 2,
        &(struct cache_content){.bytes = &content, .size = sizeof content, .lasts = thing[0] % 2, .fini = count_fini});
    made += entry != NULL;
    if (entry)
        cache_land(cache, entry);
    cache_release(entry);
}

static void *read_on(void *context)
{
    unsigned seed = *(unsigned *)context;

    while (!over) {
        /* The favourites of all; then any. */
        unsigned first = dice(&seed, dice(&seed, 4) ? 4 : THINGS), thing[2] = {first, (first + 1) % THINGS};
        unsigned written[2] = {own[thing[0]], own[thing[1]]};
        int64_t came_us = cache_gate_now();
        struct cache_key key = key_of(thing);
        struct cache_view view;
        struct cache_entry *entry = cache_gate_enter(cache_gate(cache), &view)
                                        ? cache_find(cache, &view, &key) : NULL;
        if (entry && dice(&seed, 16) == 0)
            rest(&seed, LONGEST_US); /* others drop and evict what is held */
        if (entry)
            look_at(cache_bytes(entry), thing, written, came_us);
        else
            fill(thing, &seed);
        cache_release(entry);
    }
    return NULL;
}

/* --- writes, here and elsewhere */

static unsigned commit(unsigned thing)
{
    pthread_mutex_lock(&database.mutex);
    unsigned version = database.version[thing];
    if (version < VERSIONS - 1) {
        version = ++database.version[thing];
        database.log[database.logged++] = (unsigned char)thing;
    }
    pthread_mutex_unlock(&database.mutex);
    return version;
}

static void acknowledge(unsigned thing, unsigned version)
{
    int64_t none = 0;

    atomic_compare_exchange_strong(&database.acknowledged_us[thing][version], &none, cache_gate_now());
}

static void *write_here(void *context)
{
    unsigned seed = *(unsigned *)context;

    while (!over) {
        unsigned thing = dice(&seed, THINGS), version = commit(thing), seen = own[thing];
        cache_drop(cache, topic_of(thing));
        acknowledge(thing, version);
        while (seen < version && !atomic_compare_exchange_weak(&own[thing], &seen, version))
            ;
        rest(&seed, 60 * LONGEST_US);
    }
    return NULL;
}

static void *write_elsewhere(void *context)
{
    unsigned seed = *(unsigned *)context;

    while (!over) {
        unsigned thing = dice(&seed, THINGS);
        acknowledge(thing, commit(thing));
        rest(&seed, 60 * LONGEST_US);
    }
    return NULL;
}

/* --- the thread that asks */

static size_t drop_since(size_t heard)
{
    pthread_mutex_lock(&database.mutex);
    size_t logged = database.logged;
    pthread_mutex_unlock(&database.mutex);
    for (; heard < logged; heard++) /* what is there stays as it is */
        cache_drop(cache, topic_of(database.log[heard]));
    return logged;
}

static void *follow(void *context)
{
    unsigned seed = *(unsigned *)context;
    struct cache_gate *gate = cache_gate(cache);
    size_t heard = 0;

    while (cache_gate_rest(gate)) {
        int64_t asked_us = cache_gate_ask(gate);
        unsigned fate = dice(&seed, 16);

        if (fate == 0) {
            cache_gate_close(gate, CACHE_AWAY);
            continue;
        }
        if (fate == 1)
            cache_drop_all(cache);
        heard = drop_since(heard);
        rest(&seed, fate == 2 ? 2 * STALENESS_MS * 1000 : LONGEST_US);
        cache_gate_open(gate, asked_us, server, asked_us);
    }
    return NULL;
}

/* As at a reload. */
static void *hold(void *context)
{
    unsigned seed = *(unsigned *)context;

    while (!over) {
        cache_gate_hold(cache_gate(cache), true);
        rest(&seed, LONGEST_US);
        cache_gate_hold(cache_gate(cache), false);
        held++;
        rest(&seed, 100 * LONGEST_US);
    }
    return NULL;
}

static bool enough(void)
{
    struct cache_counts counts;

    cache_count(cache, &counts);
    return counts.hits > 5000 && counts.landed > 1000 && counts.late > 10 &&
           counts.evicted > 200 && counts.dropped_all > 1;
}

static void all_at_once(void **state)
{
    static void *(*const parts[])(void *) = {read_on,    read_on,         read_on,         read_on, write_here,
                                             write_here, write_elsewhere, write_elsewhere, follow,  hold};
    enum { COUNT = sizeof parts / sizeof *parts };
    pthread_t threads[COUNT];
    unsigned seeds[COUNT];
    struct error err;
    const int64_t begun_us = cache_gate_now();

    (void)state;
    cache = cache_new(&(struct cache_options){.max_bytes = MAX_BYTES, .max_staleness_ms = STALENESS_MS}, &err);
    assert_non_null(cache);
    for (unsigned i = 0; i < COUNT; i++) {
        seeds[i] = i + 1;
        assert_int_equal(pthread_create(&threads[i], NULL, parts[i], &seeds[i]), 0);
    }
    unsigned seed = 0;
    while (!enough() && cache_gate_now() - begun_us < SECONDS_MAX * INT64_C(1000000))
        rest(&seed, 50000);
    struct cache_counts counts;
    bool saw_enough = enough();
    cache_count(cache, &counts);
    over = true;
    cache_gate_stop(cache_gate(cache));
    for (unsigned i = 0; i < COUNT; i++)
        pthread_join(threads[i], NULL);
    cache_free(cache); /* asserts that nobody holds anything */
    print_message("# %lu found, %lu kept, %lu too late, %lu evicted, everything dropped %lu times\n", (unsigned long)counts.hits,
                  (unsigned long)counts.landed, (unsigned long)counts.late, (unsigned long)counts.evicted,
                  (unsigned long)counts.dropped_all);
    assert_int_equal(too_old, 0);
    assert_int_equal(unlike_own, 0);
    assert_int_equal(torn, 0);
    assert_int_equal(finished, made);
    assert_true(saw_enough);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(all_at_once)};

    return cmocka_run_group_tests_name("cache_threads", tests, NULL, NULL);
}
