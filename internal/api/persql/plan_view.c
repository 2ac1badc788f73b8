/* See plan.h: the difference as JSON, and as the text of a comment. */
#include "api/persql/plan.h"
#include "base/visible.h"

enum { TEXT_MAX = 8 << 20 };

#define BASE_UNKNOWN                                                                                         \
    "What this branch began with was not written down, so nothing is told as removed; make it anew to have " \
    "that told too."

/* --- As JSON --- */

static void write_change(struct jsonw *w, const struct schema_change *c)
{
    const struct schema_object *o = c->branch ? c->branch : c->parent;
    jsonw_object(w);
    JSONW_CSTR(w, "type", schema_kind_name(o->kind));
    JSONW_TEXT(w, "name", o->name);
    if (!c->parent && !c->by_hand)
        JSONW_TEXT(w, "sql", o->sql);
    else if (c->branch) {
        JSONW_TEXT_OR_NULL(w, "parentSql", c->parent ? c->parent->sql : ((struct str){NULL, 0}));
        JSONW_TEXT(w, "branchSql", c->branch->sql);
    }
    if (c->by_hand)
        JSONW_CSTR(w, "byHand", c->by_hand);
    if (c->remark)
        JSONW_CSTR(w, "remark", c->remark);
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
    if (d->base_unknown)
        JSONW_CSTR(w, "note", BASE_UNKNOWN);
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
    strbuf_add_visible(out, sql);
    strbuf_add_char(out, '\n');
    for (size_t i = 0; i <= longest; i++)
        strbuf_add_char(out, '`');
    strbuf_add_char(out, '\n');
}

void plan_markdown_text(struct strbuf *out, struct str text)
{
    AUTO_STRBUF seen;
    strbuf_init(&seen, TEXT_MAX);
    strbuf_add_visible(&seen, text);
    out->failed |= strbuf_failed(&seen);
    for (size_t i = 0; i < seen.len; i++) {
        char c = strbuf_str(&seen).ptr[i];
        bool space = c == '\n' || c == '\t';
        if (!space && c && strchr("\\`*_{}[]()<>#+-.!|~@&:$=^", c))
            strbuf_add_char(out, '\\');
        strbuf_add_char(out, space ? ' ' : c);
    }
}

static void add_changes(struct strbuf *out, const char *what, const struct schema_change *list)
{
    for (; list; list = list->next) {
        const struct schema_object *o = list->branch ? list->branch : list->parent;
        strbuf_addf(out, "- %s %s ", what, schema_kind_name(o->kind));
        plan_markdown_text(out, o->name);
        if (list->by_hand)
            strbuf_addf(out, " (to be done by hand: %s)", list->by_hand);
        if (list->remark)
            strbuf_addf(out, " (%s)", list->remark);
        strbuf_add_char(out, '\n');
    }
}

void plan_write_markdown(struct strbuf *out, struct str ref, const struct schema_diff *d)
{
    strbuf_add_cstr(out, "### Schema of branch ");
    plan_markdown_text(out, ref);
    strbuf_add_cstr(out, "\n\n");
    if (!d->added && !d->changed && !d->removed)
        strbuf_add_cstr(out, "It changes nothing of its parent's.\n");
    add_changes(out, "added", d->added);
    add_changes(out, "changed", d->changed);
    add_changes(out, "removed", d->removed);
    if (d->base_unknown)
        strbuf_add_cstr(out, "\n" BASE_UNKNOWN "\n");
    for (const struct schema_statement *s = d->statements; s; s = s->next)
        add_fenced(out, s->sql);
}
