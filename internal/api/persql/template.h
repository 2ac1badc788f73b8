/* Copying the schema of one database into another that is empty: tables, views, indexes, triggers and their
 * row-level security with its policies, no rows.
 * Worker thread. */
#ifndef API_PERSQL_TEMPLATE_H
#define API_PERSQL_TEMPLATE_H

#include "api/call.h"

/* Runs as the bearer, who is an admin. In several transactions when there are many objects, so what fails may
 * leave some of them. Takes LIMIT_TEMPLATE_MS at most. ERR_CONFLICT the schema of `from` cannot be made anew;
 * the engine's other errors. */
MUST_CHECK enum err_code template_copy(struct api_call *c, const struct id *from, const struct id *to);

/* What GET …/schema answers under "data", with what a branch began with under "base"; arena memory.
 * ERR_CONFLICT it cannot be read. */
MUST_CHECK enum err_code schema_ask(struct api_call *c, struct arena *a, const struct id *db, bool with_base,
    int64_t deadline_us, const struct jsonr_value **ret);

#endif
