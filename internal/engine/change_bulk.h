/* The fast way to apply the updates of one table: one statement for all of them, which scans the rows once,
 * instead of a statement for each. Engine's thread. */
#ifndef ENGINE_CHANGE_BULK_H
#define ENGINE_CHANGE_BULK_H

#include "engine/change_set.h"
#include <sqlite3.h>

struct engine;

/* SQLITE_OK: so many rows were as they were and are now as they are to be, those that are marked in `did`,
 * which has room for all rows of the table in the set and none marked. The others are to be done row by row.
 * Of a table without a key beside its row id, or where a key changes, it is all of them or none; none, too,
 * when something is in the way, or the set is none for this way. Anything else is SQLite's failure. `rowid`
 * as change_apply.c names it; NULL: the table has no such column in the set. */
MUST_CHECK int change_bulk(
    struct engine *eng, const struct change_table_view *t, const char *rowid, bool *did, uint64_t *ret_done);

#endif
