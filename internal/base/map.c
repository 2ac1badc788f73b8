/* Open addressing with linear probing over a power of two, at most three quarters full, tombstones counted.
 * The hash is SipHash-1-3 under a key drawn for each map. */
#include "base/map.h"
#include "base/check.h"
#include "base/mem.h"
#include "base/rand.h"
#include "base/siphash.h"

enum { MAP_FIRST = 16 };

struct map_slot {
    char *key; /* NULL: free, or a tombstone when `hash` is not 0 */
    size_t len;
    uint64_t hash;
    void *value;
};

static uint64_t map_hash(const struct map *m, struct str key)
{
    return siphash(m->key, key, 1, 3) | 1; /* never 0, which marks a free slot */
}

void map_init(struct map *m)
{
    *m = (struct map){.slots = NULL};
}

void map_release(struct map *m)
{
    for (size_t i = 0; i < m->cap; i++)
        mem_free(m->slots[i].key);
    mem_free(m->slots);
    map_init(m);
}

/* The slot that holds `key`, or NULL. */
static struct map_slot *map_find(const struct map *m, struct str key, uint64_t hash)
{
    if (!m->cap)
        return NULL;
    for (size_t i = hash & (m->cap - 1);; i = (i + 1) & (m->cap - 1)) {
        struct map_slot *slot = &m->slots[i];
        if (slot->key ? slot->hash == hash && str_eq(str_make(slot->key, slot->len), key) : slot->hash == 0)
            return slot->key ? slot : NULL;
    }
}

/* The first slot on the key's way that can take it; the key is known to be absent. */
static struct map_slot *map_vacant(const struct map *m, uint64_t hash)
{
    size_t i = hash & (m->cap - 1);
    while (m->slots[i].key)
        i = (i + 1) & (m->cap - 1);
    return &m->slots[i];
}

static void map_rehash(struct map *m)
{
    struct map old = *m;
    if (!old.cap)
        rand_bytes(m->key, sizeof m->key);
    m->cap = MAP_FIRST;
    while (m->cap < (old.count + 1) * 2)
        m->cap *= 2;
    m->slots = mem_array(m->cap, sizeof *m->slots);
    m->tombs = 0;
    for (size_t i = 0; i < old.cap; i++)
        if (old.slots[i].key)
            *map_vacant(m, old.slots[i].hash) = old.slots[i];
    mem_free(old.slots);
}

void *map_get(const struct map *m, struct str key)
{
    const struct map_slot *slot = m->cap ? map_find(m, key, map_hash(m, key)) : NULL;
    return slot ? slot->value : NULL;
}

void *map_put(struct map *m, struct str key, void *value)
{
    CHECK(value != NULL);
    if ((m->count + m->tombs + 1) * 4 > m->cap * 3)
        map_rehash(m);
    uint64_t hash = map_hash(m, key);
    struct map_slot *slot = map_find(m, key, hash);
    if (slot) {
        void *old = slot->value;
        slot->value = value;
        return old;
    }
    slot = map_vacant(m, hash);
    if (slot->hash)
        m->tombs--;
    *slot = (struct map_slot){mem_dup_str(key), key.len, hash, value};
    m->count++;
    return NULL;
}

void *map_del(struct map *m, struct str key)
{
    struct map_slot *slot = m->cap ? map_find(m, key, map_hash(m, key)) : NULL;
    if (!slot)
        return NULL;
    void *old = slot->value;
    mem_free(slot->key);
    *slot = (struct map_slot){.hash = 1};
    m->count--;
    m->tombs++;
    return old;
}

bool map_next(const struct map *m, size_t *pos, struct str *ret_key, void **ret_value)
{
    for (; *pos < m->cap; (*pos)++) {
        const struct map_slot *slot = &m->slots[*pos];
        if (!slot->key)
            continue;
        *ret_key = str_make(slot->key, slot->len);
        *ret_value = slot->value;
        (*pos)++;
        return true;
    }
    return false;
}
