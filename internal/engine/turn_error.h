/* What a BEGIN or COMMIT that failed means for the calls of its group: turn.c. Engine's thread. */
#ifndef ENGINE_TURN_ERROR_H
#define ENGINE_TURN_ERROR_H

#include "engine/engine_state.h"

/* May a COMMIT that failed so have been kept all the same? */
bool turn_may_be_in_log(int sql);
/* A transaction that is gone though no statement said so: its memory or its disk failed where nobody is told.
 */
enum err_code turn_ended(struct err *err);
/* Fills err; the engine may leave for it. */
MUST_CHECK enum err_code turn_group_error(struct engine *eng, int sql, bool committing, struct err *err);

#endif
