/* What the files of approvals share. */
#ifndef APPROVAL_APPROVAL_INTERNAL_H
#define APPROVAL_APPROVAL_INTERNAL_H

#include "approval/approval.h"
#include "audit/audit.h"

/* The row of the audit log about one approval: what every such row says, and `more` (AUDIT_VALUES, NULL
 * nothing) of its own. */
MUST_CHECK enum err_code approval_audit(struct db *db, const struct actor *by, enum audit_action action,
    const struct approval *p, const struct audit_value *more, struct err *err);
/* ERR_CONFLICT, naming the state. */
MUST_CHECK enum err_code approval_wrong_state(const struct approval *p, struct err *err);

/* Inside the transaction that makes it, once its requesters are there: could nobody else decide? */
MUST_CHECK enum err_code approval_note_alone(struct db *db, struct str id, struct err *err);

#endif
