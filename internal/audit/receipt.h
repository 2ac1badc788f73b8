/* Receipts of approvals: the rows of the audit log about one of them, in order, so that whoever keeps one can
 * show later who decided what, how they were known, which hash they were shown and which was committed.
 *
 *     {"holdfastReceipt":1, "approvalToken":"appr_…", "chain":"ns_…", "events":[
 *       {every column of the row as in an export, "hash":"…", "details":{…}} …]}
 *
 * `details` is what the row's "after" says, as JSON. A receipt proves nothing alone: it is compared with the
 * log that it came from, whose own chain and signatures are verified (verify.h). Any thread. */
#ifndef AUDIT_RECEIPT_H
#define AUDIT_RECEIPT_H

#include "audit/chain.h"
#include "base/arena.h"
#include "base/id.h"
#include "json/jsonw.h"
#include "sqlite/db.h"

#define RECEIPT_BYTES_MAX (4 << 20)

/* The receipt as it is now. ERR_NOT_FOUND: the log knows nothing of it. Worker thread. */
MUST_CHECK enum err_code receipt_write(
    struct db *db, const struct id *namespace_id, struct str approval, struct jsonw *w, struct err *err);

/* Comparing one with the rows of a log, which are shown in order. */
struct receipt_check {
    struct arena arena;
    struct str approval, chain; /* of the receipt */
    const struct jsonr_value *receipt;
    size_t wanted, seen, newer; /* events; `newer`: in the log alone */
    struct strbuf rebuilt;
    struct jsonw w;
};

/* ERR_INVALID: the text is no receipt. */
MUST_CHECK enum err_code receipt_check_init(struct receipt_check *c, struct str text, struct err *err);
void receipt_check_release(struct receipt_check *c);
void receipt_check_row(void *arg, const struct audit_row *row);
/* Is every event there, and is it as the log says? Once. */
bool receipt_check_end(struct receipt_check *c);

#endif
