/* Answers kept for a day, so that a call that is sent twice runs once. The receipt is written in the
 * transaction of its effect, so there is never one without the other; two calls with one key in the same turn
 * are one after the other. Only successes are kept, and of a batch without a transaction, which keeps what
 * came before the statement that failed, the results of what came before: sent again it goes on from there.
 * Calls whose statements only read are run again: their answers would let who may only read fill the file. */
#include "base/clock.h"
#include "base/limits.h"
#include "engine/task.h"

struct receipt_key {
    const char *kind, *part; /* `kind` in the table: of a whole answer, of a part */
    const char *header;
    bool any_body; /* a plan's step is the same step when its statement was written anew */
    struct str key, step;
};

/* A call can carry both kinds. */
static size_t keys_of(const struct task *t, struct receipt_key out[2])
{
    const struct wire_call *c = &t->op.call;
    size_t n = 0;
    if (c->plan_key.len > 0)
        out[n++] = (struct receipt_key){"plan", "plan-part", "Plan-Step", true, c->plan_key, c->plan_step};
    if (c->idempotency_key.len > 0)
        out[n++] =
            (struct receipt_key){"key", "key-part", "Idempotency-Key", false, c->idempotency_key, STR_EMPTY};
    return n;
}

/* FNV-1a. A client that made two requests collide would fool itself alone. */
static uint64_t digest_add(uint64_t digest, struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        digest = (digest ^ (unsigned char)s.ptr[i]) * UINT64_C(0x100000001b3);
    return (digest ^ s.len) * UINT64_C(0x100000001b3);
}

static int64_t request_digest(const struct wire_call *c)
{
    uint64_t digest = UINT64_C(0xcbf29ce484222325);
    for (uint16_t i = 0; i < c->arg_count; i++)
        if (!str_starts(c->args[i].name, S("."))) /* the front's own: not of the request */
            digest = digest_add(digest_add(digest, c->args[i].name), c->args[i].value);
    digest = digest_add(digest, c->body);
    int64_t same_bits;
    memcpy(&same_bits, &digest, sizeof same_bits);
    return same_bits;
}

static int bind_str(sqlite3_stmt *stmt, int index, struct str s)
{
    return sqlite3_bind_text64(stmt, index, s.len ? s.ptr : "", s.len, SQLITE_STATIC, SQLITE_UTF8);
}

static int bind_key(sqlite3_stmt *stmt, const struct task *t, const char *kind, const struct receipt_key *k)
{
    int rc = sqlite3_bind_text(stmt, 1, kind, -1, SQLITE_STATIC);
    if (rc == SQLITE_OK)
        rc = bind_str(stmt, 2, t->op.call.token_id);
    if (rc == SQLITE_OK)
        rc = bind_str(stmt, 3, k->key);
    return rc == SQLITE_OK ? bind_str(stmt, 4, k->step) : rc;
}

/* --- Finding --- */

/* Columns of OWN_RECEIPT_GET: status, body, op, request. */
static struct str column_bytes(sqlite3_stmt *stmt, int column)
{
    const void *bytes = sqlite3_column_blob(stmt, column);
    int len = sqlite3_column_bytes(stmt, column);
    return str_make(len ? bytes : "", (size_t)len);
}

static enum err_code check_same_request(
    struct task *t, sqlite3_stmt *stmt, const struct receipt_key *k, bool part, struct err *err)
{
    struct str op = column_bytes(stmt, 2), mine = str_of(wire_op_name(t->op.call.op));
    if (op.len && !str_eq(op, mine))
        return err_set(err, ERR_KEY_REUSED,
            "%s: this key was used for another route (" STR_FMT ", now " STR_FMT "): send a new key",
            k->header, STR_ARG(op), STR_ARG(mine));
    if (op.len && (part || !k->any_body) && sqlite3_column_int64(stmt, 3) != request_digest(&t->op.call))
        return err_set(err, ERR_KEY_REUSED,
            "%s: this key was used with another body: send a new key, or the same bytes to have the first "
            "answer "
            "again",
            k->header);
    return ERR_OK;
}

static void replay(struct task *t, sqlite3_stmt *stmt, const struct receipt_key *k)
{
    t->op.head.status = (uint16_t)sqlite3_column_int(stmt, 0);
    t->op.head.idempotency_replayed = k->kind[0] == 'k';
    t->op.head.plan_replayed = k->kind[0] == 'p';
    strbuf_reset(&t->body);
    strbuf_add_str(&t->body, column_bytes(stmt, 1));
    t->replayed = true;
}

static enum err_code go_on(struct task *t, sqlite3_stmt *stmt, struct err *err)
{
    t->done_results = arena_copy(&t->arena, column_bytes(stmt, 1));
    t->done_count = (size_t)sqlite3_column_int(stmt, 0);
    t->wrote = true;
    return t->done_results.ptr ? ERR_OK : err_set(err, ERR_TOO_LARGE, "the answer is too large");
}

static enum err_code find_one(struct task *t, const struct receipt_key *k, bool part, struct err *err)
{
    struct engine *eng = t->op.eng;
    sqlite3_stmt *stmt = own_get(eng, OWN_RECEIPT_GET);
    int rc = stmt ? bind_key(stmt, t, part ? k->part : k->kind, k) : sqlite3_extended_errcode(eng->db);
    if (rc == SQLITE_OK)
        rc = sqlite3_bind_int64(stmt, 5, clock_wall_ms() - LIMIT_IDEMPOTENCY_TTL_MS);
    if (rc == SQLITE_OK)
        rc = own_step(eng, stmt);
    enum err_code code = rc == SQLITE_ROW ? check_same_request(t, stmt, k, part, err) : ERR_OK;
    if (rc == SQLITE_ROW && code == ERR_OK && part)
        code = go_on(t, stmt, err);
    else if (rc == SQLITE_ROW && code == ERR_OK)
        replay(t, stmt, k);
    int reset = sqlite3_reset(stmt);
    if (rc == SQLITE_ROW || rc == SQLITE_DONE)
        return code;
    return op_sql_error(&t->op, reset != SQLITE_OK ? reset : rc, STR_EMPTY, err);
}

enum err_code receipts_find(struct task *t, bool *ret_found, struct err *err)
{
    struct receipt_key keys[2];
    size_t n = keys_of(t, keys);
    bool parts = t->op.call.op == WIRE_OP_BATCH;
    enum err_code rc = ERR_OK;
    t->done_count = 0;
    for (size_t i = 0; i < n && rc == ERR_OK && !t->replayed; i++)
        rc = find_one(t, &keys[i], false, err);
    for (size_t i = 0; i < n && parts && rc == ERR_OK && !t->replayed && t->done_count == 0; i++)
        rc = find_one(t, &keys[i], true, err);
    *ret_found = t->replayed;
    return rc;
}

/* --- Keeping --- */

static int bind_answer(sqlite3_stmt *stmt, const struct task *t, int64_t status, struct str body)
{
    int rc = sqlite3_bind_int64(stmt, 5, clock_wall_ms());
    if (rc == SQLITE_OK)
        rc = sqlite3_bind_int64(stmt, 6, status);
    if (rc == SQLITE_OK)
        rc = sqlite3_bind_blob64(stmt, 7, body.ptr, body.len, SQLITE_STATIC);
    if (rc == SQLITE_OK)
        rc = sqlite3_bind_text(stmt, 8, wire_op_name(t->op.call.op), -1, SQLITE_STATIC);
    return rc == SQLITE_OK ? sqlite3_bind_int64(stmt, 9, request_digest(&t->op.call)) : rc;
}

/* Runs a statement of ours whose key is bound. */
static enum err_code end_change(struct task *t, sqlite3_stmt *stmt, int rc, struct err *err)
{
    if (rc == SQLITE_OK)
        rc = own_step(t->op.eng, stmt);
    int reset = sqlite3_reset(stmt);
    if (stmt)
        (void)sqlite3_clear_bindings(stmt); /* cannot fail */
    if (rc == SQLITE_DONE)
        return ERR_OK;
    return op_sql_error(&t->op, reset != SQLITE_OK ? reset : rc, STR_EMPTY, err);
}

static enum err_code too_large(struct err *err)
{
    return err_set(err, ERR_SQL,
        "the answer is too large to be kept for its Idempotency-Key, which may have %lld bytes: return less, "
        "or send "
        "no key; nothing was written",
        (long long)LIMIT_KEPT_ANSWER_BYTES);
}

static enum err_code store_one(struct task *t, const char *kind, const struct receipt_key *k, int64_t status,
    struct str body, struct err *err)
{
    struct engine *eng = t->op.eng;
    if (body.len > (size_t)LIMIT_KEPT_ANSWER_BYTES)
        return too_large(err);
    sqlite3_stmt *stmt = own_get(eng, OWN_RECEIPT_PUT);
    int rc = stmt ? bind_key(stmt, t, kind, k) : sqlite3_extended_errcode(eng->db);
    if (rc == SQLITE_OK)
        rc = bind_answer(stmt, t, status, body);
    return end_change(t, stmt, rc, err);
}

static enum err_code drop_part(struct task *t, const struct receipt_key *k, struct err *err)
{
    struct engine *eng = t->op.eng;
    sqlite3_stmt *stmt = own_get(eng, OWN_RECEIPT_DROP);
    int rc = stmt ? bind_key(stmt, t, k->part, k) : sqlite3_extended_errcode(eng->db);
    return end_change(t, stmt, rc, err);
}

enum err_code receipts_store(struct task *t, struct err *err)
{
    struct receipt_key keys[2];
    size_t n = keys_of(t, keys);
    enum err_code rc = ERR_OK;
    for (size_t i = 0; i < n && rc == ERR_OK; i++) {
        rc = store_one(t, keys[i].kind, &keys[i], t->op.head.status, strbuf_str(&t->body), err);
        if (rc == ERR_OK && t->done_count > 0)
            rc = drop_part(t, &keys[i], err);
    }
    return rc;
}

enum err_code receipts_store_part(struct task *t, size_t done, struct str results, struct err *err)
{
    struct receipt_key keys[2];
    size_t n = keys_of(t, keys);
    enum err_code rc = ERR_OK;
    for (size_t i = 0; i < n && rc == ERR_OK; i++)
        rc = store_one(t, keys[i].part, &keys[i], (int64_t)done, results, err);
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
