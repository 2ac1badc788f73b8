/* Clients in control.db. */
#include "base/check.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/rand.h"
#include "base/enc.h"
#include "oauth/client_internal.h"
#include "oauth/oauth_internal.h"

#define SQL_INSERT                                                                                           \
    "INSERT INTO oauth_client(id, client_id, namespace_id, name, auth_method, secret_hash, refreshes, "      \
    "pkce_required, database_mode, id_token_alg, created_at)"                                                \
    " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)"
#define SQL_INSERT_REDIRECT "INSERT INTO oauth_redirect(client_id, kind, uri) VALUES(?1, ?2, ?3)"
#define SQL_DROP_REDIRECTS  "DELETE FROM oauth_redirect WHERE client_id = ?1 AND kind = 'login'"
#define CLIENT_COLUMNS                                                                                       \
    "SELECT id, namespace_id, client_id, name, auth_method, refreshes, pkce_required, database_mode, "       \
    "id_token_alg, created_at, secret_hash FROM oauth_client"
/* None whose namespace is deleted, also while that can still come back. */
#define SQL_GET                                                                                              \
    CLIENT_COLUMNS " WHERE client_id = ?1 AND NOT EXISTS"                                                    \
                   " (SELECT 1 FROM namespace n WHERE n.id = namespace_id AND n.deleted_at IS NOT NULL)"
#define SQL_GET_IN CLIENT_COLUMNS " WHERE id = ?1 AND namespace_id = ?2"
#define SQL_LIST   CLIENT_COLUMNS " WHERE namespace_id = ?1 ORDER BY id LIMIT ?2"
#define SQL_COUNT  "SELECT count(*) FROM oauth_client WHERE namespace_id = ?1"
#define SQL_RECENT "SELECT count(*) FROM oauth_client WHERE namespace_id IS NULL AND created_at > ?1"
#define SQL_RECENT_OF                                                                                        \
    "SELECT count(*) FROM audit WHERE chain = 'server' AND action = 'oauth_client.registered'"               \
    " AND created_at > ?1 AND coalesce(address, '') = ?2"
#define SQL_REDIRECTS  "SELECT uri FROM oauth_redirect WHERE client_id = ?1 AND kind = ?2 ORDER BY uri"
#define SQL_SET_NAME   "UPDATE oauth_client SET name = ?2 WHERE id = ?1"
#define SQL_SET_SECRET "UPDATE oauth_client SET secret_hash = ?2 WHERE id = ?1 AND secret_hash IS NOT NULL"
#define SQL_DELETE     "DELETE FROM oauth_client WHERE id = ?1"
#define SQL_REVOKE_TOKENS                                                                                    \
    "UPDATE token SET revoked_at = ?2 WHERE revoked_at IS NULL AND id IN (SELECT a.token_id FROM "           \
    "oauth_access a"                                                                                         \
    " JOIN oauth_family f ON f.id = a.family_id JOIN oauth_grant g ON g.id = f.grant_id WHERE g.client_id "  \
    "= ?1)"

#define CLIENT_ID_PREFIX "psqlrp_s00_"
#define MS_PER_HOUR      3600000

enum { RANDOM_BYTES = 16, RANDOM_CHARS = 22 };

static void map_client(const struct db_stmt *st, struct client *ret)
{
    bool known;

    DB_COL_COPY(st, 0, ret->id.text);
    DB_COL_COPY(st, 1, ret->namespace_id.text);
    DB_COL_COPY(st, 2, ret->client_id);
    DB_COL_COPY(st, 3, ret->name);
    known = client_auth_parse(db_col_text(st, 4), &ret->auth);
    ret->refreshes = db_col_int(st, 5) != 0;
    ret->pkce_required = db_col_int(st, 6) != 0;
    known = client_database_parse(db_col_text(st, 7), &ret->database_mode) && known;
    known = jose_alg_parse(db_col_text(st, 8), &ret->id_token_alg) && known;
    CHECK(known); /* the table's own CHECKs */
    ret->created_at = db_col_int(st, 9);
}

/* --- Making --- */

static void make_client_id(char out[CLIENT_ID_SIZE])
{
    unsigned char random[RANDOM_BYTES];
    AUTO_STRBUF text;

    strbuf_init(&text, CLIENT_ID_SIZE - 1);
    strbuf_add_cstr(&text, CLIENT_ID_PREFIX);
    rand_bytes(random, sizeof random);
    enc_base62(&text, random, sizeof random, RANDOM_CHARS);
    CHECK(!strbuf_failed(&text));
    memcpy(out, strbuf_cstr(&text), text.len + 1);
}

static enum err_code count_one(struct db_stmt *st, enum err_code code, int64_t *ret)
{
    if (!code)
        *ret = db_col_int(st, 0);
    return code;
}

/* The log knows from where each came. */
static enum err_code check_address(struct db *db, const struct actor *by, struct refusal *no, struct err *err)
{
    AUTO_STMT st = DB_STMT_INIT;
    int64_t count = 0;
    enum err_code code = db_query_one(db, SQL_RECENT_OF,
        DB_ARGS(db_int(clock_wall_ms() - MS_PER_HOUR), db_text(by->address.len ? by->address : STR_EMPTY)),
        &st, err);

    code = count_one(&st, code, &count);
    if (code || count < LIMIT_OAUTH_REGISTRATIONS_OF_ADDRESS)
        return code;
    return oauth_refuse(no, OAUTH_TEMPORARILY_UNAVAILABLE,
        "Too many clients registered from your address lately; try again in an hour");
}

static enum err_code check_room(
    struct db *db, const struct actor *by, const struct client_new *in, struct refusal *no, struct err *err)
{
    AUTO_STMT st = DB_STMT_INIT;
    bool owned = in->namespace_id.text[0];
    int64_t count = 0, max = owned ? LIMIT_OAUTH_CLIENTS_PER_NAMESPACE : LIMIT_OAUTH_REGISTRATIONS;
    enum err_code code =
        owned ? db_query_one(db, SQL_COUNT, DB_ARGS(db_text(id_str(&in->namespace_id))), &st, err)
              : db_query_one(db, SQL_RECENT, DB_ARGS(db_int(clock_wall_ms() - MS_PER_HOUR)), &st, err);

    code = count_one(&st, code, &count);
    if (code || count < max)
        return code || owned ? code : check_address(db, by, no, err);
    return owned ? oauth_refuse(no, OAUTH_INVALID_CLIENT_METADATA, "The namespace has too many apps")
                 : oauth_refuse(no, OAUTH_TEMPORARILY_UNAVAILABLE,
                       "Too many clients registered lately; try again in an hour");
}

static enum err_code insert_redirects(struct db *db, const struct client *c, const char *kind,
    const struct str *uris, size_t count, struct err *err)
{
    enum err_code code = ERR_OK;

    for (size_t i = 0; !code && i < count; i++)
        code = db_exec(db, SQL_INSERT_REDIRECT,
            DB_ARGS(db_text(id_str(&c->id)), db_text(str_of(kind)), db_text(uris[i])), err);
    return code;
}

static enum err_code insert(struct db *db, const struct client *c, const char *secret_hex, struct err *err)
{
    return db_exec(db, SQL_INSERT,
        DB_ARGS(db_text(id_str(&c->id)), db_text(str_of(c->client_id)),
            c->namespace_id.text[0] ? db_text(id_str(&c->namespace_id)) : db_null(), db_text(str_of(c->name)),
            db_text(str_of(client_auth_name(c->auth))), secret_hex ? db_text(str_of(secret_hex)) : db_null(),
            db_int(c->refreshes), db_int(c->pkce_required),
            db_text(str_of(client_database_name(c->database_mode))),
            db_text(str_of(jose_alg_name(c->id_token_alg))), db_int(c->created_at)),
        err);
}

static enum err_code audit_client(struct db *db, const struct actor *by, enum audit_action action,
    const struct client *c, const struct audit_value *after, struct err *err)
{
    return audit_append(db,
        &(struct audit_event){.by = by,
            .action = action,
            .namespace_id = c->namespace_id.text[0] ? &c->namespace_id : NULL,
            .target_id = str_of(c->client_id),
            .target_name = str_of(c->name),
            .after = after},
        err);
}

static enum err_code audit_made(struct db *db, const struct actor *by, const struct client *c,
    const struct client_new *in, struct err *err)
{
    return audit_client(db, by,
        c->namespace_id.text[0] ? AUDIT_OAUTH_CLIENT_CREATED : AUDIT_OAUTH_CLIENT_REGISTERED, c,
        AUDIT_VALUES(audit_text("name", str_of(c->name)),
            audit_text("auth", str_of(client_auth_name(c->auth))),
            audit_list("redirectUris", in->redirects, in->redirect_count)),
        err);
}

/* A fresh secret, and what is stored of it. */
static const char *make_secret(struct secret *ret, char hex[OAUTH_HEX_SIZE])
{
    token_generate(TOKEN_CLIENT, ret);
    oauth_hex(secret_reveal(ret), hex);
    return hex;
}

static void fill(const struct client_new *in, struct client *c)
{
    *c = (struct client){.id = id_new("oc"),
        .namespace_id = in->namespace_id,
        .auth = in->auth,
        .refreshes = in->refreshes,
        .pkce_required = !in->pkce_optional,
        .database_mode = in->database_mode,
        .id_token_alg = in->id_token_alg,
        .created_at = clock_wall_ms()};
    struct str name = str_trim(in->name);
    memcpy(c->name, name.ptr, name.len);
    make_client_id(c->client_id);
}

enum err_code client_create(struct db *db, const struct actor *by, const struct client_new *in,
    struct client *ret, struct secret *ret_secret, struct refusal *no, struct err *err)
{
    struct client c;
    char hex[OAUTH_HEX_SIZE];
    enum err_code code = client_check_new(in, no);

    CHECK(tx_is_write(db));
    if (!code && !no->error)
        code = check_room(db, by, in, no, err);
    if (code || no->error)
        return code;
    fill(in, &c);
    code = insert(db, &c, c.auth == CLIENT_NONE ? NULL : make_secret(ret_secret, hex), err);
    if (!code)
        code = insert_redirects(db, &c, "login", in->redirects, in->redirect_count, err);
    if (!code)
        code = insert_redirects(db, &c, "logout", in->logout_redirects, in->logout_redirect_count, err);
    if (!code)
        code = audit_made(db, by, &c, in, err);
    if (!code)
        *ret = c;
    return code;
}

/* --- Finding --- */

enum err_code client_get(struct db *db, struct str client_id, struct client *ret, struct err *err)
{
    AUTO_STMT st = DB_STMT_INIT;
    enum err_code code = db_query_one(db, SQL_GET, DB_ARGS(db_text(client_id)), &st, err);

    if (code == ERR_NOT_FOUND)
        return err_set(err, code, "No app has this client_id");
    if (!code)
        map_client(&st, ret);
    return code;
}

enum err_code client_get_in(
    struct db *db, const struct id *namespace_id, struct str id, struct client *ret, struct err *err)
{
    AUTO_STMT st = DB_STMT_INIT;
    enum err_code code =
        db_query_one(db, SQL_GET_IN, DB_ARGS(db_text(id), db_text(id_str(namespace_id))), &st, err);

    if (code == ERR_NOT_FOUND)
        return err_set(err, code, "There is no such app");
    if (!code)
        map_client(&st, ret);
    return code;
}

enum err_code client_list(struct db *db, struct arena *a, const struct id *namespace_id, struct client **ret,
    size_t *ret_count, struct err *err)
{
    AUTO_STMT st = DB_STMT_INIT;
    struct client *rows = arena_alloc(a, (size_t)LIMIT_OAUTH_CLIENTS_PER_NAMESPACE * sizeof *rows);
    size_t count = 0;

    if (!rows)
        return err_set(err, ERR_TOO_LARGE, "too many apps to list at once");
    enum err_code code = db_query(db, SQL_LIST,
        DB_ARGS(db_text(id_str(namespace_id)), db_int(LIMIT_OAUTH_CLIENTS_PER_NAMESPACE)), &st, err);
    while (!code && db_row(&st))
        map_client(&st, &rows[count++]);
    if (!code)
        code = db_done(&st, err);
    if (code)
        return code;
    *ret = rows;
    *ret_count = count;
    return ERR_OK;
}

enum err_code client_redirects(struct db *db, struct arena *a, const struct client *c, bool logout,
    struct str **ret, size_t *ret_count, struct err *err)
{
    AUTO_STMT st = DB_STMT_INIT;
    struct str *uris = arena_need(a, CLIENT_REDIRECTS_MAX * sizeof *uris);
    size_t count = 0;
    enum err_code code = db_query(db, SQL_REDIRECTS,
        DB_ARGS(db_text(id_str(&c->id)), db_text(logout ? S("logout") : S("login"))), &st, err);

    while (!code && !arena_failed(a) && db_row(&st)) {
        CHECK(count < CLIENT_REDIRECTS_MAX);
        uris[count++] = arena_copy(a, db_col_text(&st, 0));
    }
    if (!code && arena_failed(a))
        return err_set(err, ERR_TOO_LARGE, "too many redirect URIs");
    if (!code)
        code = db_done(&st, err);
    if (code)
        return code;
    *ret = uris;
    *ret_count = count;
    return ERR_OK;
}

enum err_code client_allows_redirect(
    struct db *db, const struct client *c, bool logout, struct str given, bool *ret, struct err *err)
{
    AUTO_STMT st = DB_STMT_INIT;
    bool found = false;
    enum err_code code = db_query(db, SQL_REDIRECTS,
        DB_ARGS(db_text(id_str(&c->id)), db_text(logout ? S("logout") : S("login"))), &st, err);

    while (!code && db_row(&st))
        found = redirect_matches(db_col_text(&st, 0), given) || found;
    if (!code)
        code = db_done(&st, err);
    if (!code)
        *ret = found && given.len <= REDIRECT_BYTES_MAX;
    return code;
}

/* --- Proving --- */

/* A public client sends no secret, a confidential one the right one. An unknown client is compared as well.
 */
static bool proves(const struct str stored, struct str secret)
{
    char hex[OAUTH_HEX_SIZE];

    if (!secret.ptr)
        return false;
    oauth_hex(secret, hex);
    return secret_eq(str_of(hex),
               stored.ptr ? stored : S("0000000000000000000000000000000000000000000000000000000000000000")) &&
           stored.ptr;
}

enum err_code client_authenticate(struct db *db, struct str client_id, struct str secret, struct client *ret,
    struct refusal *no, struct err *err)
{
    AUTO_STMT st = DB_STMT_INIT;
    enum err_code code = db_query_one(db, SQL_GET, DB_ARGS(db_text(client_id)), &st, err);

    if (code && code != ERR_NOT_FOUND)
        return code;
    bool known = code == ERR_OK;
    bool public = known && db_col_is_null(&st, 10);
    bool good = proves(known && !public ? db_col_text(&st, 10) : (struct str){NULL, 0}, secret);
    if (!known || (public ? secret.ptr != NULL : !good))
        return oauth_refuse(
            no, OAUTH_INVALID_CLIENT, "The client is unknown, or its secret is wrong or not asked for");
    map_client(&st, ret);
    return ERR_OK;
}

/* --- Changes --- */

static enum err_code set_redirects(struct db *db, const struct client *c, const struct client_change *to,
    struct refusal *no, struct err *err)
{
    enum err_code code = client_check_redirects(to->redirects, to->redirect_count, no);

    if (!code && !no->error)
        code = db_exec(db, SQL_DROP_REDIRECTS, DB_ARGS(db_text(id_str(&c->id))), err);
    return code || no->error ? code
                             : insert_redirects(db, c, "login", to->redirects, to->redirect_count, err);
}

enum err_code client_change(struct db *db, const struct actor *by, const struct client *c,
    const struct client_change *to, struct client *ret, struct refusal *no, struct err *err)
{
    enum err_code code = to->name.ptr ? client_check_name(to->name, no) : ERR_OK;

    CHECK(tx_is_write(db) && c->namespace_id.text[0]);
    if (!code && !no->error && to->name.ptr)
        code = db_exec(db, SQL_SET_NAME, DB_ARGS(db_text(id_str(&c->id)), db_text(str_trim(to->name))), err);
    if (!code && !no->error && to->redirects)
        code = set_redirects(db, c, to, no, err);
    if (!code && !no->error)
        code = client_get_in(db, &c->namespace_id, id_str(&c->id), ret, err);
    if (code || no->error)
        return code;
    return audit_client(db, by, AUDIT_OAUTH_CLIENT_UPDATED, ret,
        AUDIT_VALUES(audit_text("name", str_of(ret->name)),
            to->redirects ? audit_list("redirectUris", to->redirects, to->redirect_count)
                          : audit_null("redirectUris")),
        err);
}

enum err_code client_rotate_secret(
    struct db *db, const struct actor *by, const struct client *c, struct secret *ret_secret, struct err *err)
{
    char hex[OAUTH_HEX_SIZE];

    CHECK(tx_is_write(db) && c->namespace_id.text[0]);
    if (c->auth == CLIENT_NONE)
        return err_set(err, ERR_CONFLICT, "A public app has no secret");
    enum err_code code = db_exec(db, SQL_SET_SECRET,
        DB_ARGS(db_text(id_str(&c->id)), db_text(str_of(make_secret(ret_secret, hex)))), err);
    return code ? code : audit_client(db, by, AUDIT_OAUTH_CLIENT_SECRET, c, NULL, err);
}

enum err_code client_delete(struct db *db, const struct actor *by, const struct client *c, struct err *err)
{
    CHECK(tx_is_write(db) && c->namespace_id.text[0]);
    tx_announce(db);
    enum err_code code =
        db_exec(db, SQL_REVOKE_TOKENS, DB_ARGS(db_text(id_str(&c->id)), db_int(clock_wall_ms())), err);
    if (!code)
        code = db_exec(db, SQL_DELETE, DB_ARGS(db_text(id_str(&c->id))), err);
    return code ? code : audit_client(db, by, AUDIT_OAUTH_CLIENT_DELETED, c, NULL, err);
}
