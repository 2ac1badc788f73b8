/* Keys that sign JWTs: RS256 (RSA, 2048 bits) and ES256 (P-256). A key has one algorithm for good, and that
 * algorithm alone decides how a signature is made and checked. Private keys are PEM text (PKCS #8) on disk;
 * whoever holds that text wipes it. A broken installation aborts. Any thread; a key is never changed once it
 * is made. */
#ifndef CRYPTO_JOSE_KEY_H
#define CRYPTO_JOSE_KEY_H

#include "base/err.h"
#include "base/strbuf.h"
#include "json/jsonr.h"
#include "json/jsonw.h"

enum jose_alg { JOSE_RS256, JOSE_ES256, JOSE_ALG_COUNT };

#define JOSE_KID_SIZE 33   /* of our own keys: 32 hexadecimal characters and a terminator */
#define JOSE_KID_MAX  200  /* bytes of the name that others gave to a key */
#define JOSE_PEM_MAX  4096 /* bytes of a private key as text */

struct jose_key;

const char *jose_alg_name(enum jose_alg alg); /* "RS256" */
MUST_CHECK bool jose_alg_parse(struct str name, enum jose_alg *ret);

struct jose_key *jose_key_generate(enum jose_alg alg); /* RSA takes a tenth of a second and more */
/* ERR_INVALID: no such private key in the text, or one too weak. */
MUST_CHECK enum err_code jose_key_read(struct str pem, struct jose_key **ret, struct err *err);
/* The public key of somebody else, from a JWK: RSA with 2048 to 8192 bits and a public exponent of 65537 up
 * to 32 bits for RS256, a point on P-256 for ES256. It keeps the `kid` it has there. ERR_INVALID says why it
 * is none that could verify: another type, curve, `alg`, `use` or `key_ops`, no name, a private or secret
 * part. */
MUST_CHECK enum err_code jose_key_read_jwk(
    const struct jsonr_value *jwk, struct jose_key **ret, struct err *err);
void jose_key_free(struct jose_key *key); /* wipes; NULL is fine */

enum jose_alg jose_key_alg(const struct jose_key *key);
/* The key's name: the first half of its RFC 7638 thumbprint; of a key that was read from a JWK, the one in
 * it. */
const char *jose_key_kid(const struct jose_key *key);

/* `out` has room for JOSE_PEM_MAX; the caller wipes it (mem_wipe) before it is released. */
void jose_key_write_private(const struct jose_key *key, struct strbuf *out);
void jose_key_write_public(const struct jose_key *key, struct strbuf *out); /* PEM */
/* One member of a JWK set: public members alone. */
void jose_key_write_jwk(const struct jose_key *key, struct jsonw *w);

#endif
