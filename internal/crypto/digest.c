/* SHA-256 and HMAC. The algorithm is fetched once: OpenSSL 3 would look it up by name for every call. */
#include "crypto/digest.h"
#include "base/check.h"
#include "base/enc.h"
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <pthread.h>

static EVP_MD *g_sha256;

static void fetch_sha256(void)
{
    g_sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    CHECK(g_sha256 != NULL);
}

static const EVP_MD *sha256(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    CHECK(pthread_once(&once, fetch_sha256) == 0);
    return g_sha256;
}

struct digest digest_sha256(struct str data)
{
    struct digest d;
    unsigned len = 0;
    CHECK(EVP_Digest(data.ptr, data.len, d.bytes, &len, sha256(), NULL) == 1);
    CHECK(len == DIGEST_BYTES);
    return d;
}

struct digest digest_hmac(struct str key, struct str data)
{
    struct digest d;
    unsigned len = 0;
    CHECK(key.len <= INT32_MAX);
    CHECK(HMAC(sha256(), key.ptr, (int)key.len, (const unsigned char *)data.ptr, data.len, d.bytes, &len));
    CHECK(len == DIGEST_BYTES);
    return d;
}

bool digest_eq(const struct digest *a, const struct digest *b)
{
    return CRYPTO_memcmp(a->bytes, b->bytes, DIGEST_BYTES) == 0;
}

bool secret_eq(struct str a, struct str b)
{
    return a.len == b.len && CRYPTO_memcmp(a.ptr, b.ptr, a.len) == 0;
}

void digest_hex(struct strbuf *out, const struct digest *d)
{
    enc_hex(out, digest_str(d));
}

void digest_stream_init(struct digest_stream *s)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    CHECK(ctx != NULL);
    CHECK(EVP_DigestInit_ex2(ctx, sha256(), NULL) == 1);
    s->ctx = ctx;
}

void digest_stream_add(struct digest_stream *s, struct str data)
{
    CHECK(s->ctx != NULL);
    CHECK(EVP_DigestUpdate(s->ctx, data.ptr, data.len) == 1);
}

struct digest digest_stream_end(struct digest_stream *s)
{
    struct digest d;
    unsigned len = 0;
    CHECK(s->ctx != NULL);
    CHECK(EVP_DigestFinal_ex(s->ctx, d.bytes, &len) == 1);
    CHECK(len == DIGEST_BYTES);
    digest_stream_release(s);
    return d;
}

void digest_stream_release(struct digest_stream *s)
{
    EVP_MD_CTX_free(s->ctx); /* also clears its state */
    s->ctx = NULL;
}

const char *digest_library_version(void)
{
    return OpenSSL_version(OPENSSL_VERSION);
}
