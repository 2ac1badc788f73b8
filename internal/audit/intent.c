/* Notes of intended changes in control.db. */
#include "audit/intent.h"
#include "audit/audit_internal.h"
#include "base/check.h"
#include "base/clock.h"

#define COLUMNS                                                                                              \
    "chain, action, actor_kind, actor_user_id, actor_token_id, actor_name, client, address, request_id, "    \
    "target_type, target_id, target_name, before_values"
#define SQL_INSERT                                                                                           \
    "INSERT INTO audit_intent(id, created_at, " COLUMNS ", done_values, unknown_values)"                     \
    " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)"
#define SQL_GET    "SELECT " COLUMNS ", done_values, unknown_values FROM audit_intent WHERE id = ?1"
#define SQL_FIRST  "SELECT id FROM audit_intent ORDER BY created_at, id LIMIT 1"
#define SQL_DELETE "DELETE FROM audit_intent WHERE id = ?1"

enum { COLUMN_DONE = 13, COLUMN_UNKNOWN };

enum err_code audit_intend(struct db *db, const struct audit_event *event, struct id *ret_id, struct err *err)
{
    AUTO_ARENA arena;
    struct audit_row row;
    struct str unknown;

    CHECK(tx_is_write(db));
    arena_init(&arena, AUDIT_ROW_BYTES_MAX);
    audit_row_of(&arena, event, &row, &unknown);
    struct id id = id_new("aui");
    enum err_code code = db_exec(db, SQL_INSERT,
        DB_ARGS(db_text(id_str(&id)), db_int(clock_wall_ms()), db_text(row.chain), db_text(row.action),
            db_text(row.actor_kind), db_text(row.actor_user_id), db_text(row.actor_token_id),
            db_text(row.actor_name), db_text(row.client), db_text(row.address), db_text(row.request_id),
            db_text(row.target_type), db_text(row.target_id), db_text(row.target_name),
            db_text(row.before_values), db_text(row.after_values), db_text(unknown)),
        err);

    if (!code)
        *ret_id = id;
    return code;
}

static void map_row(const struct db_stmt *st, enum audit_outcome outcome, struct audit_row *ret)
{
    *ret = (struct audit_row){.chain = db_col_text(st, 0),
        .action = db_col_text(st, 1),
        .actor_kind = db_col_text(st, 2),
        .actor_user_id = db_col_text(st, 3),
        .actor_token_id = db_col_text(st, 4),
        .actor_name = db_col_text(st, 5),
        .client = db_col_text(st, 6),
        .address = db_col_text(st, 7),
        .request_id = db_col_text(st, 8),
        .target_type = db_col_text(st, 9),
        .target_id = db_col_text(st, 10),
        .target_name = db_col_text(st, 11),
        .before_values = db_col_text(st, 12),
        .after_values = db_col_text(st, outcome == AUDIT_DONE ? COLUMN_DONE : COLUMN_UNKNOWN)};
}

static enum err_code append(struct db *db, const struct id *intent, enum audit_outcome outcome,
    const struct audit_value *before, struct err *err)
{
    AUTO_ARENA arena;
    AUTO_STMT st = DB_STMT_INIT;
    struct audit_row row;
    struct err none = ERR_INIT;
    enum err_code code = db_query_one(db, SQL_GET, DB_ARGS(db_text(id_str(intent))), &st, &none);

    arena_init(&arena, AUDIT_ROW_BYTES_MAX);
    if (code)
        return code == ERR_NOT_FOUND ? ERR_OK : err_set(err, code, "%s", none.message);
    map_row(&st, outcome, &row);
    if (before)
        row.before_values = audit_values_json(&arena, before);
    return audit_store_append(db, &row, err);
}

enum err_code audit_settle_told(struct db *db, const struct id *intent, enum audit_outcome outcome,
    const struct audit_value *before, struct err *err)
{
    CHECK(tx_is_write(db));
    enum err_code code = outcome == AUDIT_NOT_DONE ? ERR_OK : append(db, intent, outcome, before, err);
    return code ? code : db_exec(db, SQL_DELETE, DB_ARGS(db_text(id_str(intent))), err);
}

enum err_code audit_settle(
    struct db *db, const struct id *intent, enum audit_outcome outcome, struct err *err)
{
    return audit_settle_told(db, intent, outcome, NULL, err);
}

/* *ret_id "" none is left. */
static enum err_code find_first(struct db *db, struct id *ret_id, struct err *err)
{
    AUTO_STMT st = DB_STMT_INIT;
    struct err none = ERR_INIT;
    enum err_code code = db_query_one(db, SQL_FIRST, DB_NO_ARGS, &st, &none);

    *ret_id = (struct id){.text = ""};
    if (!code)
        DB_COL_COPY(&st, 0, ret_id->text);
    return code && code != ERR_NOT_FOUND ? err_set(err, code, "%s", none.message) : ERR_OK;
}

static enum err_code settle_all(struct db *db, int64_t *ret_count, struct err *err)
{
    struct id id;
    enum err_code code = find_first(db, &id, err);

    for (*ret_count = 0; !code && id.text[0]; ++*ret_count) {
        code = audit_settle(db, &id, AUDIT_UNKNOWN, err);
        if (!code)
            code = find_first(db, &id, err);
    }
    return code;
}

enum err_code audit_settle_left(struct db *db, int64_t *ret_count, struct err *err)
{
    enum err_code code = tx_begin_write(db, err);

    *ret_count = 0;
    return code ? code : tx_end(db, settle_all(db, ret_count, err), err);
}
