/* What the files of this folder share about passes. */
#ifndef FEDERATION_MACHINE_INTERNAL_H
#define FEDERATION_MACHINE_INTERNAL_H

#include "federation/machine.h"

struct machine_owner {
    struct id namespace_id;
    struct str issuer, foreign_id; /* the issuer's own id of it */
};
/* machine_store.c: inside a write transaction, the live database that was made for it, else the intent of one
 * (*ret_made): under that slug, or one like it where it is taken. Nobody else's is ever taken for it. */
MUST_CHECK enum err_code machine_database(struct db *db, const struct actor *by,
    const struct machine_owner *owner, struct str slug, struct str name, struct registry_entry *ret,
    bool *ret_made, struct err *err);

struct machine_mint {
    struct id machine_id, namespace_id;
    struct id database_id;   /* "" every database of the namespace */
    struct str assertion_id; /* what it is exchanged for; ptr NULL or "" nothing */
    struct str name;         /* of whom it is for */
};
/* Inside a write transaction: an admin token. ERR_RATE_LIMITED with retry_after_s. */
MUST_CHECK enum err_code machine_mint(struct db *db, const struct actor *by, struct arena *a,
    const struct machine_mint *in, struct token *ret, struct secret *ret_secret, struct err *err);

#endif
