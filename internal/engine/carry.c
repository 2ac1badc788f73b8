/* Taking over what a restore must not forget, and what both ends share. */
#define _GNU_SOURCE /* lstat */
#include "engine/carry.h"
#include "base/fs.h"
#include "base/str.h"
#include "base/strbuf.h"
#include "engine/carry_rows.h"
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#define TABLE_THERE " WHERE EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = "

const char *const CARRY_TABLES[] = {"_sys_applied", "_sys_proposal", "_sys_proposal_part",
    "_sys_proposal_row", "_sys_proposal_table", "_sys_rule", "_sys_invariant", "_sys_mask", NULL};

static const struct carry_step STEPS[] = {
    {"SELECT name FROM carried_table", "DELETE FROM _sys_row_security WHERE table_name = ?1"},
    {"SELECT name FROM carried_table", "DELETE FROM _sys_policy WHERE table_name = ?1"},
    {"SELECT table_name FROM _sys_row_security",
        "INSERT OR REPLACE INTO _sys_row_security(table_name) SELECT ?1" TABLE_THERE "?1 COLLATE NOCASE)"},
    {"SELECT id, name, table_name, command, using_sql, check_sql, roles, enabled, created_at_ms, "
     "updated_at_ms FROM _sys_policy",
        "INSERT OR REPLACE INTO _sys_policy(id, name, table_name, command, using_sql, check_sql, roles, "
        "enabled,"
        " created_at_ms, updated_at_ms) SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10" TABLE_THERE
        "?3 COLLATE NOCASE)"},
    {"SELECT key, value FROM _sys_meta WHERE key IN ('policies', 'mask_secret', 'mask_columns')",
        "INSERT OR REPLACE INTO _sys_meta(key, value) VALUES(?1, ?2)"},
    {"SELECT value FROM _sys_meta WHERE key = 'file'",
        "INSERT OR REPLACE INTO _sys_meta(key, value) VALUES('carried', ?1)"},
};

#define SQL_STALE "UPDATE _sys_proposal SET state = 'stale' WHERE state = 'pending'"
#define SQL_LOST                                                                                             \
    "BEGIN IMMEDIATE; UPDATE _sys_proposal SET state = 'withdrawn', token_hash = NULL, tracked = 0"          \
    " WHERE state IN ('pending', 'stale'); COMMIT"
#define SQL_TAKEN "SELECT 1 FROM _sys_meta WHERE key = 'carried' AND value = ?1"
#define SQL_NAME  "SELECT value FROM _sys_meta WHERE key = 'file'"

/* --- Rows --- */

static int run_row(sqlite3_stmt *row, sqlite3_stmt *run)
{
    int rc = SQLITE_OK;
    for (int i = 0; i < sqlite3_column_count(row) && rc == SQLITE_OK; i++)
        rc = sqlite3_bind_value(run, i + 1, sqlite3_column_value(row, i));
    if (rc == SQLITE_OK)
        rc = sqlite3_step(run);
    int end = sqlite3_reset(run);
    return rc == SQLITE_DONE || rc == SQLITE_ROW ? SQLITE_OK : end != SQLITE_OK ? end : rc;
}

int carry_rows(sqlite3 *from, sqlite3 *to, const struct carry_step *step)
{
    sqlite3_stmt *row = NULL, *run = NULL;
    int rc = sqlite3_prepare_v2(from, step->select, -1, &row, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_prepare_v2(to, step->run, -1, &run, NULL);
    while (rc == SQLITE_OK && (rc = sqlite3_step(row)) == SQLITE_ROW)
        rc = run_row(row, run);
    (void)sqlite3_finalize(row); /* both repeat what was seen */
    (void)sqlite3_finalize(run);
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

/* "INSERT INTO t VALUES(?,?,?)", of as many values as `select` has columns. */
static int write_insert(sqlite3 *from, const char *select, const char *table, struct strbuf *out)
{
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v2(from, select, -1, &stmt, NULL);
    strbuf_add_cstr(out, "INSERT INTO ");
    strbuf_add_cstr(out, table);
    for (int i = 0; i < sqlite3_column_count(stmt); i++)
        strbuf_add_cstr(out, i ? ",?" : " VALUES(?");
    strbuf_add_char(out, ')');
    (void)sqlite3_finalize(stmt); /* never stepped */
    return rc == SQLITE_OK && strbuf_failed(out) ? SQLITE_TOOBIG : rc;
}

int carry_table(sqlite3 *from, sqlite3 *to, const char *table)
{
    enum { SQL_BYTES_MAX = 1000 };
    AUTO_STRBUF select, run;
    strbuf_init(&select, SQL_BYTES_MAX);
    strbuf_init(&run, SQL_BYTES_MAX);
    strbuf_add_cstr(&select, "SELECT * FROM ");
    strbuf_add_cstr(&select, table);
    int rc = write_insert(from, strbuf_cstr(&select), table, &run);
    const struct carry_step step = {strbuf_cstr(&select), strbuf_cstr(&run)};
    return rc == SQLITE_OK ? carry_rows(from, to, &step) : rc;
}

/* --- Taking over --- */

static int exec(sqlite3 *db, const char *sql)
{
    return sqlite3_exec(db, sql, NULL, NULL, NULL);
}

static int replace_table(sqlite3 *from, sqlite3 *to, const char *table)
{
    char *sql = sqlite3_mprintf("DELETE FROM \"%w\"", table);
    int rc = sql ? exec(to, sql) : SQLITE_NOMEM;
    sqlite3_free(sql);
    return rc == SQLITE_OK ? carry_table(from, to, table) : rc;
}

static int take_rows(sqlite3 *from, sqlite3 *to)
{
    int rc = SQLITE_OK;
    for (size_t i = 0; CARRY_TABLES[i] && rc == SQLITE_OK; i++)
        rc = replace_table(from, to, CARRY_TABLES[i]);
    for (size_t i = 0; i < ARRAY_LEN(STEPS) && rc == SQLITE_OK; i++)
        rc = carry_rows(from, to, &STEPS[i]);
    return rc == SQLITE_OK ? exec(to, SQL_STALE) : rc;
}

/* A crash may have come between taking it over and removing it, or another engine before this one. */
static int is_taken(sqlite3 *from, sqlite3 *to, bool *ret)
{
    sqlite3_stmt *name = NULL, *taken = NULL;
    int rc = sqlite3_prepare_v2(from, SQL_NAME, -1, &name, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_prepare_v2(to, SQL_TAKEN, -1, &taken, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(name);
    if (rc == SQLITE_ROW)
        rc = sqlite3_bind_value(taken, 1, sqlite3_column_value(name, 0));
    if (rc == SQLITE_OK)
        rc = sqlite3_step(taken);
    *ret = rc == SQLITE_ROW;
    (void)sqlite3_finalize(name); /* both repeat what was seen */
    (void)sqlite3_finalize(taken);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int take_file(sqlite3 *to, const char *path)
{
    sqlite3 *from = NULL;
    bool taken = false;
    int rc = sqlite3_open_v2(path, &from, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOFOLLOW, VFS_NAME);
    if (rc == SQLITE_OK)
        rc = exec(to, "BEGIN IMMEDIATE");
    if (rc == SQLITE_OK)
        rc = is_taken(from, to, &taken);
    if (rc == SQLITE_OK && !taken)
        rc = take_rows(from, to);
    if (rc == SQLITE_OK)
        rc = exec(to, "COMMIT");
    if (!sqlite3_get_autocommit(to))
        (void)exec(to, "ROLLBACK"); /* the first error is the one to tell */
    (void)sqlite3_close(from);      /* every statement is finished */
    return rc;
}

static void path_of(const struct engine *eng, char ret[FS_PATH_MAX])
{
    fs_join(ret, eng->cfg.dir, "carry.db");
}

bool carry_waits(const struct engine *eng)
{
    char path[FS_PATH_MAX];
    path_of(eng, path);
    return eng->cfg.mode != ENGINE_SCRATCH_MODE && fs_exists(path);
}

enum err_code carry_take(struct engine *eng, sqlite3 *db, struct err *err)
{
    char path[FS_PATH_MAX];
    struct stat st;
    path_of(eng, path);
    if (lstat(path, &st) != 0)
        return ERR_OK; /* another engine was first */
    int rc = st.st_size == 0 ? exec(db, SQL_LOST) : take_file(db, path);
    if (rc != SQLITE_OK)
        return err_set(err, (rc & 0xff) == SQLITE_FULL ? ERR_FULL : ERR_IO,
            "opening the database: what the restore keeps could not be taken over: %s", sqlite3_errstr(rc));
    if (unlink(path) != 0 && errno != ENOENT)
        return err_errno(err, ERR_IO, "removing what the restore kept");
    return fs_sync_dir(eng->cfg.dir, err); /* or it could come back, and undo what is written from now on */
}
