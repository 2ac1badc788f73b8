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
