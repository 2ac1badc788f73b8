/* Ed25519 by OpenSSL. */
#include "crypto/sign.h"

#include "base/check.h"
#include "base/mem.h"
#include "crypto/pem.h"
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#define PUBLIC_END "-----END PUBLIC KEY-----"

enum { PUBLIC_BYTES = 32 };

struct sign_key {
    EVP_PKEY *pkey;
};

static struct sign_key *wrap(EVP_PKEY *pkey)
{
    struct sign_key *key = MEM_NEW(struct sign_key);

    key->pkey = pkey;
    return key;
}

struct sign_key *sign_key_generate(void)
{
    EVP_PKEY *pkey = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");

    CHECK(pkey != NULL);
    return wrap(pkey);
}

void sign_key_free(struct sign_key *key)
{
    if (!key)
        return;
    EVP_PKEY_free(key->pkey); /* wipes */
    mem_free(key);
}

/* --- PEM --- */

static BIO *reader(struct str text)
{
    CHECK(text.len <= INT32_MAX);
    BIO *bio = BIO_new_mem_buf(text.ptr, (int)text.len);
    CHECK(bio != NULL);
    return bio;
}

/* Never asks at the terminal for the passphrase of a key that has one. */
static int no_passphrase(char *buf, int size, int writing, void *arg)
{
    (void)buf;
    (void)size;
    (void)writing;
    (void)arg;
    return -1;
}

static enum err_code take(EVP_PKEY *pkey, const char *what, struct sign_key **ret, struct err *err)
{
    if (!pkey || !EVP_PKEY_is_a(pkey, "ED25519")) {
        EVP_PKEY_free(pkey);
        return err_set(err, ERR_INVALID, "this is no %s Ed25519 key in PEM", what);
    }
    *ret = wrap(pkey);
    return ERR_OK;
}

enum err_code sign_key_read(const struct secret *pem, struct sign_key **ret, struct err *err)
{
    BIO *bio = reader(secret_reveal(pem));
    EVP_PKEY *pkey = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);

    BIO_free(bio);
    return take(pkey, "private", ret, err);
}

/* What belongs to the first key: up to its last line, or all where there is none. */
static struct str first_block(struct str text)
{
    for (size_t i = 0; i < text.len; i++)
        if (str_starts(str_slice(text, i, text.len), S(PUBLIC_END)))
            return str_slice(text, 0, i + sizeof PUBLIC_END - 1);
    return text;
}

enum err_code sign_key_read_public(struct str *text, struct sign_key **ret, struct err *err)
{
    struct str rest = str_trim(*text);
    struct str block = first_block(rest);

    if (!rest.len)
        return err_set(err, ERR_NOT_FOUND, "there is no further key");
    BIO *bio = reader(block);
    EVP_PKEY *pkey = PEM_read_bio_PUBKEY(bio, NULL, no_passphrase, NULL);
    BIO_free(bio);
    *text = str_slice(rest, block.len, rest.len);
    return take(pkey, "public", ret, err);
}

void sign_key_write(const struct sign_key *key, struct secret *ret_pem)
{
    BIO *bio = BIO_new(BIO_s_secmem()); /* wiped when it is freed */
    char *text = NULL;

    CHECK(bio != NULL && PEM_write_bio_PrivateKey(bio, key->pkey, NULL, NULL, 0, NULL, NULL) == 1);
    long len = BIO_get_mem_data(bio, &text);
    CHECK(len > 0 && secret_set(ret_pem, str_make(text, (size_t)len)));
    BIO_free(bio);
}

void sign_key_write_public(const struct sign_key *key, struct strbuf *out)
{
    pem_write_public(key->pkey, out);
}

struct digest sign_key_digest(const struct sign_key *key)
{
    unsigned char raw[PUBLIC_BYTES];
    size_t len = sizeof raw;

    CHECK(EVP_PKEY_get_raw_public_key(key->pkey, raw, &len) == 1 && len == sizeof raw);
    return digest_sha256(str_make(raw, len));
}

/* --- Signatures --- */

struct signature sign_make(const struct sign_key *key, struct str message)
{
    struct signature sig;
    size_t len = sizeof sig.bytes;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();

    CHECK(ctx != NULL && EVP_DigestSignInit_ex(ctx, NULL, NULL, NULL, NULL, key->pkey, NULL) == 1);
    CHECK(EVP_DigestSign(ctx, sig.bytes, &len, (const unsigned char *)message.ptr, message.len) == 1);
    CHECK(len == SIGNATURE_BYTES);
    EVP_MD_CTX_free(ctx);
    return sig;
}

bool sign_check(const struct sign_key *key, struct str message, const struct signature *sig)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();

    CHECK(ctx != NULL && EVP_DigestVerifyInit_ex(ctx, NULL, NULL, NULL, NULL, key->pkey, NULL) == 1);
    int rc =
        EVP_DigestVerify(ctx, sig->bytes, SIGNATURE_BYTES, (const unsigned char *)message.ptr, message.len);
    EVP_MD_CTX_free(ctx);
    return rc == 1;
}
