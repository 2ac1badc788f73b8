/* A set of public keys (RFC 7517) that another issuer publishes, as far as it is of use here: keys for RS256
 * and ES256 alone; what else it holds is passed over. A set is never changed once it is read; whoever keeps
 * it or uses it holds a reference. Any thread. */
#ifndef CRYPTO_JWKS_H
#define CRYPTO_JWKS_H

#include "crypto/jose_key.h"

struct jwks;

/* ERR_INVALID: no such set; too many keys; two of them with one name, so that nobody knows which was meant;
 * none that is of use. The caller holds the one reference. */
MUST_CHECK enum err_code jwks_read(struct str text, struct jwks **ret, struct err *err);
struct jwks *jwks_ref(struct jwks *set);
void jwks_unref(struct jwks *set); /* NULL is fine */

unsigned jwks_count(const struct jwks *set);
/* Lives as long as the set; NULL: none of that name. */
const struct jose_key *jwks_find(const struct jwks *set, struct str kid);

#endif
