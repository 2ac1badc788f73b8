/* One database shared with one member: a role there that takes the place of the one in the namespace,
 * narrower (viewer) or wider (editor). Worker thread. */
#ifndef TENANT_SHARE_H
#define TENANT_SHARE_H

#include "tenant/member.h"

struct share {
    struct id account_id;
    char email[255];
    enum member_role role; /* viewer or editor */
    int64_t created_at;
};

/* A branch that is not shared itself is shared as its parent is. MEMBER_NONE: neither is. */
MUST_CHECK enum err_code share_role(struct db *db, const struct id *database_id, const struct id *account_id,
    enum member_role *ret, struct err *err);
/* Inside a write transaction. ERR_NOT_FOUND the person is no member of the namespace, ERR_FORBIDDEN `actor`
 * is no admin, or the person an owner and `actor` none. */
MUST_CHECK enum err_code share_set(struct db *db, const struct actor *by, const struct tenant *t,
    const struct id *actor, const struct id *database_id, struct str account_id, enum member_role role,
    struct err *err);
/* Inside a write transaction. ERR_NOT_FOUND it was not shared, ERR_FORBIDDEN as above. */
MUST_CHECK enum err_code share_remove(struct db *db, const struct actor *by, const struct tenant *t,
    const struct id *actor, const struct id *database_id, struct str account_id, struct err *err);
/* In the order of the people's ids, after `after` ("" the first). Arena memory. */
MUST_CHECK enum err_code share_list(struct db *db, struct arena *a, const struct id *database_id,
    struct str after, int64_t limit, struct share **ret, size_t *ret_count, struct err *err);

#endif
