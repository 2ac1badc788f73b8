#include "audit/list.h"

#include "audit/audit_internal.h"

#define SELECT_ENTRY                                                                                         \
    "SELECT a.chain, a.seq, a.id, a.created_at, a.action, a.actor_kind, a.actor_user_id, a.actor_token_id, " \
    "a.actor_name, a.client, a.address, a.request_id, a.target_type, a.target_id, a.target_name, "           \
    "a.before_values, a.after_values, a.hash, u.name, u.email, t.name FROM audit a "                         \
    "LEFT JOIN account u ON u.id = a.actor_user_id LEFT JOIN token t ON t.id = a.actor_token_id "
#define SQL_LIST SELECT_ENTRY "WHERE a.chain = ?1 AND a.created_at < ?2 ORDER BY a.created_at DESC LIMIT ?3"
#define SQL_LIST_ACTION                                                                                      \
    SELECT_ENTRY                                                                                             \
    "WHERE a.chain = ?1 AND a.action = ?4 AND a.created_at < ?2 ORDER BY a.created_at DESC LIMIT ?3"

static void map_entry(const struct db_stmt *st, struct audit_entry *ret)
{
    audit_map_row(st, &ret->row);
    ret->user_name = db_col_text(st, AUDIT_ROW_COLUMN_COUNT);
    ret->user_email = db_col_text(st, AUDIT_ROW_COLUMN_COUNT + 1);
    ret->token_name = db_col_text(st, AUDIT_ROW_COLUMN_COUNT + 2);
}

static enum err_code query(struct db *db, const struct id *namespace_id, const struct audit_filter *filter,
    struct db_stmt *ret, struct err *err)
{
    struct db_value chain = db_text(id_str(namespace_id));
    struct db_value before = db_int(filter->before_ms);
    struct db_value limit = db_int(filter->limit);

    if (filter->action.len)
        return db_query(
            db, SQL_LIST_ACTION, DB_ARGS(chain, before, limit, db_text(filter->action)), ret, err);
    return db_query(db, SQL_LIST, DB_ARGS(chain, before, limit), ret, err);
}

enum err_code audit_page(struct db *db, const struct id *namespace_id, const struct audit_filter *filter,
    void (*see)(void *arg, const struct audit_entry *entry), void *arg, struct err *err)
{
    AUTO_STMT st = DB_STMT_INIT;
    struct audit_entry entry;
    enum err_code code = query(db, namespace_id, filter, &st, err);

    while (!code && db_row(&st)) {
        map_entry(&st, &entry);
        see(arg, &entry);
    }
    return code ? code : db_done(&st, err);
}
