/* Virtual tables of an export. An FTS5 table is made again from its rows; only where nobody can read them
 * again do its hidden tables go along, and only into a file: what is imported never brings its own. */
#include "base/strbuf.h"
#include "engine/dump.h"
#include "engine/fts5_decl.h"

enum { SQL_MAX = 1 << 20 };

static const char SQL_IS_TABLE[] = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?1";

static int step_own(void *arg, sqlite3_stmt *stmt)
{
    (void)arg;
    return sqlite3_step(stmt);
}

static enum err_code statement(struct dump *d, struct str sql, struct err *err)
{
    return d->sink->statement(d->sink->arg, sql, err);
}

static enum err_code PRINTF_LIKE(3, 4) note(struct dump *d, struct err *err, const char *fmt, ...)
{
    char text[ERR_MESSAGE_MAX];
    va_list ap;
    va_start(ap, fmt);
    str_vprint_cut(text, sizeof text, fmt, ap);
    va_end(ap);
    return d->sink->note(d->sink->arg, str_of(text), err);
}

static void add_part(struct strbuf *out, const struct cat_table *t, const char *part)
{
    AUTO_STRBUF name;
    strbuf_init(&name, SQL_MAX);
    strbuf_add_str(&name, t->name);
    strbuf_add_cstr(&name, part);
    catalog_quote(out, strbuf_str(&name));
}

/* "INSERT INTO t(t", the form of FTS5's orders. */
static void add_order(struct strbuf *out, const struct cat_table *t)
{
    strbuf_add_cstr(out, "INSERT INTO ");
    catalog_quote(out, t->name);
    strbuf_add_char(out, '(');
    catalog_quote(out, t->name);
}

/* Every row of an own SELECT, by an INSERT that begins with `into`. */
static enum err_code copy(struct dump *d, struct strbuf *select, struct strbuf *into, struct err *err)
{
    AUTO_SQL *stmt = NULL;
    if (strbuf_failed(select) || strbuf_failed(into))
        return err_set(err, ERR_TOO_LARGE, "the columns of a table are too many to be exported");
    enum err_code code = d->src->prepare(d->src->arg, strbuf_cstr(select), &stmt, err);
    struct dump_rows rows = {strbuf_str(into), code ? 0 : sqlite3_column_count(stmt)};
    return code ? code : dump_copy_rows(d, stmt, step_own, &rows, err);
}

/* What was set by INSERT INTO t(t, rank) VALUES('automerge', 8) and the like. */
static enum err_code fts5_settings(struct dump *d, const struct cat_table *t, struct err *err)
{
    AUTO_STRBUF select;
    AUTO_STRBUF into;
    uint64_t rows = d->rows;
    strbuf_init(&select, SQL_MAX);
    strbuf_init(&into, SQL_MAX);
    strbuf_add_cstr(&select, "SELECT k, v FROM ");
    add_part(&select, t, "_config");
    strbuf_add_cstr(&select, " WHERE k <> 'version' ORDER BY k");
    add_order(&into, t);
    strbuf_add_cstr(&into, ",rank)");
    enum err_code code = copy(d, &select, &into, err);
    d->rows = rows; /* no rows of the table */
    return code;
}

/* The rows of an FTS5 table with content of its own, from the table that holds them. */
static enum err_code fts5_rows(
    struct dump *d, const struct cat_table *t, const struct fts5_decl *decl, struct err *err)
{
    AUTO_STRBUF select;
    AUTO_STRBUF into;
    int count = 0;
    strbuf_init(&select, SQL_MAX);
    strbuf_init(&into, SQL_MAX);
    strbuf_add_cstr(&select, "SELECT id");
    strbuf_add_cstr(&into, "INSERT INTO ");
    catalog_quote(&into, t->name);
    strbuf_add_cstr(&into, "(rowid");
    for (const struct fts5_column *c = decl->columns; c; c = c->next) {
        char name[16];
        str_print(name, sizeof name, "c%d", count++);
        strbuf_add_char(&select, ',');
        dump_add_column(d, t, c->name, str_of(name), &select);
        strbuf_add_char(&into, ',');
        catalog_quote(&into, c->name);
    }
    strbuf_add_cstr(&select, " FROM ");
    add_part(&select, t, "_content");
    strbuf_add_char(&into, ')');
    if (!d->add_column)
        return copy(d, &select, &into, err);
    if (strbuf_failed(&select) || strbuf_failed(&into))
        return err_set(err, ERR_TOO_LARGE, "the columns of a table are too many to be exported");
    const struct dump_rows rows = {strbuf_str(&into), 1 + count};
    return dump_rows_of(d, t, strbuf_str(&select), &rows, err);
}

static enum err_code fts5_rebuild(struct dump *d, const struct cat_table *t, struct err *err)
{
    AUTO_STRBUF sql;
    strbuf_init(&sql, SQL_MAX);
    add_order(&sql, t);
    strbuf_add_cstr(&sql, ") VALUES('rebuild')");
    return statement(d, strbuf_str(&sql), err);
}

static enum err_code has_part(
    struct dump *d, const struct cat_table *t, const char *part, bool *ret, struct err *err)
{
    AUTO_SQL *stmt = NULL;
    struct str name = arena_printf(d->src->arena, STR_FMT "%s", STR_ARG(t->name), part);
    if (!name.ptr)
        return err_set(err, ERR_TOO_LARGE, "the schema is too large to be exported");
    enum err_code code = catalog_prepare(d->src, SQL_IS_TABLE, name, &stmt, err);
    return code ? code : catalog_step(d->src, stmt, ret, err);
}

static enum err_code copy_part(struct dump *d, const struct cat_table *t, const char *part, struct err *err)
{
    AUTO_STRBUF select;
    AUTO_STRBUF into;
    strbuf_init(&select, SQL_MAX);
    strbuf_init(&into, SQL_MAX);
    strbuf_add_cstr(&into, "DELETE FROM ");
    add_part(&into, t, part);
    enum err_code code = statement(d, strbuf_str(&into), err);
    strbuf_reset(&into);
    strbuf_add_cstr(&into, "INSERT INTO ");
    add_part(&into, t, part);
    strbuf_add_cstr(&select, "SELECT * FROM ");
    add_part(&select, t, part);
    return code ? code : copy(d, &select, &into, err);
}

static enum err_code fts5_index(struct dump *d, const struct cat_table *t, struct err *err)
{
    static const char *const parts[] = {"_content", "_docsize", "_idx", "_data", "_config"};
    uint64_t rows = d->rows;
    enum err_code code = ERR_OK;
    for (size_t i = 0; i < ARRAY_LEN(parts) && !code; i++) {
        bool there = false;
        code = has_part(d, t, parts[i], &there, err);
        if (!code && there)
            code = copy_part(d, t, parts[i], err);
    }
    d->rows = rows; /* no rows of the table */
    return code;
}

static enum err_code fts5_lost(
    struct dump *d, const struct cat_table *t, const struct fts5_decl *decl, struct err *err)
{
    if (decl->content == FTS5_CONTENTLESS)
        return note(d, err,
            "\"" STR_FMT "\" keeps no content, so its index cannot be exported: insert its rows again",
            STR_ARG(t->name));
    return note(d, err,
        "\"" STR_FMT "\" indexes \"" STR_FMT "\", which is not here: rebuild it where that table is",
        STR_ARG(t->name), STR_ARG(decl->content_table));
}

enum err_code dump_virtual_table(
    struct dump *d, const struct catalog *cat, const struct cat_table *t, struct err *err)
{
    struct fts5_decl decl;
    if (str_eq(t->module, S("fts5vocab")))
        return statement(d, t->sql, err);
    if (!fts5_decl_read(d->src->arena, t->sql, &decl))
        return note(d, err, "left out: \"" STR_FMT "\" is not an FTS5 table", STR_ARG(t->name));
    bool readable = decl.content == FTS5_OWN ||
                    (decl.content == FTS5_EXTERNAL &&
                        (catalog_table(cat, decl.content_table) || catalog_view(cat, decl.content_table)));
    enum err_code code = statement(d, t->sql, err);
    if (!code && d->schema_only)
        return fts5_settings(d, t, err);
    if (!code && (!readable || decl.locale) && d->sink->keeps_indexes && !d->add_column)
        return fts5_index(d, t, err);
    if (!code)
        code = fts5_settings(d, t, err);
    if (code)
        return code;
    if (!readable)
        return fts5_lost(d, t, &decl, err);
    if (decl.content == FTS5_EXTERNAL)
        return fts5_rebuild(d, t, err);
    code = fts5_rows(d, t, &decl, err);
    if (code || !decl.locale)
        return code;
    return note(d, err, "the locales in \"" STR_FMT "\" cannot be exported, its text is", STR_ARG(t->name));
}
