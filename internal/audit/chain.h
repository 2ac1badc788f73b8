/* The chains as a format, so that anyone can verify them with SHA-256 and Ed25519 alone. No database, no I/O.
 * Any thread.
 *
 * A chain is the rows of one namespace (named by its id) or of the server ("server"), numbered 1, 2, 3 …
 * (seq).
 *
 *     hash(row) = SHA-256( "holdfast audit row 1\n" ‖ hash(row before) ‖ columns )
 *
 * The first row of a chain has 32 zero bytes before it. The columns follow in the order of AUDIT_COLUMNS
 * below, each as
 *
 *     'i' and the integer as 8 bytes, big-endian, two's complement
 *     't', the text's length in bytes as 4 bytes, big-endian, and the text
 *     'n' for NULL
 *
 * so that no two rows have the same encoding. Hashes are stored in lower-case hexadecimal and hashed raw.
 *
 * A checkpoint says how a chain ended at some time. The checkpoints of all chains together are numbered 1, 2,
 * 3 … and chained as well:
 *
 *     hash(checkpoint) = SHA-256( "holdfast audit checkpoint 1\n" ‖ hash(checkpoint before) ‖ columns )
 *     signature = Ed25519( the 32 bytes of that hash )
 *
 * with the columns of AUDIT_CHECKPOINT_COLUMNS. A key's id is the first half of the SHA-256 of its 32 public
 * bytes, in hexadecimal. A chain has a checkpoint after LIMIT_AUDIT_CHECKPOINT_ROWS rows, and for rows older
 * than LIMIT_AUDIT_CHECKPOINT_MS while the server runs.
 *
 * What it proves. Whoever can write the file but has not the private key cannot change, remove, insert, swap
 * or renumber a row that a checkpoint covers, nor remove a checkpoint before the last, unnoticed: chains and
 * signatures no longer fit. A chain without a checkpoint for LIMIT_AUDIT_CHECKPOINT_ROWS rows is reported,
 * and so is one that ends before its recorded end.
 *
 * What it does not prove. Rows after the last checkpoint can be rewritten or cut off together with everything
 * that mentions them. The whole file can be put back to an older copy of itself: <data>/audit.head (the
 * newest checkpoint, outside of the file), the server's log and any earlier note of it tell, and nothing else
 * can. Whoever has the private key, or replaces both keys where nobody kept the public one, can write any
 * history. Forged rows can be added at the end, and are then signed with the rest. */
#ifndef AUDIT_CHAIN_H
#define AUDIT_CHAIN_H

#include "base/str.h"
#include "crypto/digest.h"
#include "crypto/sign.h"

struct audit_row {
    struct str chain;
    int64_t seq;
    struct str id;
    int64_t created_at; /* wall-clock ms */
    struct str action;
    struct str actor_kind, actor_user_id, actor_token_id, actor_name;
    struct str client, address, request_id;
    struct str target_type, target_id, target_name;
    struct str before_values, after_values;
    struct digest hash;
};

/* COLUMN(member, kind, name in exports): the order is the order of the encoding. A text whose ptr is NULL is
 * NULL. */
#define AUDIT_COLUMNS(COLUMN)                                                                                \
    COLUMN(chain, TEXT, "chain")                                                                             \
    COLUMN(seq, INT, "seq")                                                                                  \
    COLUMN(id, TEXT, "id")                                                                                   \
    COLUMN(created_at, INT, "createdAtMs")                                                                   \
    COLUMN(action, TEXT, "action")                                                                           \
    COLUMN(actor_kind, TEXT, "actorKind")                                                                    \
    COLUMN(actor_user_id, TEXT, "actorUserId")                                                               \
    COLUMN(actor_token_id, TEXT, "actorTokenId")                                                             \
    COLUMN(actor_name, TEXT, "actorName")                                                                    \
    COLUMN(client, TEXT, "client")                                                                           \
    COLUMN(address, TEXT, "actorIp")                                                                         \
    COLUMN(request_id, TEXT, "requestId")                                                                    \
    COLUMN(target_type, TEXT, "targetType")                                                                  \
    COLUMN(target_id, TEXT, "targetId")                                                                      \
    COLUMN(target_name, TEXT, "targetName")                                                                  \
    COLUMN(before_values, TEXT, "before")                                                                    \
    COLUMN(after_values, TEXT, "after")

struct audit_checkpoint {
    int64_t number;
    struct str chain;
    int64_t seq; /* the last row it covers */
    struct str row_hash;
    int64_t created_at;
    struct str key_id;
    struct digest hash;
    struct signature signature;
};

#define AUDIT_CHECKPOINT_COLUMNS(COLUMN)                                                                     \
    COLUMN(number, INT, "checkpoint")                                                                        \
    COLUMN(chain, TEXT, "chain")                                                                             \
    COLUMN(seq, INT, "seq")                                                                                  \
    COLUMN(row_hash, TEXT, "rowHash")                                                                        \
    COLUMN(created_at, INT, "createdAtMs")                                                                   \
    COLUMN(key_id, TEXT, "keyId")

#define AUDIT_HEX_SIZE (2 * DIGEST_BYTES + 1)
void audit_hex(const struct digest *d, char out[AUDIT_HEX_SIZE]);
MUST_CHECK bool audit_from_hex(struct str hex, struct digest *ret);

/* What row->hash must be. */
struct digest audit_row_digest(const struct digest *before, const struct audit_row *row);
struct digest audit_checkpoint_digest(const struct digest *before, const struct audit_checkpoint *c);

#endif
