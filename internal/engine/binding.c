/* See binding.h. */
#include "engine/binding.h"
#include "engine/engine_state.h"

struct binding binding_of(struct op *op, enum own_sql which)
{
    sqlite3_stmt *stmt = own_get(op->eng, which);
    return (struct binding){stmt, stmt ? SQLITE_OK : sqlite3_extended_errcode(op->eng->db), 0, false};
}

void bind_int(struct binding *b, int64_t n)
{
    if (b->rc == SQLITE_OK)
        b->rc = sqlite3_bind_int64(b->stmt, ++b->index, n);
}

void bind_text(struct binding *b, struct str s)
{
    b->borrows |= s.ptr != NULL;
    if (b->rc == SQLITE_OK)
        b->rc = s.ptr ? sqlite3_bind_text64(b->stmt, ++b->index, s.ptr, s.len, SQLITE_STATIC, SQLITE_UTF8)
                      : sqlite3_bind_null(b->stmt, ++b->index);
}

void bind_blob(struct binding *b, struct str s)
{
    b->borrows |= s.len > 0;
    if (b->rc == SQLITE_OK)
        b->rc = s.len ? sqlite3_bind_blob64(b->stmt, ++b->index, s.ptr, s.len, SQLITE_STATIC)
                      : sqlite3_bind_null(b->stmt, ++b->index);
}

enum err_code binding_end(struct op *op, struct binding *b, struct err *err)
{
    int reset = b->stmt ? sqlite3_reset(b->stmt) : SQLITE_OK;
    if (b->stmt && b->borrows) /* SQLite may plan a statement anew whose parameters were NULL meanwhile */
        (void)sqlite3_clear_bindings(b->stmt); /* cannot fail */
    if (b->rc == SQLITE_OK || b->rc == SQLITE_ROW || b->rc == SQLITE_DONE)
        return ERR_OK;
    enum err_code code = op_sql_error(op, reset != SQLITE_OK ? reset : b->rc, STR_EMPTY, err);
    op->error_detail = STR_EMPTY; /* no statement of the caller's is at fault */
    return code;
}

bool binding_step(struct op *op, struct binding *b)
{
    if (b->rc == SQLITE_OK || b->rc == SQLITE_ROW)
        b->rc = own_step(op->eng, b->stmt);
    return b->rc == SQLITE_ROW;
}

enum err_code binding_run(struct op *op, struct binding *b, struct err *err)
{
    (void)binding_step(op, b);
    return binding_end(op, b, err);
}
