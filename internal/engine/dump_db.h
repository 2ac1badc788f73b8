/* A dump into a fresh database file: the clean copy that an export hands out. Engine's thread. */
#ifndef ENGINE_DUMP_DB_H
#define ENGINE_DUMP_DB_H

#include "engine/dump.h"

struct dump_db {
    sqlite3 *db;
    sqlite3_stmt *insert;
    int columns;
};

/* Creates `path`, which must not exist. Errors: ERR_IO, ERR_FULL. Release closes; the file stays. */
MUST_CHECK enum err_code dump_db_open(struct dump_db *d, const char *path, struct err *err);
struct dump_sink dump_db_sink(struct dump_db *d);
/* Commits. */
MUST_CHECK enum err_code dump_db_close(struct dump_db *d, struct err *err);
void dump_db_release(struct dump_db *d);
/* Runs SQL of ours on the copy. */
MUST_CHECK enum err_code dump_db_exec(struct dump_db *d, const char *sql, struct err *err);

#endif
