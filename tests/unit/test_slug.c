/* The grammar of slugs. */
#include "base/slug.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define LETTERS_63 "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijk"

static const char *const RESERVED[] = {"new", "trash", NULL};

void test_slug__rows(void **state)
{
    static const struct {
        const char *slug, *why; /* why NULL: good */
    } ROWS[] = {
        {"a", NULL},
        {"0", NULL},
        {"main-pr-42", NULL},
        {"a--b", NULL},
        {LETTERS_63, NULL},
        {"newer", NULL},
        {"", "must not be empty"},
        {LETTERS_63 "l", "must be at most 63"},
        {"Main", "may hold only"},
        {"a_b", "may hold only"},
        {"a.b", "may hold only"},
        {"a/b", "may hold only"},
        {"\xc3\xa9", "may hold only"},
        {"-a", "must begin and end"},
        {"a-", "must begin and end"},
        {"-", "must begin and end"},
        {"new", "is reserved"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        struct err err = ERR_INIT;
        enum err_code code = slug_check(str_of(ROWS[i].slug), RESERVED, "/slug", &err);
        assert_int_equal(code, ROWS[i].why ? ERR_INVALID : ERR_OK);
        if (!ROWS[i].why)
            continue;
        assert_string_equal(err.pointer, "/slug");
        assert_non_null(strstr(err.message, ROWS[i].why));
        assert_int_equal(slug_valid(str_of(ROWS[i].slug)), str_eq(str_of(ROWS[i].slug), S("new")));
    }
    assert_int_equal(slug_check(str_make("a\0b", 3), NULL, "/slug", NULL), ERR_INVALID);
}

void test_slug__from_text(void **state)
{
    static const struct {
        const char *text, *slug;
    } ROWS[] = {{"Week-end!", "week-end"}, {"  a  b  ", "a-b"}, {"", ""}, {"!!!", ""},
        {"\xc3\xa9t\xc3\xa9", "t"}, {"abcdefghijkl", "abcdefghij"}, {"abcdefghi-jkl", "abcdefghi"}};
    AUTO_ARENA a;
    (void)state;
    arena_init(&a, 4096);
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        struct str slug = slug_from_text(&a, str_of(ROWS[i].text), 10);
        assert_true(str_eq(slug, str_slice(str_of(ROWS[i].slug), 0, 10)));
        assert_true(!slug.len || slug_valid(slug));
    }
    assert_true(str_eq(slug_from_text(&a, S("Weekend prototype!"), 63), S("weekend-prototype")));
}
