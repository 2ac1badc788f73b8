/* The actor: one turn takes every call that waits, runs the reads, then the writes in one transaction with a
 * savepoint each, commits once and only then answers them.
 *
 *   frames → tasks → reads (one read transaction) → group of writes → COMMIT → answers → next group …
 *
 * Proposals are a group before the other writes (turn_order.h).
 *
 * A statement can end the transaction of all (INSERT OR ROLLBACK, RAISE(ROLLBACK), a full disk, an
 * interrupt). It is then the culprit: it gets its error, the work of the calls before it is done again in a
 * new transaction and committed at once, so that each call is done again at most a bounded number of times
 * and none is lost. */
#include "base/check.h"
#include "base/clock.h"
#include "engine/carry.h"
#include "engine/destruction.h"
#include "engine/invariant.h"
#include "engine/proposal.h"
#include "engine/rowsec.h"
#include "engine/rule.h"
#include "engine/schema_state.h"
#include "engine/task.h"
#include "engine/turn_error.h"
#include "engine/turn_order.h"
#include "json/jsonr.h"

enum {
    GROUP_US_MAX = 10000,       /* a group that took so long is committed before the next write begins */
    GROUP_BYTES_MAX = 16 << 20, /* answers held back until the commit */
    OUT_BYTES_MAX = 512 << 10,  /* answers of reads leave when so much waits */
};

/* --- Running one call --- */

static void run_begin(struct engine *eng, struct task *t)
{
    rowsec_tell(eng, &t->op.call, t->claims);
    exec_forget_counts(eng);
    eng->running = &t->op;
    eng->running_since_us = clock_mono_us();
    eng->running_reads = !t->write;
    eng->stop = STOP_NONE;
    eng->read_refused = false;
    atomic_store_explicit(&eng->board->running_call, t->op.id, memory_order_relaxed);
}

static void run_end(struct engine *eng, struct task *t)
{
    t->used_us += clock_mono_us() - eng->running_since_us;
    eng->running = NULL;
    rowsec_tell(eng, &t->op.call, NULL);
    atomic_store_explicit(&eng->board->running_call, 0, memory_order_relaxed);
}

static void settle(struct task *t, enum err_code rc)
{
    t->rc = rc;
    if (rc != ERR_OK)
        task_fail(t);
    t->finished = true;
}

/* Its time has come before it began; the clock was read when it became the running one. */
static bool late(const struct task *t)
{
    const struct engine *eng = t->op.eng;
    return eng->running_since_us >= t->op.call.deadline_us ||
           atomic_load_explicit(&eng->board->cancel_call, memory_order_relaxed) == t->op.id;
}

/* Writes of which rules decide whether they stay; those of proposals ask for themselves. */
static bool is_judged(struct task *t)
{
    bool executes = t->op.call.op == WIRE_OP_QUERY || t->op.call.op == WIRE_OP_BATCH;
    return executes && t->write && rules_exist(&t->op);
}

/* The handler between the two halves of the envelope. */
static enum err_code run_handler(struct task *t)
{
    op_fn *handler = is_judged(t) ? judged_run : op_handler(t->op.call.op);
    if (!handler)
        return err_set(&t->err, ERR_NOT_IMPLEMENTED, "%s is not available", wire_op_name(t->op.call.op));
    enum err_code rc = late(t) ? op_check_time(&t->op, &t->err) : ERR_OK;
    if (rc == ERR_OK && t->under_policies)
        rc = rowsec_check_op(&t->op, &t->err);
    if (rc != ERR_OK)
        return rc;
    if (t->write && t->op.eng->cfg.mode == ENGINE_WRITER && sqlite3_get_autocommit(t->op.eng->db))
        return turn_ended(&t->err); /* by what was asked before: its writes would commit by themselves */
    task_begin(t);
    rc = handler(&t->op, &t->err);
    if (!t->op.eng->read_refused)
        return rc;
    t->op.error_detail = STR_EMPTY;
    return op_check_time(&t->op, &t->err);
}

/* Rehearsals that may go on on a copy. */
static bool suits_a_copy(const struct task *t)
{
    enum wire_op op = t->op.call.op;
    return op == WIRE_OP_PROPOSE || op == WIRE_OP_PROPOSAL_UNDO || op == WIRE_OP_UNDO;
}

static bool goes_beside(const struct engine *eng, const struct task *t)
{
    return t->gave_way && t->rc == ERR_BUSY && suits_a_copy(t) &&
           atomic_load_explicit(&eng->board->has_readers, memory_order_relaxed) > 0;
}

static void finish(struct engine *eng, struct task *t)
{
    if (goes_beside(eng, t)) {
        wire_put_plain(&eng->channel.out, WIRE_BOUNCE, t->op.id);
        return;
    }
    if (!t->asks_snapshot) /* it comes again */
        querylog_note(eng, t);
    task_send(t);
}

/* --- Reads --- */

/* A read that others wait for goes to a reader engine, if it has not sent anything yet. */
static bool bounced(struct engine *eng, struct task *t)
{
    if (eng->stop != STOP_BOUNCE || t->streamed)
        return false;
    wire_put_plain(&eng->channel.out, WIRE_BOUNCE, t->op.id);
    t->finished = true;
    return true;
}

static void run_read(struct engine *eng, struct task *t)
{
    run_begin(eng, t);
    enum err_code rc = run_handler(t);
    run_end(eng, t);
    if (rc != ERR_OK && bounced(eng, t))
        return;
    if (rc == ERR_OK && !t->streamed)
        rc = task_succeed(t, &t->err);
    if (rc != ERR_OK && t->streamed) /* half an answer is out: only the closed socket can tell */
        eng->leaving = eng->channel.closed = true;
    settle(t, rc);
    finish(eng, t);
}

static bool needs_snapshot(const struct task *t)
{
    return t->op.call.op != WIRE_OP_QUERY && t->op.call.op != WIRE_OP_PING;
}

/* Its connection cannot be had: the reads that need it get the reason. */
static void fail_reads(struct engine *eng, bool under_policies, const struct err *err)
{
    for (size_t i = 0; i < eng->task_count; i++) {
        struct task *t = eng->tasks[i];
        if (t->finished || t->write || t->under_policies != under_policies)
            continue;
        t->err = *err;
        settle(t, err->code);
        finish(eng, t);
    }
}

/* The reads of one of the two connections. */
static void run_reads(struct engine *eng, bool under_policies)
{
    struct err err = ERR_INIT;
    size_t reads = 0;
    bool snapshot = false;
    for (size_t i = 0; i < eng->task_count; i++) {
        const struct task *t = eng->tasks[i];
        if (t->finished || t->write || t->under_policies != under_policies)
            continue;
        reads++;
        snapshot = snapshot || needs_snapshot(t);
    }
    if (reads == 0)
        return;
    if (seat_take(eng, under_policies, &err)) {
        fail_reads(eng, under_policies, &err);
        return;
    }
    bool transaction = reads > 1 || snapshot;
    for (size_t i = 0; i < eng->task_count; i++) {
        struct task *t = eng->tasks[i];
        if (t->finished || t->write || t->under_policies != under_policies)
            continue;
        if (transaction && sqlite3_get_autocommit(eng->db))
            (void)own_run(eng, OWN_BEGIN_READ); /* without it every read locks for itself */
        run_read(eng, t);
        if (eng->channel.out.len > OUT_BYTES_MAX)
            channel_flush(&eng->channel);
    }
    if (!sqlite3_get_autocommit(eng->db) && own_run(eng, OWN_COMMIT) != SQLITE_OK)
        own_abandon(eng); /* nothing was written */
}

/* --- Writes --- */

/* A query or batch that only read leaves nothing that could be done twice. */
static bool keeps_receipt(const struct task *t)
{
    return t->keyed && t->op.head.status < 300 &&
           (t->wrote || wire_op_lane(t->op.call.op) == WIRE_LANE_WRITE);
}

/* Those of proposals look after what they touch themselves. */
static bool is_of_proposals(const struct task *t)
{
    enum wire_op op = t->op.call.op;
    return op == WIRE_OP_PROPOSE || op == WIRE_OP_APPLY || op == WIRE_OP_REDEEM ||
           op == WIRE_OP_PROPOSAL_WITHDRAW || op == WIRE_OP_PROPOSAL_UNDO || op == WIRE_OP_UNDO ||
           op == WIRE_OP_RULE_TEST || op == WIRE_OP_RULE_REPLAY || op == WIRE_OP_MERGE;
}

/* Proposals that wait and whose rows it touches become stale with it. */
static enum err_code run_watched(struct task *t)
{
    bool import = t->op.call.op == WIRE_OP_IMPORT && rules_exist(&t->op);
    if (is_of_proposals(t) || is_judged(t) || import || !proposals_watch(&t->op))
        return run_handler(t);
    struct err err = ERR_INIT;
    enum err_code rc = run_handler(t);
    bool kept = (rc == ERR_OK || t->keep_effects) && !sqlite3_get_autocommit(t->op.eng->db);
    enum err_code marked = proposals_watched(&t->op, kept, &err);
    if (!marked || rc)
        return rc;
    t->err = err;
    return marked;
}

/* What the call changed stays when no invariant is broken by it, and none of it otherwise. */
static enum err_code check_invariants(struct task *t, enum err_code rc)
{
    struct err err = ERR_INIT;
    bool stays = (rc == ERR_OK && t->op.head.status < 300) || t->keep_effects;
    if (!stays || turn_proposes(t->op.call.op) || sqlite3_get_autocommit(t->op.eng->db))
        return rc;
    enum err_code broken = invariants_check(&t->op, &err);
    if (!broken)
        return rc;
    t->keep_effects = false;
    t->op.error_detail = STR_EMPTY;
    t->op.statement_index = -1;
    t->err = err;
    return broken;
}

static enum err_code try_write(struct task *t)
{
    bool replayed = false;
    enum err_code rc = t->keyed ? receipts_find(t, &replayed, &t->err) : ERR_OK;
    if (rc == ERR_OK && !replayed)
        rc = carry_check_write(t->op.eng, &t->err);
    if (rc != ERR_OK || replayed)
        return rc;
    if (t->culprit && !t->culprit_partial) {
        t->err = t->culprit_err;
        t->op.error_detail = t->culprit_detail;
        t->op.hits = t->culprit_hits;
        t->op.invariant = t->culprit_invariant;
        t->op.statement_index = t->culprit_step;
        t->asks_snapshot = t->culprit_asks;
        t->op.destroys = t->culprit_destroys;
        t->op.drops = t->culprit_drops;
        return t->err.code;
    }
    invariants_begin(&t->op);
    rc = run_watched(t);
    if (rc == ERR_OK)
        rc =
            op_check_deferred(&t->op, t->op.call.op == WIRE_OP_QUERY ? exec_text(t, 64) : STR_EMPTY, &t->err);
    rc = check_invariants(t, rc);
    if (rc == ERR_OK || t->keep_effects) {
        struct err wants = ERR_INIT;
        enum err_code asked = destruction_check(t, &wants);
        if (asked) {
            t->err = wants;
            rc = asked;
        }
    }
    if (rc == ERR_OK && !sqlite3_get_autocommit(t->op.eng->db)) {
        t->used_us += clock_mono_us() - t->op.eng->running_since_us;
        t->op.eng->running_since_us = clock_mono_us();
        rc = task_succeed(t, &t->err);
        if (rc == ERR_OK && keeps_receipt(t))
            rc = receipts_store(t, &t->err);
    }
    return rc;
}

/* Takes back what a failed call did. A virtual table that was made since the savepoint keeps what waits in
 * its memory, for SQLite does not tell it of the rollback, and would fail everybody's commit with it: like
 * whatever cannot be undone alone, it is undone with all. false: the transaction is gone. */
static bool undo(struct engine *eng)
{
    schema_digest_forget(eng);
    if (!eng->guard.makes_virtual_table && own_run(eng, OWN_CALL_ROLLBACK) == SQLITE_OK)
        return true;
    own_abandon(eng);
    return false;
}

/* Runs one write in its savepoint. false: the transaction is gone and this call is to blame. */
static bool run_write(struct engine *eng, struct task *t)
{
    task_rewind(t);
    int sql = own_run(eng, OWN_CALL);
    if (sql != SQLITE_OK) {
        settle(t, op_sql_error(&t->op, sql, STR_EMPTY, &t->err));
        return !sqlite3_get_autocommit(eng->db);
    }
    eng->guard.makes_virtual_table = false;
    run_begin(eng, t);
    enum err_code rc = try_write(t);
    t->gave_way |= eng->stop == STOP_GIVES_WAY;
    run_end(eng, t);
    if (eng->guard.defers_foreign_keys) {
        eng->guard.defers_foreign_keys = false;
        (void)own_run(eng, OWN_DEFER_OFF); /* only matters inside the transaction, which may be gone */
    }
    settle(t, rc);
    if (sqlite3_get_autocommit(eng->db))
        return false;
    if (rc != ERR_OK && !t->keep_effects && !undo(eng))
        return false;
    (void)own_run(eng, OWN_CALL_RELEASE); /* the commit does it too */
    return true;
}

static void blame(struct task *t)
{
    struct op *op = &t->op;
    if (t->rc ==
        ERR_OK) /* a statement that ended the transaction and yet succeeded: there is none that we know */
        t->rc = turn_ended(&t->err);
    t->culprit = true;
    t->culprit_partial = t->keep_effects;
    t->culprit_step = op->statement_index;
    t->culprit_err = t->err;
    t->culprit_asks = t->asks_snapshot;
    t->culprit_destroys = op->destroys;
    t->culprit_drops = op->drops;
    t->culprit_detail = op->error_detail;
    t->culprit_hits = op->hits;
    t->culprit_invariant = op->invariant;
}

static void fail_all(struct engine *eng, size_t first, size_t last, enum err_code rc, const struct err *err)
{
    for (size_t i = first; i < last; i++) {
        struct task *t = eng->tasks[i];
        if (!t->write || (t->rc != ERR_OK && !t->keep_effects)) /* it has an error of its own */
            continue;
        t->err = *err;
        t->op.error_detail = STR_EMPTY;
        t->op.statement_index = -1;
        settle(t, rc);
    }
}

static void fail_group(struct engine *eng, size_t first, size_t last, int sql, bool committing)
{
    struct err err = ERR_INIT;
    enum err_code rc = turn_group_error(eng, sql, committing, &err);
    own_abandon(eng); /* the first error is the one to tell */
    fail_all(eng, first, last, rc, &err);
}

/* A failed disk, or a rollback that was not possible: nothing is committed any more. */
static void give_up(struct engine *eng, size_t first, size_t last)
{
    struct err err = ERR_INIT;
    enum err_code rc = err_retry(&err, ERR_IO, 1,
        "the engine had to stop, for want of a working disk or of memory; nothing of this call was kept; try "
        "again");
    fail_all(eng, first, last, rc, &err);
}

static void set_phase(struct engine *eng, enum board_phase phase)
{
    atomic_store_explicit(&eng->board->phase, (uint32_t)phase, memory_order_release);
}

/* Runs writes from `first` until `last` or until the group has grown enough. *ret_lost: the transaction is
 * gone, and the call before the returned index is to blame. */
static size_t run_group(struct engine *eng, size_t first, size_t last, bool *ret_lost)
{
    int64_t begin = clock_mono_us();
    size_t bytes = 0, i = first;
    *ret_lost = false;
    while (i < last && !eng->leaving) {
        struct task *t = eng->tasks[i++];
        if (!t->write)
            continue;
        if (!run_write(eng, t)) {
            *ret_lost = true;
            break;
        }
        bytes += t->body.len;
        if (rowsec_changed_by(t->op.call.op))
            break; /* what comes next must see them */
        if (clock_mono_us() - begin > GROUP_US_MAX || bytes > GROUP_BYTES_MAX)
            break;
    }
    return i;
}

/* A proposal that a power failure takes away answers like one that expired: nobody need wait for the disk. */
static bool only_proposes(const struct engine *eng, size_t first, size_t last)
{
    bool only = true;
    for (size_t i = first; i < last; i++)
        only &= !eng->tasks[i]->write || turn_proposes(eng->tasks[i]->op.call.op);
    return only;
}

static int commit(struct engine *eng, size_t first, size_t last)
{
    uint64_t writes = 0;
    for (size_t i = first; i < last; i++)
        writes += eng->tasks[i]->write && eng->tasks[i]->rc == ERR_OK;
    bool proposes = only_proposes(eng, first, last);
    set_phase(eng, BOARD_COMMITTING);
    vfs_set_lazy(eng->vfs, proposes);
    if (!proposes) /* a copy that has it must be younger */
        atomic_store_explicit(&eng->board->last_commit_ms, clock_wall_ms(), memory_order_release);
    int sql = own_run(eng, OWN_COMMIT);
    if (!proposes)
        atomic_store_explicit(&eng->board->last_commit_ms, clock_wall_ms(), memory_order_release);
    vfs_set_lazy(eng->vfs, false);
    if (sql == SQLITE_OK) {
        atomic_fetch_add_explicit(&eng->board->commits, 1, memory_order_relaxed);
        atomic_fetch_add_explicit(&eng->board->writes, writes, memory_order_relaxed);
    }
    return sql;
}

/* Did one call spoil the commit of many? Then each gets a transaction of its own. */
static bool blames_one(struct engine *eng, size_t first, size_t last, int sql)
{
    size_t writes = 0;
    int kind = sql & 0xff;
    for (size_t i = first; i < last; i++)
        writes += eng->tasks[i]->write;
    return writes > 1 && !turn_may_be_in_log(sql) && kind != SQLITE_FULL && kind != SQLITE_BUSY &&
           !engine_says_damaged(sql);
}

/* One transaction and its answers; returns where the next group begins. */
static size_t write_group(struct engine *eng, size_t first, size_t last)
{
    for (;;) {
        bool lost;
        int sql = own_run(eng, OWN_BEGIN_WRITE);
        if (sql != SQLITE_OK) {
            fail_group(eng, first, last, sql, false);
            return last;
        }
        set_phase(eng, BOARD_OPEN);
        size_t end = run_group(eng, first, last, &lost);
        if (eng->leaving) {
            give_up(eng, first, last);
            return last;
        }
        if (!lost) {
            sql = commit(eng, first, end);
            if (sql != SQLITE_OK && blames_one(eng, first, end, sql)) {
                own_abandon(eng);
                last = first + 1; /* that one is a write */
                continue;
            }
            if (sql != SQLITE_OK)
                fail_group(eng, first, end, sql, true);
            return end;
        }
        blame(eng->tasks[end - 1]);
        atomic_fetch_add_explicit(&eng->board->rollback_redos, end - 1 - first, memory_order_relaxed);
        last = end;
    }
}

/* A call that came before row security was switched on runs after it. */
static bool is_stale(struct engine *eng, size_t first, size_t last)
{
    bool stale = false;
    for (size_t i = first; i < last; i++)
        stale |= eng->tasks[i]->write &&
                 rowsec_applies(eng, &eng->tasks[i]->op.call) != eng->tasks[i]->under_policies;
    return stale;
}

static void fail_stale(struct engine *eng, size_t first, size_t last, struct err *err)
{
    if (!err->code)
        (void)err_retry(err, ERR_BUSY, 1, "row-level security was changed while the call waited; try again");
    for (size_t i = first; i < last; i++) {
        if (!eng->tasks[i]->write)
            continue;
        eng->tasks[i]->err = *err;
        settle(eng->tasks[i], err->code);
    }
}

/* The next group, on its connection; returns where it ends. */
static size_t run_next(struct engine *eng, size_t first)
{
    struct err err = ERR_INIT;
    size_t last = turn_end_of_group(eng, first);
    enum err_code rc = seat_take(eng, eng->tasks[first]->under_policies, &err);
    if (rc == ERR_OK && !is_stale(eng, first, last)) {
        size_t end = write_group(eng, first, last);
        eng->policies_current &= eng->under_policies; /* the others may change them */
        return end;
    }
    fail_stale(eng, first, last, &err);
    return last;
}

static void run_writes(struct engine *eng)
{
    turn_sort(eng);
    for (size_t first = 0; first < eng->task_count;) {
        if (!eng->tasks[first]->write) {
            first++;
            continue;
        }
        size_t end = run_next(eng, first);
        for (; first < end; first++) {
            if (eng->tasks[first]->write)
                finish(eng, eng->tasks[first]);
        }
        channel_flush(&eng->channel);
        if (eng->channel.closed)
            return; /* with answers that nobody got: the board goes on to say so */
        set_phase(eng, BOARD_IDLE);
    }
}

static enum err_code try_beside(struct engine *eng, struct task *t)
{
    bool replayed = false;
    enum err_code rc = seat_take(eng, false, &t->err);
    if (rc == ERR_OK && t->keyed)
        rc = receipts_find(t, &replayed, &t->err);
    if (rc == ERR_OK && !replayed)
        rc = run_handler(t);
    return rc ? rc : task_succeed(t, &t->err);
}

/* In a reader engine: its handler begins and ends the transactions that it needs. */
static void run_beside(struct engine *eng)
{
    for (size_t i = 0; i < eng->task_count; i++) {
        struct task *t = eng->tasks[i];
        if (!t->write || t->finished)
            continue;
        task_rewind(t);
        run_begin(eng, t);
        enum err_code rc = try_beside(eng, t);
        run_end(eng, t);
        settle(t, rc);
        finish(eng, t);
        channel_flush(&eng->channel);
    }
}

/* --- Taking calls --- */

static bool takes_keys(const struct task *t)
{
    enum wire_lane lane = wire_op_lane(t->op.call.op);
    return lane == WIRE_LANE_MIXED || lane == WIRE_LANE_WRITE;
}

static enum err_code classify(struct engine *eng, struct task *t, struct err *err)
{
    enum wire_op op = t->op.call.op;
    bool executes = op == WIRE_OP_QUERY || op == WIRE_OP_BATCH;
    t->keyed = takes_keys(t) && (t->op.call.idempotency_key.len > 0 || t->op.call.plan_key.len > 0);
    t->write = wire_op_lane(op) == WIRE_LANE_WRITE || t->keyed;
    enum err_code rc = executes ? exec_parse(t, err) : ERR_OK;
    if (rc == ERR_OK && executes && !t->write)
        rc = exec_classify(t, err);
    if (rc == ERR_OK && t->write && eng->cfg.mode != ENGINE_WRITER &&
        !(eng->cfg.mode == ENGINE_READER && suits_a_copy(t)))
        rc = err_set(err, ERR_UNAVAILABLE, "this engine only reads");
    if (rc == ERR_OK && t->write && atomic_load_explicit(&eng->board->refuse_writes, memory_order_relaxed))
        rc = err_set(err, ERR_FULL, "The disk is nearly full: nothing can be written until space is freed");
    return rc;
}

static enum err_code take(struct engine *eng, const struct wire_header *h, struct str body, struct err *err)
{
    struct task *t = turn_task_at(eng, eng->task_count);
    task_clear(t);
    t->op.id = h->call_id;
    if (h->type != WIRE_CALL)
        return err_set(err, ERR_INVALID, "only calls come from the front");
    enum err_code rc = wire_get_call(body, &t->arena, &t->op.call, err);
    if (rc != ERR_OK)
        return rc;
    eng->task_count++;
    t->log_id = id_next(&eng->log.ids, "ql");
    t->under_policies = rowsec_applies(eng, &t->op.call);
    rc = seat_take(eng, t->under_policies, &t->err);
    if (rc == ERR_OK && t->op.call.claims.len)
        rc = jsonr_parse(&t->arena, t->op.call.claims, &t->claims, &t->err);
    if (rc == ERR_OK) {
        run_begin(eng, t);
        rc = classify(eng, t, &t->err);
        run_end(eng, t);
    }
    if (rc != ERR_OK) {
        t->write = false;
        settle(t, rc);
        finish(eng, t);
    }
    return ERR_OK;
}

static enum err_code take_all(struct engine *eng, struct err *err)
{
    struct wire_header h;
    struct str body;
    bool found = true;
    while (eng->task_count < TURN_TASKS_MAX) {
        enum err_code rc = channel_next(&eng->channel, &found, &h, &body, err);
        if (rc == ERR_OK && found)
            rc = take(eng, &h, body, err);
        if (rc != ERR_OK || !found)
            return rc;
    }
    return ERR_OK;
}

enum err_code turn_run(struct engine *eng, struct err *err)
{
    int64_t begin = clock_mono_us();
    CHECK(eng->task_count == 0 && sqlite3_get_autocommit(eng->db));
    eng->policies_current = false;
    if (eng->cfg.mode == ENGINE_READER)
        rowsec_forget(eng); /* the writer may have switched it */
    enum err_code rc = take_all(eng, err);
    if (rc == ERR_OK) {
        run_reads(eng, false);
        run_reads(eng, true);
        if (eng->channel.out.len > 0)
            channel_flush(&eng->channel);
        if (!eng->channel.closed && eng->cfg.mode == ENGINE_READER)
            run_beside(eng);
        else if (!eng->channel.closed)
            run_writes(eng);
    }
    if (!eng->leaving) {
        enum err_code seated = seat_take(eng, false, err);
        CHECK(seated == ERR_OK); /* it is open */
    }
    for (size_t i = 0; i < eng->task_count; i++) {
        exec_release(eng->tasks[i]);
        task_clear(eng->tasks[i]);
    }
    eng->task_count = 0;
    channel_compact(&eng->channel);
    checkpoint_after_commit(eng);
    atomic_fetch_add_explicit(
        &eng->board->busy_us, (uint64_t)(clock_mono_us() - begin), memory_order_relaxed);
    return rc;
}
