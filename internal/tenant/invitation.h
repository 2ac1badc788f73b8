/* Invitations into a namespace: a link with a secret for one address, once, for a while. SHA-256 of the
 * secret is stored. Worker thread. */
#ifndef TENANT_INVITATION_H
#define TENANT_INVITATION_H

#include "crypto/secret.h"
#include "tenant/member.h"

struct invitation {
    struct id id; /* "inv_…" */
    char email[255];
    enum member_role role;
    int64_t created_at, expires_at;
};

/* Inside a write transaction. A second one for the same address takes the place of the first. `email` is as
 * it was given, `email_key` what addresses are compared by. ERR_FORBIDDEN `inviter` may not invite into this
 * role, or too many are open. */
MUST_CHECK enum err_code invitation_create(struct db *db, const struct actor *by, const struct tenant *t,
    const struct id *inviter, struct str email, struct str email_key, enum member_role role,
    struct invitation *ret, struct secret *ret_secret, struct err *err);
/* Open ones in the order of their ids, after `after` ("" the first). Arena memory. */
MUST_CHECK enum err_code invitation_list(struct db *db, struct arena *a, const struct id *tenant_id,
    struct str after, int64_t limit, struct invitation **ret, size_t *ret_count, struct err *err);
/* Inside a write transaction. ERR_NOT_FOUND no such invitation there. */
MUST_CHECK enum err_code invitation_revoke(
    struct db *db, const struct actor *by, const struct id *tenant_id, struct str id, struct err *err);

/* ERR_NOT_FOUND unless the secret is that of an open invitation for this address. */
MUST_CHECK enum err_code invitation_check(
    struct db *db, struct str secret, struct str email_key, struct err *err);
/* Inside a write transaction: makes the person a member and the link worthless. ERR_NOT_FOUND as above,
 * ERR_CONFLICT is a member already. */
MUST_CHECK enum err_code invitation_accept(struct db *db, const struct actor *by, struct str secret,
    const struct id *account_id, struct str email_key, struct membership *ret, struct err *err);

/* Removes those that ended, LIMIT_PURGE_ROWS at most; sets *more when that was not all. Opens its own
 * transaction. */
MUST_CHECK enum err_code invitation_purge(struct db *db, bool *more, struct err *err);

#endif
