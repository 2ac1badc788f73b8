/* Public keys of others, from JWKs (RFC 7517) that came over the network. Members are read strictly, and
 * OpenSSL gets numbers of bounded size alone. */
#include "base/check.h"
#include "base/enc.h"
#include "base/mem.h"
#include "crypto/jose_key_internal.h"
#include <openssl/core_names.h>
#include <openssl/bn.h>
#include <openssl/param_build.h>

enum {
    RSA_BYTES_MAX = JOSE_RSA_BITS_MAX / 8 + 1, /* some issuers put a zero byte in front */
    EXPONENT_BYTES_MAX = 4,
    EXPONENT_MIN = 65537,
    P256_BYTES = 32,
    POINT_BYTES = 1 + 2 * P256_BYTES
};

static enum err_code refuse(struct err *err, const char *why)
{
    return err_set(err, ERR_INVALID, "The key is of no use: %s", why);
}

/* ptr NULL: absent or no text. */
static struct str text_of(const struct jsonr_value *jwk, struct str name)
{
    const struct jsonr_value *v = jsonr_member(jwk, name);
    return v && jsonr_kind(v) == JSONR_TEXT ? jsonr_text(v) : (struct str){NULL, 0};
}

static bool absent_or(const struct jsonr_value *jwk, struct str name, struct str value)
{
    struct str text = text_of(jwk, name);
    return !jsonr_member(jwk, name) || (text.ptr && str_eq(text, value));
}

static bool may_verify(const struct jsonr_value *jwk)
{
    const struct jsonr_value *ops = jsonr_member(jwk, S("key_ops"));

    if (!ops)
        return true;
    if (jsonr_kind(ops) != JSONR_ARRAY)
        return false;
    for (const struct jsonr_value *op = jsonr_first(ops); op; op = jsonr_next(op))
        if (jsonr_kind(op) == JSONR_TEXT && str_eq(jsonr_text(op), S("verify")))
            return true;
    return false;
}

/* A set that publishes them has lost them. */
static bool shows_secrets(const struct jsonr_value *jwk)
{
    static const char *const SECRET[] = {"d", "p", "q", "dp", "dq", "qi", "oth", "k"};

    for (size_t i = 0; i < ARRAY_LEN(SECRET); i++)
        if (jsonr_member(jwk, str_of(SECRET[i])))
            return true;
    return false;
}

static enum err_code read_alg(const struct jsonr_value *jwk, enum jose_alg *ret, struct err *err)
{
    struct str kty = text_of(jwk, S("kty"));

    if (kty.ptr && str_eq(kty, S("RSA")))
        *ret = JOSE_RS256;
    else if (kty.ptr && str_eq(kty, S("EC")))
        *ret = JOSE_ES256;
    else
        return refuse(err, "its type is neither RSA nor EC");
    if (!absent_or(jwk, S("alg"), str_of(jose_alg_name(*ret))))
        return refuse(err, "its algorithm is not RS256 for RSA or ES256 for EC");
    if (!absent_or(jwk, S("use"), S("sig")) || !may_verify(jwk))
        return refuse(err, "it is not there to verify signatures");
    return shows_secrets(jwk) ? refuse(err, "its private half is public") : ERR_OK;
}

static enum err_code read_kid(const struct jsonr_value *jwk, char ret[JOSE_KID_MAX + 1], struct err *err)
{
    struct str kid = text_of(jwk, S("kid"));

    if (!kid.ptr || !kid.len || kid.len > JOSE_KID_MAX)
        return refuse(err, "it has no name of 1 to 200 bytes");
    memcpy(ret, kid.ptr, kid.len);
    ret[kid.len] = '\0';
    return ERR_OK;
}

/* The member's bytes: `min` to `max`. */
static bool read_number(
    const struct jsonr_value *jwk, struct str name, size_t min, size_t max, struct strbuf *out)
{
    struct str text = text_of(jwk, name);

    strbuf_init(out, max);
    return text.ptr && dec_base64url(text, out) && out->len >= min;
}

/* Takes the builder. NULL: OpenSSL does not believe that this is a key. */
static EVP_PKEY *build(const char *type, OSSL_PARAM_BLD *bld)
{
    EVP_PKEY *pkey = NULL;
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(bld);

    CHECK(ctx && params && EVP_PKEY_fromdata_init(ctx) == 1);
    if (EVP_PKEY_fromdata(ctx, &pkey, EVP_PKEY_PUBLIC_KEY, params) != 1)
        pkey = NULL;
    EVP_PKEY_CTX_free(ctx);
    OSSL_PARAM_free(params);
    OSSL_PARAM_BLD_free(bld);
    return pkey;
}

static EVP_PKEY *make_rsa(struct str n, struct str e)
{
    BIGNUM *modulus = BN_bin2bn((const unsigned char *)n.ptr, (int)n.len, NULL);
    BIGNUM *exponent = BN_bin2bn((const unsigned char *)e.ptr, (int)e.len, NULL);
    EVP_PKEY *pkey = NULL;

    CHECK(modulus && exponent);
    int bits = BN_num_bits(modulus);
    if (bits >= JOSE_RSA_BITS_MIN && bits <= JOSE_RSA_BITS_MAX && BN_is_odd(modulus) && BN_is_odd(exponent) &&
        BN_get_word(exponent) >= EXPONENT_MIN) {
        OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
        CHECK(bld && OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_N, modulus) == 1 &&
              OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_E, exponent) == 1);
        pkey = build("RSA", bld);
    }
    BN_free(modulus);
    BN_free(exponent);
    return pkey;
}

static EVP_PKEY *read_rsa(const struct jsonr_value *jwk)
{
    AUTO_STRBUF n, e;
    bool good = read_number(jwk, S("n"), JOSE_RSA_BITS_MIN / 8, RSA_BYTES_MAX, &n);

    good = read_number(jwk, S("e"), 1, EXPONENT_BYTES_MAX, &e) && good;
    return good ? make_rsa(strbuf_str(&n), strbuf_str(&e)) : NULL;
}

/* OpenSSL refuses a point that is not on the curve. */
static EVP_PKEY *make_ec(struct str x, struct str y)
{
    unsigned char point[POINT_BYTES] = {0x04};
    OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();

    memcpy(point + 1, x.ptr, P256_BYTES);
    memcpy(point + 1 + P256_BYTES, y.ptr, P256_BYTES);
    CHECK(bld && OSSL_PARAM_BLD_push_utf8_string(bld, OSSL_PKEY_PARAM_GROUP_NAME, "prime256v1", 0) == 1 &&
          OSSL_PARAM_BLD_push_octet_string(bld, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof point) == 1);
    return build("EC", bld);
}

static EVP_PKEY *read_ec(const struct jsonr_value *jwk)
{
    AUTO_STRBUF x, y;
    struct str crv = text_of(jwk, S("crv"));
    bool good = read_number(jwk, S("x"), P256_BYTES, P256_BYTES, &x);

    good = read_number(jwk, S("y"), P256_BYTES, P256_BYTES, &y) && good;
    return good && crv.ptr && str_eq(crv, S("P-256")) ? make_ec(strbuf_str(&x), strbuf_str(&y)) : NULL;
}

enum err_code jose_key_read_jwk(const struct jsonr_value *jwk, struct jose_key **ret, struct err *err)
{
    struct jose_key key = {.pkey = NULL};

    if (jsonr_kind(jwk) != JSONR_OBJECT)
        return refuse(err, "it is no JSON object");
    enum err_code rc = read_alg(jwk, &key.alg, err);
    if (!rc)
        rc = read_kid(jwk, key.kid, err);
    if (rc)
        return rc;
    key.pkey = key.alg == JOSE_RS256 ? read_rsa(jwk) : read_ec(jwk);
    if (!key.pkey)
        return refuse(err, key.alg == JOSE_RS256 ? "n and e are not those of an RSA key of 2048 to 8192 bits"
                                                 : "crv, x and y are no point on P-256");
    *ret = MEM_NEW(struct jose_key);
    **ret = key;
    return ERR_OK;
}
