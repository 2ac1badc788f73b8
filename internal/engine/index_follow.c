/* Full-text indexes after rows of their tables were written without triggers. */
#include "engine/index_follow.h"
#include "base/strbuf.h"
#include "engine/catalog.h"
#include "engine/change_apply.h"
#include "engine/engine_state.h"
#include "engine/fts5_decl.h"
#include "engine/index_rows.h"

/* The first table of the set that `fits`; ptr NULL: none does. */
static enum err_code find_table(struct str set, bool (*fits)(struct op *op, struct str table, struct str arg),
    struct op *op, struct str arg, struct str *ret, struct err *err)
{
    struct change_reader r;
    struct change_table_view t;
    bool found = true;
    *ret = (struct str){NULL, 0};
    enum err_code code = change_reader_init(&r, set, err);
    while (!code && found && !ret->ptr) {
        code = change_table_next(&r, &found, &t, err);
        if (!code && found && fits(op, t.name, arg))
            *ret = t.name;
    }
    change_reader_release(&r);
    return code;
}

static bool has_trigger(struct op *op, struct str table, struct str ignored)
{
    sqlite3_stmt *stmt = own_get(op->eng, OWN_TRIGGER_ON);
    (void)ignored;
    int rc =
        stmt ? sqlite3_bind_text64(stmt, 1, table.ptr, table.len, SQLITE_STATIC, SQLITE_UTF8) : SQLITE_NOMEM;
    bool has = rc == SQLITE_OK && own_step(op->eng, stmt) == SQLITE_ROW;
    if (stmt)
        (void)sqlite3_reset(stmt); /* a failure counts as none: then the merge fails too */
    return has;
}

static bool is_table(struct op *op, struct str table, struct str name)
{
    (void)op;
    return str_eq_nocase(table, name);
}

static bool is_view(struct op *op, struct str name)
{
    AUTO_SQL *stmt = NULL;
    struct err ignored = ERR_INIT;
    bool view = op_prepare_internal(op,
                    "SELECT 1 FROM sqlite_schema WHERE type = 'view' AND name = ?1 COLLATE NOCASE", &stmt,
                    &ignored) == ERR_OK &&
                sqlite3_bind_text64(stmt, 1, name.ptr, name.len, SQLITE_STATIC, SQLITE_UTF8) == SQLITE_OK &&
                change_step(op->eng, stmt) == SQLITE_ROW;
    return view;
}

static enum err_code rebuild(struct rehearsal *r, struct str index, struct err *err)
{
    AUTO_STRBUF sql;
    AUTO_SQL *stmt = NULL;
    strbuf_init(&sql, 1 << 20);
    strbuf_add_cstr(&sql, "INSERT INTO main.");
    catalog_quote(&sql, index);
    strbuf_add_char(&sql, '(');
    catalog_quote(&sql, index);
    strbuf_add_cstr(&sql, ") VALUES ('rebuild')");
    enum err_code code = op_prepare_internal(r->op, strbuf_cstr(&sql), &stmt, err);
    int rc = code ? SQLITE_DONE : change_step(r->op->eng, stmt);
    return code || rc == SQLITE_DONE ? code : op_sql_error(r->op, rc, STR_EMPTY, err);
}

static enum err_code follow_external(struct rehearsal *r, struct str set, bool merged, struct str index,
    const struct fts5_decl *d, struct err *err)
{
    struct str table;
    bool done = false;
    enum err_code code = find_table(set, is_table, r->op, d->content_table, &table, err);
    if (!code && table.ptr)
        code = index_rows(r, set, index, d, &done, err);
    bool builds = !done && (table.ptr || (merged && is_view(r->op, d->content_table)));
    return code || !builds ? code : rebuild(r, index, err);
}

static enum err_code follow(struct rehearsal *r, struct str set, bool merged, struct str index,
    const struct fts5_decl *d, struct err *err)
{
    struct str table;
    if (d->content == FTS5_EXTERNAL)
        return follow_external(r, set, merged, index, d, err);
    if (!merged) /* its writes are none that can be taken back */
        return ERR_OK;
    enum err_code code = find_table(set, has_trigger, r->op, STR_EMPTY, &table, err);
    if (code || !table.ptr)
        return code;
    return err_set(err, ERR_CONFLICT,
        "Table \"" STR_FMT
        "\" has triggers, which are not run when rows are merged or taken back, and \"" STR_FMT
        "\" is a full-text index that cannot be built anew: make the change by hand",
        STR_ARG(str_slice(table, 0, 100)), STR_ARG(str_slice(index, 0, 100)));
}

struct index {
    struct index *next;
    struct str name, sql;
};

static enum err_code list_indexes(struct op *op, struct index **end, struct err *err)
{
    sqlite3_stmt *stmt = own_get(op->eng, OWN_FTS5_TABLES);
    int rc = stmt ? SQLITE_ROW : SQLITE_NOMEM;
    while (rc == SQLITE_ROW && (rc = own_step(op->eng, stmt)) == SQLITE_ROW) {
        struct index *x = arena_alloc(op->arena, sizeof *x);
        if (!x)
            break;
        x->name = arena_copy(
            op->arena, str_make(sqlite3_column_text(stmt, 0), (size_t)sqlite3_column_bytes(stmt, 0)));
        x->sql = arena_copy(
            op->arena, str_make(sqlite3_column_text(stmt, 1), (size_t)sqlite3_column_bytes(stmt, 1)));
        if (!x->name.ptr || !x->sql.ptr)
            break;
        *end = x;
        end = &x->next;
    }
    if (stmt)
        (void)sqlite3_reset(stmt); /* repeats the error of the step */
    return rc == SQLITE_DONE ? ERR_OK
                             : err_set(err, ERR_TOO_LARGE, "the schema is too large to be looked at");
}

bool index_can_follow(struct op *op, struct str index)
{
    struct index *list = NULL;
    struct fts5_decl d;
    bool can = !list_indexes(op, &list, NULL);
    while (can && list && !str_eq_nocase(list->name, index))
        list = list->next;
    return can && list && fts5_decl_read(op->arena, list->sql, &d) && d.content == FTS5_EXTERNAL &&
           !is_view(op, d.content_table);
}

enum err_code index_follow(struct rehearsal *r, struct str set, bool merged, struct err *err)
{
    struct index *list = NULL;
    enum err_code code = list_indexes(r->op, &list, err);
    for (; list && !code; list = list->next) {
        struct fts5_decl d;
        if (fts5_decl_read(r->op->arena, list->sql, &d) && d.content != FTS5_OWN)
            code = follow(r, set, merged, list->name, &d, err);
    }
    return code;
}
