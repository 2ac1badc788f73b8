/* A new database file from a dump of another: with the server's own tables and what of ours belongs to the
 * schema (policies, masks, descriptions), durable when it is done. Engine's thread. */
#ifndef ENGINE_COPY_BUILD_H
#define ENGINE_COPY_BUILD_H

#include "engine/dump.h"
#include "engine/op.h"

#define COPY_ID_SIZE 33

/* `dump` lacks its sink alone. The file may be as large as a database may. ret_id (NULL: not wanted) is what
 * tells it from other files, `_sys_meta` "file". */
MUST_CHECK enum err_code copy_build(struct op *op, struct dump *dump, const struct catalog *cat,
    const char *path, char ret_id[COPY_ID_SIZE], struct err *err);

/* What of ours belongs to the schema, the masks' secret aside: the `i`th SELECT that copies it, NULL after
 * the last. */
const char *copy_build_kept(size_t i);
/* Do two copies of the schema hold the same? Not with masks: each makes a secret of its own. Nor with virtual
 * tables: what they are set to is kept in rows of theirs. */
MUST_CHECK enum err_code copy_build_is_same(struct op *op, bool *ret, struct err *err);

#endif
