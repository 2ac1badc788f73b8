/* See snapshot.h. */
#include "branch/restart.h"
#include "branch/snapshot.h"
#include "audit/audit.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/fail_point.h"
#include "base/limits.h"

#include <dirent.h>

#define COLUMNS "SELECT id, database_id, label, kind, bytes, created_at, state_from, state_to FROM snapshot"
#define SQL_INSERT                                                                                           \
    "INSERT INTO snapshot(id, database_id, label, kind, bytes, created_at, state_from, state_to)"            \
    " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)"
#define SQL_GET         COLUMNS " WHERE database_id = ?1 AND id = ?2"
#define SQL_LIST        COLUMNS " WHERE database_id = ?1 AND id < ?2 ORDER BY id DESC LIMIT ?3"
#define SQL_COUNT       "SELECT count(*) FROM snapshot WHERE database_id = ?1 AND kind <> 'automatic'"
#define SQL_COUNT_AUTO  "SELECT count(*) FROM snapshot WHERE database_id = ?1 AND kind = 'automatic'"
#define SQL_OLDEST_AUTO COLUMNS " WHERE database_id = ?1 AND kind = 'automatic' ORDER BY id LIMIT 1"
#define SQL_EXACT                                                                                            \
    COLUMNS " WHERE database_id = ?1 AND state_from <= ?2 AND state_to >= ?2 ORDER BY id LIMIT 1"
#define SQL_BEFORE                                                                                           \
    COLUMNS " WHERE database_id = ?1 AND created_at <= ?2 ORDER BY created_at DESC, id DESC LIMIT 1"
#define SQL_AFTER COLUMNS " WHERE database_id = ?1 AND created_at > ?2 ORDER BY created_at, id LIMIT 1"
#define SQL_OF_LATE                                                                                          \
    "SELECT count(*) FROM snapshot WHERE database_id = ?1 AND kind = 'automatic' AND created_at > ?2"
#define SQL_LAST        COLUMNS " WHERE database_id = ?1 ORDER BY id DESC LIMIT 1"
#define SQL_DELETE      "DELETE FROM snapshot WHERE id = ?1"
#define SQL_OLD         "DELETE FROM snapshot WHERE created_at <= ?1"
#define SQL_KNOWN       "SELECT 1 FROM snapshot WHERE id = ?1"
#define BEHIND_EVERY_ID "~"

const char *snapshot_kind_name(enum snapshot_kind kind)
{
    static const char *const NAMES[SNAPSHOT_KINDS] = {"manual", "automatic", "restore"};
    CHECK(kind < SNAPSHOT_KINDS);
    return NAMES[kind];
}

static void map(const struct db_stmt *st, struct snapshot *s)
{
    DB_COL_COPY(st, 0, s->id.text);
    DB_COL_COPY(st, 1, s->database_id.text);
    DB_COL_COPY(st, 2, s->label);
    for (s->kind = SNAPSHOT_MANUAL; s->kind < SNAPSHOT_OF_RESTORE; s->kind++)
        if (str_eq(db_col_text(st, 3), str_of(snapshot_kind_name(s->kind))))
            break;
    s->bytes = db_col_int(st, 4);
    s->created_at = db_col_int(st, 5);
    s->state_from = db_col_int(st, 6);
    s->state_to = db_col_int(st, 7);
}

static enum err_code audit(struct db *db, const struct actor *by, enum audit_action action,
    const struct registry_entry *e, const struct snapshot *s, struct err *err)
{
    return audit_append(db,
        &(struct audit_event){.by = by,
            .action = action,
            .namespace_id = &e->namespace_id,
            .target_id = id_str(&e->id),
            .target_name = str_of(e->slug),
            .after =
                AUDIT_VALUES(audit_text("snapshot", id_str(&s->id)), audit_text("label", str_of(s->label)),
                    audit_text("kind", str_of(snapshot_kind_name(s->kind))))},
        err);
}

static struct snapshot new_snapshot(const struct registry_entry *e, const struct id *id, struct str label,
    enum snapshot_kind kind, int64_t bytes)
{
    struct snapshot s = {.id = *id,
        .database_id = e->id,
        .kind = kind,
        .bytes = bytes,
        .created_at = clock_wall_ms(),
        .state_from = 1};

    str_print_cut(s.label, sizeof s.label, STR_FMT, STR_ARG(label));
    return s;
}

static enum err_code insert(struct db *db, const struct snapshot *s, struct err *err)
{
    return db_exec(db, SQL_INSERT,
        DB_ARGS(db_text(id_str(&s->id)), db_text(id_str(&s->database_id)), db_text(str_of(s->label)),
            db_text(str_of(snapshot_kind_name(s->kind))), db_int(s->bytes), db_int(s->created_at),
            db_int(s->state_from), db_int(s->state_to)),
        err);
}

static enum err_code check_room(struct db *db, const struct id *database_id, struct err *err)
{
    AUTO_STMT st = DB_STMT_INIT;
    enum err_code code = db_query_one(db, SQL_COUNT, DB_ARGS(db_text(id_str(database_id))), &st, err);

    if (code || db_col_int(&st, 0) < LIMIT_SNAPSHOTS_PER_DATABASE)
        return code;
    return err_set(err, ERR_CONFLICT, "this database has its %d snapshots; delete one first",
        (int)LIMIT_SNAPSHOTS_PER_DATABASE);
}

/* --- Making --- */

/* The newest, or the oldest automatic one of a database. */
enum which { LAST, OLDEST_AUTO };

static enum err_code find(
    struct db *db, enum which which, const struct id *database_id, struct snapshot *ret, struct err *err)
{
    AUTO_STMT st = DB_STMT_INIT;
    struct str id = id_str(database_id);
    enum err_code code = which == LAST ? db_query_one(db, SQL_LAST, DB_ARGS(db_text(id)), &st, err)
                                       : db_query_one(db, SQL_OLDEST_AUTO, DB_ARGS(db_text(id)), &st, err);

    if (!code)
        map(&st, ret);
    return code;
}

static enum err_code count_auto(struct db *db, const struct id *database_id, int64_t *ret, struct err *err)
{
    AUTO_STMT st = DB_STMT_INIT;
    enum err_code code = db_query_one(db, SQL_COUNT_AUTO, DB_ARGS(db_text(id_str(database_id))), &st, err);

    if (!code)
        *ret = db_col_int(&st, 0);
    return code;
}

/* The oldest automatic one makes room; *ret_gone.id "" none had to. */
static enum err_code rotate(
    struct db *db, const struct registry_entry *e, struct snapshot *ret_gone, struct err *err)
{
    const struct actor server = actor_server();
    int64_t count = 0;
    enum err_code code = count_auto(db, &e->id, &count, err);

    if (code || count < LIMIT_AUTO_SNAPSHOTS)
        return code;
    code = find(db, OLDEST_AUTO, &e->id, ret_gone, err);
    if (!code)
        code = db_exec(db, SQL_DELETE, DB_ARGS(db_text(id_str(&ret_gone->id))), err);
    return code ? code : audit(db, &server, AUDIT_SNAPSHOT_DELETED, e, ret_gone, err);
}

static enum err_code put_tx(struct db *db, const struct actor *by, const struct registry_entry *e,
    const struct snapshot *s, struct snapshot *ret_gone, struct err *err)
{
    enum err_code code =
        s->kind == SNAPSHOT_AUTOMATIC ? rotate(db, e, ret_gone, err) : check_room(db, &e->id, err);

    if (!code)
        code = insert(db, s, err);
    return code ? code : audit(db, by, AUDIT_SNAPSHOT_CREATED, e, s, err);
}

enum err_code snapshot_put(struct db *db, const struct registry_disk *disk, const struct actor *by,
    const struct registry_entry *e, const struct snapshot_new *in, struct snapshot *ret, struct err *err)
{
    int64_t bytes = 0;
    struct snapshot gone = {.label = ""};
    enum err_code code = registry_snapshot_take(disk->data_dir, id_str(&e->id), id_str(&in->id), &bytes, err);

    if (code)
        return code;
    fail_point_pass(FAIL_SNAPSHOT_TAKEN);
    *ret = new_snapshot(e, &in->id, in->label, in->kind, bytes);
    ret->state_from = in->changed_at ? in->changed_at : registry_changed_at(disk->data_dir, id_str(&e->id));
    ret->state_to = in->read_at;
    code = tx_begin_write(db, err);
    if (!code)
        code = tx_end(db, put_tx(db, by, e, ret, &gone, err), err);
    fail_point_pass(FAIL_SNAPSHOT_RECORDED);
    if (code)
        registry_snapshot_remove(disk->data_dir, id_str(&in->id));
    else if (gone.id.text[0])
        registry_snapshot_remove(disk->data_dir, id_str(&gone.id));
    return code;
}

/* --- Before a write that destroys --- */

static enum err_code made_of_late(struct db *db, const struct id *database_id, int64_t *ret, struct err *err)
{
    enum { MINUTE_MS = 60000 };
    AUTO_STMT st = DB_STMT_INIT;
    enum err_code code = db_query_one(db, SQL_OF_LATE,
        DB_ARGS(db_text(id_str(database_id)), db_int(clock_wall_ms() - MINUTE_MS)), &st, err);

    if (!code)
        *ret = db_col_int(&st, 0);
    return code;
}

static bool is_as_of(const struct registry_disk *disk, const struct snapshot *s)
{
    char path[FS_PATH_MAX];

    registry_snapshot_path(path, disk->data_dir, id_str(&s->id));
    return registry_changed_at(disk->data_dir, id_str(&s->database_id)) <= s->state_to && fs_exists(path);
}

enum err_code snapshot_plan(struct db *db, const struct registry_disk *disk, const struct id *database_id,
    bool drops, struct snapshot_plan *ret, struct err *err)
{
    uint64_t bytes = registry_bytes(disk->data_dir, id_str(database_id));
    int64_t late = 0,
            most = bytes > (uint64_t)LIMIT_AUTO_SNAPSHOT_LARGE_BYTES ? 1 : LIMIT_AUTO_SNAPSHOTS_A_MINUTE;
    enum err_code code = find(db, LAST, database_id, &ret->use, err);

    *ret = (struct snapshot_plan){.what = SNAPSHOT_PLAN_MAKE, .use = ret->use, .why = ""};
    if (!code && is_as_of(disk, &ret->use)) {
        ret->what = SNAPSHOT_PLAN_USE;
        return ERR_OK;
    }
    if (code && code != ERR_NOT_FOUND)
        return code;
    if (bytes > (uint64_t)LIMIT_AUTO_SNAPSHOT_BYTES) {
        ret->what = SNAPSHOT_PLAN_SKIP;
        ret->why = "the database is too large to be copied before a write";
        return ERR_OK;
    }
    code = drops ? ERR_OK : made_of_late(db, database_id, &late, err);
    if (code || late < most)
        return code;
    ret->what = SNAPSHOT_PLAN_SKIP;
    ret->why = "the database had as many automatic snapshots within a minute as it may have";
    return ERR_OK;
}

/* --- Reading --- */

enum err_code snapshot_get(
    struct db *db, const struct id *database_id, struct str id, struct snapshot *ret, struct err *err)
{
    AUTO_STMT st = DB_STMT_INIT;
    enum err_code code =
        db_query_one(db, SQL_GET, DB_ARGS(db_text(id_str(database_id)), db_text(id)), &st, err);

    if (code)
        return code == ERR_NOT_FOUND ? err_set(err, code, "There is no such snapshot of this database")
                                     : code;
    map(&st, ret);
    return ERR_OK;
}

enum err_code snapshot_list(struct db *db, struct arena *a, const struct id *database_id, struct str before,
    int64_t limit, struct snapshot **ret, size_t *ret_count, struct err *err)
{
    AUTO_STMT st = DB_STMT_INIT;
    struct snapshot *rows = arena_alloc(a, (size_t)limit * sizeof *rows);
    size_t count = 0;
    struct str from = before.len ? before : S(BEHIND_EVERY_ID);

    if (!rows)
        return err_set(err, ERR_TOO_LARGE, "too many snapshots to list at once; ask for a smaller page");
    enum err_code code =
        db_query(db, SQL_LIST, DB_ARGS(db_text(id_str(database_id)), db_text(from), db_int(limit)), &st, err);
    while (!code && db_row(&st))
        map(&st, &rows[count++]);
    if (!code)
        code = db_done(&st, err);
    *ret = rows;
    *ret_count = count;
    return code;
}

/* --- By time --- */

static enum err_code find_at(struct db *db, const struct id *database_id, int64_t at_ms, int which,
    struct snapshot *ret, struct err *err)
{
    AUTO_STMT st = DB_STMT_INIT;
    struct db_value id = db_text(id_str(database_id)), at = db_int(at_ms);
    enum err_code code = which == 0  ? db_query_one(db, SQL_EXACT, DB_ARGS(id, at), &st, err)
                         : which < 0 ? db_query_one(db, SQL_BEFORE, DB_ARGS(id, at), &st, err)
                                     : db_query_one(db, SQL_AFTER, DB_ARGS(id, at), &st, err);

    *ret = (struct snapshot){.label = ""};
    if (!code)
        map(&st, ret);
    return code;
}

static void describe(const struct snapshot *s, char *out, size_t size)
{
    char time[CLOCK_ISO_MAX];

    clock_iso(s->created_at, time);
    if (s->id.text[0])
        str_print(out, size, "%s of %s", s->id.text, time);
    else
        str_print(out, size, "none");
}

static enum err_code no_such_state(
    struct db *db, const struct id *database_id, int64_t at_ms, struct err *err)
{
    char at[CLOCK_ISO_MAX], before[ID_MAX + CLOCK_ISO_MAX + 8], after[ID_MAX + CLOCK_ISO_MAX + 8];
    struct snapshot older, newer;
    enum err_code code = find_at(db, database_id, at_ms, -1, &older, err);

    if (!code || code == ERR_NOT_FOUND)
        code = find_at(db, database_id, at_ms, 1, &newer, err);
    if (code && code != ERR_NOT_FOUND)
        return code;
    clock_iso(at_ms, at);
    describe(&older, before, sizeof before);
    describe(&newer, after, sizeof after);
    return err_set(err, ERR_CONFLICT,
        "No snapshot holds the database as it was at %s. The last before it: %s; the first after it: %s. "
        "Send "
        "one of these as snapshotId, or a timestamp between the exactFrom and exactTo of one",
        at, before, after);
}

enum err_code snapshot_at(struct db *db, const struct registry_disk *disk, const struct id *database_id,
    int64_t at_ms, int64_t changed_at, struct snapshot *ret, struct err *err)
{
    enum err_code code = find_at(db, database_id, at_ms, 0, ret, err);

    if (code != ERR_NOT_FOUND)
        return code;
    if (!changed_at)
        changed_at = registry_changed_at(disk->data_dir, id_str(database_id));
    if (changed_at <= at_ms)
        return err_set(err, ERR_CONFLICT,
            "Nothing was written since then: the database is as it was, and nothing has to be restored");
    return no_such_state(db, database_id, at_ms, err);
}

#define BOOKMARK_PREFIX "bm_"
#define ID_PREFIX       "snap_"

void snapshot_bookmark(const struct id *id, char out[SNAPSHOT_BOOKMARK_SIZE])
{
    str_print(out, SNAPSHOT_BOOKMARK_SIZE, BOOKMARK_PREFIX "%s", id->text + strlen(ID_PREFIX));
}

enum err_code snapshot_of_bookmark(struct str bookmark, struct id *ret, struct err *err)
{
    struct str rest = str_slice(bookmark, strlen(BOOKMARK_PREFIX), bookmark.len);

    *ret = (struct id){.text = ""};
    if (str_starts(bookmark, S(BOOKMARK_PREFIX)) && rest.len + strlen(ID_PREFIX) < ID_MAX)
        str_print(ret->text, sizeof ret->text, ID_PREFIX STR_FMT, STR_ARG(rest));
    return id_valid(id_str(ret), "snap") ? ERR_OK : err_set(err, ERR_NOT_FOUND, "There is no such bookmark");
}

/* --- Deleting --- */

static enum err_code delete_tx(struct db *db, const struct actor *by, const struct registry_entry *e,
    struct str id, struct snapshot *ret, struct err *err)
{
    enum err_code code = snapshot_get(db, &e->id, id, ret, err);

    if (!code)
        code = db_exec(db, SQL_DELETE, DB_ARGS(db_text(id)), err);
    return code ? code : audit(db, by, AUDIT_SNAPSHOT_DELETED, e, ret, err);
}

enum err_code snapshot_delete(struct db *db, const struct registry_disk *disk, const struct actor *by,
    const struct registry_entry *e, struct str id, struct snapshot *ret, struct err *err)
{
    enum err_code code = tx_begin_write(db, err);

    if (!code)
        code = tx_end(db, delete_tx(db, by, e, id, ret, err), err);
    fail_point_pass(FAIL_SNAPSHOT_FORGOTTEN);
    if (!code)
        registry_snapshot_remove(disk->data_dir, id_str(&ret->id));
    return code;
}

/* --- Restoring --- */

enum err_code snapshot_copy(const struct registry_disk *disk, const struct registry_entry *e,
    const struct snapshot *s, const struct id *copy_id, struct err *err)
{
    enum err_code code = registry_stage(disk->data_dir, id_str(copy_id), err);

    if (!code)
        code = registry_snapshot_copy(disk->data_dir, id_str(&s->id), id_str(copy_id), err);
    if (code)
        registry_unstage(disk->data_dir, id_str(copy_id));
    else
        restart_stage(disk->data_dir, e, s->created_at, copy_id);
    return code;
}

static enum err_code restore_tx(struct db *db, const struct actor *by, struct registry_entry *e,
    const struct snapshot *s, struct snapshot *kept, struct err *err)
{
    struct snapshot still;
    enum err_code code = snapshot_get(db, &e->id, id_str(&s->id), &still, err);

    if (!code)
        code = insert(db, kept, err);
    if (!code)
        code = registry_restore_intent(db, e, &kept->id, err);
    return code ? code : audit(db, by, AUDIT_SNAPSHOT_RESTORED, e, s, err);
}

/* The database is as it was: nothing was replaced. What is closed until the next start keeps its row. */
static void forget_kept(struct db *db, const struct registry_disk *disk, const struct snapshot *kept)
{
    char path[FS_PATH_MAX];

    registry_snapshot_path(path, disk->data_dir, id_str(&kept->id));
    if (!fs_exists(path) && tx_begin_write(db, NULL) == ERR_OK)
        err_ignore(tx_end(db, db_exec(db, SQL_DELETE, DB_ARGS(db_text(id_str(&kept->id))), NULL), NULL));
}

enum err_code snapshot_restore(struct db *db, const struct registry_disk *disk, const struct actor *by,
    struct registry_entry *e, const struct snapshot *s, const struct id *copy_id, bool lost,
    struct snapshot *ret_kept, struct err *err)
{
    struct id id = id_new("snap");
    char label[SNAPSHOT_LABEL_SIZE + 32];

    str_print_cut(label, sizeof label, "before the restore of %s", s->label);
    *ret_kept = new_snapshot(
        e, &id, str_of(label), SNAPSHOT_OF_RESTORE, (int64_t)registry_bytes(disk->data_dir, id_str(&e->id)));
    ret_kept->state_from = registry_changed_at(disk->data_dir, id_str(&e->id));
    ret_kept->state_to = lost ? 0 : ret_kept->created_at; /* nothing is written since it carried */
    fail_point_pass(FAIL_RESTORE_CARRIED);
    enum err_code code = registry_stage_carry(disk->data_dir, id_str(&e->id), id_str(copy_id), lost, err);
    if (!code)
        code = restart_check(disk->data_dir, &e->id, copy_id, err);
    if (!code)
        code = registry_restage(disk->data_dir, id_str(copy_id), id_str(&e->id), err);
    fail_point_pass(FAIL_RESTORE_STAGED);
    if (!code)
        code = tx_begin_write(db, err);
    if (!code)
        code = tx_end(db, restore_tx(db, by, e, s, ret_kept, err), err);
    fail_point_pass(FAIL_RESTORE_INTENDED);
    if (code) {
        registry_unstage(disk->data_dir, id_str(copy_id));
        registry_unstage(disk->data_dir, id_str(&e->id));
        return code;
    }
    code = registry_exchange_finish(db, disk, e, err);
    if (code)
        forget_kept(db, disk, ret_kept);
    return code;
}

/* --- Cleaning --- */

static enum err_code is_known(struct db *db, struct str id, bool *ret, struct err *err)
{
    AUTO_STMT st = DB_STMT_INIT;
    enum err_code code = db_query_one(db, SQL_KNOWN, DB_ARGS(db_text(id)), &st, err);

    *ret = code != ERR_NOT_FOUND;
    return code == ERR_NOT_FOUND ? ERR_OK : code;
}

static enum err_code forget_old(struct db *db, int64_t now_ms, struct err *err)
{
    enum err_code code = tx_begin_write(db, err);

    return code ? code
                : tx_end(db, db_exec(db, SQL_OLD, DB_ARGS(db_int(now_ms - LIMIT_SNAPSHOT_MS)), err), err);
}

enum err_code snapshot_clean(struct db *db, const char *data_dir, int64_t now_ms, struct err *err)
{
    char path[FS_PATH_MAX];
    enum err_code code = forget_old(db, now_ms, err);

    fs_join(path, data_dir, "snapshots");
    DIR *dir = code ? NULL : opendir(path);
    for (struct dirent *d; dir && !code && (d = readdir(dir));) {
        struct str name = str_of(d->d_name);
        bool known = true;
        if (id_valid(name, "snap"))
            code = is_known(db, name, &known, err);
        if (!code && !known)
            registry_snapshot_remove(data_dir, name);
    }
    if (dir)
        (void)closedir(dir); /* a directory that was only read */
    return code;
}
