/* POST …/import: the uploaded file is put where the database's engine can read it, and the engine loads it in
 * one transaction.
 *
 *   receive (upload.h) ─► place (worker) ─► [sqlite: check (throw-away engine) ─► move (worker)] ─►
 *   intend (worker) ─► load (engine) ─► [snapshot, load again] ─► clean (worker) ─► settle (worker) ─► answer
 *
 * A SQLite file is never opened beside live data: a throw-away engine checks it and writes it out as SQL,
 * which is then loaded like any other dump. Whatever happens, what was put on disk is removed again; after a
 * crash, at the next start. */
#include "api/persql/upload.h"
#include "api/snapshot_call.h"
#include "registry/registry.h"
#include "base/check.h"
#include "base/fs.h"
#include "base/id.h"
#include "base/limits.h"
#include "base/mem.h"

#include <assert.h>
#include <stddef.h>
#include <stdio.h>
#include <unistd.h>

#define UPLOAD_NAME "upload.db" /* what the check looks for in the scratch directory */
#define DUMP_NAME   "dump.sql"  /* what it leaves in out/ below it */

route_loop_fn persql_import;

struct import {
    struct upload upload; /* first: r->flow is both */
    struct api_request *r;
    struct id name;            /* of the file in the engine's inbox */
    char inbox[FS_PATH_MAX];   /* <data>/db/<id>/in */
    char path[FS_PATH_MAX];    /* the file in it */
    char scratch[FS_PATH_MAX]; /* "" unless it is a SQLite file */
    struct err err;            /* of the first step that failed */
};

/* --- Files: worker thread --- */

static enum err_code place(struct import *x, struct err *err)
{
    char out[FS_PATH_MAX], path[FS_PATH_MAX];
    bool checked = x->scratch[0];
    fs_join(out, x->scratch, "out");
    fs_join(path, x->scratch, UPLOAD_NAME);
    enum err_code rc = fs_mkdir_p(checked ? out : x->inbox, 0700, err);
    if (!rc)
        rc = upload_need_file(&x->upload, err); /* no byte came: no rows */
    return rc ? rc : spool_publish(&x->upload.spool, checked ? path : x->path, err);
}

static void place_run(struct workq_job *job, unsigned worker)
{
    struct import *x = CONTAINER_OF(job, struct api_request, job)->flow;
    (void)worker;
    x->err.code = place(x, &x->err);
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
    upload_release_files(&x->upload);
    if (x->path[0])
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
    http_set_header(r->http, "X-Import-Bytes",
        arena_printf(&r->arena, "%llu", (unsigned long long)x->upload.spool.bytes));
    upload_release(&x->upload);
    r->flow = NULL;
    mem_free(x);
    request_reply_audited(r, err.code ? &err : NULL);
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
    if (!call_failed(x, err) || err || x->err.code || !snapshot_before_write(x->r))
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

static void intended(struct api_request *r, const struct err *err)
{
    struct import *x = r->flow;
    if (err) {
        x->err = *err;
        finish(x);
    } else {
        submit(x, load_done);
    }
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
    snapshot_ask_first(call);
    x->err.code = request_intend(r, intended, &x->err);
    if (x->err.code)
        finish(x);
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

static void place_done(struct workq_job *job)
{
    struct import *x = CONTAINER_OF(job, struct api_request, job)->flow;
    if (x->err.code)
        finish(x);
    else if (x->scratch[0])
        check(x);
    else
        load(x);
}

/* Only when the file is whole: until then there is nothing to clean. */
static void place_files(struct import *x)
{
    char dir[FS_PATH_MAX];
    const char *data = x->r->api->opt.data_dir;
    x->name = id_new("up");
    registry_path(dir, data, id_str(&x->r->place.id));
    fs_join(x->inbox, dir, "in");
    fs_join(x->path, x->inbox, x->name.text);
    if (x->upload.format != IMPORT_SQLITE)
        return;
    fs_join(dir, data, "tmp");
    fs_join(x->scratch, dir, x->name.text);
}

static void received(struct upload *u)
{
    struct import *x = CONTAINER_OF(u, struct import, upload);
    x->err = u->err;
    if (x->err.code) {
        finish(x);
        return;
    }
    place_files(x);
    step(x, place_run, place_done);
}

static_assert(offsetof(struct import, upload) == 0, "r->flow is a struct upload too");

void persql_import(struct api_request *r)
{
    struct err err = ERR_INIT;
    struct import *x = MEM_NEW(struct import);
    x->r = r;
    if (upload_init(&x->upload, r, &err)) {
        upload_release(&x->upload);
        mem_free(x);
        request_fail(r, &err);
        return;
    }
    r->flow = x;
    upload_receive(&x->upload, received);
}
