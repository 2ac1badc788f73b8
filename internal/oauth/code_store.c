/* Authorization codes in control.db. */
#include "base/check.h"
#include "base/clock.h"
#include "base/limits.h"
#include "oauth/access_internal.h"
#include "oauth/oauth_internal.h"

#define SQL_INSERT                                                                                           \
    "INSERT INTO oauth_code(hash, grant_id, redirect_uri, challenge, scope, resource, nonce, auth_time, "    \
    "expires_at) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)"
#define SQL_FIND                                                                                             \
    "SELECT k.redirect_uri, k.challenge, k.resource, k.nonce, k.expires_at, k.used_at, k.family_id,"         \
    " k.scope, k.auth_time, g.client_id, g.withdrawn_at, a.suspended_at, k.grant_id"                         \
    " FROM oauth_code k JOIN oauth_grant g ON g.id = k.grant_id JOIN account a ON a.id = g.account_id"       \
    " WHERE k.hash = ?1"
/* The one place that decides who came first. */
#define SQL_USE "UPDATE oauth_code SET used_at = ?2, family_id = ?3 WHERE hash = ?1 AND used_at IS NULL"

enum err_code code_create(struct db *db, const struct code_new *in, struct secret *ret_code, struct err *err)
{
    char hex[OAUTH_HEX_SIZE], scope[SCOPE_TEXT_MAX];

    CHECK(tx_is_write(db));
    token_generate(TOKEN_CODE, ret_code);
    oauth_hex(secret_reveal(ret_code), hex);
    return db_exec(db, SQL_INSERT,
        DB_ARGS(db_text(str_of(hex)), db_text(id_str(&in->grant_id)), db_text(in->redirect_uri),
            db_text(in->challenge), db_text(scope_write(in->scope, scope)), db_text(in->resource),
            db_text(in->nonce), db_int(in->auth_time), db_int(clock_wall_ms() + LIMIT_OAUTH_CODE_MS)),
        err);
}

struct code_row {
    bool expired, used, gone, foreign, wrong_redirect, wrong_verifier, wrong_resource;
    struct id old_family, grant_id;
    unsigned scope;
    int64_t auth_time;
    char resource[RESOURCE_BYTES_MAX + 1], nonce[NONCE_BYTES_MAX + 1];
};

/* A client that sent a challenge must prove it; one that sent none has nothing to send. */
static bool verifier_fits(const struct db_stmt *st, struct str verifier)
{
    if (db_col_is_null(st, 1))
        return !verifier.ptr;
    return verifier.ptr && pkce_verifier_valid(verifier) && pkce_matches(db_col_text(st, 1), verifier);
}

static void judge(const struct db_stmt *st, const struct code_use *use, struct code_row *ret)
{
    bool known = scope_parse(db_col_text(st, 7), &ret->scope);

    CHECK(known); /* we wrote it */
    ret->wrong_redirect = !str_eq(db_col_text(st, 0), use->redirect_uri);
    ret->wrong_verifier = !verifier_fits(st, use->verifier);
    ret->wrong_resource =
        use->resource.ptr && !db_col_is_null(st, 2) && !str_eq(db_col_text(st, 2), use->resource);
    ret->expired = db_col_int(st, 4) <= clock_wall_ms();
    ret->used = !db_col_is_null(st, 5);
    ret->foreign = !str_eq(db_col_text(st, 9), id_str(&use->client->id));
    ret->gone = !db_col_is_null(st, 10) || !db_col_is_null(st, 11);
    ret->auth_time = db_col_int(st, 8);
    DB_COL_COPY(st, 2, ret->resource);
    DB_COL_COPY(st, 3, ret->nonce);
    DB_COL_COPY(st, 6, ret->old_family.text);
    DB_COL_COPY(st, 12, ret->grant_id.text);
}

static enum err_code find(
    struct db *db, const char *hex, const struct code_use *use, struct code_row *ret, struct err *err)
{
    AUTO_STMT st = DB_STMT_INIT;
    enum err_code code = db_query_one(db, SQL_FIND, DB_ARGS(db_text(str_of(hex))), &st, err);

    if (!code)
        judge(&st, use, ret);
    return code;
}

#define BAD_CODE "The code is unknown, expired, used, or was given for another client, address or verifier"

static enum err_code refuse(
    struct db *db, const struct actor *by, const struct code_row *row, struct refusal *no, struct err *err)
{
    enum err_code code = ERR_OK;

    if (row->used && !row->foreign)
        code = family_replayed(db, by, &row->grant_id, &row->old_family, err);
    return code ? code : oauth_refuse(no, OAUTH_INVALID_GRANT, BAD_CODE);
}

static enum err_code redeem(
    struct db *db, const char *hex, const struct code_row *row, struct family *ret, struct err *err)
{
    struct id family_id = id_new("ofa");
    enum err_code code = db_exec(db, SQL_USE,
        DB_ARGS(db_text(str_of(hex)), db_int(clock_wall_ms()), db_text(id_str(&family_id))), err);

    CHECK(code || db_changes(db) == 1); /* it was unused, and nobody else writes meanwhile */
    if (!code)
        code = family_create(
            db, &family_id, &row->grant_id, row->scope, str_of(row->resource), row->auth_time, err);
    if (!code)
        code = family_get(db, &family_id, ret, err);
    if (!code)
        memcpy(ret->nonce, row->nonce, sizeof ret->nonce);
    return code;
}

enum err_code code_redeem(struct db *db, const struct actor *by, const struct code_use *use,
    struct family *ret, struct refusal *no, struct err *err)
{
    char hex[OAUTH_HEX_SIZE];
    struct code_row row;
    struct err none = ERR_INIT;

    CHECK(tx_is_write(db));
    if (!oauth_is_kind(use->code, TOKEN_CODE))
        return oauth_refuse(no, OAUTH_INVALID_GRANT, BAD_CODE);
    oauth_hex(use->code, hex);
    enum err_code code = find(db, hex, use, &row, &none);
    if (code == ERR_NOT_FOUND)
        return oauth_refuse(no, OAUTH_INVALID_GRANT, BAD_CODE);
    if (code)
        return err_set(err, code, "%s", none.message);
    if (row.expired || row.used || row.gone || row.foreign || row.wrong_redirect || row.wrong_verifier)
        return refuse(db, by, &row, no, err);
    if (row.wrong_resource)
        return oauth_refuse(no, OAUTH_INVALID_TARGET, "The code was given for another resource");
    code = redeem(db, hex, &row, ret, err);
    return code ? code : family_audit(db, by, AUDIT_OAUTH_REDEEMED, &row.grant_id, err);
}
