/* SHA-256 and HMAC against published answers. */
#include "crypto/digest.h"
#include "lib/unit.h"

static void expect_hex(const struct digest *d, const char *want)
{
    AUTO_STRBUF hex;
    strbuf_init(&hex, 64);
    digest_hex(&hex, d);
    expect_str(strbuf_str(&hex), want);
}

void test_digest__sha256_known_answers(void **state)
{
    static const struct {
        const char *text, *hex;
    } ROWS[] = {
        /* FIPS 180-2, appendix B */
        {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        struct digest d = digest_sha256(str_of(ROWS[i].text));
        expect_hex(&d, ROWS[i].hex);
    }
}

void test_digest__parts_make_the_same(void **state)
{
    struct str text =
        S("a text that is added in two parts, cut at every place, past one block of sixty-four bytes");
    struct digest whole = digest_sha256(text);
    (void)state;
    for (size_t cut = 0; cut <= text.len; cut++) {
        struct digest_stream s;
        digest_stream_init(&s);
        digest_stream_add(&s, str_slice(text, 0, cut));
        digest_stream_add(&s, str_slice(text, cut, text.len));
        struct digest d = digest_stream_end(&s);
        assert_true(digest_eq(&d, &whole));
        digest_stream_release(&s); /* harmless */
    }
    struct digest_stream left;
    digest_stream_init(&left);
    digest_stream_release(&left);
}

void test_digest__hmac_known_answers(void **state)
{
    char long_key[131];
    (void)state;
    struct digest d = digest_hmac(S("Jefe"), S("what do ya want for nothing?")); /* RFC 4231, test case 2 */
    expect_hex(&d, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    memset(long_key, 0xaa, sizeof long_key);
    d = digest_hmac(
        str_make(long_key, sizeof long_key), S("Test Using Larger Than Block-Size Key - Hash Key First"));
    expect_hex(&d, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"); /* test case 6 */
}

void test_digest__compares(void **state)
{
    struct digest a = digest_sha256(S("a")), b = a;
    (void)state;
    assert_true(digest_eq(&a, &b));
    for (size_t i = 0; i < DIGEST_BYTES; i++) {
        b = a;
        b.bytes[i] ^= 1;
        assert_false(digest_eq(&a, &b));
    }
    assert_true(secret_eq(S("same"), S("same")));
    assert_true(secret_eq(S(""), S("")));
    assert_false(secret_eq(S("same"), S("samf")));
    assert_false(secret_eq(S("same"), S("sam")));
}
