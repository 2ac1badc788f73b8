/* API tokens: form, checksum, typos, mask. */
#include "crypto/token.h"
#include "lib/unit.h"

/* The checksum was computed with another program: crc32("psql_live_000…0") = 0x5c3b74b9, in base62. */
#define ZEROS "psql_live_0000000000000000000000000000000000000000000"

static const char ALPHABET[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

void test_token__is_well_formed_when_new(void **state)
{
    static const char *const PREFIX[TOKEN_KIND_COUNT] = {[TOKEN_LIVE] = "psql_live_",
        [TOKEN_TEST] = "psql_test_",
        [TOKEN_HANDOFF] = "phand_",
        [TOKEN_SESSION] = "hfs_",
        [TOKEN_INVITATION] = "hfi_",
        [TOKEN_ACCESS] = "psql_oat_",
        [TOKEN_REFRESH] = "psql_ort_",
        [TOKEN_CODE] = "psql_oac_",
        [TOKEN_CLIENT] = "psqlrs_",
        [TOKEN_MUTATION] = "pmut_"};
    (void)state;
    for (enum token_kind kind = 0; kind < TOKEN_KIND_COUNT; kind++) {
        for (int i = 0; i < 200; i++) {
            AUTO_SECRET t = SECRET_INIT;
            enum token_kind found = TOKEN_KIND_COUNT;
            token_generate(kind, &t);
            assert_int_equal(secret_reveal(&t).len, strlen(PREFIX[kind]) + 49);
            assert_true(str_starts(secret_reveal(&t), str_of(PREFIX[kind])));
            assert_true(token_well_formed(secret_reveal(&t), &found));
            assert_int_equal(found, kind);
        }
    }
}

void test_token__differs_each_time(void **state)
{
    AUTO_SECRET a = SECRET_INIT, b = SECRET_INIT;
    (void)state;
    token_generate(TOKEN_LIVE, &a);
    token_generate(TOKEN_LIVE, &b);
    assert_false(str_eq(secret_reveal(&a), secret_reveal(&b)));
    struct digest ha = token_hash(secret_reveal(&a)), hb = token_hash(secret_reveal(&b));
    assert_false(digest_eq(&ha, &hb));
    struct digest plain = digest_sha256(secret_reveal(&a));
    assert_true(digest_eq(&ha, &plain));
}

void test_token__has_a_fixed_checksum(void **state)
{
    enum token_kind kind;
    (void)state;
    assert_true(token_well_formed(S(ZEROS "1gijWb"), &kind));
    assert_false(token_well_formed(S(ZEROS "000000"), &kind));
}

/* Every single wrong character and every swap of neighbours is seen: CRC-32 promises both. */
void test_token__detects_every_typo(void **state)
{
    AUTO_SECRET t = SECRET_INIT;
    char text[60];
    enum token_kind kind;
    (void)state;
    token_generate(TOKEN_LIVE, &t);
    for (size_t i = 0; i < 59; i++) {
        memcpy(text, secret_reveal(&t).ptr, 60);
        for (size_t c = 0; c < 62; c++) {
            text[i] = ALPHABET[c];
            assert_true(
                token_well_formed(str_make(text, 59), &kind) == (text[i] == secret_reveal(&t).ptr[i]));
        }
        memcpy(text, secret_reveal(&t).ptr, 60);
        if (i < 58 && text[i] != text[i + 1]) {
            char c = text[i];
            text[i] = text[i + 1];
            text[i + 1] = c;
            assert_false(token_well_formed(str_make(text, 59), &kind));
        }
    }
}

void test_token__detects_cuts_and_foreign_text(void **state)
{
    static const char *const ROWS[] = {"", "psql_live_", "psql_", "ghp_000", ZEROS, "PSQL_LIVE_", "Bearer x",
        "psql_live_000000000000000000000000000000000000000000-19niNs", "psql_prod_00000000000000000000000000000000000000000002hr3f9" /* the sum is right, alphabet and prefix are not */};
    AUTO_SECRET t = SECRET_INIT;
    char longer[61];
    enum token_kind kind;
    (void)state;
    token_generate(TOKEN_TEST, &t);
    for (size_t n = 0; n < 59; n++)
        assert_false(token_well_formed(str_slice(secret_reveal(&t), 0, n), &kind));
    memcpy(longer, secret_reveal(&t).ptr, 59);
    for (int c = 0; c < 256; c++) {
        longer[59] = (char)(unsigned char)c;
        assert_false(token_well_formed(str_make(longer, 60), &kind));
        memcpy(longer + 10, secret_reveal(&t).ptr + 10, 49);
        longer[30] = (char)(unsigned char)c;
        assert_true(token_well_formed(str_make(longer, 59), &kind) ==
                    (c == (unsigned char)secret_reveal(&t).ptr[30]));
    }
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++)
        expect_row(!token_well_formed(str_of(ROWS[i]), &kind), ROWS[i]);
}

void test_token__masks(void **state)
{
    char mask[TOKEN_MASK_MAX];
    (void)state;
    token_mask(S(ZEROS "1gijWb"), mask);
    expect_str(str_of(mask), "psql_live_0000…ijWb");
}

static void mask_garbage(void *arg)
{
    token_mask(S("psql_live_x"), arg);
}

void test_token__masks_only_tokens(void **state)
{
    char mask[TOKEN_MASK_MAX];
    (void)state;
    expect_panic(mask_garbage, mask, "token_well_formed");
}
