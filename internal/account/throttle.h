/* Slows down guessing of passwords: each account waits longer and longer between failures, each client
 * address may fail a number of times at once and then now and then. An attempt counts as a failure from its
 * beginning, so that many at once gain nothing; success takes it back. Accounts that do not exist are counted
 * alike.
 *
 * Kept in memory alone: a restart forgets. Both tables are bounded; what was idle for longest goes first. Any
 * thread. */
#ifndef ACCOUNT_THROTTLE_H
#define ACCOUNT_THROTTLE_H

#include "base/err.h"
#include "base/str.h"

struct throttle;

struct throttle *throttle_new(void);
void throttle_free(struct throttle *t); /* NULL is fine */

/* `address` is peer_key(), `account` any text that stands for one. ERR_RATE_LIMITED with retry_after_s:
 * nothing was counted. */
MUST_CHECK enum err_code throttle_begin(
    struct throttle *t, struct str address, struct str account, struct err *err);
/* The password was right: forgets the account's failures and gives the address its attempt back. */
void throttle_succeed(struct throttle *t, struct str address, struct str account);
/* The attempt did not take place (the server was too busy): takes it back. */
void throttle_cancel(struct throttle *t, struct str address, struct str account);

#endif
