/* SPDX-License-Identifier: MIT
 *
 * The flags: a table of names, what each takes and where it goes.
 */
#include "tool.h"

#include "duration.h"
#include "text.h"
#include "utf8.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { SECONDS_MAX = 100 * 366 * 86400U }; /* a hundred years */

enum kind {
    KIND_SWITCH = 0, /* bool; takes no value */
    KIND_TEXT,       /* const char *, not empty */
    KIND_ANY_TEXT,   /* const char *, perhaps empty */
    KIND_LIST,       /* struct tool_list of texts */
    KIND_PAIRS,      /* likewise, of key=value */
    KIND_NETWORKS,   /* likewise, of addresses and networks */
    KIND_NAMESPACE,  /* const char * */
    KIND_SECONDS,    /* int64_t */
    KIND_COUNT,      /* int64_t */
    KIND_FORMAT,     /* bool: whether it is JSON */
    KIND_MODE,       /* bool: whether it is orphan */
    KIND_OPERATION,  /* enum operation */
    KIND_OBJECT,     /* json_t * */
    KIND_LIMIT,      /* const char *: digits, or "none" */
    KIND_MOMENT,     /* char [TOOL_MOMENT] */
};

#define FLAG(name, kind, member)                                                             \
    {                                                                                        \
        name, KIND_##kind, offsetof(struct tool_flags, member)                               \
    }

static const struct flag {
    const char *name;
    enum kind kind;
    size_t offset;
} table[] = {
    FLAG("accessor", TEXT, accessor),
    FLAG("bound-cidr", NETWORKS, bound_cidrs),
    FLAG("cases", TEXT, cases),
    FLAG("config", TEXT, config),
    FLAG("custom-metadata", PAIRS, custom_metadata),
    FLAG("data", OBJECT, data),
    FLAG("display-name", ANY_TEXT, display_name),
    FLAG("explicit-max-ttl", SECONDS, explicit_max_ttl),
    FLAG("field", TEXT, field),
    FLAG("format", FORMAT, json),
    FLAG("h", SWITCH, help),
    FLAG("help", SWITCH, help),
    FLAG("limit", COUNT, limit),
    FLAG("max-runtimes", LIMIT, max_runtimes),
    FLAG("metadata", PAIRS, metadata),
    FLAG("migrations", TEXT, migrations),
    FLAG("mode", MODE, orphan),
    FLAG("name", TEXT, name),
    FLAG("namespace", NAMESPACE, namespace),
    FLAG("operation", OPERATION, operation),
    FLAG("path", TEXT, path),
    FLAG("period", SECONDS, period),
    FLAG("policy", LIST, policies),
    FLAG("remove-custom-metadata", LIST, removed_metadata),
    FLAG("request-id", TEXT, request_id),
    FLAG("role", TEXT, role),
    FLAG("since", MOMENT, since),
    FLAG("table", TEXT, table),
    FLAG("ttl", SECONDS, ttl),
    FLAG("until", MOMENT, until),
    FLAG("use-limit", COUNT, use_limit),
    FLAG("version", SWITCH, version),
    FLAG("wait", SECONDS, wait),
    FLAG("wrap-ttl", SECONDS, wrap_ttl),
};

/* "/team-a" → "team-a/" */
static bool take_namespace(const char **out, const char *text)
{
    static char path[1024];
    size_t start = strspn(text, "/"), length = strlen(text + start);

    while (length > 0 && text[start + length - 1] == '/')
        length--;
    *out = path;
    return text_format(path, sizeof path, "%.*s%s", (int)length, text + start,
                       length > 0 ? "/" : "");
}

static bool take_seconds(int64_t *out, const char *text)
{
    int64_t ns;

    if (!duration_parse(text, &ns) || ns < DURATION_SECOND || ns / DURATION_SECOND > SECONDS_MAX)
        return false;
    *out = ns / DURATION_SECOND;
    return true;
}

static bool take_count(int64_t *out, const char *text, int64_t max)
{
    size_t digits = strspn(text, "0123456789");

    if (digits == 0 || digits > 10 || text[digits] != '\0')
        return false;
    *out = strtoll(text, NULL, 10);
    return *out <= max;
}

/* An address, or one with the length of a network's prefix behind a slash. */
static bool is_network(const char *text)
{
    char address[INET6_ADDRSTRLEN];
    unsigned char bytes[sizeof(struct in6_addr)];
    size_t length = strcspn(text, "/");
    int64_t bits;

    if (!text_format(address, sizeof address, "%.*s", (int)length, text))
        return false;
    bool four = inet_pton(AF_INET, address, bytes) == 1;
    if (!four && inet_pton(AF_INET6, address, bytes) != 1)
        return false;
    return text[length] == '\0' || take_count(&bits, text + length + 1, four ? 32 : 128);
}

static bool is_pair(const char *text)
{
    const char *equals = strchr(text, '=');

    return equals != NULL && equals > text;
}

static bool take_word(bool *out, const char *text, const char *yes, const char *no)
{
    *out = strcmp(text, yes) == 0;
    return *out || strcmp(text, no) == 0;
}

static bool take_object(json_t **out, const char *text)
{
    json_decref(*out);
    *out = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    return json_is_object(*out);
}

static bool take_limit(const char **out, const char *text)
{
    int64_t count;

    *out = text;
    return strcmp(text, "none") == 0 || take_count(&count, text, INT32_MAX);
}

/* What follows in text behind a pattern, in which 0 stands for any digit; NULL: something else. */
static const char *behind(const char *text, const char *pattern)
{
    for (; *pattern; text++, pattern++) {
        if (*pattern == '0' ? !text_is_digit(*text) : *text != *pattern)
            return NULL;
    }
    return text;
}

/* Whether the first characters are a day of the calendar and, if there are more, a time of day. */
static bool exists(const char *text)
{
    struct tm given = {.tm_isdst = 0};
    int fields = sscanf(text, "%4d-%2d-%2d%*c%2d:%2d:%2d", &given.tm_year, &given.tm_mon,
                        &given.tm_mday, &given.tm_hour, &given.tm_min, &given.tm_sec);

    if (fields < 3 || given.tm_year < 1)
        return false;
    given.tm_year -= 1900;
    given.tm_mon -= 1;
    struct tm normal = given;
    timegm(&normal);
    return normal.tm_mon == given.tm_mon && normal.tm_mday == given.tm_mday &&
           normal.tm_hour == given.tm_hour && normal.tm_min == given.tm_min &&
           normal.tm_sec == given.tm_sec;
}

/* "24h": so long ago. Otherwise a day, perhaps with its time, in UTC unless it says otherwise. */
static bool take_moment(char out[static TOOL_MOMENT], const char *text)
{
    int64_t ns;
    const char *day = behind(text, "0000-00-00"), *rest = day;

    if (!day)
        return *text && duration_parse(text, &ns) &&
               text_format(out, TOOL_MOMENT, "%" PRId64 " seconds", ns / DURATION_SECOND);
    if (*rest == 'T' || *rest == ' ')
        rest = behind(rest + 1, "00:00:00");
    if (rest && *rest == '.' && rest != day)
        rest += 1 + strspn(rest + 1, "0123456789");
    if (!rest || !exists(text))
        return false;
    const char *zone = *rest == '+' ? behind(rest, "+00:00") : behind(rest, "-00:00");
    bool zoned = rest != day && zone && *zone == '\0' && strtol(rest + 1, NULL, 10) < 15 &&
                 strtol(rest + 4, NULL, 10) < 60;
    if (!zoned && strcmp(rest, rest == day ? "" : "Z") != 0 && *rest != '\0')
        return false;
    return text_format(out, TOOL_MOMENT, "%s%s", text,
                       rest == day ? "T00:00:00Z" : zoned || *rest ? "" : "Z");
}

static bool append(struct tool_list *list, char *text)
{
    if (list->count == TOOL_LIST_MAX)
        return false;
    list->items[list->count++] = text;
    return true;
}

/* What a value of the kind must be, for people. */
static const char *const wanted[] = {
    [KIND_TEXT] = "a value that is not empty",
    [KIND_ANY_TEXT] = "a value",
    [KIND_LIST] = "a value that is not empty, 64 times at most",
    [KIND_PAIRS] = "key=value, 64 times at most",
    [KIND_NETWORKS] = "an address or a network such as 10.0.0.0/8, 64 times at most",
    [KIND_NAMESPACE] = "the path of a namespace such as team-a",
    [KIND_SECONDS] = "a duration such as 90s, 15m, 1h or 2d, from 1s to a hundred years",
    [KIND_COUNT] = "a number from 0 to 2147483647",
    [KIND_FORMAT] = "table or json",
    [KIND_MODE] = "orphan is the only mode to name",
    [KIND_OPERATION] = "create, read, update, patch, delete, list, recover, help, revoke, "
                       "renew or rollback",
    [KIND_OBJECT] = "a JSON object such as {\"key\":\"value\"}, no key twice",
    [KIND_LIMIT] = "a number from 0 to 2147483647, or none",
    [KIND_MOMENT] = "2026-11-28, 2026-11-28T16:00:00Z, or a duration ago such as 24h",
};

static bool take_value(const struct flag *flag, void *at, char *value)
{
    switch (flag->kind) {
    case KIND_TEXT:
    case KIND_ANY_TEXT:
        *(const char **)at = value;
        return *value || flag->kind == KIND_ANY_TEXT;
    case KIND_LIST:
        return *value && append(at, value);
    case KIND_PAIRS:
        return is_pair(value) && append(at, value);
    case KIND_NETWORKS:
        return is_network(value) && append(at, value);
    case KIND_NAMESPACE:
        return take_namespace(at, value);
    case KIND_SECONDS:
        return take_seconds(at, value);
    case KIND_COUNT:
        return take_count(at, value, INT32_MAX);
    case KIND_FORMAT:
        return take_word(at, value, "json", "table");
    case KIND_MODE:
        return take_word(at, value, "orphan", "orphan");
    case KIND_OPERATION:
        return operation_parse(value, at);
    case KIND_OBJECT:
        return take_object(at, value);
    case KIND_LIMIT:
        return take_limit(at, value);
    case KIND_MOMENT:
        return take_moment(at, value);
    case KIND_SWITCH:
        break;
    }
    return false;
}

/* The flag that text, without its dashes, begins with. */
static const struct flag *find(const char *text, size_t length)
{
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        if (strlen(table[i].name) == length && memcmp(table[i].name, text, length) == 0)
            return &table[i];
    }
    return NULL;
}

/* One flag, whose value may be the argument behind it: then *argument moves on to that. */
static bool take_flag(struct tool_flags *flags, char ***argument, struct error *err)
{
    char *text = **argument + 1 + ((**argument)[1] == '-');
    size_t length = strcspn(text, "=");
    const struct flag *flag = find(text, length);

    if (!flag)
        return error_set(err, ERROR_BAD_REQUEST, "unknown flag -%.*s", (int)length, text);
    void *at = (char *)flags + flag->offset;
    flags->given |= UINT64_C(1) << (flag - table);
    flags->in_namespace = flags->in_namespace || flag->kind == KIND_NAMESPACE;
    if (flag->kind == KIND_SWITCH) {
        *(bool *)at = text[length] == '\0';
        return *(bool *)at ||
               error_set(err, ERROR_BAD_REQUEST, "-%s takes no value", flag->name);
    }
    if (text[length] == '\0' && !(*argument)[1])
        return error_set(err, ERROR_BAD_REQUEST, "-%s: a value is missing", flag->name);
    char *value = text[length] == '=' ? text + length + 1 : *++*argument;
    if (!utf8_valid(value))
        return error_set(err, ERROR_BAD_REQUEST, "-%s: not UTF-8", flag->name);
    return take_value(flag, at, value) ||
           error_set(err, ERROR_BAD_REQUEST, "-%s: %s", flag->name, wanted[flag->kind]);
}

int tool_flags_parse(struct tool_flags *flags, char *argv[], struct error *err)
{
    int count = 0;

    for (char **argument = argv; *argument; argument++) {
        if (strcmp(*argument, "--") == 0) {
            while (*++argument)
                argv[count++] = *argument;
            break;
        }
        if (**argument != '-' || strcmp(*argument, "-") == 0)
            argv[count++] = *argument;
        else if (!take_flag(flags, &argument, err))
            return -1;
    }
    argv[count] = NULL;
    return count;
}

void tool_flags_fini(struct tool_flags *flags)
{
    json_decref(flags->data);
    flags->data = NULL;
}

const char *tool_flags_stray(const struct tool_flags *flags, const char *names)
{
    char name[32];

    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        text_format(name, sizeof name, " %s ", table[i].name);
        if ((flags->given >> i & 1) && !strstr(names, name))
            return table[i].name;
    }
    return NULL;
}
