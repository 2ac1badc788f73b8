/* Who stands under policies, and what they may ask for. */
#include "engine/rowsec.h"
#include "base/strbuf.h"
#include "engine/catalog.h"
#include "engine/engine_state.h"
#include "engine/rowcount.h"

void rowsec_forget(struct engine *eng)
{
    eng->row_security = ROW_SECURITY_UNKNOWN;
}

bool rowsec_changed_by(enum wire_op op)
{
    return op == WIRE_OP_IMPORT || op == WIRE_OP_POLICY_SET || op == WIRE_OP_POLICY_DROP ||
           op == WIRE_OP_ROW_SECURITY_SET;
}

/* A file from before row security has none. Whatever else goes wrong counts as on. */
static enum row_security look(struct engine *eng)
{
    sqlite3_stmt *stmt = own_get(eng, OWN_ROW_SECURITY);
    if (!stmt)
        return sqlite3_errcode(eng->db) == SQLITE_ERROR ? ROW_SECURITY_OFF : ROW_SECURITY_ON;
    int rc = own_step(eng, stmt);
    (void)sqlite3_reset(stmt); /* repeats the error of the step */
    return rc == SQLITE_DONE ? ROW_SECURITY_OFF : ROW_SECURITY_ON;
}

bool rowsec_applies(struct engine *eng, const struct wire_call *call)
{
    if (eng->cfg.mode == ENGINE_SCRATCH_MODE || (call->role == WIRE_ROLE_ADMIN && call->claims.len == 0))
        return false;
    if (eng->row_security == ROW_SECURITY_UNKNOWN)
        eng->row_security = look(eng);
    return eng->row_security == ROW_SECURITY_ON;
}

void rowsec_tell(struct engine *eng, const struct wire_call *call, const struct jsonr_value *claims)
{
    struct rowsec *rs = eng->guard.rowsec;
    if (!rs)
        return;
    rs->counted = rs->counted_in_all = 0;
    rs->claims = claims;
    rs->role = call->role;
}

enum err_code rowsec_check_op(struct op *op, struct err *err)
{
    struct str format = wire_arg(&op->call, "format");
    switch (op->call.op) {
    case WIRE_OP_PING:
    case WIRE_OP_QUERY:
    case WIRE_OP_BATCH:
    case WIRE_OP_TABLES:
    case WIRE_OP_SCHEMA:
    case WIRE_OP_DESCRIBE:
    case WIRE_OP_SEARCH:
    case WIRE_OP_EXPLAIN:
    case WIRE_OP_VALIDATE:
    case WIRE_OP_PROPOSE:
    case WIRE_OP_APPLY:
    case WIRE_OP_REDEEM:
    case WIRE_OP_PROPOSAL_LIST:
    case WIRE_OP_PROPOSAL_GET:
    case WIRE_OP_PROPOSAL_CHANGES:
    case WIRE_OP_PROPOSAL_WITHDRAW:
    case WIRE_OP_POLICY_TEST: return ERR_OK;
    case WIRE_OP_EXPORT:
        if (format.ptr && (str_eq(format, S("csv")) || str_eq(format, S("ndjson"))))
            return ERR_OK;
        return err_set(err, ERR_FORBIDDEN,
            "under row-level security export holds one table: ?format=csv or ndjson and ?table=");
    default:
        return err_set(err, ERR_FORBIDDEN,
            "this is not available under row-level security, because it is not bound to the rows that the "
            "token "
            "sees: it takes a token with the role admin and without claims");
    }
}

static enum err_code count_seen(
    struct op *op, const struct cat_table *t, struct rowcount *ret, struct err *err)
{
    enum { COUNTED_MAX = 10000 };
    AUTO_STRBUF sql;
    AUTO_SQL *stmt = NULL;
    bool one;
    strbuf_init(&sql, 1 << 16);
    strbuf_add_cstr(&sql, "SELECT count(*) FROM (SELECT 1 FROM ");
    catalog_quote(&sql, t->name);
    strbuf_addf(&sql, " LIMIT %d)", COUNTED_MAX + 1);
    *ret = (struct rowcount){0, false};
    enum err_code code = op_prepare_tenant(op, strbuf_str(&sql), &stmt, &one, err);
    int rc = code ? SQLITE_ERROR : op_step_tenant(op, stmt);
    if (rc == SQLITE_ROW) {
        int64_t rows = sqlite3_column_int64(stmt, 0);
        *ret = (struct rowcount){rows > COUNTED_MAX ? COUNTED_MAX : rows, rows <= COUNTED_MAX};
        return ERR_OK;
    }
    if (code != ERR_SQL && code != ERR_FORBIDDEN && code)
        return code;
    op->error_detail = STR_EMPTY; /* a table that cannot be read has no rows to tell of */
    op->eng->guard.refused = false;
    return op_check_time(op, err);
}

enum err_code rowsec_rowcount(struct op *op, const struct catalog_source *src, const struct cat_table *t,
    const struct rowcount_budget *budget, struct rowcount *ret, struct err *err)
{
    return op->eng->guard.rowsec ? count_seen(op, t, ret, err) : rowcount_of(src, t, budget, ret, err);
}
