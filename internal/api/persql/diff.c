/* GET …/branches/{ref}/diff: what a branch changed, schema and rows, as JSON or as the text of a comment; GET
 * …/branches/{ref}/preview: its schema alone, as text with a summary of its rows. Worker thread. */
#include "api/call.h"
#include "api/persql/changes.h"
#include "api/persql/views.h"
#include "base/limits.h"

route_worker_fn persql_branch_preview, persql_branch_diff;

#define PARSED_MAX   (64 << 20)
#define MARKDOWN_MAX (1 << 20)
#define SUMMARY_ROWS 10
#define SUMMARY_MS   3000

static enum err_code read_format(struct api_call *c, bool *ret_markdown)
{
    struct str format = query_get(c->args, "format");
    *ret_markdown = format.ptr && str_eq(format, S("markdown"));
    if (!format.ptr || *ret_markdown || str_eq(format, S("json")))
        return ERR_OK;
    return err_field(c->err, "/format", "must be json or markdown");
}

static enum err_code answer_markdown(struct api_call *c, const struct branch_changes *b, const char *why_not)
{
    AUTO_STRBUF text;
    strbuf_init(&text, MARKDOWN_MAX);
    plan_write_markdown(&text, str_of(b->branch.ref), &b->schema);
    changes_write_markdown(&text, b, why_not);
    if (strbuf_failed(&text))
        return err_set(
            c->err, ERR_TOO_LARGE, "The difference is too large for a comment; ask without format");
    *c->answer = (struct api_answer){.kind = ANSWER_MARKDOWN, .status = 200};
    strbuf_reset(c->text);
    strbuf_add_str(c->text, strbuf_str(&text));
    return ERR_OK;
}

/* --- Preview --- */

/* Rows are for those who see all of them; their summary may be missing, the schema may not. */
static enum err_code preview_markdown(struct api_call *c, struct arena *a)
{
    struct branch_changes b, whole = {.data = NULL};
    const struct changes_wish wish = {
        .table = {NULL, 0}, .limit = SUMMARY_ROWS, .set = {NULL, 0}, .timeout_ms = SUMMARY_MS};
    struct err *outer = c->err, rows = ERR_INIT;
    enum err_code rc = plan_read(c, a, CAP_BRANCH_LIST, &whole.branch, &whole.schema);
    if (rc)
        return rc;
    c->err = &rows;
    if (c->who->role < WIRE_ROLE_ADMIN)
        (void)err_set(&rows, ERR_FORBIDDEN, "Rows are shown to admins alone.");
    else if (!changes_prepare(c, a, CAP_BRANCH, &b))
        err_ignore(changes_ask(c, a, &wish, &b)); /* `rows` says why */
    c->err = outer;
    return answer_markdown(c, rows.code ? &whole : &b, rows.message);
}

enum err_code persql_branch_preview(struct api_call *c)
{
    AUTO_ARENA a;
    struct registry_entry branch;
    struct schema_diff diff;
    bool markdown;
    arena_init(&a, PARSED_MAX);
    enum err_code rc = read_format(c, &markdown);
    if (!rc && markdown)
        return preview_markdown(c, &a);
    if (!rc)
        rc = plan_read(c, &a, CAP_BRANCH_LIST, &branch, &diff);
    if (rc)
        return rc;
    jsonw_object(c->out);
    JSONW_TEXT(c->out, "branchRef", c->item);
    jsonw_key(c->out, "plan");
    plan_write(c->out, &diff);
    jsonw_object_end(c->out);
    return ERR_OK;
}

/* --- Difference --- */

static enum err_code read_wish(struct api_call *c, struct changes_wish *ret, bool *ret_markdown)
{
    *ret = (struct changes_wish){
        .table = query_get(c->args, "table"), .set = {NULL, 0}, .timeout_ms = LIMIT_BRANCH_DIFF_MS};
    enum err_code rc = read_format(c, ret_markdown);
    if (!rc)
        rc = query_i64(c->args, "limit", *ret_markdown ? SUMMARY_ROWS : 100, 1, 1000, &ret->limit, c->err);
    if (!rc)
        rc = query_i64(c->args, "cursor", 0, 0, INT64_MAX, &ret->cursor, c->err);
    if (!rc && ret->table.ptr && (!ret->table.len || ret->table.len > 1000))
        rc = err_field(c->err, "/table", "must be the name of a table");
    return rc;
}

static void write_json(struct api_call *c, const struct branch_changes *b)
{
    const struct jsonr_value *rows = jsonr_member(b->data, S("baseRows"));
    jsonw_object(c->out);
    JSONW_CSTR(c->out, "branchRef", b->branch.ref);
    jsonw_key(c->out, "base");
    jsonw_object(c->out);
    view_time(c->out, "at", b->branch.forked_at);
    JSONW_BOOL(c->out, "rows", rows && jsonr_kind(rows) == JSONR_BOOL && jsonr_bool(rows));
    jsonw_object_end(c->out);
    jsonw_key(c->out, "schema");
    plan_write(c->out, &b->schema);
    changes_write(c->out, b);
    jsonw_object_end(c->out);
}

enum err_code persql_branch_diff(struct api_call *c)
{
    AUTO_ARENA a;
    struct branch_changes b;
    struct changes_wish wish;
    bool markdown;
    arena_init(&a, (size_t)2 * PARSED_MAX);
    enum err_code rc = read_wish(c, &wish, &markdown);
    if (!rc)
        rc = changes_prepare(c, &a, CAP_BRANCH, &b);
    if (!rc)
        rc = changes_ask(c, &a, &wish, &b);
    if (!rc && markdown)
        return answer_markdown(c, &b, "");
    if (!rc)
        write_json(c, &b);
    return rc;
}
