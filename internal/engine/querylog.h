/* The query log: every call leaves a row, without turning reads into writes. Rows collect in memory and are
 * flushed to
 * `_sys_query_log` when the engine is idle, in transactions that do not wait for the disk; a crash may lose
 * the newest rows. Both halves are read through the virtual table `_persql_meta_query_log` (querylog_vtab.c).
 */
#ifndef ENGINE_QUERYLOG_H
#define ENGINE_QUERYLOG_H

#include "base/err.h"
#include "base/id.h"
#include "base/list.h"
#include "base/str.h"
#include <sqlite3.h>

struct engine;
struct task;

struct log_row {
    struct list node;
    struct id id;
    int64_t ts_ms;
    struct str kind, sql, token_id, request_id, error_kind; /* right behind the struct */
    int64_t rows_read, rows_written, duration_us;
    int status;
};

struct querylog {
    struct list rows; /* oldest first */
    size_t count, bytes;
    uint64_t dropped; /* rows that made room for newer ones before they were flushed */
    int64_t flushed_us;
    struct id_sequence ids;
};

void querylog_init(struct querylog *log);
void querylog_release(struct querylog *log);

/* Remembers a call that is answered. */
void querylog_note(struct engine *eng, struct task *t);
void querylog_add(struct querylog *log, const struct log_row *from); /* copies */
void querylog_drop_oldest(struct querylog *log);
int querylog_bind(sqlite3_stmt *stmt, const struct log_row *row); /* columns as parameters 1 to 11 */
bool querylog_pending(const struct querylog *log);
/* Writes at most `limit` rows; outside of a transaction. */
void querylog_flush(struct engine *eng, size_t limit);
/* Between two turns of a busy engine: a slice, now and then. */
void querylog_flush_busy(struct engine *eng);

/* querylog_spool.c: a reader engine cannot write the database. It leaves its rows in a small database of
 * their own beside it, and the writer takes them from there. */
void querylog_spool_put(struct engine *eng);
void querylog_spool_take(struct engine *eng);

/* Columns of the virtual table in order: id, ts, kind, sql, rows_read, rows_written, duration_ms, token_id,
 * status, error_kind, request_id. SQLITE_OK or the error of sqlite3_create_module. */
int querylog_vtab_register(struct engine *eng);
enum { QUERYLOG_COLUMNS = 11 };

#endif
