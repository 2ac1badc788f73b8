/* Copies of a database row by row into a new file, where not all of its rows are to go along, or not as they
 * are: the schema alone, a sample (sample.h), with columns masked (mask.h), or both. Nothing that a row was
 * before it was masked ever gets into that file. Engine's thread. */
#ifndef ENGINE_COPY_ROWS_H
#define ENGINE_COPY_ROWS_H

#include "engine/copy_source.h"

struct copy_wish {
    bool schema_only, masked;
    int64_t sample; /* rows; 0: all */
    int64_t seed;
};

/* *ret_rows are those of tables. ERR_CONFLICT: the masks do not fit the schema, or there are none. */
MUST_CHECK enum err_code copy_rows(struct op *op, struct copy_source *from, const struct copy_wish *wish,
    const char *path, int64_t *ret_rows, struct err *err);

#endif
