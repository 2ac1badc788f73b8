/* /api/auth: one's own password and account. What takes a password runs on the password pool. */
#include "api/call.h"
#include "api/console/verify.h"
#include "api/console/views.h"
#include "base/clock.h"

route_worker_fn console_password_confirm, console_password_change, console_account_delete;

struct passwords {
    struct str current, fresh;
};

static const struct jsonr_field confirm_fields[] = {
    {"password", JF_TEXT, offsetof(struct passwords, current), JF_REQUIRED, 1, 256},
};

static const struct jsonr_field change_fields[] = {
    {"currentPassword", JF_TEXT, offsetof(struct passwords, current), JF_REQUIRED, 1, 256},
    {"newPassword", JF_TEXT, offsetof(struct passwords, fresh), JF_REQUIRED, 1, 256},
};

/* The session as it is now, under its new secret. */
static void view_rotated(struct api_call *c)
{
    char csrf[SESSION_CSRF_SIZE];
    struct person p = *c->person;
    p.confirmed_at = clock_wall_ms();
    session_csrf(secret_reveal(&c->cookie->secret), csrf);
    view_signed_in(c->out, &p, csrf);
}

static enum err_code rotate(struct api_call *c)
{
    return session_rotate(c->db, c->by, &c->person->session_id, &c->cookie->secret, c->err);
}

enum err_code console_password_confirm(struct api_call *c)
{
    struct passwords in = {STR_EMPTY, STR_EMPTY};
    enum err_code rc = call_read_body(c, confirm_fields, ARRAY_LEN(confirm_fields), &in);
    if (!rc)
        rc = verify_again(c, in.current, "/password");
    if (!rc)
        rc = tx_begin_write(c->db, c->err);
    if (!rc)
        rc = tx_end(c->db, rotate(c), c->err);
    if (!rc)
        view_rotated(c);
    return rc;
}

static enum err_code change_tx(struct api_call *c, const char *hash)
{
    const struct id *me = &c->person->account.id;
    enum err_code rc = account_set_hash(c->db, c->by, me, hash, true, c->err);
    if (!rc)
        rc = session_end_all(c->db, c->by, me, &c->person->session_id, c->err);
    return rc ? rc : rotate(c);
}

enum err_code console_password_change(struct api_call *c)
{
    struct passwords in = {STR_EMPTY, STR_EMPTY};
    char hash[PASSWORD_HASH_MAX];
    enum err_code rc = call_read_body(c, change_fields, ARRAY_LEN(change_fields), &in);
    if (!rc)
        rc = password_check(in.fresh, str_of(c->person->account.email), "/newPassword", c->err);
    if (!rc)
        rc = verify_again(c, in.current, "/currentPassword");
    if (!rc)
        rc = password_hash(in.fresh, hash, c->err);
    if (!rc)
        rc = tx_begin_write(c->db, c->err);
    if (!rc)
        rc = tx_end(c->db, change_tx(c, hash), c->err);
    if (!rc)
        view_rotated(c);
    return rc;
}

enum err_code console_account_delete(struct api_call *c)
{
    enum err_code rc = tx_begin_write(c->db, c->err);
    if (!rc)
        rc = tx_end(c->db, account_delete(c->db, c->by, &c->person->account.id, c->err), c->err);
    if (rc)
        return rc;
    c->cookie->clear = true;
    view_done(c->out);
    return ERR_OK;
}
