/* Members in control.db. */
#include "tenant/member.h"
#include "audit/audit.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/limits.h"

#define SQL_ADD                                                                                              \
    "INSERT INTO namespace_member(namespace_id, account_id, role, created_at, slug)"                         \
    " SELECT id, ?2, ?3, ?4, slug FROM namespace WHERE id = ?1"
#define MEMBERSHIP                                                                                           \
    "SELECT n.id, n.slug, n.name, n.created_at, m.role, n.deleted_at FROM namespace_member m"                \
    " JOIN namespace n ON n.id = m.namespace_id"
#define SQL_FIND         MEMBERSHIP " WHERE n.slug = ?1 AND m.account_id = ?2 AND n.deleted_at IS NULL"
#define SQL_FIND_DELETED MEMBERSHIP " WHERE n.slug = ?1 AND m.account_id = ?2 AND n.deleted_at IS NOT NULL"
#define SQL_ROLE         "SELECT role FROM namespace_member WHERE namespace_id = ?1 AND account_id = ?2"
#define SQL_OTHER_OWNER                                                                                      \
    "SELECT 1 FROM namespace_member WHERE namespace_id = ?1 AND role = 'owner' AND account_id <> ?2 LIMIT 1"
#define SQL_COUNT       "SELECT count(*) FROM namespace_member WHERE namespace_id = ?1"
#define SQL_COUNT_OWNED "SELECT count(*) FROM namespace_member WHERE account_id = ?1 AND role = 'owner'"
#define SQL_LIST                                                                                             \
    "SELECT m.account_id, a.email, a.name, m.role, m.created_at FROM namespace_member m"                     \
    " JOIN account a ON a.id = m.account_id"                                                                 \
    " WHERE m.namespace_id = ?1 AND m.account_id > ?2 ORDER BY m.account_id LIMIT ?3"
#define SQL_REMOVE_SHARES                                                                                    \
    "DELETE FROM database_share WHERE account_id = ?2"                                                       \
    " AND database_id IN (SELECT id FROM database WHERE namespace_id = ?1)"
#define SQL_LIST_OF MEMBERSHIP " WHERE m.account_id = ?1 AND m.slug > ?2 ORDER BY m.slug LIMIT ?3"
/* A namespace that would be left without an owner; one that was deleted needs none any more. */
#define SQL_ORPHAN                                                                                           \
    MEMBERSHIP " WHERE m.account_id = ?1 AND m.role = 'owner' AND n.deleted_at IS NULL AND NOT EXISTS "      \
               "(SELECT 1 FROM"                                                                              \
               " namespace_member o WHERE o.namespace_id = m.namespace_id AND o.role = 'owner' AND"          \
               " o.account_id <> ?1) ORDER BY n.slug LIMIT 1"
#define SQL_SUCCESSOR                                                                                        \
    "SELECT account_id FROM namespace_member WHERE namespace_id = ?1 AND role = 'admin' AND account_id <> "  \
    "?2 ORDER BY created_at, account_id LIMIT 1"
#define SQL_SET_ROLE "UPDATE namespace_member SET role = ?3 WHERE namespace_id = ?1 AND account_id = ?2"
#define SQL_NEXT_OF  MEMBERSHIP " WHERE m.account_id = ?1 ORDER BY m.slug LIMIT 1"
#define SQL_REMOVE   "DELETE FROM namespace_member WHERE namespace_id = ?1 AND account_id = ?2"

static const struct {
    const char *name;
    enum wire_role engine;
} ROLES[MEMBER_ROLE_COUNT] = {
#define ROLE(name, spelling, engine_role, text) [MEMBER_##name] = {spelling, WIRE_ROLE_##engine_role},
#include "roles.def"
};

const char *member_role_name(enum member_role role)
{
    CHECK(role > MEMBER_NONE && role < MEMBER_ROLE_COUNT);
    return ROLES[role].name;
}

bool member_role_parse(struct str text, enum member_role *ret)
{
    for (int i = MEMBER_NONE + 1; i < MEMBER_ROLE_COUNT; i++) {
        if (!str_eq(text, str_of(ROLES[i].name)))
            continue;
        *ret = (enum member_role)i;
        return true;
    }
    return false;
}

enum wire_role member_engine_role(enum member_role role)
{
    CHECK(role > MEMBER_NONE && role < MEMBER_ROLE_COUNT);
    return ROLES[role].engine;
}

static void map_membership(const struct db_stmt *st, struct membership *ret)
{
    DB_COL_COPY(st, 0, ret->tenant.id.text);
    DB_COL_COPY(st, 1, ret->tenant.slug);
    DB_COL_COPY(st, 2, ret->tenant.name);
    ret->tenant.created_at = db_col_int(st, 3);
    bool known = member_role_parse(db_col_text(st, 4), &ret->role);
    CHECK(known); /* the table's own CHECK */
    ret->tenant.deleted_at = db_col_int(st, 5);
}

static enum err_code record(struct db *db, const struct actor *by, enum audit_action action,
    const struct id *tenant_id, const struct id *account_id, enum member_role before, enum member_role after,
    struct err *err)
{
    const struct audit_value *was =
        before ? AUDIT_VALUES(audit_text("role", str_of(member_role_name(before)))) : NULL;
    const struct audit_value *is =
        after ? AUDIT_VALUES(audit_text("role", str_of(member_role_name(after)))) : NULL;
    return audit_append(db,
        &(struct audit_event){.by = by,
            .action = action,
            .namespace_id = tenant_id,
            .target_id = id_str(account_id),
            .before = was,
            .after = is},
        err);
}

static enum err_code count(struct db *db, bool owned, const struct id *id, int64_t *ret, struct err *err)
{
    AUTO_STMT st = DB_STMT_INIT;
    const struct db_value *args = DB_ARGS(db_text(id_str(id)));
    enum err_code code = owned ? db_query_one(db, SQL_COUNT_OWNED, args, &st, err)
                               : db_query_one(db, SQL_COUNT, args, &st, err);

    if (!code)
        *ret = db_col_int(&st, 0);
    return code;
}

enum err_code member_count(struct db *db, const struct id *tenant_id, int64_t *ret, struct err *err)
{
    return count(db, false, tenant_id, ret, err);
}

static enum err_code check_room(struct db *db, const struct id *tenant_id, const struct id *account_id,
    enum member_role role, struct err *err)
{
    int64_t members = 0, owned = 0;
    enum err_code code = count(db, false, tenant_id, &members, err);

    if (!code && role == MEMBER_OWNER)
        code = count(db, true, account_id, &owned, err);
    if (!code && members >= LIMIT_MEMBERS_PER_NAMESPACE)
        code = err_set(
            err, ERR_FORBIDDEN, "this namespace has its %d members", (int)LIMIT_MEMBERS_PER_NAMESPACE);
    if (!code && owned >= LIMIT_NAMESPACES_PER_ACCOUNT)
        code = err_set(
            err, ERR_FORBIDDEN, "one person owns at most %d namespaces", (int)LIMIT_NAMESPACES_PER_ACCOUNT);
    return code;
}

enum err_code member_add(struct db *db, const struct actor *by, const struct id *tenant_id,
    const struct id *account_id, enum member_role role, struct err *err)
{
    CHECK(tx_is_write(db));
    tx_announce(db);
    enum err_code code = check_room(db, tenant_id, account_id, role, err);
    if (code)
        return code;
    code = db_exec(db, SQL_ADD,
        DB_ARGS(db_text(id_str(tenant_id)), db_text(id_str(account_id)),
            db_text(str_of(member_role_name(role))), db_int(clock_wall_ms())),
        err);
    if (code == ERR_CONFLICT)
        return err_set(err, code, "this person is a member already");
    return code ? code : record(db, by, AUDIT_MEMBER_ADDED, tenant_id, account_id, MEMBER_NONE, role, err);
}

/* --- Whose --- */

enum err_code member_find(
    struct db *db, struct str slug, const struct id *account_id, struct membership *ret, struct err *err)
{
    AUTO_STMT st = DB_STMT_INIT;
    enum err_code code =
        db_query_one(db, SQL_FIND, DB_ARGS(db_text(slug), db_text(id_str(account_id))), &st, err);

    if (code == ERR_NOT_FOUND)
        return err_set(err, code, "No such namespace");
    if (!code)
        map_membership(&st, ret);
    return code;
}

enum err_code member_find_deleted(
    struct db *db, struct str slug, const struct id *account_id, struct membership *ret, struct err *err)
{
    AUTO_STMT st = DB_STMT_INIT;
    enum err_code code =
        db_query_one(db, SQL_FIND_DELETED, DB_ARGS(db_text(slug), db_text(id_str(account_id))), &st, err);

    if (code == ERR_NOT_FOUND)
        return err_set(err, code, "No such namespace");
    if (!code)
        map_membership(&st, ret);
    return code;
}

enum err_code member_list(struct db *db, struct arena *a, const struct id *tenant_id, struct str after,
    int64_t limit, struct member **ret, size_t *ret_count, struct err *err)
{
    AUTO_STMT st = DB_STMT_INIT;
    struct member *rows = arena_alloc(a, (size_t)limit * sizeof *rows);
    size_t n = 0;

    if (!rows)
        return err_set(err, ERR_TOO_LARGE, "too many members to list at once");
    enum err_code code =
        db_query(db, SQL_LIST, DB_ARGS(db_text(id_str(tenant_id)), db_text(after), db_int(limit)), &st, err);
    while (!code && db_row(&st)) {
        struct member *m = &rows[n++];
        DB_COL_COPY(&st, 0, m->account_id.text);
        DB_COL_COPY(&st, 1, m->email);
        DB_COL_COPY(&st, 2, m->name);
        bool known = member_role_parse(db_col_text(&st, 3), &m->role);
        CHECK(known); /* the table's own CHECK */
        m->joined_at = db_col_int(&st, 4);
    }
    if (!code)
        code = db_done(&st, err);
    if (code)
        return code;
    *ret = rows;
    *ret_count = n;
    return ERR_OK;
}

enum err_code member_list_of(struct db *db, struct arena *a, const struct id *account_id, struct str after,
    int64_t limit, struct membership **ret, size_t *ret_count, struct err *err)
{
    AUTO_STMT st = DB_STMT_INIT;
    struct membership *rows = arena_alloc(a, (size_t)limit * sizeof *rows);
    size_t n = 0;

    if (!rows)
        return err_set(err, ERR_TOO_LARGE, "too many namespaces to list at once");
    enum err_code code = db_query(
        db, SQL_LIST_OF, DB_ARGS(db_text(id_str(account_id)), db_text(after), db_int(limit)), &st, err);
    while (!code && db_row(&st))
        map_membership(&st, &rows[n++]);
    if (!code)
        code = db_done(&st, err);
    if (code)
        return code;
    *ret = rows;
    *ret_count = n;
    return ERR_OK;
}

/* --- Leaving --- */

static enum err_code set_role(struct db *db, const struct actor *by, const struct id *tenant_id,
    const struct id *account_id, enum member_role before, enum member_role after, struct err *err)
{
    enum err_code code = db_exec(db, SQL_SET_ROLE,
        DB_ARGS(db_text(id_str(tenant_id)), db_text(id_str(account_id)),
            db_text(str_of(member_role_name(after)))),
        err);
    return code ? code : record(db, by, AUDIT_MEMBER_ROLE_CHANGED, tenant_id, account_id, before, after, err);
}

static enum err_code promote_successor(struct db *db, const struct actor *by, const struct tenant *tenant,
    const struct id *leaving, struct err *err)
{
    AUTO_STMT st = DB_STMT_INIT;
    struct id successor;
    enum err_code code = db_query_one(
        db, SQL_SUCCESSOR, DB_ARGS(db_text(id_str(&tenant->id)), db_text(id_str(leaving))), &st, err);

    if (code == ERR_NOT_FOUND)
        return err_set(err, ERR_CONFLICT,
            "You are the only owner of the namespace \"%s\": make another member owner or delete it first",
            tenant->slug);
    if (code)
        return code;
    DB_COL_COPY(&st, 0, successor.text);
    return set_role(db, by, &tenant->id, &successor, MEMBER_ADMIN, MEMBER_OWNER, err);
}

/* ERR_NOT_FOUND: none of that kind is left. */
static enum err_code next_orphan(
    struct db *db, const struct id *account_id, struct membership *ret, struct err *err)
{
    AUTO_STMT st = DB_STMT_INIT;
    enum err_code code = db_query_one(db, SQL_ORPHAN, DB_ARGS(db_text(id_str(account_id))), &st, err);

    if (!code)
        map_membership(&st, ret);
    return code;
}

static enum err_code next_membership(
    struct db *db, const struct id *account_id, struct membership *ret, struct err *err)
{
    AUTO_STMT st = DB_STMT_INIT;
    enum err_code code = db_query_one(db, SQL_NEXT_OF, DB_ARGS(db_text(id_str(account_id))), &st, err);

    if (!code)
        map_membership(&st, ret);
    return code;
}

static enum err_code remove_one(struct db *db, const struct actor *by, const struct membership *m,
    const struct id *account_id, struct err *err)
{
    const struct db_value *args = DB_ARGS(db_text(id_str(&m->tenant.id)), db_text(id_str(account_id)));
    enum err_code code = db_exec(db, SQL_REMOVE_SHARES, args, err);

    if (!code)
        code = db_exec(db, SQL_REMOVE, args, err);
    return code ? code
                : record(db, by, AUDIT_MEMBER_REMOVED, &m->tenant.id, account_id, m->role, MEMBER_NONE, err);
}

static enum err_code leave_in_good_order(
    struct db *db, const struct actor *by, const struct id *account_id, struct err *err)
{
    struct membership m;
    enum err_code code;

    while ((code = next_orphan(db, account_id, &m, err)) == ERR_OK)
        if ((code = promote_successor(db, by, &m.tenant, account_id, err)))
            return code;
    if (code != ERR_NOT_FOUND)
        return code;
    while ((code = next_membership(db, account_id, &m, err)) == ERR_OK)
        if ((code = remove_one(db, by, &m, account_id, err)))
            return code;
    return code;
}

enum err_code tenant_leave_all(
    struct db *db, const struct actor *by, const struct id *account_id, struct err *err)
{
    struct err local = ERR_INIT;

    CHECK(tx_is_write(db));
    tx_announce(db);
    enum err_code code = leave_in_good_order(db, by, account_id, &local);
    if (code == ERR_NOT_FOUND)
        return ERR_OK; /* none is left */
    return err_set(err, code, "%s", local.message);
}

/* --- Changing --- */

/* ERR_NOT_FOUND no member. */
static enum err_code role_of(
    struct db *db, const struct id *tenant_id, struct str account_id, enum member_role *ret, struct err *err)
{
    AUTO_STMT st = DB_STMT_INIT;
    enum err_code code =
        db_query_one(db, SQL_ROLE, DB_ARGS(db_text(id_str(tenant_id)), db_text(account_id)), &st, err);

    if (code == ERR_NOT_FOUND)
        return err_set(err, code, "There is no such member");
    if (code)
        return code;
    bool known = member_role_parse(db_col_text(&st, 0), ret);
    CHECK(known); /* the table's own CHECK */
    return ERR_OK;
}

enum err_code member_require(struct db *db, const struct id *tenant_id, const struct id *account_id,
    enum member_role least, enum member_role *ret, struct err *err)
{
    enum err_code code = role_of(db, tenant_id, id_str(account_id), ret, err);

    CHECK(tx_is_write(db));
    if (code && code != ERR_NOT_FOUND)
        return code;
    if (code || *ret < least)
        return err_set(
            err, ERR_FORBIDDEN, "This needs the role %s in the namespace", member_role_name(least));
    return ERR_OK;
}

static enum err_code check_change(
    enum member_role actor, enum member_role before, enum member_role after, bool leaves, struct err *err)
{
    if ((before == MEMBER_OWNER || after == MEMBER_OWNER) && actor != MEMBER_OWNER)
        return err_set(err, ERR_FORBIDDEN, "This needs the role owner in the namespace; yours is %s",
            member_role_name(actor));
    if (actor < MEMBER_ADMIN && !leaves)
        return err_set(err, ERR_FORBIDDEN, "This needs the role admin in the namespace; yours is %s",
            member_role_name(actor));
    return ERR_OK;
}

/* An owner stops being one: somebody else must be. */
static enum err_code keep_an_owner(
    struct db *db, const struct actor *by, const struct tenant *t, const struct id *leaving, struct err *err)
{
    AUTO_STMT st = DB_STMT_INIT;
    struct err local = ERR_INIT;
    enum err_code code = db_query_one(
        db, SQL_OTHER_OWNER, DB_ARGS(db_text(id_str(&t->id)), db_text(id_str(leaving))), &st, &local);

    if (code == ERR_NOT_FOUND)
        return promote_successor(db, by, t, leaving, err);
    return code ? err_set(err, code, "%s", local.message) : ERR_OK;
}

enum err_code member_change(struct db *db, const struct actor *by, const struct tenant *t,
    const struct id *actor, struct str target, enum member_role role, struct err *err)
{
    enum member_role own = MEMBER_NONE, before = MEMBER_NONE;
    struct id id = {.text = ""};
    bool leaves = role == MEMBER_NONE && str_eq(target, id_str(actor));
    enum err_code code = member_require(db, &t->id, actor, MEMBER_VIEWER, &own, err);

    if (!code)
        code = role_of(db, &t->id, target, &before, err);
    if (!code)
        code = check_change(own, before, role, leaves, err);
    if (code || before == role)
        return code;
    tx_announce(db);
    CHECK(target.len < sizeof id.text); /* it was found */
    memcpy(id.text, target.ptr, target.len);
    if (before == MEMBER_OWNER)
        code = keep_an_owner(db, by, t, &id, err);
    if (code)
        return code;
    if (role)
        return set_role(db, by, &t->id, &id, before, role, err);
    return remove_one(db, by, &(struct membership){.tenant = *t, .role = before}, &id, err);
}
