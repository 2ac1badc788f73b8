/* What the files of this folder share. */
#ifndef AUDIT_AUDIT_INTERNAL_H
#define AUDIT_AUDIT_INTERNAL_H

#include "audit/audit.h"
#include "audit/chain.h"
#include "base/arena.h"

#define AUDIT_DAMAGED "the audit log is damaged: `holdfast audit verify` says where"

/* Stores the row under an id, number, time and hash of its own, which *row need not have. */
MUST_CHECK enum err_code audit_store_append(struct db *db, const struct audit_row *row, struct err *err);

/* Inside a write transaction: a checkpoint over the chain's last row. */
MUST_CHECK enum err_code audit_store_sign(struct db *db, const struct sign_key *key, struct str chain,
    int64_t seq, struct str row_hash, struct err *err);

#endif
