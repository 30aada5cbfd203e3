/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "arena.h"
#include "request.h"

#include <stdio.h>
#include <string.h>

#define ITEM "/v1/sys/plugins/runtimes/catalog/container/a"
#define LIST "/v1/sys/plugins/runtimes/catalog"

/* A request as nginx would send it; NULL members are left out. */
struct sent {
    const char *method, *uri, *document_uri, *body, *extra, *more;
};

static size_t read_body(void *context, char *buffer, size_t size)
{
    const char **body = context;
    size_t length = strlen(*body) < size ? strlen(*body) : size;

    memcpy(buffer, *body, length);
    *body += length;
    return length;
}

static struct arena *arena;

static bool parse(struct request *request, const struct sent *sent, struct error *err)
{
    char method[64], uri[8192], document_uri[8192], length[64];
    char *environment[] = {method, uri, document_uri, length, "RUNTIME_CATALOG_NAMESPACE=",
                           "REQUEST_ID=0123456789abcdef0123456789abcdef", (char *)sent->extra,
                           (char *)(sent->extra ? sent->more : NULL), NULL};
    const char *body = sent->body ? sent->body : "";
    struct input input = {environment, read_body, &body};

    snprintf(method, sizeof method, "REQUEST_METHOD=%s", sent->method);
    snprintf(uri, sizeof uri, "REQUEST_URI=%s", sent->uri);
    snprintf(document_uri, sizeof document_uri, "DOCUMENT_URI=%.*s",
             (int)strcspn(sent->document_uri ? sent->document_uri : sent->uri,
                          sent->document_uri ? "" : "?"),
             sent->document_uri ? sent->document_uri : sent->uri);
    snprintf(length, sizeof length, "CONTENT_LENGTH=%zu", strlen(body));
    err->code = ERROR_NONE;
    err->text[0] = '\0';
    return request_parse(request, &input, 1024, arena, err);
}

static const struct {
    struct sent sent;
    enum operation operation;
    const char *path, *data;
} good[] = {
    {{"GET", ITEM, 0, 0, 0, 0}, OPERATION_READ, ITEM, "{}"},
    {{"GET", LIST, 0, 0, 0, 0}, OPERATION_READ, LIST, "{}"},
    {{"LIST", LIST, 0, 0, 0, 0}, OPERATION_LIST, LIST "/", "{}"},
    {{"GET", LIST "?list=true", 0, 0, 0, 0}, OPERATION_LIST, LIST "/", "{}"},
    {{"GET", LIST "/?list=True&type=container", 0, 0, 0, 0}, OPERATION_LIST, LIST "/",
     "{\"type\": \"container\"}"},
    {{"GET", LIST "?list=0", 0, 0, 0, 0}, OPERATION_READ, LIST, "{\"list\": \"0\"}"},
    {{"GET", LIST "?a=1&a=2", 0, 0, 0, 0}, OPERATION_READ, LIST, "{\"a\": [\"1\", \"2\"]}"},
    {{"GET", LIST "%3Ftype=container?list=true", LIST "?type=container", 0, 0, 0},
     OPERATION_LIST, LIST "/", "{\"type\": \"container\"}"},
    {{"GET", "/v1/sys%2Fx", "/v1/sys/x", 0, 0, 0}, OPERATION_READ, "/v1/sys/x", "{}"},
    {{"DELETE", ITEM, 0, "ignored", 0, 0}, OPERATION_DELETE, ITEM, "{}"},
    {{"POST", ITEM, 0, "{\"cpu_nanos\":1}", 0, 0}, OPERATION_UPDATE, ITEM,
     "{\"cpu_nanos\": 1}"},
    {{"PUT", ITEM "?x=1", 0, "{}", 0, 0}, OPERATION_UPDATE, ITEM, "{}"},
    {{"POST", ITEM, 0, " \n", 0, 0}, OPERATION_UPDATE, ITEM, "{}"},
    {{"POST", ITEM, 0, "null", 0, 0}, OPERATION_UPDATE, ITEM, "{}"},
    {{"POST", ITEM, 0, "{\"a\":1}", "CONTENT_TYPE=application/x-www-form-urlencoded", 0},
     OPERATION_UPDATE, ITEM, "{\"a\": 1}"},
    {{"POST", ITEM, 0, "a=1+2&a=3", "CONTENT_TYPE=application/x-www-form-urlencoded", 0},
     OPERATION_UPDATE, ITEM, "{\"a\": \"1 2,3\"}"},
    {{"POST", ITEM, 0, "a=1&b=&a=&c&a=%2C&=x&&a=3", "CONTENT_TYPE=Application/X-WWW-Form-urlencoded ; x", 0},
     OPERATION_UPDATE, ITEM, "{\"a\": \"1,,,,3\", \"b\": \"\", \"c\": \"\", \"\": \"x\"}"},
    {{"GET", ITEM "?a=1", 0, "{\"a\":2}", 0, 0}, OPERATION_READ, ITEM, "{\"a\": \"1\"}"},
    {{"DELETE", ITEM, 0, "[1]", 0, 0}, OPERATION_DELETE, ITEM, "{}"},
    {{"HEAD", ITEM, 0, 0, 0, 0}, OPERATION_NONE, ITEM, "{}"},
    {{"OPTIONS", ITEM "?a=1", 0, 0, 0, 0}, OPERATION_NONE, ITEM, "{}"},
    {{"GET", ITEM "?help=&a=1", 0, 0, 0, 0}, OPERATION_READ, ITEM, "{\"a\": \"1\"}"},
    {{"GET", ITEM "?help=1&a=1", 0, 0, 0, 0}, OPERATION_HELP, ITEM, "{}"},
    {{"LIST", LIST "?help=1", 0, 0, 0, 0}, OPERATION_HELP, LIST, "{}"},
    {{"POST", ITEM "/?help=0", 0, "text", 0, 0}, OPERATION_HELP, ITEM "/", "{}"},
    {{"BREW", ITEM "?help=1", 0, 0, 0, 0}, OPERATION_HELP, ITEM, "{}"},
    {{"HELP", ITEM, 0, 0, "HTTP_X_VAULT_WRAP_TTL=60", 0}, OPERATION_HELP, ITEM, "{}"},
    {{"RECOVER", ITEM, 0, "{}", "HTTP_X_VAULT_RECOVER_SNAPSHOT_ID=x", 0}, OPERATION_RECOVER, ITEM,
     "{}"},
    {{"PATCH", ITEM, 0, "{\"a\":1}", "CONTENT_TYPE=Application/Merge-Patch+JSON ; a=b", 0},
     OPERATION_PATCH, ITEM, "{\"a\": 1}"},
    {{"PATCH", ITEM, 0, "{}", "CONTENT_TYPE=application/scim+json", 0}, OPERATION_PATCH, ITEM, "{}"},
};

static void good_requests_are_understood(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        struct request request;
        struct error err;
        if (!parse(&request, &good[i].sent, &err))
            fail_msg("%s %s: %s", good[i].sent.method, good[i].sent.uri, err.text);
        json_t *data = json_loads(good[i].data, 0, NULL);
        assert_int_equal(request.operation, good[i].operation);
        assert_string_equal(request.path, good[i].path + strlen("/v1/"));
        assert_true(json_equal(request.data, data));
        assert_string_equal(request.id, "01234567-89ab-cdef-0123-456789abcdef");
        json_decref(data);
        request_fini(&request);
    }
}

static const struct {
    struct sent sent;
    enum error_code code;
    const char *text;
} bad[] = {
    {{"BREW", ITEM, 0, 0, 0, 0}, ERROR_UNSUPPORTED_OPERATION, ""},
    {{"BREW", LIST "//a", 0, 0, 0, 0}, ERROR_BAD_REQUEST, "path: must be canonical"},
    {{"BREW", ITEM "/", 0, 0, "HTTP_X_VAULT_WRAP_TTL=x", 0}, ERROR_UNSUPPORTED_OPERATION, ""},
    {{"GET", "/v1/a%c2%80", "/v1/a\xC2\x80", 0, 0, 0}, ERROR_BAD_REQUEST, "path: control characters"},
    {{"GET", LIST "?list=perhaps&help=1", 0, 0, 0, 0}, ERROR_BAD_REQUEST, "query parameter list"},
    {{"POST", ITEM "?a=%zz", 0, "{}", 0, 0}, ERROR_BAD_REQUEST, "query: a '%' must be"},
    {{"RECOVER", ITEM, 0, "{}", "HTTP_X_VAULT_RECOVER_SNAPSHOT_ID=", 0}, ERROR_BAD_REQUEST,
     "missing required snapshot ID"},
    {{"GET", "/elsewhere", 0, 0, 0, 0}, ERROR_NOT_FOUND, ""},
    {{"GET", "/v1/a//b", 0, 0, 0, 0}, ERROR_BAD_REQUEST, "path: must be canonical"},
    {{"GET", "/v1/a/%2e%2e/b", "/v1/b", 0, 0, 0}, ERROR_BAD_REQUEST, "path: must be canonical"},
    {{"GET", "/v1/a/./b", 0, 0, 0, 0}, ERROR_BAD_REQUEST, "path: must be canonical"},
    {{"GET", "/v1/a", "/v1/b", 0, 0, 0}, ERROR_BAD_REQUEST, "path: must be canonical"},
    {{"GET", "/v1/a%0a", "/v1/a\n", 0, 0, 0}, ERROR_BAD_REQUEST, "path: control characters"},
    {{"GET", "/v1/a%zz", 0, 0, 0, 0}, ERROR_BAD_REQUEST, "path: a '%' must be followed by"},
    {{"GET", "/v1/a%4", 0, 0, 0, 0}, ERROR_BAD_REQUEST, "path: a '%' must be followed by"},
    {{"GET", "/v1/a%00", 0, 0, 0, 0}, ERROR_BAD_REQUEST, "path: a '%' must be followed by"},
    {{"GET", "/v1/a%ff", "/v1/a\xff", 0, 0, 0}, ERROR_BAD_REQUEST, "path: not valid UTF-8"},
    {{"GET", LIST "?list=perhaps", 0, 0, 0, 0}, ERROR_BAD_REQUEST, "query parameter list"},
    {{"POST", ITEM "/", 0, "{}", 0, 0}, ERROR_BAD_REQUEST, "cannot write to a path ending"},
    {{"POST", ITEM, 0, "[]", 0, 0}, ERROR_BAD_REQUEST, "failed to parse JSON: must be an object"},
    {{"POST", ITEM, 0, "{\"a\":1", 0, 0}, ERROR_BAD_REQUEST, "failed to parse JSON: line 1, column"},
    {{"POST", ITEM, 0, "a=1;b=2", "CONTENT_TYPE=application/x-www-form-urlencoded", 0},
     ERROR_BAD_REQUEST, "form: a ';' must be written %3B"},
    {{"POST", ITEM, 0, "a=1", "CONTENT_TYPE=application/x-www-form-urlencodedly", 0},
     ERROR_BAD_REQUEST, "failed to parse JSON: line 1"},
    {{"DELETE", ITEM, 0, "{\"a\":1", 0, 0}, ERROR_BAD_REQUEST, "failed to parse JSON: line 1"},
    {{"GET", ITEM, 0, " [", 0, 0}, ERROR_BAD_REQUEST, "failed to parse JSON: line 1"},
    {{"GET", ITEM "?list=perhaps", 0, "[", 0, 0}, ERROR_BAD_REQUEST, "query parameter list"},
    {{"PATCH", ITEM, 0, "{", 0, 0}, ERROR_BAD_REQUEST, "failed to parse JSON: line 1"},
    {{"PATCH", ITEM, 0, "{}", 0, 0}, ERROR_BAD_REQUEST, "mime: no media type"},
    {{"PATCH", ITEM, 0, "{}", "CONTENT_TYPE= ;a=b", 0}, ERROR_BAD_REQUEST, "mime: no media type"},
    {{"PATCH", ITEM, 0, "{}", "CONTENT_TYPE=a/\xFF", 0}, ERROR_BAD_REQUEST, "mime: not a media type"},
    {{"PATCH", ITEM, 0, "{}", "CONTENT_TYPE=Text/Plain;a=b", 0}, ERROR_UNSUPPORTED_MEDIA,
     "PATCH requires Content-Type of application/merge-patch+json, provided text/plain"},
    {{"GET", ITEM, 0, 0, "HTTP_X_VAULT_TOKEN=a", "HTTP_X_VAULT_TOKEN=b"}, ERROR_BAD_REQUEST,
     "header X-Vault-Token: sent more than once"},
    {{"GET", ITEM, 0, 0, "HTTP_X_VAULT_TOKEN=a, b", 0}, ERROR_BAD_REQUEST,
     "header X-Vault-Token: sent more than once"},
    {{"GET", ITEM, 0, 0, "HTTP_AUTHORIZATION=Bearer a, Bearer b", 0}, ERROR_BAD_REQUEST,
     "header Authorization: sent more than once"},
    {{"GET", ITEM, 0, 0, "HTTP_X_VAULT_TOKEN=a\x7F", 0}, ERROR_BAD_REQUEST,
     "header X-Vault-Token: control characters are not allowed"},
    {{"GET", ITEM, 0, 0, "HTTP_X_VAULT_POLICY_OVERRIDE=yes", 0}, ERROR_BAD_REQUEST,
     "failed to parse X-Vault-Policy-Override header: must be true or false"},
    {{"GET", ITEM, 0, 0, "REQUEST_METHOD=POST", 0}, ERROR_MISCONFIGURED, "the web server sends"},
    {{"GET", ITEM, 0, 0, "HTTP_X_VAULT_WRAP_TTL=60", 0}, ERROR_BAD_REQUEST, "header X-Vault-Wrap-TTL"},
    {{"GET", ITEM, 0, 0, "HTTP_X_VAULT_WRAP_TTL=-60", 0}, ERROR_BAD_REQUEST,
     "error parsing X-Vault-Wrap-TTL header: requested wrap ttl cannot be negative"},
    {{"GET", ITEM, 0, 0, "HTTP_X_VAULT_WRAP_TTL=-", 0}, ERROR_BAD_REQUEST,
     "error parsing X-Vault-Wrap-TTL header: must be a number of seconds"},
    {{"GET", ITEM, 0, 0, "HTTP_X_VAULT_NAMESPACE=a b", 0}, ERROR_BAD_REQUEST, "header X-Vault-Namespace"},
    {{"GET", ITEM, 0, 0, "HTTP_X_VAULT_NAMESPACE=a/../b", 0}, ERROR_BAD_REQUEST, "header X-Vault-Namespace"},
};

static void bad_requests_are_told_why(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct request request;
        struct error err;
        if (parse(&request, &bad[i].sent, &err) || err.code != bad[i].code ||
            strncmp(err.text, bad[i].text, strlen(bad[i].text)) != 0)
            fail_msg("%s %s: %s", bad[i].sent.method, bad[i].sent.uri, err.text);
        request_fini(&request);
    }
}

static void a_body_over_the_limit_is_413(void **state)
{
    char body[1026];
    struct request request;
    struct error err;

    (void)state;
    memset(body, ' ', sizeof body);
    body[1025] = '\0';
    assert_false(parse(&request, &(struct sent){"POST", ITEM, 0, body, 0, 0}, &err));
    assert_int_equal(err.code, ERROR_TOO_LARGE);
    request_fini(&request);
    body[1024] = '\0';
    assert_true(parse(&request, &(struct sent){"POST", ITEM, 0, body, 0, 0}, &err));
    request_fini(&request);
}

static const struct {
    const char *first, *second, *token;
} tokens[] = {
    {"HTTP_X_VAULT_TOKEN=a", "HTTP_AUTHORIZATION=Bearer b", "a"},
    {"HTTP_X_VAULT_TOKEN=", "HTTP_AUTHORIZATION=Bearer b", "b"},
    {"HTTP_AUTHORIZATION=Bearer  b", NULL, "b"},
    {"HTTP_AUTHORIZATION=bearer b", NULL, NULL},
    {"HTTP_AUTHORIZATION=Basic b", NULL, NULL},
};

static void the_token_is_x_vault_token_or_a_bearers(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof tokens / sizeof *tokens; i++) {
        struct request request;
        struct error err;
        assert_true(parse(&request,
                          &(struct sent){"GET", ITEM, 0, 0, tokens[i].first, tokens[i].second},
                          &err));
        assert_int_equal(!request.token, !tokens[i].token);
        if (request.token)
            assert_string_equal(request.token, tokens[i].token);
        request_fini(&request);
    }
}

static void a_site_without_namespace_is_refused(void **state)
{
    char *environment[] = {"REQUEST_METHOD=GET", "REQUEST_URI=" ITEM, "DOCUMENT_URI=" ITEM, NULL};
    const char *body = "";
    struct input input = {environment, read_body, &body};
    struct request request;
    struct error err;

    (void)state;
    assert_false(request_parse(&request, &input, 1024, arena, &err));
    assert_int_equal(err.code, ERROR_MISCONFIGURED);
    assert_int_equal(strlen(request.id), 36);
    request_fini(&request);
}

/* 505 bytes, so that "team-a/" in front and the slash behind make 513. */
#define LONG_SEGMENT \
    L63 "-" L63 "-" L63 "-" L63 "-" L63 "-" L63 "-" L63 "-" L56 "-"
#define L56 "0123456789012345678901234567890123456789012345678901234X"
#define L63 L56 "0123456"

static const struct {
    const char *uri, *document_uri, *header;
    const char *named, *path; /* NULL: refused */
} namespaces[] = {
    {LIST, 0, 0, "", "sys/plugins/runtimes/catalog"},
    {LIST, 0, "team-a", "team-a/", "sys/plugins/runtimes/catalog"},
    {LIST, 0, "/team-a/b//", "team-a/b/", "sys/plugins/runtimes/catalog"},
    {"/v1/team-a/sys/x", 0, 0, "team-a/", "sys/x"},
    {"/v1/team-a/sys/x", 0, "/", "team-a/", "sys/x"},
    {"/v1/b/c/sys/x", 0, "team-a", "team-a/b/c/", "sys/x"},
    {"/v1/a/auth/token/create", 0, 0, "a/", "auth/token/create"},
    {"/v1/a/audit", 0, 0, "a/", "audit"},
    {"/v1/a/cubbyhole/x", 0, 0, "a/", "cubbyhole/x"},
    {"/v1/a/identity/x/", 0, 0, "a/", "identity/x/"},
    {"/v1/a/root/sys/x", 0, 0, "a/", "root/sys/x"},
    {"/v1/root/sys/x", 0, 0, "", "root/sys/x"},
    {"/v1/a/sys", 0, 0, "a/", "sys"},
    {"/v1/sys/policies/acl/a/sys/x", 0, 0, "", "sys/policies/acl/a/sys/x"},
    {"/v1/a/sys/policies/acl/b/auth/x", 0, 0, "a/", "sys/policies/acl/b/auth/x"},
    {"/v1/a/b/system/x", 0, 0, "", "a/b/system/x"},
    {"/v1/Sys/x", 0, 0, "", "Sys/x"},
    {"/v1/Sys/sys/x", 0, 0, "Sys/", "sys/x"},
    {"/v1/a", 0, "b", "b/", "a"},
    {"/v1/", 0, "b", "b/", ""},
    {"/v1/a%2Fsys/x", "/v1/a/sys/x", 0, "a/", "sys/x"},
    {"/v1/a%2fb/%73ys%2fx", "/v1/a/b/sys/x", 0, "a/b/", "sys/x"},
    {"/v1/a%252Fsys/x", "/v1/a%2Fsys/x", 0, "", "a%2Fsys/x"},
    {"/v1/a/sys%3Fx", "/v1/a/sys?x", 0, "", "a/sys?x"},
    {"/v1/a" "/sys/plugins/runtimes/catalog%3Ftype=container",
     "/v1/a/sys/plugins/runtimes/catalog?type=container", 0, "a/", "sys/plugins/runtimes/catalog"},
    {"/v1/a b/sys/x", 0, 0, NULL, NULL},
    {"/v1/.a/sys/x", 0, 0, NULL, NULL},
    {"/v1/a*/sys/x", 0, 0, NULL, NULL},
    {"/v1/%C3%A4/sys/x", "/v1/ä/sys/x", 0, NULL, NULL},
    {"/v1/a/%2e%2e/b/sys/x", "/v1/b/sys/x", 0, NULL, NULL},
    {"/v1/../sys/x", "/sys/x", 0, NULL, NULL},
    {"/v1//sys/x", 0, "a", NULL, NULL},
    {"/v1/" LONG_SEGMENT "/sys/x", 0, 0, LONG_SEGMENT "/", "sys/x"},
    {"/v1/" LONG_SEGMENT "/sys/x", 0, "team-", "team-/" LONG_SEGMENT "/", "sys/x"},
    {"/v1/" LONG_SEGMENT "/sys/x", 0, "team-a", NULL, NULL},
    {"/v1/sys/x", 0, "team-a/" LONG_SEGMENT, NULL, NULL},
};

static void a_namespace_stands_in_the_header_and_in_the_path(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof namespaces / sizeof *namespaces; i++) {
        char header[1024] = "HTTP_X_VAULT_NAMESPACE=";
        struct request request;
        struct error err;
        if (namespaces[i].header)
            strcat(header, namespaces[i].header);
        bool parsed = parse(&request,
                            &(struct sent){"GET", namespaces[i].uri, namespaces[i].document_uri, 0,
                                           header, 0},
                            &err);
        if (parsed != (namespaces[i].named != NULL))
            fail_msg("%s in %s: %s", namespaces[i].uri, header, err.text);
        if (parsed) {
            assert_string_equal(request.named, namespaces[i].named);
            assert_string_equal(request.path, namespaces[i].path);
        } else {
            assert_int_equal(err.code, ERROR_BAD_REQUEST);
        }
        request_fini(&request);
    }
}

static int set_up(void **state)
{
    (void)state;
    arena = arena_new(1 << 20);
    return arena ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    arena_free(arena);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_requests_are_understood),
        cmocka_unit_test(bad_requests_are_told_why),
        cmocka_unit_test(a_body_over_the_limit_is_413),
        cmocka_unit_test(the_token_is_x_vault_token_or_a_bearers),
        cmocka_unit_test(a_site_without_namespace_is_refused),
        cmocka_unit_test(a_namespace_stands_in_the_header_and_in_the_path),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("request", tests, set_up, tear_down);
}
