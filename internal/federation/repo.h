/* Repositories that are bound to a namespace: their pipelines get a token for one database there without a
 * secret that somebody stored (machine.h). A repository is bound by its name, and pinned to the issuer's own
 * id of it when it first comes:
 *
 *     bound ──── first token of a repository of that name ────► pinned
 *       ▲                                                          │ a repository of that name with another
 * id └──────────── unbound, and bound again ◄───────────────────┘ is refused
 *
 * so that nobody takes over by making a repository anew under a name that became free. Once pinned it is
 * known by that id: renamed, it keeps its binding, which takes its new name; given to another owner, it is
 * refused. One repository is bound to one namespace. Worker thread. */
#ifndef FEDERATION_REPO_H
#define FEDERATION_REPO_H

#include "audit/actor.h"
#include "base/arena.h"
#include "base/slug.h"
#include "federation/issuer.h"
#include "sqlite/db.h"

struct repo_binding {
    struct id id; /* "repo_…" */
    struct id namespace_id;
    char namespace_slug[SLUG_SIZE];
    struct str issuer, name;                     /* arena memory, as pinned_id */
    struct str pinned_id;                        /* "" none has come yet */
    int64_t created_at, pinned_at, last_used_at; /* 0: not */
};

/* "owner/name" of GitHub, "group/…/name" of GitLab, whatever name another issuer gives. ERR_INVALID at /repo.
 */
MUST_CHECK enum err_code repo_check(enum issuer_kind kind, struct str name, struct err *err);
/* What is compared of a name. Arena memory. */
struct str repo_key(struct arena *a, enum issuer_kind kind, struct str name);

struct repo_new {
    struct id namespace_id;
    struct issuer_name issuer;
    struct str name;
    bool move; /* away from another namespace */
};

/* Inside a write transaction. ERR_INVALID as repo_check; ERR_CONFLICT: it is bound already, here or
 * elsewhere, or the namespace has as many as it may. */
MUST_CHECK enum err_code repo_bind(struct db *db, const struct actor *by, struct arena *a,
    const struct repo_new *in, struct repo_binding *ret, struct err *err);

/* By id, those after `after` ("" the first), at most `limit`; `namespace_id` NULL: of all. Arena memory. */
MUST_CHECK enum err_code repo_list(struct db *db, struct arena *a, const struct id *namespace_id,
    struct str after, int64_t limit, struct repo_binding **ret, size_t *ret_count, struct err *err);

/* Inside a write transaction: ends the tokens that the repository was given as well. `namespace_id` NULL:
 * whichever it is bound to. ERR_NOT_FOUND. */
MUST_CHECK enum err_code repo_unbind(struct db *db, const struct actor *by, struct arena *a,
    const struct id *namespace_id, struct str id, struct err *err);

/* Inside a write transaction: the binding of who comes, pinned from now on. ERR_FORBIDDEN says what would
 * pass: it is not bound, it is another repository of the same name, or the namespace was deleted. */
MUST_CHECK enum err_code repo_admit(struct db *db, const struct actor *by, struct arena *a,
    const struct foreign_identity *who, struct repo_binding *ret, struct err *err);

#endif
