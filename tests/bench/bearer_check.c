/* What the loop does for the bearer of a request that its cache knows, from the secret to the database's id:
 * the calls of api/dispatch.c in their order, without HTTP around them. Prints processor time as nanoseconds
 * a check: of one bearer again and again, and of a full cache in random order, as whoever comes next finds
 * it. */
#include "api/cache.h"
#include "api/capability.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/rand.h"
#include <stdio.h>
#include <time.h>

enum { BEARERS = CACHE_ENTRIES_MAX, CHECKS = 400000 };

struct known {
    struct secret secret;
    char slug[SLUG_SIZE];
};

static struct known *all;
static struct cache *cache;

static void add(struct known *k, unsigned number, uint64_t generation)
{
    struct identity *who = MEM_NEW(struct identity);
    struct digest hash;
    struct place place = {.id = id_new("db")};
    int64_t now_us = clock_mono_us();

    token_generate(TOKEN_LIVE, &k->secret);
    CHECK(token_parse(secret_reveal(&k->secret), &hash, NULL) == ERR_OK);
    str_print(k->slug, sizeof k->slug, "bench-%06u", number);
    who->token_id = id_new("tok");
    who->namespace_id = id_new("ns");
    memcpy(who->namespace_slug, k->slug, sizeof k->slug);
    who->role = WIRE_ROLE_READWRITE;
    who->expires_at = clock_wall_ms() + 86400000;
    struct bearer *b = bearer_new(who, NULL);
    cache_put_bearer(cache, &hash, b, generation, now_us);
    bearer_release(b);
    cache_put_database(cache, str_of(k->slug), S("main"), &place, generation, now_us);
}

static void check(const struct known *k)
{
    struct digest hash;
    struct place place;
    struct str ns = str_of(k->slug);

    CHECK(token_parse(secret_reveal(&k->secret), &hash, NULL) == ERR_OK);
    int64_t now_us = clock_mono_us();
    (void)cache_sync(cache); /* nothing changes here */
    struct bearer *b = cache_bearer(cache, &hash, now_us);
    CHECK(b && !identity_expired(b->id, clock_wall_ms()) && identity_admits(b->id, S("203.0.113.7")));
    CHECK(str_eq(ns, str_of(b->id->namespace_slug)));
    CHECK(capability_check(
              CAP_SQL, b->id->role, b->id->database_id.text[0] || b->id->has_table_scope, NULL) == ERR_OK);
    CHECK(cache_database(cache, ns, S("main"), now_us, &place));
    bearer_release(b);
}

static double cpu_ns(void)
{
    struct timespec t;

    CHECK(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t) == 0);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static double measure(unsigned among)
{
    unsigned *order = mem_alloc(CHECKS * sizeof *order);

    for (unsigned i = 0; i < CHECKS; i++)
        order[i] = (unsigned)rand_below(among);
    double begun = cpu_ns();
    for (unsigned i = 0; i < CHECKS; i++)
        check(&all[order[i]]);
    double each = (cpu_ns() - begun) / CHECKS;
    mem_free(order);
    return each;
}

int main(int argc, char **argv)
{
    struct generation *gen;

    CHECK(argc == 2 && generation_open(argv[1], &gen, NULL) == ERR_OK);
    all = mem_alloc(BEARERS * sizeof *all);
    cache = cache_new(gen);
    for (unsigned i = 0; i < BEARERS; i++)
        add(&all[i], i, generation_get(gen));
    printf("%.0f %.0f\n", measure(1), measure(BEARERS));
    cache_free(cache);
    generation_close(gen);
    mem_free(all);
    return 0;
}
