/* See foreign.h. */
#include "api/foreign.h"

#include "base/clock.h"
#include "federation/machine.h"

#define AUDIENCE S("persql")

/* The address is an audience only where it is fixed: else whoever sends a request would choose it by its Host
 * header, and a token for another server would be good here. */
enum err_code foreign_of(
    struct api_call *c, struct str jwt, struct foreign_identity *ret, struct actor *ret_by)
{
    const struct issuer_expect expect = {
        .audience = {AUDIENCE, str_of(c->opt->public_url)}, .now_ms = clock_wall_ms()};
    enum err_code rc = issuer_verify(c->opt->issuers, c->arena, jwt, &expect, ret, c->err);

    if (!rc)
        *ret_by = machine_actor(c->arena, c->by, ret);
    return rc;
}

enum err_code foreign_of_header(struct api_call *c, struct foreign_identity *ret, struct actor *ret_by)
{
    if (!c->authorization.ptr || !str_starts_nocase(c->authorization, S("Bearer ")))
        return err_set(c->err, ERR_UNAUTHORIZED,
            "OIDC verification failed: send Authorization: Bearer and the OpenID Connect token of your CI or "
            "cloud, with the audience persql");
    return foreign_of(c, str_trim(str_slice(c->authorization, 7, c->authorization.len)), ret, ret_by);
}
