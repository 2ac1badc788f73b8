/* The masks of a database as they are kept: rows of `_sys_mask`, and in `_sys_meta` the secret that they are
 * computed with and what tables and columns there were when people set them. Inside of an operation.
 * Engine's thread. */
#ifndef ENGINE_MASK_STORE_H
#define ENGINE_MASK_STORE_H

#include "engine/mask_plan.h"
#include "engine/op.h"

/* A copy makes a secret of its own, so that it shows nothing of its origin's. */
#define MASK_SECRET_RENEW_SQL                                                                                \
    "UPDATE _sys_meta SET value = lower(hex(randomblob(32))) WHERE key = 'mask_secret'"
#define MASK_SECRET_NEW_SQL                                                                                  \
    "SELECT 'mask_secret', lower(hex(randomblob(32))) WHERE EXISTS (SELECT 1 FROM _sys_mask)"

/* In order of table and column, numbered. Arena memory. */
MUST_CHECK enum err_code mask_store_list(struct op *op, struct mask_rule **ret, struct err *err);
/* Replaces all of them. `cat` is the schema that they were planned for. */
MUST_CHECK enum err_code mask_store_put(
    struct op *op, const struct catalog *cat, const struct mask_rule *rules, struct err *err);
/* ERR_CONFLICT: there is none, because nobody has set a mask. */
MUST_CHECK enum err_code mask_store_secret(
    struct op *op, unsigned char ret[MASK_SECRET_BYTES], struct err *err);

/* Are the tables and columns those of when the masks were set? What is new, renamed, dropped or moved may
 * hold values that no mask knows; a table that had no mask may be gone.
 * `cat` is what is to be copied; where that is a snapshot's, all of its tables and columns must be those of
 * `now` as well. ERR_CONFLICT tells what differs. */
MUST_CHECK enum err_code mask_store_check_schema(
    struct op *op, const struct catalog *cat, const struct catalog *now, struct err *err);

#endif
