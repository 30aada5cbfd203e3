/* SPDX-License-Identifier: MIT */
#include "token_auth.h"

#include "duration.h"
#include "response.h"
#include "text.h"

#include <string.h>

bool token_display_name(char out[static TOKEN_DISPLAY_NAME_MAX], const char *name)
{
    size_t used = strlen("token-");

    memcpy(out, "token-", used);
    for (; *name; name++) {
        if (((unsigned char)*name & 0xC0) == 0x80) /* a character gives one hyphen */
            continue;
        if (used + 1 == TOKEN_DISPLAY_NAME_MAX)
            return false;
        out[used++] = (char)(text_is_word(*name) && *name != '_' ? *name : '-');
    }
    out[used - (out[used - 1] == '-')] = '\0';
    return true;
}

bool token_check_sizes(const json_t *policies, const json_t *meta, struct error *err)
{
    if (json_dumpb(policies, NULL, 0, JSON_COMPACT) > 4096)
        return error_set(err, ERROR_BAD_REQUEST, "policies: 4096 bytes at most");
    return json_dumpb(meta, NULL, 0, JSON_ENSURE_ASCII) <= 4096 ||
           error_set(err, ERROR_BAD_REQUEST, "meta: 4096 bytes at most");
}

json_t *token_auth(const struct token_auth_facts *facts)
{
    json_t *meta = facts->meta ? json_incref(facts->meta) : json_null();

    return json_pack("{s:s, s:s, s:O, s:O, s:o, s:I, s:b, s:s, s:s, s:b, s:n, s:I}", //
                     "client_token", facts->client_token,                            //
                     "accessor", facts->accessor,                                    //
                     "policies", facts->policies,                                    //
                     "token_policies", facts->policies,                              //
                     "metadata", meta,                                               //
                     "lease_duration", (json_int_t)facts->ttl,                       //
                     "renewable", facts->renewable,                                  //
                     "entity_id", "",                                                //
                     "token_type", "service",                                        //
                     "orphan", facts->orphan,                                        //
                     "mfa_requirement",                                              //
                     "num_uses", (json_int_t)facts->num_uses);
}

struct token_term token_auth_term(int64_t ttl, int64_t period, int64_t explicit_max_ttl)
{
    bool has_explicit = explicit_max_ttl > 0 && explicit_max_ttl < TOKEN_TTL_MAX;
    struct token_term term = {
        .bound = has_explicit ? explicit_max_ttl : TOKEN_TTL_MAX,
        .wanted = period > 0 ? period : ttl > 0 ? ttl : TOKEN_TTL_MAX,
        .is_period = period > 0,
    };

    term.ttl = term.wanted < term.bound ? term.wanted : term.bound;
    return term;
}

bool token_auth_warn_capped(struct response *response, const struct token_term *term,
                            struct error *err)
{
    char wanted[DURATION_TEXT], bound[DURATION_TEXT];

    if (term->wanted <= term->bound)
        return true;
    duration_format(wanted, term->wanted);
    duration_format(bound, term->bound);
    if (term->is_period)
        return response_warn(response, err,
                             "period of \"%s\" exceeded the effective max_ttl of \"%s\"; period "
                             "value is capped accordingly",
                             wanted, bound);
    return response_warn(response, err,
                         "TTL of \"%s\" exceeded the effective max_ttl of \"%s\"; TTL value is "
                         "capped accordingly",
                         wanted, bound);
}
