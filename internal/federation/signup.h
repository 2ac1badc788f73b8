/* Machines that sign themselves up: whom the operator lets make a namespace, and how each finds its own
 * again.
 *
 * Nobody may until the operator names them (`serve --self-signup`): an issuer like GitHub vouches for
 * everybody who has an account there. Rules name an issuer and whom of it:
 *
 *     octo                 repositories of the owner octo at GitHub
 *     gitlab=acme/widgets  that project at GitLab
 *     github=*             everybody
 *
 * An identity is known by its issuer and the issuer's own id, never by its name: a repository that is made
 * anew under a name gets a namespace of its own. A rule is asked when a namespace is made, not later. Any
 * thread; machine_sign_up() and machine_enter() on a worker. */
#ifndef FEDERATION_SIGNUP_H
#define FEDERATION_SIGNUP_H

#include "federation/machine.h"
#include "tenant/tenant.h"

#define SIGNUP_RULES_MAX 256

struct signup_rule {
    struct issuer_name issuer;
    struct str whom; /* "*", an owner, or a whole name */
};

struct signup_rules {
    size_t count; /* 0: nobody */
    struct signup_rule list[SIGNUP_RULES_MAX];
};

/* `texts` as they were typed, views of which are kept; "off" alone is nobody. ERR_INVALID names the one at
 * fault, or an issuer that is not in `all`. */
MUST_CHECK enum err_code signup_parse(const struct str *texts, size_t count, const struct issuers *all,
    struct signup_rules *ret, struct err *err);
/* `rules` NULL: nobody. */
bool signup_allows(struct arena *a, const struct signup_rules *rules, const struct foreign_identity *who);

struct machine {
    struct id id; /* "mac_…" */
    struct id namespace_id;
    char namespace_slug[SLUG_SIZE];
    struct str issuer, name, foreign_id; /* arena memory */
};

/* Inside a write transaction: finds who comes, or makes a namespace (*ret_made). ERR_FORBIDDEN says what
 * would pass: no rule allows it, or its namespace was deleted. ERR_RATE_LIMITED: too many are new. */
MUST_CHECK enum err_code machine_sign_up(struct db *db, const struct actor *by, struct arena *a,
    const struct signup_rules *rules, const struct foreign_identity *who, struct machine *ret, bool *ret_made,
    struct err *err);

/* Inside a write transaction: one that signed up before, by its id. ERR_NOT_FOUND: it or its namespace is
 * gone. */
MUST_CHECK enum err_code machine_find(
    struct db *db, struct arena *a, struct str id, struct machine *ret, struct err *err);

/* Inside a write transaction: a pass for all of its namespace; ret->made is left alone. The database `main`
 * is made when it is not there: follow with registry_create_settle(&ret->database). `assertion_id` "" none.
 */
MUST_CHECK enum err_code machine_pass(struct db *db, const struct actor *by, struct arena *a,
    const struct machine *m, struct str assertion_id, struct machine_pass *ret, struct err *err);

/* Both in a transaction of its own: what POST /v1/identity/federate does. */
MUST_CHECK enum err_code machine_federate(struct db *db, const struct registry_disk *disk,
    const struct actor *by, struct arena *a, const struct signup_rules *rules,
    const struct foreign_identity *who, struct machine_pass *ret, struct err *err);

#endif
