/* Tokens in control.db: rows for people, and changes. */
#include "token/token_internal.h"
#include "audit/audit.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/mem.h"
#include "tenant/share.h"

#define SQL_INSERT                                                                                           \
    "INSERT INTO token(id, namespace_id, hash, preview, name, role, database_id, has_table_scope, "          \
    "created_at, expires_at, account_id, addresses, claims, machine_id, assertion_id, branches_only)"        \
    " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)"
/* What a machine's token makes ends with what the machine was given; whoever stands behind a token stands
 * behind what it makes. */
#define SQL_FOLLOW                                                                                           \
    "UPDATE token SET machine_id = (SELECT machine_id FROM token WHERE id = ?2),"                            \
    " assertion_id = (SELECT assertion_id FROM token WHERE id = ?2),"                                        \
    " made_by = (SELECT coalesce(account_id, made_by) FROM token WHERE id = ?2) WHERE id = ?1"
#define SQL_MADE_BY "UPDATE token SET made_by = ?2 WHERE id = ?1"
/* They have been shown a secret of it: ?2, or whoever ever was shown one of token ?3. */
#define SQL_PEOPLE                                                                                           \
    "INSERT OR IGNORE INTO token_person(token_id, account_id)"                                               \
    " SELECT ?1, ?2 WHERE ?2 <> '' UNION ALL SELECT ?1, account_id FROM token_person WHERE token_id = ?3"    \
    " UNION ALL SELECT ?1, account_id FROM token WHERE id IN (?1, ?3) AND account_id IS NOT NULL"
#define SQL_INSERT_TABLE "INSERT INTO token_table(token_id, table_name) VALUES(?1, ?2)"
#define TOKEN_COLUMNS                                                                                        \
    "SELECT t.id, t.name, t.preview, t.role, n.slug, t.database_id, d.slug, t.has_table_scope,"              \
    " t.created_at, t.expires_at, t.last_used_at, t.revoked_at, t.addresses, t.former_until, "               \
    "t.namespace_id, t.account_id, t.claims, t.branches_only, d.branch_ref, p.slug"                          \
    " FROM token t JOIN namespace n ON n.id = t.namespace_id LEFT JOIN database d ON d.id = t.database_id"   \
    " LEFT JOIN database p ON p.id = d.parent_id AND d.branch_ref IS NOT NULL"
#define SQL_GET TOKEN_COLUMNS " WHERE t.id = ?1"
/* Without a namespace this scans: a command for the operator. */
#define SQL_LIST                                                                                             \
    TOKEN_COLUMNS " WHERE (?1 = '' OR n.slug = ?1) AND (?2 = 1 OR t.revoked_at IS NULL) ORDER BY t.id DESC"
#define SQL_PAGE_ALL TOKEN_COLUMNS " WHERE t.namespace_id = ?1 AND t.id < ?2 ORDER BY t.id DESC LIMIT ?3"
#define SQL_PAGE_LIVE                                                                                        \
    TOKEN_COLUMNS " WHERE t.namespace_id = ?1 AND t.id < ?2 AND t.revoked_at IS NULL"                        \
                  " ORDER BY t.id DESC LIMIT ?3"
#define BEHIND_EVERY_ID "~"
/* Counting 100,000 takes longer than all else that creating a token does, so each namespace has a bound: no
 * fewer than its live tokens. Only a new token raises it; what ended is taken off when the bound reaches the
 * limit. */
#define SQL_BOUND     "SELECT token_bound FROM namespace WHERE id = ?1"
#define SQL_SET_BOUND "UPDATE namespace SET token_bound = ?2 WHERE id = ?1"
#define SQL_COUNT_LIVE                                                                                       \
    "SELECT count(*) FROM token INDEXED BY token_live WHERE namespace_id = ?1 AND revoked_at IS NULL"        \
    " AND (expires_at IS NULL OR expires_at > ?2)"
#define SQL_TO_REVOKE                                                                                        \
    "SELECT namespace_id, name, role, revoked_at FROM token WHERE id = ?1 AND (?2 IS NULL OR namespace_id "  \
    "= ?2)"
#define SQL_REVOKE           "UPDATE token SET revoked_at = ?2 WHERE id = ?1"
#define SQL_REVOKE_MACHINE   "UPDATE token SET revoked_at = ?2 WHERE machine_id = ?1 AND revoked_at IS NULL"
#define SQL_REVOKE_ASSERTION "UPDATE token SET revoked_at = ?2 WHERE assertion_id = ?1 AND revoked_at IS NULL"
#define SQL_COUNT_MACHINE    "SELECT count(*) FROM token WHERE machine_id = ?1 AND created_at > ?2"
#define SQL_TOUCH                                                                                            \
    "UPDATE token SET last_used_at = ?2 WHERE id = ?1 AND (last_used_at IS NULL OR last_used_at < ?2)"
#define SQL_PURGE                                                                                            \
    "DELETE FROM token WHERE id IN (SELECT id FROM token WHERE (expires_at < ?1 OR revoked_at < ?1)"         \
    " AND account_id IS NULL LIMIT ?2)"
#define SQL_DATABASE_OF "SELECT 1 FROM database WHERE id = ?1 AND namespace_id = ?2 AND deleted_at IS NULL"

/* --- Rows for people --- */

static int64_t overlap_end(const struct db_stmt *st)
{
    int64_t expires_at = db_col_int(st, 9), until = db_col_int(st, 13);

    if (expires_at && expires_at < until)
        until = expires_at;
    return until > clock_wall_ms() ? until : 0;
}

static void map_token(const struct db_stmt *st, struct arena *a, struct token *ret)
{
    bool known = token_role_parse(db_col_text(st, 3), &ret->role);

    CHECK(known); /* the table's own CHECK */
    *ret = (struct token){.role = ret->role};
    DB_COL_COPY(st, 0, ret->id.text);
    DB_COL_COPY(st, 1, ret->name);
    DB_COL_COPY(st, 2, ret->preview);
    DB_COL_COPY(st, 4, ret->namespace_slug);
    DB_COL_COPY(st, 5, ret->database_id.text);
    DB_COL_COPY(st, 6, ret->database_slug);
    ret->has_table_scope = db_col_int(st, 7) != 0;
    ret->created_at = db_col_int(st, 8);
    ret->expires_at = db_col_int(st, 9);
    ret->last_used_at = db_col_int(st, 10);
    ret->revoked_at = db_col_int(st, 11);
    token_networks_split(a, db_col_text(st, 12), &ret->addresses, &ret->address_count);
    ret->overlap_ends_at = ret->revoked_at ? 0 : overlap_end(st);
    DB_COL_COPY(st, 14, ret->namespace_id.text);
    DB_COL_COPY(st, 15, ret->account_id.text);
    ret->claims = db_col_is_null(st, 16) ? STR_EMPTY : arena_copy(a, db_col_text(st, 16));
    ret->branches_only = db_col_int(st, 17) != 0;
    DB_COL_COPY(st, 18, ret->ref);
    DB_COL_COPY(st, 19, ret->parent_slug);
}

static enum err_code add_tables(struct db *db, struct arena *a, struct token *t, struct err *err)
{
    AUTO_STMT st = DB_STMT_INIT;
    struct str *tables = arena_alloc(a, WIRE_TABLES_MAX * sizeof *tables);
    enum err_code code = db_query(db, TOKEN_SQL_TABLES, DB_ARGS(db_text(id_str(&t->id))), &st, err);

    t->table_count = 0;
    while (!code && !arena_failed(a) && db_row(&st)) {
        CHECK(t->table_count < WIRE_TABLES_MAX);
        tables[t->table_count++] = arena_copy(a, db_col_text(&st, 0));
    }
    t->tables = tables;
    if (!code && arena_failed(a))
        code = err_set(err, ERR_TOO_LARGE, "too many tokens to list at once");
    return code ? code : db_done(&st, err);
}

enum err_code token_get(struct db *db, struct arena *a, struct str id, struct token *ret, struct err *err)
{
    AUTO_STMT st = DB_STMT_INIT;
    enum err_code code = db_query_one(db, SQL_GET, DB_ARGS(db_text(id)), &st, err);

    if (code)
        return code;
    map_token(&st, a, ret);
    return ret->has_table_scope ? add_tables(db, a, ret, err) : ERR_OK;
}

/* Doubles inside the arena: what is left behind is freed with it. */
static struct token *room_for_one(struct arena *a, struct token *rows, size_t count)
{
    if (count & (count - 1))
        return rows; /* the room is a power of two and not used up */
    struct token *more = arena_alloc(a, (count ? 2 * count : 1) * sizeof *more);
    if (more && count)
        memcpy(more, rows, count * sizeof *more);
    return more;
}

enum err_code token_list(struct db *db, struct arena *a, struct str namespace_slug, bool with_revoked,
    struct token **ret, size_t *ret_count, struct err *err)
{
    AUTO_STMT st = DB_STMT_INIT;
    struct token *rows = NULL;
    size_t count = 0;
    enum err_code code =
        db_query(db, SQL_LIST, DB_ARGS(db_text(namespace_slug), db_int(with_revoked)), &st, err);

    while (!code && db_row(&st)) {
        rows = room_for_one(a, rows, count);
        if (!rows)
            return err_set(err, ERR_TOO_LARGE, "too many tokens to list at once");
        map_token(&st, a, &rows[count]);
        if (rows[count].has_table_scope)
            code = add_tables(db, a, &rows[count], err);
        count++;
    }
    if (!code)
        code = db_done(&st, err);
    if (!code) {
        *ret = rows;
        *ret_count = count;
    }
    return code;
}

enum err_code token_page(struct db *db, struct arena *a, const struct id *namespace_id, bool with_revoked,
    struct str after, int64_t limit, struct token **ret, size_t *ret_count, struct err *err)
{
    AUTO_STMT st = DB_STMT_INIT;
    struct token *rows = arena_alloc(a, (size_t)limit * sizeof *rows);
    struct str before = after.len ? after : S(BEHIND_EVERY_ID);
    const struct db_value *args = DB_ARGS(db_text(id_str(namespace_id)), db_text(before), db_int(limit));
    size_t count = 0;

    if (!rows)
        return err_set(err, ERR_TOO_LARGE, "too many tokens to list at once");
    enum err_code code = with_revoked ? db_query(db, SQL_PAGE_ALL, args, &st, err)
                                      : db_query(db, SQL_PAGE_LIVE, args, &st, err);
    while (!code && db_row(&st)) {
        map_token(&st, a, &rows[count]);
        if (rows[count].has_table_scope)
            code = add_tables(db, a, &rows[count], err);
        count++;
    }
    if (!code)
        code = db_done(&st, err);
    if (code)
        return code;
    *ret = rows;
    *ret_count = count;
    return ERR_OK;
}

/* --- Changes --- */

static enum err_code count_live(struct db *db, const struct id *namespace_id, int64_t *ret, struct err *err)
{
    AUTO_STMT st = DB_STMT_INIT;
    enum err_code code = db_query_one(
        db, SQL_COUNT_LIVE, DB_ARGS(db_text(id_str(namespace_id)), db_int(clock_wall_ms())), &st, err);

    if (!code)
        *ret = db_col_int(&st, 0);
    return code;
}

/* -1: nobody counted yet. */
static enum err_code read_bound(struct db *db, const struct id *namespace_id, int64_t *ret, struct err *err)
{
    AUTO_STMT st = DB_STMT_INIT;
    enum err_code code = db_query_one(db, SQL_BOUND, DB_ARGS(db_text(id_str(namespace_id))), &st, err);

    if (!code)
        *ret = db_col_is_null(&st, 0) ? -1 : db_col_int(&st, 0);
    return code;
}

static enum err_code find_room(
    struct db *db, const struct id *namespace_id, int64_t *ret_bound, struct err *err)
{
    enum err_code code = read_bound(db, namespace_id, ret_bound, err);

    if (!code && (*ret_bound < 0 || *ret_bound >= LIMIT_TOKENS_PER_NAMESPACE))
        code = count_live(db, namespace_id, ret_bound, err);
    if (!code && *ret_bound >= LIMIT_TOKENS_PER_NAMESPACE)
        code = err_set(err, ERR_CONFLICT, "this namespace has its %d tokens; revoke some first",
            (int)LIMIT_TOKENS_PER_NAMESPACE);
    return code;
}

static enum err_code take_room(struct db *db, const struct id *namespace_id, struct err *err)
{
    int64_t bound = 0;
    enum err_code code = find_room(db, namespace_id, &bound, err);

    return code ? code
                : db_exec(db, SQL_SET_BOUND, DB_ARGS(db_text(id_str(namespace_id)), db_int(bound + 1)), err);
}

static enum err_code check_database(struct db *db, const struct token_new *in, struct err *err)
{
    AUTO_STMT st = DB_STMT_INIT;

    if (!in->database_id.text[0])
        return ERR_OK;
    enum err_code code = db_query_one(db, SQL_DATABASE_OF,
        DB_ARGS(db_text(id_str(&in->database_id)), db_text(id_str(&in->namespace_id))), &st, err);
    return code == ERR_NOT_FOUND ? err_field(err, "/database", "is no database of this namespace") : code;
}

static enum err_code insert_tables(struct db *db, const struct token_new *in, struct str id, struct err *err)
{
    enum err_code code = ERR_OK;

    for (size_t i = 0; !code && i < in->table_count; i++)
        code = db_exec(db, SQL_INSERT_TABLE, DB_ARGS(db_text(id), db_text(in->tables[i])), err);
    return code;
}

static enum err_code insert_token(struct db *db, const struct token_new *in, const struct token_reach *reach,
    struct str stored, struct str id, const struct secret *secret, int64_t now, struct err *err)
{
    AUTO_STRBUF hex;
    char preview[TOKEN_MASK_MAX];

    token_hash_hex(secret_reveal(secret), &hex);
    token_mask(secret_reveal(secret), preview);
    return db_exec(db, SQL_INSERT,
        DB_ARGS(db_text(id), db_text(id_str(&in->namespace_id)), db_text(strbuf_str(&hex)),
            db_text(str_of(preview)), db_text(in->name.len ? in->name : id),
            db_text(str_of(token_role_name(in->role))),
            in->database_id.text[0] ? db_text(id_str(&in->database_id)) : db_null(),
            db_int(in->has_table_scope), db_int(now), db_int_or_null(reach->expires_at),
            in->account_id.text[0] ? db_text(id_str(&in->account_id)) : db_null(), db_text(stored),
            reach->claims.len ? db_text(reach->claims) : db_null(),
            in->machine_id.text[0] ? db_text(id_str(&in->machine_id)) : db_null(),
            in->assertion_id.len ? db_text(in->assertion_id) : db_null(), db_int(reach->branches_only)),
        err);
}

enum err_code token_note_people(struct db *db, const struct actor *by, struct str id, struct err *err)
{
    return db_exec(db, SQL_PEOPLE,
        DB_ARGS(db_text(id), db_text(id_str(&by->user_id)), db_text(id_str(&by->token_id))), err);
}

static enum err_code audit_created(struct db *db, const struct actor *by, const struct id *namespace_id,
    const struct token *t, struct err *err)
{
    const struct audit_value scope =
        t->has_table_scope ? audit_list("tableScope", t->tables, t->table_count) : audit_null("tableScope");

    return audit_append(db,
        &(struct audit_event){.by = by,
            .action = AUDIT_TOKEN_CREATED,
            .namespace_id = namespace_id,
            .target_id = id_str(&t->id),
            .target_name = str_of(t->name),
            .after = AUDIT_VALUES(audit_text("name", str_of(t->name)),
                audit_text("role", str_of(token_role_name(t->role))),
                audit_text_or_null("database", str_of(t->database_slug)),
                audit_text_or_null("branch", str_of(t->ref)), audit_bool("branchesOnly", t->branches_only),
                scope, audit_time("expiresAt", t->expires_at),
                t->address_count ? audit_list("allowedAddresses", t->addresses, t->address_count)
                                 : audit_null("allowedAddresses"),
                audit_text_or_null("claims", t->claims))},
        err);
}

static int64_t end_of(const struct token_new *in, int64_t now)
{
    int64_t end = in->expires_in_s ? now + in->expires_in_s * 1000 : 0;
    return in->ends_by_ms && (!end || in->ends_by_ms < end) ? in->ends_by_ms : end;
}

/* What it is to reach, with what it takes over from the token that makes it, and the text of its addresses.
 */
static enum err_code prepare(struct db *db, const struct actor *by, struct arena *a,
    const struct token_new *in, int64_t now, struct token_reach *reach, struct str *ret_stored,
    struct err *err)
{
    enum err_code code = token_check_new(in, err);

    *reach = (struct token_reach){.role = in->role,
        .namespace_id = in->namespace_id,
        .database_id = in->database_id,
        .branches_only = in->branches_only,
        .has_table_scope = in->has_table_scope,
        .tables = in->tables,
        .table_count = in->table_count,
        .expires_at = end_of(in, now),
        .addresses = in->addresses,
        .address_count = in->address_count};
    if (!code) /* before they are compared */
        code = token_networks_join(a, in->addresses, in->address_count, ret_stored, err);
    if (!code)
        code = token_check_claims(a, in->claims, &reach->claims, err);
    if (!code)
        code = token_check_within(db, by, a, true, reach, err);
    if (!code && reach->address_count && !in->address_count)
        code = token_networks_join(a, reach->addresses, reach->address_count, ret_stored, err);
    return code ? code : check_database(db, in, err);
}

enum err_code token_check_create(
    struct db *db, const struct actor *by, struct arena *a, const struct token_new *in, struct err *err)
{
    struct token_reach reach;
    struct str stored;
    int64_t bound = 0;

    CHECK(tx_is_write(db));
    enum err_code code = prepare(db, by, a, in, clock_wall_ms(), &reach, &stored, err);
    return code ? code : find_room(db, &in->namespace_id, &bound, err);
}

enum err_code token_create(struct db *db, const struct actor *by, struct arena *a, const struct token_new *in,
    struct token *ret, struct secret *ret_secret, struct err *err)
{
    AUTO_SECRET secret = SECRET_INIT;
    struct id id = id_new("tok");
    struct token_reach reach;
    struct str stored;
    int64_t now = clock_wall_ms();

    CHECK(tx_is_write(db));
    enum err_code code = prepare(db, by, a, in, now, &reach, &stored, err);
    if (!code)
        code = take_room(db, &in->namespace_id, err);
    if (code)
        return code;
    token_generate(in->branches_only ? TOKEN_TEST : TOKEN_LIVE, &secret);
    tx_announce(db);
    code = insert_token(db, in, &reach, stored, id_str(&id), &secret, now, err);
    if (!code && by->kind == ACTOR_TOKEN)
        code = db_exec(db, SQL_FOLLOW, DB_ARGS(db_text(id_str(&id)), db_text(id_str(&by->token_id))), err);
    if (!code && by->kind == ACTOR_USER)
        code = db_exec(db, SQL_MADE_BY, DB_ARGS(db_text(id_str(&id)), db_text(id_str(&by->user_id))), err);
    if (!code)
        code = token_note_people(db, by, id_str(&id), err);
    if (!code)
        code = insert_tables(db, in, id_str(&id), err);
    if (!code)
        code = token_get(db, a, id_str(&id), ret, err);
    if (!code)
        code = audit_created(db, by, &in->namespace_id, ret, err);
    if (!code)
        *ret_secret = secret;
    return code;
}

/* The row of a token that is to be revoked. */
struct revoking {
    struct id namespace_id;
    char name[TOKEN_NAME_SIZE], role[16];
    bool revoked;
};

static enum err_code find_to_revoke(
    struct db *db, const struct id *namespace_id, struct str token_id, struct revoking *ret, struct err *err)
{
    AUTO_STMT st = DB_STMT_INIT;
    enum err_code code = db_query_one(db, SQL_TO_REVOKE,
        DB_ARGS(db_text(token_id), namespace_id ? db_text(id_str(namespace_id)) : db_null()), &st, err);

    if (code == ERR_NOT_FOUND)
        return err_set(err, code, "there is no token " STR_FMT, STR_ARG(str_slice(token_id, 0, ID_MAX)));
    if (code)
        return code;
    DB_COL_COPY(&st, 0, ret->namespace_id.text);
    DB_COL_COPY(&st, 1, ret->name);
    DB_COL_COPY(&st, 2, ret->role);
    ret->revoked = !db_col_is_null(&st, 3);
    return ERR_OK;
}

static enum err_code audit_revoked(
    struct db *db, const struct actor *by, struct str token_id, const struct revoking *was, struct err *err)
{
    return audit_append(db,
        &(struct audit_event){.by = by,
            .action = AUDIT_TOKEN_REVOKED,
            .namespace_id = &was->namespace_id,
            .target_id = token_id,
            .target_name = str_of(was->name),
            .before =
                AUDIT_VALUES(audit_text("name", str_of(was->name)), audit_text("role", str_of(was->role)))},
        err);
}

enum err_code token_revoke(struct db *db, const struct actor *by, const struct id *namespace_id,
    struct str token_id, struct err *err)
{
    struct revoking was;

    CHECK(tx_is_write(db));
    enum err_code code = find_to_revoke(db, namespace_id, token_id, &was, err);
    if (code || was.revoked)
        return code;
    tx_announce(db);
    code = db_exec(db, SQL_REVOKE, DB_ARGS(db_text(token_id), db_int(clock_wall_ms())), err);
    return code ? code : audit_revoked(db, by, token_id, &was, err);
}

enum err_code token_revoke_machine(struct db *db, struct str machine_id, int64_t *ret_count, struct err *err)
{
    CHECK(tx_is_write(db));
    tx_announce(db);
    enum err_code code =
        db_exec(db, SQL_REVOKE_MACHINE, DB_ARGS(db_text(machine_id), db_int(clock_wall_ms())), err);
    *ret_count = code ? 0 : db_changes(db);
    return code;
}

enum err_code token_revoke_assertion(
    struct db *db, struct str assertion_id, int64_t *ret_count, struct err *err)
{
    CHECK(tx_is_write(db));
    tx_announce(db);
    enum err_code code =
        db_exec(db, SQL_REVOKE_ASSERTION, DB_ARGS(db_text(assertion_id), db_int(clock_wall_ms())), err);
    *ret_count = code ? 0 : db_changes(db);
    return code;
}

enum err_code token_count_machine(
    struct db *db, struct str machine_id, int64_t since_ms, int64_t *ret, struct err *err)
{
    AUTO_STMT st = DB_STMT_INIT;
    enum err_code code =
        db_query_one(db, SQL_COUNT_MACHINE, DB_ARGS(db_text(machine_id), db_int(since_ms)), &st, err);

    if (!code)
        *ret = db_col_int(&st, 0);
    return code;
}

enum err_code token_touch(struct db *db, struct str token_id, int64_t used_at, struct err *err)
{
    CHECK(tx_is_write(db));
    return db_exec(db, SQL_TOUCH, DB_ARGS(db_text(token_id), db_int(used_at)), err);
}

enum err_code token_purge(struct db *db, bool *more, struct err *err)
{
    return db_purge(db, SQL_PURGE,
        DB_ARGS(db_int(clock_wall_ms() - LIMIT_TOKEN_KEPT_MS), db_int(LIMIT_PURGE_ROWS)), LIMIT_PURGE_ROWS,
        more, err);
}
