/* The signs that a database was used. */
#define _GNU_SOURCE /* O_NOFOLLOW, lstat */
#include "engine/identity.h"
#include "base/enc.h"
#include "base/fs.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define USED     "used"
#define SQL_META "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = '_sys_meta'"
#define SQL_NAME "SELECT value FROM _sys_meta WHERE key = 'file'"

enum { NAME_BYTES = 32, USED_MODE = 0600 };

struct name {
    char text[NAME_BYTES + 1]; /* "" unknown */
};

/* --- Before --- */

/* Bytes of a file, -1 when there is none. What is no regular file is left to SQLite, which refuses it. */
static int64_t size_of(const struct engine *eng, const char *file)
{
    char path[FS_PATH_MAX];
    struct stat st;
    fs_join(path, eng->cfg.dir, file);
    if (lstat(path, &st) != 0)
        return errno == ENOENT ? -1 : 1;
    return S_ISREG(st.st_mode) ? (int64_t)st.st_size : 1;
}

/* The head of a log's index (https://www.sqlite.org/walformat.html): two copies of 48 bytes, the pages in the
 * log as the fifth word of a copy, then the pages that are in the database already. */
static bool index_counts_pages(const struct engine *eng)
{
    enum { COPY = 12, INITIALIZED = 3, PAGES = 4, BACKFILLED = 2 * COPY, WORDS = 2 * COPY + 1 };
    char path[FS_PATH_MAX];
    uint32_t head[WORDS];
    fs_join(path, eng->cfg.dir, "main.db-shm");
    AUTO_FD fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 || pread(fd, head, sizeof head, 0) != (ssize_t)sizeof head)
        return false;
    bool whole = memcmp(head, head + COPY, COPY * sizeof head[0]) == 0 &&
                 (((const unsigned char *)head)[INITIALIZED * sizeof head[0]] == 1);
    return whole && head[PAGES] > head[BACKFILLED];
}

enum err_code identity_before(const struct engine *eng, struct err *err)
{
    if (eng->cfg.mode == ENGINE_SCRATCH_MODE)
        return ERR_OK;
    int64_t main_db = size_of(eng, "main.db"), wal = size_of(eng, "main.db-wal");
    if (main_db <= 0 && (wal > 0 || size_of(eng, USED) >= 0))
        return err_set(err, ERR_CORRUPT, "main.db is %s, although the database was used",
            main_db < 0 ? "missing" : "empty");
    /* Looked at twice: a neighbour may open the database just now. */
    if (main_db > 0 && wal < 0 && index_counts_pages(eng) && size_of(eng, "main.db-wal") < 0)
        return err_set(err, ERR_CORRUPT, "main.db-wal is missing, and with it writes that were acknowledged");
    return ERR_OK;
}

/* --- Names --- */

static bool well_formed(struct str name)
{
    size_t hex = 0;
    while (hex < name.len && memchr("0123456789abcdef", name.ptr[hex], 16))
        hex++;
    return hex == NAME_BYTES && name.len == NAME_BYTES;
}

static void keep_if_well_formed(struct name *ret, struct str name)
{
    ret->text[0] = '\0';
    if (!well_formed(name))
        return;
    memcpy(ret->text, name.ptr, NAME_BYTES);
    ret->text[NAME_BYTES] = '\0';
}

static bool told(const struct engine *eng, struct name *ret)
{
    char path[FS_PATH_MAX], text[NAME_BYTES];
    ret->text[0] = '\0';
    fs_join(path, eng->cfg.dir, USED);
    AUTO_FD fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return false;
    ssize_t n = read(fd, text, sizeof text);
    keep_if_well_formed(
        ret, str_make(text, n > 0 ? (size_t)n : 0)); /* cut off by a crash: it was used all the same */
    return true;
}

/* SQLITE_ROW, SQLITE_DONE, or the error. */
static int first_text(sqlite3 *db, const char *sql, struct name *ret)
{
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v2(db, sql, -1, &stmt, NULL);
    ret->text[0] = '\0';
    if (rc == SQLITE_OK)
        rc = sqlite3_step(stmt);
    if (rc == SQLITE_ROW && sqlite3_column_text(stmt, 0))
        keep_if_well_formed(
            ret, str_make((const char *)sqlite3_column_text(stmt, 0), (size_t)sqlite3_column_bytes(stmt, 0)));
    (void)sqlite3_finalize(stmt); /* repeats the error of the step */
    return rc;
}

enum err_code identity_compare(const struct engine *eng, bool *ret_known, struct err *err)
{
    struct name beside, inside;
    *ret_known = eng->cfg.mode == ENGINE_SCRATCH_MODE;
    if (*ret_known || !told(eng, &beside))
        return ERR_OK;
    int rc = first_text(eng->db, SQL_META, &inside);
    if (rc == SQLITE_ROW)
        rc = first_text(eng->db, SQL_NAME, &inside);
    else if (rc == SQLITE_DONE)
        return err_set(err, ERR_CORRUPT, "main.db is not this server's file, although the database was used");
    if (rc != SQLITE_ROW && rc != SQLITE_DONE)
        return ERR_OK; /* whoever reads next meets it too and has words for it */
    if (beside.text[0] && strcmp(beside.text, inside.text) != 0)
        return err_set(err, ERR_CORRUPT, "main.db is the file of another database");
    *ret_known = beside.text[0] != '\0';
    return ERR_OK;
}

/* --- After --- */

static bool write_used(const struct engine *eng, const struct name *name)
{
    char path[FS_PATH_MAX];
    fs_join(path, eng->cfg.dir, USED);
    AUTO_FD fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, USED_MODE);
    return fd >= 0 && write(fd, name->text, NAME_BYTES) == NAME_BYTES && fsync(fd) == 0 &&
           fs_sync_dir(eng->cfg.dir, NULL) == ERR_OK;
}

enum err_code identity_keep(const struct engine *eng, bool is_new, struct err *err)
{
    struct name name;
    if (first_text(eng->db, SQL_NAME, &name) == SQLITE_ROW && name.text[0] && write_used(eng, &name))
        return ERR_OK;
    bool full = errno == ENOSPC || errno == EDQUOT;
    if (full && !is_new)
        return ERR_OK;
    return err_set(err, full ? ERR_FULL : ERR_IO, "opening the database: its mark could not be written");
}
