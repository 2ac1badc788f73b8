/* See copy_source.h. */
#include "engine/copy_source.h"
#include "engine/copy_file.h"
#include "engine/engine_dir.h"
#include "engine/engine_state.h"

#include <unistd.h>

/* Alone with the file, no index of the log has to lie beside it. */
static const char SQL_ALONE[] =
    "PRAGMA locking_mode = EXCLUSIVE; PRAGMA synchronous = OFF; PRAGMA secure_delete = ON";
static const char SQL_ONE_FILE[] = "PRAGMA journal_mode = DELETE";

static enum err_code fail(struct copy_source *s, int rc, struct err *err)
{
    enum err_code late = op_check_time(s->op, err);
    int primary = rc & 0xff;
    if (late)
        return late;
    return err_set(err,
        primary == SQLITE_FULL    ? ERR_FULL
        : primary == SQLITE_NOMEM ? ERR_TOO_LARGE
        : engine_says_damaged(rc) ? ERR_CORRUPT
                                  : ERR_IO,
        "the snapshot could not be read: %s", s->db ? sqlite3_errmsg(s->db) : sqlite3_errstr(rc));
}

static enum err_code failed(void *arg, int rc, struct str sql, struct err *err)
{
    (void)sql;
    return fail(arg, rc, err);
}

static enum err_code prepare(void *arg, const char *sql, sqlite3_stmt **ret, struct err *err)
{
    struct copy_source *s = arg;
    int rc = sqlite3_prepare_v2(s->db, sql, -1, ret, NULL);
    return rc ? fail(s, rc, err) : ERR_OK;
}

static bool visible(void *arg, struct str table)
{
    (void)arg;
    return !op_name_reserved(table);
}

static enum err_code check_time(void *arg, struct err *err)
{
    struct copy_source *s = arg;
    return op_check_time(s->op, err);
}

static enum err_code run(struct copy_source *s, const char *sql, struct err *err)
{
    int rc = sqlite3_exec(s->db, sql, NULL, NULL, NULL);
    return rc ? fail(s, rc, err) : ERR_OK;
}

static enum err_code open_snapshot(struct copy_source *s, struct err *err)
{
    struct engine *eng = s->op->eng;
    bool is_new;
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOFOLLOW | SQLITE_OPEN_PRIVATECACHE | SQLITE_OPEN_NOMUTEX;
    int rc = sqlite3_open_v2(s->path, &s->db, flags, VFS_NAME);
    if (rc)
        return fail(s, rc, err);
    enum err_code code = run(s, SQL_ALONE, err); /* before anything is read */
    if (!code)
        code = engine_recipe(eng, s->db, err);
    if (!code)
        code = engine_migrate(s->db, &is_new, err);
    if (code)
        return code;
    guard_watch(&eng->guard, s->db);
    engine_watch_time(eng, s->db);
    return ERR_OK;
}

enum err_code copy_source_open(struct op *op, struct copy_source *ret, struct err *err)
{
    *ret = (struct copy_source){.src = catalog_source_of_op(op), .op = op};
    if (!wire_arg(&op->call, "snapshot").ptr)
        return ERR_OK;
    struct str name =
        arena_printf(op->arena, "out/" STR_FMT ".from.db", STR_ARG(wire_arg(&op->call, "copy")));
    if (!name.ptr)
        return err_set(err, ERR_TOO_LARGE, "the call is too large");
    engine_dir_path(op, name.ptr, ret->path);
    ret->src = (struct catalog_source){prepare, visible, check_time, failed, ret, op->arena, NULL};
    return open_snapshot(ret, err);
}

static void close_db(struct copy_source *s)
{
    (void)sqlite3_close(s->db); /* every statement is gone */
    s->db = NULL;
}

void copy_source_release(struct copy_source *s)
{
    char log[FS_PATH_MAX];
    close_db(s);
    if (!s->path[0])
        return;
    copy_file_drop(s->path);
    str_print(log, sizeof log, "%s-wal", s->path);
    copy_file_drop(log);
}

enum err_code copy_source_adopt(struct copy_source *s, const char *sql, struct err *err)
{
    enum err_code code = run(s, sql, err);
    if (!code)
        code = run(s, SQL_ONE_FILE, err);
    close_db(s);
    if (!code)
        code = copy_file_settle(s->path, err);
    if (!code)
        s->path[0] = '\0';
    return code;
}
