/* See verify.h. */
#include "api/console/verify.h"

#include "http/peer.h"

struct attempt {
    struct peer peer;
    struct str address, account; /* what is throttled; `account` is a view */
};

static enum err_code begin(struct api_call *c, struct str account, struct attempt *ret)
{
    struct str text = c->by->address;
    ret->account = account;
    ret->address = peer_parse(text, &ret->peer) ? peer_key(&ret->peer) : text;
    return throttle_begin(c->throttle, ret->address, account, c->err);
}

/* Counts the outcome: a failure of ours (a full disk) is not the client's. */
static enum err_code end(struct api_call *c, const struct attempt *a, enum err_code rc, bool right)
{
    if (rc)
        throttle_cancel(c->throttle, a->address, a->account);
    else if (right)
        throttle_succeed(c->throttle, a->address, a->account);
    return rc;
}

/* ERR_OK without an account: *ret_hash is "". */
static enum err_code find(
    struct api_call *c, struct str email, struct account *ret, char ret_hash[PASSWORD_HASH_MAX])
{
    struct err local = ERR_INIT;
    enum err_code rc = account_get(c->db, email, ret, &local);
    if (!rc)
        rc = account_get_hash(c->db, &ret->id, ret_hash, &local);
    if (rc && rc != ERR_NOT_FOUND)
        return err_set(c->err, rc, "%s", local.message);
    if (rc)
        ret_hash[0] = '\0';
    return ERR_OK;
}

static enum err_code compare(struct api_call *c, struct str email, struct str password, struct account *ret,
    char ret_rehash[PASSWORD_HASH_MAX], bool *ret_right)
{
    char hash[PASSWORD_HASH_MAX];
    ret_rehash[0] = '\0';
    enum err_code rc = find(c, email, ret, hash);
    if (rc)
        return rc;
    *ret_right = password_verify(hash[0] ? hash : NULL, password);
    return *ret_right && password_needs_rehash(hash) ? password_hash(password, ret_rehash, c->err) : ERR_OK;
}

enum err_code verify_sign_in(struct api_call *c, struct str email, struct str password, struct account *ret,
    char ret_rehash[PASSWORD_HASH_MAX])
{
    char key[ACCOUNT_EMAIL_SIZE];
    struct attempt a;
    bool right = false;
    enum err_code rc = account_check_email(email, c->err);
    if (!rc)
        rc = begin(c, account_email_key(email, key), &a);
    if (rc)
        return rc;
    rc = compare(c, email, password, ret, ret_rehash, &right);
    rc = end(c, &a, rc, right);
    if (!rc && !right)
        rc = err_set(c->err, ERR_UNAUTHORIZED, "The address or the password is wrong");
    if (!rc && ret->suspended_at)
        rc = err_set(c->err, ERR_FORBIDDEN, "This account is suspended; ask whoever runs this server");
    return rc;
}

enum err_code verify_may_sign_up(struct api_call *c, struct str email)
{
    char key[ACCOUNT_EMAIL_SIZE];
    struct attempt a;
    struct str account = arena_printf(c->arena, "sign-up " STR_FMT, STR_ARG(account_email_key(email, key)));
    return begin(c, account, &a); /* never taken back */
}

enum err_code verify_again(struct api_call *c, struct str password, const char *pointer)
{
    char key[ACCOUNT_EMAIL_SIZE], rehash[PASSWORD_HASH_MAX];
    struct account seen;
    struct attempt a;
    bool right = false;
    struct str email = str_of(c->person->account.email);
    enum err_code rc = begin(c, account_email_key(email, key), &a);
    if (rc)
        return rc;
    rc = compare(c, email, password, &seen, rehash, &right);
    rc = end(c, &a, rc, right);
    if (rc || right)
        return rc;
    (void)err_field(c->err, pointer, "is wrong");
    c->err->code = ERR_FORBIDDEN;
    return ERR_FORBIDDEN;
}
