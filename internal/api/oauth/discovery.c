/* What clients read before they ask: metadata (RFC 8414, OpenID, RFC 9728), the signing keys, and who a token
 * is for. Worker thread. */
#include "api/oauth/agent.h"
#include "api/oauth/reply.h"
#include "crypto/keyring.h"
#include "oauth/access.h"

route_worker_fn oauth_metadata, oauth_resource_metadata, oauth_jwks, oauth_userinfo;

static void write_list(struct jsonw *w, const char *key, const char *const *items)
{
    jsonw_key(w, key);
    jsonw_array(w);
    for (; *items; items++)
        jsonw_cstr(w, *items);
    jsonw_array_end(w);
}

static void write_scopes(struct jsonw *w)
{
    jsonw_key(w, "scopes_supported");
    jsonw_array(w);
    for (unsigned i = 0; i < SCOPE_COUNT; i++)
        jsonw_cstr(w, scope_name((enum scope_bit)i));
    jsonw_array_end(w);
}

static const struct {
    const char *key, *path;
} ENDPOINTS[] = {{"authorization_endpoint", "/oauth/authorize"}, {"token_endpoint", "/oauth/token"},
    {"userinfo_endpoint", "/userinfo"}, {"jwks_uri", "/.well-known/jwks.json"},
    {"registration_endpoint", "/oauth/register"}, {"revocation_endpoint", "/oauth/revoke"},
    {"introspection_endpoint", "/oauth/introspect"}, {"end_session_endpoint", "/oauth/end-session"}};

#define LIST(...) ((const char *const[]){__VA_ARGS__, NULL})

static void write_abilities(struct jsonw *w)
{
    write_list(w, "response_types_supported", LIST("code"));
    write_list(w, "response_modes_supported", LIST("query"));
    write_list(w, "grant_types_supported", LIST("authorization_code", "refresh_token", AGENT_GRANT_TYPE));
    write_list(w, "subject_types_supported", LIST("public"));
    write_list(w, "id_token_signing_alg_values_supported", LIST("RS256", "ES256"));
    write_scopes(w);
    write_list(w, "claims_supported",
        LIST("iss", "sub", "aud", "iat", "exp", "auth_time", "nonce", "email", "email_verified", "name"));
    write_list(w, "code_challenge_methods_supported", LIST("S256"));
    write_list(w, "prompt_values_supported", LIST("none", "login", "consent", "select_account"));
    write_list(w, "token_endpoint_auth_methods_supported",
        LIST("none", "client_secret_basic", "client_secret_post"));
    write_list(w, "revocation_endpoint_auth_methods_supported",
        LIST("none", "client_secret_basic", "client_secret_post"));
    write_list(w, "introspection_endpoint_auth_methods_supported",
        LIST("client_secret_basic", "client_secret_post"));
    JSONW_BOOL(w, "authorization_response_iss_parameter_supported", true);
    JSONW_BOOL(w, "claims_parameter_supported", false);
    JSONW_BOOL(w, "request_parameter_supported", false);
    JSONW_BOOL(w, "request_uri_parameter_supported", false);
}

static void reply_public(struct api_call *c)
{
    oauth_reply_json(c, 200);
    c->answer->may_be_cached = true;
}

static void write_address(struct api_call *c, const char *key, const char *path)
{
    jsonw_key(c->out, key);
    jsonw_text(c->out, arena_printf(c->arena, STR_FMT "%s", STR_ARG(c->base_url), path));
}

/* For agents that sign themselves up; /.well-known/auth.md tells them how. */
static void write_agents(struct api_call *c)
{
    jsonw_key(c->out, "agent_auth");
    jsonw_object(c->out);
    write_address(c, "skill", "/.well-known/auth.md");
    write_address(c, "identity_endpoint", "/agent/identity");
    write_address(c, "token_endpoint", "/oauth/token");
    write_address(c, "revocation_endpoint", "/oauth/revoke");
    write_list(c->out, "identity_types_supported", LIST("identity_assertion"));
    jsonw_object_end(c->out);
}

enum err_code oauth_metadata(struct api_call *c)
{
    jsonw_object(c->out);
    JSONW_TEXT(c->out, "issuer", c->base_url);
    for (size_t i = 0; i < ARRAY_LEN(ENDPOINTS); i++)
        write_address(c, ENDPOINTS[i].key, ENDPOINTS[i].path);
    write_abilities(c->out);
    write_agents(c);
    jsonw_object_end(c->out);
    reply_public(c);
    return ERR_OK;
}

enum err_code oauth_resource_metadata(struct api_call *c)
{
    jsonw_object(c->out);
    JSONW_TEXT(c->out, "resource", c->base_url);
    jsonw_key(c->out, "authorization_servers");
    jsonw_array(c->out);
    jsonw_text(c->out, c->base_url);
    jsonw_array_end(c->out);
    write_list(c->out, "bearer_methods_supported", LIST("header"));
    write_list(c->out, "scopes_supported", LIST("database"));
    jsonw_object_end(c->out);
    reply_public(c);
    return ERR_OK;
}

enum err_code oauth_jwks(struct api_call *c)
{
    enum err_code rc = keyring_write_jwks(c->opt->data_dir, c->out, c->err);

    reply_public(c);
    return rc;
}

/* --- Who it is --- */

static enum err_code refuse_bearer(struct api_call *c, enum oauth_error error, const char *text)
{
    enum err_code rc = oauth_reply_refusal(c, &(struct refusal){error, text});

    c->answer->authenticate =
        arena_printf(c->arena, "Bearer realm=\"holdfast\", error=\"%s\", error_description=\"%s\"%s",
            oauth_error_name(error), text, error == OAUTH_INSUFFICIENT_SCOPE ? ", scope=\"openid\"" : "");
    return rc;
}

static enum err_code ask_for_bearer(struct api_call *c)
{
    oauth_reply_empty(c);
    c->answer->status = 401;
    c->answer->authenticate = S("Bearer realm=\"holdfast\"");
    return ERR_OK;
}

static void write_userinfo(struct jsonw *w, const struct access_info *info)
{
    jsonw_object(w);
    JSONW_TEXT(w, "sub", id_str(&info->account_id));
    if (info->scope & SCOPE_EMAIL) {
        JSONW_CSTR(w, "email", info->email);
        JSONW_BOOL(w, "email_verified", false); /* nobody has checked it */
    }
    if ((info->scope & SCOPE_PROFILE) && info->name[0])
        JSONW_CSTR(w, "name", info->name);
    jsonw_object_end(w);
}

enum err_code oauth_userinfo(struct api_call *c)
{
    struct access_info info;
    struct err none = ERR_INIT;

    if (!c->authorization.ptr)
        return ask_for_bearer(c);
    if (!str_starts_nocase(c->authorization, S("Bearer ")))
        return refuse_bearer(c, OAUTH_INVALID_TOKEN, "Send Authorization: Bearer and the access token");
    struct str token = str_trim(str_slice(c->authorization, 7, c->authorization.len));
    enum err_code rc = access_look(c->db, token, &info, &none);
    if (rc == ERR_NOT_FOUND || (!rc && info.refresh))
        return refuse_bearer(c, OAUTH_INVALID_TOKEN, "The access token is unknown, expired or revoked");
    if (rc)
        return err_set(c->err, rc, "%s", none.message);
    if (!(info.scope & SCOPE_OPENID))
        return refuse_bearer(c, OAUTH_INSUFFICIENT_SCOPE, "The access token has no scope openid");
    write_userinfo(c->out, &info);
    oauth_reply_json(c, 200);
    return ERR_OK;
}
