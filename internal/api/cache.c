#include "api/cache.h"

#include "base/check.h"
#include "base/map.h"
#include "base/mem.h"
#include "registry/registry.h"

struct database_entry {
    struct place place;
    int64_t loaded_us;
};

struct cache {
    const struct generation *gen;
    uint64_t seen;
    struct map bearers, databases;
};

struct cache *cache_new(const struct generation *gen)
{
    struct cache *c = MEM_NEW(struct cache);
    c->gen = gen;
    c->seen = generation_get(gen);
    map_init(&c->bearers);
    map_init(&c->databases);
    return c;
}

void bearer_release(struct bearer *b)
{
    if (!b || --b->refs)
        return;
    identity_free(b->id);
    mem_free(b->person);
    mem_free(b);
}

static void clear_bearers(struct cache *c)
{
    size_t pos = 0;
    struct str key;
    void *value;
    while (map_next(&c->bearers, &pos, &key, &value))
        bearer_release(value);
    map_release(&c->bearers);
    map_init(&c->bearers);
}

static void clear_databases(struct cache *c)
{
    size_t pos = 0;
    struct str key;
    void *value;
    while (map_next(&c->databases, &pos, &key, &value))
        mem_free(value);
    map_release(&c->databases);
    map_init(&c->databases);
}

void cache_free(struct cache *c)
{
    if (!c)
        return;
    clear_bearers(c);
    clear_databases(c);
    map_release(&c->bearers);
    map_release(&c->databases);
    mem_free(c);
}

uint64_t cache_sync(struct cache *c)
{
    uint64_t now = generation_get(c->gen);
    if (now != c->seen) {
        clear_bearers(c);
        clear_databases(c);
        c->seen = now;
    }
    return now;
}

static bool fresh(int64_t loaded_us, int64_t now_us)
{
    return now_us - loaded_us < (int64_t)GENERATION_TRUST_MS * 1000;
}

struct bearer *cache_bearer(struct cache *c, const struct digest *hash, int64_t now_us)
{
    struct bearer *b = map_get(&c->bearers, digest_str(hash));
    if (!b || !fresh(b->loaded_us, now_us))
        return NULL;
    b->refs++;
    return b;
}

struct bearer *bearer_new(struct identity *id, struct person *person)
{
    struct bearer *b = MEM_NEW(struct bearer);
    *b = (struct bearer){.id = id, .person = person, .refs = 1};
    return b;
}

void cache_put_bearer(
    struct cache *c, const struct digest *hash, struct bearer *b, uint64_t generation, int64_t now_us)
{
    b->loaded_us = now_us;
    if (cache_sync(c) != generation)
        return;
    if (c->bearers.count >= CACHE_ENTRIES_MAX)
        clear_bearers(c);
    b->refs++;
    bearer_release(map_put(&c->bearers, digest_str(hash), b));
}

#define NAME_MAX_BYTES    (SLUG_SIZE + REF_SIZE) /* "main.pr-42" */
#define DATABASE_KEY_SIZE (SLUG_SIZE + 1 + NAME_MAX_BYTES)

/* "acme/main": no slug holds a slash. Anything longer names no database. */
static bool database_key(struct str ns, struct str slug, char out[DATABASE_KEY_SIZE], struct str *ret)
{
    if (ns.len >= SLUG_SIZE || slug.len >= NAME_MAX_BYTES)
        return false;
    memcpy(out, ns.ptr, ns.len);
    out[ns.len] = '/';
    memcpy(out + ns.len + 1, slug.ptr, slug.len);
    *ret = str_make(out, ns.len + 1 + slug.len);
    return true;
}

bool cache_database(struct cache *c, struct str ns, struct str slug, int64_t now_us, struct place *ret)
{
    char text[DATABASE_KEY_SIZE];
    struct str key;
    if (!database_key(ns, slug, text, &key))
        return false;
    const struct database_entry *e = map_get(&c->databases, key);
    if (!e || !fresh(e->loaded_us, now_us))
        return false;
    *ret = e->place;
    return true;
}

void cache_put_database(struct cache *c, struct str ns, struct str slug, const struct place *place,
    uint64_t generation, int64_t now_us)
{
    char text[DATABASE_KEY_SIZE];
    struct str key;
    if (cache_sync(c) != generation || !database_key(ns, slug, text, &key))
        return;
    if (c->databases.count >= CACHE_ENTRIES_MAX)
        clear_databases(c);
    struct database_entry *e = MEM_NEW(struct database_entry);
    *e = (struct database_entry){*place, now_us};
    mem_free(map_put(&c->databases, key, e));
}
