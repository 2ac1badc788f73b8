/* What programs hold: codes, access tokens, refresh tokens.
 *
 *   code ── redeemed once, within a minute ──► family ──► access token
 *                                                 └─────► refresh token ── used once ──► access and refresh
 * token …
 *
 * A family is all that one code was redeemed for. A code or a refresh token that comes a second time was
 * stolen, by the first who used it or by the second: the family ends, with every token in it.
 *
 * An access token with the scope `database` is an API token (token/token.h) that acts for the person in one
 * database, so that caches, revocation and checks are the same; any other opens the account's own data alone
 * and is no bearer of the data routes. Everything is stored as SHA-256. Worker thread. */
#ifndef OAUTH_ACCESS_H
#define OAUTH_ACCESS_H

#include "oauth/grant.h"

/* --- Codes --- */

struct code_new {
    struct id grant_id;
    struct str redirect_uri;
    struct str challenge; /* PKCE; ptr NULL none */
    unsigned scope;
    struct str resource, nonce; /* ptr NULL none */
    int64_t auth_time;          /* wall-clock ms */
};

/* Inside a write transaction. */
MUST_CHECK enum err_code code_create(
    struct db *db, const struct code_new *in, struct secret *ret_code, struct err *err);

struct code_use {
    const struct client *client; /* authenticated */
    struct str code, redirect_uri;
    struct str verifier;
    struct str
        resource; /* one of ours; a code without one may name it here (RFC 8707, 2.2). Both: ptr NULL none */
};

/* One family of tokens, and for whom. */
struct family {
    struct id id, grant_id, account_id;
    char email[255];
    unsigned scope;
    char resource[512], nonce[512]; /* "" none */
    int64_t auth_time;
    struct id database_id, namespace_id; /* "" none */
    char namespace_slug[SLUG_SIZE], database_slug[SLUG_SIZE];
};
#define NONCE_BYTES_MAX    511
#define RESOURCE_BYTES_MAX 511

/* Inside a write transaction that commits also when it is refused: invalid_grant for a code that is unknown,
 * expired, of another client, for another address or verifier, or used; a used one ends its family.
 * invalid_target: another resource. */
MUST_CHECK enum err_code code_redeem(struct db *db, const struct actor *by, const struct code_use *use,
    struct family *ret, struct refusal *no, struct err *err);

/* --- Tokens --- */

struct issued {
    struct secret access, refresh; /* refresh is empty where the client gets none */
    int64_t expires_in_s;          /* of the access token; 0: until it is taken back */
    unsigned scope;
};

/* Inside the transaction of code_redeem. invalid_grant: the database is gone. */
MUST_CHECK enum err_code access_issue(struct db *db, const struct actor *by, struct arena *a,
    const struct client *client, const struct family *family, struct issued *ret, struct refusal *no,
    struct err *err);

struct refresh_use {
    const struct client *client; /* authenticated */
    struct str token;
    bool has_scope;
    unsigned scope;      /* a part of what was given; has_scope false: all of it */
    struct str resource; /* ptr NULL none */
};

/* Inside a write transaction that commits also when it is refused. */
MUST_CHECK enum err_code access_refresh(struct db *db, const struct actor *by, struct arena *a,
    const struct refresh_use *use, struct family *ret_family, struct issued *ret, struct refusal *no,
    struct err *err);

/* Inside a write transaction: an access token ends alone, a refresh token with its family. Whatever is
 * unknown or of another client is left alone, without a word (RFC 7009). */
MUST_CHECK enum err_code access_revoke(
    struct db *db, const struct actor *by, const struct client *client, struct str token, struct err *err);

/* Inside a write transaction: token_revoke, and where a program holds that token for a person, the end of its
 * family: a refresh token would bring access back. Whoever revokes a token by its id asks for this. Errors:
 * token_revoke's. */
MUST_CHECK enum err_code access_revoke_token(struct db *db, const struct actor *by,
    const struct id *namespace_id, struct str token_id, struct err *err);

/* What a valid token of either kind says. */
struct access_info {
    bool refresh;
    char client_id[CLIENT_ID_SIZE];
    struct id account_id;
    char email[255], name[201];
    unsigned scope;
    char resource[512];             /* "" none */
    int64_t created_at, expires_at; /* expires_at 0: not */
};
/* ERR_NOT_FOUND: unknown, expired, revoked, withdrawn, or the person is suspended, or has no part in what it
 * opens any more: whatever would be refused where it is used. */
MUST_CHECK enum err_code access_look(
    struct db *db, struct str token, struct access_info *ret, struct err *err);

/* Removes what nobody can use any more, LIMIT_PURGE_ROWS of each kind at most; sets *more when that was not
 * all. Opens its own transactions. */
MUST_CHECK enum err_code access_purge(struct db *db, bool *more, struct err *err);

#endif
