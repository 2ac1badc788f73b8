/* GET …/approvals: what waits for approval in a database and what became of it; one's own, to an admin
 * without limits and to people all. POST …/redeem_approval: does what was approved. */
#include "api/approvals.h"
#include "base/fail_point.h"

route_worker_fn persql_approval_list, persql_approval_receipt;
route_loop_fn persql_approval_redeem;

static bool sees_all(const struct api_call *c)
{
    return c->person || (c->who->role == WIRE_ROLE_ADMIN && !c->who->has_table_scope && !c->who->claims.len);
}

enum err_code persql_approval_list(struct api_call *c)
{
    struct registry_entry database;
    struct approval_filter f = {.namespace_id = &c->who->namespace_id};
    enum err_code rc = approval_read_filter(c, &f);

    if (!rc)
        rc = call_database(c, CAP_APPROVALS, &database);
    if (rc)
        return rc;
    f.database_id = &database.id;
    f.token_id = sees_all(c) ? NULL : &c->who->token_id;
    return approval_view_list(c, &f, NULL);
}

enum err_code persql_approval_receipt(struct api_call *c)
{
    struct registry_entry database;
    struct approval p;
    enum err_code rc = call_database(c, CAP_APPROVALS, &database);

    if (!rc)
        rc = approval_find(c, &database.id, &p);
    return rc ? rc : approval_view_receipt(c, &p);
}

/* --- Redeeming --- */

struct wanted {
    struct str approval;
    struct id database_id;
    struct redeem *redeem;
};

static enum err_code not_yours(struct err *err)
{
    return err_set(
        err, ERR_NOT_FOUND, "No such approval: it was redeemed, or belongs to another bearer or database");
}

static enum err_code begin_tx(struct api_call *c, const struct wanted *w)
{
    struct redeem *x = w->redeem;
    enum err_code rc = approval_get(c->db, &x->arena, w->approval, &x->p, c->err);

    if (rc == ERR_NOT_FOUND || (!rc && (!str_eq(id_str(&x->p.database_id), id_str(&w->database_id)) ||
                                           !str_eq(id_str(&x->p.token_id), id_str(&c->who->token_id)))))
        return not_yours(c->err);
    if (!rc && x->p.status == APPROVAL_REDEEMED && x->keyed) /* its engine has the answer */
        return ERR_OK;
    return rc ? rc : approval_begin_redeem(c->db, &x->p, c->err);
}

static enum err_code begin(struct api_call *c)
{
    enum err_code rc = tx_begin_write(c->db, c->err);

    if (!rc)
        rc = tx_end(c->db, begin_tx(c, c->flow), c->err);
    fail_point_pass(FAIL_REDEEM_BEGUN);
    return rc;
}

static void begun(struct api_request *r)
{
    const struct wanted *w = r->flow;

    redeem_run(r, w->redeem);
}

static enum err_code read_body(struct api_request *r, struct wanted *w, struct err *err)
{
    static const struct jsonr_field FIELDS[] = {
        {"approvalToken", JF_TEXT, offsetof(struct wanted, approval), JF_REQUIRED, 1, 200}};
    enum err_code rc = request_read_body(r, FIELDS, ARRAY_LEN(FIELDS), w, err);

    return rc || approval_id_valid(w->approval) ? rc : not_yours(err);
}

void persql_approval_redeem(struct api_request *r)
{
    struct err err = ERR_INIT;
    struct wanted *w = ARENA_NEW(&r->arena, struct wanted);
    enum err_code rc = read_body(r, w, &err);

    if (rc) {
        request_fail(r, &err);
        return;
    }
    w->database_id = r->place.id;
    w->redeem = redeem_new(r);
    w->redeem->as = r->who->id;
    w->redeem->keyed = http_header(r->http, "Idempotency-Key").ptr != NULL;
    r->flow = w;
    if (request_run_step(r, WORKQ_WRITE, begin, begun, &err))
        request_flow_fail(r, &err);
}
