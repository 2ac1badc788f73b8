/* Changes that happen where control.db's transaction does not reach: in an engine. Their row of the audit log
 * is noted before the change, so that no crash can leave one without the other:
 *
 *   audit_intend ─► the change ─┬─► audit_settle DONE      the row is appended
 *                               ├─► audit_settle NOT_DONE  nothing happened: the note goes
 *                               └─► audit_settle UNKNOWN   appended with "outcome":"unknown"
 *
 * Notes that a process left behind when it died become rows of the last kind at the next start. Appending and
 * the end of the note are one transaction, so that a row is there once. Worker thread. */
#ifndef AUDIT_INTENT_H
#define AUDIT_INTENT_H

#include "audit/audit.h"

enum audit_outcome { AUDIT_DONE, AUDIT_NOT_DONE, AUDIT_UNKNOWN };

/* Inside a write transaction, which is to be durable before the change begins. */
MUST_CHECK enum err_code audit_intend(
    struct db *db, const struct audit_event *event, struct id *ret_id, struct err *err);
/* Inside a write transaction; an intent that was settled before is fine. */
MUST_CHECK enum err_code audit_settle(
    struct db *db, const struct id *intent, enum audit_outcome outcome, struct err *err);
/* The same, where what was before became known with the change: it takes the place of what was noted. NULL:
 * it did not. */
MUST_CHECK enum err_code audit_settle_told(struct db *db, const struct id *intent, enum audit_outcome outcome,
    const struct audit_value *before, struct err *err);
/* At a start, before anything else can intend: settles what is left as unknown. Opens its own transaction. */
MUST_CHECK enum err_code audit_settle_left(struct db *db, int64_t *ret_count, struct err *err);

#endif
