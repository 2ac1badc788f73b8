/* Finding our cookie among others. What a session's requests must carry is tests/e2e/test_accounts.py. */
#include "api/cookie.h"
#include "lib/unit.h"

void test_cookie__is_found_by_its_whole_name(void **state)
{
    static const struct {
        const char *header, *value;
    } ROWS[] = {{"holdfast=a", "a"}, {"x=1; holdfast=a", "a"}, {"x=1;holdfast=a;y=2", "a"},
        {"holdfast=a=b", "a=b"}, {"holdfast=a; holdfast=b", "a"}, {"  holdfast=a  ; y", "a"},
        {"holdfast=", ""}, {"holdfast", ""}, {"xholdfast=a", ""}, {"holdfastx=a", ""}, {"Holdfast=a", ""},
        {"__Host-holdfast=a", ""}, {"x=holdfast=a", ""}, {";;;", ""}, {"=", ""}, {"", ""}};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++)
        expect_row(
            str_eq(cookie_find(str_of(ROWS[i].header), COOKIE_PLAIN), str_of(ROWS[i].value)), ROWS[i].header);
    assert_int_equal(cookie_find((struct str){NULL, 0}, COOKIE_PLAIN).len, 0);
}
