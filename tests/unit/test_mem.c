/* Allocations that abort, and wiping. */
#include "base/mem.h"
#include "lib/unit.h"

void test_mem__gives_zeroed_memory(void **state)
{
    (void)state;
    unsigned char *p = mem_alloc(1000), *q = mem_array(10, 100), *none = mem_alloc(0);
    for (size_t i = 0; i < 1000; i++)
        assert_true(p[i] == 0 && q[i] == 0);
    assert_non_null(none);
    mem_free(p);
    mem_free(q);
    mem_free(none);
    mem_free(NULL);
}

void test_mem__grows_and_copies(void **state)
{
    (void)state;
    int *p = mem_grow(NULL, 4, sizeof *p);
    for (int i = 0; i < 4; i++)
        p[i] = i;
    p = mem_grow(p, 1000, sizeof *p);
    assert_int_equal(p[3], 3);
    mem_free(p);
    char *s = mem_strdup("abc"), *t = mem_dup_str(str_slice(S("xabcx"), 1, 4)), *e = mem_dup_str(STR_EMPTY);
    assert_string_equal(s, "abc");
    assert_string_equal(t, "abc");
    assert_string_equal(e, "");
    mem_free(s);
    mem_free(t);
    mem_free(e);
}

static void grow_past_all_memory(void *arg)
{
    (void)arg;
    (void)mem_grow(NULL, SIZE_MAX / 2, 4);
}

static void array_past_all_memory(void *arg)
{
    (void)arg;
    (void)mem_array(SIZE_MAX / 8, 16);
}

void test_mem__aborts_on_overflow(void **state)
{
    (void)state;
    expect_panic(grow_past_all_memory, NULL, "overflow");
    expect_panic(array_past_all_memory, NULL, "overflow");
}

void test_mem__wipes(void **state)
{
    char secret[32] = "the secret";
    (void)state;
    mem_wipe(secret, sizeof secret);
    for (size_t i = 0; i < sizeof secret; i++)
        assert_int_equal(secret[i], 0);
    mem_wipe(NULL, 0);
}
