/* Assertions that stay on: the panic line. */
#include "base/check.h"
#include "lib/unit.h"

static void fail_check(void *arg)
{
    int one = *(int *)arg;
    check_set_context("engine");
    CHECK(one == 2);
}

static void reach_unreachable(void *arg)
{
    (void)arg;
    UNREACHABLE("a test came here");
}

static void fail_with_a_long_expression(void *arg)
{
    (void)arg;
    char expr[2000];
    memset(expr, 'e', sizeof expr - 1);
    expr[sizeof expr - 1] = '\0';
    check_fail(expr, "file.c", 1, "f");
}

void test_check__writes_a_panic_line_and_aborts(void **state)
{
    int one = 1;
    (void)state;
    expect_panic(fail_check, &one, "panic: check failed: one == 2 at ");
    expect_panic(fail_check, &one, " in fail_check of engine\n");
    expect_panic(reach_unreachable, NULL, "unreachable: a test came here");
    expect_panic(fail_with_a_long_expression, NULL, "eeee\n");
}

void test_check__passes_silently(void **state)
{
    int calls = 0;
    (void)state;
    CHECK(++calls == 1);
    assert_int_equal(calls, 1);
#ifdef HF_DEBUG
    CHECK_SLOW(++calls == 2);
    assert_int_equal(calls, 2);
#else
    CHECK_SLOW(++calls == 2); /* not evaluated */
    assert_int_equal(calls, 1);
#endif
}
