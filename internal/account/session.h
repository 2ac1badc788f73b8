/* Sessions: a person who signed in, until signing out, half an hour without a request, or twelve hours after
 * all (policy/limits.def). The cookie holds an opaque secret of 256 random bits; SHA-256 of it is stored.
 * Worker thread, but for the functions of struct person: any thread. */
#ifndef ACCOUNT_SESSION_H
#define ACCOUNT_SESSION_H

#include "account/account.h"
#include "base/arena.h"
#include "crypto/digest.h"
#include "crypto/secret.h"

#define SESSION_ADDRESS_SIZE 46
#define SESSION_AGENT_SIZE   201

/* Who asks, by a valid session. */
struct person {
    struct id session_id; /* "ses_…" */
    struct account account;
    int64_t started_at, seen_at, expires_at;
    int64_t confirmed_at; /* the password was last given */
};

bool person_expired(const struct person *p, int64_t now_ms);
/* Whether the password was given within LIMIT_CONFIRM_MS. */
bool person_confirmed(const struct person *p, int64_t now_ms);

/* What unsafe requests of a session must carry besides its cookie: 64 hexadecimal characters that can be made
 * from the secret alone. Any thread. */
#define SESSION_CSRF_SIZE 65
void session_csrf(struct str secret, char ret[SESSION_CSRF_SIZE]);
/* Form and checksum of a cookie's secret are right: hashes it. ERR_UNAUTHORIZED. Any thread. */
MUST_CHECK enum err_code session_parse(struct str secret, struct digest *ret, struct err *err);

/* Inside a write transaction: signs the account in. Past LIMIT_SESSIONS_PER_ACCOUNT its oldest session ends.
 * `address` and `agent` are cut to what fits. */
MUST_CHECK enum err_code session_create(struct db *db, const struct actor *by, const struct id *account_id,
    struct str address, struct str agent, struct person *ret, struct secret *ret_secret, struct err *err);

/* Finds the person, and writes that the session was used when that was last written a minute ago (so the half
 * hour may be 29 minutes). Opens its own transaction. ERR_UNAUTHORIZED unknown, ended, expired, or the
 * account is suspended. */
MUST_CHECK enum err_code session_lookup(
    struct db *db, const struct digest *hash, struct person *ret, struct err *err);

/* Inside a write transaction: a new secret for the same session, whose password was just given. The old
 * secret is worth nothing from the commit on. ERR_UNAUTHORIZED it has ended meanwhile. */
MUST_CHECK enum err_code session_rotate(struct db *db, const struct actor *by, const struct id *session_id,
    struct secret *ret_secret, struct err *err);

/* The same when the person's rights changed: a secret that somebody took before does not get the new ones.
 * The password was not given. */
MUST_CHECK enum err_code session_renew(struct db *db, const struct actor *by, const struct id *session_id,
    struct secret *ret_secret, struct err *err);

/* Inside a write transaction. ERR_NOT_FOUND the account has no such session. */
MUST_CHECK enum err_code session_end(struct db *db, const struct actor *by, const struct id *account_id,
    struct str session_id, struct err *err);
/* Inside a write transaction; all but `except`, which may be NULL. */
MUST_CHECK enum err_code session_end_all(struct db *db, const struct actor *by, const struct id *account_id,
    const struct id *except, struct err *err);

struct session {
    struct id id;
    int64_t created_at, seen_at, expires_at;
    char address[SESSION_ADDRESS_SIZE];
    char agent[SESSION_AGENT_SIZE];
};
/* Those that have not expired, newest first. Arena memory. */
MUST_CHECK enum err_code session_list(struct db *db, struct arena *a, const struct id *account_id,
    struct session **ret, size_t *ret_count, struct err *err);

/* Removes rows that expired, LIMIT_PURGE_ROWS at most; sets *more when that was not all. Opens its own
 * transaction. */
MUST_CHECK enum err_code session_purge(struct db *db, bool *more, struct err *err);

#endif
