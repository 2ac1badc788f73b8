/* A dump into a fresh database file. No journal and no fsync: a copy that was cut short is thrown away. */
#include "engine/dump_db.h"
#include "base/strbuf.h"
#include "engine/vfs.h"

static const char SQL_OPEN[] =
    "PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA foreign_keys=OFF; BEGIN";
static const char SQL_SET_SEQUENCE[] = "UPDATE sqlite_sequence SET seq = ?2 WHERE name = ?1";
static const char SQL_ADD_SEQUENCE[] = "INSERT INTO sqlite_sequence VALUES(?1, ?2)";

static enum err_code fail(struct dump_db *d, int rc, struct err *err)
{
    int primary = rc & 0xff;
    enum err_code code = primary == SQLITE_FULL                                       ? ERR_FULL
                         : primary == SQLITE_NOMEM                                    ? ERR_TOO_LARGE
                         : primary == SQLITE_ERROR                                    ? ERR_SQL
                         : primary == SQLITE_CONSTRAINT || primary == SQLITE_MISMATCH ? ERR_CONFLICT
                                                                                      : ERR_IO;
    return err_set(
        err, code, "the copy could not be written: %s", d->db ? sqlite3_errmsg(d->db) : "no memory");
}

enum err_code dump_db_exec(struct dump_db *d, const char *sql, struct err *err)
{
    int rc = sqlite3_exec(d->db, sql, NULL, NULL, NULL);
    return rc ? fail(d, rc, err) : ERR_OK;
}

enum err_code dump_db_open(struct dump_db *d, const char *path, struct err *err)
{
    *d = (struct dump_db){.db = NULL};
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_EXCLUSIVE | SQLITE_OPEN_NOFOLLOW;
    int rc = sqlite3_open_v2(path, &d->db, flags, VFS_NAME);
    if (rc)
        return fail(d, rc, err);
    return dump_db_exec(d, SQL_OPEN, err);
}

static enum err_code run_statement(void *arg, struct str sql, struct err *err)
{
    struct dump_db *d = arg;
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v2(d->db, sql.ptr, (int)sql.len, &stmt, NULL);
    if (!rc)
        (void)sqlite3_step(stmt); /* finalize repeats its error */
    int end = sqlite3_finalize(stmt);
    return rc || end ? fail(d, rc ? rc : end, err) : ERR_OK;
}

static enum err_code skip_note(void *arg, struct str text, struct err *err)
{
    (void)arg;
    (void)text;
    (void)err;
    return ERR_OK;
}

static enum err_code rows_begin(void *arg, const struct dump_rows *rows, struct err *err)
{
    struct dump_db *d = arg;
    struct strbuf sql;
    strbuf_init(&sql, rows->into.len + 64 + 2 * (size_t)rows->columns);
    /* Whatever the table says, no row takes another's place. */
    strbuf_add_cstr(&sql, "INSERT OR ABORT");
    strbuf_add_str(&sql, str_slice(rows->into, strlen("INSERT"), rows->into.len));
    strbuf_add_cstr(&sql, " VALUES(");
    for (int i = 0; i < rows->columns; i++)
        strbuf_add_cstr(&sql, i ? ",?" : "?");
    strbuf_add_char(&sql, ')');
    int rc = sqlite3_prepare_v2(d->db, strbuf_cstr(&sql), (int)sql.len, &d->insert, NULL);
    d->columns = rows->columns;
    strbuf_release(&sql);
    return rc ? fail(d, rc, err) : ERR_OK;
}

static enum err_code copy_row(void *arg, sqlite3_stmt *stmt, struct err *err)
{
    struct dump_db *d = arg;
    int rc = SQLITE_OK;
    for (int i = 0; i < d->columns && !rc; i++)
        rc = sqlite3_bind_value(d->insert, i + 1, sqlite3_column_value(stmt, i));
    if (!rc)
        (void)sqlite3_step(d->insert); /* reset repeats its error */
    int end = sqlite3_reset(d->insert);
    return rc || end ? fail(d, rc ? rc : end, err) : ERR_OK;
}

static enum err_code rows_end(void *arg, struct err *err)
{
    struct dump_db *d = arg;
    (void)err;
    catalog_finalize(&d->insert);
    return ERR_OK;
}

static int run_sequence(struct dump_db *d, const char *sql, struct str table, int64_t value)
{
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v2(d->db, sql, -1, &stmt, NULL);
    if (!rc)
        rc = sqlite3_bind_text(stmt, 1, table.ptr, (int)table.len, SQLITE_TRANSIENT);
    if (!rc)
        rc = sqlite3_bind_int64(stmt, 2, value);
    if (!rc)
        (void)sqlite3_step(stmt); /* finalize repeats its error */
    int end = sqlite3_finalize(stmt);
    return rc ? rc : end;
}

static enum err_code set_sequence(void *arg, struct str table, int64_t value, struct err *err)
{
    struct dump_db *d = arg;
    int rc = run_sequence(d, SQL_SET_SEQUENCE, table, value);
    if (!rc && sqlite3_changes(d->db) == 0) /* its table has no rows now */
        rc = run_sequence(d, SQL_ADD_SEQUENCE, table, value);
    return rc ? fail(d, rc, err) : ERR_OK;
}

struct dump_sink dump_db_sink(struct dump_db *d)
{
    return (struct dump_sink){
        true, run_statement, skip_note, rows_begin, copy_row, rows_end, set_sequence, d};
}

enum err_code dump_db_close(struct dump_db *d, struct err *err)
{
    return dump_db_exec(d, "COMMIT", err);
}

void dump_db_release(struct dump_db *d)
{
    catalog_finalize(&d->insert);
    (void)sqlite3_close(d->db); /* cannot be busy: its one statement is gone */
    d->db = NULL;
}
