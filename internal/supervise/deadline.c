/* One timer for the earliest time at which a flight needs attention: past its deadline, stalled, or cancelled
 * while it waited. */
#include "base/clock.h"
#include "supervise/state.h"

enum {
    AFTER_KILL_US = 1000000, /* a killed process is gone long before */
    CANCEL_AGAIN_US =
        10000, /* the board has one place: several cancelled calls are told in turn, as they come to run */
};

void deadline_error(struct err *err)
{
    err_set(err, ERR_QUERY_TIMEOUT, "the statement did not finish before its deadline and was ended");
}

void cancel_error(struct err *err)
{
    err_set(err, ERR_UNAVAILABLE, "the request was cancelled");
}

static void overdue_waiting(struct flight *f)
{
    struct err err = ERR_INIT;
    if (f->cancelled)
        cancel_error(&err);
    else
        err_set(&err, ERR_QUERY_TIMEOUT, "the database was busy until the deadline of the request");
    flight_finish(f, &err);
}

/* Is the engine at work on something that still has time, so that f merely stands behind it? */
static bool peer_has_excuse(const struct peer *e, const struct flight *f, int64_t now)
{
    uint64_t running = atomic_load_explicit(&e->board->running_call, memory_order_acquire);
    struct flight *r = flight_find(e->s, running);
    if (r == f)
        return false;
    if (r && r->engine == e && r->due_us > now)
        return true;
    /* A slow disk: a kill would only lose the knowledge whether the batch is durable. */
    return atomic_load_explicit(&e->board->phase, memory_order_acquire) == BOARD_COMMITTING &&
           now - e->progress_us < OPEN_US;
}

static void overdue_sent(struct flight *f, int64_t now)
{
    struct peer *e = f->engine;
    int64_t kill_us = f->call->req.deadline_us + f->s->opt.kill_grace_us; /* an orphan is never due */
    struct err err = ERR_INIT;
    if (f->cancelled && e->end <= END_LEAVE && now < kill_us) {
        peer_tell_cancelled(e);
        flight_due(f, now + CANCEL_AGAIN_US < kill_us ? now + CANCEL_AGAIN_US : kill_us);
        return;
    }
    if (e->end > END_LEAVE || peer_has_excuse(e, f, now)) {
        deadline_error(&err);
        flight_orphan(f, &err);
        return;
    }
    flight_due(f, now + AFTER_KILL_US);
    peer_kill(e, f->paused ? END_STALLED : END_DEADLINE);
}

void deadline_fire(void *supervisor)
{
    struct supervisor *s = supervisor;
    int64_t now = clock_mono_us();
    s->due_armed_us = INT64_MAX;
    while (s->heap_count > 0 && s->heap[0]->due_us <= now) {
        struct flight *f = s->heap[0];
        if (f->engine)
            overdue_sent(f, now);
        else
            overdue_waiting(f);
    }
    deadline_arm(s);
}

/* The timer is left alone while it fires early enough: calls come and go far more often than deadlines pass.
 */
void deadline_arm(struct supervisor *s)
{
    if (s->heap_count == 0 || s->heap[0]->due_us >= s->due_armed_us)
        return;
    s->due_armed_us = s->heap[0]->due_us;
    loop_timer_set(&s->due_timer, s->due_armed_us - clock_mono_us());
}
