/* A second connection in the same process, over a file that is not trusted. Engine's thread. */
#ifndef ENGINE_SCRATCH_DB_H
#define ENGINE_SCRATCH_DB_H

#include "base/err.h"

#include <sqlite3.h>

struct op;

/* Opens `path` read-only as a file that nobody changes (no log, no journal, no lock is looked for) and
 * applies the engine's recipe. The caller closes. ERR_INVALID when SQLite will not have it. */
MUST_CHECK enum err_code scratch_db_open(struct op *op, const char *path, sqlite3 **ret, struct err *err);

#endif
