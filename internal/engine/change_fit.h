/* What was written to tables that have got columns since. Engine's thread. */
#ifndef ENGINE_CHANGE_FIT_H
#define ENGINE_CHANGE_FIT_H

#include "engine/change_apply.h"

struct op;

/* Writes `set` into `out`, its tables with those columns alone that they have in `like`. Tables that do not
 * have all of these stay as they are. `fn` is called for each row that has, or gets, a value of somebody's in
 * another column: it is none of what `like` says. */
MUST_CHECK enum err_code change_fit(struct op *op, struct str set, struct str like, change_conflict_fn *fn,
    void *arg, uint64_t *ret_conflicts, struct strbuf *out, struct err *err);

#endif
