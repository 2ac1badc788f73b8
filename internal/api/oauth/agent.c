/* POST /agent/identity, /.well-known/auth.md, and what agent.h says: agents that register themselves by the
 * token of an issuer, and exchange the assertion they get for tokens. */
#include "api/oauth/agent.h"

#include "api/foreign.h"
#include "api/markup.h"
#include "api/oauth/reply.h"
#include "base/clock.h"
#include "base/limits.h"
#include "crypto/keyring.h"
#include "federation/assertion.h"

route_worker_fn agent_identity, agent_auth_md;

#define MS_PER_S   1000
#define CLAIMS_MAX 2048

/* --- The assertion --- */

static struct str audience_of(const struct api_call *c)
{
    return arena_printf(c->arena, STR_FMT "/oauth/token", STR_ARG(c->base_url));
}

static enum err_code sign(
    struct api_call *c, const struct machine *m, const struct assertion *made, struct strbuf *out)
{
    AUTO_STRBUF claims;
    struct jsonw w;

    strbuf_init(&claims, CLAIMS_MAX);
    jsonw_init(&w, &claims);
    jsonw_object(&w);
    JSONW_TEXT(&w, "iss", c->base_url);
    JSONW_TEXT(&w, "aud", audience_of(c));
    JSONW_CSTR(&w, KEYRING_USE_CLAIM, KEYRING_ASSERTION);
    JSONW_TEXT(&w, "sub", id_str(&m->id));
    JSONW_TEXT(&w, "jti", id_str(&made->id));
    JSONW_INT(&w, "iat", made->created_at / MS_PER_S);
    JSONW_INT(&w, "exp", made->expires_at / MS_PER_S);
    jsonw_object_end(&w);
    return keyring_sign(c->opt->data_dir, JOSE_ES256, clock_wall_ms(), strbuf_str(&claims), out, c->err);
}

static struct str text_claim(const struct jsonr_value *claims, struct str name)
{
    const struct jsonr_value *v = jsonr_member(claims, name);

    return v && jsonr_kind(v) == JSONR_TEXT ? jsonr_text(v) : STR_EMPTY;
}

/* By signature and claims alone; the row decides about the rest. ERR_UNAUTHORIZED. */
static enum err_code read_assertion(
    struct api_call *c, struct str token, struct str *ret_id, struct str *ret_machine, struct err *err)
{
    const struct jsonr_value *claims;
    const struct jose_expect expect = {
        .issuer = c->base_url, .audience = audience_of(c), .now_ms = clock_wall_ms()};
    enum err_code rc = keyring_verify(c->opt->data_dir, KEYRING_ASSERTION, c->arena, token, &claims, err);

    if (!rc)
        rc = jose_check_claims(claims, &expect, err);
    if (rc)
        return rc;
    *ret_id = text_claim(claims, S("jti"));
    *ret_machine = text_claim(claims, S("sub"));
    return ERR_OK;
}

/* --- Registering --- */

struct registration {
    struct str type, assertion;
};

static const struct jsonr_field fields[] = {
    {"type", JF_TEXT, offsetof(struct registration, type), JF_REQUIRED, 1, 60},
    {"assertion", JF_TEXT, offsetof(struct registration, assertion), JF_REQUIRED, 1, LIMIT_JWT_BYTES},
};

static enum err_code read_registration(struct api_call *c, struct registration *in)
{
    const struct jsonr_value *root;
    if (!c->body.len)
        return err_field(
            c->err, "", "The body is empty; send {\"type\":\"identity_assertion\",\"assertion\":…}");
    enum err_code rc = jsonr_parse(c->arena, c->body, &root, c->err);
    if (!rc)
        rc = jsonr_fields(root, "", fields, ARRAY_LEN(fields), JSONR_UNKNOWN_IGNORE, in, c->err);
    if (!rc && !str_eq(in->type, S("identity_assertion")))
        rc = err_field(c->err, "/type", "must be identity_assertion");
    return rc;
}

static enum err_code register_tx(struct api_call *c, const struct actor *by,
    const struct foreign_identity *who, struct machine *ret, struct assertion *ret_made)
{
    bool made;
    enum err_code rc = machine_sign_up(c->db, by, c->arena, c->opt->self_signup, who, ret, &made, c->err);
    return rc ? rc : assertion_create(c->db, by, ret, ret_made, c->err);
}

enum err_code agent_identity(struct api_call *c)
{
    AUTO_STRBUF token;
    struct registration in = {STR_EMPTY, STR_EMPTY};
    struct foreign_identity who;
    struct machine m;
    struct assertion made;
    struct actor by;
    strbuf_init(&token, (size_t)LIMIT_JWT_BYTES);
    enum err_code rc = read_registration(c, &in);
    if (!rc)
        rc = foreign_of(c, in.assertion, &who, &by);
    if (!rc)
        rc = tx_begin_write(c->db, c->err);
    if (!rc)
        rc = tx_end(c->db, register_tx(c, &by, &who, &m, &made), c->err);
    if (!rc)
        rc = sign(c, &m, &made, &token);
    if (rc)
        return rc;
    jsonw_object(c->out);
    JSONW_TEXT(c->out, "identity_assertion", strbuf_str(&token));
    JSONW_CSTR(c->out, "identity_type", "identity_assertion");
    JSONW_INT(c->out, "expires_in", (made.expires_at - made.created_at) / MS_PER_S);
    jsonw_object_end(c->out);
    oauth_reply_json(c, 200);
    return ERR_OK;
}

/* --- Exchanging --- */

static enum err_code exchange_tx(
    struct api_call *c, struct str id, struct str machine_id, struct machine_pass *ret, struct err *err)
{
    struct machine m;
    enum err_code rc = assertion_use(c->db, c->arena, id, machine_id, &m, err);
    if (rc)
        return rc;
    struct foreign_identity who = {.issuer = m.issuer, .name = m.name};
    struct actor by = machine_actor(c->arena, c->by, &who);
    return machine_pass(c->db, &by, c->arena, &m, id, ret, err);
}

static void write_pass(struct api_call *c, const struct machine_pass *pass)
{
    const struct registry_entry *d = &pass->database;

    jsonw_object(c->out);
    JSONW_TEXT(c->out, "access_token", secret_reveal(&pass->secret));
    JSONW_CSTR(c->out, "token_type", "Bearer");
    JSONW_INT(c->out, "expires_in", LIMIT_MACHINE_TOKEN_MS / MS_PER_S);
    JSONW_CSTR(c->out, "scope", "database");
    JSONW_TEXT(c->out, "database", arena_printf(c->arena, "%s/%s", d->namespace_slug, d->slug));
    JSONW_TEXT(c->out, "api_url", c->base_url);
    jsonw_object_end(c->out);
    oauth_reply_json(c, 200);
}

/* What the agent could do about it. */
static enum err_code refuse(struct api_call *c, const struct err *why, struct refusal *no)
{
    if (why->code == ERR_UNAUTHORIZED)
        return oauth_refuse(no, OAUTH_INVALID_GRANT,
            arena_printf(c->arena,
                "The assertion is not good (%s): register again by POST /agent/identity and send the "
                "identity_assertion of its answer",
                why->message)
                .ptr);
    c->answer->retry_after_s = why->retry_after_s;
    if (why->code == ERR_RATE_LIMITED)
        return oauth_refuse(
            no, OAUTH_TEMPORARILY_UNAVAILABLE, arena_printf(c->arena, "%s", why->message).ptr);
    return err_set(c->err, why->code, "%s", why->message);
}

enum err_code agent_exchange(struct api_call *c, const struct query *form, struct refusal *no)
{
    struct str assertion = query_get(form, "assertion"), id, machine_id;
    struct machine_pass *pass = ARENA_NEW(c->arena, struct machine_pass);
    struct err why = ERR_INIT;

    if (!assertion.ptr)
        return oauth_refuse(
            no, OAUTH_INVALID_REQUEST, "Send assertion: the identity_assertion of POST /agent/identity");
    enum err_code rc = oauth_check_resource(c, query_get(form, "resource"), no);
    if (rc || no->error)
        return rc;
    rc = read_assertion(c, assertion, &id, &machine_id, &why);
    if (!rc)
        rc = tx_begin_write(c->db, &why);
    if (!rc)
        rc = tx_end(c->db, exchange_tx(c, id, machine_id, pass, &why), &why);
    if (!rc)
        rc = registry_create_settle(c->db, c->disk, &pass->database, &why);
    if (rc)
        rc = refuse(c, &why, no);
    else
        write_pass(c, pass);
    secret_release(&pass->secret);
    return rc;
}

/* --- Giving back --- */

bool agent_is_assertion(struct str token)
{
    return token.len && memchr(token.ptr, '.', token.len);
}

enum err_code agent_give_back(struct api_call *c, struct str token)
{
    struct str id, machine_id;
    struct err why = ERR_INIT;
    struct actor by = *c->by;
    enum err_code rc = read_assertion(c, token, &id, &machine_id, &why);

    if (rc)
        return rc == ERR_UNAUTHORIZED ? ERR_OK : err_set(c->err, rc, "%s", why.message);
    by.kind = ACTOR_MACHINE;
    by.name = machine_id;
    rc = tx_begin_write(c->db, c->err);
    return rc ? rc : tx_end(c->db, assertion_revoke(c->db, &by, c->arena, id, machine_id, c->err), c->err);
}

/* --- What an agent reads --- */

static void write_issuers(struct api_call *c)
{
    size_t count = c->opt->issuers ? issuers_count(c->opt->issuers) : 0;

    if (!count)
        MARKUP(c->text,
            "This server trusts no issuer now, so no agent can register itself. Its operator lists "
            "some by `serve --trust-issuer`.\n");
    for (size_t i = 0; i < count; i++) {
        MARKUP(c->text, "- `");
        strbuf_add_str(c->text, issuers_url(c->opt->issuers, i));
        MARKUP(c->text, "`\n");
    }
}

static void write_steps(struct api_call *c)
{
    strbuf_addf(c->text,
        "## 2. Register\n\n```\nPOST " STR_FMT "/agent/identity\nContent-Type: application/json\n\n"
        "{ \"type\": \"identity_assertion\", \"assertion\": \"<the issuer's token>\" }\n```\n\n"
        "The answer is `{ \"identity_assertion\": \"<JWT>\", ... }`. Keep it as you keep a password. It is "
        "good for %d "
        "days.\n\n"
        "## 3. Exchange it for an access token, whenever you need one\n\n```\nPOST " STR_FMT "/oauth/token\n"
        "Content-Type: application/x-www-form-urlencoded\n\n"
        "grant_type=" AGENT_GRANT_TYPE "&assertion=<identity_assertion>\n```\n\n"
        "The answer holds `access_token` (for %d minutes; there is no refresh token, exchange again), "
        "`database` "
        "(`namespace/slug`) and `api_url`.\n\n"
        "## 4. Use it\n\n```\nPOST " STR_FMT
        "/v1/db/<namespace>/<slug>/query\nAuthorization: Bearer <access_token>\n"
        "Content-Type: application/json\n\n{ \"sql\": \"SELECT 1 AS ok\" }\n```\n\n"
        "The token is an admin's of your own namespace: you may also make databases there (POST "
        "/v1/databases). All "
        "routes: " STR_FMT "/openapi.json\n\n",
        STR_ARG(c->base_url), (int)(LIMIT_ASSERTION_MS / 86400000), STR_ARG(c->base_url),
        (int)(LIMIT_MACHINE_TOKEN_MS / 60000), STR_ARG(c->base_url), STR_ARG(c->base_url));
}

enum err_code agent_auth_md(struct api_call *c)
{
    MARKUP(c->text,
        "# How an agent gets access here\n\n"
        "You need no person, no sign-up form and no stored secret, if an issuer that this server trusts "
        "vouches for you and its operator lets you in. You get a namespace of your own with a database "
        "`main` (SQLite over HTTP).\n\n"
        "## 1. Get a token of your issuer\n\n"
        "An OpenID Connect token (JWT, RS256 or ES256) with the audience `persql`. GitHub Actions: "
        "`permissions: id-token: write`, then GET `$ACTIONS_ID_TOKEN_REQUEST_URL&audience=persql` with "
        "the bearer `$ACTIONS_ID_TOKEN_REQUEST_TOKEN`. GitLab: `id_tokens` with `aud: persql`. Google "
        "Cloud: the metadata server's identity endpoint with `audience=persql`. Trusted here:\n\n");
    write_issuers(c);
    MARKUP(c->text, "\n");
    write_steps(c);
    MARKUP(c->text, "## Shorter\n\n"
                    "`POST /v1/identity/federate` with the issuer's token as the bearer answers an access "
                    "token at once, without "
                    "steps 2 and 3. A pipeline whose repository an admin bound to a namespace asks POST "
                    "/v1/actions/connect.\n\n"
                    "## When it is refused\n\n"
                    "- 401 `OIDC verification failed: ...` says what is wrong with the issuer's token.\n"
                    "- 403 says what would let you in. Ask the operator for it; asking again does not help.\n"
                    "- 400 `invalid_grant` at /oauth/token: the assertion is over. Begin with step 2.\n"
                    "- 429 and 503 come with Retry-After.\n\n"
                    "To give an assertion back: POST /oauth/revoke with `token=<identity_assertion>`. Its "
                    "access tokens end "
                    "with it.\n");
    *c->answer = (struct api_answer){.kind = ANSWER_MARKDOWN, .status = 200, .may_be_cached = true};
    return ERR_OK;
}
