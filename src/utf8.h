/* SPDX-License-Identifier: MIT
 *
 * UTF-8 as RFC 3629 has it: no overlong forms, no surrogates, nothing above U+10FFFF.
 */
#ifndef UTF8_H
#define UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Length in bytes of the sequence at the start of bytes[length], 1 to 4; 0: it is not valid
 * UTF-8 or length is 0. */
size_t utf8_sequence(const char *bytes, size_t length);

/* Writes the code point c, no surrogate and at most U+10FFFF, without a NUL behind it: 1 to 4
 * bytes, whose number is returned. */
size_t utf8_encode(uint32_t c, char *out);

/* Whether text is UTF-8 throughout. */
bool utf8_valid(const char *text);

/* Whether text, valid UTF-8, has only characters that show: no control and format characters, no
 * space but U+0020, nothing of private use (Unicode's categories Cc, Cf, Zl, Zp, Zs, Co). Code
 * points that mean nothing yet pass. */
bool utf8_printable(const char *text);

enum { UTF8_ESCAPED_MAX = 12 };

/* Writes the character at *text, which has *left bytes (at least 1), as it may stand in any log:
 * as it is if it shows, else as \uXXXX, two of them beyond U+FFFF, and \ufffd for a byte that is
 * no UTF-8. Returns how many bytes that are, without a NUL, and moves *text and *left behind it. */
size_t utf8_escape(char out[static UTF8_ESCAPED_MAX], const char **text, size_t *left);

#endif
