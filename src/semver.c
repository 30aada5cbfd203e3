/* SPDX-License-Identifier: MIT */
#include "semver.h"

#include "text.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define DIGITS "0123456789"
#define IDENTIFIER DIGITS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-~"

/* The length of identifiers with a dot between two; 0: they are malformed. */
static size_t identifiers(const char *text)
{
    size_t length = 0;

    for (;;) {
        size_t one = strspn(text + length, IDENTIFIER);
        if (one == 0)
            return 0;
        length += one;
        if (text[length] != '.')
            return length;
        length++;
    }
}

/* Moves *text behind a mark and the identifiers that it announces, if it is there. */
static bool skip_part(const char **text, char mark)
{
    if (**text != mark)
        return true;
    size_t length = identifiers(*text + 1);
    *text += 1 + length;
    return length > 0;
}

static bool read_segment(const char **text, int64_t *value)
{
    const char *start = *text;

    for (*value = 0; text_is_digit(**text); (*text)++) {
        if (__builtin_mul_overflow(*value, 10, value) ||
            __builtin_add_overflow(*value, **text - '0', value))
            return false;
    }
    return *text > start;
}

bool semver_canonical(char out[static SEMVER_SIZE], const char *text)
{
    size_t used = 1;
    unsigned segments = 0;
    int64_t value;

    if (strlen(text) > SEMVER_TEXT_MAX)
        return false;
    text += *text == 'v';
    out[0] = 'v';
    do {
        if (!read_segment(&text, &value))
            return false;
        text_format(out + used, SEMVER_SIZE - used, "%s%" PRId64, segments++ > 0 ? "." : "", value);
        used += strlen(out + used);
    } while (*text == '.' && *text++);
    const char *rest = text;
    if (!skip_part(&text, '-') || !skip_part(&text, '+') || *text)
        return false;
    return text_format(out + used, SEMVER_SIZE - used, "%s%s",
                       segments == 1   ? ".0.0"
                       : segments == 2 ? ".0"
                                       : "",
                       rest);
}

bool semver_is_builtin(const char *version)
{
    const char *part = strchr(version, '+');

    while (part && *part) {
        size_t length = strcspn(++part, ".");
        if (length == strlen("builtin") && strncmp(part, "builtin", length) == 0)
            return true;
        part += length;
    }
    return false;
}

static int compare_numbers(const char *left, size_t left_length, const char *right,
                           size_t right_length)
{
    for (; left_length > 0 && *left == '0'; left_length--)
        left++;
    for (; right_length > 0 && *right == '0'; right_length--)
        right++;
    if (left_length != right_length)
        return left_length < right_length ? -1 : 1;
    return strncmp(left, right, left_length);
}

static int compare_segments(const char **left, const char **right)
{
    int order = 0;

    while (order == 0 && (text_is_digit(**left) || text_is_digit(**right))) {
        size_t left_length = strspn(*left, DIGITS), right_length = strspn(*right, DIGITS);
        order = compare_numbers(*left, left_length, *right, right_length);
        *left += left_length;
        *left += **left == '.';
        *right += right_length;
        *right += **right == '.';
    }
    return order;
}

/* One identifier each; numbers come before words. */
static int compare_identifiers(const char *left, size_t left_length, const char *right,
                               size_t right_length)
{
    bool left_number = strspn(left, DIGITS) >= left_length;
    bool right_number = strspn(right, DIGITS) >= right_length;

    if (left_number != right_number)
        return left_number ? -1 : 1;
    if (left_number)
        return compare_numbers(left, left_length, right, right_length);
    size_t shorter = left_length < right_length ? left_length : right_length;
    int order = strncmp(left, right, shorter);
    return order != 0 ? order : (left_length > right_length) - (left_length < right_length);
}

/* Both behind their segments. A release comes after its pre-releases, more identifiers after
 * fewer. (go-version lets some of these go round in circles.) */
static int compare_prereleases(const char *left, const char *right)
{
    if (*left != '-' || *right != '-')
        return (*left != '-') - (*right != '-');
    while (*left && *left != '+' && *right && *right != '+') {
        size_t left_length = strcspn(++left, ".+"), right_length = strcspn(++right, ".+");
        int order = compare_identifiers(left, left_length, right, right_length);
        if (order != 0)
            return order;
        left += left_length;
        right += right_length;
    }
    return (*left == '.') - (*right == '.');
}

int semver_compare(const char *left, const char *right)
{
    left += *left == 'v';
    right += *right == 'v';
    int order = compare_segments(&left, &right);
    return order != 0 ? order : compare_prereleases(left, right);
}
