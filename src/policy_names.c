/* SPDX-License-Identifier: MIT */
#include "policy_names.h"

#include "text.h"

#include <stdlib.h>
#include <string.h>

char *policy_name_stored(char *name)
{
    static const char spaces[] = " \t\n\v\f\r";
    size_t length;

    name += strspn(name, spaces);
    for (length = strlen(name); length > 0 && strchr(spaces, name[length - 1]); length--)
        name[length - 1] = '\0';
    for (char *c = name; *c; c++)
        *c = text_to_lower(*c);
    return name;
}

bool policy_name_check(const char *name, struct error *err)
{
    size_t length = 0;

    while (name[length] > ' ' && name[length] < 0x7f)
        length++;
    return (length > 0 && length <= 255 && name[length] == '\0') ||
           error_set(err, ERROR_BAD_REQUEST,
                     "name: 255 bytes of printable ASCII at most, no upper case, not \"root\"");
}

bool policy_name_is_fixed(const char *name)
{
    return strcmp(name, "root") == 0 || strcmp(name, "response-wrapping") == 0 ||
           strcmp(name, "control-group") == 0;
}

/* Puts text's name into the set. */
static bool add(json_t *set, const char *text)
{
    char *copy = strdup(text);
    const char *name = copy ? policy_name_stored(copy) : "";
    bool added = copy && (!*name || json_object_set_new(set, name, json_true()) == 0);

    free(copy);
    return added;
}

static int by_bytes(const void *left, const void *right)
{
    return strcmp(*(const char *const *)left, *(const char *const *)right);
}

/* The keys of a set, sorted, as a new array; NULL: out of memory. */
static json_t *sorted(json_t *set)
{
    size_t count = 0;
    const char **names = malloc((json_object_size(set) + 1) * sizeof *names);
    json_t *list = json_array(), *value;
    const char *name;
    bool good = names && list;

    json_object_foreach(set, name, value)
    {
        if (names)
            names[count++] = name;
    }
    if (names)
        qsort(names, count, sizeof *names, by_bytes);
    for (size_t i = 0; good && i < count; i++)
        good = json_array_append_new(list, json_string(names[i])) == 0;
    free(names);
    if (good)
        return list;
    json_decref(list);
    return NULL;
}

json_t *policy_names_clean(const json_t *names, struct error *err)
{
    json_auto_t *set = json_object();
    json_t *name, *list = NULL;
    bool good = set != NULL;
    size_t i;

    json_array_foreach(names, i, name) good = good && add(set, json_string_value(name));
    if (good && json_object_get(set, "root"))
        good = json_object_clear(set) == 0 && add(set, "root");
    if (good)
        list = sorted(set);
    if (!list)
        error_exhausted(err);
    return list;
}

bool policy_names_have(const json_t *names, const char *name)
{
    json_t *one;
    size_t i;

    json_array_foreach(names, i, one)
    {
        if (strcmp(json_string_value(one), name) == 0)
            return true;
    }
    return false;
}

bool policy_names_contain(const json_t *names, const json_t *others)
{
    json_t *one;
    size_t i;

    json_array_foreach(others, i, one)
    {
        if (!policy_names_have(names, json_string_value(one)))
            return false;
    }
    return true;
}

json_t *policy_names_with_default(const json_t *names, bool add_it, bool remove, struct error *err)
{
    json_auto_t *set = json_object();
    json_t *name, *list = NULL;
    bool good = set != NULL;
    size_t i;

    json_array_foreach(names, i, name) good = good && add(set, json_string_value(name));
    if (add_it && !policy_names_have(names, "root"))
        good = good && add(set, "default");
    if (good && remove)
        json_object_del(set, "default");
    if (good)
        list = sorted(set);
    if (!list)
        error_exhausted(err);
    return list;
}

const char *policy_names_reserved(const json_t *names)
{
    json_t *one;
    size_t i;

    json_array_foreach(names, i, one)
    {
        const char *name = json_string_value(one);
        if (policy_name_is_fixed(name) && strcmp(name, "root") != 0)
            return name;
    }
    return NULL;
}
