/* The file that a copy of the database is written to: out/<copy>.db in the engine's directory, taken from
 * there by the front. Engine's thread. */
#ifndef ENGINE_COPY_FILE_H
#define ENGINE_COPY_FILE_H

#include "base/fs.h"
#include "engine/op.h"

/* Its path, by the argument copy=. What an earlier try of the same call left is removed. An admin without a
 * table scope alone. */
MUST_CHECK enum err_code copy_file_begin(struct op *op, char ret_path[FS_PATH_MAX], struct err *err);
/* Makes what was written durable. */
MUST_CHECK enum err_code copy_file_settle(const char *path, struct err *err);
void copy_file_drop(const char *path);

#endif
