/* Prepared statements of tenants. */
#define _GNU_SOURCE /* strcasestr */
#include "engine/schema_state.h"
#include "engine/cache.h"
#include "base/check.h"
#include "base/enc.h"
#include "base/limits.h"
#include "base/mem.h"
#include "engine/change_record.h"
#include "engine/destruction.h"
#include "engine/engine_state.h"
#include "engine/rowsec.h"
#include "engine/sqlerr.h"

enum {
    CACHE_COUNT_MAX = 256,
    CACHE_BYTES_MAX = 1 << 20,
    ASSIGNED_BYTES_MAX = 16 << 10,
    KEY_BYTES_MAX = (WIRE_TABLES_MAX + 1) * 1024,
};

void cache_init(struct cache *c)
{
    *c = (struct cache){.count = 0};
    map_init(&c->map);
    list_init(&c->lru);
    strbuf_init(&c->key, (size_t)LIMIT_BODY_BYTES + KEY_BYTES_MAX);
}

static void forget(struct cache *c, struct cached *e)
{
    if (!e->kept)
        return;
    void *gone = map_del(&c->map, e->key);
    CHECK(gone == e);
    list_remove(&e->node);
    c->count--;
    c->bytes -= e->bytes;
    e->kept = false;
}

static void destroy(struct cached *e)
{
    CHECK(!e->kept && e->users == 0);
    (void)sqlite3_finalize(e->stmt); /* the error of its last step was told when it happened */
    mem_free(e->target);
    mem_free((void *)e->written.ptr);
    mem_free((void *)e->assigned.ptr);
    mem_free(e->destroys);
    mem_free(e->view);
    mem_free((void *)e->key.ptr);
    mem_free(e);
}

void cache_trim(struct engine *eng, size_t keep)
{
    struct cache *c = &eng->cache;
    struct list *it = c->lru.prev;
    while (c->count > keep && it != &c->lru) {
        struct cached *e = LIST_ITEM(it, struct cached, node);
        it = it->prev;
        if (e->users == 0) {
            forget(c, e);
            destroy(e);
        }
    }
}

void cache_release(struct engine *eng)
{
    cache_trim(eng, 0);
    CHECK(eng->cache.count == 0);
    map_release(&eng->cache.map);
    strbuf_release(&eng->cache.key);
}

/* recorder, role, scope, SQL: what decides about a prepared statement. The SQL stands last. */
static void build_key(
    struct strbuf *key, const struct wire_call *call, const struct recorder *recorder, struct str sql)
{
    strbuf_reset(key);
    strbuf_add_char(key, recorder ? 'R' : '-');
    strbuf_add_char(key, (char)('0' + call->role));
    strbuf_add_char(key, call->has_table_scope ? 'T' : 'A');
    for (uint16_t i = 0; call->has_table_scope && i < call->table_count; i++) {
        strbuf_add_str(key, call->tables[i]);
        strbuf_add_char(key, '\0');
    }
    strbuf_add_char(key, '\0');
    strbuf_add_str(key, sql);
}

/* A PRAGMA acts while it is prepared, explained or not. */
static bool is_plan(const struct cached *e)
{
    return str_starts(e->sql, S(CACHE_PLAN)) && e->verb >= SQL_VERB_SELECT && e->verb <= SQL_VERB_DELETE;
}

/* SQLite prepares a statement anew that runs on another schema; one that explains does not run. */
static bool is_outdated(const struct engine *eng, const struct cached *e)
{
    return is_plan(e) && e->users == 0 && e->schema_changes != eng->schema_changes;
}

static enum err_code refuse_text(
    struct op *op, struct str sql, struct str at, const char *message, const char *hint, struct err *err)
{
    struct sqlerr_detail d = {.kind = "syntax_error", .hint = hint, .position = at.ptr - sql.ptr};
    d.near = str_slice(at, 0, utf8_cut(at, 24));
    return sqlerr_set(op, ERR_SQL, &d, message, err);
}

/* A statement that could fail on a row before the policies decided about it is prepared once more, so that it
 * cannot. */
static int prepare_now(
    struct engine *eng, struct str text, unsigned flags, struct cached *e, const char **ret_tail)
{
    int rc = sqlite3_prepare_v3(eng->db, text.ptr, (int)text.len + 1, flags, &e->stmt, ret_tail);
    if (rc != SQLITE_OK || !rowsec_needs_barrier(&eng->guard, e->sql))
        return rc;
    (void)sqlite3_finalize(e->stmt); /* never stepped */
    rowsec_barrier(eng, e->barrier = true);
    rc = sqlite3_prepare_v3(eng->db, text.ptr, (int)text.len + 1, flags, &e->stmt, ret_tail);
    rowsec_barrier(eng, false);
    return rc;
}

/* Notes what a rehearsal's recorder is told meanwhile. */
static int prepare_once(
    struct engine *eng, struct str text, unsigned flags, struct cached *e, const char **ret_tail)
{
    AUTO_STRBUF assigned;
    struct recorder *r = eng->guard.recorder;
    strbuf_init(&assigned, ASSIGNED_BYTES_MAX);
    if (r)
        r->heard = &assigned;
    int rc = prepare_now(eng, text, flags, e, ret_tail);
    if (r)
        r->heard = NULL;
    struct str heard = strbuf_str(&assigned);
    if (r && r == eng->recorder && !strbuf_failed(&assigned))
        e->assigned = str_make(mem_dup_str(heard), heard.len);
    return rc;
}

/* Prepares under the call's role and scope. *ret_stmt NULL with ERR_OK does not happen. */
static enum err_code prepare(struct op *op, struct str sql, bool keep, struct cached *e, struct err *err)
{
    struct engine *eng = op->eng;
    struct str text;
    if (sql_verb_changes_schema(e->verb))
        schema_digest_forget(eng);
    enum err_code code = rowsec_prepare_text(op, sql, &text, err);
    if (code != ERR_OK)
        return code;
    int rc = op->call.has_table_scope ? guard_learn_scope(eng) : SQLITE_OK;
    if (rc != SQLITE_OK)
        return op_sql_error(op, rc, sql, err);
    struct guard_saved saved = guard_enter_tenant(&eng->guard, &op->call, e->verb, sql);
    const char *tail = NULL;
    unsigned flags = keep ? SQLITE_PREPARE_PERSISTENT : 0;
    /* sql is followed by a NUL in e->key, which saves SQLite a copy. */
    bool before = eng->guard.makes_virtual_table;
    eng->guard.makes_virtual_table = false;
    (void)sqlite3_memory_highwater(1); /* so that "out of memory" can be told from "too long" */
    struct guard_names names = {.len = 0};
    eng->guard.names = &names;
    rc = prepare_once(eng, text, flags, e, &tail);
    eng->guard.names = NULL;
    if (!names.full)
        e->written = str_make(mem_dup_str(str_make(names.text, names.len)), names.len);
    e->makes_virtual_table = eng->guard.makes_virtual_table;
    e->conflicts = eng->guard.rowsec ? eng->guard.rowsec->conflicting : 0;
    e->inserts = eng->guard.rowsec ? eng->guard.rowsec->inserting : ROWSEC_ANY;
    eng->guard.makes_virtual_table = before;
    if (rc != SQLITE_OK || guard_hides_drop(&eng->guard))
        code = op_sql_error(op, rc, sql, err);
    guard_leave(&eng->guard, saved);
    if (code == ERR_OK)
        code = op_check_drop(op, err);
    if (code != ERR_OK)
        return code;
    if (eng->recorder)
        e->target = mem_strdup(eng->guard.target);
    destruction_learn(&eng->guard, e);
    if (eng->guard.created_view[0])
        e->view = mem_strdup(eng->guard.created_view);
    struct str rest = sql_skip_blank(str_slice(text, (size_t)(tail - text.ptr), text.len));
    if (!e->stmt)
        return refuse_text(
            op, text, rest, "the statement is empty", "send one SQL statement in \"sql\"", err);
    if (rest.len > 0)
        return refuse_text(op, text, rest, "more than one statement in \"sql\"",
            "send several statements as the array \"statements\" of POST …/batch", err);
    return ERR_OK;
}

static bool worth_keeping(const struct engine *eng, const struct cached *e)
{
    if (eng->guard.one_shot || sql_verb_changes_schema(e->verb) || e->verb == SQL_VERB_PRAGMA)
        return false;
    if (eng->recorder && (!e->assigned.ptr || eng->guard.rowsec))
        return false;
    if (is_plan(e))
        return !eng->guard.rowsec;
    return e->verb != SQL_VERB_NONE && e->verb != SQL_VERB_EXPLAIN && !sql_is_explain(e->sql);
}

static void keep(struct engine *eng, struct cached *e)
{
    struct cache *c = &eng->cache;
    e->bytes = sqlite3_stmt_status(e->stmt, SQLITE_STMTSTATUS_MEMUSED, 0) + (int64_t)e->key.len;
    e->kept = true;
    void *old = map_put(&c->map, e->key, e);
    CHECK(old == NULL);
    list_push_front(&c->lru, &e->node);
    c->count++;
    c->bytes += e->bytes;
    while (c->count > CACHE_COUNT_MAX || c->bytes > CACHE_BYTES_MAX) {
        size_t before = c->count;
        cache_trim(eng, before - 1);
        if (c->count == before)
            break; /* all are in use */
    }
}

static struct cached *new_entry(const struct strbuf *key, size_t sql_len)
{
    struct cached *e = MEM_NEW(struct cached);
    struct str k = strbuf_str(key);
    e->key = str_make(mem_dup_str(k), k.len);
    e->sql = str_slice(e->key, k.len - sql_len, k.len);
    e->verb = sql_verb(e->sql);
    list_init(&e->node);
    return e;
}

/* As while it was prepared. */
static void tell_assigned(struct recorder *r, struct str assigned)
{
    for (size_t at = 0; r && at < assigned.len;) {
        const char *table = assigned.ptr + at, *column = table + strlen(table) + 1;
        recorder_assigns(r, table, column);
        at += strlen(table) + strlen(column) + 2;
    }
}

enum err_code cache_get(struct op *op, struct str sql, struct cached **ret, struct err *err)
{
    struct cache *c = &op->eng->cache;
    build_key(&c->key, &op->call, op->eng->recorder, sql);
    struct cached *e = map_get(&c->map, strbuf_str(&c->key));
    if (e && is_outdated(op->eng, e)) {
        forget(c, e);
        destroy(e);
        e = NULL;
    }
    if (e) {
        tell_assigned(op->eng->recorder, e->assigned);
        list_remove(&e->node);
        list_push_front(&c->lru, &e->node);
        e->users++;
        *ret = e;
        return ERR_OK;
    }
    e = new_entry(&c->key, sql.len);
    strbuf_shrink(&c->key, 4096);
    enum err_code rc = sqlerr_check_verb(op, e->verb, err);
    if (rc == ERR_OK)
        rc = prepare(op, e->sql, true, e, err);
    if (rc != ERR_OK) {
        destroy(e);
        return rc;
    }
    e->users = 1;
    e->schema_changes = op->eng->schema_changes;
    e->reads = sqlite3_stmt_readonly(e->stmt) && !op->eng->guard.one_shot;
    e->counts = e->reads && strcasestr(e->sql.ptr, "count(") != NULL;
    if (worth_keeping(op->eng, e))
        keep(op->eng, e);
    *ret = e;
    return ERR_OK;
}

void cache_unpin(struct engine *eng, struct cached *e)
{
    (void)eng;
    CHECK(e->users > 0);
    e->users--;
    if (e->users == 0 && !e->kept)
        destroy(e);
}
