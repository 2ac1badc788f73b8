/* Clients: programs that may ask people for access. They are made in the console and belong to a namespace,
 * or register themselves (RFC 7591) and belong to nobody. Public ones have no secret and prove themselves by
 * PKCE and by where they are sent back to. Worker thread. */
#ifndef OAUTH_CLIENT_H
#define OAUTH_CLIENT_H

#include "audit/actor.h"
#include "base/arena.h"
#include "crypto/jose_key.h"
#include "crypto/secret.h"
#include "oauth/oauth.h"
#include "sqlite/db.h"

#define CLIENT_ID_SIZE       48
#define CLIENT_NAME_SIZE     81
#define CLIENT_REDIRECTS_MAX 20

enum client_auth { CLIENT_NONE, CLIENT_BASIC, CLIENT_POST, CLIENT_AUTH_COUNT };
enum client_database { CLIENT_PROVISIONS, CLIENT_CONNECTS };

const char *client_auth_name(enum client_auth auth); /* "client_secret_basic" */
MUST_CHECK bool client_auth_parse(struct str text, enum client_auth *ret);
const char *client_database_name(enum client_database mode); /* "provision" */
MUST_CHECK bool client_database_parse(struct str text, enum client_database *ret);

struct client {
    struct id id;           /* "oc_…" */
    struct id namespace_id; /* "" registered itself */
    char client_id[CLIENT_ID_SIZE];
    char name[CLIENT_NAME_SIZE];
    enum client_auth auth;
    bool refreshes;     /* is given refresh tokens, and access for an hour */
    bool pkce_required; /* false: a confidential client that cannot */
    enum client_database database_mode;
    enum jose_alg id_token_alg;
    int64_t created_at;
};

struct client_new {
    struct id namespace_id; /* "" none */
    struct str name;
    enum client_auth auth;
    bool refreshes, pkce_optional;
    enum client_database database_mode;
    enum jose_alg id_token_alg;
    const struct str *redirects, *logout_redirects;
    size_t redirect_count, logout_redirect_count;
};

/* Inside a write transaction. *ret_secret is empty for a public client, and shown once otherwise. Refused: a
 * name that is empty, too long or no plain text, redirect addresses that redirect_check() refuses, none or
 * too many of them, more clients without a namespace in an hour than LIMIT_OAUTH_REGISTRATIONS, of
 * one address LIMIT_OAUTH_REGISTRATIONS_OF_ADDRESS. */
MUST_CHECK enum err_code client_create(struct db *db, const struct actor *by, const struct client_new *in,
    struct client *ret, struct secret *ret_secret, struct refusal *no, struct err *err);

/* By what it calls itself. ERR_NOT_FOUND. */
MUST_CHECK enum err_code client_get(struct db *db, struct str client_id, struct client *ret, struct err *err);
/* By its id in a namespace. ERR_NOT_FOUND. */
MUST_CHECK enum err_code client_get_in(
    struct db *db, const struct id *namespace_id, struct str id, struct client *ret, struct err *err);
/* Oldest first. Arena memory. */
MUST_CHECK enum err_code client_list(struct db *db, struct arena *a, const struct id *namespace_id,
    struct client **ret, size_t *ret_count, struct err *err);

/* Who asks at the token endpoint: `secret` ptr NULL none. Refused with invalid_client, in the same words and
 * after the same work whatever is wrong. */
MUST_CHECK enum err_code client_authenticate(struct db *db, struct str client_id, struct str secret,
    struct client *ret, struct refusal *no, struct err *err);

/* Whether one of the client's addresses of that kind equals `given` (redirect_matches). */
MUST_CHECK enum err_code client_allows_redirect(
    struct db *db, const struct client *c, bool logout, struct str given, bool *ret, struct err *err);
/* Arena memory. */
MUST_CHECK enum err_code client_redirects(struct db *db, struct arena *a, const struct client *c, bool logout,
    struct str **ret, size_t *ret_count, struct err *err);

/* Inside a write transaction, these three, for clients of a namespace. */
struct client_change {
    struct str name;             /* ptr NULL: as it is */
    const struct str *redirects; /* NULL: as they are */
    size_t redirect_count;
};
MUST_CHECK enum err_code client_change(struct db *db, const struct actor *by, const struct client *c,
    const struct client_change *to, struct client *ret, struct refusal *no, struct err *err);
/* The old secret is worth nothing from the commit on. Confidential clients alone. */
MUST_CHECK enum err_code client_rotate_secret(struct db *db, const struct actor *by, const struct client *c,
    struct secret *ret_secret, struct err *err);
/* Ends everything that people gave it. */
MUST_CHECK enum err_code client_delete(
    struct db *db, const struct actor *by, const struct client *c, struct err *err);

#endif
