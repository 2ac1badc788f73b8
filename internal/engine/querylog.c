/* The query log's rows in memory and their way to the file. */
#include "engine/querylog.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/mem.h"
#include "engine/task.h"

enum {
    KIND_BYTES_MAX = 32,
    SQL_BYTES_MAX = 2000, /* of one row */
    BYTES_MAX = 2 << 20,  /* of all rows in memory */
    BUSY_SLICE = 200,     /* rows a busy engine flushes between two turns: below a millisecond */
    BUSY_ROWS = 1000,
    BUSY_INTERVAL_US = 200000,
};

void querylog_init(struct querylog *log)
{
    *log = (struct querylog){.count = 0};
    list_init(&log->rows);
}

static size_t text_bytes(const struct log_row *row)
{
    return row->kind.len + row->sql.len + row->token_id.len + row->request_id.len + row->error_kind.len;
}

void querylog_drop_oldest(struct querylog *log)
{
    struct log_row *row = LIST_FIRST(&log->rows, struct log_row, node);
    list_remove(&row->node);
    log->count--;
    log->bytes -= sizeof *row + text_bytes(row);
    mem_free(row);
}

void querylog_release(struct querylog *log)
{
    while (!list_empty(&log->rows))
        querylog_drop_oldest(log);
}

bool querylog_pending(const struct querylog *log)
{
    return log->count > 0;
}

/* The kind of {"kind":"…", as sqlerr.c writes it, else the code's slug. */
static struct str error_kind(const struct task *t)
{
    struct str detail = t->op.error_detail, start = S("{\"kind\":\"");
    if (t->rc == ERR_OK)
        return STR_EMPTY;
    if (!str_starts(detail, start))
        return str_of(err_slug(t->rc));
    struct str rest = str_slice(detail, start.len, detail.len), kind;
    (void)str_cut(&rest, '"', &kind); /* the object always closes its text */
    return kind;
}

static struct str keep(char **at, struct str s)
{
    char *copy = *at;
    if (s.len)
        memcpy(copy, s.ptr, s.len);
    *at += s.len;
    return str_make(copy, s.len);
}

void querylog_add(struct querylog *log, const struct log_row *from)
{
    struct log_row *row = mem_alloc(sizeof *row + text_bytes(from));
    char *at = (char *)(row + 1);
    *row = *from;
    row->kind = keep(&at, from->kind);
    row->sql = keep(&at, from->sql);
    row->token_id = keep(&at, from->token_id);
    row->request_id = keep(&at, from->request_id);
    row->error_kind = keep(&at, from->error_kind);
    list_push_back(&log->rows, &row->node);
    log->count++;
    log->bytes += sizeof *row + text_bytes(row);
    while (log->bytes > BYTES_MAX || log->count > (size_t)LIMIT_QUERY_LOG_ROWS) {
        querylog_drop_oldest(log);
        log->dropped++;
    }
}

static struct str lower_name(enum wire_op op, char out[KIND_BYTES_MAX])
{
    struct str name = str_of(wire_op_name(op));
    CHECK(name.len <= KIND_BYTES_MAX);
    for (size_t i = 0; i < name.len; i++)
        out[i] = (char)(name.ptr[i] >= 'A' && name.ptr[i] <= 'Z' ? name.ptr[i] + ('a' - 'A') : name.ptr[i]);
    return str_make(out, name.len);
}

void querylog_note(struct engine *eng, struct task *t)
{
    const struct wire_call *c = &t->op.call;
    char kind[KIND_BYTES_MAX];
    if (c->op == WIRE_OP_PING || c->op == WIRE_OP_NONE || eng->cfg.mode == ENGINE_SCRATCH_MODE)
        return;
    struct log_row row = {
        .id = t->log_id,
        .ts_ms = clock_wall_ms(),
        .kind = lower_name(c->op, kind),
        .sql = exec_text(t, SQL_BYTES_MAX),
        .token_id = c->token_id,
        .request_id = c->request_id,
        .error_kind = error_kind(t),
        .rows_read = (int64_t)t->op.head.rows_read,
        .rows_written = (int64_t)t->op.head.rows_written,
        .duration_us = t->used_us,
        .status = t->op.head.status,
    };
    querylog_add(&eng->log, &row);
}

static int bind_str(sqlite3_stmt *stmt, int index, struct str s)
{
    return sqlite3_bind_text64(stmt, index, s.len ? s.ptr : "", s.len, SQLITE_STATIC, SQLITE_UTF8);
}

int querylog_bind(sqlite3_stmt *stmt, const struct log_row *row)
{
    int rc = bind_str(stmt, 1, id_str(&row->id));
    rc = rc ? rc : sqlite3_bind_int64(stmt, 2, row->ts_ms);
    rc = rc ? rc : bind_str(stmt, 3, row->kind);
    rc = rc ? rc : bind_str(stmt, 4, row->sql);
    rc = rc ? rc : sqlite3_bind_int64(stmt, 5, row->rows_read);
    rc = rc ? rc : sqlite3_bind_int64(stmt, 6, row->rows_written);
    rc = rc ? rc : sqlite3_bind_double(stmt, 7, (double)row->duration_us / 1000);
    rc = rc ? rc : bind_str(stmt, 8, row->token_id);
    rc = rc ? rc : sqlite3_bind_int(stmt, 9, row->status);
    rc = rc ? rc : row->error_kind.len ? bind_str(stmt, 10, row->error_kind) : sqlite3_bind_null(stmt, 10);
    return rc ? rc : bind_str(stmt, 11, row->request_id);
}

static int put(struct engine *eng, const struct log_row *row)
{
    sqlite3_stmt *stmt = own_get(eng, OWN_LOG_PUT);
    int rc = stmt ? querylog_bind(stmt, row) : sqlite3_extended_errcode(eng->db);
    rc = rc ? rc : own_step(eng, stmt);
    int reset = sqlite3_reset(stmt);
    return rc == SQLITE_DONE ? SQLITE_OK : reset ? reset : rc;
}

static int trim(struct engine *eng)
{
    sqlite3_stmt *stmt = own_get(eng, OWN_LOG_TRIM);
    if (!stmt)
        return sqlite3_extended_errcode(eng->db);
    int rc = sqlite3_bind_int64(stmt, 1, LIMIT_QUERY_LOG_ROWS);
    rc = rc ? rc : own_step(eng, stmt);
    int reset = sqlite3_reset(stmt);
    return rc == SQLITE_DONE ? SQLITE_OK : reset ? reset : rc;
}

static int put_rows(struct engine *eng, size_t limit, size_t *ret_done)
{
    int rc = own_run(eng, OWN_BEGIN_WRITE);
    if (rc != SQLITE_OK)
        return rc;
    struct list *it = eng->log.rows.next;
    for (; it != &eng->log.rows && *ret_done < limit && rc == SQLITE_OK; it = it->next) {
        rc = put(eng, LIST_ITEM(it, struct log_row, node));
        *ret_done += rc == SQLITE_OK;
    }
    rc = rc ? rc : trim(eng);
    rc = rc ? rc : own_run(eng, OWN_COMMIT);
    if (rc != SQLITE_OK)
        own_abandon(eng); /* the first error decides */
    return rc;
}

static void set_durable(struct engine *eng, bool full)
{
    struct guard_saved saved = guard_enter_own(&eng->guard);
    int rc = sqlite3_exec(
        eng->db, full ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = NORMAL", NULL, NULL, NULL);
    guard_leave(&eng->guard, saved);
    if (rc != SQLITE_OK && full)
        eng->leaving = true; /* what is acknowledged later must be durable */
}

void querylog_flush(struct engine *eng, size_t limit)
{
    size_t done = 0;
    struct err err = ERR_INIT;
    eng->log.flushed_us = clock_mono_us();
    if (eng->log.count == 0 || eng->cfg.mode != ENGINE_WRITER)
        return;
    set_durable(eng, false);
    int rc = put_rows(eng, limit, &done);
    set_durable(eng, true);
    if (rc == SQLITE_OK) {
        while (done-- > 0)
            querylog_drop_oldest(&eng->log);
    } else {
        (void)engine_note_failure(
            eng, rc, &err); /* nobody waits for an answer: a failed disk makes the engine leave */
    }
}

void querylog_flush_busy(struct engine *eng)
{
    if (eng->log.count >= BUSY_ROWS && clock_mono_us() - eng->log.flushed_us > BUSY_INTERVAL_US)
        querylog_flush(eng, BUSY_SLICE);
}
