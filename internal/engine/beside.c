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

/* On the connection that suits the caller; `which` says to what it leads. */
static enum err_code sit_down(struct op *op, enum seat_aside which, struct err *err)
{
    struct engine *eng = op->eng;
    struct task *t = task_of(op);
    eng->policies_current = false;
    enum err_code code = seat_lay_aside(eng, which, err);
    if (!code)
        code = seat_take(eng, t->under_policies, err);
    if (!code)
        rowsec_tell(eng, &op->call, t->claims);
    return code;
}

static enum err_code check_policies(struct op *op, struct err *err)
{
    rowsec_forget(op->eng);
    if (rowsec_applies(op->eng, &op->call) == task_of(op)->under_policies)
        return ERR_OK;
    return err_retry(err, ERR_BUSY, 1, "row-level security was changed while the call waited; try again");
}

static enum err_code begin(struct op *op, struct err *err)
{
    proposals_forget(op->eng);
    rules_forget(op->eng);
    int rc = own_run(op->eng, OWN_BEGIN_WRITE);
    if ((rc & 0xff) == SQLITE_BUSY)
        return err_retry(err, ERR_BUSY, 1, "the database is busy; try again");
    return rc ? op_sql_error(op, rc, STR_EMPTY, err) : check_policies(op, err);
}

/* Makes the copy; from now on the engine's connection is one to it, inside a transaction. */
static enum err_code go_to_copy(struct op *op, struct err *err)
{
    struct engine *eng = op->eng;
    struct id id = id_new("prop");
    struct str name = arena_printf(op->arena, "rehearsal-" STR_FMT, STR_ARG(id_str(&id)));
    if (!name.ptr)
        return err_set(err, ERR_TOO_LARGE, "the statement is too large");
    engine_dir_path(op, name.ptr, eng->elsewhere);
    enum err_code code = copy_snapshot(op, eng->elsewhere, err);
    if (!code)
        code = sit_down(op, SEAT_COPY, err);
    drop_copy(eng); /* who has it open goes on; an engine that is killed leaves nothing */
    return code ? code : begin(op, err);
}

/* The connection is the reader's again. */
static void leave(struct op *op)
{
    struct engine *eng = op->eng;
    if (!seat_is_aside(eng))
        return;
    if (!sqlite3_get_autocommit(eng->db))
        own_abandon(eng);
    exec_release(task_of(op)); /* statements of the connection */
    seat_close(eng);
    eng->policies_current = false;
    rowsec_forget(eng);
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

/* As in the writer a proposal need not wait for the disk. */
static enum err_code commit(struct op *op, struct err *err)
{
    struct engine *eng = op->eng;
    vfs_set_lazy(eng->vfs, true);
    int rc = own_run(eng, OWN_COMMIT);
    vfs_set_lazy(eng->vfs, false);
    return rc ? op_sql_error(op, rc, STR_EMPTY, err) : ERR_OK;
}

static enum err_code store(
    struct op *op, const struct beside_work *work, void *arg, const struct rehearsal *r, struct err *err)
{
    struct task *t = task_of(op);
    bool replayed = false;
    enum err_code code = sit_down(op, SEAT_WRITER, err);
    if (!code)
        code = begin(op, err);
    if (!code && t->keyed)
        code = receipts_find(t, &replayed, err); /* of the same call, which came twice */
    if (code || replayed)
        return code;
    code = check_same(op, r, err);
    if (!code)
        code = work->store(arg, err);
    if (!code && t->keyed)
        code = task_succeed(t, err);
    if (!code && t->keyed)
        code = receipts_store(t, err);
    return code ? code : commit(op, err);
}

static enum err_code run_on_copy(struct op *op, const struct beside_work *work, void *arg, struct err *err)
{
    const struct rehearsal *r = NULL;
    enum err_code code = go_to_copy(op, err);
    if (!code)
        code = work->rehearse(arg, &r, err);
    leave(op);
    if (code || !r)
        return code;
    code = store(op, work, arg, r, err);
    leave(op);
    return code;
}

enum err_code beside_run(struct op *op, const struct beside_work *work, void *arg, struct err *err)
{
    const struct rehearsal *r = NULL;
    if (op->eng->cfg.mode == ENGINE_READER)
        return run_on_copy(op, work, arg, err);
    enum err_code code = work->rehearse(arg, &r, err);
    return code || !r ? code : work->store(arg, err);
}
