/* Engines as seen from the front: which run, where a call goes, what happens when one hangs or dies.
 *
 *   ┌────────┐ calls  ┌────────────────── database ──────────────────┐
 *   │ caller │───────►│ waiting ─► writer engine ─► group commit     │
 *   └────────┘        │            │ bounce                          │
 *                     │            └─► reader engines (0..4)         │
 *                     │ breaker: three crashes in a minute → 503     │
 *                     └──────────────────────────────────────────────┘
 *
 * Engines are started by the zygote, a process of its own that was exec'd from this binary, holds no secret,
 * no thread and no SQLite, and forks an engine in about a millisecond. It is started again when it dies.
 *
 * Deadlines: the engine answers query_timeout itself; when it is silent 500 ms past a call's deadline it is
 * killed. The call that was running gets the error (504 query_timeout, or 500 worker_crashed when it was no
 * deadline); every other call that surely left nothing behind (wire/board.h) is sent to the next engine, at
 * most SUPERVISE_RETRY_MAX times. A call that merely stands behind a slower one with more time gets its 504
 * without a kill. What was being committed is in doubt and fails, unless the call only reads or carries an
 * idempotency key, by which the engine recognises it.
 *
 * All functions run on the loop thread unless they say otherwise. */
#ifndef SUPERVISE_SUPERVISE_H
#define SUPERVISE_SUPERVISE_H

#include "base/err.h"
#include "base/list.h"
#include "wire/wire.h"
#include "work/loop.h"

#define SUPERVISE_RETRY_MAX 2

struct supervisor;
struct engine_call;

struct supervise_options {
    const char *data_dir;      /* database N lives in <data_dir>/db/<id> */
    int64_t idle_us;           /* an engine without calls leaves after this */
    int64_t undo_kept_ms;      /* struct engine_config */
    int64_t kill_grace_us;     /* silence past a deadline before SIGKILL */
    unsigned engines_max;      /* past it the engine idle for longest is asked to leave */
    unsigned calls_per_db_max; /* running and waiting; past it ERR_RATE_LIMITED */
    unsigned readers_max;      /* reader engines beside one writer */
    bool no_sandbox;           /* --insecure-no-sandbox */
    bool read_only; /* no writer is ever started: only ENGINE_STREAM calls run, beside a server's own engines
                     */
    uint64_t db_bytes_max;                                      /* quota of one database file */
    int64_t cost_request_nano, cost_read_nano, cost_write_nano; /* rates of meta.costUsd in 1e-9 USD a unit */
};

MUST_CHECK enum err_code supervise_new(
    struct loop *l, const struct supervise_options *opt, struct supervisor **ret, struct err *err);
/* Refuses new calls, fails those that wait, lets those at engines finish, asks every engine to checkpoint and
 * leave, then calls done; supervise_free only after that. An engine that has not left after ten seconds is
 * killed, which is as safe. */
void supervise_shutdown(struct supervisor *s, void (*done)(void *arg), void *arg);
void supervise_free(struct supervisor *s);

/* Where a call runs. Ordinary calls say ENGINE_SHARED; the supervisor picks writer or reader. ENGINE_STREAM
 * gets a reader engine of its own whose socket is simply not read while the receiver is slow. ENGINE_SCRATCH
 * gets a throw-away engine over `scratch_dir`, which holds an uploaded file. */
enum engine_place { ENGINE_SHARED, ENGINE_STREAM, ENGINE_SCRATCH };

/* Owned by the caller and alive until on_done; the strings in `req` too. */
struct engine_call {
    /* in */
    struct str db_id;
    enum engine_place place;
    const char *scratch_dir;
    struct wire_call req;
    /* A piece of the reply body; head is non-NULL with the first piece. `chunk` lives for the time of the
     * callback. */
    void (*on_data)(struct engine_call *call, const struct wire_reply_head *head, struct str chunk);
    /* Exactly once, last. err NULL: the reply is complete. Else no reply (or the rest of it) will come. May
     * free the call. */
    void (*on_done)(struct engine_call *call, const struct err *err);
    void *arg;
    void *flight; /* private */
};

/* Never calls back before it returns. Failures (breaker open: ERR_UNAVAILABLE with retry_after_s, too many
 * calls: ERR_RATE_LIMITED, quarantined: ERR_CORRUPT) are returned, and on_done is then not called. */
MUST_CHECK enum err_code supervise_submit(struct supervisor *s, struct engine_call *call, struct err *err);

/* The receiver is gone: the call is interrupted; no data comes any more, on_done still does, later and with
 * an error. */
void supervise_cancel(struct supervisor *s, struct engine_call *call);

/* Stops and resumes reading the engine of an ENGINE_STREAM call. 30 s of pause kill it. */
void supervise_pause(struct supervisor *s, struct engine_call *call);
void supervise_resume(struct supervisor *s, struct engine_call *call);

/* Worker threads: runs one call to its end and blocks. *out gets the body. ERR_OK also when the engine
 * answered with an error status: look at ret_head->status. */
MUST_CHECK enum err_code supervise_call_sync(struct supervisor *s, struct str db_id,
    const struct wire_call *req, struct wire_reply_head *ret_head, struct strbuf *out, struct err *err);

/* Ends the engines of a database (it is being deleted or restored); `done` once none is left. New calls get
 * ERR_NOT_FOUND until supervise_allow(). Worker threads have the _sync form. */
void supervise_evict(struct supervisor *s, struct str db_id, void (*done)(void *arg), void *arg);
/* The same for the moment in which its files are exchanged: new calls get ERR_UNAVAILABLE with retry_after_s.
 */
void supervise_hold(struct supervisor *s, struct str db_id, void (*done)(void *arg), void *arg);
void supervise_allow(
    struct supervisor *s, struct str db_id); /* also ends a quarantine and closes the breaker */
void supervise_evict_sync(struct supervisor *s, struct str db_id);
void supervise_hold_sync(struct supervisor *s, struct str db_id);
void supervise_allow_sync(struct supervisor *s, struct str db_id);

/* Called, on the loop, when a database turns out to be damaged and is closed to calls. NULL: nobody asks. */
void supervise_on_quarantine(struct supervisor *s, void (*fn)(void *arg, struct str db_id), void *arg);
bool supervise_is_quarantined(struct supervisor *s, struct str db_id); /* any thread */

/* Nothing was committed to the database after this moment, by the wall clock; 0 no writer runs that could
 * tell.
 */
int64_t supervise_last_commit_ms(struct supervisor *s, struct str db_id);

/* From now on (or no longer) every engine answers writes with ERR_FULL: the disk is nearly full. Reads go on.
 */
void supervise_refuse_writes(struct supervisor *s, bool refuse);

/* Counters for /metrics, summed over engines living and gone. */
struct supervise_stats {
    unsigned engines, readers, waiting, breakers_open;
    uint64_t starts, start_us, crashes, kills_deadline, kills_stalled, kills_protocol, kills_stuck,
        idle_exits, bounces, retries;
    uint64_t commits, writes, fsyncs, fsync_us, wal_bytes, busy_us, rollback_redos, violations;
};
void supervise_stats(struct supervisor *s, struct supervise_stats *ret);
bool supervise_ready(const struct supervisor *s); /* the zygote lives */

#endif
