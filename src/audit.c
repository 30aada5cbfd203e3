/* SPDX-License-Identifier: MIT
 *
 * The salt is in the database, which may be away when the worker starts: it is read when the
 * first record needs it.
 */
#include "audit.h"

#include "audit_file.h"
#include "audit_record.h"
#include "handler.h"
#include "metrics.h"
#include "route.h"
#include "secret.h"
#include "store_audit.h"
#include "text.h"

#include <stdatomic.h>
#include <stdlib.h>

struct audit {
    struct audit_file *file;
    bool hmac_accessor, elide_list_responses;
    _Atomic(struct secret_hmac *) hmac; /* NULL: not read yet */
};

struct audit *audit_open(const struct audit_options *options, struct error *err)
{
    struct audit *audit = calloc(1, sizeof *audit);

    if (!audit) {
        error_exhausted(err);
        return NULL;
    }
    audit->file = audit_file_open(options->file_path, options->mode, err);
    if (!audit->file) {
        free(audit);
        return NULL;
    }
    audit->hmac_accessor = options->hmac_accessor;
    audit->elide_list_responses = options->elide_list_responses;
    return audit;
}

void audit_close(struct audit *audit)
{
    if (!audit)
        return;
    audit_file_close(audit->file);
    secret_hmac_free(audit->hmac);
    free(audit);
}

bool audit_check(const char *file_path, struct error *err)
{
    return !file_path || audit_file_check(file_path, err);
}

bool audit_reopen(struct audit *audit, struct error *err)
{
    return !audit || audit_file_reopen(audit->file, err);
}

/* False with *err: the database's, where that is away. Otherwise *err stays as it is: it may say why
 * the request that is recorded was refused, and a statement that succeeds would say that nothing was. */
static bool get_style(struct audit *audit, struct db *db, struct audit_style *style, bool failed,
                      struct error *err)
{
    struct secret_hmac *hmac = atomic_load(&audit->hmac), *own = NULL;
    struct error fault;

    if (!hmac && failed && error_is_of_storage(err))
        return false;
    if (!hmac) {
        error_init(&fault);
        own = store_audit_hmac(db, &fault);
        if (!own) {
            *err = fault;
            return false;
        }
        if (atomic_compare_exchange_strong(&audit->hmac, &hmac, own))
            hmac = own;
        else
            secret_hmac_free(own); /* another thread was faster */
    }
    *style = (struct audit_style){hmac, audit->hmac_accessor, audit->elide_list_responses};
    return true;
}

static void put_text(struct json_text *out, const char *name, const struct json_text *value)
{
    json_text_name(out, name);
    json_text_raw(out, value->bytes, value->used);
}

/* Writes one line; response NULL: it is the request's. NULL if it is written, else why not. */
static const char *record(struct audit *audit, const struct audit_pair *pair,
                          const struct json_text *response, const char *error)
{
    struct json_text line = {.bytes = NULL};
    const char *why = "out of memory";
    int64_t began = metrics_now();

    json_text_open(&line, '{');
    audit_record_time(&line);
    put_text(&line, "auth", &pair->auth);
    json_text_string_member(&line, "error", error);
    put_text(&line, "request", &pair->request);
    if (response)
        put_text(&line, "response", response);
    json_text_string_member(&line, "type", response ? "response" : "request");
    json_text_close(&line, '}');
    json_text_end_line(&line);
    if (!line.failed)
        secret_mask(line.bytes, line.used);
    if (!line.failed && !pair->auth.failed && !pair->request.failed &&
        !(response && response->failed))
        (void)!audit_file_append(audit->file, line.bytes, line.used, &why);
    json_text_fini(&line);
    metrics_time(response ? METRICS_AUDIT_RESPONSE : METRICS_AUDIT_REQUEST, why != NULL, began);
    return why;
}

static bool refuse(struct error *err, const char *what, const char *why)
{
    error_set(err, ERROR_INTERNAL, "internal error");
    text_format(err->detail, sizeof err->detail, "audit: %s: %s", what, why);
    return false;
}

bool audit_request(struct audit *audit, struct audit_pair *pair, const struct call *call,
                   bool admitted, struct error *err)
{
    struct audit_style style;

    *pair = (struct audit_pair){.auth = {.bytes = NULL}};
    if (!audit || route_is_open(call->match, call->metrics_to_anybody))
        return admitted;
    if (!get_style(audit, call->db, &style, !admitted, err))
        return false;
    audit_record_auth(&pair->auth, &style, call, admitted);
    audit_record_request(&pair->request, &style, call);
    const char *why = record(audit, pair, NULL, admitted ? NULL : err->text);
    pair->broken = why != NULL;
    return why ? refuse(err, "the request could not be recorded and was refused", why) : admitted;
}

bool audit_response(struct audit *audit, struct audit_pair *pair, const struct call *call,
                    bool done, struct error *err)
{
    struct json_text response = {.bytes = NULL};
    struct audit_style style;

    if (pair->auth.used > 0 && !pair->broken && get_style(audit, call->db, &style, !done, err)) {
        audit_record_response(&response, &style, call, done);
        const char *why = record(audit, pair, &response, done ? NULL : err->text);
        if (why)
            done = refuse(err, done ? "the request was done, but its answer could not be recorded"
                                    : "the answer could not be recorded", why);
    }
    json_text_fini(&pair->auth);
    json_text_fini(&pair->request);
    json_text_fini(&response);
    return done;
}
