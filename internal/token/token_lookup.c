/* Who a bearer is: the token of a secret, with the rights that it has at this moment. */
#include "token/token_internal.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/mem.h"
#include "tenant/share.h"

#define LOOKUP(former)                                                                                       \
    "SELECT t.id, t.namespace_id, n.slug, t.role, t.database_id, t.expires_at, t.revoked_at, "               \
    "t.has_table_scope,"                                                                                     \
    " (SELECT count(*) FROM token_table x WHERE x.token_id = t.id),"                                         \
    " (SELECT coalesce(sum(length(CAST(x.table_name AS BLOB))), 0) FROM token_table x WHERE x.token_id = "   \
    "t.id),"                                                                                                 \
    " t.account_id, a.suspended_at, m.role,"                                                                 \
    " EXISTS (SELECT 1 FROM oauth_access x WHERE x.token_id = t.id), t.addresses, " former ", "              \
    "t.former_until, t.claims, t.branches_only,"                                                             \
    " b.deleted_at IS NOT NULL OR b.expires_at <= ?2"                                                        \
    " FROM token t JOIN namespace n ON n.id = t.namespace_id AND n.deleted_at IS NULL"                       \
    " LEFT JOIN account a ON a.id = t.account_id"                                                            \
    " LEFT JOIN namespace_member m ON m.namespace_id = t.namespace_id AND m.account_id = t.account_id"       \
    " LEFT JOIN database b ON b.id = t.database_id AND b.branch_ref IS NOT NULL"                             \
    ""
#define SQL_LOOKUP    LOOKUP("t.hash <> ?1") " WHERE t.hash = ?1 OR t.former_hash = ?1"
#define SQL_LOOKUP_ID LOOKUP("0") " WHERE t.id = ?1"

/* Copies the table names behind the struct. `room` is what is left for text there. */
static enum err_code read_tables(
    struct db *db, struct identity *who, char *text, size_t room, struct err *err)
{
    AUTO_STMT st = DB_STMT_INIT;
    enum err_code code = db_query(db, TOKEN_SQL_TABLES, DB_ARGS(db_text(id_str(&who->token_id))), &st, err);
    uint16_t count = 0;

    while (!code && db_row(&st)) {
        struct str name = db_col_text(&st, 0);
        CHECK(count < who->table_count && name.len <= room); /* both were counted in this read transaction */
        memcpy(text, name.ptr, name.len);
        who->tables[count++] = str_make(text, name.len);
        text += name.len;
        room -= name.len;
    }
    if (!code)
        code = db_done(&st, err);
    CHECK(code || count == who->table_count);
    return code;
}

/* What was given still is, and the giver still is a member who may sign in; the bearer gets no more rights
 * than the giver. */
static enum err_code cap_by_person(
    struct db *db, const struct db_stmt *st, struct identity *who, struct err *err)
{
    enum member_role member, shared = MEMBER_NONE;
    enum err_code code = ERR_OK;

    if (!who->account_id.text[0])
        return ERR_OK;
    if (!db_col_int(st, 13) || !db_col_is_null(st, 11) || !member_role_parse(db_col_text(st, 12), &member))
        return err_set(err, ERR_UNAUTHORIZED, "The person for whom this token acts has no access any more");
    if (who->database_id.text[0])
        code = share_role(db, &who->database_id, &who->account_id, &shared, err);
    if (!code)
        identity_cap(who, shared ? shared : member);
    return code;
}

/* The secret before the last rotation ends sooner than the token. */
static int64_t expiry_of(const struct db_stmt *st)
{
    int64_t token = db_col_int(st, 5), secret = db_col_int(st, 16);
    bool former = db_col_int(st, 15) != 0;

    return former && (!token || secret < token) ? secret : token;
}

static struct identity *map_identity(const struct db_stmt *st, size_t *ret_text_at, size_t text_len)
{
    uint16_t count = (uint16_t)db_col_int(st, 8);
    size_t network_count = token_networks_count(db_col_text(st, 14));
    size_t networks_at = sizeof(struct identity) + count * sizeof(struct str);
    size_t head = networks_at + network_count * sizeof(struct network);
    struct str claims = db_col_is_null(st, 17) ? STR_EMPTY : db_col_text(st, 17);
    struct identity *who = mem_alloc(head + text_len + claims.len);
    char *after = (char *)who + head + text_len;
    struct network *networks = (struct network *)(void *)((char *)who + networks_at);
    bool known;

    DB_COL_COPY(st, 0, who->token_id.text);
    DB_COL_COPY(st, 1, who->namespace_id.text);
    DB_COL_COPY(st, 2, who->namespace_slug);
    known = token_role_parse(db_col_text(st, 3), &who->given);
    CHECK(known); /* the table's own CHECK */
    who->role = who->given;
    DB_COL_COPY(st, 4, who->database_id.text);
    who->branches_only = db_col_int(st, 18) != 0;
    who->expires_at = expiry_of(st);
    token_networks_read(db_col_text(st, 14), networks);
    who->networks = networks;
    who->network_count = (uint16_t)network_count;
    DB_COL_COPY(st, 10, who->account_id.text);
    who->has_table_scope = db_col_int(st, 7) != 0;
    who->table_count = count;
    memcpy(after, claims.ptr, claims.len);
    who->claims = str_make(after, claims.len);
    *ret_text_at = head;
    return who;
}

static enum err_code lookup_in_tx(
    struct db *db, bool by_id, struct str key, struct identity **ret, struct err *err)
{
    AUTO_STMT st = DB_STMT_INIT;
    const struct db_value *args = DB_ARGS(db_text(key), db_int(clock_wall_ms()));
    enum err_code code = by_id ? db_query_one(db, SQL_LOOKUP_ID, args, &st, err)
                               : db_query_one(db, SQL_LOOKUP, args, &st, err);
    size_t text_at;

    if (code == ERR_NOT_FOUND)
        return err_set(err, ERR_UNAUTHORIZED, "Invalid token");
    if (code)
        return code;
    if (db_col_int(&st, 19))
        return err_set(err, ERR_UNAUTHORIZED, "The branch of this token is gone, and the token with it");
    if (!db_col_is_null(&st, 6))
        return err_set(err, ERR_UNAUTHORIZED, "Token revoked");
    size_t text_len = (size_t)db_col_int(&st, 9);
    struct identity *who = map_identity(&st, &text_at, text_len);
    code = cap_by_person(db, &st, who, err);
    if (!code && identity_expired(who, clock_wall_ms()))
        code = err_set(err, ERR_UNAUTHORIZED, "Token expired");
    if (!code)
        code = read_tables(db, who, (char *)who + text_at, text_len, err);
    if (code)
        identity_free(who);
    else
        *ret = who;
    return code;
}

static void hash_hex(const struct digest *hash, struct strbuf *out)
{
    strbuf_init(out, (size_t)2 * DIGEST_BYTES);
    digest_hex(out, hash);
    CHECK(!strbuf_failed(out));
}

void token_hash_hex(struct str secret, struct strbuf *out)
{
    struct digest hash = token_hash(secret);

    hash_hex(&hash, out);
}

enum err_code token_lookup(struct db *db, const struct digest *hash, struct identity **ret, struct err *err)
{
    AUTO_STRBUF hex;
    struct identity *who = NULL;

    hash_hex(hash, &hex);
    enum err_code code = tx_begin_read(db, err);
    if (!code)
        code = tx_end(db, lookup_in_tx(db, false, strbuf_str(&hex), &who, err), err);
    if (code)
        identity_free(who);
    else
        *ret = who;
    return code;
}

enum err_code token_lookup_id(struct db *db, struct str id, struct identity **ret, struct err *err)
{
    CHECK(tx_is_write(db));
    return lookup_in_tx(db, true, id, ret, err);
}
