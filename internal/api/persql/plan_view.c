/* See plan.h: the difference as JSON, and as the text of a comment. */
#include "api/persql/plan.h"
#include "base/enc.h"

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
    strbuf_add_str(out, sql);
    strbuf_add_char(out, '\n');
    for (size_t i = 0; i <= longest; i++)
        strbuf_add_char(out, '`');
    strbuf_add_char(out, '\n');
}

/* Characters that turn the direction of what follows or show nothing: U+200B to U+200F, U+2028 to U+202E,
 * U+2060 to U+2069, U+FEFF, U+061C, the soft hyphen and the controls before it. */
static bool is_invisible(struct str ch)
{
    const unsigned char *b = (const unsigned char *)ch.ptr;
    if (ch.len == 2)
        return (b[0] == 0xc2 && (b[1] < 0xa0 || b[1] == 0xad)) || (b[0] == 0xd8 && b[1] == 0x9c);
    if (ch.len != 3)
        return false;
    unsigned code = (b[0] & 0xfu) << 12 | (b[1] & 0x3fu) << 6 | (b[2] & 0x3fu);
    return (code >= 0x200b && code <= 0x200f) || (code >= 0x2028 && code <= 0x202e) ||
           (code >= 0x2060 && code <= 0x2069) || code == 0xfeff;
}

static void add_character(struct strbuf *out, struct str ch)
{
    if (ch.len > 1 && is_invisible(ch)) {
        strbuf_add_cstr(out, "�");
        return;
    }
    if (ch.len > 1) {
        strbuf_add_str(out, ch);
        return;
    }
    char c = ch.ptr[0];
    if ((unsigned char)c < ' ' || c == 0x7f) {
        strbuf_add_char(out, ' ');
        return;
    }
    if (strchr("\\`*_{}[]()<>#+-.!|~@&", c))
        strbuf_add_char(out, '\\');
    strbuf_add_char(out, c);
}

void plan_markdown_text(struct strbuf *out, struct str text)
{
    while (text.len > 0) {
        size_t len = utf8_first(text);
        add_character(out, str_slice(text, 0, len ? len : 1));
        text = str_slice(text, len ? len : 1, text.len);
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
