/* JWTs with HS256, for tokens that this server alone makes and reads. Nothing of a head is ever interpreted:
 * a key has one head, which is written here, and a token whose head is another text, byte for byte, is not
 * signed by that key. So no algorithm, `typ` or key can be chosen by whoever sends the token. Any thread. */
#ifndef CRYPTO_JOSE_MAC_H
#define CRYPTO_JOSE_MAC_H

#include "base/arena.h"
#include "base/err.h"
#include "crypto/digest.h"
#include "json/jsonr.h"

#define MAC_KID_SIZE 33 /* 32 hexadecimal characters and a terminator */

struct mac_key { /* whoever has it on the stack wipes it (mem_wipe) */
    char kid[MAC_KID_SIZE];
    unsigned char bytes[DIGEST_BYTES];
};

/* Appends the signed token. `claims` is a JSON object. ERR_TOO_LARGE. */
MUST_CHECK enum err_code jose_mac_sign(
    const struct mac_key *key, const char *typ, struct str claims, struct strbuf *out, struct err *err);

/* Checks form, head and signature by whichever of the keys the head names. The claims are in `a`; what they
 * say is the caller's to check (jose_check_claims). ERR_UNAUTHORIZED, with the same text whatever part of
 * signature or head is wrong. */
MUST_CHECK enum err_code jose_mac_verify(const struct mac_key *keys, size_t count, const char *typ,
    struct arena *a, struct str token, const struct jsonr_value **ret_claims, struct err *err);

#endif
