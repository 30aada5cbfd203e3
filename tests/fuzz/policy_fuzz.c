/* SPDX-License-Identifier: MIT
 *
 * The policy evaluator. The input is one request and the policies that it is held against:
 *
 *     update 60 secret/a         operation, seconds of wrapping, path
 *     {"x": 1}                   data, or an empty line
 *     path "secret/+" { … }      a policy; further ones behind lines of ---
 */
#include "fuzz.h"

#include "policy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { POLICIES_MAX = 4, TEXT_MAX = 1 << 16 };

struct input {
    struct policy_request request;
    struct policy_source sources[2 * POLICIES_MAX]; /* room for each twice */
    size_t count;
    json_t *data;
};

/* What a policy says about a path: for each operation, and as capabilities. */
struct outcome {
    struct policy_decision decisions[OPERATION_MAX];
    unsigned capabilities;
};

/* ---- the input ---- */

/* Cuts the first line off. */
static char *take_line(char **text)
{
    char *line = *text, *end = strchr(line, '\n');

    *text = end == NULL ? line + strlen(line) : end + 1;
    if (end != NULL)
        *end = '\0';
    return line;
}

static void read_request(struct input *input, char **text)
{
    char *operation = take_line(text), *data = take_line(text);
    char *ttl = operation + strcspn(operation, " ");

    if (*ttl == ' ')
        *ttl++ = '\0';
    input->request.wrap_ttl = strtoll(ttl, &ttl, 10);
    input->request.path = *ttl == ' ' ? ttl + 1 : ttl;
    if (!operation_parse(operation, &input->request.operation))
        input->request.operation = (enum operation)((unsigned char)*operation % OPERATION_MAX);
    input->data = json_loads(data, JSON_REJECT_DUPLICATES, NULL);
    input->request.data = json_is_object(input->data) ? input->data : NULL;
}

static void read_policies(struct input *input, const char *text, const char *end)
{
    static const char separator[] = "\n---\n";

    while (text != NULL && input->count < POLICIES_MAX) {
        const char *next =
            memmem(text, (size_t)(end - text), separator, strlen(separator));
        input->sources[input->count++] = (struct policy_source){
            .name = "fuzz",
            .text = text,
            .length = (size_t)((next == NULL ? end : next) - text),
        };
        text = next == NULL ? NULL : next + strlen(separator);
    }
}

/* ---- rules ---- */

static void ask(struct outcome *out, const struct policy *policy,
                const struct policy_request *asked)
{
    struct policy_request request = *asked;

    *out = (struct outcome){.capabilities = policy_capabilities(policy, request.path)};
    for (int i = 0; i < OPERATION_MAX; i++) {
        request.operation = (enum operation)i;
        out->decisions[i] = policy_evaluate(policy, &request);
    }
}

static bool same(const struct outcome *a, const struct outcome *b)
{
    for (int i = 0; i < OPERATION_MAX; i++) {
        if (a->decisions[i].allowed != b->decisions[i].allowed ||
            a->decisions[i].sudo != b->decisions[i].sudo)
            return false;
    }
    return a->capabilities == b->capabilities;
}

/* What is allowed is a capability, and a deny stands alone. Capabilities are asked for as for
 * a list, so with a slash at the end another rule may count than for the rest. */
static void check_outcome(const struct outcome *outcome, const char *path)
{
    static const unsigned granted[OPERATION_MAX] = {
        [OPERATION_READ] = CAPABILITY_READ,     [OPERATION_LIST] = CAPABILITY_LIST,
        [OPERATION_CREATE] = CAPABILITY_CREATE, [OPERATION_UPDATE] = CAPABILITY_UPDATE,
        [OPERATION_DELETE] = CAPABILITY_DELETE, [OPERATION_PATCH] = CAPABILITY_PATCH,
    };
    unsigned capabilities = outcome->capabilities;
    size_t length = strlen(path);
    bool slash = length > 0 && path[length - 1] == '/';

    FUZZ_REQUIRE(capabilities != 0);
    FUZZ_REQUIRE(!(capabilities & CAPABILITY_DENY) || capabilities == CAPABILITY_DENY);
    FUZZ_REQUIRE(!outcome->decisions[OPERATION_NONE].allowed);
    FUZZ_REQUIRE(outcome->decisions[OPERATION_HELP].allowed);
    for (int i = 0; i < OPERATION_MAX; i++) {
        if (granted[i] == 0 || (slash && i != OPERATION_LIST))
            continue;
        FUZZ_REQUIRE(!outcome->decisions[i].allowed || (capabilities & granted[i]));
        FUZZ_REQUIRE(outcome->decisions[i].sudo == ((capabilities & CAPABILITY_SUDO) != 0));
    }
}

/* Whether "path" in a policy means this path and no other. */
static bool is_plain(const char *path)
{
    return path[0] != '\0' && path[0] != '/' && strpbrk(path, "+*{}\"\\$") == NULL &&
           strlen(path) < 256;
}

/* An exact deny beats all else that the policies say about the path. */
static void check_deny(const struct input *input)
{
    char text[512];
    struct policy_source sources[POLICIES_MAX + 1];
    struct outcome outcome;
    struct error err;

    if (!is_plain(input->request.path))
        return;
    snprintf(text, sizeof text, "path \"%s\" { capabilities = [\"deny\"] }",
             input->request.path);
    memcpy(sources, input->sources, input->count * sizeof *sources);
    sources[input->count] = (struct policy_source){"deny", text, strlen(text)};
    struct policy *policy = policy_compile(sources, input->count + 1, &err);

    if (policy == NULL) /* not UTF-8, or control bytes */
        return;
    ask(&outcome, policy, &input->request);
    for (int i = 0; i < OPERATION_MAX; i++)
        FUZZ_REQUIRE(i == OPERATION_HELP ||
                     !(outcome.decisions[i].allowed || outcome.decisions[i].sudo));
    FUZZ_REQUIRE(outcome.capabilities == CAPABILITY_DENY);
    policy_free(policy);
}

/* Compiled in another order, and each twice, the policies say the same. */
static void check_order(const struct input *input, const struct outcome *expected)
{
    struct policy_source sources[2 * POLICIES_MAX];
    struct outcome outcome;
    struct error err;

    for (size_t i = 0; i < input->count; i++)
        sources[input->count - 1 - i] = sources[input->count + i] = input->sources[i];
    for (size_t copies = 1; copies <= 2; copies++) {
        struct policy *policy = policy_compile(sources, copies * input->count, &err);

        FUZZ_REQUIRE(policy != NULL);
        ask(&outcome, policy, &input->request);
        FUZZ_REQUIRE(same(&outcome, expected));
        policy_free(policy);
    }
}

static void check_input(const struct input *input)
{
    struct error err = {0};
    struct policy *policy = policy_compile(input->sources, input->count, &err);
    struct outcome outcome;

    if (policy == NULL) {
        fuzz_check_error(&err);
        FUZZ_REQUIRE(err.code == ERROR_BAD_REQUEST && err.text[0] != '\0');
        return;
    }
    json_t *data = json_deep_copy(input->data);

    ask(&outcome, policy, &input->request);
    FUZZ_REQUIRE(data == NULL || json_equal(data, input->data));
    json_decref(data);
    policy_free(policy);
    check_outcome(&outcome, input->request.path);
    check_order(input, &outcome);
    check_deny(input);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {0};
    char *text = malloc(size + 1), *at = text;

    if (text == NULL || size > TEXT_MAX) {
        free(text);
        return 0;
    }
    if (size > 0)
        memcpy(text, data, size);
    text[size] = '\0';
    read_request(&input, &at);
    read_policies(&input, at, text + size);
    check_input(&input);
    json_decref(input.data);
    free(text);
    return 0;
}
