/* See spool.h. */
#define _GNU_SOURCE /* O_TMPFILE */
#include "base/spool.h"
#include "base/check.h"
#include "base/fs.h"
#include "base/id.h"
#include "base/mem.h"
#include "base/strbuf.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

static enum err_code failed(struct err *err)
{
    return err_errno(
        err, errno == ENOSPC || errno == EDQUOT || errno == EFBIG ? ERR_FULL : ERR_IO, "Storing the upload");
}

/* A nameless file gets its name through /proc. */
static bool can_be_named(void)
{
    return access("/proc/self/fd", X_OK) == 0;
}

/* What open() says of O_TMPFILE where the file system or the kernel does not know it. */
static bool unsupported(int e)
{
    return e == EOPNOTSUPP || e == EISDIR || e == ENOENT || e == EINVAL;
}

static enum err_code open_named(struct spool *s, const char *dir, struct err *err)
{
    char path[FS_PATH_MAX];
    struct id name = id_new("sp");
    fs_join(path, dir, name.text);
    s->fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (s->fd < 0)
        return failed(err);
    s->name = mem_strdup(path);
    return ERR_OK;
}

enum err_code spool_open(struct spool *s, const char *dir, struct err *err)
{
    CHECK(s->fd < 0);
    enum err_code rc = fs_mkdir_p(dir, 0700, err);
    if (rc)
        return rc;
    if (can_be_named())
        s->fd = open(dir, O_WRONLY | O_TMPFILE | O_CLOEXEC, 0600);
    else
        errno = EOPNOTSUPP;
    if (s->fd >= 0)
        return ERR_OK;
    return unsupported(errno) ? open_named(s, dir, err) : failed(err);
}

enum err_code spool_write(struct spool *s, struct str bytes, struct err *err)
{
    CHECK(s->fd >= 0);
    while (bytes.len) {
        ssize_t n = write(s->fd, bytes.ptr, bytes.len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return failed(err);
        s->bytes += (uint64_t)n;
        bytes = str_slice(bytes, (size_t)n, bytes.len);
    }
    return ERR_OK;
}

enum err_code spool_publish(struct spool *s, const char *path, struct err *err)
{
    AUTO_STRBUF self;
    CHECK(s->fd >= 0);
    strbuf_init(&self, 64);
    strbuf_addf(&self, "/proc/self/fd/%d", s->fd);
    int rc = linkat(
        AT_FDCWD, s->name ? s->name : strbuf_cstr(&self), AT_FDCWD, path, s->name ? 0 : AT_SYMLINK_FOLLOW);
    if (rc != 0)
        return failed(err);
    spool_close(s); /* a name of its own is not needed any more */
    return ERR_OK;
}

void spool_close(struct spool *s)
{
    fd_close(&s->fd);
    if (s->name)
        (void)unlink(s->name); /* if that fails, the next start removes it */
    mem_free(s->name);
    s->name = NULL;
}
