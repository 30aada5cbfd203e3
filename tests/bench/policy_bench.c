/* SPDX-License-Identifier: MIT
 *
 * How long policy_evaluate() takes with a policy of 1,000 rules: exact paths, prefixes and
 * patterns with '+', a third each. A line a kind of path asked for: its name, nanoseconds of
 * CPU of the median round.
 */
#include "policy.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { RULES = 1000, ROUNDS = 15, EVALUATIONS = 5000, RULE_BYTES = 160 };

static const struct {
    const char *name, *path;
} asked[] = {
    {"exact", "sys/plugins/runtimes/catalog/container/runtime-501"},
    {"prefix", "sys/plugins/runtimes/catalog/container/team-502-and-more"},
    {"segments", "sys/plugins/runtimes/catalog/any/shared-503"},
    {"none", "sys/plugins/runtimes/catalog/container/nothing-is-said-about-this"},
};

/* What stands around the number in the patterns of rules 0, 3, 6 …; 1, 4, 7 …; 2, 5, 8 … */
static const struct {
    const char *before, *behind;
} patterns[] = {
    {"sys/plugins/runtimes/catalog/container/runtime-", ""},
    {"sys/plugins/runtimes/catalog/container/team-", "*"},
    {"sys/plugins/runtimes/catalog/+/shared-", ""},
};

static struct policy *compile(void)
{
    char *text = malloc(RULES * RULE_BYTES);
    struct error err;
    size_t length = 0;

    for (int i = 0; text && i < RULES; i++) {
        length += (size_t)snprintf(text + length, RULE_BYTES,
                                   "path \"%s%d%s\" { capabilities = [\"read\", \"sudo\"] }\n",
                                   patterns[i % 3].before, i, patterns[i % 3].behind);
    }
    struct policy_source source = {"bench", text, length};
    struct policy *policy = text ? policy_compile(&source, 1, &err) : NULL;
    free(text);
    return policy;
}

/* Of CPU: what others do meanwhile does not count. */
static int64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static int compare(const void *a, const void *b)
{
    const double *left = a, *right = b;

    return (*left > *right) - (*left < *right);
}

/* Nanoseconds of one evaluation; negative: it did not say what it should. */
static double measure(const struct policy *policy, const char *path, bool wanted)
{
    struct policy_request request = {.operation = OPERATION_READ, .path = path};
    double rounds[ROUNDS];

    for (int round = 0; round < ROUNDS; round++) {
        int64_t started = now_ns();
        for (int i = 0; i < EVALUATIONS; i++) {
            if (policy_evaluate(policy, &request).allowed != wanted)
                return -1;
        }
        rounds[round] = (double)(now_ns() - started) / EVALUATIONS;
    }
    qsort(rounds, ROUNDS, sizeof *rounds, compare);
    return rounds[ROUNDS / 2];
}

int main(void)
{
    struct policy *policy = compile();

    if (!policy)
        return EXIT_FAILURE;
    for (size_t i = 0; i < sizeof asked / sizeof *asked; i++) {
        double ns = measure(policy, asked[i].path, strcmp(asked[i].name, "none") != 0);
        if (ns < 0)
            return EXIT_FAILURE;
        printf("%s %.0f\n", asked[i].name, ns);
    }
    policy_free(policy);
    return EXIT_SUCCESS;
}
