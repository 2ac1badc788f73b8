/* Copying the database's file as it lies there, with its log: the kernel does it, and shares the blocks where
 * the file system can (XFS, btrfs), so that a copy costs next to nothing. Engine's thread, in a reader. */
#ifndef ENGINE_COPY_RAW_H
#define ENGINE_COPY_RAW_H

#include "engine/op.h"

/* Makes `path`, inside a read transaction that has begun to read. *ret_log: there is a log beside it, and
 * whoever opens it must take that over. *ret_done false: it cannot be done so here. */
MUST_CHECK enum err_code copy_raw(
    struct op *op, const char *path, bool *ret_done, bool *ret_log, struct err *err);

#endif
