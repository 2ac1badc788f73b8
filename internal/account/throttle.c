/* See throttle.h. */
#include "account/throttle.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/list.h"
#include "base/map.h"
#include "base/mem.h"
#include <pthread.h>

#define US_PER_MS 1000
#define US_PER_S  1000000

struct entry {
    struct list node; /* of its table, the one used last at the end */
    int64_t count;    /* failures of an account; attempts that an address has spent */
    int64_t at_us;    /* an account's last failure; when an address last got an attempt back */
    struct str key;   /* behind the struct */
};

struct table {
    struct map by_key;
    struct list by_use;
};

struct throttle {
    pthread_mutex_t lock;
    struct table addresses, accounts;
};

static void table_init(struct table *t)
{
    map_init(&t->by_key);
    list_init(&t->by_use);
}

static void entry_drop(struct table *t, struct entry *e)
{
    (void)map_del(&t->by_key, e->key); /* it is there */
    list_remove(&e->node);
    mem_free(e);
}

static void table_release(struct table *t)
{
    while (!list_empty(&t->by_use))
        entry_drop(t, LIST_FIRST(&t->by_use, struct entry, node));
    map_release(&t->by_key);
}

static struct entry *entry_new(struct table *t, struct str key, int64_t now_us)
{
    if (t->by_key.count >= (size_t)LIMIT_THROTTLE_ENTRIES)
        entry_drop(t, LIST_FIRST(&t->by_use, struct entry, node));
    struct entry *e = mem_alloc(sizeof *e + key.len);
    char *text = (char *)(e + 1);
    memcpy(text, key.ptr, key.len);
    e->key = str_make(text, key.len);
    e->at_us = now_us;
    list_init(&e->node);
    void *before = map_put(&t->by_key, key, e);
    CHECK(!before);
    return e;
}

static struct entry *entry_use(struct table *t, struct str key, int64_t now_us)
{
    struct entry *e = map_get(&t->by_key, key);
    if (!e)
        e = entry_new(t, key, now_us);
    list_remove(&e->node);
    list_push_back(&t->by_use, &e->node);
    return e;
}

struct throttle *throttle_new(void)
{
    struct throttle *t = MEM_NEW(struct throttle);
    CHECK(pthread_mutex_init(&t->lock, NULL) == 0);
    table_init(&t->addresses);
    table_init(&t->accounts);
    return t;
}

void throttle_free(struct throttle *t)
{
    if (!t)
        return;
    table_release(&t->addresses);
    table_release(&t->accounts);
    pthread_mutex_destroy(&t->lock);
    mem_free(t);
}

/* Gives back what time has earned; returns how long the address must wait, 0: not at all. */
static int64_t address_wait(struct entry *e, int64_t now_us)
{
    int64_t refill_us = LIMIT_SIGN_IN_REFILL_MS * US_PER_MS;
    int64_t earned = (now_us - e->at_us) / refill_us;
    e->count = e->count > earned ? e->count - earned : 0;
    e->at_us = e->count ? e->at_us + earned * refill_us : now_us;
    return e->count < LIMIT_SIGN_IN_BURST_PER_IP ? 0 : e->at_us + refill_us - now_us;
}

static int64_t account_wait(struct entry *e, int64_t now_us)
{
    int64_t wait_us = US_PER_S, most_us = LIMIT_SIGN_IN_WAIT_MAX_MS * US_PER_MS;
    if (now_us - e->at_us > LIMIT_SIGN_IN_FORGET_MS * US_PER_MS)
        e->count = 0;
    if (e->count < LIMIT_SIGN_IN_FREE_FAILURES)
        return 0;
    for (int64_t i = LIMIT_SIGN_IN_FREE_FAILURES; i < e->count && wait_us < most_us; i++)
        wait_us *= 2;
    wait_us = wait_us < most_us ? wait_us : most_us;
    return e->at_us + wait_us > now_us ? e->at_us + wait_us - now_us : 0;
}

static enum err_code refuse(int64_t wait_us, struct err *err)
{
    return err_retry(err, ERR_RATE_LIMITED, (int)((wait_us + US_PER_S - 1) / US_PER_S),
        "Too many attempts; try again later");
}

static int64_t count_attempt(struct throttle *t, struct str address, struct str account, int64_t now_us)
{
    struct entry *from = entry_use(&t->addresses, address, now_us);
    struct entry *to = entry_use(&t->accounts, account, now_us);
    int64_t a = address_wait(from, now_us), b = account_wait(to, now_us);
    if (a || b)
        return a > b ? a : b;
    from->count++;
    to->count++;
    to->at_us = now_us;
    return 0;
}

enum err_code throttle_begin(struct throttle *t, struct str address, struct str account, struct err *err)
{
    int64_t now_us = clock_mono_us();
    CHECK(pthread_mutex_lock(&t->lock) == 0);
    int64_t wait_us = count_attempt(t, address, account, now_us);
    CHECK(pthread_mutex_unlock(&t->lock) == 0);
    return wait_us ? refuse(wait_us, err) : ERR_OK;
}

static void take_back(struct table *t, struct str key, bool all)
{
    struct entry *e = map_get(&t->by_key, key);
    if (!e)
        return; /* forgotten meanwhile */
    if (e->count <= 1 || all)
        entry_drop(t, e);
    else
        e->count--;
}

void throttle_succeed(struct throttle *t, struct str address, struct str account)
{
    CHECK(pthread_mutex_lock(&t->lock) == 0);
    take_back(&t->addresses, address, false);
    take_back(&t->accounts, account, true);
    CHECK(pthread_mutex_unlock(&t->lock) == 0);
}

void throttle_cancel(struct throttle *t, struct str address, struct str account)
{
    CHECK(pthread_mutex_lock(&t->lock) == 0);
    take_back(&t->addresses, address, false);
    take_back(&t->accounts, account, false);
    CHECK(pthread_mutex_unlock(&t->lock) == 0);
}
