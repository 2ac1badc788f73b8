/* Merging what a branch changed into its parent, as one write of the parent's engine: op_merge.c. */
#ifndef ENGINE_MERGE_H
#define ENGINE_MERGE_H

#include "engine/rehearsal.h"

/* A full-text index without rows of its own follows its table by triggers, and these do not run when a change
 * set is written. So indexes of tables in `set` are built anew, after it was rehearsed and before it is kept;
 * such a merge cannot be taken back row by row. ERR_CONFLICT: there is an index that cannot be built anew. */
MUST_CHECK enum err_code merge_follow(struct rehearsal *r, struct str set, struct err *err);

#endif
