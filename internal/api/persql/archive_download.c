/* GET …/archives/{id}/download: a worker reads a piece of the file, the loop sends it, then the next one. */
#include "api/call.h"
#include "api/persql/kept.h"
#include "base/fs.h"
#include "base/mem.h"
#include "branch/archive.h"

#include <errno.h>
#include <unistd.h>

route_loop_fn persql_archive_download;

enum { PIECE_BYTES = 128 << 10 };

struct download {
    struct api_request *r;
    struct archive archive;
    int fd;
    uint64_t left; /* bytes that were announced and are not sent */
    char *piece;
    size_t piece_len;
    struct err err; /* why it ends early */
};

/* --- Worker threads --- */

static enum err_code find(struct api_call *c)
{
    struct registry_entry e;
    struct download *x = c->flow;
    enum err_code rc = call_database(c, CAP_SNAPSHOT, &e);
    if (!rc)
        rc = archive_get(c->db, &e.id, c->item, &x->archive, c->err);
    return rc ? rc : archive_open(c->opt->data_dir, &x->archive, &x->fd, c->err);
}

static struct download *download_of(struct workq_job *job)
{
    return CONTAINER_OF(job, struct api_request, job)->flow;
}

static void read_run(struct workq_job *job, unsigned worker)
{
    struct download *x = download_of(job);
    ssize_t n;
    (void)worker;
    do
        n = read(x->fd, x->piece, x->left < PIECE_BYTES ? (size_t)x->left : PIECE_BYTES);
    while (n < 0 && errno == EINTR);
    if (n > 0)
        x->piece_len = (size_t)n;
    else
        x->err.code = n ? err_errno(&x->err, ERR_IO, "read the archive")
                        : err_set(&x->err, ERR_CORRUPT, "the file of the archive is too short");
}

/* --- Loop thread --- */

static void finish(struct download *x)
{
    struct api_request *r = x->r;
    struct http_request *http = r->http;
    enum err_code code = x->err.code;
    fd_close(&x->fd);
    mem_free(x->piece);
    r->flow = NULL;
    request_end(r, 200, code);
    if (code)
        http_stream_abort(http);
    else
        http_stream_end(http);
}

static void next(struct download *x);

static void drained(void *arg)
{
    struct download *x = arg;
    x->left -= x->piece_len;
    next(x);
}

static void read_done(struct workq_job *job)
{
    struct download *x = download_of(job);
    if (x->err.code)
        finish(x);
    else
        http_stream_send(x->r->http, str_make(x->piece, x->piece_len), drained, x);
}

static void next(struct download *x)
{
    struct api_request *r = x->r;
    if (x->left > 0 && (r->gone || r->api->interrupted))
        x->err.code = err_set(&x->err, ERR_UNAVAILABLE, "the client is gone, or the server is shutting down");
    if (x->left > 0 && !x->err.code) {
        r->job = (struct workq_job){.run = read_run, .done = read_done};
        x->err.code = workq_submit(r->api->opt.workq, r->api->opt.loop, WORKQ_READ, &r->job, &x->err);
        if (!x->err.code)
            return;
    }
    finish(x);
}

static void on_gone(void *arg)
{
    struct api_request *r = arg;
    r->gone = true;
}

static void begin(struct api_request *r)
{
    struct download *x = r->flow;
    x->piece = mem_alloc(PIECE_BYTES);
    x->left = (uint64_t)x->archive.bytes;
    r->head.status = 200;
    r->head.content = WIRE_CONTENT_SQL;
    http_on_gone(r->http, on_gone, r);
    http_set_header(r->http, "Content-Disposition",
        arena_printf(&r->arena, "attachment; filename=\"" STR_FMT ".sql\"", STR_ARG(r->db)));
    http_stream_begin(r->http, 200, request_content_type(r), x->left);
    next(x);
}

void persql_archive_download(struct api_request *r)
{
    struct err err = ERR_INIT;
    struct download *x = ARENA_NEW(&r->arena, struct download);
    *x = (struct download){.r = r, .fd = -1};
    r->flow = x;
    enum err_code rc = kept_check_caller(r->who->id, "An archive", &err);
    if (!rc)
        rc = request_run_step(r, WORKQ_READ, find, begin, &err);
    if (rc)
        request_flow_fail(r, &err);
}
