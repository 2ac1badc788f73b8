/* Bringing single rows into a full-text index that keeps none of its own. Internal to index_follow.c. */
#ifndef ENGINE_INDEX_ROWS_H
#define ENGINE_INDEX_ROWS_H

#include "engine/fts5_decl.h"
#include "engine/rehearsal.h"

/* The rows of the index's table that `set` has changed. A row that was not in the index stays out of it, but
 * for one that is new. *ret_done false: nothing was done, for the index is none that this can be done to. */
MUST_CHECK enum err_code index_rows(struct rehearsal *r, struct str set, struct str index,
    const struct fts5_decl *d, bool *ret_done, struct err *err);

#endif
