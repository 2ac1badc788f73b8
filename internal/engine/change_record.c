/* The recorder. */
#define SQLITE_ENABLE_PREUPDATE_HOOK 1 /* declares it */
#include "engine/change_record.h"
#include "engine/destruction.h"
#include "base/check.h"
#include "base/limits.h"
#include "base/mem.h"
#include "engine/catalog.h"
#include "engine/change_apply.h"
#include "engine/change_table.h"
#include "engine/engine_state.h"
#include <stdlib.h>

enum { ARENA_MAX = 32 << 20, INDEX_MIN = 64, INDEX_KEPT = 1024 };

void recorder_fail(struct recorder *r, enum recorder_failure why, struct str table)
{
    if (r->failure != RECORDER_FINE)
        return;
    if (r->may_count && why != RECORDER_SQL) {
        recorder_give_up(r, why, table);
        return;
    }
    r->failure = why;
    r->failed_table = table;
    if (r->mode == RECORDER_ROWS && r->db)
        sqlite3_interrupt(r->db); /* nothing more of it is needed; who only watches stops nobody */
}

/* --- Tables --- */

static struct recorder_table *find_table(struct recorder *r, struct str name)
{
    for (struct recorder_table *t = r->tables; t; t = t->next) {
        if (str_eq(t->name, name))
            return t;
    }
    return NULL;
}

static uint64_t hash_bytes(uint64_t hash, struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        hash = (hash ^ (unsigned char)s.ptr[i]) * UINT64_C(0x100000001b3);
    return (hash ^ s.len) * UINT64_C(0x100000001b3);
}

static struct recorder_table *renew_table(struct recorder *r, struct str name, struct recorder_table *known)
{
    struct recorder_table *t = recorder_table_read(r, name);
    if (!t) {
        recorder_fail(r, RECORDER_SQL, known ? known->name : STR_EMPTY);
        return NULL;
    }
    if (known && recorder_table_same(known, t)) {
        known->schema = r->schema;
        known->bare = t->bare;
        return known;
    }
    if (known) {
        recorder_fail(r, RECORDER_SCHEMA, known->name);
        known->schema = r->schema;
        known->bare = t->bare;
        return r->failure ? NULL : known;
    }
    recorder_table_assigns(r, t);
    t->next = r->tables;
    t->seed = hash_bytes(UINT64_C(0xcbf29ce484222325), t->shown);
    r->table_count++;
    r->tables = t;
    if (r->table_count > CHANGE_TABLES_MAX)
        recorder_fail(r, RECORDER_TOO_LARGE, t->name);
    return t;
}

struct recorder_table *recorder_table_of(struct recorder *r, struct str name)
{
    struct recorder_table *t = r->last;
    if (!t || !str_eq(t->name, name))
        t = find_table(r, name);
    if (!t || t->schema != r->schema)
        t = renew_table(r, name, t);
    r->last = t;
    return t;
}

/* --- Rows by key --- */

static uint64_t mix(uint64_t z)
{
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* Whoever makes two rows collide marks proposals of his own database as stale, no more. */
static uint64_t hash_of(const struct recorder *r, const struct recorder_entry *e)
{
    const struct recorder_table *t = e->table;
    if (!t->without_rowid)
        return mix(t->seed ^ (uint64_t)e->rowid);
    return mix(hash_bytes(t->seed, at_bytes(r, e->key_at, e->key_len)));
}

static void put_in_index(struct recorder *r, size_t number, uint64_t hash)
{
    size_t at = hash & (r->index_cap - 1);
    while (r->index[at])
        at = (at + 1) & (r->index_cap - 1);
    r->index[at] = (uint32_t)number + 1;
}

/* Brings the entries that are there into the index. */
static void complete_index(struct recorder *r)
{
    size_t cap = r->index_cap ? r->index_cap : INDEX_MIN;
    while (cap < 2 * (r->entry_count + 1))
        cap *= 2;
    if (cap != r->index_cap) {
        mem_free(r->index);
        r->index = mem_array(cap, sizeof r->index[0]);
        r->index_cap = cap;
        r->indexed = 0;
    }
    for (; r->indexed < r->entry_count; r->indexed++)
        put_in_index(r, r->indexed, hash_of(r, &r->entries[r->indexed]));
}

static bool same_row(const struct recorder *r, const struct recorder_entry *a, const struct recorder_entry *b)
{
    if (a->table != b->table)
        return false;
    return a->table->without_rowid
               ? str_eq(at_bytes(r, a->key_at, a->key_len), at_bytes(r, b->key_at, b->key_len))
               : a->rowid == b->rowid;
}

static struct recorder_entry *find_entry(struct recorder *r, const struct recorder_entry *wanted)
{
    complete_index(r);
    size_t at = hash_of(r, wanted) & (r->index_cap - 1);
    for (; r->index[at]; at = (at + 1) & (r->index_cap - 1)) {
        struct recorder_entry *e = &r->entries[r->index[at] - 1];
        if (same_row(r, e, wanted))
            return e;
    }
    return NULL;
}

/* Most writes go through a table from its start to its end: no row of those comes twice, and none is looked
 * for. */
static bool goes_on(struct recorder_table *t, int64_t rowid)
{
    bool on = !t->without_rowid && (!t->noted || rowid > t->highest_noted);
    if (on)
        t->highest_noted = rowid;
    t->noted = true;
    return on;
}

/* `key_at`: where the key was just written, for a table WITHOUT ROWID. *ret_new: nothing is known of it yet.
 * NULL: there are too many. */
static struct recorder_entry *entry_of(
    struct recorder *r, struct recorder_table *t, int64_t rowid, size_t key_at, bool *ret_new)
{
    struct recorder_entry wanted = {.table = t,
        .rowid = rowid,
        .key_at = (uint32_t)key_at,
        .key_len = (uint32_t)(r->cells.len - key_at),
        .indirect = true};
    struct recorder_entry *e = goes_on(t, rowid) ? NULL : find_entry(r, &wanted);
    *ret_new = e == NULL;
    if (e) {
        strbuf_truncate(&r->cells, key_at);
        return e;
    }
    if (r->entry_count >= (size_t)LIMIT_CHANGE_ROWS) {
        recorder_fail(r, RECORDER_TOO_MANY, t->shown);
        return NULL;
    }
    if (r->entry_count == r->entry_cap) {
        r->entry_cap = r->entry_cap ? 2 * r->entry_cap : 16;
        r->entries = mem_grow(r->entries, r->entry_cap, sizeof r->entries[0]);
    }
    e = &r->entries[r->entry_count++];
    *e = wanted;
    return e;
}

/* --- The hook --- */

static void note(struct recorder *r, struct recorder_table *t, int op, int64_t rowid, bool indirect)
{
    bool is_new;
    size_t key_at =
        recorder_put_key(r, t, op == SQLITE_INSERT ? sqlite3_preupdate_new : sqlite3_preupdate_old);
    struct recorder_entry *e = strbuf_failed(&r->cells) ? NULL : entry_of(r, t, rowid, key_at, &is_new);
    if (!e)
        return;
    e->indirect &= indirect;
    if (r->mode == RECORDER_ROWS && !recorder_put_row(r, e, op, is_new) && !strbuf_failed(&r->cells))
        recorder_fail(r, RECORDER_SQL, t->shown);
}

static bool key_changed(struct recorder *r, const struct recorder_table *t, int64_t before, int64_t after)
{
    if (!t->without_rowid)
        return before != after;
    size_t at = recorder_put_key(r, t, sqlite3_preupdate_old), middle = r->cells.len;
    (void)recorder_put_key(r, t, sqlite3_preupdate_new);
    bool changed = strbuf_failed(&r->cells) || !str_eq(str_make(r->cells.buf + at, middle - at),
                                                   str_make(r->cells.buf + middle, r->cells.len - middle));
    if (!strbuf_failed(&r->cells))
        strbuf_truncate(&r->cells, at);
    return changed;
}

/* A row that gets another key is gone, and another one is there. Its new cells are read as those of an insert
 * and its old as those of a delete, for which SQLite's calls serve as well. */
static void note_moved(
    struct recorder *r, struct recorder_table *t, int64_t before, int64_t after, bool indirect)
{
    note(r, t, SQLITE_DELETE, before, indirect);
    if (r->failure == RECORDER_FINE && !r->given_up)
        note(r, t, SQLITE_INSERT, after, indirect);
}

static void look_for_auto_key(struct recorder *r, struct recorder_table *t, int64_t rowid)
{
    if (r->keys_given || r->mode == RECORDER_KEYS || t->without_rowid || t->has_key)
        return;
    if (!t->highest_known) {
        if (!recorder_table_highest(r, t, &t->highest))
            t->highest = INT64_MAX;
        t->highest_known = true;
    }
    t->auto_keys |= rowid > t->highest;
    if (rowid > t->highest)
        t->highest = rowid;
}

static void keep_change(
    struct recorder *r, struct recorder_table *t, int op, int64_t before, int64_t after, bool indirect)
{
    if (op == SQLITE_INSERT)
        look_for_auto_key(r, t, after);
    if (op == SQLITE_UPDATE && key_changed(r, t, before, after))
        note_moved(r, t, before, after, indirect);
    else
        note(r, t, op, op == SQLITE_INSERT ? after : before, indirect);
    if (strbuf_failed(&r->cells))
        recorder_fail(r, RECORDER_TOO_LARGE, t->shown);
}

static void on_change(void *arg, sqlite3 *db, int op, const char *schema, const char *name,
    sqlite3_int64 before, sqlite3_int64 after)
{
    struct recorder *r = arg;
    CHECK(db == r->db);
    r->events++;
    if (schema[0] == 'm')
        destruction_count(r->eng, op, name, 1);
    if (r->failure != RECORDER_FINE || schema[0] != 'm')
        return;
    if (r->mode == RECORDER_KEYS && !map_get(r->watched, str_of(name)))
        return;
    struct recorder_table *t = recorder_table_of(r, str_of(name));
    if (t)
        t->written |= t->bare;
    r->inner_events += t && t->inner_of.len;
    if (!t || t->ignored)
        return;
    bool indirect = sqlite3_preupdate_depth(db) > 0;
    if (!r->given_up)
        keep_change(r, t, op, before, after, indirect);
    if (r->given_up) /* perhaps by this one */
        recorder_count(t, op, indirect);
}

/* --- Tables that were made with their rows --- */

static bool put_cells(struct recorder *r, struct recorder_entry *e, sqlite3_stmt *stmt)
{
    struct change_cell rowid = {.kind = CHANGE_INT, .integer = e->rowid, .bytes = STR_EMPTY};
    size_t at = r->cells.len;
    if (shows_rowid(e->table))
        change_put_cell(&r->cells, &rowid);
    for (size_t i = 0; i < e->table->column_count; i++) {
        struct change_cell cell = change_cell_column(stmt, (int)i + 1);
        change_put_cell(&r->cells, &cell);
    }
    e->at = (uint32_t)at;
    e->len = (uint32_t)(r->cells.len - at);
    e->is = true;
    e->was = e->same = e->indirect = false;
    return !strbuf_failed(&r->cells);
}

static void select_rows(const struct recorder_table *t, const char *rowid, struct strbuf *out)
{
    strbuf_add_cstr(out, "SELECT ");
    strbuf_add_cstr(out, rowid);
    for (size_t i = 0; i < t->column_count; i++) {
        strbuf_add_char(out, ',');
        catalog_quote(out, t->columns[i].name);
    }
    strbuf_add_cstr(out, " FROM main.");
    catalog_quote(out, t->name);
}

bool recorder_add_table(struct recorder *r, struct op *op, struct str name, struct err *err)
{
    AUTO_STRBUF sql;
    AUTO_SQL *stmt = NULL;
    bool is_new;
    int rc = SQLITE_ROW;
    strbuf_init(&sql, (size_t)CHANGE_NAME_MAX * 40);
    struct recorder_table *t = recorder_table_of(r, name);
    const char *rowid = t && !t->ignored && !t->without_rowid ? recorder_table_rowid(t) : NULL;
    if (!rowid)
        return false;
    for (size_t i = 0; i < r->entry_count; i++) {
        if (r->entries[i].table == t)
            r->entries[i].was = r->entries[i].is = false;
    }
    memset(t->counts, 0, sizeof t->counts);
    select_rows(t, rowid, &sql);
    if (strbuf_failed(&sql) || op_prepare_internal(op, strbuf_cstr(&sql), &stmt, err))
        return false;
    while (r->failure == RECORDER_FINE && (rc = change_step(op->eng, stmt)) == SQLITE_ROW) {
        size_t key_at = r->cells.len;
        struct recorder_entry *e =
            r->given_up ? NULL : entry_of(r, t, sqlite3_column_int64(stmt, 0), key_at, &is_new);
        if (e && !put_cells(r, e, stmt)) {
            e->is = false;
            recorder_fail(r, RECORDER_TOO_LARGE, t->shown);
        }
        if (r->given_up)
            recorder_count(t, SQLITE_INSERT, false);
    }
    return r->failure != RECORDER_FINE || rc == SQLITE_DONE; /* the check tells of a failure */
}

static bool is_called(const struct recorder_table *t, struct str name)
{
    return str_eq_nocase(t->name, name) || str_eq_nocase(t->shown, name);
}

bool recorder_touched(const struct recorder *r, struct str table)
{
    bool touched = false;
    for (size_t i = 0; i < r->entry_count && !touched; i++)
        touched = is_called(r->entries[i].table, table);
    for (const struct recorder_table *t = r->given_up ? r->tables : NULL; t && !touched; t = t->next)
        touched = is_called(t, table); /* one that is here was written */
    return touched;
}

/* --- Life --- */

void recorder_init(struct recorder *r, struct engine *eng, enum recorder_mode mode)
{
    *r = (struct recorder){.eng = eng, .mode = mode, .failed_table = STR_EMPTY};
    arena_init(&r->arena, ARENA_MAX);
    strbuf_init(&r->cells, (size_t)LIMIT_CHANGE_BYTES);
    strbuf_init(&r->kept, (size_t)LIMIT_CHANGE_BYTES);
    map_init(&r->assigned);
}

void recorder_release(struct recorder *r)
{
    recorder_detach(r);
    arena_release(&r->arena);
    strbuf_release(&r->cells);
    strbuf_release(&r->kept);
    map_release(&r->assigned);
    mem_free(r->row);
    r->row = NULL;
    r->row_cap = 0;
    mem_free(r->entries);
    mem_free(r->index);
    r->entries = NULL;
    r->index = NULL;
}

void recorder_rewind(struct recorder *r)
{
    CHECK(!r->db);
    r->failure = RECORDER_FINE;
    r->entry_count = r->indexed = 0;
    r->events = r->inner_events = 0;
    r->index_only = false;
    strbuf_reset(&r->cells);
    if (r->index_cap > INDEX_KEPT) {
        mem_free(r->index);
        r->index = NULL;
        r->index_cap = 0;
    }
    for (size_t i = 0; i < r->index_cap; i++)
        r->index[i] = 0;
    for (struct recorder_table *t = r->tables; t; t = t->next)
        t->noted = false;
}

void recorder_attach(struct recorder *r)
{
    CHECK(!r->db);
    r->db = r->eng->db;
    r->changes_before = sqlite3_total_changes64(r->db);
    void *before = sqlite3_preupdate_hook(r->db, on_change, r);
    CHECK(before == NULL);
    r->eng->recorders++;
}

void recorder_look_again(struct recorder *r)
{
    (void)sqlite3_preupdate_hook(r->db, on_change, r); /* returns the argument of the hook before: none */
    r->changes_before += sqlite3_total_changes64(r->db) - r->changes_away;
}

void recorder_expect_assigns(struct recorder *r)
{
    CHECK(r->entry_count == 0);
    r->told = true;
}

void recorder_detach(struct recorder *r)
{
    if (!r->db)
        return;
    (void)sqlite3_preupdate_hook(r->db, NULL, NULL); /* returns the argument of the hook before */
    r->db = NULL;
    r->eng->recorders--;
}

/* A name that the guard had to cut could be any. */
static bool is_target(const struct recorder *r, struct str name)
{
    const struct recorder_target *t = r->targets;
    while (t && !str_eq_nocase(t->name, name) && t->name.len < GUARD_TARGET_MAX - 1)
        t = t->next;
    return t != NULL;
}

void recorder_ran(struct recorder *r, bool changes_schema, struct str target)
{
    if (changes_schema) {
        r->schema++;
        r->last = NULL;
    }
    struct recorder_target *t = r->targets;
    while (t && !str_eq(t->name, target))
        t = t->next;
    if (!target.len || t)
        return;
    t = arena_alloc(&r->arena, sizeof *t);
    if (!t)
        return; /* check fails for want of memory */
    t->name = arena_copy(&r->arena, target);
    t->next = r->targets;
    r->targets = t;
}

enum err_code recorder_too_much(const struct recorder *r, enum recorder_failure which, struct err *err)
{
    if (which == RECORDER_TOO_MANY)
        return err_set(err, ERR_TOO_LARGE,
            "the write changes more than %lld rows, which is the most that can be rehearsed: split it, for "
            "instance "
            "by ranges of the key of \"" STR_FMT "\" (WHERE … AND key >= ? AND key < ?)",
            (long long)LIMIT_CHANGE_ROWS, STR_ARG(r->failed_table));
    return err_set(err, ERR_TOO_LARGE,
        "the rows that the write changes hold more than %lld MiB, which is the most that can be rehearsed: "
        "split it, for instance by ranges of the key of \"" STR_FMT "\"",
        (long long)LIMIT_CHANGE_BYTES >> 20, STR_ARG(r->failed_table));
}

/* While a full-text table is made, its parts are written before all of them are there. */
static void look_at_bare(struct recorder *r, struct recorder_table *t)
{
    struct recorder_table *now = t->schema == r->schema ? t : recorder_table_read(r, t->name);
    t->bare = !now || now->bare;
    r->index_only |= t->written && t->bare;
}

static void blame(struct recorder *r, enum recorder_failure why, struct str table)
{
    r->uncounted |= why == RECORDER_BARE_INDEX;
    if (r->may_count) {
        recorder_give_up(r, why, table);
        return;
    }
    r->failure = why;
    r->failed_table = table;
}

/* Every table whose rows were changed must still be what it was. */
static void check_tables(struct recorder *r)
{
    for (struct recorder_table *t = r->tables; t && r->failure == RECORDER_FINE; t = t->next) {
        if (t->bare)
            look_at_bare(r, t);
        if (t->bare && is_target(r, t->inner_of)) {
            blame(r, RECORDER_BARE_INDEX, t->inner_of);
            continue;
        }
        if (t->schema == r->schema || t->ignored)
            continue;
        struct recorder_table *now = recorder_table_read(r, t->name);
        t->ignored = now && now->gone; /* the difference of the schema tells of its rows */
        if (!t->ignored && (!now || !recorder_table_same(t, now)))
            blame(r, RECORDER_SCHEMA, t->name);
    }
}

static enum err_code cannot_be_told(const struct recorder *r, enum recorder_failure why, struct err *err)
{
    switch (why) {
    case RECORDER_FINE: return ERR_OK;
    case RECORDER_TOO_MANY:
    case RECORDER_TOO_LARGE: return recorder_too_much(r, why, err);
    case RECORDER_SCHEMA:
        return err_set(err, ERR_INVALID,
            "the rows of \"" STR_FMT "\" were changed before its columns were: propose the change of the "
            "schema and that of the rows one after the other",
            STR_ARG(r->failed_table));
    case RECORDER_BARE_INDEX:
        return err_set(err, ERR_INVALID,
            "\"" STR_FMT "\" is a full-text index without rows of its own: what a write to it changes cannot "
            "be shown; write to the table that it indexes",
            STR_ARG(r->failed_table));
    case RECORDER_MISSED:
        return err_set(err, ERR_INVALID,
            "the write changes more than can be shown row by row: send it to query instead, on a branch "
            "first");
    case RECORDER_SQL: break;
    }
    return err_set(err, ERR_UNAVAILABLE, "the change could not be recorded: out of memory");
}

enum err_code recorder_check(struct recorder *r, struct err *err)
{
    /* A row of a full-text table counts as a change beside those of its inner tables. */
    uint64_t seen = r->events + r->inner_events;
    if (r->db && sqlite3_total_changes64(r->db) - r->changes_before > (int64_t)seen && !r->failure)
        r->failure = RECORDER_MISSED;
    check_tables(r);
    if (arena_failed(&r->arena) && !r->failure)
        r->failure = RECORDER_SQL;
    return cannot_be_told(r, r->failure, err);
}

enum err_code recorder_gave_up(const struct recorder *r, struct err *err)
{
    return cannot_be_told(r, r->given_up, err);
}

/* --- What was touched --- */

size_t recorder_key_count(const struct recorder *r)
{
    return r->entry_count;
}

enum err_code recorder_keys(struct recorder *r, recorder_key_fn *fn, void *arg, struct err *err)
{
    for (size_t i = 0; i < r->entry_count; i++) {
        enum err_code code = fn(arg, hash_of(r, &r->entries[i]), err);
        if (code)
            return code;
    }
    return ERR_OK;
}

bool recorder_each_bare(const struct recorder *r, bool (*fn)(void *arg, struct str table), void *arg)
{
    bool all = true;
    for (const struct recorder_table *t = r->tables; t && all; t = t->next)
        all = !(t->written && t->bare) || fn(arg, t->inner_of);
    return all;
}

size_t recorder_inserted(const struct recorder *r, struct str table)
{
    size_t count = 0;
    for (size_t i = 0; i < r->entry_count; i++) {
        const struct recorder_entry *e = &r->entries[i];
        count += !e->was && e->is && str_eq_nocase(e->table->shown, table);
    }
    for (const struct recorder_table *t = r->given_up ? r->tables : NULL; t; t = t->next) {
        if (str_eq_nocase(t->shown, table))
            count += (size_t)t->counts[CHANGE_INSERT];
    }
    return count;
}

void recorder_auto_keys(const struct recorder *r, void (*fn)(void *arg, struct str table), void *arg)
{
    for (const struct recorder_table *t = r->tables; t; t = t->next) {
        if (t->auto_keys && !t->ignored)
            fn(arg, t->shown);
    }
}
