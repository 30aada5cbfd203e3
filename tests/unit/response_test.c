/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "arena.h"
#include "go_json.h"
#include "request.h"
#include "response.h"

#include <string.h>

static char written[65536];

static bool collect(void *context, const char *bytes, size_t length)
{
    (void)context;
    strncat(written, bytes, length); /* no piece has a NUL */
    return true;
}

static unsigned send(const struct response *response, struct error *err)
{
    struct request request = {.id = "01234567-89ab-cdef-0123-456789abcdef", .named = ""};
    struct output output = {.write = collect};
    struct arena *arena = arena_new(1 << 20);

    written[0] = '\0';
    unsigned status = response_send(response, &request, err, arena, &output);
    arena_free(arena);
    return status;
}

#define HEADERS(status)                                                                      \
    "Status: " status "\r\nContent-Type: application/json\r\nCache-Control: no-store\r\n"    \
    "Strict-Transport-Security: max-age=31536000; includeSubDomains\r\n"

static void nothing_to_say_is_204_with_its_headers(void **state)
{
    (void)state;
    assert_int_equal(send(&(struct response){.mount_type = "system"}, &(struct error){0}), 204);
    assert_string_equal(written, HEADERS("204 No Content") "\r\n");
}

static void data_comes_in_the_envelope(void **state)
{
    struct response response = {.data = json_pack("{s:i}", "a", 1), .mount_type = "system"};

    (void)state;
    assert_int_equal(send(&response, &(struct error){0}), 200);
    assert_string_equal(
        strstr(written, "\r\n\r\n") + 4,
        "{\"request_id\":\"01234567-89ab-cdef-0123-456789abcdef\",\"lease_id\":\"\","
        "\"renewable\":false,\"lease_duration\":0,\"data\":{\"a\":1},\"wrap_info\":null,"
        "\"warnings\":null,\"auth\":null,\"mount_type\":\"system\"}\n");
    response_fini(&response);
}

static void help_comes_without_an_envelope(void **state)
{
    struct response response = {.data = json_pack("{s:s}", "help", "x"), .is_bare = true};

    (void)state;
    assert_int_equal(send(&response, &(struct error){0}), 200);
    assert_string_equal(strstr(written, "\r\n\r\n") + 4, "{\"help\":\"x\"}\n");
    response_fini(&response);
}

/* Data as the catalog has it, and as it may be at its worst. */
static const char *const datas[] = {
    "{}",
    "{\"runtimes\":[]}",
    "{\"cgroup_parent\":\"\",\"cpu_nanos\":0,\"name\":\"a\",\"rootless\":false}",
    "{\"cgroup_parent\":\"<&>\\\\ \\\" \\n \\u001f \\u2028 \xC3\xA9 \xF0\x9F\x98\x80\"}",
    "{\"cpu_nanos\":9223372036854775807,\"real\":1.5,\"null\":null,\"list\":[1,[2],{\"a\":true}]}",
};

/* What is kept serialised goes out as what is not. */
static void serialised_data_gives_the_same_bytes(void **state)
{
    static char expected[sizeof written];
    struct arena *arena = arena_new(1 << 20);

    (void)state;
    for (size_t i = 0; i < 2 * sizeof datas / sizeof *datas; i++) {
        json_t *data = json_loads(datas[i / 2], 0, NULL);
        json_t *warnings = i % 2 ? json_pack("[s]", "a <b>") : NULL;
        char *text = go_json(data, arena);
        struct response response = {.data = data, .warnings = warnings, .mount_type = "system"};
        assert_int_equal(send(&response, &(struct error){0}), 200);
        strcpy(expected, written);
        response = (struct response){.serialised = text,
                                     .serialised_length = strlen(text),
                                     .warnings = warnings,
                                     .mount_type = "system"};
        assert_int_equal(send(&response, &(struct error){0}), 200);
        assert_string_equal(written, expected);
        json_decref(data);
        json_decref(warnings);
    }
    arena_free(arena);
}

static void errors_have_vaults_shape(void **state)
{
    struct error err;

    (void)state;
    error_set(&err, ERROR_PERMISSION_DENIED, "%s", ERROR_TEXT_NOT_ALLOWED);
    assert_int_equal(send(&(struct response){0}, &err), 403);
    assert_string_equal(
        strstr(written, "\r\n\r\n") + 4,
        "{\"errors\":[\"1 error occurred:\\n\\t* permission denied\\n\\n\"]}\n");
    error_set(&err, ERROR_NOT_FOUND, "%s", "");
    assert_int_equal(send(&(struct response){0}, &err), 404);
    assert_string_equal(strstr(written, "\r\n\r\n") + 4, "{\"errors\":[]}\n");
    error_set(&err, ERROR_STORAGE_AWAY, "storage is not available");
    assert_int_equal(send(&(struct response){0}, &err), 503);
    assert_non_null(strstr(written, "\r\nRetry-After: 1\r\n"));
}

static const struct {
    const char *value, *spelling; /* JSON in, Go's JSON out */
} spellings[] = {
    {"\"<a>&\"", "\"\\u003ca\\u003e\\u0026\""},
    {"\"\\u2028\\u2029\"", "\"\\u2028\\u2029\""},
    {"\"\\u001f\\n\\t\\\"\\\\\"", "\"\\u001f\\n\\t\\\"\\\\\""},
    {"\"\\u00e9\\u20ac/\"", "\"\xC3\xA9\xE2\x82\xAC/\""},
    {"9223372036854775807", "9223372036854775807"},
    {"{\"b\":[],\"a\":{}}", "{\"b\":[],\"a\":{}}"},
};

static void json_is_spelled_as_go_spells_it(void **state)
{
    struct arena *arena = arena_new(1 << 20);

    (void)state;
    for (size_t i = 0; i < sizeof spellings / sizeof *spellings; i++) {
        json_t *value = json_loads(spellings[i].value, JSON_DECODE_ANY, NULL);
        assert_string_equal(go_json(value, arena), spellings[i].spelling);
        json_decref(value);
    }
    arena_free(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_to_say_is_204_with_its_headers),
        cmocka_unit_test(data_comes_in_the_envelope),
        cmocka_unit_test(help_comes_without_an_envelope),
        cmocka_unit_test(serialised_data_gives_the_same_bytes),
        cmocka_unit_test(errors_have_vaults_shape),
        cmocka_unit_test(json_is_spelled_as_go_spells_it),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("response", tests, NULL, NULL);
}
