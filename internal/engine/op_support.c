/* What every handler may use: own and tenant statements, streams, time. */
#include "base/check.h"
#include "base/clock.h"
#include "base/limits.h"
#include "engine/rowsec.h"
#include "engine/sqlerr.h"
#include "engine/task.h"

enum err_code op_prepare_internal(struct op *op, const char *sql, sqlite3_stmt **ret, struct err *err)
{
    struct guard_saved saved = guard_enter_own(&op->eng->guard);
    op->eng->guard.own_reads = true;
    int rc = sqlite3_prepare_v2(op->eng->db, sql, -1, ret, NULL);
    guard_leave(&op->eng->guard, saved);
    if (rc == SQLITE_OK)
        return ERR_OK;
    enum err_code code = op_sql_error(op, rc, str_of(sql), err);
    op->error_detail = STR_EMPTY; /* it would speak of a statement that the caller did not send */
    return code;
}

enum err_code op_prepare_tenant(
    struct op *op, struct str sql, sqlite3_stmt **ret, bool *ret_tail_empty, struct err *err)
{
    struct guard *g = &op->eng->guard;
    enum sql_verb verb = sql_verb(sql);
    const char *tail = NULL;
    struct str text = sql;
    enum err_code code = sqlerr_check_verb(op, verb, err);
    if (code == ERR_OK)
        code = rowsec_prepare_text(op, sql, &text, err);
    if (code != ERR_OK)
        return code;
    int rc = guard_prepare_for(op->eng, &op->call);
    if (rc != SQLITE_OK)
        return op_sql_error(op, rc, sql, err);
    struct guard_saved saved = guard_enter_tenant(g, &op->call, verb, sql);
    (void)sqlite3_memory_highwater(1); /* for sqlerr_is_program_too_long */
    rc = sqlite3_prepare_v2(op->eng->db, text.ptr, (int)text.len, ret, &tail);
    if (rc != SQLITE_OK || guard_hides_drop(g))
        code = op_sql_error(op, rc, sql, err);
    guard_leave(g, saved);
    if (code == ERR_OK)
        code = op_check_drop(op, err);
    if (code != ERR_OK) {
        (void)sqlite3_finalize(*ret); /* never stepped */
        *ret = NULL;
    }
    if (code == ERR_OK)
        *ret_tail_empty = sql_skip_blank(str_slice(text, (size_t)(tail - text.ptr), text.len)).len == 0;
    return code;
}

int op_step_tenant(struct op *op, sqlite3_stmt *stmt)
{
    struct guard *g = &op->eng->guard;
    struct str sql = str_of(sqlite3_sql(stmt));
    int rc = guard_shut_fts5(op->eng);
    if (rc != SQLITE_OK)
        return rc;
    struct guard_saved saved = guard_enter_tenant(g, &op->call, sql_verb(sql), sql);
    rc = sqlite3_step(stmt);
    guard_leave(g, saved);
    return rc;
}

enum err_code op_stream(struct op *op, struct str bytes, struct err *err)
{
    struct task *t = task_of(op);
    struct channel *ch = &op->eng->channel;
    CHECK(!t->write);
    if (!t->streamed && op->head.status == 0)
        op->head.status = 200;
    wire_put_reply(&ch->out, op->id, t->streamed ? NULL : &op->head, bytes, false);
    t->streamed = true;
    if (ch->out.len >= WIRE_CHUNK_MAX / 4)
        channel_flush(ch);
    if (ch->closed)
        return err_set(err, ERR_UNAVAILABLE, "the receiver is gone");
    return op_check_time(op, err);
}

bool op_name_reserved(struct str name)
{
    return str_starts_nocase(name, S("sqlite_")) || guard_name_reserved(name);
}

bool op_table_visible(const struct op *op, struct str table)
{
    return guard_in_scope(&op->call, table);
}

enum err_code op_check_time(struct op *op, struct err *err)
{
    struct engine *eng = op->eng;
    if (engine_stop_reason(eng) == STOP_NONE)
        return ERR_OK;
    if (eng->stop == STOP_DEADLINE)
        return err_set(
            err, ERR_QUERY_TIMEOUT, "the call took longer than the server allows; nothing of it was kept");
    if (eng->stop == STOP_GIVES_WAY)
        return err_retry(err, ERR_BUSY, 1,
            "the rehearsal took more than %d ms while other calls waited, and gave way to them: try again, "
            "or "
            "split the write by ranges of a key",
            (int)LIMIT_REHEARSAL_HOLDS_MS);
    return err_set(err, ERR_UNAVAILABLE, "the call was cancelled; nothing of it was kept");
}

struct str op_id(const struct op *op)
{
    struct str id = wire_arg(&op->call, "id");
    return id.ptr ? id : STR_EMPTY;
}

void op_write_dropped(struct op *op, struct str id)
{
    jsonw_object(op->w);
    JSONW_TEXT(op->w, "id", id);
    JSONW_BOOL(op->w, "deleted", true);
}
