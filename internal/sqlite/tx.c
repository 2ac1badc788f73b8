/* Transactions: begun in one named place, always ended, never nested. */
#include "sqlite/db_internal.h"
#include "base/check.h"
#include "sqlite/generation.h"
#include <stdio.h>

static void tx_forget(struct db *db)
{
    db->tx_file = NULL;
    db->tx_write = db->tx_announced = false;
}

enum err_code tx_begin_at(struct db *db, bool write, const char *file, int line, struct err *err)
{
    if (db->tx_file)
        (void)fprintf(
            stderr, "transaction of %s:%d is still open at %s:%d\n", db->tx_file, db->tx_line, file, line);
    CHECK(!db->tx_file);
    if (db->broken)
        return db_error_broken(err);
    enum err_code code = db_run(db, write ? "BEGIN IMMEDIATE" : "BEGIN", err);
    if (code)
        return code;
    db->tx_file = file;
    db->tx_line = line;
    db->tx_write = write;
    if (write && db->gen)
        generation_recover(db->gen);
    return ERR_OK;
}

void tx_rollback(struct db *db)
{
    CHECK(db->tx_file);
    if (!sqlite3_get_autocommit(db->handle))
        (void)db_run(db, "ROLLBACK", NULL); /* fails only when there is no transaction any more */
    CHECK(sqlite3_get_autocommit(db->handle));
    tx_forget(db);
}

enum err_code tx_commit(struct db *db, struct err *err)
{
    struct generation *gen = db->tx_announced ? db->gen : NULL;

    CHECK(db->tx_file &&
          !sqlite3_get_autocommit(db->handle)); /* an error that ended it must not be followed by a commit */
    if (gen)
        generation_will_change(gen);
    enum err_code code = db_run(db, "COMMIT", err);
    if (gen)
        generation_bump(gen); /* after a failure too: the last page may stand in the log */
    if (code)
        tx_rollback(db);
    else
        tx_forget(db);
    return code;
}

enum err_code tx_end(struct db *db, enum err_code rc, struct err *err)
{
    if (!rc)
        return tx_commit(db, err);
    tx_rollback(db);
    return rc;
}

bool tx_is_write(const struct db *db)
{
    return db->tx_file && db->tx_write;
}

void tx_announce(struct db *db)
{
    CHECK(tx_is_write(db));
    db->tx_announced = true;
}

enum err_code db_purge_literal(
    struct db *db, const char *sql, const struct db_value *args, int64_t most, bool *more, struct err *err)
{
    enum err_code code = tx_begin_write(db, err);

    if (code)
        return code;
    code = db_exec_literal(db, sql, args, err);
    *more = *more || (!code && db_changes(db) >= most);
    return tx_end(db, code, err);
}
