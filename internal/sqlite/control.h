/* The control database of a data directory: <data>/control.db and the generation beside it (generation.h).
 *
 * Opened once by a process; every thread that works with it has a connection of its own. The server brings it
 * to the newest schema; commands that run beside a server must find it there, because they must not change
 * the schema under its feet. */
#ifndef SQLITE_CONTROL_H
#define SQLITE_CONTROL_H

#include "base/fs.h"
#include "sqlite/db.h"

struct control {
    char dir[FS_PATH_MAX];
    struct generation *gen;
};

enum control_schema { CONTROL_MIGRATE, CONTROL_CURRENT };

/* ERR_NOT_FOUND: no control database there, nothing was made. ERR_CONFLICT: the schema is another one. */
MUST_CHECK enum err_code control_open(
    const char *data_dir, enum control_schema schema, struct control *ret, struct err *err);
void control_close(struct control *c); /* after its connections */

MUST_CHECK enum err_code control_connect(
    const struct control *c, enum db_mode mode, struct db **ret, struct err *err);

#endif
