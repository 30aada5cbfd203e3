/* SPDX-License-Identifier: MIT
 *
 * The HCL reader by tables: a text and the tree that it makes, a text and why it is refused
 * where. Linked with --wrap for malloc.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "hcl.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- memory ---- */

static size_t allocations_left = SIZE_MAX; /* until one fails; SIZE_MAX: none does */
static bool fails_once;                    /* and not all that follow, too */
static bool has_failed;

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);

void *__wrap_malloc(size_t size)
{
    if (allocations_left == 0) {
        has_failed = true;
        if (fails_once)
            allocations_left = SIZE_MAX;
        return NULL;
    }
    if (allocations_left != SIZE_MAX)
        allocations_left--;
    return __real_malloc(size);
}

/* ---- a tree in one line ---- */

enum { LINE_SIZE = 1024 };

static void put_value(char *line, const json_t *value);

static void put(char *line, const char *text)
{
    assert_true(strlen(line) + strlen(text) < LINE_SIZE);
    strcat(line, text);
}

/* Keys, '=' where it was assigned, the value. */
static void put_item(char *line, const json_t *item)
{
    const json_t *key;
    size_t index;

    json_array_foreach(json_object_get(item, "keys"), index, key)
    {
        put(line, index == 0 ? "" : " ");
        put(line, json_string_value(key));
    }
    put(line, json_is_true(json_object_get(item, "assigned")) ? "=" : "");
    put_value(line, json_object_get(item, "value"));
}

/* Strings as JSON writes them; a real number with its point. */
static void put_value(char *line, const json_t *value)
{
    const json_t *items = json_object_get(value, "items"), *part;
    size_t index;

    if (!json_is_array(value) && !json_is_object(value)) {
        char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(10));
        put(line, text);
        free(text);
        return;
    }
    put(line, items == NULL ? "[" : "{");
    json_array_foreach(items == NULL ? value : items, index, part)
    {
        put(line, index == 0 ? "" : items == NULL ? ", " : "; ");
        if (items == NULL)
            put_value(line, part);
        else
            put_item(line, part);
    }
    put(line, items == NULL ? "]" : "}");
}

static void check_tree(const char *text, const char *tree)
{
    struct error err;
    char line[LINE_SIZE] = "";
    json_t *root = hcl_parse(text, strlen(text), &err);

    if (root == NULL)
        fail_msg("%s\n%u:%u: %s", text, err.line, err.column, err.text);
    put_value(line, root);
    json_decref(root);
    if (strcmp(line, tree) != 0)
        fail_msg("%s\nread as %s\nand not %s", text, line, tree);
}

/* ---- what is read ---- */

struct good {
    const char *text, *tree;
};

#define check_trees(cases)                                                               \
    for (size_t i = 0; i < sizeof(cases) / sizeof *(cases); i++)                         \
    check_tree((cases)[i].text, (cases)[i].tree)

static void items_and_blocks(void **state)
{
    static const struct good cases[] = {
        {"", "{}"},
        {" \t\r\n", "{}"},
        {"a = 1", "{a=1}"},
        {"a=1 b=2", "{a=1; b=2}"},
        {"a=1,b=2,", "{a=1; b=2}"},
        {"\"a b\" = 1", "{a b=1}"},
        {"a = {}", "{a={}}"},
        {"a {}", "{a{}}"},
        {"a \"b\" c { d = 1 }", "{a b c{d=1}}"},
        {"a { b { c = 1 } b { c = 2 } }", "{a{b{c=1}; b{c=2}}}"},
        {"a {} a {} a = 1", "{a{}; a{}; a=1}"},
        {"a = 1 b { a = 1 }", "{a=1; b{a=1}}"},
        {"a = { b = 1, c = 2 }", "{a={b=1; c=2}}"},
    };

    (void)state;
    check_trees(cases);
}

static void lists(void **state)
{
    static const struct good cases[] = {
        {"a = []", "{a=[]}"},
        {"a = [1, \"b\", true]", "{a=[1, \"b\", true]}"},
        {"a = [1,]", "{a=[1]}"},
        {"a = [\n1,\n2,\n]", "{a=[1, 2]}"},
        {"a = [,1,,2,,]", "{a=[1, 2]}"},
        {"a = [[1] [2], []]", "{a=[[1], [2], []]}"},
        {"a = [{b = 1}, {}]", "{a=[{b=1}, {}]}"},
        {"a = [<<E\nx\nE\n, 1]", "{a=[\"x\\n\", 1]}"},
    };

    (void)state;
    check_trees(cases);
}

static void comments(void **state)
{
    static const struct good cases[] = {
        {"# c", "{}"},
        {"// c", "{}"},
        {"/* c */", "{}"},
        {"/**/", "{}"},
        {"/* # // \n * / ** */a=1", "{a=1}"},
        {"a = # c\n 1 // d\n b /* e */ = /* f */ 2", "{a=1; b=2}"},
        {"# a = 1\na = 2", "{a=2}"},
        {"a = [1, # c\n 2 // d\n, /* e */]", "{a=[1, 2]}"},
        {"a = \"# // /* */\"", "{a=\"# // /* */\"}"},
        {"# no line end", "{}"},
    };

    (void)state;
    check_trees(cases);
}

static void escapes(void **state)
{
    static const struct good cases[] = {
        {"a = \"\\n\\t\\\"\\\\\"", "{a=\"\\n\\t\\\"\\\\\"}"},
        {"a = \"\\b\\f\\r\"", "{a=\"\\b\\f\\r\"}"},
        {"a = \"\\a\\v\"", "{a=\"\\u0007\\u000B\"}"},
        {"a = \"\\x41\\x7F\"", "{a=\"A\x7F\"}"},
        {"a = \"\\u0041\\u20AC\"", "{a=\"A\xE2\x82\xAC\"}"},
        {"a = \"\\U0001F600\\U0010ffff\"", "{a=\"\xF0\x9F\x98\x80\xF4\x8F\xBF\xBF\"}"},
        {"a = \"\\101\\007\"", "{a=\"A\\u0007\"}"},
        {"a = \"\\xc3\\xa9\\303\\251\"", "{a=\"\xC3\xA9\xC3\xA9\"}"},
        {"a = \"\\x24{b}\"", "{a=\"${b}\"}"},
        {"\"\\x61\" = 1", "{a=1}"},
        {"a = \"\"", "{a=\"\"}"},
        {"a = \"\xC3\xA9\t'\"", "{a=\"\xC3\xA9\\t'\"}"},
    };

    (void)state;
    check_trees(cases);
}

static void interpolations(void **state)
{
    static const struct good cases[] = {
        {"a = \"${b}\"", "{a=\"${b}\"}"},
        {"a = \"x${b \"c\" d}y\"", "{a=\"x${b \\\"c\\\" d}y\"}"},
        {"a = \"${\n\n}\" b = 1", "{a=\"${\\n\\n}\"; b=1}"},
        {"a = \"${{}\"}\"", "{a=\"${{}\\\"}\"}"},
        {"a = \"${\\n\\x41}\\n\"", "{a=\"${\\\\n\\\\x41}\\n\"}"},
        {"a = \"${\\ud800\\000\\777}\"", "{a=\"${\\\\ud800\\\\000\\\\777}\"}"},
        {"a = \"$${b}$\"", "{a=\"$${b}$\"}"},
        {"a = \"$ {\"", "{a=\"$ {\"}"},
        {"a = \"}{\"", "{a=\"}{\"}"},
    };

    (void)state;
    check_trees(cases);
}

static void heredocs(void **state)
{
    static const struct good cases[] = {
        {"a = <<EOT\nb\nEOT\n", "{a=\"b\\n\"}"},
        {"a = <<EOT\nEOT\nb = 1", "{a=\"\"; b=1}"},
        {"a = <<EOT\n b\n\tc\nEOT\n", "{a=\" b\\n\\tc\\n\"}"},
        {"a = <<EOT\nb\n  EOT\n", "{a=\"b\\n  \"}"},
        {"a = <<EOT\nEOTx\nxEOT\nEOT x\nEOT\n", "{a=\"EOTx\\nxEOT\\nEOT x\\n\"}"},
        {"a = <<EOT\n\\n \"${b}\" # c\nEOT\n", "{a=\"\\\\n \\\"${b}\\\" # c\\n\"}"},
        {"a = <<-EOT\n  b\n    c\n  EOT\n", "{a=\"b\\n  c\\n\"}"},
        {"a = <<-EOT\n\tb\n\tEOT\n", "{a=\"b\\n\"}"},
        {"a = <<-EOT\n  b\n c\n  EOT\n", "{a=\"  b\\n c\\n\"}"},
        {"a = <<-EOT\n  b\n\n  EOT\n", "{a=\"  b\\n\\n\"}"},
        {"a = <<-EOT\n  EOT\n", "{a=\"\"}"},
        {"a = <<-EOT\n  b\nEOT\n  EOT\n", "{a=\"  b\\nEOT\\n\"}"}, /* not indented */
        {"a = <<\xC3\xA9_1\nb\n\xC3\xA9_1\n", "{a=\"b\\n\"}"},
        {"a = <<EOT\r\nb\r\nEOT\r\n", "{a=\"b\\n\"}"},
    };

    (void)state;
    check_trees(cases);
}

static void numbers_and_booleans(void **state)
{
    static const struct good cases[] = {
        {"a = 0 b = 1 c = -1", "{a=0; b=1; c=-1}"},
        {"a = 0x1F b = 0Xff c = -0x10", "{a=31; b=255; c=-16}"},
        {"a = 017 b = 00 c = -017", "{a=15; b=0; c=-15}"},
        {"a = 9223372036854775807", "{a=9223372036854775807}"},
        {"a = -9223372036854775808", "{a=-9223372036854775808}"},
        {"a = 1.5 b = -0.25 c = 1. d = .5", "{a=1.5; b=-0.25; c=1.0; d=0.5}"},
        {"a = 08.5 b = 00.5", "{a=8.5; b=0.5}"},
        {"a = 1e3 b = 1E+3 c = 25e-1 d = 0e1 e = 1.e2",
         "{a=1000.0; b=1000.0; c=2.5; d=0.0; e=100.0}"},
        {"a = 1e-400", "{a=0.0}"},
        {"a = 0b = 1", "{a=0; b=1}"},
        {"a = true b = false", "{a=true; b=false}"},
        {"a = true true1 = false", "{a=true; true1=false}"},
    };

    (void)state;
    check_trees(cases);
}

static void identifiers(void **state)
{
    static const struct good cases[] = {
        {"_ = 1", "{_=1}"},
        {"a-b.c_1 = 1", "{a-b.c_1=1}"},
        {"a- = 1 b. = 2", "{a-=1; b.=2}"},
        {"\xC3\xA9 = 1", "{\xC3\xA9=1}"},
        {"\xE6\x97\xA5\xE6\x9C\xAC {}", "{\xE6\x97\xA5\xE6\x9C\xAC{}}"},
        {"\xF0\xA0\x80\x80 = 1", "{\xF0\xA0\x80\x80=1}"},
        {"\xD0\xBA\xD0\xBB\xD1\x8E\xD1\x87-1 = 1", "{\xD0\xBA\xD0\xBB\xD1\x8E\xD1\x87-1=1}"},
    };

    (void)state;
    check_trees(cases);
}

static void carriage_returns(void **state)
{
    static const struct good cases[] = {
        {"a = 1\r\nb = 2\r\n", "{a=1; b=2}"},
        {"# c\r\na = 1", "{a=1}"},
        {"a {\r\nb = [\r\n1,\r\n]\r\n}\r\n", "{a{b=[1]}}"},
        {"a = \"${\r\n}\"", "{a=\"${\\n}\"}"},
        {"a\r=\r1", "{a=1}"},
        {"a = \"\r\"", "{a=\"\\r\"}"},
    };

    (void)state;
    check_trees(cases);
}

/* The first of each pair in HCL, the second in JSON: one tree. */
static void json_gives_the_same_tree(void **state)
{
    static const struct {
        const char *hcl, *json;
    } cases[] = {
        {"", "{}"},
        {"", " \n\t\r{ } \n"},
        {"a = 1 b = -1.5 c = \"x\" d = true", "{\"a\":1,\"b\":-1.5,\"c\":\"x\",\"d\":true}"},
        {"a = \"\"", "{\"a\": null}"},
        {"a = [] b = [1, \"c\"]", "{\"a\": [], \"b\": [1, \"c\"]}"},
        {"a = [true, [1], \"\"]", "{\"a\": [true, [1], null]}"},
        {"a {}", "{\"a\": {}}"},
        {"path \"p\" { capabilities = [\"read\"] }",
         "{\"path\": {\"p\": {\"capabilities\": [\"read\"]}}}"},
        {"path p { a = 1 } path q { a = 2 }",
         "{\"path\": {\"p\": {\"a\": 1}, \"q\": {\"a\": 2}}}"},
        {"path p { a = 1 } path q { a = 2 }",
         "{\"path\": [{\"p\": {\"a\": 1}}, {\"q\": {\"a\": 2}}]}"},
        {"a { x = 1 } a { x = 2 }", "{\"a\": [{\"x\": 1}, {\"x\": 2}]}"},
        {"a { b { c = 1 } d = 2 }", "{\"a\": {\"b\": {\"c\": 1}, \"d\": 2}}"},
        {"a { b { c = 1 } }", "{\"a\": {\"b\": [{\"c\": 1}]}}"},
        {"a b c {} a b d {}", "{\"a\": {\"b\": {\"c\": {}, \"d\": {}}}}"},
        {"a = [1, {b {}}]", "{\"a\": [1, {\"b\": {}}]}"},
        {"a = \"\\\"\\\\/\\b\\f\\n\\r\\t\\u00e9\\U0001F600\"",
         "{\"a\": \"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00E9\\uD83D\\uDE00\"}"},
        {"a = \"\\x24{\" b = \"\xC3\xA9\"", "{\"a\": \"${\", \"b\": \"\xC3\xA9\"}"},
        {"a = 0 b = 1e3 c = 0.5e-1 d = 10",
         "{\"a\": -0, \"b\": 1E+3, \"c\": 0.5e-1, \"d\": 10}"},
        {"a = 9223372036854775807 b = -9223372036854775808",
         "{\"a\": 9223372036854775807, \"b\": -9223372036854775808}"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char line[LINE_SIZE] = "";
        struct error err;
        json_t *tree = hcl_parse(cases[i].hcl, strlen(cases[i].hcl), &err);

        assert_non_null(tree);
        put_value(line, tree);
        json_decref(tree);
        check_tree(cases[i].json, line);
    }
}

/* ---- places ---- */

static void check_places(const json_t *object, const char **places)
{
    const json_t *item;
    size_t index;

    json_array_foreach(json_object_get(object, "items"), index, item)
    {
        char place[32];
        int length =
            snprintf(place, sizeof place, "%d:%d ",
                     (int)json_integer_value(json_object_get(item, "line")),
                     (int)json_integer_value(json_object_get(item, "column")));

        if (strncmp(*places, place, (size_t)length) != 0)
            fail_msg("%sfound where %sis next", place, *places);
        *places += length;
        check_places(json_object_get(item, "value"), places);
    }
}

/* Of the first key, and in JSON of the last; columns are bytes. */
static void items_know_their_places(void **state)
{
    static const struct {
        const char *text, *places;
    } cases[] = {
        {"a = 1 b = 2\n c d {\n\te = 1 }", "1:1 1:7 2:2 3:2 "},
        {"\r\n\"\xC3\xA9\" = 1 a = 1", "2:1 2:10 "},
        {"/*\n\n*/ a = <<E\n\n\nE\n b = \"${\n}\" c = 1", "3:4 7:2 8:4 "},
        {"{\"a\": 1,\n \"b\": {\"c\": 1}}", "1:2 2:2 2:8 "},
        {"{\"path\": {\"p\": {\"a\": 1},\n \"q\": {}}}", "1:11 1:17 2:2 "},
        {"{\"path\": [{\"p\": {}},\n {\"q\": {}}]}", "1:12 2:3 "},
        {"{\"a\": [{\"b\": 1},\n {}]}", "1:2 1:9 1:2 "},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *places = cases[i].places;
        struct error err;
        json_t *tree = hcl_parse(cases[i].text, strlen(cases[i].text), &err);

        assert_non_null(tree);
        check_places(tree, &places);
        assert_string_equal(places, "");
        json_decref(tree);
    }
}

/* ---- what is refused ---- */

static const struct {
    const char *text;
    unsigned line, column;
    const char *why; /* how the message starts */
} bad[] = {
    /* arguments set twice */
    {"a = 1\n  a = 2", 2, 3,
     "The argument \"a\" at 2:3 was already set. Each argument can only be defined once"},
    {"b { a = 1 a = 2 }", 1, 11, "The argument \"a\" at 1:11 was already set."},
    {"a = {} a = {}", 1, 8, "The argument \"a\" at 1:8 was already set."},
    {"a = 1 \"a\" = 1", 1, 7, "The argument \"a\" at 1:7 was already set."},
    {"a = [{b = 1 b = 1}]", 1, 13, "The argument \"b\" at 1:13 was already set."},
    {"{\"a\": 1,\n \"a\": 2}", 2, 2, "The argument \"a\" at 2:2 was already set."},
    {"{\"a\": {\"b\": 1, \"b\": 1}}", 1, 16, "The argument \"b\" at 1:16 was already set."},
    {"{\"a\": {}, \"\\u0061\": {}}", 1, 11, "The argument \"a\" at 1:11 was already set."},

    /* structure */
    {"a", 1, 2, "expected start of object ('{') or assignment ('=') got: EOF"},
    {"a = 1\n}", 2, 1, "expected: IDENT | STRING | ASSIGN | LBRACE got: RBRACE"},
    {"a {", 1, 4, "object expected closing RBRACE got: EOF"},
    {"a { b }", 1, 7, "expected start of object ('{') or assignment ('=') got: RBRACE"},
    {"a =", 1, 4, "expected a value, got: EOF"},
    {"a = b", 1, 5, "expected a value, got: IDENT"},
    {"a = =", 1, 5, "expected a value, got: ASSIGN"},
    {"a b = 1", 1, 5, "nested object expected: LBRACE got: ASSIGN"},
    {"= 1", 1, 1, "no object keys found before: ASSIGN"},
    {"a = 1,, b = 2", 1, 7, "expected: IDENT | STRING | ASSIGN | LBRACE got: COMMA"},
    {"a = 1 {}", 1, 7, "expected: IDENT | STRING got: LBRACE"},
    {"true = 1", 1, 1, "expected: IDENT | STRING | ASSIGN | LBRACE got: BOOL"},
    {"1 = 1", 1, 1, "expected: IDENT | STRING | ASSIGN | LBRACE got: NUMBER"},
    {"a = [1 2]", 1, 8, "error parsing list, expected comma or list end, got: NUMBER"},
    {"a = [{} {}]", 1, 9, "error parsing list, expected comma or list end, got: LBRACE"},
    {"a = [1", 1, 7, "error parsing list, expected comma or list end, got: EOF"},
    {"a = [", 1, 6, "unexpected token while parsing list: EOF"},
    {"a = [b]", 1, 6, "expected a value, got: IDENT"},

    /* characters */
    {"a = 1;", 1, 6, "illegal char"},
    {"\xEF\xBB\xBF" "a = 1", 1, 1, "illegal char"}, /* a byte order mark */
    {"a = \xE2\x80\x9C" "b\xE2\x80\x9D", 1, 5, "illegal char"},
    {"a\xCC\x81 = 1", 1, 2, "illegal char"},
    {"a = '1'", 1, 5, "illegal char"},
    {"a = \"\xC3\"", 1, 6, "illegal UTF-8 encoding"},
    {"# \xFF", 1, 3, "illegal UTF-8 encoding"},
    {"\n\xEE\x84\xA3", 2, 1, "unicode code point U+E123 reserved for internal use"},

    /* comments */
    {"a = 1 /", 1, 7, "expected '/' for comment"},
    {"\n /* c", 2, 2, "comment not terminated"},
    {"/*/", 1, 1, "comment not terminated"},

    /* strings */
    {"a = \"b", 1, 5, "literal not terminated"},
    {"a = \"b\n\"", 1, 5, "literal not terminated"},
    {"a = \"b\r\n\"", 1, 5, "literal not terminated"},
    {"a = \"${b\"", 1, 5, "literal not terminated"},
    {"a = \"${{}\"", 1, 5, "literal not terminated"},
    {"a = \"b\\", 1, 7, "illegal char escape"},
    {"a = \"\\q\"", 1, 6, "illegal char escape"},
    {"a = \"\\'\"", 1, 6, "illegal char escape"},
    {"a = \"\\/\"", 1, 6, "illegal char escape"},
    {"a = \"\\x4\"", 1, 6, "illegal char escape"},
    {"a = \"\\u004\"", 1, 6, "illegal char escape"},
    {"a = \"\\U0000004\"", 1, 6, "illegal char escape"},
    {"a = \"\\U00110000\"", 1, 6, "illegal char escape"},
    {"a = \"\\UFFFFFFFF\"", 1, 6, "illegal char escape"},
    {"a = \"\\ud800\"", 1, 6, "illegal char escape"},
    {"a = \"\\08\"", 1, 6, "illegal char escape"},
    {"a = \"\\77\"", 1, 6, "illegal char escape"},
    {"a = \"\\400\"", 1, 6, "illegal char escape"},
    {"a = \"${\\q}\"", 1, 8, "illegal char escape"},
    {"a = \"\\x00\"", 1, 6, "an escape stands for a null character (0x00)"},
    {"a = \"\\000\"", 1, 6, "an escape stands for a null character (0x00)"},
    {"a = \"\\u0000\"", 1, 6, "an escape stands for a null character (0x00)"},
    {"a = \"\\xff\"", 1, 5, "the escapes of this string make invalid UTF-8"},

    /* heredocs */
    {"a = <b", 1, 5, "heredoc expected second '<', didn't see it"},
    {"a = <<E", 1, 5, "heredoc not terminated"},
    {"a = <<E\nb\nE", 1, 5, "heredoc not terminated"},
    {"a = <<E\nb\n", 1, 5, "heredoc not terminated"},
    {"a = <<-E\nb\nE\n", 1, 5, "heredoc not terminated"},
    {"a = <<E \nb\nE\n", 1, 5, "invalid characters in heredoc anchor"},
    {"a = <<\nb\n", 1, 5, "zero-length heredoc anchor"},
    {"a = <<-\nb\n", 1, 5, "zero-length heredoc anchor"},

    /* numbers */
    {"a = 0x", 1, 5, "illegal hexadecimal number"},
    {"a = 0xg", 1, 5, "illegal hexadecimal number"},
    {"a = 08", 1, 5, "illegal octal number"},
    {"a = 1e", 1, 5, "illegal exponent"},
    {"a = 1e+", 1, 5, "illegal exponent"},
    {"a = .5e3", 1, 5, "illegal exponent"},
    {"a = 9223372036854775808", 1, 5, "integer out of range, 64 bits with sign"},
    {"a = -9223372036854775809", 1, 5, "integer out of range, 64 bits with sign"},
    {"a = 1e400", 1, 5, "number out of range, 64-bit floating point"},
    {"a = -", 1, 5, "expected a value, got: SUB"},
    {"a = +1", 1, 5, "expected a value, got: ADD"},
    {"a = .", 1, 5, "expected a value, got: PERIOD"},

    /* JSON */
    {"{", 1, 2, "the text ends too early"},
    {"{\"a\"", 1, 5, "the text ends too early"},
    {"{\"a\": \"b", 1, 9, "the text ends too early"},
    {"{\"a\": [1", 1, 9, "the text ends too early"},
    {"{\"a\": 1}\n x", 2, 2, "something follows the outermost object"},
    {"{\"a\": 1} {}", 1, 10, "something follows the outermost object"},
    {"{a: 1}", 1, 2, "expected a key, a string"},
    {"{\"a\" 1}", 1, 6, "expected ':'"},
    {"{\"a\": 1 \"b\": 2}", 1, 9, "expected ',' or '}'"},
    {"{\"a\": [1 2]}", 1, 10, "expected ',' or ']'"},
    {"{\"a\": [1,]}", 1, 10, "expected something behind ','"},
    {"{\"a\": 1,}", 1, 9, "expected something behind ','"},
    {"{\"a\": ,}", 1, 7, "expected a value"},
    {"{\"a\": nul}", 1, 7, "expected a value"},
    {"{\"a\": True}", 1, 7, "expected a value"},
    {"{\"a\": NaN}", 1, 7, "expected a value"},
    {"{\"a\": 'b'}", 1, 7, "expected a value"},
    {"{ # c\n}", 1, 3, "expected a key, a string"},
    {"{\"a\": 01}", 1, 7, "illegal number"},
    {"{\"a\": -}", 1, 7, "illegal number"},
    {"{\"a\": 1.}", 1, 7, "illegal number"},
    {"{\"a\": .5}", 1, 7, "expected a value"},
    {"{\"a\": 1e}", 1, 7, "illegal exponent"},
    {"{\"a\": 0x10}", 1, 8, "expected ',' or '}'"},
    {"{\"a\": 9223372036854775808}", 1, 7, "integer out of range, 64 bits with sign"},
    {"{\"a\": -1e400}", 1, 7, "number out of range, 64-bit floating point"},
    {"{\"a\": \"\\x41\"}", 1, 9, "illegal char escape"},
    {"{\"a\": \"\\u00zz\"}", 1, 12, "illegal char escape"},
    {"{\"a\": \"\\u0000\"}", 1, 10, "an escape stands for a null character (0x00)"},
    {"{\"a\": \"\\ud800\"}", 1, 10, "half of a surrogate pair"},
    {"{\"a\": \"\\ud800\\u0041\"}", 1, 10, "half of a surrogate pair"},
    {"{\"a\": \"\\udc00\\ud800\"}", 1, 10, "half of a surrogate pair"},
    {"{\"a\": \"b\n\"}", 1, 9, "a control character must be written as an escape"},
    {"\v{}", 1, 1, "illegal char"},
    {"\xEF\xBB\xBF{}", 1, 1, "illegal char"},
};

static void a_refusal_names_the_place(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct error err;
        json_t *tree = hcl_parse(bad[i].text, strlen(bad[i].text), &err);

        if (tree != NULL || err.code != ERROR_BAD_REQUEST || err.line != bad[i].line ||
            err.column != bad[i].column ||
            strncmp(err.text, bad[i].why, strlen(bad[i].why)) != 0)
            fail_msg("%s: %u:%u: %s", bad[i].text, err.line, err.column, err.text);
    }
}

/* A message shows nothing of a value: it may be a password. */
static void a_refusal_does_not_quote(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char text[256];
        struct error err;

        snprintf(text, sizeof text,
                 bad[i].text[0] == '{' ? "{\"secret\": \"zyx\", %s" : "secret = \"zyx\" %s",
                 bad[i].text + (bad[i].text[0] == '{'));
        json_t *tree = hcl_parse(text, strlen(text), &err);

        assert_null(tree);
        assert_null(strstr(err.text, "zyx"));
    }
}

/* Whichever byte it is. */
static void a_null_character_is_refused(void **state)
{
    static const char *const texts[] = {"a = \"b\" # c", "{\"a\": \"b\"}"};

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        for (size_t at = 0; at < strlen(texts[i]); at++) {
            char text[32];
            struct error err;

            strcpy(text, texts[i]);
            text[at] = '\0';
            assert_null(hcl_parse(text, strlen(texts[i]), &err));
            assert_string_equal(err.text, "unexpected null character (0x00)");
            assert_int_equal(err.line, 1);
            assert_int_equal(err.column, at + 1);
        }
    }
}

/* ---- limits ---- */

static const struct {
    const char *before, *open, *inner, *close, *after;
    size_t levels; /* that one pair makes */
} nests[] = {
    {"a = ", "[", "", "]", "", 1},
    {"", "a {", "", "}", "", 1},
    {"", "a = {", "", "}", "", 1},
    {"a = ", "[{a = ", "1", "}]", "", 2},
    {"{\"a\": ", "[", "", "]", "}", 1},
    {"{\"a\": ", "{\"a\":", "1", "}", "}", 1},
    {"{\"a\": ", "{\"a\": [", "", "]}", "}", 2},
};

static json_t *parse_nest(size_t which, size_t levels, struct error *err)
{
    size_t pairs = levels / nests[which].levels;
    char text[4096];

    strcpy(text, nests[which].before);
    for (size_t i = 0; i < pairs; i++)
        strcat(text, nests[which].open);
    strcat(text, nests[which].inner);
    for (size_t i = 0; i < pairs; i++)
        strcat(text, nests[which].close);
    strcat(text, nests[which].after);
    return hcl_parse(text, strlen(text), err);
}

static void nesting_has_a_limit(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof nests / sizeof *nests; i++) {
        struct error err;
        json_t *tree = parse_nest(i, HCL_DEPTH_MAX, &err);

        assert_non_null(tree);
        json_decref(tree);
        assert_null(parse_nest(i, HCL_DEPTH_MAX + nests[i].levels, &err));
        assert_int_equal(err.code, ERROR_BAD_REQUEST);
        assert_string_equal(err.text, "nested deeper than 64 levels");
        assert_int_equal(err.line, 1);
        assert_int_not_equal(err.column, 0);
    }
}

static void siblings_are_not_nested(void **state)
{
    static const char *const elements[] = {"[],", "{},", "[{}],"};

    (void)state;
    for (size_t i = 0; i < sizeof elements / sizeof *elements; i++) {
        for (int json = 0; json <= 1; json++) {
            char text[2048];
            struct error err;

            strcpy(text, json ? "{\"a\": [" : "a = [");
            for (int k = 0; k < 2 * HCL_DEPTH_MAX; k++)
                strcat(text, elements[i]);
            text[strlen(text) - 1] = ']'; /* JSON has no comma there */
            strcat(text, json ? "}" : "");
            json_t *tree = hcl_parse(text, strlen(text), &err);

            assert_non_null(tree);
            json_decref(tree);
        }
    }
}

static void length_has_a_limit(void **state)
{
    char *text = malloc(HCL_LENGTH_MAX + 1);
    struct error err;

    (void)state;
    assert_non_null(text);
    memset(text, ' ', HCL_LENGTH_MAX + 1);
    json_t *tree = hcl_parse(text, HCL_LENGTH_MAX, &err);

    assert_non_null(tree);
    json_decref(tree);
    assert_null(hcl_parse(text, HCL_LENGTH_MAX + 1, &err));
    assert_int_equal(err.code, ERROR_BAD_REQUEST);
    assert_string_equal(err.text, "longer than 4194304 bytes");
    free(text);
}

/* The text ends where its length says, whatever follows. */
static void no_byte_behind_the_text_is_read(void **state)
{
    static const char *const texts[] = {"a = 1", "a = \"b\"", "# c", "{\"a\": 12}", "a = <<E\nE\n"};

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        for (size_t length = 0; length <= strlen(texts[i]); length++) {
            char *text = malloc(length + 1); /* the sanitizer looks behind length */
            struct error err;

            assert_non_null(text);
            memcpy(text, texts[i], length);
            text[length] = '5';
            json_decref(hcl_parse(text, length, &err));
            free(text);
        }
    }
}

/* ---- memory that runs out ---- */

static const char *const whole_texts[] = {
    "a \"b\" { c = [1, 2.5, true, {d = \"a string that is not short\"}] e = <<E\nx\nE\n }",
    "{\"a\": {\"b\": {\"c\": [1, 2.5, true, {\"d\": \"a string that is not short\"}]}},"
    " \"e\": [{\"x\": null}, {\"y\": {\"z\": 12345678901234567}}]}",
};

/* The first allocation fails, the second, … until none does. */
static void fail_each_allocation(const char *text)
{
    size_t failures = 0;

    do {
        struct error err = {0};

        has_failed = false;
        allocations_left = failures++;
        json_t *tree = hcl_parse(text, strlen(text), &err);

        allocations_left = SIZE_MAX;
        assert_int_equal(tree == NULL, has_failed);
        assert_int_equal(err.code, has_failed ? ERROR_EXHAUSTED : ERROR_NONE);
        json_decref(tree);
    } while (has_failed);
    assert_in_range(failures, 50, 500);
}

static void memory_that_runs_out_is_told_apart(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof whole_texts / sizeof *whole_texts; i++) {
        fails_once = false;
        fail_each_allocation(whole_texts[i]);
        fails_once = true;
        fail_each_allocation(whole_texts[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(items_and_blocks),
        cmocka_unit_test(lists),
        cmocka_unit_test(comments),
        cmocka_unit_test(escapes),
        cmocka_unit_test(interpolations),
        cmocka_unit_test(heredocs),
        cmocka_unit_test(numbers_and_booleans),
        cmocka_unit_test(identifiers),
        cmocka_unit_test(carriage_returns),
        cmocka_unit_test(json_gives_the_same_tree),
        cmocka_unit_test(items_know_their_places),
        cmocka_unit_test(a_refusal_names_the_place),
        cmocka_unit_test(a_refusal_does_not_quote),
        cmocka_unit_test(a_null_character_is_refused),
        cmocka_unit_test(nesting_has_a_limit),
        cmocka_unit_test(siblings_are_not_nested),
        cmocka_unit_test(length_has_a_limit),
        cmocka_unit_test(no_byte_behind_the_text_is_read),
        cmocka_unit_test(memory_that_runs_out_is_told_apart),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    json_set_alloc_funcs(__wrap_malloc, free);
    return cmocka_run_group_tests_name("hcl", tests, NULL, NULL);
}
