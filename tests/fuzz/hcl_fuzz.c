/* SPDX-License-Identifier: MIT
 *
 * The HCL reader. The input is the text. What is refused is refused at a place in the text;
 * what is read is a tree as hcl.h describes it, and reads the same when written out as HCL.
 */
#include "fuzz.h"

#include "hcl.h"
#include "utf8.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the tree ---- */

static void check_value(const json_t *value, unsigned depth);

static void check_string(const json_t *string)
{
    FUZZ_REQUIRE(json_is_string(string));
    FUZZ_REQUIRE(strlen(json_string_value(string)) == json_string_length(string));
    FUZZ_REQUIRE(utf8_valid(json_string_value(string)));
}

static void check_item(const json_t *item, unsigned depth)
{
    const json_t *keys = json_object_get(item, "keys"), *key;
    const json_t *value = json_object_get(item, "value");
    const json_t *assigned = json_object_get(item, "assigned");
    size_t index;

    FUZZ_REQUIRE(json_object_size(item) == 5);
    FUZZ_REQUIRE(json_array_size(keys) > 0);
    json_array_foreach(keys, index, key)
    {
        check_string(key);
    }
    FUZZ_REQUIRE(json_is_boolean(assigned));
    FUZZ_REQUIRE(json_is_true(assigned) ? json_array_size(keys) == 1
                                        : json_is_object(value));
    FUZZ_REQUIRE(json_integer_value(json_object_get(item, "line")) > 0);
    FUZZ_REQUIRE(json_integer_value(json_object_get(item, "column")) > 0);
    check_value(value, depth);
}

static void check_value(const json_t *value, unsigned depth)
{
    const json_t *items = json_object_get(value, "items"), *part;
    size_t index;

    FUZZ_REQUIRE(depth <= HCL_DEPTH_MAX);
    if (json_is_string(value))
        check_string(value);
    FUZZ_REQUIRE(!json_is_null(value));
    FUZZ_REQUIRE(!json_is_object(value) ||
                 (json_is_array(items) && json_object_size(value) == 1));
    json_array_foreach(items, index, part)
    {
        const json_t *inner = json_object_get(part, "value");
        check_item(part, depth + (json_is_object(inner) || json_is_array(inner)));
    }
    json_array_foreach(value, index, part)
    {
        check_value(part, depth + (json_is_object(part) || json_is_array(part)));
    }
}

/* ---- written out ---- */

static uint32_t next_code_point(const char **at)
{
    static const unsigned char first_bits[] = {0, 0x7F, 0x1F, 0x0F, 0x07};
    size_t length = utf8_sequence(*at, strlen(*at));
    uint32_t c = (unsigned char)**at & first_bits[length];

    for (size_t i = 1; i < length; i++)
        c = c << 6 | ((unsigned char)(*at)[i] & 0x3F);
    *at += length;
    return c;
}

/* With an escape for all that is not plain; an escaped '$' begins no ${ }. */
static void write_string(FILE *out, const json_t *string)
{
    const char *at = json_string_value(string);

    fputc('"', out);
    while (*at != '\0') {
        uint32_t c = next_code_point(&at);
        if (c > 0xFFFF)
            fprintf(out, "\\U%08X", c);
        else if (c < 0x20 || c > 0x7E || strchr("\"\\$", (int)c) != NULL)
            fprintf(out, "\\u%04x", c);
        else
            fputc((int)c, out);
    }
    fputc('"', out);
}

static void write_value(FILE *out, const json_t *value);

static void write_item(FILE *out, const json_t *item)
{
    const json_t *key;
    size_t index;

    json_array_foreach(json_object_get(item, "keys"), index, key)
    {
        write_string(out, key);
    }
    fputc(json_is_true(json_object_get(item, "assigned")) ? '=' : ' ', out);
    write_value(out, json_object_get(item, "value"));
    fputc('\n', out);
}

static void write_value(FILE *out, const json_t *value)
{
    const json_t *part;
    size_t index;

    switch (json_typeof(value)) {
    case JSON_OBJECT:
        fputc('{', out);
        json_array_foreach(json_object_get(value, "items"), index, part)
        {
            write_item(out, part);
        }
        fputc('}', out);
        break;
    case JSON_ARRAY:
        fputc('[', out);
        json_array_foreach(value, index, part)
        {
            write_value(out, part);
            fputc(',', out);
        }
        fputc(']', out);
        break;
    case JSON_STRING:
        write_string(out, value);
        break;
    case JSON_REAL:
        fprintf(out, "%.17e", json_real_value(value));
        break;
    case JSON_INTEGER:
        fprintf(out, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
        break;
    default:
        fputs(json_is_true(value) ? "true" : "false", out);
    }
}

static void drop_places(json_t *value)
{
    json_t *part;
    size_t index;

    json_array_foreach(json_object_get(value, "items"), index, part)
    {
        json_object_del(part, "line");
        json_object_del(part, "column");
        drop_places(json_object_get(part, "value"));
    }
    json_array_foreach(value, index, part)
    {
        drop_places(part);
    }
}

/* The tree loses its places. */
static void check_written_out(json_t *tree)
{
    char *text = NULL;
    size_t length;
    FILE *out = open_memstream(&text, &length);
    const json_t *item;
    struct error err;
    size_t index;

    json_array_foreach(json_object_get(tree, "items"), index, item)
    {
        write_item(out, item);
    }
    fclose(out);
    json_t *again = hcl_parse(text, length, &err);

    FUZZ_REQUIRE(again != NULL);
    drop_places(tree);
    drop_places(again);
    FUZZ_REQUIRE(json_equal(tree, again));
    json_decref(again);
    free(text);
}

/* ---- the target ---- */

static void check_place(const struct error *err, const char *text, size_t size)
{
    unsigned line = 1;
    size_t start = 0, end;

    for (size_t i = 0; i < size && line < err->line; i++) {
        if (text[i] == '\n') {
            line++;
            start = i + 1;
        }
    }
    for (end = start; end < size && text[end] != '\n'; end++)
        ;
    FUZZ_REQUIRE(err->line == line);
    FUZZ_REQUIRE(err->column > 0 && err->column <= end - start + 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = size == 0 ? "" : (const char *)data;
    struct error err = {0};
    json_t *tree = hcl_parse(text, size, &err);

    if (tree == NULL) {
        fuzz_check_error(&err);
        FUZZ_REQUIRE(err.code == ERROR_BAD_REQUEST && err.text[0] != '\0');
        check_place(&err, text, size);
        return 0;
    }
    check_value(tree, 0);
    check_written_out(tree);
    json_decref(tree);
    return 0;
}
