/* Addresses have one spelling, and origins are compared by what they mean. */
#include "base/url.h"
#include "lib/unit.h"

void test_url__parts(void **state)
{
    static const struct {
        const char *text;
        bool tls;
        const char *host, *port, *rest;
    } ROWS[] = {
        {"https://a.example", true, "a.example", "", ""},
        {"http://127.0.0.1:8080/x?y", false, "127.0.0.1", "8080", "/x?y"},
        {"https://[2001:db8::1]:443/", true, "[2001:db8::1]", "443", "/"},
        {"https://[::1]?q=:9", true, "[::1]", "", "?q=:9"},
        {"http://a:1/b:2", false, "a", "1", "/b:2"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        struct url u;
        expect_row(url_well_spelled(str_of(ROWS[i].text), &u), ROWS[i].text);
        assert_int_equal(u.tls, ROWS[i].tls);
        expect_str(u.host, ROWS[i].host);
        expect_str(u.port, ROWS[i].port);
        expect_str(u.rest, ROWS[i].rest);
    }
}

void test_url__other_spellings_are_refused(void **state)
{
    static const char *const ROWS[] = {"", "a.example", "//a.example", "ftp://a.example/",
        "HTTPS://a.example/", "https://A.example/", "https:///x", "https://", "https://u@a.example/",
        "https://u:p@a.example/", "https://a.example:0/", "https://a.example:065/",
        "https://a.example:65536/", "https://a.example:/", "https://a.example:+1/",
        "https://a.example\\@b.example/", "https://a.example/ x", "https://a.example/#f",
        "https://a.example#f", "https://a.example/\n", "https://a\xc3\xa9.example/", "https://a.example/../b",
        "https://a.example/%2E/b", "https://a.example/*", "https://[::1/", "https://[]/", "https://[::g]/",
        "https://[::1]x/", "https://a_b.example/", "https://a.example;b/"};
    struct url u;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++)
        expect_row(!url_well_spelled(str_of(ROWS[i]), &u), ROWS[i]);
    expect_row(!url_well_spelled(str_make("https://a\0b/", 12), &u), "NUL");
}

void test_url__origins(void **state)
{
    static const struct {
        const char *a, *b;
        bool same;
    } ROWS[] = {
        {"https://a.example", "https://a.example/x", true},
        {"https://a.example", "https://a.example:443/", true},
        {"http://a.example:80", "http://a.example", true},
        {"https://a.example", "http://a.example", false},
        {"https://a.example:80", "http://a.example:80", false},
        {"https://a.example", "https://a.example:8443", false},
        {"https://a.example", "https://a.example.evil", false},
        {"https://a.example", "https://b.a.example", false},
        {"http://127.0.0.1:1", "http://127.0.0.1:11", false},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        struct url a, b;
        assert_true(url_well_spelled(str_of(ROWS[i].a), &a));
        assert_true(url_well_spelled(str_of(ROWS[i].b), &b));
        expect_row(url_same_origin(&a, &b) == ROWS[i].same, ROWS[i].b);
    }
}
