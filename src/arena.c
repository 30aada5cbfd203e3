/* SPDX-License-Identifier: MIT
 *
 * A list of blocks, the newest first. Small pieces are cut from the newest block, a large one
 * gets a block of its own. A reset keeps one standard block, so that a request of usual size
 * allocates nothing.
 */
#include "arena.h"

#include "secret.h"

#include <stdalign.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(__SANITIZE_ADDRESS__)
#define ARENA_POISON
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ARENA_POISON
#endif
#endif

#ifdef ARENA_POISON /* what was not handed out is out of bounds */
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(start, size) ((void)(start), (void)(size))
#define ASAN_UNPOISON_MEMORY_REGION(start, size) ((void)(start), (void)(size))
#endif

enum { BLOCK_SIZE = 16 * 1024 };

struct block {
    struct block *next;
    size_t size, used; /* of bytes */
    alignas(max_align_t) char bytes[];
};

struct arena {
    struct block *newest;
    size_t limit, taken;
};

static struct block *block_new(size_t size)
{
    struct block *block = calloc(1, sizeof *block + size);

    if (!block)
        return NULL;
    block->size = size;
    ASAN_POISON_MEMORY_REGION(block->bytes, size);
    return block;
}

/* A token may have been in it; and what is handed out next is zero. */
static void block_wipe(struct block *block)
{
    ASAN_UNPOISON_MEMORY_REGION(block->bytes, block->size);
    secret_wipe(block->bytes, block->used);
    block->used = 0;
}

static void block_free(struct block *block)
{
    block_wipe(block);
    free(block);
}

struct arena *arena_new(size_t limit)
{
    struct arena *arena = calloc(1, sizeof *arena);

    if (arena)
        arena->limit = limit;
    return arena;
}

void arena_free(struct arena *arena)
{
    if (!arena)
        return;
    while (arena->newest) {
        struct block *block = arena->newest;
        arena->newest = block->next;
        block_free(block);
    }
    free(arena);
}

void arena_reset(struct arena *arena)
{
    struct block *kept = NULL;

    while (arena->newest) {
        struct block *block = arena->newest;
        arena->newest = block->next;
        if (!kept && block->size == BLOCK_SIZE)
            kept = block;
        else
            block_free(block);
    }
    if (kept) {
        kept->next = NULL;
        block_wipe(kept);
        ASAN_POISON_MEMORY_REGION(kept->bytes, kept->size);
    }
    arena->newest = kept;
    arena->taken = 0;
}

void *arena_alloc(struct arena *arena, size_t size)
{
    if (size > arena->limit)
        return NULL;
    /* An empty piece has an address of its own too. */
    size_t piece = (size + !size + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);
    if (piece > arena->limit - arena->taken)
        return NULL;

    struct block *block = arena->newest;
    if (!block || piece > block->size - block->used) {
        block = block_new(piece > BLOCK_SIZE ? piece : BLOCK_SIZE);
        if (!block)
            return NULL;
        block->next = arena->newest;
        arena->newest = block;
    }
    char *start = block->bytes + block->used;
    block->used += piece;
    arena->taken += piece;
    ASAN_UNPOISON_MEMORY_REGION(start, size);
    return start;
}

char *arena_strndup(struct arena *arena, const char *bytes, size_t length)
{
    char *copy = length < SIZE_MAX ? arena_alloc(arena, length + 1) : NULL;

    if (copy && length > 0)
        memcpy(copy, bytes, length);
    return copy;
}

char *arena_strdup(struct arena *arena, const char *text)
{
    return arena_strndup(arena, text, strlen(text));
}

char *arena_join(struct arena *arena, const char *first, const char *second)
{
    size_t length = strlen(first), rest = strlen(second);
    char *both = arena_alloc(arena, length + rest + 1);

    if (both) {
        memcpy(both, first, length);
        memcpy(both + length, second, rest);
    }
    return both;
}

char *arena_format(struct arena *arena, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    char *text = length < 0 ? NULL : arena_alloc(arena, (size_t)length + 1);
    if (!text)
        return NULL;
    va_start(arguments, format);
    vsnprintf(text, (size_t)length + 1, format, arguments);
    va_end(arguments);
    return text;
}
