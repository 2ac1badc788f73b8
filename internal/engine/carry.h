/* What a restore must not forget. The file of a snapshot knows nothing of what came after it: a token that
 * was spent since would be good again, a proposal that was withdrawn would wait again, a rule would be gone.
 * So before the files are exchanged the engine of the database writes down what the server itself keeps in
 * there, and takes no more writes; the engine that opens the restored file takes it over before anything
 * else.
 *
 *   op CARRY ─► out/<copy>.db ─► (front) staging/…/carry.db ─► db/<id>/carry.db ─► taken over, removed
 *
 * As of now, not of the snapshot: receipts of keys, proposals (those that wait become stale), rules,
 * invariants, masks; row security and policies of the tables that are there now. Those of tables that only
 * the snapshot has are the snapshot's, and those of tables that it lacks go. An empty carry.db stands for a
 * file that could no longer be read: then nothing that waits in the snapshot may be applied. Engine's thread.
 */
#ifndef ENGINE_CARRY_H
#define ENGINE_CARRY_H

#include "engine/engine_state.h"

/* Is there something to be taken over? */
bool carry_waits(const struct engine *eng);
/* Then, after migrating and before the first call: takes it over into `db`, in one transaction, and once
 * however many do it. */
MUST_CHECK enum err_code carry_take(struct engine *eng, sqlite3 *db, struct err *err);

/* After CARRY nothing is written until its front has exchanged the files, or some seconds have passed.
 * ERR_UNAVAILABLE. */
MUST_CHECK enum err_code carry_check_write(const struct engine *eng, struct err *err);

#endif
