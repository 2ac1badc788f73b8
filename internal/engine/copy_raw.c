/* Why this is a whole copy although a writer goes on meanwhile (https://www.sqlite.org/walformat.html):
 *
 *   A reader holds a mark in the log. While it does, a checkpoint brings into the file only what stands
 * before that mark, and the log is not begun anew. So the file is some mixture of pages up to the mark, all
 * of which stand in the log too; with the log laid over it, it is the state of a commit at the mark or behind
 * it.
 *
 *   A reader that needs nothing of the log holds a mark of its own, which keeps the file as it is. Then the
 * log may be begun anew: by its head that is seen, and the file alone is the state. Only what began before
 * its head was read may be laid over.
 *
 * What of the log was only half written when it was read fails its checksums, and ends it. */
#define _GNU_SOURCE /* copy_file_range, O_NOFOLLOW */
#include "engine/copy_raw.h"
#include "base/fs.h"
#include "engine/engine_state.h"
#include "engine/main_file.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LOG_HEAD = 32, PIECE = 64 << 20, FILE_MODE = 0600 };

struct log_head {
    char bytes[LOG_HEAD];
};

static enum err_code failed(struct err *err)
{
    return err_errno(err, errno == ENOSPC || errno == EDQUOT ? ERR_FULL : ERR_IO, "copy the database");
}

static bool read_head(int log, struct log_head *ret)
{
    return log >= 0 && pread(log, ret->bytes, LOG_HEAD, 0) == LOG_HEAD;
}

/* *ret_done false: the kernel does not do this between these two. */
static enum err_code copy_bytes(struct op *op, int from, int to, bool *ret_done, struct err *err)
{
    off_t at = 0;
    enum err_code code = ERR_OK;
    *ret_done = true;
    while (!code) {
        ssize_t n = copy_file_range(from, &at, to, NULL, PIECE, 0);
        if (n == 0)
            return ERR_OK;
        if (n < 0 && at == 0 &&
            (errno == EXDEV || errno == EINVAL || errno == EOPNOTSUPP || errno == ENOSYS)) {
            *ret_done = false;
            return ERR_OK;
        }
        if (n < 0 && errno != EINTR)
            return failed(err);
        code = op_check_time(op, err);
    }
    return code;
}

static int create(const char *path)
{
    return open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, FILE_MODE);
}

static enum err_code copy_main(struct op *op, const char *path, bool *ret_done, struct err *err)
{
    int from = main_file(op->eng);
    AUTO_FD to = create(path);
    return from < 0 || to < 0 ? failed(err) : copy_bytes(op, from, to, ret_done, err);
}

/* *ret_log false: there is none, or it was begun anew meanwhile. */
static enum err_code copy_log(struct op *op, const char *path, bool *ret_log, struct err *err)
{
    char from_path[FS_PATH_MAX], to_path[FS_PATH_MAX];
    struct log_head before, after;
    bool done;
    fs_join(from_path, op->eng->cfg.dir, "main.db-wal");
    str_print(to_path, sizeof to_path, "%s-wal", path);
    AUTO_FD from = open(from_path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    *ret_log = false;
    if (!read_head(from, &before))
        return ERR_OK;
    AUTO_FD to = create(to_path);
    enum err_code code = to < 0 ? failed(err) : copy_bytes(op, from, to, &done, err);
    if (code)
        return code;
    if (!done)
        return err_set(err, ERR_IO, "the log could not be copied");
    *ret_log = read_head(from, &after) && memcmp(before.bytes, after.bytes, LOG_HEAD) == 0;
    if (!*ret_log && unlink(to_path) != 0)
        return failed(err);
    return ERR_OK;
}

enum err_code copy_raw(struct op *op, const char *path, bool *ret_done, bool *ret_log, struct err *err)
{
    *ret_done = *ret_log = false;
    if (op->eng->cfg.mode != ENGINE_READER)
        return ERR_OK;
    enum err_code code = copy_main(op, path, ret_done, err);
    if (!code && *ret_done)
        return copy_log(op, path, ret_log, err);
    if (!code && unlink(path) != 0)
        code = failed(err);
    return code;
}
