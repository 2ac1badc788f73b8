/* What replies carry: ids, errors, headers for browsers, the client's address. */
#include "lib/probe.h"
#include "lib/httpd.h"
#include "lib/unit.h"
#include "base/check.h"
#include "http/peer.h"

static struct httpd h;

int setup_http_reply(void **state)
{
    (void)state;
    httpd_start(&h, (struct http_options){.cors_origins = "https://a.example, https://b.example",
                        .trusted_proxies = "127.0.0.1, 10.0.0.1"});
    return 0;
}

int teardown_http_reply(void **state)
{
    (void)state;
    httpd_stop(&h);
    return 0;
}

#define WITH(header) S("GET /echo HTTP/1.1\r\nHost: a\r\n" header "\r\n\r\n")

void test_http_reply__a_fit_request_id_is_kept_and_another_replaced(void **state)
{
    (void)state;
    AUTO_REPLY kept = probe_ask(h.port, WITH("X-Request-Id: abc-DEF_0123"));
    expect_str(probe_header(&kept, "X-Request-Id"), "abc-DEF_0123");
    AUTO_REPLY shortest = probe_ask(h.port, WITH("X-Request-Id: ."));
    expect_str(probe_header(&shortest, "X-Request-Id"), ".");
#define LONGEST "0123456789012345678901234567890123456789012345678901234567890123"
    AUTO_REPLY longest = probe_ask(h.port, WITH("X-Request-Id: " LONGEST));
    expect_str(probe_header(&longest, "X-Request-Id"), LONGEST);
    static const char *const unfit[] = {"X-Request-Id: " LONGEST "4", "X-Request-Id: has space in it",
        "X-Request-Id: a/b/c/d/e/f", "X-Request-Id:", "X: y"};
    for (size_t i = 0; i < ARRAY_LEN(unfit); i++) {
        AUTO_STRBUF raw;
        strbuf_init(&raw, 256);
        strbuf_addf(&raw, "GET /echo HTTP/1.1\r\nHost: a\r\n%s\r\n\r\n", unfit[i]);
        AUTO_REPLY r = probe_ask(h.port, strbuf_str(&raw)), again = probe_ask(h.port, strbuf_str(&raw));
        struct str id = probe_header(&r, "X-Request-Id");
        assert_true(str_starts(id, S("req_")));
        assert_int_equal(id.len, 22);
        assert_false(str_eq(id, probe_header(&again, "X-Request-Id")));
    }
}

void test_http_reply__an_error_is_the_envelope(void **state)
{
    (void)state;
    AUTO_REPLY r = probe_ask(h.port, S("GET /error HTTP/1.1\r\nHost: a\r\nX-Request-Id: 12345678\r\n\r\n"));
    assert_int_equal(r.status, 400);
    expect_str(r.body,
        "{\"success\":false,\"error\":\"/a/0: must be \\\"quoted\\\"\",\"code\":\"invalid_request\","
        "\"pointer\":\"/a/0\",\"requestId\":\"12345678\"}");
    expect_str(probe_header(&r, "Retry-After"), "7");
    expect_str(probe_header(&r, "Content-Type"), "application/json");
    expect_str(probe_header(&r, "X-Content-Type-Options"), "nosniff");
    assert_int_equal(probe_header(&r, "Date").len, 29);
    assert_null(probe_header(&r, "Connection").ptr);
}

void test_http_reply__an_unknown_method_is_told_the_known_ones(void **state)
{
    (void)state;
    AUTO_REPLY r = probe_ask(h.port, S("TRACE / HTTP/1.1\r\nHost: a\r\n\r\n"));
    assert_int_equal(r.status, 405);
    expect_str(probe_header(&r, "Allow"), "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
    expect_str(probe_header(&r, "Connection"), "close");
}

void test_http_reply__head_has_the_length_of_get(void **state)
{
    (void)state;
    AUTO_REPLY r = probe_ask(h.port, S("HEAD /big?1234 HTTP/1.1\r\nHost: a\r\n\r\n"));
    assert_int_equal(r.status, 200);
    expect_str(probe_header(&r, "Content-Length"), "1234");
}

void test_http_reply__handlers_see_method_path_and_query(void **state)
{
    (void)state;
    AUTO_REPLY r = probe_ask(h.port, S("PATCH http://a//echo?x=%20&y HTTP/1.1\r\nHost: a\r\n\r\n"));
    expect_str(probe_header(&r, "X-Method"), "PATCH");
    expect_str(probe_header(&r, "X-Path"), "/echo");
    expect_str(probe_header(&r, "X-Query"), "x=%20&y");
    expect_str(probe_header(&r, "X-Type"), "none");
}

void test_http_reply__only_known_origins_may_read(void **state)
{
    (void)state;
    AUTO_REPLY known = probe_ask(h.port, WITH("Origin: https://b.example"));
    expect_str(probe_header(&known, "Access-Control-Allow-Origin"), "https://b.example");
    expect_str(probe_header(&known, "Access-Control-Expose-Headers"),
        "X-Request-Id, Retry-After, Content-Disposition, Idempotency-Replayed, Plan-Replayed, "
        "X-Import-Bytes, "
        "X-Export-Bytes-Estimate");
    expect_str(probe_header(&known, "Vary"), "Origin");
    AUTO_REPLY other = probe_ask(h.port, WITH("Origin: https://c.example"));
    assert_int_equal(other.status, 200);
    assert_null(probe_header(&other, "Access-Control-Allow-Origin").ptr);
    expect_str(probe_header(&other, "Vary"), "Origin");
}

#define PREFLIGHT(origin)                                                                                    \
    S("OPTIONS /v1/me HTTP/1.1\r\nHost: a\r\nOrigin: " origin                                                \
      "\r\nAccess-Control-Request-Method: POST\r\n\r\n")

void test_http_reply__preflights_are_answered(void **state)
{
    (void)state;
    AUTO_REPLY yes = probe_ask(h.port, PREFLIGHT("https://a.example"));
    assert_int_equal(yes.status, 204);
    expect_str(probe_header(&yes, "Access-Control-Allow-Origin"), "https://a.example");
    assert_non_null(probe_header(&yes, "Access-Control-Allow-Methods").ptr);
    assert_non_null(probe_header(&yes, "Access-Control-Allow-Headers").ptr);
    assert_null(probe_header(&yes, "Content-Length").ptr);
    AUTO_REPLY no = probe_ask(h.port, PREFLIGHT("https://c.example"));
    assert_int_equal(no.status, 204);
    assert_null(probe_header(&no, "Access-Control-Allow-Origin").ptr);
    assert_null(probe_header(&no, "Access-Control-Allow-Methods").ptr);
}

void test_http_reply__without_origins_nothing_is_said_of_them(void **state)
{
    (void)state;
    struct httpd bare, open;
    httpd_start(&bare, (struct http_options){.port = 0});
    httpd_start(&open, (struct http_options){.cors_origins = "*"});
    AUTO_REPLY none = probe_ask(bare.port, PREFLIGHT("https://a.example"));
    assert_int_equal(none.status, 404); /* the handler's business */
    assert_null(probe_header(&none, "Vary").ptr);
    AUTO_REPLY any = probe_ask(open.port, WITH("Origin: null"));
    expect_str(probe_header(&any, "Access-Control-Allow-Origin"), "*");
    httpd_stop(&bare);
    httpd_stop(&open);
}

struct forwarded {
    const char *headers, *want;
};

void test_http_reply__the_client_behind_trusted_proxies(void **state)
{
    (void)state;
    static const struct forwarded rows[] = {
        {"X: y", "127.0.0.1"},
        {"X-Forwarded-For: 192.0.2.7", "192.0.2.7"},
        {"X-Forwarded-For: 6.6.6.6, 192.0.2.7", "192.0.2.7"},
        {"X-Forwarded-For: 192.0.2.7, 10.0.0.1", "192.0.2.7"},
        {"X-Forwarded-For: 192.0.2.7,10.0.0.1 , 127.0.0.1", "192.0.2.7"},
        {"X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-For: 192.0.2.7", "192.0.2.7"},
        {"X-Forwarded-For: 2001:db8::1", "2001:db8::1"},
        {"X-Forwarded-For: 192.0.2.7, nonsense", "127.0.0.1"},
        {"X-Forwarded-For: ", "127.0.0.1"},
        {"X-Forwarded-For: ,", "127.0.0.1"},
        {"X-Forwarded-For: 192.0.2.7:80", "127.0.0.1"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        AUTO_STRBUF raw;
        strbuf_init(&raw, 256);
        strbuf_addf(&raw, "GET /echo HTTP/1.1\r\nHost: a\r\n%s\r\n\r\n", rows[i].headers);
        AUTO_REPLY r = probe_ask(h.port, strbuf_str(&raw));
        expect_row(str_eq(probe_header(&r, "X-Peer"), str_of(rows[i].want)), rows[i].headers);
    }
}

void test_http_reply__strangers_are_not_believed(void **state)
{
    (void)state;
    struct httpd bare;
    httpd_start(&bare, (struct http_options){.port = 0});
    AUTO_REPLY r = probe_ask(bare.port, WITH("X-Forwarded-For: 192.0.2.7"));
    expect_str(probe_header(&r, "X-Peer"), "127.0.0.1");
    httpd_stop(&bare);
}

void test_http_reply__listens_on_ipv6(void **state)
{
    (void)state;
    struct httpd six;
    httpd_start(&six, (struct http_options){.host = "[::]"});
    AUTO_REPLY r = probe_ask(six.port, WITH("X: y"));
    assert_int_equal(r.status, 200);
    expect_str(probe_header(&r, "X-Peer"), "127.0.0.1"); /* as IPv4, though it came to an IPv6 socket */
    httpd_stop(&six);
}

static size_t peer_key_len(const char *text)
{
    struct peer p;
    return peer_parse(str_of(text), &p) ? p.key_len : 0;
}

void test_http_reply__addresses_are_counted_by_site(void **state)
{
    (void)state;
    struct peer a, b, c;
    assert_int_equal(peer_key_len("192.0.2.1"), 4);
    assert_int_equal(peer_key_len("2001:db8::1"), 8);
    assert_int_equal(peer_key_len("::ffff:192.0.2.1"), 4);
    assert_int_equal(peer_key_len("192.0.2"), 0);
    assert_int_equal(peer_key_len(""), 0);
    assert_int_equal(peer_key_len("example.org"), 0);
    assert_int_equal(peer_key_len("2001:0db8:0000:0000:0000:0000:0000:0001 and more"), 0);
    assert_true(peer_parse(S("2001:db8:1:2::1"), &a) && peer_parse(S("2001:db8:1:2:ffff::9"), &b));
    assert_true(peer_parse(S("2001:db8:1:3::1"), &c));
    assert_true(str_eq(peer_key(&a), peer_key(&b)));
    assert_false(str_eq(peer_key(&a), peer_key(&c)));
    assert_true(peer_parse(S("::1"), &a) && a.loopback && peer_parse(S("127.9.9.9"), &b) && b.loopback);
    assert_false(c.loopback);
}
