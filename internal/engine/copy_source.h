/* Where a copy's rows come from: the database of the call, or with the argument snapshot= a snapshot of it, a
 * file of its own that the front has laid beside the place of the copy, out/<copy>.from.db, perhaps with its
 * log. It is opened like a database that was used by an older version, for that is what it may be, and goes
 * when the copy is done. Engine's thread. */
#ifndef ENGINE_COPY_SOURCE_H
#define ENGINE_COPY_SOURCE_H

#include "base/fs.h"
#include "engine/catalog.h"
#include "engine/op.h"

struct copy_source {
    struct catalog_source src;
    struct op *op;
    sqlite3 *db;            /* the snapshot's; NULL: the op's */
    char path[FS_PATH_MAX]; /* "" none */
};

/* Release whatever happened. */
MUST_CHECK enum err_code copy_source_open(struct op *op, struct copy_source *ret, struct err *err);
void copy_source_release(struct copy_source *s);
/* The snapshot's file itself is to be the copy, after `sql`: it is one durable file now, and stays; the front
 * gives it the copy's name, which this process may not. */
MUST_CHECK enum err_code copy_source_adopt(struct copy_source *s, const char *sql, struct err *err);

#endif
