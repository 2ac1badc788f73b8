/* Doing what was approved, exactly that, under the rights of whoever asked:
 *
 *   (noted as begun, durably) ─► engine: REDEEM ─► finish (worker) ─► answer
 *                                                   done:  redeemed
 *                                                   drift: void, and the fresh one registered
 *                                                   else:  as it was; the database is asked when somebody
 * reads it
 *
 * The tenant's database alone decides whether it ran: a crash between the two is found out by
 * approval_reconcile(). */
#include "api/approvals.h"
#include "api/held.h"
#include "api/snapshot_call.h"
#include "base/clock.h"
#include "base/fail_point.h"
#include "base/limits.h"
#include "json/rewrite.h"

#define PARSED_MAX (96 << 20) /* an answer may have LIMIT_RESULT_BYTES */

static void release(void *arg)
{
    struct redeem *x = arg;
    strbuf_release(&x->reply);
    arena_release(&x->arena);
}

struct redeem *redeem_new(struct api_request *r)
{
    struct redeem *x = ARENA_NEW(&r->arena, struct redeem);

    strbuf_init(&x->reply, r->body.limit);
    arena_init(&x->arena, PARSED_MAX);
    arena_defer(&r->arena, release, x);
    return x;
}

/* --- Finishing, on the worker --- */

static enum err_code redeemed_tx(struct api_call *c, struct redeem *x)
{
    return approval_redeemed(c->db, c->by, &x->p, clock_wall_ms(), c->err);
}

/* What was approved is void; what it would do now waits anew. */
static enum err_code drifted_tx(struct api_call *c, struct redeem *x)
{
    struct approval_new *in = &x->held->in;
    bool of_session = str_starts(id_str(&x->p.token_id), S("ses_"));

    in->database_id = x->p.database_id;
    in->namespace_id = x->p.namespace_id;
    in->token_id = x->p.token_id;
    in->person = of_session ? &x->p.person_id : NULL;
    in->replaces = str_of(x->p.id);
    enum err_code rc = approval_open(c->db, c->by, in, c->err);
    return rc ? rc : approval_end(c->db, c->by, &x->p, APPROVAL_VOID, in->id, c->err);
}

/* It cannot be done at all any more, so there is nothing to be approved anew. */
static bool is_drift(struct redeem *x)
{
    const struct jsonr_value *root = NULL, *code = NULL;

    if (x->head.status == 409 && !jsonr_parse_with_nul(&x->arena, strbuf_str(&x->reply), &root, NULL) &&
        jsonr_kind(root) == JSONR_OBJECT)
        code = jsonr_member(root, S("code"));
    return code && jsonr_kind(code) == JSONR_TEXT && str_eq(jsonr_text(code), S("drift"));
}

static enum err_code end_void(struct api_call *c, struct redeem *x)
{
    enum err_code rc = tx_begin_write(c->db, c->err);
    return rc ? rc
              : tx_end(c->db, approval_end(c->db, c->by, &x->p, APPROVAL_VOID, STR_EMPTY, c->err), c->err);
}

enum err_code redeem_note(struct api_call *c, struct redeem *x)
{
    bool drifted = x->head.held;
    enum err_code rc = ERR_OK;

    if (!drifted && x->head.status != 200)
        return is_drift(x) ? end_void(c, x) : ERR_OK;
    if (drifted) {
        x->held = ARENA_NEW(&x->arena, struct held_reply);
        rc = held_read(&x->arena, strbuf_str(&x->reply), x->held, c->err);
    }
    if (!rc)
        rc = tx_begin_write(c->db, c->err);
    return rc ? rc : tx_end(c->db, drifted ? drifted_tx(c, x) : redeemed_tx(c, x), c->err);
}

static void add_result(struct jsonw *w, void *arg)
{
    struct redeem *x = arg;
    const struct jsonr_value *root = NULL, *data = NULL;

    if (!jsonr_parse_with_nul(&x->arena, strbuf_str(&x->reply), &root, NULL) &&
        jsonr_kind(root) == JSONR_OBJECT)
        data = jsonr_member(root, S("data"));
    jsonw_key(w, "result");
    if (data)
        jsonw_value(w, data, NULL);
    else
        jsonw_null(w);
}

static enum err_code show(struct api_call *c, struct redeem *x)
{
    jsonw_object(c->out);
    JSONW_BOOL(c->out, "success", true);
    jsonw_key(c->out, "data");
    enum err_code rc = approval_view_whole(c, &x->p, add_result, x);
    jsonw_object_end(c->out);
    return rc;
}

static enum err_code finish(struct api_call *c)
{
    struct err why = ERR_INIT;
    struct redeem *x = c->flow;

    fail_point_pass(FAIL_REDEEM_ANSWERED);
    enum err_code rc = x->failed.code ? ERR_OK : redeem_note(c, x);
    fail_point_pass(FAIL_REDEEM_NOTED);
    if (rc && x->head.status == 200) {
        why = *c->err;
        return err_set(c->err, rc, "It was done, but could not be noted: %s", why.message);
    }
    if (!rc && x->shows_approval && !x->failed.code && x->head.status == 200)
        rc = show(c, x);
    return rc;
}

/* --- On the loop --- */

static void answer(struct api_request *r)
{
    struct redeem *x = r->flow;
    struct strbuf shown = r->body;

    approvals_changed(r->api);
    r->flow = NULL;
    if (x->failed.code) {
        request_fail(r, &x->failed);
    } else if (x->held) {
        strbuf_reset(&r->body);
        held_tell(&r->body, x->held, r->base_url, http_request_id(r->http));
        request_reply_body(r, x->held->drift ? 409 : 403, "application/json");
    } else if (x->shows_approval && x->head.status == 200) {
        request_reply_body(r, 200, "application/json");
    } else {
        r->head = x->head;
        r->body = x->reply;
        x->reply = shown;
        request_reply_gathered(r);
    }
}

static void on_done(struct engine_call *call, const struct err *failed)
{
    struct api_request *r = call->arg;
    struct redeem *x = r->flow;
    struct strbuf empty = x->reply;
    struct err err = ERR_INIT;

    r->calling = false;
    if (!failed && snapshot_before_write(r))
        return;
    if (failed)
        x->failed = *failed;
    x->head = r->head;
    x->reply = r->body;
    r->body = empty;
    if (!failed && strbuf_failed(&x->reply)) /* it is done, whatever came of the answer */
        strbuf_reset(&x->reply);
    if (request_run_step(r, WORKQ_WRITE, finish, answer, &err))
        request_flow_fail(r, &err);
}

static enum err_code fill(struct api_request *r, const struct redeem *x, struct err *err)
{
    struct wire_call *call = &r->call.req;
    enum err_code rc = request_fill_call(r, r->api->opt.statement_timeout_us, err);

    r->call.db_id = id_str(&x->p.database_id);
    call->op = WIRE_OP_REDEEM;
    call->role = x->as->role;
    call->token_id = id_str(&x->p.token_id);
    call->claims = x->as->claims;
    call->has_table_scope = x->as->has_table_scope;
    call->table_count = x->as->table_count;
    call->tables = x->as->tables;
    call->arg_count = 1;
    call->args[0] = (struct wire_arg){S("id"), id_str(&x->p.proposal_id)};
    call->body = approval_hash_body(&r->arena, str_of(x->p.hash), false);
    snapshot_ask_first(call);
    return rc;
}

void redeem_run(struct api_request *r, struct redeem *x)
{
    struct err err = ERR_INIT;

    r->flow = x;
    r->call.on_data = request_gather;
    r->call.on_done = on_done;
    if (fill(r, x, &err) || request_submit(r, &err))
        request_flow_fail(r, &err);
}
