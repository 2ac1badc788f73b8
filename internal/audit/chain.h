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
 * so that no two rows have the same encoding. Hashes are stored in lower-case hexadecimal and hashed raw. */
#ifndef AUDIT_CHAIN_H
#define AUDIT_CHAIN_H

#include "base/str.h"
#include "crypto/digest.h"

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

/* What row->hash must be. */
struct digest audit_row_digest(const struct digest *before, const struct audit_row *row);

#endif
