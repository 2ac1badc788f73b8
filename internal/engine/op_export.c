/* GET …/export?format=sql|sqlite|csv|ndjson&table=: streamed. sql (the default) and sqlite take the whole
 * database, or with table= that table with its indexes and triggers; csv and ndjson take one table or view.
 * A token with a table scope gets its tables alone; where one of them reaches past the scope, all four refuse
 * with the authorizer's reason. Descriptions and policies come along in sql as remarks. */
#include "engine/op_export.h"
#include "engine/descriptions.h"
#include "engine/dump_sql.h"
#include "engine/op_policy.h"

enum { NAME_SQL_MAX = 1 << 16 };
enum format { FORMAT_SQL, FORMAT_SQLITE, FORMAT_CSV, FORMAT_NDJSON };

static const struct {
    struct str name;
    enum wire_content content;
} FORMATS[] = {
    [FORMAT_SQL] = {{"sql", 3}, WIRE_CONTENT_SQL},
    [FORMAT_SQLITE] = {{"sqlite", 6}, WIRE_CONTENT_SQLITE},
    [FORMAT_CSV] = {{"csv", 3}, WIRE_CONTENT_CSV},
    [FORMAT_NDJSON] = {{"ndjson", 6}, WIRE_CONTENT_NDJSON},
};

enum err_code export_prepare_rows(void *arg, struct str sql, sqlite3_stmt **ret, struct err *err)
{
    bool one;
    return op_prepare_tenant(arg, sql, ret, &one, err);
}

int export_step_rows(void *arg, sqlite3_stmt *stmt)
{
    return op_step_tenant(arg, stmt);
}

static enum err_code pass(void *arg, struct str bytes, struct err *err)
{
    return op_stream(arg, bytes, err);
}

static struct str text_or_null(struct str s)
{
    return s.len ? s : (struct str){NULL, 0};
}

/* -- description: {"table":…,"column":…,"description":…} */
static void write_description(struct strbuf *out, struct str table, struct str column, struct str text)
{
    const char *const keys[] = {"table", "column", "description"};
    const struct str values[] = {text_or_null(table), text_or_null(column), text};
    struct jsonw w;
    if (text.len == 0)
        return;
    strbuf_add_cstr(out, DUMP_DESCRIPTION);
    jsonw_init(&w, out);
    jsonw_object(&w);
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        if (values[i].ptr)
            JSONW_TEXT(&w, keys[i], values[i]);
    }
    jsonw_object_end(&w);
    strbuf_add_char(out, '\n');
}

static void write_descriptions(struct strbuf *out, const struct cat_table *list)
{
    for (const struct cat_table *t = list; t; t = t->next) {
        write_description(out, t->name, STR_EMPTY, t->description);
        for (const struct cat_column *c = t->columns; c; c = c->next)
            write_description(out, t->name, c->name, c->description);
    }
}

enum err_code export_end(struct op *op, struct sink *out, struct err *err)
{
    if (out->total == 0)
        op->head.bytes_total = out->buf.len;
    return sink_end(out, err);
}

/* A dump of everything is about as long as what it is made from. */
static enum err_code estimate_dump(struct op *op, const struct catalog_source *src, struct err *err)
{
    static const char SQL_USED[] = "SELECT (page_count - freelist_count) * page_size"
                                   " FROM pragma_page_count(), pragma_freelist_count(), pragma_page_size()";
    AUTO_SQL *stmt = NULL;
    bool row = false;
    if (op->call.has_table_scope || wire_arg(&op->call, "table").len)
        return ERR_OK;
    enum err_code code = src->prepare(src->arg, SQL_USED, &stmt, err);
    if (!code)
        code = catalog_step(src, stmt, &row, err);
    if (!code && row)
        op->head.bytes_estimate = (uint64_t)sqlite3_column_int64(stmt, 0);
    return code;
}

static enum err_code export_sql(struct op *op, struct catalog *cat, struct err *err)
{
    AUTO_SINK out;
    struct catalog_source src = catalog_source_of_op(op);
    struct dump_sql text = {.out = &out, .arena = op->arena};
    struct dump_sink sink = dump_sql_sink(&text);
    struct dump dump = {.src = &src,
        .prepare_rows = export_prepare_rows,
        .step_rows = export_step_rows,
        .arg = op,
        .sink = &sink,
        .whole = !wire_arg(&op->call, "table").len};
    struct str database;
    sink_init(&out, pass, op);
    enum err_code code = descriptions_attach(&src, cat, &database, err);
    if (!code)
        code = estimate_dump(op, &src, err);
    if (code)
        return code;
    code = policies_dump(op, cat, &out.buf, err); /* first: there may be more descriptions than are taken */
    if (code)
        return code;
    write_description(&out.buf, STR_EMPTY, STR_EMPTY, op->call.has_table_scope ? STR_EMPTY : database);
    write_descriptions(&out.buf, cat->tables);
    write_descriptions(&out.buf, cat->views);
    dump_sql_open(&text);
    code = dump_run(&dump, cat, err);
    op->head.rows_read += dump.rows;
    dump_sql_close(&text);
    return code ? code : export_end(op, &out, err);
}

static enum err_code read_format(struct op *op, enum format *ret, struct err *err)
{
    struct str name = wire_arg(&op->call, "format");
    *ret = FORMAT_SQL;
    if (!name.ptr)
        return ERR_OK;
    for (size_t i = 0; i < ARRAY_LEN(FORMATS); i++) {
        *ret = (enum format)i;
        if (str_eq(name, FORMATS[i].name))
            return ERR_OK;
    }
    return err_field(err, "/format", "must be \"sql\", \"sqlite\", \"csv\" or \"ndjson\"");
}

/* *ret NULL: no table was asked for. */
static enum err_code read_table_arg(struct op *op, const struct catalog *cat, enum format format,
    const struct cat_table **ret, struct err *err)
{
    struct str name = wire_arg(&op->call, "table");
    bool rows_only = format == FORMAT_CSV || format == FORMAT_NDJSON;
    *ret = NULL;
    if (name.len == 0)
        return rows_only ? err_field(err, "/table", "is required: csv and ndjson hold one table") : ERR_OK;
    *ret = catalog_table(cat, name);
    if (!*ret)
        *ret = catalog_view(cat, name);
    if (*ret)
        return ERR_OK;
    return err_set(err, ERR_NOT_FOUND, "no such table: " STR_FMT STR_FMT, STR_ARG(name),
        STR_ARG(catalog_suggest_table(cat, op->arena, name)));
}

/* Would the caller be let in? Only the authorizer knows: a view or an FTS5 table may reach past the scope.
 * What is wrong with it otherwise is no concern of the one who takes it along. */
static enum err_code check_readable(struct op *op, const struct cat_table *t, struct err *err)
{
    AUTO_STRBUF sql;
    AUTO_SQL *stmt = NULL;
    int rc = SQLITE_DONE;
    strbuf_init(&sql, NAME_SQL_MAX);
    strbuf_add_cstr(&sql, "SELECT * FROM ");
    catalog_quote(&sql, t->name);
    strbuf_add_cstr(&sql, " LIMIT 1");
    enum err_code code = export_prepare_rows(op, strbuf_str(&sql), &stmt, err);
    if (!code && t->kind == CAT_VIRTUAL) /* FTS5 and fts5vocab ask for their tables when they run */
        rc = export_step_rows(op, stmt);
    if (!code && rc != SQLITE_ROW && rc != SQLITE_DONE)
        code = op_sql_error(op, rc, strbuf_str(&sql), err);
    if (code == ERR_SQL) {
        op->error_detail = STR_EMPTY;
        code = ERR_OK;
    }
    return code;
}

static enum err_code check_scope(struct op *op, const struct catalog *cat, struct err *err)
{
    enum err_code code = ERR_OK;
    for (const struct cat_table *t = cat->tables; t && !code; t = t->next) {
        if (t->kind == CAT_VIRTUAL)
            code = check_readable(op, t, err);
    }
    for (const struct cat_table *t = cat->views; t && !code; t = t->next)
        code = check_readable(op, t, err);
    return code;
}

/* Keeps one table of the catalog. */
static void narrow(struct op *op, struct catalog *cat, const struct cat_table *only)
{
    struct cat_table *t = ARENA_NEW(op->arena, struct cat_table);
    *t = *only;
    t->next = NULL;
    *cat = t->kind == CAT_VIEW ? (struct catalog){.views = t, .view_count = 1}
                               : (struct catalog){.tables = t, .table_count = 1};
}

static enum err_code run_format(
    struct op *op, enum format format, struct catalog *cat, const struct cat_table *t, struct err *err)
{
    enum err_code code = ERR_OK;
    if (t && (format == FORMAT_SQL || format == FORMAT_SQLITE))
        narrow(op, cat, t);
    if (op->call.has_table_scope && (format == FORMAT_SQL || format == FORMAT_SQLITE))
        code = check_scope(op, cat, err);
    if (code)
        return code;
    op->head.content = (uint16_t)FORMATS[format].content;
    switch (format) {
    case FORMAT_SQL: return export_sql(op, cat, err);
    case FORMAT_SQLITE: return export_sqlite(op, cat, err);
    case FORMAT_CSV: return export_csv(op, t, err);
    case FORMAT_NDJSON: break;
    }
    return export_ndjson(op, t, err);
}

/* Runs inside the turn's read transaction: all its statements see one state of the database. */
enum err_code op_run_EXPORT(struct op *op, struct err *err)
{
    struct catalog_source src = catalog_source_of_op(op);
    const struct cat_table *t;
    struct catalog cat;
    enum format format;
    enum err_code code = read_format(op, &format, err);
    if (!code)
        code = catalog_read(&src, &cat, err);
    if (!code)
        code = read_table_arg(op, &cat, format, &t, err);
    if (!code)
        code = run_format(op, format, &cat, t, err);
    op->plain = STR_EMPTY; /* the body of an export without a byte: ndjson of no rows */
    return code;
}
