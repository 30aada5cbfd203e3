/* SPDX-License-Identifier: MIT */
#include "handler_help.h"

#include "arena.h"
#include "handler.h"
#include "request.h"
#include "response.h"
#include "route.h"

/* The route's parameters, one paragraph each. NULL: out of memory. */
static const char *describe_fields(const struct route_field *field, struct arena *arena)
{
    const char *text = "";

    for (; text && field->name; field++)
        text = arena_format(arena, "%s\n    %s (%s)\n        %s\n", text, field->name,
                            field->type, field->help);
    return text;
}

/* openapi is null: there is no OpenAPI document here, and clients do without. */
bool handler_help(struct call *call, struct error *err)
{
    const struct route *route = call->match->route;
    const char *fields = describe_fields(route->fields, call->arena);

    if (!fields)
        return error_exhausted(err);
    const char *help = arena_format(call->arena,
                                    "Request:        %s\n"
                                    "Matching Route: %s\n\n"
                                    "%s\n\n"
                                    "## PARAMETERS\n%s",
                                    call->request->path, route->path, route->help, fields);
    if (!help)
        return error_exhausted(err);
    call->response->is_bare = true;
    call->response->data = json_pack("{s:s, s:n, s:n}", "help", help, "openapi", "see_also");
    return call->response->data || error_exhausted(err);
}
