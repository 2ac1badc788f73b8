/* In which order a turn runs the writes that it took, and where a transaction ends at the latest. All of them
 * wait at once, so none was promised to come before another. Engine's thread. */
#ifndef ENGINE_TURN_ORDER_H
#define ENGINE_TURN_ORDER_H

#include "wire/wire.h"
#include <stdbool.h>
#include <stddef.h>

struct engine;

/* Does the operation take back what it did, and leave a proposal at most? */
bool turn_proposes(enum wire_op op);
/* Proposals first: their transaction does not wait for the disk (vfs_set_lazy), and who asked for one can
 * send it back to be applied while the writes behind them do. */
void turn_sort(struct engine *eng);
/* Where the writes end that may share a transaction with that of `first`: those of its connection, and of its
 * kind. What is no write belongs to either. */
size_t turn_end_of_group(const struct engine *eng, size_t first);

#endif
