/* GET and POST /oauth/authorize: a program sends a person here to be asked. Nothing of a request is stored
 * until it is answered: the pages carry it in the addresses of their forms, and each step reads and checks it
 * anew. Worker thread. */
#include "api/console/sign_in.h"
#include "api/oauth/choice.h"
#include "api/oauth/form.h"
#include "base/clock.h"
#include "oauth/access.h"

route_worker_fn oauth_authorize, oauth_consent, oauth_sign_in;

#define MS_PER_S 1000

static bool must_sign_in(const struct ask *a, const struct person *p)
{
    if (a->prompt & (PROMPT_LOGIN | PROMPT_ACCOUNT))
        return true;
    if (a->expected_sub.ptr && !str_eq(a->expected_sub, id_str(&p->account.id)))
        return true;
    int64_t age_ms = clock_wall_ms() - p->confirmed_at;
    return a->max_age_s == 0 || (a->max_age_s > 0 && age_ms > a->max_age_s * MS_PER_S);
}

/* Nobody knows which program listens on a port of this machine, so such a one is asked for each time. */
static bool is_known_program(const struct ask *a)
{
    return a->client.auth != CLIENT_NONE || !redirect_is_loopback(a->redirect_uri);
}

static enum err_code find_known(
    struct api_call *c, const struct ask *a, const struct id *account_id, struct grant *ret)
{
    struct err none = ERR_INIT;
    enum err_code rc = grant_find(c->db, account_id, &a->client, ret, &none);

    if (rc == ERR_NOT_FOUND)
        *ret = (struct grant){.scope = 0};
    return rc && rc != ERR_NOT_FOUND ? err_set(c->err, rc, "%s", none.message) : ERR_OK;
}

static enum err_code is_covered(
    struct api_call *c, const struct ask *a, const struct person *p, const struct grant *known, bool *ret)
{
    bool holds = true;
    enum err_code rc = ERR_OK;

    if (a->scope & SCOPE_DATABASE)
        rc = choice_holds(c, &p->account.id, known, &holds);
    *ret =
        !rc && holds && !(a->scope & ~known->scope) && !(a->prompt & PROMPT_CONSENT) && is_known_program(a);
    return rc;
}

static enum err_code make_code(struct api_call *c, const struct ask *a, const struct person *p,
    const struct grant *g, struct secret *ret)
{
    return code_create(c->db,
        &(struct code_new){.grant_id = g->id,
            .redirect_uri = a->redirect_uri,
            .challenge = a->challenge,
            .scope = a->scope,
            .resource = a->resource,
            .nonce = a->nonce,
            .auth_time = p->confirmed_at},
        ret, c->err);
}

static enum err_code answer_with_code(
    struct api_call *c, const struct ask *a, const struct person *p, const struct grant *g)
{
    AUTO_SECRET code = SECRET_INIT;
    enum err_code rc = tx_begin_write(c->db, c->err);

    if (!rc)
        rc = tx_end(c->db, make_code(c, a, p, g, &code), c->err);
    if (!rc)
        ask_grant(c, a, secret_reveal(&code));
    return rc;
}

static enum err_code refuse_with(
    struct api_call *c, const struct ask *a, enum oauth_error error, const char *text)
{
    return ask_refuse(c, a, &(struct refusal){error, text});
}

static enum err_code ask_person(
    struct api_call *c, const struct ask *a, const struct person *p, const struct grant *known)
{
    struct consent k = {.ask = a, .person = p};
    enum err_code rc = choice_offer(c, known, &k);

    if (rc == ERR_FORBIDDEN)
        return refuse_with(c, a, OAUTH_ACCESS_DENIED, "The person has no database to give");
    if (!rc)
        page_consent(c, &k);
    return rc;
}

/* Giving away a database is asked of nobody who may have left the machine alone since. */
static bool must_confirm(const struct ask *a, const struct person *p)
{
    return (a->scope & SCOPE_DATABASE) && !person_confirmed(p, clock_wall_ms());
}

static enum err_code confirm(struct api_call *c, const struct ask *a, const struct person *p, int status)
{
    page_sign_in(c, a, str_of(p->account.email), "Give your password again first.", status);
    return ERR_OK;
}

static enum err_code decide(struct api_call *c, const struct ask *a, const struct person *p)
{
    struct grant known;
    bool covered;
    enum err_code rc = find_known(c, a, &p->account.id, &known);

    if (!rc)
        rc = is_covered(c, a, p, &known, &covered);
    if (rc)
        return rc;
    if (covered)
        return answer_with_code(c, a, p, &known);
    if (a->prompt & PROMPT_NONE)
        return refuse_with(c, a, OAUTH_CONSENT_REQUIRED, "The person must be asked");
    return must_confirm(a, p) ? confirm(c, a, p, 200) : ask_person(c, a, p, &known);
}

enum err_code oauth_authorize(struct api_call *c)
{
    struct ask a;
    struct person p;
    bool signed_in;
    struct refusal no = {OAUTH_OK, NULL};
    enum err_code rc = ask_read(c, c->args, &a, &no);

    if (!rc && no.error)
        return ask_refuse(c, &a, &no);
    if (!rc)
        rc = oauth_find_person(c, &p, &signed_in);
    if (rc)
        return rc;
    if (signed_in && !must_sign_in(&a, &p))
        return decide(c, &a, &p);
    if (a.prompt & PROMPT_NONE)
        return refuse_with(c, &a, OAUTH_LOGIN_REQUIRED, "The person must sign in");
    struct str email = a.login_hint.ptr ? a.login_hint : signed_in ? str_of(p.account.email) : STR_EMPTY;
    page_sign_in(c, &a, email, "", 200);
    return ERR_OK;
}

/* --- The consent's form --- */

struct decision {
    struct ask ask;
    struct person person;
    struct query form;
    struct registry_entry base;
    bool made;
    struct secret code;
};

static enum err_code give(struct api_call *c, struct decision *d)
{
    struct grant known, g;
    const struct id *base = NULL, *me = &d->person.account.id;
    enum err_code rc = find_known(c, &d->ask, me, &known);

    if (!rc && (d->ask.scope & SCOPE_DATABASE)) {
        rc = choice_take(c, &d->ask, me, &known, &d->form, &d->base, &d->made);
        base = &d->base.id;
    }
    if (!rc)
        rc = grant_give(c->db, c->by, me, &d->ask.client, d->ask.scope, base, &g, c->err);
    if (!rc)
        rc = make_code(c, &d->ask, &d->person, &g, &d->code);
    return rc;
}

static enum err_code allow(struct api_call *c, struct decision *d)
{
    struct actor by = *c->by;
    struct api_call theirs = *c;
    enum err_code rc = tx_begin_write(c->db, c->err);

    by.kind = ACTOR_USER; /* the page found the person itself */
    by.user_id = d->person.account.id;
    theirs.by = &by;
    if (!rc)
        rc = tx_end(c->db, give(&theirs, d), c->err);
    if (!rc && d->made) /* what fails stays an intent, which the next start finishes */
        err_ignore(registry_create_finish(c->db, c->disk, &d->base, NULL));
    if (!rc)
        ask_grant(c, &d->ask, secret_reveal(&d->code));
    secret_release(&d->code);
    return rc;
}

static enum err_code read_decision(
    struct api_call *c, struct decision *d, struct refusal *no, bool *ret_signed_in)
{
    struct refusal bad = {OAUTH_OK, NULL};
    enum err_code rc = ask_read(c, c->args, &d->ask, no);

    if (!rc && !no->error)
        rc = oauth_find_person(c, &d->person, ret_signed_in);
    if (!rc && !no->error)
        rc = form_read(c, &d->form, &bad);
    return !rc && bad.error ? err_set(c->err, ERR_INVALID, "%s", bad.text) : rc;
}

enum err_code oauth_consent(struct api_call *c)
{
    struct decision *d = arena_need(c->arena, sizeof *d);
    struct refusal no = {OAUTH_OK, NULL};
    bool signed_in = false;
    enum err_code rc = read_decision(c, d, &no, &signed_in);

    if (!rc && no.error)
        return ask_refuse(c, &d->ask, &no);
    if (rc)
        return rc;
    if (!signed_in) {
        page_sign_in(c, &d->ask, STR_EMPTY, "You were signed out meanwhile.", 401);
        return ERR_OK;
    }
    struct str csrf = query_get(&d->form, "csrf"), decision = query_get(&d->form, "decision");
    if (!csrf.ptr || !secret_eq(csrf, str_of(c->csrf)))
        return err_set(c->err, ERR_CSRF,
            "This form is not from a page that you have open; go back to the app and try again");
    if (str_eq(decision, S("allow")))
        return must_confirm(&d->ask, &d->person) ? confirm(c, &d->ask, &d->person, 403) : allow(c, d);
    return refuse_with(c, &d->ask, OAUTH_ACCESS_DENIED, "The person said no");
}

/* --- The sign-in's form --- */

static bool may_try_again(enum err_code rc)
{
    return rc == ERR_UNAUTHORIZED || rc == ERR_RATE_LIMITED || rc == ERR_FORBIDDEN || rc == ERR_INVALID;
}

enum err_code oauth_sign_in(struct api_call *c)
{
    struct query form, args;
    struct ask a;
    struct person p;
    struct refusal no = {OAUTH_OK, NULL};
    enum err_code rc = form_read(c, &form, &no);

    if (!rc && no.error)
        return err_set(c->err, ERR_INVALID, "%s", no.text);
    struct str request = query_get(&form, "request"), email = query_get(&form, "email"),
               password = query_get(&form, "password");
    if (!rc)
        rc = query_parse(request, c->arena, &args, c->err);
    if (!rc)
        rc = ask_read(c, &args, &a, &no);
    if (!rc && no.error)
        return ask_refuse(c, &a, &no);
    if (rc)
        return rc;
    struct err why = ERR_INIT;
    struct api_call attempt = *c;
    attempt.err = &why;
    rc = sign_in_person(&attempt, email.ptr ? email : STR_EMPTY, password.ptr ? password : STR_EMPTY, &p);
    if (rc && !may_try_again(rc))
        return err_set(c->err, rc, "%s", why.message);
    if (!rc) {
        oauth_redirect(c, ask_address(c, &a, true));
        return ERR_OK;
    }
    page_sign_in(c, &a, email.ptr ? email : STR_EMPTY, why.message, err_status(rc));
    c->answer->retry_after_s = why.retry_after_s;
    return ERR_OK;
}
