/* What the files of this folder share. */
#ifndef SQLITE_DB_INTERNAL_H
#define SQLITE_DB_INTERNAL_H

#include "sqlite/db.h"
#include <sqlite3.h>

#define DB_SLOTS          96 /* more than the statements of the server; past it the oldest idle one makes room */
#define DB_CONSTRAINT_MAX 160

/* One prepared statement. Found by the address of its SQL, which is a literal. */
struct db_slot {
    const char *sql;
    sqlite3_stmt *stmt;
    uint64_t used_at; /* value of db->tick, for choosing the oldest */
    bool busy;
    bool spare; /* made beside a busy slot of the same SQL; freed at release */
};

struct db {
    sqlite3 *handle;
    struct db_slot slots[DB_SLOTS];
    uint64_t tick;
    struct generation *gen;
    char constraint[DB_CONSTRAINT_MAX];
    const char *tx_file; /* where the open transaction began, NULL none */
    int tx_line;
    bool tx_write, tx_announced;
    bool broken;
};

/* Turns SQLite's result of the last call on `db` into ours, remembers the constraint and breaks the
 * connection after a failed write. `doing` names the work for messages. */
enum err_code db_error(struct db *db, int rc, const char *doing, struct err *err);
enum err_code db_error_broken(struct err *err);
/* As db_error for a connection that could not be opened. */
enum err_code db_error_code(int rc, int system_errno);

/* Runs one statement of ours that is neither cached nor bound (pragmas, begin, commit). */
enum err_code db_run(struct db *db, const char *sql, struct err *err);

#endif
