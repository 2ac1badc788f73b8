/* Grants in control.db. */
#include "oauth/grant.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/limits.h"
#include "oauth/oauth_internal.h"

#define GRANT_COLUMNS                                                                                        \
    "SELECT g.id, g.account_id, c.client_id, c.name, g.scope, g.database_id, n.slug, d.slug, g.created_at,"  \
    " g.given_at, g.withdrawn_at FROM oauth_grant g JOIN oauth_client c ON c.id = g.client_id"               \
    " LEFT JOIN database d ON d.id = g.database_id AND d.deleted_at IS NULL"                                 \
    " LEFT JOIN namespace n ON n.id = d.namespace_id"
#define SQL_FIND GRANT_COLUMNS " WHERE g.account_id = ?1 AND g.client_id = ?2"
#define SQL_FIND_GIVEN                                                                                       \
    GRANT_COLUMNS " WHERE g.account_id = ?1 AND c.client_id = ?2 AND g.withdrawn_at IS NULL"
#define SQL_LIST GRANT_COLUMNS " WHERE g.account_id = ?1 AND g.withdrawn_at IS NULL ORDER BY g.id LIMIT ?2"
#define SQL_NEXT_GIVEN                                                                                       \
    GRANT_COLUMNS " WHERE g.account_id = ?1 AND g.withdrawn_at IS NULL AND (?2 IS NULL OR EXISTS"            \
                  " (SELECT 1 FROM database x WHERE x.id = g.database_id AND x.namespace_id = ?2)) LIMIT 1"
#define SQL_INSERT                                                                                           \
    "INSERT INTO oauth_grant(id, account_id, client_id, scope, database_id, created_at, given_at)"           \
    " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?6)"
#define SQL_UPDATE                                                                                           \
    "UPDATE oauth_grant SET scope = ?2, database_id = ?3, given_at = ?4, withdrawn_at = NULL WHERE id = ?1"
#define SQL_WITHDRAW "UPDATE oauth_grant SET scope = '', withdrawn_at = ?2 WHERE id = ?1"
#define SQL_REVOKE_TOKENS                                                                                    \
    "UPDATE token SET revoked_at = ?2 WHERE revoked_at IS NULL AND id IN (SELECT a.token_id FROM "           \
    "oauth_access a JOIN oauth_family f ON f.id = a.family_id WHERE f.grant_id = ?1)"
#define SQL_END_FAMILIES "DELETE FROM oauth_family WHERE grant_id = ?1"
#define SQL_END_CODES    "DELETE FROM oauth_code WHERE grant_id = ?1"

#define GRANTS_MAX 1000

static void map_grant(const struct db_stmt *st, struct grant *ret)
{
    DB_COL_COPY(st, 0, ret->id.text);
    DB_COL_COPY(st, 1, ret->account_id.text);
    DB_COL_COPY(st, 2, ret->client_id);
    DB_COL_COPY(st, 3, ret->client_name);
    ret->scope = 0;
    bool known = db_col_text(st, 4).len == 0 || scope_parse(db_col_text(st, 4), &ret->scope);
    CHECK(known); /* we wrote it */
    DB_COL_COPY(st, 5, ret->database_id.text);
    DB_COL_COPY(st, 6, ret->namespace_slug);
    DB_COL_COPY(st, 7, ret->database_slug);
    ret->created_at = db_col_int(st, 8);
    ret->given_at = db_col_int(st, 9);
    ret->withdrawn_at = db_col_int(st, 10);
    if (!ret->database_slug[0]) /* in the trash, or gone */
        ret->database_id.text[0] = '\0';
}

enum err_code grant_find(struct db *db, const struct id *account_id, const struct client *client,
    struct grant *ret, struct err *err)
{
    AUTO_STMT st = DB_STMT_INIT;
    enum err_code code = db_query_one(
        db, SQL_FIND, DB_ARGS(db_text(id_str(account_id)), db_text(id_str(&client->id))), &st, err);

    if (code == ERR_NOT_FOUND)
        return err_set(err, code, "Nothing was given to this app");
    if (!code)
        map_grant(&st, ret);
    return code;
}

/* Everything that was handed out. */
static enum err_code end_all(struct db *db, const struct id *grant_id, struct err *err)
{
    tx_announce(db);
    enum err_code code =
        db_exec(db, SQL_REVOKE_TOKENS, DB_ARGS(db_text(id_str(grant_id)), db_int(clock_wall_ms())), err);
    if (!code)
        code = db_exec(db, SQL_END_FAMILIES, DB_ARGS(db_text(id_str(grant_id))), err);
    return code ? code : db_exec(db, SQL_END_CODES, DB_ARGS(db_text(id_str(grant_id))), err);
}

static enum err_code insert(struct db *db, const struct id *account_id, const struct client *client,
    unsigned scope, const struct id *database_id, struct err *err)
{
    char text[SCOPE_TEXT_MAX];
    struct id id = id_new("ogr");

    return db_exec(db, SQL_INSERT,
        DB_ARGS(db_text(id_str(&id)), db_text(id_str(account_id)), db_text(id_str(&client->id)),
            db_text(scope_write(scope, text)), database_id ? db_text(id_str(database_id)) : db_null(),
            db_int(clock_wall_ms())),
        err);
}

static enum err_code update(
    struct db *db, const struct grant *was, unsigned scope, const struct id *database_id, struct err *err)
{
    char text[SCOPE_TEXT_MAX];
    const struct id *kept = database_id ? database_id : &was->database_id;
    enum err_code code = ERR_OK;

    if (was->database_id.text[0] && !str_eq(id_str(kept), id_str(&was->database_id)))
        code = end_all(db, &was->id, err);
    if (code)
        return code;
    return db_exec(db, SQL_UPDATE,
        DB_ARGS(db_text(id_str(&was->id)), db_text(scope_write(was->scope | scope, text)),
            kept->text[0] ? db_text(id_str(kept)) : db_null(), db_int(clock_wall_ms())),
        err);
}

static enum err_code audit_grant(
    struct db *db, const struct actor *by, enum audit_action action, const struct grant *g, struct err *err)
{
    char text[SCOPE_TEXT_MAX];

    return audit_append(db,
        &(struct audit_event){.by = by,
            .action = action,
            .target_id = id_str(&g->id),
            .target_name = str_of(g->client_name),
            .after = AUDIT_VALUES(audit_text("client", str_of(g->client_id)),
                audit_text_or_null("scope", scope_write(g->scope, text)),
                audit_text_or_null("database", id_str(&g->database_id)))},
        err);
}

enum err_code grant_give(struct db *db, const struct actor *by, const struct id *account_id,
    const struct client *client, unsigned scope, const struct id *database_id, struct grant *ret,
    struct err *err)
{
    struct grant was;
    struct err none = ERR_INIT;
    enum err_code code = grant_find(db, account_id, client, &was, &none);

    CHECK(tx_is_write(db) && scope);
    if (code && code != ERR_NOT_FOUND)
        return err_set(err, code, "%s", none.message);
    code = code ? insert(db, account_id, client, scope, database_id, err)
                : update(db, &was, scope, database_id, err);
    if (!code)
        code = grant_find(db, account_id, client, ret, err);
    return code ? code : audit_grant(db, by, AUDIT_OAUTH_GRANTED, ret, err);
}

static enum err_code read_rows(struct db_stmt *st, struct grant *rows, size_t *ret_count, struct err *err)
{
    size_t count = 0;

    for (; db_row(st); count++)
        map_grant(st, &rows[count]);
    *ret_count = count;
    return db_done(st, err);
}

enum err_code grant_list(struct db *db, struct arena *a, const struct id *account_id, struct grant **ret,
    size_t *ret_count, struct err *err)
{
    AUTO_STMT st = DB_STMT_INIT;
    enum err_code code =
        db_query(db, SQL_LIST, DB_ARGS(db_text(id_str(account_id)), db_int(GRANTS_MAX)), &st, err);

    if (code)
        return code;
    *ret = arena_alloc(a, GRANTS_MAX * sizeof **ret);
    return *ret ? read_rows(&st, *ret, ret_count, err)
                : err_set(err, ERR_TOO_LARGE, "too many apps to list at once");
}

static enum err_code find_given(
    struct db *db, const struct id *account_id, struct str client_id, struct grant *ret, struct err *err)
{
    AUTO_STMT st = DB_STMT_INIT;
    enum err_code code =
        db_query_one(db, SQL_FIND_GIVEN, DB_ARGS(db_text(id_str(account_id)), db_text(client_id)), &st, err);

    if (code == ERR_NOT_FOUND)
        return err_set(err, code, "Nothing is given to this app");
    if (!code)
        map_grant(&st, ret);
    return code;
}

static enum err_code withdraw(struct db *db, const struct actor *by, const struct grant *g, struct err *err)
{
    enum err_code code = end_all(db, &g->id, err);

    if (!code)
        code = db_exec(db, SQL_WITHDRAW, DB_ARGS(db_text(id_str(&g->id)), db_int(clock_wall_ms())), err);
    return code ? code : audit_grant(db, by, AUDIT_OAUTH_WITHDRAWN, g, err);
}

static enum err_code next_given(struct db *db, const struct id *account_id, const struct id *namespace_id,
    struct grant *ret, struct err *err)
{
    AUTO_STMT st = DB_STMT_INIT;
    enum err_code code = db_query_one(db, SQL_NEXT_GIVEN,
        DB_ARGS(db_text(id_str(account_id)), namespace_id ? db_text(id_str(namespace_id)) : db_null()), &st,
        err);

    if (!code)
        map_grant(&st, ret);
    return code;
}

enum err_code grant_withdraw_all(struct db *db, const struct actor *by, const struct id *account_id,
    const struct id *namespace_id, struct err *err)
{
    struct grant g;
    struct err local = ERR_INIT;
    enum err_code code;

    CHECK(tx_is_write(db));
    while ((code = next_given(db, account_id, namespace_id, &g, &local)) == ERR_OK)
        if ((code = withdraw(db, by, &g, err)))
            return code;
    return code == ERR_NOT_FOUND ? ERR_OK : err_set(err, code, "%s", local.message);
}

enum err_code grant_withdraw(
    struct db *db, const struct actor *by, const struct id *account_id, struct str client_id, struct err *err)
{
    struct grant g;
    enum err_code code = find_given(db, account_id, client_id, &g, err);

    CHECK(tx_is_write(db));
    return code ? code : withdraw(db, by, &g, err);
}
