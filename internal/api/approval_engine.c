/* What the tenant's database knows of an approval: whether its write was done. Worker thread. */
#include "api/approvals.h"
#include "api/snapshot_call.h"
#include "base/clock.h"
#include "base/limits.h"

#define ASK_TIMEOUT_US 5000000

static struct str text_of(const struct jsonr_value *object, const char *name)
{
    const struct jsonr_value *v = jsonr_member(object, str_of(name));

    return v && jsonr_kind(v) == JSONR_TEXT ? jsonr_text(v) : STR_EMPTY;
}

/* As snapshot_call.h says, on a worker. */
static enum err_code ask_with_snapshot(struct arena *a, const struct approval_ask *in, struct wire_call *call,
    struct wire_reply_head *head, struct strbuf *out, struct err *err)
{
    struct snapshot_laid laid;
    struct str wanted;
    if (!snapshot_lay_wanted(a, strbuf_str(out), &wanted))
        return ERR_OK;
    enum err_code rc = snapshot_lay(in->db, in->data_dir, in->database_id, wanted, &laid, err);
    if (rc)
        return rc;
    snapshot_lay_call(call, in->id, &laid);
    call->deadline_us = clock_mono_us() + ASK_TIMEOUT_US;
    strbuf_reset(out);
    rc = supervise_call_sync(in->supervisor, id_str(in->database_id), call, head, out, err);
    registry_copy_drop(in->data_dir, id_str(in->database_id), id_str(&laid.copy_id));
    return rc;
}

enum err_code approval_ask(struct arena *a, const struct approval_ask *in, int *ret_status,
    struct str *ret_body, const struct jsonr_value **ret_data, struct err *err)
{
    AUTO_STRBUF out;
    struct wire_reply_head head;
    const struct jsonr_value *root = NULL;
    struct wire_call call = {.op = in->op,
        .role = in->role,
        .deadline_us = clock_mono_us() + ASK_TIMEOUT_US,
        .request_id = in->request_id.len ? in->request_id : S("req_server"),
        .token_id = in->token_id,
        .idempotency_key = STR_EMPTY,
        .plan_key = STR_EMPTY,
        .plan_step = STR_EMPTY,
        .claims = STR_EMPTY,
        .arg_count = 1,
        .args = {{S("id"), in->id}},
        .snapshot = in->db ? WIRE_SNAPSHOT_ASK : WIRE_SNAPSHOT_NEVER,
        .body = in->body};

    strbuf_init(&out, LIMIT_RESULT_BYTES);
    *ret_data = NULL;
    enum err_code rc = supervise_call_sync(in->supervisor, id_str(in->database_id), &call, &head, &out, err);
    if (!rc && head.wants_snapshot && in->db)
        rc = ask_with_snapshot(a, in, &call, &head, &out, err);
    if (rc)
        return rc;
    *ret_status = head.status;
    *ret_body = arena_copy(a, strbuf_str(&out));
    if (!ret_body->ptr || jsonr_parse_with_nul(a, *ret_body, &root, NULL) || jsonr_kind(root) != JSONR_OBJECT)
        return err_set(err, ERR_INTERNAL, "what the database's engine answers cannot be read");
    const struct jsonr_value *data = jsonr_member(root, S("data"));
    *ret_data = head.status == 200 && data && jsonr_kind(data) == JSONR_OBJECT ? data : NULL;
    return ERR_OK;
}

struct str approval_hash_body(struct arena *a, struct str hash, bool takes_back)
{
    AUTO_STRBUF out;
    struct jsonw w;

    strbuf_init(&out, 200);
    jsonw_init(&w, &out);
    jsonw_object(&w);
    JSONW_TEXT(&w, "hash", hash);
    if (takes_back)
        JSONW_BOOL(&w, "takesBack", true);
    jsonw_object_end(&w);
    return arena_copy(a, strbuf_str(&out));
}

/* --- Reconciling --- */

enum err_code approval_settle(
    struct db *db, struct approval *p, int status, const struct jsonr_value *data, struct err *err)
{
    const struct actor server = actor_server();
    struct str state = data ? text_of(data, "status") : STR_EMPTY;
    int64_t at = clock_wall_ms();

    if (data && !clock_parse_iso(text_of(data, "decidedAt"), &at))
        at = clock_wall_ms();
    if (str_eq(state, S("applied")))
        return approval_redeemed(db, &server, p, at, err);
    if (str_eq(state, S("withdrawn")))
        return approval_end(db, &server, p, APPROVAL_WITHDRAWN, STR_EMPTY, err);
    if (str_eq(state, S("expired")))
        return approval_end(db, &server, p, APPROVAL_EXPIRED, STR_EMPTY, err);
    if (str_eq(state, S("drifted")) ||
        (!data && status == 404)) /* it went with an older state of its database */
        return approval_end(db, &server, p, APPROVAL_VOID, STR_EMPTY, err);
    return data ? approval_still_waits(db, p, err) : ERR_OK;
}

enum err_code approval_reconcile(
    struct db *db, struct supervisor *s, struct arena *a, struct approval *p, struct err *err)
{
    const struct jsonr_value *data;
    struct str body;
    int status = 0;
    struct err ignored = ERR_INIT;

    if ((p->status != APPROVAL_APPROVED && p->status != APPROVAL_PENDING) || !p->redeem_began_at)
        return ERR_OK;
    /* whoever cannot be asked now is asked another time */
    if (approval_ask(a,
            &(struct approval_ask){.supervisor = s,
                .database_id = &p->database_id,
                .op = WIRE_OP_PROPOSAL_GET,
                .role = WIRE_ROLE_ADMIN,
                .id = id_str(&p->proposal_id),
                .body = STR_EMPTY,
                .token_id = str_of(p->id),
                .request_id = STR_EMPTY},
            &status, &body, &data, &ignored))
        return ERR_OK;
    enum err_code rc = tx_begin_write(db, err);
    return rc ? rc : tx_end(db, approval_settle(db, p, status, data, err), err);
}
