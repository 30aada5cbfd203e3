/* SPDX-License-Identifier: MIT
 *
 * JSON as text, written piece by piece from left to right, for lines that are written once and
 * read by others. Whatever stands in a text, the line stays one line and valid JSON: what does
 * not show is escaped.
 */
#ifndef JSON_TEXT_H
#define JSON_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Zeroed, it is empty. Running out of memory is sticky: what is written then is nothing, and
 * whoever uses the text looks at failed once, at the end. */
struct json_text {
    char *bytes; /* ours, no NUL behind them */
    size_t used, size;
    bool failed;
};

/* Opens an object or array, '{' or '[', and closes it. */
void json_text_open(struct json_text *text, char bracket);
void json_text_close(struct json_text *text, char bracket);

/* The name of a member of an object; its value is to follow. */
void json_text_name(struct json_text *text, const char *name);

/* Values, in an array or behind a name. */
void json_text_string(struct json_text *text, const char *value);
void json_text_integer(struct json_text *text, int64_t value);
void json_text_real(struct json_text *text, double value);
void json_text_boolean(struct json_text *text, bool value);
void json_text_raw(struct json_text *text, const char *json, size_t length); /* JSON already */

/* A whole member; none where the value is NULL, "" or 0. */
void json_text_string_member(struct json_text *text, const char *name, const char *value);
void json_text_integer_member(struct json_text *text, const char *name, int64_t value);

/* The line feed behind the whole. */
void json_text_end_line(struct json_text *text);

void json_text_fini(struct json_text *text);

#endif
