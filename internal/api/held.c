/* See held.h. */
#include "api/held.h"

#include "api/call.h"
#include "base/clock.h"
#include "base/fail_point.h"
#include "base/limits.h"
#include "json/rewrite.h"

#define PARSED_MAX (64 << 20)

/* --- Reading --- */

struct said {
    struct str approval, proposal, hash, sql, action, role, reason, ticket, agent, model, rules_version;
    const struct jsonr_value *statements, *params, *hits, *drift;
    int64_t affected, approvals, expires_at;
    bool hash_hidden, params_cut;
};

#define AT(member) offsetof(struct said, member)

static const struct jsonr_field SAID[] = {
    {"approvalToken", JF_TEXT, AT(approval), JF_REQUIRED, 1, APPROVAL_ID_SIZE - 1},
    {"proposalId", JF_TEXT, AT(proposal), JF_REQUIRED, 1, ID_MAX - 1},
    {"hash", JF_TEXT, AT(hash), JF_REQUIRED, 1, APPROVAL_HASH_SIZE - 1},
    {"hashHidden", JF_BOOL, AT(hash_hidden), JF_REQUIRED, 0, 0},
    {"sql", JF_TEXT, AT(sql), JF_NULL_OK, 0, 0},
    {"statements", JF_ARRAY, AT(statements), JF_NULL_OK, 0, 0},
    {"params", JF_ANY, AT(params), JF_NULL_OK, 0, 0},
    {"paramsTruncated", JF_BOOL, AT(params_cut), 0, 0, 0},
    {"action", JF_TEXT, AT(action), JF_REQUIRED, 1, 20},
    {"estimatedAffectedRows", JF_INT, AT(affected), JF_REQUIRED, 0, INT64_MAX},
    {"hits", JF_ARRAY, AT(hits), JF_REQUIRED, 0, 0},
    {"approvals", JF_INT, AT(approvals), JF_REQUIRED, 1, INT64_MAX},
    {"approverRole", JF_TEXT, AT(role), JF_NULL_OK, 1, 20},
    {"expiresAtMs", JF_INT, AT(expires_at), JF_REQUIRED, 1, INT64_MAX},
    {"reason", JF_TEXT, AT(reason), JF_NULL_OK, 0, LIMIT_PROPOSAL_TEXT_BYTES},
    {"ticket", JF_TEXT, AT(ticket), JF_NULL_OK, 0, LIMIT_PROPOSAL_TEXT_BYTES},
    {"agent", JF_TEXT, AT(agent), JF_NULL_OK, 0, LIMIT_PROPOSAL_TEXT_BYTES},
    {"model", JF_TEXT, AT(model), JF_NULL_OK, 0, LIMIT_PROPOSAL_TEXT_BYTES},
    {"rulesVersion", JF_TEXT, AT(rules_version), JF_NULL_OK, 1, APPROVAL_HASH_SIZE - 1},
    {"drift", JF_OBJECT, AT(drift), JF_NULL_OK, 0, 0},
};

/* JSON of a part, in the arena; ptr NULL where there is none. */
static struct str text_of(struct arena *a, const struct jsonr_value *v)
{
    AUTO_STRBUF out;
    struct jsonw w;

    strbuf_init(&out, LIMIT_BODY_BYTES * 6);
    if (!v)
        return (struct str){NULL, 0};
    jsonw_init(&w, &out);
    jsonw_value(&w, v, NULL);
    return strbuf_failed(&out) ? S("") : arena_copy(a, strbuf_str(&out));
}

static struct said nothing_said(void)
{
    const struct str none = {NULL, 0};
    return (struct said){.sql = none,
        .role = none,
        .reason = none,
        .ticket = none,
        .agent = none,
        .model = none,
        .rules_version = none};
}

enum err_code held_read(struct arena *a, struct str body, struct held_reply *ret, struct err *err)
{
    const struct jsonr_value *root;
    struct said said = nothing_said();
    struct err local = ERR_INIT;
    enum err_code rc = jsonr_parse_with_nul(a, body, &root, &local);

    if (!rc)
        rc = jsonr_fields(root, "", SAID, ARRAY_LEN(SAID), JSONR_UNKNOWN_IGNORE, &said, &local);
    if (rc)
        return err_set(err, ERR_INTERNAL,
            "The write is held for approval, but what its engine says of it cannot be read: %s",
            local.message);
    *ret = (struct held_reply){.hits = said.hits,
        .drift = said.drift,
        .in = {.id = said.approval,
            .proposal_id = said.proposal,
            .action = said.action,
            .hash = said.hash,
            .hash_hidden = said.hash_hidden,
            .sql = said.sql,
            .statements = text_of(a, said.statements),
            .params = said.params_cut ? S("null") : text_of(a, said.params),
            .hits = text_of(a, said.hits),
            .rules_version = said.rules_version,
            .reason = said.reason,
            .ticket = said.ticket,
            .agent = said.agent,
            .model = said.model,
            .affected = said.affected,
            .needed = said.approvals,
            .approver_role = said.role,
            .expires_at = said.expires_at,
            .replaces = STR_EMPTY}};
    return ERR_OK;
}

/* --- Telling --- */

static void write_url(struct jsonw *w, struct str base_url, struct str id)
{
    AUTO_STRBUF url;

    strbuf_init(&url, base_url.len + id.len + 20);
    strbuf_addf(&url, STR_FMT "/approve/" STR_FMT, STR_ARG(base_url), STR_ARG(id));
    JSONW_TEXT(w, "approvalUrl", strbuf_str(&url));
}

void held_tell(struct strbuf *out, const struct held_reply *h, struct str base_url, struct str request_id)
{
    char expires[CLOCK_ISO_MAX];
    struct jsonw w;
    struct str hash = h->in.hash_hidden ? (struct str){NULL, 0} : h->in.hash;

    clock_iso(h->in.expires_at, expires);
    jsonw_init(&w, out);
    jsonw_object(&w);
    JSONW_BOOL(&w, "success", false);
    JSONW_CSTR(&w, "error",
        h->drift
            ? "The write would now do something else than what was approved; nothing was changed. It waits "
              "for approval anew"
            : "Statement requires human approval before it can run");
    JSONW_CSTR(&w, "code", h->drift ? "drift" : "approval_required");
    JSONW_TEXT(&w, "approvalToken", h->in.id);
    write_url(&w, base_url, h->in.id);
    jsonw_key(&w, "hits");
    jsonw_value(&w, h->hits, NULL);
    JSONW_CSTR(&w, "expiresAt", expires);
    JSONW_TEXT(&w, "proposalId", h->in.proposal_id);
    JSONW_TEXT_OR_NULL(&w, "hash", hash);
    if (h->drift) {
        jsonw_key(&w, "drift");
        jsonw_value(&w, h->drift, NULL);
    }
    JSONW_TEXT(&w, "requestId", request_id);
    jsonw_object_end(&w);
}

/* --- Registering --- */

struct held {
    struct strbuf body; /* the engine's */
    struct arena arena;
    struct held_reply reply;
    struct id database_id;
};

/* With the request's arena. */
static void release(void *arg)
{
    struct held *h = arg;
    strbuf_release(&h->body);
    arena_release(&h->arena);
}

static enum err_code enter(struct api_call *c)
{
    struct held *h = c->flow;
    struct approval_new *in = &h->reply.in;

    fail_point_pass(FAIL_HELD_STORED);
    enum err_code rc = held_read(&h->arena, strbuf_str(&h->body), &h->reply, c->err);
    if (rc)
        return rc;
    in->database_id = h->database_id;
    in->namespace_id = c->who->namespace_id;
    in->token_id = c->who->token_id;
    in->person = c->person ? &c->person->account.id : NULL;
    rc = tx_begin_write(c->db, c->err);
    if (!rc)
        rc = tx_end(c->db, approval_open(c->db, c->by, in, c->err), c->err);
    fail_point_pass(FAIL_HELD_REGISTERED);
    return rc;
}

static void told(struct api_request *r)
{
    const struct held *h = r->flow;
    r->flow = NULL;
    strbuf_reset(&r->body);
    held_tell(&r->body, &h->reply, r->base_url, http_request_id(r->http));
    request_reply_body(r, h->reply.drift ? 409 : 403, "application/json");
}

void request_reply_held(struct api_request *r)
{
    struct err err = ERR_INIT;
    struct held *h = ARENA_NEW(&r->arena, struct held);

    *h = (struct held){.body = r->body, .database_id = r->place.id};
    strbuf_init(&r->body, h->body.limit);
    arena_init(&h->arena, PARSED_MAX);
    arena_defer(&r->arena, release, h);
    r->flow = h;
    if (request_run_step(r, WORKQ_WRITE, enter, told, &err))
        request_flow_fail(r, &err);
}
