/* Assertions that the server signs for a machine which signed up (signup.h), so that it need not ask its
 * issuer each time: a JWT with a use and an audience of its own, exchanged for tokens that live for an hour.
 *
 *     issued ──── LIMIT_ASSERTION_MS, or past LIMIT_ASSERTIONS_PER_MACHINE ────► over
 *        └─────── given back by whoever holds it ──────────────────────────────► over, and its tokens with it
 *
 * The signature says whom it is for; the row, whose id is its jti, whether it is still good. Worker thread.
 */
#ifndef FEDERATION_ASSERTION_H
#define FEDERATION_ASSERTION_H

#include "federation/signup.h"

struct assertion {
    struct id id; /* "asr_…" */
    int64_t created_at, expires_at;
};

/* Inside a write transaction, these three. */
MUST_CHECK enum err_code assertion_create(
    struct db *db, const struct actor *by, const struct machine *m, struct assertion *ret, struct err *err);

/* Whose it is. ERR_UNAUTHORIZED: over, or the machine or its namespace is gone. */
MUST_CHECK enum err_code assertion_use(struct db *db, struct arena *a, struct str id, struct str machine_id,
    struct machine *ret, struct err *err);

/* Ends it, and what it was exchanged for. What is over already is fine. */
MUST_CHECK enum err_code assertion_revoke(struct db *db, const struct actor *by, struct arena *a,
    struct str id, struct str machine_id, struct err *err);

/* Removes what expired, LIMIT_PURGE_ROWS at most; sets *more when that was not all. Opens its own
 * transaction. */
MUST_CHECK enum err_code assertion_purge(struct db *db, bool *more, struct err *err);

#endif
