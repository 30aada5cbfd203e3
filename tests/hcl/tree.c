/* SPDX-License-Identifier: MIT
 *
 * Reads texts with src/hcl.c and prints what tests/hcl/original.go prints for the original:
 * a line of JSON for each, or `error` and why. Standard input: for each text its length in
 * bytes, a newline, and the text.
 */
#include "hcl.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What is not printable ASCII, as well as ", \ and %, becomes %XX. */
static void print_string(const char *text, size_t length)
{
    putchar('"');
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c < 0x20 || c > 0x7E || strchr("\"\\%", c) != NULL)
            printf("%%%02X", c);
        else
            putchar(c);
    }
    putchar('"');
}

static void print_value(const json_t *value, bool places);

static void print_item(const json_t *item, bool places)
{
    const json_t *keys = json_object_get(item, "keys"), *key;
    size_t index;

    printf("{\"keys\":[");
    json_array_foreach(keys, index, key)
    {
        if (index > 0)
            putchar(',');
        print_string(json_string_value(key), json_string_length(key));
    }
    printf("],\"assigned\":%s,",
           json_is_true(json_object_get(item, "assigned")) ? "true" : "false");
    if (places)
        printf("\"at\":\"%d:%d\",", (int)json_integer_value(json_object_get(item, "line")),
               (int)json_integer_value(json_object_get(item, "column")));
    printf("\"value\":");
    print_value(json_object_get(item, "value"), places);
    putchar('}');
}

static void print_value(const json_t *value, bool places)
{
    const json_t *items = json_object_get(value, "items"), *part;
    double real = json_real_value(value);
    uint64_t bits;
    size_t index;

    memcpy(&bits, &real, sizeof bits);
    if (json_is_string(value))
        print_string(json_string_value(value), json_string_length(value));
    else if (json_is_integer(value))
        printf("%" JSON_INTEGER_FORMAT, json_integer_value(value));
    else if (json_is_real(value))
        printf("{\"real\":\"%016llx\"}", (unsigned long long)bits);
    else if (json_is_boolean(value))
        printf(json_is_true(value) ? "true" : "false");
    if (!json_is_array(value) && !json_is_object(value))
        return;
    printf(items == NULL ? "[" : "{\"items\":[");
    json_array_foreach(items == NULL ? value : items, index, part)
    {
        if (index > 0)
            putchar(',');
        if (items == NULL)
            print_value(part, places);
        else
            print_item(part, places);
    }
    printf(items == NULL ? "]" : "]}");
}

static void print_tree(const char *text, size_t length)
{
    struct error err;
    json_t *tree = hcl_parse(text, length, &err);

    if (tree == NULL) {
        printf("error %u:%u ", err.line, err.column);
        print_string(err.text, strlen(err.text));
    } else { /* the original has no places in JSON */
        print_value(tree, text[strspn(text, " \t\n\v\f\r")] != '{');
    }
    putchar('\n');
    json_decref(tree);
}

int main(void)
{
    size_t length;

    while (scanf("%zu", &length) == 1 && getchar() == '\n') {
        char *text = malloc(length + 1);
        if (text == NULL || fread(text, 1, length, stdin) != length)
            return EXIT_FAILURE;
        text[length] = '\0';
        print_tree(text, length);
        free(text);
    }
    return feof(stdin) && fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
