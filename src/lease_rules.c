/* SPDX-License-Identifier: MIT */
#include "lease_rules.h"

#include "text.h"

#include <stdlib.h>
#include <string.h>

void lease_rules_init(struct lease_rules *rules)
{
    *rules = (struct lease_rules){.snapshot = NULL};
}

void lease_rules_fini(struct lease_rules *rules)
{
    free(rules->snapshot);
    rules->snapshot = NULL;
}

const char *lease_rules_since(const struct lease_rules *rules, int64_t now_us)
{
    bool too_long_ago = now_us - rules->answered_us > (int64_t)LEASE_GAP_MS * 1000;

    return too_long_ago ? NULL : rules->snapshot;
}

/* Whether the backend has answered since its server was met; from now on it has. What another
 * one of the same server did in between is no reason to forget it: while it lives the server has
 * not crashed. */
static bool meet(struct lease_rules *rules, const struct lease_answer *answer)
{
    if (strcmp(rules->server, answer->server) != 0) {
        text_format(rules->server, sizeof rules->server, "%s", answer->server);
        rules->backend_count = 0;
    }
    for (size_t i = 0; i < rules->backend_count; i++) {
        if (strcmp(rules->backends[i], answer->backend) == 0)
            return true;
    }
    if (rules->backend_count == LEASE_BACKENDS_MAX)
        rules->backend_count = 0;
    text_format(rules->backends[rules->backend_count++], LEASE_NAME_MAX, "%s", answer->backend);
    return false;
}

/* Nothing that was heard of before counts. */
static enum lease_verdict start_over(struct lease_rules *rules, enum lease_verdict verdict)
{
    lease_rules_fini(rules);
    lease_rules_init(rules);
    return verdict;
}

enum lease_verdict lease_rules_judge(struct lease_rules *rules,
                                     const struct lease_answer *answer)
{
    if (!answer->snapshot || !answer->server || !answer->backend)
        return start_over(rules, LEASE_UNSUPPORTED);
    if (answer->in_recovery)
        return start_over(rules, LEASE_STANDBY);
    char *snapshot = strdup(answer->snapshot);
    if (!snapshot)
        return start_over(rules, LEASE_UNSUPPORTED);
    bool follows = lease_rules_since(rules, answer->asked_us) != NULL;
    bool met = meet(rules, answer);
    lease_rules_fini(rules);
    rules->snapshot = snapshot;
    rules->answered_us = answer->asked_us;
    return follows && met && answer->changes <= LEASE_CHANGES_MAX ? LEASE_FOLLOW : LEASE_FORGET;
}
