/* Sessions of end users: a JWT (HS256) that an app's own server asks for and hands to one of its users, who
 * then calls the published endpoints of one database with it. It says who the user is and opens nothing else:
 * it is no API token, and no API token is one. It is stored nowhere and holds until it expires; its key
 * belongs to the namespace (crypto/mac_ring.h), its audience is the database, so it is worth nothing in
 * another one, nor in a later one of the same name. Worker thread. */
#ifndef ENDPOINT_SESSION_H
#define ENDPOINT_SESSION_H

#include "base/arena.h"
#include "base/err.h"
#include "base/id.h"
#include "base/strbuf.h"

struct end_user {
    struct str user_id, email; /* email "" none */
};

/* Where it holds. */
struct end_session_place {
    struct id namespace_id, database_id;
};

/* Appends the token. `expires_in_s` is at most LIMIT_END_SESSION_MS. ERR_UNAVAILABLE: there is no key. */
MUST_CHECK enum err_code end_session_mint(const char *data_dir, const struct end_session_place *where,
    const struct end_user *user, int64_t now_ms, int64_t expires_in_s, struct strbuf *out, struct err *err);

/* The texts of *ret are in `a`. ERR_UNAUTHORIZED: forged, expired, of another place, or no session at all. */
MUST_CHECK enum err_code end_session_verify(const char *data_dir, const struct end_session_place *where,
    int64_t now_ms, struct arena *a, struct str token, struct end_user *ret, struct err *err);

#endif
