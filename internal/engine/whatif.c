/* The copy of the schema and its plans. */
#include "engine/whatif.h"
#include "base/strbuf.h"
#include "engine/engine_state.h"

static const char SQL_HAS_STAT[] = "SELECT 1 FROM sqlite_schema WHERE name = 'sqlite_stat1'";
static const char SQL_STAT[] = "SELECT tbl, idx, stat FROM sqlite_stat1";
static const char SQL_ADD_STAT[] = "INSERT INTO sqlite_stat1 VALUES (?1, ?2, ?3)";

static enum err_code open_memory(struct op *op, sqlite3 **ret, struct err *err)
{
    int rc = sqlite3_open_v2(":memory:", ret,
        SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_PRIVATECACHE | SQLITE_OPEN_NOMUTEX,
        VFS_NAME);
    if (rc)
        return err_set(err, ERR_UNAVAILABLE, "no memory for the examination: %s", sqlite3_errstr(rc));
    enum err_code code = engine_recipe(op->eng, *ret, err);
    if (!code)
        engine_watch_time(op->eng, *ret); /* a statement of a tenant can be slow to prepare */
    return code;
}

bool whatif_exec(struct whatif *w, const char *sql)
{
    return sqlite3_exec(w->plain, sql, NULL, NULL, NULL) == SQLITE_OK;
}

/* What cannot be made here (a view over something that is gone) is left out. */
static void copy_schema(struct whatif *w, const struct catalog *cat)
{
    for (const struct cat_table *t = cat->tables; t; t = t->next) {
        (void)whatif_exec(w, t->sql.ptr);
        for (const struct cat_index *ix = t->indexes; ix; ix = ix->next) {
            if (ix->sql.ptr)
                (void)whatif_exec(w, ix->sql.ptr);
        }
    }
    for (const struct cat_table *t = cat->views; t; t = t->next) {
        (void)whatif_exec(w, t->sql.ptr);
        (void)sqlite3_exec(w->listen, t->sql.ptr, NULL, NULL, NULL);
    }
}

static void copy_stat(sqlite3_stmt *from, sqlite3_stmt *to)
{
    for (int i = 0; i < 3; i++)
        (void)sqlite3_bind_value(to, i + 1, sqlite3_column_value(from, i)); /* without memory: one row less */
    (void)sqlite3_step(to);
    (void)sqlite3_reset(to);
}

static enum err_code copy_statistics(struct whatif *w, const struct catalog *cat, struct err *err)
{
    struct catalog_source src = catalog_source_of_op(w->op);
    AUTO_SQL *has = NULL, *from = NULL, *to = NULL;
    bool row = false;
    enum err_code code = src.prepare(src.arg, SQL_HAS_STAT, &has, err);
    if (!code)
        code = catalog_step(&src, has, &row, err);
    if (code || !row || !whatif_exec(w, "ANALYZE sqlite_schema") ||
        sqlite3_prepare_v2(w->plain, SQL_ADD_STAT, -1, &to, NULL))
        return code;
    code = src.prepare(src.arg, SQL_STAT, &from, err);
    while (!code && !(code = catalog_step(&src, from, &row, err)) && row) {
        if (catalog_table(cat, str_of((const char *)sqlite3_column_text(from, 0))))
            copy_stat(from, to);
    }
    (void)whatif_exec(w, "ANALYZE sqlite_schema"); /* reads what was inserted */
    return code;
}

enum err_code whatif_open(struct whatif *w, struct op *op, const struct catalog *cat, struct err *err)
{
    *w = (struct whatif){.op = op, .arena = op->arena};
    enum err_code code = open_memory(op, &w->plain, err);
    if (!code)
        code = open_memory(op, &w->listen, err);
    if (!code)
        code = advice_open(w, cat, err);
    if (!code) {
        (void)sqlite3_db_config(w->plain, SQLITE_DBCONFIG_DEFENSIVE, 0, NULL); /* statistics are written */
        copy_schema(w, cat);
        code = copy_statistics(w, cat, err);
    }
    return code;
}

void whatif_release(struct whatif *w)
{
    (void)sqlite3_close(w->plain); /* every statement is gone */
    (void)sqlite3_close(w->listen);
    *w = (struct whatif){.op = NULL};
}

/* The first statement of `sql`; NULL when SQLite refuses it or when there is none. */
static sqlite3_stmt *prepare(sqlite3 *db, struct str before, struct str sql)
{
    AUTO_STRBUF text;
    sqlite3_stmt *stmt = NULL;
    strbuf_init(&text, before.len + sql.len);
    strbuf_add_str(&text, before);
    strbuf_add_str(&text, sql);
    (void)sqlite3_prepare_v2(db, strbuf_cstr(&text), (int)text.len, &stmt, NULL); /* stmt NULL on failure */
    return stmt;
}

struct plan_line *whatif_plan(struct whatif *w, struct str sql, bool *ret_ok)
{
    struct plan_line *plan = NULL, **tail = &plan;
    AUTO_SQL *stmt = prepare(w->plain, S("EXPLAIN QUERY PLAN "), sql);
    *ret_ok = stmt != NULL;
    while (stmt && sqlite3_step(stmt) == SQLITE_ROW) {
        struct plan_line *line = arena_alloc(w->arena, sizeof(*line));
        struct str detail = catalog_text(w->arena, stmt, 3);
        if (!line || !detail.ptr)
            break;
        line->detail = detail;
        *tail = line;
        tail = &line->next;
    }
    return plan;
}

/* Behind the name of an index stands the end or a space. */
bool plan_uses_index(const struct plan_line *plan, struct str index)
{
    for (; plan; plan = plan->next) {
        struct str d = plan->detail;
        for (size_t at = 0; at + 6 + index.len <= d.len; at++) {
            size_t end = at + 6 + index.len;
            if (str_eq(str_slice(d, at, at + 6), S("INDEX ")) && str_eq(str_slice(d, at + 6, end), index) &&
                (end == d.len || d.ptr[end] == ' '))
                return true;
        }
    }
    return false;
}

bool plan_is_costly(const struct plan_line *plan)
{
    for (; plan; plan = plan->next) {
        /* min() and max() without an index that serves them are a "SEARCH t", and read all of it. */
        bool whole = str_starts(plan->detail, S("SEARCH ")) && !strstr(plan->detail.ptr, " USING ");
        if (whole || str_starts(plan->detail, S("USE TEMP B-TREE")) ||
            (str_starts(plan->detail, S("SCAN ")) && !str_eq(plan->detail, S("SCAN CONSTANT ROW"))))
            return true;
    }
    return false;
}

void whatif_listen(struct whatif *w, struct str sql)
{
    w->scans = NULL;
    AUTO_SQL *stmt = prepare(w->listen, STR_EMPTY, sql);
    (void)stmt; /* what was noted while it was prepared is all that counts */
}
