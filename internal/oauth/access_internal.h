/* Families: what the files of codes and tokens share. All inside a write transaction, but family_get. */
#ifndef OAUTH_ACCESS_INTERNAL_H
#define OAUTH_ACCESS_INTERNAL_H

#include "audit/audit.h"
#include "oauth/access.h"

MUST_CHECK enum err_code family_create(struct db *db, const struct id *id, const struct id *grant_id,
    unsigned scope, struct str resource, int64_t auth_time, struct err *err);
/* ERR_NOT_FOUND. The nonce is the code's. */
MUST_CHECK enum err_code family_get(struct db *db, const struct id *id, struct family *ret, struct err *err);
/* Ends it and every token in it; one that ended before is fine. */
MUST_CHECK enum err_code family_end(struct db *db, const struct id *id, struct err *err);
/* The same, because something came twice. */
MUST_CHECK enum err_code family_replayed(struct db *db, const struct actor *by, const struct id *grant_id,
    const struct id *family_id, struct err *err);
MUST_CHECK enum err_code family_audit(struct db *db, const struct actor *by, enum audit_action action,
    const struct id *grant_id, struct err *err);

#endif
