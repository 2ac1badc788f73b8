/* The engine's process: start, wait for frames, take turns, leave. */
#define _GNU_SOURCE /* prctl */
#include "base/check.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/mem.h"
#include "engine/proposal.h"
#include "engine/rowsec.h"
#include "engine/sandbox.h"
#include "engine/task.h"
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
    PROGRESS_OPS = 1000,  /* about 10 µs of SQLite's virtual machine, most of the time */
    LOOK_US_MAX = 4000,   /* looks that lie further apart are made more often, */
    LOOK_US_MIN = 500,    /* and so near less often */
    IDLE_MS = 1000,       /* after so long without a call the engine tidies up */
    QUIET_MS = 5000,      /* and after so long more it gives its memory back */
    PURGE_US = 600000000, /* how often receipts past their day are removed */
    FLUSH_ROWS = 500,     /* of the query log in one transaction */
    STAND_BACK_US = 50000,
    REFUSE_US = 20000, /* what has not heeded an interrupt for so long gets no more to read */
};

#define FILE_SLACK_BYTES (1ULL << 30) /* the log beside the database may grow by as much */

/* --- Deadlines --- */

static bool should_bounce(const struct engine *eng, int64_t now)
{
    return eng->running_reads && eng->cfg.mode == ENGINE_WRITER &&
           now - eng->running_since_us > LIMIT_BOUNCE_AFTER_MS * 1000 &&
           atomic_load_explicit(&eng->board->waiting, memory_order_relaxed) > 0 &&
           atomic_load_explicit(&eng->board->has_readers, memory_order_relaxed) > 0;
}

/* A rehearsal holds up the writes behind it and changes nothing. */
static bool rehearses(enum wire_op op)
{
    return op == WIRE_OP_PROPOSE || op == WIRE_OP_PROPOSAL_UNDO || op == WIRE_OP_UNDO ||
           op == WIRE_OP_RULE_TEST;
}

static bool should_give_way(const struct engine *eng, int64_t now)
{
    return eng->recorder && eng->cfg.mode == ENGINE_WRITER && rehearses(eng->running->call.op) &&
           now - eng->running_since_us > LIMIT_REHEARSAL_HOLDS_MS * 1000 &&
           atomic_load_explicit(&eng->board->waiting, memory_order_relaxed) > 0;
}

/* A read that computes for long gives way to everybody's short calls. Nobody without privileges can take that
 * back: the front exchanges the engine once it is idle. A write does not stand back, for its neighbours in
 * the transaction wait for it. */
static void stand_back(struct engine *eng)
{
    eng->stands_back = true;
    (void)setpriority(PRIO_PROCESS, 0, SANDBOX_NICE); /* being nicer cannot be refused */
    atomic_store_explicit(&eng->board->stands_back, 1, memory_order_relaxed);
}

enum stop_reason engine_stop_reason(struct engine *eng)
{
    const struct op *op = eng->running;
    if (!op || eng->stop != STOP_NONE)
        return op ? eng->stop : STOP_NONE;
    int64_t now = eng->looked_us = clock_mono_us();
    if (now >= op->call.deadline_us)
        eng->stop = STOP_DEADLINE;
    else if (atomic_load_explicit(&eng->board->cancel_call, memory_order_relaxed) == op->id)
        eng->stop = STOP_CANCELLED;
    else if (should_bounce(eng, now))
        eng->stop = STOP_BOUNCE;
    else if (should_give_way(eng, now))
        eng->stop = STOP_GIVES_WAY;
    else if (eng->invariant_until_us && clock_cpu_us() >= eng->invariant_until_us)
        eng->stop = STOP_INVARIANT;
    else if (eng->running_reads && !eng->must_end_soon && !eng->stands_back &&
             eng->cfg.mode != ENGINE_SCRATCH_MODE && now - eng->running_since_us > STAND_BACK_US)
        stand_back(eng);
    return eng->stop;
}

static int on_progress(void *arg);

/* An operation can take a thousand times longer than most: each that makes, hashes or spills megabytes.
 * (SQLite reads the number of operations anew after each call of its progress handler, so that it may be
 * changed there.) */
static void pace(struct engine *eng, int64_t before_us)
{
    int64_t gap_us = eng->looked_us - (before_us > eng->running_since_us ? before_us : eng->running_since_us);
    int ops = eng->progress_ops;
    if (gap_us > LOOK_US_MAX)
        ops = (int)((int64_t)ops * LOOK_US_MAX / (2 * gap_us));
    else if (gap_us < LOOK_US_MIN && ops < PROGRESS_OPS)
        ops *= 2;
    ops = ops < 1 ? 1 : ops > PROGRESS_OPS ? PROGRESS_OPS : ops;
    if (ops != eng->progress_ops)
        sqlite3_progress_handler(eng->db, eng->progress_ops = ops, on_progress, eng);
}

static int on_progress(void *arg)
{
    struct engine *eng = arg;
    int64_t before_us = eng->looked_us;
    if (engine_stop_reason(eng) != STOP_NONE)
        return 1;
    if (eng->running)
        pace(eng, before_us);
    return 0;
}

void engine_begin_pace(struct engine *eng)
{
    sqlite3_progress_handler(eng->db, eng->progress_ops = ENGINE_FIRST_OPS, on_progress, eng);
}

/* Long work inside one operation goes through files: DISTINCT and ORDER BY that spill, CREATE INDEX,
 * count(*). DROP TABLE and a DELETE of all rows walk every page and heed no interrupt: they are refused a
 * read, once, so that the rollback can read again. */
static bool on_file(void *arg, bool may_refuse)
{
    struct engine *eng = arg;
    if (engine_stop_reason(eng) == STOP_NONE)
        return false;
    sqlite3_interrupt(eng->db);
    if (!may_refuse || eng->read_refused || eng->stop == STOP_INVARIANT ||
        clock_mono_us() - eng->looked_us < REFUSE_US)
        return false;
    eng->read_refused = true;
    return true;
}

void engine_watch_time(struct engine *eng, sqlite3 *db)
{
    sqlite3_progress_handler(db, PROGRESS_OPS, on_progress, eng);
}

/* --- Life --- */

void engine_init(struct engine *eng, const struct engine_config *cfg, int fd, struct board *board)
{
    *eng = (struct engine){.cfg = *cfg, .board = board};
    channel_init(&eng->channel, fd);
    cache_init(&eng->cache);
    querylog_init(&eng->log);
    turn_init(eng);
}

enum err_code engine_start(struct engine *eng, struct err *err)
{
    enum err_code rc = engine_open(eng, err);
    if (rc != ERR_OK)
        return rc;
    if (querylog_vtab_register(eng) != SQLITE_OK)
        return err_set(err, ERR_UNAVAILABLE, "the query log cannot be set up");
    engine_begin_pace(eng);
    vfs_watch(eng->vfs, on_file, eng);
    wire_put_plain(&eng->channel.out, WIRE_READY, 0);
    channel_flush(&eng->channel);
    return ERR_OK;
}

void engine_release(struct engine *eng)
{
    engine_close(eng); /* a start that failed half way has left something too */
    turn_release(eng);
    querylog_release(&eng->log);
    channel_release(&eng->channel);
}

/* What a busy engine puts off. */
static void tidy_up(struct engine *eng)
{
    if (eng->cfg.mode == ENGINE_READER)
        querylog_spool_put(eng);
    else if (eng->cfg.mode == ENGINE_WRITER && !eng->leaving)
        querylog_spool_take(eng);
    while (querylog_pending(&eng->log) && !eng->leaving && !channel_pending(&eng->channel)) {
        size_t before = eng->log.count;
        querylog_flush(eng, FLUSH_ROWS);
        if (eng->log.count == before || channel_wait(&eng->channel, 0))
            break; /* it did not work, or somebody calls */
    }
    if (!eng->leaving && eng->cfg.mode == ENGINE_WRITER && clock_mono_us() - eng->purged_us > PURGE_US) {
        eng->purged_us = clock_mono_us();
        receipts_purge(eng);
        proposals_purge(eng);
    }
    if (!eng->leaving)
        checkpoint_when_idle(eng);
}

/* Thousands of engines idle side by side: what can be made again is not kept. */
static void give_back(struct engine *eng)
{
    enum { STATEMENTS_KEPT = 8 };
    seat_close(eng);
    copy_again_forget(eng);
    cache_trim(eng, STATEMENTS_KEPT);
    turn_trim(eng);
    channel_release(&eng->channel);
    (void)sqlite3_db_release_memory(eng->db); /* pages that are not needed now */
    (void)malloc_trim(0);                     /* says whether there was anything */
}

/* How deep the sleep is: each stage waits longer, a call wakes. */
enum rest { REST_NONE, REST_TIDY, REST_DEEP };

static const int REST_WAIT_MS[] = {[REST_TIDY] = QUIET_MS, [REST_DEEP] = -1};

static void rest(struct engine *eng, enum rest *stage)
{
    if (*stage == REST_NONE)
        tidy_up(eng);
    else
        give_back(eng);
    *stage = *stage == REST_NONE ? REST_TIDY : REST_DEEP;
}

/* A busy engine waits in the read itself, which is one system call a turn. */
static enum err_code receive(struct engine *eng, enum rest stage, bool *ret_came, struct err *err)
{
    if (stage == REST_NONE)
        return channel_receive(&eng->channel, ret_came, err);
    *ret_came = channel_wait(&eng->channel, REST_WAIT_MS[stage]);
    return *ret_came ? channel_fill(&eng->channel, err) : ERR_OK;
}

/* One wait and the turns it brings. */
static enum err_code serve_once(struct engine *eng, enum rest *stage, struct err *err)
{
    bool came;
    enum err_code rc = receive(eng, *stage, &came, err);
    if (rc == ERR_OK && !came)
        rest(eng, stage);
    if (rc != ERR_OK || !came)
        return rc;
    *stage = REST_NONE;
    while (rc == ERR_OK && channel_pending(&eng->channel) && !eng->leaving) {
        rc = turn_run(eng, err);
        if (rc == ERR_OK && !eng->leaving)
            querylog_flush_busy(eng);
        if (rc == ERR_OK && !eng->channel.closed && channel_pending(&eng->channel))
            rc = channel_fill(&eng->channel, err);
    }
    return rc;
}

enum engine_exit engine_serve(struct engine *eng)
{
    struct err err = ERR_INIT;
    enum rest stage = REST_NONE;
    while (!eng->channel.closed && !eng->leaving) {
        if (serve_once(eng, &stage, &err) != ERR_OK)
            return ENGINE_EXIT_PROTOCOL;
    }
    if (eng->leaving)
        return ENGINE_EXIT_IO;
    if (eng->cfg.mode == ENGINE_READER)
        querylog_spool_put(eng);
    if (eng->cfg.mode == ENGINE_WRITER) {
        querylog_spool_take(eng);
        querylog_flush(eng, SIZE_MAX);
        checkpoint_at_exit(eng);
    }
    return eng->leaving ? ENGINE_EXIT_IO : ENGINE_EXIT_OK;
}

static enum engine_exit exit_for(enum err_code rc)
{
    return rc == ERR_CORRUPT ? ENGINE_EXIT_CORRUPT
           : rc == ERR_FULL  ? ENGINE_EXIT_FULL
           : rc == ERR_IO    ? ENGINE_EXIT_IO
                             : ENGINE_EXIT_OPEN;
}

/* The message of a start that failed goes where a panic goes: the front sees the exit status alone. */
NORETURN static void exit_telling(enum engine_exit status, const struct err *err)
{
    char line[ERR_MESSAGE_MAX + 32];
    str_print_cut(line, sizeof line, "engine: %s\n", err->message);
    ssize_t written = write(STDERR_FILENO, line, strlen(line));
    (void)written; /* there is nowhere else to tell */
    _exit((int)status);
}

static void set_signals(void)
{
    (void)signal(SIGINT, SIG_IGN); /* these cannot fail; the front decides when an engine leaves */
    (void)signal(SIGTERM, SIG_IGN);
    (void)signal(SIGHUP, SIG_IGN);
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGXFSZ, SIG_IGN); /* a file over its limit is an error of write(), not a death */
}

NORETURN void engine_main(
    const struct engine_config *cfg, int socket_fd, struct board *board, const struct sandbox *sandbox)
{
    struct engine *eng = MEM_NEW(struct engine);
    struct err err = ERR_INIT;
    check_set_context("engine");
    (void)prctl(PR_SET_NAME, "hf-engine", 0, 0, 0); /* only a name */
    set_signals();
    channel_set_patience(socket_fd, IDLE_MS);
    enum err_code rc = ERR_OK;
    if (sandbox)
        rc = sandbox_enter(sandbox, cfg->dir, socket_fd, cfg->db_bytes_max + FILE_SLACK_BYTES, &err);
    else
        sandbox_tidy(socket_fd);
    if (rc != ERR_OK)
        exit_telling(ENGINE_EXIT_SANDBOX, &err);
    engine_init(eng, cfg, socket_fd, board);
    rc = engine_start_library(eng, &err);
    if (rc == ERR_OK)
        rc = engine_start(eng, &err);
    if (rc != ERR_OK)
        exit_telling(exit_for(rc), &err);
    enum engine_exit status = engine_serve(eng);
    if (status == ENGINE_EXIT_OK)
        engine_release(eng); /* after a failed disk the file is not touched again, not even to close it */
    _exit((int)status);
}
