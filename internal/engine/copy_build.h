/* A new database file from a dump of another: with the server's own tables and what of ours belongs to the
 * schema (policies, masks, descriptions), durable when it is done. Engine's thread. */
#ifndef ENGINE_COPY_BUILD_H
#define ENGINE_COPY_BUILD_H

#include "engine/dump.h"
#include "engine/op.h"

/* `dump` lacks its sink alone. The file may be as large as a database may. */
MUST_CHECK enum err_code copy_build(
    struct op *op, struct dump *dump, const struct catalog *cat, const char *path, struct err *err);

#endif
