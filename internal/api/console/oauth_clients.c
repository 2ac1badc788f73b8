/* /api/namespaces/{ns}/oauth-clients: the apps of a namespace that may ask people for access;
 * /api/me/connected-apps: what I gave to which. Worker thread. */
#include "api/call.h"
#include "api/persql/views.h"
#include "oauth/grant.h"

route_worker_fn console_oauth_client_list, console_oauth_client_create, console_oauth_client_update,
    console_oauth_client_secret, console_oauth_client_delete, console_app_list, console_app_withdraw;

/* --- Apps --- */

struct wish {
    struct str name, type, mode, alg;
    const struct jsonr_value *redirects, *logout_redirects;
    bool refreshes, pkce;
};

#define FIELD(key, kind, member, flags, min, max)                                                            \
    {                                                                                                        \
        key, kind, offsetof(struct wish, member), flags, min, max                                            \
    }
static const struct jsonr_field create_fields[] = {
    FIELD("name", JF_TEXT, name, JF_REQUIRED, 1, 200),
    FIELD("redirectUris", JF_ARRAY, redirects, JF_REQUIRED, 1, CLIENT_REDIRECTS_MAX),
    FIELD("postLogoutRedirectUris", JF_ARRAY, logout_redirects, JF_NULL_OK, 0, CLIENT_REDIRECTS_MAX),
    FIELD("type", JF_TEXT, type, JF_NULL_OK, 1, 20),
    FIELD("databaseMode", JF_TEXT, mode, JF_NULL_OK, 1, 20),
    FIELD("idTokenAlg", JF_TEXT, alg, JF_NULL_OK, 1, 20),
    FIELD("refreshTokens", JF_BOOL, refreshes, JF_NULL_OK, 0, 0),
    FIELD("requirePkce", JF_BOOL, pkce, JF_NULL_OK, 0, 0),
};
static const struct jsonr_field update_fields[] = {
    FIELD("name", JF_TEXT, name, JF_NULL_OK, 1, 200),
    FIELD("redirectUris", JF_ARRAY, redirects, JF_NULL_OK, 1, CLIENT_REDIRECTS_MAX),
};
#undef FIELD

static enum err_code read_uris(struct api_call *c, const struct jsonr_value *list, const char *pointer,
    const struct str **ret, size_t *ret_count)
{
    struct str *uris = arena_need(c->arena, CLIENT_REDIRECTS_MAX * sizeof *uris);
    size_t count = 0;

    for (const struct jsonr_value *v = list ? jsonr_first(list) : NULL; v; v = jsonr_next(v)) {
        if (jsonr_kind(v) != JSONR_TEXT)
            return err_field(c->err, pointer, "must be an array of strings");
        uris[count++] = jsonr_text(v);
    }
    *ret = uris;
    *ret_count = count;
    return ERR_OK;
}

static const char *pointer_of(enum oauth_error error)
{
    return error == OAUTH_INVALID_REDIRECT_URI ? "/redirectUris" : "/name";
}

static enum err_code fill(struct api_call *c, const struct wish *in, struct client_new *ret)
{
    bool public = str_eq(in->type, S("public"));

    *ret = (struct client_new){.namespace_id = c->who->namespace_id,
        .name = in->name,
        .auth = public ? CLIENT_NONE : CLIENT_BASIC,
        .refreshes = in->refreshes,
        .pkce_optional = !in->pkce};
    if (!public && !str_eq(in->type, S("confidential")))
        return err_field(c->err, "/type", "must be confidential or public");
    if (public && !in->pkce)
        return err_field(c->err, "/requirePkce", "a public app cannot do without PKCE");
    if (!client_database_parse(in->mode, &ret->database_mode))
        return err_field(c->err, "/databaseMode", "must be provision or connect");
    if (!jose_alg_parse(in->alg, &ret->id_token_alg))
        return err_field(c->err, "/idTokenAlg", "must be RS256 or ES256");
    enum err_code rc = read_uris(c, in->redirects, "/redirectUris", &ret->redirects, &ret->redirect_count);
    return rc ? rc
              : read_uris(c, in->logout_redirects, "/postLogoutRedirectUris", &ret->logout_redirects,
                    &ret->logout_redirect_count);
}

static void view_texts(struct jsonw *w, const char *key, const struct str *items, size_t count)
{
    jsonw_key(w, key);
    jsonw_array(w);
    for (size_t i = 0; i < count; i++)
        jsonw_text(w, items[i]);
    jsonw_array_end(w);
}

static enum err_code view_client(struct api_call *c, const struct client *k, const struct secret *secret)
{
    struct str *uris, *logout;
    size_t count, logout_count;
    enum err_code rc = client_redirects(c->db, c->arena, k, false, &uris, &count, c->err);

    if (!rc)
        rc = client_redirects(c->db, c->arena, k, true, &logout, &logout_count, c->err);
    if (rc)
        return rc;
    jsonw_object(c->out);
    JSONW_TEXT(c->out, "id", id_str(&k->id));
    JSONW_CSTR(c->out, "clientId", k->client_id);
    JSONW_CSTR(c->out, "name", k->name);
    JSONW_CSTR(c->out, "type", k->auth == CLIENT_NONE ? "public" : "confidential");
    view_texts(c->out, "redirectUris", uris, count);
    view_texts(c->out, "postLogoutRedirectUris", logout, logout_count);
    JSONW_CSTR(c->out, "databaseMode", client_database_name(k->database_mode));
    JSONW_CSTR(c->out, "idTokenAlg", jose_alg_name(k->id_token_alg));
    JSONW_BOOL(c->out, "refreshTokens", k->refreshes);
    JSONW_BOOL(c->out, "requirePkce", k->pkce_required);
    if (secret)
        JSONW_CSTR(c->out, "clientSecret", secret->len ? secret_reveal(secret).ptr : NULL);
    view_time(c->out, "createdAt", k->created_at);
    jsonw_object_end(c->out);
    return ERR_OK;
}

enum err_code console_oauth_client_create(struct api_call *c)
{
    struct wish in = {.type = S("confidential"), .mode = S("provision"), .alg = S("RS256"), .pkce = true};
    struct client_new wanted;
    struct client made;
    AUTO_SECRET secret = SECRET_INIT;
    struct refusal no = {OAUTH_OK, NULL};
    enum err_code rc = call_read_body(c, create_fields, ARRAY_LEN(create_fields), &in);
    if (!rc)
        rc = fill(c, &in, &wanted);
    if (!rc)
        rc = tx_begin_write(c->db, c->err);
    if (!rc)
        rc = tx_end(c->db, client_create(c->db, c->by, &wanted, &made, &secret, &no, c->err), c->err);
    if (!rc && no.error)
        return err_field(c->err, pointer_of(no.error), "%s", no.text);
    return rc ? rc : view_client(c, &made, &secret);
}

enum err_code console_oauth_client_list(struct api_call *c)
{
    struct client *rows;
    size_t count;
    enum err_code rc = client_list(c->db, c->arena, &c->who->namespace_id, &rows, &count, c->err);
    if (rc)
        return rc;
    jsonw_array(c->out);
    for (size_t i = 0; !rc && i < count; i++)
        rc = view_client(c, &rows[i], NULL);
    jsonw_array_end(c->out);
    return rc;
}

static enum err_code update_tx(
    struct api_call *c, const struct client_change *to, struct client *ret, struct refusal *no)
{
    struct client was;
    enum err_code rc = client_get_in(c->db, &c->who->namespace_id, c->item, &was, c->err);
    return rc ? rc : client_change(c->db, c->by, &was, to, ret, no, c->err);
}

enum err_code console_oauth_client_update(struct api_call *c)
{
    struct wish in = {.name = {NULL, 0}};
    struct client_change to = {.redirects = NULL};
    struct client made;
    struct refusal no = {OAUTH_OK, NULL};
    enum err_code rc = call_read_body(c, update_fields, ARRAY_LEN(update_fields), &in);
    if (!rc && in.redirects)
        rc = read_uris(c, in.redirects, "/redirectUris", &to.redirects, &to.redirect_count);
    to.name = in.name;
    if (!rc)
        rc = tx_begin_write(c->db, c->err);
    if (rc)
        return rc;
    rc = update_tx(c, &to, &made, &no);
    if (!rc && no.error) /* nothing of a change that is refused in part stays */
        rc = err_field(c->err, pointer_of(no.error), "%s", no.text);
    rc = tx_end(c->db, rc, c->err);
    return rc ? rc : view_client(c, &made, NULL);
}

static enum err_code secret_tx(struct api_call *c, struct client *ret, struct secret *ret_secret)
{
    enum err_code rc = client_get_in(c->db, &c->who->namespace_id, c->item, ret, c->err);
    return rc ? rc : client_rotate_secret(c->db, c->by, ret, ret_secret, c->err);
}

enum err_code console_oauth_client_secret(struct api_call *c)
{
    struct client k;
    AUTO_SECRET secret = SECRET_INIT;
    enum err_code rc = tx_begin_write(c->db, c->err);
    if (!rc)
        rc = tx_end(c->db, secret_tx(c, &k, &secret), c->err);
    return rc ? rc : view_client(c, &k, &secret);
}

static enum err_code delete_tx(struct api_call *c)
{
    struct client k;
    enum err_code rc = client_get_in(c->db, &c->who->namespace_id, c->item, &k, c->err);
    return rc ? rc : client_delete(c->db, c->by, &k, c->err);
}

enum err_code console_oauth_client_delete(struct api_call *c)
{
    enum err_code rc = tx_begin_write(c->db, c->err);
    return call_answer_id(c, rc ? rc : tx_end(c->db, delete_tx(c), c->err));
}

/* --- What I gave --- */

static void view_grant(struct jsonw *w, const struct grant *g)
{
    jsonw_object(w);
    JSONW_CSTR(w, "clientId", g->client_id);
    JSONW_CSTR(w, "name", g->client_name);
    jsonw_key(w, "scopes");
    jsonw_array(w);
    for (unsigned i = 0; i < SCOPE_COUNT; i++)
        if (g->scope >> i & 1)
            jsonw_cstr(w, scope_name((enum scope_bit)i));
    jsonw_array_end(w);
    jsonw_key(w, "database");
    if (g->database_id.text[0]) {
        jsonw_object(w);
        JSONW_CSTR(w, "namespace", g->namespace_slug);
        JSONW_CSTR(w, "slug", g->database_slug);
        jsonw_object_end(w);
    } else {
        jsonw_null(w);
    }
    view_time(w, "createdAt", g->created_at);
    view_time(w, "givenAt", g->given_at);
    jsonw_object_end(w);
}

enum err_code console_app_list(struct api_call *c)
{
    struct grant *rows;
    size_t count;
    enum err_code rc = grant_list(c->db, c->arena, &c->person->account.id, &rows, &count, c->err);
    if (rc)
        return rc;
    jsonw_array(c->out);
    for (size_t i = 0; i < count; i++)
        view_grant(c->out, &rows[i]);
    jsonw_array_end(c->out);
    return ERR_OK;
}

enum err_code console_app_withdraw(struct api_call *c)
{
    enum err_code rc = tx_begin_write(c->db, c->err);
    return call_answer_id(
        c, rc ? rc
              : tx_end(c->db, grant_withdraw(c->db, c->by, &c->person->account.id, c->item, c->err), c->err));
}
