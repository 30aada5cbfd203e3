/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cache.h"
#include "runtime_list.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    NAMES = 5000, /* some twenty chunks */
    ROUNDS = 100,
    KEEP = 64 << 20,
    TEXT_MAX = NAMES * 128,
};

static struct cache *cache;

static int make(void **state)
{
    struct error err;

    (void)state;
    cache = cache_new(
        &(struct cache_options){.max_bytes = 256 << 20, .max_staleness_ms = 1000}, &err);
    return cache ? 0 : -1;
}

static int destroy(void **state)
{
    (void)state;
    cache_free(cache);
    return 0;
}

/* What there is: by number a value, or -1; two types, of which the second begins at half.
 */
static int model[NAMES];
static char text[TEXT_MAX], expected[TEXT_MAX];

static const char *type_of(size_t number)
{
    return number < NAMES / 2 ? "container" : "zone";
}

static void name_of(char name[16], size_t number)
{
    snprintf(name, 16, "n%05zu", number);
}

/* The line of a runtime as PostgreSQL writes it, without JSON where there is none. */
static size_t write_line(char *out, size_t number)
{
    char name[16];

    name_of(name, number);
    if (model[number] < 0)
        return (size_t)sprintf(out, "%s\t%s\t\n", type_of(number), name);
    return (size_t)sprintf(out,
                           "%s\t%s\t{\"cgroup_parent\":\"<\\\"name\\\":\\\"x\",\"cpu_"
                           "nanos\":%d,\"name\":\"%s\"}\n",
                           type_of(number), name, model[number], name);
}

/* The same in an answer. */
static size_t write_answer(char *out, size_t number)
{
    char name[16];

    name_of(name, number);
    return (size_t)sprintf(out,
                           ",{\"cgroup_parent\":\"\\u003c\\\"name\\\":\\\"x\",\"cpu_"
                           "nanos\":%d,\"name\":\"%s\"}",
                           model[number], name);
}

static struct cache_entry *entry_of(struct runtime_list_builder *builder)
{
    static const struct runtime_moment moment = {"1:1:", "a server", "1.5"};
    struct cache_key key;
    struct runtime_sums sums;

    cache_key_init(&key, CACHE_RUNTIMES);
    assert_true(runtime_list_end(builder, &sums));
    assert_true(sums.kept);
    struct cache_entry *entry = runtime_list_entry(builder, &key, 1, 0, &moment);
    assert_non_null(entry);
    runtime_list_builder_free(builder);
    return entry;
}

/* A list of the model, from nothing. */
static struct cache_entry *build(void)
{
    struct runtime_list_builder *builder = runtime_list_builder_new(cache, KEEP, NULL);
    const char *next = text;
    struct runtime_row row;
    size_t used = 0;

    assert_non_null(builder);
    for (size_t i = 0; i < NAMES; i++)
        used += model[i] < 0 ? 0 : write_line(text + used, i);
    text[used] = '\0';
    while (runtime_row_next(&row, &next))
        assert_true(runtime_list_add(builder, &row));
    return entry_of(builder);
}

/* Changes a few runtimes of the model; text becomes the lines of them. */
static void change_some(void)
{
    static bool changed[NAMES];
    size_t count = 1 + (size_t)rand() % 40, around = (size_t)rand() % NAMES, used = 0;
    bool close_by = rand() % 2, gone = rand() % 3 == 0;

    memset(changed, 0, sizeof changed);
    for (size_t i = 0; i < count; i++) {
        size_t number = close_by ? (around + i) % NAMES : (size_t)rand() % NAMES;
        changed[number] = true;
        model[number] = gone || rand() % 3 == 0 ? -1 : rand() % 1000;
    }
    for (size_t i = 0; i < NAMES; i++)
        used += changed[i] ? write_line(text + used, i) : 0;
    text[used] = '\0';
}

static void expect_model(const struct runtime_list *list, const char *type)
{
    struct runtime_range range = runtime_list_range(list, type);
    size_t used = 0, count = 0, at = 0, length;

    for (size_t i = 0; i < NAMES; i++) {
        if (model[i] < 0 || (type && strcmp(type_of(i), type) != 0))
            continue;
        used += write_answer(expected + used, i);
        count++;
    }
    assert_int_equal(range.count, count);
    assert_int_equal(range.length, used);
    for (size_t i = range.first; i < range.end; i++) {
        const char *piece = runtime_list_text(list, i, &length);
        assert_true(at + length <= used);
        assert_memory_equal(piece, expected + at, length);
        at += length;
    }
    assert_int_equal(at, used);
}

static void expect_same_hash(const struct runtime_list *one,
                             const struct runtime_list *other)
{
    unsigned char hashes[2][RUNTIME_LIST_HASH];
    struct runtime_range range = runtime_list_range(one, NULL),
                         other_range = runtime_list_range(other, NULL);

    assert_true(runtime_list_hash(hashes[0], one, &range));
    assert_true(runtime_list_hash(hashes[1], other, &other_range));
    assert_memory_equal(hashes[0], hashes[1], RUNTIME_LIST_HASH);
}

static void merging_gives_what_reading_gives(void **state)
{
    (void)state;
    srand(1);
    for (size_t i = 0; i < NAMES; i++)
        model[i] = rand() % 2 ? -1 : rand() % 1000;
    struct cache_entry *list = build();
    for (int round = 0; round < ROUNDS; round++) {
        struct runtime_list_builder *builder =
            runtime_list_builder_new(cache, KEEP, NULL);
        change_some();
        assert_true(runtime_list_merge(builder, cache_bytes(list), text));
        struct cache_entry *merged = entry_of(builder), *fresh = build();
        expect_model(cache_bytes(merged), NULL);
        expect_model(cache_bytes(merged), "container");
        expect_model(cache_bytes(merged), "zone");
        expect_model(cache_bytes(merged), "none");
        expect_same_hash(cache_bytes(merged), cache_bytes(fresh));
        cache_release(fresh);
        cache_release(list);
        list = merged;
    }
    cache_release(list);
}

/* All but the chunk of what changed are the same entries. */
static void one_change_leaves_the_other_chunks(void **state)
{
    (void)state;
    for (size_t i = 0; i < NAMES; i++)
        model[i] = 0;
    struct cache_entry *before = build();
    model[1234] = 7;
    text[write_line(text, 1234)] = '\0';
    struct runtime_list_builder *builder = runtime_list_builder_new(cache, KEEP, NULL);
    assert_true(runtime_list_merge(builder, cache_bytes(before), text));
    struct cache_entry *after = entry_of(builder);
    const struct runtime_list *one = cache_bytes(before), *other = cache_bytes(after);
    size_t differ = 0;
    assert_int_equal(one->count, other->count);
    assert_true(one->count > 10);
    for (size_t i = 0; i < one->count; i++)
        differ += one->chunks[i] != other->chunks[i];
    assert_int_equal(differ, 1);
    cache_release(before);
    cache_release(after);
}

static void each_is_found_and_nothing_else(void **state)
{
    char name[16], answer[256];
    size_t length;

    (void)state;
    for (size_t i = 0; i < NAMES; i++)
        model[i] = i % 3 == 0 ? -1 : (int)i;
    struct cache_entry *entry = build();
    const struct runtime_list *list = cache_bytes(entry);
    for (size_t i = 0; i < NAMES; i++) {
        name_of(name, i);
        const char *found = runtime_list_find(list, type_of(i), name, &length);
        assert_int_equal(found != NULL, model[i] >= 0);
        if (!found)
            continue;
        assert_int_equal(length, write_answer(answer, i) - 1);
        assert_memory_equal(found, answer + 1, length);
    }
    assert_null(runtime_list_find(list, "a", "n00001", &length));
    assert_null(runtime_list_find(list, "zz", "n00001", &length));
    assert_null(runtime_list_find(list, "container", "", &length));
    assert_null(runtime_list_find(list, "container", "n000010", &length));
    cache_release(entry);
}

/* What is too large to be kept has the same sums, of each type. */
static void sums_are_the_same_without_a_list(void **state)
{
    static const char *const types[] = {NULL, "", "container", "zone", "none"};

    (void)state;
    for (size_t i = 0; i < NAMES; i++)
        model[i] = i % 5 == 0 ? -1 : (int)i;
    struct cache_entry *entry = build();
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        struct runtime_list_builder *builder =
            runtime_list_builder_new(cache, 100000, types[i]);
        struct runtime_range range = runtime_list_range(cache_bytes(entry), types[i]);
        unsigned char hash[RUNTIME_LIST_HASH];
        const char *next = text;
        struct runtime_sums sums;
        struct runtime_row row;
        while (runtime_row_next(&row, &next))
            assert_true(runtime_list_add(builder, &row));
        assert_true(runtime_list_end(builder, &sums));
        assert_false(sums.kept);
        assert_int_equal(sums.count, range.count);
        assert_int_equal(sums.length, range.length);
        assert_true(runtime_list_hash(hash, cache_bytes(entry), &range));
        assert_memory_equal(sums.hash, hash, sizeof hash);
        runtime_list_builder_free(builder);
    }
    cache_release(entry);
}

static void the_moment_is_kept_with_the_list(void **state)
{
    (void)state;
    for (size_t i = 0; i < NAMES; i++)
        model[i] = -1;
    struct cache_entry *entry = build();
    struct runtime_moment moment = runtime_list_moment(cache_bytes(entry));
    assert_string_equal(moment.snapshot, "1:1:");
    assert_string_equal(moment.server, "a server");
    assert_string_equal(moment.clock, "1.5");
    cache_release(entry);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(merging_gives_what_reading_gives, make, destroy),
        cmocka_unit_test_setup_teardown(one_change_leaves_the_other_chunks, make,
                                        destroy),
        cmocka_unit_test_setup_teardown(each_is_found_and_nothing_else, make, destroy),
        cmocka_unit_test_setup_teardown(sums_are_the_same_without_a_list, make, destroy),
        cmocka_unit_test_setup_teardown(the_moment_is_kept_with_the_list, make, destroy),
    };

    return cmocka_run_group_tests_name("runtime_list", tests, NULL, NULL);
}
