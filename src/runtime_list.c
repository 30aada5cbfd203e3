/* SPDX-License-Identifier: MIT */
#include "runtime_list.h"

#include "go_json.h"
#include "hash.h"
#include "secret.h"

#include <stdlib.h>
#include <string.h>

enum {
    MEAN = 256,          /* runtimes of a chunk */
    CONTENT_EXTRA = 512, /* more than an entry takes beside its content */
};

/* A runtime of a chunk. */
struct place {
    uint32_t at;      /* its comma, in the chunk's text */
    uint16_t name_at; /* from there */
    uint8_t name_length;
    bool opens; /* a chunk begins here, whatever is in front */
};

/* The content of a chunk's entry; a mark for each place, the type and the text follow. To
 * look for a name among marks, which lie close together, takes less time than among the
 * names. */
struct chunk {
    unsigned char hash[RUNTIME_LIST_HASH]; /* of the text */
    uint32_t count;
    uint32_t length; /* of the text */
    uint32_t type_length;
    struct place places[];
};

/* Type and name, by which everything is sorted. */
struct key {
    const char *type, *name;
    size_t type_length, name_length;
};

/* Of a name: of it depends whether a chunk begins there, so it is the same in every
 * worker. */
static uint64_t hash_of(const char *name, size_t length)
{
    static const struct hash_seed seed = {0x72756e74696d6573, 0x6361746564000001};

    return hash_bytes(&seed, name, length);
}

static uint32_t mark_of(uint64_t hash)
{
    return (uint32_t)(hash >> 32);
}

/* --- looking at chunks */

static const struct chunk *chunk_of(const struct runtime_list *list, size_t index)
{
    return cache_bytes(list->chunks[index]);
}

static const uint32_t *marks_of(const struct chunk *chunk)
{
    return (const uint32_t *)(chunk->places + chunk->count);
}

static const char *type_of(const struct chunk *chunk)
{
    return (const char *)(marks_of(chunk) + chunk->count);
}

static const char *text_of(const struct chunk *chunk)
{
    return type_of(chunk) + chunk->type_length;
}

static struct key key_at(const struct chunk *chunk, size_t index)
{
    const struct place *place = &chunk->places[index];

    return (struct key){type_of(chunk), text_of(chunk) + place->at + place->name_at,
                        chunk->type_length, place->name_length};
}

static int compare_bytes(const char *one, size_t one_length, const char *other,
                         size_t other_length)
{
    int order = memcmp(one, other, one_length < other_length ? one_length : other_length);

    return order != 0 ? order : (one_length > other_length) - (one_length < other_length);
}

static int compare(const struct key *one, const struct key *other)
{
    int order =
        compare_bytes(one->type, one->type_length, other->type, other->type_length);

    return order != 0 ? order
                      : compare_bytes(one->name, one->name_length, other->name,
                                      other->name_length);
}

static bool has_type(const struct chunk *chunk, const char *type)
{
    return !type || !*type ||
           (chunk->type_length == strlen(type) &&
            memcmp(type_of(chunk), type, chunk->type_length) == 0);
}

struct runtime_range runtime_list_range(const struct runtime_list *list, const char *type)
{
    struct runtime_range range = {.first = list->count};

    for (size_t i = 0; i < list->count; i++) {
        const struct chunk *chunk = chunk_of(list, i);
        if (!has_type(chunk, type))
            continue;
        if (range.count == 0)
            range.first = i;
        range.end = i + 1;
        range.count += chunk->count;
        range.length += chunk->length;
    }
    if (range.count == 0)
        range.end = range.first;
    return range;
}

const char *runtime_list_text(const struct runtime_list *list, size_t index,
                              size_t *length)
{
    const struct chunk *chunk = chunk_of(list, index);

    *length = chunk->length;
    return text_of(chunk);
}

static struct key first_key(const struct runtime_list *list, size_t index)
{
    return key_at(chunk_of(list, index), 0);
}

/* The last chunk that does not begin behind the key; the first where all do. */
static const struct chunk *chunk_around(const struct runtime_list *list,
                                        const struct key *key)
{
    size_t low = 0, high = list->count;

    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        struct key there = first_key(list, middle);
        if (compare(&there, key) <= 0)
            low = middle;
        else
            high = middle;
    }
    return chunk_of(list, low);
}

static size_t length_at(const struct chunk *chunk, size_t index)
{
    uint32_t end = index + 1 < chunk->count ? chunk->places[index + 1].at : chunk->length;

    return end - chunk->places[index].at;
}

const char *runtime_list_find(const struct runtime_list *list, const char *type,
                              const char *name, size_t *length)
{
    struct key key = {type, name, strlen(type), strlen(name)};

    if (list->count == 0)
        return NULL;
    const struct chunk *chunk = chunk_around(list, &key);
    const uint32_t *marks = marks_of(chunk),
                   mark = mark_of(hash_of(name, key.name_length));
    for (size_t i = 0; i < chunk->count; i++) {
        if (marks[i] != mark)
            continue;
        struct key there = key_at(chunk, i);
        if (compare(&there, &key) != 0)
            continue;
        *length = length_at(chunk, i) - 1;
        return text_of(chunk) + chunk->places[i].at + 1;
    }
    return NULL;
}

bool runtime_list_hash(unsigned char hash[static RUNTIME_LIST_HASH],
                       const struct runtime_list *list, const struct runtime_range *range)
{
    size_t size = (range->end - range->first) * RUNTIME_LIST_HASH;
    unsigned char *all = malloc(size + 1);

    for (size_t i = range->first; all && i < range->end; i++)
        memcpy(all + (i - range->first) * RUNTIME_LIST_HASH, chunk_of(list, i)->hash,
               RUNTIME_LIST_HASH);
    bool hashed = all && secret_hash(hash, all, size);
    free(all);
    return hashed;
}

/* --- rows */

static const char *part(const char **text, char end, size_t *length)
{
    const char *begin = *text;

    *length = (size_t)(strchrnul(begin, end) - begin);
    *text = begin + *length + (begin[*length] != '\0');
    return begin;
}

bool runtime_row_next(struct runtime_row *row, const char **text)
{
    if (!**text)
        return false;
    row->type = part(text, '\t', &row->type_length);
    row->name = part(text, '\t', &row->name_length);
    row->json = part(text, '\n', &row->json_length);
    return true;
}

/* --- the builder */

/* Bytes or things in a row that grows. */
struct heap {
    void *memory;
    size_t used, size; /* bytes */
};

/* Room for so many bytes more. NULL: no memory. */
static void *extend(struct heap *heap, size_t bytes)
{
    if (bytes > heap->size - heap->used) {
        size_t size = 2 * heap->size + bytes;
        void *memory = realloc(heap->memory, size);
        if (!memory)
            return NULL;
        heap->memory = memory;
        heap->size = size;
    }
    void *room = (char *)heap->memory + heap->used;
    heap->used += bytes;
    return room;
}

struct runtime_list_builder {
    struct cache *cache;
    size_t keep_bytes, kept_bytes;
    const char *wanted; /* the type that sums are made of */
    struct runtime_sums sums;
    struct heap chunks; /* pointers to entries, held */
    struct heap hashes; /* of the chunks that sums are made of */

    /* The chunk that grows. */
    char type[RUNTIME_LIST_TYPE_MAX];
    size_t type_length; /* 0: there is no chunk yet */
    struct heap places, text;
    struct heap content; /* of the last one that was closed; to be used again */
};

struct runtime_list_builder *runtime_list_builder_new(struct cache *cache,
                                                      size_t keep_bytes, const char *type)
{
    struct runtime_list_builder *builder = calloc(1, sizeof *builder);

    if (!builder)
        return NULL;
    builder->cache = cache;
    builder->keep_bytes = keep_bytes;
    builder->wanted = type;
    builder->sums.kept = true;
    return builder;
}

static size_t chunk_count(const struct runtime_list_builder *builder)
{
    return builder->chunks.used / sizeof(struct cache_entry *);
}

static struct cache_entry *last_chunk(const struct runtime_list_builder *builder)
{
    struct cache_entry *const *chunks = builder->chunks.memory;

    return chunk_count(builder) > 0 ? chunks[chunk_count(builder) - 1] : NULL;
}

static void drop_chunks(struct runtime_list_builder *builder)
{
    struct cache_entry **chunks = builder->chunks.memory;

    for (size_t i = 0; i < chunk_count(builder); i++)
        cache_release(chunks[i]);
    builder->chunks.used = 0;
}

void runtime_list_builder_free(struct runtime_list_builder *builder)
{
    if (!builder)
        return;
    drop_chunks(builder);
    struct heap *heaps[] = {&builder->chunks, &builder->hashes, &builder->places,
                            &builder->text, &builder->content};
    for (size_t i = 0; i < sizeof heaps / sizeof *heaps; i++)
        free(heaps[i]->memory);
    free(builder);
}

/* Adds to the sums. */
static bool sum_up(struct runtime_list_builder *builder, const struct chunk *chunk)
{
    if (!has_type(chunk, builder->wanted))
        return true;
    unsigned char *hash = extend(&builder->hashes, RUNTIME_LIST_HASH);
    if (!hash)
        return false;
    memcpy(hash, chunk->hash, RUNTIME_LIST_HASH);
    builder->sums.count += chunk->count;
    builder->sums.length += chunk->length;
    return true;
}

/* Takes over an entry, unless it is one too many. */
static bool push(struct runtime_list_builder *builder, struct cache_entry *entry)
{
    struct cache_entry **place = extend(&builder->chunks, sizeof entry);

    if (!place) {
        cache_release(entry);
        return false;
    }
    *place = entry;
    builder->kept_bytes += cache_size(entry) + CONTENT_EXTRA;
    if (builder->kept_bytes > builder->keep_bytes) {
        builder->sums.kept = false;
        drop_chunks(builder);
    }
    return true;
}

/* Writes the content of the chunk that grows. */
static bool write_content(struct runtime_list_builder *builder)
{
    size_t count = builder->places.used / sizeof(struct place);
    size_t size = sizeof(struct chunk) + builder->places.used + count * sizeof(uint32_t) +
                  builder->type_length + builder->text.used;

    builder->content.used = 0;
    struct chunk *chunk = extend(&builder->content, size);
    if (!chunk || !secret_hash(chunk->hash, builder->text.memory, builder->text.used))
        return false;
    chunk->count = (uint32_t)count;
    chunk->length = (uint32_t)builder->text.used;
    chunk->type_length = (uint32_t)builder->type_length;
    memcpy(chunk->places, builder->places.memory, builder->places.used);
    memcpy((char *)type_of(chunk), builder->type, builder->type_length);
    memcpy((char *)text_of(chunk), builder->text.memory, builder->text.used);
    for (size_t i = 0; i < count; i++) {
        struct key key = key_at(chunk, i);
        ((uint32_t *)marks_of(chunk))[i] = mark_of(hash_of(key.name, key.name_length));
    }
    return true;
}

/* Closes the chunk that grows, if there is one. */
static bool close_chunk(struct runtime_list_builder *builder)
{
    if (builder->places.used == 0)
        return true;
    if (!write_content(builder) || !sum_up(builder, builder->content.memory))
        return false;
    builder->places.used = builder->text.used = 0;
    if (!builder->sums.kept)
        return true;
    struct cache_entry *entry =
        cache_entry_new(builder->cache, NULL, 0, NULL, 0,
                        &(struct cache_content){.bytes = builder->content.memory,
                                                .size = builder->content.used});
    return entry && push(builder, entry);
}

/* Whether what comes next begins a chunk. */
static bool begins(const struct runtime_list_builder *builder, const struct key *key,
                   bool opens)
{
    return opens || key->type_length != builder->type_length ||
           memcmp(key->type, builder->type, key->type_length) != 0;
}

static bool add_places(struct runtime_list_builder *builder, const struct chunk *chunk);

/* Goes on with the last chunk, which seemed to be complete. */
static bool reopen(struct runtime_list_builder *builder)
{
    struct cache_entry *entry = last_chunk(builder);

    if (builder->places.used > 0 || !entry)
        return true;
    const struct chunk *chunk = cache_bytes(entry);
    builder->chunks.used -= sizeof entry;
    builder->kept_bytes -= cache_size(entry) + CONTENT_EXTRA;
    if (has_type(chunk, builder->wanted)) {
        builder->hashes.used -= RUNTIME_LIST_HASH;
        builder->sums.count -= chunk->count;
        builder->sums.length -= chunk->length;
    }
    bool added = add_places(builder, chunk);
    cache_release(entry);
    return added;
}

/* Makes ready for a runtime of that key. */
static bool prepare(struct runtime_list_builder *builder, const struct key *key,
                    bool opens)
{
    if (!begins(builder, key, opens))
        return reopen(builder);
    if (!close_chunk(builder) || key->type_length > sizeof builder->type)
        return false;
    memcpy(builder->type, key->type, key->type_length);
    builder->type_length = key->type_length;
    return true;
}

/* Adds the runtimes of a chunk as they are. */
static bool add_places(struct runtime_list_builder *builder, const struct chunk *chunk)
{
    uint32_t before = (uint32_t)builder->text.used;
    struct place *places = extend(&builder->places, chunk->count * sizeof *places);
    char *text = extend(&builder->text, chunk->length);

    if (!places || !text)
        return false;
    memcpy(text, text_of(chunk), chunk->length);
    for (size_t i = 0; i < chunk->count; i++) {
        places[i] = chunk->places[i];
        places[i].at += before;
    }
    return true;
}

static bool add_chunk(struct runtime_list_builder *builder, struct cache_entry *entry)
{
    const struct chunk *chunk = cache_bytes(entry);
    struct key key = key_at(chunk, 0);
    bool whole = begins(builder, &key, chunk->places[0].opens);

    if (!prepare(builder, &key, chunk->places[0].opens))
        return false;
    if (!whole)
        return add_places(builder, chunk);
    return sum_up(builder, chunk) &&
           (!builder->sums.kept || push(builder, cache_hold(entry)));
}

static bool add_place(struct runtime_list_builder *builder, const struct chunk *chunk,
                      size_t index)
{
    struct place place = chunk->places[index];
    struct key key = key_at(chunk, index);
    size_t length = length_at(chunk, index);

    if (!prepare(builder, &key, place.opens))
        return false;
    const char *from = text_of(chunk) + place.at;
    place.at = (uint32_t)builder->text.used;
    struct place *new = extend(&builder->places, sizeof place);
    char *text = extend(&builder->text, length);
    if (!new || !text)
        return false;
    *new = place;
    memcpy(text, from, length);
    return true;
}

bool runtime_list_add(struct runtime_list_builder *builder, const struct runtime_row *row)
{
    static const char before_name[] = "\"name\":\"";
    struct key key = {row->type, row->name, row->type_length, row->name_length};
    bool opens = hash_of(row->name, row->name_length) % MEAN == 0;

    if (!prepare(builder, &key, opens))
        return false;
    size_t at = builder->text.used;
    size_t room = 1 + row->json_length + go_json_growth(row->json, row->json_length);
    char *text = extend(&builder->text, room);
    struct place *place = extend(&builder->places, sizeof *place);
    if (!text || !place)
        return false;
    *text = ',';
    size_t length = 1 + go_json_respell(text + 1, row->json, row->json_length);
    builder->text.used = at + length;
    const char *name = memmem(text, length, before_name, sizeof before_name - 1);
    *place = (struct place){
        .at = (uint32_t)at,
        .name_at = name ? (uint16_t)(name + sizeof before_name - 1 - text) : 0,
        .name_length = (uint8_t)row->name_length,
        .opens = opens,
    };
    return name != NULL;
}

/* --- merging */

/* The changes that are left. */
struct changes {
    const char *text;
    struct runtime_row row;
    bool has_row;
};

static void advance(struct changes *changes)
{
    changes->has_row = runtime_row_next(&changes->row, &changes->text);
}

static int compare_change(const struct changes *changes, const struct key *key)
{
    struct key there = {changes->row.type, changes->row.name, changes->row.type_length,
                        changes->row.name_length};

    return compare(&there, key);
}

/* Adds what is new in front of the key (NULL: all), and skips what is gone. */
static bool add_changes(struct runtime_list_builder *builder, struct changes *changes,
                        const struct key *before)
{
    for (; changes->has_row && (!before || compare_change(changes, before) < 0);
         advance(changes)) {
        if (changes->row.json_length > 0 && !runtime_list_add(builder, &changes->row))
            return false;
    }
    return true;
}

static bool merge_chunk(struct runtime_list_builder *builder, struct changes *changes,
                        const struct chunk *chunk)
{
    for (size_t i = 0; i < chunk->count; i++) {
        struct key key = key_at(chunk, i);
        if (!add_changes(builder, changes, &key))
            return false;
        if (changes->has_row && compare_change(changes, &key) == 0) {
            if (changes->row.json_length > 0 && !runtime_list_add(builder, &changes->row))
                return false;
            advance(changes);
        } else if (!add_place(builder, chunk, i)) {
            return false;
        }
    }
    return true;
}

bool runtime_list_merge(struct runtime_list_builder *builder,
                        const struct runtime_list *older, const char *text)
{
    struct changes changes = {.text = text};

    advance(&changes);
    for (size_t i = 0; i < older->count; i++) {
        bool is_last = i + 1 == older->count;
        struct key end = first_key(older, is_last ? i : i + 1);
        bool touched = changes.has_row && (is_last || compare_change(&changes, &end) < 0);
        if (!touched ? !add_chunk(builder, older->chunks[i])
                     : !merge_chunk(builder, &changes, chunk_of(older, i)) ||
                           !add_changes(builder, &changes, is_last ? NULL : &end))
            return false;
    }
    return add_changes(builder, &changes, NULL);
}

/* --- the end */

bool runtime_list_end(struct runtime_list_builder *builder, struct runtime_sums *sums)
{
    if (!close_chunk(builder) ||
        !secret_hash(builder->sums.hash,
                     builder->hashes.memory ? builder->hashes.memory : "",
                     builder->hashes.used))
        return false;
    *sums = builder->sums;
    return true;
}

static void release_list(void *bytes)
{
    struct runtime_list *list = bytes;

    for (size_t i = 0; i < list->count; i++)
        cache_release(list->chunks[i]);
}

/* The texts of the moment behind the chunks. */
static void write_moment(struct runtime_list *list, const struct runtime_moment *moment)
{
    char *next = (char *)(list->chunks + list->count);

    next = stpcpy(next, moment->snapshot) + 1;
    next = stpcpy(next, moment->server) + 1;
    strcpy(next, moment->clock);
}

struct runtime_moment runtime_list_moment(const struct runtime_list *list)
{
    const char *snapshot = (const char *)(list->chunks + list->count);
    const char *server = snapshot + strlen(snapshot) + 1;

    return (struct runtime_moment){snapshot, server, server + strlen(server) + 1};
}

struct cache_entry *runtime_list_entry(struct runtime_list_builder *builder,
                                       const struct cache_key *key, uint64_t ticket,
                                       uint32_t topic,
                                       const struct runtime_moment *moment)
{
    size_t size = sizeof(struct runtime_list) + builder->chunks.used +
                  strlen(moment->snapshot) + strlen(moment->server) +
                  strlen(moment->clock) + 3;
    struct runtime_list *list = malloc(size);

    if (!list)
        return NULL;
    list->count = chunk_count(builder);
    if (list->count > 0)
        memcpy(list->chunks, builder->chunks.memory, builder->chunks.used);
    write_moment(list, moment);
    struct cache_entry *entry = cache_entry_new(builder->cache, key, ticket, &topic, 1,
                                                &(struct cache_content){
                                                    .bytes = list,
                                                    .size = size,
                                                    .entries = builder->kept_bytes,
                                                    .fini = release_list,
                                                    .lasts = true,
                                                });
    free(list);
    if (entry)
        builder->chunks.used = 0; /* the entry's from here on */
    return entry;
}
