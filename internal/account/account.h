/* Accounts: people who may sign in. Worker thread. */
#ifndef ACCOUNT_ACCOUNT_H
#define ACCOUNT_ACCOUNT_H

#include "audit/actor.h"
#include "base/arena.h"
#include "base/err.h"
#include "crypto/password.h"
#include "sqlite/db.h"

#define ACCOUNT_EMAIL_SIZE 255 /* the longest address mail can carry is 254 bytes */
#define ACCOUNT_NAME_SIZE  201 /* LIMIT_NAME_BYTES and a terminator */

struct account {
    struct id id; /* "usr_…" */
    char email[ACCOUNT_EMAIL_SIZE];
    char name[ACCOUNT_NAME_SIZE]; /* "" none */
    int64_t created_at;
    int64_t suspended_at, first_sign_in_at; /* 0: not */
};

struct account_new {
    struct str email, name; /* name "" none */
    const char *hash; /* what password_hash() made: that takes tens of milliseconds, so it happens before
                         the transaction */
};

/* ERR_INVALID at /email unless it looks like an address: one @, something on both sides, no white space or
 * control characters. */
MUST_CHECK enum err_code account_check_email(struct str email, struct err *err);
/* What addresses are compared by: ASCII letters in lower case. `email` was checked. Points into `out`. */
struct str account_email_key(struct str email, char out[ACCOUNT_EMAIL_SIZE]);

/* Inside a write transaction. ERR_INVALID at /email or /name, ERR_CONFLICT the address has an account. */
MUST_CHECK enum err_code account_create(struct db *db, const struct actor *by, const struct account_new *in,
    struct account *ret, struct err *err);
/* The same for strangers: an address that has an account is left alone, which the caller learns no more than
 * the clock shows, because a row is written either way. */
MUST_CHECK enum err_code account_sign_up(
    struct db *db, const struct actor *by, const struct account_new *in, struct err *err);

MUST_CHECK enum err_code account_get(struct db *db, struct str email, struct account *ret, struct err *err);
MUST_CHECK enum err_code account_get_by_id(
    struct db *db, const struct id *id, struct account *ret, struct err *err);
/* ERR_NOT_FOUND no such account. */
MUST_CHECK enum err_code account_get_hash(
    struct db *db, const struct id *id, char ret_hash[PASSWORD_HASH_MAX], struct err *err);
/* All of them in the order of their creation; a command for the operator. Arena memory. */
MUST_CHECK enum err_code account_list(
    struct db *db, struct arena *a, struct account **ret, size_t *ret_count, struct err *err);

/* Inside a write transaction, these four. ERR_NOT_FOUND no such account. */
/* `changed` false: the same password under new parameters, which is nobody's doing. */
MUST_CHECK enum err_code account_set_hash(struct db *db, const struct actor *by, const struct id *id,
    const char *hash, bool changed, struct err *err);
MUST_CHECK enum err_code account_note_sign_in(struct db *db, const struct id *id, struct err *err);
/* Ends its sessions as well. Doing it again is fine and keeps the first time. */
MUST_CHECK enum err_code account_suspend(
    struct db *db, const struct actor *by, const struct id *id, bool suspended, struct err *err);
/* Leaves every namespace (tenant_leave_all says when that is refused) and ends its sessions. */
MUST_CHECK enum err_code account_delete(
    struct db *db, const struct actor *by, const struct id *id, struct err *err);

#endif
