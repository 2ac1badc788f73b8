/* See fake_issuer.h. */
#include "lib/fake_issuer.h"
#include "base/enc.h"
#include "lib/unit.h"
#include <openssl/bio.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#define DOCUMENT_MAX 300000

static enum err_code get(
    void *arg, struct str url, size_t max, struct strbuf *out, int64_t *ret_max_age_s, struct err *err)
{
    struct fake_issuer *f = arg;
    bool keys = str_ends(url, S("/jwks"));

    assert_int_equal(pthread_mutex_lock(&f->lock), 0);
    f->waiting++;
    assert_int_equal(pthread_cond_broadcast(&f->changed), 0);
    while (f->held)
        assert_int_equal(pthread_cond_wait(&f->changed, &f->lock), 0);
    f->waiting--;
    *(keys ? &f->fetches : &f->discoveries) += 1;
    strbuf_add_str(out, strbuf_str(keys ? &f->jwks : &f->discovery));
    *ret_max_age_s = f->max_age_s;
    bool down = f->down;
    assert_int_equal(pthread_mutex_unlock(&f->lock), 0);
    if (down)
        return err_set(err, ERR_UNAVAILABLE, "nobody listens");
    return strbuf_failed(out) || out->len > max ? err_set(err, ERR_TOO_LARGE, "it is too large") : ERR_OK;
}

void fake_issuer_init(struct fake_issuer *f, const char *url)
{
    *f = (struct fake_issuer){.fetch = {get, f}, .url = url, .max_age_s = -1};
    assert_int_equal(pthread_mutex_init(&f->lock, NULL), 0);
    assert_int_equal(pthread_cond_init(&f->changed, NULL), 0);
    strbuf_init(&f->discovery, DOCUMENT_MAX);
    strbuf_init(&f->jwks, DOCUMENT_MAX);
    strbuf_addf(&f->discovery, "{\"issuer\":\"%s\",\"jwks_uri\":\"%s/jwks\"}", url, url);
}

void fake_issuer_release(struct fake_issuer *f)
{
    strbuf_release(&f->discovery);
    strbuf_release(&f->jwks);
    assert_int_equal(pthread_cond_destroy(&f->changed), 0);
    assert_int_equal(pthread_mutex_destroy(&f->lock), 0);
}

/* As jose_key_write_jwk() writes it, under another name. */
static void write_key(struct strbuf *out, const struct jose_key *key, const char *kid)
{
    AUTO_STRBUF own;
    struct jsonw w;

    strbuf_init(&own, 4096);
    jsonw_init(&w, &own);
    jose_key_write_jwk(key, &w);
    const char *at = strstr(strbuf_cstr(&own), "\"kid\":\"");
    assert_non_null(at);
    strbuf_addf(out, "%.*s\"kid\":\"%s\"}", (int)(at - strbuf_cstr(&own)), strbuf_cstr(&own), kid);
}

void fake_issuer_publish(
    struct fake_issuer *f, const struct jose_key *const *keys, const char *const *kids, unsigned count)
{
    assert_int_equal(pthread_mutex_lock(&f->lock), 0);
    strbuf_reset(&f->jwks);
    strbuf_add_cstr(&f->jwks, "{\"keys\":[");
    for (unsigned i = 0; i < count; i++) {
        if (i)
            strbuf_add_char(&f->jwks, ',');
        write_key(&f->jwks, keys[i], kids[i]);
    }
    strbuf_add_cstr(&f->jwks, "]}");
    assert_int_equal(pthread_mutex_unlock(&f->lock), 0);
}

void fake_issuer_hold(struct fake_issuer *f, bool held)
{
    assert_int_equal(pthread_mutex_lock(&f->lock), 0);
    f->held = held;
    assert_int_equal(pthread_cond_broadcast(&f->changed), 0);
    assert_int_equal(pthread_mutex_unlock(&f->lock), 0);
}

void fake_issuer_wait_held(struct fake_issuer *f)
{
    assert_int_equal(pthread_mutex_lock(&f->lock), 0);
    while (!f->waiting)
        assert_int_equal(pthread_cond_wait(&f->changed, &f->lock), 0);
    assert_int_equal(pthread_mutex_unlock(&f->lock), 0);
}

/* --- One of them, trusted --- */

const struct jose_key *fake_key(int which)
{
    static struct jose_key *made[FAKE_KEYS];

    if (!made[which])
        made[which] =
            jose_key_generate(which == FAKE_EC || which == FAKE_STRANGER_EC ? JOSE_ES256 : JOSE_RS256);
    return made[which];
}

void fake_trust_init(struct fake_trust *t, const char *entry, const char *url)
{
    struct str list[] = {str_of(entry)};
    const struct jose_key *const keys[] = {fake_key(FAKE_RSA), fake_key(FAKE_EC)};
    const char *const kids[] = {FAKE_KID_1, FAKE_KID_2};

    fake_issuer_init(&t->fake, url);
    fake_issuer_publish(&t->fake, keys, kids, 2);
    assert_int_equal(issuers_new(list, 1, &t->fake.fetch, &t->all, NULL), ERR_OK);
}

void fake_trust_release(struct fake_trust *t)
{
    issuers_free(t->all);
    fake_issuer_release(&t->fake);
}

enum err_code fake_trust_verify(
    struct fake_trust *t, struct arena *a, struct str token, struct foreign_identity *ret, struct err *err)
{
    const struct issuer_expect expect = {.audience = {S("persql"), S(FAKE_OWN_URL)}, .now_ms = FAKE_NOW_MS};
    return issuer_verify(t->all, a, token, &expect, ret, err);
}

/* --- Tokens --- */

static EVP_PKEY *private_of(const struct jose_key *key)
{
    AUTO_STRBUF pem;

    strbuf_init(&pem, (size_t)2 * JOSE_PEM_MAX);
    jose_key_write_private(key, &pem);
    BIO *bio = BIO_new_mem_buf(strbuf_cstr(&pem), (int)pem.len);
    EVP_PKEY *pkey = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
    assert_non_null(pkey);
    BIO_free(bio);
    return pkey;
}

/* OpenSSL's DER as the two numbers of 32 bytes that JWTs have. */
static struct str numbers_of(const unsigned char *der, size_t len, unsigned char out[64])
{
    ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &der, (long)len);

    assert_non_null(sig);
    assert_int_equal(BN_bn2binpad(ECDSA_SIG_get0_r(sig), out, 32), 32);
    assert_int_equal(BN_bn2binpad(ECDSA_SIG_get0_s(sig), out + 32, 32), 32);
    ECDSA_SIG_free(sig);
    return str_make(out, 64);
}

void fake_token(const struct jose_key *key, const char *head, const char *claims, struct strbuf *out)
{
    unsigned char signature[1100], numbers[64];
    size_t len = sizeof signature;
    EVP_PKEY *pkey = private_of(key);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();

    strbuf_init(out, 100000);
    enc_base64url(out, str_of(head));
    strbuf_add_char(out, '.');
    enc_base64url(out, str_of(claims));
    assert_int_equal(EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, pkey), 1);
    assert_int_equal(EVP_DigestSign(ctx, signature, &len, (const unsigned char *)out->buf, out->len), 1);
    strbuf_add_char(out, '.');
    enc_base64url(out,
        jose_key_alg(key) == JOSE_ES256 ? numbers_of(signature, len, numbers) : str_make(signature, len));
    EVP_MD_CTX_free(ctx);
    EVP_PKEY_free(pkey);
    assert_false(strbuf_failed(out));
}
