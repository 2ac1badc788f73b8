/* Reading what is imported, in pieces. */
#define _GNU_SOURCE /* O_CLOEXEC, O_NOFOLLOW */
#include "engine/import_source.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static void skip_byte_order_mark(struct import_source *s)
{
    if (import_peek(s) == 0xef && s->piece.len >= 3 && memcmp(s->piece.ptr, "\xef\xbb\xbf", 3) == 0) {
        s->piece.ptr += 3;
        s->piece.len -= 3;
        s->offset += 3;
    }
}

void import_source_memory(struct import_source *s, struct str whole)
{
    *s = (struct import_source){.fd = -1, .whole = whole, .piece = whole, .line = 1};
    skip_byte_order_mark(s);
}

enum err_code import_source_file(struct import_source *s, const char *path, struct err *err)
{
    struct stat st;
    *s = (struct import_source){.fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW), .line = 1};
    if (s->fd < 0)
        return err_errno(err, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, "open the file to import");
    if (fstat(s->fd, &st) || !S_ISREG(st.st_mode)) {
        fd_close(&s->fd);
        return err_set(err, ERR_IO, "the file to import is not a regular file");
    }
    s->buf = mem_alloc(IMPORT_PIECE);
    skip_byte_order_mark(s);
    return ERR_OK;
}

void import_source_release(struct import_source *s)
{
    fd_close(&s->fd);
    mem_free(s->buf);
    *s = (struct import_source){.fd = -1};
}

enum err_code import_source_rewind(struct import_source *s, struct err *err)
{
    if (s->fd >= 0 && lseek(s->fd, 0, SEEK_SET) != 0)
        return err_errno(err, ERR_IO, "read the file to import again");
    s->piece = s->fd >= 0 ? STR_EMPTY : s->whole;
    s->offset = 0;
    s->line = 1;
    skip_byte_order_mark(s);
    return ERR_OK;
}

bool import_source_fill(struct import_source *s)
{
    ssize_t n;
    if (s->fd < 0)
        return false;
    do {
        n = read(s->fd, s->buf, IMPORT_PIECE);
    } while (n < 0 && errno == EINTR);
    s->failed = n < 0;
    s->piece = str_make(s->buf, n > 0 ? (size_t)n : 0);
    return n > 0;
}

struct str import_take_until(struct import_source *s, char stop)
{
    if (import_peek(s) == IMPORT_END)
        return STR_EMPTY;
    const char *found = memchr(s->piece.ptr, stop, s->piece.len);
    struct str taken = str_slice(s->piece, 0, found ? (size_t)(found - s->piece.ptr) + 1 : s->piece.len);
    for (struct str rest = taken, line; str_cut(&rest, '\n', &line);)
        s->line += rest.ptr != NULL;
    s->piece = str_slice(s->piece, taken.len, s->piece.len);
    s->offset += taken.len;
    return taken;
}
