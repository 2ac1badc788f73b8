/* RUN_WORKER: one handler on a worker thread; what it writes becomes "data". */
#include "api/call.h"
#include "api/request.h"
#include "base/check.h"

static void evict(void *arg, struct str db_id)
{
    supervise_evict_sync(arg, db_id);
}

static void allow(void *arg, struct str db_id)
{
    supervise_allow_sync(arg, db_id);
}

static enum err_code call_handler(struct api_request *r, struct db *db, struct err *err)
{
    struct jsonw w;
    struct registry_disk disk = {
        .data_dir = r->api->opt.data_dir, .evict = evict, .allow = allow, .arg = r->api->opt.supervisor};
    struct api_call call = {.db = db,
        .disk = &disk,
        .who = r->who->id,
        .by = r->by,
        .db_slug = r->db,
        .args = &r->args,
        .body = r->call.req.body,
        .arena = &r->arena,
        .out = &w,
        .err = err};
    jsonw_init(&w, &r->body);
    jsonw_object(&w);
    JSONW_BOOL(&w, "success", true);
    jsonw_key(&w, "data");
    enum err_code rc = r->route->on_worker(&call);
    if (rc)
        return rc;
    jsonw_object_end(&w);
    CHECK(jsonw_done(&w));
    return strbuf_failed(&r->body) ? err_set(err, ERR_TOO_LARGE, "The answer is too large") : ERR_OK;
}

static void run(struct workq_job *job, unsigned worker)
{
    struct api_request *r = CONTAINER_OF(job, struct api_request, job);
    struct db *db;
    r->err = (struct err)ERR_INIT;
    enum err_code rc = request_worker_db(r->api, worker, &db, &r->err);
    if (!rc)
        rc = call_handler(r, db, &r->err);
    r->err.code = rc;
}

static void done(struct workq_job *job)
{
    struct api_request *r = CONTAINER_OF(job, struct api_request, job);
    if (r->err.code)
        request_fail(r, &r->err);
    else
        request_reply_body(r, 200, "application/json");
}

enum err_code worker_route_run(struct api_request *r, struct err *err)
{
    strbuf_reset(&r->body);
    r->call.req.body =
        http_body(r->http); /* taken here: the worker must not touch the connection's buffers */
    r->by = request_actor(r);
    r->job = (struct workq_job){.run = run, .done = done};
    enum workq_lane lane = r->route->method == HTTP_GET ? WORKQ_READ : WORKQ_WRITE;
    return workq_submit(r->api->opt.workq, r->api->opt.loop, lane, &r->job, err);
}
