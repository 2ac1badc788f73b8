/* /api/namespaces/{ns}/repos: repositories whose pipelines may use a database of the namespace. Worker
 * thread.
 */
#include "api/call.h"
#include "api/console/views.h"
#include "federation/repo.h"
#include "federation/signup.h"

route_worker_fn console_repo_list, console_repo_bind, console_repo_unbind;

/* Dispatch saw the role outside the transaction. */
static enum err_code check_member(struct api_call *c)
{
    enum member_role role;
    return c->person ? member_require(
                           c->db, &c->who->namespace_id, &c->person->account.id, MEMBER_ADMIN, &role, c->err)
                     : ERR_OK;
}

/* One may be bound before the server is started with its issuer. */
static void view(struct api_call *c, const struct repo_binding *r)
{
    bool trusted = false;
    for (size_t i = 0; c->opt->issuers && i < issuers_count(c->opt->issuers); i++)
        trusted = trusted || str_eq(r->issuer, issuers_url(c->opt->issuers, i));
    view_repo(c->out, r, &trusted);
}

enum err_code console_repo_list(struct api_call *c)
{
    struct repo_binding *rows;
    struct str after;
    size_t count;
    int64_t limit;
    enum err_code rc = call_read_page(c, &after, &limit);
    if (!rc)
        rc = repo_list(c->db, c->arena, &c->who->namespace_id, after, limit, &rows, &count, c->err);
    if (rc)
        return rc;
    jsonw_array(c->out);
    for (size_t i = 0; i < count; i++)
        view(c, &rows[i]);
    jsonw_array_end(c->out);
    return ERR_OK;
}

/* --- Bind --- */

struct repo_wish {
    struct str repo, issuer;
};

static const struct jsonr_field bind_fields[] = {
    {"repo", JF_TEXT, offsetof(struct repo_wish, repo), JF_REQUIRED, 1, 255},
    {"issuer", JF_TEXT, offsetof(struct repo_wish, issuer), JF_NULL_OK, 1, ISSUER_URL_MAX + 10},
};

static enum err_code read_issuer(struct api_call *c, struct str text, struct issuer_name *ret)
{
    struct err why = ERR_INIT;
    enum err_code rc = issuer_parse(text, ret, &why);
    if (rc)
        return err_field(c->err, "/issuer", "%s", why.message);
    if (c->opt->issuers)
        *ret = issuers_resolve(c->opt->issuers, ret);
    return ERR_OK;
}

static enum err_code bind_tx(struct api_call *c, const struct repo_new *in, struct repo_binding *ret)
{
    enum err_code rc = check_member(c);
    if (!rc)
        rc = token_require_whole(c->db, c->by, c->arena, &in->namespace_id, c->err);
    return rc ? rc : repo_bind(c->db, c->by, c->arena, in, ret, c->err);
}

/* Nothing in the request proves that the repository is the caller's. Among people who were let in that is for
 * them to settle; a stranger could wait under the name of somebody else's for its pipelines. */
static enum err_code check_binder(struct api_call *c, struct str repo)
{
    bool machines = c->opt->self_signup && c->opt->self_signup->count > 0;

    if (c->opt->signup != SIGNUP_OPEN && !machines)
        return ERR_OK;
    return err_set(c->err, ERR_FORBIDDEN,
        "Strangers may make a namespace on this server (serve %s), so its operator binds repositories: "
        "holdfast repo bind --namespace %s --repo " STR_FMT,
        machines ? "--self-signup" : "--signup open", c->who->namespace_slug, STR_ARG(repo));
}

enum err_code console_repo_bind(struct api_call *c)
{
    struct repo_wish wish = {.repo = STR_EMPTY, .issuer = S("github")};
    struct repo_binding made = {.id = {""}};
    enum err_code rc = call_read_body(c, bind_fields, ARRAY_LEN(bind_fields), &wish);
    struct repo_new in = {.namespace_id = c->who->namespace_id, .name = wish.repo};
    if (!rc)
        rc = check_binder(c, wish.repo);
    if (!rc)
        rc = read_issuer(c, wish.issuer, &in.issuer);
    if (!rc)
        rc = tx_begin_write(c->db, c->err);
    if (!rc)
        rc = tx_end(c->db, bind_tx(c, &in, &made), c->err);
    if (!rc)
        view(c, &made);
    return rc;
}

/* --- Unbind --- */

static enum err_code unbind_tx(struct api_call *c)
{
    enum err_code rc = check_member(c);
    return rc ? rc : repo_unbind(c->db, c->by, c->arena, &c->who->namespace_id, c->item, c->err);
}

enum err_code console_repo_unbind(struct api_call *c)
{
    enum err_code rc = tx_begin_write(c->db, c->err);
    if (!rc)
        rc = tx_end(c->db, unbind_tx(c), c->err);
    return call_answer_id(c, rc);
}
