/* GET and POST /oauth/end-session: signing out, asked for by a program (OpenID Connect RP-Initiated Logout).
 * A person who is not known to the program by its ID token is asked first. Worker thread. */
#include "api/oauth/form.h"
#include "api/oauth/pages.h"
#include "base/clock.h"
#include "crypto/keyring.h"

route_worker_fn oauth_end_session, oauth_sign_out;

#define STATE_BYTES_MAX   2000
#define ADDRESS_BYTES_MAX (16 << 10)

struct leave {
    const struct query *args;
    struct str sub;       /* by id_token_hint; ptr NULL none */
    struct str client_id; /* "" none */
    struct str redirect_uri, state;
};

static enum err_code read_hint(struct api_call *c, struct leave *l)
{
    struct str hint = query_get(l->args, "id_token_hint");
    const struct jsonr_value *claims, *aud, *sub;
    struct jose_expect expect = {
        .issuer = c->base_url, .audience = {NULL, 0}, .now_ms = clock_wall_ms(), .expired_is_fine = true};

    if (!hint.ptr)
        return ERR_OK;
    if (keyring_verify(c->opt->data_dir, KEYRING_ID_TOKEN, c->arena, hint, &claims, NULL) ||
        jose_check_claims(claims, &expect, NULL))
        return err_set(c->err, ERR_INVALID, "id_token_hint is no ID token of this server");
    aud = jsonr_member(claims, S("aud"));
    sub = jsonr_member(claims, S("sub"));
    if (!aud || jsonr_kind(aud) != JSONR_TEXT || !sub || jsonr_kind(sub) != JSONR_TEXT ||
        (l->client_id.len && !str_eq(l->client_id, jsonr_text(aud))))
        return err_set(c->err, ERR_INVALID, "id_token_hint is for another app");
    l->client_id = jsonr_text(aud);
    l->sub = jsonr_text(sub);
    return ERR_OK;
}

/* An address that the program did not register is followed by nobody. */
static enum err_code check_redirect(struct api_call *c, const struct leave *l)
{
    struct client client;
    bool allowed = false;

    if (!l->redirect_uri.ptr)
        return ERR_OK;
    if (l->state.ptr && l->state.len > STATE_BYTES_MAX)
        return err_set(c->err, ERR_INVALID, "state is too long");
    enum err_code rc = client_get(c->db, l->client_id, &client, c->err);
    if (!rc)
        rc = client_allows_redirect(c->db, &client, true, l->redirect_uri, &allowed, c->err);
    if (rc == ERR_NOT_FOUND || (!rc && !allowed))
        return err_set(
            c->err, ERR_INVALID, "The app has not registered the address that it wants to go back to");
    return rc;
}

static enum err_code read_request(struct api_call *c, const struct query *args, struct leave *ret)
{
    struct str id = query_get(args, "client_id");

    *ret = (struct leave){.args = args,
        .client_id = id.ptr ? id : STR_EMPTY,
        .redirect_uri = query_get(args, "post_logout_redirect_uri"),
        .state = query_get(args, "state")};
    enum err_code rc = read_hint(c, ret);
    return rc ? rc : check_redirect(c, ret);
}

static void go_back(struct api_call *c, const struct leave *l)
{
    if (!l->redirect_uri.ptr) {
        page_message(c, 200, "Signed out", "You are signed out. You can close this page.");
        return;
    }
    AUTO_STRBUF out;
    strbuf_init(&out, ADDRESS_BYTES_MAX);
    strbuf_add_str(&out, l->redirect_uri);
    if (l->state.ptr) {
        strbuf_add_char(&out, memchr(l->redirect_uri.ptr, '?', l->redirect_uri.len) ? '&' : '?');
        form_add(&out, "state", l->state);
        strbuf_truncate(&out, out.len - 1);
    }
    oauth_redirect(c, arena_copy(c->arena, strbuf_str(&out)));
}

static enum err_code end_session(struct api_call *c, const struct person *p)
{
    struct actor by = *c->by;
    enum err_code rc = tx_begin_write(c->db, c->err);

    by.kind = ACTOR_USER;
    by.user_id = p->account.id;
    if (!rc)
        rc = tx_end(c->db, session_end(c->db, &by, &p->account.id, id_str(&p->session_id), c->err), c->err);
    c->cookie->clear = !rc;
    return rc;
}

enum err_code oauth_end_session(struct api_call *c)
{
    struct leave l;
    struct person p;
    bool signed_in;
    enum err_code rc = read_request(c, c->args, &l);

    if (!rc)
        rc = oauth_find_person(c, &p, &signed_in);
    if (rc)
        return rc;
    if (signed_in && !(l.sub.ptr && str_eq(l.sub, id_str(&p.account.id)))) {
        page_sign_out(c, &p, l.redirect_uri.ptr ? l.redirect_uri : STR_EMPTY, l.state, l.client_id);
        return ERR_OK;
    }
    if (signed_in)
        rc = end_session(c, &p);
    if (!rc)
        go_back(c, &l);
    return rc;
}

enum err_code oauth_sign_out(struct api_call *c)
{
    struct leave l;
    struct person p;
    struct query form;
    bool signed_in = false;
    struct refusal no = {OAUTH_OK, NULL};
    enum err_code rc = form_read_alone(c, &form, &no);

    if (!rc && no.error)
        return err_set(c->err, ERR_INVALID, "%s", no.text);
    if (!rc)
        rc = read_request(c, &form, &l);
    if (!rc)
        rc = oauth_find_person(c, &p, &signed_in);
    if (rc)
        return rc;
    struct str csrf = query_get(&form, "csrf");
    if (signed_in && (!csrf.ptr || !secret_eq(csrf, str_of(c->csrf))))
        return err_set(c->err, ERR_CSRF, "This form is not from a page that you have open");
    if (signed_in)
        rc = end_session(c, &p);
    if (!rc)
        go_back(c, &l);
    return rc;
}
