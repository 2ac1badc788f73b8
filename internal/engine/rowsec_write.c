/* UPDATE and DELETE under row-level security: the functions behind the shadow's INSTEAD OF triggers, and
 * those that policies speak to. */
#include "engine/engine_state.h"
#include "engine/rowsec.h"
#include "json/jsonr.h"

/* _sys_claim(name): NULL when the token has none of that name. */
static void fn_claim(sqlite3_context *ctx, int argc, sqlite3_value **argv)
{
    struct engine *eng = sqlite3_user_data(ctx);
    const struct rowsec *rs = eng->guard.rowsec;
    const char *name = (const char *)sqlite3_value_text(argv[0]);
    (void)argc;
    const struct jsonr_value *v = rs && rs->claims && name ? jsonr_member(rs->claims, str_of(name)) : NULL;
    switch (v ? jsonr_kind(v) : JSONR_NULL) {
    case JSONR_TEXT:
        sqlite3_result_text64(ctx, jsonr_text(v).ptr, jsonr_text(v).len, SQLITE_TRANSIENT, SQLITE_UTF8);
        break;
    case JSONR_INT: sqlite3_result_int64(ctx, jsonr_int(v)); break;
    case JSONR_REAL: sqlite3_result_double(ctx, jsonr_real(v)); break;
    case JSONR_BOOL: sqlite3_result_int(ctx, jsonr_bool(v)); break;
    default: sqlite3_result_null(ctx); break;
    }
}

/* _sys_holds(roles): is the token's role among them? */
static void fn_holds(sqlite3_context *ctx, int argc, sqlite3_value **argv)
{
    struct engine *eng = sqlite3_user_data(ctx);
    const struct rowsec *rs = eng->guard.rowsec;
    (void)argc;
    int bit = rs && rs->role ? 1 << ((int)rs->role - 1) : 0;
    sqlite3_result_int(ctx, (sqlite3_value_int(argv[0]) & bit) != 0);
}

/* _sys_rls_conflicts(): what the running INSERT does to rows that are in its way. */
static void fn_conflicts(sqlite3_context *ctx, int argc, sqlite3_value **argv)
{
    struct engine *eng = sqlite3_user_data(ctx);
    (void)argc;
    (void)argv;
    sqlite3_result_int(ctx, eng->guard.rowsec ? eng->guard.rowsec->conflicts : 0);
}

/* changes() and total_changes(): the connection's own would tell of what other callers wrote. Not within a
 * statement: what its triggers did is not told. */
static void fn_changes(sqlite3_context *ctx, int argc, sqlite3_value **argv)
{
    struct engine *eng = sqlite3_user_data(ctx);
    const struct rowsec *rs = eng->guard.rowsec;
    (void)argc;
    (void)argv;
    sqlite3 *db = sqlite3_context_db_handle(ctx);
    bool wrote = eng->counts.wrote || /* or a trigger of the first statement that writes has */
                 sqlite3_total_changes64(db) - eng->counts.before > eng->counts.written;
    int64_t own = wrote ? sqlite3_changes64(db) : 0;
    sqlite3_result_int64(ctx, rs ? rs->counted : own);
}

static void fn_total_changes(sqlite3_context *ctx, int argc, sqlite3_value **argv)
{
    struct engine *eng = sqlite3_user_data(ctx);
    const struct rowsec *rs = eng->guard.rowsec;
    (void)argc;
    (void)argv;
    int64_t own = sqlite3_total_changes64(sqlite3_context_db_handle(ctx)) - eng->counts.before;
    sqlite3_result_int64(ctx, rs ? rs->counted_in_all : own);
}

/* _sys_rls_inserts(table): is it the one that the running statement itself inserts into? */
static void fn_inserts(sqlite3_context *ctx, int argc, sqlite3_value **argv)
{
    struct engine *eng = sqlite3_user_data(ctx);
    const struct rowsec *rs = eng->guard.rowsec;
    (void)argc;
    sqlite3_result_int(ctx, !rs || rs->inserts == ROWSEC_ANY || rs->inserts == sqlite3_value_int(argv[0]));
}

/* _sys_rls_returns(): is the new row shown to the caller? */
static void fn_returns(sqlite3_context *ctx, int argc, sqlite3_value **argv)
{
    struct engine *eng = sqlite3_user_data(ctx);
    (void)argc;
    (void)argv;
    sqlite3_result_int(ctx, !eng->guard.rowsec || eng->guard.rowsec->returns);
}

static void fail(sqlite3_context *ctx, sqlite3 *db, int rc)
{
    sqlite3_result_error(ctx, sqlite3_errmsg(db), -1);
    sqlite3_result_error_code(ctx, rc);
}

/* Runs one statement of the table under the rights of the system. SQLITE_ROW, SQLITE_DONE or an error. */
static int run(
    struct engine *eng, struct rowsec_table *t, enum rowsec_write which, sqlite3_value **values, int count)
{
    int rc = SQLITE_OK;
    struct guard_saved saved = guard_enter_system(&eng->guard);
    if (!t->stmt[which])
        rc = sqlite3_prepare_v2(eng->db, t->sql[which], -1, &t->stmt[which], NULL);
    sqlite3_stmt *stmt = t->stmt[which];
    for (int i = 0; rc == SQLITE_OK && i < count; i++)
        rc = sqlite3_bind_value(stmt, i + 1, values[i]);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(stmt);
    int reset = sqlite3_reset(stmt); /* of NULL: fine */
    if (stmt)
        (void)sqlite3_clear_bindings(stmt); /* cannot fail */
    guard_leave(&eng->guard, saved);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? rc : reset != SQLITE_OK ? reset : rc;
}

static struct rowsec_table *table_of(sqlite3_context *ctx, sqlite3_value **argv)
{
    struct engine *eng = sqlite3_user_data(ctx);
    struct rowsec_table *t = eng->guard.rowsec ? eng->guard.rowsec->tables : NULL;
    for (int n = sqlite3_value_int(argv[0]); t && n > 0; n--)
        t = t->next;
    if (!t)
        sqlite3_result_error(ctx, "no such table", -1);
    return t;
}

static void refuse_row(sqlite3_context *ctx, const struct rowsec_table *t, bool returns)
{
    char text[GUARD_TEXT_MAX];
    str_print_cut(text, sizeof text,
        "row-level security: no policy for UPDATE%s lets the new row into table \"" STR_FMT "\"",
        returns ? ", or none for SELECT because of RETURNING," : "", STR_ARG(t->name));
    sqlite3_result_error(ctx, text, -1);
}

/* A key with NULL in it is no key: it could be that of many rows. */
static bool has_null(sqlite3_context *ctx, sqlite3_value **keys, int count)
{
    bool null = false;
    for (int i = 0; i < count; i++)
        null |= sqlite3_value_type(keys[i]) == SQLITE_NULL;
    if (null)
        sqlite3_result_error(
            ctx, "row-level security: a row whose primary key is NULL cannot be changed", -1);
    return null;
}

/* _sys_rls_update(table, values …, keys of the old row …, keys of the new row …): rows changed. */
static void fn_update(sqlite3_context *ctx, int argc, sqlite3_value **argv)
{
    struct engine *eng = sqlite3_user_data(ctx);
    struct rowsec_table *t = table_of(ctx, argv);
    if (!t || argc != 1 + t->value_count + 2 * t->key_count ||
        has_null(ctx, argv + 1 + t->value_count, t->key_count))
        return;
    int rc = run(eng, t, ROWSEC_DO_UPDATE, argv + 1, t->value_count + t->key_count);
    int64_t changed = rc == SQLITE_DONE ? sqlite3_changes64(eng->db) : 0;
    if (changed > 0)
        rc = run(eng, t, ROWSEC_CHECK_UPDATE, argv + 1 + t->value_count + t->key_count, t->key_count);
    if (rc != SQLITE_DONE && rc != SQLITE_ROW) {
        fail(ctx, eng->db, rc);
    } else if (changed > 0 && rc == SQLITE_DONE) {
        refuse_row(ctx, t, eng->guard.rowsec->returns);
    } else {
        eng->guard.rowsec->changed += changed;
        sqlite3_result_int64(ctx, changed);
    }
}

/* _sys_rls_delete(table, keys …): rows deleted. */
static void fn_delete(sqlite3_context *ctx, int argc, sqlite3_value **argv)
{
    struct engine *eng = sqlite3_user_data(ctx);
    struct rowsec_table *t = table_of(ctx, argv);
    if (!t || argc != 1 + t->key_count || has_null(ctx, argv + 1, t->key_count))
        return;
    int rc = run(eng, t, ROWSEC_DO_DELETE, argv + 1, t->key_count);
    if (rc != SQLITE_DONE) {
        fail(ctx, eng->db, rc);
        return;
    }
    eng->guard.rowsec->changed += sqlite3_changes64(eng->db);
    sqlite3_result_int64(ctx, sqlite3_changes64(eng->db));
}

/* Claims are the same for the whole of a statement, which lets SQLite look rows up by them. */
int rowsec_register(struct engine *eng, sqlite3 *db)
{
    enum {
        FIXED = SQLITE_UTF8 | SQLITE_INNOCUOUS | SQLITE_DETERMINISTIC,
        ACTS = SQLITE_UTF8 | SQLITE_INNOCUOUS
    };
    static const struct {
        const char *name;
        int args, flags;
        void (*call)(sqlite3_context *, int, sqlite3_value **);
    } ALL[] = {
        {"_sys_claim", 1, FIXED, fn_claim},
        {"_sys_holds", 1, FIXED, fn_holds},
        {"_sys_rls_update", -1, ACTS, fn_update},
        {"_sys_rls_conflicts", 0, ACTS, fn_conflicts},
        {"_sys_rls_inserts", 1, ACTS, fn_inserts},
        {"_sys_rls_returns", 0, ACTS, fn_returns},
        {"_sys_rls_delete", -1, ACTS, fn_delete},
        {"changes", 0, ACTS, fn_changes},
        {"total_changes", 0, ACTS, fn_total_changes},
    };
    int rc = SQLITE_OK;
    for (size_t i = 0; i < ARRAY_LEN(ALL) && rc == SQLITE_OK; i++)
        rc = sqlite3_create_function_v2(
            db, ALL[i].name, ALL[i].args, ALL[i].flags, eng, ALL[i].call, NULL, NULL, NULL);
    return rc;
}
