/* The engine's own statements that every turn needs: prepared once, run in GUARD_OWN mode, never interrupted.
 */
#ifndef ENGINE_OWN_H
#define ENGINE_OWN_H

#include "base/err.h"
#include <sqlite3.h>

struct engine;

enum own_sql {
    OWN_BEGIN_READ,
    OWN_BEGIN_WRITE,
    OWN_COMMIT,
    OWN_ROLLBACK,
    OWN_CALL, /* savepoint of one call */
    OWN_CALL_RELEASE,
    OWN_CALL_ROLLBACK,
    OWN_STEP, /* savepoint of one statement of a batch without a transaction */
    OWN_STEP_RELEASE,
    OWN_STEP_ROLLBACK,
    OWN_FLUSH, /* a savepoint inside of that */
    OWN_FLUSH_RELEASE,
    OWN_DEFER_ON,
    OWN_DEFER_OFF,
    OWN_SCHEMA_CHECK,
    OWN_SCHEMA_VERSION,
    OWN_DATA_VERSION,
    OWN_SCHEMA_OBJECTS,
    OWN_POLICY_VERSION,
    OWN_ROW_SECURITY,
    OWN_SECURED_LOST,
    OWN_FTS5_TABLES,
    OWN_INDEXES,
    OWN_TRIGGER_ON,
    OWN_DEFINITIONS,
    OWN_RECEIPT_GET,
    OWN_RECEIPT_PUT,
    OWN_RECEIPT_DROP,
    OWN_RECEIPT_PURGE,
    OWN_PROPOSAL_PUT,
    OWN_PROPOSAL_PART,
    OWN_PROPOSAL_ROW,
    OWN_PROPOSAL_TABLE,
    OWN_PROPOSAL_BY_TOKEN,
    OWN_PROPOSAL_BY_ID,
    OWN_PROPOSAL_PARTS,
    OWN_PROPOSAL_SET,
    OWN_PROPOSAL_RESIZE,
    OWN_PROPOSAL_FORGET_PARTS,
    OWN_PROPOSAL_FORGET_ROWS,
    OWN_PROPOSAL_FORGET_TABLES,
    OWN_PROPOSAL_LIST,
    OWN_PROPOSAL_COUNT,
    OWN_PROPOSAL_TOUCHED,
    OWN_PROPOSAL_STALE,
    OWN_PROPOSAL_STALE_ALL,
    OWN_PROPOSAL_TABLES,
    OWN_PROPOSAL_EXPIRED,
    OWN_PROPOSAL_OLD,
    OWN_PROPOSAL_DELETE,
    OWN_PROPOSAL_BY_KEY,
    OWN_PROPOSAL_HOLD,
    OWN_PROPOSAL_REAPPLIED,
    OWN_ON_DRIFT,
    OWN_ON_DRIFT_SET,
    OWN_RULES,
    OWN_RULE_PUT,
    OWN_RULE_DROP,
    OWN_RULES_CLEAR,
    OWN_INVARIANTS,
    OWN_VIEW, /* of that name? */
    OWN_INVARIANT_PUT,
    OWN_INVARIANT_DROP,
    OWN_PROPOSAL_SNAPSHOT,
    OWN_PROPOSAL_APPLIED,
    OWN_UNDO_APPLIED,
    OWN_APPLIED_SINCE,
    OWN_UNDO_SINCE,
    OWN_UNDO_SINCE_SET,
    OWN_LOG_PUT,
    OWN_LOG_TRIM,
    OWN_COUNT
};

struct own {
    sqlite3_stmt *stmt[OWN_COUNT];
};

/* The statement, reset and without bindings; NULL when it cannot be prepared (sqlite3_errcode tells). Step it
 * with own_step. */
sqlite3_stmt *own_get(struct engine *eng, enum own_sql which);
int own_step(struct engine *eng, sqlite3_stmt *stmt); /* SQLITE_ROW, SQLITE_DONE or an error */
int own_run(struct engine *eng, enum own_sql which);  /* SQLITE_OK or an error; reset afterwards */
void own_abandon(
    struct engine *eng); /* rolls an open transaction back; when that fails too, the engine leaves */
void own_release(struct engine *eng);

#endif
