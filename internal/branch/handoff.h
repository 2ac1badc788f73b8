/* Handing a branch on: whoever has a token makes a secret "phand_…" for one branch and one role and gives it
 * away; whoever redeems it, once, gets an API token of exactly that reach. The token is made with the secret,
 * under the rules for the tokens of whoever makes it, but its own secret is known to nobody until then.
 *
 *     made ──redeem──► redeemed
 *       └──time──► expired          (both answer the same from then on)
 *
 * Worker thread. */
#ifndef BRANCH_HANDOFF_H
#define BRANCH_HANDOFF_H

#include "registry/registry.h"
#include "token/token.h"

/* Inside a write transaction. `in` says role, name and kind; *ret_token is the token to come. Errors of
 * token_create(). */
MUST_CHECK enum err_code handoff_make(struct db *db, const struct actor *by, struct arena *a,
    const struct registry_entry *branch, const struct token_new *in, int64_t ttl_s, struct secret *ret_secret,
    int64_t *ret_expires_at, struct err *err);

/* Inside a write transaction. ERR_NOT_FOUND it is none, was redeemed, or its time or its branch's is over. */
MUST_CHECK enum err_code handoff_redeem(struct db *db, const struct actor *by, struct arena *a,
    struct str secret, struct token *ret, struct secret *ret_secret, struct registry_entry *ret_branch,
    struct err *err);

/* Forgets those whose time is over, LIMIT_PURGE_ROWS at most; sets *more when that was not all. Opens its own
 * transaction. */
MUST_CHECK enum err_code handoff_purge(struct db *db, bool *more, struct err *err);

#endif
