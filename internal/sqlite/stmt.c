/* Statements: the cache, binding, stepping, columns. */
#include "sqlite/db_internal.h"
#include "base/check.h"
#include "base/mem.h"

/* An idle slot with this SQL, else the emptiest or oldest idle one; NULL when all are busy. *ret_found tells
 * which. */
static struct db_slot *choose_slot(struct db *db, const char *sql, bool *ret_found)
{
    struct db_slot *oldest = NULL;

    *ret_found = false;
    for (size_t i = 0; i < DB_SLOTS; i++) {
        struct db_slot *slot = &db->slots[i];

        if (slot->busy)
            continue;
        if (slot->sql == sql) {
            *ret_found = true;
            return slot;
        }
        if (!oldest || slot->used_at < oldest->used_at)
            oldest = slot;
    }
    return oldest;
}

static enum err_code take_slot(struct db *db, const char *sql, struct db_slot **ret, struct err *err)
{
    bool found;
    struct db_slot *slot = choose_slot(db, sql, &found);
    const char *tail = "";

    CHECK(slot); /* so many statements at once would be a leak */
    if (!found) {
        (void)sqlite3_finalize(slot->stmt); /* repeats the error of its last step */
        *slot = (struct db_slot){.sql = NULL};
        int rc = sqlite3_prepare_v3(db->handle, sql, -1, SQLITE_PREPARE_PERSISTENT, &slot->stmt, &tail);
        if (rc != SQLITE_OK)
            return db_error(db, rc, "control database", err);
        CHECK(slot->stmt && *tail == '\0'); /* one statement */
        slot->sql = sql;
    }
    slot->used_at = ++db->tick;
    slot->busy = true;
    *ret = slot;
    return ERR_OK;
}

uint64_t db_statements(const struct db *db)
{
    return db->tick;
}

static int bind_value(sqlite3_stmt *stmt, int at, const struct db_value *v)
{
    switch (v->kind) {
    case DB_NULL: return sqlite3_bind_null(stmt, at);
    case DB_INT: return sqlite3_bind_int64(stmt, at, v->num);
    case DB_TEXT:
        return sqlite3_bind_text64(stmt, at, v->bytes.ptr, v->bytes.len, SQLITE_TRANSIENT, SQLITE_UTF8);
    case DB_BLOB: return sqlite3_bind_blob64(stmt, at, v->bytes.ptr, v->bytes.len, SQLITE_TRANSIENT);
    case DB_END: break;
    }
    UNREACHABLE("a value of no kind");
}

static enum err_code bind_all(struct db *db, sqlite3_stmt *stmt, const struct db_value *args, struct err *err)
{
    int count = 0;

    while (args[count].kind != DB_END)
        count++;
    CHECK(count == sqlite3_bind_parameter_count(stmt));
    for (int i = 0; i < count; i++) {
        int rc = bind_value(stmt, i + 1, &args[i]);
        if (rc != SQLITE_OK)
            return db_error(db, rc, "control database", err);
    }
    return ERR_OK;
}

enum err_code db_query_literal(
    struct db *db, const char *sql, const struct db_value *args, struct db_stmt *ret, struct err *err)
{
    CHECK(!ret->slot);
    db->constraint[0] = '\0';
    if (db->broken)
        return db_error_broken(err);
    enum err_code code = take_slot(db, sql, &ret->slot, err);
    if (code)
        return code;
    ret->db = db;
    ret->rc = ERR_OK;
    return bind_all(db, ret->slot->stmt, args, err);
}

/* Steps once; SQLITE_ROW, SQLITE_DONE or the failure. */
static int step(struct db_stmt *st)
{
    CHECK(st->slot);
    return sqlite3_step(st->slot->stmt);
}

bool db_row(struct db_stmt *st)
{
    if (st->rc)
        return false;
    int rc = step(st);
    if (rc != SQLITE_ROW && rc != SQLITE_DONE)
        st->rc = db_error(st->db, rc, "control database", NULL);
    return rc == SQLITE_ROW;
}

enum err_code db_done(struct db_stmt *st, struct err *err)
{
    return st->rc ? err_set(err, st->rc, "control database: %s", sqlite3_errmsg(st->db->handle)) : ERR_OK;
}

enum err_code db_query_one_literal(
    struct db *db, const char *sql, const struct db_value *args, struct db_stmt *ret, struct err *err)
{
    enum err_code code = db_query_literal(db, sql, args, ret, err);

    if (code)
        return code;
    int rc = step(ret);
    if (rc == SQLITE_ROW)
        return ERR_OK;
    return rc == SQLITE_DONE ? err_set(err, ERR_NOT_FOUND, "not found")
                             : db_error(db, rc, "control database", err);
}

enum err_code db_exec_literal(struct db *db, const char *sql, const struct db_value *args, struct err *err)
{
    AUTO_STMT st = DB_STMT_INIT;
    enum err_code code = db_query_literal(db, sql, args, &st, err);

    if (code)
        return code;
    int rc = step(&st);
    CHECK(rc != SQLITE_ROW); /* rows would be lost: use db_query */
    return rc == SQLITE_DONE ? ERR_OK : db_error(db, rc, "control database", err);
}

void db_stmt_release(struct db_stmt *st)
{
    if (!st->slot)
        return;
    (void)sqlite3_reset(st->slot->stmt); /* repeats the error of step */
    (void)sqlite3_clear_bindings(st->slot->stmt);
    st->slot->busy = false;
    st->slot = NULL;
}

/* Read as a blob: SQLite then adds no terminator, which could fail for want of memory. */
struct str db_col_text(const struct db_stmt *st, int column)
{
    const void *bytes = sqlite3_column_blob(st->slot->stmt, column);
    int len = sqlite3_column_bytes(st->slot->stmt, column);

    if (!bytes && sqlite3_column_type(st->slot->stmt, column) != SQLITE_NULL)
        return STR_EMPTY;
    return str_make(bytes, (size_t)len);
}

int64_t db_col_int(const struct db_stmt *st, int column)
{
    return sqlite3_column_int64(st->slot->stmt, column);
}

bool db_col_is_null(const struct db_stmt *st, int column)
{
    return sqlite3_column_type(st->slot->stmt, column) == SQLITE_NULL;
}

void db_col_copy(const struct db_stmt *st, int column, char *out, size_t size)
{
    struct str text = db_col_text(st, column);
    size_t len = text.len < size ? text.len : size - 1;

    if (text.ptr)
        memcpy(out, text.ptr, len);
    out[len] = '\0';
}

int64_t db_changes(const struct db *db)
{
    return sqlite3_changes64(db->handle);
}

const char *db_constraint(const struct db *db)
{
    return db->constraint;
}
