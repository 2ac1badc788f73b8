/* POST …/import: the uploaded file is put where the database's engine can read it, and the engine loads it in
 * one transaction.
 *
 *   spool (worker) ─► [sqlite: check (throw-away engine) ─► move (worker)] ─► load (engine) ─► clean (worker)
 * ─► answer
 *
 * A SQLite file is never opened beside live data: a throw-away engine checks it and writes it out as SQL,
 * which is then loaded like any other dump. Whatever happens, what was put on disk is removed again; after a
 * crash, at the next start. */
#include "api/persql/import_format.h"
#include "api/request.h"
#include "registry/registry.h"
#include "base/check.h"
#include "base/fs.h"
#include "base/id.h"
#include "base/limits.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#define UPLOAD_NAME "upload.db" /* what the check looks for in the scratch directory */
#define DUMP_NAME   "dump.sql"  /* what it leaves in out/ below it */

route_loop_fn persql_import;

struct import {
    struct api_request *r;
    struct import_upload upload;
    struct id name;            /* of the file in the engine's inbox */
    char inbox[FS_PATH_MAX];   /* <data>/db/<id>/in */
    char path[FS_PATH_MAX];    /* the file in it */
    char scratch[FS_PATH_MAX]; /* "" unless it is a SQLite file */
    struct err err;            /* of the first step that failed */
};

/* --- Files: worker thread --- */

static enum err_code write_bytes(int fd, struct str bytes, struct err *err)
{
    while (bytes.len) {
        ssize_t n = write(fd, bytes.ptr, bytes.len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_errno(
                err, errno == ENOSPC || errno == EDQUOT ? ERR_FULL : ERR_IO, "Storing the upload");
        bytes = str_slice(bytes, (size_t)n, bytes.len);
    }
    return ERR_OK;
}

/* Not durable: it is read once and removed. */
static enum err_code spool(const char *dir, const char *path, struct str bytes, struct err *err)
{
    enum err_code rc = fs_mkdir_p(dir, 0700, err);
    if (rc)
        return rc;
    AUTO_FD fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_errno(err, ERR_IO, "Storing the upload");
    return write_bytes(fd, bytes, err);
}

static void spool_run(struct workq_job *job, unsigned worker)
{
    struct import *x = CONTAINER_OF(job, struct api_request, job)->flow;
    char path[FS_PATH_MAX];
    (void)worker;
    if (x->scratch[0]) {
        fs_join(path, x->scratch, "out");
        x->err.code = fs_mkdir_p(path, 0700, &x->err);
        fs_join(path, x->scratch, UPLOAD_NAME);
        if (!x->err.code)
            x->err.code = spool(x->scratch, path, x->upload.bytes, &x->err);
    } else {
        x->err.code = spool(x->inbox, x->path, x->upload.bytes, &x->err);
    }
}

static void move_run(struct workq_job *job, unsigned worker)
{
    struct import *x = CONTAINER_OF(job, struct api_request, job)->flow;
    char out[FS_PATH_MAX], dump[FS_PATH_MAX];
    (void)worker;
    fs_join(out, x->scratch, "out");
    fs_join(dump, out, DUMP_NAME);
    x->err.code = fs_mkdir_p(x->inbox, 0700, &x->err);
    if (!x->err.code && rename(dump, x->path) != 0)
        x->err.code = err_errno(&x->err, ERR_IO, "Moving the checked upload");
}

static void clean(struct import *x)
{
    (void)unlink(x->path); /* absent when an earlier step failed */
    if (x->scratch[0] && fs_remove_tree(x->scratch, NULL))
        return; /* the next start removes it */
}

static void clean_run(struct workq_job *job, unsigned worker)
{
    (void)worker;
    clean(CONTAINER_OF(job, struct api_request, job)->flow);
}

/* --- Steps: loop thread --- */

static void finish(struct import *x);

static void answer(struct workq_job *job)
{
    struct api_request *r = CONTAINER_OF(job, struct api_request, job);
    struct import *x = r->flow;
    struct err err = x->err;
    http_set_header(r->http, "X-Import-Bytes", arena_printf(&r->arena, "%zu", x->upload.bytes.len));
    r->flow = NULL;
    mem_free(x);
    if (err.code)
        request_fail(r, &err);
    else
        request_reply_gathered(r);
}

/* Runs a step on a worker, or ends the import when the queue is full. A submitted step is the worker's: it
 * may have begun before workq_submit returns. */
static void step(
    struct import *x, void (*run)(struct workq_job *, unsigned), void (*done)(struct workq_job *))
{
    struct api *api = x->r->api;
    struct err err = ERR_INIT;
    x->r->job = (struct workq_job){.run = run, .done = done};
    if (workq_submit(api->opt.workq, api->opt.loop, WORKQ_READ, &x->r->job, &err) == ERR_OK)
        return;
    x->err = err;
    finish(x);
}

/* Cleaning must happen: with a full queue it is done here and now. */
static void finish(struct import *x)
{
    struct api *api = x->r->api;
    x->r->job = (struct workq_job){.run = clean_run, .done = answer};
    if (!workq_submit(api->opt.workq, api->opt.loop, WORKQ_READ, &x->r->job, NULL))
        return;
    clean(x);
    answer(&x->r->job);
}

static bool call_failed(struct import *x, const struct err *err)
{
    x->r->calling = false;
    if (err)
        x->err = *err;
    else if (strbuf_failed(&x->r->body))
        x->err.code = err_set(&x->err, ERR_TOO_LARGE, "The answer is too large");
    return x->err.code || x->r->head.status != 200;
}

static void load_done(struct engine_call *call, const struct err *err)
{
    struct import *x = ((struct api_request *)call->arg)->flow;
    (void)call_failed(x, err);
    finish(x);
}

static void add_arg(struct wire_call *call, const char *name, struct str value)
{
    CHECK(call->arg_count < WIRE_ARGS_MAX);
    call->args[call->arg_count++] = (struct wire_arg){str_of(name), value};
}

static void submit(struct import *x, void (*done)(struct engine_call *, const struct err *))
{
    struct api_request *r = x->r;
    r->call.on_data = request_gather;
    r->call.on_done = done;
    x->err.code = request_submit(r, &x->err);
    if (x->err.code)
        finish(x);
}

static void load(struct import *x)
{
    struct api_request *r = x->r;
    struct wire_call *call = &r->call.req;
    bool dump = x->upload.format == IMPORT_SQLITE;
    x->err.code = request_fill_call(r, LIMIT_IMPORT_TIMEOUT_MS * 1000, &x->err);
    if (x->err.code) {
        finish(x);
        return;
    }
    call->arg_count = 0;
    add_arg(call, "format", str_of(import_format_name(dump ? IMPORT_SQL : x->upload.format)));
    add_arg(call, "file", arena_printf(&r->arena, "in/%s", x->name.text));
    struct str table = query_get(&r->args, "table");
    if (table.ptr)
        add_arg(call, "table", table);
    submit(x, load_done);
}

static void move_done(struct workq_job *job)
{
    struct import *x = CONTAINER_OF(job, struct api_request, job)->flow;
    if (x->err.code)
        finish(x);
    else
        load(x);
}

static void check_done(struct engine_call *call, const struct err *err)
{
    struct import *x = ((struct api_request *)call->arg)->flow;
    if (call_failed(x, err))
        finish(x);
    else
        step(x, move_run, move_done);
}

static void check(struct import *x)
{
    struct api_request *r = x->r;
    x->err.code = request_fill_call(r, LIMIT_IMPORT_TIMEOUT_MS * 1000, &x->err);
    if (x->err.code) {
        finish(x);
        return;
    }
    r->call.place = ENGINE_SCRATCH;
    r->call.scratch_dir = x->scratch;
    r->call.req.op = WIRE_OP_UPLOAD_CHECK;
    r->call.req.arg_count = 0;
    submit(x, check_done);
}

static void spool_done(struct workq_job *job)
{
    struct import *x = CONTAINER_OF(job, struct api_request, job)->flow;
    if (x->err.code)
        finish(x);
    else if (x->scratch[0])
        check(x);
    else
        load(x);
}

static enum err_code read_upload(struct api_request *r, struct import_upload *ret, struct err *err)
{
    if (r->api->health.disk_low)
        return err_set(err, ERR_FULL, "The disk is nearly full: nothing can be written until space is freed");
    enum err_code rc = import_read(
        http_header(r->http, "Content-Type"), query_get(&r->args, "format"), http_body(r->http), ret, err);
    if (rc)
        return rc;
    struct str table = query_get(&r->args, "table");
    bool rows = ret->format == IMPORT_CSV || ret->format == IMPORT_NDJSON;
    if (rows && (!table.ptr || !table.len))
        return err_set(
            err, ERR_INVALID, "Query parameter \"table\" is needed for csv and ndjson: into which table?");
    if (!rows && table.ptr)
        return err_set(err, ERR_INVALID,
            "Query parameter \"table\" is for csv and ndjson; a %s file holds whole tables",
            import_format_name(ret->format));
    return ERR_OK;
}

static void place_files(struct import *x)
{
    char dir[FS_PATH_MAX];
    const char *data = x->r->api->opt.data_dir;
    x->name = id_new("up");
    registry_path(dir, data, id_str(&x->r->db_id));
    fs_join(x->inbox, dir, "in");
    fs_join(x->path, x->inbox, x->name.text);
    if (x->upload.format != IMPORT_SQLITE)
        return;
    fs_join(dir, data, "tmp");
    fs_join(x->scratch, dir, x->name.text);
}

void persql_import(struct api_request *r)
{
    struct err err = ERR_INIT;
    struct import_upload upload;
    if (read_upload(r, &upload, &err)) {
        request_fail(r, &err);
        return;
    }
    struct import *x = MEM_NEW(struct import);
    x->r = r;
    x->upload = upload;
    r->flow = x;
    place_files(x);
    step(x, spool_run, spool_done);
}
