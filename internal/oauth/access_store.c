/* Access and refresh tokens in control.db. */
#include "base/check.h"
#include "base/clock.h"
#include "base/limits.h"
#include "oauth/access_internal.h"
#include "oauth/oauth_internal.h"
#include "token/token.h"

#define SQL_INSERT                                                                                           \
    "INSERT INTO oauth_access(hash, family_id, token_id, scope, created_at, expires_at)"                     \
    " VALUES(?1, ?2, ?3, ?4, ?5, ?6)"
#define SQL_INSERT_REFRESH                                                                                   \
    "INSERT INTO oauth_refresh(hash, family_id, created_at, expires_at) VALUES(?1, ?2, ?3, ?4)"
#define SQL_FIND_REFRESH                                                                                     \
    "SELECT r.family_id, r.expires_at, r.used_at, g.client_id, a.suspended_at, f.grant_id"                   \
    " FROM oauth_refresh r JOIN oauth_family f ON f.id = r.family_id"                                        \
    " JOIN oauth_grant g ON g.id = f.grant_id JOIN account a ON a.id = g.account_id WHERE r.hash = ?1"
/* The one place that decides who came first. */
#define SQL_USE_REFRESH "UPDATE oauth_refresh SET used_at = ?2 WHERE hash = ?1 AND used_at IS NULL"
#define SQL_FIND_ACCESS                                                                                      \
    "SELECT x.family_id, x.token_id, f.grant_id FROM oauth_access x JOIN oauth_family f ON f.id = "          \
    "x.family_id JOIN oauth_grant g ON g.id = f.grant_id WHERE x.hash = ?1 AND g.client_id = ?2"
#define SQL_FIND_HOLDER                                                                                      \
    "SELECT x.family_id, f.grant_id, t.namespace_id FROM oauth_access x JOIN oauth_family f ON f.id = "      \
    "x.family_id JOIN token t ON t.id = x.token_id WHERE x.token_id = ?1"
#define SQL_REVOKE_TOKEN "UPDATE token SET revoked_at = coalesce(revoked_at, ?2) WHERE id = ?1"
#define SQL_END_ACCESS   "DELETE FROM oauth_access WHERE hash = ?1"
#define LOOK_TAIL                                                                                            \
    " JOIN oauth_family f ON f.id = x.family_id JOIN oauth_grant g ON g.id = f.grant_id"                     \
    " JOIN oauth_client c ON c.id = g.client_id JOIN account a ON a.id = g.account_id"
#define SQL_LOOK_ACCESS                                                                                      \
    "SELECT c.client_id, a.id, a.email, a.name, x.scope, f.resource, x.created_at, x.expires_at"             \
    " FROM oauth_access x" LOOK_TAIL                                                                         \
    " WHERE x.hash = ?1 AND (x.expires_at IS NULL OR x.expires_at > ?2) AND a.suspended_at IS NULL"
#define SQL_LOOK_REFRESH                                                                                     \
    "SELECT c.client_id, a.id, a.email, a.name, f.scope, f.resource, x.created_at, x.expires_at, f.id"       \
    " FROM oauth_refresh x" LOOK_TAIL                                                                        \
    " WHERE x.hash = ?1 AND x.used_at IS NULL AND x.expires_at > ?2 AND a.suspended_at IS NULL"

#define MS_PER_S 1000

/* --- Issuing --- */

/* How long an access token holds, in seconds; 0: until it is taken back, as programs expect that store it for
 * good. */
static int64_t lifetime_s(const struct client *client, bool opens_database)
{
    if (client->refreshes || !opens_database)
        return LIMIT_OAUTH_ACCESS_MS / MS_PER_S;
    return client->namespace_id.text[0] ? 0 : LIMIT_OAUTH_SELF_ACCESS_MS / MS_PER_S;
}

static enum err_code make_api_token(struct db *db, const struct actor *by, struct arena *a,
    const struct client *client, const struct family *f, int64_t expires_in_s, struct id *ret_id,
    struct secret *ret_secret, struct err *err)
{
    struct token made;
    struct token_new in = {.namespace_id = f->namespace_id,
        .name = str_of(client->name),
        .role = WIRE_ROLE_ADMIN, /* the person's own role in the namespace is the limit */
        .database_id = f->database_id,
        .expires_in_s = expires_in_s,
        .account_id = f->account_id};
    enum err_code code = token_create(db, by, a, &in, &made, ret_secret, err);

    if (!code)
        *ret_id = made.id;
    return code;
}

static enum err_code insert_access(struct db *db, const struct family *f, const struct id *token_id,
    const struct issued *made, struct err *err)
{
    char hex[OAUTH_HEX_SIZE], scope[SCOPE_TEXT_MAX];
    int64_t now = clock_wall_ms();

    oauth_hex(secret_reveal(&made->access), hex);
    return db_exec(db, SQL_INSERT,
        DB_ARGS(db_text(str_of(hex)), db_text(id_str(&f->id)),
            token_id->text[0] ? db_text(id_str(token_id)) : db_null(),
            db_text(scope_write(made->scope, scope)), db_int(now),
            db_int_or_null(made->expires_in_s ? now + made->expires_in_s * MS_PER_S : 0)),
        err);
}

static enum err_code insert_refresh(
    struct db *db, const struct family *f, struct secret *ret, struct err *err)
{
    char hex[OAUTH_HEX_SIZE];
    int64_t now = clock_wall_ms();

    token_generate(TOKEN_REFRESH, ret);
    oauth_hex(secret_reveal(ret), hex);
    return db_exec(db, SQL_INSERT_REFRESH,
        DB_ARGS(
            db_text(str_of(hex)), db_text(id_str(&f->id)), db_int(now), db_int(now + LIMIT_OAUTH_REFRESH_MS)),
        err);
}

static enum err_code check_database(unsigned scope, const struct family *f, struct refusal *no)
{
    if ((scope & SCOPE_DATABASE) && !f->database_id.text[0])
        return oauth_refuse(
            no, OAUTH_INVALID_GRANT, "The database that was given is gone, or the person has left it");
    return ERR_OK;
}

static enum err_code issue(struct db *db, const struct actor *by, struct arena *a,
    const struct client *client, const struct family *f, unsigned scope, struct issued *ret, struct err *err)
{
    struct id token_id = {""};
    enum err_code code = ERR_OK;
    bool opens_database = scope & SCOPE_DATABASE;

    ret->scope = scope;
    ret->expires_in_s = lifetime_s(client, opens_database);
    if (opens_database)
        code = make_api_token(db, by, a, client, f, ret->expires_in_s, &token_id, &ret->access, err);
    else
        token_generate(TOKEN_ACCESS, &ret->access);
    if (!code)
        code = insert_access(db, f, &token_id, ret, err);
    if (!code && client->refreshes)
        code = insert_refresh(db, f, &ret->refresh, err);
    return code;
}

enum err_code access_issue(struct db *db, const struct actor *by, struct arena *a,
    const struct client *client, const struct family *family, struct issued *ret, struct refusal *no,
    struct err *err)
{
    enum err_code code = check_database(family->scope, family, no);

    CHECK(tx_is_write(db));
    return code || no->error ? code : issue(db, by, a, client, family, family->scope, ret, err);
}

/* --- Refreshing --- */

struct refresh_row {
    struct id family_id, grant_id;
    bool expired, used, foreign, suspended;
};

static enum err_code find_refresh(
    struct db *db, const char *hex, const struct client *client, struct refresh_row *ret, struct err *err)
{
    AUTO_STMT st = DB_STMT_INIT;
    enum err_code code = db_query_one(db, SQL_FIND_REFRESH, DB_ARGS(db_text(str_of(hex))), &st, err);

    if (code)
        return code;
    *ret = (struct refresh_row){.expired = true};
    DB_COL_COPY(&st, 0, ret->family_id.text);
    ret->expired = db_col_int(&st, 1) <= clock_wall_ms();
    ret->used = !db_col_is_null(&st, 2);
    ret->foreign = !str_eq(db_col_text(&st, 3), id_str(&client->id));
    ret->suspended = !db_col_is_null(&st, 4);
    DB_COL_COPY(&st, 5, ret->grant_id.text);
    return ERR_OK;
}

#define BAD_REFRESH "The refresh token is unknown, expired, used or of another client"

/* What may be asked for: a part of what was given, for the same resource. */
static enum err_code check_asked(const struct refresh_use *use, const struct family *f, struct refusal *no)
{
    if (use->has_scope && ((use->scope & ~f->scope) || !use->scope))
        return oauth_refuse(no, OAUTH_INVALID_SCOPE, "The scope is more than was given");
    if (use->resource.ptr && f->resource[0] && !str_eq(use->resource, str_of(f->resource)))
        return oauth_refuse(no, OAUTH_INVALID_TARGET, "The token was given for another resource");
    return check_database(use->has_scope ? use->scope : f->scope, f, no);
}

static enum err_code rotate(struct db *db, const struct actor *by, struct arena *a, const char *hex,
    const struct refresh_use *use, const struct family *f, struct issued *ret, struct err *err)
{
    enum err_code code =
        db_exec(db, SQL_USE_REFRESH, DB_ARGS(db_text(str_of(hex)), db_int(clock_wall_ms())), err);

    CHECK(code || db_changes(db) == 1); /* it was unused, and nobody else writes meanwhile */
    if (!code)
        code = issue(db, by, a, use->client, f, use->has_scope ? use->scope : f->scope, ret, err);
    return code ? code : family_audit(db, by, AUDIT_OAUTH_REFRESHED, &f->grant_id, err);
}

enum err_code access_refresh(struct db *db, const struct actor *by, struct arena *a,
    const struct refresh_use *use, struct family *ret_family, struct issued *ret, struct refusal *no,
    struct err *err)
{
    char hex[OAUTH_HEX_SIZE];
    struct refresh_row row;
    struct err none = ERR_INIT;

    CHECK(tx_is_write(db));
    if (!oauth_is_kind(use->token, TOKEN_REFRESH))
        return oauth_refuse(no, OAUTH_INVALID_GRANT, BAD_REFRESH);
    oauth_hex(use->token, hex);
    enum err_code code = find_refresh(db, hex, use->client, &row, &none);
    if (code && code != ERR_NOT_FOUND)
        return err_set(err, code, "%s", none.message);
    if (!code && row.used && !row.foreign)
        code = family_replayed(db, by, &row.grant_id, &row.family_id, err);
    else if (!code && !row.used && !row.foreign && !row.expired && !row.suspended)
        goto good;
    return code && code != ERR_NOT_FOUND ? code : oauth_refuse(no, OAUTH_INVALID_GRANT, BAD_REFRESH);

good:
    code = family_get(db, &row.family_id, ret_family, err);
    if (!code)
        code = check_asked(use, ret_family, no);
    return code || no->error ? code : rotate(db, by, a, hex, use, ret_family, ret, err);
}

/* --- Giving back --- */

static enum err_code revoke_access(
    struct db *db, const struct actor *by, const struct client *client, const char *hex, struct err *err)
{
    AUTO_STMT st = DB_STMT_INIT;
    struct id token_id = {.text = ""}, grant_id = {.text = ""};
    enum err_code code = db_query_one(
        db, SQL_FIND_ACCESS, DB_ARGS(db_text(str_of(hex)), db_text(id_str(&client->id))), &st, NULL);

    if (code)
        return code == ERR_NOT_FOUND ? ERR_OK : err_set(err, code, "The token could not be looked up");
    DB_COL_COPY(&st, 1, token_id.text);
    DB_COL_COPY(&st, 2, grant_id.text);
    db_stmt_release(&st);
    tx_announce(db);
    if (token_id.text[0])
        code =
            db_exec(db, SQL_REVOKE_TOKEN, DB_ARGS(db_text(id_str(&token_id)), db_int(clock_wall_ms())), err);
    if (!code)
        code = db_exec(db, SQL_END_ACCESS, DB_ARGS(db_text(str_of(hex))), err);
    return code ? code : family_audit(db, by, AUDIT_OAUTH_REVOKED, &grant_id, err);
}

static enum err_code revoke_refresh(
    struct db *db, const struct actor *by, const struct client *client, const char *hex, struct err *err)
{
    struct refresh_row row;
    enum err_code code = find_refresh(db, hex, client, &row, NULL);

    if (code == ERR_NOT_FOUND || (!code && row.foreign))
        return ERR_OK;
    if (code)
        return err_set(err, code, "The token could not be looked up");
    code = family_end(db, &row.family_id, err);
    return code ? code : family_audit(db, by, AUDIT_OAUTH_REVOKED, &row.grant_id, err);
}

enum err_code access_revoke(
    struct db *db, const struct actor *by, const struct client *client, struct str token, struct err *err)
{
    char hex[OAUTH_HEX_SIZE];

    CHECK(tx_is_write(db));
    oauth_hex(token, hex);
    return oauth_is_kind(token, TOKEN_REFRESH) ? revoke_refresh(db, by, client, hex, err)
                                               : revoke_access(db, by, client, hex, err);
}

static enum err_code end_holder(struct db *db, const struct actor *by, struct str token_id, struct err *err)
{
    AUTO_STMT st = DB_STMT_INIT;
    struct id family_id = {.text = ""}, grant_id = {.text = ""}, namespace_id = {.text = ""};
    struct err none = ERR_INIT;
    enum err_code code = db_query_one(db, SQL_FIND_HOLDER, DB_ARGS(db_text(token_id)), &st, &none);

    if (code)
        return code == ERR_NOT_FOUND ? ERR_OK : err_set(err, code, "%s", none.message);
    DB_COL_COPY(&st, 0, family_id.text);
    DB_COL_COPY(&st, 1, grant_id.text);
    DB_COL_COPY(&st, 2, namespace_id.text);
    db_stmt_release(&st);
    code = family_end(db, &family_id, err);
    return code ? code
                : audit_append(db,
                      &(struct audit_event){.by = by,
                          .action = AUDIT_OAUTH_ENDED,
                          .namespace_id = &namespace_id,
                          .target_id = id_str(&grant_id),
                          .before = AUDIT_VALUES(audit_text("tokenId", token_id))},
                      err);
}

enum err_code access_revoke_token(struct db *db, const struct actor *by, const struct id *namespace_id,
    struct str token_id, struct err *err)
{
    enum err_code code = token_revoke(db, by, namespace_id, token_id, err);
    return code ? code : end_holder(db, by, token_id, err);
}

/* --- Looking --- */

/* Whether every route would take it; it also is an API token. */
static enum err_code check_bearer(struct db *db, struct str token, struct err *err)
{
    struct digest hash;
    struct identity *who = NULL;
    enum err_code code = token_parse(token, &hash, err);

    if (!code)
        code = token_lookup(db, &hash, &who, err);
    identity_free(who);
    return code == ERR_UNAUTHORIZED ? ERR_NOT_FOUND : code;
}

/* Whether all that it was given for can still be had. */
static enum err_code check_refresh(struct db *db, const struct db_stmt *st, struct err *err)
{
    struct id family_id = {.text = ""};
    struct family f;

    DB_COL_COPY(st, 8, family_id.text);
    enum err_code code = family_get(db, &family_id, &f, err);
    return !code && (f.scope & SCOPE_DATABASE) && !f.database_id.text[0] ? ERR_NOT_FOUND : code;
}

static enum err_code find_info(struct db *db, struct str token, struct db_stmt *st, struct err *err)
{
    char hex[OAUTH_HEX_SIZE];
    enum err_code code = ERR_OK;

    oauth_hex(token, hex);
    const struct db_value *args = DB_ARGS(db_text(str_of(hex)), db_int(clock_wall_ms()));
    if (oauth_is_kind(token, TOKEN_REFRESH)) {
        code = db_query_one(db, SQL_LOOK_REFRESH, args, st, err);
        return code ? code : check_refresh(db, st, err);
    }
    if (oauth_is_kind(token, TOKEN_LIVE))
        code = check_bearer(db, token, err);
    else if (!oauth_is_kind(token, TOKEN_ACCESS))
        code = ERR_NOT_FOUND;
    return code ? code : db_query_one(db, SQL_LOOK_ACCESS, args, st, err);
}

static void map_info(const struct db_stmt *st, struct access_info *ret)
{
    DB_COL_COPY(st, 0, ret->client_id);
    DB_COL_COPY(st, 1, ret->account_id.text);
    DB_COL_COPY(st, 2, ret->email);
    DB_COL_COPY(st, 3, ret->name);
    bool known = scope_parse(db_col_text(st, 4), &ret->scope);
    CHECK(known); /* we wrote it */
    DB_COL_COPY(st, 5, ret->resource);
    ret->created_at = db_col_int(st, 6);
    ret->expires_at = db_col_int(st, 7);
}

enum err_code access_look(struct db *db, struct str token, struct access_info *ret, struct err *err)
{
    AUTO_STMT st = DB_STMT_INIT;
    struct err local = ERR_INIT;
    enum err_code code = find_info(db, token, &st, &local);

    if (code == ERR_NOT_FOUND)
        return err_set(err, code, "The token is unknown, expired or revoked");
    if (code)
        return err_set(err, code, "%s", local.message);
    ret->refresh = oauth_is_kind(token, TOKEN_REFRESH);
    map_info(&st, ret);
    return ERR_OK;
}
