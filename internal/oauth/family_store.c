/* Families of tokens in control.db. */
#include "base/check.h"
#include "base/clock.h"
#include "oauth/access_internal.h"

#define SQL_INSERT                                                                                           \
    "INSERT INTO oauth_family(id, grant_id, scope, resource, auth_time, created_at)"                         \
    " VALUES(?1, ?2, ?3, ?4, ?5, ?6)"
#define SQL_GET                                                                                              \
    "SELECT f.id, f.grant_id, g.account_id, a.email, f.scope, f.resource, f.auth_time, d.id, n.id, n.slug, " \
    "d.slug FROM oauth_family f JOIN oauth_grant g ON g.id = f.grant_id"                                     \
    " JOIN account a ON a.id = g.account_id LEFT JOIN database d ON d.id = g.database_id AND d.deleted_at "  \
    "IS NULL AND EXISTS (SELECT 1 FROM namespace_member m JOIN namespace o ON o.id = m.namespace_id"         \
    " WHERE m.namespace_id = d.namespace_id AND m.account_id = g.account_id AND o.deleted_at IS NULL)"       \
    " LEFT JOIN namespace n ON n.id = d.namespace_id WHERE f.id = ?1"
#define SQL_REVOKE_TOKENS                                                                                    \
    "UPDATE token SET revoked_at = ?2 WHERE revoked_at IS NULL AND id IN"                                    \
    " (SELECT token_id FROM oauth_access WHERE family_id = ?1)"
#define SQL_DELETE "DELETE FROM oauth_family WHERE id = ?1"

enum err_code family_create(struct db *db, const struct id *id, const struct id *grant_id, unsigned scope,
    struct str resource, int64_t auth_time, struct err *err)
{
    char text[SCOPE_TEXT_MAX];

    return db_exec(db, SQL_INSERT,
        DB_ARGS(db_text(id_str(id)), db_text(id_str(grant_id)), db_text(scope_write(scope, text)),
            resource.len ? db_text(resource) : db_null(), db_int(auth_time), db_int(clock_wall_ms())),
        err);
}

static void map_family(const struct db_stmt *st, struct family *ret)
{
    *ret = (struct family){.auth_time = db_col_int(st, 6)};
    DB_COL_COPY(st, 0, ret->id.text);
    DB_COL_COPY(st, 1, ret->grant_id.text);
    DB_COL_COPY(st, 2, ret->account_id.text);
    DB_COL_COPY(st, 3, ret->email);
    bool known = scope_parse(db_col_text(st, 4), &ret->scope);
    CHECK(known); /* we wrote it */
    DB_COL_COPY(st, 5, ret->resource);
    DB_COL_COPY(st, 7, ret->database_id.text);
    DB_COL_COPY(st, 8, ret->namespace_id.text);
    DB_COL_COPY(st, 9, ret->namespace_slug);
    DB_COL_COPY(st, 10, ret->database_slug);
}

enum err_code family_get(struct db *db, const struct id *id, struct family *ret, struct err *err)
{
    AUTO_STMT st = DB_STMT_INIT;
    enum err_code code = db_query_one(db, SQL_GET, DB_ARGS(db_text(id_str(id))), &st, err);

    if (!code)
        map_family(&st, ret);
    return code;
}

enum err_code family_end(struct db *db, const struct id *id, struct err *err)
{
    tx_announce(db);
    enum err_code code =
        db_exec(db, SQL_REVOKE_TOKENS, DB_ARGS(db_text(id_str(id)), db_int(clock_wall_ms())), err);
    return code ? code : db_exec(db, SQL_DELETE, DB_ARGS(db_text(id_str(id))), err);
}

enum err_code family_audit(struct db *db, const struct actor *by, enum audit_action action,
    const struct id *grant_id, struct err *err)
{
    return audit_append(
        db, &(struct audit_event){.by = by, .action = action, .target_id = id_str(grant_id)}, err);
}

enum err_code family_replayed(struct db *db, const struct actor *by, const struct id *grant_id,
    const struct id *family_id, struct err *err)
{
    enum err_code code = family_end(db, family_id, err);

    /* A hundred replays are one event. */
    if (code || db_changes(db) == 0)
        return code;
    return family_audit(db, by, AUDIT_OAUTH_REPLAYED, grant_id, err);
}
