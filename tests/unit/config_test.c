/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "config.h"

#include <stdio.h>
#include <string.h>

#define URL "storage \"postgresql\" {\n connection_url = \"host=/x password=s3cret\"\n}\n"

static void defaults_hold_where_nothing_is_said(void **state)
{
    struct config config;
    struct error err;

    (void)state;
    assert_true(config_parse(&config, "x.conf", URL, strlen(URL), &err));
    assert_string_equal(config.connection_url, "host=/x password=s3cret");
    assert_int_equal(config.max_connections, 8);
    assert_null(config.address);
    assert_int_equal(config.mode, 0660);
    assert_null(config.peer_users);
    assert_int_equal(config.connect_ms, 2000);
    assert_int_equal(config.pool_ms, 2000);
    assert_int_equal(config.statement_ms, 5000);
    assert_int_equal(config.tidy_ms, 60000);
    assert_int_equal(config.request_ms, 10000);
    assert_int_equal(config.shutdown_ms, 10000);
    assert_int_equal(config.max_request_size, 1048576);
    assert_int_equal(config.threads, 64);
    assert_int_equal(config.max_staleness_ms, 50);
    assert_int_equal(config.max_bytes, 64 * 1048576);
    assert_null(config.audit_path);
    assert_int_equal(config.audit_mode, 0600);
    assert_true(config.hmac_accessor);
    assert_false(config.elide_list_responses);
    assert_string_equal(config.api_version, "2.1.0");
    assert_int_equal(config.seccomp, SANDBOX_CALLS_ENFORCE);
    assert_int_equal(config.log_level, LOG_LEVEL_INFO);
    assert_int_equal(config.log_format, LOG_FORMAT_STANDARD);
    config_fini(&config);
}

static const struct {
    const char *text, *message; /* after "x.conf:" */
} faults[] = {
    {"log_level = \"loud\"", "4: log_level: must be trace, debug, info, warn or error"},
    {"seccomp = \"on\"", "4: seccomp: must be enforce, kill or off"},
    {"colour = 1", "4: unknown key \"colour\""},
    {"listener \"fastcgi\" {\n thread = 1\n}", "5: unknown key \"thread\" in listener"},
    {"listener \"tcp\" {}", "4: must be a block: listener \"fastcgi\" {"},
    {"listener \"fastcgi\" {}\nlistener \"fastcgi\" {}", "5: listener is given twice"},
    {"listener \"fastcgi\" { threads = 0 }",
     "4: listener threads: must be an integer from 2 to 1000"},
    {"listener \"fastcgi\" { threads = \"8\" }",
     "4: listener threads: must be an integer from 2 to 1000"},
    {"listener \"fastcgi\" { threads = 15 }",
     " storage max_connections: must be at most half of listener threads (7), so that a database "
     "that hangs leaves threads for other answers"},
    {"listener \"fastcgi\" { request_timeout = \"9ms\" }",
     "4: listener request_timeout: must be a duration from \"10ms\" to \"10m\", such as \"2s\""},
    {"listener \"fastcgi\" { request_timeout = \"3999ms\" }",
     " storage connect_timeout: must be at most half of listener request_timeout"},
    {"listener \"fastcgi\" { shutdown_timeout = 601 }",
     "4: listener shutdown_timeout: must be a duration from \"10ms\" to \"10m\", such as \"2s\""},
    {"listener \"fastcgi\" { mode = \"0999\" }",
     "4: listener mode: must be an octal number in quotes, such as \"0660\""},
    {"listener \"fastcgi\" { address = \"tcp:1\" }",
     "4: listener address: must be \"unix:\" and an absolute path of 107 bytes at most"},
    {"listener \"fastcgi\" { peer_users = \"www-data\" }",
     "4: listener peer_users: must be a list of users, such as [\"www-data\"]"},
    {"listener \"fastcgi\" { max_request_size = \"1TiB\" }",
     "4: listener max_request_size: must be a size from 1KiB to 32MiB, such as \"1MiB\""},
    {"cache { max_staleness = \"soon\" }",
     "4: cache max_staleness: must be a duration from \"0s\" to \"60s\", such as \"50ms\""},
    {"cache { max_staleness = \"61s\" }",
     "4: cache max_staleness: must be a duration from \"0s\" to \"60s\", such as \"50ms\""},
    {"storage \"postgresql\" { connection_url = 5 }", "4: storage is given twice"},
    {"audit \"syslog\" {}", "4: must be a block: audit \"file\" {"},
    {"audit \"file\" {}", " audit file_path: must be set"},
    {"audit \"file\" { file_path = \"audit.log\" }", "4: audit file_path: must be an absolute path"},
    {"audit \"file\" { log_raw = true }", "4: unknown key \"log_raw\" in audit"},
    {"audit \"file\" { hmac_accessor = \"no\" }", "4: audit hmac_accessor: must be true or false"},
    {"audit \"file\" { mode = \"0700\" }", "4: audit mode: must be an octal number in quotes, "
     "such as \"0600\", that lets the owner read and write and nobody execute"},
    {"audit \"file\" { mode = \"0440\" }", "4: audit mode: must be an octal number in quotes, "
     "such as \"0600\", that lets the owner read and write and nobody execute"},
};

static void faults_name_file_line_and_what_is_right(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        char text[512], expected[256];
        struct config config;
        struct error err;
        snprintf(text, sizeof text, "%s%s\n", URL, faults[i].text);
        snprintf(expected, sizeof expected, "x.conf:%s", faults[i].message);
        assert_false(config_parse(&config, "x.conf", text, strlen(text), &err));
        assert_int_equal(err.code, ERROR_MISCONFIGURED);
        assert_string_equal(err.text, expected);
        assert_null(strstr(err.text, "s3cret"));
    }
}

static void connection_url_must_be_set(void **state)
{
    struct config config;
    struct error err;

    (void)state;
    assert_false(config_parse(&config, "x.conf", "", 0, &err));
    assert_string_equal(err.text, "x.conf: storage connection_url: must be set");
}

static void syntax_errors_name_the_place(void **state)
{
    struct config config;
    struct error err;
    const char *text = "log_level = \n}";

    (void)state;
    assert_false(config_parse(&config, "x.conf", text, strlen(text), &err));
    assert_int_equal(strncmp(err.text, "x.conf:2:1: ", 12), 0);
}

/* Each key stands in the sample as `name = default`, in its block, and no other does. */
static void sample_shows_every_key_at_its_default(void **state)
{
    char line[512], name[64], block[64] = "";
    unsigned seen = 0;
    size_t count;
    const struct config_key *keys = config_keys(&count);
    FILE *sample = fopen(TOP_SRCDIR "/src/runtime-catalog.conf.sample", "r");

    (void)state;
    assert_non_null(sample);
    while (fgets(line, sizeof line, sample)) {
        char *text = line + strspn(line, " #");
        size_t i = 0;
        if (strstr(text, "{\n"))
            assert_int_equal(sscanf(text, "%63[a-z]", block), 1);
        if (*text == '}')
            *block = '\0';
        if (sscanf(text, "%63[a-z_] =", name) != 1 || !strstr(text, " = "))
            continue;
        while (i < count && (strcmp(keys[i].name, name) != 0 || strcmp(keys[i].block, block) != 0))
            i++;
        assert_true(i < count);
        text[strcspn(text, "\n")] = '\0';
        if (keys[i].default_text)
            assert_string_equal(strstr(text, " = ") + 3, keys[i].default_text);
        seen++;
    }
    fclose(sample);
    assert_int_equal(seen, count);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_hold_where_nothing_is_said),
        cmocka_unit_test(faults_name_file_line_and_what_is_right),
        cmocka_unit_test(connection_url_must_be_set),
        cmocka_unit_test(syntax_errors_name_the_place),
        cmocka_unit_test(sample_shows_every_key_at_its_default),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("config", tests, NULL, NULL);
}
