/* Hash map from bytes to a pointer. Keys are copied; values are the caller's. Keyed hashing (SipHash with a
 * random key for each map), because keys come from clients. One thread at a time. */
#ifndef BASE_MAP_H
#define BASE_MAP_H

#include "base/attr.h"
#include "base/str.h"

struct map_slot;
struct map {
    struct map_slot *slots;
    size_t cap, count, tombs;
    uint64_t key[2];
};

void map_init(struct map *m);
void map_release(struct map *m);                    /* frees keys and table, not the values */
void *map_get(const struct map *m, struct str key); /* NULL when absent */
void *map_put(
    struct map *m, struct str key, void *value); /* value not NULL; returns the value replaced, or NULL */
void *map_del(struct map *m, struct str key);    /* returns the value removed, or NULL */

/* Iteration in no order: start with *pos = 0; false at the end. The entry just seen may be deleted, nothing
 * added. */
bool map_next(const struct map *m, size_t *pos, struct str *ret_key, void **ret_value);

#endif
