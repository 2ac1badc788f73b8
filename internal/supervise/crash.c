/* An engine has ended. Who pays: the call that was running, and those of which nobody knows whether they are
 * durable. All others go to the next engine, in their old order, unless they have been through that too
 * often. */
#include "base/check.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "supervise/state.h"
#include <sys/wait.h>

/* How an engine that ends by itself says why. */
static const struct goodbye {
    int status;
    enum err_code code;
    bool crash; /* counts for the breaker */
    const char *name, *message;
} GOODBYES[] = {
    {ENGINE_EXIT_SANDBOX, ERR_UNAVAILABLE, true, "sandbox", "the engine could not enter its sandbox"},
    {ENGINE_EXIT_OPEN, ERR_IO, true, "open", "the database could not be opened"},
    {ENGINE_EXIT_CORRUPT, ERR_CORRUPT, false, "corrupt",
        "the database file is damaged, missing or not this database's; it was set aside and needs a restore"},
    {ENGINE_EXIT_FULL, ERR_FULL, false, "full", "no space is left on the server's disk"},
    {ENGINE_EXIT_IO, ERR_IO, true, "io", "the server's disk failed to keep what was written"},
    {ENGINE_EXIT_PROTOCOL, ERR_WORKER_CRASHED, true, "protocol", "the database engine stopped unexpectedly"},
};

struct verdict {
    uint64_t running;
    uint32_t phase;
    bool blameless; /* it died with the zygote: no call is at fault */
    bool crash;
    const struct goodbye *goodbye; /* NULL: a signal, or a status of nobody's */
    int64_t now;
};

static const struct goodbye *goodbye_with(int status)
{
    for (size_t i = 0; i < ARRAY_LEN(GOODBYES); i++) {
        if (GOODBYES[i].status == status)
            return &GOODBYES[i];
    }
    return NULL;
}

/* An engine that cannot enter a directory or read a file does not know why: both may simply be gone. */
static const struct goodbye *goodbye_of(const struct peer *e)
{
    if (e->wait_status < 0 || !WIFEXITED(e->wait_status))
        return NULL;
    int status = WEXITSTATUS(e->wait_status);
    bool unsure = status == ENGINE_EXIT_SANDBOX || status == ENGINE_EXIT_OPEN || status == ENGINE_EXIT_IO;
    if (unsure && database_is_lost(e->db))
        status = ENGINE_EXIT_CORRUPT;
    return goodbye_with(status);
}

static bool was_crash(const struct peer *e, const struct verdict *v)
{
    if (e->end == END_PROTOCOL)
        return true;
    if (e->end > END_LEAVE || e->wait_status < 0)
        return false;
    if (e->kind == KIND_STREAM && e->taken && WIFEXITED(e->wait_status))
        return false; /* it broke an answer off half-way (its deadline, say) and had no other way to tell */
    if (v->goodbye)
        return v->goodbye->crash;
    bool clean = WIFEXITED(e->wait_status) && WEXITSTATUS(e->wait_status) == ENGINE_EXIT_OK;
    return !(clean && e->end == END_LEAVE);
}

static void log_end(const struct peer *e, const struct verdict *v)
{
    struct flight *f = flight_find(e->s, v->running);
    bool ours = f && f->engine == e && f->call;
    log_event(LOG_WARN, "engine_crash", LOG_STR("db", id_str(&e->db->id)), LOG_INT("pid", e->pid),
        LOG_INT("signal", e->wait_status >= 0 && WIFSIGNALED(e->wait_status) ? WTERMSIG(e->wait_status) : 0),
        LOG_INT(
            "status", e->wait_status >= 0 && WIFEXITED(e->wait_status) ? WEXITSTATUS(e->wait_status) : -1),
        LOG_CSTR("why", v->goodbye ? v->goodbye->name : "crash"), LOG_INT("phase", v->phase),
        LOG_CSTR("op", ours ? wire_op_name(f->call->req.op) : "none"),
        LOG_STR("request_id", ours ? f->call->req.request_id : STR_EMPTY));
}

/* Did it surely leave nothing behind, so that running it again is running it once? */
static bool may_run_again(const struct peer *e, const struct flight *f, const struct verdict *v)
{
    if (e->end == END_CANCELLED || e->end == END_PROTOCOL) /* a liar's board is worth nothing either */
        return false;
    if (f->replied || f->cancelled || f->tries >= SUPERVISE_RETRY_MAX || f->db->scratch_dir)
        return false;
    if (f->id == v->running && !v->blameless)
        return false;
    if (v->phase == BOARD_IDLE || v->phase == BOARD_OPEN)
        return true;
    /* The commit may have happened: fine for what only reads, and for what the engine recognises by its key.
     */
    return f->call->req.idempotency_key.len > 0 || wire_op_lane(f->call->req.op) == WIRE_LANE_READ;
}

static void pay_error(const struct peer *e, const struct flight *f, const struct verdict *v, struct err *err)
{
    if (f->cancelled || e->end == END_CANCELLED)
        cancel_error(err);
    else if (e->end == END_STALLED)
        err_set(err, ERR_UNAVAILABLE, "the receiver took too long to read the answer");
    else if (e->end == END_DEADLINE && (f->id == v->running || f->call->req.deadline_us <= v->now))
        deadline_error(err);
    else if (f->replied && !v->crash)
        err_set(err, ERR_UNAVAILABLE, "the answer broke off");
    else if (v->goodbye && f->id != v->running)
        err_set(err, v->goodbye->code, "%s", v->goodbye->message);
    else if (v->phase != BOARD_IDLE && v->phase != BOARD_OPEN)
        err_set(err, ERR_WORKER_CRASHED,
            "the database engine stopped while it committed; look whether the write was kept before it is "
            "sent again, "
            "or send it with an Idempotency-Key");
    else
        err_set(err, ERR_WORKER_CRASHED, "the database engine stopped while it worked on this request");
}

static void send_again(struct peer *e, struct flight *f)
{
    list_remove(&f->node);
    e->sent_count--;
    e->sent_bytes -= f->size;
    f->engine = NULL;
    f->tries++;
    e->s->gone.retries++;
    flight_wait(f, true);
}

/* From the last to the first, because each goes to the head of its list. */
static void settle_sent(struct peer *e, const struct verdict *v)
{
    while (!list_empty(&e->sent)) {
        struct flight *f = LIST_ITEM(e->sent.prev, struct flight, node);
        struct err err = ERR_INIT;
        if (f->call && may_run_again(e, f, v)) {
            send_again(e, f);
            continue;
        }
        if (f->call)
            pay_error(e, f, v, &err);
        if (f->trial && e->end == END_DEADLINE)
            database_answered(f->db); /* slow, but it did not crash */
        flight_finish(f, &err);
    }
}

/* It ended before it was ready. Nothing was sent; someone has to pay all the same, or it would be started for
 * ever. */
static void settle_start(struct peer *e, const struct verdict *v)
{
    struct database *db = e->db;
    struct list *head = e->kind == KIND_READER   ? &db->bounced
                        : e->kind == KIND_STREAM ? &db->streams
                                                 : &db->waiting;
    struct err err = ERR_INIT;
    if (v->blameless || e->end == END_LEAVE)
        return;
    if (e->start_failed)
        err_set(&err, ERR_UNAVAILABLE, "no engine could be started for the database");
    else if (v->goodbye)
        err_set(&err, v->goodbye->code, "%s", v->goodbye->message);
    else
        err_set(&err, ERR_WORKER_CRASHED, "the database engine stopped unexpectedly");
    err.retry_after_s = e->start_failed ? 1 : 0;
    if (e->kind == KIND_WRITER && (v->goodbye || e->start_failed))
        database_fail_waiting(db, &err); /* it would be the same for each of them */
    else if (!list_empty(head))
        flight_finish(LIST_FIRST(head, struct flight, node), &err);
}

void peer_settle(struct peer *e)
{
    struct verdict v = {.blameless = e->wait_status < 0 && e->end == END_NONE && !e->start_failed,
        .goodbye = goodbye_of(e),
        .now = clock_mono_us()};
    if (e->board) {
        v.running = atomic_load_explicit(&e->board->running_call, memory_order_acquire);
        v.phase = atomic_load_explicit(&e->board->phase, memory_order_acquire);
    }
    v.crash = was_crash(e, &v);
    if (v.crash) {
        e->s->gone.crashes++;
        log_end(e, &v);
        database_crashed(e->db);
    }
    if (v.goodbye && v.goodbye->code == ERR_CORRUPT)
        database_quarantine(e->db);
    if (e->state != PEER_READY)
        settle_start(e, &v);
    settle_sent(e, &v);
}
