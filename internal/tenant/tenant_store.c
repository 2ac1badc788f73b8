/* Namespaces in control.db. */
#include "tenant/tenant.h"
#include "audit/audit.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/enc.h"
#include "base/limits.h"

#define SQL_INSERT  "INSERT INTO namespace(id, slug, name, created_at) VALUES(?1, ?2, ?3, ?4)"
#define COLUMNS     "SELECT n.id, n.slug, n.name, n.created_at, n.deleted_at FROM namespace n"
#define SQL_GET     COLUMNS " WHERE n.slug = ?1"
#define SQL_RENAME  "UPDATE namespace SET name = ?2 WHERE id = ?1"
#define SQL_DELETE  "UPDATE namespace SET deleted_at = ?2 WHERE id = ?1"
#define SQL_RESTORE "UPDATE namespace SET deleted_at = NULL WHERE id = ?1"
/* Of those without a live database, the ones that have none in the trash either. */
#define SQL_NEXT_DUE                                                                                         \
    COLUMNS                                                                                                  \
    " WHERE n.deleted_at <= ?1 AND (EXISTS (SELECT 1 FROM database d WHERE d.namespace_id = n.id AND"        \
    " d.deleted_at IS NULL) OR NOT EXISTS (SELECT 1 FROM database d WHERE d.namespace_id = n.id AND"         \
    " d.deleted_at IS NOT NULL)) ORDER BY n.deleted_at LIMIT 1"
#define SQL_PURGE_INVITATIONS                                                                                \
    "DELETE FROM invitation WHERE id IN (SELECT id FROM invitation WHERE namespace_id = ?1 LIMIT ?2)"
#define SQL_PURGE_TOKENS                                                                                     \
    "DELETE FROM token WHERE id IN (SELECT id FROM token WHERE namespace_id = ?1 LIMIT ?2)"
#define SQL_PURGE_MEMBERS                                                                                    \
    "DELETE FROM namespace_member WHERE namespace_id = ?1 AND account_id IN"                                 \
    " (SELECT account_id FROM namespace_member WHERE namespace_id = ?1 LIMIT ?2)"
#define SQL_PURGE "DELETE FROM namespace WHERE id = ?1"

/* First segments of paths that the server or its console answers itself. */
static const char *const RESERVED[] = {"admin", "agent", "api", "assets", "console", "demo", "docs",
    "healthz", "invite", "login", "logout", "mcp", "metrics", "new", "oauth", "openapi", "p", "readyz",
    "settings", "signup", "sql", "static", "v1", "version", "well-known", NULL};

static void map_row(const struct db_stmt *st, struct tenant *ret)
{
    DB_COL_COPY(st, 0, ret->id.text);
    DB_COL_COPY(st, 1, ret->slug);
    DB_COL_COPY(st, 2, ret->name);
    ret->created_at = db_col_int(st, 3);
    ret->deleted_at = db_col_int(st, 4);
}

static enum err_code check_name(struct str name, struct err *err)
{
    if (name.len > LIMIT_NAME_BYTES)
        return err_field(err, "/name", "must be at most %d bytes", (int)LIMIT_NAME_BYTES);
    return utf8_valid(name) ? ERR_OK : err_field(err, "/name", "must be UTF-8 text");
}

enum err_code tenant_check_slug(struct str slug, struct err *err)
{
    return slug_check(slug, RESERVED, "/namespace", err);
}

static enum err_code audit_created(
    struct db *db, const struct actor *by, const struct tenant *made, struct err *err)
{
    return audit_append(db,
        &(struct audit_event){.by = by,
            .action = AUDIT_NAMESPACE_CREATED,
            .namespace_id = &made->id,
            .target_id = id_str(&made->id),
            .target_name = str_of(made->slug),
            .after =
                AUDIT_VALUES(audit_text("slug", str_of(made->slug)), audit_text("name", str_of(made->name)))},
        err);
}

enum err_code tenant_create(struct db *db, const struct actor *by, struct str slug, struct str name,
    struct tenant *ret, struct err *err)
{
    struct id id = id_new("ns");
    enum err_code code = tenant_check_slug(slug, err);

    CHECK(tx_is_write(db));
    if (!code)
        code = check_name(name, err);
    if (code)
        return code;
    tx_announce(db);
    code = db_exec(db, SQL_INSERT,
        DB_ARGS(
            db_text(id_str(&id)), db_text(slug), db_text(name.len ? name : slug), db_int(clock_wall_ms())),
        err);
    if (code == ERR_CONFLICT)
        return err_set(err, code, "a namespace \"" STR_FMT "\" exists already", STR_ARG(slug));
    if (!code)
        code = tenant_get(db, slug, ret, err);
    return code ? code : audit_created(db, by, ret, err);
}

enum err_code tenant_get(struct db *db, struct str slug, struct tenant *ret, struct err *err)
{
    AUTO_STMT st = DB_STMT_INIT;
    enum err_code code = db_query_one(db, SQL_GET, DB_ARGS(db_text(slug)), &st, err);

    if (code == ERR_NOT_FOUND)
        return err_set(
            err, code, "there is no namespace \"" STR_FMT "\"", STR_ARG(str_slice(slug, 0, SLUG_SIZE)));
    if (!code)
        map_row(&st, ret);
    return code;
}

static enum err_code record(
    struct db *db, const struct actor *by, enum audit_action action, const struct tenant *t, struct err *err)
{
    tx_announce(db);
    return audit_append(db,
        &(struct audit_event){.by = by,
            .action = action,
            .namespace_id = &t->id,
            .target_id = id_str(&t->id),
            .target_name = str_of(t->slug)},
        err);
}

enum err_code tenant_rename(
    struct db *db, const struct actor *by, const struct tenant *t, struct str name, struct err *err)
{
    enum err_code code = check_name(name, err);

    CHECK(tx_is_write(db));
    if (!code && !name.len)
        code = err_field(err, "/name", "must not be empty");
    if (!code)
        code = db_exec(db, SQL_RENAME, DB_ARGS(db_text(id_str(&t->id)), db_text(name)), err);
    return code ? code
                : audit_append(db,
                      &(struct audit_event){.by = by,
                          .action = AUDIT_NAMESPACE_UPDATED,
                          .namespace_id = &t->id,
                          .target_id = id_str(&t->id),
                          .target_name = str_of(t->slug),
                          .before = AUDIT_VALUES(audit_text("name", str_of(t->name))),
                          .after = AUDIT_VALUES(audit_text("name", name))},
                      err);
}

enum err_code tenant_delete(struct db *db, const struct actor *by, const struct tenant *t, struct err *err)
{
    CHECK(tx_is_write(db));
    enum err_code code =
        db_exec(db, SQL_DELETE, DB_ARGS(db_text(id_str(&t->id)), db_int(clock_wall_ms())), err);
    return code ? code : record(db, by, AUDIT_NAMESPACE_DELETED, t, err);
}

enum err_code tenant_restore(struct db *db, const struct actor *by, const struct tenant *t, struct err *err)
{
    CHECK(tx_is_write(db));
    enum err_code code = db_exec(db, SQL_RESTORE, DB_ARGS(db_text(id_str(&t->id))), err);
    return code ? code : record(db, by, AUDIT_NAMESPACE_RESTORED, t, err);
}

enum err_code tenant_next_due(struct db *db, int64_t now_ms, struct tenant *ret, struct err *err)
{
    AUTO_STMT st = DB_STMT_INIT;
    enum err_code code =
        db_query_one(db, SQL_NEXT_DUE, DB_ARGS(db_int(now_ms - LIMIT_NAMESPACE_GRACE_MS)), &st, err);

    if (!code)
        map_row(&st, ret);
    return code;
}

enum err_code tenant_purge(
    struct db *db, const struct actor *by, const struct tenant *t, bool *more, struct err *err)
{
    const struct db_value *some = DB_ARGS(db_text(id_str(&t->id)), db_int(LIMIT_PURGE_ROWS));
    int64_t removed = 0;
    enum err_code code = db_exec(db, SQL_PURGE_INVITATIONS, some, err);

    removed += code ? 0 : db_changes(db);
    if (!code)
        code = db_exec(db, SQL_PURGE_TOKENS, some, err);
    removed += code ? 0 : db_changes(db);
    if (!code)
        code = db_exec(db, SQL_PURGE_MEMBERS, some, err);
    removed += code ? 0 : db_changes(db);
    *more = *more || removed >= LIMIT_PURGE_ROWS;
    if (code || removed >= LIMIT_PURGE_ROWS)
        return code; /* the rest, and the namespace itself, next time */
    code = record(db, by, AUDIT_NAMESPACE_PURGED, t, err);
    return code ? code : db_exec(db, SQL_PURGE, DB_ARGS(db_text(id_str(&t->id))), err);
}
