/* What a key is made of, for the two files that make keys: jose_key.c and jose_jwk.c. */
#ifndef CRYPTO_JOSE_KEY_INTERNAL_H
#define CRYPTO_JOSE_KEY_INTERNAL_H

#include "crypto/jose_key.h"
#include <openssl/evp.h>

enum { JOSE_RSA_BITS_MIN = 2048, JOSE_RSA_BITS_MAX = 8192 };

struct jose_key {
    EVP_PKEY *pkey;
    enum jose_alg alg;
    char kid[JOSE_KID_MAX + 1];
};

#endif
