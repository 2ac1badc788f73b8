/* Which databases a token reaches. Any thread. */
#ifndef API_SCOPE_H
#define API_SCOPE_H

#include "api/cache.h"
#include "api/capability.h"
#include "registry/registry.h"
#include "token/token.h"

struct place place_of(const struct registry_entry *e);

/* A token that is bound to one database reaches its branches too, and gets the same answer for every other
 * name, whether that exists or not (`place` NULL). One for branches alone gets at the branches of a database
 * (CAP_BRANCH…), not at the database. ERR_FORBIDDEN, ERR_NOT_FOUND. */
MUST_CHECK enum err_code scope_check(
    const struct identity *who, enum capability cap, const struct place *place, struct err *err);

#endif
