/* Opening and closing connections, and the settings that every one of them gets. */
#define _GNU_SOURCE /* O_NOFOLLOW and O_CLOEXEC beside strict C */
#include "sqlite/db_internal.h"
#include "base/check.h"
#include "base/fs.h"
#include "base/mem.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

enum { BUSY_TIMEOUT_MS = 5000 };

static const char *const RECIPE[] = {
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
    "PRAGMA trusted_schema = OFF",
    "PRAGMA cell_size_check = ON",
};

const char *db_library_version(void)
{
    return sqlite3_libversion();
}

enum err_code db_run(struct db *db, const char *sql, struct err *err)
{
    int rc = sqlite3_exec(db->handle, sql, NULL, NULL, NULL);

    return rc == SQLITE_OK ? ERR_OK : db_error(db, rc, "control database", err);
}

/* journal_mode answers with the mode it really has. */
static enum err_code enter_wal(struct db *db, struct err *err)
{
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v2(db->handle, "PRAGMA journal_mode = WAL", -1, &stmt, NULL);
    enum err_code code = ERR_OK;

    if (rc == SQLITE_OK)
        rc = sqlite3_step(stmt);
    if (rc != SQLITE_ROW)
        code = db_error(db, rc == SQLITE_DONE ? SQLITE_INTERNAL : rc, "opening the control database", err);
    else if (sqlite3_stricmp((const char *)sqlite3_column_text(stmt, 0), "wal") != 0)
        code = err_set(
            err, ERR_IO, "opening the control database: this file system cannot hold a write-ahead log");
    (void)sqlite3_finalize(stmt); /* repeats the error of step */
    return code;
}

static enum err_code apply_recipe(struct db *db, enum db_mode mode, struct err *err)
{
    enum err_code code;

    (void)sqlite3_extended_result_codes(db->handle, 1); /* cannot fail on an open handle */
    (void)sqlite3_busy_timeout(db->handle, BUSY_TIMEOUT_MS);
    (void)sqlite3_db_config(db->handle, SQLITE_DBCONFIG_DEFENSIVE, 1, (int *)NULL);
    code = mode == DB_COPY ? ERR_OK : enter_wal(db, err);
    for (size_t i = 0; !code && i < ARRAY_LEN(RECIPE); i++)
        code = db_run(db, RECIPE[i], err);
    if (!code && (mode == DB_READ || mode == DB_COPY))
        code = db_run(db, "PRAGMA query_only = ON", err);
    return code;
}

/* SQLite would make the file readable for all; its log and index files take the mode of the database. */
static enum err_code create_file(const char *path, struct err *err)
{
    AUTO_FD fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

    if (fd < 0 && errno == EEXIST)
        return err_set(err, ERR_CONFLICT, "the control database exists already");
    return fd >= 0 ? ERR_OK : err_errno(err, ERR_IO, "creating the control database");
}

static enum err_code require_file(const char *path, struct err *err)
{
    struct stat st;

    if (stat(path, &st) != 0 && errno == ENOENT)
        return err_set(err, ERR_NOT_FOUND, "there is no control database here");
    return ERR_OK;
}

/* Someone has it open, or left it without writing its log back. */
static bool has_log(const char *path)
{
    char beside[FS_PATH_MAX];
    struct stat st;

    str_print(beside, sizeof beside, "%s-shm", path);
    if (stat(beside, &st) == 0)
        return true;
    str_print(beside, sizeof beside, "%s-wal", path);
    return stat(beside, &st) == 0 && st.st_size > 0;
}

/* A path as a URI, which alone can say that a file does not change: then SQLite makes no files beside it. */
static void add_uri(struct strbuf *out, const char *path)
{
    strbuf_add_cstr(out, "file:");
    for (; *path; path++) {
        if (strchr("%?#", *path))
            strbuf_addf(out, "%%%02x", (unsigned)*path);
        else
            strbuf_add_char(out, *path);
    }
    strbuf_add_cstr(out, "?immutable=1");
}

static int open_copy(struct db *db, const char *path)
{
    AUTO_STRBUF uri;
    int flags = SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW | SQLITE_OPEN_EXRESCODE;

    strbuf_init(&uri, (size_t)4 * FS_PATH_MAX);
    if (has_log(path))
        return sqlite3_open_v2(path, &db->handle, flags, NULL);
    add_uri(&uri, path);
    return sqlite3_open_v2(strbuf_cstr(&uri), &db->handle, flags | SQLITE_OPEN_URI, NULL);
}

static int open_to_write(struct db *db, const char *path)
{
    return sqlite3_open_v2(path, &db->handle,
        SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW | SQLITE_OPEN_EXRESCODE, NULL);
}

static enum err_code open_handle(struct db *db, const char *path, enum db_mode mode, struct err *err)
{
    int rc = mode == DB_COPY ? open_copy(db, path) : open_to_write(db, path);

    if (rc == SQLITE_OK)
        return ERR_OK;
    if (!db->handle)
        return err_set(err, ERR_UNAVAILABLE, "opening the control database: out of memory");
    return db_error(db, rc, "opening the control database", err);
}

enum err_code db_open(const char *path, enum db_mode mode, struct db **ret, struct err *err)
{
    enum err_code code = mode == DB_CREATE ? create_file(path, err) : require_file(path, err);

    if (code)
        return code;
    struct db *db = MEM_NEW(struct db);
    code = open_handle(db, path, mode, err);
    if (!code)
        code = apply_recipe(db, mode, err);
    if (code) {
        db_close(db);
        return code;
    }
    *ret = db;
    return ERR_OK;
}

void db_close(struct db *db)
{
    if (!db)
        return;
    for (size_t i = 0; i < DB_SLOTS; i++) {
        CHECK(!db->slots[i].busy);
        (void)sqlite3_finalize(db->slots[i].stmt); /* repeats the error of its last step */
    }
    CHECK(sqlite3_close(db->handle) == SQLITE_OK); /* SQLITE_BUSY would mean a statement of ours leaked */
    mem_free(db);
}

bool db_is_broken(const struct db *db)
{
    return db->broken;
}

const char *db_path(const struct db *db)
{
    return sqlite3_db_filename(db->handle, "main");
}

void db_set_generation(struct db *db, struct generation *gen)
{
    db->gen = gen;
}

enum err_code db_check_integrity(struct db *db, struct err *err)
{
    AUTO_STMT pages = DB_STMT_INIT, keys = DB_STMT_INIT;
    enum err_code code = db_query_one(db, "PRAGMA integrity_check(1)", DB_NO_ARGS, &pages, err);

    if (code)
        return code;
    struct str first = db_col_text(&pages, 0);
    if (!str_eq(first, S("ok")))
        return err_set(err, ERR_CORRUPT, "the control database is damaged: " STR_FMT, STR_ARG(first));
    code = db_query(db, "PRAGMA foreign_key_check", DB_NO_ARGS, &keys, err);
    if (!code && db_row(&keys)) {
        struct str table = db_col_text(&keys, 0);
        return err_set(err, ERR_CORRUPT,
            "the control database is damaged: a row of " STR_FMT " points nowhere", STR_ARG(table));
    }
    return code ? code : db_done(&keys, err);
}
