/* The keys that sign ID tokens and assertions: files of <data>/keys, one private key each (PEM, 0600), named
 * "<alg>-<made at>-<kid>.pem". What a key is for follows from the times in the names alone:
 *
 *   made ──► published ──(SIGNING_KEY_AHEAD_MS)──► signs ──► a newer key signs ──(ASSERTION_MS)──► removed
 *
 * The first key of an algorithm signs at once; the next one is made when the newest is SIGNING_KEY_MS old.
 * Keys are read for each use and wiped after it, so that they are in memory for moments only. Rotating and
 * replacing see to the secrets of mac_ring.h too. Worker threads and commands; whoever rotates is alone. */
#ifndef CRYPTO_KEYRING_H
#define CRYPTO_KEYRING_H

#include "base/arena.h"
#include "crypto/jose.h"

#define KEYRING_DIR      "keys"
#define KEYRING_KEYS_MAX 32

/* What a token is for: its claim `token_use`, which ID tokens have not got. One is never taken for another.
 * It is no `typ` of the head, because libjwt 1.10 writes and takes "JWT" alone there. */
#define KEYRING_ID_TOKEN  ""
#define KEYRING_ASSERTION "agent_assertion" /* federation/assertion.h */
#define KEYRING_USE_CLAIM "token_use"

/* Makes what is missing or due, removes what nothing needs any more. ERR_IO, ERR_FULL; ERR_CONFLICT: more
 * keys than KEYRING_KEYS_MAX. */
MUST_CHECK enum err_code keyring_rotate(const char *data_dir, int64_t now_ms, struct err *err);
/* A new key for each algorithm, whatever the age of the newest one. `at_once`: because a key has leaked. It
 * signs from now on, the others are removed, and what they signed is worth nothing. */
MUST_CHECK enum err_code keyring_replace(const char *data_dir, int64_t now_ms, bool at_once, struct err *err);

/* Signs with today's key of that algorithm. */
MUST_CHECK enum err_code keyring_sign(const char *data_dir, enum jose_alg alg, int64_t now_ms,
    struct str claims, struct strbuf *out, struct err *err);
/* Verifies with the key that the token names. As jose_verify. */
MUST_CHECK enum err_code keyring_verify(const char *data_dir, const char *use, struct arena *a,
    struct str token, const struct jsonr_value **ret_claims, struct err *err);
/* Appends the JWK set: the public halves of all keys. */
MUST_CHECK enum err_code keyring_write_jwks(const char *data_dir, struct jsonw *w, struct err *err);

#endif
