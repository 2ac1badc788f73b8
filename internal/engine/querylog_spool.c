/* Rows of reader engines on their way to the writer. A log may lose rows in a crash, so nothing here waits
 * for the disk, and what fails is dropped. */
#include "base/fs.h"
#include "engine/column.h"
#include "engine/engine_state.h"

#define SPOOL_FILE "querylog.spool"
#define SQL_MAKE                                                                                             \
    "PRAGMA synchronous = OFF; CREATE TABLE IF NOT EXISTS spool (id, ts, kind, sql, rows_read, "             \
    "rows_written,"                                                                                          \
    " duration_ms, token_id, status, error_kind, request_id)"
#define SQL_PUT "INSERT INTO spool VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)"
#define SQL_TAKE                                                                                             \
    "SELECT id, ts, kind, sql, rows_read, rows_written, duration_ms, token_id, status, error_kind, "         \
    "request_id"                                                                                             \
    " FROM spool ORDER BY rowid"

enum { SPOOL_BUSY_MS = 200 };

static sqlite3 *spool_open(const struct engine *eng, bool create)
{
    char path[FS_PATH_MAX];
    sqlite3 *db = NULL;
    fs_join(path, eng->cfg.dir, SPOOL_FILE);
    if (!create && !fs_exists(path))
        return NULL;
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOFOLLOW | SQLITE_OPEN_NOMUTEX;
    int rc = sqlite3_open_v2(path, &db, flags, VFS_NAME);
    if (rc == SQLITE_OK)
        rc = sqlite3_busy_timeout(db, SPOOL_BUSY_MS);
    if (rc == SQLITE_OK)
        rc = sqlite3_exec(db, SQL_MAKE, NULL, NULL, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL);
    if (rc == SQLITE_OK)
        return db;
    (void)sqlite3_close(db); /* no statement is open */
    return NULL;
}

/* Commits when all went well, else leaves the file as it was. */
static void spool_close(sqlite3 *db, sqlite3_stmt *stmt, bool ok)
{
    (void)sqlite3_finalize(stmt); /* its result is in `ok` */
    (void)sqlite3_exec(db, ok ? "COMMIT" : "ROLLBACK", NULL, NULL, NULL);
    (void)sqlite3_close(db); /* an open transaction is rolled back */
}

void querylog_spool_put(struct engine *eng)
{
    struct list *it = eng->log.rows.next;
    sqlite3_stmt *stmt = NULL;
    sqlite3 *db = eng->log.count > 0 ? spool_open(eng, true) : NULL;
    if (!db)
        return;
    int rc = sqlite3_prepare_v2(db, SQL_PUT, -1, &stmt, NULL);
    for (; rc == SQLITE_OK && it != &eng->log.rows; it = it->next) {
        rc = querylog_bind(stmt, LIST_ITEM(it, struct log_row, node));
        if (rc == SQLITE_OK && sqlite3_step(stmt) != SQLITE_DONE)
            rc = SQLITE_ERROR;
        (void)sqlite3_reset(stmt); /* as the step said */
    }
    spool_close(db, stmt, rc == SQLITE_OK);
    while (eng->log.count > 0)
        querylog_drop_oldest(&eng->log);
}

static void take_row(struct engine *eng, sqlite3_stmt *stmt)
{
    struct log_row row = {
        .ts_ms = sqlite3_column_int64(stmt, 1),
        .kind = column_bytes(stmt, 2),
        .sql = column_bytes(stmt, 3),
        .rows_read = sqlite3_column_int64(stmt, 4),
        .rows_written = sqlite3_column_int64(stmt, 5),
        .duration_us = (int64_t)(sqlite3_column_double(stmt, 6) * 1000),
        .token_id = column_bytes(stmt, 7),
        .status = sqlite3_column_int(stmt, 8),
        .error_kind = column_bytes(stmt, 9),
        .request_id = column_bytes(stmt, 10),
    };
    struct str id = column_bytes(stmt, 0);
    if (!id_valid(id, "ql"))
        return;
    memcpy(row.id.text, id.ptr, id.len + 1); /* column texts end with a NUL */
    querylog_add(&eng->log, &row);
}

void querylog_spool_take(struct engine *eng)
{
    sqlite3_stmt *stmt = NULL;
    sqlite3 *db = spool_open(eng, false);
    if (!db)
        return;
    int rc = sqlite3_prepare_v2(db, SQL_TAKE, -1, &stmt, NULL);
    while (rc == SQLITE_OK && sqlite3_step(stmt) == SQLITE_ROW)
        take_row(eng, stmt);
    (void)sqlite3_reset(stmt); /* rows that could not be read are dropped with the others */
    rc = sqlite3_exec(db, "DELETE FROM spool", NULL, NULL, NULL);
    spool_close(db, stmt, rc == SQLITE_OK);
}
