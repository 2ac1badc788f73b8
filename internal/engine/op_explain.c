/* POST …/explain: how SQLite would run a statement. A write is planned under the caller's rights and not run.
 * data: {"columns":["id","parent","notused","detail"], "rows":[[…]], "plan":[{"id","parent","detail"}],
 * "readonly", "scans":[{"table","detail"}]}: a scan reads a whole table or index. */
#include "base/strbuf.h"
#include "engine/op_input.h"

#include <sqlite3.h>

enum { PLAN_STEPS_MAX = 5000, EXPLAIN_IS_QUERY_PLAN = 2 };

struct step {
    struct step *next;
    int64_t id, parent, notused;
    struct str detail;
};

static enum err_code read_plan(
    struct op *op, sqlite3_stmt *stmt, struct str sql, struct step **ret, struct err *err)
{
    struct step **tail = ret;
    int count = 0, rc;
    while ((rc = sqlite3_step(stmt)) == SQLITE_ROW && count++ < PLAN_STEPS_MAX) {
        struct step *s = arena_alloc(op->arena, sizeof(*s));
        if (!s)
            return err_set(err, ERR_TOO_LARGE, "the plan is too large");
        const char *detail = (const char *)sqlite3_column_text(stmt, 3);
        s->id = sqlite3_column_int64(stmt, 0);
        s->parent = sqlite3_column_int64(stmt, 1);
        s->notused = sqlite3_column_int64(stmt, 2);
        s->detail = arena_copy(op->arena, str_of(detail));
        *tail = s;
        tail = &s->next;
    }
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? ERR_OK : op_sql_error(op, rc, sql, err);
}

static void write_rows(struct jsonw *w, const struct step *plan)
{
    static const char *const columns[] = {"id", "parent", "notused", "detail"};
    jsonw_key(w, "columns");
    jsonw_array(w);
    for (size_t i = 0; i < ARRAY_LEN(columns); i++)
        jsonw_cstr(w, columns[i]);
    jsonw_array_end(w);
    jsonw_key(w, "rows");
    jsonw_array(w);
    for (const struct step *s = plan; s; s = s->next) {
        jsonw_array(w);
        jsonw_int(w, s->id);
        jsonw_int(w, s->parent);
        jsonw_int(w, s->notused);
        jsonw_text(w, s->detail);
        jsonw_array_end(w);
    }
    jsonw_array_end(w);
}

static void write_plan(struct jsonw *w, const struct step *plan)
{
    jsonw_key(w, "plan");
    jsonw_array(w);
    for (const struct step *s = plan; s; s = s->next) {
        jsonw_object(w);
        JSONW_INT(w, "id", s->id);
        JSONW_INT(w, "parent", s->parent);
        JSONW_TEXT(w, "detail", s->detail);
        jsonw_object_end(w);
    }
    jsonw_array_end(w);
}

/* "SCAN orders USING COVERING INDEX …": the second word is the table or its alias. */
static void write_scans(struct jsonw *w, const struct step *plan)
{
    jsonw_key(w, "scans");
    jsonw_array(w);
    for (const struct step *s = plan; s; s = s->next) {
        struct str rest = s->detail, table;
        if (!str_starts(rest, S("SCAN ")) || str_eq(rest, S("SCAN CONSTANT ROW")))
            continue;
        rest = str_slice(rest, 5, rest.len);
        if (!str_cut(&rest, ' ', &table))
            continue;
        jsonw_object(w);
        JSONW_TEXT(w, "table", table);
        JSONW_TEXT(w, "detail", s->detail);
        jsonw_object_end(w);
    }
    jsonw_array_end(w);
}

/* The statement itself goes through the guard first, so that its errors read as those of a query. */
static enum err_code prepare_plan(
    struct op *op, struct str sql, sqlite3_stmt **ret, bool *ret_readonly, struct err *err)
{
    sqlite3_stmt *stmt = NULL;
    bool one = true;
    enum err_code code = op_prepare_tenant(op, sql, &stmt, &one, err);
    if (code)
        return code;
    bool planned = stmt && sqlite3_stmt_isexplain(stmt) == EXPLAIN_IS_QUERY_PLAN;
    *ret_readonly = stmt && sqlite3_stmt_readonly(stmt);
    if (planned && one) {
        *ret = stmt;
        return ERR_OK;
    }
    bool empty = !stmt, explained = stmt && sqlite3_stmt_isexplain(stmt);
    (void)sqlite3_finalize(stmt); /* never stepped */
    if (empty || !one)
        return err_field(err, "/sql", "must be exactly one statement");
    if (explained)
        return err_field(err, "/sql", "give the statement itself, without EXPLAIN");
    struct str text = arena_printf(op->arena, "EXPLAIN QUERY PLAN " STR_FMT, STR_ARG(sql));
    if (!text.ptr)
        return err_set(err, ERR_TOO_LARGE, "the statement is too large");
    return op_prepare_tenant(op, text, ret, &one, err);
}

enum err_code op_run_EXPLAIN(struct op *op, struct err *err)
{
    struct op_input in;
    struct step *plan = NULL;
    sqlite3_stmt *stmt = NULL;
    bool readonly = false;
    enum err_code code = op_input_read(op, &in, err);
    if (!code)
        code = prepare_plan(op, in.sql, &stmt, &readonly, err);
    /* Parameters do not change the plan; wrong ones are told as a query would tell them. */
    if (!code && in.params)
        code = op_bind_params(op, stmt, in.params, -1, err);
    if (!code)
        code = read_plan(op, stmt, in.sql, &plan, err);
    (void)sqlite3_finalize(stmt); /* its error was taken by read_plan */
    if (code)
        return code;
    jsonw_object(op->w);
    write_rows(op->w, plan);
    write_plan(op->w, plan);
    JSONW_BOOL(op->w, "readonly", readonly);
    write_scans(op->w, plan);
    jsonw_object_end(op->w);
    return ERR_OK;
}
