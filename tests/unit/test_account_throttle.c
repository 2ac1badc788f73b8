/* Throttling of sign-ins: waits grow, success forgets, addresses and accounts apart, memory bounded. */
#include "account/throttle.h"
#include "base/clock.h"
#include "base/limits.h"
#include "lib/unit.h"

static struct throttle *t;

int setup_account_throttle(void **state)
{
    (void)state;
    clock_test_set(1000000000, 1800000000000);
    return 0;
}

int teardown_account_throttle(void **state)
{
    (void)state;
    clock_test_stop();
    return 0;
}

static int tries(struct str address, struct str account)
{
    struct err err = ERR_INIT;
    enum err_code rc = throttle_begin(t, address, account, &err);
    assert_true(rc == ERR_OK || (rc == ERR_RATE_LIMITED && err.retry_after_s > 0));
    return rc ? err.retry_after_s : 0;
}

void test_account_throttle__an_account_waits_longer_after_each_failure(void **state)
{
    static const int WAITS[] = {1, 2, 4, 8, 16, 32, 60, 60, 60};
    (void)state;
    t = throttle_new();
    for (int i = 0; i < LIMIT_SIGN_IN_FREE_FAILURES; i++)
        assert_int_equal(tries(S("10.0.0.1"), S("ada")), 0);
    for (size_t i = 0; i < ARRAY_LEN(WAITS); i++) {
        assert_int_equal(tries(S("10.0.0.2"), S("ada")), WAITS[i]); /* another address does not help */
        clock_test_advance((int64_t)WAITS[i] * 1000000 - 1);
        assert_int_equal(tries(S("10.0.0.2"), S("ada")), 1);
        clock_test_advance(1);
        assert_int_equal(tries(S("10.0.0.2"), S("ada")), 0);
    }
    assert_int_equal(tries(S("10.0.0.1"), S("lin")), 0); /* others are not held up */
    clock_test_advance((LIMIT_SIGN_IN_FORGET_MS + 1) * 1000);
    for (int i = 0; i < LIMIT_SIGN_IN_FREE_FAILURES; i++)
        assert_int_equal(tries(S("10.0.0.1"), S("ada")), 0);
    assert_int_equal(tries(S("10.0.0.1"), S("ada")), 1);
    throttle_free(t);
}

void test_account_throttle__success_forgets_and_a_cancelled_attempt_never_was(void **state)
{
    (void)state;
    t = throttle_new();
    for (int i = 0; i < 50; i++) {
        assert_int_equal(tries(S("a"), S("ada")), 0);
        throttle_cancel(t, S("a"), S("ada"));
    }
    for (int i = 0; i < LIMIT_SIGN_IN_FREE_FAILURES; i++)
        assert_int_equal(tries(S("a"), S("ada")), 0);
    assert_true(tries(S("a"), S("ada")) > 0);
    throttle_succeed(t, S("a"), S("ada"));
    assert_int_equal(tries(S("a"), S("ada")), 0);
    throttle_free(t);
}

void test_account_throttle__an_address_has_a_burst_and_then_a_trickle(void **state)
{
    char account[32];
    (void)state;
    t = throttle_new();
    for (int i = 0; i < LIMIT_SIGN_IN_BURST_PER_IP; i++) {
        str_print(account, sizeof account, "account %d", i);
        assert_int_equal(tries(S("10.0.0.1"), str_of(account)), 0);
    }
    assert_int_equal(tries(S("10.0.0.1"), S("another")), LIMIT_SIGN_IN_REFILL_MS / 1000);
    assert_int_equal(tries(S("10.0.0.2"), S("another")), 0);
    clock_test_advance(LIMIT_SIGN_IN_REFILL_MS * 1000);
    assert_int_equal(tries(S("10.0.0.1"), S("one more")), 0);
    assert_true(tries(S("10.0.0.1"), S("and more")) > 0);
    throttle_succeed(t, S("10.0.0.1"), S("one more"));
    assert_int_equal(tries(S("10.0.0.1"), S("and more")), 0);
    throttle_free(t);
}

void test_account_throttle__a_refused_attempt_does_not_lengthen_the_wait(void **state)
{
    (void)state;
    t = throttle_new();
    for (int i = 0; i < LIMIT_SIGN_IN_FREE_FAILURES; i++)
        assert_int_equal(tries(S("a"), S("ada")), 0);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(tries(S("a"), S("ada")), 1);
    clock_test_advance(1000000);
    assert_int_equal(tries(S("a"), S("ada")), 0);
    throttle_free(t);
}

void test_account_throttle__forgets_the_one_idle_for_longest(void **state)
{
    char account[32];
    (void)state;
    t = throttle_new();
    for (int i = 0; i < LIMIT_SIGN_IN_FREE_FAILURES; i++)
        assert_int_equal(tries(S("a"), S("ada")), 0);
    for (int i = 0; i < LIMIT_THROTTLE_ENTRIES + 10; i++) {
        str_print(account, sizeof account, "account %d", i);
        assert_int_equal(tries(str_of(account), str_of(account)), 0);
        if (i % 1000 == 0)
            assert_true(tries(S("a"), S("ada")) > 0); /* asked for now and then, so kept */
    }
    for (int i = 0; i < LIMIT_SIGN_IN_FREE_FAILURES; i++)
        assert_int_equal(
            tries(S("b"), S("account 0")), 0); /* forgotten: all of its failures are free again */
    throttle_free(t);
}
