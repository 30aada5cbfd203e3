/* SPDX-License-Identifier: MIT
 *
 * A scanner that yields one token at a time and a recursive descent parser with one token
 * of look-ahead. The text is copied once, its CRLF made LF as hashicorp/hcl does, and
 * strings are decoded in place in that copy: no escape is shorter than what it stands
 * for.
 *
 * The difficulty is what hashicorp/hcl accepts without its documentation saying so: items
 * need nothing between them, commas in lists may repeat, `1.` is a number. Vault accepts
 * such policies, so they are accepted here. tests/hcl/compare holds this reader against
 * the original; its table lists every difference, and why it is there.
 */
#include "hcl.h"

#include "hcl_json.h"
#include "hcl_tree.h"
#include "text.h"
#include "utf8.h"

#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum token_type {
    TOKEN_EOF = 0,
    TOKEN_IDENT,
    TOKEN_NUMBER,
    TOKEN_FLOAT,
    TOKEN_BOOL,
    TOKEN_STRING,
    TOKEN_HEREDOC,
    TOKEN_LBRACK,
    TOKEN_LBRACE,
    TOKEN_COMMA,
    TOKEN_PERIOD,
    TOKEN_RBRACK,
    TOKEN_RBRACE,
    TOKEN_ASSIGN,
    TOKEN_ADD,
    TOKEN_SUB,
    TOKEN_MAX
};

/* As hashicorp/hcl names them in its messages. */
static const char *const token_names[TOKEN_MAX] = {
    "EOF",    "IDENT", "NUMBER", "FLOAT",  "BOOL",   "STRING", "HEREDOC", "LBRACK",
    "LBRACE", "COMMA", "PERIOD", "RBRACK", "RBRACE", "ASSIGN", "ADD",     "SUB",
};

struct token {
    enum token_type type;
    unsigned line, column;
    const char
        *text; /* of identifiers, strings and heredocs: decoded, not NUL-terminated */
    size_t length;
    json_int_t integer; /* of TOKEN_NUMBER */
    double real;        /* of TOKEN_FLOAT */
    bool truth;         /* of TOKEN_BOOL */
};

struct scanner {
    char *text; /* the copy, a NUL behind it and none in it */
    size_t offset;
    size_t line_start; /* offset of the line's first byte */
    unsigned line;
    struct error *err;
};

struct parser {
    struct scanner scanner;
    struct token token; /* the next one, not consumed yet */
    unsigned depth;     /* of the objects and lists that are open */
    struct error *err;
};

/* ---- scanner ---- */

static char scan_peek(const struct scanner *s)
{
    return s->text[s->offset];
}

static char scan_peek_second(const struct scanner *s)
{
    return s->text[s->offset] == '\0' ? '\0' : s->text[s->offset + 1];
}

/* Consumes length bytes, none of them the final NUL. */
static void scan_skip(struct scanner *s, size_t length)
{
    for (; length > 0; length--) {
        if (s->text[s->offset++] == '\n') {
            s->line++;
            s->line_start = s->offset;
        }
    }
}

static unsigned scan_column(const struct scanner *s)
{
    return (unsigned)(s->offset - s->line_start) + 1;
}

/* A fault at the current byte. */
static bool scan_fault(const struct scanner *s, const char *text)
{
    return error_set_at(s->err, ERROR_BAD_REQUEST, s->line, scan_column(s), "%s", text);
}

/* A fault of the token as a whole: what is not terminated is told where it starts. */
static bool token_fault(const struct scanner *s, const struct token *token,
                        const char *text)
{
    return error_set_at(s->err, ERROR_BAD_REQUEST, token->line, token->column, "%s",
                        text);
}

/* Of a valid sequence. */
static uint32_t code_point(const char *bytes, size_t length)
{
    static const unsigned char first_bits[] = {0, 0x7F, 0x1F, 0x0F, 0x07};
    uint32_t value = (unsigned char)bytes[0] & first_bits[length];

    for (size_t i = 1; i < length; i++)
        value = value << 6 | ((unsigned char)bytes[i] & 0x3F);
    return value;
}

/* Whether a code point above U+007F may stand in an identifier. hashicorp/hcl asks for
 * Unicode letters and digits; here whole blocks without any are left out (punctuation,
 * spaces, symbols, combining marks, private use, the byte order mark), so that a
 * typographic quote or an invisible character is refused, and the rest is let in without
 * the Unicode tables. */
static bool is_unicode_word(uint32_t c)
{
    static const struct {
        uint32_t first, last;
    } others[] = {
        {0x0080, 0x00A9}, {0x00AB, 0x00B4},   {0x00B6, 0x00B9},   {0x00BB, 0x00BF},
        {0x00D7, 0x00D7}, {0x00F7, 0x00F7},   {0x0300, 0x036F},   {0x1680, 0x1680},
        {0x180E, 0x180E}, {0x1DC0, 0x1DFF},   {0x2000, 0x2070},   {0x20A0, 0x2101},
        {0x2190, 0x2BFF}, {0x2E30, 0x3004},   {0x3007, 0x3030},   {0x3200, 0x33FF},
        {0x4DC0, 0x4DFF}, {0xD800, 0xF8FF},   {0xFDFC, 0xFE6F},   {0xFEFF, 0xFF0F},
        {0xFF1A, 0xFF20}, {0x1D000, 0x1D3FF}, {0x1F000, 0x1FBEF}, {0xE0000, 0x10FFFF},
    };

    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        if (c >= others[i].first && c <= others[i].last)
            return false;
    }
    return true;
}

/* Length of the letter, digit or underscore at bytes; 0: it is none. */
static size_t word_length(const char *bytes)
{
    if ((unsigned char)bytes[0] < 0x80)
        return text_is_word(bytes[0]) ? 1 : 0;
    size_t length = utf8_sequence(bytes, strnlen(bytes, 4));
    return is_unicode_word(code_point(bytes, length)) ? length : 0;
}

static void scan_identifier(struct scanner *s, struct token *token)
{
    const char *start = s->text + s->offset;
    size_t length = 0, more;

    while ((more = word_length(start + length)) > 0 || start[length] == '-' ||
           start[length] == '.')
        length += more > 0 ? more : 1;
    scan_skip(s, length);
    token->type = TOKEN_IDENT;
    token->text = start;
    token->length = length;
    token->truth = length == 4 && memcmp(start, "true", 4) == 0;
    if (token->truth || (length == 5 && memcmp(start, "false", 5) == 0))
        token->type = TOKEN_BOOL;
}

static size_t digits_length(const char *text)
{
    return strspn(text, "0123456789");
}

static bool scan_integer(struct scanner *s, struct token *token, int base, size_t length)
{
    const char *start = s->text + s->offset;
    char *end;

    errno = 0;
    token->type = TOKEN_NUMBER;
    token->integer = strtoll(start, &end, base);
    if (end != start + length)
        return scan_fault(s, base == 16 ? "illegal hexadecimal number"
                                        : "illegal octal number");
    if (errno == ERANGE)
        return scan_fault(s, "integer out of range, 64 bits with sign");
    scan_skip(s, length);
    return true;
}

/* The programs never call setlocale, so strtod reads a point as the decimal separator. */
static bool scan_real(struct scanner *s, struct token *token, size_t length)
{
    token->type = TOKEN_FLOAT;
    token->real = strtod(s->text + s->offset, NULL);
    if (isinf(token->real))
        return scan_fault(s, "number out of range, 64-bit floating point");
    scan_skip(s, length);
    return true;
}

/* Accepts what starts with a digit, with '-' and a digit, or with '.' and a digit. */
static bool scan_number(struct scanner *s, struct token *token)
{
    const char *start = s->text + s->offset;
    const char *p = start + (*start == '-' ? 1 : 0);

    if (p[0] == '0' && (p[1] == 'x' || p[1] == 'X')) {
        size_t digits = strspn(p + 2, "0123456789abcdefABCDEF");
        if (digits == 0)
            return scan_fault(s, "illegal hexadecimal number");
        return scan_integer(s, token, 16, (size_t)(p - start) + 2 + digits);
    }
    size_t digits = digits_length(p);
    const char *end = p + digits;
    if (*end != '.' && *end != 'e' && *end != 'E')
        return scan_integer(s, token, *p == '0' ? 8 : 10, (size_t)(end - start));
    if (*end == '.')
        end += 1 + digits_length(end + 1);
    if (*end == 'e' || *end == 'E') {
        end++;
        if (*end == '+' || *end == '-')
            end++;
        digits = digits_length(end);
        if (digits == 0 || *start == '.') /* hashicorp/hcl does not know .5e3 */
            return scan_fault(s, "illegal exponent");
        end += digits;
    }
    return scan_real(s, token, (size_t)(end - start));
}

/* count digits at text[*at], in base 8 or 16. */
static bool scan_digits(const char *text, size_t *at, size_t count, unsigned base,
                        uint32_t *value)
{
    *value = 0;
    for (; count > 0; count--, (*at)++) {
        int digit = text_hex_value(text[*at]);
        if (digit < 0 || (unsigned)digit >= base)
            return false;
        *value = *value * base + (uint32_t)digit;
    }
    return true;
}

/* The escape at the current backslash: its length in the text, and what it stands for;
 * bytes says that this is one byte of a sequence (\xNN, \NNN) and not a code point. */
static bool scan_escape(const struct scanner *s, size_t *length, uint32_t *value,
                        bool *bytes)
{
    static const char letters[] = "abfnrtv\\\"", meanings[] = "\a\b\f\n\r\t\v\\\"";
    const char *text = s->text + s->offset;
    const char *letter = text[1] == '\0' ? NULL : strchr(letters, text[1]);
    bool ok = true;

    *bytes = false;
    *length = 2;
    if (letter != NULL) {
        *value = (unsigned char)meanings[letter - letters];
    } else if (text[1] == 'x' || (text[1] >= '0' && text[1] <= '7')) {
        *length = text[1] == 'x' ? 2 : 1;
        ok = scan_digits(text, length, text[1] == 'x' ? 2 : 3, text[1] == 'x' ? 16 : 8,
                         value);
        *bytes = true;
    } else {
        size_t count = text[1] == 'u' ? 4 : text[1] == 'U' ? 8 : 0;
        ok = count > 0 && scan_digits(text, length, count, 16, value);
    }
    return ok || scan_fault(s, "illegal char escape");
}

/* Whether the escape at the current backslash stands for a byte or a character. */
static bool check_escape(const struct scanner *s, uint32_t value, bool bytes)
{
    if (value > (bytes ? 0xFF : 0x10FFFF) || (value >= 0xD800 && value < 0xE000))
        return scan_fault(s, "illegal char escape");
    if (value == 0)
        return scan_fault(s, "an escape stands for a null character (0x00)");
    return true;
}

static bool valid_utf8(const char *text, size_t length)
{
    for (size_t done = 0, sequence; done < length; done += sequence) {
        sequence = utf8_sequence(text + done, length - done);
        if (sequence == 0)
            return false;
    }
    return true;
}

/* Inside ${ } nothing is decoded: quotes and newlines are text there, and escapes, as long
 * as they have an escape's form. */
static bool scan_string(struct scanner *s, struct token *token)
{
    char *start = s->text + s->offset + 1, *out = start;
    unsigned braces = 0;
    bool has_bytes = false;

    scan_skip(s, 1);
    for (;;) {
        char c = scan_peek(s);
        size_t length = 1;
        if (c == '\0' || (c == '\n' && braces == 0))
            return token_fault(s, token, "literal not terminated");
        if (c == '"' && braces == 0)
            break;
        if (c == '\\') {
            uint32_t value = 0;
            bool bytes;
            if (!scan_escape(s, &length, &value, &bytes))
                return false;
            if (braces == 0) {
                if (!check_escape(s, value, bytes))
                    return false;
                scan_skip(s, length);
                has_bytes |= bytes;
                if (bytes)
                    *out++ = (char)value;
                else
                    out += utf8_encode(value, out);
                continue;
            }
        } else if (braces == 0 && c == '$' && scan_peek_second(s) == '{') {
            braces = 1;
            length = 2;
        } else if (braces > 0 && (c == '{' || c == '}')) {
            braces = c == '{' ? braces + 1 : braces - 1;
        }
        memmove(out, s->text + s->offset, length);
        out += length;
        scan_skip(s, length);
    }
    scan_skip(s, 1);
    token->type = TOKEN_STRING;
    token->text = start;
    token->length = (size_t)(out - start);
    if (has_bytes && !valid_utf8(start, token->length))
        return token_fault(s, token, "the escapes of this string make invalid UTF-8");
    return true;
}

/* Removes the indentation of a heredoc's last line from all lines of text[length]; if any
 * has less, none is changed. Returns the new length. */
static size_t unindent(char *text, size_t length, const char *indentation, size_t width)
{
    const char *end = text + length;
    char *out = text;

    for (const char *line = text; line < end; line = strchr(line, '\n') + 1) {
        if ((size_t)(end - line) < width || memcmp(line, indentation, width) != 0)
            return length;
    }
    for (const char *line = text; line < end;) {
        size_t size = (size_t)(strchr(line, '\n') + 1 - line);
        memmove(out, line + width, size - width);
        out += size - width;
        line += size;
    }
    return (size_t)(out - text);
}

/* Consumes lines until one holds nothing but the anchor, behind blanks maybe. Two rules
 * here are hashicorp/hcl's: behind <<- the anchor's line must be longer than the anchor,
 * which is to say indented; and behind << the last line's blanks belong to the content.
 */
static bool scan_heredoc_lines(struct scanner *s, struct token *token, const char *anchor,
                               size_t anchor_length, bool indented)
{
    char *start = s->text + s->offset;

    for (;;) {
        const char *line = s->text + s->offset;
        const char *end = strchr(line, '\n');
        if (end == NULL)
            return token_fault(s, token, "heredoc not terminated");
        size_t blanks = strspn(line, " \t\v\f\r");
        scan_skip(s, (size_t)(end + 1 - line));
        if ((size_t)(end - line) != blanks + anchor_length || (indented && blanks == 0) ||
            memcmp(line + blanks, anchor, anchor_length) != 0)
            continue;
        size_t length = (size_t)(line - start);
        token->type = TOKEN_HEREDOC;
        token->text = start;
        token->length =
            indented ? unindent(start, length, line, blanks) : length + blanks;
        return true;
    }
}

static bool scan_heredoc(struct scanner *s, struct token *token)
{
    if (scan_peek_second(s) != '<')
        return scan_fault(s, "heredoc expected second '<', didn't see it");
    scan_skip(s, 2);
    bool indented = scan_peek(s) == '-';
    scan_skip(s, indented ? 1 : 0);
    const char *anchor = s->text + s->offset;
    size_t length = 0, more;
    while ((more = word_length(anchor + length)) > 0)
        length += more;
    if (anchor[length] == '\0')
        return token_fault(s, token, "heredoc not terminated");
    if (anchor[length] != '\n')
        return token_fault(s, token, "invalid characters in heredoc anchor");
    if (length == 0)
        return token_fault(s, token, "zero-length heredoc anchor");
    scan_skip(s, length + 1);
    return scan_heredoc_lines(s, token, anchor, length, indented);
}

static bool scan_comment(struct scanner *s)
{
    const char *start = s->text + s->offset;

    if (start[0] == '#' || start[1] == '/') {
        scan_skip(s, strcspn(start, "\n"));
        return true;
    }
    if (start[1] != '*')
        return scan_fault(s, "expected '/' for comment");
    const char *end = strstr(start + 2, "*/");
    if (end == NULL)
        return scan_fault(s, "comment not terminated");
    scan_skip(s, (size_t)(end + 2 - start));
    return true;
}

static bool scan_blank(struct scanner *s)
{
    for (;;) {
        scan_skip(s, strspn(s->text + s->offset, " \t\n\r"));
        if (scan_peek(s) != '#' && scan_peek(s) != '/')
            return true;
        if (!scan_comment(s))
            return false;
    }
}

static bool scan_token(struct scanner *s, struct token *token)
{
    static const char marks[] = "[{,.]}=+-";

    if (!scan_blank(s))
        return false;
    *token = (struct token){.line = s->line, .column = scan_column(s)};
    char c = scan_peek(s);
    if (c == '\0') {
        token->type = TOKEN_EOF;
        return true;
    }
    if (text_is_digit(c) ||
        ((c == '-' || c == '.') && text_is_digit(scan_peek_second(s))))
        return scan_number(s, token);
    if (c == '"')
        return scan_string(s, token);
    if (c == '<')
        return scan_heredoc(s, token);
    if (word_length(s->text + s->offset) > 0) {
        scan_identifier(s, token);
        return true;
    }
    const char *mark = strchr(marks, c);
    if (mark == NULL)
        return scan_fault(s, "illegal char");
    token->type = (enum token_type)(TOKEN_LBRACK + (mark - marks));
    scan_skip(s, 1);
    return true;
}

/* ---- parser ---- */

static bool advance(struct parser *p)
{
    return scan_token(&p->scanner, &p->token);
}

/* A fault at the next token. Messages name the token's type, never its text: it may be
 * what was left of a password. */
static bool unexpected(struct parser *p, const char *what)
{
    return error_set_at(p->err, ERROR_BAD_REQUEST, p->token.line, p->token.column,
                        "%s: %s", what, token_names[p->token.type]);
}

/* Keys up to '=' or '{', which is left as the next token. */
static bool parse_keys(struct parser *p, json_t *keys)
{
    while (p->token.type == TOKEN_IDENT || p->token.type == TOKEN_STRING) {
        json_t *key = json_stringn_nocheck(p->token.text, p->token.length);
        if (json_array_append_new(keys, key) != 0)
            return error_exhausted(p->err);
        if (!advance(p))
            return false;
    }
    size_t count = json_array_size(keys);
    switch (p->token.type) {
    case TOKEN_ASSIGN:
        if (count > 1)
            return unexpected(p, "nested object expected: LBRACE got");
        return count == 1 || unexpected(p, "no object keys found before");
    case TOKEN_LBRACE:
        return count > 0 || unexpected(p, "expected: IDENT | STRING got");
    case TOKEN_EOF:
    case TOKEN_RBRACE:
        return unexpected(
            p, count > 0 ? "expected start of object ('{') or assignment ('=') got"
                         : "expected: IDENT | STRING | ASSIGN | LBRACE got");
    default:
        return unexpected(p, "expected: IDENT | STRING | ASSIGN | LBRACE got");
    }
}

static bool parse_value(struct parser *p, json_t **value);

static bool parse_item(struct parser *p, json_t *items, json_t *seen)
{
    const struct token first = p->token;
    json_auto_t *keys = json_array();
    json_t *value;

    if (keys == NULL)
        return error_exhausted(p->err);
    if (!parse_keys(p, keys))
        return false;
    bool assigned = p->token.type == TOKEN_ASSIGN;
    if (assigned && !advance(p))
        return false;
    if (!parse_value(p, &value))
        return false;
    if (assigned && !hcl_note_key(seen, json_string_value(json_array_get(keys, 0)),
                                  first.line, first.column, p->err)) {
        json_decref(value);
        return false;
    }
    if (json_array_append_new(
            items, hcl_item_new(keys, assigned, first.line, first.column, value)) != 0)
        return error_exhausted(p->err);
    return true;
}

/* Items up to end, TOKEN_RBRACE or TOKEN_EOF, which is left as the next token. One comma
 * may follow an item; nothing need. */
static bool parse_items(struct parser *p, json_t *items, enum token_type end)
{
    json_auto_t *seen = json_object();

    if (seen == NULL)
        return error_exhausted(p->err);
    while (p->token.type != end) {
        if (p->token.type == TOKEN_EOF)
            return unexpected(p, "object expected closing RBRACE got");
        if (!parse_item(p, items, seen))
            return false;
        if (p->token.type == TOKEN_COMMA && !advance(p))
            return false;
    }
    return true;
}

/* The content of a list behind its '[', and the ']'. Commas may repeat, and behind a list
 * in the list one may be left out: hashicorp/hcl accepts both. */
static bool parse_elements(struct parser *p, json_t *list)
{
    bool needs_comma = false;

    while (p->token.type != TOKEN_RBRACK) {
        json_t *value;
        if (p->token.type == TOKEN_COMMA) {
            needs_comma = false;
            if (!advance(p))
                return false;
            continue;
        }
        if (needs_comma)
            return unexpected(p, "error parsing list, expected comma or list end, got");
        needs_comma = p->token.type != TOKEN_LBRACK;
        if (p->token.type == TOKEN_EOF)
            return unexpected(p, "unexpected token while parsing list");
        if (!parse_value(p, &value))
            return false;
        if (json_array_append_new(list, value) != 0)
            return error_exhausted(p->err);
    }
    return advance(p);
}

/* Counts a level of depth; the caller takes it off again when it closes. */
static bool open_level(struct parser *p)
{
    if (p->depth >= HCL_DEPTH_MAX)
        return error_set_at(p->err, ERROR_BAD_REQUEST, p->token.line, p->token.column,
                            "nested deeper than %d levels", HCL_DEPTH_MAX);
    p->depth++;
    return advance(p);
}

static bool parse_object(struct parser *p, json_t **object)
{
    json_t *items = json_array();

    if (items == NULL)
        return error_exhausted(p->err);
    if (!open_level(p) || !parse_items(p, items, TOKEN_RBRACE) || !advance(p)) {
        json_decref(items);
        return false;
    }
    p->depth--;
    return hcl_made(object, hcl_object_new(items), p->err);
}

static bool parse_list(struct parser *p, json_t **list)
{
    if (!hcl_made(list, json_array(), p->err))
        return false;
    if (!open_level(p) || !parse_elements(p, *list)) {
        json_decref(*list);
        return false;
    }
    p->depth--;
    return true;
}

/* A new reference in *value, which is untouched or void on failure. */
static bool parse_value(struct parser *p, json_t **value)
{
    const struct token token = p->token;
    json_t *scalar;

    switch (token.type) {
    case TOKEN_LBRACE:
        return parse_object(p, value);
    case TOKEN_LBRACK:
        return parse_list(p, value);
    case TOKEN_STRING:
    case TOKEN_HEREDOC:
        scalar = json_stringn_nocheck(token.text, token.length);
        break;
    case TOKEN_NUMBER:
        scalar = json_integer(token.integer);
        break;
    case TOKEN_FLOAT:
        scalar = json_real(token.real);
        break;
    case TOKEN_BOOL:
        scalar = json_boolean(token.truth);
        break;
    default:
        return unexpected(p, "expected a value, got");
    }
    if (!hcl_made(value, scalar, p->err))
        return false;
    if (advance(p))
        return true;
    json_decref(*value);
    return false;
}

/* Copies text[length] with CRLF made LF. */
static char *copy_lines(const char *text, size_t length)
{
    char *copy = malloc(length + 1), *out = copy;

    if (copy == NULL)
        return NULL;
    for (size_t i = 0; i < length; i++) {
        if (text[i] != '\r' || i + 1 == length || text[i + 1] != '\n')
            *out++ = text[i];
    }
    *out = '\0';
    return copy;
}

static json_t *parse_hcl(const char *text, size_t length, struct error *err)
{
    struct parser p = {.scanner = {.line = 1, .err = err}, .err = err};
    json_t *items = json_array(), *tree = NULL;

    p.scanner.text = copy_lines(text, length);
    if (items == NULL || p.scanner.text == NULL) {
        error_exhausted(err);
    } else if (advance(&p) && parse_items(&p, items, TOKEN_EOF)) {
        hcl_made(&tree, hcl_object_new(items), err);
        items = NULL; /* stolen */
    }
    json_decref(items);
    free(p.scanner.text);
    return tree;
}

/* ---- both ---- */

/* Says where the first byte is that no text may hold. U+E123 is hashicorp/hcl's own. */
static bool check_bytes(const char *text, size_t length, struct error *err)
{
    struct scanner place = {.line = 1, .err = err};
    size_t sequence;

    for (; place.offset < length; place.offset += sequence) {
        const char *bytes = text + place.offset;
        sequence = utf8_sequence(bytes, length - place.offset);
        if (sequence == 0)
            return scan_fault(&place, "illegal UTF-8 encoding");
        if (*bytes == '\0')
            return scan_fault(&place, "unexpected null character (0x00)");
        if (sequence == 3 && memcmp(bytes, "\xEE\x84\xA3", 3) == 0)
            return scan_fault(&place,
                              "unicode code point U+E123 reserved for internal use");
        if (*bytes == '\n') {
            place.line++;
            place.line_start = place.offset + 1;
        }
    }
    return true;
}

json_t *hcl_parse(const char *text, size_t length, struct error *err)
{
    if (length > HCL_LENGTH_MAX) {
        error_set(err, ERROR_BAD_REQUEST, "longer than %d bytes", HCL_LENGTH_MAX);
        return NULL;
    }
    if (!check_bytes(text, length, err))
        return NULL;
    for (size_t i = 0; i < length; i++) {
        if (text[i] == '{')
            return hcl_json_parse(text, length, err);
        if (strchr(" \t\n\v\f\r", text[i]) == NULL)
            break;
    }
    return parse_hcl(text, length, err);
}
