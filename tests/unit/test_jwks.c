/* Public keys of others: what becomes a key, and what a set is. */
#include "crypto/jwks.h"
#include "base/arena.h"
#include "base/enc.h"
#include "lib/fake_issuer.h"
#include "lib/unit.h"

/* P-256's generator, which is a point on it. */
#define GX "axfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5RdiYwpY"
#define GY "T-NC4v4af5uO5-tKfA-eFivOM1drMV7Oy7ZAaDe_UfU"
#define EC "\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" GX "\",\"y\":\"" GY "\""

/* The key that the text is. */
static enum err_code read_key(const char *text, struct jose_key **ret)
{
    AUTO_ARENA a;
    const struct jsonr_value *root;

    arena_init(&a, 1 << 20);
    assert_int_equal(jsonr_parse(&a, str_of(text), &root, NULL), ERR_OK);
    return jose_key_read_jwk(root, ret, NULL);
}

void test_jwks__members_must_agree(void **state)
{
    static const struct {
        const char *text;
        bool good;
    } ROWS[] = {
        {"{" EC ",\"kid\":\"k\"}", true},
        {"{" EC ",\"kid\":\"k\",\"alg\":\"ES256\",\"use\":\"sig\",\"key_ops\":[\"verify\"],\"x5c\":[\"x\"]}",
            true},
        {"{" EC ",\"kid\":\"k\",\"key_ops\":[\"sign\",\"verify\"]}", true},
        {"{" EC "}", false},
        {"{" EC ",\"kid\":\"\"}", false},
        {"{" EC ",\"kid\":7}", false},
        {"{" EC ",\"kid\":\"k\",\"alg\":\"RS256\"}", false},
        {"{" EC ",\"kid\":\"k\",\"alg\":\"ES384\"}", false},
        {"{" EC ",\"kid\":\"k\",\"alg\":\"HS256\"}", false},
        {"{" EC ",\"kid\":\"k\",\"alg\":\"none\"}", false},
        {"{" EC ",\"kid\":\"k\",\"alg\":null}", false},
        {"{" EC ",\"kid\":\"k\",\"use\":\"enc\"}", false},
        {"{" EC ",\"kid\":\"k\",\"use\":7}", false},
        {"{" EC ",\"kid\":\"k\",\"key_ops\":[\"sign\"]}", false},
        {"{" EC ",\"kid\":\"k\",\"key_ops\":[]}", false},
        {"{" EC ",\"kid\":\"k\",\"key_ops\":\"verify\"}", false},
        {"{" EC ",\"kid\":\"k\",\"d\":\"AQ\"}", false},
        {"{" EC ",\"kid\":\"k\",\"k\":\"AQ\"}", false},
        {"{\"kty\":\"EC\",\"crv\":\"P-384\",\"x\":\"" GX "\",\"y\":\"" GY "\",\"kid\":\"k\"}", false},
        {"{\"kty\":\"EC\",\"x\":\"" GX "\",\"y\":\"" GY "\",\"kid\":\"k\"}", false},
        {"{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" GX "\",\"y\":\"" GX "\",\"kid\":\"k\"}",
            false}, /* off the curve */
        {"{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" GX "\",\"kid\":\"k\"}", false},
        {"{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AA\",\"y\":\"" GY "\",\"kid\":\"k\"}", false},
        {"{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" GX "AA\",\"y\":\"" GY "\",\"kid\":\"k\"}", false},
        {"{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" GX "=\",\"y\":\"" GY "\",\"kid\":\"k\"}", false},
        {"{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\","
         "\"y\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\",\"kid\":\"k\"}",
            false},
        {"{\"kty\":\"oct\",\"k\":\"AQ\",\"kid\":\"k\"}", false},
        {"{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"" GX "\",\"kid\":\"k\"}", false},
        {"{\"kty\":\"ec\",\"crv\":\"P-256\",\"x\":\"" GX "\",\"y\":\"" GY "\",\"kid\":\"k\"}", false},
        {"{\"kty\":\"RSA\",\"crv\":\"P-256\",\"x\":\"" GX "\",\"y\":\"" GY "\",\"kid\":\"k\"}", false},
        {"{\"kty\":\"RSA\",\"e\":\"AQAB\",\"kid\":\"k\"}", false},
        {"{\"kid\":\"k\"}", false},
        {"[]", false},
        {"7", false},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        struct jose_key *key = NULL;
        expect_row(read_key(ROWS[i].text, &key) == (ROWS[i].good ? ERR_OK : ERR_INVALID), ROWS[i].text);
        assert_int_equal(key != NULL, ROWS[i].good);
        if (key) {
            assert_int_equal(jose_key_alg(key), JOSE_ES256);
            assert_string_equal(jose_key_kid(key), "k");
        }
        jose_key_free(key);
    }
}

/* An RSA key with a modulus of ones: nobody's, but of the right size. */
static void rsa_text(
    struct strbuf *out, size_t zeros, size_t bytes, unsigned char first, unsigned char last, const char *e)
{
    unsigned char n[2000] = {0};
    memset(n + zeros, 0xff, bytes);
    n[zeros] = first;
    n[zeros + bytes - 1] = last;
    strbuf_init(out, 10000);
    strbuf_add_cstr(out, "{\"kty\":\"RSA\",\"kid\":\"k\",\"n\":\"");
    enc_base64url(out, str_make(n, zeros + bytes));
    strbuf_addf(out, "\",\"e\":\"%s\"}", e);
}

void test_jwks__rsa_keys_have_a_size(void **state)
{
    static const struct {
        const char *name;
        size_t zeros, bytes;
        unsigned char first, last;
        const char *e;
        bool good;
    } ROWS[] = {
        {"2048", 0, 256, 0xff, 0xff, "AQAB", true},
        {"2048 with a zero byte in front", 1, 256, 0xff, 0xff, "AQAB", true},
        {"3072", 0, 384, 0x80, 0xff, "AQAB", true},
        {"8192", 0, 1024, 0xff, 0xff, "AQAB", true},
        {"2047", 0, 256, 0x7f, 0xff, "AQAB", false},
        {"1024", 0, 128, 0xff, 0xff, "AQAB", false},
        {"1024 behind zeros", 128, 128, 0xff, 0xff, "AQAB", false},
        {"8193", 0, 1025, 0x01, 0xff, "AQAB", false},
        {"16000", 0, 2000, 0xff, 0xff, "AQAB", false},
        {"even", 0, 256, 0xff, 0xfe, "AQAB", false},
        {"e = 1", 0, 256, 0xff, 0xff, "AQ", false},
        {"e = 3", 0, 256, 0xff, 0xff, "Aw", false},
        {"e = 65536", 0, 256, 0xff, 0xff, "AQAA", false},
        {"e = 2^32 - 1", 0, 256, 0xff, 0xff, "_____w", true},
        {"e = 2^32 + 1", 0, 256, 0xff, 0xff, "AQAAAAE", false},
        {"e = 0", 0, 256, 0xff, 0xff, "AA", false},
        {"no e", 0, 256, 0xff, 0xff, "", false},
        {"e is no base64url", 0, 256, 0xff, 0xff, "AQAB==", false},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        AUTO_STRBUF text;
        struct jose_key *key = NULL;
        rsa_text(&text, ROWS[i].zeros, ROWS[i].bytes, ROWS[i].first, ROWS[i].last, ROWS[i].e);
        expect_row(read_key(strbuf_cstr(&text), &key) == (ROWS[i].good ? ERR_OK : ERR_INVALID), ROWS[i].name);
        jose_key_free(key);
    }
}

void test_jwks__our_own_keys_come_back(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        AUTO_STRBUF jwk, ours, theirs;
        struct jsonw w;
        struct jose_key *key = NULL;
        strbuf_init(&jwk, 4096);
        strbuf_init(&ours, JOSE_PEM_MAX);
        strbuf_init(&theirs, JOSE_PEM_MAX);
        jsonw_init(&w, &jwk);
        jose_key_write_jwk(fake_key(i), &w);
        assert_int_equal(read_key(strbuf_cstr(&jwk), &key), ERR_OK);
        jose_key_write_public(fake_key(i), &ours);
        jose_key_write_public(key, &theirs);
        expect_str(strbuf_str(&theirs), strbuf_cstr(&ours));
        assert_string_equal(jose_key_kid(key), jose_key_kid(fake_key(i)));
        jose_key_free(key);
    }
}

void test_jwks__sets(void **state)
{
#define KEY(kid) "{" EC ",\"kid\":\"" kid "\"}"
    static const struct {
        const char *text;
        unsigned count; /* 0: refused */
    } ROWS[] = {
        {"{\"keys\":[" KEY("a") "]}", 1},
        {"{\"keys\":[" KEY("a") "," KEY("b") "],\"more\":1}", 2},
        {"{\"keys\":[{\"kty\":\"oct\",\"k\":\"AQ\",\"kid\":\"a\"}," KEY("a") ",7]}", 1},
        {"{\"keys\":[" KEY("a") "," KEY("a") "]}", 0},
        {"{\"keys\":[]}", 0},
        {"{\"keys\":[{\"kty\":\"oct\",\"k\":\"AQ\",\"kid\":\"a\"}]}", 0},
        {"{\"keys\":{}}", 0},
        {"{}", 0},
        {"[" KEY("a") "]", 0},
        {"{\"keys\":[" KEY("a") "]} x", 0},
        {"{\"keys\":[" KEY("a") "],\"keys\":[]}", 0},
        {"", 0},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        struct jwks *set = NULL;
        expect_row(jwks_read(str_of(ROWS[i].text), &set, NULL) == (ROWS[i].count ? ERR_OK : ERR_INVALID),
            ROWS[i].text);
        if (!set)
            continue;
        assert_int_equal(jwks_count(set), ROWS[i].count);
        assert_string_equal(jose_key_kid(jwks_find(set, S("a"))), "a");
        assert_null(jwks_find(set, S("A")));
        assert_null(jwks_find(set, STR_EMPTY));
        jwks_unref(jwks_ref(set));
        assert_non_null(jwks_find(set, S("a")));
        jwks_unref(set);
    }
}

void test_jwks__a_set_has_at_most_64_keys(void **state)
{
    (void)state;
    for (int count = 64; count <= 65; count++) {
        AUTO_STRBUF text;
        struct jwks *set = NULL;
        strbuf_init(&text, 100000);
        strbuf_add_cstr(&text, "{\"keys\":[");
        for (int i = 0; i < count; i++)
            strbuf_addf(&text, "%s{" EC ",\"kid\":\"k%d\"}", i ? "," : "", i);
        strbuf_add_cstr(&text, "]}");
        assert_int_equal(jwks_read(strbuf_str(&text), &set, NULL), count == 64 ? ERR_OK : ERR_INVALID);
        jwks_unref(set);
    }
}
