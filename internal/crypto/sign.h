/* Signatures by Ed25519: whoever has the public key can check them, only whoever has the private key can make
 * them. Keys are PEM text (PKCS #8 and SubjectPublicKeyInfo), as `openssl pkey` reads them. A broken
 * installation aborts. Any thread; a key is never changed once it is made. */
#ifndef CRYPTO_SIGN_H
#define CRYPTO_SIGN_H

#include "base/err.h"
#include "base/strbuf.h"
#include "crypto/digest.h"
#include "crypto/secret.h"

#define SIGNATURE_BYTES 64

struct signature {
    unsigned char bytes[SIGNATURE_BYTES];
};

struct sign_key; /* a private key with its public half, or the public half alone */

struct sign_key *sign_key_generate(void);
void sign_key_free(struct sign_key *key); /* wipes; NULL is fine */

/* ERR_INVALID: no such key in the text. */
MUST_CHECK enum err_code sign_key_read(const struct secret *pem, struct sign_key **ret, struct err *err);
/* The first public key in *text; moves *text behind it, so that one file may hold several. ERR_NOT_FOUND: no
 * key begins there any more, ERR_INVALID: one begins and is none of ours. */
MUST_CHECK enum err_code sign_key_read_public(struct str *text, struct sign_key **ret, struct err *err);

void sign_key_write(const struct sign_key *key, struct secret *ret_pem); /* has a private half */
void sign_key_write_public(const struct sign_key *key, struct strbuf *out);
/* SHA-256 of the 32 bytes of the public key: the key's name. */
struct digest sign_key_digest(const struct sign_key *key);

struct signature sign_make(const struct sign_key *key, struct str message); /* has a private half */
bool sign_check(const struct sign_key *key, struct str message, const struct signature *sig);

#endif
