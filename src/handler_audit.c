/* SPDX-License-Identifier: MIT */
#include "handler_audit.h"

#include "body.h"
#include "field.h"
#include "handler.h"
#include "request.h"
#include "response.h"
#include "route.h"
#include "secret.h"
#include "store_audit.h"

#include <string.h>

/* Whether this worker writes a log does not matter: all that do have the same salt. */
bool handler_audit_hash(struct call *call, struct error *err)
{
    const char *input;
    char text[SECRET_HMAC_TEXT + 1];

    if (!field_string(call->request->data, "input", BODY_STRING_MAX, &input, err))
        return false;
    if (!*input)
        return error_set(err, ERROR_BAD_REQUEST, "the \"input\" parameter is empty");
    if (strcmp(call->match->name, "file") != 0)
        return error_set(err, ERROR_BAD_REQUEST, "unknown audit backend \"%s/\"",
                         call->match->name);
    struct secret_hmac *hmac = store_audit_hmac(call->db, err);
    if (!hmac)
        return false;
    bool hashed = secret_hmac_text(hmac, text, input, strlen(input)) ||
                  error_set(err, ERROR_INTERNAL, "internal error");
    secret_hmac_free(hmac);
    if (!hashed)
        return false;
    call->response->data = json_pack("{s:s}", "hash", text);
    return call->response->data || error_exhausted(err);
}
