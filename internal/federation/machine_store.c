/* Which database was made for whom, in control.db. */
#include "base/check.h"
#include "base/enc.h"
#include "base/limits.h"
#include "federation/machine_internal.h"

#define SQL_FIND                                                                                             \
    "SELECT m.database_id FROM machine_database m JOIN database d ON d.id = m.database_id"                   \
    " WHERE m.namespace_id = ?1 AND m.issuer = ?2 AND m.foreign_id = ?3"                                     \
    " AND d.status IN ('provisioning', 'healthy', 'restoring')"
#define SQL_PUT                                                                                              \
    "INSERT OR REPLACE INTO machine_database(namespace_id, issuer, foreign_id, database_id)"                 \
    " VALUES(?1, ?2, ?3, ?4)"

static enum err_code find(
    struct db *db, const struct machine_owner *owner, struct registry_entry *ret, struct err *err)
{
    AUTO_STMT st = DB_STMT_INIT;
    struct id id;
    enum err_code code = db_query_one(db, SQL_FIND,
        DB_ARGS(db_text(id_str(&owner->namespace_id)), db_text(owner->issuer), db_text(owner->foreign_id)),
        &st, err);

    if (code)
        return code;
    DB_COL_COPY(&st, 0, id.text);
    return registry_get_by_id(db, &id, ret, err);
}

static enum err_code make(struct db *db, const struct actor *by, const struct machine_owner *owner,
    struct str slug, struct str name, struct registry_entry *ret, struct err *err)
{
    enum err_code code = registry_create_free(
        db, by, &owner->namespace_id, slug, str_slice(name, 0, utf8_cut(name, LIMIT_NAME_BYTES)), ret, err);

    return code ? code
                : db_exec(db, SQL_PUT,
                      DB_ARGS(db_text(id_str(&owner->namespace_id)), db_text(owner->issuer),
                          db_text(owner->foreign_id), db_text(id_str(&ret->id))),
                      err);
}

enum err_code machine_database(struct db *db, const struct actor *by, const struct machine_owner *owner,
    struct str slug, struct str name, struct registry_entry *ret, bool *ret_made, struct err *err)
{
    struct err why = ERR_INIT;

    CHECK(tx_is_write(db));
    enum err_code code = find(db, owner, ret, &why);
    *ret_made = code == ERR_NOT_FOUND;
    if (code == ERR_NOT_FOUND)
        return make(db, by, owner, slug, name, ret, err);
    return code ? err_set(err, code, "%s", why.message) : ERR_OK;
}
