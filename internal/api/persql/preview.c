/* GET …/branches/{ref}/preview: what the schema of a branch has that its parent's has not, and the other way
 * round, as JSON or as the text of a comment. The engines of both are asked in turn. Worker thread. */
#include "api/call.h"
#include "api/persql/plan.h"

route_worker_fn persql_branch_preview;

#define PARSED_MAX   (64 << 20)
#define MARKDOWN_MAX (1 << 20)

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

static void write_json(struct jsonw *w, struct str ref, const struct schema_diff *d)
{
    jsonw_object(w);
    JSONW_TEXT(w, "branchRef", ref);
    jsonw_key(w, "plan");
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
static void add_name(struct strbuf *out, struct str name)
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
        add_name(out, o->name);
        if (list->parent && list->branch && o->kind == SCHEMA_TABLE && !list->alters)
            strbuf_add_cstr(out, " (to be done by hand: it is more than new columns)");
        strbuf_add_char(out, '\n');
    }
}

static void write_markdown(struct strbuf *out, struct str ref, const struct schema_diff *d)
{
    strbuf_add_cstr(out, "### Schema of branch ");
    add_name(out, ref);
    strbuf_add_cstr(out, "\n\n");
    if (!d->added && !d->changed && !d->removed)
        strbuf_add_cstr(out, "The same as its parent's.\n");
    add_changes(out, "added", d->added);
    add_changes(out, "changed", d->changed);
    add_changes(out, "removed", d->removed);
    for (const struct schema_statement *s = d->statements; s; s = s->next)
        add_fenced(out, s->sql);
}

/* --- --- */

static enum err_code answer(struct api_call *c, struct str ref, const struct schema_diff *d, bool markdown)
{
    if (!markdown) {
        write_json(c->out, ref, d);
        return ERR_OK;
    }
    AUTO_STRBUF text;
    strbuf_init(&text, MARKDOWN_MAX);
    write_markdown(&text, ref, d);
    if (strbuf_failed(&text))
        return err_set(
            c->err, ERR_TOO_LARGE, "The difference is too large for a comment; ask without format");
    *c->answer = (struct api_answer){.kind = ANSWER_MARKDOWN, .status = 200};
    strbuf_reset(c->text);
    strbuf_add_str(c->text, strbuf_str(&text));
    return ERR_OK;
}

static enum err_code read_format(struct api_call *c, bool *ret_markdown)
{
    struct str format = query_get(c->args, "format");
    *ret_markdown = format.ptr && str_eq(format, S("markdown"));
    if (!format.ptr || *ret_markdown || str_eq(format, S("json")))
        return ERR_OK;
    return err_field(c->err, "/format", "must be json or markdown");
}

enum err_code persql_branch_preview(struct api_call *c)
{
    AUTO_ARENA a;
    struct registry_entry branch;
    struct schema_diff diff;
    bool markdown;
    arena_init(&a, PARSED_MAX);
    enum err_code rc = read_format(c, &markdown);
    if (!rc)
        rc = plan_read(c, &a, CAP_BRANCH_LIST, &branch, &diff);
    return rc ? rc : answer(c, c->item, &diff, markdown);
}
