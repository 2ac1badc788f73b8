/* Asking an engine for the copy that becomes a snapshot; and making one before a write that destroys: the
 * engine took the call back (engine/destruction.h), a snapshot is made or found, the call is sent again.
 *
 *   call ─► wants_snapshot ─► plan (worker) ─► copy (reader engine) ─► keep (worker) ─► call, with its id
 *                               └── one will do, or there can be none ───────────────►
 *
 * Writers go on meanwhile. When no snapshot can be made the write is done without, and the answer says why:
 * a full disk must not keep anybody from deleting.
 *
 * The undo of a change of the schema wants to read a snapshot that is there: a copy of it is laid beside the
 * database, the call is sent again, the copy goes. What the engine names must be the database's own.
 *
 *   call ─► wants_snapshot, "lay" ─► lay out (worker) ─► call ─► take away (worker) ─► answer
 *
 * Loop thread. */
#ifndef API_SNAPSHOT_CALL_H
#define API_SNAPSHOT_CALL_H

#include "api/request.h"
#include "branch/snapshot.h"

/* Fills r->call.req, which request_fill_call() filled, with the copying of the whole database, and submits
 * it; `done` gets the engine's answer. */
MUST_CHECK enum err_code snapshot_call(struct api_request *r, const struct id *id, int64_t timeout_ms,
    void (*done)(struct engine_call *call, const struct err *failed), struct err *err);
/* The same for what a restore keeps (engine/carry.h): after that the database takes no writes. */
MUST_CHECK enum err_code snapshot_call_carry(struct api_request *r, const struct id *copy_id,
    void (*done)(struct engine_call *call, const struct err *failed), struct err *err);
/* After a restore: asks which invariants do not hold. */
MUST_CHECK enum err_code snapshot_call_invariants(
    struct api_request *r, void (*done)(struct engine_call *call, const struct err *failed), struct err *err);
/* From that answer, the array; NULL: it does not say. */
const struct jsonr_value *snapshot_call_broken(struct api_request *r);
/* Of an answer that is none: why. The request's memory. */
struct str snapshot_call_error(struct api_request *r);
/* From the answer to snapshot_call: when the copy was begun. 0: it does not say. */
int64_t snapshot_call_read_at(struct api_request *r);

/* Of an answer with wants_snapshot: the snapshot that it wants to read. */
bool snapshot_lay_wanted(struct arena *a, struct str reply, struct str *ret_id);
struct snapshot_laid {
    struct snapshot snapshot;
    struct id copy_id;
    bool laid; /* false: it is not kept any more, which the engine tells */
};
/* Lays a copy of it beside the database, which registry_copy_drop takes away. Worker thread. */
MUST_CHECK enum err_code snapshot_lay(struct db *db, const char *data_dir, const struct id *database_id,
    struct str wanted, struct snapshot_laid *ret, struct err *err);
/* Makes the call, which waited, one that finds it. Views of `laid`. */
void snapshot_lay_call(struct wire_call *call, struct str item, const struct snapshot_laid *laid);

/* The call may destroy: the engine is to ask. Before it is submitted. */
void snapshot_ask_first(struct wire_call *call);
/* In on_done: does the engine want a snapshot? Then this goes on with the request. */
bool snapshot_before_write(struct api_request *r);

#endif
