/* Signed JWTs in compact form, by libjwt, which verifies with whatever algorithm a token names. So it never
 * chooses: this file reads the head first, strictly, and libjwt sees a token only when its head names exactly
 * the key and the algorithm of the key that the caller picked. Refused before that: `none`, HS*, another
 * algorithm or key id, another `typ`, any `crit`, a key that the token brings along (jwk, jku, x5c, x5u,
 * x5t), b64, zip, duplicate members, padding, other spellings of base64url.
 *
 * Only the signature says nothing about time or audience: jose_check_claims() does. Any thread. */
#ifndef CRYPTO_JOSE_H
#define CRYPTO_JOSE_H

#include "base/arena.h"
#include "crypto/jose_key.h"
#include "json/jsonr.h"

/* Appends the signed token. `claims` is a JSON object, `typ` goes into the head. */
MUST_CHECK enum err_code jose_sign(
    const struct jose_key *key, const char *typ, struct str claims, struct strbuf *out, struct err *err);

/* As `typ`: a token of another issuer. Its typ is JWT or absent, and its head may hold the hash of a
 * certificate (x5t, x5t#S256), which is not looked at. */
#define JOSE_TYP_FOREIGN NULL

struct jose_head {
    enum jose_alg alg;
    struct str kid;
};

/* What the token says about its key, to choose one by; proves nothing. ERR_UNAUTHORIZED. */
MUST_CHECK enum err_code jose_read_head(
    struct arena *a, struct str token, const char *typ, struct jose_head *ret, struct err *err);

/* What the token claims, its signature unseen: for choosing whose keys to ask, and nothing else.
 * ERR_UNAUTHORIZED. */
MUST_CHECK enum err_code jose_read_unverified(
    struct arena *a, struct str token, const struct jsonr_value **ret_claims, struct err *err);

/* Checks form, head and signature. The claims are in `a`. ERR_UNAUTHORIZED, with the same text whatever part
 * of the signature or the head is wrong. */
MUST_CHECK enum err_code jose_verify(const struct jose_key *key, struct arena *a, struct str token,
    const char *typ, const struct jsonr_value **ret_claims, struct err *err);

struct jose_expect {
    struct str issuer, audience; /* audience: equals `aud`, or is in its array; ptr NULL: not looked at */
    int64_t now_ms;
    bool expired_is_fine; /* a hint about who somebody was */
};

/* iss, aud, exp, nbf and iat; exp and iat must be there. A minute of clock skew is forgiven.
 * ERR_UNAUTHORIZED. */
MUST_CHECK enum err_code jose_check_claims(
    const struct jsonr_value *claims, const struct jose_expect *expect, struct err *err);

#endif
