/* Shares in control.db. */
#include "tenant/share.h"
#include "audit/audit.h"
#include "base/check.h"
#include "base/clock.h"

#define SQL_ROLE                                                                                             \
    "SELECT coalesce(s.role, p.role) FROM database d"                                                        \
    " LEFT JOIN database_share s ON s.database_id = d.id AND s.account_id = ?2"                              \
    " LEFT JOIN database_share p ON p.database_id = d.parent_id AND d.branch_ref IS NOT NULL"                \
    " AND p.account_id = ?2 WHERE d.id = ?1"
#define SQL_SET                                                                                              \
    "INSERT INTO database_share(database_id, account_id, role, created_at)"                                  \
    " SELECT ?1, account_id, ?3, ?4 FROM namespace_member WHERE namespace_id = ?5 AND account_id = ?2"       \
    " ON CONFLICT(database_id, account_id) DO UPDATE SET role = excluded.role"
#define SQL_REMOVE "DELETE FROM database_share WHERE database_id = ?1 AND account_id = ?2"
#define SQL_IS_OWNER                                                                                         \
    "SELECT 1 FROM namespace_member WHERE namespace_id = ?1 AND account_id = ?2 AND role = 'owner'"
#define SQL_LIST                                                                                             \
    "SELECT s.account_id, a.email, s.role, s.created_at FROM database_share s JOIN account a ON a.id = "     \
    "s.account_id WHERE s.database_id = ?1 AND s.account_id > ?2 ORDER BY s.account_id LIMIT ?3"

static enum member_role role_column(const struct db_stmt *st, int column)
{
    enum member_role role = MEMBER_NONE;
    bool known = member_role_parse(db_col_text(st, column), &role);
    CHECK(known); /* the table's own CHECK */
    return role;
}

enum err_code share_role(struct db *db, const struct id *database_id, const struct id *account_id,
    enum member_role *ret, struct err *err)
{
    AUTO_STMT st = DB_STMT_INIT;
    struct err local = ERR_INIT;
    enum err_code code = db_query_one(
        db, SQL_ROLE, DB_ARGS(db_text(id_str(database_id)), db_text(id_str(account_id))), &st, &local);

    if (code && code != ERR_NOT_FOUND)
        return err_set(err, code, "%s", local.message);
    *ret = code || db_col_is_null(&st, 0) ? MEMBER_NONE : role_column(&st, 0);
    return ERR_OK;
}

static enum err_code record(struct db *db, const struct actor *by, enum audit_action action,
    const struct tenant *t, const struct id *database_id, struct str account_id, enum member_role role,
    struct err *err)
{
    const struct audit_value *values = role ? AUDIT_VALUES(audit_text("userId", account_id),
                                                  audit_text("role", str_of(member_role_name(role))))
                                            : AUDIT_VALUES(audit_text("userId", account_id));
    tx_announce(db);
    return audit_append(db,
        &(struct audit_event){.by = by,
            .action = action,
            .namespace_id = &t->id,
            .target_id = id_str(database_id),
            .after = values},
        err);
}

/* As with the role in the namespace: an admin lowers no owner. */
static enum err_code check_no_owner(
    struct db *db, const struct tenant *t, struct str account_id, enum member_role own, struct err *err)
{
    AUTO_STMT st = DB_STMT_INIT;

    if (own == MEMBER_OWNER)
        return ERR_OK;
    enum err_code code =
        db_query_one(db, SQL_IS_OWNER, DB_ARGS(db_text(id_str(&t->id)), db_text(account_id)), &st, err);
    if (code == ERR_NOT_FOUND)
        return ERR_OK;
    return code ? code
                : err_set(err, ERR_FORBIDDEN,
                      "Lowering an owner by a share needs the role owner in the namespace; yours is %s",
                      member_role_name(own));
}

enum err_code share_set(struct db *db, const struct actor *by, const struct tenant *t, const struct id *actor,
    const struct id *database_id, struct str account_id, enum member_role role, struct err *err)
{
    enum member_role own;
    enum err_code code = member_require(db, &t->id, actor, MEMBER_ADMIN, &own, err);

    CHECK(role == MEMBER_VIEWER || role == MEMBER_EDITOR);
    if (!code)
        code = check_no_owner(db, t, account_id, own, err);
    if (!code)
        code = db_exec(db, SQL_SET,
            DB_ARGS(db_text(id_str(database_id)), db_text(account_id),
                db_text(str_of(member_role_name(role))), db_int(clock_wall_ms()), db_text(id_str(&t->id))),
            err);
    if (!code && db_changes(db) == 0)
        code = err_set(err, ERR_NOT_FOUND, "There is no such member");
    return code ? code : record(db, by, AUDIT_SHARE_SET, t, database_id, account_id, role, err);
}

enum err_code share_remove(struct db *db, const struct actor *by, const struct tenant *t,
    const struct id *actor, const struct id *database_id, struct str account_id, struct err *err)
{
    enum member_role own;
    enum err_code code = member_require(db, &t->id, actor, MEMBER_ADMIN, &own, err);

    if (!code)
        code = db_exec(db, SQL_REMOVE, DB_ARGS(db_text(id_str(database_id)), db_text(account_id)), err);
    if (!code && db_changes(db) == 0)
        code = err_set(err, ERR_NOT_FOUND, "The database is not shared with such a member");
    return code ? code : record(db, by, AUDIT_SHARE_REMOVED, t, database_id, account_id, MEMBER_NONE, err);
}

enum err_code share_list(struct db *db, struct arena *a, const struct id *database_id, struct str after,
    int64_t limit, struct share **ret, size_t *ret_count, struct err *err)
{
    AUTO_STMT st = DB_STMT_INIT;
    struct share *rows = arena_alloc(a, (size_t)limit * sizeof *rows);
    size_t n = 0;

    if (!rows)
        return err_set(err, ERR_TOO_LARGE, "too many shares to list at once");
    enum err_code code = db_query(
        db, SQL_LIST, DB_ARGS(db_text(id_str(database_id)), db_text(after), db_int(limit)), &st, err);
    while (!code && db_row(&st)) {
        struct share *s = &rows[n++];
        DB_COL_COPY(&st, 0, s->account_id.text);
        DB_COL_COPY(&st, 1, s->email);
        s->role = role_column(&st, 2);
        s->created_at = db_col_int(&st, 3);
    }
    if (!code)
        code = db_done(&st, err);
    if (code)
        return code;
    *ret = rows;
    *ret_count = n;
    return ERR_OK;
}
