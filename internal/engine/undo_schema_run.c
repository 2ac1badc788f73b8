/* Doing what takes a change of the schema back: statements of ours, in their order. */
#include "engine/catalog.h"
#include "engine/change_apply.h"
#include "engine/change_table.h"
#include "engine/destruction.h"
#include "engine/engine_state.h"
#include "engine/fts5_decl.h"
#include "engine/index_follow.h"
#include "engine/schema_state.h"
#include "engine/sql_token.h"
#include "engine/undo_schema.h"

enum { SQL_MAX = 4 << 20 };

#define ASIDE "_sys_undo_rows"

bool schema_undo_is_table(const struct schema_undo_change *c)
{
    return str_eq(c->type, S("table"));
}

static bool is_type(const struct schema_undo_change *c, const char *type)
{
    return str_eq(c->type, str_of(type));
}

struct schema_undo_change *schema_undo_find(const struct schema_undo *s, struct str type, struct str name)
{
    struct schema_undo_change *c = s->changes;
    while (c && !(str_eq(c->type, type) && str_eq(c->name, name)))
        c = c->next;
    return c;
}

/* --- Statements --- */

static enum err_code run(struct schema_undo *s, struct str sql, struct err *err)
{
    AUTO_SQL *stmt = NULL;
    struct op *op = s->op;
    int rc = SQLITE_DONE;
    enum err_code code = op_prepare_internal(op, sql.ptr, &stmt, err);
    while (!code && (rc = change_step(op->eng, stmt)) == SQLITE_ROW)
        ;
    if (!code && rc != SQLITE_DONE)
        code = op_sql_error(op, rc, sql, err);
    if (op->eng->recorder)
        recorder_ran(op->eng->recorder, true, STR_EMPTY);
    return code;
}

/* One that is told. */
static enum err_code step(struct schema_undo *s, struct str sql, struct err *err)
{
    if (!sql.ptr)
        return err_set(err, ERR_TOO_LARGE, "the schema is too large");
    enum err_code code = run(s, sql, err);
    if (!code)
        jsonw_text(&s->steps_w, sql);
    return code;
}

/* "?" stands for the names, quoted, in their order. */
static struct str statement(struct op *op, const char *form, struct str first, struct str second)
{
    AUTO_STRBUF sql;
    bool one = true;
    strbuf_init(&sql, SQL_MAX);
    for (; *form; form++) {
        if (*form != '?') {
            strbuf_add_char(&sql, *form);
            continue;
        }
        catalog_quote(&sql, one ? first : second);
        one = false;
    }
    return strbuf_failed(&sql) ? (struct str){NULL, 0} : arena_copy(op->arena, strbuf_str(&sql));
}

static enum err_code step_of(
    struct schema_undo *s, const char *form, struct str first, struct str second, struct err *err)
{
    return step(s, statement(s->op, form, first, second), err);
}

/* --- What it made goes, what it removed comes back --- */

/* Without its rows being deleted one by one, which others would follow: see check_referring. */
static enum err_code drop_replaced(struct schema_undo *s, const struct schema_undo_change *c, struct err *err)
{
    sqlite3 *db = s->op->eng->db;
    int enforced = 0;
    if (str_starts_nocase(c->sql, S("CREATE VIRTUAL")))
        return err_set(
            err, ERR_CONFLICT, "a virtual table took the place of \"" STR_FMT "\"", STR_ARG(c->name));
    (void)sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_FKEY, -1, &enforced); /* asks; these cannot fail */
    (void)sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_FKEY, 0, NULL);
    enum err_code code = step_of(s, "DROP TABLE ?", c->name, STR_EMPTY, err);
    (void)sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_FKEY, enforced, NULL);
    return code;
}

static enum err_code drop_each(
    struct schema_undo *s, const char *type, const char *form, bool changed, struct err *err)
{
    enum err_code code = ERR_OK;
    for (const struct schema_undo_change *c = s->changes; c && !code; c = c->next) {
        bool goes = c->what == SCHEMA_ADDED || (changed && c->what == SCHEMA_CHANGED);
        if (!goes || !is_type(c, type) || c->renamed.ptr)
            continue;
        if (schema_undo_is_table(c))
            destruction_of_schema(s->op, "DROP TABLE", c->name.ptr);
        code = c->replaced ? drop_replaced(s, c, err) : step_of(s, form, c->name, STR_EMPTY, err);
    }
    return code;
}

static enum err_code rename_each(struct schema_undo *s, struct err *err)
{
    enum err_code code = ERR_OK;
    for (const struct schema_undo_change *c = s->changes; c && !code; c = c->next) {
        if (c->what != SCHEMA_ADDED || !c->renamed.ptr)
            continue;
        code = step_of(s, "ALTER TABLE ? RENAME TO ?", c->name, c->renamed, err);
        struct schema_deed *one = ARENA_NEW(s->op->arena, struct schema_deed);
        *one = (struct schema_deed){s->op->deeds, SCHEMA_RENAMES, S("table"), c->name, c->renamed};
        s->op->deeds = one;
    }
    return code;
}

/* In the difference of this write it is the other way round. */
static void note_replaced(struct schema_undo *s)
{
    for (const struct schema_undo_change *c = s->changes; c; c = c->next) {
        if (c->what != SCHEMA_REMOVED || !c->replaced)
            continue;
        struct schema_deed *one = ARENA_NEW(s->op->arena, struct schema_deed);
        *one = (struct schema_deed){s->op->deeds, SCHEMA_RENAMES, S("table"), S(ASIDE), c->name};
        s->op->deeds = one;
    }
}

static enum err_code create_tables(struct schema_undo *s, struct err *err)
{
    enum err_code code = ERR_OK;
    for (const struct schema_undo_change *c = s->changes; c && !code; c = c->next) {
        if (c->what != SCHEMA_REMOVED || !schema_undo_is_table(c) || c->renamed.ptr)
            continue;
        /* SQLite does not take back this alone: guard.h */
        s->op->eng->guard.makes_virtual_table |= str_starts_nocase(c->before, S("CREATE VIRTUAL"));
        code = step(s, c->before, err);
    }
    return code;
}

/* Without a type a column takes every value as it is; a table that is STRICT wants one. */
static enum err_code add_columns(struct schema_undo *s, struct err *err)
{
    enum err_code code = ERR_OK;
    for (const struct schema_undo_change *c = s->changes; c; c = c->next) {
        for (const struct schema_undo_column *k = c->back; k && !code; k = k->next) {
            struct err strict = ERR_INIT;
            code = run(s, statement(s->op, "ALTER TABLE ? ADD COLUMN ?", c->name, k->name), &strict);
            s->op->error_detail = STR_EMPTY;
            if (code)
                code = run(s, statement(s->op, "ALTER TABLE ? ADD COLUMN ? ANY", c->name, k->name), err);
        }
    }
    return code;
}

static enum err_code before_rows(struct schema_undo *s, struct err *err)
{
    schema_undo_note_views(s);
    enum err_code code = drop_each(s, "trigger", "DROP TRIGGER ?", true, err);
    if (!code)
        code = drop_each(s, "view", "DROP VIEW ?", true, err);
    if (!code)
        code = drop_each(s, "index", "DROP INDEX ?", false, err);
    if (!code)
        code = drop_each(s, "table", "DROP TABLE ?", false, err);
    if (!code)
        code = rename_each(s, err);
    note_replaced(s);
    if (!code)
        code = create_tables(s, err);
    return code ? code : add_columns(s, err);
}

/* --- Definitions --- */

static bool is_name(struct sql_token t)
{
    return t.kind == SQL_TOKEN_NAME ||
           (t.kind == SQL_TOKEN_WORD && !sqlite3_keyword_check(t.text.ptr, (int)t.text.len));
}

/* The same but for how names are quoted, which a rename changes. */
static bool same_sql(struct arena *a, struct str x, struct str y)
{
    struct sql_token t, u;
    do {
        t = sql_token_next(&x);
        u = sql_token_next(&y);
        bool same = t.kind == u.kind && str_eq(t.text, u.text);
        if (!same && is_name(t) && is_name(u))
            same = str_eq(sql_token_value(a, t), sql_token_value(a, u));
        if (!same)
            return false;
    } while (t.kind != SQL_TOKEN_END);
    return true;
}

static enum err_code look(struct schema_undo *s, const struct schema_undo_change *c,
    const struct schema_object **ret, struct err *err)
{
    struct schema_object like = {.type = c->type, .name = c->name};
    enum err_code code = schema_objects(s->op, &s->now, err);
    *ret = code ? NULL : schema_find_named(s->now, &like);
    return code;
}

static enum err_code is_back(
    struct schema_undo *s, const struct schema_undo_change *c, bool *ret, struct err *err)
{
    const struct schema_object *o = NULL;
    enum err_code code = look(s, c, &o, err);
    *ret = o && same_sql(s->op->arena, o->sql, c->before);
    return code;
}

/* What was made beside them and is none of the difference stays. */
static enum err_code recreate_others(struct schema_undo *s, const struct schema_undo_change *c,
    const struct schema_object *had, struct err *err)
{
    static const char *const TYPES[] = {"index", "trigger"};
    enum err_code code = ERR_OK;
    for (size_t i = 0; i < ARRAY_LEN(TYPES); i++) {
        for (const struct schema_object *o = had; o && !code; o = o->next) {
            if (str_eq(o->type, str_of(TYPES[i])) && str_eq_nocase(o->table, c->name) && o->sql.len &&
                !schema_undo_find(s, o->type, o->name))
                code = run(s, o->sql, err);
        }
    }
    return code;
}

/* NULL where the column may not be that: its default. */
static enum err_code put_source(
    struct schema_undo *s, struct strbuf *sql, struct str table, struct str column, struct err *err)
{
    AUTO_SQL *stmt = NULL;
    struct catalog_source src = catalog_source_of_op(s->op);
    bool row = false;
    enum err_code code = catalog_prepare(&src,
        "SELECT dflt_value FROM pragma_table_xinfo(?1) WHERE name = ?2 AND \"notnull\" AND dflt_value NOT "
        "NULL",
        table, &stmt, err);
    if (!code && sqlite3_bind_text64(stmt, 2, column.ptr, column.len, SQLITE_STATIC, SQLITE_UTF8))
        code = err_set(err, ERR_TOO_LARGE, "out of memory");
    if (!code)
        code = catalog_step(&src, stmt, &row, err);
    if (row)
        strbuf_add_cstr(sql, "ifnull(");
    catalog_quote(sql, column);
    if (row) {
        strbuf_add_cstr(sql, ", ");
        strbuf_add_str(sql, catalog_text(s->op->arena, stmt, 0));
        strbuf_add_char(sql, ')');
    }
    return code;
}

static bool has_column(const struct recorder_table *t, struct str name)
{
    for (size_t i = 0; i < t->column_count; i++) {
        if (str_eq_nocase(t->columns[i].name, name))
            return true;
    }
    return false;
}

/* INSERT INTO t (…) SELECT … FROM the table that stands aside. */
static enum err_code fill(
    struct schema_undo *s, struct str table, const struct recorder_table *had, struct err *err)
{
    AUTO_STRBUF to;
    AUTO_STRBUF from;
    struct recorder_table *t = recorder_table_read(&s->columns, table);
    const char *rowid = t && shows_rowid(t) && shows_rowid(had) ? recorder_table_rowid(t) : NULL;
    const char *had_rowid = rowid ? recorder_table_rowid(had) : NULL;
    enum err_code code = t ? ERR_OK : err_set(err, ERR_TOO_LARGE, "the schema is too large");
    size_t count = 0;
    strbuf_init(&to, SQL_MAX);
    strbuf_init(&from, SQL_MAX);
    strbuf_add_cstr(&to, "INSERT INTO main.");
    catalog_quote(&to, table);
    strbuf_addf(&to, " (%s", had_rowid ? rowid : "");
    strbuf_addf(&from, ") SELECT %s", had_rowid ? had_rowid : "");
    count += had_rowid != NULL;
    for (size_t i = 0; !code && i < t->column_count; i++) {
        if (!has_column(had, t->columns[i].name))
            continue;
        strbuf_add_cstr(&to, count ? ", " : "");
        strbuf_add_cstr(&from, count++ ? ", " : "");
        catalog_quote(&to, t->columns[i].name);
        code = put_source(s, &from, table, t->columns[i].name, err);
    }
    strbuf_add_str(&to, strbuf_str(&from));
    strbuf_add_cstr(&to, " FROM main." ASIDE);
    if (!code && (strbuf_failed(&to) || strbuf_failed(&from)))
        code = err_set(err, ERR_TOO_LARGE, "the schema is too large");
    return code || !count ? code : run(s, strbuf_str(&to), err);
}

/* A counter of AUTOINCREMENT goes on. */
static enum err_code keep_sequence(struct schema_undo *s, struct str table, struct err *err)
{
    AUTO_SQL *stmt = NULL;
    struct catalog_source src = catalog_source_of_op(s->op);
    bool row = false;
    enum err_code code = catalog_prepare(&src, "SELECT 1 FROM sqlite_schema WHERE name = 'sqlite_sequence'",
        (struct str){NULL, 0}, &stmt, err);
    if (!code)
        code = catalog_step(&src, stmt, &row, err);
    catalog_finalize(&stmt);
    if (code || !row)
        return code;
    code = catalog_prepare(&src, "DELETE FROM sqlite_sequence WHERE name = ?1", table, &stmt, err);
    if (!code)
        code = catalog_step(&src, stmt, &row, err);
    catalog_finalize(&stmt);
    if (!code)
        code = catalog_prepare(
            &src, "UPDATE sqlite_sequence SET name = ?1 WHERE name = '" ASIDE "'", table, &stmt, err);
    return code ? code : catalog_step(&src, stmt, &row, err);
}

static enum err_code check_with(struct schema_undo *s, const char *sql, struct str table, struct err *err)
{
    AUTO_SQL *stmt = NULL;
    struct catalog_source src = catalog_source_of_op(s->op);
    bool row = false;
    enum err_code code = catalog_prepare(&src, sql, table, &stmt, err);
    if (!code)
        code = catalog_step(&src, stmt, &row, err);
    if (!code && row)
        return err_set(err, ERR_CONFLICT,
            "rows of \"" STR_FMT "\", or of others to it, would refer to rows that are not there any more",
            STR_ARG(table));
    return code;
}

static enum err_code check_references(struct schema_undo *s, struct str table, struct err *err)
{
    return check_with(s, "SELECT 1 FROM pragma_foreign_key_check(?1)", table, err);
}

static enum err_code check_referring(struct schema_undo *s, struct str table, struct err *err)
{
    return check_with(s,
        "SELECT 1 FROM pragma_foreign_key_check WHERE parent = ?1 COLLATE NOCASE OR \"table\" = ?1 COLLATE "
        "NOCASE",
        table, err);
}

static enum err_code build(struct schema_undo *s, const struct schema_undo_change *c, struct err *err)
{
    struct schema_object *had = NULL;
    const struct recorder_table *columns = recorder_table_read(&s->columns, c->name);
    enum err_code code = schema_objects(s->op, &had, err);
    if (!code && !columns)
        code = err_set(err, ERR_TOO_LARGE, "the schema is too large");
    if (!code)
        code = run(s, statement(s->op, "ALTER TABLE ? RENAME TO " ASIDE, c->name, STR_EMPTY), err);
    if (!code)
        code = run(s, c->before, err);
    if (!code)
        code = fill(s, c->name, columns, err);
    if (!code)
        code = keep_sequence(s, c->name, err);
    if (!code)
        code = run(s, S("DROP TABLE " ASIDE), err);
    if (!code)
        code = recreate_others(s, c, had, err);
    return code ? code : check_references(s, c->name, err);
}

/* As SQLite's page about ALTER TABLE says: nothing refers to the table that stands aside, nor follows it. */
static enum err_code build_anew(struct schema_undo *s, const struct schema_undo_change *c, struct err *err)
{
    sqlite3 *db = s->op->eng->db;
    int enforced = 0, legacy = 0;
    struct str said =
        arena_printf(s->op->arena, "-- the table is built anew, with its rows\n" STR_FMT, STR_ARG(c->before));
    jsonw_text(&s->steps_w, said.ptr ? said : STR_EMPTY);
    (void)sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_FKEY, -1, &enforced); /* asks; these cannot fail */
    (void)sqlite3_db_config(db, SQLITE_DBCONFIG_LEGACY_ALTER_TABLE, -1, &legacy);
    (void)sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_FKEY, 0, NULL);
    (void)sqlite3_db_config(db, SQLITE_DBCONFIG_LEGACY_ALTER_TABLE, 1, NULL);
    enum err_code code = build(s, c, err);
    (void)sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_FKEY, enforced, NULL);
    (void)sqlite3_db_config(db, SQLITE_DBCONFIG_LEGACY_ALTER_TABLE, legacy, NULL);
    return code;
}

/* What ALTER TABLE does not do is done by building the table anew. */
static enum err_code try_alter(struct schema_undo *s, const struct schema_undo_change *c)
{
    enum err_code code = ERR_OK;
    struct err why = ERR_INIT;
    for (const struct schema_undo_column *k = c->pairs; k && !code; k = k->next) {
        struct str form = arena_printf(s->op->arena, "ALTER TABLE ? RENAME COLUMN ? TO ");
        AUTO_STRBUF sql;
        strbuf_init(&sql, SQL_MAX);
        strbuf_add_str(&sql, statement(s->op, form.ptr, c->name, k->name));
        catalog_quote(&sql, k->to);
        code = step(s, arena_copy(s->op->arena, strbuf_str(&sql)), &why);
    }
    for (const struct schema_undo_column *k = c->back ? NULL : c->gone; k && !code; k = k->next)
        code = step_of(s, "ALTER TABLE ? DROP COLUMN ?", c->name, k->name, &why);
    s->op->error_detail = STR_EMPTY;
    return code;
}

static enum err_code restore_table(struct schema_undo *s, const struct schema_undo_change *c, struct err *err)
{
    bool back = false;
    if (c->gone)
        destruction_of_schema(s->op, "DROP COLUMN of", c->name.ptr);
    if (try_alter(s, c) == ERR_OK) {
        enum err_code code = is_back(s, c, &back, err);
        if (code || back)
            return code;
    }
    if (sqlite3_get_autocommit(s->op->eng->db))
        return op_check_time(s->op, err) ? err->code : err_set(err, ERR_UNAVAILABLE, "try again");
    return build_anew(s, c, err);
}

static enum err_code create_each(struct schema_undo *s, const char *type, const char *drop, struct err *err)
{
    enum err_code code = ERR_OK;
    for (const struct schema_undo_change *c = s->changes; c && !code; c = c->next) {
        const struct schema_object *o = NULL;
        if (c->what == SCHEMA_ADDED || !is_type(c, type))
            continue;
        code = look(s, c, &o, err);
        if (code || (o && same_sql(s->op->arena, o->sql, c->before)))
            continue;
        if (o)
            code = step_of(s, drop, c->name, STR_EMPTY, err);
        if (!code)
            code = step(s, c->before, err);
    }
    return code;
}

static bool writes_to(const struct schema_undo *s, struct str table)
{
    struct change_reader r;
    struct change_table_view t;
    bool found = true, writes = false;
    for (const struct schema_undo_set *set = s->sets; set && !writes; set = set->next) {
        enum err_code code = change_reader_init(&r, strbuf_str(&set->set), NULL);
        while (!code && !writes && !(code = change_table_next(&r, &found, &t, NULL)) && found)
            writes = str_eq_nocase(t.name, table);
        change_reader_release(&r);
    }
    return writes;
}

/* A full-text index that keeps no rows follows its table by triggers, which do not run here. */
static enum err_code rebuild_indexes(struct schema_undo *s, struct rehearsal *r, struct err *err)
{
    struct schema_object *now = NULL;
    enum err_code code = schema_objects(s->op, &now, err);
    for (const struct schema_object *o = now; o && !code; o = o->next) {
        struct fts5_decl d;
        if (!schema_is_virtual(o) || !fts5_decl_read(s->op->arena, o->sql, &d) || d.content != FTS5_EXTERNAL)
            continue;
        const struct schema_undo_change *c = schema_undo_find(s, o->type, o->name);
        const struct schema_undo_change *of = schema_undo_find(s, o->type, d.content_table);
        bool gone = of && of->what == SCHEMA_ADDED && !of->replaced;
        if (gone || (!c && !of && !writes_to(s, d.content_table)))
            continue;
        if (!index_can_follow(s->op, o->name))
            return err_set(err, ERR_CONFLICT,
                "\"" STR_FMT "\" is a full-text index that cannot be built anew", STR_ARG(o->name));
        code = step_of(s, "INSERT INTO ?(?) VALUES ('rebuild')", o->name, o->name, err);
        r->recorder.index_only = true;
    }
    return code;
}

static enum err_code check_back(struct schema_undo *s, struct err *err)
{
    for (const struct schema_undo_change *c = s->changes; c; c = c->next) {
        bool back = false;
        const struct schema_object *o = NULL;
        if (c->what == SCHEMA_REMOVED ? c->renamed.ptr != NULL : c->what == SCHEMA_ADDED && c->replaced)
            continue;
        enum err_code code = c->what == SCHEMA_ADDED ? look(s, c, &o, err) : is_back(s, c, &back, err);
        if (code)
            return code;
        if (c->what == SCHEMA_ADDED ? o != NULL : !back)
            return err_set(err, ERR_CONFLICT,
                "the definition of \"" STR_FMT "\" cannot be put back as it was", STR_ARG(c->name));
    }
    return ERR_OK;
}

static enum err_code set_counter(
    struct schema_undo *s, const char *sql, const struct schema_undo_counter *c, struct err *err)
{
    AUTO_SQL *stmt = NULL;
    struct catalog_source src = catalog_source_of_op(s->op);
    bool row;
    enum err_code code = catalog_prepare(&src, sql, c->table, &stmt, err);
    if (!code && sqlite3_bind_int64(stmt, 2, c->value))
        code = err_set(err, ERR_INTERNAL, "a counter could not be put back");
    return code ? code : catalog_step(&src, stmt, &row, err);
}

static enum err_code set_counters(struct schema_undo *s, struct err *err)
{
    enum err_code code = ERR_OK;
    for (const struct schema_undo_counter *c = s->counters; c && !code; c = c->next) {
        code = set_counter(s, "DELETE FROM sqlite_sequence WHERE name = ?1 AND seq <= ?2", c, err);
        if (!code)
            code = set_counter(s, "INSERT INTO sqlite_sequence (name, seq) VALUES (?1, ?2)", c, err);
    }
    return code;
}

static enum err_code recreate_replaced(struct schema_undo *s, struct err *err)
{
    enum err_code code = ERR_OK;
    for (const struct schema_undo_change *c = s->changes; c && !code; c = c->next) {
        if (c->what == SCHEMA_REMOVED && c->replaced)
            code = recreate_others(s, c, s->now, err);
        if (!code && c->what == SCHEMA_REMOVED && c->replaced)
            code = check_referring(s, c->name, err);
    }
    return code;
}

static enum err_code after_rows(struct schema_undo *s, struct rehearsal *r, struct err *err)
{
    enum err_code code = ERR_OK;
    for (const struct schema_undo_change *c = s->changes; c && !code; c = c->next) {
        if (c->what == SCHEMA_CHANGED && schema_undo_is_table(c)) {
            bool back = false;
            code = is_back(s, c, &back, err);
            if (!code && !back)
                code = restore_table(s, c, err);
        }
    }
    if (!code)
        code = set_counters(s, err);
    if (!code)
        code = recreate_replaced(s, err);
    if (!code)
        code = create_each(s, "index", "DROP INDEX ?", err);
    if (!code)
        code = create_each(s, "view", "DROP VIEW ?", err);
    if (!code)
        code = create_each(s, "trigger", "DROP TRIGGER ?", err);
    if (!code)
        code = rebuild_indexes(s, r, err);
    if (!code)
        code = check_back(s, err);
    return code ? code : schema_undo_check_views(s, err);
}

/* --- All of it --- */

struct running {
    struct schema_undo *s;
    void (*fn)(void *arg, const struct change_conflict *c);
    void *arg;
};

static enum err_code run_before(void *arg, struct rehearsal *r, struct err *err)
{
    const struct running *x = arg;
    (void)r;
    return before_rows(x->s, err);
}

static enum err_code write_rows(void *arg, uint64_t *ret_conflicts, struct err *err)
{
    const struct running *x = arg;
    enum err_code code = ERR_OK;
    for (const struct schema_undo_set *set = x->s->sets; set && !code; set = set->next) {
        uint64_t conflicts = 0;
        code = change_apply(x->s->op->eng, strbuf_str(&set->set), x->fn, x->arg, &conflicts, err);
        *ret_conflicts += conflicts;
    }
    return code;
}

static enum err_code run_after(void *arg, struct rehearsal *r, struct err *err)
{
    const struct running *x = arg;
    return after_rows(x->s, r, err);
}

enum err_code schema_undo_run(struct schema_undo *s, struct rehearsal *r,
    void (*fn)(void *arg, const struct change_conflict *c), void *arg, uint64_t *ret_conflicts,
    struct err *err)
{
    struct running x = {s, fn, arg};
    struct rehearsal_work work = {run_before, write_rows, NULL, run_after, &x};
    return rehearsal_run_work(r, &work, ret_conflicts, err);
}
