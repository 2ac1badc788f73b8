/* What the files of this folder share. */
#ifndef TOKEN_TOKEN_INTERNAL_H
#define TOKEN_TOKEN_INTERNAL_H

#include "token/token.h"

#define TOKEN_SQL_TABLES "SELECT table_name FROM token_table WHERE token_id = ?1 ORDER BY table_name"

/* The rules that need no database. */
MUST_CHECK enum err_code token_check_new(const struct token_new *in, struct err *err);
/* Claims in their one spelling, arena memory; "" for none and for {}. */
MUST_CHECK enum err_code token_check_claims(
    struct arena *a, struct str json, struct str *ret, struct err *err);

/* One row with its tables and addresses. ERR_NOT_FOUND. */
MUST_CHECK enum err_code token_get(
    struct db *db, struct arena *a, struct str id, struct token *ret, struct err *err);
void token_hash_hex(struct str secret, struct strbuf *out); /* initialises *out */

/* --- token_networks.c --- */

/* Checks each and gives the text that is stored; ptr NULL when there is none. Arena memory. ERR_INVALID names
 * the place. */
MUST_CHECK enum err_code token_networks_join(
    struct arena *a, const struct str *texts, size_t count, struct str *ret_stored, struct err *err);
size_t token_networks_count(struct str stored);
/* `ret` has room for that many. */
void token_networks_read(struct str stored, struct network *ret);
/* As texts. Arena memory; *ret_count stays 0 when it is used up. */
void token_networks_split(struct arena *a, struct str stored, const struct str **ret, size_t *ret_count);

/* --- token_store.c --- */

/* `by` was given a secret of the token: whoever stands behind that counts as who asks with it, for good. */
MUST_CHECK enum err_code token_note_people(
    struct db *db, const struct actor *by, struct str id, struct err *err);

/* --- token_within.c --- */

/* What `by` may hand on, when it is a token. */
struct token_reach {
    enum wire_role role;
    struct id namespace_id, database_id; /* database_id "": every database */
    bool branches_only;
    bool has_table_scope;
    const struct str *tables;
    size_t table_count;
    int64_t expires_at; /* 0 never */
    const struct str *addresses;
    size_t address_count;
    struct str claims; /* in their one spelling, "" none */
};

/* ERR_OK when `by` is no token. Else the token of `by` must be alive (ERR_UNAUTHORIZED) and reach as far as
 * `wanted` (ERR_FORBIDDEN names the field). Where `inherits`, what *wanted leaves open in time, addresses
 * and claims is filled from it first. Inside a write transaction. */
MUST_CHECK enum err_code token_check_within(struct db *db, const struct actor *by, struct arena *a,
    bool inherits, struct token_reach *wanted, struct err *err);

#endif
