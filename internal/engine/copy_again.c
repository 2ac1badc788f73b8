/* See copy_again.h. */
#define _GNU_SOURCE /* memmem, O_CLOEXEC, O_NOFOLLOW */
#include "engine/copy_again.h"
#include "base/fs.h"
#include "base/mem.h"
#include "base/rand.h"
#include "engine/copy_build.h"
#include "engine/engine_state.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BYTES_MAX = 4 << 20, ID_DIGITS = COPY_ID_SIZE - 1, FILE_MODE = 0600 };

static const char SQL_VERSIONS[] =
    "SELECT schema_version, user_version, application_id"
    " FROM pragma_schema_version(), pragma_user_version(), pragma_application_id()";

/* --- What it is made of --- */

static void add_row(struct digest_stream *digest, sqlite3_stmt *stmt)
{
    for (int i = 0; i < sqlite3_column_count(stmt); i++) {
        int type = sqlite3_column_type(stmt, i);
        const void *bytes = sqlite3_column_blob(stmt, i);
        int len = sqlite3_column_bytes(stmt, i);
        digest_stream_add(digest, str_make(&type, sizeof type));
        digest_stream_add(digest, str_make(&len, sizeof len));
        digest_stream_add(digest, str_make(bytes ? bytes : "", (size_t)len));
    }
}

static enum err_code add_rows(struct op *op, struct digest_stream *digest, const char *sql, struct err *err)
{
    struct catalog_source src = catalog_source_of_op(op);
    AUTO_SQL *stmt = NULL;
    bool row = true;
    enum err_code code = op_prepare_internal(op, sql, &stmt, err);
    while (!code && row) {
        code = catalog_step(&src, stmt, &row, err);
        if (!code && row)
            add_row(digest, stmt);
    }
    digest_stream_add(digest, S(";"));
    return code;
}

enum err_code copy_again_digest(struct op *op, struct digest *ret, bool *ret_same, struct err *err)
{
    struct digest_stream digest;
    const char *sql;
    digest_stream_init(&digest);
    enum err_code code = add_rows(op, &digest, SQL_VERSIONS, err);
    for (size_t i = 0; !code && (sql = copy_build_kept(i)); i++)
        code = add_rows(op, &digest, sql, err);
    *ret = digest_stream_end(&digest);
    return code ? code : copy_build_is_same(op, ret_same, err);
}

/* --- Writing it --- */

bool copy_again_has(const struct engine *eng, const struct digest *of)
{
    return eng->again.bytes && digest_eq(&eng->again.of, of);
}

static void put_new_id(char *out)
{
    static const char HEX[] = "0123456789abcdef";
    unsigned char random[ID_DIGITS / 2];
    rand_bytes(random, sizeof random);
    for (size_t i = 0; i < sizeof random; i++) {
        out[2 * i] = HEX[random[i] >> 4];
        out[2 * i + 1] = HEX[random[i] & 15];
    }
}

static bool write_whole(int fd, const char *bytes, size_t size)
{
    for (size_t at = 0; at < size;) {
        ssize_t n = pwrite(fd, bytes + at, size - at, (off_t)at);
        if (n < 0 && errno != EINTR)
            return false;
        at += n > 0 ? (size_t)n : 0;
    }
    return true;
}

enum err_code copy_again_write(struct engine *eng, const char *path, struct err *err)
{
    struct copy_again *a = &eng->again;
    put_new_id(a->bytes + a->id_at);
    AUTO_FD fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, FILE_MODE);
    if (fd >= 0 && write_whole(fd, a->bytes, a->size) && fsync(fd) == 0)
        return ERR_OK;
    return err_errno(err, errno == ENOSPC || errno == EDQUOT ? ERR_FULL : ERR_IO, "write the copy");
}

/* --- Keeping it --- */

static char *read_file(const char *path, size_t *ret_size)
{
    struct stat st;
    AUTO_FD fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 || fstat(fd, &st) != 0 || st.st_size <= 0 || st.st_size > BYTES_MAX)
        return NULL;
    char *bytes = mem_alloc((size_t)st.st_size);
    *ret_size = (size_t)st.st_size;
    if (pread(fd, bytes, *ret_size, 0) == st.st_size)
        return bytes;
    mem_free(bytes);
    return NULL;
}

/* The one place where its id stands. */
static bool find_id(struct copy_again *a, struct str id)
{
    const char *end = a->bytes + a->size, *found = memmem(a->bytes, a->size, id.ptr, id.len);
    if (!found || id.len != ID_DIGITS || memmem(found + 1, (size_t)(end - found) - 1, id.ptr, id.len))
        return false;
    a->id_at = (size_t)(found - a->bytes);
    return true;
}

void copy_again_keep(
    struct engine *eng, const struct digest *of, const char *path, struct str id, int64_t objects)
{
    struct copy_again a = {.of = *of, .objects = objects};
    copy_again_forget(eng);
    a.bytes = read_file(path, &a.size);
    if (a.bytes && find_id(&a, id))
        eng->again = a;
    else
        mem_free(a.bytes);
}

void copy_again_forget(struct engine *eng)
{
    mem_free(eng->again.bytes);
    eng->again = (struct copy_again){.bytes = NULL};
}
