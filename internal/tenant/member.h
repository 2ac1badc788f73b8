/* Members: which people belong to a namespace, and as what. A namespace never ends up without an owner:
 * whoever would leave it so is refused, or an admin takes over. Worker thread. */
#ifndef TENANT_MEMBER_H
#define TENANT_MEMBER_H

#include "audit/actor.h"
#include "base/arena.h"
#include "tenant/tenant.h"
#include "wire/wire.h"

enum member_role {
    MEMBER_NONE,
#define ROLE(name, spelling, engine_role, text) MEMBER_##name,
#include "roles.def"
    MEMBER_ROLE_COUNT
};

const char *member_role_name(enum member_role role); /* "viewer"; not of MEMBER_NONE */
MUST_CHECK bool member_role_parse(struct str text, enum member_role *ret);
/* What the engine lets its statements do. */
enum wire_role member_engine_role(enum member_role role);

/* Inside a write transaction. ERR_CONFLICT is a member already. */
MUST_CHECK enum err_code member_add(struct db *db, const struct actor *by, const struct id *tenant_id,
    const struct id *account_id, enum member_role role, struct err *err);

struct membership {
    struct tenant tenant;
    enum member_role role;
};
/* ERR_NOT_FOUND: no such namespace, none of this person's, or it is deleted. */
MUST_CHECK enum err_code member_find(
    struct db *db, struct str slug, const struct id *account_id, struct membership *ret, struct err *err);
/* The same for one that is deleted and can still be restored. */
MUST_CHECK enum err_code member_find_deleted(
    struct db *db, struct str slug, const struct id *account_id, struct membership *ret, struct err *err);
/* The person's namespaces in the order of their slugs, deleted ones too: those after `after` ("" the first),
 * at most `limit`. Arena memory. */
MUST_CHECK enum err_code member_list_of(struct db *db, struct arena *a, const struct id *account_id,
    struct str after, int64_t limit, struct membership **ret, size_t *ret_count, struct err *err);

struct member {
    struct id account_id;
    char email[255], name[TENANT_NAME_SIZE];
    enum member_role role;
    int64_t joined_at;
};
/* In the order of their ids, those after `after` ("" the first), at most `limit`. Arena memory. */
MUST_CHECK enum err_code member_list(struct db *db, struct arena *a, const struct id *tenant_id,
    struct str after, int64_t limit, struct member **ret, size_t *ret_count, struct err *err);
MUST_CHECK enum err_code member_count(
    struct db *db, const struct id *tenant_id, int64_t *ret, struct err *err);

/* Inside a write transaction, where a role that was read before it may have changed: ERR_FORBIDDEN unless the
 * person has at least this role. */
MUST_CHECK enum err_code member_require(struct db *db, const struct id *tenant_id,
    const struct id *account_id, enum member_role least, enum member_role *ret, struct err *err);

/* Inside a write transaction: `actor` gives `target` another role, or removes them (MEMBER_NONE). Admins may
 * do that among all but owners; owners to everyone; everyone may leave. ERR_NOT_FOUND no such member,
 * ERR_FORBIDDEN, ERR_CONFLICT the only owner, and no admin who could take over. */
MUST_CHECK enum err_code member_change(struct db *db, const struct actor *by, const struct tenant *t,
    const struct id *actor, struct str target, enum member_role role, struct err *err);

/* Inside a write transaction: ends every membership of the person. Where that was the only owner, the admin
 * of longest standing becomes owner; ERR_CONFLICT names a namespace that has no admin either. */
MUST_CHECK enum err_code tenant_leave_all(
    struct db *db, const struct actor *by, const struct id *account_id, struct err *err);

#endif
