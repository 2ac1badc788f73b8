#include "api/oauth/ask.h"

#include "api/oauth/form.h"
#include "base/check.h"
#include "base/clock.h"
#include "crypto/keyring.h"
#include "oauth/access.h"

#define STATE_BYTES_MAX   2000
#define ADDRESS_BYTES_MAX (16 << 10)
#define MAX_AGE_MAX       315360000

/* --- Client and address --- */

static enum err_code read_client(struct api_call *c, struct ask *a)
{
    struct str id = query_get(a->args, "client_id"), uri = query_get(a->args, "redirect_uri");
    bool allowed = false;

    if (!id.len)
        return err_set(c->err, ERR_INVALID, "The app did not say who it is: client_id is missing");
    enum err_code rc = client_get(c->db, id, &a->client, c->err);
    if (rc == ERR_NOT_FOUND)
        return err_set(c->err, ERR_INVALID, "No app has this client_id");
    if (!rc && !uri.len)
        return err_set(
            c->err, ERR_INVALID, "The app did not say where to go back to: redirect_uri is missing");
    if (!rc)
        rc = client_allows_redirect(c->db, &a->client, false, uri, &allowed, c->err);
    if (!rc && !allowed)
        return err_set(
            c->err, ERR_INVALID, "The app has not registered the address that it wants to go back to");
    a->redirect_uri = uri;
    return rc;
}

/* --- Everything else --- */

static enum err_code check_kind(const struct ask *a, struct refusal *no)
{
    struct str type = query_get(a->args, "response_type"), mode = query_get(a->args, "response_mode");

    if (a->state.ptr && a->state.len > STATE_BYTES_MAX)
        return oauth_refuse(no, OAUTH_INVALID_REQUEST, "state is too long");
    if (query_get(a->args, "request").ptr)
        return oauth_refuse(no, OAUTH_REQUEST_NOT_SUPPORTED, "Request objects are not supported");
    if (query_get(a->args, "request_uri").ptr)
        return oauth_refuse(no, OAUTH_REQUEST_URI_NOT_SUPPORTED, "Request objects are not supported");
    if (query_get(a->args, "registration").ptr)
        return oauth_refuse(no, OAUTH_REGISTRATION_NOT_SUPPORTED, "Register at the registration endpoint");
    if (!type.len)
        return oauth_refuse(no, OAUTH_INVALID_REQUEST, "Send response_type");
    if (!str_eq(type, S("code")))
        return oauth_refuse(no, OAUTH_UNSUPPORTED_RESPONSE_TYPE, "response_type is code");
    if (mode.ptr && !str_eq(mode, S("query")))
        return oauth_refuse(no, OAUTH_INVALID_REQUEST, "response_mode is query");
    return ERR_OK;
}

static enum err_code read_scope(struct ask *a, struct refusal *no)
{
    struct str scope = query_get(a->args, "scope");

    a->scope = SCOPE_DATABASE; /* what a program wants that does not say */
    if (!scope.ptr)
        return ERR_OK;
    if (!scope_parse(scope, &a->scope) || !a->scope || a->scope == SCOPE_OFFLINE)
        return oauth_refuse(no, OAUTH_INVALID_SCOPE, "scope names nothing that can be given");
    return ERR_OK;
}

static enum err_code read_pkce(struct ask *a, struct refusal *no)
{
    struct str method = query_get(a->args, "code_challenge_method");

    a->challenge = query_get(a->args, "code_challenge");
    if (!a->challenge.ptr && (a->client.pkce_required || method.ptr))
        return oauth_refuse(no, OAUTH_INVALID_REQUEST, "Send code_challenge (PKCE)");
    if (!a->challenge.ptr)
        return ERR_OK;
    if (!str_eq(method, S("S256")))
        return oauth_refuse(no, OAUTH_INVALID_REQUEST, "code_challenge_method is S256");
    if (!pkce_challenge_valid(a->challenge))
        return oauth_refuse(no, OAUTH_INVALID_REQUEST, "code_challenge is 43 characters of base64url");
    return ERR_OK;
}

static enum err_code read_resource(struct api_call *c, struct ask *a, struct refusal *no)
{
    a->resource = query_get(a->args, "resource");
    return oauth_check_resource(c, a->resource, no);
}

static enum err_code read_prompt(struct ask *a, struct refusal *no)
{
    static const struct {
        const char *name;
        unsigned bit;
    } PROMPTS[] = {{"none", PROMPT_NONE}, {"login", PROMPT_LOGIN}, {"consent", PROMPT_CONSENT},
        {"select_account", PROMPT_ACCOUNT}};
    struct str rest = query_get(a->args, "prompt"), word;

    while (rest.ptr && str_cut(&rest, ' ', &word)) {
        unsigned bit = 0;
        for (size_t i = 0; i < ARRAY_LEN(PROMPTS); i++)
            if (str_eq(word, str_of(PROMPTS[i].name)))
                bit = PROMPTS[i].bit;
        if (!bit)
            return oauth_refuse(
                no, OAUTH_INVALID_REQUEST, "prompt is none, or of login, consent, select_account");
        a->prompt |= bit;
    }
    if ((a->prompt & PROMPT_NONE) && a->prompt != PROMPT_NONE)
        return oauth_refuse(no, OAUTH_INVALID_REQUEST, "prompt=none stands alone");
    return ERR_OK;
}

static enum err_code read_hints(struct api_call *c, struct ask *a, struct refusal *no)
{
    struct str age = query_get(a->args, "max_age"), hint = query_get(a->args, "id_token_hint");
    const struct jsonr_value *claims;
    struct jose_expect expect = {.issuer = c->base_url,
        .audience = str_of(a->client.client_id),
        .now_ms = clock_wall_ms(),
        .expired_is_fine = true};

    a->nonce = query_get(a->args, "nonce");
    a->login_hint = query_get(a->args, "login_hint");
    a->max_age_s = -1;
    if (a->nonce.ptr && a->nonce.len > NONCE_BYTES_MAX)
        return oauth_refuse(no, OAUTH_INVALID_REQUEST, "nonce is too long");
    if (age.ptr && !str_to_i64(age, 0, MAX_AGE_MAX, &a->max_age_s))
        return oauth_refuse(no, OAUTH_INVALID_REQUEST, "max_age is a number of seconds");
    if (!hint.ptr)
        return ERR_OK;
    if (keyring_verify(c->opt->data_dir, KEYRING_ID_TOKEN, c->arena, hint, &claims, NULL) ||
        jose_check_claims(claims, &expect, NULL))
        return oauth_refuse(
            no, OAUTH_INVALID_REQUEST, "id_token_hint is no ID token of this server for this app");
    const struct jsonr_value *sub = jsonr_member(claims, S("sub"));
    a->expected_sub = sub && jsonr_kind(sub) == JSONR_TEXT ? jsonr_text(sub) : STR_EMPTY;
    return ERR_OK;
}

enum err_code ask_read(struct api_call *c, const struct query *from, struct ask *ret, struct refusal *no)
{
    *ret = (struct ask){.args = from, .max_age_s = -1};
    enum err_code rc = read_client(c, ret);
    if (rc)
        return rc;
    ret->state = query_get(from, "state");
    rc = check_kind(ret, no);
    if (!rc && !no->error)
        rc = read_scope(ret, no);
    if (!rc && !no->error)
        rc = read_pkce(ret, no);
    if (!rc && !no->error)
        rc = read_resource(c, ret, no);
    if (!rc && !no->error)
        rc = read_prompt(ret, no);
    return rc || no->error ? rc : read_hints(c, ret, no);
}

/* --- Back to the client --- */

/* The registered address with our parameters behind its own. */
static struct str with_parameters(
    struct api_call *c, const struct ask *a, const char *name, struct str value, const char *description)
{
    AUTO_STRBUF out;

    strbuf_init(&out, ADDRESS_BYTES_MAX);
    strbuf_add_str(&out, a->redirect_uri);
    strbuf_add_char(&out, memchr(a->redirect_uri.ptr, '?', a->redirect_uri.len) ? '&' : '?');
    form_add(&out, name, value);
    if (description)
        form_add(&out, "error_description", str_of(description));
    if (a->state.ptr)
        form_add(&out, "state", str_slice(a->state, 0, STATE_BYTES_MAX));
    form_add(&out, "iss", c->base_url);
    CHECK(!strbuf_failed(&out)); /* every part has its limit */
    struct str text = arena_copy(c->arena, str_slice(strbuf_str(&out), 0, out.len - 1));
    CHECK(text.ptr != NULL);
    return text;
}

enum err_code ask_refuse(struct api_call *c, const struct ask *a, const struct refusal *no)
{
    oauth_redirect(c, with_parameters(c, a, "error", str_of(oauth_error_name(no->error)), no->text));
    return ERR_OK;
}

void ask_grant(struct api_call *c, const struct ask *a, struct str code)
{
    oauth_redirect(c, with_parameters(c, a, "code", code, NULL));
}

/* --- Here again --- */

static bool asks_to_sign_in(const struct query_param *p)
{
    return str_eq(p->name, S("prompt")) || (str_eq(p->name, S("max_age")) && str_eq(p->value, S("0")));
}

struct str ask_address(struct api_call *c, const struct ask *a, bool signed_in)
{
    AUTO_STRBUF out;

    strbuf_init(&out, (size_t)4 * ADDRESS_BYTES_MAX);
    strbuf_add_cstr(&out, "/oauth/authorize?");
    for (unsigned i = 0; i < a->args->count; i++) {
        const struct query_param *p = &a->args->items[i];
        if (!(signed_in && asks_to_sign_in(p)))
            form_add_pair(&out, p->name, p->value);
    }
    if (signed_in && (a->prompt & PROMPT_CONSENT))
        form_add(&out, "prompt", S("consent"));
    struct str text = arena_copy(c->arena, str_slice(strbuf_str(&out), 0, out.len - 1));
    return text.ptr && !strbuf_failed(&out) ? text : S("/oauth/authorize");
}
