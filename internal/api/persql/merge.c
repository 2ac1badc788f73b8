/* POST …/branches/{ref}/merge: does to the parent's schema what the branch did to its own, or writes the rows
 * that the branch changed into the parent; either in one transaction of the parent's engine.
 *
 *   plan (worker) ─► note in the audit log (worker) ─► batch | merge (engine) ─► settle (worker) ─► answer
 *
 * What a branch changes is found as for its preview and its difference. Nothing is guessed: a table that was
 * changed in a way that no statement tells refuses the merge, and so does a row that was changed on both
 * sides until somebody chooses. Rows go from engine to engine as a file (branch/merged.h), which also says
 * what the branch will be compared with from then on: it is kept before the parent's engine is asked. */
#include "api/call.h"
#include "api/persql/changes.h"
#include "api/snapshot_call.h"
#include "audit/intent.h"
#include "base/fail_point.h"
#include "base/limits.h"
#include "branch/branch.h"

route_loop_fn persql_branch_merge;

#define PARSED_MAX (64 << 20)
#define TELL_MS    2000

struct merge_wish {
    struct str mode;
    const struct jsonr_value *tables, *resolve; /* NULL: not given */
    bool dry_run, propose;
    int64_t ttl_s;
    struct str reason, ticket, agent, model; /* the engine reads them again */
};

struct merge {
    struct merge_wish wish;
    const struct jsonr_value *root; /* the client's body; NULL: none */
    bool data, only_shown;
    struct branch_changes b;
    struct str schema;  /* the branch's, by its engine's name for it */
    struct arena arena; /* holds the difference */
    int count;          /* of statements; of rows when they are more than none */
    struct strbuf body;
    struct id intent, proposal;
    bool kept, held;   /* the change set is; the write is, until people approve it */
    struct err failed; /* the engine gave no answer */
    struct str reply;  /* … or this one, in `arena` */
};

#define FROM(member) offsetof(struct merge_wish, member)
static const struct jsonr_field merge_fields[] = {
    {"mode", JF_TEXT, FROM(mode), JF_NULL_OK, 1, 20},
    {"tables", JF_ARRAY, FROM(tables), JF_NULL_OK, 1, 1000},
    {"resolve", JF_OBJECT, FROM(resolve), JF_NULL_OK, 0, 0},
    {"dryRun", JF_BOOL, FROM(dry_run), JF_NULL_OK, 0, 0},
    {"propose", JF_BOOL, FROM(propose), JF_NULL_OK, 0, 0},
    {"ttlSec", JF_INT, FROM(ttl_s), JF_NULL_OK, LIMIT_PROPOSAL_TTL_MIN_S, LIMIT_PROPOSAL_TTL_MAX_S},
    {"reason", JF_TEXT, FROM(reason), JF_NULL_OK, 1, LIMIT_PROPOSAL_TEXT_BYTES},
    {"ticket", JF_TEXT, FROM(ticket), JF_NULL_OK, 1, LIMIT_PROPOSAL_NAME_BYTES},
    {"agent", JF_TEXT, FROM(agent), JF_NULL_OK, 1, LIMIT_PROPOSAL_NAME_BYTES},
    {"model", JF_TEXT, FROM(model), JF_NULL_OK, 1, LIMIT_PROPOSAL_NAME_BYTES},
};

/* With the request's arena, however it ends. */
static void release(void *arg)
{
    struct merge *m = arg;
    strbuf_release(&m->body);
    arena_release(&m->arena);
}

static void fail(struct api_request *r, const struct err *err)
{
    r->flow = NULL;
    request_fail(r, err);
}

static enum err_code check_tables(const struct jsonr_value *list, struct err *err)
{
    int n = 0;
    char at[24];
    for (const struct jsonr_value *v = list ? jsonr_first(list) : NULL; v; v = jsonr_next(v), n++) {
        str_print(at, sizeof at, "/tables/%d", n);
        if (jsonr_kind(v) != JSONR_TEXT || !jsonr_text(v).len || jsonr_text(v).len > 1000)
            return err_field(err, at, "must be the name of a table");
    }
    return ERR_OK;
}

static enum err_code check_wish(const struct merge *m, struct err *err)
{
    if (!m->data && !str_eq(m->wish.mode, S("schema")))
        return err_field(err, "/mode", "must be schema or data");
    if (!m->data && m->wish.tables)
        return err_field(err, "/tables", "goes with the mode data: a schema is merged as a whole");
    if (!m->data && m->wish.resolve)
        return err_field(err, "/resolve", "goes with the mode data: there is nothing to choose in a schema");
    return check_tables(m->wish.tables, err);
}

static enum err_code read_body(struct api_request *r, struct merge *m, struct err *err)
{
    struct merge_wish *in = &m->wish;
    enum err_code rc = request_check_json(r, err);
    *in = (struct merge_wish){.mode = S("schema")};
    if (rc || !http_body(r->http).len)
        return rc;
    rc = jsonr_parse(&r->arena, http_body(r->http), &m->root, err);
    if (!rc)
        rc = jsonr_fields(m->root, "", merge_fields, ARRAY_LEN(merge_fields), JSONR_UNKNOWN_REFUSE, in, err);
    m->data = str_eq(in->mode, S("data"));
    m->only_shown = in->dry_run || in->propose;
    return rc ? rc : check_wish(m, err);
}

/* --- The plan --- */

static enum err_code refuse_by_hand(const struct schema_diff *d, struct err *err)
{
    const struct schema_change *c = d->changed;
    while (c && !c->by_hand)
        c = c->next;
    for (c = c ? c : d->removed; !c->by_hand;)
        c = c->next;
    const struct schema_object *o = c->branch ? c->branch : c->parent;
    return err_set(err, ERR_CONFLICT,
        "The %s \"" STR_FMT
        "\" cannot be merged: %s. Make it in the parent by hand what it is to be, or the branch anew (GET "
        "…/preview shows both)",
        schema_kind_name(o->kind), STR_ARG(str_slice(o->name, 0, 100)), c->by_hand);
}

/* What the client says beside the mode: why, for how long, how conflicts are settled. */
static void write_wishes(struct jsonw *w, const struct merge *m)
{
    static const char *const THEIRS[] = {
        "ttlSec", "reason", "ticket", "agent", "model", "resolve", "dryRun", "propose"};
    size_t count = m->data ? ARRAY_LEN(THEIRS) : 5; /* a schema goes to batch or propose */
    for (size_t i = 0; m->root && i < count; i++) {
        const struct jsonr_value *v = jsonr_member(m->root, str_of(THEIRS[i]));
        if (!v)
            continue;
        jsonw_key(w, THEIRS[i]);
        changes_copy(w, v);
    }
}

static void write_batch(struct merge *m)
{
    struct jsonw w;
    jsonw_init(&w, &m->body);
    jsonw_object(&w);
    JSONW_BOOL(&w, "transaction", true);
    jsonw_key(&w, "statements");
    jsonw_array(&w);
    for (const struct schema_statement *s = m->b.schema.statements; s; s = s->next) {
        jsonw_object(&w);
        JSONW_TEXT(&w, "sql", s->sql);
        jsonw_object_end(&w);
        m->count++;
    }
    jsonw_array_end(&w);
    write_wishes(&w, m);
    jsonw_object_end(&w);
}

static enum err_code plan_schema(struct api_call *c, struct merge *m)
{
    enum err_code rc = plan_read_named(c, &m->arena, CAP_SCHEMA_EDIT, &m->b.branch, &m->b.schema, &m->schema);
    if (!rc && m->b.schema.by_hand)
        rc = refuse_by_hand(&m->b.schema, c->err);
    if (rc)
        return rc;
    write_batch(m);
    if (strbuf_failed(&m->body) || m->count > LIMIT_BATCH_STATEMENTS)
        return err_set(c->err, ERR_CONFLICT,
            "The branch changes more than %d objects: apply the statements of its preview in parts",
            (int)LIMIT_BATCH_STATEMENTS);
    return ERR_OK;
}

/* --- Rows --- */

static void write_merge(struct merge *m)
{
    struct jsonw w;
    jsonw_init(&w, &m->body);
    jsonw_object(&w);
    jsonw_key(&w, "merge");
    jsonw_object(&w);
    JSONW_CSTR(&w, "branch", m->b.branch.ref);
    JSONW_CSTR(&w, "mode", "data");
    if (m->wish.tables) {
        jsonw_key(&w, "tables");
        changes_copy(&w, m->wish.tables);
    }
    jsonw_object_end(&w);
    write_wishes(&w, m);
    jsonw_object_end(&w);
}

static struct str tables_body(struct merge *m)
{
    AUTO_STRBUF text;
    struct jsonw w;
    strbuf_init(&text, LIMIT_BODY_BYTES);
    if (!m->wish.tables)
        return STR_EMPTY;
    jsonw_init(&w, &text);
    jsonw_object(&w);
    jsonw_key(&w, "tables");
    changes_copy(&w, m->wish.tables);
    jsonw_object_end(&w);
    return arena_copy(&m->arena, strbuf_str(&text));
}

static enum err_code plan_rows(struct api_call *c, struct merge *m)
{
    struct changes_wish wish = {.table = {NULL, 0}, .limit = 1, .timeout_ms = LIMIT_BRANCH_DIFF_MS};
    m->proposal = id_new("prop");
    wish.set = id_str(&m->proposal);
    wish.body = tables_body(m);
    enum err_code rc = changes_prepare(c, &m->arena, CAP_SCHEMA_EDIT, &m->b);
    if (!rc)
        rc = changes_ask(c, &m->arena, &wish, &m->b);
    if (!rc)
        rc = changes_check_mergeable(&m->b, c->err);
    if (rc)
        return rc;
    m->count = changes_rows(&m->b);
    write_merge(m);
    if (strbuf_failed(&m->body))
        return err_set(c->err, ERR_TOO_LARGE, "The body is too large");
    m->kept = true;
    rc = merged_keep(c->disk->data_dir, &m->b.branch.id, &m->b.merged.start, id_str(&m->proposal),
        &m->b.branch.parent_id, id_str(&m->proposal), c->err);
    fail_point_pass(FAIL_MERGE_KEPT);
    return rc;
}

static enum err_code plan(struct api_call *c)
{
    struct merge *m = c->flow;
    enum err_code rc = m->data ? plan_rows(c, m) : plan_schema(c, m);
    if (rc && m->data && m->b.branch.id.text[0]) {
        merged_drop_set(c->disk->data_dir, &m->b.branch.id, id_str(&m->proposal));
        if (m->kept)
            merged_shown(c->disk->data_dir, &m->b.branch.id, &m->b.merged.start, &m->b.branch.parent_id,
                id_str(&m->proposal), false);
    }
    return rc;
}

/* --- The audit log --- */

static enum err_code intend(struct api_call *c)
{
    struct merge *m = c->flow;
    enum err_code rc = tx_begin_write(c->db, c->err);
    if (rc)
        return rc;
    rc = tx_end(c->db,
        audit_intend(c->db,
            &(struct audit_event){.by = c->by,
                .action = AUDIT_DATABASE_MERGED,
                .namespace_id = &m->b.branch.namespace_id,
                .target_id = id_str(&m->b.branch.parent_id),
                .target_name = c->db_slug,
                .after = AUDIT_VALUES(audit_text("branch", str_of(m->b.branch.ref)),
                    audit_text("mode", m->wish.mode), audit_int(m->data ? "rows" : "statements", m->count))},
            &m->intent, c->err),
        c->err);
    fail_point_pass(FAIL_MERGE_INTENDED);
    return rc;
}

static enum err_code settle_tx(struct api_call *c, enum audit_outcome outcome)
{
    const struct merge *m = c->flow;
    enum err_code rc = tx_begin_write(c->db, c->err);
    return rc ? rc : tx_end(c->db, audit_settle(c->db, &m->intent, outcome, c->err), c->err);
}

/* --- The answer --- */

/* The one that was made before, if one was: the engine says so. */
static void view_snapshot(struct api_call *c, const struct merge *m)
{
    const struct jsonr_value *root, *meta;
    if (!m->reply.len || jsonr_parse_with_nul(c->arena, m->reply, &root, NULL))
        return;
    meta = jsonr_kind(root) == JSONR_OBJECT ? jsonr_member(root, S("meta")) : NULL;
    const struct jsonr_value *snapshot =
        meta && jsonr_kind(meta) == JSONR_OBJECT ? jsonr_member(meta, S("snapshot")) : NULL;
    if (!snapshot || jsonr_kind(snapshot) == JSONR_NULL)
        return;
    jsonw_key(c->out, "snapshot");
    changes_copy(c->out, snapshot);
}

static void view(struct api_call *c, const struct merge *m)
{
    jsonw_object(c->out);
    JSONW_CSTR(c->out, "branchRef", m->b.branch.ref);
    JSONW_CSTR(c->out, "mode", "schema");
    jsonw_key(c->out, "applied");
    jsonw_array(c->out);
    for (const struct schema_statement *s = m->b.schema.statements; s; s = s->next)
        jsonw_text(c->out, s->sql);
    jsonw_array_end(c->out);
    view_snapshot(c, m);
    jsonw_object_end(c->out);
}

/* The engine has read the change set, or will not. */
static void let_go(struct api_call *c, const struct merge *m, bool keep)
{
    if (m->data)
        merged_shown(c->disk->data_dir, &m->b.branch.id, &m->b.merged.start, &m->b.branch.parent_id,
            id_str(&m->proposal), keep);
}

static enum err_code done(struct api_call *c)
{
    struct merge *m = c->flow;
    fail_point_pass(FAIL_MERGE_ANSWERED);
    enum err_code rc = m->intent.text[0] ? settle_tx(c, AUDIT_DONE) : ERR_OK;
    fail_point_pass(FAIL_MERGE_SETTLED);
    let_go(c, m, true);
    return rc;
}

/* From here on the branch's schema is what it will be compared with. One that does not hear of it is compared
 * with what it began with, as before. */
static enum err_code told(struct api_call *c)
{
    const struct merge *m = c->flow;
    struct wire_call call = changes_call(c, WIRE_OP_BRANCH_MERGED, TELL_MS);
    struct wire_reply_head head;
    struct err ignored = ERR_INIT;
    AUTO_STRBUF out;
    strbuf_init(&out, LIMIT_RESULT_BYTES);
    call.args[call.arg_count++] = (struct wire_arg){S("schema"), m->schema};
    if (!m->only_shown)
        err_ignore(
            supervise_call_sync(c->opt->supervisor, id_str(&m->b.branch.id), &call, &head, &out, &ignored));
    fail_point_pass(FAIL_MERGE_TOLD);
    view(c, m);
    return ERR_OK;
}

static enum err_code not_done(struct api_call *c)
{
    const struct merge *m = c->flow;
    bool unknown = request_may_be_done(m->failed.code);
    let_go(c, m, unknown || m->only_shown || m->held);
    return m->intent.text[0] ? settle_tx(c, unknown ? AUDIT_UNKNOWN : AUDIT_NOT_DONE) : ERR_OK;
}

/* What the engine said is the answer. */
static void tell(struct api_request *r)
{
    struct merge *m = r->flow;
    struct err err = m->failed;
    strbuf_reset(&r->body);
    strbuf_add_str(&r->body, m->reply);
    r->flow = NULL;
    if (!m->reply.len)
        request_fail(r, &err);
    else
        request_reply_gathered(r);
}

/* --- The steps --- */

static void on_settled(struct api_request *r)
{
    struct err err = ERR_INIT;
    if (request_run_step(r, WORKQ_READ, told, NULL, &err))
        fail(r, &err);
}

static void on_applied(struct engine_call *call, const struct err *failed)
{
    struct api_request *r = call->arg;
    struct merge *m = r->flow;
    struct err err = ERR_INIT;
    r->calling = false;
    if (!failed && snapshot_before_write(r))
        return;
    bool good = !failed && r->head.status == 200;
    if (failed)
        m->failed = *failed;
    else
        m->reply = arena_copy(&m->arena, strbuf_str(&r->body));
    if (!failed && !good)
        m->failed.code = (enum err_code)r->head.code;
    if (!failed && !m->reply.ptr)
        (void)err_set(&m->failed, ERR_TOO_LARGE, "The answer is too large");
    m->held = !failed && r->head.held;
    bool shown = good && (m->data || m->only_shown);
    if (request_run_step(r, WORKQ_WRITE, good ? done : not_done, good && !shown ? on_settled : tell, &err))
        fail(r, &err);
}

static void add_arg(struct wire_call *call, const char *name, struct str value)
{
    call->args[call->arg_count++] = (struct wire_arg){str_of(name), value};
}

static enum err_code ask_engine(struct api_request *r, struct merge *m, struct err *err)
{
    struct wire_call *call = &r->call.req;
    enum err_code rc = request_fill_call(r, r->api->opt.statement_timeout_us, err);
    call->op = m->data ? WIRE_OP_MERGE : m->only_shown ? WIRE_OP_PROPOSE : WIRE_OP_BATCH;
    call->arg_count = 0;
    call->body = strbuf_str(&m->body);
    if (m->data) {
        add_arg(call, ".set", arena_printf(&m->arena, "in/%s.set", m->proposal.text));
        add_arg(call, ".proposal", id_str(&m->proposal));
    }
    r->call.on_data = request_gather;
    r->call.on_done = on_applied;
    snapshot_ask_first(call);
    return rc ? rc : request_submit(r, err);
}

static void on_intended(struct api_request *r)
{
    struct merge *m = r->flow;
    struct err err = ERR_INIT;
    if (!ask_engine(r, m, &err))
        return;
    m->failed = err;
    if (request_run_step(r, WORKQ_WRITE, not_done, tell, &err))
        fail(r, &err);
}

static void on_planned(struct api_request *r)
{
    const struct merge *m = r->flow;
    struct err err = ERR_INIT;
    enum err_code rc = ERR_OK;
    if (m->only_shown && (m->data || m->count))
        on_intended(r); /* nothing is changed by it */
    else if (m->data || m->count)
        rc = request_run_step(r, WORKQ_WRITE, intend, on_intended, &err);
    else
        rc = request_run_step(r, WORKQ_WRITE, done, on_settled, &err);
    if (rc)
        fail(r, &err);
}

void persql_branch_merge(struct api_request *r)
{
    struct err err = ERR_INIT;
    struct merge *m = ARENA_NEW(&r->arena, struct merge);
    strbuf_init(&m->body, LIMIT_BODY_BYTES);
    arena_init(&m->arena, PARSED_MAX);
    arena_defer(&r->arena, release, m);
    r->flow = m;
    enum err_code rc = read_body(r, m, &err);
    if (!rc)
        rc = request_run_step(r, WORKQ_READ, plan, on_planned, &err);
    if (rc)
        fail(r, &err);
}
