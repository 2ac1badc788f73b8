/* Answers kept for a day, so that a call that is sent twice runs once. The receipt is written in the
 * transaction of its effect, so there is never one without the other; two calls with one key in the same turn
 * are one after the other. Only successes are kept. */
#include "base/clock.h"
#include "base/limits.h"
#include "engine/task.h"

struct receipt_key {
    const char *kind;
    struct str key, step;
};

/* A call can carry both kinds. */
static size_t keys_of(const struct task *t, struct receipt_key out[2])
{
    const struct wire_call *c = &t->op.call;
    size_t n = 0;
    if (c->plan_key.len > 0)
        out[n++] = (struct receipt_key){"plan", c->plan_key, c->plan_step};
    if (c->idempotency_key.len > 0)
        out[n++] = (struct receipt_key){"key", c->idempotency_key, STR_EMPTY};
    return n;
}

static int bind_str(sqlite3_stmt *stmt, int index, struct str s)
{
    return sqlite3_bind_text64(stmt, index, s.len ? s.ptr : "", s.len, SQLITE_STATIC, SQLITE_UTF8);
}

static int bind_key(sqlite3_stmt *stmt, const struct task *t, const struct receipt_key *k)
{
    int rc = sqlite3_bind_text(stmt, 1, k->kind, -1, SQLITE_STATIC);
    if (rc == SQLITE_OK)
        rc = bind_str(stmt, 2, t->op.call.token_id);
    if (rc == SQLITE_OK)
        rc = bind_str(stmt, 3, k->key);
    return rc == SQLITE_OK ? bind_str(stmt, 4, k->step) : rc;
}

static void replay(struct task *t, sqlite3_stmt *stmt, const struct receipt_key *k)
{
    const void *body = sqlite3_column_blob(stmt, 1);
    int len = sqlite3_column_bytes(stmt, 1);
    t->op.head.status = (uint16_t)sqlite3_column_int(stmt, 0);
    t->op.head.idempotency_replayed = k->kind[0] == 'k';
    t->op.head.plan_replayed = k->kind[0] == 'p';
    strbuf_reset(&t->body);
    strbuf_add(&t->body, len ? body : "", (size_t)len);
    t->replayed = true;
}

static enum err_code find_one(struct task *t, const struct receipt_key *k, struct err *err)
{
    struct engine *eng = t->op.eng;
    sqlite3_stmt *stmt = own_get(eng, OWN_RECEIPT_GET);
    int rc = stmt ? bind_key(stmt, t, k) : sqlite3_extended_errcode(eng->db);
    if (rc == SQLITE_OK)
        rc = sqlite3_bind_int64(stmt, 5, clock_wall_ms() - LIMIT_IDEMPOTENCY_TTL_MS);
    if (rc == SQLITE_OK)
        rc = own_step(eng, stmt);
    if (rc == SQLITE_ROW)
        replay(t, stmt, k);
    int reset = sqlite3_reset(stmt);
    if (rc == SQLITE_ROW || rc == SQLITE_DONE)
        return ERR_OK;
    return op_sql_error(&t->op, reset != SQLITE_OK ? reset : rc, STR_EMPTY, err);
}

enum err_code receipts_find(struct task *t, bool *ret_found, struct err *err)
{
    struct receipt_key keys[2];
    size_t n = keys_of(t, keys);
    enum err_code rc = ERR_OK;
    for (size_t i = 0; i < n && rc == ERR_OK && !t->replayed; i++)
        rc = find_one(t, &keys[i], err);
    *ret_found = t->replayed;
    return rc;
}

static enum err_code store_one(struct task *t, const struct receipt_key *k, struct err *err)
{
    struct engine *eng = t->op.eng;
    struct str body = strbuf_str(&t->body);
    sqlite3_stmt *stmt = own_get(eng, OWN_RECEIPT_PUT);
    int rc = stmt ? bind_key(stmt, t, k) : sqlite3_extended_errcode(eng->db);
    if (rc == SQLITE_OK)
        rc = sqlite3_bind_int64(stmt, 5, clock_wall_ms());
    if (rc == SQLITE_OK)
        rc = sqlite3_bind_int(stmt, 6, t->op.head.status);
    if (rc == SQLITE_OK)
        rc = sqlite3_bind_blob64(stmt, 7, body.ptr, body.len, SQLITE_STATIC);
    if (rc == SQLITE_OK)
        rc = own_step(eng, stmt);
    int reset = sqlite3_reset(stmt);
    if (stmt)
        (void)sqlite3_clear_bindings(stmt); /* cannot fail */
    if (rc == SQLITE_DONE)
        return ERR_OK;
    if ((rc & 0xff) == SQLITE_TOOBIG)
        return err_set(err, ERR_SQL,
            "the answer is too large to be kept for its Idempotency-Key: select less, or send no key");
    return op_sql_error(&t->op, reset != SQLITE_OK ? reset : rc, STR_EMPTY, err);
}

enum err_code receipts_store(struct task *t, struct err *err)
{
    struct receipt_key keys[2];
    size_t n = keys_of(t, keys);
    enum err_code rc = ERR_OK;
    for (size_t i = 0; i < n && rc == ERR_OK; i++)
        rc = store_one(t, &keys[i], err);
    return rc;
}

void receipts_purge(struct engine *eng)
{
    sqlite3_stmt *stmt = own_get(eng, OWN_RECEIPT_PURGE);
    if (!stmt || sqlite3_bind_int64(stmt, 1, clock_wall_ms() - LIMIT_IDEMPOTENCY_TTL_MS) != SQLITE_OK)
        return;
    (void)own_step(eng, stmt); /* what cannot be removed now is removed another time, and is never replayed */
    (void)sqlite3_reset(stmt);
}
