/* What forgers have tried on verifiers of foreign tokens. Wherever a forger could have the true key sign
 * something, it signs here, so that the head or the claim at fault decides alone. */
#include "base/enc.h"
#include "crypto/digest.h"
#include "federation/issuer.h"
#include "lib/fake_issuer.h"
#include "lib/unit.h"

static struct fake_trust trust;

int setup_issuer_attacks(void **state)
{
    (void)state;
    fake_trust_init(&trust, FAKE_URL, FAKE_URL);
    return 0;
}

int teardown_issuer_attacks(void **state)
{
    (void)state;
    fake_trust_release(&trust);
    return 0;
}

static enum err_code verify(struct str token, struct err *err)
{
    AUTO_ARENA a;
    struct foreign_identity who;
    arena_init(&a, 4 << 20);
    return fake_trust_verify(&trust, &a, token, &who, err);
}

/* Refused, in words for people, which do not repeat the token. */
static void expect_refused(const char *name, struct str token)
{
    struct err err = ERR_INIT;
    enum err_code rc = verify(token, &err);
    if (rc != ERR_UNAUTHORIZED)
        fail_msg("%s: %d %s", name, rc, err.message);
    expect_row(strstr(err.message, "OIDC verification failed: ") == err.message, name);
    expect_row(!strstr(err.message, "eyJ") && strlen(err.message) < 400, name);
}

/* Known to be good, so that a change of it is what decides. */
static void good_token(struct strbuf *out)
{
    fake_token(fake_key(FAKE_RSA), FAKE_HEAD, "{" FAKE_CLAIMS "}", out);
    assert_int_equal(verify(strbuf_str(out), NULL), ERR_OK);
}

/* --- Heads --- */

#define RS(more) "{\"alg\":\"RS256\",\"kid\":\"key-1\"" more "}"

void test_issuer_attacks__heads(void **state)
{
    static const struct {
        const char *head;
        int key;
    } ROWS[] = {
        {"{\"alg\":\"none\",\"kid\":\"key-1\"}", FAKE_RSA},
        {"{\"alg\":\"None\",\"kid\":\"key-1\"}", FAKE_RSA},
        {"{\"alg\":\"\",\"kid\":\"key-1\"}", FAKE_RSA},
        {"{\"alg\":\"rs256\",\"kid\":\"key-1\"}", FAKE_RSA},
        {"{\"alg\":\"RS256 \",\"kid\":\"key-1\"}", FAKE_RSA},
        {"{\"alg\":\"HS256\",\"kid\":\"key-1\"}", FAKE_RSA},
        {"{\"alg\":\"RS384\",\"kid\":\"key-1\"}", FAKE_RSA},
        {"{\"alg\":\"RS512\",\"kid\":\"key-1\"}", FAKE_RSA},
        {"{\"alg\":\"PS256\",\"kid\":\"key-1\"}", FAKE_RSA},
        {"{\"alg\":\"ES384\",\"kid\":\"key-2\"}", FAKE_EC},
        {"{\"alg\":\"ES256K\",\"kid\":\"key-2\"}", FAKE_EC},
        {"{\"alg\":\"EdDSA\",\"kid\":\"key-2\"}", FAKE_EC},
        {"{\"alg\":[\"RS256\"],\"kid\":\"key-1\"}", FAKE_RSA},
        {"{\"alg\":256,\"kid\":\"key-1\"}", FAKE_RSA},
        {"{\"alg\":null,\"kid\":\"key-1\"}", FAKE_RSA},
        {"{\"kid\":\"key-1\"}", FAKE_RSA},
        {"{\"alg\":\"ES256\",\"kid\":\"key-1\"}", FAKE_RSA}, /* the algorithm of another key */
        {"{\"alg\":\"RS256\",\"kid\":\"key-2\"}", FAKE_EC},
        {"{\"alg\":\"ES256\",\"kid\":\"key-1\"}", FAKE_EC}, /* another key's name */
        {"{\"alg\":\"RS256\",\"kid\":\"key-2\"}", FAKE_RSA},
        {"{\"alg\":\"RS256\"}", FAKE_RSA},
        {"{\"alg\":\"RS256\",\"kid\":\"\"}", FAKE_RSA},
        {"{\"alg\":\"RS256\",\"kid\":1}", FAKE_RSA},
        {"{\"alg\":\"RS256\",\"kid\":[\"key-1\"]}", FAKE_RSA},
        {"{\"alg\":\"RS256\",\"kid\":\"KEY-1\"}", FAKE_RSA},
        {"{\"alg\":\"RS256\",\"kid\":\"key-1 \"}", FAKE_RSA},
        {"{\"alg\":\"RS256\",\"kid\":\"../../../../dev/null\"}", FAKE_RSA},
        {"{\"alg\":\"RS256\",\"kid\":\"' OR 1=1 --\"}", FAKE_RSA},
        {RS(",\"jku\":\"https://evil.example.com/jwks\""), FAKE_RSA},
        {RS(",\"x5u\":\"https://evil.example.com/cert\""), FAKE_RSA},
        {RS(",\"x5c\":[\"MIIB\"]"), FAKE_RSA},
        {RS(",\"jwk\":{\"kty\":\"oct\",\"k\":\"AQ\"}"), FAKE_RSA},
        {RS(",\"crit\":[\"exp\"],\"exp\":1"), FAKE_RSA},
        {RS(",\"b64\":false"), FAKE_RSA},
        {RS(",\"zip\":\"DEF\""), FAKE_RSA},
        {RS(",\"enc\":\"A256GCM\""), FAKE_RSA},
        {RS(",\"cty\":\"JWT\""), FAKE_RSA},
        {RS(",\"anything\":1"), FAKE_RSA},
        {RS(",\"typ\":\"at+jwt\""), FAKE_RSA},
        {RS(",\"typ\":\"logout+jwt\""), FAKE_RSA},
        {RS(",\"typ\":\"\""), FAKE_RSA},
        {RS(",\"typ\":null"), FAKE_RSA},
        {RS(",\"typ\":[\"JWT\"]"), FAKE_RSA},
        {RS(",\"alg\":\"RS256\""), FAKE_RSA}, /* twice */
        {RS(",\"kid\":\"key-1\""), FAKE_RSA},
        {RS(",\"\\u0061lg\":\"none\""), FAKE_RSA}, /* twice, in two spellings */
        {RS("") " x", FAKE_RSA},
        {"\"RS256\"", FAKE_RSA},
        {"[]", FAKE_RSA},
        {"", FAKE_RSA},
        {RS(""), FAKE_STRANGER}, /* the right name, another key */
        {"{\"alg\":\"ES256\",\"kid\":\"key-2\"}", FAKE_STRANGER_EC},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        AUTO_STRBUF token;
        fake_token(fake_key(ROWS[i].key), ROWS[i].head, "{" FAKE_CLAIMS "}", &token);
        expect_refused(ROWS[i].head, strbuf_str(&token));
    }
}

/* --- Claims, signed by the true key --- */

#define WITH(iss, aud, times) "{\"iss\":" iss ",\"aud\":" aud ",\"sub\":\"robot\"," times "}"
#define ISS                   "\"" FAKE_URL "\""
#define AUD(aud)              WITH(ISS, aud, FAKE_TIMES)
#define FROM(iss)             WITH(iss, "\"persql\"", FAKE_TIMES)
#define AT(times)             WITH(ISS, "\"persql\"", times)

static const struct {
    const char *claims;
    bool good;
} CLAIMS[] = {
    {AUD("\"persql\""), true},
    {AUD("\"" FAKE_OWN_URL "\""), true},
    {AUD("[\"persql\"]"), true},
    {AUD("[\"persql\",\"" FAKE_OWN_URL "\"]"), true},
    {AUD("\"other\""), false},
    {AUD("\"PERSQL\""), false},
    {AUD("\"persql \""), false},
    {AUD("\"persql2\""), false},
    {AUD("\"\""), false},
    {AUD("[\"persql\",\"other\"]"), false}, /* the other could send it here */
    {AUD("[\"other\"]"), false},
    {AUD("[[\"persql\"]]"), false},
    {AUD("[\"persql\",7]"), false},
    {AUD("[]"), false},
    {AUD("{\"persql\":1}"), false},
    {AUD("true"), false},
    {AUD("null"), false},
    {AUD("\"" FAKE_OWN_URL "/\""), false},
    {"{\"iss\":" ISS ",\"sub\":\"robot\"," FAKE_TIMES "}", false},
    {FROM("\"" FAKE_URL "/\""), false},
    {FROM("\"" FAKE_URL ":443\""), false},
    {FROM("\"http://login.example.com\""), false},
    {FROM("\"https://LOGIN.example.com\""), false},
    {FROM("\"https://login.example.com.evil.example\""), false},
    {FROM("\"https://login.example.com@evil.example\""), false},
    {FROM("\"https://login.example.com/../evil\""), false},
    {FROM("\" " FAKE_URL "\""), false},
    {FROM("\"login.example.com\""), false},
    {FROM("\"\""), false},
    {FROM("[\"" FAKE_URL "\"]"), false},
    {FROM("7"), false},
    {FROM("null"), false},
    {"{\"aud\":\"persql\",\"sub\":\"robot\"," FAKE_TIMES "}", false},
    {"{\"iss\":\"https://evil.example\"," FAKE_CLAIMS "}", false}, /* twice */
    {"{" FAKE_CLAIMS ",\"iss\":\"https://evil.example\"}", false},
    {"{" FAKE_CLAIMS ",\"aud\":\"other\"}", false},
    {"{" FAKE_CLAIMS ",\"exp\":1900000000}", false},
    {"{" FAKE_CLAIMS ",\"sub\":\"root\"}", false},
    {"{" FAKE_CLAIMS ",\"\\u0073ub\":\"root\"}", false},
    {AT("\"iat\":1799999000,\"exp\":1799999941"), true}, /* a minute of skew */
    {AT("\"iat\":1799999000,\"exp\":1799999940"), false},
    {AT("\"iat\":1799999000,\"exp\":1"), false},
    {AT("\"iat\":1800000060,\"exp\":1800000600"), true},
    {AT("\"iat\":1800000061,\"exp\":1800000600"), false},
    {AT("\"iat\":1800000000,\"exp\":1800000600,\"nbf\":1800000061"), false},
    {AT("\"iat\":1800000000,\"exp\":1800086400"), true}, /* a day */
    {AT("\"iat\":1800000000,\"exp\":1800086401"), false},
    {AT("\"iat\":0,\"exp\":1800000600"), false},
    {AT("\"iat\":1800000000,\"exp\":1800000000"), false},
    {AT("\"iat\":1800000030,\"exp\":1800000020"), false},
    {AT("\"iat\":1800000000,\"exp\":253402300800"), false},
    {AT("\"iat\":1800000000,\"exp\":9223372036854775807"), false},
    {AT("\"iat\":1800000000,\"exp\":99999999999999999999"), false},
    {AT("\"iat\":1800000000,\"exp\":1e300"), false},
    {AT("\"iat\":1800000000,\"exp\":1800000600.5"), false},
    {AT("\"iat\":1800000000,\"exp\":\"1800000600\""), false},
    {AT("\"iat\":1800000000,\"exp\":null"), false},
    {AT("\"iat\":1800000000,\"exp\":-1"), false},
    {AT("\"iat\":1800000000"), false},
    {AT("\"exp\":1800000600"), false},
    {AT("\"iat\":\"1800000000\",\"exp\":1800000600"), false},
    {AT("\"iat\":1800000000,\"exp\":1800000600,\"nbf\":\"0\""), false},
    {"[]", false},
    {"\"robot\"", false},
    {"{" FAKE_CLAIMS "}{}", false},
    {"{" FAKE_CLAIMS ",\"x\":\"\xff\"}", false},
    {"{" FAKE_CLAIMS ",\"x\":\"\\u0000\"}", false},
    {"{" FAKE_CLAIMS ",\"x\":\"\\ud800\"}", false},
    {"", false},
};

void test_issuer_attacks__claims(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(CLAIMS); i++) {
        AUTO_STRBUF token;
        fake_token(fake_key(FAKE_RSA), FAKE_HEAD, CLAIMS[i].claims, &token);
        if (!CLAIMS[i].good)
            expect_refused(CLAIMS[i].claims, strbuf_str(&token));
        else
            expect_row(verify(strbuf_str(&token), NULL) == ERR_OK, CLAIMS[i].claims);
    }
}

/* Where only one audience is ours, an empty one is nobody's. */
void test_issuer_attacks__an_empty_audience_is_no_audience(void **state)
{
    static const char *const ROWS[] = {AUD("\"\""), AUD("[\"\"]"), AUD("[\"persql\",\"\"]")};
    const struct issuer_expect expect = {.audience = {S("persql")}, .now_ms = FAKE_NOW_MS};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        AUTO_STRBUF token;
        AUTO_ARENA a;
        struct foreign_identity who;
        arena_init(&a, 200000);
        fake_token(fake_key(FAKE_RSA), FAKE_HEAD, ROWS[i], &token);
        expect_row(issuer_verify(trust.all, &a, strbuf_str(&token), &expect, &who, NULL) == ERR_UNAUTHORIZED,
            ROWS[i]);
    }
}

/* --- Form and signature --- */

/* `parts` of the good token, then `tail`. */
static void bend(const char *good, size_t keep, const char *tail, struct strbuf *out)
{
    strbuf_init(out, 200000);
    strbuf_add(out, good, keep);
    strbuf_add_cstr(out, tail);
}

void test_issuer_attacks__forms(void **state)
{
    AUTO_STRBUF good;
    (void)state;
    good_token(&good);
    const char *text = strbuf_cstr(&good), *claims = strchr(text, '.') + 1, *sig = strchr(claims, '.') + 1;
    const size_t head_len = (size_t)(claims - text), two = (size_t)(sig - text), all = good.len;
    const struct {
        const char *name;
        size_t keep;
        const char *tail;
    } ROWS[] = {
        {"no signature", two, ""},
        {"no third part", two - 1, ""},
        {"head alone", head_len - 1, ""},
        {"head and a dot", head_len, ""},
        {"nothing", 0, ""},
        {"dots", 0, ".."},
        {"words", 0, "not a token"},
        {"an opaque one", 0, "psql_live_0123456789"},
        {"cut signature", all - 1, ""},
        {"half a signature", two + (all - two) / 2, ""},
        {"longer signature", all, "AA"},
        {"padding", all, "="},
        {"new line", all, "\n"},
        {"a space", all, " "},
        {"a fourth part", all, ".AA"},
        {"five parts", all, ".AA.AA"},
        {"zeros", two, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"},
        {"a plus", two, "++++"},
    };
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        AUTO_STRBUF bad;
        bend(text, ROWS[i].keep, ROWS[i].tail, &bad);
        expect_refused(ROWS[i].name, strbuf_str(&bad));
    }
    AUTO_STRBUF front, other;
    bend(" ", 1, text, &front);
    expect_refused("a space in front", strbuf_str(&front));
    bend(text, head_len, "", &other); /* other claims under the same signature */
    enc_base64url(&other, S("{" FAKE_CLAIMS ",\"admin\":1}"));
    strbuf_add_char(&other, '.');
    strbuf_add_cstr(&other, sig);
    expect_refused("other claims", strbuf_str(&other));
}

/* Every byte of the token counts. */
void test_issuer_attacks__no_byte_can_be_changed(void **state)
{
    AUTO_STRBUF good;
    (void)state;
    good_token(&good);
    for (size_t i = 0; i < good.len; i++) {
        char was = good.buf[i];
        good.buf[i] = was == 'A' ? 'B' : 'A';
        if (verify(strbuf_str(&good), NULL) == ERR_OK)
            fail_msg("byte %zu, '%c'", i, was);
        good.buf[i] = was;
    }
    assert_int_equal(verify(strbuf_str(&good), NULL), ERR_OK);
}

/* The classic: the public key, which everybody has, as the secret of an HMAC. */
void test_issuer_attacks__public_keys_are_no_secrets(void **state)
{
    AUTO_STRBUF pem, jwk;
    struct jsonw w;
    (void)state;
    strbuf_init(&pem, JOSE_PEM_MAX);
    strbuf_init(&jwk, 4096);
    jose_key_write_public(fake_key(FAKE_RSA), &pem);
    jsonw_init(&w, &jwk);
    jose_key_write_jwk(fake_key(FAKE_RSA), &w);
    const struct str secrets[] = {strbuf_str(&pem), str_slice(strbuf_str(&pem), 0, pem.len - 1),
        strbuf_str(&jwk), S(FAKE_KID_1), STR_EMPTY};
    static const char *const HEADS[] = {"{\"alg\":\"HS256\",\"kid\":\"key-1\",\"typ\":\"JWT\"}", FAKE_HEAD};
    for (size_t i = 0; i < ARRAY_LEN(secrets); i++)
        for (size_t h = 0; h < ARRAY_LEN(HEADS); h++) {
            AUTO_STRBUF token;
            strbuf_init(&token, 10000);
            enc_base64url(&token, str_of(HEADS[h]));
            strbuf_add_char(&token, '.');
            enc_base64url(&token, S("{" FAKE_CLAIMS "}"));
            struct digest mac = digest_hmac(secrets[i], strbuf_str(&token));
            strbuf_add_char(&token, '.');
            enc_base64url(&token, digest_str(&mac));
            expect_refused(HEADS[h], strbuf_str(&token));
        }
}

/* ECDSA of zeros, and a signature in the form of another standard. */
void test_issuer_attacks__signatures_of_p256(void **state)
{
    static const unsigned char zeros[64] = {0}, der[] = {0x30, 0x06, 0x02, 0x01, 0x01, 0x02, 0x01, 0x01};
    const struct str signatures[] = {str_make(zeros, 64), str_make(zeros, 63), str_make(der, sizeof der)};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(signatures); i++) {
        AUTO_STRBUF token;
        strbuf_init(&token, 10000);
        enc_base64url(&token, S("{\"alg\":\"ES256\",\"kid\":\"key-2\"}"));
        strbuf_add_char(&token, '.');
        enc_base64url(&token, S("{" FAKE_CLAIMS "}"));
        strbuf_add_char(&token, '.');
        enc_base64url(&token, signatures[i]);
        expect_refused("ES256", strbuf_str(&token));
    }
}

void test_issuer_attacks__huge_and_deep(void **state)
{
    static const size_t SIZES[] = {13000, 17000, 1000000};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(SIZES); i++) {
        AUTO_STRBUF token;
        strbuf_init(&token, 2 << 20);
        for (size_t at = 0; at < SIZES[i]; at++)
            strbuf_add_char(&token, 'A');
        strbuf_add_cstr(&token, ".e30.AA");
        expect_refused("huge", strbuf_str(&token));
    }
    AUTO_STRBUF claims, token;
    strbuf_init(&claims, 20000);
    strbuf_add_cstr(&claims, "{" FAKE_CLAIMS ",\"x\":");
    for (int i = 0; i < 5000; i++)
        strbuf_add_char(&claims, '[');
    for (int i = 0; i < 5000; i++)
        strbuf_add_char(&claims, ']');
    strbuf_add_char(&claims, '}');
    fake_token(fake_key(FAKE_RSA), FAKE_HEAD, strbuf_cstr(&claims), &token);
    expect_refused("deep", strbuf_str(&token));
}

/* --- Between issuers --- */

/* `arg` is two fake issuers. */
static enum err_code get_of_two(
    void *arg, struct str url, size_t max, struct strbuf *out, int64_t *ret_max_age_s, struct err *err)
{
    struct fake_issuer *two = arg, *one = str_starts(url, str_of(two[0].url)) ? &two[0] : &two[1];
    return one->fetch.get(one, url, max, out, ret_max_age_s, err);
}

/* Two trusted issuers that gave their keys the same name: each speaks for itself alone. */
void test_issuer_attacks__one_issuer_cannot_speak_for_another(void **state)
{
    static const char *const CLAIMS_OF[] = {FROM("\"https://a.example\""), FROM("\"https://b.example\"")};
    struct str list[] = {S("https://a.example"), S("https://b.example")};
    static const char *const kids[] = {FAKE_KID_1};
    static const int KEYS[] = {FAKE_RSA, FAKE_STRANGER};
    struct fake_issuer two[2];
    const struct issuer_fetch fetch = {get_of_two, two};
    const struct issuer_expect expect = {.audience = {S("persql")}, .now_ms = FAKE_NOW_MS};
    struct issuers *all = NULL;
    (void)state;
    for (int i = 0; i < 2; i++) {
        const struct jose_key *const keys[] = {fake_key(KEYS[i])};
        fake_issuer_init(&two[i], list[i].ptr);
        fake_issuer_publish(&two[i], keys, kids, 1);
    }
    assert_int_equal(issuers_new(list, 2, &fetch, &all, NULL), ERR_OK);
    for (int by = 0; by < 2; by++)
        for (int says = 0; says < 2; says++) {
            AUTO_STRBUF token;
            AUTO_ARENA a;
            struct foreign_identity who;
            arena_init(&a, 200000);
            fake_token(fake_key(KEYS[by]), FAKE_HEAD, CLAIMS_OF[says], &token);
            assert_int_equal(issuer_verify(all, &a, strbuf_str(&token), &expect, &who, NULL),
                by == says ? ERR_OK : ERR_UNAUTHORIZED);
        }
    issuers_free(all);
    fake_issuer_release(&two[0]);
    fake_issuer_release(&two[1]);
}

void test_issuer_attacks__forgeries_cost_no_fetches(void **state)
{
    (void)state;
    AUTO_STRBUF good;
    good_token(&good);
    unsigned before = trust.fake.fetches;
    for (int i = 0; i < 100; i++) {
        AUTO_STRBUF token;
        fake_token(fake_key(FAKE_STRANGER), FAKE_HEAD, "{" FAKE_CLAIMS "}", &token);
        expect_refused("a stranger's", strbuf_str(&token));
    }
    assert_int_equal(trust.fake.fetches, before);
}
