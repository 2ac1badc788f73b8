/* POST /oauth/token, /oauth/revoke, /oauth/introspect: what programs exchange, give back and ask. Worker
 * thread. */
#include "api/oauth/agent.h"
#include "api/oauth/form.h"
#include "api/oauth/reply.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/limits.h"
#include "crypto/keyring.h"
#include "oauth/access.h"

route_worker_fn oauth_token, oauth_revoke, oauth_introspect;

#define MS_PER_S   1000
#define CLAIMS_MAX 8192
#define TOKEN_MAX  512

/* --- Exchange --- */

struct exchange {
    struct query form;
    struct client client;
    struct family family;
    struct issued made;
    struct account who;
    struct actor by;
};

/* The program acts, for the person who gave it access; whom the log names is known once the family is. */
static void act_as(struct api_call *c, struct exchange *x)
{
    x->by = *c->by;
    x->by.client = str_of(x->client.client_id);
}

static enum err_code redeem(struct api_call *c, struct exchange *x, struct refusal *no)
{
    struct str code = query_get(&x->form, "code"), redirect = query_get(&x->form, "redirect_uri");
    struct code_use use = {.client = &x->client,
        .code = code,
        .redirect_uri = redirect,
        .verifier = query_get(&x->form, "code_verifier"),
        .resource = query_get(&x->form, "resource")};

    if (!code.ptr || !redirect.ptr)
        return oauth_refuse(no, OAUTH_INVALID_REQUEST, "Send code and redirect_uri");
    enum err_code rc = code_redeem(c->db, &x->by, &use, &x->family, no, c->err);
    if (rc || no->error)
        return rc;
    x->by.kind = ACTOR_USER;
    x->by.user_id = x->family.account_id;
    return access_issue(c->db, &x->by, c->arena, &x->client, &x->family, &x->made, no, c->err);
}

static enum err_code refresh(struct api_call *c, struct exchange *x, struct refusal *no)
{
    struct str token = query_get(&x->form, "refresh_token"), scope = query_get(&x->form, "scope");
    struct refresh_use use = {.client = &x->client,
        .token = token,
        .has_scope = scope.ptr != NULL,
        .resource = query_get(&x->form, "resource")};

    if (!token.ptr)
        return oauth_refuse(no, OAUTH_INVALID_REQUEST, "Send refresh_token");
    if (!x->client.refreshes)
        return oauth_refuse(no, OAUTH_UNAUTHORIZED_CLIENT, "This client is given no refresh tokens");
    if (use.has_scope && !scope_parse(scope, &use.scope))
        return oauth_refuse(no, OAUTH_INVALID_SCOPE, "The scope is malformed");
    return access_refresh(c->db, &x->by, c->arena, &use, &x->family, &x->made, no, c->err);
}

typedef enum err_code grant_fn(struct api_call *c, struct exchange *x, struct refusal *no);

static const struct {
    const char *name;
    grant_fn *run;
} GRANTS[] = {{"authorization_code", redeem}, {"refresh_token", refresh}};

static enum err_code find_grant(const struct exchange *x, grant_fn **ret, struct refusal *no)
{
    struct str type = query_get(&x->form, "grant_type");

    *ret = NULL;
    if (!type.ptr)
        return oauth_refuse(no, OAUTH_INVALID_REQUEST, "Send grant_type");
    for (size_t i = 0; i < ARRAY_LEN(GRANTS); i++)
        if (str_eq(type, str_of(GRANTS[i].name)))
            *ret = GRANTS[i].run;
    if (!*ret)
        return oauth_refuse(no, OAUTH_UNSUPPORTED_GRANT_TYPE,
            "grant_type is authorization_code, refresh_token or " AGENT_GRANT_TYPE);
    return ERR_OK;
}

/* A refusal commits as well: it may have ended what a thief holds. */
static enum err_code exchange(struct api_call *c, struct exchange *x, struct refusal *no)
{
    grant_fn *run = NULL;
    enum err_code rc = oauth_read_client(c, &x->form, &x->client, no);

    if (!rc && !no->error)
        rc = find_grant(x, &run, no);
    if (!rc && !no->error)
        rc = oauth_check_resource(c, query_get(&x->form, "resource"), no);
    if (rc || no->error)
        return rc;
    CHECK(run != NULL); /* else it was refused */
    act_as(c, x);
    rc = tx_begin_write(c->db, c->err);
    if (!rc)
        rc = tx_end(c->db, run(c, x, no), c->err);
    if (!rc && !no->error)
        rc = account_get_by_id(c->db, &x->family.account_id, &x->who, c->err);
    return rc;
}

/* --- Answer --- */

static void write_person(struct jsonw *w, unsigned scope, const char *email, const char *name)
{
    if (scope & SCOPE_EMAIL) {
        JSONW_CSTR(w, "email", email);
        JSONW_BOOL(w, "email_verified", false); /* nobody has checked it */
    }
    if ((scope & SCOPE_PROFILE) && name[0])
        JSONW_CSTR(w, "name", name);
}

static void write_claims(struct api_call *c, const struct exchange *x, int64_t now, struct jsonw *w)
{
    jsonw_object(w);
    JSONW_TEXT(w, "iss", c->base_url);
    JSONW_TEXT(w, "sub", id_str(&x->who.id));
    JSONW_CSTR(w, "aud", x->client.client_id);
    JSONW_INT(w, "iat", now / MS_PER_S);
    JSONW_INT(w, "exp", (now + LIMIT_ID_TOKEN_MS) / MS_PER_S);
    JSONW_INT(w, "auth_time", x->family.auth_time / MS_PER_S);
    if (x->family.nonce[0])
        JSONW_CSTR(w, "nonce", x->family.nonce);
    write_person(w, x->made.scope, x->who.email, x->who.name);
    jsonw_object_end(w);
}

static enum err_code write_id_token(struct api_call *c, const struct exchange *x)
{
    AUTO_STRBUF claims, token;
    struct jsonw w;
    int64_t now = clock_wall_ms();

    strbuf_init(&claims, CLAIMS_MAX);
    strbuf_init(&token, (size_t)LIMIT_JWT_BYTES);
    jsonw_init(&w, &claims);
    write_claims(c, x, now, &w);
    if (strbuf_failed(&claims))
        return err_set(c->err, ERR_TOO_LARGE, "The ID token is too large");
    enum err_code rc =
        keyring_sign(c->opt->data_dir, x->client.id_token_alg, now, strbuf_str(&claims), &token, c->err);
    if (!rc)
        JSONW_TEXT(c->out, "id_token", strbuf_str(&token));
    return rc;
}

static void write_database(struct api_call *c, const struct family *f)
{
    JSONW_TEXT(c->out, "database", arena_printf(c->arena, "%s/%s", f->namespace_slug, f->database_slug));
    JSONW_TEXT(c->out, "api_url", c->base_url);
    JSONW_CSTR(c->out, "user_email", f->email);
}

static enum err_code write_tokens(struct api_call *c, const struct exchange *x)
{
    char scope[SCOPE_TEXT_MAX];
    enum err_code rc = ERR_OK;

    jsonw_object(c->out);
    JSONW_TEXT(c->out, "access_token", secret_reveal(&x->made.access));
    JSONW_CSTR(c->out, "token_type", "Bearer");
    if (x->made.expires_in_s)
        JSONW_INT(c->out, "expires_in", x->made.expires_in_s);
    if (x->made.refresh.len)
        JSONW_TEXT(c->out, "refresh_token", secret_reveal(&x->made.refresh));
    JSONW_TEXT(c->out, "scope", scope_write(x->made.scope, scope));
    if (x->made.scope & SCOPE_DATABASE)
        write_database(c, &x->family);
    if (x->made.scope & SCOPE_OPENID)
        rc = write_id_token(c, x);
    jsonw_object_end(c->out);
    oauth_reply_json(c, 200);
    return rc;
}

static enum err_code answer(struct api_call *c, struct exchange *x, struct refusal *no)
{
    enum err_code rc = form_read_alone(c, &x->form, no);

    if (rc || no->error)
        return rc;
    if (str_eq(query_get(&x->form, "grant_type"), S(AGENT_GRANT_TYPE)))
        return agent_exchange(c, &x->form, no);
    rc = exchange(c, x, no);
    return rc || no->error ? rc : write_tokens(c, x);
}

enum err_code oauth_token(struct api_call *c)
{
    struct exchange *x = arena_need(c->arena, sizeof *x);
    struct refusal no = {OAUTH_OK, NULL};
    enum err_code rc = answer(c, x, &no);

    if (!rc && no.error)
        rc = oauth_reply_refusal(c, &no);
    secret_release(&x->made.access);
    secret_release(&x->made.refresh);
    return rc;
}

/* --- Giving back (RFC 7009) and asking (RFC 7662) --- */

static enum err_code read_token(
    struct api_call *c, struct client *ret_client, struct str *ret_token, struct refusal *no)
{
    struct query form;
    enum err_code rc = form_read_alone(c, &form, no);

    if (!rc && !no->error)
        rc = oauth_read_client(c, &form, ret_client, no);
    if (rc || no->error)
        return rc;
    *ret_token = query_get(&form, "token");
    if (!ret_token->ptr || ret_token->len > TOKEN_MAX)
        return oauth_refuse(no, OAUTH_INVALID_REQUEST, "Send token");
    return ERR_OK;
}

/* An agent is no client: its assertion proves who may end it. */
static bool gives_assertion(struct api_call *c, struct str *ret)
{
    struct query form;
    struct refusal no = {OAUTH_OK, NULL};

    if (form_read_alone(c, &form, &no) || no.error)
        return false;
    *ret = query_get(&form, "token");
    return agent_is_assertion(*ret);
}

enum err_code oauth_revoke(struct api_call *c)
{
    struct client client;
    struct str token;
    struct refusal no = {OAUTH_OK, NULL};
    struct actor by = *c->by;
    enum err_code rc;

    if (gives_assertion(c, &token)) {
        oauth_reply_empty(c);
        return agent_give_back(c, token);
    }
    rc = read_token(c, &client, &token, &no);
    if (!rc && no.error)
        return oauth_reply_refusal(c, &no);
    if (rc)
        return rc;
    by.client = str_of(client.client_id);
    rc = tx_begin_write(c->db, c->err);
    if (!rc)
        rc = tx_end(c->db, access_revoke(c->db, &by, &client, token, c->err), c->err);
    if (!rc)
        oauth_reply_empty(c);
    return rc;
}

static void write_active(struct api_call *c, const struct access_info *info)
{
    char scope[SCOPE_TEXT_MAX];

    JSONW_BOOL(c->out, "active", true);
    JSONW_TEXT(c->out, "scope", scope_write(info->scope, scope));
    JSONW_CSTR(c->out, "client_id", info->client_id);
    JSONW_CSTR(c->out, "token_type", info->refresh ? "refresh_token" : "Bearer");
    if (info->expires_at)
        JSONW_INT(c->out, "exp", info->expires_at / MS_PER_S);
    JSONW_INT(c->out, "iat", info->created_at / MS_PER_S);
    JSONW_TEXT(c->out, "sub", id_str(&info->account_id));
    JSONW_TEXT(c->out, "aud", info->resource[0] ? str_of(info->resource) : c->base_url);
    JSONW_TEXT(c->out, "iss", c->base_url);
}

/* Whatever is not valid, or not this client's, looks alike. */
enum err_code oauth_introspect(struct api_call *c)
{
    struct client client;
    struct access_info info;
    struct str token;
    struct refusal no = {OAUTH_OK, NULL};
    enum err_code rc = read_token(c, &client, &token, &no);

    if (!rc && !no.error && client.auth == CLIENT_NONE)
        rc = oauth_refuse(&no, OAUTH_INVALID_CLIENT, "A public client cannot ask: it cannot prove who it is");
    if (rc || no.error)
        return rc ? rc : oauth_reply_refusal(c, &no);
    struct err none = ERR_INIT;
    rc = access_look(c->db, token, &info, &none);
    if (rc && rc != ERR_NOT_FOUND)
        return err_set(c->err, rc, "%s", none.message);
    jsonw_object(c->out);
    if (!rc && str_eq(str_of(info.client_id), str_of(client.client_id)))
        write_active(c, &info);
    else
        JSONW_BOOL(c->out, "active", false);
    jsonw_object_end(c->out);
    oauth_reply_json(c, 200);
    return ERR_OK;
}
