/* What a machine gets for the word of a trusted issuer (issuer.h): a token that lives for an hour and a
 * database to use it in. Nothing is stored at the machine's side; it comes again with a fresh token of its
 * issuer. The same token may come more than once until it expires: jobs that run side by side share one, and
 * whoever could repeat it could also have used it first.
 *
 * Worker thread; these open their own transactions. */
#ifndef FEDERATION_MACHINE_H
#define FEDERATION_MACHINE_H

#include "federation/repo.h"
#include "registry/registry.h"
#include "token/token.h"

struct machine_pass {
    struct registry_entry database;
    struct token token;
    struct secret secret; /* whoever has it releases it */
    bool made;            /* the namespace (signup.h) or the database (machine_connect) is new */
};

/* The slug that a repository's database is made under: "gh-acme-widgets", "gl-group-app", "ci-…"; it is found
 * again by the repository's id, not by that. Two repositories have never the same one: where letters had to
 * be changed or cut, or where owner and name could be divided elsewhere, twelve hexadecimal digits of a
 * digest of issuer and name stand behind it. Arena memory. */
struct str machine_slug(struct arena *a, const struct foreign_identity *who);

/* The name under which the audit log knows it. Arena memory. */
struct actor machine_actor(struct arena *a, const struct actor *request, const struct foreign_identity *who);

/* The database of a bound repository, made at its first time. ERR_FORBIDDEN as repo_admit; ERR_RATE_LIMITED.
 */
MUST_CHECK enum err_code machine_connect(struct db *db, const struct registry_disk *disk,
    const struct actor *by, struct arena *a, const struct foreign_identity *who, struct machine_pass *ret,
    struct err *err);

#endif
