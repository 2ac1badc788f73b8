/* What the schema of the branch in the path changes against its parent's. Worker thread. */
#ifndef API_PERSQL_PLAN_H
#define API_PERSQL_PLAN_H

#include "api/call.h"
#include "branch/schema_diff.h"

/* Asks the engines of both in turn, for LIMIT_TEMPLATE_MS at most. `a` holds the difference. ERR_FORBIDDEN a
 * table scope. */
MUST_CHECK enum err_code plan_read(struct api_call *c, struct arena *a, enum capability cap,
    struct registry_entry *ret_branch, struct schema_diff *ret);

#endif
