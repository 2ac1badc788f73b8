/* An even choice among a table's rows: one pass over its keys that keeps those with the smallest hashes. */
#include "base/mem.h"
#include "base/strbuf.h"
#include "engine/sample_internal.h"

#include <stdlib.h>

enum { SQL_MAX = 1 << 20, KEY_MAX = 8 << 20, ROWS_BETWEEN_LOOKS = 256 };

/* SplitMix64's last steps. */
static uint64_t mix(uint64_t z)
{
    z += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static uint64_t hash_key(uint64_t seed, struct str key)
{
    uint64_t h = mix(seed);
    for (size_t i = 0; i < key.len; i++)
        h = mix(h ^ (unsigned char)key.ptr[i]);
    return h;
}

/* --- The largest on top --- */

static bool comes_after(const struct sample_choice *a, const struct sample_choice *b)
{
    return a->hash > b->hash;
}

static void swap(struct sample_choice *a, struct sample_choice *b)
{
    struct sample_choice was = *a;
    *a = *b;
    *b = was;
}

static void sift_up(struct sample_choice *list, size_t i)
{
    for (; i > 0 && comes_after(&list[i], &list[(i - 1) / 2]); i = (i - 1) / 2)
        swap(&list[i], &list[(i - 1) / 2]);
}

static void sift_down(struct sample_choice *list, size_t count)
{
    for (size_t i = 0, child; (child = 2 * i + 1) < count; i = child) {
        if (child + 1 < count && comes_after(&list[child + 1], &list[child]))
            child++;
        if (!comes_after(&list[child], &list[i]))
            return;
        swap(&list[i], &list[child]);
    }
}

static void keep_key(struct sample_choice *c, struct str key)
{
    mem_free(c->key);
    c->key = NULL;
    c->key_len = key.len;
    if (key.ptr) {
        c->key = mem_alloc(key.len ? key.len : 1);
        memcpy(c->key, key.ptr, key.len);
    }
}

static void offer(struct sample_choices *c, uint64_t hash, int64_t id, struct str key)
{
    if (c->count == c->most && hash >= c->list[0].hash)
        return;
    bool full = c->count == c->most;
    struct sample_choice *slot = full ? &c->list[0] : &c->list[c->count++];
    slot->hash = hash;
    slot->id = id;
    keep_key(slot, key);
    if (full)
        sift_down(c->list, c->count);
    else
        sift_up(c->list, c->count - 1);
}

static int compare(const void *a, const void *b)
{
    const struct sample_choice *x = a, *y = b;
    return x->hash < y->hash ? -1 : x->hash > y->hash;
}

/* --- One pass --- */

static enum err_code pass(struct sample *s, const struct sample_table *t, sqlite3_stmt *stmt,
    struct sample_choices *c, struct err *err)
{
    AUTO_STRBUF key;
    bool row = false;
    uint64_t rows = 0;
    enum err_code code = ERR_OK;
    strbuf_init(&key, KEY_MAX);
    while (!code && !(code = catalog_step(s->src, stmt, &row, err)) && row) {
        if (t->by_id) {
            int64_t id = sqlite3_column_int64(stmt, 0);
            offer(c, mix(s->seed ^ mix((uint64_t)id)), id, (struct str){NULL, 0});
        } else {
            strbuf_reset(&key);
            sample_key(stmt, t->key_count, &key);
            offer(c, hash_key(s->seed, strbuf_str(&key)), 0, strbuf_str(&key));
        }
        if (++rows % ROWS_BETWEEN_LOOKS == 0)
            code = s->src->check_time(s->src->arg, err);
    }
    return code;
}

enum err_code sample_choose(
    struct sample *s, const struct sample_table *t, struct sample_choices *ret, struct err *err)
{
    AUTO_STRBUF sql;
    AUTO_SQL *stmt = NULL;
    strbuf_init(&sql, SQL_MAX);
    *ret = (struct sample_choices){.most = (size_t)t->share};
    if (!ret->most)
        return ERR_OK;
    ret->list = mem_array(ret->most, sizeof *ret->list);
    strbuf_addf(&sql, "SELECT " STR_FMT " FROM " STR_FMT, STR_ARG(t->keys), STR_ARG(t->from));
    enum err_code code = sample_prepare(s, &sql, &stmt, err);
    if (!code)
        code = pass(s, t, stmt, ret, err);
    if (!code && ret->count)
        qsort(ret->list, ret->count, sizeof *ret->list, compare);
    return code;
}

void sample_choices_release(struct sample_choices *c)
{
    for (size_t i = 0; i < c->count; i++)
        mem_free(c->list[i].key);
    mem_free(c->list);
    *c = (struct sample_choices){.list = NULL};
}
