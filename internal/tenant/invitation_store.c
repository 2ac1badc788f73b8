/* Invitations in control.db. */
#include "tenant/invitation.h"
#include "audit/audit.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/limits.h"
#include "crypto/token.h"

#define SQL_REPLACED "DELETE FROM invitation WHERE namespace_id = ?1 AND email_key = ?2"
#define SQL_COUNT    "SELECT count(*) FROM invitation WHERE namespace_id = ?1"
#define SQL_INSERT                                                                                           \
    "INSERT INTO invitation(id, namespace_id, email, email_key, role, hash, invited_by, created_at, "        \
    "expires_at)"                                                                                            \
    " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)"
#define SQL_LIST                                                                                             \
    "SELECT id, email, role, created_at, expires_at FROM invitation"                                         \
    " WHERE namespace_id = ?1 AND id > ?2 AND expires_at > ?3 ORDER BY id LIMIT ?4"
#define SQL_REVOKE "DELETE FROM invitation WHERE id = ?1 AND namespace_id = ?2"
#define SQL_OPEN                                                                                             \
    "SELECT i.id, i.role, n.slug, n.id FROM invitation i JOIN namespace n ON n.id = i.namespace_id"          \
    " WHERE i.hash = ?1 AND i.email_key = ?2 AND i.expires_at > ?3 AND n.deleted_at IS NULL"
#define SQL_PURGE                                                                                            \
    "DELETE FROM invitation WHERE id IN (SELECT id FROM invitation WHERE expires_at <= ?1 LIMIT ?2)"

static enum err_code record(struct db *db, const struct actor *by, enum audit_action action,
    const struct id *tenant_id, struct str id, enum member_role role, struct err *err)
{
    const struct audit_value *is =
        role ? AUDIT_VALUES(audit_text("role", str_of(member_role_name(role)))) : NULL;
    return audit_append(db,
        &(struct audit_event){
            .by = by, .action = action, .namespace_id = tenant_id, .target_id = id, .after = is},
        err);
}

static void hash_hex(struct str secret, struct strbuf *ret_hex)
{
    struct digest hash = token_hash(secret);
    strbuf_init(ret_hex, (size_t)2 * DIGEST_BYTES);
    digest_hex(ret_hex, &hash);
    CHECK(!strbuf_failed(ret_hex));
}

/* --- Inviting --- */

static enum err_code make_room(
    struct db *db, const struct id *tenant_id, struct str email_key, struct err *err)
{
    AUTO_STMT st = DB_STMT_INIT;
    const struct db_value ns = db_text(id_str(tenant_id));
    enum err_code code = db_exec(db, SQL_REPLACED, DB_ARGS(ns, db_text(email_key)), err);

    if (!code)
        code = db_query_one(db, SQL_COUNT, DB_ARGS(ns), &st, err);
    if (!code && db_col_int(&st, 0) >= LIMIT_INVITATIONS_PER_NAMESPACE)
        code = err_set(err, ERR_FORBIDDEN, "this namespace has its %d open invitations",
            (int)LIMIT_INVITATIONS_PER_NAMESPACE);
    return code;
}

static enum err_code insert(struct db *db, const struct id *tenant_id, const struct id *inviter,
    struct str email, struct str email_key, const struct invitation *in, struct str secret, struct err *err)
{
    AUTO_STRBUF hex;
    hash_hex(secret, &hex);
    return db_exec(db, SQL_INSERT,
        DB_ARGS(db_text(id_str(&in->id)), db_text(id_str(tenant_id)), db_text(email), db_text(email_key),
            db_text(str_of(member_role_name(in->role))), db_text(strbuf_str(&hex)), db_text(id_str(inviter)),
            db_int(in->created_at), db_int(in->expires_at)),
        err);
}

enum err_code invitation_create(struct db *db, const struct actor *by, const struct tenant *t,
    const struct id *inviter, struct str email, struct str email_key, enum member_role role,
    struct invitation *ret, struct secret *ret_secret, struct err *err)
{
    enum member_role own, least = role == MEMBER_OWNER ? MEMBER_OWNER : MEMBER_ADMIN;
    int64_t now_ms = clock_wall_ms();
    struct invitation in = {
        .id = id_new("inv"), .role = role, .created_at = now_ms, .expires_at = now_ms + LIMIT_INVITATION_MS};
    enum err_code code = member_require(db, &t->id, inviter, least, &own, err);

    CHECK(email.len < sizeof in.email);
    memcpy(in.email, email.ptr, email.len);
    if (!code)
        code = make_room(db, &t->id, email_key, err);
    if (code)
        return code;
    token_generate(TOKEN_INVITATION, ret_secret);
    code = insert(db, &t->id, inviter, email, email_key, &in, secret_reveal(ret_secret), err);
    if (!code)
        code = record(db, by, AUDIT_INVITATION_CREATED, &t->id, id_str(&in.id), role, err);
    if (!code)
        *ret = in;
    return code;
}

enum err_code invitation_revoke(
    struct db *db, const struct actor *by, const struct id *tenant_id, struct str id, struct err *err)
{
    CHECK(tx_is_write(db));
    enum err_code code = db_exec(db, SQL_REVOKE, DB_ARGS(db_text(id), db_text(id_str(tenant_id))), err);
    if (!code && db_changes(db) == 0)
        return err_set(err, ERR_NOT_FOUND, "There is no such invitation");
    return code ? code : record(db, by, AUDIT_INVITATION_REVOKED, tenant_id, id, MEMBER_NONE, err);
}

enum err_code invitation_list(struct db *db, struct arena *a, const struct id *tenant_id, struct str after,
    int64_t limit, struct invitation **ret, size_t *ret_count, struct err *err)
{
    AUTO_STMT st = DB_STMT_INIT;
    struct invitation *rows = arena_alloc(a, (size_t)limit * sizeof *rows);
    size_t n = 0;

    if (!rows)
        return err_set(err, ERR_TOO_LARGE, "too many invitations to list at once");
    enum err_code code = db_query(db, SQL_LIST,
        DB_ARGS(db_text(id_str(tenant_id)), db_text(after), db_int(clock_wall_ms()), db_int(limit)), &st,
        err);
    while (!code && db_row(&st)) {
        struct invitation *i = &rows[n++];
        DB_COL_COPY(&st, 0, i->id.text);
        DB_COL_COPY(&st, 1, i->email);
        bool known = member_role_parse(db_col_text(&st, 2), &i->role);
        CHECK(known); /* the table's own CHECK */
        i->created_at = db_col_int(&st, 3);
        i->expires_at = db_col_int(&st, 4);
    }
    if (!code)
        code = db_done(&st, err);
    if (code)
        return code;
    *ret = rows;
    *ret_count = n;
    return ERR_OK;
}

/* --- Accepting --- */

struct open_one {
    struct id id, tenant_id;
    char slug[SLUG_SIZE];
    enum member_role role;
};

static enum err_code find_open(
    struct db *db, struct str secret, struct str email_key, struct open_one *ret, struct err *err)
{
    AUTO_STRBUF hex;
    AUTO_STMT st = DB_STMT_INIT;
    enum token_kind kind;

    strbuf_init(&hex, 0);
    if (!token_well_formed(secret, &kind) || kind != TOKEN_INVITATION)
        return err_set(err, ERR_NOT_FOUND, "There is no such invitation for you");
    hash_hex(secret, &hex);
    enum err_code code = db_query_one(db, SQL_OPEN,
        DB_ARGS(db_text(strbuf_str(&hex)), db_text(email_key), db_int(clock_wall_ms())), &st, err);
    if (code == ERR_NOT_FOUND)
        return err_set(err, code, "There is no such invitation for you");
    if (code)
        return code;
    DB_COL_COPY(&st, 0, ret->id.text);
    bool known = member_role_parse(db_col_text(&st, 1), &ret->role);
    CHECK(known); /* the table's own CHECK */
    DB_COL_COPY(&st, 2, ret->slug);
    DB_COL_COPY(&st, 3, ret->tenant_id.text);
    return ERR_OK;
}

enum err_code invitation_check(struct db *db, struct str secret, struct str email_key, struct err *err)
{
    struct open_one found;

    return find_open(db, secret, email_key, &found, err);
}

enum err_code invitation_accept(struct db *db, const struct actor *by, struct str secret,
    const struct id *account_id, struct str email_key, struct membership *ret, struct err *err)
{
    struct open_one found;
    enum err_code code = find_open(db, secret, email_key, &found, err);

    CHECK(tx_is_write(db));
    if (!code)
        code = member_add(db, by, &found.tenant_id, account_id, found.role, err);
    if (!code)
        code = db_exec(
            db, SQL_REVOKE, DB_ARGS(db_text(id_str(&found.id)), db_text(id_str(&found.tenant_id))), err);
    if (!code)
        code =
            record(db, by, AUDIT_INVITATION_ACCEPTED, &found.tenant_id, id_str(&found.id), found.role, err);
    return code ? code : member_find(db, str_of(found.slug), account_id, ret, err);
}

enum err_code invitation_purge(struct db *db, bool *more, struct err *err)
{
    return db_purge(db, SQL_PURGE, DB_ARGS(db_int(clock_wall_ms()), db_int(LIMIT_PURGE_ROWS)),
        LIMIT_PURGE_ROWS, more, err);
}
