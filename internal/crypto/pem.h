/* Public keys as PEM text, for the files of this folder that hold OpenSSL keys. Any thread. */
#ifndef CRYPTO_PEM_H
#define CRYPTO_PEM_H

#include "base/strbuf.h"
#include <openssl/evp.h>

/* SubjectPublicKeyInfo; of a key pair its public half alone. */
void pem_write_public(EVP_PKEY *pkey, struct strbuf *out);

#endif
