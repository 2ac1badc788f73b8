/* Rehearsals on a copy. */
#include "engine/beside.h"
#include "base/id.h"
#include "engine/engine_dir.h"
#include "engine/proposal.h"
#include "engine/rowsec.h"
#include "engine/rule.h"
#include "engine/task.h"
#include <unistd.h>

enum { STEP_PAGES = 256 }; /* a megabyte between two looks at the time */

static enum err_code copy_failed(sqlite3 *db, int rc, struct err *err)
{
    enum err_code code = (rc & 0xff) == SQLITE_FULL ? ERR_FULL : ERR_UNAVAILABLE;
    return err_set(err, code, "the copy for the rehearsal could not be made: %s",
        db ? sqlite3_errmsg(db) : sqlite3_errstr(rc));
}

static enum err_code copy_pages(struct op *op, sqlite3 *to, struct err *err)
{
    enum err_code code = ERR_OK;
    int rc = SQLITE_OK;
    sqlite3_backup *b = sqlite3_backup_init(to, "main", op->eng->db, "main");
    if (!b)
        return copy_failed(to, sqlite3_errcode(to), err);
    while (!code && (rc = sqlite3_backup_step(b, STEP_PAGES)) == SQLITE_OK)
        code = op_check_time(op, err);
    (void)sqlite3_backup_finish(b); /* repeats the error of the last step */
    if (!code)
        code = op_check_time(op, err);
    return !code && rc != SQLITE_DONE ? copy_failed(NULL, rc, err) : code;
}

static enum err_code make_copy(struct op *op, const char *path, struct err *err)
{
    sqlite3 *to = NULL;
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_EXCLUSIVE | SQLITE_OPEN_NOFOLLOW;
    int rc = sqlite3_open_v2(path, &to, flags, VFS_NAME);
    if (rc == SQLITE_OK)
        rc = sqlite3_exec(to, "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF", NULL, NULL, NULL);
    enum err_code code = rc ? copy_failed(to, rc, err) : copy_pages(op, to, err);
    rc = sqlite3_close(to);
    return !code && rc ? copy_failed(NULL, rc, err) : code;
}

/* Of one moment: until the first read there is no snapshot. */
static enum err_code copy_snapshot(struct op *op, const char *path, struct err *err)
{
    struct digest schema;
    int rc = own_run(op->eng, OWN_BEGIN_READ);
    enum err_code code = rc ? op_sql_error(op, rc, STR_EMPTY, err) : schema_digest(op, &schema, err);
    if (!code)
        code = make_copy(op, path, err);
    if (!sqlite3_get_autocommit(op->eng->db))
        (void)own_run(op->eng, OWN_COMMIT); /* nothing was written */
    return code;
}

static void drop_copy(struct engine *eng)
{
    static const char *const PARTS[] = {"", "-wal", "-shm", "-journal"};
    for (size_t i = 0; i < ARRAY_LEN(PARTS); i++) {
        char path[FS_PATH_MAX + 16];
        str_print_cut(path, sizeof path, "%s%s", eng->elsewhere, PARTS[i]);
        (void)unlink(path); /* mostly there is none */
    }
}

static enum err_code begin(struct op *op, struct err *err)
{
    proposals_forget(op->eng);
    rules_forget(op->eng);
    int rc = own_run(op->eng, OWN_BEGIN_WRITE);
    if ((rc & 0xff) == SQLITE_BUSY)
        return err_retry(err, ERR_BUSY, 1, "the database is busy; try again");
    return rc ? op_sql_error(op, rc, STR_EMPTY, err) : ERR_OK;
}

enum err_code beside_begin(struct op *op, struct err *err)
{
    struct engine *eng = op->eng;
    struct id id = id_new("prop");
    struct str name = arena_printf(op->arena, "rehearsal-" STR_FMT, STR_ARG(id_str(&id)));
    if (!name.ptr)
        return err_set(err, ERR_TOO_LARGE, "the statement is too large");
    engine_dir_path(op, name.ptr, eng->elsewhere);
    enum err_code code = copy_snapshot(op, eng->elsewhere, err);
    if (!code)
        code = seat_lay_aside(eng, SEAT_COPY, err);
    drop_copy(eng); /* who has it open goes on; an engine that is killed leaves nothing */
    return code ? code : begin(op, err);
}

static void leave(struct op *op)
{
    struct engine *eng = op->eng;
    if (!sqlite3_get_autocommit(eng->db))
        own_abandon(eng);
    exec_release(task_of(op)); /* statements of the connection */
    seat_take_up(eng);
}

static enum err_code check_same(struct op *op, const struct rehearsal *r, struct err *err)
{
    struct digest schema, rules;
    enum err_code code = schema_digest(op, &schema, err);
    if (!code)
        code = rules_version(op, &rules, err);
    if (code || (digest_eq(&schema, &r->schema) && digest_eq(&rules, &r->rules)))
        return code;
    return err_retry(
        err, ERR_BUSY, 1, "the schema or the rules changed while the write was rehearsed; try again");
}

enum err_code beside_store(struct op *op, const struct rehearsal *r, enum err_code code, struct err *err)
{
    struct engine *eng = op->eng;
    if (seat_is_aside(eng))
        leave(op);
    if (!code)
        code = seat_lay_aside(eng, SEAT_WRITER, err);
    if (!code)
        code = begin(op, err);
    return code ? code : check_same(op, r, err);
}

/* As in the writer a proposal need not wait for the disk. */
enum err_code beside_end(struct op *op, enum err_code code, struct err *err)
{
    struct engine *eng = op->eng;
    if (!seat_is_aside(eng))
        return code;
    vfs_set_lazy(eng->vfs, true);
    int rc = code ? SQLITE_OK : own_run(eng, OWN_COMMIT);
    vfs_set_lazy(eng->vfs, false);
    if (rc != SQLITE_OK)
        code = op_sql_error(op, rc, STR_EMPTY, err);
    leave(op);
    return code;
}
