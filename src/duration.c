/* SPDX-License-Identifier: MIT
 *
 * ParseDurationSecond of go-secure-stdlib/parseutil, and time.ParseDuration beneath it.
 */
#include "duration.h"

#include "text.h"

#include <inttypes.h>
#include <stddef.h>
#include <string.h>

/* Digits, all of text[length], as a number of units. */
static bool read_whole(const char *text, size_t length, int64_t unit, int64_t *out)
{
    int64_t number = 0;

    for (size_t i = 0; i < length; i++)
        if (!text_is_digit(text[i]) || __builtin_mul_overflow(number, 10, &number) ||
            __builtin_add_overflow(number, text[i] - '0', &number))
            return false;
    return length > 0 && !__builtin_mul_overflow(number, unit, out);
}

/* One "1.5h" of a duration, *text advanced past it; its units are those of Go, "ms"
 * before "m". */
static bool read_component(const char **text, int64_t *out)
{
    static const struct {
        const char *name;
        int64_t ns;
    } units[] = {{"ns", 1},           {"us", 1000},        {"\xC2\xB5s", 1000},
                 {"\xCE\xBCs", 1000}, {"ms", 1000000},     {"s", 1000000000},
                 {"m", 60000000000},  {"h", 3600000000000}};
    const char *digits = *text, *fraction = NULL;
    size_t whole = strspn(digits, "0123456789"), length = whole, decimals = 0;

    if (digits[length] == '.') {
        fraction = digits + length + 1;
        decimals = strspn(fraction, "0123456789");
        length += 1 + decimals;
    }
    if (whole + decimals == 0)
        return false;
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        double part = 0, scale = (double)units[i].ns;

        if (!text_starts_with(digits + length, units[i].name))
            continue;
        for (size_t k = 0; k < decimals; k++)
            part += (fraction[k] - '0') * (scale /= 10);
        *out = 0;
        if (whole > 0 && !read_whole(digits, whole, units[i].ns, out))
            return false;
        *text = digits + length + strlen(units[i].name);
        return !__builtin_add_overflow(*out, (int64_t)(part + 0.5), out);
    }
    return false;
}

bool duration_parse(const char *text, int64_t *ns)
{
    size_t length = strlen(text);
    int64_t part;

    *ns = 0;
    if (length == 0 || read_whole(text, length, DURATION_SECOND, ns))
        return true;
    *ns = 0;
    if (text[length - 1] == 'd')
        return read_whole(text, length - 1, 86400 * DURATION_SECOND, ns);
    while (*text != '\0')
        if (!read_component(&text, &part) || __builtin_add_overflow(*ns, part, ns))
            return false;
    return true;
}

void duration_format(char out[static DURATION_TEXT], int64_t seconds)
{
    const struct {
        int64_t count;
        char unit;
    } parts[] = {{seconds / 3600, 'h'}, {seconds % 3600 / 60, 'm'}, {seconds % 60, 's'}};
    size_t used = 0;

    text_format(out, DURATION_TEXT, "0s");
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        if (parts[i].count == 0)
            continue;
        text_format(out + used, DURATION_TEXT - used, "%" PRId64 "%c", parts[i].count,
                    parts[i].unit);
        used += strlen(out + used);
    }
}
