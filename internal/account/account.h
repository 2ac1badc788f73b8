/* Accounts: people who may sign in. Worker thread. */
#ifndef ACCOUNT_ACCOUNT_H
#define ACCOUNT_ACCOUNT_H

#include "audit/actor.h"
#include "base/err.h"
#include "sqlite/db.h"

#define ACCOUNT_EMAIL_SIZE 255 /* the longest address mail can carry is 254 bytes */

struct account {
    struct id id; /* "usr_…" */
    char email[ACCOUNT_EMAIL_SIZE];
    int64_t created_at;
};

/* ERR_INVALID unless it looks like an address: one @, something on both sides, no white space or control
 * characters. */
MUST_CHECK enum err_code account_check_email(struct str email, struct err *err);

/* `hash` is what password_hash() made: that takes tens of milliseconds, so it happens before the transaction.
 * Inside a write transaction. Addresses are compared without regard to case. ERR_CONFLICT the address has an
 * account. */
MUST_CHECK enum err_code account_create(struct db *db, const struct actor *by, struct str email,
    const char *hash, struct account *ret, struct err *err);
MUST_CHECK enum err_code account_get(struct db *db, struct str email, struct account *ret, struct err *err);

#endif
