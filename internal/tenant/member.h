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
/* ERR_NOT_FOUND: no such namespace, or none of this person's. */
MUST_CHECK enum err_code member_find(
    struct db *db, struct str slug, const struct id *account_id, struct membership *ret, struct err *err);
/* The person's namespaces in the order of their slugs. Arena memory. */
MUST_CHECK enum err_code member_list_of(struct db *db, struct arena *a, const struct id *account_id,
    struct membership **ret, size_t *ret_count, struct err *err);

/* Inside a write transaction: ends every membership of the person. Where that was the only owner, the admin
 * of longest standing becomes owner; ERR_CONFLICT names a namespace that has no admin either. */
MUST_CHECK enum err_code tenant_leave_all(
    struct db *db, const struct actor *by, const struct id *account_id, struct err *err);

#endif
