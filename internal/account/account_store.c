/* Accounts in control.db. */
#include "account/account.h"
#include "audit/audit.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/enc.h"

#define SQL_INSERT                                                                                           \
    "INSERT INTO account(id, email, email_key, password_hash, created_at) VALUES(?1, ?2, ?3, ?4, ?5)"
#define SQL_GET "SELECT id, email, created_at FROM account WHERE email_key = ?1"

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

/* ASCII letters in lower case: what is the same to every mail system. */
static struct str email_key(struct str email, char out[ACCOUNT_EMAIL_SIZE])
{
    CHECK(email.len < ACCOUNT_EMAIL_SIZE);
    for (size_t i = 0; i < email.len; i++) {
        char c = email.ptr[i];
        out[i] = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
    }
    return str_make(out, email.len);
}

static enum err_code audit_created(
    struct db *db, const struct actor *by, const struct account *made, struct err *err)
{
    return audit_append(db,
        &(struct audit_event){.by = by, .action = AUDIT_USER_CREATED, .target_id = id_str(&made->id)}, err);
}

enum err_code account_create(struct db *db, const struct actor *by, struct str email, const char *hash,
    struct account *ret, struct err *err)
{
    char key[ACCOUNT_EMAIL_SIZE];
    struct id id = id_new("usr");
    enum err_code code = account_check_email(email, err);

    CHECK(tx_is_write(db));
    if (code)
        return code;
    code = db_exec(db, SQL_INSERT,
        DB_ARGS(db_text(id_str(&id)), db_text(email), db_text(email_key(email, key)), db_text(str_of(hash)),
            db_int(clock_wall_ms())),
        err);
    if (code == ERR_CONFLICT)
        return err_set(err, code, "this address has an account already");
    if (!code)
        code = account_get(db, email, ret, err);
    return code ? code : audit_created(db, by, ret, err);
}

enum err_code account_get(struct db *db, struct str email, struct account *ret, struct err *err)
{
    AUTO_STMT st = DB_STMT_INIT;
    char key[ACCOUNT_EMAIL_SIZE];

    if (email.len >= ACCOUNT_EMAIL_SIZE)
        return err_set(err, ERR_NOT_FOUND, "this address has no account");
    enum err_code code = db_query_one(db, SQL_GET, DB_ARGS(db_text(email_key(email, key))), &st, err);
    if (code == ERR_NOT_FOUND)
        return err_set(err, code, "this address has no account");
    if (!code) {
        DB_COL_COPY(&st, 0, ret->id.text);
        DB_COL_COPY(&st, 1, ret->email);
        ret->created_at = db_col_int(&st, 2);
    }
    return code;
}
