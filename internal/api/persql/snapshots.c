/* Snapshots of a database. Making one is a flow: the engine copies, a worker keeps the file. So is restoring
 * one: a worker copies the file beside the others' work, another step exchanges it for the database's. */
#include "api/call.h"
#include "api/persql/kept.h"
#include "api/persql/views.h"
#include "api/snapshot_call.h"
#include "base/clock.h"
#include "base/enc.h"
#include "base/limits.h"
#include "branch/snapshot.h"
#include "json/rewrite.h"

route_worker_fn persql_snapshot_list, persql_snapshot_delete;
route_loop_fn persql_snapshot_create, persql_snapshot_restore;

struct snapshot_flow {
    struct str snapshot_id, bookmark; /* one of these three says which */
    int64_t timestamp;                /* -1 not said */
    int64_t changed_at;               /* the last commit, as the writer knows it; 0 unknown */
    struct id id;                     /* of the copy that is put in place */
    struct snapshot_new wanted;       /* to be made */
    struct id database_id;
    struct registry_entry database;
    struct snapshot snapshot;
    int64_t sealed_us; /* when the database was told to write down what is kept */
    bool lost;         /* it could not */
    struct snapshot kept;
    const struct jsonr_value *broken; /* invariants that do not hold afterwards; NULL: nobody could tell */
    struct err failed;
};

static void view(struct jsonw *w, const struct snapshot *s)
{
    char bookmark[SNAPSHOT_BOOKMARK_SIZE];
    bool exact = s->state_from <= s->state_to;
    snapshot_bookmark(&s->id, bookmark);
    jsonw_object(w);
    JSONW_TEXT(w, "id", id_str(&s->id));
    JSONW_CSTR(w, "bookmark", bookmark);
    JSONW_CSTR(w, "label", s->label);
    JSONW_CSTR(w, "kind", snapshot_kind_name(s->kind));
    JSONW_INT(w, "bytes", s->bytes);
    view_time(w, "createdAt", s->created_at);
    view_time(w, "exactFrom", exact ? s->state_from : 0);
    view_time(w, "exactTo", exact ? s->state_to : 0);
    jsonw_object_end(w);
}

/* --- List, delete --- */

enum err_code persql_snapshot_list(struct api_call *c)
{
    struct registry_entry e;
    struct snapshot *rows;
    size_t count;
    int64_t limit;
    struct str after;
    enum err_code rc = call_page_of(c, CAP_SCHEMA_READ, &e, &after, &limit);
    if (!rc)
        rc = snapshot_list(c->db, c->arena, &e.id, after, limit, &rows, &count, c->err);
    if (rc)
        return rc;
    jsonw_array(c->out);
    for (size_t i = 0; i < count; i++)
        view(c->out, &rows[i]);
    jsonw_array_end(c->out);
    return ERR_OK;
}

enum err_code persql_snapshot_delete(struct api_call *c)
{
    struct registry_entry e;
    struct snapshot gone;
    enum err_code rc = kept_check_caller(c->who, "A snapshot", c->err);
    if (!rc)
        rc = call_database(c, CAP_SNAPSHOT, &e);
    if (!rc)
        rc = snapshot_delete(c->db, c->disk, c->by, &e, c->item, &gone, c->err);
    if (!rc)
        view(c->out, &gone);
    return rc;
}

/* --- Create --- */

static const struct jsonr_field create_fields[] = {
    {"label", JF_TEXT, offsetof(struct snapshot_flow, wanted.label), JF_NULL_OK, 1,
        LIMIT_SNAPSHOT_LABEL_BYTES},
};

#define EMPTY_RESTORE "The body is empty; send {\"snapshotId\":…}"

static const struct jsonr_field restore_fields[] = {
    {"snapshotId", JF_TEXT, offsetof(struct snapshot_flow, snapshot_id), JF_NULL_OK, 1, 64},
    {"bookmark", JF_TEXT, offsetof(struct snapshot_flow, bookmark), JF_NULL_OK, 1, 64},
    {"timestamp", JF_INT, offsetof(struct snapshot_flow, timestamp), JF_NULL_OK, 0, INT64_MAX},
};

static enum err_code keep(struct api_call *c)
{
    struct snapshot_flow *f = c->flow;
    enum err_code rc = call_database(c, CAP_SNAPSHOT, &f->database);
    if (!rc)
        rc = snapshot_put(c->db, c->disk, c->by, &f->database, &f->wanted, &f->snapshot, c->err);
    if (!rc)
        view(c->out, &f->snapshot);
    return rc;
}

/* The engine was killed, for whoever asked left, or never came to it. */
static enum err_code put_away(struct api_call *c)
{
    const struct snapshot_flow *f = c->flow;
    registry_copy_drop(c->disk->data_dir, id_str(&f->database_id), id_str(&f->wanted.id));
    *c->err = f->failed;
    return f->failed.code;
}

static void fail_copy(struct api_request *r, const struct err *failed)
{
    struct snapshot_flow *f = r->flow;
    struct err err = ERR_INIT;
    r->calling = false;
    f->failed = *failed;
    f->database_id = r->place.id;
    if (request_run_step(r, WORKQ_READ, put_away, NULL, &err))
        request_flow_fail(r, failed);
}

static void on_copied(struct engine_call *call, const struct err *failed)
{
    struct api_request *r = call->arg;
    struct snapshot_flow *f = r->flow;
    if (failed) {
        fail_copy(r, failed);
        return;
    }
    if (r->head.status == 200)
        f->wanted.read_at = snapshot_call_read_at(r);
    f->wanted.changed_at = supervise_last_commit_ms(r->api->opt.supervisor, id_str(&r->place.id));
    request_flow_next(call, NULL, keep);
}

static enum err_code copy(struct api_request *r, struct err *err)
{
    struct snapshot_flow *f = r->flow;
    enum err_code rc = request_fill_call(r, LIMIT_COPY_MS * 1000, err);
    f->wanted.id = id_new("snap");
    return rc ? rc : snapshot_call(r, &f->wanted.id, LIMIT_COPY_MS, on_copied, err);
}

void persql_snapshot_create(struct api_request *r)
{
    struct err err = ERR_INIT;
    struct snapshot_flow *f = ARENA_NEW(&r->arena, struct snapshot_flow);
    f->wanted.label = S("snapshot");
    r->flow = f;
    enum err_code rc = kept_check_caller(r->who->id, "A snapshot", &err);
    if (!rc)
        rc = kept_read_body(r, create_fields, ARRAY_LEN(create_fields), NULL, f, &err);
    if (!rc)
        rc = kept_check_label(f->wanted.label, &err);
    if (!rc)
        rc = copy(r, &err);
    if (rc)
        request_flow_fail(r, &err);
}

/* --- Restore --- */

static enum err_code check_which(const struct snapshot_flow *f, struct err *err)
{
    int64_t now = clock_wall_ms();
    if ((f->snapshot_id.ptr != NULL) + (f->bookmark.ptr != NULL) + (f->timestamp >= 0) != 1)
        return err_field(err, "", "Send exactly one of snapshotId, bookmark and timestamp");
    if (f->timestamp >= 0 && (f->timestamp > now || f->timestamp < now - LIMIT_SNAPSHOT_MS))
        return err_field(
            err, "/timestamp", "must be unix milliseconds within the last 30 days, and not in the future");
    return ERR_OK;
}

static enum err_code find(struct api_call *c, struct snapshot_flow *f)
{
    struct id id;
    const struct id *database = &f->database.id;
    if (f->timestamp >= 0)
        return snapshot_at(c->db, c->disk, database, f->timestamp, f->changed_at, &f->snapshot, c->err);
    if (!f->bookmark.ptr)
        return snapshot_get(c->db, database, f->snapshot_id, &f->snapshot, c->err);
    enum err_code rc = snapshot_of_bookmark(f->bookmark, &id, c->err);
    return rc ? rc : snapshot_get(c->db, database, id_str(&id), &f->snapshot, c->err);
}

static enum err_code prepare(struct api_call *c)
{
    struct snapshot_flow *f = c->flow;
    enum err_code rc = call_database(c, CAP_SNAPSHOT, &f->database);
    if (!rc)
        rc = find(c, f);
    f->id = id_new("db");
    return rc ? rc : snapshot_copy(c->disk, &f->database, &f->snapshot, &f->id, c->err);
}

/* The database writes again before long: then what it wrote down is no longer all. */
static enum err_code check_sealed(const struct snapshot_flow *f, struct err *err)
{
    if (f->lost || clock_mono_us() - f->sealed_us < LIMIT_RESTORE_SEAL_MS * 1000 / 2)
        return ERR_OK;
    return err_retry(
        err, ERR_UNAVAILABLE, 1, "The server was busy for too long; nothing was restored, try again");
}

static enum err_code restore(struct api_call *c)
{
    struct snapshot_flow *f = c->flow;
    enum err_code rc = check_sealed(f, c->err);
    if (rc) {
        registry_unstage(c->disk->data_dir, id_str(&f->id));
        return rc;
    }
    return snapshot_restore(
        c->db, c->disk, c->by, &f->database, &f->snapshot, &f->id, f->lost, &f->kept, c->err);
}

static enum err_code tell_restored(struct api_call *c)
{
    const struct snapshot_flow *f = c->flow;
    jsonw_object(c->out);
    JSONW_TEXT(c->out, "snapshotId", id_str(&f->snapshot.id));
    jsonw_key(c->out, "replaced");
    view(c->out, &f->kept);
    jsonw_key(c->out, "invariants");
    if (f->broken)
        jsonw_value(c->out, f->broken, NULL);
    else
        jsonw_null(c->out);
    jsonw_object_end(c->out);
    return ERR_OK;
}

static void end_restore(struct api_request *r)
{
    struct err err = ERR_INIT;
    if (request_run_step(r, WORKQ_READ, tell_restored, NULL, &err))
        request_flow_fail(r, &err);
}

static void on_asked(struct engine_call *call, const struct err *failed)
{
    struct api_request *r = call->arg;
    struct snapshot_flow *f = r->flow;
    r->calling = false;
    f->broken = failed ? NULL : snapshot_call_broken(r);
    end_restore(r);
}

/* It is done, whatever the answer to this. */
static void on_restored(struct api_request *r)
{
    struct err ignored = ERR_INIT;
    if (snapshot_call_invariants(r, on_asked, &ignored))
        end_restore(r);
}

static enum err_code give_up(struct api_call *c)
{
    struct snapshot_flow *f = c->flow;
    registry_unstage(c->disk->data_dir, id_str(&f->id));
    registry_copy_drop(c->disk->data_dir, id_str(&f->database.id), id_str(&f->id));
    *c->err = f->failed;
    return f->failed.code;
}

/* A file that cannot be read any more is no reason not to go back to one that can. */
static void go_on(struct api_request *r, const struct err *failed)
{
    struct snapshot_flow *f = r->flow;
    struct err err = ERR_INIT;
    f->lost = failed && failed->code == ERR_CORRUPT;
    if (failed)
        f->failed = *failed;
    bool restores = !failed || f->lost;
    if (request_run_step(r, WORKQ_WRITE, restores ? restore : give_up, restores ? on_restored : NULL, &err))
        request_flow_fail(r, &err);
}

static void on_carried(struct engine_call *call, const struct err *failed)
{
    struct api_request *r = call->arg;
    struct err err = ERR_INIT;
    r->calling = false;
    if (!failed && r->head.status == 403) {
        failed = &err;
        (void)err_set(&err, ERR_FORBIDDEN, STR_FMT, STR_ARG(snapshot_call_error(r)));
    } else if (!failed && r->head.status != 200 && r->head.code == ERR_UNAVAILABLE) {
        failed = &err; /* another restore, as a rule */
        (void)err_retry(
            &err, ERR_UNAVAILABLE, 1, "Nothing was changed: " STR_FMT, STR_ARG(snapshot_call_error(r)));
    } else if (!failed && r->head.status != 200) {
        failed = &err;
        (void)err_retry(&err, r->head.code ? (enum err_code)r->head.code : ERR_INTERNAL, 1,
            "What the restore is to keep could not be written down; nothing was changed");
    }
    go_on(r, failed);
}

static void on_prepared(struct api_request *r)
{
    struct snapshot_flow *f = r->flow;
    struct err err = ERR_INIT;
    f->sealed_us = clock_mono_us();
    if (snapshot_call_carry(r, &f->id, on_carried, &err))
        go_on(r, &err);
}

void persql_snapshot_restore(struct api_request *r)
{
    struct err err = ERR_INIT;
    struct snapshot_flow *f = ARENA_NEW(&r->arena, struct snapshot_flow);
    r->flow = f;
    f->snapshot_id = f->bookmark = (struct str){NULL, 0};
    f->timestamp = -1;
    f->changed_at = supervise_last_commit_ms(r->api->opt.supervisor, id_str(&r->place.id));
    enum err_code rc = kept_check_caller(r->who->id, "A snapshot", &err);
    if (!rc)
        rc = kept_read_body(r, restore_fields, ARRAY_LEN(restore_fields), EMPTY_RESTORE, f, &err);
    if (!rc)
        rc = check_which(f, &err);
    if (!rc)
        rc = request_run_step(r, WORKQ_READ, prepare, on_prepared, &err);
    if (rc)
        request_flow_fail(r, &err);
}
