/* See changes.h. */
#include "api/persql/changes.h"
#include "base/clock.h"
#include "base/enc.h"
#include "base/limits.h"
#include "engine/branch_base.h"

#define ASK_MS       2000
#define MERGES_ASKED 50

struct wire_call changes_call(const struct api_call *c, enum wire_op op, int64_t timeout_ms)
{
    return (struct wire_call){.op = op,
        .role = WIRE_ROLE_ADMIN,
        .deadline_us = clock_mono_us() + timeout_ms * 1000,
        .request_id = c->by->request_id,
        .token_id = id_str(&c->who->token_id),
        .idempotency_key = STR_EMPTY,
        .plan_key = STR_EMPTY,
        .plan_step = STR_EMPTY,
        .claims = STR_EMPTY,
        .body = STR_EMPTY};
}

static void add_arg(struct wire_call *call, const char *name, struct str value)
{
    if (value.ptr)
        call->args[call->arg_count++] = (struct wire_arg){str_of(name), value};
}

static const struct jsonr_value *member(const struct jsonr_value *v, const char *name, enum jsonr_kind kind)
{
    const struct jsonr_value *m = v && jsonr_kind(v) == JSONR_OBJECT ? jsonr_member(v, str_of(name)) : NULL;
    return m && jsonr_kind(m) == kind ? m : NULL;
}

static struct str text_of(const struct jsonr_value *v, const char *name)
{
    const struct jsonr_value *m = member(v, name, JSONR_TEXT);
    return m ? jsonr_text(m) : STR_EMPTY;
}

enum err_code changes_refused(
    struct api_call *c, struct arena *a, const struct wire_reply_head *head, struct str body)
{
    const struct jsonr_value *root = NULL;
    enum err_code code = (enum err_code)head->code;
    if (jsonr_parse_with_nul(a, body, &root, NULL))
        root = NULL; /* then it has no text */
    struct str text = text_of(root, "error");
    if (code == ERR_OK || code >= ERR_COUNT)
        code = ERR_INTERNAL;
    c->err->retry_after_s = (int)head->retry_after_s;
    return err_set(c->err, code, STR_FMT, STR_ARG(text.len ? text : S("The engine refused the call")));
}

/* --- What was merged --- */

struct asking {
    struct api_call *c;
    int left;
};

/* The parent's database knows. */
static enum err_code ask_state(void *arg, struct str proposal, enum merge_state *ret, struct err *err)
{
    struct asking *q = arg;
    struct wire_reply_head head;
    struct wire_call call = changes_call(q->c, WIRE_OP_PROPOSAL_GET, ASK_MS);
    struct registry_entry parent;
    AUTO_STRBUF out;
    AUTO_ARENA a;
    const struct jsonr_value *root;
    strbuf_init(&out, LIMIT_RESULT_BYTES);
    arena_init(&a, 64 << 20);
    *ret = MERGE_WAITS;
    if (q->left <= 0) /* the others at the next look */
        return ERR_OK;
    q->left--;
    add_arg(&call, "id", proposal);
    enum err_code rc = registry_get(q->c->db, &q->c->who->namespace_id, q->c->db_slug, &parent, err);
    if (!rc)
        rc = supervise_call_sync(q->c->opt->supervisor, id_str(&parent.id), &call, &head, &out, err);
    if (rc)
        return rc;
    if (head.status == 404)
        *ret = MERGE_UNKNOWN;
    if (head.status != 200 || jsonr_parse_with_nul(&a, strbuf_str(&out), &root, NULL))
        return ERR_OK;
    struct str state = text_of(member(root, "data", JSONR_OBJECT), "status");
    bool waits = str_eq(state, S("pending")) || str_eq(state, S("stale")) || !state.len;
    *ret = str_eq(state, S("applied")) ? MERGE_APPLIED : waits ? MERGE_WAITS : MERGE_VOID;
    return ERR_OK;
}

enum err_code changes_prepare(
    struct api_call *c, struct arena *a, enum capability cap, struct branch_changes *ret)
{
    struct asking q = {c, MERGES_ASKED};
    *ret = (struct branch_changes){.data = NULL};
    if (c->who->claims.len)
        return err_set(c->err, ERR_FORBIDDEN, "This shows all rows: it needs a token without claims");
    enum err_code rc = plan_read(c, a, cap, &ret->branch, &ret->schema);
    return rc ? rc : merged_read(c->disk->data_dir, a, &ret->branch.id, ask_state, &q, &ret->merged, c->err);
}

/* --- The engine's answer --- */

static enum err_code read_data(
    struct api_call *c, struct arena *a, struct str body, const struct jsonr_value **ret)
{
    const struct jsonr_value *root;
    enum err_code rc = jsonr_parse(a, body, &root, c->err);
    *ret = rc ? NULL : member(root, "data", JSONR_OBJECT);
    return rc || *ret ? rc : err_set(c->err, ERR_INTERNAL, "The engine's answer cannot be read");
}

enum err_code changes_ask(
    struct api_call *c, struct arena *a, const struct changes_wish *in, struct branch_changes *b)
{
    AUTO_STRBUF out;
    struct wire_reply_head head;
    struct wire_call call = changes_call(c, WIRE_OP_BRANCH_CHANGES, in->timeout_ms);
    call.body = in->body;
    add_arg(&call, "table", in->table);
    add_arg(&call, "cursor", arena_printf(a, "%lld", (long long)in->cursor));
    add_arg(&call, "limit", arena_printf(a, "%lld", (long long)in->limit));
    add_arg(&call, ".merged", b->merged.names);
    if (in->set.ptr)
        add_arg(&call, ".set", arena_printf(a, "out/" STR_FMT ".set", STR_ARG(in->set)));
    strbuf_init(&out, LIMIT_RESULT_BYTES);
    enum err_code rc =
        supervise_call_sync(c->opt->supervisor, id_str(&b->branch.id), &call, &head, &out, c->err);
    if (rc)
        return rc;
    if (head.status != 200)
        return changes_refused(c, a, &head, strbuf_str(&out));
    rc = read_data(c, a, strbuf_str(&out), &b->data);
    if (!rc && !str_eq(text_of(b->data, "base"), id_str(&b->merged.start)))
        rc = err_set(c->err, ERR_CONFLICT, "The branch was made anew just now; try again");
    return rc;
}

/* --- As JSON --- */

/* Nothing an engine says is passed on unread. */
void changes_copy(struct jsonw *w, const struct jsonr_value *v)
{
    switch (jsonr_kind(v)) {
    case JSONR_BOOL: jsonw_bool(w, jsonr_bool(v)); break;
    case JSONR_INT: jsonw_int(w, jsonr_int(v)); break;
    case JSONR_REAL: jsonw_real(w, jsonr_real(v)); break;
    case JSONR_TEXT: jsonw_text(w, jsonr_text(v)); break;
    case JSONR_ARRAY:
        jsonw_array(w);
        for (const struct jsonr_value *m = jsonr_first(v); m; m = jsonr_next(m))
            changes_copy(w, m);
        jsonw_array_end(w);
        break;
    case JSONR_OBJECT:
        jsonw_object(w);
        for (const struct jsonr_value *m = jsonr_first(v); m; m = jsonr_next(m)) {
            jsonw_key_str(w, jsonr_name(m));
            changes_copy(w, m);
        }
        jsonw_object_end(w);
        break;
    default: jsonw_null(w);
    }
}

void changes_write(struct jsonw *w, const struct branch_changes *b)
{
    static const char *const MEMBERS[] = {
        "tables", "rows", "hiddenRows", "truncated", "nextCursor", "notCompared"};
    for (size_t i = 0; i < ARRAY_LEN(MEMBERS); i++) {
        const struct jsonr_value *v = jsonr_member(b->data, str_of(MEMBERS[i]));
        jsonw_key(w, MEMBERS[i]);
        if (v)
            changes_copy(w, v);
        else
            jsonw_null(w);
    }
}

/* --- For a merge --- */

enum err_code changes_check_mergeable(const struct branch_changes *b, struct err *err)
{
    const struct jsonr_value *list = member(b->data, "notCompared", JSONR_ARRAY);
    for (const struct jsonr_value *v = list ? jsonr_first(list) : NULL; v; v = jsonr_next(v)) {
        struct str reason = text_of(v, "reason");
        bool moved = str_eq(reason, S(COMPARE_COLUMNS_MOVED));
        if (!moved && !str_eq(reason, S(COMPARE_KEY_CHANGED)))
            continue;
        return err_set(err, ERR_CONFLICT,
            "The rows of table \"" STR_FMT "\" cannot be merged: " STR_FMT
            ". %sMerge the other tables with \"tables\"",
            STR_ARG(str_slice(text_of(v, "table"), 0, 100)), STR_ARG(reason),
            moved ? "Merge the schema, then make the branch anew and change its rows there. " : "");
    }
    return ERR_OK;
}

int changes_rows(const struct branch_changes *b)
{
    static const char *const COUNTS[] = {"insert", "update", "delete"};
    const struct jsonr_value *list = member(b->data, "tables", JSONR_ARRAY);
    int64_t sum = 0;
    for (const struct jsonr_value *v = list ? jsonr_first(list) : NULL; v; v = jsonr_next(v))
        for (size_t i = 0; i < ARRAY_LEN(COUNTS); i++) {
            const struct jsonr_value *n = member(v, COUNTS[i], JSONR_INT);
            sum += n && jsonr_int(n) > 0 && jsonr_int(n) <= LIMIT_CHANGE_ROWS ? jsonr_int(n) : 0;
        }
    return sum <= INT32_MAX ? (int)sum : INT32_MAX;
}

/* --- As markdown --- */

enum { VALUE_MAX = 60, VALUES_MAX = 8 };

static void add_value(struct strbuf *out, const struct jsonr_value *v)
{
    AUTO_STRBUF text;
    struct jsonw w;
    strbuf_init(&text, 1 << 20);
    jsonw_init(&w, &text);
    if (jsonr_kind(v) == JSONR_TEXT)
        strbuf_add_str(&text, jsonr_text(v));
    else
        changes_copy(&w, v);
    size_t len = utf8_cut(strbuf_str(&text), VALUE_MAX);
    plan_markdown_text(out, str_slice(strbuf_str(&text), 0, len));
    if (len < text.len)
        strbuf_add_cstr(out, " …");
}

/* `told`: an object whose members are not repeated, NULL none. */
static void add_members(
    struct strbuf *out, const char *lead, const struct jsonr_value *object, const struct jsonr_value *told)
{
    int count = 0;
    for (const struct jsonr_value *m = object ? jsonr_first(object) : NULL; m; m = jsonr_next(m)) {
        if (told && jsonr_member(told, jsonr_name(m)))
            continue;
        strbuf_add_cstr(out, count ? ", " : lead);
        if (count++ == VALUES_MAX) {
            strbuf_add_cstr(out, "…");
            return;
        }
        plan_markdown_text(out, jsonr_name(m));
        strbuf_add_char(out, ' ');
        add_value(out, m);
    }
}

static void add_row(struct strbuf *out, const struct jsonr_value *row)
{
    struct str op = text_of(row, "op");
    bool update = str_eq(op, S("update")), insert = str_eq(op, S("insert"));
    strbuf_addf(out, "- %s ", insert ? "added to" : update ? "changed in" : "removed from");
    plan_markdown_text(out, text_of(row, "table"));
    strbuf_add_char(out, ':');
    const struct jsonr_value *key = member(row, "key", JSONR_OBJECT);
    add_members(out, " ", key, NULL);
    if (update)
        add_members(out, "; was ", member(row, "before", JSONR_OBJECT), NULL);
    if (update || insert)
        add_members(out, update ? "; is " : "; ", member(row, "after", JSONR_OBJECT), insert ? key : NULL);
    strbuf_add_char(out, '\n');
}

static void add_table(struct strbuf *out, const struct jsonr_value *t)
{
    static const char *const COUNTS[] = {"insert", "update", "delete"};
    strbuf_add_cstr(out, "| ");
    plan_markdown_text(out, text_of(t, "table"));
    for (size_t i = 0; i < ARRAY_LEN(COUNTS); i++) {
        const struct jsonr_value *n = member(t, COUNTS[i], JSONR_INT);
        strbuf_addf(out, " | %lld", n ? (long long)jsonr_int(n) : 0LL);
    }
    strbuf_add_cstr(out, " |\n");
}

static void add_notes(struct strbuf *out, const struct jsonr_value *list)
{
    for (const struct jsonr_value *v = list ? jsonr_first(list) : NULL; v; v = jsonr_next(v)) {
        strbuf_add_cstr(out, "- not compared: ");
        plan_markdown_text(out, text_of(v, "table"));
        strbuf_add_cstr(out, ": ");
        plan_markdown_text(out, text_of(v, "reason"));
        strbuf_add_char(out, '\n');
    }
}

void changes_write_markdown(struct strbuf *out, const struct branch_changes *b, const char *why_not)
{
    const struct jsonr_value *tables = member(b->data, "tables", JSONR_ARRAY);
    const struct jsonr_value *rows = member(b->data, "rows", JSONR_ARRAY);
    const struct jsonr_value *more = member(b->data, "truncated", JSONR_BOOL);
    strbuf_add_cstr(out, "\n### Rows\n\n");
    if (!b->data) {
        plan_markdown_text(out, str_of(why_not));
        strbuf_add_char(out, '\n');
        return;
    }
    if (!tables || !jsonr_first(tables))
        strbuf_add_cstr(out, "None was changed.\n");
    else
        strbuf_add_cstr(out, "| table | added | changed | removed |\n| --- | ---: | ---: | ---: |\n");
    for (const struct jsonr_value *t = tables ? jsonr_first(tables) : NULL; t; t = jsonr_next(t))
        add_table(out, t);
    strbuf_add_char(out, '\n');
    for (const struct jsonr_value *r = rows ? jsonr_first(rows) : NULL; r; r = jsonr_next(r))
        add_row(out, r);
    if (more && jsonr_bool(more))
        strbuf_add_cstr(out, "- … and more\n");
    add_notes(out, member(b->data, "notCompared", JSONR_ARRAY));
}
