/* A full-text index without rows of its own follows its table by triggers, and these do not run when a change
 * set is written (change_apply.h): what a merge or an undo changes is brought into such indexes here, after
 * it was rehearsed and before it is kept or taken back. Engine's thread. */
#ifndef ENGINE_INDEX_FOLLOW_H
#define ENGINE_INDEX_FOLLOW_H

#include "engine/rehearsal.h"

/* `set` is what was written. `merged`: nobody has seen what triggers do in this database; ERR_CONFLICT then:
 * they may feed an index that cannot follow. */
MUST_CHECK enum err_code index_follow(struct rehearsal *r, struct str set, bool merged, struct err *err);

/* Can this full-text table, which keeps no rows of its own, follow them? Not those of a view: that would read
 * with the rights of the server. */
bool index_can_follow(struct op *op, struct str index);

#endif
