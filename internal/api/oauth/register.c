/* POST /oauth/register: programs that register themselves (RFC 7591). Worker thread. */
#include "api/oauth/reply.h"

route_worker_fn oauth_register;

#define MS_PER_S 1000

struct metadata {
    const struct jsonr_value *redirects, *logout_redirects, *grants, *responses;
    struct str name, auth, alg;
};

#define FIELD(key, kind, member, flags, min, max)                                                            \
    {                                                                                                        \
        key, kind, offsetof(struct metadata, member), flags, min, max                                        \
    }
static const struct jsonr_field fields[] = {
    FIELD("redirect_uris", JF_ARRAY, redirects, JF_REQUIRED, 1, CLIENT_REDIRECTS_MAX),
    FIELD("post_logout_redirect_uris", JF_ARRAY, logout_redirects, JF_NULL_OK, 0, CLIENT_REDIRECTS_MAX),
    FIELD("grant_types", JF_ARRAY, grants, JF_NULL_OK, 0, 10),
    FIELD("response_types", JF_ARRAY, responses, JF_NULL_OK, 0, 10),
    FIELD("client_name", JF_TEXT, name, JF_NULL_OK, 0, 1000),
    FIELD("token_endpoint_auth_method", JF_TEXT, auth, JF_NULL_OK, 0, 100),
    FIELD("id_token_signed_response_alg", JF_TEXT, alg, JF_NULL_OK, 0, 20),
};
#undef FIELD

static enum err_code read_body(struct api_call *c, struct metadata *ret, struct refusal *no)
{
    const struct jsonr_value *root;
    struct err why = ERR_INIT;
    struct str type = c->content_type, kind;

    if (!type.ptr || !str_cut(&type, ';', &kind) || !str_eq_nocase(str_trim(kind), S("application/json")))
        return oauth_refuse(no, OAUTH_INVALID_CLIENT_METADATA, "Send the metadata as application/json");
    if (jsonr_parse(c->arena, c->body, &root, &why) ||
        jsonr_fields(root, "", fields, ARRAY_LEN(fields), JSONR_UNKNOWN_IGNORE, ret, &why))
        return oauth_refuse(no, OAUTH_INVALID_CLIENT_METADATA, arena_printf(c->arena, "%s", why.message).ptr);
    return ERR_OK;
}

static enum err_code read_uris(struct api_call *c, const struct jsonr_value *list, const struct str **ret,
    size_t *ret_count, struct refusal *no)
{
    struct str *uris = arena_need(c->arena, CLIENT_REDIRECTS_MAX * sizeof *uris);
    size_t count = 0;

    for (const struct jsonr_value *v = list ? jsonr_first(list) : NULL; v; v = jsonr_next(v)) {
        if (jsonr_kind(v) != JSONR_TEXT)
            return oauth_refuse(no, OAUTH_INVALID_REDIRECT_URI, "Redirect URIs are texts");
        uris[count++] = jsonr_text(v);
    }
    *ret = uris;
    *ret_count = count;
    return ERR_OK;
}

static bool holds(const struct jsonr_value *list, struct str text)
{
    for (const struct jsonr_value *v = list ? jsonr_first(list) : NULL; v; v = jsonr_next(v))
        if (jsonr_kind(v) == JSONR_TEXT && str_eq(jsonr_text(v), text))
            return true;
    return false;
}

/* What is asked for and cannot be done is refused, not dropped silently. */
static enum err_code check_abilities(const struct metadata *m, struct refusal *no)
{
    for (const struct jsonr_value *v = m->grants ? jsonr_first(m->grants) : NULL; v; v = jsonr_next(v))
        if (jsonr_kind(v) != JSONR_TEXT ||
            !(str_eq(jsonr_text(v), S("authorization_code")) || str_eq(jsonr_text(v), S("refresh_token"))))
            return oauth_refuse(
                no, OAUTH_INVALID_CLIENT_METADATA, "grant_types are authorization_code and refresh_token");
    if (m->grants && !holds(m->grants, S("authorization_code")))
        return oauth_refuse(no, OAUTH_INVALID_CLIENT_METADATA, "grant_types holds authorization_code");
    for (const struct jsonr_value *v = m->responses ? jsonr_first(m->responses) : NULL; v; v = jsonr_next(v))
        if (jsonr_kind(v) != JSONR_TEXT || !str_eq(jsonr_text(v), S("code")))
            return oauth_refuse(no, OAUTH_INVALID_CLIENT_METADATA, "response_types is code");
    return ERR_OK;
}

static enum err_code fill(
    struct api_call *c, const struct metadata *m, struct client_new *in, struct refusal *no)
{
    in->name = m->name.len ? m->name : S("An app without a name");
    in->auth = CLIENT_BASIC;
    in->refreshes = holds(m->grants, S("refresh_token"));
    if (m->auth.ptr && !client_auth_parse(m->auth, &in->auth))
        return oauth_refuse(no, OAUTH_INVALID_CLIENT_METADATA,
            "token_endpoint_auth_method is none, client_secret_basic or client_secret_post");
    if (m->alg.ptr && !jose_alg_parse(m->alg, &in->id_token_alg))
        return oauth_refuse(
            no, OAUTH_INVALID_CLIENT_METADATA, "id_token_signed_response_alg is RS256 or ES256");
    enum err_code rc = check_abilities(m, no);
    if (!rc && !no->error)
        rc = read_uris(c, m->redirects, &in->redirects, &in->redirect_count, no);
    if (!rc && !no->error)
        rc = read_uris(c, m->logout_redirects, &in->logout_redirects, &in->logout_redirect_count, no);
    return rc;
}

static void write_texts(struct jsonw *w, const char *key, const struct str *items, size_t count)
{
    jsonw_key(w, key);
    jsonw_array(w);
    for (size_t i = 0; i < count; i++)
        jsonw_text(w, items[i]);
    jsonw_array_end(w);
}

static void reply(
    struct api_call *c, const struct client_new *in, const struct client *made, const struct secret *secret)
{
    const struct str grants[] = {S("authorization_code"), S("refresh_token")}, code = S("code");

    jsonw_object(c->out);
    JSONW_CSTR(c->out, "client_id", made->client_id);
    JSONW_INT(c->out, "client_id_issued_at", made->created_at / MS_PER_S);
    if (secret->len) {
        JSONW_TEXT(c->out, "client_secret", secret_reveal(secret));
        JSONW_INT(c->out, "client_secret_expires_at", 0);
    }
    JSONW_CSTR(c->out, "client_name", made->name);
    write_texts(c->out, "redirect_uris", in->redirects, in->redirect_count);
    if (in->logout_redirect_count)
        write_texts(c->out, "post_logout_redirect_uris", in->logout_redirects, in->logout_redirect_count);
    JSONW_CSTR(c->out, "token_endpoint_auth_method", client_auth_name(made->auth));
    write_texts(c->out, "grant_types", grants, made->refreshes ? 2 : 1);
    write_texts(c->out, "response_types", &code, 1);
    JSONW_CSTR(c->out, "id_token_signed_response_alg", jose_alg_name(made->id_token_alg));
    jsonw_object_end(c->out);
    oauth_reply_json(c, 201);
}

enum err_code oauth_register(struct api_call *c)
{
    struct metadata m = {.redirects = NULL};
    struct client_new in = {.auth = CLIENT_BASIC};
    struct client made;
    AUTO_SECRET secret = SECRET_INIT;
    struct refusal no = {OAUTH_OK, NULL};
    enum err_code rc = read_body(c, &m, &no);

    if (!rc && !no.error)
        rc = fill(c, &m, &in, &no);
    if (!rc && !no.error)
        rc = tx_begin_write(c->db, c->err);
    if (!rc && !no.error)
        rc = tx_end(c->db, client_create(c->db, c->by, &in, &made, &secret, &no, c->err), c->err);
    if (rc)
        return rc;
    if (no.error)
        return oauth_reply_refusal(c, &no);
    reply(c, &in, &made, &secret);
    return ERR_OK;
}
