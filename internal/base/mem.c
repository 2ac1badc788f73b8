/* The allocator's one door: the only file that calls malloc's family. */
#include "base/mem.h"
#include "base/check.h"
#include <stdlib.h>

void *mem_alloc(size_t size)
{
    void *p = calloc(1, size ? size : 1);
    CHECK(p != NULL && "out of memory");
    return p;
}

void *mem_array(size_t count, size_t size)
{
    size_t total;
    CHECK(!__builtin_mul_overflow(count, size, &total));
    return mem_alloc(total);
}

void *mem_grow(void *p, size_t count, size_t size)
{
    size_t total;
    CHECK(!__builtin_mul_overflow(count, size, &total));
    void *grown = realloc(p, total ? total : 1);
    CHECK(grown != NULL && "out of memory");
    return grown;
}

void *mem_try_grow(void *p, size_t size)
{
    return realloc(p, size ? size : 1);
}

char *mem_strdup(const char *s)
{
    return mem_dup_str(str_of(s));
}

char *mem_dup_str(struct str s)
{
    char *copy = mem_alloc(s.len + 1);
    if (s.len)
        memcpy(copy, s.ptr, s.len);
    return copy;
}

void mem_free(void *p)
{
    free(p);
}

void mem_wipe(void *p, size_t size)
{
    if (!size)
        return;
    memset(p, 0, size);
    __asm__ __volatile__("" : : "r"(p) : "memory"); /* the compiler must believe that someone looks */
}
