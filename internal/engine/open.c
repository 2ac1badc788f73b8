/* Opening the database: SQLite itself, the connection recipe, and the server's own tables. The order matters
 * and is that of the recipe: switches before the first statement, functions and modules before the
 * authorizer, limits before tenant SQL. */
#define _GNU_SOURCE /* lstat */
#include "base/check.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/limits.h"
#include "engine/carry.h"
#include "engine/engine_state.h"
#include "engine/functions.h"
#include "engine/identity.h"
#include "engine/main_file.h"
#include "engine/proposal.h"
#include "engine/rowsec.h"
#include "engine/rule_when.h"
#include "sqlite/migrations_embedded.h"
#include <stdio.h>
#include <sys/stat.h>

#define SQL_HAS_META "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = '_sys_meta'"
#define SQL_VERSION  "SELECT value FROM _sys_meta WHERE key = 'schema'"
#define SQL_STAMP    "INSERT OR REPLACE INTO _sys_meta (key, value) VALUES ('schema', %d)"

enum {
    BUSY_TIMEOUT_MS = 2000, /* an engine that is just leaving may hold the lock */
    LOOKASIDE_SLOTS = 64,   /* small: thousands of engines idle side by side */
    LOOKASIDE_BYTES = 1200,
    STATEMENT_JOURNAL_BYTES = 1 << 20, /* savepoints spill to a file of the directory past this */
};

enum err_code engine_start_library(const struct engine *eng, struct err *err)
{
    int rc = sqlite3_config(SQLITE_CONFIG_SINGLETHREAD);
    if (rc == SQLITE_OK)
        rc = sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 1); /* the hard limit counts with it */
    if (rc == SQLITE_OK)
        rc = sqlite3_config(SQLITE_CONFIG_URI, 0);
    if (rc == SQLITE_OK)
        rc = sqlite3_config(SQLITE_CONFIG_LOOKASIDE, LOOKASIDE_BYTES, LOOKASIDE_SLOTS);
    if (rc == SQLITE_OK)
        rc = sqlite3_config(SQLITE_CONFIG_STMTJRNL_SPILL, (int)STATEMENT_JOURNAL_BYTES);
    if (rc == SQLITE_OK)
        rc = sqlite3_initialize();
    if (rc == SQLITE_OK) {
        (void)sqlite3_hard_heap_limit64(LIMIT_ENGINE_HEAP_BYTES); /* returns the limit before */
        /* Sorters and savepoints spill here; it is freed by the process's end. */
        sqlite3_temp_directory = sqlite3_mprintf("%s", eng->cfg.dir);
        rc = sqlite3_temp_directory ? SQLITE_OK : SQLITE_NOMEM;
    }
    return rc == SQLITE_OK ? ERR_OK
                           : err_set(err, ERR_UNAVAILABLE, "SQLite did not start: %s", sqlite3_errstr(rc));
}

void engine_limits(sqlite3 *db)
{
    static const struct {
        int id;
        int64_t value;
    } LIMITS[] = {
        {SQLITE_LIMIT_LENGTH, LIMIT_SQL_VALUE_BYTES},
        {SQLITE_LIMIT_SQL_LENGTH, LIMIT_SQL_BYTES},
        {SQLITE_LIMIT_COLUMN, LIMIT_SQL_COLUMNS},
        {SQLITE_LIMIT_EXPR_DEPTH, LIMIT_SQL_EXPR_DEPTH},
        {SQLITE_LIMIT_COMPOUND_SELECT, LIMIT_SQL_COMPOUND},
        {SQLITE_LIMIT_VDBE_OP, LIMIT_SQL_VDBE_OPS},
        {SQLITE_LIMIT_FUNCTION_ARG, LIMIT_SQL_FUNCTION_ARGS},
        {SQLITE_LIMIT_LIKE_PATTERN_LENGTH, LIMIT_SQL_LIKE_BYTES},
        {SQLITE_LIMIT_VARIABLE_NUMBER, LIMIT_SQL_VARIABLES},
        {SQLITE_LIMIT_TRIGGER_DEPTH, LIMIT_SQL_TRIGGER_DEPTH},
        {SQLITE_LIMIT_ATTACHED, 0},
        {SQLITE_LIMIT_WORKER_THREADS, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(LIMITS); i++)
        (void)sqlite3_limit(db, LIMITS[i].id, (int)LIMITS[i].value); /* returns the limit before */
}

static int set_switches(const struct engine *eng, sqlite3 *db)
{
    const struct {
        int option, value;
    } switches[] = {
        {SQLITE_DBCONFIG_DEFENSIVE, 1},
        {SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0},
        {SQLITE_DBCONFIG_WRITABLE_SCHEMA, 0},
        {SQLITE_DBCONFIG_DQS_DDL, 0},
        {SQLITE_DBCONFIG_DQS_DML, 0},
        {SQLITE_DBCONFIG_ENABLE_FKEY, 1},
        {SQLITE_DBCONFIG_STMT_SCANSTATUS, 1},
        {SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, eng->cfg.mode != ENGINE_WRITER || eng->base.keeps},
    };
    int rc = SQLITE_OK;
    for (size_t i = 0; i < ARRAY_LEN(switches) && rc == SQLITE_OK; i++)
        rc = sqlite3_db_config(db, switches[i].option, switches[i].value, NULL);
    return rc;
}

bool engine_says_damaged(int rc)
{
    return ((rc & 0xff) == SQLITE_CORRUPT && rc != SQLITE_CORRUPT_VTAB) || (rc & 0xff) == SQLITE_NOTADB;
}

static enum err_code failed(sqlite3 *db, int rc, const char *doing, struct err *err)
{
    if (engine_says_damaged(rc))
        return err_set(err, ERR_CORRUPT, "%s: %s", doing, sqlite3_errmsg(db));
    switch (rc & 0xff) {
    case SQLITE_FULL: return err_set(err, ERR_FULL, "%s: %s", doing, sqlite3_errmsg(db));
    case SQLITE_IOERR: return err_set(err, ERR_IO, "%s: %s", doing, sqlite3_errmsg(db));
    default: return err_set(err, ERR_UNAVAILABLE, "%s: %s", doing, sqlite3_errmsg(db));
    }
}

static enum err_code run(sqlite3 *db, const char *sql, struct err *err)
{
    int rc = sqlite3_exec(db, sql, NULL, NULL, NULL);
    return rc == SQLITE_OK ? ERR_OK : failed(db, rc, "opening the database", err);
}

static enum err_code query_int(sqlite3 *db, const char *sql, int64_t *ret, struct err *err)
{
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v2(db, sql, -1, &stmt, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(stmt);
    *ret = rc == SQLITE_ROW ? sqlite3_column_int64(stmt, 0) : 0;
    enum err_code code =
        rc == SQLITE_ROW || rc == SQLITE_DONE ? ERR_OK : failed(db, rc, "opening the database", err);
    (void)sqlite3_finalize(stmt); /* repeats the error of the step */
    return code;
}

enum err_code engine_recipe(struct engine *eng, sqlite3 *db, struct err *err)
{
    static const char *const MODULES[] = {"fts5", "fts5vocab", "json_each", "json_tree", NULL};
    (void)sqlite3_extended_result_codes(db, 1);
    (void)sqlite3_busy_timeout(db, BUSY_TIMEOUT_MS);
    int rc = set_switches(eng, db);
    if (rc == SQLITE_OK)
        rc = sqlite3_drop_modules(db, (const char **)(uintptr_t)MODULES);
    if (rc == SQLITE_OK)
        rc = functions_register(db);
    if (rc == SQLITE_OK)
        rc = dice_register(eng, db);
    engine_limits(db);
    if (rc != SQLITE_OK)
        return failed(db, rc, "setting up the connection", err);
    return run(db,
        "PRAGMA cell_size_check = ON; PRAGMA mmap_size = 0; PRAGMA temp_store = FILE; PRAGMA cache_size = "
        "-2000",
        err);
}

/* --- The server's own tables --- */

static enum err_code tenant_version(sqlite3 *db, int64_t *ret, struct err *err)
{
    int64_t has_meta;
    *ret = 0;
    enum err_code code = query_int(db, SQL_HAS_META, &has_meta, err);
    return code || !has_meta ? code : query_int(db, SQL_VERSION, ret, err);
}

static enum err_code apply(sqlite3 *db, const struct migration_file *file, struct err *err)
{
    char stamp[sizeof SQL_STAMP + 16];
    str_print(stamp, sizeof stamp, SQL_STAMP, file->number);
    enum err_code code = run(db, file->sql, err);
    return code ? code : run(db, stamp, err);
}

/* What is missing, in one transaction. */
static enum err_code apply_from(sqlite3 *db, const struct migration_file *file, struct err *err)
{
    enum err_code code = run(db, "BEGIN IMMEDIATE", err);
    for (; !code && file->number != 0; file++)
        code = apply(db, file, err);
    if (!code)
        code = run(db, "COMMIT", err);
    if (code && !sqlite3_get_autocommit(db))
        (void)run(db, "ROLLBACK", NULL); /* the first error is the one to tell */
    return code;
}

enum err_code engine_make_tables(sqlite3 *db, struct err *err)
{
    enum err_code code = ERR_OK;
    for (const struct migration_file *file = migrations_tenant; !code && file->number != 0; file++)
        code = apply(db, file, err);
    return code;
}

enum err_code engine_migrate(sqlite3 *db, bool *ret_new, struct err *err)
{
    int64_t version;
    enum err_code code = tenant_version(db, &version, err);
    const struct migration_file *file = migrations_tenant;
    if (code)
        return code;
    *ret_new = version == 0;
    while (file->number != 0 && file->number <= version)
        file++;
    if (file->number != 0)
        return apply_from(db, file, err);
    return version <= file[-1].number
               ? ERR_OK
               : err_set(
                     err, ERR_UNAVAILABLE, "this database was written by a newer Holdfast: use that version");
}

static enum err_code count_reserved(struct engine *eng, struct err *err)
{
    sqlite3_stmt *stmt = own_get(eng, OWN_SCHEMA_CHECK);
    int rc = stmt ? own_step(eng, stmt) : sqlite3_extended_errcode(eng->db);
    if (rc != SQLITE_ROW)
        return failed(eng->db, rc, "reading the schema", err);
    eng->reserved_objects = sqlite3_column_int64(stmt, 1);
    (void)sqlite3_reset(stmt); /* a row was there: no error is left */
    return ERR_OK;
}

/* --- The connection --- */

static int note_wal(void *arg, sqlite3 *db, const char *name, int pages)
{
    struct engine *eng = arg;
    (void)db;
    (void)name;
    eng->wal_pages = (uint64_t)pages;
    atomic_store_explicit(&eng->board->wal_bytes, eng->wal_pages * eng->page_size, memory_order_relaxed);
    return SQLITE_OK;
}

static enum err_code set_file_pragmas(struct engine *eng, struct err *err)
{
    char sql[400];
    if (eng->cfg.mode == ENGINE_READER && eng->opens == SEAT_USUAL)
        return run(eng->db, "PRAGMA query_only = ON", err);
    enum err_code code = run(eng->db,
        eng->opens == SEAT_COPY ? "PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF"
                                : "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL",
        err);
    if (code)
        return code;
    int64_t page_size;
    code = query_int(eng->db, "PRAGMA page_size", &page_size, err);
    if (code)
        return code;
    eng->page_size = (uint64_t)page_size;
    CHECK(page_size > 0);
    uint64_t pages = eng->cfg.db_bytes_max / (uint64_t)page_size;
    str_print(sql, sizeof sql,
        "PRAGMA max_page_count = %llu; PRAGMA journal_size_limit = %lld; PRAGMA wal_autocheckpoint = 0",
        (unsigned long long)(pages < UINT32_MAX - 1 ? pages : UINT32_MAX - 1), (long long)LIMIT_WAL_BYTES);
    code = run(eng->db, sql, err);
    (void)sqlite3_wal_hook(eng->db, note_wal, eng); /* returns the argument of the hook before */
    return code;
}

static int open_file(struct engine *eng)
{
    char path[FS_PATH_MAX];
    int flags = SQLITE_OPEN_NOFOLLOW | SQLITE_OPEN_PRIVATECACHE | SQLITE_OPEN_NOMUTEX;
    if (eng->cfg.mode == ENGINE_SCRATCH_MODE)
        return sqlite3_open_v2(":memory:", &eng->db, flags | SQLITE_OPEN_READWRITE, VFS_NAME);
    fs_join(path, eng->cfg.dir, "main.db");
    if (eng->cfg.mode == ENGINE_READER)
        flags |= eng->opens == SEAT_USUAL ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE;
    else
        flags |= SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
    return sqlite3_open_v2(eng->opens == SEAT_COPY ? eng->elsewhere : path, &eng->db, flags, VFS_NAME);
}

/* A reader may be the first to see a restored file: it must not read by rules of another time. */
static enum err_code carry_first(struct engine *eng, struct err *err)
{
    char path[FS_PATH_MAX];
    bool is_new;
    sqlite3 *db = NULL;
    fs_join(path, eng->cfg.dir, "main.db");
    int flags = SQLITE_OPEN_NOFOLLOW | SQLITE_OPEN_PRIVATECACHE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_READWRITE;
    int rc = sqlite3_open_v2(path, &db, flags, VFS_NAME);
    (void)sqlite3_busy_timeout(db, BUSY_TIMEOUT_MS);
    enum err_code code =
        rc == SQLITE_OK ? engine_migrate(db, &is_new, err) : failed(db, rc, "opening the database", err);
    if (!code)
        code = carry_take(eng, db, err);
    (void)sqlite3_close(db); /* every statement is finished */
    return code;
}

/* A commit writes the log, and a checkpoint writes the file later still. */
static void note_last_commit(struct engine *eng)
{
    enum { TICK_MS = 10 }; /* the kernel's times of writes are behind the clock by at most that */
    static const char *const FILES[] = {"main.db", "main.db-wal"};
    char path[FS_PATH_MAX];
    struct stat st;
    int64_t last = 0;
    for (size_t i = 0; i < ARRAY_LEN(FILES); i++) {
        fs_join(path, eng->cfg.dir, FILES[i]);
        if (lstat(path, &st) != 0)
            continue;
        int64_t at = (int64_t)st.st_mtim.tv_sec * 1000 + st.st_mtim.tv_nsec / 1000000 + TICK_MS;
        last = at > last ? at : last;
    }
    atomic_store_explicit(&eng->board->last_commit_ms, last ? last : clock_wall_ms(), memory_order_release);
}

enum err_code engine_open(struct engine *eng, struct err *err)
{
    eng->vfs = vfs_register(eng->board, eng->cfg.mode == ENGINE_WRITER);
    eng->page_size = 4096;
    base_start(eng);
    bool known = false, is_new = false;
    enum err_code code = identity_before(eng, err);
    note_last_commit(eng);
    if (!code && eng->cfg.mode == ENGINE_READER && carry_waits(eng))
        code = carry_first(eng, err);
    if (code)
        return code;
    int rc = open_file(eng);
    if (rc != SQLITE_OK)
        return failed(eng->db, rc, "opening the database", err);
    if (eng->cfg.mode == ENGINE_WRITER && sqlite3_db_readonly(eng->db, "main") == 1)
        return err_set(
            err, ERR_UNAVAILABLE, "the database file cannot be opened for writing"); /* SQLite falls back */
    code = engine_recipe(eng, eng->db, err);
    if (!code)
        code = identity_compare(eng, &known, err);
    if (!code)
        code = set_file_pragmas(eng, err);
    if (!code && eng->cfg.mode != ENGINE_READER)
        code = engine_migrate(eng->db, &is_new, err);
    if (!code && !known && eng->cfg.mode == ENGINE_WRITER)
        code = identity_keep(eng, is_new, err);
    if (!code && carry_waits(eng) && eng->cfg.mode == ENGINE_WRITER)
        code = carry_take(eng, eng->db, err);
    if (!code && rowsec_register(eng, eng->db) != SQLITE_OK)
        code = err_set(err, ERR_UNAVAILABLE, "the functions of policies cannot be set up");
    if (code)
        return code;
    guard_attach(&eng->guard, eng->db);
    return eng->cfg.mode == ENGINE_SCRATCH_MODE ? ERR_OK : count_reserved(eng, err);
}

enum err_code engine_connect(struct engine *eng, struct err *err)
{
    int rc = open_file(eng);
    enum err_code code =
        rc == SQLITE_OK ? engine_recipe(eng, eng->db, err) : failed(eng->db, rc, "opening the database", err);
    if (!code && (eng->cfg.mode == ENGINE_WRITER || eng->opens != SEAT_USUAL))
        code = set_file_pragmas(eng, err);
    if (!code && eng->opens != SEAT_USUAL) /* the checkpoints are the writer's */
        (void)sqlite3_db_config(eng->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    if (!code && rowsec_register(eng, eng->db) != SQLITE_OK)
        code = err_set(err, ERR_UNAVAILABLE, "the functions of policies cannot be set up");
    guard_attach(&eng->guard, eng->db);
    return code;
}

enum err_code engine_settle(struct engine *eng, struct err *err)
{
    bool reads = eng->cfg.mode == ENGINE_READER && eng->opens == SEAT_USUAL;
    return reads ? run(eng->db, "PRAGMA query_only = ON", err) : ERR_OK;
}

void engine_close(struct engine *eng)
{
    proposals_release(eng);
    recorder_tables_forget(eng);
    rules_release(eng);
    when_release(eng);
    seat_close(eng);
    cache_release(eng);
    own_release(eng);
    guard_release(&eng->guard);
    base_stop(eng);
    int rc = sqlite3_close(eng->db);
    CHECK(rc == SQLITE_OK); /* SQLITE_BUSY: a statement was forgotten */
    eng->db = NULL;
    main_file_release(eng);
    if (eng->vfs)
        vfs_unregister(eng->vfs);
    eng->vfs = NULL;
}

bool engine_note_failure(struct engine *eng, int rc, struct err *err)
{
    if (engine_says_damaged(rc)) {
        (void)err_set(err, ERR_CORRUPT,
            "the database file is damaged; it was set aside and can be restored from a backup");
        return true;
    }
    switch (rc & 0xff) {
    case SQLITE_IOERR:
        /* After a failed write or fsync nobody knows what the kernel still holds: this process must not touch
         * the file again. The next engine recovers from the log. */
        eng->leaving = true;
        (void)err_retry(err, ERR_IO, 1, "the disk failed; nothing of this call was kept; try again");
        return true;
    default: return false;
    }
}
