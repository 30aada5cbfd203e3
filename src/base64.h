/* SPDX-License-Identifier: MIT
 *
 * Base64 as Go's encoding/base64.StdEncoding reads it (RFC 4648, section 4),
 * for the one place where Vault takes text in that form. Pure.
 */
#ifndef BASE64_H
#define BASE64_H

#include <stdbool.h>

/* Decodes all of text into out, which has room for as many bytes as text has, its NUL included.
 * False, and out undefined: text is not base64, or stands for nothing, or for something that
 * holds a NUL. */
bool base64_decode_text(char *out, const char *text) __attribute__((warn_unused_result));

#endif
