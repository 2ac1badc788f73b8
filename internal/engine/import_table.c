/* Filling one table. Foreign keys are checked at the end, so that rows may refer to rows further down. */
#include "engine/import_table.h"
#include "base/limits.h"
#include "base/strbuf.h"
#include "engine/sqlerr.h"

enum { SQL_MAX = 256 << 10 };

static const char SQL_DEFER_ON[] = "PRAGMA defer_foreign_keys = ON";
static const char SQL_DEFER_OFF[] = "PRAGMA defer_foreign_keys = OFF";

/* "line 7: " before an error of a row. */
static enum err_code at_line(struct op *op, enum err_code code, uint64_t line, struct err *err)
{
    struct err inner;
    if (!err || (code != ERR_SQL && code != ERR_INVALID && code != ERR_FORBIDDEN))
        return code;
    inner = *err;
    sqlerr_add_line(op, line);
    return err_set(err, code, "line %llu: %s", (unsigned long long)line, inner.message);
}

static enum err_code run_pragma(struct op *op, const char *sql, struct err *err)
{
    struct catalog_source src = catalog_source_of_op(op);
    AUTO_SQL *stmt = NULL;
    bool row;
    enum err_code code = src.prepare(src.arg, sql, &stmt, err);
    return code ? code : catalog_step(&src, stmt, &row, err);
}

enum err_code import_table_find(struct import_table *t, struct import *im, struct str name, struct err *err)
{
    *t = (struct import_table){.im = im, .name = name};
    enum err_code code = catalog_of_op(im->op, &t->cat, err);
    if (code)
        return code;
    t->table = catalog_table(&t->cat, name);
    if (!t->table && catalog_view(&t->cat, name))
        return err_set(err, ERR_INVALID, "\"" STR_FMT "\" is a view: import into a table", STR_ARG(name));
    if (t->table)
        t->name = t->table->name;
    return run_pragma(im->op, SQL_DEFER_ON, err);
}

static const char *guessed_type(const struct import_guess *g)
{
    if (g->text || (g->blob && (g->integer || g->real)) || (g->real && g->wide))
        return "TEXT";
    return g->blob ? "BLOB" : g->real ? "REAL" : g->integer ? "INTEGER" : "TEXT";
}

static enum err_code run_tenant(struct op *op, struct str sql, struct err *err)
{
    AUTO_SQL *stmt = NULL;
    bool one;
    enum err_code code = op_prepare_tenant(op, sql, &stmt, &one, err);
    if (code)
        return code;
    int rc = op_step_tenant(op, stmt);
    return rc == SQLITE_DONE ? ERR_OK : op_sql_error(op, rc, sql, err);
}

enum err_code import_table_make(
    struct import_table *t, const struct import_guess *guesses, int count, struct err *err)
{
    AUTO_STRBUF sql;
    strbuf_init(&sql, SQL_MAX);
    strbuf_add_cstr(&sql, "CREATE TABLE ");
    catalog_quote(&sql, t->name);
    for (int i = 0; i < count; i++) {
        strbuf_add_cstr(&sql, i ? ", " : " (");
        catalog_quote(&sql, guesses[i].name);
        strbuf_addf(&sql, " %s", guessed_type(&guesses[i]));
    }
    strbuf_add_char(&sql, ')');
    if (strbuf_failed(&sql) || sql.len > (size_t)LIMIT_SQL_BYTES)
        return err_set(err, ERR_TOO_LARGE, "the column names are too long");
    enum err_code code = run_tenant(t->im->op, strbuf_str(&sql), err);
    if (!code)
        code = catalog_of_op(t->im->op, &t->cat, err);
    if (code)
        return code;
    t->table = catalog_table(&t->cat, t->name);
    if (!t->table)
        return err_set(err, ERR_INVALID, "\"" STR_FMT "\" cannot be the name of a table", STR_ARG(t->name));
    t->im->created = true;
    return op_check_schema(t->im->op, err);
}

static enum err_code match_columns(struct import_table *t, struct import_shape *shape,
    const struct str *names, int count, uint64_t line, struct strbuf *list, struct err *err)
{
    int places = 0;
    for (int i = 0; i < count; i++) {
        const struct cat_column *c = cat_column(t->table, names[i]);
        if (!c || c->hidden)
            return err_set(err, ERR_INVALID,
                "line %llu: table \"" STR_FMT "\" has no column \"" STR_FMT "\"" STR_FMT,
                (unsigned long long)line, STR_ARG(t->name), STR_ARG(names[i]),
                STR_ARG(catalog_suggest_column(t->table, t->im->op->arena, names[i])));
        for (int j = 0; j < i; j++) {
            if (str_eq_nocase(names[i], names[j]))
                return err_set(err, ERR_INVALID, "line %llu: column \"" STR_FMT "\" stands there twice",
                    (unsigned long long)line, STR_ARG(names[i]));
        }
        shape->columns[i] = c->generated ? NULL : c;
        shape->places[i] = c->generated ? 0 : ++places;
        if (c->generated)
            continue;
        strbuf_add_cstr(list, places > 1 ? "," : "(");
        catalog_quote(list, c->name);
    }
    return ERR_OK;
}

static enum err_code prepare_insert(struct import_table *t, struct import_shape *shape,
    const struct str *names, int count, uint64_t line, struct err *err)
{
    AUTO_STRBUF sql;
    int places = 0;
    bool one;
    strbuf_init(&sql, SQL_MAX);
    strbuf_add_cstr(&sql, "INSERT INTO ");
    catalog_quote(&sql, t->name);
    strbuf_add_char(&sql, ' ');
    enum err_code code = match_columns(t, shape, names, count, line, &sql, err);
    if (code)
        return code;
    for (int i = 0; i < count; i++) {
        if (shape->places[i])
            strbuf_add_cstr(&sql, places++ ? ",?" : ") VALUES (?");
    }
    strbuf_add_cstr(&sql, places ? ")" : "DEFAULT VALUES");
    if (strbuf_failed(&sql))
        return err_set(err, ERR_TOO_LARGE, "the column names are too long");
    shape->count = count;
    code = op_prepare_tenant(t->im->op, strbuf_str(&sql), &shape->insert, &one, err);
    return at_line(t->im->op, code, line, err);
}

static struct str shape_key(struct arena *a, const struct str *names, int count)
{
    size_t len = 0;
    for (int i = 0; i < count; i++)
        len += names[i].len + 1;
    char *key = arena_alloc(a, len + 1);
    size_t at = 0;
    for (int i = 0; key && i < count; i++) {
        memcpy(key + at, names[i].ptr, names[i].len);
        at += names[i].len + 1;
    }
    return key ? str_make(key, len) : (struct str){NULL, 0};
}

static bool same_names(struct str key, const struct str *names, int count)
{
    size_t at = 0;
    for (int i = 0; i < count; i++) {
        if (key.len - at < names[i].len + 1 || memcmp(key.ptr + at, names[i].ptr, names[i].len) != 0 ||
            key.ptr[at + names[i].len] != '\0')
            return false;
        at += names[i].len + 1;
    }
    return at == key.len;
}

enum err_code import_table_shape(struct import_table *t, const struct str *names, int count, uint64_t line,
    struct import_shape **ret, struct err *err)
{
    for (int i = 0; i < t->shape_count; i++) {
        *ret = &t->shapes[i];
        if (same_names(t->shapes[i].key, names, count))
            return ERR_OK;
    }
    struct import_shape *shape = &t->shapes[t->oldest];
    t->oldest = (t->oldest + 1) % IMPORT_SHAPES;
    catalog_finalize(&shape->insert);
    *shape = (struct import_shape){.key = shape_key(t->im->op->arena, names, count)};
    if (!shape->key.ptr)
        return err_set(err, ERR_TOO_LARGE, "the rows name their columns in too many different ways");
    if (t->shape_count < IMPORT_SHAPES)
        t->shape_count++;
    *ret = shape;
    return prepare_insert(t, shape, names, count, line, err);
}

/* Which line a row came from, for what is found out at the end only. Rows and lines mostly count up together.
 */
static void remember_line(struct import_table *t, int64_t rowid, uint64_t line)
{
    struct import_run *last = &t->runs[t->run_count - (t->run_count > 0)];
    if (t->run_count && (uint64_t)rowid - (uint64_t)last->rowid == last->count &&
        line == last->line + last->count)
        last->count++;
    else if (t->run_count < IMPORT_RUNS)
        t->runs[t->run_count++] = (struct import_run){rowid, line, 1};
}

enum err_code import_table_insert(
    struct import_table *t, struct import_shape *shape, uint64_t line, struct err *err)
{
    struct op *op = t->im->op;
    int rc = op_step_tenant(op, shape->insert);
    if (rc != SQLITE_DONE)
        return at_line(op, op_sql_error(op, rc, str_of(sqlite3_sql(shape->insert)), err), line, err);
    remember_line(t, sqlite3_last_insert_rowid(catalog_db(op)), line);
    (void)sqlite3_reset(shape->insert); /* it was done */
    (void)sqlite3_clear_bindings(shape->insert);
    if (++t->im->rows % IMPORT_ROWS_BETWEEN_LOOKS == 0)
        return op_check_time(op, err);
    return ERR_OK;
}

static uint64_t line_of(void *arg, int64_t rowid)
{
    const struct import_table *t = arg;
    for (int i = 0; i < t->run_count; i++) {
        uint64_t at = (uint64_t)rowid - (uint64_t)t->runs[i].rowid;
        if (rowid >= t->runs[i].rowid && at < t->runs[i].count)
            return t->runs[i].line + at;
    }
    return 0;
}

static enum err_code check_foreign_keys(struct import_table *t, struct err *err)
{
    struct op *op = t->im->op;
    struct import_row_lines lines = {line_of, t};
    int open = 0, high;
    (void)sqlite3_db_status(catalog_db(op), SQLITE_DBSTATUS_DEFERRED_FKS, &open, &high, 0); /* cannot fail */
    if (!open)
        return ERR_OK;
    enum err_code code = import_foreign_keys(op, t->name, &lines, err);
    /* A trigger may have written the row at fault somewhere else. */
    if (!code)
        code = import_foreign_keys(op, (struct str){NULL, 0}, NULL, err);
    return code ? code
                : err_set(err, ERR_SQL,
                      "foreign key violated after the import: a row of another table refers to one that is "
                      "gone; "
                      "nothing was imported");
}

enum err_code import_table_end(struct import_table *t, enum err_code code, struct err *err)
{
    for (int i = 0; i < t->shape_count; i++)
        catalog_finalize(&t->shapes[i].insert);
    if (!code)
        code = check_foreign_keys(t, err);
    if (!code)
        import_note_table(t->im, t->name);
    /* The switch outlives the savepoint of this call: the neighbours in the same transaction need it off. */
    enum err_code off = run_pragma(t->im->op, SQL_DEFER_OFF, code ? NULL : err);
    return code ? code : off;
}
