/* Change sets of branches as files. */
#define _GNU_SOURCE /* O_CLOEXEC, O_NOFOLLOW */
#include "engine/branch_set.h"
#include "base/limits.h"
#include "engine/change_set.h"
#include "engine/engine_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

enum { HEAD_BYTES = 8, FILE_MODE = 0600, NAME_BYTES_MAX = 200 };

/* Two components of letters, digits, '-', '_' and '.', the second not hidden. */
static enum err_code path_of(struct op *op, struct str name, char out[FS_PATH_MAX], struct err *err)
{
    size_t slashes = 0;
    bool good = name.len > 0 && name.len < NAME_BYTES_MAX;
    for (size_t i = 0; good && i < name.len; i++) {
        char ch = name.ptr[i];
        bool word = (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') || (ch >= '0' && ch <= '9') ||
                    ch == '-' || ch == '_' || (ch == '.' && i > 0 && name.ptr[i - 1] != '/');
        slashes += ch == '/';
        good = (word || ch == '/') && name.ptr[0] != '.';
    }
    struct str copy = good && slashes == 1 ? arena_copy(op->arena, name) : STR_EMPTY;
    if (!copy.len)
        return err_field(err, "/set", "must name a file of a branch's changes");
    engine_dir_path(op, copy.ptr, out);
    return ERR_OK;
}

static enum err_code io_error(const char *what, struct err *err)
{
    return err_errno(err, errno == ENOSPC || errno == EDQUOT ? ERR_FULL : ERR_IO, what);
}

static bool write_whole(int fd, struct str s)
{
    while (s.len > 0) {
        ssize_t n = write(fd, s.ptr, s.len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        s = str_slice(s, (size_t)n, s.len);
    }
    return true;
}

enum err_code branch_set_write(
    struct op *op, struct str name, struct str set, struct str whole, struct err *err)
{
    char path[FS_PATH_MAX], head[HEAD_BYTES];
    enum err_code code = path_of(op, name, path, err);
    if (code)
        return code;
    for (size_t i = 0; i < sizeof head; i++)
        head[i] = (char)((uint64_t)set.len >> (8 * i));
    AUTO_FD fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, FILE_MODE);
    if (fd < 0 || !write_whole(fd, str_make(head, sizeof head)) || !write_whole(fd, set) ||
        !write_whole(fd, whole) || fsync(fd) != 0)
        return io_error("keep the changes of the branch", err);
    return ERR_OK;
}

static enum err_code split(struct branch_set *s, struct err *err)
{
    struct str all = strbuf_str(&s->bytes);
    uint64_t len = 0;
    for (size_t i = 0; i < HEAD_BYTES && all.len >= HEAD_BYTES; i++)
        len |= (uint64_t)(unsigned char)all.ptr[i] << (8 * i);
    if (all.len < HEAD_BYTES || len > all.len - HEAD_BYTES)
        return err_set(err, ERR_INTERNAL, "the changes of the branch are damaged");
    s->set = str_slice(all, HEAD_BYTES, HEAD_BYTES + (size_t)len);
    s->whole = str_slice(all, HEAD_BYTES + (size_t)len, all.len);
    enum err_code code = change_set_check(s->set, err);
    return code ? code : change_set_check(s->whole, err);
}

enum err_code branch_set_read(struct op *op, struct str name, struct branch_set *ret, struct err *err)
{
    char path[FS_PATH_MAX];
    size_t limit = HEAD_BYTES + 2 * (size_t)LIMIT_CHANGE_BYTES;
    *ret = (struct branch_set){.set = STR_EMPTY};
    strbuf_init(&ret->bytes, limit);
    enum err_code code = path_of(op, name, path, err);
    if (!code)
        code = fs_read_all(path, limit, &ret->bytes, err);
    if (code == ERR_NOT_FOUND)
        return err_set(err, ERR_UNAVAILABLE, "the changes of the branch are gone; try again");
    return code ? code : split(ret, err);
}

void branch_set_release(struct branch_set *s)
{
    strbuf_release(&s->bytes);
}
