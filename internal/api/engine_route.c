/* RUN_ENGINE: the body goes to the database's engine as it came, and the engine's body is the answer. */
#include "api/held.h"
#include "api/request.h"

#include "api/openapi.h"
#include "api/snapshot_call.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/enc.h"
#include "base/limits.h"
#include "json/jsonr.h"

static enum err_code key_header(struct api_request *r, const char *name, struct str *ret, struct err *err)
{
    struct str value = http_header(r->http, name);
    *ret = STR_EMPTY;
    if (!value.ptr)
        return ERR_OK;
    if (!value.len || value.len > (size_t)LIMIT_IDEMPOTENCY_KEY_BYTES || !utf8_valid(value))
        return err_set(err, ERR_INVALID, "Header %s must be 1 to %d bytes of text", name,
            (int)LIMIT_IDEMPOTENCY_KEY_BYTES);
    *ret = value;
    return ERR_OK;
}

static enum err_code fill_keys(struct api_request *r, struct wire_call *call, struct err *err)
{
    enum err_code rc = key_header(r, "Idempotency-Key", &call->idempotency_key, err);
    if (!rc)
        rc = key_header(r, "Plan-Key", &call->plan_key, err);
    if (!rc)
        rc = key_header(r, "Plan-Step", &call->plan_step, err);
    if (!rc && !call->plan_key.len != !call->plan_step.len)
        return err_set(
            err, ERR_INVALID, "Headers Plan-Key and Plan-Step belong together; one of them is missing");
    return rc;
}

static void fill_args(struct api_request *r, struct wire_call *call)
{
    const char *name;
    for (unsigned i = 0; (name = openapi_query_arg(r->route->id, i)); i++) {
        struct str value = query_get(&r->args, name);
        if (!value.ptr)
            continue;
        CHECK(call->arg_count < WIRE_ARGS_MAX);
        call->args[call->arg_count++] = (struct wire_arg){str_of(name), value};
    }
}

static bool takes_keys(const struct api_route *route)
{
    return route->cap == CAP_SQL || route->id == ROUTE_BRANCH_MERGE || route->id == ROUTE_API_BRANCH_MERGE;
}

enum err_code request_fill_call(struct api_request *r, int64_t timeout_us, struct err *err)
{
    const struct identity *who = r->who->id;
    struct wire_call *call = &r->call.req;
    r->call.db_id = id_str(&r->place.id);
    r->call.place = ENGINE_SHARED;
    call->op = r->route->op;
    call->role = who->role;
    call->deadline_us = clock_mono_us() + timeout_us;
    call->request_id = http_request_id(r->http);
    call->token_id = id_str(&who->token_id);
    call->claims = who->claims;
    call->has_table_scope = who->has_table_scope;
    call->table_count = who->table_count;
    call->tables = who->tables;
    call->snapshot = WIRE_SNAPSHOT_NEVER;
    call->snapshot_id = call->snapshot_label = STR_EMPTY;
    call->idempotency_key = call->plan_key = call->plan_step = call->body = STR_EMPTY;
    fill_args(r, call);
    if (r->item.len) {
        CHECK(call->arg_count < WIRE_ARGS_MAX);
        call->args[call->arg_count++] = (struct wire_arg){S("id"), r->item};
    }
    return takes_keys(r->route) ? fill_keys(r, call, err) : ERR_OK;
}

static void on_gone(void *arg)
{
    struct api_request *r = arg;
    r->gone = true;
    if (r->calling)
        supervise_cancel(r->api->opt.supervisor, &r->call);
}

enum err_code request_submit(struct api_request *r, struct err *err)
{
    CHECK(!r->calling);
    r->call.arg = r;
    enum err_code rc = supervise_submit(r->api->opt.supervisor, &r->call, err);
    if (rc)
        return rc;
    r->calling = true;
    http_on_gone(r->http, on_gone, r);
    return ERR_OK;
}

void request_gather(struct engine_call *call, const struct wire_reply_head *head, struct str chunk)
{
    struct api_request *r = call->arg;
    if (head) {
        r->head = *head;
        strbuf_reset(&r->body);
    }
    strbuf_add_str(&r->body, chunk);
}

const char *request_content_type(const struct api_request *r)
{
    static const char *const types[WIRE_CONTENT_COUNT] = {
        [WIRE_CONTENT_JSON] = "application/json",
        [WIRE_CONTENT_TEXT] = "text/plain; charset=utf-8",
        [WIRE_CONTENT_SQL] = "application/sql; charset=utf-8",
        [WIRE_CONTENT_SQLITE] = "application/vnd.sqlite3",
        [WIRE_CONTENT_CSV] = "text/csv; charset=utf-8",
        [WIRE_CONTENT_NDJSON] = "application/x-ndjson",
    };
    CHECK(r->head.content < WIRE_CONTENT_COUNT);
    return types[r->head.content];
}

void request_reply_gathered(struct api_request *r)
{
    if (r->head.held) {
        request_reply_held(r);
        return;
    }
    struct route_metrics *m = &r->api->metrics.route[r->route->id];
    m->rows_read += r->head.rows_read;
    m->rows_written += r->head.rows_written;
    if (r->head.idempotency_replayed)
        http_set_header(r->http, "Idempotency-Replayed", S("true"));
    if (r->head.plan_replayed)
        http_set_header(r->http, "Plan-Replayed", S("true"));
    r->api->metrics.replays += r->head.idempotency_replayed || r->head.plan_replayed;
    if (r->head.retry_after_s)
        http_set_header(r->http, "Retry-After", arena_printf(&r->arena, "%u", r->head.retry_after_s));
    request_reply_body(r, r->head.status, request_content_type(r));
}

static void on_done(struct engine_call *call, const struct err *err)
{
    struct api_request *r = call->arg;
    struct err too_large = ERR_INIT;
    r->calling = false;
    if (!err && strbuf_failed(&r->body)) {
        (void)err_set(&too_large, ERR_TOO_LARGE, "The answer is too large; ask for fewer rows with LIMIT");
        err = &too_large;
    }
    if (!err && snapshot_before_write(r))
        return;
    request_reply_audited(r, err);
}

enum err_code request_check_json(const struct api_request *r, struct err *err)
{
    struct str rest = http_header(r->http, "Content-Type"), type;
    if (rest.ptr && str_cut(&rest, ';', &type) && !str_eq_nocase(str_trim(type), S("application/json")))
        return err_set(err, ERR_MEDIA_TYPE, "Send the body with Content-Type: application/json");
    return ERR_OK;
}

enum err_code request_read_body(
    struct api_request *r, const struct jsonr_field *fields, size_t count, void *out, struct err *err)
{
    const struct jsonr_value *root;
    enum err_code rc = request_check_json(r, err);
    if (!rc && !http_body(r->http).len)
        rc = err_field(err, "", "The body is empty; send a JSON object");
    if (!rc)
        rc = jsonr_parse(&r->arena, http_body(r->http), &root, err);
    return rc ? rc : jsonr_fields(root, "", fields, count, JSONR_UNKNOWN_REFUSE, out, err);
}

void request_expect_body(struct api_request *r)
{
    r->call.on_data = request_gather;
    r->call.on_done = on_done;
}

static void intended(struct api_request *r, const struct err *err)
{
    struct err refused = ERR_INIT;
    if (err || request_submit(r, &refused))
        request_reply_audited(r, err ? err : &refused);
}

/* The path of the others says all. */
static bool needs_body(const struct api_request *r)
{
    return r->route->op != WIRE_OP_PROPOSAL_WITHDRAW && r->route->op != WIRE_OP_PROPOSAL_UNDO;
}

enum err_code engine_route_run(struct api_request *r, struct err *err)
{
    enum err_code rc = request_fill_call(r, r->api->opt.statement_timeout_us, err);
    if (!rc && r->route->method != HTTP_GET && r->route->method != HTTP_DELETE) {
        r->call.req.body = http_body(r->http);
        rc = request_check_json(r, err);
        if (!rc && !r->call.req.body.len && needs_body(r))
            rc = err_field(err, "", "The body is empty; send a JSON object");
    }
    if (rc)
        return rc;
    request_expect_body(r);
    snapshot_ask_first(&r->call.req);
    return request_is_audited(r) ? request_intend(r, intended, err) : request_submit(r, err);
}
