/* Files, done durably: new files appear whole (temp, fsync, rename, fsync of the directory) or not at all.
 * Worker threads and commands only: all of it blocks. Errors: ERR_IO, ERR_FULL (no space or quota),
 * ERR_NOT_FOUND, ERR_CONFLICT (exists, or the lock is held). Messages carry no path of the host beyond the
 * last component. */
#ifndef BASE_FS_H
#define BASE_FS_H

#include "base/err.h"
#include "base/str.h"
#include "base/strbuf.h"
#include <sys/types.h>

#define FS_PATH_MAX 4096

/* Joins with '/', result in `out`; aborts when it does not fit (paths are ours, never a user's text). */
void fs_join(char out[FS_PATH_MAX], const char *dir, const char *name);
bool fs_exists(const char *path);
MUST_CHECK enum err_code fs_mkdir_p(const char *path, mode_t mode, struct err *err);
MUST_CHECK enum err_code fs_write_atomic(const char *path, struct str data, mode_t mode, struct err *err);
MUST_CHECK enum err_code fs_read_all(const char *path, size_t limit, struct strbuf *out, struct err *err);
MUST_CHECK enum err_code fs_sync_dir(const char *path, struct err *err);
MUST_CHECK enum err_code fs_rename(
    const char *from, const char *to, struct err *err); /* syncs both directories */
MUST_CHECK enum err_code fs_remove_tree(
    const char *path, struct err *err); /* never follows a symlink; absent is fine */

/* Steps of a larger whole whose names become durable at its end, when the caller syncs the directories. */
MUST_CHECK enum err_code fs_mkdir(const char *path, mode_t mode, struct err *err);
MUST_CHECK enum err_code fs_move(const char *from, const char *to, struct err *err);
MUST_CHECK enum err_code fs_write_new(const char *path, struct str data, mode_t mode, struct err *err);

MUST_CHECK enum err_code fs_free_bytes(
    const char *path, uint64_t *ret_free, uint64_t *ret_total, struct err *err);

/* Takes an exclusive lock file and writes our pid into it; ERR_CONFLICT names the holder's pid. The lock
 * lives as long as *ret_fd stays open, so it dies with the process. */
MUST_CHECK enum err_code fs_lock(const char *path, int *ret_fd, struct err *err);

/* Who holds the lock file: a pid, 0 nobody (or no such file), -1 somebody who left no pid. Takes nothing. */
MUST_CHECK enum err_code fs_lock_holder(const char *path, int64_t *ret_pid, struct err *err);

void fd_close(int *fd); /* closes and sets to -1; negative is fine */
#define AUTO_FD CLEANUP(fd_close) int
static inline int fd_take(int *fd) /* hands an AUTO_FD over: it is not closed at the end of its block */
{
    int taken = *fd;
    *fd = -1;
    return taken;
}

#endif
