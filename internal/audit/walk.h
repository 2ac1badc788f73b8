/* A chain as it stands in control.db: its rows in order, each checkpoint right after the row it covers.
 * Inside a read transaction. */
#ifndef AUDIT_WALK_H
#define AUDIT_WALK_H

#include "audit/chain.h"
#include "sqlite/db.h"

/* What is shown lives until the function returns. Either returns false to see no more. */
struct audit_walk {
    bool (*row)(void *arg, const struct audit_row *row);
    bool (*checkpoint)(void *arg, const struct audit_checkpoint *c, const struct digest *before);
    void *arg;
};

MUST_CHECK enum err_code audit_walk_chain(
    struct db *db, struct str chain, const struct audit_walk *walk, struct err *err);
/* Where the chain was noted to end. ERR_NOT_FOUND: there is no such chain. */
MUST_CHECK enum err_code audit_walk_end(
    struct db *db, struct str chain, int64_t *ret_seq, struct digest *ret_hash, struct err *err);

#endif
