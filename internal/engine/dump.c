/* The walk of an export. */
#include "engine/dump.h"
#include "base/strbuf.h"

enum { SQL_MAX = 1 << 20, ROWS_BETWEEN_LOOKS = 256 };

static const char SQL_SEQUENCE[] = "SELECT seq FROM sqlite_sequence WHERE name = ?1";
static const char SQL_USER_VERSION[] = "SELECT user_version FROM pragma_user_version()";
static const char SQL_APPLICATION_ID[] = "SELECT application_id FROM pragma_application_id()";

const char *dump_terminator(struct arena *a, struct str sql)
{
    static const char *const ends[] = {"", "\n", "*/"};
    for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
        struct str text = arena_printf(a, STR_FMT "%s;", STR_ARG(sql), ends[i]);
        if (text.ptr && sqlite3_complete(text.ptr))
            return ends[i];
    }
    return "\n";
}

static enum err_code statement(struct dump *d, struct str sql, struct err *err)
{
    return d->sink->statement(d->sink->arg, sql, err);
}

enum err_code dump_copy_rows(struct dump *d, sqlite3_stmt *select, int (*step)(void *arg, sqlite3_stmt *stmt),
    const struct dump_rows *rows, struct err *err)
{
    const struct dump_sink *sink = d->sink;
    enum err_code code = sink->rows_begin(sink->arg, rows, err);
    int rc = SQLITE_DONE;
    while (!code && (rc = step(d->arg, select)) == SQLITE_ROW) {
        code = sink->row(sink->arg, select, err);
        if (!code && ++d->rows % ROWS_BETWEEN_LOOKS == 0)
            code = d->src->check_time(d->src->arg, err);
    }
    if (!code && rc != SQLITE_DONE)
        code = d->src->failed(d->src->arg, rc, str_of(sqlite3_sql(select)), err);
    return code ? code : sink->rows_end(sink->arg, err);
}

void dump_add_column(
    const struct dump *d, const struct cat_table *t, struct str column, struct str sql, struct strbuf *out)
{
    if (d->add_column)
        d->add_column(d->arg, t, column, sql, out);
    else
        strbuf_add_str(out, sql);
}

/* The columns that hold values, quoted and with commas: their names, and how they are read. *ret_all is false
 * when some column is computed. */
static int stored_columns(const struct dump *d, const struct cat_table *t, struct strbuf *names,
    struct strbuf *reads, bool *ret_all)
{
    AUTO_STRBUF name;
    int count = 0;
    strbuf_init(&name, SQL_MAX);
    *ret_all = true;
    for (const struct cat_column *c = t->columns; c; c = c->next) {
        if (c->generated || c->hidden) {
            *ret_all = false;
            continue;
        }
        strbuf_reset(&name);
        catalog_quote(&name, c->name);
        strbuf_add_cstr(names, count ? "," : "");
        strbuf_add_str(names, strbuf_str(&name));
        strbuf_add_cstr(reads, count++ ? "," : "");
        dump_add_column(d, t, c->name, strbuf_str(&name), reads);
    }
    return count;
}

enum err_code dump_rows_of(struct dump *d, const struct cat_table *t, struct str select,
    const struct dump_rows *rows, struct err *err)
{
    AUTO_SQL *stmt = NULL;
    d->at = t;
    enum err_code code = d->prepare_rows(d->arg, select, &stmt, err);
    return code ? code : dump_copy_rows(d, stmt, d->step_rows, rows, err);
}

static enum err_code table_rows(struct dump *d, const struct cat_table *t, struct err *err)
{
    AUTO_STRBUF names;
    AUTO_STRBUF reads;
    AUTO_STRBUF sql;
    AUTO_STRBUF into;
    struct dump_rows rows;
    bool all;
    strbuf_init(&names, SQL_MAX);
    strbuf_init(&reads, SQL_MAX);
    strbuf_init(&sql, SQL_MAX);
    strbuf_init(&into, SQL_MAX);
    rows.columns = stored_columns(d, t, &names, &reads, &all);
    const char *rowid = cat_rowid_alias(t) ? NULL : cat_rowid_name(t);
    strbuf_add_cstr(&sql, "SELECT ");
    if (rowid)
        strbuf_addf(&sql, "%s,", rowid);
    strbuf_add_str(&sql, strbuf_str(&reads));
    strbuf_add_cstr(&sql, " FROM ");
    catalog_quote(&sql, t->name);
    strbuf_add_cstr(&into, "INSERT INTO ");
    catalog_quote(&into, t->name);
    if (rowid || !all)
        strbuf_addf(
            &into, "(%s%s" STR_FMT ")", rowid ? rowid : "", rowid ? "," : "", STR_ARG(strbuf_str(&names)));
    rows.columns += rowid != NULL;
    rows.into = strbuf_str(&into);
    if (strbuf_failed(&sql) || strbuf_failed(&into))
        return err_set(err, ERR_TOO_LARGE, "the columns of a table are too many to be exported");
    return dump_rows_of(d, t, strbuf_str(&sql), &rows, err);
}

/* What the file's header says for its application; 0 says nothing. */
static enum err_code setting(struct dump *d, const char *read, const char *pragma, struct err *err)
{
    AUTO_SQL *stmt = NULL;
    bool row = false;
    enum err_code code = d->src->prepare(d->src->arg, read, &stmt, err);
    if (!code)
        code = catalog_step(d->src, stmt, &row, err);
    int value = !code && row ? sqlite3_column_int(stmt, 0) : 0;
    if (code || value == 0)
        return code;
    AUTO_STRBUF sql;
    strbuf_init(&sql, SQL_MAX);
    strbuf_add_cstr(&sql, pragma);
    strbuf_add_i64(&sql, value);
    return statement(d, strbuf_str(&sql), err);
}

static enum err_code settings(struct dump *d, struct err *err)
{
    enum err_code code = setting(d, SQL_USER_VERSION, "PRAGMA user_version=", err);
    return code ? code : setting(d, SQL_APPLICATION_ID, "PRAGMA application_id=", err);
}

static enum err_code tables(struct dump *d, const struct catalog *cat, struct err *err)
{
    enum err_code code = ERR_OK;
    for (const struct cat_table *t = cat->tables; t && !code; t = t->next) {
        if (t->kind != CAT_TABLE)
            continue;
        code = statement(d, t->sql, err);
        if (!code && !d->schema_only)
            code = table_rows(d, t, err);
    }
    return code;
}

static enum err_code sequences(struct dump *d, const struct catalog *cat, struct err *err)
{
    enum err_code code = ERR_OK;
    for (const struct cat_table *t = cat->tables; t && !code; t = t->next) {
        AUTO_SQL *stmt = NULL;
        bool row = false;
        if (!t->autoincrement)
            continue;
        code = catalog_prepare(d->src, SQL_SEQUENCE, t->name, &stmt, err);
        if (!code)
            code = catalog_step(d->src, stmt, &row, err);
        if (!code && row)
            code = d->sink->sequence(d->sink->arg, t->name, sqlite3_column_int64(stmt, 0), err);
    }
    return code;
}

static enum err_code indexes(struct dump *d, const struct catalog *cat, struct err *err)
{
    enum err_code code = ERR_OK;
    for (const struct cat_table *t = cat->tables; t; t = t->next) {
        for (const struct cat_index *ix = t->indexes; ix && !code; ix = ix->next) {
            if (ix->sql.ptr)
                code = statement(d, ix->sql, err);
        }
    }
    return code;
}

static enum err_code virtual_tables(struct dump *d, const struct catalog *cat, struct err *err)
{
    enum err_code code = ERR_OK;
    for (const struct cat_table *t = cat->tables; t && !code; t = t->next) {
        if (t->kind == CAT_VIRTUAL)
            code = dump_virtual_table(d, cat, t, err);
    }
    return code;
}

static enum err_code views(struct dump *d, const struct catalog *cat, struct err *err)
{
    enum err_code code = ERR_OK;
    for (const struct cat_table *t = cat->views; t && !code; t = t->next)
        code = statement(d, t->sql, err);
    return code;
}

static enum err_code triggers(struct dump *d, const struct cat_table *list, struct err *err)
{
    enum err_code code = ERR_OK;
    for (const struct cat_table *t = list; t; t = t->next) {
        for (const struct cat_trigger *tr = t->triggers; tr && !code; tr = tr->next)
            code = statement(d, tr->sql, err);
    }
    return code;
}

enum err_code dump_run(struct dump *d, const struct catalog *cat, struct err *err)
{
    enum err_code code = d->whole ? settings(d, err) : ERR_OK;
    if (!code)
        code = tables(d, cat, err);
    if (!code && !d->schema_only)
        code = sequences(d, cat, err);
    if (!code)
        code = indexes(d, cat, err);
    if (!code)
        code = views(d, cat, err);
    if (!code)
        code = virtual_tables(d, cat, err);
    if (!code)
        code = triggers(d, cat->tables, err);
    return code ? code : triggers(d, cat->views, err);
}
