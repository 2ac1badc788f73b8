/* Files of snapshots: <data>/snapshots/<id>/main.db, with the log beside it where an engine did not leave in
 * peace. */
#define _GNU_SOURCE /* copy_file_range, O_NOFOLLOW */
#include "registry/registry_internal.h"
#include "base/check.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DIRECTORY_MODE = 0700, FILE_MODE = 0600, PIECE = 64 << 20 };

static const char *const FILES[] = {"main.db", "main.db-wal", "used"};

void registry_snapshot_path(char out[FS_PATH_MAX], const char *data_dir, struct str id)
{
    char parent[FS_PATH_MAX], name[ID_MAX];

    CHECK(id_valid(id, "snap"));
    memcpy(name, id.ptr, id.len);
    name[id.len] = '\0';
    fs_join(parent, data_dir, "snapshots");
    fs_join(out, parent, name);
}

enum err_code registry_snapshot_take(
    const char *data_dir, struct str db_id, struct str id, int64_t *ret_bytes, struct err *err)
{
    char dir[FS_PATH_MAX], from[FS_PATH_MAX], to_dir[FS_PATH_MAX], to[FS_PATH_MAX], name[ID_MAX + 16];
    struct stat st;
    enum err_code code;

    registry_path(dir, data_dir, db_id);
    str_print(name, sizeof name, "out/" STR_FMT ".db", STR_ARG(id));
    fs_join(from, dir, name);
    registry_snapshot_path(to_dir, data_dir, id);
    fs_join(to, to_dir, "main.db");
    code = fs_mkdir_p(to_dir, DIRECTORY_MODE, err);
    if (!code)
        code = fs_rename(from, to, err);
    if (!code && lstat(to, &st) != 0)
        code = err_errno(err, ERR_IO, "look at the snapshot");
    if (code) {
        registry_snapshot_remove(data_dir, id);
        return code == ERR_NOT_FOUND ? err_set(err, ERR_UNAVAILABLE, "the copy is gone; try again") : code;
    }
    *ret_bytes = (int64_t)st.st_size;
    return ERR_OK;
}

void registry_snapshot_remove(const char *data_dir, struct str id)
{
    char path[FS_PATH_MAX];

    registry_snapshot_path(path, data_dir, id);
    err_ignore(fs_remove_tree(path, NULL)); /* what stays is removed by the next cleaning */
}

/* The kernel shares the blocks where the file system can. */
static enum err_code copy_bytes(int from, int to, struct err *err)
{
    for (;;) {
        ssize_t n = copy_file_range(from, NULL, to, NULL, PIECE, 0);
        if (n == 0)
            return fsync(to) ? err_errno(err, ERR_IO, "copy the snapshot") : ERR_OK;
        if (n < 0 && errno != EINTR)
            return err_errno(
                err, errno == ENOSPC || errno == EDQUOT ? ERR_FULL : ERR_IO, "copy the snapshot");
    }
}

static enum err_code copy_file(const char *from, const char *to, struct err *err)
{
    AUTO_FD in = open(from, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (in < 0)
        return errno == ENOENT ? ERR_NOT_FOUND : err_errno(err, ERR_IO, "open the snapshot");
    AUTO_FD out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, FILE_MODE);
    return out < 0 ? err_errno(err, ERR_IO, "copy the snapshot") : copy_bytes(in, out, err);
}

/* The first `count` of FILES, each to the path that `to` makes. */
static enum err_code copy_files(const char *data_dir, struct str id, size_t count,
    void (*to)(char out[FS_PATH_MAX], const void *arg, size_t i), const void *arg, struct err *err)
{
    char dir[FS_PATH_MAX], from[FS_PATH_MAX], place[FS_PATH_MAX];

    registry_snapshot_path(dir, data_dir, id);
    for (size_t i = 0; i < count; i++) {
        fs_join(from, dir, FILES[i]);
        to(place, arg, i);
        enum err_code code = copy_file(from, place, err);
        if (code == ERR_NOT_FOUND && i == 0)
            return err_set(err, ERR_CORRUPT, "the files of the snapshot are missing");
        if (code && code != ERR_NOT_FOUND)
            return code;
    }
    return ERR_OK;
}

static void staged_place(char out[FS_PATH_MAX], const void *arg, size_t i)
{
    fs_join(out, arg, FILES[i]);
}

enum err_code registry_snapshot_copy(const char *data_dir, struct str id, struct str copy_id, struct err *err)
{
    char to[FS_PATH_MAX];

    registry_stage_path(to, data_dir, copy_id);
    enum err_code code = copy_files(data_dir, id, ARRAY_LEN(FILES), staged_place, to, err);
    return code ? code : fs_sync_dir(to, err);
}

/* "<path>" and "<path>-wal", as SQLite looks for them. */
static void laid_place(char out[FS_PATH_MAX], const void *arg, size_t i)
{
    str_print(out, FS_PATH_MAX, "%s%s", (const char *)arg, i ? "-wal" : "");
}

static void out_path(
    char out[FS_PATH_MAX], const char *data_dir, struct str db_id, struct str copy_id, const char *ending)
{
    char dir[FS_PATH_MAX], name[ID_MAX + 16];

    registry_path(dir, data_dir, db_id);
    str_print(name, sizeof name, "out/" STR_FMT "%s", STR_ARG(copy_id), ending);
    fs_join(out, dir, name);
}

static void laid_path(char out[FS_PATH_MAX], const char *data_dir, struct str db_id, struct str copy_id)
{
    out_path(out, data_dir, db_id, copy_id, ".from.db");
}

enum err_code registry_snapshot_use(
    const char *data_dir, struct str db_id, struct str copy_id, struct err *err)
{
    char from[FS_PATH_MAX], to[FS_PATH_MAX];

    laid_path(from, data_dir, db_id, copy_id);
    out_path(to, data_dir, db_id, copy_id, ".db");
    enum err_code code = fs_rename(from, to, err);
    return code == ERR_NOT_FOUND ? err_set(err, ERR_UNAVAILABLE, "the copy is gone; try again") : code;
}

void registry_copy_drop(const char *data_dir, struct str db_id, struct str copy_id)
{
    static const char *const ENDINGS[] = {
        ".db", ".db-journal", ".db-wal", ".db-shm", ".from.db", ".from.db-journal", ".from.db-wal"};
    char path[FS_PATH_MAX];

    for (size_t i = 0; i < ARRAY_LEN(ENDINGS); i++) {
        out_path(path, data_dir, db_id, copy_id, ENDINGS[i]);
        (void)unlink(path); /* mostly there is none; what stays goes at the next start */
    }
}

enum err_code registry_snapshot_lay_out(
    const char *data_dir, struct str id, struct str db_id, struct str copy_id, struct err *err)
{
    char base[FS_PATH_MAX];

    laid_path(base, data_dir, db_id, copy_id);
    enum err_code code = copy_files(data_dir, id, 2, laid_place, base, err);
    if (code)
        registry_copy_drop(data_dir, db_id, copy_id);
    return code;
}

enum err_code registry_stage_carry(
    const char *data_dir, struct str db_id, struct str copy_id, bool lost, struct err *err)
{
    char dir[FS_PATH_MAX], from[FS_PATH_MAX], to[FS_PATH_MAX], name[ID_MAX + 16];

    registry_stage_path(dir, data_dir, copy_id);
    fs_join(to, dir, "carry.db");
    if (lost)
        return fs_write_atomic(to, STR_EMPTY, FILE_MODE, err);
    registry_path(dir, data_dir, db_id);
    str_print(name, sizeof name, "out/" STR_FMT ".db", STR_ARG(copy_id));
    fs_join(from, dir, name);
    return fs_rename(from, to, err);
}

enum err_code registry_stage_file(const char *data_dir, struct str db_id, const char *name,
    struct str copy_id, const char *as, struct err *err)
{
    char dir[FS_PATH_MAX], stage[FS_PATH_MAX], from[FS_PATH_MAX], to[FS_PATH_MAX];

    registry_path(dir, data_dir, db_id);
    registry_stage_path(stage, data_dir, copy_id);
    fs_join(from, dir, name);
    fs_join(to, stage, as);
    return copy_file(from, to, err);
}

enum err_code registry_restage(const char *data_dir, struct str copy_id, struct str db_id, struct err *err)
{
    char from[FS_PATH_MAX], to[FS_PATH_MAX];

    registry_stage_path(from, data_dir, copy_id);
    registry_stage_path(to, data_dir, db_id);
    enum err_code code = fs_remove_tree(to, err);
    return code ? code : fs_rename(from, to, err);
}
