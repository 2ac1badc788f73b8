/* Signed JWTs: what our keys sign verifies, and what forgers have tried elsewhere does not. The cases of the
 * table sign each forged head with the true private key wherever a forger could make the server do so, so
 * that the head alone decides. */
#include "crypto/jose.h"
#include "base/enc.h"
#include "base/mem.h"
#include "crypto/digest.h"
#include "lib/unit.h"
#include <openssl/evp.h>
#include <openssl/pem.h>

#define ISSUER "https://db.example.com"
#define NOW_MS 1800000000000
#define CLAIMS                                                                                               \
    "{\"iss\":\"https://db.example.com\",\"aud\":\"app\",\"sub\":\"usr_1\",\"iat\":1800000000,"              \
    "\"exp\":1800003600}"

static struct jose_key *rsa, *ec, *stranger;

static void keys(void)
{
    if (rsa)
        return;
    rsa = jose_key_generate(JOSE_RS256);
    ec = jose_key_generate(JOSE_ES256);
    stranger = jose_key_generate(JOSE_RS256);
}

int setup_jose(void **state)
{
    (void)state;
    keys();
    return 0;
}

int teardown_jose(void **state)
{
    (void)state;
    jose_key_free(rsa);
    jose_key_free(ec);
    jose_key_free(stranger);
    rsa = ec = stranger = NULL;
    return 0;
}

static void sign(const struct jose_key *key, const char *claims, struct strbuf *out)
{
    strbuf_init(out, 20000);
    assert_int_equal(jose_sign(key, "JWT", str_of(claims), out, NULL), ERR_OK);
}

static enum err_code verify(const struct jose_key *key, struct str token)
{
    AUTO_ARENA a;
    const struct jsonr_value *claims;
    arena_init(&a, 200000);
    return jose_verify(key, &a, token, "JWT", &claims, NULL);
}

void test_jose__what_a_key_signs_it_verifies(void **state)
{
    (void)state;
    const struct jose_key *const all[] = {rsa, ec};
    for (int i = 0; i < 2; i++) {
        AUTO_STRBUF token;
        AUTO_ARENA a;
        const struct jsonr_value *claims;
        struct jose_head head;
        arena_init(&a, 200000);
        sign(all[i], CLAIMS, &token);
        assert_int_equal(jose_read_head(&a, strbuf_str(&token), "JWT", &head, NULL), ERR_OK);
        expect_str(head.kid, jose_key_kid(all[i]));
        assert_int_equal(head.alg, jose_key_alg(all[i]));
        assert_int_equal(jose_verify(all[i], &a, strbuf_str(&token), "JWT", &claims, NULL), ERR_OK);
        expect_str(jsonr_text(jsonr_member(claims, S("sub"))), "usr_1");
        assert_int_equal(verify(all[1 - i], strbuf_str(&token)), ERR_UNAUTHORIZED);
        assert_int_equal(verify(stranger, strbuf_str(&token)), ERR_UNAUTHORIZED);
    }
}

void test_jose__keys_survive_as_text_and_show_no_private_part(void **state)
{
    (void)state;
    static const char *const PRIVATE[] = {
        "\"d\"", "\"p\"", "\"q\"", "\"dp\"", "\"dq\"", "\"qi\"", "\"oth\"", "\"k\""};
    struct jose_key *const all[] = {rsa, ec};
    for (int i = 0; i < 2; i++) {
        AUTO_STRBUF pem, jwk, token;
        struct jsonw w;
        struct jose_key *again = NULL;
        strbuf_init(&pem, (size_t)2 * JOSE_PEM_MAX);
        strbuf_init(&jwk, 2000);
        jose_key_write_private(all[i], &pem);
        assert_int_equal(jose_key_read(strbuf_str(&pem), &again, NULL), ERR_OK);
        assert_string_equal(jose_key_kid(again), jose_key_kid(all[i]));
        sign(again, CLAIMS, &token);
        assert_int_equal(verify(all[i], strbuf_str(&token)), ERR_OK);
        jsonw_init(&w, &jwk);
        jose_key_write_jwk(all[i], &w);
        for (size_t k = 0; k < ARRAY_LEN(PRIVATE); k++)
            expect_row(!strstr(strbuf_cstr(&jwk), PRIVATE[k]), PRIVATE[k]);
        assert_non_null(strstr(strbuf_cstr(&jwk), i ? "\"crv\":\"P-256\"" : "\"kty\":\"RSA\""));
        jose_key_free(again);
    }
}

/* RFC 7638, section 3.1, needs the private key that nobody has; so the thumbprint is made anew from the JWK.
 */
void test_jose__the_name_is_the_thumbprint(void **state)
{
    AUTO_ARENA a;
    AUTO_STRBUF jwk, canonical, hex;
    struct jsonw w;
    const struct jsonr_value *root;
    (void)state;
    arena_init(&a, 100000);
    strbuf_init(&jwk, 2000);
    strbuf_init(&canonical, 2000);
    strbuf_init(&hex, 64);
    jsonw_init(&w, &jwk);
    jose_key_write_jwk(ec, &w);
    assert_int_equal(jsonr_parse(&a, strbuf_str(&jwk), &root, NULL), ERR_OK);
    strbuf_addf(&canonical, "{\"crv\":\"P-256\",\"kty\":\"EC\",\"x\":\"%s\",\"y\":\"%s\"}",
        jsonr_text(jsonr_member(root, S("x"))).ptr, jsonr_text(jsonr_member(root, S("y"))).ptr);
    struct digest d = digest_sha256(strbuf_str(&canonical));
    digest_hex(&hex, &d);
    assert_memory_equal(strbuf_cstr(&hex), jose_key_kid(ec), JOSE_KID_SIZE - 1);
}

void test_jose__weak_and_foreign_keys_are_refused(void **state)
{
    static const char *const TEXTS[] = {"", "x", "-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n"};
    struct jose_key *key = NULL;
    EVP_PKEY *const weak[] = {EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)1024),
        EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-384"), EVP_PKEY_Q_keygen(NULL, NULL, "ED25519")};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(TEXTS); i++)
        expect_row(jose_key_read(str_of(TEXTS[i]), &key, NULL) == ERR_INVALID, TEXTS[i]);
    for (size_t i = 0; i < ARRAY_LEN(weak); i++) {
        BIO *bio = BIO_new(BIO_s_mem());
        char *text;
        assert_int_equal(PEM_write_bio_PrivateKey(bio, weak[i], NULL, NULL, 0, NULL, NULL), 1);
        long len = BIO_get_mem_data(bio, &text);
        assert_int_equal(jose_key_read(str_make(text, (size_t)len), &key, NULL), ERR_INVALID);
        BIO_free(bio);
        EVP_PKEY_free(weak[i]);
    }
}

/* --- Forgeries --- */

enum how {
    SIGN_RSA,      /* a true signature over the forged head, by the key that verifies */
    SIGN_STRANGER, /* by a key of the same kind */
    SIGN_EC,       /* by the server's key of the other kind */
    HMAC_PUBLIC,   /* HS256 with the public key's PEM as the secret: the RS/HS swap */
    HMAC_EMPTY,    /* HS256 with an empty secret */
    EMPTY,         /* no signature */
    ZEROS,         /* 256 zero bytes */
};

/* %KID% stands for the key's own name. */
static const struct {
    const char *name, *head, *claims;
    enum how how;
} FORGED[] = {
    {"none", "{\"alg\":\"none\",\"kid\":\"%KID%\",\"typ\":\"JWT\"}", CLAIMS, EMPTY},
    {"none, signed", "{\"alg\":\"none\",\"kid\":\"%KID%\",\"typ\":\"JWT\"}", CLAIMS, SIGN_RSA},
    {"None", "{\"alg\":\"None\",\"kid\":\"%KID%\",\"typ\":\"JWT\"}", CLAIMS, EMPTY},
    {"NONE", "{\"alg\":\"NONE\",\"kid\":\"%KID%\",\"typ\":\"JWT\"}", CLAIMS, EMPTY},
    {"nOnE", "{\"alg\":\"nOnE\",\"kid\":\"%KID%\",\"typ\":\"JWT\"}", CLAIMS, EMPTY},
    {"empty alg", "{\"alg\":\"\",\"kid\":\"%KID%\",\"typ\":\"JWT\"}", CLAIMS, SIGN_RSA},
    {"no alg", "{\"kid\":\"%KID%\",\"typ\":\"JWT\"}", CLAIMS, SIGN_RSA},
    {"alg null", "{\"alg\":null,\"kid\":\"%KID%\",\"typ\":\"JWT\"}", CLAIMS, SIGN_RSA},
    {"alg a number", "{\"alg\":256,\"kid\":\"%KID%\",\"typ\":\"JWT\"}", CLAIMS, SIGN_RSA},
    {"alg an array", "{\"alg\":[\"RS256\"],\"kid\":\"%KID%\",\"typ\":\"JWT\"}", CLAIMS, SIGN_RSA},
    {"alg in lower case", "{\"alg\":\"rs256\",\"kid\":\"%KID%\",\"typ\":\"JWT\"}", CLAIMS, SIGN_RSA},
    {"alg with a blank", "{\"alg\":\"RS256 \",\"kid\":\"%KID%\",\"typ\":\"JWT\"}", CLAIMS, SIGN_RSA},
    {"two algs", "{\"alg\":\"RS256\",\"alg\":\"none\",\"kid\":\"%KID%\",\"typ\":\"JWT\"}", CLAIMS, SIGN_RSA},
    {"two algs, escaped", "{\"alg\":\"RS256\",\"\\u0061lg\":\"none\",\"kid\":\"%KID%\",\"typ\":\"JWT\"}",
        CLAIMS, SIGN_RSA},
    {"HS256 by the public key", "{\"alg\":\"HS256\",\"kid\":\"%KID%\",\"typ\":\"JWT\"}", CLAIMS, HMAC_PUBLIC},
    {"RS256 named, HS256 made", "{\"alg\":\"RS256\",\"kid\":\"%KID%\",\"typ\":\"JWT\"}", CLAIMS, HMAC_PUBLIC},
    {"HS256 by nothing", "{\"alg\":\"HS256\",\"kid\":\"%KID%\",\"typ\":\"JWT\"}", CLAIMS, HMAC_EMPTY},
    {"HS384", "{\"alg\":\"HS384\",\"kid\":\"%KID%\",\"typ\":\"JWT\"}", CLAIMS, HMAC_PUBLIC},
    {"HS512", "{\"alg\":\"HS512\",\"kid\":\"%KID%\",\"typ\":\"JWT\"}", CLAIMS, HMAC_PUBLIC},
    {"RS384", "{\"alg\":\"RS384\",\"kid\":\"%KID%\",\"typ\":\"JWT\"}", CLAIMS, SIGN_RSA},
    {"RS512", "{\"alg\":\"RS512\",\"kid\":\"%KID%\",\"typ\":\"JWT\"}", CLAIMS, SIGN_RSA},
    {"PS256", "{\"alg\":\"PS256\",\"kid\":\"%KID%\",\"typ\":\"JWT\"}", CLAIMS, SIGN_RSA},
    {"EdDSA", "{\"alg\":\"EdDSA\",\"kid\":\"%KID%\",\"typ\":\"JWT\"}", CLAIMS, SIGN_RSA},
    {"ES256 for an RSA key", "{\"alg\":\"ES256\",\"kid\":\"%KID%\",\"typ\":\"JWT\"}", CLAIMS, SIGN_EC},
    {"by another RSA key", "{\"alg\":\"RS256\",\"kid\":\"%KID%\",\"typ\":\"JWT\"}", CLAIMS, SIGN_STRANGER},
    {"by the EC key", "{\"alg\":\"RS256\",\"kid\":\"%KID%\",\"typ\":\"JWT\"}", CLAIMS, SIGN_EC},
    {"no signature", "{\"alg\":\"RS256\",\"kid\":\"%KID%\",\"typ\":\"JWT\"}", CLAIMS, EMPTY},
    {"zeros", "{\"alg\":\"RS256\",\"kid\":\"%KID%\",\"typ\":\"JWT\"}", CLAIMS, ZEROS},
    {"no kid", "{\"alg\":\"RS256\",\"typ\":\"JWT\"}", CLAIMS, SIGN_RSA},
    {"empty kid", "{\"alg\":\"RS256\",\"kid\":\"\",\"typ\":\"JWT\"}", CLAIMS, SIGN_RSA},
    {"kid a path", "{\"alg\":\"RS256\",\"kid\":\"../../../../dev/null\",\"typ\":\"JWT\"}", CLAIMS, SIGN_RSA},
    {"kid SQL", "{\"alg\":\"RS256\",\"kid\":\"x' UNION SELECT 'key'--\",\"typ\":\"JWT\"}", CLAIMS, SIGN_RSA},
    {"kid a command", "{\"alg\":\"RS256\",\"kid\":\"|/bin/sleep 10|\",\"typ\":\"JWT\"}", CLAIMS, SIGN_RSA},
    {"kid a number", "{\"alg\":\"RS256\",\"kid\":0,\"typ\":\"JWT\"}", CLAIMS, SIGN_RSA},
    {"kid null", "{\"alg\":\"RS256\",\"kid\":null,\"typ\":\"JWT\"}", CLAIMS, SIGN_RSA},
    {"kid with a tail", "{\"alg\":\"RS256\",\"kid\":\"%KID%0\",\"typ\":\"JWT\"}", CLAIMS, SIGN_RSA},
    {"jwk",
        "{\"alg\":\"RS256\",\"kid\":\"%KID%\",\"typ\":\"JWT\",\"jwk\":{\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":"
        "\"AQAB\"}}",
        CLAIMS, SIGN_STRANGER},
    {"jwk, true signature", "{\"alg\":\"RS256\",\"kid\":\"%KID%\",\"typ\":\"JWT\",\"jwk\":{}}", CLAIMS,
        SIGN_RSA},
    {"jku", "{\"alg\":\"RS256\",\"kid\":\"%KID%\",\"typ\":\"JWT\",\"jku\":\"https://evil.example.com/jwks\"}",
        CLAIMS, SIGN_RSA},
    {"x5u",
        "{\"alg\":\"RS256\",\"kid\":\"%KID%\",\"typ\":\"JWT\",\"x5u\":\"https://evil.example.com/c.pem\"}",
        CLAIMS, SIGN_RSA},
    {"x5c", "{\"alg\":\"RS256\",\"kid\":\"%KID%\",\"typ\":\"JWT\",\"x5c\":[\"MII\"]}", CLAIMS, SIGN_RSA},
    {"x5t", "{\"alg\":\"RS256\",\"kid\":\"%KID%\",\"typ\":\"JWT\",\"x5t\":\"x\"}", CLAIMS, SIGN_RSA},
    {"crit", "{\"alg\":\"RS256\",\"kid\":\"%KID%\",\"typ\":\"JWT\",\"crit\":[\"exp\"]}", CLAIMS, SIGN_RSA},
    {"crit, empty", "{\"alg\":\"RS256\",\"kid\":\"%KID%\",\"typ\":\"JWT\",\"crit\":[]}", CLAIMS, SIGN_RSA},
    {"b64 false", "{\"alg\":\"RS256\",\"kid\":\"%KID%\",\"typ\":\"JWT\",\"b64\":false}", CLAIMS, SIGN_RSA},
    {"zip", "{\"alg\":\"RS256\",\"kid\":\"%KID%\",\"typ\":\"JWT\",\"zip\":\"DEF\"}", CLAIMS, SIGN_RSA},
    {"enc", "{\"alg\":\"RS256\",\"kid\":\"%KID%\",\"typ\":\"JWT\",\"enc\":\"A128GCM\"}", CLAIMS, SIGN_RSA},
    {"cty", "{\"alg\":\"RS256\",\"kid\":\"%KID%\",\"typ\":\"JWT\",\"cty\":\"JWT\"}", CLAIMS, SIGN_RSA},
    {"no typ", "{\"alg\":\"RS256\",\"kid\":\"%KID%\"}", CLAIMS, SIGN_RSA},
    {"another typ", "{\"alg\":\"RS256\",\"kid\":\"%KID%\",\"typ\":\"at+jwt\"}", CLAIMS, SIGN_RSA},
    {"logout typ", "{\"alg\":\"RS256\",\"kid\":\"%KID%\",\"typ\":\"logout+jwt\"}", CLAIMS, SIGN_RSA},
    {"head an array", "[\"RS256\"]", CLAIMS, SIGN_RSA},
    {"head no JSON", "RS256", CLAIMS, SIGN_RSA},
    {"head with a tail", "{\"alg\":\"RS256\",\"kid\":\"%KID%\",\"typ\":\"JWT\"}x", CLAIMS, SIGN_RSA},
    {"head with a NUL", "{\"alg\":\"RS256\",\"kid\":\"%KID%\",\"typ\":\"JWT\\u0000\"}", CLAIMS, SIGN_RSA},
    {"claims an array", "{\"alg\":\"RS256\",\"kid\":\"%KID%\",\"typ\":\"JWT\"}", "[1]", SIGN_RSA},
    {"claims a text", "{\"alg\":\"RS256\",\"kid\":\"%KID%\",\"typ\":\"JWT\"}", "\"x\"", SIGN_RSA},
    {"claims twice", "{\"alg\":\"RS256\",\"kid\":\"%KID%\",\"typ\":\"JWT\"}", "{\"sub\":\"a\",\"sub\":\"b\"}",
        SIGN_RSA},
    {"claims no JSON", "{\"alg\":\"RS256\",\"kid\":\"%KID%\",\"typ\":\"JWT\"}", "sub=a", SIGN_RSA},
};

static void add_signature(enum how how, struct strbuf *token)
{
    unsigned char sig[512] = {0};
    size_t len = sizeof sig;
    AUTO_STRBUF pem, public;
    strbuf_init(&pem, (size_t)2 * JOSE_PEM_MAX);
    strbuf_init(&public, JOSE_PEM_MAX);
    jose_key_write_public(rsa, &public);
    struct str input = strbuf_str(token);
    if (how == HMAC_PUBLIC || how == HMAC_EMPTY) {
        struct digest d = digest_hmac(how == HMAC_PUBLIC ? strbuf_str(&public) : S(""), input);
        len = sizeof d.bytes;
        memcpy(sig, d.bytes, len);
    } else if (how == EMPTY) {
        len = 0;
    } else if (how == ZEROS) {
        len = 256;
    } else {
        const struct jose_key *by = how == SIGN_RSA ? rsa : how == SIGN_EC ? ec : stranger;
        jose_key_write_private(by, &pem);
        BIO *bio = BIO_new_mem_buf(strbuf_cstr(&pem), (int)pem.len);
        EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
        EVP_MD_CTX *ctx = EVP_MD_CTX_new();
        assert_int_equal(EVP_DigestSignInit_ex(ctx, NULL, "SHA256", NULL, NULL, key, NULL), 1);
        assert_int_equal(EVP_DigestSign(ctx, sig, &len, (const unsigned char *)input.ptr, input.len), 1);
        EVP_MD_CTX_free(ctx);
        EVP_PKEY_free(key);
        BIO_free(bio);
    }
    strbuf_add_char(token, '.');
    enc_base64url(token, str_make(sig, len));
}

static void forge(const char *head, const char *claims, enum how how, struct strbuf *token)
{
    AUTO_STRBUF named;
    const char *mark = strstr(head, "%KID%");
    strbuf_init(&named, 2000);
    strbuf_init(token, 4000);
    if (mark) {
        strbuf_add(&named, head, (size_t)(mark - head));
        strbuf_add_cstr(&named, jose_key_kid(rsa));
        head = mark + 5;
    }
    strbuf_add_cstr(&named, head);
    enc_base64url(token, strbuf_str(&named));
    strbuf_add_char(token, '.');
    enc_base64url(token, str_of(claims));
    add_signature(how, token);
}

/* The forger's own tools work: a good head with a true signature passes, so that each row fails by its fault.
 */
void test_jose__the_forger_can_sign(void **state)
{
    AUTO_STRBUF token;
    (void)state;
    forge("{\"alg\":\"RS256\",\"kid\":\"%KID%\",\"typ\":\"JWT\"}", CLAIMS, SIGN_RSA, &token);
    assert_int_equal(verify(rsa, strbuf_str(&token)), ERR_OK);
}

void test_jose__forged_heads_and_signatures(void **state)
{
    (void)state;
    assert_true(ARRAY_LEN(FORGED) >= 40);
    for (size_t i = 0; i < ARRAY_LEN(FORGED); i++) {
        AUTO_STRBUF token;
        forge(FORGED[i].head, FORGED[i].claims, FORGED[i].how, &token);
        expect_row(verify(rsa, strbuf_str(&token)) == ERR_UNAUTHORIZED, FORGED[i].name);
    }
}

void test_jose__broken_forms(void **state)
{
    (void)state;
    static const char *const BAD[] = {
        "", ".", "..", "...", "a.b", "a.b.c", "a.b.c.d", "eyJhbGciOiJSUzI1NiJ9", "a..c"};
    AUTO_STRBUF good;
    sign(rsa, CLAIMS, &good);
    struct str g = strbuf_str(&good);
    for (size_t i = 0; i < ARRAY_LEN(BAD); i++)
        expect_row(verify(rsa, str_of(BAD[i])) == ERR_UNAUTHORIZED, BAD[i]);
    static const struct {
        const char *name, *before, *after;
    } AROUND[] = {{"a blank in front", " ", ""}, {"a blank behind", "", " "}, {"a line end", "", "\n"},
        {"a dot", "", "."}, {"a fourth part", "", ".x"}, {"padding", "", "="}, {"Bearer", "Bearer ", ""},
        {"a quote", "\"", "\""}};
    for (size_t i = 0; i < ARRAY_LEN(AROUND); i++) {
        AUTO_STRBUF token;
        strbuf_init(&token, 20000);
        strbuf_add_cstr(&token, AROUND[i].before);
        strbuf_add_str(&token, g);
        strbuf_add_cstr(&token, AROUND[i].after);
        expect_row(verify(rsa, strbuf_str(&token)) == ERR_UNAUTHORIZED, AROUND[i].name);
    }
}

void test_jose__every_cut_and_every_changed_character(void **state)
{
    (void)state;
    const struct jose_key *const all[] = {rsa, ec};
    for (int k = 0; k < 2; k++) {
        AUTO_STRBUF good;
        sign(all[k], CLAIMS, &good);
        for (size_t i = 0; i < good.len; i++)
            assert_int_equal(verify(all[k], str_slice(strbuf_str(&good), 0, i)), ERR_UNAUTHORIZED);
        for (size_t i = 0; i < good.len; i++) {
            char was = good.buf[i];
            good.buf[i] = was == 'A' ? 'B' : 'A';
            assert_int_equal(verify(all[k], strbuf_str(&good)), ERR_UNAUTHORIZED);
            good.buf[i] = was;
        }
        assert_int_equal(verify(all[k], strbuf_str(&good)), ERR_OK);
    }
}

void test_jose__too_large(void **state)
{
    AUTO_STRBUF token;
    (void)state;
    strbuf_init(&token, 40000);
    for (int i = 0; i < 17000; i++)
        strbuf_add_char(&token, 'e');
    strbuf_add_cstr(&token, ".e30.e30");
    assert_int_equal(verify(rsa, strbuf_str(&token)), ERR_UNAUTHORIZED);
}

/* --- Claims --- */

static const struct {
    const char *name, *claims;
    bool good;
} CLAIM_ROWS[] = {
    {"as it should be", CLAIMS, true},
    {"audience in an array",
        "{\"iss\":\"" ISSUER "\",\"aud\":[\"x\",\"app\"],\"iat\":1800000000,\"exp\":1800003600}", true},
    {"a minute late", "{\"iss\":\"" ISSUER "\",\"aud\":\"app\",\"iat\":1799990000,\"exp\":1799999941}", true},
    {"a minute early",
        "{\"iss\":\"" ISSUER "\",\"aud\":\"app\",\"iat\":1800000060,\"nbf\":1800000060,\"exp\":1800003600}",
        true},
    {"expired", "{\"iss\":\"" ISSUER "\",\"aud\":\"app\",\"iat\":1799990000,\"exp\":1799999940}", false},
    {"no exp", "{\"iss\":\"" ISSUER "\",\"aud\":\"app\",\"iat\":1800000000}", false},
    {"exp a text", "{\"iss\":\"" ISSUER "\",\"aud\":\"app\",\"iat\":1800000000,\"exp\":\"1800003600\"}",
        false},
    {"exp a real", "{\"iss\":\"" ISSUER "\",\"aud\":\"app\",\"iat\":1800000000,\"exp\":18e8}", false},
    {"exp that wraps",
        "{\"iss\":\"" ISSUER "\",\"aud\":\"app\",\"iat\":1800000000,\"exp\":9223372036854775807}", false},
    {"exp negative", "{\"iss\":\"" ISSUER "\",\"aud\":\"app\",\"iat\":1800000000,\"exp\":-1}", false},
    {"not yet",
        "{\"iss\":\"" ISSUER "\",\"aud\":\"app\",\"iat\":1800000000,\"nbf\":1800000061,\"exp\":1800003600}",
        false},
    {"nbf a text",
        "{\"iss\":\"" ISSUER "\",\"aud\":\"app\",\"iat\":1800000000,\"nbf\":\"0\",\"exp\":1800003600}",
        false},
    {"made in the future", "{\"iss\":\"" ISSUER "\",\"aud\":\"app\",\"iat\":1800000061,\"exp\":1800003600}",
        false},
    {"no iat", "{\"iss\":\"" ISSUER "\",\"aud\":\"app\",\"exp\":1800003600}", false},
    {"another issuer", "{\"iss\":\"" ISSUER "/\",\"aud\":\"app\",\"iat\":1800000000,\"exp\":1800003600}",
        false},
    {"no issuer", "{\"aud\":\"app\",\"iat\":1800000000,\"exp\":1800003600}", false},
    {"issuer an array", "{\"iss\":[\"" ISSUER "\"],\"aud\":\"app\",\"iat\":1800000000,\"exp\":1800003600}",
        false},
    {"another audience", "{\"iss\":\"" ISSUER "\",\"aud\":\"app2\",\"iat\":1800000000,\"exp\":1800003600}",
        false},
    {"no audience", "{\"iss\":\"" ISSUER "\",\"iat\":1800000000,\"exp\":1800003600}", false},
    {"an empty audience", "{\"iss\":\"" ISSUER "\",\"aud\":[],\"iat\":1800000000,\"exp\":1800003600}", false},
    {"audience an object",
        "{\"iss\":\"" ISSUER "\",\"aud\":{\"app\":1},\"iat\":1800000000,\"exp\":1800003600}", false},
};

void test_jose__claims(void **state)
{
    struct jose_expect expect = {.issuer = S(ISSUER), .audience = S("app"), .now_ms = NOW_MS};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(CLAIM_ROWS); i++) {
        AUTO_ARENA a;
        const struct jsonr_value *claims;
        arena_init(&a, 100000);
        assert_int_equal(jsonr_parse(&a, str_of(CLAIM_ROWS[i].claims), &claims, NULL), ERR_OK);
        enum err_code rc = jose_check_claims(claims, &expect, NULL);
        expect_row(rc == (CLAIM_ROWS[i].good ? ERR_OK : ERR_UNAUTHORIZED), CLAIM_ROWS[i].name);
    }
}
