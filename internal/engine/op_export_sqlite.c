/* Export as a database file. It is built row by row from what the caller may see, not copied page by page: so
 * nothing of ours, nothing outside the scope and nothing deleted can be found in it, whatever the pages hold.
 */
#define _GNU_SOURCE /* O_CLOEXEC, O_NOFOLLOW */
#include "engine/dump_db.h"
#include "engine/engine_dir.h"
#include "engine/op_export.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PIECE = 128 << 10 };

static enum err_code build(struct op *op, const struct catalog *cat, const char *path, struct err *err)
{
    struct catalog_source src = catalog_source_of_op(op);
    struct dump_db copy;
    enum err_code code = dump_db_open(&copy, path, err);
    struct dump_sink sink = dump_db_sink(&copy);
    struct dump dump = {.src = &src,
        .prepare_rows = export_prepare_rows,
        .step_rows = export_step_rows,
        .arg = op,
        .sink = &sink,
        .whole = !wire_arg(&op->call, "table").len};
    if (!code)
        code = dump_run(&dump, cat, err);
    op->head.rows_read += dump.rows;
    if (!code)
        code = dump_db_close(&copy, err);
    dump_db_release(&copy);
    return code;
}

static enum err_code stream_fd(struct op *op, int fd, struct err *err)
{
    char *piece = arena_alloc(op->arena, PIECE);
    struct stat st;
    if (!piece)
        return err_set(err, ERR_TOO_LARGE, "the schema is too large to be exported");
    if (fstat(fd, &st))
        return err_errno(err, ERR_IO, "read the copy");
    op->head.bytes_total = (uint64_t)st.st_size;
    for (;;) {
        ssize_t n = read(fd, piece, PIECE);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n == 0 ? ERR_OK : err_errno(err, ERR_IO, "read the copy");
        enum err_code code = op_stream(op, str_make(piece, (size_t)n), err);
        if (code)
            return code;
    }
}

enum err_code export_sqlite(struct op *op, const struct catalog *cat, struct err *err)
{
    char path[FS_PATH_MAX];
    struct str name = arena_printf(op->arena, "out/export-%llu.db", (unsigned long long)op->id);
    if (!name.ptr)
        return err_set(err, ERR_TOO_LARGE, "the schema is too large to be exported");
    engine_dir_path(op, name.ptr, path);
    enum err_code code = build(op, cat, path, err);
    AUTO_FD fd = code ? -1 : open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (!code && fd < 0)
        code = err_errno(err, ERR_IO, "open the copy");
    (void)unlink(path); /* the descriptor keeps it readable; after a failure there may be none */
    return code ? code : stream_fd(op, fd, err);
}
