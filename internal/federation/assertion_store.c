/* Assertions in control.db. */
#include "federation/assertion.h"

#include "audit/audit.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/limits.h"

#define SQL_INSERT                                                                                           \
    "INSERT INTO machine_assertion(id, machine_id, created_at, expires_at) VALUES(?1, ?2, ?3, ?4)"
#define SQL_FIND   "SELECT 1 FROM machine_assertion WHERE id = ?1 AND machine_id = ?2 AND expires_at > ?3"
#define SQL_DELETE "DELETE FROM machine_assertion WHERE id = ?1"
#define SQL_TRIM                                                                                             \
    "DELETE FROM machine_assertion WHERE machine_id = ?1 AND id NOT IN"                                      \
    " (SELECT id FROM machine_assertion WHERE machine_id = ?1 ORDER BY id DESC LIMIT ?2)"
#define SQL_PURGE                                                                                            \
    "DELETE FROM machine_assertion WHERE id IN"                                                              \
    " (SELECT id FROM machine_assertion WHERE expires_at <= ?1 LIMIT ?2)"

static enum err_code audit(struct db *db, const struct actor *by, enum audit_action action,
    const struct machine *m, struct str id, const struct audit_value *after, struct err *err)
{
    return audit_append(db,
        &(struct audit_event){.by = by,
            .action = action,
            .namespace_id = &m->namespace_id,
            .target_id = id,
            .target_name = m->name,
            .after = after},
        err);
}

enum err_code assertion_create(
    struct db *db, const struct actor *by, const struct machine *m, struct assertion *ret, struct err *err)
{
    int64_t now = clock_wall_ms();

    CHECK(tx_is_write(db));
    *ret = (struct assertion){.id = id_new("asr"), .created_at = now, .expires_at = now + LIMIT_ASSERTION_MS};
    enum err_code code = db_exec(db, SQL_INSERT,
        DB_ARGS(db_text(id_str(&ret->id)), db_text(id_str(&m->id)), db_int(now), db_int(ret->expires_at)),
        err);
    if (!code)
        code = db_exec(
            db, SQL_TRIM, DB_ARGS(db_text(id_str(&m->id)), db_int(LIMIT_ASSERTIONS_PER_MACHINE)), err);
    return code ? code
                : audit(db, by, AUDIT_ASSERTION_ISSUED, m, id_str(&ret->id),
                      AUDIT_VALUES(audit_time("expiresAt", ret->expires_at)), err);
}

enum err_code assertion_use(struct db *db, struct arena *a, struct str id, struct str machine_id,
    struct machine *ret, struct err *err)
{
    AUTO_STMT st = DB_STMT_INIT;
    struct err why = ERR_INIT;
    enum err_code code = db_query_one(
        db, SQL_FIND, DB_ARGS(db_text(id), db_text(machine_id), db_int(clock_wall_ms())), &st, &why);

    if (!code)
        code = machine_find(db, a, machine_id, ret, &why);
    if (code == ERR_NOT_FOUND)
        return err_set(err, ERR_UNAUTHORIZED, "it has expired, was given back, or its namespace is gone");
    return code ? err_set(err, code, "%s", why.message) : ERR_OK;
}

enum err_code assertion_revoke(struct db *db, const struct actor *by, struct arena *a, struct str id,
    struct str machine_id, struct err *err)
{
    struct machine m;
    int64_t ended;
    struct err why = ERR_INIT;

    CHECK(tx_is_write(db));
    enum err_code code = assertion_use(db, a, id, machine_id, &m, &why);
    if (code)
        return code == ERR_UNAUTHORIZED ? ERR_OK : err_set(err, code, "%s", why.message);
    code = token_revoke_assertion(db, id, &ended, err);
    if (!code)
        code = db_exec(db, SQL_DELETE, DB_ARGS(db_text(id)), err);
    return code ? code
                : audit(db, by, AUDIT_ASSERTION_REVOKED, &m, id,
                      AUDIT_VALUES(audit_int("tokensEnded", ended)), err);
}

enum err_code assertion_purge(struct db *db, bool *more, struct err *err)
{
    return db_purge(db, SQL_PURGE, DB_ARGS(db_int(clock_wall_ms()), db_int(LIMIT_PURGE_ROWS)),
        LIMIT_PURGE_ROWS, more, err);
}
