/* The request guard: what it refuses, what it lets through, and that neither depends on how the bytes were
 * split. */
#include "http/guard.h"
#include "base/mem.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>

#define HOST "Host: a\r\n"
#define GET  "GET / HTTP/1.1\r\n" HOST
#define POST "POST /p HTTP/1.1\r\n" HOST
#define R(code, text)                                                                                        \
    {                                                                                                        \
        ERR_##code, text, sizeof(text) - 1                                                                   \
    }

static const struct guard_limits LIMITS = {.head_max = 4096, .uri_max = 1024};

struct row {
    enum err_code want;
    const char *raw;
    size_t len;
};

static const struct row ROWS[] = {
    /* What ordinary clients send. */
    R(OK, GET "\r\n"),
    R(OK, "GET /a/b?c=d&e=%20 HTTP/1.1\r\nHost: example.org\r\n\r\n"),
    R(OK, "HEAD / HTTP/1.1\r\n" HOST "\r\n"),
    R(OK, "PUT /x HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n"),
    R(OK, "PATCH /x HTTP/1.1\r\n" HOST "Content-Length: 1\r\n\r\n"),
    R(OK, "DELETE /x HTTP/1.1\r\n" HOST "\r\n"),
    R(OK, "OPTIONS /x HTTP/1.1\r\n" HOST "\r\n"),
    R(OK, "OPTIONS * HTTP/1.1\r\n" HOST "\r\n"),
    R(OK, POST "Content-Length: 3\r\n\r\n"),
    R(OK, POST "content-length: 3\r\n\r\n"),
    R(OK, POST "CONTENT-LENGTH:3\r\n\r\n"),
    R(OK, POST "Content-Length:    3   \r\n\r\n"),
    R(OK, POST "Content-Length:\t3\t\r\n\r\n"),
    R(OK, POST "Content-Length: 003\r\n\r\n"),
    R(OK, POST "Content-Length: 999999999999999999\r\n\r\n"),
    R(OK, GET "Content-Length: 5\r\n\r\n"),
    R(OK, GET "Connection: keep-alive\r\n\r\n"),
    R(OK, GET "Connection: close\r\n\r\n"),
    R(OK, GET "Connection: a\r\nConnection: close\r\n\r\n"),
    R(OK, GET "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQ\r\n\r\n"),
    R(OK, POST "Expect: 100-continue\r\nContent-Length: 3\r\n\r\n"),
    R(OK, POST "Expect: 100-Continue\r\nContent-Length: 3\r\n\r\n"),
    R(OK, "GET / HTTP/1.0\r\n\r\n"),
    R(OK, "GET / HTTP/1.0\r\nHost: a\r\n\r\n"),
    R(OK, "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"),
    R(OK, "\r\n" GET "\r\n"),
    R(OK, GET "X:\r\n\r\n"),
    R(OK, GET "X: \r\n\r\n"),
    R(OK, GET "X: a\tb\r\n\r\n"),
    R(OK, GET "X: \xc3\xa9\r\n\r\n"),
    R(OK, GET "X: \xff\x80\r\n\r\n"),
    R(OK, GET "X: a:b:c\r\n\r\n"),
    R(OK, GET "X: a\r\nX: b\r\n\r\n"),
    R(OK, GET "!#$%&'*+-.^_`|~09azAZ: token characters\r\n\r\n"),
    R(OK, GET "Accept: */*\r\nUser-Agent: curl/8.0\r\n\r\n"),
    R(OK, GET "Authorization: Bearer psql_live_x\r\nContent-Type: application/json\r\n\r\n"),
    R(OK, GET "Cookie: a=b; c=d\r\nIdempotency-Key: k\r\nPlan-Key: p\r\nPlan-Step: 1\r\n\r\n"),
    R(OK, "GET / HTTP/1.1\r\nHost: example.org:8080\r\n\r\n"),
    R(OK, "GET / HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n"),
    R(OK, "GET / HTTP/1.1\r\nHost: under_score.example\r\n\r\n"),
    R(OK, "GET / HTTP/1.1\r\nHost:a\r\n\r\n"),
    R(OK, "GET / HTTP/1.1\r\nX: y\r\nhOsT: a\r\n\r\n"),
    R(OK, "GET //v1//me/ HTTP/1.1\r\n" HOST "\r\n"),
    R(OK, "GET //////// HTTP/1.1\r\n" HOST "\r\n"),
    R(OK, "GET http://a/x HTTP/1.1\r\n" HOST "\r\n"),
    R(OK, "GET HTTP://A/x HTTP/1.1\r\n" HOST "\r\n"),
    R(OK, "GET https://a/ HTTP/1.1\r\n" HOST "\r\n"),
    R(OK, "GET http://a:80/x?y HTTP/1.1\r\nHost: a:80\r\n\r\n"),
    R(OK, "GET http://a/x HTTP/1.0\r\n\r\n"),
    R(OK, "GET http://a//x HTTP/1.1\r\n" HOST "\r\n"),
    R(OK, "GET /?q=<>\"{}|\\^`[] HTTP/1.1\r\n" HOST "\r\n"),
    R(OK, "GET /%00%zz HTTP/1.1\r\n" HOST "\r\n"), /* escapes are the router's business */
    R(OK, "GET /a:b@c;d=e,f HTTP/1.1\r\n" HOST "\r\n"),

    /* The request line. */
    R(INVALID, "\r\n\r\n" GET "\r\n"),
    R(INVALID, "GET\r\n\r\n"),
    R(INVALID, "GET /\r\n\r\n"), /* HTTP/0.9 */
    R(INVALID, "GET / \r\n\r\n"),
    R(INVALID, "GET  / HTTP/1.1\r\n" HOST "\r\n"),
    R(INVALID, "GET /  HTTP/1.1\r\n" HOST "\r\n"),
    R(INVALID, " GET / HTTP/1.1\r\n" HOST "\r\n"),
    R(INVALID, "GET / HTTP/1.1 \r\n" HOST "\r\n"),
    R(INVALID, "GET / HTTP/1.1 x\r\n" HOST "\r\n"),
    R(INVALID, "GET /a b HTTP/1.1\r\n" HOST "\r\n"),
    R(INVALID, "GET\t/ HTTP/1.1\r\n" HOST "\r\n"),
    R(INVALID, "GET /\tHTTP/1.1\r\n" HOST "\r\n"),
    R(INVALID, "GET / HTTP/1.1\t\r\n" HOST "\r\n"),
    R(INVALID, "GET /\t HTTP/1.1\r\n" HOST "\r\n"),
    R(INVALID, "GET / http/1.1\r\n" HOST "\r\n"),
    R(INVALID, "GET / HTTP/1\r\n" HOST "\r\n"),
    R(INVALID, "GET / HTTP/1.10\r\n" HOST "\r\n"),
    R(INVALID, "GET / HTTP/01.1\r\n" HOST "\r\n"),
    R(INVALID, "GET / HTTPS/1.1\r\n" HOST "\r\n"),
    R(INVALID, "GET / HTTP/1,1\r\n" HOST "\r\n"),
    R(INVALID, "GET / 1.1\r\n" HOST "\r\n"),
    R(INVALID, "GET / \r\n" HOST "\r\n"),
    R(HTTP_VERSION, "GET / HTTP/2.0\r\n" HOST "\r\n"),
    R(HTTP_VERSION, "GET / HTTP/1.2\r\n" HOST "\r\n"),
    R(HTTP_VERSION, "GET / HTTP/0.9\r\n" HOST "\r\n"),
    R(HTTP_VERSION, "GET / HTTP/9.9\r\n" HOST "\r\n"),
    R(HTTP_VERSION, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    R(INVALID, "/ GET HTTP/1.1\r\n" HOST "\r\n"),
    R(INVALID, "G@T / HTTP/1.1\r\n" HOST "\r\n"),
    R(INVALID, "\"GET\" / HTTP/1.1\r\n" HOST "\r\n"),
    R(INVALID, "AVERYLONGMETHODNAME / HTTP/1.1\r\n" HOST "\r\n"),
    R(NOT_IMPLEMENTED, "get / HTTP/1.1\r\n" HOST "\r\n"),
    R(NOT_IMPLEMENTED, "GETS / HTTP/1.1\r\n" HOST "\r\n"),
    R(NOT_IMPLEMENTED, "GE / HTTP/1.1\r\n" HOST "\r\n"),
    R(NOT_IMPLEMENTED, "PROPFIND / HTTP/1.1\r\n" HOST "\r\n"),
    R(NOT_IMPLEMENTED, "QUERY / HTTP/1.1\r\n" HOST "\r\n"),
    R(METHOD, "TRACE / HTTP/1.1\r\n" HOST "\r\n"),
    R(METHOD, "CONNECT a:80 HTTP/1.1\r\n" HOST "\r\n"),

    /* The target. */
    R(INVALID, "GET a HTTP/1.1\r\n" HOST "\r\n"),
    R(INVALID, "GET * HTTP/1.1\r\n" HOST "\r\n"),
    R(INVALID, "GET ?a HTTP/1.1\r\n" HOST "\r\n"),
    R(INVALID, "GET /a#b HTTP/1.1\r\n" HOST "\r\n"),
    R(INVALID, "GET /\xc3\xa9 HTTP/1.1\r\n" HOST "\r\n"),
    R(INVALID, "GET /\x7f HTTP/1.1\r\n" HOST "\r\n"),
    R(INVALID, "GET /\x01 HTTP/1.1\r\n" HOST "\r\n"),
    R(INVALID, "GET /\0 HTTP/1.1\r\n" HOST "\r\n"),
    R(INVALID, "GET a:80 HTTP/1.1\r\n" HOST "\r\n"),
    R(INVALID, "GET ftp://a/ HTTP/1.1\r\n" HOST "\r\n"),
    R(INVALID, "GET file:///etc/passwd HTTP/1.1\r\n" HOST "\r\n"),
    R(INVALID, "GET http://a HTTP/1.1\r\n" HOST "\r\n"),
    R(INVALID, "GET http://a?b HTTP/1.1\r\n" HOST "\r\n"),
    R(INVALID, "GET http:///x HTTP/1.1\r\n" HOST "\r\n"),
    R(INVALID, "GET http://u@a/x HTTP/1.1\r\n" HOST "\r\n"),
    R(INVALID, "GET http://u:p@a/x HTTP/1.1\r\n" HOST "\r\n"),
    R(INVALID, "GET http:/a/x HTTP/1.1\r\n" HOST "\r\n"),
    R(MISDIRECTED, "GET http://b/x HTTP/1.1\r\n" HOST "\r\n"),
    R(MISDIRECTED, "GET http://a:81/x HTTP/1.1\r\n" HOST "\r\n"),
    R(MISDIRECTED, "GET http://aa/ HTTP/1.1\r\n" HOST "\r\n"),

    /* Line ends and bytes. */
    R(INVALID, "GET / HTTP/1.1\nHost: a\n\n"),
    R(INVALID, "GET / HTTP/1.1\n" HOST "\r\n"),
    R(INVALID, "\nGET / HTTP/1.1\r\n" HOST "\r\n"),
    R(INVALID, GET "X: a\nY: b\r\n\r\n"),
    R(INVALID, GET "X: a\r\n\n"),
    R(INVALID, GET "\n"),
    R(INVALID, GET "X: a\rb\r\n\r\n"),
    R(INVALID, GET "X: a\r\r\n\r\n"),
    R(INVALID, GET "\r\r\n"),
    R(INVALID, "GET / HTTP/1.1\r" HOST "\r\n"),
    R(INVALID, "\rGET / HTTP/1.1\r\n" HOST "\r\n"),
    R(INVALID, GET "X: a\0b\r\n\r\n"),
    R(INVALID, GET "X\0: a\r\n\r\n"),
    R(INVALID, "\0GET / HTTP/1.1\r\n" HOST "\r\n"),
    R(INVALID, "GET / HTTP/1.1\0\r\n" HOST "\r\n"),
    R(INVALID, GET "X: \x01\r\n\r\n"),
    R(INVALID, GET "X: \x08\r\n\r\n"),
    R(INVALID, GET "X: \x0b\r\n\r\n"),
    R(INVALID, GET "X: \x0c\r\n\r\n"),
    R(INVALID, GET "X: \x1b[2J\r\n\r\n"),
    R(INVALID, GET "X: \x7f\r\n\r\n"),
    R(INVALID, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"), /* a TLS hello */
    R(INVALID, "\xff\xfe\r\n\r\n"),
    R(INVALID, "SSH-2.0-OpenSSH_9.2\r\n"),
    R(INVALID, "*1\r\n$4\r\nPING\r\n"),
    R(INVALID, "EHLO a\r\n"),

    /* Header lines. */
    R(INVALID, GET " X: a\r\n\r\n"),
    R(INVALID, GET "\tX: a\r\n\r\n"),
    R(INVALID, GET "X: a\r\n b\r\n\r\n"),
    R(INVALID, GET "X: a\r\n\tb\r\n\r\n"),
    R(INVALID, GET " \r\n\r\n"),
    R(INVALID, "GET / HTTP/1.1\r\n folded: a\r\n" HOST "\r\n"),
    R(INVALID, GET "X : a\r\n\r\n"),
    R(INVALID, GET "X\t: a\r\n\r\n"),
    R(INVALID, GET "X y: a\r\n\r\n"),
    R(INVALID, GET ": a\r\n\r\n"),
    R(INVALID, GET ":\r\n\r\n"),
    R(INVALID, GET "X\r\n\r\n"),
    R(INVALID, GET "no colon here\r\n\r\n"),
    R(INVALID, GET "X(y): a\r\n\r\n"),
    R(INVALID, GET "X@: a\r\n\r\n"),
    R(INVALID, GET "X/y: a\r\n\r\n"),
    R(INVALID, GET "\"X\": a\r\n\r\n"),
    R(INVALID, GET "X[0]: a\r\n\r\n"),
    R(INVALID, GET "{X}: a\r\n\r\n"),
    R(INVALID, GET "X\xc3\xa9: a\r\n\r\n"),
    R(INVALID, GET "X;: a\r\n\r\n"),
    R(INVALID, GET "X=: a\r\n\r\n"),
    R(INVALID, GET "GET / HTTP/1.1\r\n\r\n"),

    /* Host. */
    R(INVALID, "GET / HTTP/1.1\r\n\r\n"),
    R(INVALID, "GET / HTTP/1.1\r\nX: y\r\n\r\n"),
    R(INVALID, "GET / HTTP/1.1\r\nHost:\r\n\r\n"),
    R(INVALID, "GET / HTTP/1.1\r\nHost: \t \r\n\r\n"),
    R(INVALID, "GET / HTTP/1.1\r\nHost: a b\r\n\r\n"),
    R(INVALID, "GET / HTTP/1.1\r\nHost: a,b\r\n\r\n"),
    R(INVALID, "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"),
    R(INVALID, "GET / HTTP/1.1\r\nHost: u@a\r\n\r\n"),
    R(INVALID, "GET / HTTP/1.1\r\nHost: http://a\r\n\r\n"),
    R(INVALID, "GET / HTTP/1.1\r\nHost: a?b\r\n\r\n"),
    R(INVALID, "GET / HTTP/1.1\r\nHost: \xc3\xa9\r\n\r\n"),
    R(INVALID, "GET / HTTP/1.1\r\nHost : a\r\n\r\n"),
    R(INVALID, GET HOST "\r\n"),
    R(INVALID, GET "host: b\r\n\r\n"),
    R(INVALID, "GET / HTTP/1.0\r\n" HOST HOST "\r\n"),

    /* Framing. */
    R(INVALID, POST "Content-Length: 3\r\nContent-Length: 3\r\n\r\n"),
    R(INVALID, POST "Content-Length: 3\r\nContent-Length: 5\r\n\r\n"),
    R(INVALID, POST "Content-Length: 3\r\ncontent-length: 3\r\n\r\n"),
    R(INVALID, POST "Content-Length: 3\r\nX: y\r\nCONTENT-LENGTH: 4\r\n\r\n"),
    R(INVALID, POST "Content-Length: 3, 3\r\n\r\n"),
    R(INVALID, POST "Content-Length: 3,5\r\n\r\n"),
    R(INVALID, POST "Content-Length: +3\r\n\r\n"),
    R(INVALID, POST "Content-Length: -3\r\n\r\n"),
    R(INVALID, POST "Content-Length: 0x3\r\n\r\n"),
    R(INVALID, POST "Content-Length: 3.0\r\n\r\n"),
    R(INVALID, POST "Content-Length: 3e0\r\n\r\n"),
    R(INVALID, POST "Content-Length: 3 3\r\n\r\n"),
    R(INVALID, POST "Content-Length: three\r\n\r\n"),
    R(INVALID, POST "Content-Length:\r\n\r\n"),
    R(INVALID, POST "Content-Length: \xd9\xa3\r\n\r\n"),
    R(INVALID, POST "Content-Length: 3\"\r\n\r\n"),
    R(INVALID, POST "Content-Length: 9223372036854775808\r\n\r\n"),
    R(INVALID, POST "Content-Length: 18446744073709551619\r\n\r\n"),
    R(INVALID, POST "Content-Length: 0000000000000000003\r\n\r\n"),
    R(INVALID, POST "Content-Length : 3\r\n\r\n"),
    R(INVALID, POST "Content-Length\t: 3\r\n\r\n"),
    R(INVALID, POST "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n"),
    R(INVALID, POST "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n"),
    R(INVALID, POST "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n"),
    R(INVALID, POST "Transfer-Encoding: gzip, chunked\r\nContent-Length: 3\r\n\r\n"),
    R(INVALID, POST "Transfer-Encoding: identity\r\nContent-Length: 3\r\n\r\n"),
    R(INVALID, POST "Transfer-Encoding : chunked\r\n\r\n"),
    R(INVALID, POST "Transfer-Encoding\r\n : chunked\r\n\r\n"),
    R(INVALID, POST "Transfer-Encoding:\r\n chunked\r\n\r\n"),
    R(INVALID, POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"),
    R(INVALID, POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n"),
    R(INVALID, POST "Transfer-Encoding: foo\r\n\r\n"),
    R(INVALID, POST "Transfer-Encoding: xchunked\r\n\r\n"),
    R(INVALID, POST "Transfer-Encoding: chunked, identity\r\n\r\n"),
    R(INVALID, POST "Transfer-Encoding: chunked;q=1\r\n\r\n"),
    R(INVALID, POST "Transfer-Encoding: \"chunked\"\r\n\r\n"),
    R(INVALID, POST "Transfer-Encoding:\r\n\r\n"),
    R(INVALID, POST "Transfer-Encoding: \x0b"
                    "chunked\r\n\r\n"),
    R(INVALID, "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"),
    R(LENGTH_REQUIRED, POST "Transfer-Encoding: chunked\r\n\r\n"),
    R(LENGTH_REQUIRED, POST "transfer-encoding:CHUNKED\r\n\r\n"),
    R(LENGTH_REQUIRED, GET "Transfer-Encoding: chunked\r\n\r\n"),
    R(NOT_IMPLEMENTED, POST "Transfer-Encoding: gzip, chunked\r\n\r\n"),
    R(NOT_IMPLEMENTED, POST "Transfer-Encoding: gzip,\tChunked\r\n\r\n"),
    R(INVALID, POST "Expect: 200-ok\r\n\r\n"),
    R(INVALID, POST "Expect:\r\n\r\n"),
    R(INVALID, POST "Expect: 100-continue\r\nExpect: 100-continue\r\n\r\n"),

    /* Headers that two readers could take differently. */
    R(INVALID, GET "Authorization: Bearer a\r\nAuthorization: Bearer b\r\n\r\n"),
    R(INVALID, GET "Authorization: Bearer a\r\nauthorization: Bearer a\r\n\r\n"),
    R(INVALID, GET "Content-Type: a/b\r\nContent-Type: c/d\r\n\r\n"),
    R(INVALID, GET "Cookie: a=b\r\nCookie: c=d\r\n\r\n"),
    R(INVALID, GET "Origin: http://a\r\nOrigin: http://b\r\n\r\n"),
    R(INVALID, GET "Idempotency-Key: a\r\nIdempotency-Key: a\r\n\r\n"),
    R(INVALID, GET "Plan-Key: a\r\nPlan-Key: b\r\n\r\n"),
    R(INVALID, GET "Plan-Step: 1\r\nPlan-Step: 2\r\n\r\n"),
};

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

static void expect_same(const struct row *row, const struct verdict *a, const struct verdict *b, size_t split)
{
    if (a->status == b->status && a->guard.code == b->guard.code && a->guard.reason == b->guard.reason &&
        a->guard.head_len == b->guard.head_len && a->guard.content_length == b->guard.content_length)
        return;
    fail_msg("split at %zu changes the verdict of: %s", split, row->raw);
}

void test_guard__refuses_and_accepts_by_the_table(void **state)
{
    (void)state;
    assert_true(ARRAY_LEN(ROWS) >= 150);
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        struct verdict v = feed(str_make(ROWS[i].raw, ROWS[i].len), ROWS[i].len, 1);
        enum err_code got = v.status == GUARD_BAD ? v.guard.code : ERR_OK;
        if (got != ROWS[i].want || v.status == GUARD_MORE)
            fail_msg("row %zu: got %s (%s), wanted %s: %s", i, err_slug(got),
                v.guard.reason ? v.guard.reason : "no reason", err_slug(ROWS[i].want), ROWS[i].raw);
        if (v.status == GUARD_DONE)
            assert_int_equal(v.guard.head_len, ROWS[i].len);
    }
}

void test_guard__verdict_does_not_depend_on_the_split(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        struct str raw = str_make(ROWS[i].raw, ROWS[i].len);
        struct verdict whole = feed(raw, raw.len, 1), bytes = feed(raw, 0, 1);
        expect_same(&ROWS[i], &whole, &bytes, 1);
        for (size_t at = 0; at < raw.len; at++) {
            struct verdict v = feed(raw, at, raw.len);
            expect_same(&ROWS[i], &whole, &v, at);
        }
    }
}

void test_guard__every_proper_prefix_of_a_good_head_wants_more(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        for (size_t len = 0; ROWS[i].want == ERR_OK && len < ROWS[i].len; len++) {
            struct verdict v = feed(str_make(ROWS[i].raw, len), len, 1);
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
