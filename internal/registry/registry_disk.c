/* Where databases live. Paths are built from ids of ours alone; nothing here opens a tenant's file. */
#define _GNU_SOURCE /* lstat on each file of a database */
#include "registry/registry_internal.h"
#include "base/check.h"
#include "base/fail_point.h"
#include "engine/branch_base.h"
#include <sys/stat.h>

enum { DIRECTORY_MODE = 0700 };

static void path_in(char out[FS_PATH_MAX], const char *data_dir, const char *folder, struct str db_id)
{
    char parent[FS_PATH_MAX], name[ID_MAX];

    CHECK(id_valid(db_id, "db"));
    memcpy(name, db_id.ptr, db_id.len);
    name[db_id.len] = '\0';
    fs_join(parent, data_dir, folder);
    fs_join(out, parent, name);
}

void registry_path(char out[FS_PATH_MAX], const char *data_dir, struct str db_id)
{
    path_in(out, data_dir, "db", db_id);
}

uint64_t registry_bytes(const char *data_dir, struct str db_id)
{
    static const char *const FILES[] = {"main.db", "main.db-wal"};
    char dir[FS_PATH_MAX], path[FS_PATH_MAX];
    struct stat st;
    uint64_t sum = 0;

    registry_path(dir, data_dir, db_id);
    for (size_t i = 0; i < ARRAY_LEN(FILES); i++) {
        fs_join(path, dir, FILES[i]);
        if (lstat(path, &st) == 0 && S_ISREG(st.st_mode))
            sum += (uint64_t)st.st_size;
    }
    return sum;
}

/* A commit writes the log, and a checkpoint writes the file later still. The kernel's time of a write may be
 * a tick behind the clock. */
int64_t registry_changed_at(const char *data_dir, struct str db_id)
{
    enum { TICK_MS = 10 };
    static const char *const FILES[] = {"main.db", "main.db-wal"};
    char dir[FS_PATH_MAX], path[FS_PATH_MAX];
    struct stat st;
    int64_t last = 0;

    registry_path(dir, data_dir, db_id);
    for (size_t i = 0; i < ARRAY_LEN(FILES); i++) {
        fs_join(path, dir, FILES[i]);
        if (lstat(path, &st) != 0)
            continue;
        int64_t at = (int64_t)st.st_mtim.tv_sec * 1000 + st.st_mtim.tv_nsec / 1000000;
        last = at > last ? at : last;
    }
    return last ? last + TICK_MS : INT64_MAX;
}

/* Something of that name in the way, or a folder gone, is the host's trouble: to a client it would look like
 * his own. */
static enum err_code host_trouble(enum err_code code, struct err *err)
{
    if (code != ERR_CONFLICT && code != ERR_NOT_FOUND)
        return code;
    struct err cause = err ? *err : (struct err)ERR_INIT;
    return err_set(err, ERR_IO, "%s", cause.message);
}

enum err_code disk_make(const char *data_dir, struct str db_id, struct err *err)
{
    char dir[FS_PATH_MAX], out[FS_PATH_MAX];

    registry_path(dir, data_dir, db_id);
    fs_join(out, dir, "out");
    return host_trouble(fs_mkdir_p(out, DIRECTORY_MODE, err), err);
}

static enum err_code make_folder(const char *data_dir, const char *folder, struct err *err)
{
    char path[FS_PATH_MAX];

    fs_join(path, data_dir, folder);
    return host_trouble(fs_mkdir_p(path, DIRECTORY_MODE, err), err);
}

/* Done already when it stands at the other end. Nothing at either end is a loss that must not look like
 * success. */
static enum err_code move(
    const char *data_dir, const char *from_folder, const char *to_folder, struct str db_id, struct err *err)
{
    char from[FS_PATH_MAX], to[FS_PATH_MAX];
    enum err_code code = make_folder(data_dir, to_folder, err);

    if (code)
        return code;
    path_in(from, data_dir, from_folder, db_id);
    path_in(to, data_dir, to_folder, db_id);
    if (fs_exists(from))
        return host_trouble(fs_rename(from, to, err), err);
    if (fs_exists(to))
        return ERR_OK;
    return err_set(err, ERR_CORRUPT, "the files of " STR_FMT " are missing", STR_ARG(db_id));
}

enum err_code disk_to_trash(const char *data_dir, struct str db_id, struct err *err)
{
    return move(data_dir, "db", "trash", db_id, err);
}

enum err_code disk_from_trash(const char *data_dir, struct str db_id, struct err *err)
{
    return move(data_dir, "trash", "db", db_id, err);
}

void registry_stage_path(char out[FS_PATH_MAX], const char *data_dir, struct str db_id)
{
    path_in(out, data_dir, "staging", db_id);
}

enum err_code registry_stage(const char *data_dir, struct str db_id, struct err *err)
{
    char stage[FS_PATH_MAX], out[FS_PATH_MAX];

    registry_stage_path(stage, data_dir, db_id);
    fs_join(out, stage, "out");
    enum err_code code = host_trouble(fs_remove_tree(stage, err), err);
    return code ? code : host_trouble(fs_mkdir_p(out, DIRECTORY_MODE, err), err);
}

enum err_code registry_place(const char *data_dir, struct str db_id, struct err *err)
{
    char dir[FS_PATH_MAX], out[FS_PATH_MAX];

    registry_path(dir, data_dir, db_id);
    fs_join(out, dir, "out");
    enum err_code code = make_folder(data_dir, "db", err);
    if (!code)
        code = host_trouble(fs_mkdir(dir, DIRECTORY_MODE, err), err);
    return code ? code : host_trouble(fs_mkdir(out, DIRECTORY_MODE, err), err);
}

enum err_code disk_settle(const char *data_dir, struct str db_id, struct err *err)
{
    char dir[FS_PATH_MAX], parent[FS_PATH_MAX];

    registry_path(dir, data_dir, db_id);
    fs_join(parent, data_dir, "db");
    enum err_code code = host_trouble(fs_sync_dir(dir, err), err);
    return code ? code : host_trouble(fs_sync_dir(parent, err), err);
}

void registry_unstage(const char *data_dir, struct str db_id)
{
    char stage[FS_PATH_MAX];

    registry_stage_path(stage, data_dir, db_id);
    err_ignore(fs_remove_tree(stage, NULL)); /* what stays is removed at the next start */
}

/* Where the content goes that is replaced: away, or to a snapshot. */
static void old_path(char out[FS_PATH_MAX], const char *data_dir, struct str db_id, struct str keep_as)
{
    if (keep_as.len)
        registry_snapshot_path(out, data_dir, keep_as);
    else
        path_in(out, data_dir, "replaced", db_id);
}

static enum err_code move_merged(const char *from_dir, const char *to_dir, struct err *err)
{
    char from[FS_PATH_MAX], to[FS_PATH_MAX];

    fs_join(from, from_dir, BASE_MERGED);
    fs_join(to, to_dir, BASE_MERGED);
    return fs_exists(from) ? host_trouble(fs_rename(from, to, err), err) : ERR_OK;
}

/* A branch that is restored goes on from where it began (branch/restart.h), so what was merged since counts.
 */
static enum err_code carry_merged(const char *old, const char *stage, struct err *err)
{
    char mark[FS_PATH_MAX];

    fs_join(mark, stage, BASE_MARK);
    return fs_exists(mark) ? move_merged(old, stage, err) : ERR_OK;
}

/* Copies for others, half made, and what waits to be read in belong to no state that is kept. */
static void empty_boxes(const char *dir)
{
    static const char *const BOXES[] = {"out", "in"};
    char box[FS_PATH_MAX];

    for (size_t i = 0; i < ARRAY_LEN(BOXES); i++) {
        fs_join(box, dir, BOXES[i]);
        err_ignore(fs_remove_tree(box, NULL)); /* what stays is removed at the next start */
    }
}

enum err_code disk_exchange(const char *data_dir, struct str db_id, struct str keep_as, struct err *err)
{
    char stage[FS_PATH_MAX], live[FS_PATH_MAX], old[FS_PATH_MAX];
    enum err_code code = ERR_OK;

    registry_stage_path(stage, data_dir, db_id);
    registry_path(live, data_dir, db_id);
    old_path(old, data_dir, db_id, keep_as);
    if (!fs_exists(stage))
        return fs_exists(live)
                   ? ERR_OK
                   : err_set(err, ERR_CORRUPT, "the files of " STR_FMT " are missing", STR_ARG(db_id));
    if (fs_exists(live)) {
        code = make_folder(data_dir, keep_as.len ? "snapshots" : "replaced", err);
        if (!code)
            code = host_trouble(fs_remove_tree(old, err), err); /* of an exchange that is over */
        if (!code)
            code = host_trouble(fs_rename(live, old, err), err);
        fail_point_pass(FAIL_EXCHANGE_HALF);
    }
    if (!code && keep_as.len)
        code = carry_merged(old, stage, err);
    if (!code)
        code = host_trouble(fs_rename(stage, live, err), err);
    if (!code && keep_as.len)
        empty_boxes(old);
    return code;
}

enum err_code disk_unexchange(const char *data_dir, struct str db_id, struct str keep_as, struct err *err)
{
    char stage[FS_PATH_MAX], live[FS_PATH_MAX], old[FS_PATH_MAX];
    enum err_code code = ERR_OK;

    registry_stage_path(stage, data_dir, db_id);
    registry_path(live, data_dir, db_id);
    old_path(old, data_dir, db_id, keep_as);
    if (!fs_exists(live) && fs_exists(old) && keep_as.len)
        code = move_merged(stage, old, err);
    if (!code && !fs_exists(live) && fs_exists(old))
        code = host_trouble(fs_rename(old, live, err), err);
    return code ? code : host_trouble(fs_remove_tree(stage, err), err);
}

void disk_clean_exchange(const char *data_dir, struct str db_id)
{
    char old[FS_PATH_MAX];

    registry_unstage(data_dir, db_id);
    path_in(old, data_dir, "replaced", db_id);
    err_ignore(fs_remove_tree(old, NULL)); /* likewise */
}

enum err_code disk_remove(const char *data_dir, struct str db_id, struct err *err)
{
    char path[FS_PATH_MAX];

    path_in(path, data_dir, "trash", db_id);
    return fs_remove_tree(path, err);
}
