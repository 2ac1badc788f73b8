/* POST /v1/identity/federate and /v1/actions/connect: tokens for machines that an issuer vouches for. On a
 * thread that may wait for the issuer. */
#include "api/foreign.h"
#include "api/persql/views.h"
#include "federation/signup.h"

route_worker_fn persql_identity_federate, persql_actions_connect;

/* What both answers have. */
static void view(struct api_call *c, const struct machine_pass *pass)
{
    const struct registry_entry *d = &pass->database;

    JSONW_TEXT(c->out, "token", secret_reveal(&pass->secret));
    JSONW_TEXT(c->out, "url",
        arena_printf(c->arena, STR_FMT "/v1/db/%s/%s", STR_ARG(c->base_url), d->namespace_slug, d->slug));
    JSONW_CSTR(c->out, "namespace", d->namespace_slug);
    JSONW_CSTR(c->out, "database", d->slug);
    JSONW_BOOL(c->out, "created", pass->made);
    view_time(c->out, "expiresAt", pass->token.expires_at);
}

enum err_code persql_identity_federate(struct api_call *c)
{
    struct foreign_identity who;
    struct actor by;
    struct machine_pass *pass = ARENA_NEW(c->arena, struct machine_pass);
    enum err_code rc = foreign_of_header(c, &who, &by);

    if (!rc)
        rc = machine_federate(c->db, c->disk, &by, c->arena, c->opt->self_signup, &who, pass, c->err);
    if (!rc) {
        jsonw_object(c->out);
        view(c, pass);
        JSONW_TEXT(c->out, "identity", who.name);
        jsonw_object_end(c->out);
    }
    secret_release(&pass->secret);
    return rc;
}

enum err_code persql_actions_connect(struct api_call *c)
{
    struct foreign_identity who;
    struct actor by;
    struct machine_pass *pass = ARENA_NEW(c->arena, struct machine_pass);
    enum err_code rc = foreign_of_header(c, &who, &by);

    if (!rc)
        rc = machine_connect(c->db, c->disk, &by, c->arena, &who, pass, c->err);
    if (!rc) {
        jsonw_object(c->out);
        view(c, pass);
        jsonw_object_end(c->out);
    }
    secret_release(&pass->secret);
    return rc;
}
