/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cache.h"
#include "cache_gate.h"
#include "hash.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* A database's clock, far from the machine's. */
static const int64_t database_us = INT64_C(1700000000) * 1000000;

static const char server[] = "2026-01-02 03:04:05.678+00";

static struct cache *cache;

/* For how long the machine has slept: the one clock that goes on meanwhile. In place of libc's. */
static _Atomic time_t slept_s;

int clock_gettime(clockid_t clock, struct timespec *now)
{
    int status = (int)syscall(SYS_clock_gettime, clock, now);

    if (clock == CLOCK_BOOTTIME)
        now->tv_sec += slept_s;
    return status;
}

static int make(void **state)
{
    struct error err;

    (void)state;
    cache = cache_new(&(struct cache_options){.max_bytes = 1 << 20, .max_staleness_ms = 60 * 1000},
                      &err);
    return cache ? 0 : -1;
}

static int destroy(void **state)
{
    (void)state;
    cache_free(cache);
    return 0;
}

/* A poll as lease.c makes it, which names nothing. */
static void answer_poll(void)
{
    cache_gate_open(cache_gate(cache), cache_gate_ask(cache_gate(cache)), server, database_us);
}

static struct cache_key key_of(const char *name)
{
    struct cache_key key;

    cache_key_init(&key, CACHE_RUNTIME);
    cache_key_text(&key, name);
    return key;
}

static uint32_t topic_of(const char *name)
{
    struct cache_key key = key_of(name);

    return cache_slot(cache, &key);
}

/* Keeps a text that was read of a topic when the ticket was drawn. */
static void keep(const char *name, const char *topic, const char *text, uint64_t ticket)
{
    struct cache_key key = key_of(name);
    uint32_t slot = topic_of(topic);
    struct cache_entry *entry =
        cache_entry_new(cache, &key, ticket, &slot, 1,
                        &(struct cache_content){.bytes = text, .size = strlen(text) + 1});

    assert_non_null(entry);
    cache_land(cache, entry);
    cache_release(entry);
}

/* What is found of that name; "": nothing. */
static const char *found(const char *name)
{
    static char text[64];
    struct cache_key key = key_of(name);
    struct cache_view view;

    text[0] = '\0';
    if (!cache_gate_enter(cache_gate(cache), &view))
        return "closed";
    struct cache_entry *entry = cache_find(cache, &view, &key);
    if (entry)
        snprintf(text, sizeof text, "%s", (const char *)cache_bytes(entry));
    cache_release(entry);
    return text;
}

static void an_entry_counts_from_the_next_poll_on(void **state)
{
    (void)state;
    answer_poll();
    keep("a", "a", "A", cache_draw(cache));
    assert_string_equal(found("a"), "");
    int64_t asked = cache_gate_ask(cache_gate(cache));
    keep("b", "b", "B", cache_draw(cache)); /* the poll may not have seen what this one has */
    cache_gate_open(cache_gate(cache), asked, server, database_us);
    assert_string_equal(found("a"), "A");
    assert_string_equal(found("b"), "");
    answer_poll();
    assert_string_equal(found("b"), "B");
    assert_string_equal(found("c"), "");
}

static void a_topic_takes_along_what_was_made_of_it(void **state)
{
    (void)state;
    keep("a", "x", "A", cache_draw(cache));
    keep("b", "y", "B", cache_draw(cache));
    answer_poll();
    cache_drop(cache, topic_of("x"));
    assert_string_equal(found("a"), "");
    assert_string_equal(found("b"), "B");
    keep("a", "x", "A2", cache_draw(cache));
    answer_poll();
    assert_string_equal(found("a"), "A2");
    cache_drop_all(cache);
    assert_string_equal(found("a"), "");
    assert_string_equal(found("b"), "");
}

static void what_was_asked_before_a_drop_never_lands(void **state)
{
    uint64_t ticket = cache_draw(cache);
    struct cache_counts counts;

    (void)state;
    cache_drop(cache, topic_of("x"));
    keep("a", "x", "before", ticket);
    keep("b", "y", "other", ticket);
    answer_poll();
    assert_string_equal(found("a"), "");
    assert_string_equal(found("b"), "other");
    cache_drop_all(cache);
    keep("b", "y", "before", ticket);
    answer_poll();
    assert_string_equal(found("b"), "");
    cache_count(cache, &counts);
    assert_int_equal(counts.late, 2);
    assert_int_equal(counts.landed, 1);
    assert_int_equal(counts.dropped_all, 1);
}

/* Or an entry of several topics would outlive all but its first. */
static void every_topic_counts(void **state)
{
    struct cache_key key = key_of("a");
    uint32_t slots[] = {topic_of("x"), topic_of("y"), topic_of("z")};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct cache_entry *entry = cache_entry_new(
            cache, &key, cache_draw(cache), slots, 3, &(struct cache_content){.bytes = "A", .size = 2});
        cache_land(cache, entry);
        cache_release(entry);
        answer_poll();
        assert_string_equal(found("a"), "A");
        cache_drop(cache, slots[i]);
        assert_string_equal(found("a"), "");
    }
}

static void a_newer_entry_takes_the_place_of_an_older_one(void **state)
{
    (void)state;
    keep("a", "a", "A", cache_draw(cache));
    answer_poll();
    keep("a", "a", "A2", cache_draw(cache));
    assert_string_equal(found("a"), "");
    answer_poll();
    assert_string_equal(found("a"), "A2");
}

/* Or a caller who is loaded again and again, with one object after the other, would never count. */
static void what_is_read_again_does_not_begin_anew(void **state)
{
    (void)state;
    keep("a", "a", "A", cache_draw(cache));
    answer_poll();
    keep("a", "a", "A", cache_draw(cache));
    assert_string_equal(found("a"), "A");
    cache_drop(cache, topic_of("a"));
    keep("a", "a", "A", cache_draw(cache));
    assert_string_equal(found("a"), "");
    answer_poll();
    assert_string_equal(found("a"), "A");
}

static void count_fini(void *bytes)
{
    int *counter;

    memcpy(&counter, bytes, sizeof counter);
    ++*counter;
}

static void an_entry_lives_as_long_as_it_is_held(void **state)
{
    struct cache_key key = key_of("a");
    int finished = 0, *counter = &finished;
    uint32_t slot = topic_of("a");
    struct cache_view view;
    struct cache_counts counts;
    struct cache_entry *entry = cache_entry_new(
        cache, &key, cache_draw(cache), &slot, 1,
        &(struct cache_content){.bytes = &counter, .size = sizeof counter, .fini = count_fini});

    (void)state;
    cache_land(cache, entry);
    cache_release(entry);
    answer_poll();
    assert_true(cache_gate_enter(cache_gate(cache), &view));
    entry = cache_find(cache, &view, &key);
    cache_drop_all(cache);
    assert_null(cache_find(cache, &view, &key));
    assert_int_equal(finished, 0);
    cache_release(entry);
    assert_int_equal(finished, 1);
    cache_count(cache, &counts);
    assert_int_equal(counts.bytes, 0);
    assert_int_equal(counts.entries, 0);
}

/* What has no topics is true for ever, and needs no poll. */
static void what_is_made_of_nothing_counts_at_once(void **state)
{
    struct cache_key key = key_of("a");
    struct cache_entry *entry =
        cache_entry_new(cache, &key, 0, NULL, 0, &(struct cache_content){.bytes = "A", .size = 2});

    (void)state;
    cache_land(cache, entry);
    cache_release(entry);
    cache_drop_all(cache);
    entry = cache_find(cache, NULL, &key);
    assert_non_null(entry);
    cache_release(entry);
}

static void bytes_are_bounded_and_what_is_looked_for_stays(void **state)
{
    char name[16], text[1024];
    struct cache_counts counts;

    (void)state;
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = '\0';
    keep("favourite", "favourite", "F", cache_draw(cache));
    answer_poll();
    for (int i = 0; i < 5000; i++) {
        snprintf(name, sizeof name, "%d", i);
        keep(name, name, text, cache_draw(cache));
        assert_string_equal(found("favourite"), "F");
        cache_count(cache, &counts);
        assert_true(counts.bytes <= 1 << 20);
    }
    assert_true(counts.entries > 500);
    assert_true(counts.evicted > 3000);
}

static void one_entry_is_not_most_of_it(void **state)
{
    static char text[300 * 1024];

    (void)state;
    memset(text, 'x', sizeof text - 1);
    keep("a", "a", text, cache_draw(cache));
    answer_poll();
    assert_string_equal(found("a"), "");
}

static void what_is_held_is_not_evicted(void **state)
{
    char name[16], text[1024];
    struct cache_key key = key_of("held");
    struct cache_view view;

    (void)state;
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = '\0';
    keep("held", "held", "H", cache_draw(cache));
    answer_poll();
    assert_true(cache_gate_enter(cache_gate(cache), &view));
    struct cache_entry *entry = cache_find(cache, &view, &key);
    for (int i = 0; i < 5000; i++) {
        snprintf(name, sizeof name, "%d", i);
        keep(name, name, text, cache_draw(cache));
    }
    cache_release(entry);
    assert_string_equal(found("held"), "H");
}

static void keys_cannot_be_cut_in_two_ways(void **state)
{
    static const char *const parts[][3] = {
        {"ab", "c", NULL}, {"a", "bc", NULL}, {"abc", "", NULL}, {"", "abc", NULL},
        {"abc", NULL, ""}, {"abc", NULL, NULL}, {NULL, "abc", NULL},
    };
    enum { COUNT = sizeof parts / sizeof *parts };
    struct cache_key keys[COUNT];

    (void)state;
    for (size_t i = 0; i < COUNT; i++) {
        cache_key_init(&keys[i], CACHE_RUNTIME);
        for (size_t part = 0; part < 3; part++)
            cache_key_text(&keys[i], parts[i][part]);
        for (size_t j = 0; j < i; j++)
            assert_true(keys[i].length != keys[j].length ||
                        memcmp(keys[i].bytes, keys[j].bytes, keys[i].length) != 0);
    }
}

static void nothing_is_kept_under_a_key_that_is_too_long(void **state)
{
    char name[2 * CACHE_KEY_MAX];

    (void)state;
    memset(name, 'x', sizeof name);
    name[sizeof name - 1] = '\0';
    keep(name, "a", "A", cache_draw(cache));
    answer_poll();
    assert_string_equal(found(name), "");
    name[sizeof name - 2] = 'y';
    assert_string_equal(found(name), "");
}

/* Appendix A of the paper: the key is 00 01 … 0f, the input 00 01 … 0e. */
static void the_hash_is_siphash(void **state)
{
    struct hash_seed seed = {UINT64_C(0x0706050403020100), UINT64_C(0x0f0e0d0c0b0a0908)};
    unsigned char input[15];

    (void)state;
    for (unsigned char i = 0; i < sizeof input; i++)
        input[i] = i;
    assert_true(hash_bytes(&seed, input, sizeof input) == UINT64_C(0xa129ca6149be45e5));
}

/* --- the gate */

static void nothing_is_answered_before_the_first_poll(void **state)
{
    struct cache_view view;

    (void)state;
    cache_gate_close(cache_gate(cache), CACHE_AWAY);
    assert_false(cache_gate_enter(cache_gate(cache), &view));
    assert_int_equal(cache_gate_state(cache_gate(cache)), CACHE_AWAY);
    answer_poll();
    assert_true(cache_gate_enter(cache_gate(cache), &view));
    assert_int_equal(cache_gate_state(cache_gate(cache)), CACHE_ON);
}

static void a_lease_counts_from_the_moment_it_was_asked_for(void **state)
{
    struct cache_gate *gate = cache_gate(cache);
    const int64_t minute = 60 * 1000000;
    struct cache_view view;

    (void)state;
    int64_t asked = cache_gate_ask(gate);
    cache_gate_open(gate, asked - minute, server, database_us); /* the answer took a minute */
    assert_false(cache_gate_enter(gate, &view));
    cache_gate_ask(gate);
    cache_gate_open(gate, asked - minute + 10 * 1000000, server, database_us);
    assert_true(cache_gate_enter(gate, &view));
}

static void the_databases_clock_goes_on_by_ours(void **state)
{
    struct cache_gate *gate = cache_gate(cache);
    struct cache_view view;

    (void)state;
    int64_t asked = cache_gate_ask(gate);
    cache_gate_open(gate, asked - 5 * 1000000, server, database_us);
    assert_true(cache_gate_enter(gate, &view));
    assert_true(view.database_us >= database_us + 5 * 1000000);
    assert_true(view.database_us < database_us + 15 * 1000000);
}

static void recovery_closes_it_at_once_and_absence_when_time_is_over(void **state)
{
    struct cache_gate *gate = cache_gate(cache);
    struct cache_view view;

    (void)state;
    answer_poll();
    cache_gate_ask(gate);
    cache_gate_close(gate, CACHE_AWAY);
    assert_true(cache_gate_enter(gate, &view)); /* the lease is good for what it was given for */
    cache_gate_ask(gate);
    cache_gate_close(gate, CACHE_STANDBY);
    assert_false(cache_gate_enter(gate, &view));
}

/* What another one says may be kept by nobody: its changes are not heard of. */
static void only_the_server_that_answers_polls_is_known(void **state)
{
    struct cache_gate *gate = cache_gate(cache);

    (void)state;
    assert_false(cache_gate_knows(gate, ""));
    assert_false(cache_gate_knows(gate, server));
    answer_poll();
    assert_true(cache_gate_knows(gate, server));
    assert_false(cache_gate_knows(gate, "2026-01-02 03:04:05.679+00"));
    cache_gate_ask(gate);
    cache_gate_close(gate, CACHE_AWAY);
    assert_false(cache_gate_knows(gate, server));
}

static void a_machine_that_slept_has_no_lease(void **state)
{
    struct cache_gate *gate = cache_gate(cache);
    struct cache_view view;

    (void)state;
    answer_poll();
    slept_s += 30;
    assert_true(cache_gate_enter(gate, &view));
    slept_s += 40;
    assert_false(cache_gate_enter(gate, &view));
    answer_poll();
    assert_true(cache_gate_enter(gate, &view));
}

static void it_can_be_held(void **state)
{
    struct cache_gate *gate = cache_gate(cache);
    struct cache_view view;

    (void)state;
    answer_poll();
    cache_gate_hold(gate, true);
    assert_false(cache_gate_enter(gate, &view));
    assert_int_equal(cache_gate_state(gate), CACHE_RELOADING);
    answer_poll();
    assert_false(cache_gate_enter(gate, &view));
    cache_gate_hold(gate, false);
    assert_true(cache_gate_enter(gate, &view));
}

static void without_staleness_it_stays_closed(void **state)
{
    struct cache_gate *gate = cache_gate_new(0);
    struct cache_view view;

    (void)state;
    assert_false(cache_gate_enter(gate, &view));
    assert_int_equal(cache_gate_state(gate), CACHE_DISABLED);
    assert_string_equal(cache_state_name(CACHE_DISABLED), "off: max_staleness is 0s");
    cache_gate_free(gate);
}

/* The thread of a lease, without a database. */
static void *follow(void *context)
{
    struct cache_gate *gate = context;

    while (cache_gate_rest(gate))
        cache_gate_open(gate, cache_gate_ask(gate), server, database_us);
    return NULL;
}

/* A request that comes when time is over is answered by a poll that it calls for, and the thread
 * sleeps when nobody comes. */
static void who_comes_late_asks_first(void **state)
{
    struct cache_gate *gate = cache_gate_new(200);
    struct cache_view first, second;
    pthread_t thread;

    (void)state;
    pthread_create(&thread, NULL, follow, gate);
    assert_true(cache_gate_enter(gate, &first));
    while (cache_gate_age_ms(gate) < 250) /* nobody comes: no poll */
        poll(NULL, 0, 10);
    assert_true(cache_gate_enter(gate, &second));
    assert_int_equal(second.polls, first.polls + 1);
    cache_gate_stop(gate);
    pthread_join(thread, NULL);
    cache_gate_free(gate);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make, destroy)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_entry_counts_from_the_next_poll_on),
        TEST(a_topic_takes_along_what_was_made_of_it),
        TEST(what_was_asked_before_a_drop_never_lands),
        TEST(every_topic_counts),
        TEST(a_newer_entry_takes_the_place_of_an_older_one),
        TEST(what_is_read_again_does_not_begin_anew),
        TEST(an_entry_lives_as_long_as_it_is_held),
        TEST(what_is_made_of_nothing_counts_at_once),
        TEST(bytes_are_bounded_and_what_is_looked_for_stays),
        TEST(one_entry_is_not_most_of_it),
        TEST(what_is_held_is_not_evicted),
        cmocka_unit_test(keys_cannot_be_cut_in_two_ways),
        TEST(nothing_is_kept_under_a_key_that_is_too_long),
        cmocka_unit_test(the_hash_is_siphash),
        TEST(nothing_is_answered_before_the_first_poll),
        TEST(a_lease_counts_from_the_moment_it_was_asked_for),
        TEST(the_databases_clock_goes_on_by_ours),
        TEST(recovery_closes_it_at_once_and_absence_when_time_is_over),
        TEST(only_the_server_that_answers_polls_is_known),
        TEST(a_machine_that_slept_has_no_lease),
        TEST(it_can_be_held),
        cmocka_unit_test(without_staleness_it_stays_closed),
        cmocka_unit_test(who_comes_late_asks_first),
    };

    return cmocka_run_group_tests_name("cache", tests, NULL, NULL);
}
