/* What the files of this folder share. */
#ifndef AUDIT_AUDIT_INTERNAL_H
#define AUDIT_AUDIT_INTERNAL_H

#include "audit/audit.h"
#include "audit/chain.h"
#include "base/arena.h"

/* Stores the row under an id, number, time and hash of its own, which *row need not have. */
MUST_CHECK enum err_code audit_store_append(struct db *db, const struct audit_row *row, struct err *err);

#endif
