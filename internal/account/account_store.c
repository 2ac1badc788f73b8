/* Accounts in control.db. */
#include "account/account.h"
#include "account/session.h"
#include "audit/audit.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/enc.h"
#include "base/limits.h"
#include "tenant/member.h"

#define SQL_INSERT                                                                                           \
    "INSERT INTO account(id, email, email_key, name, password_hash, created_at) VALUES(?1, ?2, ?3, ?4, ?5, " \
    "?6)"
#define SQL_SIGN_UP      SQL_INSERT " ON CONFLICT(email_key) DO UPDATE SET email_key = excluded.email_key"
#define COLUMNS          "SELECT id, email, name, created_at, suspended_at, first_sign_in_at FROM account"
#define SQL_GET          COLUMNS " WHERE email_key = ?1"
#define SQL_GET_BY_ID    COLUMNS " WHERE id = ?1"
#define SQL_LIST         COLUMNS " ORDER BY id"
#define SQL_GET_HASH     "SELECT password_hash FROM account WHERE id = ?1"
#define SQL_SET_HASH     "UPDATE account SET password_hash = ?2 WHERE id = ?1"
#define SQL_NOTE_SIGN_IN "UPDATE account SET first_sign_in_at = coalesce(first_sign_in_at, ?2) WHERE id = ?1"
#define SQL_SUSPEND      "UPDATE account SET suspended_at = coalesce(suspended_at, ?2) WHERE id = ?1"
#define SQL_RESUME       "UPDATE account SET suspended_at = NULL WHERE id = ?1"
#define SQL_FIND_ID      "SELECT id FROM account WHERE email_key = ?1"
#define SQL_DELETE       "DELETE FROM account WHERE id = ?1"

static bool has_space_or_control(struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        if ((unsigned char)s.ptr[i] <= ' ' || s.ptr[i] == 0x7f)
            return true;
    return false;
}

enum err_code account_check_email(struct str email, struct err *err)
{
    struct str domain = email, local;

    if (email.len == 0)
        return err_field(err, "/email", "must not be empty");
    if (email.len >= ACCOUNT_EMAIL_SIZE)
        return err_field(err, "/email", "must be at most %d bytes", ACCOUNT_EMAIL_SIZE - 1);
    if (!utf8_valid(email) || has_space_or_control(email))
        return err_field(err, "/email", "must hold no white space or control characters");
    if (!str_cut(&domain, '@', &local) || !local.len || !domain.ptr || !domain.len ||
        memchr(domain.ptr, '@', domain.len))
        return err_field(err, "/email", "must look like name@example.com");
    return ERR_OK;
}

static enum err_code check_name(struct str name, struct err *err)
{
    if (name.len > LIMIT_NAME_BYTES)
        return err_field(err, "/name", "must be at most %d bytes", (int)LIMIT_NAME_BYTES);
    for (size_t i = 0; i < name.len; i++)
        if ((unsigned char)name.ptr[i] < ' ' || name.ptr[i] == 0x7f)
            return err_field(err, "/name", "must hold no control characters");
    return utf8_valid(name) ? ERR_OK : err_field(err, "/name", "must be UTF-8 text");
}

struct str account_email_key(struct str email, char out[ACCOUNT_EMAIL_SIZE])
{
    CHECK(email.len < ACCOUNT_EMAIL_SIZE);
    for (size_t i = 0; i < email.len; i++) {
        char c = email.ptr[i];
        out[i] = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
    }
    return str_make(out, email.len);
}

/* --- Making --- */

static enum err_code check_new(const struct account_new *in, struct err *err)
{
    enum err_code code = account_check_email(in->email, err);

    return code ? code : check_name(in->name, err);
}

static enum err_code record(struct db *db, const struct actor *by, enum audit_action action,
    const struct id *id, enum err_code code, struct err *err)
{
    return code ? code
                : audit_append(
                      db, &(struct audit_event){.by = by, .action = action, .target_id = id_str(id)}, err);
}

enum err_code account_create(
    struct db *db, const struct actor *by, const struct account_new *in, struct account *ret, struct err *err)
{
    char key[ACCOUNT_EMAIL_SIZE];
    struct id id = id_new("usr");
    enum err_code code = check_new(in, err);

    CHECK(tx_is_write(db));
    if (code)
        return code;
    code = db_exec(db, SQL_INSERT,
        DB_ARGS(db_text(id_str(&id)), db_text(in->email), db_text(account_email_key(in->email, key)),
            db_text(in->name), db_text(str_of(in->hash)), db_int(clock_wall_ms())),
        err);
    if (code == ERR_CONFLICT)
        return err_set(err, code, "this address has an account already");
    if (!code)
        code = account_get_by_id(db, &id, ret, err);
    return record(db, by, AUDIT_USER_CREATED, &id, code, err);
}

/* Who has the address now: the new account, or the one that had it before. */
static enum err_code audit_sign_up(
    struct db *db, const struct actor *by, struct str email_key, const struct id *made, struct err *err)
{
    AUTO_STMT st = DB_STMT_INIT;
    struct id owner;
    enum err_code code = db_query_one(db, SQL_FIND_ID, DB_ARGS(db_text(email_key)), &st, err);

    if (code)
        return code;
    DB_COL_COPY(&st, 0, owner.text);
    bool fresh = str_eq(id_str(&owner), id_str(made));
    return audit_append(db,
        &(struct audit_event){.by = by,
            .action = fresh ? AUDIT_USER_CREATED : AUDIT_USER_SIGN_UP_REFUSED,
            .target_id = id_str(&owner)},
        err);
}

enum err_code account_sign_up(
    struct db *db, const struct actor *by, const struct account_new *in, struct err *err)
{
    char buf[ACCOUNT_EMAIL_SIZE];
    struct id id = id_new("usr");
    enum err_code code = check_new(in, err);

    CHECK(tx_is_write(db));
    if (code)
        return code;
    struct str key = account_email_key(in->email, buf);
    code = db_exec(db, SQL_SIGN_UP,
        DB_ARGS(db_text(id_str(&id)), db_text(in->email), db_text(key), db_text(in->name),
            db_text(str_of(in->hash)), db_int(clock_wall_ms())),
        err);
    return code ? code : audit_sign_up(db, by, key, &id, err);
}

/* --- Finding --- */

static void map_row(const struct db_stmt *st, struct account *ret)
{
    DB_COL_COPY(st, 0, ret->id.text);
    DB_COL_COPY(st, 1, ret->email);
    DB_COL_COPY(st, 2, ret->name);
    ret->created_at = db_col_int(st, 3);
    ret->suspended_at = db_col_int(st, 4);
    ret->first_sign_in_at = db_col_int(st, 5);
}

enum err_code account_get(struct db *db, struct str email, struct account *ret, struct err *err)
{
    AUTO_STMT st = DB_STMT_INIT;
    char key[ACCOUNT_EMAIL_SIZE];

    if (email.len >= ACCOUNT_EMAIL_SIZE)
        return err_set(err, ERR_NOT_FOUND, "this address has no account");
    enum err_code code = db_query_one(db, SQL_GET, DB_ARGS(db_text(account_email_key(email, key))), &st, err);
    if (code == ERR_NOT_FOUND)
        return err_set(err, code, "this address has no account");
    if (!code)
        map_row(&st, ret);
    return code;
}

enum err_code account_get_by_id(struct db *db, const struct id *id, struct account *ret, struct err *err)
{
    AUTO_STMT st = DB_STMT_INIT;
    enum err_code code = db_query_one(db, SQL_GET_BY_ID, DB_ARGS(db_text(id_str(id))), &st, err);

    if (code == ERR_NOT_FOUND)
        return err_set(err, code, "there is no such account");
    if (!code)
        map_row(&st, ret);
    return code;
}

enum err_code account_get_hash(
    struct db *db, const struct id *id, char ret_hash[PASSWORD_HASH_MAX], struct err *err)
{
    AUTO_STMT st = DB_STMT_INIT;
    enum err_code code = db_query_one(db, SQL_GET_HASH, DB_ARGS(db_text(id_str(id))), &st, err);

    if (!code)
        db_col_copy(&st, 0, ret_hash, PASSWORD_HASH_MAX);
    return code;
}

/* Doubles inside the arena: what is left behind is freed with it. */
static struct account *room_for_one(struct arena *a, struct account *rows, size_t count)
{
    if (count & (count - 1))
        return rows; /* the room is a power of two and not used up */
    struct account *more = arena_alloc(a, (count ? 2 * count : 1) * sizeof *more);
    if (more && count)
        memcpy(more, rows, count * sizeof *more);
    return more;
}

enum err_code account_list(
    struct db *db, struct arena *a, struct account **ret, size_t *ret_count, struct err *err)
{
    AUTO_STMT st = DB_STMT_INIT;
    struct account *rows = NULL;
    size_t count = 0;
    enum err_code code = db_query(db, SQL_LIST, DB_NO_ARGS, &st, err);

    while (!code && db_row(&st)) {
        rows = room_for_one(a, rows, count);
        if (!rows)
            return err_set(err, ERR_TOO_LARGE, "too many accounts to list at once");
        map_row(&st, &rows[count++]);
    }
    if (!code)
        code = db_done(&st, err);
    if (code)
        return code;
    *ret = rows;
    *ret_count = count;
    return ERR_OK;
}

/* --- Changing --- */

static enum err_code must_have_changed(struct db *db, enum err_code code, struct err *err)
{
    if (!code && db_changes(db) == 0)
        return err_set(err, ERR_NOT_FOUND, "there is no such account");
    return code;
}

enum err_code account_set_hash(struct db *db, const struct actor *by, const struct id *id, const char *hash,
    bool changed, struct err *err)
{
    CHECK(tx_is_write(db));
    enum err_code code = must_have_changed(
        db, db_exec(db, SQL_SET_HASH, DB_ARGS(db_text(id_str(id)), db_text(str_of(hash))), err), err);
    return changed ? record(db, by, AUDIT_USER_PASSWORD_CHANGED, id, code, err) : code;
}

enum err_code account_note_sign_in(struct db *db, const struct id *id, struct err *err)
{
    CHECK(tx_is_write(db));
    return db_exec(db, SQL_NOTE_SIGN_IN, DB_ARGS(db_text(id_str(id)), db_int(clock_wall_ms())), err);
}

static enum err_code set_suspended(struct db *db, const struct id *id, bool suspended, struct err *err)
{
    return suspended ? db_exec(db, SQL_SUSPEND, DB_ARGS(db_text(id_str(id)), db_int(clock_wall_ms())), err)
                     : db_exec(db, SQL_RESUME, DB_ARGS(db_text(id_str(id))), err);
}

enum err_code account_suspend(
    struct db *db, const struct actor *by, const struct id *id, bool suspended, struct err *err)
{
    CHECK(tx_is_write(db));
    tx_announce(db);
    enum err_code code = must_have_changed(db, set_suspended(db, id, suspended, err), err);
    if (!code && suspended)
        code = session_end_all(db, by, id, NULL, err);
    return record(db, by, suspended ? AUDIT_USER_SUSPENDED : AUDIT_USER_RESUMED, id, code, err);
}

enum err_code account_delete(struct db *db, const struct actor *by, const struct id *id, struct err *err)
{
    enum err_code code = tenant_leave_all(db, by, id, err);

    tx_announce(db);
    if (!code)
        code = must_have_changed(db, db_exec(db, SQL_DELETE, DB_ARGS(db_text(id_str(id))), err), err);
    return record(db, by, AUDIT_USER_DELETED, id, code, err);
}
