/* GET …/describe: the whole schema graph with descriptions and row counts.
 * data: {"databaseDescription", "tables":[{"table","type","description","columns":[…],"primaryKey":[…],
 * "foreignKeys":[…],"indexes":[…],"triggers":[…],"rowCount","rowCountExact","withoutRowid","strict"}],
 * "views":[{"view","description","columns","triggers","sql"}],
 * "rules":[{"tableGlob"|null,"when"|null,"action","note"|null,"tables":[…]}]}: those that a write of the
 * caller's can meet, in their order. With ?format=compact the body is text. */
#include "engine/descriptions.h"
#include "engine/op_describe.h"
#include "engine/rowsec.h"
#include "engine/rule.h"

enum { COMPACT_MAX = 4 << 20 };

static void write_description(struct jsonw *w, struct str description)
{
    jsonw_key(w, "description");
    if (description.len)
        jsonw_text(w, description);
    else
        jsonw_null(w);
}

static void write_columns(struct jsonw *w, const struct cat_table *t)
{
    static const char *const generated[] = {NULL, "virtual", "stored"};
    jsonw_key(w, "columns");
    jsonw_array(w);
    for (const struct cat_column *c = t->columns; c; c = c->next) {
        jsonw_object(w);
        JSONW_TEXT(w, "name", c->name);
        JSONW_TEXT(w, "type", c->type);
        JSONW_BOOL(w, "notNull", c->not_null);
        JSONW_BOOL(w, "pk", c->pk > 0);
        JSONW_TEXT_OR_NULL(w, "default", c->default_sql);
        write_description(w, c->description);
        JSONW_CSTR(w, "generated", generated[c->generated]);
        JSONW_BOOL(w, "hidden", c->hidden);
        JSONW_TEXT(w, "collation", c->collation);
        jsonw_object_end(w);
    }
    jsonw_array_end(w);
}

static void write_primary_key(struct jsonw *w, const struct cat_table *t)
{
    jsonw_key(w, "primaryKey");
    jsonw_array(w);
    for (int place = 1; place <= t->pk_count; place++) {
        for (const struct cat_column *c = t->columns; c; c = c->next) {
            if (c->pk == place)
                jsonw_text(w, c->name);
        }
    }
    jsonw_array_end(w);
}

static void write_fks(struct jsonw *w, const struct cat_table *t)
{
    jsonw_key(w, "foreignKeys");
    jsonw_array(w);
    for (const struct cat_fk *fk = t->fks; fk; fk = fk->next) {
        jsonw_object(w);
        JSONW_TEXT(w, "column", fk->column);
        JSONW_TEXT(w, "refTable", fk->ref_table);
        JSONW_TEXT_OR_NULL(w, "refColumn", fk->ref_column);
        JSONW_TEXT(w, "onUpdate", fk->on_update);
        JSONW_TEXT(w, "onDelete", fk->on_delete);
        JSONW_INT(w, "id", fk->id);
        jsonw_object_end(w);
    }
    jsonw_array_end(w);
}

static const char *origin_name(char origin)
{
    return origin == 'p' ? "primaryKey" : origin == 'u' ? "unique" : "create";
}

static void write_indexes(struct jsonw *w, const struct cat_table *t)
{
    jsonw_key(w, "indexes");
    jsonw_array(w);
    for (const struct cat_index *ix = t->indexes; ix; ix = ix->next) {
        jsonw_object(w);
        JSONW_TEXT(w, "name", ix->name);
        JSONW_BOOL(w, "unique", ix->unique);
        jsonw_key(w, "columns");
        jsonw_array(w);
        for (const struct cat_index_column *c = ix->columns; c; c = c->next) {
            if (c->name.ptr)
                jsonw_text(w, c->name);
            else
                jsonw_null(w); /* an expression: see "sql" */
        }
        jsonw_array_end(w);
        JSONW_BOOL(w, "partial", ix->partial);
        JSONW_CSTR(w, "origin", origin_name(ix->origin));
        JSONW_TEXT_OR_NULL(w, "sql", ix->sql);
        jsonw_object_end(w);
    }
    jsonw_array_end(w);
}

static void write_triggers(struct jsonw *w, const struct cat_table *t)
{
    jsonw_key(w, "triggers");
    jsonw_array(w);
    for (const struct cat_trigger *tr = t->triggers; tr; tr = tr->next) {
        jsonw_object(w);
        JSONW_TEXT(w, "name", tr->name);
        JSONW_TEXT(w, "sql", tr->sql);
        jsonw_object_end(w);
    }
    jsonw_array_end(w);
}

static void write_table(struct jsonw *w, const struct cat_table *t, const struct rowcount *rows)
{
    jsonw_object(w);
    JSONW_TEXT(w, "table", t->name);
    JSONW_CSTR(w, "type", t->kind == CAT_VIRTUAL ? "virtual" : "table");
    if (t->kind == CAT_VIRTUAL)
        JSONW_TEXT(w, "module", t->module);
    write_description(w, t->description);
    write_columns(w, t);
    write_primary_key(w, t);
    write_fks(w, t);
    write_indexes(w, t);
    write_triggers(w, t);
    JSONW_INT(w, "rowCount", rows->rows);
    JSONW_BOOL(w, "rowCountExact", rows->exact);
    JSONW_BOOL(w, "withoutRowid", t->without_rowid);
    JSONW_BOOL(w, "strict", t->strict);
    jsonw_object_end(w);
}

static void write_view(struct jsonw *w, const struct cat_table *t)
{
    jsonw_object(w);
    JSONW_TEXT(w, "view", t->name);
    write_description(w, t->description);
    write_columns(w, t);
    write_triggers(w, t);
    JSONW_TEXT(w, "sql", t->sql);
    jsonw_object_end(w);
}

static void write_json(struct op *op, struct jsonw *w, const struct describe *d)
{
    const struct rowcount *rows = d->rows;
    jsonw_object(w);
    jsonw_key(w, "databaseDescription");
    if (d->database_description.len)
        jsonw_text(w, d->database_description);
    else
        jsonw_null(w);
    jsonw_key(w, "tables");
    jsonw_array(w);
    for (const struct cat_table *t = d->cat.tables; t; t = t->next)
        write_table(w, t, rows++);
    jsonw_array_end(w);
    jsonw_key(w, "views");
    jsonw_array(w);
    for (const struct cat_table *t = d->cat.views; t; t = t->next)
        write_view(w, t);
    jsonw_array_end(w);
    jsonw_key(w, "rules");
    rules_describe(op, w, &d->cat);
    jsonw_object_end(w);
}

static enum err_code read_all(struct op *op, struct describe *d, struct err *err)
{
    struct catalog_source src = catalog_source_of_op(op);
    struct rowcount_budget budget;
    enum err_code code = catalog_read(&src, &d->cat, err);
    if (!code)
        code = descriptions_attach(&src, &d->cat, &d->database_description, err);
    if (!code)
        code = rowcount_budget(&src, &budget, err);
    if (code)
        return code;
    struct rowcount *rows = arena_alloc(op->arena, sizeof(*rows) * ((size_t)d->cat.table_count + 1));
    if (!rows)
        return err_set(err, ERR_TOO_LARGE, "the schema is too large to be described in one call");
    d->rows = rows;
    for (const struct cat_table *t = d->cat.tables; t && !code; t = t->next)
        code = rowsec_rowcount(op, &src, t, &budget, rows++, err);
    return code;
}

static enum err_code answer_compact(struct op *op, const struct describe *d, struct err *err)
{
    AUTO_STRBUF text;
    strbuf_init(&text, COMPACT_MAX);
    describe_compact(d, op->call.has_table_scope, &text);
    rules_describe_lines(op, &text, &d->cat);
    op->plain = arena_copy(op->arena, strbuf_str(&text));
    op->head.content = WIRE_CONTENT_TEXT;
    if (strbuf_failed(&text) || !op->plain.ptr)
        return err_set(err, ERR_TOO_LARGE, "the schema is too large for the compact form");
    return ERR_OK;
}

enum err_code op_run_DESCRIBE(struct op *op, struct err *err)
{
    struct describe d = {.rows = NULL};
    struct str format = wire_arg(&op->call, "format");
    bool compact = format.ptr && str_eq(format, S("compact"));
    if (format.ptr && !compact && !str_eq(format, S("json")))
        return err_field(err, "/format", "must be \"json\" or \"compact\"");
    enum err_code code = read_all(op, &d, err);
    if (code)
        return code;
    if (compact)
        return answer_compact(op, &d, err);
    write_json(op, op->w, &d);
    return ERR_OK;
}
