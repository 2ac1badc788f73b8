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
 * What of the log was only half written when it was read fails its checksums, and ends it.
 *
 *   Both files are copied as far as they went when the copy began: writers who are faster than the copy add
 * nothing to it. The log is asked for its last commit then, for a long one that was begun anew keeps its
 * size.
 */
#define _GNU_SOURCE /* copy_file_range, sync_file_range, O_NOFOLLOW */
#include "engine/copy_raw.h"
#include "base/clock.h"
#include "base/fs.h"
#include "engine/engine_state.h"
#include "engine/log_index.h"
#include "engine/main_file.h"
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    LOG_HEAD = 32,
    FILE_MODE = 0600,
    PIECE = 1 << 20, /* takes about as long as others may wait for the processor: GIVEWAY_US */
    PIECE_MAX = 64 << 20,
    SHARED_US = 100, /* what was done sooner was shared, not copied: then larger pieces cost no more */
};

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

/* How far a file goes now. */
static off_t size_of(int fd)
{
    struct stat st;
    return fstat(fd, &st) == 0 ? st.st_size : 0;
}

/* The disk begins with it while the next piece is copied, and has finished what came before it: a commit of
 * the writer's finds no more than two of them before it. The fsync at the end tells what went wrong. */
static void write_behind(int to, off_t at, ssize_t n)
{
    const unsigned finish = SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER;
    (void)sync_file_range(to, at, n, SYNC_FILE_RANGE_WRITE);
    if (at > 0)
        (void)sync_file_range(to, at > PIECE ? at - PIECE : 0, at > PIECE ? PIECE : at, finish);
    (void)sched_yield(); /* cannot fail */
}

static bool cannot(ssize_t n, off_t at)
{
    return n < 0 && at == 0 && (errno == EXDEV || errno == EINVAL || errno == EOPNOTSUPP || errno == ENOSYS);
}

/* The first `end` bytes, or less where the file was shortened. *ret_done false: the kernel does not do this
 * between these two. */
static enum err_code copy_bytes(struct op *op, int from, int to, off_t end, bool *ret_done, struct err *err)
{
    off_t at = 0;
    size_t piece = PIECE;
    enum err_code code = ERR_OK;
    *ret_done = true;
    while (!code && at < end) {
        int64_t begin_us = clock_mono_us();
        off_t left = end - at;
        ssize_t n = copy_file_range(from, &at, to, NULL, left < (off_t)piece ? (size_t)left : piece, 0);
        if (n == 0)
            return ERR_OK;
        *ret_done = !cannot(n, at);
        if (!*ret_done)
            return ERR_OK;
        if (n < 0 && errno != EINTR)
            return failed(err);
        if (clock_mono_us() - begin_us >= SHARED_US)
            piece = PIECE;
        else if (piece < PIECE_MAX)
            piece *= 2;
        if (n > 0)
            write_behind(to, at - n, n);
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
    return from < 0 || to < 0 ? failed(err) : copy_bytes(op, from, to, size_of(from), ret_done, err);
}

/* Its first `end` bytes; -1: as many as there are. *ret_log false: there is none, or it was begun anew
 * meanwhile. */
static enum err_code copy_log(struct op *op, const char *path, int64_t end, bool *ret_log, struct err *err)
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
    off_t size = size_of(from);
    end = end < 0 || end > size ? size : end;
    enum err_code code = to < 0 ? failed(err) : copy_bytes(op, from, to, (off_t)end, &done, err);
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
    int64_t log_end = log_index_bytes(op->eng->db);
    enum err_code code = copy_main(op, path, ret_done, err);
    if (!code && *ret_done)
        return log_end == 0 ? ERR_OK : copy_log(op, path, log_end, ret_log, err);
    if (!code && unlink(path) != 0)
        code = failed(err);
    return code;
}
