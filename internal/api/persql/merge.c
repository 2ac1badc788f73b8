/* POST …/branches/{ref}/merge: makes the parent's schema what the branch's is, in one transaction of the
 * parent's engine.
 *
 *   plan (worker) ─► note in the audit log (worker) ─► batch (engine) ─► settle the note (worker) ─► answer
 *
 * What a branch changes is found as for its preview. Nothing is guessed: a table that was changed in a way
 * that no statement tells refuses the merge. */
#include "api/call.h"
#include "api/persql/plan.h"
#include "audit/intent.h"
#include "base/limits.h"
#include "branch/branch.h"

route_loop_fn persql_branch_merge;

#define PARSED_MAX (64 << 20)

struct merge {
    struct registry_entry branch;
    struct arena arena; /* holds the difference */
    struct schema_diff diff;
    int count; /* of statements */
    struct strbuf body;
    struct id intent;
    struct err failed;  /* the engine gave no answer */
    struct str refusal; /* … or this one */
};

struct merge_wish {
    struct str mode;
};

static const struct jsonr_field merge_fields[] = {
    {"mode", JF_TEXT, offsetof(struct merge_wish, mode), JF_NULL_OK, 1, 20},
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

static enum err_code read_body(struct api_request *r, struct err *err)
{
    const struct jsonr_value *root;
    struct merge_wish in = {.mode = S("schema")};
    enum err_code rc = request_check_json(r, err);
    if (rc || !http_body(r->http).len)
        return rc;
    rc = jsonr_parse(&r->arena, http_body(r->http), &root, err);
    if (!rc)
        rc = jsonr_fields(root, "", merge_fields, ARRAY_LEN(merge_fields), JSONR_UNKNOWN_IGNORE, &in, err);
    if (!rc && !str_eq(in.mode, S("schema")))
        rc = err_field(err, "/mode", "must be schema");
    return rc;
}

/* --- The plan --- */

static enum err_code refuse_by_hand(const struct schema_diff *d, struct err *err)
{
    const struct schema_change *c = d->changed;
    while (c->parent->kind != SCHEMA_TABLE || c->alters)
        c = c->next;
    return err_set(err, ERR_CONFLICT,
        "Table \"" STR_FMT
        "\" was changed in more than new columns, which no statement tells: change it in the parent by "
        "hand first (GET …/preview shows both)",
        STR_ARG(str_slice(c->parent->name, 0, 100)));
}

static void write_batch(struct merge *m)
{
    struct jsonw w;
    jsonw_init(&w, &m->body);
    jsonw_object(&w);
    JSONW_BOOL(&w, "transaction", true);
    jsonw_key(&w, "statements");
    jsonw_array(&w);
    for (const struct schema_statement *s = m->diff.statements; s; s = s->next) {
        jsonw_object(&w);
        JSONW_TEXT(&w, "sql", s->sql);
        jsonw_object_end(&w);
        m->count++;
    }
    jsonw_array_end(&w);
    jsonw_object_end(&w);
}

static enum err_code plan(struct api_call *c)
{
    struct merge *m = c->flow;
    enum err_code rc = plan_read(c, &m->arena, CAP_SCHEMA_EDIT, &m->branch, &m->diff);
    if (!rc && m->diff.by_hand)
        rc = refuse_by_hand(&m->diff, c->err);
    if (rc)
        return rc;
    write_batch(m);
    if (strbuf_failed(&m->body) || m->count > LIMIT_BATCH_STATEMENTS)
        return err_set(c->err, ERR_CONFLICT,
            "The branch changes more than %d objects: apply the statements of its preview in parts",
            (int)LIMIT_BATCH_STATEMENTS);
    return ERR_OK;
}

/* --- The audit log --- */

static enum err_code intend(struct api_call *c)
{
    struct merge *m = c->flow;
    enum err_code rc = tx_begin_write(c->db, c->err);
    if (rc)
        return rc;
    return tx_end(c->db,
        audit_intend(c->db,
            &(struct audit_event){.by = c->by,
                .action = AUDIT_DATABASE_MERGED,
                .namespace_id = &m->branch.namespace_id,
                .target_id = id_str(&m->branch.parent_id),
                .target_name = c->db_slug,
                .after = AUDIT_VALUES(audit_text("branch", str_of(m->branch.ref)),
                    audit_text("mode", S("schema")), audit_int("statements", m->count))},
            &m->intent, c->err),
        c->err);
}

static enum err_code settle_tx(struct api_call *c, enum audit_outcome outcome)
{
    const struct merge *m = c->flow;
    enum err_code rc = tx_begin_write(c->db, c->err);
    return rc ? rc : tx_end(c->db, audit_settle(c->db, &m->intent, outcome, c->err), c->err);
}

/* --- The answer --- */

static void view(struct api_call *c, const struct merge *m)
{
    jsonw_object(c->out);
    JSONW_CSTR(c->out, "branchRef", m->branch.ref);
    JSONW_CSTR(c->out, "mode", "schema");
    jsonw_key(c->out, "applied");
    jsonw_array(c->out);
    for (const struct schema_statement *s = m->diff.statements; s; s = s->next)
        jsonw_text(c->out, s->sql);
    jsonw_array_end(c->out);
    jsonw_object_end(c->out);
}

static enum err_code done(struct api_call *c)
{
    struct merge *m = c->flow;
    enum err_code rc = m->count ? settle_tx(c, AUDIT_DONE) : ERR_OK;
    if (!rc)
        view(c, m);
    return rc;
}

static enum err_code not_done(struct api_call *c)
{
    const struct merge *m = c->flow;
    return settle_tx(c, request_may_be_done(m->failed.code) ? AUDIT_UNKNOWN : AUDIT_NOT_DONE);
}

static void tell_failure(struct api_request *r)
{
    struct merge *m = r->flow;
    struct err err = m->failed;
    struct str refusal = m->refusal;
    r->flow = NULL;
    if (refusal.len && r->head.held) {
        strbuf_reset(&r->body);
        strbuf_add_str(&r->body, refusal);
        request_reply_gathered(r);
    } else if (refusal.len)
        request_reply(r, r->head.status, "application/json", refusal);
    else
        request_fail(r, &err);
}

/* --- The steps --- */

static void on_applied(struct engine_call *call, const struct err *failed)
{
    struct api_request *r = call->arg;
    struct merge *m = r->flow;
    struct err err = ERR_INIT;
    bool good = !failed && r->head.status == 200;
    r->calling = false;
    if (failed)
        m->failed = *failed;
    else if (!good) {
        m->failed.code = (enum err_code)r->head.code;
        m->refusal = arena_copy(&r->arena, strbuf_str(&r->body));
    }
    if (request_run_step(r, WORKQ_WRITE, good ? done : not_done, good ? NULL : tell_failure, &err))
        fail(r, &err);
}

static void on_intended(struct api_request *r)
{
    struct merge *m = r->flow;
    struct err err = ERR_INIT;
    enum err_code rc = request_fill_call(r, r->api->opt.statement_timeout_us, &err);
    r->call.req.op = WIRE_OP_BATCH;
    r->call.req.arg_count = 0;
    r->call.req.body = strbuf_str(&m->body);
    r->call.on_data = request_gather;
    r->call.on_done = on_applied;
    if (!rc)
        rc = request_submit(r, &err);
    if (!rc)
        return;
    m->failed = err;
    if (request_run_step(r, WORKQ_WRITE, not_done, tell_failure, &err))
        fail(r, &err);
}

static void on_planned(struct api_request *r)
{
    const struct merge *m = r->flow;
    struct err err = ERR_INIT;
    if (m->count ? request_run_step(r, WORKQ_WRITE, intend, on_intended, &err)
                 : request_run_step(r, WORKQ_WRITE, done, NULL, &err))
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
    enum err_code rc = read_body(r, &err);
    if (!rc)
        rc = request_run_step(r, WORKQ_READ, plan, on_planned, &err);
    if (rc)
        fail(r, &err);
}
