/* Secrets: bounded, terminated, wiped. */
#include "crypto/secret.h"
#include "lib/unit.h"

void test_secret__holds_and_wipes(void **state)
{
    char most[SECRET_MAX + 1];
    struct secret s = SECRET_INIT;
    (void)state;
    expect_str(secret_reveal(&s), "");
    assert_true(secret_set(&s, S("open sesame")));
    expect_str(secret_reveal(&s), "open sesame");
    assert_true(secret_set(&s, S("x")));
    expect_str(secret_reveal(&s), "x");
    assert_int_equal(s.bytes[5], '\0'); /* nothing of the longer one is left */
    memset(most, 'm', sizeof most);
    assert_true(secret_set(&s, str_make(most, SECRET_MAX)));
    assert_int_equal(secret_reveal(&s).len, SECRET_MAX);
    assert_int_equal(s.bytes[SECRET_MAX], '\0');
    assert_false(secret_set(&s, str_make(most, SECRET_MAX + 1)));
    expect_str(secret_reveal(&s), "");
    assert_true(secret_set(&s, S("wipe me")));
    secret_release(&s);
    for (size_t i = 0; i < sizeof s.bytes; i++)
        assert_int_equal(s.bytes[i], '\0');
}
