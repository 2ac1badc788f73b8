/* What the loop knows without asking control.db: bearers by the hash of their token, people by that of their
 * session (or of the token that a program holds for them) and what it asks for, databases by their slugs. An
 * entry is used for GENERATION_TRUST_MS at most, and all are dropped as soon as the generation moves
 * (sqlite/generation.h), so a revocation holds at the next request. Loop thread only. */
#ifndef API_CACHE_H
#define API_CACHE_H

#include "account/session.h"
#include "base/id.h"
#include "sqlite/generation.h"
#include "tenant/member.h"
#include "token/token.h"

#define CACHE_ENTRIES_MAX 20000 /* of each kind; past it the cache starts anew */

struct cache;

/* An identity that requests share while they run. */
struct bearer {
    struct identity *id;   /* of a person: what the engine needs to know; its token_id is the session's */
    struct person *person; /* NULL: a token */
    unsigned refs;
    int64_t loaded_us;
};

struct cache *cache_new(const struct generation *gen);
void cache_free(struct cache *c);

/* Call first for each request: drops everything when the generation moved. Returns the generation. */
uint64_t cache_sync(struct cache *c);

/* Holds one; NULL when unknown or too old. */
struct bearer *cache_bearer(struct cache *c, const struct digest *hash, int64_t now_us);
/* Takes both and is held once by the caller. */
struct bearer *bearer_new(struct identity *id, struct person *person);
/* Keeps it for others as well when `generation` still is the newest. */
void cache_put_bearer(
    struct cache *c, const struct digest *hash, struct bearer *b, uint64_t generation, int64_t now_us);
void bearer_release(struct bearer *b); /* NULL is fine */

/* What a path's {ns} and {db} name. */
struct place {
    struct id id, parent_id; /* parent_id of a branch, else "" */
};

bool cache_database(struct cache *c, struct str ns, struct str slug, int64_t now_us, struct place *ret);
void cache_put_database(struct cache *c, struct str ns, struct str slug, const struct place *place,
    uint64_t generation, int64_t now_us);

#endif
