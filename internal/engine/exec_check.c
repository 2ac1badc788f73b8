/* What must hold after a statement or a call, inside its savepoint: reserved names are untouched, the schema
 * is not too large, a new view reads nothing that is hidden, and no foreign key waits for the commit. */
#include "base/limits.h"
#include "engine/sqlerr.h"
#include "engine/task.h"

/* A table with row security that is dropped or renamed would leave its rows open under the next name. */
static enum err_code check_secured(struct op *op, struct err *err)
{
    struct sqlerr_detail d = {.kind = "unknown", .position = -1};
    char text[GUARD_TEXT_MAX] = "";
    sqlite3_stmt *stmt = own_get(op->eng, OWN_SECURED_LOST);
    int rc = stmt ? own_step(op->eng, stmt) : sqlite3_extended_errcode(op->eng->db);
    if (rc == SQLITE_ROW)
        str_print_cut(text, sizeof text,
            "row-level security is on for table \"%s\": switch it off before the table is dropped or renamed",
            (const char *)sqlite3_column_text(stmt, 0));
    (void)sqlite3_reset(stmt); /* repeats the error of the step */
    if (rc == SQLITE_DONE)
        return ERR_OK;
    return text[0] ? sqlerr_set(op, ERR_FORBIDDEN, &d, text, err) : op_sql_error(op, rc, STR_EMPTY, err);
}

/* Names and numbers of objects after a statement that changed the schema. */
static enum err_code check_schema(struct op *op, struct str sql, bool may_grow, struct err *err)
{
    struct engine *eng = op->eng;
    struct sqlerr_detail d = {.kind = "unknown", .position = -1};
    sqlite3_stmt *stmt = own_get(eng, OWN_SCHEMA_CHECK);
    int rc = stmt ? own_step(eng, stmt) : sqlite3_extended_errcode(eng->db);
    if (rc != SQLITE_ROW)
        return op_sql_error(op, rc, sql, err);
    int64_t objects = sqlite3_column_int64(stmt, 0) - eng->reserved_objects;
    bool reserved =
        sqlite3_column_int64(stmt, 1) != eng->reserved_objects || sqlite3_column_int64(stmt, 2) != 0;
    (void)sqlite3_reset(stmt); /* a row was there: no error is left */
    if (reserved)
        return sqlerr_set(op, ERR_FORBIDDEN, &d,
            "names that begin with _sys_ or _persql_, and json_each and json_tree, are reserved", err);
    if (objects > LIMIT_SCHEMA_OBJECTS && may_grow) {
        d.hint = "drop what is not needed; a database holds 1,000 tables, indexes, views and triggers";
        return sqlerr_set(
            op, ERR_SQL, &d, "the database has too many tables, indexes, views and triggers", err);
    }
    return check_secured(op, err);
}

/* SQLite does not look into a view while it is made. Reading it would be refused to everybody, so making it
 * is. */
static enum err_code check_view(struct op *op, const char *view, struct err *err)
{
    struct engine *eng = op->eng;
    sqlite3_stmt *stmt = NULL;
    char *sql = sqlite3_mprintf("SELECT 1 FROM main.\"%w\"", view);
    struct guard_saved saved = guard_enter_tenant(&eng->guard, &op->call, SQL_VERB_SELECT, str_of(sql));
    int rc = sql ? sqlite3_prepare_v2(eng->db, sql, -1, &stmt, NULL) : SQLITE_NOMEM;
    guard_leave(&eng->guard, saved);
    /* A view over what does not exist yet is fine: only the guard's no counts. */
    enum err_code code = eng->guard.refused ? op_sql_error(op, rc, str_of(sql), err) : ERR_OK;
    (void)sqlite3_finalize(stmt); /* never stepped */
    sqlite3_free(sql);
    return code;
}

/* Views, triggers and foreign keys of tables that the scope hides. */
static bool hidden_depends_on(struct op *op, struct str dropped)
{
    struct engine *eng = op->eng;
    bool found = false;
    sqlite3_stmt *stmt = own_get(eng, OWN_DEFINITIONS);
    while (stmt && !found && own_step(eng, stmt) == SQLITE_ROW) {
        struct str word, sql = str_of((const char *)sqlite3_column_text(stmt, 1));
        struct str owner = str_of((const char *)sqlite3_column_text(stmt, 0));
        bool hidden = !op_name_reserved(owner) && !guard_in_scope(&op->call, owner);
        while (hidden && !found && sql_next_word(&sql, &word))
            found = str_eq_nocase(word, dropped);
    }
    (void)sqlite3_reset(stmt); /* what cannot be read cannot be dropped either */
    return found || !stmt;
}

enum err_code op_check_drop(struct op *op, struct err *err)
{
    struct sqlerr_detail d = {.kind = "unknown", .position = -1};
    char name[sizeof op->eng->guard.dropped];
    memcpy(name, op->eng->guard.dropped, sizeof name);
    if (!op->call.has_table_scope || !name[0])
        return ERR_OK;
    if (hidden_depends_on(op, str_of(name)))
        return sqlerr_set(op, ERR_FORBIDDEN, &d,
            "a token with a table scope cannot drop what a view, trigger or foreign key outside it depends "
            "on",
            err);
    return check_view(op, name, err);
}

/* Looking into views costs time in proportion to the chain they form, so only where something could be
 * hidden. */
static bool view_is_suspect(const struct op *op, struct str sql)
{
    struct str word;
    bool suspect = op->call.has_table_scope;
    while (!suspect && sql_next_word(&sql, &word))
        suspect = op_name_reserved(word);
    return suspect;
}

enum err_code exec_check_schema(struct op *op, const struct cached *c, struct err *err)
{
    enum err_code code = check_schema(op, c->sql, c->verb == SQL_VERB_CREATE, err);
    return code == ERR_OK && c->view && view_is_suspect(op, c->sql) ? check_view(op, c->view, err) : code;
}

enum err_code op_check_schema(struct op *op, struct err *err)
{
    return check_schema(op, STR_EMPTY, true, err);
}

/* A constraint that waits for the commit would hit every neighbour in the group: it must hold at the end of
 * each call. */
enum err_code op_check_deferred(struct op *op, struct str sql, struct err *err)
{
    int open = 0, high;
    if (sqlite3_db_status(op->eng->db, SQLITE_DBSTATUS_DEFERRED_FKS, &open, &high, 0) != SQLITE_OK ||
        open == 0)
        return ERR_OK;
    struct sqlerr_detail d = {.kind = "fk_violation", .position = -1};
    d.table = sqlerr_table_of_row(op, sql);
    d.hint = sql_verb(sql) == SQL_VERB_DELETE
                 ? "Other rows still refer to this row: delete or change them first."
                 : "The row that is referred to does not exist: insert it first.";
    return sqlerr_set(op, ERR_SQL, &d, "FOREIGN KEY constraint failed", err);
}
