/* Reads each database through: an engine of its own, sandboxed, read-only, one after the other. What it says
 * is an outsider's word like any reply of an engine, so it is parsed and cut. */
#include "base/check.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/limits.h"
#include "doctor.h"
#include "json/jsonr.h"
#include "supervise/supervise.h"
#include "work/loop.h"
#include <sys/stat.h>

#define CHECK_US_MAX INT64_C(3600000000)

enum { REPLY_BYTES = 1 << 20, SHOWN_MAX = 3 };

struct rounds {
    struct doctor *d;
    struct loop *loop;
    struct supervisor *supervisor;
    size_t at; /* the database being read */
    unsigned healthy, unused;
    struct engine_call call;
    struct wire_reply_head head;
    struct strbuf body;
};

static void next(struct rounds *r);

static const struct registry_entry *current(const struct rounds *r)
{
    return &r->d->databases[r->at];
}

static void damaged(struct rounds *r, struct str what)
{
    const struct registry_entry *e = current(r);

    doctor_bad(r->d, "databases",
        "stop the server and put main.db (and main.db-wal) back from a backup; to begin anew or with another "
        "file "
        "instead, remove the file \"used\" beside it; no other database is touched",
        "%s/%s (%s): " STR_FMT, e->namespace_slug, e->slug, e->id.text, STR_ARG(str_slice(what, 0, 300)));
}

/* The first problems of {"integrity":[…],"foreignKeys":[…]}. */
static void tell_problems(struct rounds *r, const struct jsonr_value *data)
{
    const struct jsonr_value *texts = jsonr_member(data, S("integrity")),
                             *keys = jsonr_member(data, S("foreignKeys"));
    unsigned shown = 0;

    if (texts && jsonr_kind(texts) == JSONR_ARRAY)
        for (const struct jsonr_value *v = jsonr_first(texts); v && shown < SHOWN_MAX;
             v = jsonr_next(v), shown++)
            damaged(r, jsonr_kind(v) == JSONR_TEXT ? jsonr_text(v) : S("damaged"));
    if (keys && jsonr_kind(keys) == JSONR_ARRAY && jsonr_count(keys) > 0) {
        const struct registry_entry *e = current(r);
        doctor_note(r->d, "databases", "PRAGMA foreign_key_check in the database names the rows",
            "%s/%s: %zu rows point nowhere", e->namespace_slug, e->slug, jsonr_count(keys));
    } else if (shown == 0) {
        damaged(r, S("the check failed"));
    }
}

static void judge_reply(struct rounds *r)
{
    AUTO_ARENA arena;
    const struct jsonr_value *root = NULL;

    arena_init(&arena, 64 * (size_t)REPLY_BYTES);
    if (strbuf_failed(&r->body) || jsonr_parse(&arena, strbuf_str(&r->body), &root, NULL) != ERR_OK ||
        jsonr_kind(root) != JSONR_OBJECT) {
        damaged(r, S("the engine's report cannot be read"));
        return;
    }
    const struct jsonr_value *data = jsonr_member(root, S("data")), *error = jsonr_member(root, S("error"));
    const struct jsonr_value *ok =
        data && jsonr_kind(data) == JSONR_OBJECT ? jsonr_member(data, S("ok")) : NULL;
    if (r->head.status == 200 && ok && jsonr_kind(ok) == JSONR_BOOL && jsonr_bool(ok))
        r->healthy++;
    else if (r->head.status == 200 && ok)
        tell_problems(r, data);
    else
        damaged(r, error && jsonr_kind(error) == JSONR_TEXT ? jsonr_text(error) : S("the check failed"));
}

static void on_data(struct engine_call *call, const struct wire_reply_head *head, struct str chunk)
{
    struct rounds *r = call->arg;

    if (head)
        r->head = *head;
    strbuf_add_str(&r->body, chunk);
}

static void on_next(void *arg)
{
    struct rounds *r = arg;

    r->at++;
    next(r);
}

static void on_done(struct engine_call *call, const struct err *err)
{
    struct rounds *r = call->arg;

    if (err)
        damaged(r, str_of(err->message));
    else
        judge_reply(r);
    loop_post(r->loop, on_next, r); /* not from inside the supervisor's callback */
}

static void on_closed(void *arg)
{
    struct rounds *r = arg;

    loop_stop(r->loop);
}

/* What can be told without an engine. A directory, link or pipe has no bytes, and is not what an unused
 * database leaves. NULL: let an engine read it. */
static const char *plain_damage(const struct rounds *r, const struct registry_entry *e, bool *ret_unused)
{
    char dir[FS_PATH_MAX], path[FS_PATH_MAX];
    struct stat st;
    registry_path(dir, r->d->data, id_str(&e->id));
    fs_join(path, dir, "main.db");
    bool there = lstat(path, &st) == 0;
    if (there && !S_ISREG(st.st_mode))
        return "main.db is not a regular file";
    *ret_unused = registry_bytes(r->d->data, id_str(&e->id)) == 0;
    fs_join(path, dir, "used");
    if ((there && st.st_size > 0) || (*ret_unused && !fs_exists(path)))
        return NULL;
    return there ? "main.db is empty, although the database was used"
                 : "main.db is missing, although the database was used";
}

/* Submits the next database that has files; closes the supervisor after the last. */
static void next(struct rounds *r)
{
    struct err err = ERR_INIT;

    for (; r->at < r->d->database_count; r->at++) {
        bool unused = current(r)->status != REGISTRY_HEALTHY;
        const char *damage = unused ? NULL : plain_damage(r, current(r), &unused);
        if (damage) {
            damaged(r, str_of(damage));
            continue;
        }
        if (unused) {
            r->unused++;
            continue;
        }
        strbuf_reset(&r->body);
        r->head = (struct wire_reply_head){.status = 0};
        r->call = (struct engine_call){.db_id = id_str(&current(r)->id),
            .place = ENGINE_STREAM,
            .req = {.op = WIRE_OP_INTEGRITY,
                .role = WIRE_ROLE_ADMIN,
                .deadline_us = clock_mono_us() + CHECK_US_MAX,
                .request_id = S("doctor"),
                .token_id = S("doctor")},
            .on_data = on_data,
            .on_done = on_done,
            .arg = r};
        if (supervise_submit(r->supervisor, &r->call, &err) == ERR_OK)
            return;
        damaged(r, str_of(err.message));
    }
    supervise_shutdown(r->supervisor, on_closed, r);
}

static void on_begin(void *arg)
{
    next(arg);
}

static void run_rounds(struct rounds *r)
{
    const struct supervise_options options = {.data_dir = r->d->data,
        .idle_us = 1000000,
        .kill_grace_us = LIMIT_KILL_GRACE_MS * 1000,
        .engines_max = 2,
        .calls_per_db_max = 1,
        .readers_max = 1,
        .read_only = true,
        .db_bytes_max = (uint64_t)LIMIT_DB_BYTES};
    struct err err = ERR_INIT;

    if (supervise_new(r->loop, &options, &r->supervisor, &err) != ERR_OK) {
        doctor_bad(r->d, "databases", "see the message", "no engine could be started: %s", err.message);
        return;
    }
    loop_post(r->loop, on_begin, r);
    loop_run(r->loop);
    supervise_free(r->supervisor);
}

void doctor_engines(struct doctor *d)
{
    struct rounds r = {.d = d};
    struct err err = ERR_INIT;

    if (d->database_count == 0)
        return;
    if (!d->can_sandbox) {
        doctor_note(d, "databases", "make the sandbox work first",
            "not read through: engines cannot be sandboxed here");
        return;
    }
    if (loop_new(&r.loop, &err) != ERR_OK) {
        doctor_bad(d, "databases", "see the message", "no engine could be started: %s", err.message);
        return;
    }
    strbuf_init(&r.body, REPLY_BYTES);
    run_rounds(&r);
    strbuf_release(&r.body);
    loop_free(r.loop);
    if (r.healthy)
        doctor_ok(d, "databases", "%u read through and whole, %u never used", r.healthy, r.unused);
}
