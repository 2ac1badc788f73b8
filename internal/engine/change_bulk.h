/* The fast way to apply the updates of one table: one statement for all of them, which scans the rows once,
 * instead of a statement for each. Engine's thread. */
#ifndef ENGINE_CHANGE_BULK_H
#define ENGINE_CHANGE_BULK_H

#include "engine/change_set.h"
#include <sqlite3.h>

struct engine;

/* SQLITE_OK: *ret_done says whether every row of the table in the set was as it was and is now as it is to
 * be; if not, nothing was done: something is in the way, or the set is none for this way, and row by row it
 * will show. Anything else is SQLite's failure. `rowid` as change_apply.c names it; NULL: the table has no
 * such column in the set. */
MUST_CHECK int change_bulk(
    struct engine *eng, const struct change_table_view *t, const char *rowid, bool *ret_done);

#endif
