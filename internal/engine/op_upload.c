/* The check of an uploaded database file, in a throw-away engine over a directory that holds `upload.db`
 * alone: the file is hostile until its content has been read out of it. What is accepted is its content, as a
 * script in out/dump.sql that the front then imports like any other; its pages, statistics, hidden tables and
 * indexes of FTS5 are never used. Virtual tables are not opened, so their modules never see the file. data:
 * {"ok":true, "tables", "rows", "bytes"}. Refusals are ERR_INVALID; a crash is one too, told by the front. */
#define _GNU_SOURCE /* O_CLOEXEC, O_NOFOLLOW */
#include "base/check.h"
#include "base/limits.h"
#include "engine/dump_sql.h"
#include "engine/engine_dir.h"
#include "engine/fts5_decl.h"
#include "engine/op.h"
#include "engine/scratch_db.h"
#include "engine/sqlerr.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    HEADER_BYTES = 100,
    PAGE_MIN = 512,
    PAGE_MAX = 65536,
    OBJECT_SQL_MAX = 100000,
    CHECK_OPS_MAX = 10000000
};

static const char NAME[] = "upload.db";

struct upload {
    struct op *op;
    sqlite3 *db;
    int out; /* dump.sql */
};

static enum err_code refuse(struct err *err, const char *why)
{
    return err_set(err, ERR_INVALID, "the uploaded file was refused: %s", why);
}

static unsigned be16(const unsigned char *p)
{
    return (unsigned)p[0] << 8 | p[1];
}

/* What SQLite's file format fixes in the first bytes. */
static enum err_code check_header(const unsigned char *h, off_t size, struct err *err)
{
    unsigned page = be16(h + 16) == 1 ? PAGE_MAX : be16(h + 16);
    if (memcmp(h, "SQLite format 3", 16) != 0)
        return refuse(err, "it is not an SQLite database (the first 16 bytes are not its mark)");
    if (page < PAGE_MIN || (page & (page - 1)) || size % (off_t)page)
        return refuse(err, "its page size does not fit its length: was the upload complete?");
    if (h[18] > 2 || h[19] > 2 || h[18] == 0 || h[19] == 0)
        return refuse(err, "its format version is newer than this server's SQLite");
    if (h[21] != 64 || h[22] != 32 || h[23] != 32)
        return refuse(err, "its header is damaged");
    return ERR_OK;
}

static enum err_code check_file(struct op *op, char path[FS_PATH_MAX], struct err *err)
{
    unsigned char header[HEADER_BYTES];
    struct stat st;
    engine_dir_path(op, NAME, path);
    AUTO_FD fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 || fstat(fd, &st))
        return err_errno(err, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, "open the uploaded file");
    if (!S_ISREG(st.st_mode) || st.st_size < HEADER_BYTES)
        return refuse(err, "it is too short for an SQLite database");
    if (pread(fd, header, sizeof header, 0) != (ssize_t)sizeof header)
        return err_errno(err, ERR_IO, "read the uploaded file");
    return check_header(header, st.st_size, err);
}

static enum err_code failed(void *arg, int rc, struct str sql, struct err *err)
{
    struct upload *u = arg;
    (void)sql;
    enum err_code code = op_check_time(u->op, err);
    if (code)
        return code;
    if ((rc & 0xff) == SQLITE_NOMEM)
        return err_set(err, ERR_TOO_LARGE, "the uploaded file needs more memory than a check may use");
    if ((rc & 0xff) == SQLITE_FULL)
        return err_set(err, ERR_FULL, "there is no room for the content of the uploaded file");
    return err_set(err, ERR_INVALID, "the uploaded file was refused: %s", sqlite3_errmsg(u->db));
}

static enum err_code prepare(void *arg, const char *sql, sqlite3_stmt **ret, struct err *err)
{
    struct upload *u = arg;
    int rc = sqlite3_prepare_v2(u->db, sql, -1, ret, NULL);
    return rc ? failed(arg, rc, str_of(sql), err) : ERR_OK;
}

static enum err_code prepare_rows(void *arg, struct str sql, sqlite3_stmt **ret, struct err *err)
{
    struct upload *u = arg;
    int rc = sqlite3_prepare_v2(u->db, sql.ptr, (int)sql.len, ret, NULL);
    return rc ? failed(arg, rc, sql, err) : ERR_OK;
}

static int step_rows(void *arg, sqlite3_stmt *stmt)
{
    (void)arg;
    return sqlite3_step(stmt);
}

static bool visible(void *arg, struct str table)
{
    (void)arg;
    return !op_name_reserved(table);
}

static enum err_code check_time(void *arg, struct err *err)
{
    struct upload *u = arg;
    return op_check_time(u->op, err);
}

/* What integrity_check says of rows that break what their own table declares: somebody edited the schema, or
 * wrote past it. The table, or table.column, stands behind. */
static const struct {
    const char *text, *kind;
} BROKEN[] = {
    {"CHECK constraint failed in ", "check_violation"}, {"NULL value in ", "not_null_violation"},
    {" value in ", "type_mismatch"}, /* of a STRICT table, or against the column's affinity */
};

static enum err_code refuse_rows(
    struct upload *u, const char *kind, struct str name, struct str text, struct err *err)
{
    char message[ERR_MESSAGE_MAX];
    struct sqlerr_detail d = {.kind = kind, .table = name, .position = -1};
    const char *dot = str_eq(str_of(kind), S("check_violation")) ? NULL : memchr(name.ptr, '.', name.len);
    if (dot) {
        d.table = str_slice(name, 0, (size_t)(dot - name.ptr));
        d.column = str_slice(name, d.table.len + 1, name.len);
    }
    str_print_cut(message, sizeof message,
        "the uploaded file was refused: its rows break what their own tables declare: " STR_FMT,
        STR_ARG(text));
    return sqlerr_set(u->op, ERR_INVALID, &d, message, err);
}

static enum err_code refuse_content(struct upload *u, struct str text, struct err *err)
{
    for (size_t i = 0; i < ARRAY_LEN(BROKEN); i++) {
        const char *at = text.ptr ? strstr(text.ptr, BROKEN[i].text) : NULL;
        if (at)
            return refuse_rows(u, BROKEN[i].kind, str_of(at + strlen(BROKEN[i].text)), text, err);
    }
    return err_set(err, ERR_INVALID, "the uploaded file was refused: it is damaged: " STR_FMT, STR_ARG(text));
}

static enum err_code integrity(struct upload *u, const struct catalog_source *src, struct err *err)
{
    AUTO_SQL *stmt = NULL;
    bool row = false;
    enum err_code code = src->prepare(src->arg, "PRAGMA integrity_check(100)", &stmt, err);
    if (!code)
        code = catalog_step(src, stmt, &row, err);
    if (code || !row)
        return code ? code : refuse(err, "its integrity could not be checked");
    struct str text = catalog_text(src->arena, stmt, 0);
    return str_eq(text, S("ok")) ? ERR_OK : refuse_content(u, text, err);
}

/* Names that belong to SQLite are fine, names that belong to this server are not. */
static enum err_code check_object(const struct catalog_source *src, sqlite3_stmt *stmt, struct err *err)
{
    struct str type = catalog_text(src->arena, stmt, 0), name = catalog_text(src->arena, stmt, 1);
    struct str sql = catalog_text(src->arena, stmt, 2);
    struct fts5_decl decl;
    if (!type.ptr || !name.ptr)
        return refuse(err, "its schema is damaged");
    if (sql.len > OBJECT_SQL_MAX)
        return refuse(err, "an object of its schema has more than 100,000 bytes of SQL");
    if (op_name_reserved(name) && !str_starts_nocase(name, S("sqlite_")))
        return err_set(err, ERR_INVALID, "the uploaded file was refused: \"" STR_FMT "\" is a reserved name",
            STR_ARG(name));
    if (str_starts_nocase(sql, S("CREATE VIRTUAL TABLE")) && !fts5_decl_read(src->arena, sql, &decl) &&
        !str_eq(catalog_module(src->arena, sql), S("fts5vocab")))
        return err_set(err, ERR_INVALID,
            "the uploaded file was refused: \"" STR_FMT
            "\" is a virtual table, and fts5 and fts5vocab are the only kinds there are here",
            STR_ARG(name));
    return arena_failed(src->arena) ? refuse(err, "its schema is too large") : ERR_OK;
}

static enum err_code check_schema(const struct catalog_source *src, struct err *err)
{
    AUTO_SQL *stmt = NULL;
    bool row = false;
    int64_t count = 0;
    enum err_code code = src->prepare(src->arg, "SELECT type, name, sql FROM sqlite_schema", &stmt, err);
    while (!code && !(code = catalog_step(src, stmt, &row, err)) && row) {
        if (++count > LIMIT_SCHEMA_OBJECTS)
            return refuse(err, "its schema has more than 1,000 objects");
        code = check_object(src, stmt, err);
    }
    return code;
}

static enum err_code write_out(void *arg, struct str bytes, struct err *err)
{
    struct upload *u = arg;
    while (bytes.len) {
        ssize_t n = write(u->out, bytes.ptr, bytes.len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_errno(err, errno == ENOSPC || errno == EFBIG || errno == EDQUOT ? ERR_FULL : ERR_IO,
                "write the content of the uploaded file");
        bytes = str_slice(bytes, (size_t)n, bytes.len);
    }
    return ERR_OK;
}

static enum err_code write_dump(
    struct upload *u, const struct catalog_source *src, const struct catalog *cat, struct err *err)
{
    AUTO_SINK out;
    struct dump_sql text = {.out = &out, .arena = u->op->arena};
    struct dump_sink sink = dump_sql_sink(&text);
    struct dump dump = {.src = src,
        .prepare_rows = prepare_rows,
        .step_rows = step_rows,
        .arg = u,
        .sink = &sink,
        .whole = true};
    sink_init(&out, write_out, u);
    dump_sql_open(&text);
    enum err_code code = dump_run(&dump, cat, err);
    dump_sql_close(&text);
    if (!code)
        code = sink_end(&out, err);
    if (code)
        return code;
    jsonw_object(u->op->w);
    JSONW_BOOL(u->op->w, "ok", true);
    JSONW_INT(u->op->w, "tables", cat->table_count);
    JSONW_INT(u->op->w, "rows", (int64_t)dump.rows);
    JSONW_INT(u->op->w, "bytes", (int64_t)out.total);
    jsonw_object_end(u->op->w);
    return ERR_OK;
}

static enum err_code read_content(struct upload *u, struct err *err)
{
    struct catalog_source src = {prepare, visible, check_time, failed, u, u->op->arena, NULL};
    struct catalog cat;
    sqlite3_limit(u->db, SQLITE_LIMIT_VDBE_OP, CHECK_OPS_MAX); /* a check of all tables is one long program */
    (void)sqlite3_drop_modules(u->db, NULL);                   /* all of them: cannot fail */
    enum err_code code = check_schema(&src, err);
    if (!code)
        code = integrity(u, &src, err);
    if (!code)
        code = catalog_read(&src, &cat, err);
    return code ? code : write_dump(u, &src, &cat, err);
}

/* Whatever SQLite says about a file when it is opened is about the file, not about this server. */
static enum err_code open_upload(struct upload *u, const char *path, struct err *err)
{
    struct err why = ERR_INIT;
    enum err_code code = scratch_db_open(u->op, path, &u->db, &why);
    if (!code)
        return ERR_OK;
    enum err_code late = op_check_time(u->op, err);
    return late ? late : refuse(err, why.message);
}

enum err_code op_run_UPLOAD_CHECK(struct op *op, struct err *err)
{
    struct upload u = {op, NULL, -1};
    char path[FS_PATH_MAX], out[FS_PATH_MAX];
    enum err_code code = check_file(op, path, err);
    if (!code)
        code = open_upload(&u, path, err);
    if (code)
        return code;
    engine_dir_path(op, "out/dump.sql", out);
    u.out = open(out, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    code =
        u.out < 0 ? err_errno(err, ERR_IO, "create the script of the uploaded file") : read_content(&u, err);
    fd_close(&u.out);
    (void)sqlite3_close(u.db); /* every statement is gone */
    return code;
}
