/* Which writes destroy so much that a snapshot is made before them. Decided by what a statement really did,
 * not by its text:
 *
 *   DROP TABLE of a table with rows; DROP COLUMN of one
 *   more than LIMIT_DESTROYED_ROWS rows removed or overwritten, by REPLACE, triggers and cascades too
 *   more than half of a table with at least LIMIT_DESTROYED_TABLE_ROWS
 *   all rows of a table that had more than one: removed by the call, or overwritten by one statement
 *   DELETE without WHERE that removes a row, UPDATE without WHERE that changes more than one
 *
 * Rows count for the whole call. The statement runs; where nobody made a snapshot yet and somebody can
 * (call.snapshot), the whole call is taken back and answered with wants_snapshot. The front has a reader
 * engine make one, which holds nobody up, and sends the call again. Engine's thread. */
#ifndef ENGINE_DESTRUCTION_H
#define ENGINE_DESTRUCTION_H

#include "engine/cache.h"
#include "engine/guard.h"

struct task;

/* A statement was prepared: keeps what the authorizer was told. */
void destruction_learn(const struct guard *g, struct cached *c);

/* Around one statement. */
struct destruction {
    int64_t rows_before, inner_before;
    bool hooked, has_rows;
};
void destruction_begin(struct op *op, const struct cached *c, struct destruction *ret);
/* `changes`: of the statement itself; negative: it failed. Sets op->destroys. */
void destruction_end(struct op *op, const struct cached *c, const struct destruction *d, int64_t changes);
/* The same for a change set that is written: so many rows were removed or overwritten. */
void destruction_of_set(struct op *op, int64_t rows);

/* Around a change set that is written as one statement would be: its rows count table by table. `done`: it
 * stays; else they count for nothing. */
void destruction_set_begin(struct op *op);
void destruction_set_end(struct op *op, bool done);

/* The same for a statement of ours that takes a table, or columns of it, with what is in it. Before it runs.
 */
void destruction_of_schema(struct op *op, const char *deed, const char *table);

/* Through the hook of a recorder, which shuts out that of this file. */
void destruction_count(struct engine *eng, int change, const char *table, int64_t rows);

/* ERR_UNAVAILABLE: the call destroys, and a snapshot is wanted before it. */
enum err_code destruction_ask(struct task *t, struct err *err);
/* Before a call succeeds, or fails and keeps what it did. ERR_UNAVAILABLE: a snapshot is wanted first. Also
 * fills op->snapshot, and notes the snapshot with the proposal that the call applied. */
MUST_CHECK enum err_code destruction_check(struct task *t, struct err *err);

#endif
