/* SPDX-License-Identifier: MIT */
#include "connections.h"

#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

enum { DESCRIPTORS = 256, IDLE_MS = 50, LONG_MS = 60000 };

static struct connections *open_connections(unsigned idle_ms)
{
    struct error err;
    struct connections *connections = connections_new(DESCRIPTORS, idle_ms, &err);

    assert_non_null(connections);
    return connections;
}

/* A connection that was put; returns the web server's end. */
static int put(struct connections *connections, int *ours)
{
    int pair[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    connections_put(connections, pair[0]);
    *ours = pair[0];
    return pair[1];
}

static void say(int fd)
{
    assert_int_equal(write(fd, "x", 1), 1);
}

static void hear(int fd)
{
    char c;

    assert_int_equal(read(fd, &c, 1), 1);
}

static void who_speaks_first_is_taken_first(void **state)
{
    struct connections *connections = open_connections(LONG_MS);
    int ours[3], theirs[3];
    static const int order[] = {1, 2, 0};

    (void)state;
    for (int i = 0; i < 3; i++)
        theirs[i] = put(connections, &ours[i]);
    assert_false(connections_wait(connections));
    for (int i = 0; i < 3; i++)
        say(theirs[order[i]]);
    assert_true(connections_wait(connections));
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(connections_served(connections), i);
        assert_int_equal(connections_take(connections), ours[order[i]]);
    }
    assert_false(connections_wait(connections));
    for (int i = 0; i < 3; i++) {
        hear(ours[i]);
        connections_put_back(connections, ours[i]);
        close(theirs[i]);
    }
    connections_free(connections);
}

/* A connection that is served is nobody else's, whatever arrives on it, until it is put back. */
static void one_at_a_time(void **state)
{
    struct connections *connections = open_connections(LONG_MS);
    int ours, theirs = put(connections, &ours);

    (void)state;
    for (int turn = 0; turn < 3; turn++) {
        say(theirs);
        assert_int_equal(connections_take(connections), ours);
        hear(ours);
        say(theirs);
        assert_false(connections_wait(connections));
        hear(ours);
        connections_put_back(connections, ours);
        assert_false(connections_wait(connections));
    }
    say(theirs);
    assert_true(connections_wait(connections));
    assert_int_equal(connections_count(connections), 1);
    close(theirs);
    connections_free(connections);
}

static void one_that_ended_is_taken_to_be_closed(void **state)
{
    struct connections *connections = open_connections(LONG_MS);
    int ours, theirs = put(connections, &ours);

    (void)state;
    close(theirs);
    assert_int_equal(connections_take(connections), ours);
    close(ours);
    connections_gone(connections);
    assert_int_equal(connections_count(connections), 0);
    assert_int_equal(connections_served(connections), 0);
    connections_free(connections);
}

static bool is_open(int fd)
{
    return fcntl(fd, F_GETFD) >= 0;
}

/* One is idle, one has something to say and waits for a thread, one is served. */
static void only_who_is_idle_is_closed(void **state)
{
    struct connections *connections = open_connections(IDLE_MS);
    int idle, waiting, served;
    int theirs[] = {put(connections, &served), put(connections, &waiting),
                    put(connections, &idle)};

    (void)state;
    say(theirs[0]);
    assert_int_equal(connections_take(connections), served);
    say(theirs[1]);
    for (int looks = 0; connections_count(connections) == 3; looks++) {
        int ms = connections_close_idle(connections);
        assert_in_range(ms, 0, IDLE_MS);
        assert_in_range(looks, 0, 100);
        poll(NULL, 0, ms);
    }
    assert_false(is_open(idle));
    assert_true(is_open(waiting));
    assert_true(is_open(served));
    assert_int_equal(connections_take(connections), waiting);
    close(waiting);
    close(served);
    connections_gone(connections);
    connections_gone(connections);
    assert_int_equal(connections_close_idle(connections), -1);
    for (int i = 0; i < 3; i++)
        close(theirs[i]);
    connections_free(connections);
}

static void one_too_many_is_closed(void **state)
{
    struct connections *connections = open_connections(LONG_MS);
    int pair[2];

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    int high = fcntl(pair[0], F_DUPFD, DESCRIPTORS);
    assert_in_range(high, DESCRIPTORS, INT32_MAX);
    connections_put(connections, high);
    assert_false(is_open(high));
    assert_int_equal(connections_count(connections), 0);
    close(pair[0]);
    close(pair[1]);
    connections_free(connections);
}

static void the_end_is_for_everybody(void **state)
{
    struct connections *connections = open_connections(LONG_MS);

    (void)state;
    connections_end(connections);
    for (int i = 0; i < 3; i++)
        assert_int_equal(connections_take(connections), -1);
    connections_free(connections);
    connections_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_speaks_first_is_taken_first),
        cmocka_unit_test(one_at_a_time),
        cmocka_unit_test(one_that_ended_is_taken_to_be_closed),
        cmocka_unit_test(only_who_is_idle_is_closed),
        cmocka_unit_test(one_too_many_is_closed),
        cmocka_unit_test(the_end_is_for_everybody),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("connections", tests, NULL, NULL);
}
