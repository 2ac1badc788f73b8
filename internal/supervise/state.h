/* What the files of this folder share. Loop thread only, but for sync.c's lock.
 *
 *   supervisor ── databases (those with anything to remember) ── peers ── flights (sent calls)
 *                                                            └─ flights (waiting calls)
 *
 * A peer is an engine process as seen from the front.
 *
 * Order of a turn's end (supervise.c): streams that were resumed, databases that were touched (start engines,
 * send what waits), engines whose out buffer is not empty. Callbacks of calls may ask for more of all three;
 * nothing is freed in them. */
#ifndef SUPERVISE_STATE_H
#define SUPERVISE_STATE_H

#include "base/fs.h"
#include "base/id.h"
#include "base/map.h"
#include "supervise/breaker.h"
#include "supervise/pidfd.h"
#include "supervise/starter.h"
#include "supervise/supervise.h"
#include "wire/board.h"
#include <pthread.h>
#include <sys/types.h>

#define PEER_SENT_MAX       128         /* calls in flight to one engine: what a crash costs to redo */
#define PEER_SENT_BYTES_MAX (1u << 20)  /* or so many bytes; one larger call may go alone */
#define PEER_OUT_KEEP       (16u << 10) /* an empty out buffer gives back more memory than this */
#define READ_BUFFER         ((size_t)2 * WIRE_REPLY_FRAME_MAX)
#define STALL_US            30000000 /* a paused stream is killed after */
#define LEAVE_US            10000000 /* an engine that was asked to leave is killed after */
#define STOOD_BACK_US       1000000  /* an engine with a low priority leaves when it was idle for so long */
#define OPEN_US             30000000 /* an engine that does not become ready is killed after */
#define STARTS_MAX          32       /* requests to the zygote without an answer */
#define SCRATCH_MAX         8        /* uploads checked at once */

/* One call on its way. Its id is slot and generation, so a late or invented id finds nothing. */
struct flight {
    struct list node; /* in a list of its database while it waits, then in engine->sent */
    struct supervisor *s;
    struct engine_call *call; /* NULL: the caller has an answer already, only the engine's is still awaited */
    struct database *db;
    struct peer *engine; /* NULL: waits in the front */
    uint64_t id;
    int64_t due_us;   /* when something must be done about it */
    uint32_t heap_at; /* position in the heap of due times + 1; 0 none */
    size_t size;      /* of its frame, once sent */
    unsigned tries;   /* engines that died over it */
    bool replied, cancelled, bounced, paused, trial;
};

enum peer_kind { KIND_WRITER, KIND_READER, KIND_STREAM, KIND_SCRATCH };

enum peer_state {
    PEER_QUEUED,  /* waits for its turn to be started */
    PEER_ASKED,   /* the starter was asked */
    PEER_OPENING, /* the process lives, the database is not open yet */
    PEER_READY,
};

/* Why we ended it ourselves. */
enum peer_end { END_NONE, END_LEAVE, END_DEADLINE, END_STALLED, END_PROTOCOL, END_CANCELLED, END_STUCK };

struct peer {
    struct list node;       /* supervisor->engines */
    struct list queue_node; /* supervisor->queued or ->asked, then ->idle */
    struct list dirty_node; /* supervisor->dirty_engines */
    struct list db_node;    /* database->readers or ->others */
    struct supervisor *s;
    struct database *db;
    enum peer_kind kind;
    enum peer_state state;
    enum peer_end end;
    int fd, pidfd;
    pid_t pid;
    struct loop_io io, pid_io;
    struct board *board;
    struct strbuf out; /* frames not written yet, from out_at */
    size_t out_at;
    struct strbuf in; /* from in_at: a frame that is not whole, or what a paused stream has left */
    size_t in_at;
    struct list sent;
    unsigned sent_count, cancelled_count;
    size_t sent_bytes;
    int64_t asked_us, idle_us, leave_us, progress_us;
    bool idle, paused, eof, exited, start_failed;
    bool taken;      /* a stream engine got its one call */
    int wait_status; /* meaningful with `exited`; -1 unknown */
};

struct database {
    struct supervisor *s;
    struct list dirty_node;    /* supervisor->dirty_databases */
    struct list remember_node; /* supervisor->remembered: no engine, but a breaker that has not calmed down */
    char *scratch_dir;         /* not NULL: no live database but a throw-away directory */
    struct id id;
    struct list waiting, bounced,
        streams;            /* flights for the writer, for a reader, for an engine of their own */
    unsigned waiting_count; /* in all three */
    unsigned open;          /* flights in all, with those at engines */
    struct peer *writer;
    struct list readers, others; /* others: stream engines */
    unsigned reader_count, stream_count, stream_spare;
    struct breaker breaker;
    bool quarantined, evicted, held; /* held: evicted for a moment */
    struct list evictions;
};

struct supervisor {
    struct loop *loop;
    struct supervise_options opt;
    char *dir; /* absolute <data>/db */
    struct engine_starter *starter;
    struct map databases; /* id → struct database */
    struct map pids;      /* pid_t → struct peer */
    struct list engines, queued, asked, idle, dirty_engines, dirty_databases, remembered;
    unsigned live_count, queued_count, asked_count, leaving_count, scratch_count, flight_count;
    struct flight **slots; /* by the low half of an id, - 1 */
    uint32_t slot_count, slot_cap;
    struct list free_flights;
    struct flight **heap; /* by due_us */
    uint32_t heap_count, heap_cap;
    struct loop_timer due_timer, tick_timer;
    int64_t due_armed_us; /* INT64_MAX: not armed */
    bool tick_armed;
    struct loop_turn turn;
    char *read_buffer;
    struct supervise_stats gone; /* counters, and the boards of engines that ended */
    bool stopping, refuse_writes;
    void (*on_quarantine)(void *arg, struct str db_id);
    void *on_quarantine_arg;
    int64_t stop_us;
    void (*stop_done)(void *arg);
    void *stop_arg;
    pthread_mutex_t set_aside_lock;
    struct map set_aside;      /* ids of quarantined databases, for other threads */
    pthread_mutex_t sync_lock; /* guards the two below */
    struct list sync_calls;
    bool sync_closed;
};

/* flight.c */
struct flight *flight_new(struct supervisor *s, struct database *db, struct engine_call *call);
struct flight *flight_find(struct supervisor *s, uint64_t id); /* NULL */
void flight_due(struct flight *f, int64_t due_us);             /* sets or moves its place in the heap */
/* Ends the call: takes it out of everything and calls on_done (err NULL: complete). Frees the flight. */
void flight_finish(struct flight *f, const struct err *err);
/* Answers the caller now; the flight stays until its engine is done with it. */
void flight_orphan(struct flight *f, const struct err *err);
void flights_release(struct supervisor *s);

/* deadline.c: what happens to a flight whose time is over */
void deadline_fire(void *supervisor);
void deadline_arm(struct supervisor *s);
void deadline_error(struct err *err);
void cancel_error(struct err *err);

/* database.c */
struct database *database_find(struct supervisor *s, struct str id);
struct database *database_get(struct supervisor *s, struct str id);
struct database *database_new_scratch(struct supervisor *s, const char *dir);
/* Frees it when nothing is left to remember; true: it is gone. Never inside a callback of a call. */
bool database_forget(struct database *db);
MUST_CHECK enum err_code database_admit(struct database *db, bool *ret_trial, struct err *err);
void database_touch(struct database *db); /* look at it when the turn ends */
void database_quarantine(struct database *db);
/* Its directory is gone, or what stands where the file belongs is none. Looks at the disk. */
bool database_is_lost(const struct database *db);
void database_allow(struct database *db);
void database_crashed(struct database *db);
void database_answered(struct database *db); /* the breaker's trial call was */
void database_evict(struct database *db, void (*done)(void *arg), void *arg);
void database_hold(struct database *db, void (*done)(void *arg), void *arg);
/* What a held one answers: try again. */
enum err_code database_tell_held(struct err *err);
void flight_wait(struct flight *f, bool first); /* puts it into the list it belongs to */
void flight_unwait(struct flight *f);

/* pump.c */
void database_pump(struct database *db); /* starts engines, sends what waits, marks what is idle */
void database_fail_waiting(struct database *db, const struct err *err);
void database_tell_waiting(struct database *db);

/* peer.c */
void peer_start(struct database *db, enum peer_kind kind);
void peer_leave(struct peer *e);
void peer_kill(struct peer *e, enum peer_end why);
void peer_send_kill(struct peer *e);
void peer_set_idle(struct peer *e, bool idle);
void peer_check_ended(struct peer *e); /* may free it */
static inline bool peer_usable(const struct peer *e)
{
    return e && e->state == PEER_READY && e->end == END_NONE && !e->eof;
}

/* start.c */
void peers_start_queued(struct supervisor *s);
void peer_unqueue(struct peer *e); /* before it was asked for */
void stats_add_board(struct supervise_stats *to, const struct board *b);

/* crash.c */
void peer_settle(struct peer *e); /* who pays, and who is sent again */

/* channel.c */
bool peer_has_room(const struct peer *e);
MUST_CHECK bool peer_send(struct peer *e, struct flight *f); /* false: no memory for the frame */
void peer_touch(struct peer *e);                             /* write and resume when the turn ends */
void peer_flush(struct peer *e);
void peer_resume(struct peer *e);
void peer_on_io(void *engine, unsigned ready);
void peer_drain(struct peer *e); /* reads to the end of file, unless paused */
void peer_want(struct peer *e);
void peer_tell_cancelled(struct peer *e);
void peer_close(struct peer *e); /* nothing more is read */

/* supervise.c */
void supervisor_tick_soon(struct supervisor *s);

/* sync.c */
void sync_init(struct supervisor *s);
void sync_release(struct supervisor *s);
void sync_close(struct supervisor *s);

#endif
