/* API tokens: who may do what with a namespace's databases. A token carries a role and may be bound to one
 * database, some tables, a time and the addresses it is used from. Its secret (crypto/token.h) is shown once;
 * SHA-256 of it is stored. What a token makes reaches no further than itself. Worker thread, but token_parse
 * and the identity functions: any thread. */
#ifndef TOKEN_TOKEN_H
#define TOKEN_TOKEN_H

#include "audit/actor.h"
#include "base/arena.h"
#include "base/err.h"
#include "base/network.h"
#include "base/slug.h"
#include "crypto/token.h"
#include "sqlite/db.h"
#include "tenant/member.h"
#include "wire/wire.h"

#define TOKEN_NAME_SIZE 81 /* LIMIT_TOKEN_NAME_BYTES and a terminator */

/* What a valid token says about its bearer. One block of memory. */
struct identity {
    struct id token_id; /* "tok_…" */
    struct id namespace_id;
    char namespace_slug[SLUG_SIZE];
    enum wire_role role, given; /* `given` is its own; `role` no more than its person's */
    struct id account_id;       /* a program holds it for this person; "" nobody */
    enum member_role member;    /* of that person, where this is used; MEMBER_NONE: of nobody */
    struct id database_id;      /* "" every database of the namespace; its branches are in it */
    bool branches_only;         /* "psql_test_…": acts on no database but branches */
    int64_t expires_at;         /* 0 never */
    struct str claims;          /* a JSON object of scalars, "" none; memory of this block */
    bool has_table_scope;
    uint16_t table_count;
    uint16_t network_count;         /* 0: used from everywhere */
    const struct network *networks; /* memory of this block, as what follows */
    struct str tables[];
};

void identity_free(struct identity *who); /* NULL is fine */
bool identity_expired(const struct identity *who, int64_t now_ms);
/* Seconds that it has left, at least 1; 0: it does not end. */
int64_t identity_left_s(const struct identity *who, int64_t now_ms);
/* From now on the bearer may do what such a member may, and no more than was given. */
void identity_cap(struct identity *who, enum member_role member);
/* May it be used from here? `address` is a numeric one, "" when nobody knows. */
bool identity_admits(const struct identity *who, struct str address);

/* Claims, an object of scalars, as they are stored and sent: arena memory, "" for an empty one. ERR_INVALID
 * names the member. */
struct jsonr_value;
MUST_CHECK enum err_code token_claims_text(
    struct arena *a, const struct jsonr_value *claims, struct str *ret, struct err *err);

/* Accepts "admin", "readwrite", "readonly" and PerSQL's other spelling "write", "read". */
MUST_CHECK bool token_role_parse(struct str text, enum wire_role *ret);
const char *token_role_name(enum wire_role role); /* the first spelling */

/* "live" or "test". ERR_INVALID names /kind. */
MUST_CHECK enum err_code token_kind_parse(struct str text, bool *ret_branches_only, struct err *err);

/* Checks form and checksum, without a look at the database, and hashes. ERR_UNAUTHORIZED "Invalid token
 * format". */
MUST_CHECK enum err_code token_parse(struct str secret, struct digest *ret, struct err *err);

/* Finds the bearer. ERR_UNAUTHORIZED when the token is unknown, revoked or expired, or acts for a person who
 * is suspended or no member of the namespace any more, or is bound to a branch that is gone; where the person
 * may do less than the token, so may the bearer: at the token's database, that is. A branch may be shared
 * otherwise (tenant/share.h). *ret is the caller's (identity_free). */
MUST_CHECK enum err_code token_lookup(
    struct db *db, const struct digest *hash, struct identity **ret, struct err *err);

/* The same by its id, inside a write transaction: what a token may do that nobody shows just now. */
MUST_CHECK enum err_code token_lookup_id(
    struct db *db, struct str id, struct identity **ret, struct err *err);

struct token_new {
    struct id namespace_id;
    struct str name; /* "" takes the id */
    enum wire_role role;
    struct id database_id; /* "" no database scope */
    bool branches_only;
    bool has_table_scope;
    const struct str *tables;
    size_t table_count;
    int64_t expires_in_s;        /* 0 never */
    int64_t ends_by_ms;          /* but no later than what it is for; 0: that does not end */
    const struct str *addresses; /* as network_parse() takes them */
    size_t address_count;        /* 0: used from everywhere */
    struct str
        claims; /* JSON, "" none: {"tenant": "a"} is :auth_tenant in the policies of row-level security */
    struct id account_id;    /* a program holds it for this person (oauth/access.h); "" for nobody */
    struct id machine_id;    /* what asked for it by itself (federation/); "" nothing did */
    struct str assertion_id; /* and by which assertion; "" none */
};

struct token {
    struct id id, namespace_id;
    struct id account_id; /* a program holds it for this person; "" nobody */
    char name[TOKEN_NAME_SIZE];
    char preview[TOKEN_MASK_MAX];
    enum wire_role role;
    char namespace_slug[SLUG_SIZE];
    struct id database_id; /* "" none */
    char database_slug[SLUG_SIZE];
    char parent_slug[SLUG_SIZE]; /* where that is a branch: of what, and which; "" else */
    char ref[65];
    bool branches_only;
    bool has_table_scope;
    size_t table_count;
    const struct str *tables; /* arena memory, as `addresses` */
    const struct str *addresses;
    size_t address_count;
    struct str claims;                                        /* JSON, "" none; arena memory */
    int64_t created_at, expires_at, last_used_at, revoked_at; /* 0: not */
    int64_t overlap_ends_at; /* until then the secret before the last rotation is good; 0: it is not */
};

/* Inside a write transaction. ERR_INVALID names the field (/name, /tableScope/2, /expiresIn,
 * /allowedAddresses/0, /claims/tenant); ERR_FORBIDDEN too, where `by` is a token that does not reach as far
 * itself. What is left out of expiry, addresses and claims is then the maker's own. ERR_CONFLICT: the
 * namespace has as many as it may. `a` holds ret->tables. */
MUST_CHECK enum err_code token_create(struct db *db, const struct actor *by, struct arena *a,
    const struct token_new *in, struct token *ret, struct secret *ret_secret, struct err *err);

/* The same refusals for one that is to be made later. Its database may be left out until there is one. */
MUST_CHECK enum err_code token_check_create(
    struct db *db, const struct actor *by, struct arena *a, const struct token_new *in, struct err *err);

/* Newest first; `namespace_slug` "" lists every namespace. `with_revoked` includes those that are revoked.
 * Arena memory. */
MUST_CHECK enum err_code token_list(struct db *db, struct arena *a, struct str namespace_slug,
    bool with_revoked, struct token **ret, size_t *ret_count, struct err *err);

/* A page of a namespace's tokens, newest first: those before `after` ("" the newest), at most `limit`. Arena
 * memory. */
MUST_CHECK enum err_code token_page(struct db *db, struct arena *a, const struct id *namespace_id,
    bool with_revoked, struct str after, int64_t limit, struct token **ret, size_t *ret_count,
    struct err *err);

/* Inside a write transaction: a new secret for the same token. The old one stays good for `overlap_s` seconds
 * more, and no longer than the token; one that was rotated out before ends at once, so there are never three.
 * `namespace_id` NULL: whichever it belongs to. ERR_NOT_FOUND no such token there, ERR_CONFLICT it is revoked
 * or expired, or a program holds it, ERR_INVALID /overlap, ERR_FORBIDDEN `by` is a token that does not reach
 * as far. */
MUST_CHECK enum err_code token_rotate(struct db *db, const struct actor *by, struct arena *a,
    const struct id *namespace_id, struct str token_id, int64_t overlap_s, struct token *ret,
    struct secret *ret_secret, struct err *err);

/* Of a token that no program holds; else access_revoke_token (oauth/access.h).
 * Inside a write transaction. Revoking again is fine and keeps the first time. `namespace_id` NULL: whichever
 * it belongs to. ERR_NOT_FOUND no such token there. */
MUST_CHECK enum err_code token_revoke(struct db *db, const struct actor *by, const struct id *namespace_id,
    struct str token_id, struct err *err);

/* Inside a write transaction, for what outlasts every token: ERR_OK unless `by` is a token that has a limit
 * of its own (role, database, tables, expiry, addresses, claims) or acts for a person. ERR_FORBIDDEN says
 * what would pass. */
MUST_CHECK enum err_code token_require_whole(
    struct db *db, const struct actor *by, struct arena *a, const struct id *namespace_id, struct err *err);

/* Inside a write transaction: ends all that this machine was given. Its caller writes the audit row. */
MUST_CHECK enum err_code token_revoke_machine(
    struct db *db, struct str machine_id, int64_t *ret_count, struct err *err);
/* The same of what was exchanged for one assertion. */
MUST_CHECK enum err_code token_revoke_assertion(
    struct db *db, struct str assertion_id, int64_t *ret_count, struct err *err);
/* How many it was given since `since_ms`. */
MUST_CHECK enum err_code token_count_machine(
    struct db *db, struct str machine_id, int64_t since_ms, int64_t *ret, struct err *err);

/* Removes what expired or was revoked more than LIMIT_TOKEN_KEPT_MS ago, LIMIT_PURGE_ROWS at most,
 * and sets *more when that was not all; nothing that a program holds (oauth/access.h does). The audit log
 * keeps what happened to it. Opens its own transaction. */
MUST_CHECK enum err_code token_purge(struct db *db, bool *more, struct err *err);

/* Remembers a use, never backwards. Inside a write transaction; the server gathers uses and writes them now
 * and then. */
MUST_CHECK enum err_code token_touch(struct db *db, struct str token_id, int64_t used_at, struct err *err);

#endif
