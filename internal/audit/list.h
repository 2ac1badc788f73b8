/* The audit log for reading, newest first, by pages. A page begins at a time, which no two rows of a chain
 * share: `before` is the time of the last row of the page before. Worker thread. */
#ifndef AUDIT_LIST_H
#define AUDIT_LIST_H

#include "audit/chain.h"
#include "base/id.h"
#include "sqlite/db.h"

struct audit_filter {
    int64_t before_ms; /* only older rows; INT64_MAX: from the newest on */
    struct str action; /* exactly this one; "" all */
    int64_t limit;
};

/* A row, and how its actor is called now; the texts live until `see` returns. */
struct audit_entry {
    struct audit_row row;
    struct str user_name, user_email, token_name; /* ptr NULL: none, or gone */
};

MUST_CHECK enum err_code audit_page(struct db *db, const struct id *namespace_id,
    const struct audit_filter *filter, void (*see)(void *arg, const struct audit_entry *entry), void *arg,
    struct err *err);

#endif
