/* The request guard: what it refuses, what it lets through, and that neither depends on how the bytes were
 * split. */
#include "http/guard.h"
#include "base/mem.h"
#include "unit/guard_rows.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static const struct guard_limits LIMITS = {.head_max = 4096, .uri_max = 1024};

struct verdict {
    enum guard_status status;
    struct guard guard;
};

/* Feeds `raw` in pieces that end at `first`, then every `step` bytes; each piece's bytes are a fresh copy of
 * exact size, so that a sanitizer sees a read past them. */
static struct verdict feed(struct str raw, size_t first, size_t step)
{
    struct verdict v = {.status = GUARD_MORE};
    guard_init(&v.guard, &LIMITS);
    for (size_t len = first; v.status == GUARD_MORE; len += step) {
        if (len > raw.len)
            len = raw.len;
        char *copy = mem_alloc(len + 1);
        memcpy(copy, raw.ptr, len);
        char *exact = mem_grow(copy, len ? len : 1, 1);
        v.status = guard_read(&v.guard, exact, len);
        mem_free(exact);
        if (len == raw.len)
            break;
    }
    return v;
}

static void expect_same(
    const struct guard_row *row, const struct verdict *a, const struct verdict *b, size_t split)
{
    if (a->status == b->status && a->guard.code == b->guard.code && a->guard.reason == b->guard.reason &&
        a->guard.head_len == b->guard.head_len && a->guard.content_length == b->guard.content_length)
        return;
    fail_msg("split at %zu changes the verdict of: %s", split, row->raw);
}

void test_guard__refuses_and_accepts_by_the_table(void **state)
{
    (void)state;
    assert_true(ARRAY_LEN(GUARD_ROWS) >= 150);
    for (size_t i = 0; i < ARRAY_LEN(GUARD_ROWS); i++) {
        struct verdict v = feed(str_make(GUARD_ROWS[i].raw, GUARD_ROWS[i].len), GUARD_ROWS[i].len, 1);
        enum err_code got = v.status == GUARD_BAD ? v.guard.code : ERR_OK;
        if (got != GUARD_ROWS[i].want || v.status == GUARD_MORE)
            fail_msg("row %zu: got %s (%s), wanted %s: %s", i, err_slug(got),
                v.guard.reason ? v.guard.reason : "no reason", err_slug(GUARD_ROWS[i].want),
                GUARD_ROWS[i].raw);
        if (v.status == GUARD_DONE)
            assert_int_equal(v.guard.head_len, GUARD_ROWS[i].len);
    }
}

void test_guard__verdict_does_not_depend_on_the_split(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(GUARD_ROWS); i++) {
        struct str raw = str_make(GUARD_ROWS[i].raw, GUARD_ROWS[i].len);
        struct verdict whole = feed(raw, raw.len, 1), bytes = feed(raw, 0, 1);
        expect_same(&GUARD_ROWS[i], &whole, &bytes, 1);
        for (size_t at = 0; at < raw.len; at++) {
            struct verdict v = feed(raw, at, raw.len);
            expect_same(&GUARD_ROWS[i], &whole, &v, at);
        }
    }
}

void test_guard__every_proper_prefix_of_a_good_head_wants_more(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(GUARD_ROWS); i++) {
        for (size_t len = 0; GUARD_ROWS[i].want == ERR_OK && len < GUARD_ROWS[i].len; len++) {
            struct verdict v = feed(str_make(GUARD_ROWS[i].raw, len), len, 1);
            assert_int_equal(v.status, GUARD_MORE);
        }
    }
}

static struct verdict feed_cstr(const char *z)
{
    return feed(str_of(z), strlen(z), 1);
}

static void expect_span(const char *head, struct guard_span at, const char *want)
{
    assert_int_equal(at.len, strlen(want));
    assert_memory_equal(head + at.at, want, at.len);
}

void test_guard__reports_what_it_read(void **state)
{
    (void)state;
    static const char head[] =
        "\r\nPOST http://Ex.org:80//a/b?c HTTP/1.1\r\nhost:  ex.ORG:80 \r\nExpect: 100-continue\r\n"
        "Connection: x, Close\r\nContent-Length: 42\r\n\r\nbody";
    struct verdict v = feed_cstr(head);
    assert_int_equal(v.status, GUARD_DONE);
    assert_int_equal(v.guard.method, HTTP_POST);
    assert_int_equal(v.guard.head_len, strlen(head) - 4);
    assert_int_equal(v.guard.content_length, 42);
    assert_true(v.guard.has_length);
    assert_true(v.guard.close);
    assert_false(v.guard.http_1_0);
    assert_true(v.guard.expect_continue);
    expect_span(head, v.guard.target, "/a/b?c");
    expect_span(head, v.guard.host, "ex.ORG:80");
    assert_int_equal(v.guard.hidden_count, 4);
    expect_span(head, v.guard.hidden[0], "\r\n");
    expect_span(head, v.guard.hidden[1], "http://Ex.org:80/");
    expect_span(head, v.guard.hidden[2], "Expect: 100-continue\r\n");
    expect_span(head, v.guard.hidden[3], "Content-Length: 42\r\n");
}

void test_guard__plain_request_keeps_the_connection_and_hides_nothing(void **state)
{
    (void)state;
    struct verdict v = feed_cstr(GET "Connection: keep-alive\r\n\r\n");
    assert_int_equal(v.status, GUARD_DONE);
    assert_false(v.guard.close);
    assert_false(v.guard.has_length);
    assert_false(v.guard.expect_continue);
    assert_int_equal(v.guard.hidden_count, 0);
    assert_true(feed_cstr("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").guard.close);
}

/* "GET /aaa… HTTP/1.1" with a target of `uri` bytes, then a header that fills the head up to `head` bytes. */
static struct verdict feed_sized(size_t uri, size_t head, size_t step)
{
    AUTO_STRBUF sb;
    strbuf_init(&sb, 1 << 20);
    strbuf_add_cstr(&sb, "GET /");
    for (size_t i = 1; i < uri; i++)
        strbuf_add_char(&sb, 'a');
    strbuf_add_cstr(&sb, " HTTP/1.1\r\n" HOST "X: ");
    while (sb.len + 4 < head)
        strbuf_add_char(&sb, 'b');
    strbuf_add_cstr(&sb, "\r\n\r\n");
    return feed(strbuf_str(&sb), step < sb.len ? step : sb.len, step);
}

void test_guard__limits_are_exact(void **state)
{
    (void)state;
    for (size_t step = 1; step < 10000; step = step * 7 + 1) {
        assert_int_equal(feed_sized(LIMITS.uri_max, 0, step).status, GUARD_DONE);
        assert_int_equal(feed_sized(LIMITS.uri_max + 1, 0, step).guard.code, ERR_URI_TOO_LONG);
        assert_int_equal(feed_sized(LIMITS.uri_max + 100, 0, step).guard.code, ERR_URI_TOO_LONG);
        assert_int_equal(feed_sized(100000, 0, step).guard.code, ERR_URI_TOO_LONG);
        assert_int_equal(feed_sized(1, LIMITS.head_max, step).status, GUARD_DONE);
        assert_int_equal(feed_sized(1, LIMITS.head_max + 2, step).guard.code, ERR_HEADERS_TOO_LARGE);
        assert_int_equal(feed_sized(1, 100000, step).guard.code, ERR_HEADERS_TOO_LARGE);
        assert_int_equal(feed_sized(1, 100000, step).status, GUARD_BAD);
    }
}

void test_guard__counts_header_lines(void **state)
{
    (void)state;
    for (int extra = -1; extra <= 1; extra++) {
        AUTO_STRBUF sb;
        strbuf_init(&sb, 1 << 16);
        strbuf_add_cstr(&sb, GET);
        for (int i = 1; i < GUARD_HEADERS_MAX + extra; i++)
            strbuf_addf(&sb, "X%d: y\r\n", i);
        strbuf_add_cstr(&sb, "\r\n");
        struct verdict v = feed(strbuf_str(&sb), sb.len, 1);
        assert_int_equal(v.status, extra <= 0 ? GUARD_DONE : GUARD_BAD);
        assert_int_equal(v.guard.code, extra <= 0 ? ERR_OK : ERR_HEADERS_TOO_LARGE);
    }
}

void test_guard__refuses_early_without_the_end_of_the_head(void **state)
{
    (void)state;
    static const char *const early[] = {
        "\x16", "GET / HTTP/1.1\n", "FOO / HTTP/1.1\r\n", GET "X: a\r\n b\r\n", GET "\0"};
    for (size_t i = 0; i < ARRAY_LEN(early) - 1; i++)
        assert_int_equal(feed_cstr(early[i]).status, GUARD_BAD);
}

void test_guard__names_the_limit_and_what_was_sent(void **state)
{
    (void)state;
    struct verdict v = feed_sized(1025, 2000, 5000);
    assert_int_equal(v.guard.code, ERR_URI_TOO_LONG);
    assert_int_equal(v.guard.limit, 1024);
    assert_int_equal(v.guard.actual, 1025);
    v = feed_sized(3000, 3500, 5000); /* given up before its end was seen */
    assert_int_equal(v.guard.limit, 1024);
    assert_int_equal(v.guard.actual, 0);
    v = feed_sized(10, 5000, 5000);
    assert_int_equal(v.guard.code, ERR_HEADERS_TOO_LARGE);
    assert_int_equal(v.guard.limit, 4096);
}

void test_guard__proves_itself_at_the_start(void **state)
{
    (void)state;
    assert_null(guard_probe());
}
