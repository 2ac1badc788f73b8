/* Archives of a database. Making one is an export that ends in a file without a name instead of at a client,
 * one piece in flight; when it is whole it gets its name and its row:
 *
 *   look (worker) ─► dump (reader engine) ─► pending ─► writing (worker) ─► keep (worker) ─► answer
 *
 * Whoever leaves, and whatever fails or crashes before that, leaves nothing. archive_download.c sends them.
 */
#include "api/call.h"
#include "api/persql/kept.h"
#include "api/persql/views.h"
#include "base/limits.h"
#include "branch/archive.h"

#include <unistd.h>

route_worker_fn persql_archive_list, persql_archive_delete;
route_loop_fn persql_archive_create;

struct archive_flow {
    struct api_request *r;
    struct str label;
    struct strbuf pending, writing;
    struct spool dump; /* the worker's while `busy` */
    bool busy;         /* a worker writes `writing` */
    bool last;         /* that is the end of it, which is made durable */
    bool over;         /* the engine said its last */
    struct err wrote;  /* of the worker */
    struct err err;    /* the first thing that failed */
    struct archive made;
};

static void view(struct jsonw *w, const struct archive *a)
{
    jsonw_object(w);
    JSONW_TEXT(w, "id", id_str(&a->id));
    JSONW_CSTR(w, "label", a->label);
    JSONW_INT(w, "bytes", a->bytes);
    view_time(w, "createdAt", a->created_at);
    jsonw_object_end(w);
}

/* --- List, delete --- */

enum err_code persql_archive_list(struct api_call *c)
{
    struct registry_entry e;
    struct archive_page page = {.count = 0};
    struct str after;
    int64_t limit;
    enum err_code rc = call_page_of(c, CAP_SCHEMA_READ, &e, &after, &limit);
    if (!rc)
        rc = archive_list(c->db, c->arena, &e.id, after, limit, &page, c->err);
    jsonw_array(c->out);
    for (size_t i = 0; i < page.count && !rc; i++)
        view(c->out, &page.rows[i]);
    jsonw_array_end(c->out);
    return rc;
}

enum err_code persql_archive_delete(struct api_call *c)
{
    struct registry_entry e;
    struct archive gone;
    enum err_code rc = kept_check_caller(c->who, "An archive", c->err);
    if (!rc)
        rc = call_database(c, CAP_SNAPSHOT, &e);
    if (!rc)
        rc = archive_delete(c->db, c->opt->data_dir, c->by, &e, c->item, &gone, c->err);
    if (!rc)
        view(c->out, &gone);
    return rc;
}

/* --- Create: worker threads --- */

static struct archive_flow *flow_of(struct workq_job *job)
{
    return CONTAINER_OF(job, struct api_request, job)->flow;
}

static enum err_code look(struct api_call *c)
{
    struct registry_entry e;
    enum err_code rc = call_database(c, CAP_SNAPSHOT, &e);
    return rc ? rc : archive_check_room(c->db, &e.id, c->err);
}

static enum err_code write_piece(struct archive_flow *x, struct err *err)
{
    char dir[FS_PATH_MAX];
    enum err_code rc = ERR_OK;
    archive_dir(dir, x->r->api->opt.data_dir);
    if (x->dump.fd < 0)
        rc = spool_open(&x->dump, dir, err);
    if (!rc)
        rc = spool_write(&x->dump, strbuf_str(&x->writing), err);
    if (!rc && x->last && fsync(x->dump.fd) != 0)
        rc = err_errno(err, ERR_IO, "make the archive durable");
    return rc;
}

static void write_run(struct workq_job *job, unsigned worker)
{
    struct archive_flow *x = flow_of(job);
    (void)worker;
    x->wrote.code = write_piece(x, &x->wrote);
}

static void keep_run(struct workq_job *job, unsigned worker)
{
    struct archive_flow *x = flow_of(job);
    struct api_request *r = x->r;
    struct db *db;
    enum err_code rc = x->err.code;
    if (!rc)
        rc = request_worker_db(r->api, worker, &db, &x->err);
    if (!rc)
        rc =
            archive_put(db, r->api->opt.data_dir, r->by, &r->place.id, x->label, &x->dump, &x->made, &x->err);
    x->err.code = rc;
    spool_close(&x->dump);
}

/* --- Create: loop thread --- */

static void answer(struct workq_job *job)
{
    struct archive_flow *x = flow_of(job);
    struct api_request *r = x->r;
    struct jsonw w;
    struct err err = x->err;
    r->api->archiving--;
    strbuf_release(&x->pending);
    strbuf_release(&x->writing);
    r->flow = NULL;
    if (err.code) {
        request_fail(r, &err);
    } else if (r->head.status != 200) {
        request_reply_gathered(r);
    } else {
        strbuf_reset(&r->body);
        jsonw_init(&w, &r->body);
        jsonw_object(&w);
        JSONW_BOOL(&w, "success", true);
        jsonw_key(&w, "data");
        view(&w, &x->made);
        jsonw_object_end(&w);
        request_reply_body(r, 200, "application/json");
    }
}

/* All of it is written, or nothing is to be kept; with a full queue it is dropped here and now. */
static void finish(struct archive_flow *x)
{
    struct api *api = x->r->api;
    struct err err = ERR_INIT;
    if (!x->err.code && x->r->head.status != 200) {
        answer(&x->r->job);
        return;
    }
    if (!x->err.code && x->r->head.bytes_total > 0 && x->r->head.bytes_total != x->dump.bytes)
        x->err.code = err_set(&x->err, ERR_INTERNAL, "the dump is not as long as was announced");
    x->r->by = request_actor(x->r);
    x->r->job = (struct workq_job){.run = keep_run, .done = answer};
    if (!workq_submit(api->opt.workq, api->opt.loop, WORKQ_WRITE, &x->r->job, &err))
        return;
    if (!x->err.code)
        x->err = err;
    spool_close(&x->dump);
    answer(&x->r->job);
}

static void go_on(struct archive_flow *x);

static void written(struct workq_job *job)
{
    struct archive_flow *x = flow_of(job);
    x->busy = false;
    if (!x->err.code)
        x->err = x->wrote;
    if (x->r->calling)
        supervise_resume(x->r->api->opt.supervisor, &x->r->call);
    go_on(x);
}

static void write_pending(struct archive_flow *x)
{
    struct api_request *r = x->r;
    struct strbuf empty = x->writing;
    x->writing = x->pending;
    x->pending = empty;
    strbuf_reset(&x->pending);
    x->last = x->over;
    r->job = (struct workq_job){.run = write_run, .done = written};
    x->err.code = workq_submit(r->api->opt.workq, r->api->opt.loop, WORKQ_READ, &r->job, &x->err);
    x->busy = !x->err.code;
    if (x->busy && r->calling)
        supervise_pause(r->api->opt.supervisor, &r->call);
}

/* Called whenever the engine sent something or a worker is done. */
static void go_on(struct archive_flow *x)
{
    struct api_request *r = x->r;
    if (x->busy)
        return;
    if (!x->err.code && strbuf_failed(&x->pending))
        x->err.code = err_set(&x->err, ERR_TOO_LARGE, "The dump cannot be written as fast as it comes");
    if (!x->err.code && r->api->health.disk_low)
        x->err.code = err_set(
            &x->err, ERR_FULL, "The disk is nearly full: nothing can be written until space is freed");
    if (!x->err.code && !x->last && r->head.status == 200 && (x->pending.len || x->over))
        write_pending(x);
    if (x->busy)
        return;
    if (x->over)
        finish(x);
    else if (x->err.code)
        supervise_cancel(r->api->opt.supervisor, &r->call);
}

static void on_data(struct engine_call *call, const struct wire_reply_head *head, struct str chunk)
{
    struct api_request *r = call->arg;
    struct archive_flow *x = r->flow;
    if (head)
        r->head = *head;
    strbuf_add_str(r->head.status == 200 ? &x->pending : &r->body, chunk);
    go_on(x);
}

static void on_done(struct engine_call *call, const struct err *failed)
{
    struct api_request *r = call->arg;
    struct archive_flow *x = r->flow;
    r->calling = false;
    x->over = true;
    if (failed && !x->err.code)
        x->err = *failed;
    go_on(x);
}

/* An admin's export of everything, of the server itself: the capability was checked. */
static enum err_code dump(struct api_request *r, struct err *err)
{
    enum err_code rc = request_fill_call(r, LIMIT_EXPORT_TIMEOUT_MS * 1000, err);
    struct wire_call *call = &r->call.req;
    if (rc)
        return rc;
    call->op = WIRE_OP_EXPORT;
    call->role = WIRE_ROLE_ADMIN;
    call->arg_count = 0;
    strbuf_reset(&r->body);
    r->call.place = ENGINE_STREAM;
    r->call.on_data = on_data;
    r->call.on_done = on_done;
    return request_submit(r, err);
}

static void begin(struct api_request *r)
{
    struct archive_flow *x = r->flow;
    struct err err = ERR_INIT;
    enum err_code rc = ERR_OK;
    if (r->api->archiving >= LIMIT_ARCHIVES_AT_ONCE)
        rc = err_retry(&err, ERR_BUSY, 1, "Other archives are being made; try again in a moment");
    if (!rc)
        rc = dump(r, &err);
    if (rc) {
        request_flow_fail(r, &err);
        return;
    }
    r->api->archiving++;
    strbuf_init(&x->pending, (size_t)16 * WIRE_CHUNK_MAX);
    strbuf_init(&x->writing, (size_t)16 * WIRE_CHUNK_MAX);
}

static const struct jsonr_field create_fields[] = {
    {"label", JF_TEXT, offsetof(struct archive_flow, label), JF_NULL_OK, 1, LIMIT_SNAPSHOT_LABEL_BYTES},
};

void persql_archive_create(struct api_request *r)
{
    struct err err = ERR_INIT;
    struct archive_flow *x = ARENA_NEW(&r->arena, struct archive_flow);
    *x = (struct archive_flow){.r = r, .label = S("archive"), .dump = SPOOL_INIT};
    r->flow = x;
    enum err_code rc = kept_check_caller(r->who->id, "An archive", &err);
    if (!rc)
        rc = kept_read_body(r, create_fields, ARRAY_LEN(create_fields), NULL, x, &err);
    if (!rc)
        rc = kept_check_label(x->label, &err);
    if (!rc)
        rc = request_run_step(r, WORKQ_READ, look, begin, &err);
    if (rc)
        request_flow_fail(r, &err);
}
