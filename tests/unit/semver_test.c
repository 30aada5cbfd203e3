/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "semver.h"

#include <stdio.h>
#include <string.h>

static const struct {
    const char *text, *canonical; /* NULL: no version */
} versions[] = {
    {"1", "v1.0.0"},
    {"v1", "v1.0.0"},
    {"1.2", "v1.2.0"},
    {"1.2.3", "v1.2.3"},
    {"v1.2.3", "v1.2.3"},
    {"1.2.3.4.5", "v1.2.3.4.5"},
    {"01.002.0003", "v1.2.3"},
    {"0", "v0.0.0"},
    {"00.00", "v0.0.0"},
    {"9223372036854775807", "v9223372036854775807.0.0"},
    {"0009223372036854775807.1", "v9223372036854775807.1.0"},
    {"1-rc1", "v1.0.0-rc1"},
    {"1.2-rc.1", "v1.2.0-rc.1"},
    {"1.2.3-0", "v1.2.3-0"},
    {"1.2.3-007.x", "v1.2.3-007.x"},
    {"1.2.3--", "v1.2.3--"},
    {"1.2.3-~", "v1.2.3-~"},
    {"1.2.3-a-b.c-d", "v1.2.3-a-b.c-d"},
    {"1.2.3+ent", "v1.2.3+ent"},
    {"1+ent.hsm-1", "v1.0.0+ent.hsm-1"},
    {"1.2.3-rc1+ent.7", "v1.2.3-rc1+ent.7"},
    {"1.2.3+builtin", "v1.2.3+builtin"},
    {"1.2.3+a-b", "v1.2.3+a-b"},
    {"", NULL},
    {"v", NULL},
    {"V1.2.3", NULL},
    {"vv1", NULL},
    {"latest", NULL},
    {".1", NULL},
    {"1.", NULL},
    {"1..2", NULL},
    {"1.2.x", NULL},
    {"1.2.3rc1", NULL}, /* NewVersion takes it, NewSemver does not */
    {"1.2.3-", NULL},
    {"1.2.3-a.", NULL},
    {"1.2.3-.a", NULL},
    {"1.2.3-a..b", NULL},
    {"1.2.3-a_b", NULL},
    {"1.2.3+", NULL},
    {"1.2.3+a+b", NULL},
    {"1.2.3+a.", NULL},
    {"1.2.3+ä", NULL},
    {"-1", NULL},
    {"+1", NULL},
    {" 1", NULL},
    {"1 ", NULL},
    {"1\n", NULL},
    {"1,2", NULL},
    {"0x1", NULL},
    {"9223372036854775808", NULL},
    {"1.99999999999999999999", NULL},
    {"18446744073709551616", NULL},
};

static void versions_are_taken_and_spelled_as_vault_does(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof versions / sizeof *versions; i++) {
        char out[SEMVER_SIZE] = "";
        bool taken = semver_canonical(out, versions[i].text);
        if (taken != (versions[i].canonical != NULL) ||
            (taken && strcmp(out, versions[i].canonical) != 0))
            fail_msg("\"%s\" became \"%s\"", versions[i].text, taken ? out : "(refused)");
    }
}

static void a_canonical_version_is_its_own_canonical_form(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof versions / sizeof *versions; i++) {
        char out[SEMVER_SIZE];
        if (!versions[i].canonical)
            continue;
        assert_true(semver_canonical(out, versions[i].canonical));
        assert_string_equal(out, versions[i].canonical);
    }
}

static void long_versions_fit_or_are_refused(void **state)
{
    char text[SEMVER_TEXT_MAX + 2], out[SEMVER_SIZE];

    (void)state;
    memset(text, 'a', sizeof text);
    memcpy(text, "1-", 2);
    text[SEMVER_TEXT_MAX] = '\0';
    assert_true(semver_canonical(out, text));
    assert_memory_equal(out, "v1.0.0-aaa", 10);
    assert_int_equal(strlen(out), SEMVER_TEXT_MAX + 5);
    text[SEMVER_TEXT_MAX] = 'a';
    text[SEMVER_TEXT_MAX + 1] = '\0';
    assert_false(semver_canonical(out, text));
    /* No part of it is lost while it is put together. */
    for (size_t i = 0; i < SEMVER_TEXT_MAX; i++)
        text[i] = i % 2 ? '.' : '1';
    text[SEMVER_TEXT_MAX] = '\0';
    assert_true(semver_canonical(out, text));
    assert_string_equal(out + 1, text);
}

static const struct {
    const char *version;
    bool builtin;
} builtins[] = {
    {"", false},
    {"v1.0.0", false},
    {"v1.0.0+builtin", true},
    {"v1.0.0+builtin.vault", true},
    {"v1.0.0-rc1+a.builtin", true},
    {"v1.0.0+a.builtin.b", true},
    {"v1.0.0+builtins", false},
    {"v1.0.0+built", false},
    {"v1.0.0+abuiltin", false},
    {"v1.0.0+a-builtin", false},
    {"v1.0.0-builtin", false},
    {"v1.0.0-builtin+a", false},
};

static void builtin_is_an_identifier_of_the_metadata(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof builtins / sizeof *builtins; i++) {
        if (semver_is_builtin(builtins[i].version) != builtins[i].builtin)
            fail_msg("%s", builtins[i].version);
    }
}

/* Ascending; those in one line are equal. */
static const char *const precedence[][4] = {
    {"v0.0.0-alpha"},
    {"", "v0.0.0", "v0.0.0+x"},
    {"v0.0.1-1"},
    {"v0.0.1"},
    {"v0.2.0"},
    {"v0.10.0"},
    {"v1.0.0-1"},
    {"v1.0.0-2", "v1.0.0-002"},
    {"v1.0.0-11"},
    {"v1.0.0-99999999999999999999"},
    {"v1.0.0-A"},
    {"v1.0.0-alpha", "v1.0.0-alpha+001"},
    {"v1.0.0-alpha.1"},
    {"v1.0.0-alpha.1.a"},
    {"v1.0.0-alpha.beta"},
    {"v1.0.0-alpha1"},
    {"v1.0.0-beta"},
    {"v1.0.0-beta.2"},
    {"v1.0.0-beta.11"},
    {"v1.0.0-rc.1"},
    {"v1.0.0", "v1.0.0.0", "v1.0.0+z", "1"},
    {"v1.0.0.1"},
    {"v1.0.1"},
    {"v9.0.0"},
    {"v10.0.0"},
    {"v9223372036854775807.0.0"},
};

static void versions_have_semvers_precedence(void **state)
{
    size_t count = sizeof precedence / sizeof *precedence;

    (void)state;
    for (size_t i = 0; i < count * 4; i++) {
        for (size_t k = 0; k < count * 4; k++) {
            const char *left = precedence[i / 4][i % 4], *right = precedence[k / 4][k % 4];
            if (!left || !right)
                continue;
            int order = semver_compare(left, right), wanted = (i / 4 > k / 4) - (i / 4 < k / 4);
            if ((order > 0) - (order < 0) != wanted)
                fail_msg("\"%s\" against \"%s\": %d", left, right, order);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(versions_are_taken_and_spelled_as_vault_does),
        cmocka_unit_test(a_canonical_version_is_its_own_canonical_form),
        cmocka_unit_test(long_versions_fit_or_are_refused),
        cmocka_unit_test(builtin_is_an_identifier_of_the_metadata),
        cmocka_unit_test(versions_have_semvers_precedence),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("semver", tests, NULL, NULL);
}
