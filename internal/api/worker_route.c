/* RUN_WORKER, RUN_PASSWORD and RUN_ABROAD: one handler on a worker thread; what it writes becomes "data". */
#include "api/call.h"
#include "api/cookie.h"
#include "api/openapi.h"
#include "api/request.h"
#include "api/scope.h"
#include "base/check.h"

static void evict(void *arg, struct str db_id)
{
    supervise_evict_sync(arg, db_id);
}

static void allow(void *arg, struct str db_id)
{
    supervise_allow_sync(arg, db_id);
}

static void hold(void *arg, struct str db_id)
{
    supervise_hold_sync(arg, db_id);
}

static enum err_code enveloped(struct api_request *r, struct api_call *c)
{
    jsonw_object(c->out);
    JSONW_BOOL(c->out, "success", true);
    jsonw_key(c->out, "data");
    enum err_code rc = r->step(c);
    if (!rc && r->answer.kind == ANSWER_ENVELOPE) /* else it has written something else over it */
        jsonw_object_end(c->out);
    return rc;
}

static enum err_code call_handler(struct api_request *r, struct db *db, struct err *err)
{
    struct jsonw w;
    struct registry_disk disk = {.data_dir = r->api->opt.data_dir,
        .evict = evict,
        .allow = allow,
        .hold = hold,
        .arg = r->api->opt.supervisor};
    struct api_call call = {.db = db,
        .disk = &disk,
        .who = r->who ? r->who->id : NULL,
        .person = r->who ? r->who->person : NULL,
        .member = r->who && r->who->person ? r->who->id->member : MEMBER_NONE,
        .opt = &r->api->opt,
        .throttle = r->api->throttle,
        .csrf = r->csrf,
        .base_url = r->base_url,
        .link_base = r->link_base,
        .cookie = &r->cookie,
        .item = r->item,
        .by = r->by,
        .db_slug = r->db,
        .args = &r->args,
        .body = r->call.req.body,
        .arena = &r->arena,
        .out = &w,
        .text = &r->body,
        .answer = &r->answer,
        .session = r->route->auth == AUTH_PAGE && r->by_cookie ? &r->hash : NULL,
        .authorization = http_header(r->http, "Authorization"),
        .content_type = http_header(r->http, "Content-Type"),
        .raw_query = http_query(r->http),
        .flow = r->flow,
        .err = err};
    jsonw_init(&w, &r->body);
    bool bare = r->after || openapi_answers_bare(r->route->id);
    enum err_code rc = bare ? r->step(&call) : enveloped(r, &call);
    if (rc)
        return rc;
    CHECK(r->answer.kind >= ANSWER_PAGE || strbuf_failed(&r->body) || r->body.len == 0 || jsonw_done(&w));
    return strbuf_failed(&r->body) ? err_set(err, ERR_TOO_LARGE, "The answer is too large") : ERR_OK;
}

static void run(struct workq_job *job, unsigned worker)
{
    struct api_request *r = CONTAINER_OF(job, struct api_request, job);
    struct db *db;
    r->err = (struct err)ERR_INIT;
    if (r->route->run == RUN_PASSWORD || r->route->run == RUN_ABROAD)
        worker += API_WORKERS_MAX; /* pools have connections of their own */
    if (r->route->run == RUN_ABROAD)
        worker += API_PASSWORD_WORKERS_MAX;
    enum err_code rc = request_worker_db(r->api, worker, &db, &r->err);
    if (!rc) {
        uint64_t before = db_statements(db);
        rc = call_handler(r, db, &r->err);
        r->statements = db_statements(db) - before;
    }
    r->err.code = rc;
}

static void done(struct workq_job *job)
{
    struct api_request *r = CONTAINER_OF(job, struct api_request, job);
    request_count_job(r);
    if (r->err.code || !r->after)
        r->flow = NULL;
    if (!r->err.code && r->cookie.secret.len)
        cookie_set(r, &r->cookie.secret);
    if (!r->err.code && r->cookie.clear)
        cookie_clear(r);
    if (r->err.code)
        request_fail(r, &r->err);
    else if (r->after)
        r->after(r);
    else if (r->answer.kind)
        request_reply_answer(r);
    else
        request_reply_body(r, 200, "application/json");
}

/* Handlers of people's routes read JSON alone: a form of another site must not look like it. So do those that
 * change a database. */
static enum err_code check_content_type(const struct api_request *r, struct err *err)
{
    enum route_auth auth = r->route->auth;
    bool people = auth == AUTH_OPEN || auth == AUTH_COOKIE || auth == AUTH_EITHER;
    return (people || r->route->in_database) && r->route->method != HTTP_GET ? request_check_json(r, err)
                                                                             : ERR_OK;
}

/* Does the route say where this server is to somebody who will believe it? */
static bool names_issuer(const struct api_route *route)
{
    static const char *const PATHS[] = {
        "/oauth/", "/.well-known/oauth-", "/.well-known/openid-", "/agent/", "/.well-known/auth.md"};
    bool names = false;
    for (size_t i = 0; i < ARRAY_LEN(PATHS); i++)
        names |= str_starts(str_of(route->path), str_of(PATHS[i]));
    return names;
}

static struct workq *queue_of(const struct api_request *r)
{
    const struct api_options *opt = &r->api->opt;
    if (r->route->run == RUN_PASSWORD)
        return opt->passwords;
    return r->route->run == RUN_ABROAD ? opt->abroad : opt->workq;
}

enum err_code worker_route_run(struct api_request *r, struct err *err)
{
    bool writes = r->route->run == RUN_WORKER && r->route->method != HTTP_GET;
    enum err_code rc = check_content_type(r, err);
    if (!rc && names_issuer(r->route))
        rc = cookie_check_host(r, err);
    if (rc)
        return rc;
    r->call.req.body =
        http_body(r->http); /* taken here: the worker must not touch the connection's buffers */
    return request_run_step(r, writes ? WORKQ_WRITE : WORKQ_READ, r->route->on_worker, NULL, err);
}

enum err_code request_run_step(struct api_request *r, enum workq_lane lane, route_worker_fn *step,
    void (*after)(struct api_request *r), struct err *err)
{
    strbuf_reset(&r->body);
    r->step = step;
    r->after = after;
    r->by = request_actor(r);
    r->base_url = cookie_own_origin(r);
    r->link_base = cookie_check_host(r, NULL) ? STR_EMPTY : r->base_url;
    r->job = (struct workq_job){.run = run, .done = done};
    return workq_submit(queue_of(r), r->api->opt.loop, lane, &r->job, err);
}

void request_flow_fail(struct api_request *r, const struct err *err)
{
    r->flow = NULL;
    request_fail(r, err);
}

void request_flow_next(struct engine_call *call, const struct err *failed, route_worker_fn *step)
{
    struct api_request *r = call->arg;
    struct err err = ERR_INIT;
    r->calling = false;
    if (failed) {
        request_flow_fail(r, failed);
    } else if (r->head.status != 200) {
        r->flow = NULL;
        request_reply_gathered(r);
    } else if (request_run_step(r, WORKQ_WRITE, step, NULL, &err)) {
        request_flow_fail(r, &err);
    }
}

enum err_code call_read_body(struct api_call *c, const struct jsonr_field *fields, size_t count, void *out)
{
    const struct jsonr_value *root;
    if (!c->body.len)
        return err_field(c->err, "", "The body is empty; send a JSON object");
    enum err_code rc = jsonr_parse(c->arena, c->body, &root, c->err);
    return rc ? rc : jsonr_fields(root, "", fields, count, JSONR_UNKNOWN_REFUSE, out, c->err);
}

enum err_code call_answer_id(struct api_call *c, enum err_code rc)
{
    if (rc)
        return rc;
    jsonw_object(c->out);
    JSONW_TEXT(c->out, "id", c->item);
    jsonw_object_end(c->out);
    return ERR_OK;
}

enum err_code call_database(struct api_call *c, enum capability cap, struct registry_entry *ret)
{
    struct place place;
    struct err missing = ERR_INIT;
    enum err_code rc = registry_get(c->db, &c->who->namespace_id, c->db_slug, ret, &missing);
    if (!rc)
        place = place_of(ret);
    enum err_code refused = scope_check(c->who, cap, rc ? NULL : &place, c->err);
    if (rc && (refused == ERR_NOT_FOUND || rc != ERR_NOT_FOUND))
        *c->err = missing;
    return rc && rc != ERR_NOT_FOUND ? rc : refused;
}

#define PAGE_DEFAULT 100
#define PAGE_MAX     500

enum err_code call_read_page(struct api_call *c, struct str *ret_after, int64_t *ret_limit)
{
    struct str after = query_get(c->args, "after");
    *ret_after = after.ptr ? after : STR_EMPTY;
    return query_i64(c->args, "limit", PAGE_DEFAULT, 1, PAGE_MAX, ret_limit, c->err);
}

enum err_code call_page_of(struct api_call *c, enum capability cap, struct registry_entry *ret,
    struct str *ret_after, int64_t *ret_limit)
{
    enum err_code rc = call_read_page(c, ret_after, ret_limit);
    return rc ? rc : call_database(c, cap, ret);
}
