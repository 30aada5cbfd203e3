/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lease_rules.h"

#include <stdio.h>

enum { SECOND = 1000000 };

/* What a server says at a second, and what is made of it; since: the snapshot that changes were
 * asked for since, NULL: none. */
struct turn {
    int second;
    const char *since;
    const char *snapshot, *server, *backend;
    bool in_recovery;
    size_t changes;
    enum lease_verdict verdict;
};

#define FOLLOW LEASE_FOLLOW
#define FORGET LEASE_FORGET

static void check(const struct turn turns[], size_t count)
{
    struct lease_rules rules;

    lease_rules_init(&rules);
    for (size_t i = 0; i < count; i++) {
        const struct turn *turn = &turns[i];
        const char *since = lease_rules_since(&rules, (int64_t)turn->second * SECOND);
        if (turn->since && since)
            assert_string_equal(since, turn->since);
        else
            assert_true(!turn->since && !since);
        enum lease_verdict verdict = lease_rules_judge(&rules, &(struct lease_answer){
                                                                   .asked_us = (int64_t)turn->second * SECOND,
                                                                   .snapshot = turn->snapshot,
                                                                   .server = turn->server,
                                                                   .backend = turn->backend,
                                                                   .in_recovery = turn->in_recovery,
                                                                   .changes = turn->changes,
                                                               });
        if (verdict != turn->verdict)
            fail_msg("turn %zu: %d instead of %d", i, verdict, turn->verdict);
    }
    lease_rules_fini(&rules);
}

#define CHECK(...)                                                                           \
    do {                                                                                     \
        const struct turn turns[] = {__VA_ARGS__};                                           \
        check(turns, sizeof turns / sizeof *turns);                                          \
    } while (0)

static void the_first_answer_is_a_beginning(void **state)
{
    (void)state;
    CHECK({1000, NULL, "10:10:", "s", "b", false, 0, FORGET},
          {1001, "10:10:", "12:12:", "s", "b", false, 3, FOLLOW},
          {1002, "12:12:", "12:12:", "s", "b", false, 0, FOLLOW});
}

static void what_is_named_is_bounded(void **state)
{
    (void)state;
    CHECK({1, NULL, "1:1:", "s", "b", false, 0, FORGET},
          {2, "1:1:", "2:2:", "s", "b", false, 10000, FOLLOW},
          {3, "2:2:", "3:3:", "s", "b", false, 10001, FORGET},
          {4, "3:3:", "4:4:", "s", "b", false, 1, FOLLOW});
}

static void a_gap_ends_it(void **state)
{
    (void)state;
    CHECK({100, NULL, "1:1:", "s", "b", false, 0, FORGET},
          {160, "1:1:", "2:2:", "s", "b", false, 0, FOLLOW},
          {221, NULL, "3:3:", "s", "b", false, 0, FORGET},
          {222, "3:3:", "4:4:", "s", "b", false, 0, FOLLOW});
}

static void a_new_backend_ends_it_and_is_known_from_then_on(void **state)
{
    (void)state;
    CHECK({1, NULL, "1:1:", "s", "a", false, 0, FORGET},
          {2, "1:1:", "2:2:", "s", "b", false, 0, FORGET},
          {3, "2:2:", "3:3:", "s", "a", false, 0, FOLLOW},
          {4, "3:3:", "4:4:", "s", "b", false, 0, FOLLOW},
          {5, "4:4:", "5:5:", "s", "c", false, 0, FORGET},
          {6, "5:5:", "6:6:", "s", "b", false, 0, FOLLOW});
}

static void another_server_ends_it_each_time(void **state)
{
    (void)state;
    CHECK({1, NULL, "1:1:", "s", "a", false, 0, FORGET},
          {2, "1:1:", "2:2:", "t", "a", false, 0, FORGET},
          {3, "2:2:", "3:3:", "s", "a", false, 0, FORGET},
          {4, "3:3:", "4:4:", "s", "a", false, 0, FOLLOW});
}

static void more_backends_than_are_told_apart_end_it(void **state)
{
    struct lease_rules rules;
    char name[16];

    (void)state;
    lease_rules_init(&rules);
    for (int i = 0; i <= LEASE_BACKENDS_MAX; i++) {
        snprintf(name, sizeof name, "%d", i);
        assert_int_equal(lease_rules_judge(&rules, &(struct lease_answer){.asked_us = 1, .snapshot = "1:1:",
                                                                          .server = "s", .backend = name}),
                         LEASE_FORGET);
    }
    /* The first one was forgotten, the last one is known. */
    struct lease_answer answer = {.asked_us = 1, .snapshot = "1:1:", .server = "s", .backend = name};
    assert_int_equal(lease_rules_judge(&rules, &answer), LEASE_FOLLOW);
    answer.backend = "0";
    assert_int_equal(lease_rules_judge(&rules, &answer), LEASE_FORGET);
    lease_rules_fini(&rules);
}

static void a_standby_is_no_beginning(void **state)
{
    (void)state;
    CHECK({1, NULL, "1:1:", "s", "a", true, 0, LEASE_STANDBY},
          {2, NULL, "2:2:", "s", "a", true, 0, LEASE_STANDBY},
          {3, NULL, "3:3:", "s", "a", false, 0, FORGET}, /* it was promoted */
          {4, "3:3:", "4:4:", "s", "a", false, 0, FOLLOW},
          {5, "4:4:", "5:5:", "s", "a", true, 0, LEASE_STANDBY},
          {6, NULL, "6:6:", "s", "a", false, 0, FORGET});
}

static void who_hides_something_is_not_followed(void **state)
{
    (void)state;
    CHECK({1, NULL, NULL, "s", "a", false, 0, LEASE_UNSUPPORTED},
          {2, NULL, "1:1:", NULL, "a", false, 0, LEASE_UNSUPPORTED},
          {3, NULL, "1:1:", "s", NULL, false, 0, LEASE_UNSUPPORTED},
          {4, NULL, "1:1:", "s", "a", false, 0, FORGET},
          {5, "1:1:", "2:2:", "s", NULL, false, 0, LEASE_UNSUPPORTED},
          {6, NULL, "3:3:", "s", "a", false, 0, FORGET});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_answer_is_a_beginning),
        cmocka_unit_test(what_is_named_is_bounded),
        cmocka_unit_test(a_gap_ends_it),
        cmocka_unit_test(a_new_backend_ends_it_and_is_known_from_then_on),
        cmocka_unit_test(another_server_ends_it_each_time),
        cmocka_unit_test(more_backends_than_are_told_apart_end_it),
        cmocka_unit_test(a_standby_is_no_beginning),
        cmocka_unit_test(who_hides_something_is_not_followed),
    };

    return cmocka_run_group_tests_name("lease_rules", tests, NULL, NULL);
}
