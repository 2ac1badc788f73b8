/* Bodies that their handler takes in pieces: what it gets, what it costs, and how such a request ends. */
#include "lib/httpd.h"
#include "lib/probe.h"
#include "lib/tmpdir.h"
#include "lib/unit.h"
#include "base/mem.h"

#define UP(path, length) "POST " path " HTTP/1.1\r\nHost: a\r\nContent-Length: " #length "\r\n\r\n"
#define UP_CHUNKED(path) "POST " path " HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
#define GET              "GET /echo HTTP/1.1\r\nHost: a\r\n\r\n"

enum { SHORT_US = 150000, PIECE = 128 << 10, MIB = 1 << 20 };

static struct probe open_client(const struct httpd *h)
{
    struct probe c;
    assert_true(probe_open(&c, h->port));
    return c;
}

static void expect_closed(struct probe *c)
{
    assert_false(probe_more(c));
    assert_int_equal(c->in.len, 0);
    probe_close(c);
}

/* Sends `total` bytes of httpd_byte(), framed as chunks of `chunk` bytes, or plainly when that is 0. Returns
 * their hash. */
static uint64_t send_body(struct probe *c, size_t total, size_t chunk)
{
    uint64_t hash = 0;
    size_t step = chunk ? chunk : 50000;
    AUTO_STRBUF sb;
    strbuf_init(&sb, step + 100);
    for (size_t at = 0, n; at < total; at += n) {
        n = total - at < step ? total - at : step;
        strbuf_reset(&sb);
        if (chunk)
            strbuf_addf(&sb, "%zx\r\n", n);
        size_t from = sb.len;
        for (size_t i = 0; i < n; i++)
            strbuf_add_char(&sb, httpd_byte(at + i));
        hash = httpd_hash(hash, str_slice(strbuf_str(&sb), from, sb.len));
        if (chunk)
            strbuf_add_cstr(&sb, "\r\n");
        assert_true(probe_send(c, strbuf_str(&sb)));
    }
    if (chunk)
        assert_true(probe_send(c, S("0\r\n\r\n")));
    return hash;
}

static void expect_uploaded(struct probe *c, size_t total, uint64_t hash)
{
    char want[64];
    AUTO_REPLY r = probe_take(c, false);
    str_print(want, sizeof want, "%zu %llx", total, (unsigned long long)hash);
    assert_int_equal(r.status, 200);
    expect_str(r.body, want);
}

static void send_and_expect(struct probe *c, size_t total, size_t chunk)
{
    AUTO_STRBUF head;
    strbuf_init(&head, 200);
    if (chunk)
        strbuf_add_cstr(&head, UP_CHUNKED("/up"));
    else
        strbuf_addf(&head, "POST /up HTTP/1.1\r\nHost: a\r\nContent-Length: %zu\r\n\r\n", total);
    assert_true(probe_send(c, strbuf_str(&head)));
    expect_uploaded(c, total, send_body(c, total, chunk));
}

static void whole_bodies(struct probe *c)
{
    static const size_t sizes[] = {1, 100, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE, 1000000};
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) { /* all on one connection */
        send_and_expect(c, sizes[i], 0);
        send_and_expect(c, sizes[i], 77777);
        send_and_expect(c, sizes[i] % 5000, 3);
    }
    probe_close(c);
}

void test_http_upload__every_byte_arrives_in_order(void **state)
{
    struct httpd h;
    (void)state;
    httpd_start(&h, (struct http_options){.port = 0});
    struct probe c = open_client(&h);
    whole_bodies(&c);
    assert_int_equal(httpd_count(&h, HTTPD_WIDEST), PIECE);
    httpd_stop(&h);
}

void test_http_upload__over_tls_too(void **state)
{
    AUTO_TMPDIR dir;
    struct httpd h;
    struct probe c;
    (void)state;
    tmpdir_init(&dir);
    const char *cert = tmpdir_path(&dir, "cert"), *key = tmpdir_path(&dir, "key");
    probe_make_certificate("localhost", cert, key);
    httpd_start(&h, (struct http_options){.tls_cert = cert, .tls_key = key});
    assert_true(probe_open_tls(&c, h.port));
    whole_bodies(&c);
    httpd_stop(&h);
}

/* While the handler does not ask, nothing is read beyond the piece it has. */
void test_http_upload__a_slow_handler_makes_the_client_wait(void **state)
{
    struct httpd h;
    (void)state;
    httpd_start(&h, (struct http_options){.port = 0});
    struct probe c = open_client(&h);
    assert_true(probe_send(&c, S(UP("/upslow", 600000))));
    uint64_t hash = send_body(&c, 600000, 0);
    for (unsigned piece = 1; piece <= 5; piece++) {
        assert_true(httpd_wait(&h, HTTPD_PIECES, piece));
        assert_true(httpd_stats(&h).bytes_in <= piece * PIECE + (32u << 10));
        httpd_release(&h);
    }
    expect_uploaded(&c, 600000, hash);
    assert_int_equal(httpd_count(&h, HTTPD_PIECES), 5);
    probe_close(&c);
    httpd_stop(&h);
}

void test_http_upload__a_refusal_comes_before_the_body_and_ends_the_connection(void **state)
{
    struct httpd h;
    (void)state;
    httpd_start(&h, (struct http_options){.port = 0});
    struct probe c = open_client(&h);
    assert_true(probe_send(&c, S("POST /upno HTTP/1.1\r\nHost: a\r\nContent-Length: 60000000\r\n"
                                 "Expect: 100-continue\r\n\r\n")));
    AUTO_REPLY r = probe_take(&c, false);
    assert_int_equal(r.status, 403);
    expect_str(probe_header(&r, "Connection"), "close");
    expect_closed(&c);
    assert_true(httpd_stats(&h).bytes_in < 1000);
    httpd_stop(&h);
}

void test_http_upload__continue_is_said_once_and_only_when_asked_for(void **state)
{
    struct httpd h;
    (void)state;
    httpd_start(&h, (struct http_options){.port = 0});
    struct probe c = open_client(&h);
    assert_true(probe_send(
        &c, S("POST /up HTTP/1.1\r\nHost: a\r\nContent-Length: 300000\r\nExpect: 100-continue\r\n\r\n")));
    AUTO_REPLY go = probe_take(&c, true);
    assert_int_equal(go.status, 100);
    expect_uploaded(&c, 300000, send_body(&c, 300000, 0));
    send_and_expect(&c, 300000, 0);
    probe_close(&c);
    httpd_stop(&h);
}

void test_http_upload__a_client_that_leaves_fails_it(void **state)
{
    struct httpd h;
    (void)state;
    httpd_start(&h, (struct http_options){.port = 0});
    struct probe a = open_client(&h), b = open_client(&h), c = open_client(&h);
    assert_true(probe_send(&a, S(UP("/up", 600000) "abc")));
    assert_true(probe_send(&b, S(UP_CHUNKED("/up") "5\r\nab")));
    assert_true(probe_send(&c, S(UP("/upslow", 600000))));
    (void)send_body(&c, 300000, 0);
    assert_true(httpd_wait(&h, HTTPD_REQUESTS, 3));
    assert_true(httpd_wait(&h, HTTPD_PIECES, 1));
    probe_close(&a);
    assert_true(httpd_wait(&h, HTTPD_FAILED, 1));
    probe_abort(&b);
    assert_true(httpd_wait(&h, HTTPD_FAILED, 2));
    probe_abort(&c); /* while its handler is busy with a piece: it learns when it asks for the next */
    for (int i = 0; i < 10000 && httpd_count(&h, HTTPD_FAILED) < 3; i++)
        httpd_release(&h);
    assert_true(httpd_wait(&h, HTTPD_OPEN, 0));
    assert_int_equal(httpd_count(&h, HTTPD_FAILED), 3);
    httpd_stop(&h);
}

void test_http_upload__half_a_body_and_an_end_is_no_whole_body(void **state)
{
    struct httpd h;
    (void)state;
    httpd_start(&h, (struct http_options){.port = 0});
    struct probe c = open_client(&h);
    assert_true(probe_send(&c, S(UP("/up", 600000) "abc")));
    probe_end(&c);
    AUTO_REPLY r = probe_take(&c, false);
    assert_int_equal(r.status, 400);
    expect_closed(&c);
    assert_int_equal(httpd_count(&h, HTTPD_FAILED), 1);
    httpd_stop(&h);
}

void test_http_upload__a_body_that_stops_coming_gets_408(void **state)
{
    struct httpd h;
    (void)state;
    httpd_start(&h, (struct http_options){.deadlines = {.body_us = SHORT_US, .per_kb_us = 1}});
    struct probe c = open_client(&h);
    assert_true(probe_send(&c, S(UP("/up", 600000))));
    (void)send_body(&c, 200000, 0); /* a piece, and then nothing */
    AUTO_REPLY r = probe_take(&c, false);
    assert_int_equal(r.status, 408);
    expect_closed(&c);
    assert_int_equal(httpd_count(&h, HTTPD_FAILED), 1);
    assert_int_equal(httpd_stats(&h).timeouts, 1);
    httpd_stop(&h);
}

/* The handler's own time is not the client's. */
void test_http_upload__a_slow_handler_costs_the_client_no_time(void **state)
{
    struct httpd h;
    (void)state;
    httpd_start(&h, (struct http_options){.deadlines = {.body_us = 4 * SHORT_US, .per_kb_us = 1}});
    struct probe c = open_client(&h);
    assert_true(probe_send(&c, S(UP("/upslow", 400000))));
    uint64_t hash = send_body(&c, 400000, 0);
    for (unsigned piece = 1; piece <= 4; piece++) {
        assert_true(httpd_wait(&h, HTTPD_PIECES, piece));
        assert_false(
            probe_wait(&c, 2 * SHORT_US / 1000)); /* 408 must not come: that can only be waited for */
        httpd_release(&h);
    }
    expect_uploaded(&c, 400000, hash);
    probe_close(&c);
    httpd_stop(&h);
}

void test_http_upload__a_limit_holds_for_chunks_too_and_is_named(void **state)
{
    struct httpd h;
    (void)state;
    httpd_start(&h, (struct http_options){.port = 0});
    struct probe c = open_client(&h);
    char *block = mem_array(MIB, 1);
    memset(block, 'x', MIB);
    assert_true(probe_send(&c, S(UP_CHUNKED("/up") "4000001\r\n")));
    for (size_t at = 0; at < HTTPD_UP_MAX; at += MIB)
        assert_true(probe_send(&c, str_make(block, MIB)));
    mem_free(block);
    assert_true(probe_send(&c, S("x")));
    AUTO_REPLY r = probe_take(&c, false);
    assert_int_equal(r.status, 413);
    assert_non_null(strstr(strbuf_cstr(&r.own), "larger than the 67108864 bytes"));
    probe_close(&c);
    AUTO_REPLY announced = probe_ask(h.port, S(UP("/small", 11)));
    assert_int_equal(announced.status, 413);
    assert_non_null(strstr(strbuf_cstr(&announced.own), "body of 11 bytes is larger than the 10 "));
    assert_int_equal(httpd_count(&h, HTTPD_FAILED), 1);
    httpd_stop(&h);
}

void test_http_upload__requests_behind_it_wait_their_turn(void **state)
{
    struct httpd h;
    (void)state;
    httpd_start(&h, (struct http_options){.port = 0});
    struct probe c = open_client(&h);
    assert_true(
        probe_send(&c, S(UP("/upslow", 3) "abc" GET UP_CHUNKED("/upslow") "1\r\nx\r\n0\r\n\r\n" GET)));
    static const char *const want[] = {"3 ", "", "1 ", ""};
    for (size_t i = 0; i < ARRAY_LEN(want); i++) {
        if (want[i][0])
            assert_true(httpd_wait(&h, HTTPD_PIECES, i / 2 + 1));
        httpd_release(&h);
        AUTO_REPLY r = probe_take(&c, false);
        assert_int_equal(r.status, 200);
        assert_true(str_starts(r.body, str_of(want[i])));
    }
    probe_close(&c);
    httpd_stop(&h);
}
