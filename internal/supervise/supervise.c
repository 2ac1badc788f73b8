/* The supervisor's front door, the end of each turn, and its own end. */
#define _XOPEN_SOURCE 700 /* realpath */
#include "supervise/supervise.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/mem.h"
#include "supervise/state.h"
#include <limits.h>
#include <stdlib.h>

enum { TICK_MIN_US = 5000, TICK_MAX_US = 1000000 };

/* --- the turn --- */

static bool run_dirty_database(struct supervisor *s)
{
    if (list_empty(&s->dirty_databases))
        return false;
    struct database *db = LIST_FIRST(&s->dirty_databases, struct database, dirty_node);
    list_remove(&db->dirty_node);
    database_pump(db);
    if (list_empty(&db->dirty_node))
        (void)database_forget(db);
    return true;
}

static bool run_dirty_engine(struct supervisor *s)
{
    if (list_empty(&s->dirty_engines))
        return false;
    struct peer *e = LIST_FIRST(&s->dirty_engines, struct peer, dirty_node);
    list_remove(&e->dirty_node);
    peer_resume(e);
    peer_flush(e);
    peer_check_ended(e);
    return true;
}

static void check_stopped(struct supervisor *s)
{
    void (*done)(void *arg) = s->stop_done;
    if (!s->stopping || !done || !list_empty(&s->engines) || s->flight_count > 0)
        return;
    s->stop_done = NULL;
    done(s->stop_arg);
}

static void on_turn(void *arg)
{
    struct supervisor *s = arg;
    while (run_dirty_database(s) || run_dirty_engine(s)) {
    }
    peers_start_queued(s);
    check_stopped(s);
}

/* --- the tick: what is about seconds, not microseconds --- */

static void tick_idle(struct supervisor *s, int64_t now)
{
    while (!list_empty(&s->idle)) {
        struct peer *e = LIST_FIRST(&s->idle, struct peer, queue_node);
        if (now - e->idle_us < s->opt.idle_us)
            return;
        s->gone.idle_exits++;
        peer_set_idle(e, false);
        peer_leave(e);
    }
}

/* A low priority is for good: the next call, which may be a short one, finds another engine. One that is
 * called again and again is let be, or a spinning tenant would get a fresh start each time. */
static bool stands_back(const struct peer *e)
{
    return e->board && atomic_load_explicit(&e->board->stands_back, memory_order_relaxed);
}

static void tick_engines(struct supervisor *s, int64_t now)
{
    struct list *it, *nx;
    LIST_EACH(it, nx, &s->engines)
    {
        struct peer *e = LIST_ITEM(it, struct peer, node);
        bool slow_leave = e->end == END_LEAVE && now - e->leave_us > LEAVE_US;
        bool slow_open = e->state == PEER_OPENING && e->end == END_NONE && now - e->asked_us > OPEN_US;
        if (slow_leave || slow_open)
            peer_kill(e, END_STUCK);
        if (e->idle && stands_back(e) && now - e->idle_us > STOOD_BACK_US)
            peer_leave(e);
    }
}

static void tick_remembered(struct supervisor *s)
{
    struct list *it, *nx;
    LIST_EACH(it, nx, &s->remembered)
    (void)database_forget(LIST_ITEM(it, struct database, remember_node));
}

static void on_tick(void *arg)
{
    struct supervisor *s = arg;
    int64_t now = clock_mono_us();
    s->tick_armed = false;
    tick_idle(s, now);
    tick_engines(s, now);
    tick_remembered(s);
    peers_start_queued(s);
    if (!list_empty(&s->engines) || !list_empty(&s->remembered))
        supervisor_tick_soon(s);
}

void supervisor_tick_soon(struct supervisor *s)
{
    int64_t in_us = s->opt.idle_us / 4;
    if (s->tick_armed)
        return;
    s->tick_armed = true;
    loop_timer_set(&s->tick_timer, in_us < TICK_MIN_US   ? TICK_MIN_US
                                   : in_us > TICK_MAX_US ? TICK_MAX_US
                                                         : in_us);
}

/* --- life --- */

static void init_lists(struct supervisor *s)
{
    list_init(&s->engines);
    list_init(&s->queued);
    list_init(&s->asked);
    list_init(&s->idle);
    list_init(&s->dirty_engines);
    list_init(&s->dirty_databases);
    list_init(&s->remembered);
    list_init(&s->free_flights);
    map_init(&s->databases);
    map_init(&s->pids);
}

enum err_code supervise_new_with(struct loop *l, const struct supervise_options *opt,
    struct engine_starter *(*make)(struct loop *l, struct supervisor *s), struct supervisor **ret,
    struct err *err)
{
    char *data = realpath(opt->data_dir, NULL);
    char dir[FS_PATH_MAX];
    if (!data)
        return err_errno(err, ERR_IO, "finding the data directory");
    fs_join(dir, data, "db");
    free(data);
    struct supervisor *s = MEM_NEW(struct supervisor);
    s->loop = l;
    s->opt = *opt;
    s->opt.data_dir = NULL; /* the caller's memory */
    s->dir = mem_strdup(dir);
    s->read_buffer = mem_alloc(READ_BUFFER);
    s->due_armed_us = INT64_MAX;
    init_lists(s);
    loop_turn_init(&s->turn, l, on_turn, s);
    loop_timer_init(&s->due_timer, l, deadline_fire, s);
    loop_timer_init(&s->tick_timer, l, on_tick, s);
    sync_init(s);
    s->starter = make(l, s);
    *ret = s;
    return ERR_OK;
}

static struct engine_starter *make_zygote(struct loop *l, struct supervisor *s)
{
    return zygote_starter_new(l, s, "/proc/self/exe");
}

enum err_code supervise_new(
    struct loop *l, const struct supervise_options *opt, struct supervisor **ret, struct err *err)
{
    return supervise_new_with(l, opt, make_zygote, ret, err);
}

void supervise_shutdown(struct supervisor *s, void (*done)(void *arg), void *arg)
{
    struct str id;
    void *db;
    CHECK(loop_is_current(s->loop) && !s->stopping);
    s->stopping = true;
    s->stop_done = done;
    s->stop_arg = arg;
    sync_close(s);
    for (size_t pos = 0; map_next(&s->databases, &pos, &id, &db);)
        database_touch(db);
    struct list *it, *nx;
    LIST_EACH(it, nx, &s->engines)
    database_touch(LIST_ITEM(it, struct peer, node)->db); /* scratch ones are in no map */
    loop_turn_ask(&s->turn);
}

void supervise_free(struct supervisor *s)
{
    if (!s)
        return;
    CHECK(list_empty(&s->engines) && s->databases.count == 0);
    s->starter->free(s->starter);
    sync_release(s);
    loop_turn_release(&s->turn);
    loop_timer_release(&s->due_timer);
    loop_timer_release(&s->tick_timer);
    flights_release(s);
    map_release(&s->databases);
    map_release(&s->pids);
    mem_free(s->read_buffer);
    mem_free(s->dir);
    mem_free(s);
}

bool supervise_ready(const struct supervisor *s)
{
    return !s->stopping && s->starter->alive(s->starter);
}

/* --- calls --- */

/* The database of a call, or NULL with `err` set. */
static struct database *find_database(struct supervisor *s, const struct engine_call *call, struct err *err)
{
    if (call->place != ENGINE_SCRATCH)
        return database_get(s, call->db_id);
    if (s->scratch_count >= SCRATCH_MAX) {
        (void)err_retry(err, ERR_BUSY, 2, "too many uploaded files are being checked at this time");
        return NULL;
    }
    char *dir =
        realpath(call->scratch_dir, NULL); /* the zygote lives elsewhere and takes absolute paths alone */
    if (!dir) {
        err_errno(err, ERR_IO, "finding the uploaded file");
        return NULL;
    }
    struct database *db = database_new_scratch(s, dir);
    free(dir);
    return db;
}

enum err_code supervise_submit(struct supervisor *s, struct engine_call *call, struct err *err)
{
    bool trial;
    CHECK(loop_is_current(s->loop));
    if (s->stopping)
        return err_set(err, ERR_UNAVAILABLE, "the server is shutting down");
    if (wire_call_size(&call->req) > WIRE_FRAME_MAX)
        return err_set(err, ERR_TOO_LARGE, "the request is too large for the database engine");
    struct database *db = find_database(s, call, err);
    if (!db)
        return err->code;
    enum err_code code = database_admit(db, &trial, err);
    if (code != ERR_OK) {
        database_touch(db); /* it may be a new one without anything to remember */
        return code;
    }
    struct flight *f = flight_new(s, db, call);
    f->trial = trial;
    flight_due(f, call->req.deadline_us + s->opt.kill_grace_us);
    bool now = call->place == ENGINE_SHARED && peer_usable(db->writer) && list_empty(&db->waiting) &&
               peer_has_room(db->writer);
    if (!now || !peer_send(db->writer, f))
        flight_wait(f, false);
    database_tell_waiting(db);
    return ERR_OK;
}

void supervise_cancel(struct supervisor *s, struct engine_call *call)
{
    struct flight *f = call->flight;
    CHECK(loop_is_current(s->loop));
    if (!f || f->cancelled)
        return;
    f->cancelled = true;
    if (f->engine)
        f->engine->cancelled_count++;
    if (f->engine && (f->engine->kind == KIND_STREAM || f->engine->kind == KIND_SCRATCH))
        peer_kill(f->engine, END_CANCELLED); /* it may be blocked in a write and has nothing to lose */
    else
        flight_due(f, clock_mono_us()); /* deadline.c does the rest, outside the caller's stack */
}

void supervise_pause(struct supervisor *s, struct engine_call *call)
{
    struct flight *f = call->flight;
    CHECK(loop_is_current(s->loop) && call->place == ENGINE_STREAM);
    if (!f || !f->engine || f->paused)
        return;
    int64_t stalled = clock_mono_us() + STALL_US;
    f->paused = f->engine->paused = true;
    if (stalled < f->due_us)
        flight_due(f, stalled);
    peer_touch(f->engine);
}

void supervise_resume(struct supervisor *s, struct engine_call *call)
{
    struct flight *f = call->flight;
    CHECK(loop_is_current(s->loop) && call->place == ENGINE_STREAM);
    if (!f || !f->paused)
        return;
    f->paused = f->engine->paused = false;
    flight_due(f, call->req.deadline_us + s->opt.kill_grace_us);
    peer_touch(f->engine);
}

void supervise_evict(struct supervisor *s, struct str db_id, void (*done)(void *arg), void *arg)
{
    CHECK(loop_is_current(s->loop));
    database_evict(database_get(s, db_id), done, arg);
}

void supervise_hold(struct supervisor *s, struct str db_id, void (*done)(void *arg), void *arg)
{
    CHECK(loop_is_current(s->loop));
    database_hold(database_get(s, db_id), done, arg);
}

void supervise_allow(struct supervisor *s, struct str db_id)
{
    struct database *db = database_find(s, db_id);
    CHECK(loop_is_current(s->loop));
    if (db)
        database_allow(db);
}

void supervise_on_quarantine(struct supervisor *s, void (*fn)(void *arg, struct str db_id), void *arg)
{
    s->on_quarantine = fn;
    s->on_quarantine_arg = arg;
}

int64_t supervise_last_commit_ms(struct supervisor *s, struct str db_id)
{
    const struct database *db = database_find(s, db_id);
    const struct peer *w = db ? db->writer : NULL;
    bool ready = w && w->board && w->state == PEER_READY;
    int64_t last = ready ? atomic_load_explicit(&w->board->last_commit_ms, memory_order_acquire) : 0;
    return last > 0 ? last : 0;
}

void supervise_refuse_writes(struct supervisor *s, bool refuse)
{
    struct list *it, *nx;
    CHECK(loop_is_current(s->loop));
    s->refuse_writes = refuse;
    LIST_EACH(it, nx, &s->engines)
    {
        struct peer *e = LIST_ITEM(it, struct peer, node);
        if (e->board)
            atomic_store_explicit(&e->board->refuse_writes, refuse, memory_order_relaxed);
    }
}

void supervise_stats(struct supervisor *s, struct supervise_stats *ret)
{
    struct list *it, *nx;
    struct str id;
    void *value;
    CHECK(loop_is_current(s->loop));
    *ret = s->gone;
    LIST_EACH(it, nx, &s->engines)
    {
        struct peer *e = LIST_ITEM(it, struct peer, node);
        if (!e->board)
            continue;
        ret->engines++;
        ret->readers += e->kind == KIND_READER || e->kind == KIND_STREAM;
        ret->wal_bytes += atomic_load_explicit(&e->board->wal_bytes, memory_order_relaxed);
        stats_add_board(ret, e->board);
    }
    for (size_t pos = 0; map_next(&s->databases, &pos, &id, &value);) {
        const struct database *db = value;
        ret->waiting += db->waiting_count;
        ret->breakers_open += db->breaker.state != BREAKER_CLOSED;
    }
}
