/* A whole copy of this database as of one moment: its files, or where the kernel does not copy between them
 * SQLite's backup in small steps, inside one read transaction of an engine that does nothing else. Writers go
 * on meanwhile, in an engine of their own, and only the log grows. Written to out/<copy>.db, as COPY_SCHEMA
 * does; the copy is another file than this one and remembers none of its calls. data: {"readAtMs"}: the time
 * just before its first read.
 *
 * With data=schema, sample (rows=, seed=) or masked, or masked=1, the copy is made row by row (copy_rows.h):
 * data {"rows", "readAtMs"}. With snapshot=1 a snapshot is copied in place of the database (copy_source.h).
 */
#include "base/clock.h"
#include "base/limits.h"
#include "engine/catalog.h"
#include "engine/copy_file.h"
#include "engine/copy_raw.h"
#include "engine/copy_rows.h"
#include "engine/engine_state.h"
#include "engine/mask_store.h"
#include "engine/proposal.h"
#include "engine/rule.h"
#include "engine/start_schema.h"
#include "engine/vfs.h"

enum { STEP_PAGES = 256 }; /* a megabyte between two looks at the time */

static const char SQL_SNAPSHOT[] = "SELECT count(*) FROM sqlite_schema";
static const char SQL_OPEN[] =
    "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA secure_delete = ON";
static const char SQL_TAKE_LOG[] =
    "PRAGMA synchronous = OFF; PRAGMA secure_delete = ON; PRAGMA wal_checkpoint(TRUNCATE)";
/* Receipts answer calls of the other database, its log tells of them, proposals are writes to it, and rules
 * say who may change it. */
static const char SQL_BECOME_NEW[] =
    "BEGIN; DELETE FROM _sys_applied; DELETE FROM _sys_query_log;"
    " " PROPOSALS_PURGE_SQL "; " RULES_PURGE_SQL ";"
    " " MASK_SECRET_RENEW_SQL "; " START_SCHEMA_KEEP_SQL ";"
    " UPDATE _sys_meta SET value = lower(hex(randomblob(16))) WHERE key = 'file';"
    " COMMIT; PRAGMA wal_checkpoint(TRUNCATE)";

static enum err_code fail(sqlite3 *db, int rc, struct err *err)
{
    enum err_code code = (rc & 0xff) == SQLITE_FULL ? ERR_FULL
                         : engine_says_damaged(rc)  ? ERR_CORRUPT
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

static enum err_code copy_pages(struct op *op, sqlite3 *to, struct err *err)
{
    enum err_code code = ERR_OK;
    int rc = SQLITE_OK;
    sqlite3_backup *b = sqlite3_backup_init(to, "main", catalog_db(op), "main");
    if (!b)
        return fail(to, sqlite3_errcode(to), err);
    while (!code && (rc = sqlite3_backup_step(b, STEP_PAGES)) == SQLITE_OK)
        code = op_check_time(op, err);
    (void)sqlite3_backup_finish(b); /* repeats the error of the last step */
    if (code)
        return code;
    if (rc == SQLITE_DONE)
        return ERR_OK;
    code = op_check_time(op, err);
    return code ? code : fail(NULL, rc, err);
}

static bool is_same(const struct op *op)
{
    return wire_arg(&op->call, "same").ptr != NULL;
}

static enum err_code exec(sqlite3 *db, const char *sql, struct err *err)
{
    int rc = sqlite3_exec(db, sql, NULL, NULL, NULL);
    return rc ? fail(db, rc, err) : ERR_OK;
}

/* `raw`: its pages are there already, some of them in its log. */
static enum err_code write_copy(struct op *op, sqlite3 *to, bool raw, struct err *err)
{
    enum err_code code = exec(to, raw ? SQL_TAKE_LOG : SQL_OPEN, err);
    if (!code && !raw)
        code = copy_pages(op, to, err);
    return code || is_same(op) ? code : exec(to, SQL_BECOME_NEW, err);
}

/* What is left to do is done to the copy alone. */
static void let_log_go(struct op *op)
{
    if (!sqlite3_get_autocommit(op->eng->db) && own_run(op->eng, OWN_COMMIT) != SQLITE_OK)
        own_abandon(op->eng); /* nothing was written */
}

static enum err_code make(struct op *op, const char *path, struct err *err)
{
    sqlite3 *to = NULL;
    bool raw = false, log = false;
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOFOLLOW;
    enum err_code code = copy_raw(op, path, &raw, &log, err);
    if (code)
        return code;
    if (raw)
        let_log_go(op);
    if (raw && !log && is_same(op))
        return copy_file_settle(path, err);
    int rc = sqlite3_open_v2(
        path, &to, raw ? flags : flags | SQLITE_OPEN_CREATE | SQLITE_OPEN_EXCLUSIVE, VFS_NAME);
    code = rc ? fail(to, rc, err) : write_copy(op, to, raw, err);
    rc = sqlite3_close(to);
    if (!code && rc)
        code = fail(NULL, rc, err);
    return code ? code : copy_file_settle(path, err);
}

static enum err_code copy_whole(struct op *op, struct copy_source *from, const char *path, struct err *err)
{
    if (from->db)
        return copy_source_adopt(from, SQL_BECOME_NEW, err);
    op->eng->must_end_soon = true;
    enum err_code code = take_snapshot(op, err);
    if (!code)
        code = make(op, path, err);
    op->eng->must_end_soon = false;
    return code;
}

/* "" is `ret` as it was. */
static enum err_code number(struct op *op, const char *name, int64_t *ret, struct err *err)
{
    struct str text = wire_arg(&op->call, name);
    int64_t n = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9' || n > INT64_MAX / 10 - 1)
            return err_set(err, ERR_INVALID, "%s must be a number", name);
        n = n * 10 + (text.ptr[i] - '0');
    }
    if (text.len)
        *ret = n;
    return ERR_OK;
}

static enum err_code read_wish(struct op *op, struct copy_wish *ret, bool *ret_whole, struct err *err)
{
    struct str data = wire_arg(&op->call, "data");
    bool sample = str_eq(data, S("sample"));
    *ret = (struct copy_wish){.schema_only = str_eq(data, S("schema")),
        .masked = str_eq(data, S("masked")) || wire_arg(&op->call, "masked").len > 0,
        .sample = sample ? LIMIT_SAMPLE_DEFAULT_ROWS : 0};
    *ret_whole = !ret->schema_only && !ret->masked && !sample;
    enum err_code code = sample ? number(op, "rows", &ret->sample, err) : ERR_OK;
    return code ? code : number(op, "seed", &ret->seed, err);
}

static enum err_code copy_it(
    struct op *op, const char *path, bool *ret_whole, int64_t *ret_count, struct err *err)
{
    struct copy_source from;
    struct copy_wish wish;
    enum err_code code = copy_source_open(op, &from, err);
    if (!code)
        code = read_wish(op, &wish, ret_whole, err);
    if (!code && *ret_whole)
        code = copy_whole(op, &from, path, err);
    else if (!code)
        code = copy_rows(op, &from, &wish, path, ret_count, err);
    copy_source_release(&from);
    return code;
}

enum err_code op_run_COPY(struct op *op, struct err *err)
{
    char path[FS_PATH_MAX];
    bool whole = false;
    int64_t count = 0, read_at = clock_wall_ms();
    enum err_code code = copy_file_begin(op, path, err);
    if (!code)
        code = copy_it(op, path, &whole, &count, err);
    if (code) {
        copy_file_drop(path);
        return code;
    }
    jsonw_object(op->w);
    if (!whole)
        JSONW_INT(op->w, "rows", count);
    JSONW_INT(op->w, "readAtMs", read_at);
    jsonw_object_end(op->w);
    return ERR_OK;
}
