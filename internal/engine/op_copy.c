/* A whole copy of this database as of one moment: SQLite's backup in small steps, inside one read transaction
 * of an engine that does nothing else. Writers go on meanwhile, in an engine of their own, and only the log
 * grows. Written to out/<copy>.db, as COPY_SCHEMA does; the copy is another file than this one and remembers
 * none of its calls. data: {"pages", "readAtMs"}: the time just before its first read. */
#include "engine/copy_file.h"
#include "base/clock.h"
#include "engine/catalog.h"
#include "engine/mask_store.h"
#include "engine/proposal.h"
#include "engine/rule.h"
#include "engine/vfs.h"

enum { STEP_PAGES = 256 }; /* a megabyte between two looks at the time */

static const char SQL_SNAPSHOT[] = "SELECT count(*) FROM sqlite_schema";
static const char SQL_OPEN[] =
    "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA secure_delete = ON";
/* Receipts answer calls of the other database, its log tells of them, proposals are writes to it, and rules
 * say who may change it. */
static const char SQL_BECOME_NEW[] =
    "BEGIN; DELETE FROM _sys_applied; DELETE FROM _sys_query_log;"
    " " PROPOSALS_PURGE_SQL "; " RULES_PURGE_SQL ";"
    " " MASK_SECRET_RENEW_SQL ";"
    " UPDATE _sys_meta SET value = lower(hex(randomblob(16))) WHERE key = 'file';"
    " COMMIT; PRAGMA wal_checkpoint(TRUNCATE)";

static enum err_code fail(sqlite3 *db, int rc, struct err *err)
{
    int primary = rc & 0xff;
    enum err_code code = primary == SQLITE_FULL                                  ? ERR_FULL
                         : primary == SQLITE_CORRUPT || primary == SQLITE_NOTADB ? ERR_CORRUPT
                                                                                 : ERR_IO;
    return err_set(
        err, code, "the copy could not be written: %s", db ? sqlite3_errmsg(db) : sqlite3_errstr(rc));
}

/* Until the first read there is no snapshot, and each step of the backup would take its own. */
static enum err_code take_snapshot(struct op *op, struct err *err)
{
    struct catalog_source src = catalog_source_of_op(op);
    AUTO_SQL *stmt = NULL;
    bool row = false;
    enum err_code code = op_prepare_internal(op, SQL_SNAPSHOT, &stmt, err);
    return code ? code : catalog_step(&src, stmt, &row, err);
}

static enum err_code copy_pages(struct op *op, sqlite3 *to, int *ret_pages, struct err *err)
{
    enum err_code code = ERR_OK;
    int rc = SQLITE_OK;
    sqlite3_backup *b = sqlite3_backup_init(to, "main", catalog_db(op), "main");
    if (!b)
        return fail(to, sqlite3_errcode(to), err);
    while (!code && (rc = sqlite3_backup_step(b, STEP_PAGES)) == SQLITE_OK)
        code = op_check_time(op, err);
    *ret_pages = sqlite3_backup_pagecount(b);
    (void)sqlite3_backup_finish(b); /* repeats the error of the last step */
    if (code)
        return code;
    if (rc == SQLITE_DONE)
        return ERR_OK;
    code = op_check_time(op, err);
    return code ? code : fail(NULL, rc, err);
}

static enum err_code write_copy(struct op *op, sqlite3 *to, int *ret_pages, struct err *err)
{
    int rc = sqlite3_exec(to, SQL_OPEN, NULL, NULL, NULL);
    if (rc)
        return fail(to, rc, err);
    enum err_code code = copy_pages(op, to, ret_pages, err);
    if (code)
        return code;
    if (wire_arg(&op->call, "same").ptr)
        return ERR_OK;
    rc = sqlite3_exec(to, SQL_BECOME_NEW, NULL, NULL, NULL);
    return rc ? fail(to, rc, err) : ERR_OK;
}

static enum err_code make(struct op *op, const char *path, int *ret_pages, struct err *err)
{
    sqlite3 *to = NULL;
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_EXCLUSIVE | SQLITE_OPEN_NOFOLLOW;
    int rc = sqlite3_open_v2(path, &to, flags, VFS_NAME);
    enum err_code code = rc ? fail(to, rc, err) : write_copy(op, to, ret_pages, err);
    rc = sqlite3_close(to);
    if (!code && rc)
        code = fail(NULL, rc, err);
    return code ? code : copy_file_settle(path, err);
}

enum err_code op_run_COPY(struct op *op, struct err *err)
{
    char path[FS_PATH_MAX];
    int pages = 0;
    int64_t read_at = clock_wall_ms();
    enum err_code code = copy_file_begin(op, path, err);
    if (!code)
        code = take_snapshot(op, err);
    if (!code)
        code = make(op, path, &pages, err);
    if (code) {
        copy_file_drop(path);
        return code;
    }
    jsonw_object(op->w);
    JSONW_INT(op->w, "pages", pages);
    JSONW_INT(op->w, "readAtMs", read_at);
    jsonw_object_end(op->w);
    return ERR_OK;
}
