/* Sessions in control.db. */
#include "account/session.h"
#include "audit/audit.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/enc.h"
#include "base/limits.h"
#include "crypto/token.h"

#define SQL_INSERT                                                                                           \
    "INSERT INTO session(id, account_id, hash, created_at, seen_at, confirmed_at, expires_at, address, "     \
    "agent)"                                                                                                 \
    " VALUES(?1, ?2, ?3, ?4, ?4, ?4, ?5, ?6, ?7)"
#define SQL_TRIM                                                                                             \
    "DELETE FROM session WHERE account_id = ?1 AND id NOT IN"                                                \
    " (SELECT id FROM session WHERE account_id = ?1 ORDER BY id DESC LIMIT ?2)"
#define PERSON                                                                                               \
    "SELECT s.id, s.account_id, a.email, a.name, a.created_at, a.suspended_at, a.first_sign_in_at,"          \
    " s.created_at, s.seen_at, s.confirmed_at, s.expires_at FROM session s JOIN account a ON a.id = "        \
    "s.account_id"
#define SQL_LOOKUP  PERSON " WHERE s.hash = ?1"
#define SQL_GET     PERSON " WHERE s.id = ?1"
#define SQL_TOUCH   "UPDATE session SET seen_at = ?2 WHERE id = ?1 AND seen_at < ?2"
#define SQL_ROTATE  "UPDATE session SET hash = ?2, confirmed_at = ?3 WHERE id = ?1"
#define SQL_RENEW   "UPDATE session SET hash = ?2 WHERE id = ?1"
#define SQL_END     "DELETE FROM session WHERE id = ?1 AND account_id = ?2"
#define SQL_END_ALL "DELETE FROM session WHERE account_id = ?1 AND id <> ?2"
#define SQL_LIST                                                                                             \
    "SELECT id, created_at, seen_at, expires_at, address, agent FROM session"                                \
    " WHERE account_id = ?1 AND expires_at > ?2 AND seen_at > ?3 ORDER BY id DESC"
#define SQL_PURGE "DELETE FROM session WHERE id IN (SELECT id FROM session WHERE expires_at <= ?1 LIMIT ?2)"

#define TOUCH_EVERY_MS 60000

/* --- Who asks --- */

bool person_expired(const struct person *p, int64_t now_ms)
{
    return now_ms >= p->expires_at || now_ms - p->seen_at >= LIMIT_SESSION_IDLE_MS;
}

bool person_confirmed(const struct person *p, int64_t now_ms)
{
    return now_ms - p->confirmed_at < LIMIT_CONFIRM_MS;
}

void session_csrf(struct str secret, char ret[SESSION_CSRF_SIZE])
{
    AUTO_STRBUF hex;
    struct digest d = digest_hmac(secret, S("holdfast csrf"));
    strbuf_init(&hex, SESSION_CSRF_SIZE - 1);
    digest_hex(&hex, &d);
    CHECK(hex.len == SESSION_CSRF_SIZE - 1);
    memcpy(ret, strbuf_cstr(&hex), SESSION_CSRF_SIZE);
}

enum err_code session_parse(struct str secret, struct digest *ret, struct err *err)
{
    enum token_kind kind;

    if (!token_well_formed(secret, &kind) || kind != TOKEN_SESSION)
        return err_set(err, ERR_UNAUTHORIZED, "Not signed in");
    *ret = token_hash(secret);
    return ERR_OK;
}

static void map_person(const struct db_stmt *st, struct person *ret)
{
    DB_COL_COPY(st, 0, ret->session_id.text);
    DB_COL_COPY(st, 1, ret->account.id.text);
    DB_COL_COPY(st, 2, ret->account.email);
    DB_COL_COPY(st, 3, ret->account.name);
    ret->account.created_at = db_col_int(st, 4);
    ret->account.suspended_at = db_col_int(st, 5);
    ret->account.first_sign_in_at = db_col_int(st, 6);
    ret->started_at = db_col_int(st, 7);
    ret->seen_at = db_col_int(st, 8);
    ret->confirmed_at = db_col_int(st, 9);
    ret->expires_at = db_col_int(st, 10);
}

/* --- Signing in --- */

/* A fresh secret, and what is stored of it. */
static void make_secret(struct secret *ret_secret, struct strbuf *ret_hex)
{
    token_generate(TOKEN_SESSION, ret_secret);
    struct digest hash = token_hash(secret_reveal(ret_secret));
    strbuf_init(ret_hex, (size_t)2 * DIGEST_BYTES);
    digest_hex(ret_hex, &hash);
    CHECK(!strbuf_failed(ret_hex));
}

static struct str cut(struct str s, size_t max)
{
    return s.len && utf8_valid(s) ? str_slice(s, 0, utf8_cut(s, max)) : STR_EMPTY;
}

static enum err_code record(
    struct db *db, const struct actor *by, enum audit_action action, struct str target_id, struct err *err)
{
    return audit_append(db, &(struct audit_event){.by = by, .action = action, .target_id = target_id}, err);
}

static enum err_code trim(struct db *db, const struct id *account_id, struct err *err)
{
    enum err_code code =
        db_exec(db, SQL_TRIM, DB_ARGS(db_text(id_str(account_id)), db_int(LIMIT_SESSIONS_PER_ACCOUNT)), err);
    if (!code && db_changes(db) > 0)
        tx_announce(db);
    return code;
}

static enum err_code get(struct db *db, const struct id *id, struct person *ret, struct err *err)
{
    AUTO_STMT st = DB_STMT_INIT;
    enum err_code code = db_query_one(db, SQL_GET, DB_ARGS(db_text(id_str(id))), &st, err);

    if (!code)
        map_person(&st, ret);
    return code;
}

enum err_code session_create(struct db *db, const struct actor *by, const struct id *account_id,
    struct str address, struct str agent, struct person *ret, struct secret *ret_secret, struct err *err)
{
    AUTO_STRBUF hex;
    struct id id = id_new("ses");
    int64_t now_ms = clock_wall_ms();

    CHECK(tx_is_write(db));
    make_secret(ret_secret, &hex);
    enum err_code code = db_exec(db, SQL_INSERT,
        DB_ARGS(db_text(id_str(&id)), db_text(id_str(account_id)), db_text(strbuf_str(&hex)), db_int(now_ms),
            db_int(now_ms + LIMIT_SESSION_MS), db_text(cut(address, SESSION_ADDRESS_SIZE - 1)),
            db_text(cut(agent, SESSION_AGENT_SIZE - 1))),
        err);
    if (!code)
        code = trim(db, account_id, err);
    if (!code)
        code = record(db, by, AUDIT_USER_SIGNED_IN, id_str(&id), err);
    return code ? code : get(db, &id, ret, err);
}

/* --- Each request --- */

static enum err_code find(struct db *db, struct str hex, struct person *ret, struct err *err)
{
    AUTO_STMT st = DB_STMT_INIT;
    enum err_code code = db_query_one(db, SQL_LOOKUP, DB_ARGS(db_text(hex)), &st, err);

    if (code == ERR_NOT_FOUND)
        return err_set(err, ERR_UNAUTHORIZED, "Not signed in");
    if (code)
        return code;
    map_person(&st, ret);
    return ret->account.suspended_at || person_expired(ret, clock_wall_ms())
               ? err_set(err, ERR_UNAUTHORIZED, "Not signed in")
               : ERR_OK;
}

/* What cannot be written now (a full disk) is written by the next request. */
static void touch(struct db *db, struct person *p)
{
    int64_t now_ms = clock_wall_ms();

    if (now_ms - p->seen_at < TOUCH_EVERY_MS || tx_begin_write(db, NULL))
        return;
    enum err_code code =
        db_exec(db, SQL_TOUCH, DB_ARGS(db_text(id_str(&p->session_id)), db_int(now_ms)), NULL);
    if (tx_end(db, code, NULL) == ERR_OK)
        p->seen_at = now_ms;
}

enum err_code session_lookup(struct db *db, const struct digest *hash, struct person *ret, struct err *err)
{
    AUTO_STRBUF hex;
    struct person found;

    strbuf_init(&hex, (size_t)2 * DIGEST_BYTES);
    digest_hex(&hex, hash);
    enum err_code code = find(db, strbuf_str(&hex), &found, err);
    if (code)
        return code;
    touch(db, &found);
    *ret = found;
    return ERR_OK;
}

/* --- Rotation and end --- */

enum err_code session_rotate(struct db *db, const struct actor *by, const struct id *session_id,
    struct secret *ret_secret, struct err *err)
{
    AUTO_STRBUF hex;

    CHECK(tx_is_write(db));
    tx_announce(db);
    make_secret(ret_secret, &hex);
    enum err_code code = db_exec(db, SQL_ROTATE,
        DB_ARGS(db_text(id_str(session_id)), db_text(strbuf_str(&hex)), db_int(clock_wall_ms())), err);
    if (!code && db_changes(db) == 0)
        return err_set(err, ERR_UNAUTHORIZED, "Not signed in");
    return code ? code : record(db, by, AUDIT_USER_CONFIRMED, id_str(session_id), err);
}

enum err_code session_renew(struct db *db, const struct actor *by, const struct id *session_id,
    struct secret *ret_secret, struct err *err)
{
    AUTO_STRBUF hex;

    CHECK(tx_is_write(db));
    tx_announce(db);
    make_secret(ret_secret, &hex);
    enum err_code code =
        db_exec(db, SQL_RENEW, DB_ARGS(db_text(id_str(session_id)), db_text(strbuf_str(&hex))), err);
    if (!code && db_changes(db) == 0)
        return err_set(err, ERR_UNAUTHORIZED, "Not signed in");
    return code ? code : record(db, by, AUDIT_SESSION_RENEWED, id_str(session_id), err);
}

enum err_code session_end(struct db *db, const struct actor *by, const struct id *account_id,
    struct str session_id, struct err *err)
{
    CHECK(tx_is_write(db));
    tx_announce(db);
    enum err_code code = db_exec(db, SQL_END, DB_ARGS(db_text(session_id), db_text(id_str(account_id))), err);
    if (!code && db_changes(db) == 0)
        return err_set(err, ERR_NOT_FOUND, "There is no such session");
    return code ? code : record(db, by, AUDIT_SESSION_ENDED, session_id, err);
}

enum err_code session_end_all(struct db *db, const struct actor *by, const struct id *account_id,
    const struct id *except, struct err *err)
{
    CHECK(tx_is_write(db));
    tx_announce(db);
    enum err_code code = db_exec(db, SQL_END_ALL,
        DB_ARGS(db_text(id_str(account_id)), db_text(except ? id_str(except) : STR_EMPTY)), err);
    bool any = !code && db_changes(db) > 0;
    return any ? record(db, by, AUDIT_SESSIONS_ENDED, id_str(account_id), err) : code;
}

/* --- Lists --- */

static void map_session(const struct db_stmt *st, struct session *ret)
{
    DB_COL_COPY(st, 0, ret->id.text);
    ret->created_at = db_col_int(st, 1);
    ret->seen_at = db_col_int(st, 2);
    ret->expires_at = db_col_int(st, 3);
    DB_COL_COPY(st, 4, ret->address);
    DB_COL_COPY(st, 5, ret->agent);
}

enum err_code session_list(struct db *db, struct arena *a, const struct id *account_id, struct session **ret,
    size_t *ret_count, struct err *err)
{
    AUTO_STMT st = DB_STMT_INIT;
    struct session *rows = arena_alloc(a, (size_t)LIMIT_SESSIONS_PER_ACCOUNT * sizeof *rows);
    int64_t now_ms = clock_wall_ms();
    size_t count = 0;

    if (!rows)
        return err_set(err, ERR_TOO_LARGE, "too many sessions to list at once");
    enum err_code code = db_query(db, SQL_LIST,
        DB_ARGS(db_text(id_str(account_id)), db_int(now_ms), db_int(now_ms - LIMIT_SESSION_IDLE_MS)), &st,
        err);
    while (!code && count < (size_t)LIMIT_SESSIONS_PER_ACCOUNT && db_row(&st))
        map_session(&st, &rows[count++]);
    if (!code)
        code = db_done(&st, err);
    if (code)
        return code;
    *ret = rows;
    *ret_count = count;
    return ERR_OK;
}

enum err_code session_purge(struct db *db, bool *more, struct err *err)
{
    return db_purge(db, SQL_PURGE, DB_ARGS(db_int(clock_wall_ms()), db_int(LIMIT_PURGE_ROWS)),
        LIMIT_PURGE_ROWS, more, err);
}
