/* Durable file operations. A failed fsync is reported and never retried: the kernel may have dropped the
 * pages. */
#define _GNU_SOURCE /* strerrordesc_np: errno's text without a locale; mkostemp */
#include "base/fs.h"
#include "base/check.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

static const char *last_component(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash && slash[1] ? slash + 1 : path;
}

/* Describes errno; `doing` is "write" in "cannot write main.db: …". */
static enum err_code fs_fail(struct err *err, const char *doing, const char *path)
{
    int e = errno;
    const char *text = strerrordesc_np(e);
    enum err_code code = e == ENOENT                                ? ERR_NOT_FOUND
                         : e == EEXIST || e == ENOTEMPTY            ? ERR_CONFLICT
                         : e == ENOSPC || e == EDQUOT || e == EFBIG ? ERR_FULL
                                                                    : ERR_IO;
    return err_set(err, code, "cannot %s %s: %s", doing, last_component(path), text ? text : "unknown error");
}

void fs_join(char out[FS_PATH_MAX], const char *dir, const char *name)
{
    int n = snprintf(out, FS_PATH_MAX, "%s/%s", dir, name);
    CHECK(n > 0 && n < FS_PATH_MAX);
}

/* Directory part of `path`: "." when there is none. */
static void fs_parent(char out[FS_PATH_MAX], const char *path)
{
    size_t n = strlen(path);
    CHECK(n < FS_PATH_MAX);
    memcpy(out, path, n + 1);
    while (n > 1 && out[n - 1] == '/')
        out[--n] = '\0';
    char *slash = strrchr(out, '/');
    if (!slash)
        memcpy(out, ".", 2);
    else
        slash[slash == out ? 1 : 0] = '\0';
}

bool fs_exists(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0;
}

void fd_close(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd); /* written data was fsynced before; nothing is left to fail */
    *fd = -1;
}

enum err_code fs_sync_dir(const char *path, struct err *err)
{
    AUTO_FD fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return fs_fail(err, "open directory", path);
    return fsync(fd) == 0 ? ERR_OK : fs_fail(err, "sync directory", path);
}

static enum err_code fs_sync_parent(const char *path, struct err *err)
{
    char parent[FS_PATH_MAX];
    fs_parent(parent, path);
    return fs_sync_dir(parent, err);
}

static bool is_dir(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

enum err_code fs_mkdir(const char *path, mode_t mode, struct err *err)
{
    return mkdir(path, mode) == 0 ? ERR_OK : fs_fail(err, "create directory", path);
}

static enum err_code fs_mkdir_one(const char *path, mode_t mode, struct err *err)
{
    if (mkdir(path, mode) == 0)
        return fs_sync_parent(path, err);
    int e = errno;
    if (e == EEXIST && is_dir(path))
        return ERR_OK;
    errno = e;
    return fs_fail(err, "create directory", path);
}

enum err_code fs_mkdir_p(const char *path, mode_t mode, struct err *err)
{
    char part[FS_PATH_MAX];
    size_t n = strlen(path);
    CHECK(n > 0 && n < FS_PATH_MAX);
    if (is_dir(path))
        return ERR_OK;
    memcpy(part, path, n + 1);
    for (size_t i = 1; i < n; i++) {
        if (part[i] != '/')
            continue;
        part[i] = '\0';
        enum err_code rc = is_dir(part) ? ERR_OK : fs_mkdir_one(part, mode, err);
        if (rc)
            return rc;
        part[i] = '/';
    }
    return fs_mkdir_one(path, mode, err);
}

static bool write_whole(int fd, struct str data)
{
    while (data.len) {
        ssize_t n = write(fd, data.ptr, data.len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return false;
        data = str_slice(data, (size_t)n, data.len);
    }
    return true;
}

static enum err_code write_durably(int fd, const char *path, struct str data, mode_t mode, struct err *err)
{
    if (fchmod(fd, mode) != 0 || !write_whole(fd, data))
        return fs_fail(err, "write", path);
    return fsync(fd) == 0 ? ERR_OK : fs_fail(err, "sync", path);
}

enum err_code fs_write_new(const char *path, struct str data, mode_t mode, struct err *err)
{
    AUTO_FD fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    return fd < 0 ? fs_fail(err, "create", path) : write_durably(fd, path, data, mode, err);
}

enum err_code fs_write_atomic(const char *path, struct str data, mode_t mode, struct err *err)
{
    char temp[FS_PATH_MAX];
    int n = snprintf(temp, sizeof temp, "%s.tmp.XXXXXX", path);
    CHECK(n > 0 && (size_t)n < sizeof temp);
    AUTO_FD fd = mkostemp(temp, O_CLOEXEC);
    if (fd < 0)
        return fs_fail(err, "create", path);
    enum err_code rc = write_durably(fd, path, data, mode, err);
    if (!rc && rename(temp, path) != 0)
        rc = fs_fail(err, "replace", path);
    if (rc) {
        (void)unlink(temp); /* the first error is the one to report */
        return rc;
    }
    return fs_sync_parent(path, err);
}

enum err_code fs_read_all(const char *path, size_t limit, struct strbuf *out, struct err *err)
{
    enum { CHUNK = 65536 };
    AUTO_FD fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return fs_fail(err, "open", path);
    size_t start = out->len;
    for (;;) {
        size_t left = limit - (out->len - start);
        size_t want = left < CHUNK ? left + 1 : CHUNK; /* one past the limit, to see that there is more */
        char probe[CHUNK];
        ssize_t n = read(fd, probe, want);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fs_fail(err, "read", path);
        if (n == 0)
            return ERR_OK;
        if ((size_t)n <= left)
            strbuf_add(out, probe, (size_t)n);
        if ((size_t)n > left || strbuf_failed(out))
            return err_set(err, ERR_TOO_LARGE, "%s is larger than %zu bytes", last_component(path), limit);
    }
}

enum err_code fs_move(const char *from, const char *to, struct err *err)
{
    return rename(from, to) == 0 ? ERR_OK : fs_fail(err, "rename", from);
}

enum err_code fs_rename(const char *from, const char *to, struct err *err)
{
    char from_dir[FS_PATH_MAX], to_dir[FS_PATH_MAX];
    enum err_code rc = fs_move(from, to, err);
    if (rc)
        return rc;
    fs_parent(from_dir, from);
    fs_parent(to_dir, to);
    rc = fs_sync_dir(to_dir, err);
    if (!rc && strcmp(from_dir, to_dir) != 0)
        rc = fs_sync_dir(from_dir, err);
    return rc;
}

enum { REMOVE_DEPTH_MAX = 64 };

static enum err_code remove_at(int dir, const char *name, int depth, struct err *err);

static enum err_code remove_children(int fd, const char *name, int depth, struct err *err)
{
    DIR *dir = fdopendir(fd);
    if (!dir) {
        fd_close(&fd);
        return fs_fail(err, "list", name);
    }
    enum err_code rc = ERR_OK;
    const struct dirent *entry;
    while (!rc && (errno = 0, entry = readdir(dir)) != NULL)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            rc = remove_at(dirfd(dir), entry->d_name, depth + 1, err);
    if (!rc && errno)
        rc = fs_fail(err, "list", name);
    (void)closedir(dir);
    return rc;
}

/* Removes `name` below `dir`. A directory is opened without following links, so that one swapped in for it
 * cannot lead away. */
static enum err_code remove_at(int dir, const char *name, int depth, struct err *err)
{
    if (depth > REMOVE_DEPTH_MAX)
        return err_set(err, ERR_IO, "cannot remove %s: more than %d levels deep", last_component(name),
            REMOVE_DEPTH_MAX);
    if (unlinkat(dir, name, 0) == 0 || errno == ENOENT)
        return ERR_OK;
    if (errno != EISDIR && errno != EPERM)
        return fs_fail(err, "remove", name);
    int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return fs_fail(err, "remove", name);
    enum err_code rc = remove_children(fd, name, depth, err);
    if (rc)
        return rc;
    return unlinkat(dir, name, AT_REMOVEDIR) == 0 || errno == ENOENT ? ERR_OK : fs_fail(err, "remove", name);
}

enum err_code fs_remove_tree(const char *path, struct err *err)
{
    if (!fs_exists(path))
        return ERR_OK;
    enum err_code rc = remove_at(AT_FDCWD, path, 0, err);
    return rc ? rc : fs_sync_parent(path, err);
}

enum err_code fs_free_bytes(const char *path, uint64_t *ret_free, uint64_t *ret_total, struct err *err)
{
    struct statvfs st;
    if (statvfs(path, &st) != 0)
        return fs_fail(err, "measure", path);
    *ret_free = (uint64_t)st.f_bavail * st.f_frsize;
    *ret_total = (uint64_t)st.f_blocks * st.f_frsize;
    return ERR_OK;
}

/* The pid in a lock file, -1 none. */
static int64_t read_pid(int fd)
{
    char text[16];
    ssize_t n = pread(fd, text, sizeof text, 0);
    int64_t pid;
    return str_to_i64(str_trim(str_make(text, n > 0 ? (size_t)n : 0)), 1, INT32_MAX, &pid) ? pid : -1;
}

static enum err_code lock_held(int fd, const char *path, struct err *err)
{
    int64_t pid = read_pid(fd);
    if (pid < 0)
        return err_set(err, ERR_CONFLICT, "%s is held by another process", last_component(path));
    return err_set(err, ERR_CONFLICT, "%s is held by process %lld", last_component(path), (long long)pid);
}

enum err_code fs_lock(const char *path, int *ret_fd, struct err *err)
{
    AUTO_FD fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return fs_fail(err, "open", path);
    if (flock(fd, LOCK_EX | LOCK_NB) != 0)
        return errno == EWOULDBLOCK ? lock_held(fd, path, err) : fs_fail(err, "lock", path);
    char pid[16];
    int n = snprintf(pid, sizeof pid, "%ld\n", (long)getpid());
    CHECK(n > 0 && (size_t)n < sizeof pid);
    if (ftruncate(fd, 0) != 0 || pwrite(fd, pid, (size_t)n, 0) != n)
        return fs_fail(err, "write", path);
    *ret_fd = fd_take(&fd);
    return ERR_OK;
}

enum err_code fs_lock_holder(const char *path, int64_t *ret_pid, struct err *err)
{
    AUTO_FD fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 && errno != ENOENT)
        return fs_fail(err, "open", path);
    *ret_pid = 0;
    if (fd < 0 || flock(fd, LOCK_SH | LOCK_NB) == 0)
        return ERR_OK;
    if (errno != EWOULDBLOCK)
        return fs_fail(err, "look at", path);
    *ret_pid = read_pid(fd);
    return ERR_OK;
}
