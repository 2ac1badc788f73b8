/* Keys for JWTs by OpenSSL. */
#include "crypto/jose_key_internal.h"

#include "base/check.h"
#include "base/enc.h"
#include "base/mem.h"
#include "crypto/digest.h"
#include "crypto/pem.h"
#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

enum { RSA_BITS_OWN_MAX = 4096, P256_BYTES = 32, NUMBER_MAX = JOSE_RSA_BITS_MAX / 8, JWK_MAX = 4096 };

static const char *const NAMES[JOSE_ALG_COUNT] = {[JOSE_RS256] = "RS256", [JOSE_ES256] = "ES256"};

const char *jose_alg_name(enum jose_alg alg)
{
    CHECK(alg < JOSE_ALG_COUNT);
    return NAMES[alg];
}

bool jose_alg_parse(struct str name, enum jose_alg *ret)
{
    for (unsigned i = 0; i < JOSE_ALG_COUNT; i++) {
        if (!str_eq(name, str_of(NAMES[i])))
            continue;
        *ret = (enum jose_alg)i;
        return true;
    }
    return false;
}

enum jose_alg jose_key_alg(const struct jose_key *key)
{
    return key->alg;
}

const char *jose_key_kid(const struct jose_key *key)
{
    return key->kid;
}

/* --- The public half as a JWK --- */

/* A number of the key in base64url: `width` bytes, 0: as many as it has. */
static void write_number(
    const struct jose_key *key, const char *param, int width, const char *member, struct jsonw *w)
{
    AUTO_STRBUF text;
    unsigned char bytes[NUMBER_MAX];
    BIGNUM *number = NULL;

    CHECK(EVP_PKEY_get_bn_param(key->pkey, param, &number) == 1);
    int len = width ? width : BN_num_bytes(number);
    CHECK(len <= NUMBER_MAX && BN_bn2binpad(number, bytes, len) == len);
    BN_free(number);
    strbuf_init(&text, (size_t)2 * NUMBER_MAX);
    enc_base64url(&text, str_make(bytes, (size_t)len));
    JSONW_TEXT(w, member, strbuf_str(&text));
}

/* The members that make the key, in the order that RFC 7638 hashes them. */
static void write_members(const struct jose_key *key, struct jsonw *w)
{
    if (key->alg == JOSE_RS256) {
        write_number(key, OSSL_PKEY_PARAM_RSA_E, 0, "e", w);
        JSONW_CSTR(w, "kty", "RSA");
        write_number(key, OSSL_PKEY_PARAM_RSA_N, 0, "n", w);
        return;
    }
    JSONW_CSTR(w, "crv", "P-256");
    JSONW_CSTR(w, "kty", "EC");
    write_number(key, OSSL_PKEY_PARAM_EC_PUB_X, P256_BYTES, "x", w);
    write_number(key, OSSL_PKEY_PARAM_EC_PUB_Y, P256_BYTES, "y", w);
}

void jose_key_write_jwk(const struct jose_key *key, struct jsonw *w)
{
    jsonw_object(w);
    write_members(key, w);
    JSONW_CSTR(w, "alg", NAMES[key->alg]);
    JSONW_CSTR(w, "use", "sig");
    JSONW_CSTR(w, "kid", key->kid);
    jsonw_object_end(w);
}

static void name_key(struct jose_key *key)
{
    AUTO_STRBUF jwk, hex;
    struct jsonw w;

    strbuf_init(&jwk, JWK_MAX);
    strbuf_init(&hex, (size_t)2 * DIGEST_BYTES);
    jsonw_init(&w, &jwk);
    jsonw_object(&w);
    write_members(key, &w);
    jsonw_object_end(&w);
    CHECK(jsonw_done(&w) && !strbuf_failed(&jwk));
    struct digest print = digest_sha256(strbuf_str(&jwk));
    digest_hex(&hex, &print);
    memcpy(key->kid, strbuf_cstr(&hex), JOSE_KID_SIZE - 1);
}

/* --- Making and reading --- */

static struct jose_key *wrap(EVP_PKEY *pkey, enum jose_alg alg)
{
    struct jose_key *key = MEM_NEW(struct jose_key);

    key->pkey = pkey;
    key->alg = alg;
    name_key(key);
    return key;
}

struct jose_key *jose_key_generate(enum jose_alg alg)
{
    EVP_PKEY *pkey = alg == JOSE_RS256 ? EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)JOSE_RSA_BITS_MIN)
                                       : EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");

    CHECK(pkey != NULL);
    return wrap(pkey, alg);
}

void jose_key_free(struct jose_key *key)
{
    if (!key)
        return;
    EVP_PKEY_free(key->pkey); /* wipes */
    mem_free(key);
}

static bool is_p256(const EVP_PKEY *pkey)
{
    char group[32];
    size_t len;

    return EVP_PKEY_is_a(pkey, "EC") &&
           EVP_PKEY_get_group_name((EVP_PKEY *)pkey, group, sizeof group, &len) == 1 &&
           strcmp(group, "prime256v1") == 0;
}

static bool is_rsa(const EVP_PKEY *pkey)
{
    int bits = EVP_PKEY_get_bits(pkey);

    return EVP_PKEY_is_a(pkey, "RSA") && bits >= JOSE_RSA_BITS_MIN && bits <= RSA_BITS_OWN_MAX;
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

enum err_code jose_key_read(struct str pem, struct jose_key **ret, struct err *err)
{
    CHECK(pem.len <= INT32_MAX);
    BIO *bio = BIO_new_mem_buf(pem.ptr, (int)pem.len);
    CHECK(bio != NULL);
    EVP_PKEY *pkey = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);
    BIO_free(bio);
    if (!pkey || !(is_rsa(pkey) || is_p256(pkey))) {
        EVP_PKEY_free(pkey);
        return err_set(err, ERR_INVALID, "this is no private key of RSA with 2048 bits or of P-256 in PEM");
    }
    *ret = wrap(pkey, EVP_PKEY_is_a(pkey, "RSA") ? JOSE_RS256 : JOSE_ES256);
    return ERR_OK;
}

void jose_key_write_private(const struct jose_key *key, struct strbuf *out)
{
    BIO *bio = BIO_new(BIO_s_secmem()); /* wiped when it is freed */
    char *text = NULL;

    CHECK(strbuf_reserve(out, JOSE_PEM_MAX)); /* at once, so that growing leaves no copies behind */
    CHECK(bio != NULL && PEM_write_bio_PrivateKey(bio, key->pkey, NULL, NULL, 0, NULL, NULL) == 1);
    long len = BIO_get_mem_data(bio, &text);
    CHECK(len > 0 && len <= JOSE_PEM_MAX);
    strbuf_add(out, text, (size_t)len);
    BIO_free(bio);
}

void jose_key_write_public(const struct jose_key *key, struct strbuf *out)
{
    pem_write_public(key->pkey, out);
}
