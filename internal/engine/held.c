/* Writes that wait for the approval of people: stored as proposals, told to the front. */
#include "base/clock.h"
#include "base/enc.h"
#include "base/limits.h"
#include "engine/engine_state.h"
#include "engine/proposal_view.h"
#include "engine/proposing.h"
#include "engine/rule.h"
#include "engine/task.h"
#include "json/jsonr.h"

enum { HELD_BYTES_MAX = 4 << 20 };

static struct str new_approval(struct op *op)
{
    struct id id = id_new_random("appr");
    return arena_copy(op->arena, id_str(&id));
}

/* --- The reply --- */

/* How many must agree, and who may, stands in the hits. */
static void write_terms(struct op *op, struct jsonw *w, const struct proposal *p)
{
    const struct jsonr_value *list = NULL;
    struct verdict v = {.approver_role = {NULL, 0}};
    if (!jsonr_parse(op->arena, p->rules, &list, NULL))
        rules_read_terms(list, &v);
    JSONW_INT(w, "approvals", v.approvals > 0 ? v.approvals : 1);
    JSONW_TEXT_OR_NULL(w, "approverRole", v.approver_role);
}

static void write_digest(struct jsonw *w, const char *key, struct str bytes)
{
    AUTO_STRBUF text;
    strbuf_init(&text, 100);
    strbuf_add_cstr(&text, "sha256:");
    enc_hex(&text, bytes);
    JSONW_CSTR(w, key, bytes.ptr ? strbuf_cstr(&text) : NULL);
}

/* Are there rows in it that the caller may not see? When that cannot be told, there are. */
static bool hides_rows(struct op *op, struct str id)
{
    AUTO_STRBUF set;
    struct proposal p;
    struct change_totals totals = {.hidden = 0};
    bool found = false;
    strbuf_init(&set, (size_t)LIMIT_CHANGE_BYTES);
    if (proposal_sees_all(op))
        return false;
    if (proposal_by_id(op, id, &found, &p, NULL) || !found || proposal_set(op, &p, &set, NULL))
        return true;
    struct change_view v = proposal_rows(op, &p);
    return change_view_count(&v, strbuf_str(&set), &totals, NULL) || totals.hidden > 0;
}

void held_write(struct op *op, struct jsonw *w, const struct proposal *p)
{
    JSONW_TEXT(w, "approvalToken", p->approval);
    JSONW_TEXT(w, "proposalId", p->id);
    write_digest(w, "hash", p->hash);
    JSONW_BOOL(w, "hashHidden", hides_rows(op, p->id));
    proposal_write_request(op, w, p);
    proposal_write_params(op, w, p);
    JSONW_TEXT(w, "action", p->action);
    JSONW_INT(w, "estimatedAffectedRows", p->affected);
    jsonw_key(w, "hits");
    rules_write_hits(op, w, p->rules, false);
    write_terms(op, w, p);
    JSONW_INT(w, "expiresAtMs", p->expires_ms);
    write_digest(w, "rulesVersion", p->rules_version);
    JSONW_TEXT_OR_NULL(w, "reason", p->reason);
    JSONW_TEXT_OR_NULL(w, "agent", p->agent);
    JSONW_TEXT_OR_NULL(w, "model", p->model);
    JSONW_TEXT_OR_NULL(w, "ticket", p->ticket);
    JSONW_TEXT(w, "requestId", op->call.request_id);
}

enum err_code held_reply(struct op *op, const struct proposal *p, struct err *err)
{
    AUTO_STRBUF out;
    struct jsonw w;
    strbuf_init(&out, HELD_BYTES_MAX);
    jsonw_init(&w, &out);
    jsonw_object(&w);
    held_write(op, &w, p);
    jsonw_object_end(&w);
    op->plain = strbuf_failed(&out) ? (struct str){NULL, 0} : arena_copy(op->arena, strbuf_str(&out));
    if (!op->plain.ptr)
        return err_set(err, ERR_TOO_LARGE, "the statements are too large to be held");
    op->head.status = 403;
    op->head.code = ERR_FORBIDDEN;
    op->head.held = 1;
    op->head.rows_written = 0;
    return ERR_OK;
}

/* --- Holding --- */

enum err_code propose_store_held(struct op *op, const struct proposing *in, struct rehearsal *r,
    const struct verdict *v, struct proposal *ret, struct err *err)
{
    struct str key = op->call.idempotency_key;
    struct proposing held = *in;
    held.ttl_s = LIMIT_APPROVAL_TTL_S;
    held.verdict = *v;
    *ret = (struct proposal){
        .approval = new_approval(op), .idempotency_key = key.len ? key : (struct str){NULL, 0}};
    if (!ret->approval.ptr)
        return err_set(err, ERR_TOO_LARGE, "the statement is too large");
    return propose_store(op, &held, r, STR_EMPTY, ret, err);
}

enum err_code propose_hold(
    struct op *op, const struct proposing *in, struct rehearsal *r, const struct verdict *v, struct err *err)
{
    struct proposal p;
    enum err_code code = propose_store_held(op, in, r, v, &p, err);
    return code ? code : held_reply(op, &p, err);
}

enum err_code proposal_hold(struct op *op, const struct proposal *p, const struct verdict *v, struct err *err)
{
    struct proposal held = *p;
    held.approval = new_approval(op);
    held.rules = v->hits;
    held.expires_ms = clock_wall_ms() + LIMIT_APPROVAL_TTL_S * 1000;
    if (!held.approval.ptr)
        return err_set(err, ERR_TOO_LARGE, "the statement is too large");
    enum err_code code = proposal_set_held(op, &held, err);
    return code ? code : held_reply(op, &held, err);
}

/* --- The same request once more --- */

static enum err_code tell_done(const struct proposal *p, struct err *err)
{
    return err_set(err, ERR_CONFLICT,
        "Idempotency-Key: the write of this key was held, approved and done, as proposal " STR_FMT
        ": send a new key to do it once more",
        STR_ARG(p->id));
}

enum err_code held_before(struct op *op, bool *ret_found, struct err *err)
{
    struct proposal p;
    *ret_found = false;
    if (!op->call.idempotency_key.len)
        return ERR_OK;
    enum err_code code = proposal_by_key(op, op->call.idempotency_key, ret_found, &p, err);
    if (code || !*ret_found)
        return code;
    if (p.decided_ms && str_eq(p.state, S("applied")) &&
        p.decided_ms > clock_wall_ms() - LIMIT_IDEMPOTENCY_TTL_MS)
        return tell_done(&p, err);
    *ret_found = proposal_waits(&p);
    if (*ret_found && !str_eq(p.body, op->call.body))
        return err_set(err, ERR_KEY_REUSED,
            "Idempotency-Key: this key was used with another body, and that write waits for approval: send a "
            "new key");
    return *ret_found ? held_reply(op, &p, err) : ERR_OK;
}
