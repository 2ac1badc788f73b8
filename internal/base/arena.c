/* Bump allocation in blocks that grow from 4 to 64 KiB. Past the cap users' data is refused; our own small
 * needs have a reserve behind it, so that a request that fills its arena cannot make arena_need() abort. */
#include "base/arena.h"
#include "base/check.h"
#include "base/mem.h"
#include <stdarg.h>
#include <stdalign.h>
#include <stdio.h>

enum { BLOCK_FIRST = 4096, BLOCK_MOST = 65536, RESERVE = 65536 };

struct arena_block {
    struct arena_block *next;
    size_t size, used;
    alignas(max_align_t) unsigned char data[];
};

struct arena_defer {
    struct arena_defer *next;
    void (*fn)(void *);
    void *arg;
};

void arena_init(struct arena *a, size_t cap)
{
    CHECK(cap < SIZE_MAX / 4);
    *a = (struct arena){.cap = cap};
}

void arena_release(struct arena *a)
{
    for (struct arena_defer *d = a->defers; d; d = d->next)
        d->fn(d->arg);
    for (struct arena_block *b = a->head, *next; b; b = next) {
        next = b->next;
        mem_free(b);
    }
    arena_init(a, a->cap);
}

static struct arena_block *arena_add_block(struct arena *a, size_t need)
{
    size_t size = a->head ? a->head->size * 2 : BLOCK_FIRST;
    if (size > BLOCK_MOST)
        size = BLOCK_MOST;
    if (size < need)
        size = need;
    struct arena_block *b = mem_try_grow(NULL, sizeof *b + size);
    if (!b)
        return NULL;
    *b = (struct arena_block){.next = a->head, .size = size};
    a->head = b;
    return b;
}

static void *arena_take(struct arena *a, size_t size, size_t cap)
{
    static const size_t ALIGN = alignof(max_align_t);
    if (size > cap)
        return NULL;
    size = (size + ALIGN - 1) / ALIGN * ALIGN;
    if (size == 0)
        size = ALIGN;
    if (a->used > cap || size > cap - a->used)
        return NULL;
    struct arena_block *b = a->head;
    if (!b || b->size - b->used < size)
        b = arena_add_block(a, size);
    if (!b)
        return NULL;
    void *p = b->data + b->used;
    b->used += size;
    a->used += size;
    return memset(p, 0, size);
}

void *arena_alloc(struct arena *a, size_t size)
{
    void *p = arena_take(a, size, a->cap);
    if (!p)
        a->failed = true;
    return p;
}

void *arena_need(struct arena *a, size_t size)
{
    void *p = arena_take(a, size, a->cap + RESERVE);
    CHECK(p != NULL);
    return p;
}

struct str arena_copy(struct arena *a, struct str s)
{
    char *copy = arena_alloc(a, s.len + 1);
    if (!copy)
        return (struct str){NULL, 0};
    if (s.len)
        memcpy(copy, s.ptr, s.len);
    return (struct str){copy, s.len};
}

char *arena_strdup(struct arena *a, const char *z)
{
    struct str copy = arena_copy(a, str_of(z));
    return copy.ptr ? (char *)copy.ptr : NULL;
}

struct str arena_printf(struct arena *a, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    CHECK(n >= 0);
    char *text = arena_alloc(a, (size_t)n + 1);
    if (!text)
        return (struct str){NULL, 0};
    va_start(ap, fmt);
    (void)vsnprintf(text, (size_t)n + 1, fmt, ap); /* same text as measured above */
    va_end(ap);
    return (struct str){text, (size_t)n};
}

void arena_defer(struct arena *a, void (*fn)(void *), void *arg)
{
    struct arena_defer *d = ARENA_NEW(a, struct arena_defer);
    *d = (struct arena_defer){.next = a->defers, .fn = fn, .arg = arg};
    a->defers = d;
}
