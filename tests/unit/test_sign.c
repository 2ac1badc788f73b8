/* Signatures: RFC 8032's own example, keys as text, and what must not pass. */
#include "crypto/sign.h"
#include "base/enc.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define PUBLIC_PEM                                                                                           \
    "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n"             \
    "-----END PUBLIC KEY-----\n"

/* RFC 8032, section 7.1, test 1: the empty message. */
void test_sign__a_signature_of_the_standard_is_good(void **state)
{
    struct str text = S(PUBLIC_PEM);
    struct sign_key *key = NULL;
    struct signature sig;
    size_t len;

    (void)state;
    assert_true(dec_hex(S("e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
                          "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"),
        sig.bytes, sizeof sig.bytes, &len));
    assert_int_equal(len, SIGNATURE_BYTES);
    assert_int_equal(sign_key_read_public(&text, &key, NULL), ERR_OK);
    assert_true(sign_check(key, S(""), &sig));
    assert_false(sign_check(key, S("x"), &sig));
    sig.bytes[63] ^= 1;
    assert_false(sign_check(key, S(""), &sig));
    sign_key_free(key);
}

void test_sign__keys_survive_as_text(void **state)
{
    AUTO_SECRET pem = SECRET_INIT;
    AUTO_STRBUF public;
    struct sign_key *key = sign_key_generate(), *again = NULL, *other = sign_key_generate(), *half = NULL;

    (void)state;
    strbuf_init(&public, 1000);
    sign_key_write(key, &pem);
    sign_key_write_public(key, &public);
    assert_int_equal(sign_key_read(&pem, &again, NULL), ERR_OK);
    struct str text = strbuf_str(&public);
    assert_int_equal(sign_key_read_public(&text, &half, NULL), ERR_OK);
    struct signature sig = sign_make(again, S("message"));
    assert_true(sign_check(half, S("message"), &sig));
    assert_false(sign_check(other, S("message"), &sig));
    struct digest a = sign_key_digest(key), b = sign_key_digest(half), c = sign_key_digest(other);
    assert_true(digest_eq(&a, &b));
    assert_false(digest_eq(&a, &c));
    sign_key_free(key);
    sign_key_free(again);
    sign_key_free(other);
    sign_key_free(half);
}

void test_sign__a_file_may_hold_several_public_keys(void **state)
{
    struct str text = S("\n" PUBLIC_PEM "\n" PUBLIC_PEM "  \n");
    struct sign_key *key = NULL;

    (void)state;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(sign_key_read_public(&text, &key, NULL), ERR_OK);
        sign_key_free(key);
    }
    assert_int_equal(sign_key_read_public(&text, &key, NULL), ERR_NOT_FOUND);
}

void test_sign__what_is_no_key_is_refused(void **state)
{
    static const char *const ROWS[] = {"x", "-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----\n",
        "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA11qYAYKx\n-----END PUBLIC KEY-----\n",
        /* X25519: for another purpose */
        "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VuAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n"
        "-----END PUBLIC KEY-----\n"};
    AUTO_SECRET pem = SECRET_INIT;
    struct sign_key *key = NULL;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        struct str text = str_of(ROWS[i]);
        assert_int_equal(sign_key_read_public(&text, &key, NULL), ERR_INVALID);
        assert_true(secret_set(&pem, str_of(ROWS[i])));
        assert_int_equal(sign_key_read(&pem, &key, NULL), ERR_INVALID);
    }
}
