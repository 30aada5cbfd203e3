/* SPDX-License-Identifier: MIT
 *
 * Entity tags, as RFC 9110, sections 8.8.3 and 13.1.2, has them.
 */
#ifndef ETAG_H
#define ETAG_H

#include <stdbool.h>

/* Whether what If-None-Match says (NULL: it was not sent) names a tag, by the weak
 * comparison: `*`, or one of a list. What is not well-formed is as if it had not been
 * sent. tag is well-formed. */
bool etag_is_named(const char *if_none_match, const char *tag);

#endif
