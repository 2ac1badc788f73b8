/* Which rows wait in proposals, who touches them, and how many proposals there are. */
#include "base/clock.h"
#include "base/limits.h"
#include "base/mem.h"
#include "engine/engine_state.h"
#include "engine/proposal.h"

struct proposal_watch {
    bool loaded; /* `tables` holds every table of a waiting proposal, and perhaps more */
    struct map tables;
    bool made; /* the recorder is there */
    struct recorder recorder;
    bool outdated; /* the schema changed while it was attached */
    bool counted;
    const sqlite3 *db; /* on which it was read, at */
    int64_t version;   /* of the file, as far as others wrote it */
    int64_t waiting, bytes;
};

static struct proposal_watch *watch_of(struct engine *eng)
{
    if (!eng->watch) {
        eng->watch = MEM_NEW(struct proposal_watch);
        map_init(&eng->watch->tables);
    }
    return eng->watch;
}

static void forget_recorder(struct proposal_watch *w)
{
    if (w->made)
        recorder_release(&w->recorder);
    w->made = w->outdated = false;
}

void proposals_forget_tables(struct engine *eng)
{
    struct proposal_watch *w = eng->watch;
    if (w && w->made && w->recorder.db)
        w->outdated = true;
    else if (w)
        forget_recorder(w);
}

void proposals_forget(struct engine *eng)
{
    if (!eng->watch)
        return;
    forget_recorder(eng->watch);
    eng->watch->loaded = eng->watch->counted = false;
}

void proposals_release(struct engine *eng)
{
    if (!eng->watch)
        return;
    forget_recorder(eng->watch);
    map_release(&eng->watch->tables);
    mem_free(eng->watch);
    eng->watch = NULL;
}

void proposals_note_table(struct engine *eng, struct str name)
{
    struct proposal_watch *w = watch_of(eng);
    (void)map_put(&w->tables, name, w); /* a set */
}

/* A rehearsal on a copy stores its proposal from another process. */
static void look_for_others(struct engine *eng)
{
    struct proposal_watch *w = watch_of(eng);
    sqlite3_stmt *stmt = own_get(eng, OWN_DATA_VERSION);
    int64_t version = stmt && own_step(eng, stmt) == SQLITE_ROW ? sqlite3_column_int64(stmt, 0) : -1;
    (void)sqlite3_reset(stmt); /* as below */
    if (version < 0 || w->db != eng->db || w->version != version)
        w->loaded = w->counted = false;
    w->db = eng->db;
    w->version = version;
}

static bool load(struct engine *eng)
{
    struct proposal_watch *w = watch_of(eng);
    look_for_others(eng);
    if (w->loaded)
        return true;
    map_release(&w->tables);
    map_init(&w->tables);
    sqlite3_stmt *stmt = own_get(eng, OWN_PROPOSAL_TABLES);
    int rc = SQLITE_ERROR;
    while (stmt && (rc = own_step(eng, stmt)) == SQLITE_ROW)
        proposals_note_table(
            eng, str_make(sqlite3_column_text(stmt, 0), (size_t)sqlite3_column_bytes(stmt, 0)));
    (void)sqlite3_reset(stmt); /* repeats the error of the step; it is tried again with the next write */
    return w->loaded = rc == SQLITE_DONE;
}

bool proposals_watch(struct op *op)
{
    struct engine *eng = op->eng;
    if (!load(eng) || eng->watch->tables.count == 0)
        return false;
    struct proposal_watch *w = eng->watch;
    if (!w->made)
        recorder_init(&w->recorder, eng, RECORDER_KEYS);
    w->made = true;
    w->recorder.watched = &w->tables;
    recorder_rewind(&w->recorder);
    recorder_attach(&w->recorder);
    return true;
}

static int run_for_key(struct engine *eng, enum own_sql which, uint64_t key)
{
    sqlite3_stmt *stmt = own_get(eng, which);
    int64_t bits;
    memcpy(&bits, &key, sizeof bits);
    int rc = stmt ? sqlite3_bind_int64(stmt, 1, bits) : sqlite3_extended_errcode(eng->db);
    if (rc == SQLITE_OK)
        rc = own_step(eng, stmt);
    (void)sqlite3_reset(stmt); /* as above */
    return rc;
}

/* Most rows are nobody's, and to look costs a tenth of an UPDATE that finds nothing. */
static enum err_code mark(void *arg, uint64_t key, struct err *err)
{
    struct op *op = arg;
    int rc = run_for_key(op->eng, OWN_PROPOSAL_TOUCHED, key);
    if (rc == SQLITE_ROW)
        rc = run_for_key(op->eng, OWN_PROPOSAL_STALE, key);
    return rc == SQLITE_DONE ? ERR_OK : op_sql_error(op, rc, STR_EMPTY, err);
}

enum err_code proposals_touch(struct op *op, struct recorder *touched, struct err *err)
{
    if (!load(op->eng) || op->eng->watch->tables.count == 0)
        return ERR_OK;
    int rc = touched->given_up ? own_run(op->eng, OWN_PROPOSAL_STALE_ALL) : SQLITE_OK;
    return rc == SQLITE_OK ? recorder_keys(touched, mark, op, err) : op_sql_error(op, rc, STR_EMPTY, err);
}

/* A statement that was prepared before it was watched may have passed over its rows, and one that touched too
 * many is not followed row by row. */
static bool saw_all(const struct recorder *r)
{
    int64_t changes = sqlite3_total_changes64(r->db) - r->changes_before;
    return r->failure == RECORDER_FINE && changes <= 2 * (int64_t)r->events;
}

enum err_code proposals_watched(struct op *op, bool succeeded, struct err *err)
{
    struct engine *eng = op->eng;
    struct recorder *r = &eng->watch->recorder;
    if (!eng->watch->made || !r->db)
        return ERR_OK; /* the transaction was given up */
    bool all = saw_all(r);
    recorder_detach(r);
    enum err_code code = ERR_OK;
    if (succeeded && all)
        code = recorder_keys(r, mark, op, err);
    int rc = succeeded && !all ? own_run(eng, OWN_PROPOSAL_STALE_ALL) : SQLITE_OK;
    if (eng->watch->outdated)
        forget_recorder(eng->watch);
    return rc == SQLITE_OK ? code : op_sql_error(op, rc, STR_EMPTY, err);
}

/* --- Room --- */

static bool count(struct engine *eng)
{
    struct proposal_watch *w = watch_of(eng);
    look_for_others(eng);
    if (w->counted)
        return true;
    sqlite3_stmt *stmt = own_get(eng, OWN_PROPOSAL_COUNT);
    int rc = stmt ? own_step(eng, stmt) : SQLITE_ERROR;
    if (rc == SQLITE_ROW) {
        w->waiting = sqlite3_column_int64(stmt, 0);
        w->bytes = sqlite3_column_int64(stmt, 1);
    }
    (void)sqlite3_reset(stmt); /* as above */
    return w->counted = rc == SQLITE_ROW;
}

static bool fits(struct engine *eng, int64_t bytes)
{
    return count(eng) && eng->watch->waiting < LIMIT_PROPOSALS &&
           eng->watch->bytes + bytes <= LIMIT_PROPOSAL_BYTES;
}

/* The first `max` of a list of numbers. */
static size_t select_seqs(struct engine *eng, enum own_sql which, int64_t until_ms, int64_t *out, size_t max)
{
    sqlite3_stmt *stmt = own_get(eng, which);
    size_t n = 0;
    if (stmt && sqlite3_bind_int64(stmt, 1, until_ms) == SQLITE_OK) {
        while (n < max && own_step(eng, stmt) == SQLITE_ROW)
            out[n++] = sqlite3_column_int64(stmt, 0);
    }
    (void)sqlite3_reset(stmt); /* what is not found now is found another time */
    return n;
}

static bool run_for(struct engine *eng, enum own_sql which, int64_t seq, int64_t now_ms)
{
    sqlite3_stmt *stmt = own_get(eng, which);
    int rc = stmt ? sqlite3_bind_int64(stmt, 1, seq) : SQLITE_ERROR;
    if (rc == SQLITE_OK && which == OWN_PROPOSAL_SET) {
        rc = sqlite3_bind_text(stmt, 2, "expired", -1, SQLITE_STATIC);
        rc = rc == SQLITE_OK ? sqlite3_bind_int64(stmt, 3, now_ms) : rc;
    }
    if (rc == SQLITE_OK)
        rc = own_step(eng, stmt);
    (void)sqlite3_reset(stmt); /* repeats the error of the step */
    return rc == SQLITE_DONE;
}

/* Inside a transaction. */
static bool expire(struct engine *eng, int64_t now_ms)
{
    int64_t seqs[500];
    size_t n = select_seqs(eng, OWN_PROPOSAL_EXPIRED, now_ms, seqs, ARRAY_LEN(seqs));
    bool ok = true;
    for (size_t i = 0; i < n && ok; i++)
        ok = run_for(eng, OWN_PROPOSAL_SET, seqs[i], now_ms) &&
             run_for(eng, OWN_PROPOSAL_FORGET_ROWS, seqs[i], 0) &&
             run_for(eng, OWN_PROPOSAL_FORGET_TABLES, seqs[i], 0);
    return ok;
}

static bool delete_decided(struct engine *eng, int64_t until_ms, size_t max)
{
    int64_t seqs[500];
    size_t n = select_seqs(eng, OWN_PROPOSAL_OLD, until_ms, seqs, max);
    bool ok = true;
    for (size_t i = 0; i < n && ok; i++)
        ok = run_for(eng, OWN_PROPOSAL_FORGET_PARTS, seqs[i], 0) &&
             run_for(eng, OWN_UNDO_SINCE_SET, seqs[i], 0) && run_for(eng, OWN_PROPOSAL_DELETE, seqs[i], 0);
    return ok && n > 0;
}

enum err_code proposals_make_room(struct op *op, int64_t bytes, struct err *err)
{
    enum { ROUNDS = 40, AT_ONCE = 50 };
    struct engine *eng = op->eng;
    for (int i = 0; i < ROUNDS && !fits(eng, bytes); i++) {
        bool expired = expire(eng, clock_wall_ms());
        bool deleted = expired && delete_decided(eng, INT64_MAX, AT_ONCE);
        proposals_forget(eng);
        if (!deleted)
            break;
    }
    if (!fits(eng, bytes))
        return err_set(err, ERR_CONFLICT,
            "too many proposals wait in this database (%lld, with %lld MiB): withdraw some, or wait until "
            "they "
            "expire",
            (long long)eng->watch->waiting, (long long)eng->watch->bytes >> 20);
    eng->watch->waiting++;
    eng->watch->bytes += bytes;
    return ERR_OK;
}

int64_t proposals_kept_ms(const struct engine *eng)
{
    return eng->cfg.undo_kept_ms ? eng->cfg.undo_kept_ms : LIMIT_PROPOSAL_KEPT_MS;
}

void proposals_purge(struct engine *eng)
{
    int64_t now = clock_wall_ms();
    if (own_run(eng, OWN_BEGIN_WRITE) != SQLITE_OK)
        return; /* another time */
    bool ok = expire(eng, now);
    (void)delete_decided(eng, now - proposals_kept_ms(eng), 500); /* the rest another time */
    if (!ok || own_run(eng, OWN_COMMIT) != SQLITE_OK)
        own_abandon(eng);
    proposals_forget(eng);
}
