/* The circuit breaker alone, with invented times. */
#include "supervise/breaker.h"
#include "base/limits.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

enum { SECOND = 1000000 };

static const int64_t T0 = 1000LL * SECOND;

static void crash_open(struct breaker *b, int64_t at)
{
    for (int i = 1; i < LIMIT_BREAKER_CRASHES; i++)
        assert_false(breaker_crashed(b, at));
    assert_true(breaker_crashed(b, at));
}

void test_breaker__three_crashes_in_a_minute_open_it(void **state)
{
    struct breaker b = {0};
    bool trial;
    int retry;
    (void)state;
    assert_true(breaker_admit(&b, T0, &trial, &retry));
    assert_false(trial);
    crash_open(&b, T0);
    assert_false(breaker_admit(&b, T0 + 1, &trial, &retry));
    assert_int_equal(retry, 30);
    assert_false(breaker_admit(&b, T0 + 29 * SECOND + 1, &trial, &retry));
    assert_int_equal(retry, 1);
}

void test_breaker__crashes_far_apart_do_not(void **state)
{
    struct breaker b = {0};
    bool trial;
    int retry;
    (void)state;
    for (int i = 0; i < 20; i++)
        assert_false(breaker_crashed(&b, T0 + i * 31LL * SECOND));
    assert_true(breaker_admit(&b, T0 + 700LL * SECOND, &trial, &retry));
}

void test_breaker__one_trial_decides(void **state)
{
    struct breaker b = {0};
    int64_t later = T0 + 30 * SECOND;
    bool trial;
    int retry;
    (void)state;
    crash_open(&b, T0);
    assert_true(breaker_admit(&b, later, &trial, &retry));
    assert_true(trial);
    assert_false(breaker_admit(&b, later, &trial, &retry)); /* one at a time */
    assert_true(breaker_crashed(&b, later));                /* open again at the first crash */
    assert_false(breaker_admit(&b, later + 29 * SECOND, &trial, &retry));
    later += 30 * SECOND;
    assert_true(breaker_admit(&b, later, &trial, &retry));
    breaker_trial_dropped(&b);
    assert_true(breaker_admit(&b, later, &trial, &retry));
    assert_true(trial);
    assert_true(breaker_answered(&b));
    assert_false(breaker_answered(&b));
    assert_true(breaker_admit(&b, later, &trial, &retry));
    assert_false(trial);
    assert_false(breaker_crashed(&b, later)); /* the old crashes are forgiven */
}

void test_breaker__is_forgotten_when_it_would_make_no_difference(void **state)
{
    struct breaker b = {0};
    bool trial;
    int retry;
    (void)state;
    assert_true(breaker_forgettable(&b, T0));
    assert_false(breaker_crashed(&b, T0));
    assert_false(breaker_forgettable(&b, T0 + 59 * SECOND));
    assert_true(breaker_forgettable(&b, T0 + 60 * SECOND));
    crash_open(&b, T0 + 100LL * SECOND);
    assert_false(breaker_forgettable(&b, T0 + 180LL * SECOND));
    assert_true(breaker_forgettable(&b, T0 + 190LL * SECOND));
    assert_true(breaker_admit(&b, T0 + 190LL * SECOND, &trial, &retry));
    assert_false(breaker_forgettable(&b, T0 + 900LL * SECOND)); /* while the trial runs */
}
