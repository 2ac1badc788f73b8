/* What people gave programs. One grant for each pair of a person and a client; consent is remembered in it,
 * by scope.
 *
 *   (none) ── consent ──► given ◄── consent ── withdrawn
 *                           └────── withdraw ──────►┘
 *
 * Everything that was handed out hangs on the grant and ends with it: withdrawing cuts access at the next
 * request. Worker thread. */
#ifndef OAUTH_GRANT_H
#define OAUTH_GRANT_H

#include "base/slug.h"
#include "oauth/client.h"

struct grant {
    struct id id; /* "ogr_…" */
    struct id account_id;
    char client_id[CLIENT_ID_SIZE];
    char client_name[CLIENT_NAME_SIZE];
    unsigned scope;        /* 0: withdrawn */
    struct id database_id; /* "" none; kept when it is withdrawn */
    char namespace_slug[SLUG_SIZE], database_slug[SLUG_SIZE];
    int64_t created_at, given_at, withdrawn_at;
};

/* Also one that was withdrawn. ERR_NOT_FOUND. */
MUST_CHECK enum err_code grant_find(struct db *db, const struct id *account_id, const struct client *client,
    struct grant *ret, struct err *err);

/* Inside a write transaction: adds `scope` to what was given. `database_id` NULL leaves it; where it is
 * another one than before, everything that was handed out for the old one ends. */
MUST_CHECK enum err_code grant_give(struct db *db, const struct actor *by, const struct id *account_id,
    const struct client *client, unsigned scope, const struct id *database_id, struct grant *ret,
    struct err *err);

/* Those that are not withdrawn, oldest first. Arena memory. */
MUST_CHECK enum err_code grant_list(struct db *db, struct arena *a, const struct id *account_id,
    struct grant **ret, size_t *ret_count, struct err *err);

/* Inside a write transaction. ERR_NOT_FOUND: nothing is given to that client. */
MUST_CHECK enum err_code grant_withdraw(struct db *db, const struct actor *by, const struct id *account_id,
    struct str client_id, struct err *err);
/* The same of all that opens a database of that namespace, or with NULL of everything; none is fine. */
MUST_CHECK enum err_code grant_withdraw_all(struct db *db, const struct actor *by,
    const struct id *account_id, const struct id *namespace_id, struct err *err);

#endif
