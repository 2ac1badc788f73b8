/* What the files of this folder share. */
#ifndef AUDIT_AUDIT_INTERNAL_H
#define AUDIT_AUDIT_INTERNAL_H

#include "audit/audit.h"
#include "audit/chain.h"
#include "base/arena.h"

#define AUDIT_DAMAGED "the audit log is damaged: `holdfast audit verify` says where"

/* Said of a checkpoint that was known from outside. */
#define AUDIT_NOT_HERE                                                                                       \
    "a checkpoint that is known from outside is not here: the log was put back to an older state, or its "   \
    "end "                                                                                                   \
    "was cut off"

/* The row of an event, but for what audit_store_append gives it. *ret_unknown are its after_values with an
 * outcome that nobody knows; NULL: not asked for. Arena memory, of AUDIT_ROW_BYTES_MAX. */
enum { AUDIT_ROW_BYTES_MAX = 256 << 10 };
void audit_row_of(
    struct arena *a, const struct audit_event *event, struct audit_row *ret, struct str *ret_unknown);

/* The stored text of values. Arena memory. */
struct str audit_values_json(struct arena *a, const struct audit_value *values);

/* Stores the row under an id, number, time and hash of its own, which *row need not have. */
MUST_CHECK enum err_code audit_store_append(struct db *db, const struct audit_row *row, struct err *err);

/* Of SELECTs of rows: audit_map_row() reads them in this order. A hash that is none becomes zeros. */
#define AUDIT_ROW_COLUMNS                                                                                    \
    "chain, seq, id, created_at, action, actor_kind, actor_user_id, actor_token_id, actor_name, client, "    \
    "address, request_id, target_type, target_id, target_name, before_values, after_values, hash"
enum { AUDIT_ROW_COLUMN_COUNT = 18 };
/* The texts live until the next db_row(). */
void audit_map_row(const struct db_stmt *st, struct audit_row *ret);

#define AUDIT_CHECKPOINT_COLUMN_NAMES "number, chain, seq, row_hash, created_at, key_id, hash, signature"
enum { AUDIT_CHECKPOINT_COLUMN_COUNT = 8 };
void audit_map_checkpoint(const struct db_stmt *st, struct audit_checkpoint *ret);

/* Inside a write transaction: a checkpoint over the chain's last row. */
MUST_CHECK enum err_code audit_store_sign(struct db *db, const struct sign_key *key, struct str chain,
    int64_t seq, struct str row_hash, struct err *err);

#endif
