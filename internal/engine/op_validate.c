/* POST …/validate: would this statement be accepted? Parses it under the caller's rights and binds the
 * parameters; runs nothing. Always 200 when the question itself is well formed.
 * data: {"ok":true, "readonly", "columns":[…], "parameters":[name or null, …]} or
 * {"ok":false, "error", "errorDetail"}. Without "params" the parameters are listed and not checked. */
#include "engine/op_input.h"

#include <sqlite3.h>

/* What the statement, not the request, is to blame for. */
static bool is_verdict(enum err_code code)
{
    return code == ERR_SQL || code == ERR_FORBIDDEN || code == ERR_INVALID || code == ERR_TOO_LARGE;
}

static void write_refusal(struct op *op, const struct err *why)
{
    jsonw_object(op->w);
    JSONW_BOOL(op->w, "ok", false);
    JSONW_CSTR(op->w, "error", why->message);
    jsonw_key(op->w, "errorDetail");
    if (op->error_detail.len) {
        jsonw_raw(op->w, op->error_detail);
    } else {
        jsonw_object(op->w);
        JSONW_CSTR(op->w, "kind", "unknown");
        JSONW_CSTR(op->w, "message", why->message);
        jsonw_object_end(op->w);
    }
    jsonw_object_end(op->w);
    op->error_detail = STR_EMPTY; /* told inside data; the call itself succeeds */
}

static void write_acceptance(struct op *op, sqlite3_stmt *stmt)
{
    jsonw_object(op->w);
    JSONW_BOOL(op->w, "ok", true);
    JSONW_BOOL(op->w, "readonly", sqlite3_stmt_readonly(stmt) != 0);
    jsonw_key(op->w, "columns");
    jsonw_array(op->w);
    for (int i = 0; i < sqlite3_column_count(stmt); i++)
        jsonw_cstr(op->w, sqlite3_column_name(stmt, i));
    jsonw_array_end(op->w);
    jsonw_key(op->w, "parameters");
    jsonw_array(op->w);
    for (int i = 1; i <= sqlite3_bind_parameter_count(stmt); i++)
        jsonw_cstr(op->w, sqlite3_bind_parameter_name(stmt, i));
    jsonw_array_end(op->w);
    jsonw_object_end(op->w);
}

enum err_code op_run_VALIDATE(struct op *op, struct err *err)
{
    struct op_input in;
    struct err why = ERR_INIT;
    sqlite3_stmt *stmt = NULL;
    bool one = true;
    enum err_code code = op_input_read(op, &in, err);
    if (code)
        return code;
    code = op_prepare_tenant(op, in.sql, &stmt, &one, &why);
    if (!code && (!stmt || !one))
        code = err_set(&why, ERR_SQL, "exactly one statement is needed");
    if (!code && in.params)
        code = op_bind_params(op, stmt, in.params, -1, &why);
    if (!code)
        write_acceptance(op, stmt);
    else if (is_verdict(code))
        write_refusal(op, &why);
    (void)sqlite3_finalize(stmt); /* never stepped */
    if (!code || is_verdict(code))
        return ERR_OK;
    if (err)
        *err = why;
    return code;
}
