/* PEM text by OpenSSL. */
#include "crypto/pem.h"
#include "base/check.h"
#include <openssl/bio.h>
#include <openssl/pem.h>

void pem_write_public(EVP_PKEY *pkey, struct strbuf *out)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *text = NULL;

    CHECK(bio != NULL && PEM_write_bio_PUBKEY(bio, pkey) == 1);
    long len = BIO_get_mem_data(bio, &text);
    CHECK(len > 0);
    strbuf_add(out, text, (size_t)len);
    BIO_free(bio);
}
