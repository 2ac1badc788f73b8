/* Memory of one call: alignment, the cap and its reserve, deferred releases. */
#include "base/arena.h"
#include "lib/unit.h"
#include <stdalign.h>

void test_arena__gives_zeroed_aligned_memory(void **state)
{
    AUTO_ARENA a;
    (void)state;
    arena_init(&a, 1 << 20);
    for (size_t size = 0; size < 3000; size += 7) {
        unsigned char *p = arena_alloc(&a, size);
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % alignof(max_align_t), 0);
        for (size_t i = 0; i < size; i++)
            assert_int_equal(p[i], 0);
        memset(p, 0xaa, size); /* overlaps would show in a later block */
    }
    assert_false(arena_failed(&a));
}

void test_arena__serves_large_blocks(void **state)
{
    AUTO_ARENA a;
    (void)state;
    arena_init(&a, 10 << 20);
    char *small = arena_alloc(&a, 10);
    char *large = arena_alloc(&a, 5 << 20);
    char *after = arena_alloc(&a, 10);
    assert_true(small && large && after);
    large[(5 << 20) - 1] = 'x';
}

void test_arena__refuses_past_the_cap_and_remembers(void **state)
{
    AUTO_ARENA a;
    (void)state;
    arena_init(&a, 1000);
    assert_non_null(arena_alloc(&a, 900));
    assert_false(arena_failed(&a));
    assert_null(arena_alloc(&a, 200));
    assert_true(arena_failed(&a));
    assert_non_null(arena_alloc(&a, 16)); /* what fits is still given, but the failure stays known */
    assert_true(arena_failed(&a));
    assert_null(arena_alloc(&a, SIZE_MAX));
    assert_null(arena_alloc(&a, SIZE_MAX - 8));
    arena_release(&a);
    assert_false(arena_failed(&a));
    assert_non_null(arena_alloc(&a, 900));
}

void test_arena__copies_fail_past_the_cap(void **state)
{
    AUTO_ARENA a;
    (void)state;
    arena_init(&a, 64);
    assert_null(
        arena_copy(&a, S("0123456789012345678901234567890123456789012345678901234567890123456789")).ptr);
    assert_null(arena_strdup(&a, "0123456789012345678901234567890123456789012345678901234567890123456789"));
    assert_null(arena_printf(&a, "%0100d", 1).ptr);
    assert_true(arena_failed(&a));
}

void test_arena__copies_text(void **state)
{
    AUTO_ARENA a;
    (void)state;
    arena_init(&a, 1000);
    char source[] = "text";
    struct str copy = arena_copy(&a, str_of(source));
    char *z = arena_strdup(&a, source);
    source[0] = 'X';
    expect_str(copy, "text");
    assert_int_equal(copy.ptr[copy.len], '\0');
    expect_str(str_of(z), "text");
    expect_str(arena_printf(&a, "%s-%03d", "n", 7), "n-007");
    expect_str(arena_copy(&a, STR_EMPTY), "");
}

void test_arena__keeps_a_reserve_for_needs(void **state)
{
    AUTO_ARENA a;
    (void)state;
    arena_init(&a, 1000);
    assert_non_null(arena_alloc(&a, 992));
    assert_null(arena_alloc(&a, 16));
    for (int i = 0; i < 100; i++)
        assert_non_null(arena_need(&a, 100)); /* a full arena does not stop our own small needs */
    assert_null(arena_alloc(&a, 16));
}

static void need_past_the_reserve(void *arg)
{
    (void)arena_need(arg, 70000);
}

void test_arena__aborts_past_the_reserve(void **state)
{
    AUTO_ARENA a;
    (void)state;
    arena_init(&a, 1000);
    expect_panic(need_past_the_reserve, &a, "p != NULL");
}

struct note {
    char *log;
    char letter;
};

static void write_note(void *arg)
{
    struct note *n = arg;
    n->log[strlen(n->log)] = n->letter;
}

void test_arena__runs_deferred_newest_first_and_once(void **state)
{
    char log[8] = "";
    struct note notes[] = {{log, 'a'}, {log, 'b'}, {log, 'c'}};
    struct arena a;
    (void)state;
    arena_init(&a, 1000);
    for (size_t i = 0; i < ARRAY_LEN(notes); i++)
        arena_defer(&a, write_note, &notes[i]);
    arena_release(&a);
    expect_str(str_of(log), "cba");
    arena_release(&a);
    expect_str(str_of(log), "cba");
}
