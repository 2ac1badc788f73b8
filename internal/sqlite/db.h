/* Trusted databases of the server itself (control.db): connections, statements, transactions. Never used for
 * a tenant's file.
 *
 * SQL is a literal: db_exec and db_query paste `"" sql`, so that text built at run time does not compile.
 * Name it with a #define at the top of a *_store.c. Values are bound, in the order of their ?1, ?2 …; their
 * number is asserted.
 *
 *     AUTO_STMT st = DB_STMT_INIT;
 *     enum err_code rc = db_query(db, SQL_TOKEN_LIST, DB_ARGS(db_text(ns)), &st, err);
 *     while (!rc && db_row(&st))
 *         add(db_col_text(&st, 0), db_col_int(&st, 1));
 *     return rc ? rc : db_done(&st, err);
 *
 * A connection is used by one thread at a time and shared with none; it blocks, so never on an event loop.
 *
 * Errors of everything here: ERR_BUSY (another process holds the write lock for more than five seconds),
 * ERR_CONFLICT (a constraint; db_constraint() says which), ERR_FULL, ERR_CORRUPT, ERR_IO, ERR_TOO_LARGE,
 * ERR_UNAVAILABLE (out of memory), ERR_INTERNAL. After a failed write or fsync the connection is broken for
 * good: every later call gives ERR_IO, because what the kernel holds of the file is no longer known. */
#ifndef SQLITE_DB_H
#define SQLITE_DB_H

#include "base/err.h"
#include "base/id.h"
#include "base/str.h"

struct db;
struct generation;

enum db_mode {
    DB_CREATE, /* the file must not exist; it is made with mode 0600 */
    DB_WRITE,  /* the file must exist */
    DB_READ,   /* as DB_WRITE, but statements that write are refused */
    DB_COPY,   /* a copy, or beside a server: nothing is written, where it can be avoided not even a lock */
};

/* Opens with WAL, synchronous=FULL and foreign keys. ERR_NOT_FOUND no such file, ERR_CONFLICT the file exists
 * (DB_CREATE). */
MUST_CHECK enum err_code db_open(const char *path, enum db_mode mode, struct db **ret, struct err *err);
void db_close(struct db *db); /* NULL is fine; no statement may be in use; rolls back what is open */
bool db_is_broken(const struct db *db);
uint64_t db_statements(const struct db *db); /* that were begun so far */
const char *db_path(const struct db *db);    /* absolute */
/* Commits that called tx_announce() bump this counter. Not owned; NULL detaches. */
void db_set_generation(struct db *db, struct generation *gen);
/* PRAGMA integrity_check and foreign_key_check; ERR_CORRUPT with the first finding. */
MUST_CHECK enum err_code db_check_integrity(struct db *db, struct err *err);
const char *db_library_version(void); /* "3.54.1" */

/* --- Values --- */

enum db_kind { DB_END, DB_NULL, DB_INT, DB_TEXT, DB_BLOB };

struct db_value {
    enum db_kind kind;
    int64_t num;
    struct str bytes;
};

static inline struct db_value db_int(int64_t v)
{
    return (struct db_value){DB_INT, v, STR_EMPTY};
}
static inline struct db_value db_text(struct str s) /* ptr NULL binds NULL */
{
    return (struct db_value){s.ptr ? DB_TEXT : DB_NULL, 0, s};
}
static inline struct db_value db_blob(struct str s)
{
    return (struct db_value){s.ptr ? DB_BLOB : DB_NULL, 0, s};
}
static inline struct db_value db_null(void)
{
    return (struct db_value){DB_NULL, 0, STR_EMPTY};
}
static inline struct db_value db_int_or_null(int64_t v) /* 0 binds NULL: times that have not come */
{
    return v ? db_int(v) : db_null();
}

#define DB_ARGS(...) ((const struct db_value[]){__VA_ARGS__, {DB_END, 0, STR_EMPTY}})
#define DB_NO_ARGS   ((const struct db_value[]){{DB_END, 0, STR_EMPTY}})

/* --- Statements: prepared once for each connection and kept --- */

struct db_stmt {
    struct db *db;
    struct db_slot *slot; /* private */
    enum err_code rc;     /* private: first failure, told by db_done() */
};

#define DB_STMT_INIT                                                                                         \
    {                                                                                                        \
        NULL, NULL, ERR_OK                                                                                   \
    }

/* Runs a statement that returns no rows. */
#define db_exec(db, sql, args, err) db_exec_literal((db), "" sql, (args), (err))
/* Starts a statement that returns rows; `ret` is released with db_stmt_release or AUTO_STMT. Arguments are
 * copied. */
#define db_query(db, sql, args, ret, err) db_query_literal((db), "" sql, (args), (ret), (err))
/* As db_query, and steps to the first row: ERR_NOT_FOUND when there is none. */
#define db_query_one(db, sql, args, ret, err) db_query_one_literal((db), "" sql, (args), (ret), (err))

MUST_CHECK enum err_code db_exec_literal(
    struct db *db, const char *sql, const struct db_value *args, struct err *err);
MUST_CHECK enum err_code db_query_literal(
    struct db *db, const char *sql, const struct db_value *args, struct db_stmt *ret, struct err *err);
MUST_CHECK enum err_code db_query_one_literal(
    struct db *db, const char *sql, const struct db_value *args, struct db_stmt *ret, struct err *err);

MUST_CHECK bool db_row(struct db_stmt *st);                            /* false at the end and on failure */
MUST_CHECK enum err_code db_done(struct db_stmt *st, struct err *err); /* tells them apart */
void db_stmt_release(struct db_stmt *st);
#define AUTO_STMT CLEANUP(db_stmt_release) struct db_stmt

/* Columns of the row. Texts and blobs live until the next db_row or release. Text of a NULL has ptr NULL, its
 * integer is 0. */
struct str db_col_text(const struct db_stmt *st, int column);
int64_t db_col_int(const struct db_stmt *st, int column);
bool db_col_is_null(const struct db_stmt *st, int column);
/* Copies a text into a fixed array; text that does not fit means a damaged row and asserts nothing: it is
 * cut. */
void db_col_copy(const struct db_stmt *st, int column, char *out, size_t size);
#define DB_COL_COPY(st, column, array) db_col_copy((st), (column), (array), sizeof(array))

int64_t db_changes(const struct db *db); /* rows changed by the last statement that writes */

/* After ERR_CONFLICT: what SQLite named, "database.namespace_id, database.slug" for a unique index, "" for a
 * foreign key. */
const char *db_constraint(const struct db *db);

/* --- Transactions: never nested, so a function says in its header whether it needs one or opens one --- */

#define tx_begin_write(db, err) tx_begin_at((db), true, __FILE__, __LINE__, (err)) /* BEGIN IMMEDIATE */
#define tx_begin_read(db, err)                                                                               \
    tx_begin_at((db), false, __FILE__, __LINE__, (err)) /* one view for several queries */
MUST_CHECK enum err_code tx_begin_at(struct db *db, bool write, const char *file, int line, struct err *err);
/* Afterwards no transaction is open: a commit that fails has rolled back. */
MUST_CHECK enum err_code tx_commit(struct db *db, struct err *err);
void tx_rollback(struct db *db); /* also when the transaction already ended by an error */
/* Commits when rc is ERR_OK, else rolls back and returns rc. */
MUST_CHECK enum err_code tx_end(struct db *db, enum err_code rc, struct err *err);
/* A DELETE of at most `most` rows, in a transaction of its own; sets *more when it removed as many, so that
 * the caller comes back later and the write lock is held for moments. */
#define db_purge(db, sql, args, most, more, err) db_purge_literal((db), "" sql, (args), (most), (more), (err))
MUST_CHECK enum err_code db_purge_literal(
    struct db *db, const char *sql, const struct db_value *args, int64_t most, bool *more, struct err *err);
bool tx_is_write(const struct db *db); /* for CHECK at the entry of functions that need one */
/* Identity or registry changed: the commit bumps the generation, so that caches of all processes look again.
 */
void tx_announce(struct db *db);

#endif
