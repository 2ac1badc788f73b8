/* Approvals for people: what waits in a namespace, one with all that is needed to judge it, deciding, and
 * confirming what was done. Deciding is theirs alone: no bearer comes here. */
#include "api/approvals.h"
#include "api/scope.h"
#include "base/fail_point.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/visible.h"
#include "json/rewrite.h"
#include "tenant/share.h"

#define SHOWN_MAX (64 << 20)

route_worker_fn console_approval_inbox, console_approval_get, console_approval_receipt,
    console_approval_confirm;
route_loop_fn console_approval_decide;

enum err_code console_approval_inbox(struct api_call *c)
{
    int64_t counts[APPROVAL_COUNTS];
    struct approval_filter f = {.namespace_id = &c->who->namespace_id};
    enum err_code rc = approval_read_filter(c, &f);

    if (!rc)
        rc = approval_counts(c->db, &c->who->namespace_id, counts, c->err);
    return rc ? rc : approval_view_list(c, &f, counts);
}

/* --- One --- */

struct judged {
    const struct jsonr_value *proposal; /* NULL: its engine does not show it */
    struct str why_not;                 /* ptr NULL: may decide */
    const char *no_proposal;
};

static void add_proposal(struct jsonw *w, void *arg)
{
    const struct judged *j = arg;

    JSONW_BOOL(w, "mayDecide", j->why_not.ptr == NULL);
    JSONW_TEXT_OR_NULL(w, "mayNotDecideBecause", j->why_not);
    jsonw_key(w, "proposal");
    if (j->proposal)
        jsonw_value(w, j->proposal, NULL);
    else
        jsonw_null(w);
    jsonw_key(w, "proposalDisplay");
    if (j->proposal)
        jsonw_value(w, j->proposal, strbuf_add_visible);
    else
        jsonw_null(w);
    JSONW_CSTR(w, "noProposalBecause", j->no_proposal);
}

/* With the rights of whoever reads it. ret->proposal NULL: *ret_status says why, or the error does. */
static enum err_code ask_proposal(struct api_call *c, const struct approval *p, enum member_role role,
    struct arena *a, int *ret_status, struct judged *ret, struct err *err)
{
    struct str body;

    *ret_status = 0;
    return approval_ask(a,
        &(struct approval_ask){.supervisor = c->opt->supervisor,
            .database_id = &p->database_id,
            .op = WIRE_OP_PROPOSAL_GET,
            .role = member_engine_role(role),
            .id = id_str(&p->proposal_id),
            .body = STR_EMPTY,
            .token_id = id_str(&c->person->session_id),
            .request_id = c->by->request_id},
        ret_status, &body, &ret->proposal, err);
}

static void read_proposal(
    struct api_call *c, const struct approval *p, enum member_role role, struct arena *a, struct judged *j)
{
    int status;
    struct err failed = ERR_INIT;

    if (ask_proposal(c, p, role, a, &status, j, &failed))
        j->no_proposal = "the database does not answer";
    else if (!j->proposal)
        j->no_proposal = status == 404 ? "it is gone, or your role does not show it" : "it cannot be read";
}

static enum err_code view_for_person(struct api_call *c, struct approval *p, enum member_role role)
{
    AUTO_ARENA a;
    struct judged j = {.why_not = {NULL, 0}};
    struct err why = ERR_INIT;

    arena_init(&a, SHOWN_MAX);
    enum err_code rc = approval_reconcile(c->db, c->opt->supervisor, &a, p, c->err);
    if (rc)
        return rc;
    read_proposal(c, p, role, &a, &j);
    rc = approval_may_decide(c->db, p, &c->person->account.id, NULL, &why);
    if (rc && rc != ERR_FORBIDDEN)
        return err_set(c->err, rc, "%s", why.message);
    if (rc)
        j.why_not = str_of(why.message);
    else if (p->status != APPROVAL_PENDING)
        j.why_not = S("it is decided, or over");
    return approval_view_whole(c, p, add_proposal, &j);
}

static enum err_code find(struct api_call *c, struct approval *ret, enum member_role *ret_role)
{
    enum err_code rc = approval_get_as(c->db, c->arena, c->item, &c->person->account.id, ret, c->err);

    return rc ? rc : approval_role(c->db, ret, &c->person->account.id, ret_role, c->err);
}

enum err_code console_approval_get(struct api_call *c)
{
    struct approval p;
    enum member_role role;
    enum err_code rc = find(c, &p, &role);

    return rc ? rc : view_for_person(c, &p, role);
}

enum err_code console_approval_receipt(struct api_call *c)
{
    struct approval p;
    enum member_role role;
    enum err_code rc = find(c, &p, &role);

    return rc ? rc : approval_view_receipt(c, &p);
}

/* --- Whose rights it is done with --- */

static void free_identity(void *arg)
{
    identity_free(arg);
}

static enum err_code as_token(struct api_call *c, struct redeem *x, struct identity **ret)
{
    enum member_role shared = MEMBER_NONE;
    struct registry_entry e;
    enum err_code rc = token_lookup_id(c->db, id_str(&x->p.token_id), ret, c->err);

    if (rc)
        return rc;
    arena_defer(&x->arena, free_identity, *ret);
    if ((*ret)->account_id.text[0])
        rc = share_role(c->db, &x->p.database_id, &(*ret)->account_id, &shared, c->err);
    if (!rc && shared)
        identity_cap(*ret, shared);
    if (!rc)
        rc = registry_get_by_id(c->db, &x->p.database_id, &e, c->err);
    if (rc)
        return rc;
    struct place place = place_of(&e);
    return scope_check(*ret, CAP_SQL, &place, c->err);
}

static enum err_code as_person(struct api_call *c, struct redeem *x, struct identity **ret)
{
    enum member_role role;
    enum err_code rc = approval_role(c->db, &x->p, &x->p.person_id, &role, c->err);

    if (rc)
        return rc;
    *ret = MEM_NEW(struct identity);
    arena_defer(&x->arena, free_identity, *ret);
    (*ret)->token_id = x->p.token_id;
    (*ret)->namespace_id = x->p.namespace_id;
    (*ret)->given = WIRE_ROLE_ADMIN;
    (*ret)->claims = STR_EMPTY;
    identity_cap(*ret, role);
    return ERR_OK;
}

/* ERR_CONFLICT: whoever asked may do nothing any more. */
static enum err_code find_requester(struct api_call *c, struct redeem *x)
{
    struct identity *who = NULL;
    bool of_session = str_starts(id_str(&x->p.token_id), S("ses_"));
    enum err_code rc = of_session ? as_person(c, x, &who) : as_token(c, x, &who);
    struct err why = *c->err;

    x->as = who;
    if (rc == ERR_UNAUTHORIZED || rc == ERR_NOT_FOUND || rc == ERR_FORBIDDEN)
        return err_set(c->err, ERR_CONFLICT,
            "It cannot be done for the bearer that asked for it, which has no access any more: %s",
            why.message);
    return rc;
}

/* --- Deciding --- */

struct decide {
    struct str decision, note, hash;
    bool run;
    int64_t confirm_within_s;
    struct redeem *redeem;
    bool runs;
};

#define AT(member) offsetof(struct decide, member)

static const struct jsonr_field DECISION[] = {
    {"decision", JF_TEXT, AT(decision), JF_REQUIRED, 1, 20},
    {"note", JF_TEXT, AT(note), JF_NULL_OK, 0, LIMIT_APPROVAL_NOTE_BYTES},
    {"hash", JF_TEXT, AT(hash), JF_NULL_OK, 1, APPROVAL_HASH_SIZE - 1},
    {"run", JF_BOOL, AT(run), JF_NULL_OK, 0, 0},
    {"confirmWithinSec", JF_INT, AT(confirm_within_s), JF_NULL_OK, LIMIT_CONFIRM_WITHIN_MIN_S,
        LIMIT_CONFIRM_WITHIN_MAX_S},
};

static bool approves(const struct decide *d)
{
    return str_eq(d->decision, S("approve"));
}

static enum err_code decide_tx(struct api_call *c, struct decide *d)
{
    struct redeem *x = d->redeem;
    struct approval_vote vote = {.person = c->person,
        .approves = approves(d),
        .note = d->note.len ? d->note : (struct str){NULL, 0},
        .hash = d->hash,
        .run = d->run,
        .confirm_within_s = d->confirm_within_s};
    enum err_code rc = approval_get_as(c->db, &x->arena, c->item, &c->person->account.id, &x->p, c->err);

    if (!rc)
        rc = approval_decide(c->db, c->by, &x->p, &vote, c->err);
    d->runs = !rc && x->p.status == APPROVAL_APPROVED && x->p.run_at_once;
    if (!rc && (d->run || d->runs)) /* nothing is decided, then: it could not be done */
        rc = find_requester(c, x);
    if (!rc && d->runs)
        rc = approval_begin_redeem(c->db, &x->p, c->err);
    fail_point_pass(FAIL_DECIDE_WRITTEN);
    return rc;
}

/* What can be seen by nobody is approved by nobody, and what cannot be taken back does not wait to be
 * confirmed. */
static enum err_code check_shown(
    struct api_call *c, const struct decide *d, const struct judged *j, int status)
{
    const struct jsonr_value *why = j->proposal ? jsonr_member(j->proposal, S("noUndo")) : NULL;
    const struct jsonr_value *by = j->proposal ? jsonr_member(j->proposal, S("undoBy")) : NULL;
    bool can = by && jsonr_kind(by) == JSONR_TEXT;

    if (!j->proposal && status == 404)
        return err_set(c->err, ERR_CONFLICT, "What it would change is gone, or your role does not show it");
    if (!j->proposal)
        return err_set(c->err, ERR_UNAVAILABLE,
            "What it would change cannot be shown now: its database does not answer as it should. It can be "
            "denied");
    if (d->confirm_within_s && !can && why && jsonr_kind(why) == JSONR_TEXT)
        return err_field(c->err, "/confirmWithinSec", "this write cannot take itself back: " STR_FMT,
            STR_ARG(jsonr_text(why)));
    return ERR_OK;
}

/* Before an approval is written down. */
static enum err_code look_step(struct api_call *c)
{
    AUTO_ARENA a;
    struct judged j = {.proposal = NULL};
    struct approval p;
    enum member_role role;
    struct err failed = ERR_INIT;
    int status;
    enum err_code rc = find(c, &p, &role);

    arena_init(&a, SHOWN_MAX);
    if (!rc)
        rc = approval_reconcile(c->db, c->opt->supervisor, &a, &p, c->err);
    if (rc || p.status != APPROVAL_PENDING)
        return rc; /* deciding says so */
    rc = approval_may_decide(c->db, &p, &c->person->account.id, NULL, c->err);
    if (rc)
        return rc;
    if (ask_proposal(c, &p, role, &a, &status, &j, &failed))
        status = 0;
    return check_shown(c, c->flow, &j, status);
}

static enum err_code decide_step(struct api_call *c)
{
    struct decide *d = c->flow;
    enum err_code rc = tx_begin_write(c->db, c->err);

    if (!rc)
        rc = tx_end(c->db, decide_tx(c, d), c->err);
    fail_point_pass(FAIL_DECIDE_NOTED);
    if (rc || d->runs)
        return rc;
    jsonw_object(c->out);
    JSONW_BOOL(c->out, "success", true);
    jsonw_key(c->out, "data");
    rc = approval_view_whole(c, &d->redeem->p, NULL, NULL);
    jsonw_object_end(c->out);
    return rc;
}

static void decided(struct api_request *r)
{
    const struct decide *d = r->flow;

    approvals_changed(r->api);
    if (d->runs) {
        redeem_run(r, d->redeem);
        return;
    }
    r->flow = NULL;
    request_reply_body(r, 200, "application/json");
}

static void looked(struct api_request *r)
{
    struct err err = ERR_INIT;

    if (request_run_step(r, WORKQ_WRITE, decide_step, decided, &err))
        request_flow_fail(r, &err);
}

static enum err_code read_decision(struct api_request *r, struct decide *d, struct err *err)
{
    enum err_code rc = request_read_body(r, DECISION, ARRAY_LEN(DECISION), d, err);

    if (rc)
        return rc;
    if (!approves(d) && !str_eq(d->decision, S("deny")))
        return err_field(err, "/decision", "must be approve or deny");
    if (!approves(d) && d->run)
        return err_field(err, "/run", "is for what is approved");
    if (!approves(d) && d->confirm_within_s)
        return err_field(err, "/confirmWithinSec", "is for what is approved");
    return ERR_OK;
}

void console_approval_decide(struct api_request *r)
{
    struct err err = ERR_INIT;
    struct decide *d = ARENA_NEW(&r->arena, struct decide);

    *d = (struct decide){.note = {NULL, 0}, .hash = {NULL, 0}};
    if (read_decision(r, d, &err)) {
        request_fail(r, &err);
        return;
    }
    d->redeem = redeem_new(r);
    d->redeem->shows_approval = true;
    r->flow = d;
    if (!approves(d))
        looked(r);
    else if (request_run_step(r, WORKQ_READ, look_step, looked, &err))
        request_flow_fail(r, &err);
}

/* --- Confirming --- */

enum err_code console_approval_confirm(struct api_call *c)
{
    struct approval p;
    enum err_code rc = c->body.len ? call_read_body(c, NULL, 0, NULL) : ERR_OK; /* nothing is to be said */

    if (!rc)
        rc = tx_begin_write(c->db, c->err);
    if (rc)
        return rc;
    rc = approval_get_as(c->db, c->arena, c->item, &c->person->account.id, &p, c->err);
    if (!rc)
        rc = approval_confirm(c->db, c->by, &p, c->person, c->err);
    rc = tx_end(c->db, rc, c->err);
    fail_point_pass(FAIL_CONFIRM_NOTED);
    return rc ? rc : approval_view_whole(c, &p, NULL, NULL);
}
