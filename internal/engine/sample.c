/* See sample.h. */
#include "base/limits.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "engine/sample_internal.h"

#include <stdlib.h>

enum { ARENA_MAX = 64 << 20, KEY_MAX = 8 << 20, ROWS_BETWEEN_LOOKS = 64 };

static enum err_code too_many(struct err *err)
{
    return err_set(err, ERR_TOO_LARGE,
        "the sample would have more than %d rows, for what is sampled refers to so many: ask for fewer",
        (int)LIMIT_SAMPLE_WHOLE_ROWS);
}

/* --- Picking --- */

static void *grown(void *list, size_t count, size_t *cap, size_t size)
{
    if (count < *cap)
        return list;
    *cap = *cap ? 2 * *cap : 1024;
    return mem_grow(list, *cap, size);
}

static enum err_code add_row(struct sample *s, struct sample_table *t, int64_t id, struct str key,
    struct sample_row **ret, struct err *err)
{
    struct sample_row *row = arena_alloc(&s->arena, sizeof *row);
    if (!row || s->row_count >= LIMIT_SAMPLE_WHOLE_ROWS)
        return too_many(err);
    *row = (struct sample_row){
        .table = (uint32_t)(t - s->tables), .number = (uint32_t)s->row_count, .id = id, .key = {NULL, 0}};
    if (key.ptr && !(row->key = arena_copy(&s->arena, key)).ptr)
        return too_many(err);
    s->rows = grown(s->rows, s->row_count, &s->row_cap, sizeof(struct sample_row *));
    s->rows[s->row_count++] = row;
    *t->tail = row;
    t->tail = &row->next;
    t->picked++;
    *ret = row;
    return ERR_OK;
}

/* The row of that key, picked now or before. */
static enum err_code pick(struct sample *s, struct sample_table *t, int64_t id, struct str key,
    struct sample_row **ret, struct err *err)
{
    AUTO_STRBUF name;
    uint32_t table = (uint32_t)(t - s->tables);
    strbuf_init(&name, KEY_MAX + 16);
    strbuf_add(&name, &table, sizeof table);
    if (key.ptr)
        strbuf_add_str(&name, key);
    else
        strbuf_add(&name, &id, sizeof id);
    *ret = map_get(&s->known, strbuf_str(&name));
    if (*ret)
        return ERR_OK;
    if (strbuf_failed(&name))
        return too_many(err);
    enum err_code code = add_row(s, t, id, key, ret, err);
    if (!code)
        (void)map_put(&s->known, strbuf_str(&name), *ret); /* there was none */
    return code;
}

static void link_rows(struct sample *s, const struct sample_row *child, const struct sample_row *parent)
{
    s->edges = grown(s->edges, s->edge_count, &s->edge_cap, sizeof *s->edges);
    s->edges[s->edge_count++] = (struct sample_edge){child->number, parent->number};
}

/* Picks the row that statement `find` stands on. */
static enum err_code pick_found(
    struct sample *s, struct sample_table *t, sqlite3_stmt *find, struct sample_row **ret, struct err *err)
{
    AUTO_STRBUF key;
    strbuf_init(&key, KEY_MAX);
    if (t->by_id)
        return pick(s, t, sqlite3_column_int64(find, 0), (struct str){NULL, 0}, ret, err);
    sample_key(find, t->key_count, &key);
    return strbuf_failed(&key) ? too_many(err) : pick(s, t, 0, strbuf_str(&key), ret, err);
}

/* *ret_refers false: a part of the key is NULL. */
static int bind_reference(const struct sample_fk *f, sqlite3_stmt *read, bool *ret_refers)
{
    int rc = SQLITE_OK;
    *ret_refers = true;
    for (int i = 0; i < f->count && rc == SQLITE_OK; i++) {
        if (sqlite3_column_type(read, f->first + i) == SQLITE_NULL)
            *ret_refers = false;
        rc = sqlite3_bind_value(f->find, i + 1, sqlite3_column_value(read, f->first + i));
    }
    return rc;
}

static enum err_code settle_reference(
    struct sample *s, struct sample_row *row, const struct sample_fk *f, sqlite3_stmt *read, struct err *err)
{
    struct sample_row *parent;
    bool refers, found = false;
    enum err_code code = ERR_OK;
    int rc = bind_reference(f, read, &refers);
    if (rc)
        return s->src->failed(s->src->arg, rc, STR_EMPTY, err);
    if (refers)
        code = catalog_step(s->src, f->find, &found, err);
    if (!code && found)
        code = pick_found(s, &s->tables[f->parent], f->find, &parent, err);
    if (!code && found)
        link_rows(s, row, parent);
    (void)sqlite3_reset(f->find); /* as the step said */
    row->dropped |= refers && !found;
    return code;
}

/* Picks what one row refers to. */
static enum err_code settle_row(struct sample *s, struct sample_row *row, struct err *err)
{
    struct sample_table *t = &s->tables[row->table];
    bool found = false;
    if (!t->read)
        return ERR_OK;
    int rc = sample_bind(t->read, row);
    enum err_code code =
        rc ? s->src->failed(s->src->arg, rc, STR_EMPTY, err) : catalog_step(s->src, t->read, &found, err);
    for (const struct sample_fk *f = found ? t->fks : NULL; f && !code; f = f->next)
        code = settle_reference(s, row, f, t->read, err);
    (void)sqlite3_reset(t->read); /* as the step said */
    return code;
}

static enum err_code settle(struct sample *s, struct err *err)
{
    enum err_code code = ERR_OK;
    while (!code && s->settled < s->row_count) {
        code = settle_row(s, s->rows[s->settled], err);
        if (++s->settled % ROWS_BETWEEN_LOOKS == 0 && !code)
            code = s->src->check_time(s->src->arg, err);
    }
    return code;
}

/* --- Shares --- */

static int by_rows(const void *a, const void *b)
{
    const struct sample_table *const *x = a, *const *y = b;
    return (*x)->rows < (*y)->rows ? -1 : (*x)->rows > (*y)->rows;
}

/* The smallest tables first: what they leave is there for the others. */
static enum err_code share_out(struct sample *s, int64_t rows, struct err *err)
{
    struct sample_table **order = arena_alloc(&s->arena, (s->table_count + 1) * sizeof(*order));
    if (!order)
        return too_many(err);
    for (uint32_t i = 0; i < s->table_count; i++)
        order[i] = &s->tables[i];
    qsort(order, s->table_count, sizeof(*order), by_rows);
    for (uint32_t i = 0; i < s->table_count; i++) {
        int64_t even = rows / (s->table_count - i);
        even = even == 0 && rows > 0 ? 1 : even;
        order[i]->share = order[i]->rows < even ? order[i]->rows : even;
        rows -= order[i]->share;
    }
    return ERR_OK;
}

static bool is_awaited(const struct sample *s, uint32_t table)
{
    for (uint32_t i = 0; i < s->table_count; i++) {
        for (const struct sample_fk *f = s->tables[i].fks; f && i != table && !s->tables[i].done;
             f = f->next) {
            if (f->parent == table)
                return true;
        }
    }
    return false;
}

/* Children before parents, whose rows they bring along; in a circle whoever was made first. */
static struct sample_table *next_table(struct sample *s)
{
    struct sample_table *first = NULL;
    for (uint32_t i = 0; i < s->table_count; i++) {
        if (s->tables[i].done)
            continue;
        if (!is_awaited(s, i))
            return &s->tables[i];
        first = first ? first : &s->tables[i];
    }
    return first;
}

static enum err_code fill_table(struct sample *s, struct sample_table *t, struct err *err)
{
    struct sample_choices choices = {.list = NULL};
    struct sample_row *row;
    enum err_code code = ERR_OK;
    t->done = true;
    if (t->picked >= t->share)
        return ERR_OK;
    code = sample_choose(s, t, &choices, err);
    for (size_t i = 0; i < choices.count && t->picked < t->share && !code; i++) {
        struct sample_choice *c = &choices.list[i];
        code = pick(s, t, c->id, c->key ? str_make(c->key, c->key_len) : (struct str){NULL, 0}, &row, err);
        if (!code)
            code = settle(s, err);
    }
    sample_choices_release(&choices);
    return code;
}

/* Who refers to a row that is left out is left out too. */
static void drop_children(struct sample *s)
{
    bool changed = true;
    while (changed) {
        changed = false;
        for (size_t i = s->edge_count; i-- > 0;) {
            struct sample_row *child = s->rows[s->edges[i].child];
            if (child->dropped || !s->rows[s->edges[i].parent]->dropped)
                continue;
            child->dropped = true;
            changed = true;
        }
    }
}

static enum err_code fill(struct sample *s, const struct catalog *cat, int64_t rows, struct err *err)
{
    struct sample_table *t;
    enum err_code code = sample_open_tables(s, cat, err);
    if (!code)
        code = share_out(s, rows, err);
    while (!code && (t = next_table(s)) != NULL)
        code = fill_table(s, t, err);
    if (!code)
        drop_children(s);
    sample_close_tables(s);
    return code;
}

enum err_code sample_pick(const struct catalog_source *src, const struct catalog *cat, int64_t rows,
    uint64_t seed, struct sample **ret, struct err *err)
{
    struct sample *s = MEM_NEW(struct sample);
    s->src = src;
    s->seed = seed;
    arena_init(&s->arena, ARENA_MAX);
    map_init(&s->known);
    enum err_code code = fill(s, cat, rows, err);
    if (code)
        sample_free(s);
    else
        *ret = s;
    return code;
}

void sample_free(struct sample *s)
{
    if (!s)
        return;
    map_release(&s->known);
    arena_release(&s->arena);
    mem_free(s->rows);
    mem_free(s->edges);
    mem_free(s);
}

/* --- Reading --- */

void sample_add_condition(const struct sample *s, const struct cat_table *t, struct strbuf *out)
{
    const struct sample_table *of = sample_table(s, t->name);
    strbuf_add_str(out, of ? of->condition : S(" WHERE 0"));
}

void sample_rewind(struct sample *s, const struct cat_table *t)
{
    const struct sample_table *of = sample_table(s, t->name);
    s->at = of ? of->first : NULL;
    s->stepping = false;
}

int sample_step(struct sample *s, sqlite3_stmt *stmt)
{
    int rc = SQLITE_DONE;
    while (s->at) {
        rc = SQLITE_OK;
        if (!s->stepping && !s->at->dropped)
            rc = sample_bind(stmt, s->at);
        if (rc == SQLITE_OK && !s->at->dropped)
            rc = sqlite3_step(stmt);
        s->stepping = rc == SQLITE_ROW;
        if (s->stepping || (rc != SQLITE_DONE && rc != SQLITE_OK))
            return rc;
        (void)sqlite3_reset(stmt); /* done */
        s->at = s->at->next;
    }
    return SQLITE_DONE;
}
