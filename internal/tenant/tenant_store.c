/* Namespaces in control.db. */
#include "tenant/tenant.h"
#include "audit/audit.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/enc.h"
#include "base/limits.h"

#define SQL_INSERT "INSERT INTO namespace(id, slug, name, created_at) VALUES(?1, ?2, ?3, ?4)"
#define SQL_GET    "SELECT id, slug, name, created_at FROM namespace WHERE slug = ?1"

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
