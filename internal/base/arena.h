/* Memory with the lifetime of one call: many small allocations, one release. A cap guards against a request
 * that asks for too much: past it arena_alloc returns NULL and arena_failed() stays true; callers that copy
 * user-sized data check it, small fixed needs use arena_need(), which has 64 KiB of its own behind the cap
 * and aborts past those, so that user-sized data cannot bring it down. One thread at a time. */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include "base/attr.h"
#include "base/str.h"

struct arena_block;
struct arena_defer;

struct arena {
    struct arena_block *head;
    struct arena_defer *defers;
    size_t used;
    size_t cap;
    bool failed;
};

void arena_init(struct arena *a, size_t cap);
/* Runs what was deferred, newest first, and frees everything. Keeps nothing; may be used again. */
void arena_release(struct arena *a);
static inline bool arena_failed(const struct arena *a)
{
    return a->failed;
}

void *arena_alloc(struct arena *a, size_t size);    /* zeroed, aligned for any type; NULL past the cap */
void *arena_need(struct arena *a, size_t size);     /* as above, aborts past the reserve */
char *arena_strdup(struct arena *a, const char *z); /* NULL past the cap */
struct str arena_copy(
    struct arena *a, struct str s); /* NUL-terminated behind its length; ptr NULL past the cap */
struct str arena_printf(struct arena *a, const char *fmt, ...) PRINTF_LIKE(2, 3);
void arena_defer(struct arena *a, void (*fn)(void *), void *arg); /* frees a foreign resource at release */

#define ARENA_NEW(a, type) ((type *)arena_need((a), sizeof(type)))
#define AUTO_ARENA         CLEANUP(arena_release) struct arena

#endif
