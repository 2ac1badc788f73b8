/* Compiles policies as they would stand in a shadow, with common table expressions in place of the shadows.
 */
#include "engine/op_policy.h"
#include "base/limits.h"
#include "base/strbuf.h"
#include "engine/catalog.h"
#include "engine/column.h"
#include "engine/engine_state.h"
#include "engine/rowsec.h"
#include "engine/sql_token.h"

static const char SQL_OTHERS[] =
    "SELECT p.table_name, p.using_sql FROM _sys_policy p JOIN _sys_row_security r USING (table_name)"
    " WHERE p.enabled AND p.command IN ('select', 'all') AND p.using_sql IS NOT NULL"
    " AND p.table_name <> ?1 COLLATE NOCASE ORDER BY p.table_name";
static const char SQL_VIEWS[] =
    "SELECT name, sql FROM sqlite_schema WHERE type = 'view' AND sql LIKE 'CREATE VIEW %'";

enum { TEXT_MAX = 4 << 20 };

/* "<before>"table" AS (SELECT * FROM main."table" WHERE (" */
static void begin_shadow(struct strbuf *sql, const char *before, struct str table)
{
    strbuf_add_cstr(sql, before);
    catalog_quote(sql, table);
    strbuf_add_cstr(sql, " AS (SELECT * FROM main.");
    catalog_quote(sql, table);
    strbuf_add_cstr(sql, " WHERE (");
}

/* Inside of the expression the table's name stands for itself, which is refused: the shadow would need
 * itself. false: *ret_problem says what is wrong. */
static bool begin_probe(struct strbuf *sql, struct str table, struct str expression, const char **ret_problem)
{
    begin_shadow(sql, "WITH ", table);
    if (!rowsec_translate(expression, sql, ret_problem))
        return false;
    strbuf_add_cstr(sql, "))");
    return true;
}

/* Prepares the probe; its message when it does not compile, else "". */
static struct str message_of(struct op *op, struct strbuf *sql, struct str table)
{
    static const struct wire_call ANYBODY = {.role = WIRE_ROLE_READONLY};
    struct guard *g = &op->eng->guard;
    AUTO_SQL *stmt = NULL;
    strbuf_add_cstr(sql, " SELECT 1 FROM ");
    catalog_quote(sql, table);
    if (strbuf_failed(sql))
        return S("it is too long");
    struct guard_saved saved = guard_enter_tenant(g, &ANYBODY, SQL_VERB_SELECT, strbuf_str(sql));
    g->policy_text = true;
    int rc = sqlite3_prepare_v2(op->eng->db, strbuf_cstr(sql), (int)sql->len, &stmt, NULL);
    g->policy_text = false;
    guard_leave(g, saved);
    struct str ret = STR_EMPTY;
    if (rc != SQLITE_OK)
        ret = arena_copy(op->arena, str_of(g->refused ? g->text : sqlite3_errmsg(op->eng->db)));
    g->refused = false;
    return ret;
}

struct str policy_problem(struct op *op, struct str table, struct str expression)
{
    const char *problem;
    AUTO_STRBUF sql;
    strbuf_init(&sql, LIMIT_SQL_BYTES);
    if (!begin_probe(&sql, table, expression, &problem))
        return str_of(problem);
    struct str message = message_of(op, &sql, table);
    return message.len ? arena_printf(op->arena, "does not compile: " STR_FMT, STR_ARG(message)) : STR_EMPTY;
}

/* --- Circles --- */

/* A row of SQL_OTHERS: one more condition for the table that is open, or the first of the next. */
static void add_other(struct strbuf *sql, struct str name, struct str expression, struct str *open)
{
    const char *problem;
    bool same = open->ptr && str_eq(*open, name);
    if (same) {
        strbuf_add_cstr(sql, ") OR (");
    } else {
        strbuf_add_cstr(sql, open->ptr ? "))" : "");
        begin_shadow(sql, ", ", name);
    }
    *open = name;
    if (!rowsec_translate(expression, sql, &problem))
        sql->failed = true; /* it was looked at when it was stored */
}

/* "CREATE VIEW name (columns) AS SELECT …" as a common table expression. */
static void add_view(struct strbuf *sql, struct str create)
{
    struct str rest = create;
    (void)sql_token_next(&rest);
    (void)sql_token_next(&rest); /* CREATE VIEW */
    struct str head = rest;
    struct sql_token t = sql_token_next(&rest);
    while (t.kind != SQL_TOKEN_END && !sql_token_is(t, S("AS")))
        t = sql_token_next(&rest);
    if (t.kind == SQL_TOKEN_END)
        return;
    strbuf_add_cstr(sql, ", ");
    strbuf_add_str(sql, str_slice(head, 0, (size_t)(rest.ptr - head.ptr)));
    strbuf_add_cstr(sql, " (");
    strbuf_add_str(sql, rest);
    strbuf_add_cstr(sql, "\n)"); /* a comment may stand at its end */
}

/* The rows of one of the two statements. false: it cannot be read. */
static bool add_all(struct op *op, struct strbuf *sql, const char *query, struct str table)
{
    AUTO_SQL *stmt = NULL;
    struct err ignored = ERR_INIT;
    struct str open = {NULL, 0};
    int rc = SQLITE_ERROR;
    if (op_prepare_internal(op, query, &stmt, &ignored) ||
        (sqlite3_bind_parameter_count(stmt) &&
            sqlite3_bind_text(stmt, 1, table.ptr, (int)table.len, SQLITE_STATIC) != SQLITE_OK))
        return false;
    while ((rc = own_step(op->eng, stmt)) == SQLITE_ROW) {
        if (query == SQL_VIEWS)
            add_view(sql, column_bytes(stmt, 1));
        else
            add_other(sql, catalog_text(op->arena, stmt, 0), column_bytes(stmt, 1), &open);
    }
    strbuf_add_cstr(sql, open.ptr ? "))" : "");
    return rc == SQLITE_DONE;
}

static bool has_subquery(struct str expression)
{
    for (struct sql_token t = sql_token_next(&expression); t.kind != SQL_TOKEN_END;
         t = sql_token_next(&expression)) {
        if (sql_token_is(t, S("SELECT")) || sql_token_is(t, S("IN"))) /* x IN table */
            return true;
    }
    return false;
}

struct str policy_circle(struct op *op, struct str table, struct str expression)
{
    const char *problem;
    AUTO_STRBUF sql;
    strbuf_init(&sql, TEXT_MAX);
    if (!has_subquery(expression) || !begin_probe(&sql, table, expression, &problem) ||
        !add_all(op, &sql, SQL_OTHERS, table) || !add_all(op, &sql, SQL_VIEWS, table))
        return STR_EMPTY;
    struct str circle = S("circular reference: "), message = message_of(op, &sql, table);
    if (!str_starts(message, circle) || !str_eq_nocase(str_slice(message, circle.len, message.len), table))
        return STR_EMPTY;
    return arena_printf(op->arena,
        "refers in a circle: what it reads stands under policies that read table \"" STR_FMT
        "\" again, so that these tables are closed; main.<table> reads one without its policies",
        STR_ARG(table));
}
