/* See plan.h: the difference as JSON, and as the text of a comment. */
#include "api/persql/plan.h"

/* --- As JSON --- */

static void write_change(struct jsonw *w, const struct schema_change *c)
{
    const struct schema_object *o = c->branch ? c->branch : c->parent;
    jsonw_object(w);
    JSONW_CSTR(w, "type", schema_kind_name(o->kind));
    JSONW_TEXT(w, "name", o->name);
    if (!c->parent)
        JSONW_TEXT(w, "sql", o->sql);
    if (c->parent && c->branch) {
        JSONW_TEXT(w, "parentSql", c->parent->sql);
        JSONW_TEXT(w, "branchSql", c->branch->sql);
    }
    jsonw_object_end(w);
}

static void write_changes(struct jsonw *w, const char *key, const struct schema_change *list)
{
    jsonw_key(w, key);
    jsonw_array(w);
    for (; list; list = list->next)
        write_change(w, list);
    jsonw_array_end(w);
}

void plan_write(struct jsonw *w, const struct schema_diff *d)
{
    jsonw_object(w);
    write_changes(w, "added", d->added);
    write_changes(w, "changed", d->changed);
    write_changes(w, "removed", d->removed);
    jsonw_key(w, "statements");
    jsonw_array(w);
    for (const struct schema_statement *s = d->statements; s; s = s->next)
        jsonw_text(w, s->sql);
    jsonw_array_end(w);
    JSONW_INT(w, "byHand", d->by_hand);
    jsonw_object_end(w);
}

/* --- As markdown --- */

/* A fence longer than any run of backticks inside. */
static void add_fenced(struct strbuf *out, struct str sql)
{
    size_t run = 0, longest = 2;
    for (size_t i = 0; i < sql.len; i++) {
        run = sql.ptr[i] == '`' ? run + 1 : 0;
        longest = run > longest ? run : longest;
    }
    strbuf_add_char(out, '\n');
    for (size_t i = 0; i <= longest; i++)
        strbuf_add_char(out, '`');
    strbuf_add_cstr(out, "sql\n");
    strbuf_add_str(out, sql);
    strbuf_add_char(out, '\n');
    for (size_t i = 0; i <= longest; i++)
        strbuf_add_char(out, '`');
    strbuf_add_char(out, '\n');
}

/* Somebody else's name within a line: nothing in it makes markup or another line. */
void plan_markdown_text(struct strbuf *out, struct str name)
{
    for (size_t i = 0; i < name.len; i++) {
        char ch = name.ptr[i];
        if ((unsigned char)ch < ' ' || ch == 0x7f) {
            strbuf_add_char(out, ' ');
            continue;
        }
        if (strchr("\\`*_{}[]()<>#+-.!|~@&", ch))
            strbuf_add_char(out, '\\');
        strbuf_add_char(out, ch);
    }
}

static void add_changes(struct strbuf *out, const char *what, const struct schema_change *list)
{
    for (; list; list = list->next) {
        const struct schema_object *o = list->branch ? list->branch : list->parent;
        strbuf_addf(out, "- %s %s ", what, schema_kind_name(o->kind));
        plan_markdown_text(out, o->name);
        if (list->parent && list->branch && o->kind == SCHEMA_TABLE && !list->alters)
            strbuf_add_cstr(out, " (to be done by hand: it is more than new columns)");
        strbuf_add_char(out, '\n');
    }
}

void plan_write_markdown(struct strbuf *out, struct str ref, const struct schema_diff *d)
{
    strbuf_add_cstr(out, "### Schema of branch ");
    plan_markdown_text(out, ref);
    strbuf_add_cstr(out, "\n\n");
    if (!d->added && !d->changed && !d->removed)
        strbuf_add_cstr(out, "The same as its parent's.\n");
    add_changes(out, "added", d->added);
    add_changes(out, "changed", d->changed);
    add_changes(out, "removed", d->removed);
    for (const struct schema_statement *s = d->statements; s; s = s->next)
        add_fenced(out, s->sql);
}
