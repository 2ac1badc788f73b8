/* Members in control.db. */
#include "tenant/member.h"
#include "audit/audit.h"
#include "base/check.h"
#include "base/clock.h"

#define SQL_ADD                                                                                              \
    "INSERT INTO namespace_member(namespace_id, account_id, role, created_at) VALUES(?1, ?2, ?3, ?4)"
#define MEMBERSHIP                                                                                           \
    "SELECT n.id, n.slug, n.name, n.created_at, m.role FROM namespace_member m"                              \
    " JOIN namespace n ON n.id = m.namespace_id"
#define SQL_FIND    MEMBERSHIP " WHERE n.slug = ?1 AND m.account_id = ?2"
#define SQL_LIST_OF MEMBERSHIP " WHERE m.account_id = ?1 ORDER BY n.slug"
/* A namespace that would be left without an owner. */
#define SQL_ORPHAN                                                                                           \
    MEMBERSHIP " WHERE m.account_id = ?1 AND m.role = 'owner' AND NOT EXISTS (SELECT 1 FROM"                 \
               " namespace_member o WHERE o.namespace_id = m.namespace_id AND o.role = 'owner' AND"          \
               " o.account_id <> ?1) ORDER BY n.slug LIMIT 1"
#define SQL_SUCCESSOR                                                                                        \
    "SELECT account_id FROM namespace_member WHERE namespace_id = ?1 AND role = 'admin' AND account_id <> "  \
    "?2 ORDER BY created_at, account_id LIMIT 1"
#define SQL_SET_ROLE "UPDATE namespace_member SET role = ?3 WHERE namespace_id = ?1 AND account_id = ?2"
#define SQL_NEXT_OF  MEMBERSHIP " WHERE m.account_id = ?1 ORDER BY n.slug LIMIT 1"
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

enum err_code member_add(struct db *db, const struct actor *by, const struct id *tenant_id,
    const struct id *account_id, enum member_role role, struct err *err)
{
    CHECK(tx_is_write(db));
    tx_announce(db);
    enum err_code code = db_exec(db, SQL_ADD,
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

/* Doubles inside the arena: what is left behind is freed with it. */
static struct membership *room_for_one(struct arena *a, struct membership *rows, size_t count)
{
    if (count & (count - 1))
        return rows; /* the room is a power of two and not used up */
    struct membership *more = arena_alloc(a, (count ? 2 * count : 1) * sizeof *more);
    if (more && count)
        memcpy(more, rows, count * sizeof *more);
    return more;
}

enum err_code member_list_of(struct db *db, struct arena *a, const struct id *account_id,
    struct membership **ret, size_t *ret_count, struct err *err)
{
    AUTO_STMT st = DB_STMT_INIT;
    struct membership *rows = NULL;
    size_t count = 0;
    enum err_code code = db_query(db, SQL_LIST_OF, DB_ARGS(db_text(id_str(account_id))), &st, err);

    while (!code && db_row(&st)) {
        rows = room_for_one(a, rows, count);
        if (!rows)
            return err_set(err, ERR_TOO_LARGE, "too many namespaces to list at once");
        map_membership(&st, &rows[count++]);
    }
    if (!code)
        code = db_done(&st, err);
    if (code)
        return code;
    *ret = rows;
    *ret_count = count;
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
    enum err_code code =
        db_exec(db, SQL_REMOVE, DB_ARGS(db_text(id_str(&m->tenant.id)), db_text(id_str(account_id))), err);

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
