/* The compact form of describe, meant for a prompt:
 *
 *   # Order data for acme
 *   orders(id INTEGER PK, customer_id INTEGER NOT NULL -> customers.id, total REAL /net, in euro/) 1284 rows;
 * index(customer_id) -- One row per checkout view open_orders(id, total) -- what has not been shipped
 */
#include "engine/op_describe.h"

/* A description must not break the line it stands on. */
static void add_one_line(struct strbuf *out, struct str text)
{
    for (size_t i = 0; i < text.len; i++)
        strbuf_add_char(out, (unsigned char)text.ptr[i] < ' ' ? ' ' : text.ptr[i]);
}

static bool is_plain_name(struct str name)
{
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
        if (!letter && !(i > 0 && c >= '0' && c <= '9'))
            return false;
    }
    return name.len > 0 && !sqlite3_keyword_check(name.ptr, (int)name.len);
}

static void add_name(struct strbuf *out, struct str name)
{
    if (is_plain_name(name))
        strbuf_add_str(out, name);
    else
        catalog_quote(out, name);
}

static void add_reference(struct strbuf *out, const struct cat_table *t, const struct cat_column *c)
{
    for (const struct cat_fk *fk = t->fks; fk; fk = fk->next) {
        if (!str_eq_nocase(fk->column, c->name))
            continue;
        strbuf_add_cstr(out, " -> ");
        add_name(out, fk->ref_table);
        if (fk->ref_column.ptr) {
            strbuf_add_char(out, '.');
            add_name(out, fk->ref_column);
        }
    }
}

static void add_column(struct strbuf *out, const struct cat_table *t, const struct cat_column *c)
{
    add_name(out, c->name);
    if (c->type.len) {
        strbuf_add_char(out, ' ');
        add_one_line(out, c->type);
    }
    if (c->pk)
        strbuf_add_cstr(out, " PK");
    else if (c->not_null)
        strbuf_add_cstr(out, " NOT NULL");
    if (c->generated)
        strbuf_add_cstr(out, " GENERATED");
    if (c->default_sql.ptr) {
        strbuf_add_cstr(out, " DEFAULT ");
        add_one_line(out, c->default_sql);
    }
    add_reference(out, t, c);
    if (c->description.len) {
        strbuf_add_cstr(out, " /");
        add_one_line(out, c->description);
        strbuf_add_char(out, '/');
    }
}

static void add_columns(struct strbuf *out, const struct cat_table *t)
{
    const char *comma = "";
    strbuf_add_char(out, '(');
    for (const struct cat_column *c = t->columns; c; c = c->next) {
        if (c->hidden)
            continue;
        strbuf_add_cstr(out, comma);
        add_column(out, t, c);
        comma = ", ";
    }
    strbuf_add_char(out, ')');
}

static void add_index(struct strbuf *out, const struct cat_index *ix)
{
    const char *comma = "";
    strbuf_add_cstr(out, ix->unique ? "; unique(" : "; index(");
    for (const struct cat_index_column *c = ix->columns; c; c = c->next) {
        strbuf_add_cstr(out, comma);
        if (c->name.ptr)
            add_name(out, c->name);
        else
            strbuf_add_cstr(out, "<expr>");
        comma = ", ";
    }
    strbuf_add_cstr(out, ix->partial ? ") partial" : ")");
}

static void add_description(struct strbuf *out, struct str description)
{
    if (description.len) {
        strbuf_add_cstr(out, " -- ");
        add_one_line(out, description);
    }
    strbuf_add_char(out, '\n');
}

static void add_table(struct strbuf *out, const struct cat_table *t, const struct rowcount *rows)
{
    add_name(out, t->name);
    add_columns(out, t);
    strbuf_addf(
        out, " %s%lld row%s", rows->exact ? "" : "~", (long long)rows->rows, rows->rows == 1 ? "" : "s");
    if (t->kind == CAT_VIRTUAL) {
        strbuf_add_cstr(out, "; ");
        strbuf_add_str(out, t->module);
    }
    for (const struct cat_index *ix = t->indexes; ix; ix = ix->next) {
        if (ix->origin != 'p')
            add_index(out, ix);
    }
    for (const struct cat_trigger *tr = t->triggers; tr; tr = tr->next) {
        strbuf_add_cstr(out, "; trigger ");
        add_name(out, tr->name);
    }
    add_description(out, t->description);
}

void describe_compact(const struct describe *d, bool scoped, struct strbuf *out)
{
    const struct rowcount *rows = d->rows;
    if (!d->cat.tables && !d->cat.views)
        strbuf_add_cstr(
            out, scoped ? "-- no table or view is in this token's scope\n" : "-- no tables or views yet\n");
    if (d->database_description.len) {
        strbuf_add_cstr(out, "# ");
        add_one_line(out, d->database_description);
        strbuf_add_char(out, '\n');
    }
    for (const struct cat_table *t = d->cat.tables; t; t = t->next)
        add_table(out, t, rows++);
    for (const struct cat_table *t = d->cat.views; t; t = t->next) {
        strbuf_add_cstr(out, "view ");
        add_name(out, t->name);
        add_columns(out, t);
        add_description(out, t->description);
    }
}
