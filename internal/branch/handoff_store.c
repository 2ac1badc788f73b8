/* See handoff.h. */
#include "branch/handoff.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/limits.h"
#include "crypto/digest.h"

#define SQL_INSERT "INSERT INTO handoff(hash, token_id, expires_at) VALUES(?1, ?2, ?3)"
#define SQL_TAKE                                                                                             \
    "UPDATE handoff SET redeemed_at = ?2 WHERE hash = ?1 AND redeemed_at IS NULL AND expires_at > ?2"        \
    " AND EXISTS (SELECT 1 FROM token t JOIN database d ON d.id = t.database_id JOIN namespace n ON n.id = " \
    "t.namespace_id"                                                                                         \
    " WHERE t.id = token_id AND t.revoked_at IS NULL AND (t.expires_at IS NULL OR t.expires_at > ?2)"        \
    " AND d.deleted_at IS NULL AND n.deleted_at IS NULL)"
#define SQL_TOKEN_OF                                                                                         \
    "SELECT h.token_id, t.database_id FROM handoff h JOIN token t ON t.id = h.token_id WHERE h.hash = ?1"
#define SQL_PURGE                                                                                            \
    "DELETE FROM handoff WHERE hash IN (SELECT hash FROM handoff WHERE expires_at < ?1 LIMIT ?2)"

#define HEX_BYTES ((size_t)2 * DIGEST_BYTES)

static void hash_of(struct str secret, struct strbuf *out)
{
    struct digest d = token_hash(secret);

    digest_hex(out, &d);
    CHECK(!strbuf_failed(out));
}

/* The token ends with its branch, and a day after the secret could be redeemed last. */
static int64_t lifetime_s(const struct registry_entry *branch, const struct token_new *in, int64_t ttl_s)
{
    int64_t s = ttl_s + LIMIT_HANDOFF_TOKEN_S;

    if (in->expires_in_s && in->expires_in_s < s)
        s = in->expires_in_s;
    if (branch->expires_at) {
        int64_t left_s = (branch->expires_at - clock_wall_ms()) / 1000;
        if (left_s < s)
            s = left_s > 0 ? left_s : 1;
    }
    return s;
}

enum err_code handoff_make(struct db *db, const struct actor *by, struct arena *a,
    const struct registry_entry *branch, const struct token_new *in, int64_t ttl_s, struct secret *ret_secret,
    int64_t *ret_expires_at, struct err *err)
{
    AUTO_SECRET unknown = SECRET_INIT, secret = SECRET_INIT;
    AUTO_STRBUF hex;
    struct token token;
    struct token_new wish = *in;
    int64_t expires_at = clock_wall_ms() + ttl_s * 1000;

    CHECK(tx_is_write(db) && branch->ref[0]);
    wish.namespace_id = branch->namespace_id;
    wish.database_id = branch->id;
    wish.expires_in_s = lifetime_s(branch, in, ttl_s);
    strbuf_init(&hex, HEX_BYTES);
    token_generate(TOKEN_HANDOFF, &secret);
    hash_of(secret_reveal(&secret), &hex);
    enum err_code code = token_create(db, by, a, &wish, &token, &unknown, err);
    if (!code)
        code = db_exec(db, SQL_INSERT,
            DB_ARGS(db_text(strbuf_str(&hex)), db_text(id_str(&token.id)), db_int(expires_at)), err);
    if (code)
        return code;
    *ret_secret = secret;
    *ret_expires_at = expires_at < token.expires_at ? expires_at : token.expires_at;
    return ERR_OK;
}

static enum err_code no_such(struct err *err)
{
    return err_set(err, ERR_NOT_FOUND, "This handoff is unknown, was redeemed already, or its time is over");
}

static enum err_code take(struct db *db, struct str hash, struct err *err)
{
    enum err_code code = db_exec(db, SQL_TAKE, DB_ARGS(db_text(hash), db_int(clock_wall_ms())), err);

    return code || db_changes(db) == 1 ? code : no_such(err);
}

enum err_code handoff_redeem(struct db *db, const struct actor *by, struct arena *a, struct str secret,
    struct token *ret, struct secret *ret_secret, struct registry_entry *ret_branch, struct err *err)
{
    AUTO_STMT st = DB_STMT_INIT;
    AUTO_STRBUF hex;
    enum token_kind kind;
    struct id database_id;

    strbuf_init(&hex, HEX_BYTES);
    CHECK(tx_is_write(db));
    if (!token_well_formed(secret, &kind) || kind != TOKEN_HANDOFF)
        return no_such(err);
    hash_of(secret, &hex);
    enum err_code code = take(db, strbuf_str(&hex), err);
    if (!code)
        code = db_query_one(db, SQL_TOKEN_OF, DB_ARGS(db_text(strbuf_str(&hex))), &st, err);
    if (code)
        return code;
    DB_COL_COPY(&st, 1, database_id.text);
    code = token_rotate(db, by, a, NULL, db_col_text(&st, 0), 0, ret, ret_secret, err);
    return code ? code : registry_get_by_id(db, &database_id, ret_branch, err);
}

enum err_code handoff_purge(struct db *db, bool *more, struct err *err)
{
    return db_purge(db, SQL_PURGE, DB_ARGS(db_int(clock_wall_ms()), db_int(LIMIT_PURGE_ROWS)),
        LIMIT_PURGE_ROWS, more, err);
}
