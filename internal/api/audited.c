/* Changes that happen in an engine, whose transaction control.db cannot share. Their row of the audit log is
 * noted before the engine is asked (audit/intent.h), and appended once it has answered and before the client
 * hears of it. After a crash in between the next start appends it, with an outcome that nobody knows. */
#include "api/approvals.h"
#include "api/policy_values.h"
#include "api/request.h"
#include "api/rule_values.h"

#include "audit/intent.h"
#include "base/check.h"
#include "base/fail_point.h"
#include "base/log.h"
#include "base/mem.h"
#include "json/jsonr.h"
#include "registry/registry.h"

/* What a route's success is called; AUDIT_ACTION_COUNT: nothing. */
static enum audit_action action_of(const struct api_request *r)
{
    switch (r->route->id) {
    case ROUTE_DESCRIBE_SET: return AUDIT_DATABASE_DESCRIBED;
    case ROUTE_PROPOSAL_WITHDRAW:
    case ROUTE_API_PROPOSAL_WITHDRAW: return AUDIT_PROPOSAL_WITHDRAWN;
    case ROUTE_POLICY_CREATE: return AUDIT_POLICY_CREATED;
    case ROUTE_POLICY_UPDATE: return AUDIT_POLICY_UPDATED;
    case ROUTE_POLICY_DELETE: return AUDIT_POLICY_DELETED;
    case ROUTE_RULE_CREATE:
    case ROUTE_API_RULE_CREATE: return AUDIT_RULE_CREATED;
    case ROUTE_RULE_UPDATE:
    case ROUTE_API_RULE_UPDATE: return AUDIT_RULE_UPDATED;
    case ROUTE_RULE_REPLACE:
    case ROUTE_API_RULE_REPLACE: return AUDIT_RULE_REPLACED;
    case ROUTE_RULE_DELETE:
    case ROUTE_API_RULE_DELETE: return AUDIT_RULE_DELETED;
    case ROUTE_INVARIANT_CREATE:
    case ROUTE_API_INVARIANT_CREATE: return AUDIT_INVARIANT_CREATED;
    case ROUTE_INVARIANT_DELETE:
    case ROUTE_API_INVARIANT_DELETE: return AUDIT_INVARIANT_DELETED;
    case ROUTE_ROW_SECURITY_SET: return AUDIT_POLICY_ROW_SECURITY;
    case ROUTE_PROPOSAL_SETTINGS_SET:
    case ROUTE_API_PROPOSAL_SETTINGS_SET: return AUDIT_PROPOSAL_SETTINGS;
    case ROUTE_MASK_SET:
    case ROUTE_API_MASK_SET: return AUDIT_MASKS_SET;
    case ROUTE_IMPORT:
    case ROUTE_API_IMPORT: return AUDIT_DATABASE_IMPORTED;
    default: return AUDIT_ACTION_COUNT;
    }
}

struct described {
    struct str table, column, description;
};

static const struct jsonr_field DESCRIBED[] = {
    {"table", JF_TEXT, offsetof(struct described, table), JF_NULL_OK, 0, 0},
    {"column", JF_TEXT, offsetof(struct described, column), JF_NULL_OK, 0, 0},
    {"description", JF_TEXT, offsetof(struct described, description), JF_NULL_OK, 0, 0},
};

/* What cannot be read the engine refuses. */
static struct described read_described(struct api_request *r)
{
    struct described d = {STR_EMPTY, STR_EMPTY, STR_EMPTY};
    const struct jsonr_value *root;

    if (!jsonr_parse(&r->arena, r->call.req.body, &root, NULL))
        err_ignore(jsonr_fields(root, "", DESCRIBED, ARRAY_LEN(DESCRIBED), JSONR_UNKNOWN_IGNORE, &d, NULL));
    return d;
}

static enum err_code intend(
    struct db *db, struct api_request *r, const struct audit_value *after, struct err *err)
{
    return audit_intend(db,
        &(struct audit_event){.by = r->by,
            .action = action_of(r),
            .namespace_id = &r->who->id->namespace_id,
            .target_id = id_str(&r->place.id),
            .target_name = r->db,
            .after = after},
        &r->intent, err);
}

/* What the engine was asked with: the upload's format may have come from its content type. */
static struct str call_arg(const struct api_request *r, const char *name)
{
    for (unsigned i = 0; i < r->call.req.arg_count; i++)
        if (str_eq(r->call.req.args[i].name, str_of(name)))
            return r->call.req.args[i].value;
    return STR_EMPTY;
}

/* What was asked for; a member that was not sent was not changed. */
static enum err_code intend_policy(struct db *db, struct api_request *r, struct err *err)
{
    const struct jsonr_value *root = NULL;
    struct policy_values asked;

    if (action_of(r) == AUDIT_POLICY_DELETED)
        return intend(db, r, AUDIT_VALUES(audit_text_or_null("policy", r->item)), err);
    if (r->call.req.body.len && jsonr_parse(&r->arena, r->call.req.body, &root, NULL))
        root = NULL; /* the engine refuses it */
    policy_values(r->item, root, &asked);
    return intend(db, r, asked.values, err);
}

static struct str member_text(const struct jsonr_value *object, struct str name)
{
    const struct jsonr_value *v = jsonr_kind(object) == JSONR_OBJECT ? jsonr_member(object, name) : NULL;
    return v && jsonr_kind(v) == JSONR_TEXT ? jsonr_text(v) : STR_EMPTY;
}

/* "email users.mail" */
static struct str mask_item(struct arena *a, const struct jsonr_value *v)
{
    return arena_printf(a, STR_FMT " " STR_FMT "." STR_FMT, STR_ARG(member_text(v, S("kind"))),
        STR_ARG(member_text(v, S("table"))), STR_ARG(member_text(v, S("column"))));
}

/* "deny production_* when …" */
static struct str rule_item(struct arena *a, const struct jsonr_value *v)
{
    struct str glob = member_text(v, S("tableGlob")), when = member_text(v, S("when"));
    return arena_printf(a, STR_FMT "%s" STR_FMT "%s" STR_FMT, STR_ARG(member_text(v, S("action"))),
        glob.len ? " " : "", STR_ARG(glob), when.len ? " when " : "", STR_ARG(when));
}

/* A list that takes the place of another, as far as a row holds it. */
static enum err_code intend_list(struct db *db, struct api_request *r, const char *member,
    struct str (*item_of)(struct arena *a, const struct jsonr_value *v), struct err *err)
{
    const struct jsonr_value *root = NULL, *list = NULL;
    struct str items[AUDIT_ITEMS_MAX + 1];
    size_t count = 0;

    if (!jsonr_parse(&r->arena, r->call.req.body, &root, NULL) && jsonr_kind(root) == JSONR_OBJECT)
        list = jsonr_member(root, str_of(member));
    bool known = list && jsonr_kind(list) == JSONR_ARRAY; /* else the engine refuses it */
    for (const struct jsonr_value *v = known ? jsonr_first(list) : NULL; v && count < ARRAY_LEN(items);
         v = jsonr_next(v)) {
        struct str item = item_of(&r->arena, v);
        items[count++] = item.ptr ? item : STR_EMPTY;
    }
    return intend(db, r,
        AUDIT_VALUES(
            audit_list(member, items, count), audit_int("count", known ? (int64_t)jsonr_count(list) : 0)),
        err);
}

static enum err_code intend_rule(struct db *db, struct api_request *r, struct err *err)
{
    const struct jsonr_value *root = NULL;
    struct rule_values asked;

    if (r->call.req.body.len && jsonr_parse(&r->arena, r->call.req.body, &root, NULL))
        root = NULL; /* as above */
    bool invariant = action_of(r) == AUDIT_INVARIANT_CREATED || action_of(r) == AUDIT_INVARIANT_DELETED;
    if (invariant)
        invariant_values(r->item, root, &asked);
    else
        rule_values(r->item, root, &asked);
    return intend(db, r, asked.values, err);
}

static bool is_rule(enum audit_action action)
{
    return action == AUDIT_RULE_CREATED || action == AUDIT_RULE_UPDATED || action == AUDIT_RULE_DELETED ||
           action == AUDIT_INVARIANT_CREATED || action == AUDIT_INVARIANT_DELETED;
}

static bool is_policy(enum audit_action action)
{
    return action == AUDIT_POLICY_CREATED || action == AUDIT_POLICY_UPDATED ||
           action == AUDIT_POLICY_DELETED || action == AUDIT_POLICY_ROW_SECURITY;
}

static struct str asked_on_drift(struct api_request *r)
{
    const struct jsonr_value *root = NULL;
    bool read = r->call.req.body.len && !jsonr_parse(&r->arena, r->call.req.body, &root, NULL);
    return read ? member_text(root, S("onDrift")) : STR_EMPTY; /* else the engine refuses it */
}

static enum err_code intend_in_tx(struct db *db, struct api_request *r, struct err *err)
{
    if (is_rule(action_of(r)))
        return intend_rule(db, r, err);
    if (is_policy(action_of(r)))
        return intend_policy(db, r, err);
    if (action_of(r) == AUDIT_PROPOSAL_SETTINGS)
        return intend(db, r, AUDIT_VALUES(audit_text_or_null("onDrift", asked_on_drift(r))), err);
    if (action_of(r) == AUDIT_MASKS_SET)
        return intend_list(db, r, "masks", mask_item, err);
    if (action_of(r) == AUDIT_RULE_REPLACED)
        return intend_list(db, r, "rules", rule_item, err);
    if (action_of(r) == AUDIT_PROPOSAL_WITHDRAWN)
        return intend(db, r, AUDIT_VALUES(audit_text_or_null("proposal", r->item)), err);
    if (action_of(r) == AUDIT_DATABASE_IMPORTED)
        return intend(db, r,
            AUDIT_VALUES(audit_text_or_null("table", call_arg(r, "table")),
                audit_text_or_null("format", call_arg(r, "format"))),
            err);
    struct described d = read_described(r);
    return intend(db, r,
        AUDIT_VALUES(audit_text_or_null("table", d.table), audit_text_or_null("column", d.column),
            audit_text_or_null("description", d.description)),
        err);
}

/* One write transaction on a worker. */
static enum err_code in_transaction(struct api_request *r, unsigned worker,
    enum err_code (*fn)(struct db *, struct api_request *, struct err *), struct err *err)
{
    struct db *db;
    enum err_code rc = request_worker_db(r->api, worker, &db, err);
    if (!rc)
        rc = tx_begin_write(db, err);
    return rc ? rc : tx_end(db, fn(db, r, err), err);
}

/* --- Before --- */

bool request_is_audited(const struct api_request *r)
{
    return action_of(r) != AUDIT_ACTION_COUNT;
}

static void intend_run(struct workq_job *job, unsigned worker)
{
    struct api_request *r = CONTAINER_OF(job, struct api_request, job);
    r->err = (struct err)ERR_INIT;
    r->err.code = in_transaction(r, worker, intend_in_tx, &r->err);
    fail_point_pass(FAIL_AUDITED_INTENDED);
}

static void intend_done(struct workq_job *job)
{
    struct api_request *r = CONTAINER_OF(job, struct api_request, job);
    struct err err = r->err;
    if (err.code)
        r->intent = (struct id){.text = ""}; /* its transaction failed */
    else if (r->api->interrupted)
        (void)err_set(&err, ERR_UNAVAILABLE, "The server stops; nothing was changed");
    r->intended(r, err.code ? &err : NULL);
}

enum err_code request_intend(
    struct api_request *r, void (*then)(struct api_request *r, const struct err *err), struct err *err)
{
    CHECK(request_is_audited(r) && !r->intent.text[0]);
    (void)request_actor(r); /* kept in r->by */
    r->intended = then;
    r->job = (struct workq_job){.run = intend_run, .done = intend_done};
    return workq_submit(r->api->opt.workq, r->api->opt.loop, WORKQ_WRITE, &r->job, err);
}

/* --- After --- */

bool request_may_be_done(enum err_code code)
{
    return code == ERR_IO || code == ERR_INTERNAL || code == ERR_WORKER_CRASHED || code == ERR_QUERY_TIMEOUT;
}

static enum audit_outcome outcome_of(const struct api_request *r)
{
    if (r->failed.code)
        return request_may_be_done(r->failed.code) ? AUDIT_UNKNOWN : AUDIT_NOT_DONE;
    if (r->head.status == 200)
        return AUDIT_DONE;
    return request_may_be_done((enum err_code)r->head.code) ? AUDIT_UNKNOWN : AUDIT_NOT_DONE;
}

/* What a policy or rule was only its engine knows, which says so when it has changed it. */
static enum err_code settle_in_tx(struct db *db, struct api_request *r, struct err *err)
{
    enum audit_outcome outcome = outcome_of(r);
    enum audit_action action = action_of(r);
    struct policy_values policy;
    struct rule_values rule;
    const struct audit_value *before = NULL;

    bool done = outcome == AUDIT_DONE;
    if (done && action == AUDIT_PROPOSAL_WITHDRAWN) {
        enum err_code rc = approval_proposal_withdrawn(db, r->by, &r->place.id, r->item, err);
        if (rc)
            return rc;
    }
    if (outcome == AUDIT_UNKNOWN && action == AUDIT_PROPOSAL_WITHDRAWN) {
        enum err_code rc = approval_doubt(db, &r->place.id, err);
        if (rc)
            return rc;
    }
    if (done && (action == AUDIT_POLICY_UPDATED || action == AUDIT_POLICY_DELETED) &&
        policy_values_before(&r->arena, r->item, strbuf_str(&r->body), &policy))
        before = policy.values;
    if (done && (action == AUDIT_RULE_UPDATED || action == AUDIT_RULE_DELETED) &&
        rule_values_before(&r->arena, r->item, strbuf_str(&r->body), &rule))
        before = rule.values;
    if (done && action == AUDIT_INVARIANT_DELETED &&
        invariant_values_before(&r->arena, r->item, strbuf_str(&r->body), &rule))
        before = rule.values;
    return audit_settle_told(db, &r->intent, outcome, before, err);
}

static void settle_run(struct workq_job *job, unsigned worker)
{
    struct api_request *r = CONTAINER_OF(job, struct api_request, job);
    r->err = (struct err)ERR_INIT;
    fail_point_pass(FAIL_AUDITED_ANSWERED);
    r->err.code = in_transaction(r, worker, settle_in_tx, &r->err);
    fail_point_pass(FAIL_AUDITED_SETTLED);
}

static void answer(struct api_request *r)
{
    struct err failed = r->failed;
    if (failed.code)
        request_fail(r, &failed);
    else
        request_reply_gathered(r);
}

/* The note stands: the next start appends it. */
static void not_settled(struct api_request *r, const struct err *why)
{
    struct err err = ERR_INIT;
    log_event(
        LOG_ERROR, "audit_failed", LOG_STR("id", http_request_id(r->http)), LOG_CSTR("error", why->message));
    if (outcome_of(r) != AUDIT_DONE) {
        answer(r);
        return;
    }
    (void)err_set(
        &err, why->code, "It was done, but could not be written to the audit log: %s", why->message);
    request_fail(r, &err);
}

void request_settled(struct api_request *r, const struct err *failed)
{
    if (failed->code)
        not_settled(r, failed);
    else
        answer(r);
}

static void settle_done(struct workq_job *job)
{
    struct api_request *r = CONTAINER_OF(job, struct api_request, job);
    struct err err = r->err;
    if (action_of(r) == AUDIT_PROPOSAL_WITHDRAWN)
        approvals_changed(r->api);
    request_settled(r, &err);
}

static bool has_applied(const struct api_request *r)
{
    return r->route->op == WIRE_OP_APPLY && !r->failed.code && r->head.status == 200;
}

void request_reply_audited(struct api_request *r, const struct err *failed)
{
    struct err err = ERR_INIT;
    r->failed = failed ? *failed : (struct err)ERR_INIT;
    if (has_applied(r)) {
        applied_append(r);
        return;
    }
    if (!r->intent.text[0]) {
        answer(r);
        return;
    }
    r->job = (struct workq_job){.run = settle_run, .done = settle_done};
    if (workq_submit(r->api->opt.workq, r->api->opt.loop, WORKQ_WRITE, &r->job, &err))
        not_settled(r, &err);
}

/* --- A database that was found damaged --- */

struct quarantine_job {
    struct workq_job job;
    struct api *api;
    struct id db_id;
};

static enum err_code append_quarantined(struct db *db, const struct id *db_id, struct err *err)
{
    const struct actor server = actor_server();
    struct registry_entry e;
    enum err_code rc = registry_get_by_id(db, db_id, &e, err);
    if (rc)
        return rc;
    return audit_append(db,
        &(struct audit_event){.by = &server,
            .action = AUDIT_DATABASE_QUARANTINED,
            .namespace_id = &e.namespace_id,
            .target_id = id_str(db_id),
            .target_name = str_of(e.slug)},
        err);
}

static void quarantine_run(struct workq_job *job, unsigned worker)
{
    struct quarantine_job *q = CONTAINER_OF(job, struct quarantine_job, job);
    struct err err = ERR_INIT;
    struct db *db;
    enum err_code rc = request_worker_db(q->api, worker, &db, &err);
    if (!rc)
        rc = tx_begin_write(db, &err);
    if (!rc)
        rc = tx_end(db, append_quarantined(db, &q->db_id, &err), &err);
    if (rc)
        log_event(
            LOG_ERROR, "audit_failed", LOG_STR("db", id_str(&q->db_id)), LOG_CSTR("error", err.message));
}

static void quarantine_done(struct workq_job *job)
{
    mem_free(CONTAINER_OF(job, struct quarantine_job, job));
}

/* Only this process knows of the quarantine, and a full queue must not undo it: then the log alone tells. */
void audited_quarantine(void *arg, struct str db_id)
{
    struct api *api = arg;
    struct err err = ERR_INIT;
    struct quarantine_job *q = MEM_NEW(struct quarantine_job);
    q->api = api;
    memcpy(q->db_id.text, db_id.ptr, db_id.len);
    q->job = (struct workq_job){.run = quarantine_run, .done = quarantine_done};
    if (workq_submit(api->opt.workq, api->opt.loop, WORKQ_WRITE, &q->job, &err)) {
        log_event(LOG_ERROR, "audit_failed", LOG_STR("db", db_id), LOG_CSTR("error", err.message));
        mem_free(q);
    }
}
