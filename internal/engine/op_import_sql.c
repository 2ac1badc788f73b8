/* Import of a SQL script: every statement under the guard with the caller's rights, foreign keys off while it
 * loads (a dump loads children before parents exist) and checked once all of it is there. */
#include "base/mem.h"
#include "engine/change_record.h"
#include "engine/destruction.h"
#include "engine/engine_state.h"
#include "engine/dump_sql.h"
#include "engine/import_dump.h"
#include "engine/op_import.h"
#include "engine/schema_state.h"
#include "engine/sql_split.h"
#include "engine/sqlerr.h"
#include "engine/task.h"

#include <sqlite3.h>

struct loader {
    struct import *im;
    struct sql_split split;
    struct import_dump dump;
};

static const char SQL_RAISE_SEQUENCE[] = "UPDATE sqlite_sequence SET seq = max(seq, ?2) WHERE name = ?1";
static const char SQL_ADD_SEQUENCE[] =
    "INSERT INTO sqlite_sequence (name, seq) SELECT ?1, ?2 WHERE NOT EXISTS"
    " (SELECT 1 FROM sqlite_sequence WHERE name = ?1)";

/* Says where in the script it happened. */
static enum err_code locate(const struct loader *l, enum err_code code, struct err *err)
{
    struct err inner;
    if (!err || (code != ERR_SQL && code != ERR_FORBIDDEN && code != ERR_INVALID))
        return code;
    inner = *err;
    sqlerr_add_line(l->im->op, l->split.line);
    return err_set(err, code, "statement %llu, line %llu, byte %llu: %s", (unsigned long long)l->split.number,
        (unsigned long long)l->split.line, (unsigned long long)l->split.offset, inner.message);
}

static enum err_code step_to_end(struct op *op, sqlite3_stmt *stmt, bool own, struct str sql, struct err *err)
{
    int rc;
    while ((rc = own ? sqlite3_step(stmt) : op_step_tenant(op, stmt)) == SQLITE_ROW)
        ;
    if (rc != SQLITE_DONE)
        return op_sql_error(op, rc, sql, err);
    /* What follows would be committed on its own. */
    if (sqlite3_get_autocommit(sqlite3_db_handle(stmt)))
        return err_set(err, ERR_SQL, "the statement ended the transaction; nothing was imported");
    return ERR_OK;
}

/* What it destroys counts as in a query: the authorizer was just told of it. */
static enum err_code step_counted(struct op *op, sqlite3_stmt *stmt, struct str sql, struct err *err)
{
    struct destruction d;
    struct cached c = {.sql = sql, .verb = sql_verb(sql)};
    sqlite3 *db = sqlite3_db_handle(stmt);
    destruction_learn(&op->eng->guard, &c);
    destruction_begin(op, &c, &d);
    sqlite3_int64 before = sqlite3_total_changes64(db);
    enum err_code code = step_to_end(op, stmt, false, sql, err);
    bool wrote = sqlite3_total_changes64(db) > before;
    destruction_end(op, &c, &d, code ? -1 : wrote ? sqlite3_changes64(db) : 0);
    mem_free(c.destroys);
    return code;
}

static enum err_code run_statement(struct loader *l, struct str sql, struct err *err)
{
    AUTO_SQL *stmt = NULL;
    struct op *op = l->im->op;
    bool one;
    sqlite3_int64 before = sqlite3_total_changes64(catalog_db(op));
    enum err_code code = op_prepare_tenant(op, sql, &stmt, &one, err);
    if (code || !stmt)
        return code;
    struct str target = arena_copy(&l->im->scratch, str_of(op->eng->guard.target));
    code = step_counted(op, stmt, sql, err);
    if (op->eng->recorder)
        recorder_ran(
            op->eng->recorder, sql_verb_changes_schema(sql_verb(sql)), target.ptr ? target : STR_EMPTY);
    if (!code)
        schema_deed_note(op, sql);
    l->im->rows += (uint64_t)(sqlite3_total_changes64(sqlite3_db_handle(stmt)) - before);
    return code;
}

static enum err_code write_sequence(
    struct op *op, const char *sql, const struct import_step *step, struct err *err)
{
    struct catalog_source src = catalog_source_of_op(op);
    AUTO_SQL *stmt = NULL;
    enum err_code code = catalog_prepare(&src, sql, step->table, &stmt, err);
    if (!code && sqlite3_bind_int64(stmt, 2, step->value))
        code = op_sql_error(op, SQLITE_ERROR, str_of(sql), err);
    return code ? code : step_to_end(op, stmt, true, str_of(sql), err);
}

/* Only for a table the caller can see and that has such a counter. */
static enum err_code raise_sequence(struct loader *l, const struct import_step *step, struct err *err)
{
    struct op *op = l->im->op;
    struct str table = step->table;
    int autoincrement = 0;
    if (op_name_reserved(table) || !op_table_visible(op, table))
        return err_set(err, ERR_FORBIDDEN, "the counter of \"" STR_FMT "\" may not be set", STR_ARG(table));
    struct str name = arena_copy(&l->im->scratch, table);
    int rc = name.ptr ? sqlite3_table_column_metadata(
                            catalog_db(op), "main", name.ptr, NULL, NULL, NULL, NULL, NULL, &autoincrement)
                      : SQLITE_NOMEM;
    if (rc != SQLITE_OK)
        return ERR_OK; /* a counter that outlived its table */
    enum err_code code = write_sequence(op, SQL_RAISE_SEQUENCE, step, err);
    return code ? code : write_sequence(op, SQL_ADD_SEQUENCE, step, err);
}

static enum err_code take_statement(struct loader *l, struct err *err)
{
    struct import_step step;
    arena_release(&l->im->scratch);
    enum err_code code = import_dump_read(&l->dump, &l->im->scratch, strbuf_str(&l->split.text), &step, err);
    if (code || step.meaning == IMPORT_SKIP)
        return code;
    if (step.meaning == IMPORT_SEQUENCE)
        return raise_sequence(l, &step, err);
    code = run_statement(l, step.sql, err);
    l->im->statements++;
    if (!code && step.table.len)
        import_note_table(l->im, step.table);
    return code;
}

static enum err_code load(struct loader *l, struct err *err)
{
    struct op *op = l->im->op;
    bool found = true;
    enum err_code code;
    while (!(code = sql_split_next(&l->split, &found, err)) && found) {
        code = take_statement(l, err);
        if (code)
            return locate(l, code, err);
        if (op->destroys.len && op->call.snapshot == WIRE_SNAPSHOT_ASK)
            return destruction_ask(task_of(op), err); /* the rest of the file would be loaded for nothing */
        if (l->split.number % IMPORT_ROWS_BETWEEN_LOOKS == 0 && (code = op_check_time(op, err)))
            return code;
    }
    return code;
}

static enum err_code rebuild(struct loader *l, struct err *err)
{
    const struct import_dump_table *pos = NULL;
    struct str sql;
    enum err_code code = ERR_OK;
    while (!code && import_dump_rebuild(&l->dump, &l->im->scratch, &pos, &sql))
        code = run_statement(l, sql, err);
    return code;
}

static void tell_lost(struct loader *l)
{
    const struct import_dump_table *pos = NULL;
    struct str table;
    while (import_dump_lost(&l->dump, &pos, &table)) {
        struct str text = arena_printf(&l->im->scratch,
            DUMP_NOTE "\"" STR_FMT
                      "\" keeps no content, so its index was not taken over: insert its rows again",
            STR_ARG(table));
        if (text.ptr)
            import_remarks_take(&l->im->remarks, text);
    }
}

static void take_comment(void *arg, struct str comment)
{
    import_remarks_take(arg, comment);
}

enum err_code import_sql(struct import *im, struct err *err)
{
    struct loader l = {.im = im, .dump = {im->op, NULL}};
    sqlite3 *db = catalog_db(im->op);
    int enforced = 0;
    int length = sqlite3_limit(db, SQLITE_LIMIT_SQL_LENGTH, SQL_SPLIT_MAX);
    (void)sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_FKEY, -1, &enforced); /* asks; cannot fail */
    (void)sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_FKEY, 0, NULL);
    sql_split_init(&l.split, &im->in);
    l.split.on_comment = take_comment;
    l.split.arg = &im->remarks;
    enum err_code code = load(&l, err);
    if (!code)
        code = rebuild(&l, err);
    if (!code)
        tell_lost(&l);
    sql_split_release(&l.split);
    (void)sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_FKEY, enforced, NULL);
    sqlite3_limit(db, SQLITE_LIMIT_SQL_LENGTH, length);
    if (!code)
        code = op_check_schema(im->op, err);
    if (!code)
        code = import_remarks_store(&im->remarks, &im->scratch, err);
    return code ? code : import_foreign_keys(im->op, (struct str){NULL, 0}, NULL, err);
}
