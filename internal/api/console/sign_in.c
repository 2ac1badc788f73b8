/* /api/auth: signing up, in and out. The first two run on the password pool. */
#include "api/call.h"
#include "api/console/sign_in.h"
#include "api/console/verify.h"
#include "api/console/views.h"
#include "base/limits.h"
#include "base/rand.h"
#include "tenant/invitation.h"

route_worker_fn console_sign_up, console_sign_in, console_sign_out;

#define HANDLE_MAX  40
#define SLUG_TRIES  8
#define SLUG_DIGITS 0x10000

struct credentials {
    struct str email, password, name, invitation;
};

/* --- Up --- */

static const struct jsonr_field sign_up_fields[] = {
    {"email", JF_TEXT, offsetof(struct credentials, email), JF_REQUIRED, 1, ACCOUNT_EMAIL_SIZE - 1},
    {"password", JF_TEXT, offsetof(struct credentials, password), JF_REQUIRED, 1, 256},
    {"name", JF_TEXT, offsetof(struct credentials, name), JF_NULL_OK, 0, 200},
    {"invitation", JF_TEXT, offsetof(struct credentials, invitation), JF_NULL_OK, 0, 100},
};

static enum err_code make_account(struct api_call *c, const struct account_new *in)
{
    enum err_code rc = tx_begin_write(c->db, c->err);
    return rc ? rc : tx_end(c->db, account_sign_up(c->db, c->by, in, c->err), c->err);
}

static enum err_code may_sign_up(struct api_call *c, const struct credentials *in)
{
    char key[ACCOUNT_EMAIL_SIZE];
    struct err local = ERR_INIT;
    if (c->opt->signup == SIGNUP_OPEN)
        return ERR_OK;
    if (c->opt->signup == SIGNUP_CLOSED)
        return err_set(
            c->err, ERR_FORBIDDEN, "Accounts are made by whoever runs this server: `holdfast user create`");
    enum err_code rc = invitation_check(c->db, in->invitation, account_email_key(in->email, key), &local);
    if (rc == ERR_NOT_FOUND)
        return err_set(
            c->err, ERR_FORBIDDEN, "Send an invitation for this address, as the last part of its link");
    return rc ? err_set(c->err, rc, "%s", local.message) : ERR_OK;
}

/* Whether the address is free is nobody's business: the work and the answer are the same. */
enum err_code console_sign_up(struct api_call *c)
{
    struct credentials in = {STR_EMPTY, STR_EMPTY, STR_EMPTY, STR_EMPTY};
    char hash[PASSWORD_HASH_MAX];
    enum err_code rc = call_read_body(c, sign_up_fields, ARRAY_LEN(sign_up_fields), &in);
    if (!rc)
        rc = account_check_email(in.email, c->err);
    if (!rc)
        rc = may_sign_up(c, &in);
    if (!rc)
        rc = password_check(in.password, in.email, "/password", c->err);
    if (!rc)
        rc = verify_may_sign_up(c, in.email);
    if (!rc)
        rc = password_hash(in.password, hash, c->err);
    if (!rc)
        rc = make_account(c, &(struct account_new){in.email, in.name, hash});
    if (!rc)
        view_done(c->out);
    return rc;
}

/* --- In --- */

static const struct jsonr_field sign_in_fields[] = {
    {"email", JF_TEXT, offsetof(struct credentials, email), JF_REQUIRED, 1, ACCOUNT_EMAIL_SIZE - 1},
    {"password", JF_TEXT, offsetof(struct credentials, password), JF_REQUIRED, 1, 256},
};

/* "Ada.Lovelace@example.com" is "ada-lovelace". */
static struct str handle_of(struct arena *a, struct str email)
{
    struct str rest = email, local, handle = STR_EMPTY;
    if (str_cut(&rest, '@', &local))
        handle = slug_from_text(a, local, HANDLE_MAX);
    return handle.len ? handle : S("user");
}

static enum err_code make_namespace(
    struct api_call *c, const struct actor *by, const struct account *owner, struct tenant *ret)
{
    struct str handle = handle_of(c->arena, str_of(owner->email));
    enum err_code rc = ERR_CONFLICT;
    for (int i = 0; i < SLUG_TRIES && rc == ERR_CONFLICT; i++) {
        struct str slug =
            arena_printf(c->arena, STR_FMT "-%04x", STR_ARG(handle), (unsigned)rand_below(SLUG_DIGITS));
        rc = tenant_create(c->db, by, slug, handle, ret, c->err);
    }
    return rc;
}

/* A home for who has none: the first time alone, so that somebody who left every namespace is left alone. */
static enum err_code make_home(struct api_call *c, const struct actor *by, const struct account *owner,
    struct registry_entry *ret_main, bool *ret_made)
{
    struct membership *mine;
    struct tenant home;
    size_t count = 0;
    *ret_made = false;
    if (owner->first_sign_in_at)
        return ERR_OK;
    enum err_code rc = account_note_sign_in(c->db, &owner->id, c->err);
    if (!rc)
        rc = member_list_of(c->db, c->arena, &owner->id, STR_EMPTY, 1, &mine, &count, c->err);
    if (rc || count)
        return rc;
    rc = make_namespace(c, by, owner, &home);
    if (!rc)
        rc = member_add(c->db, by, &home.id, &owner->id, MEMBER_OWNER, c->err);
    if (!rc)
        rc = registry_create_intent(c->db, by, &home.id, S("main"), STR_EMPTY, S("auto"), ret_main, c->err);
    *ret_made = !rc;
    return rc;
}

struct sign_in {
    struct account account;
    char rehash[PASSWORD_HASH_MAX];
    struct person person;
    struct registry_entry main;
    bool made_home;
};

static enum err_code sign_in_tx(struct api_call *c, const struct actor *by, struct sign_in *s)
{
    enum err_code rc = session_create(
        c->db, by, &s->account.id, by->address, by->client, &s->person, &c->cookie->secret, c->err);
    if (!rc && s->rehash[0])
        rc = account_set_hash(c->db, by, &s->account.id, s->rehash, false, c->err);
    return rc ? rc : make_home(c, by, &s->account, &s->main, &s->made_home);
}

enum err_code sign_in_person(struct api_call *c, struct str email, struct str password, struct person *ret)
{
    struct actor by = *c->by;
    struct sign_in s = {.made_home = false};
    enum err_code rc = verify_sign_in(c, email, password, &s.account, s.rehash);
    if (!rc)
        rc = tx_begin_write(c->db, c->err);
    if (rc)
        return rc;
    by.kind = ACTOR_USER;
    by.user_id = s.account.id;
    rc = tx_end(c->db, sign_in_tx(c, &by, &s), c->err);
    if (rc)
        return rc;
    if (s.made_home) /* what fails stays an intent, which the next start finishes */
        err_ignore(registry_create_finish(c->db, c->disk, &s.main, NULL));
    *ret = s.person;
    return ERR_OK;
}

enum err_code console_sign_in(struct api_call *c)
{
    struct credentials in = {STR_EMPTY, STR_EMPTY, STR_EMPTY, STR_EMPTY};
    struct person who;
    char csrf[SESSION_CSRF_SIZE];
    enum err_code rc = call_read_body(c, sign_in_fields, ARRAY_LEN(sign_in_fields), &in);
    if (!rc)
        rc = sign_in_person(c, in.email, in.password, &who);
    if (rc)
        return rc;
    session_csrf(secret_reveal(&c->cookie->secret), csrf);
    view_signed_in(c->out, &who, csrf);
    return ERR_OK;
}

/* --- Out --- */

enum err_code console_sign_out(struct api_call *c)
{
    enum err_code rc = tx_begin_write(c->db, c->err);
    if (!rc)
        rc = tx_end(c->db,
            session_end(c->db, c->by, &c->person->account.id, id_str(&c->person->session_id), c->err),
            c->err);
    if (rc)
        return rc;
    c->cookie->clear = true;
    view_done(c->out);
    return ERR_OK;
}
