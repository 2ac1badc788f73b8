/* Connections that are slow, many, gone or at their end. Each test has a server of its own with limits it can
 * reach quickly. */
#define _GNU_SOURCE /* RLIMIT_NOFILE tests dup3-free: F_DUPFD_CLOEXEC */
#include "lib/probe.h"
#include "lib/httpd.h"
#include "lib/tmpdir.h"
#include "lib/unit.h"
#include "base/check.h"
#include "base/clock.h"
#include <fcntl.h>
#include <sys/resource.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#define GET(path) "GET " path " HTTP/1.1\r\nHost: a\r\n\r\n"

enum { SHORT_US = 150000, FEW_MS = 20 };

static struct probe open_client(const struct httpd *h)
{
    struct probe c;
    assert_true(probe_open(&c, h->port));
    return c;
}

static struct probe open_narrow(const struct httpd *h)
{
    struct probe c;
    assert_true(probe_open_narrow(&c, h->port));
    return c;
}

static void expect_closed(struct probe *c)
{
    assert_false(probe_more(c));
    assert_int_equal(c->in.len, 0);
    probe_close(c);
}

static void expect_status(struct probe *c, int status)
{
    AUTO_REPLY r = probe_take(c, false);
    assert_int_equal(r.status, status);
    assert_true(r.whole);
}

/* Sends a byte whenever `FEW_MS` passed without an answer: never silent, never finished. */
static void drip(struct probe *c)
{
    for (int i = 0; i < 10000 && !probe_wait(c, FEW_MS); i++)
        (void)probe_send(c, S("x"));
}

void test_http_life__a_dripping_head_gets_408(void **state)
{
    (void)state;
    struct httpd h;
    httpd_start(&h, (struct http_options){.deadlines.head_us = SHORT_US});
    struct probe c = open_client(&h);
    assert_true(probe_send(&c, S("GET / HTTP/1.1\r\nX: ")));
    drip(&c);
    expect_status(&c, 408);
    expect_closed(&c);
    assert_int_equal(httpd_stats(&h).timeouts, 1);
    httpd_stop(&h);
}

void test_http_life__a_head_on_a_used_connection_has_the_deadline_too(void **state)
{
    (void)state;
    struct httpd h;
    httpd_start(&h, (struct http_options){.deadlines.head_us = SHORT_US});
    struct probe c = open_client(&h);
    assert_true(probe_send(&c, S(GET("/echo") GET("/later") "GET / HT")));
    expect_status(&c, 200);
    expect_status(&c, 200);
    expect_status(&c, 408);
    expect_closed(&c);
    httpd_stop(&h);
}

void test_http_life__a_dripping_body_gets_408(void **state)
{
    (void)state;
    struct httpd h;
    httpd_start(&h, (struct http_options){.deadlines = {.body_us = SHORT_US, .per_kb_us = 1}});
    struct probe c = open_client(&h);
    assert_true(probe_send(&c, S("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5000000\r\n\r\n")));
    drip(&c);
    expect_status(&c, 408);
    expect_closed(&c);
    httpd_stop(&h);
}

void test_http_life__bytes_of_a_body_buy_time(void **state)
{
    (void)state;
    struct httpd h;
    httpd_start(&h, (struct http_options){.deadlines = {.body_us = SHORT_US, .per_kb_us = 3600000000}});
    struct probe c = open_client(&h);
    assert_true(probe_send(&c, S("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1010\r\n\r\n")));
    for (int i = 0; i < 1000; i++)
        assert_true(probe_send(&c, S("x")));
    assert_false(probe_wait(&c, 3 * SHORT_US / 1000)); /* what must not happen can only be waited for */
    assert_true(probe_send(&c, S("0123456789")));
    expect_status(&c, 200);
    probe_close(&c);
    httpd_stop(&h);
}

void test_http_life__idle_connections_are_closed_without_a_word(void **state)
{
    (void)state;
    struct httpd h;
    httpd_start(&h, (struct http_options){.deadlines.idle_us = SHORT_US});
    struct probe fresh = open_client(&h), used = open_client(&h);
    assert_true(probe_send(&used, S(GET("/echo"))));
    expect_status(&used, 200);
    expect_closed(&fresh);
    expect_closed(&used);
    assert_true(httpd_wait(&h, HTTPD_OPEN, 0));
    httpd_stop(&h);
}

void test_http_life__a_pending_answer_has_no_deadline_here(void **state)
{
    (void)state;
    struct httpd h;
    httpd_start(&h,
        (struct http_options){.deadlines = {.idle_us = SHORT_US, .head_us = SHORT_US, .write_us = SHORT_US}});
    struct probe c = open_client(&h);
    assert_true(probe_send(&c, S(GET("/hold"))));
    assert_false(probe_wait(&c, 3 * SHORT_US / 1000));
    httpd_release(&h);
    expect_status(&c, 200);
    probe_close(&c);
    httpd_stop(&h);
}

void test_http_life__a_client_that_does_not_read_is_dropped(void **state)
{
    (void)state;
    struct httpd h;
    httpd_start(&h, (struct http_options){.deadlines.write_us = SHORT_US});
    struct probe c = open_narrow(&h);
    assert_true(probe_send(&c, S(GET("/take?40000000"))));
    assert_true(httpd_wait_more(&h, HTTPD_ACCEPTED, 0));
    assert_true(httpd_wait(&h, HTTPD_OPEN, 0));
    probe_read_all(&c);
    assert_true(c.in.len < 40000000);
    probe_close(&c);
    assert_int_equal(httpd_stats(&h).timeouts, 1);
    httpd_stop(&h);
}

void test_http_life__a_trickling_reader_meets_the_total_deadline(void **state)
{
    (void)state;
    struct httpd h;
    httpd_start(&h, (struct http_options){.deadlines = {.write_us = SHORT_US, .per_kb_us = 1}});
    struct probe c = open_narrow(&h);
    assert_true(probe_send(&c, S(GET("/take?40000000"))));
    while (
        probe_wait(&c, FEW_MS) && httpd_stats(&h).timeouts == 0) { /* progress all the time, yet too slow */
        char some[4096];
        assert_true(recv(c.fd, some, sizeof some, 0) > 0);
        poll(NULL, 0, 1); /* 40 MB would take ten seconds at this pace */
    }
    assert_true(httpd_wait(&h, HTTPD_OPEN, 0));
    assert_int_equal(httpd_stats(&h).timeouts, 1);
    probe_close(&c);
    httpd_stop(&h);
}

void test_http_life__a_silent_tls_client_is_dropped(void **state)
{
    (void)state;
    struct httpd h;
    AUTO_TMPDIR dir;
    tmpdir_init(&dir);
    const char *cert = tmpdir_path(&dir, "cert"), *key = tmpdir_path(&dir, "key");
    probe_make_certificate("life", cert, key);
    httpd_start(
        &h, (struct http_options){.tls_cert = cert, .tls_key = key, .deadlines.handshake_us = SHORT_US});
    struct probe silent = open_client(&h), wrong = open_client(&h);
    assert_true(probe_send(&wrong, S(GET("/echo"))));
    expect_closed(&silent);
    probe_read_all(&wrong); /* an alert, perhaps */
    probe_close(&wrong);
    assert_true(httpd_wait(&h, HTTPD_OPEN, 0));
    httpd_stop(&h);
}

void test_http_life__one_address_has_a_limit(void **state)
{
    (void)state;
    struct httpd h;
    struct probe c[4];
    httpd_start(&h, (struct http_options){.connections_per_ip_max = 3, .limit_loopback = true});
    for (int i = 0; i < 3; i++) {
        c[i] = open_client(&h);
        assert_true(probe_send(&c[i], S(GET("/echo"))));
        expect_status(&c[i], 200);
    }
    c[3] = open_client(&h);
    AUTO_REPLY r = probe_take(&c[3], false);
    assert_int_equal(r.status, 429);
    expect_str(probe_header(&r, "Retry-After"), "1");
    expect_str(probe_header(&r, "Connection"), "close");
    expect_closed(&c[3]);
    assert_int_equal(httpd_stats(&h).refused_ip, 1);
    probe_close(&c[0]);
    assert_true(httpd_wait(&h, HTTPD_OPEN, 2));
    c[0] = open_client(&h);
    assert_true(probe_send(&c[0], S(GET("/echo"))));
    expect_status(&c[0], 200);
    for (int i = 0; i < 3; i++)
        probe_close(&c[i]);
    httpd_stop(&h);
}

void test_http_life__loopback_is_exempt_from_the_limit_of_an_address(void **state)
{
    (void)state;
    struct httpd h;
    struct probe c[4];
    httpd_start(&h, (struct http_options){.connections_per_ip_max = 1});
    for (int i = 0; i < 4; i++) {
        c[i] = open_client(&h);
        assert_true(probe_send(&c[i], S(GET("/echo"))));
        expect_status(&c[i], 200);
    }
    for (int i = 0; i < 4; i++)
        probe_close(&c[i]);
    httpd_stop(&h);
}

void test_http_life__the_server_has_a_limit(void **state)
{
    (void)state;
    struct httpd h;
    httpd_start(&h, (struct http_options){.connections_max = 2});
    struct probe a = open_client(&h), b = open_client(&h);
    assert_true(httpd_wait(&h, HTTPD_OPEN, 2));
    struct probe over = open_client(&h);
    AUTO_REPLY r = probe_take(&over, false);
    assert_int_equal(r.status, 503);
    expect_str(probe_header(&r, "Retry-After"), "1");
    expect_closed(&over);
    assert_int_equal(httpd_stats(&h).refused_full, 1);
    assert_true(probe_send(&a, S(GET("/echo"))));
    expect_status(&a, 200);
    probe_close(&a);
    probe_close(&b);
    httpd_stop(&h);
}

void test_http_life__running_out_of_descriptors_is_survived(void **state)
{
    (void)state;
    struct httpd h;
    struct rlimit before, few;
    int taken[256];
    unsigned n = 0;
    struct probe c;
    httpd_start(&h, (struct http_options){.port = 0});
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    few = before;
    few.rlim_cur = 200;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    while (n < ARRAY_LEN(taken) && (taken[n] = fcntl(0, F_DUPFD_CLOEXEC, 0)) >= 0)
        n++;
    assert_true(n > 1 && n < ARRAY_LEN(taken));
    close(taken[--n]); /* for the client's end */
    assert_true(probe_open(&c, h.port));
    expect_closed(&c);
    while (n > 0)
        close(taken[--n]);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_true(httpd_stats(&h).refused_full >= 1);
    c = open_client(&h);
    assert_true(probe_send(&c, S(GET("/echo"))));
    expect_status(&c, 200);
    probe_close(&c);
    httpd_stop(&h);
}

void test_http_life__connections_are_reused_up_to_their_limit(void **state)
{
    (void)state;
    struct httpd h;
    httpd_start(&h, (struct http_options){.requests_per_connection_max = 5});
    struct probe c = open_client(&h);
    for (int i = 1; i <= 5; i++) {
        assert_true(probe_send(&c, S(GET("/later"))));
        AUTO_REPLY r = probe_take(&c, false);
        assert_int_equal(r.status, 200);
        assert_int_equal(probe_header(&r, "Connection").ptr != NULL, i == 5);
    }
    expect_closed(&c);
    assert_int_equal(httpd_stats(&h).accepted, 1);
    httpd_stop(&h);
}

static void hold_one(struct httpd *h, struct probe *c)
{
    assert_true(probe_send(c, S(GET("/hold"))));
    assert_true(httpd_wait(h, HTTPD_HELD, 1));
    assert_int_equal(httpd_count(h, HTTPD_GONE), 0);
}

void test_http_life__a_client_that_leaves_is_noticed(void **state)
{
    (void)state;
    for (int reset = 0; reset < 2; reset++) {
        struct httpd h;
        httpd_start(&h, (struct http_options){.port = 0});
        struct probe c = open_client(&h);
        hold_one(&h, &c);
        if (reset)
            probe_abort(&c);
        else
            probe_close(&c);
        assert_true(httpd_wait(&h, HTTPD_GONE, 1));
        assert_int_equal(httpd_count(&h, HTTPD_REQUESTS), 1); /* the request lives until it is answered */
        httpd_release(&h);
        assert_int_equal(httpd_count(&h, HTTPD_GONE), 1);
        assert_true(httpd_wait(&h, HTTPD_OPEN, 0));
        httpd_stop(&h);
    }
}

void test_http_life__leaving_is_noticed_behind_requests_sent_ahead(void **state)
{
    (void)state;
    struct httpd h;
    httpd_start(&h, (struct http_options){.port = 0});
    struct probe c = open_client(&h);
    hold_one(&h, &c);
    assert_true(probe_send(&c, S(GET("/echo") GET("/echo"))));
    probe_close(&c);
    assert_true(httpd_wait(&h, HTTPD_GONE, 1));
    httpd_release(&h);
    assert_true(httpd_wait(&h, HTTPD_OPEN, 0));
    httpd_stop(&h);
}

void test_http_life__a_half_closed_client_still_gets_its_answer(void **state)
{
    (void)state;
    struct httpd h;
    httpd_start(&h, (struct http_options){.port = 0});
    struct probe c = open_client(&h);
    hold_one(&h, &c);
    probe_end(&c);
    assert_true(httpd_wait(&h, HTTPD_GONE, 1));
    httpd_release(&h);
    expect_status(&c, 200);
    expect_closed(&c);
    httpd_stop(&h);
}

void test_http_life__an_answered_request_is_not_told(void **state)
{
    (void)state;
    struct httpd h;
    httpd_start(&h, (struct http_options){.port = 0});
    struct probe c = open_client(&h);
    hold_one(&h, &c);
    httpd_release(&h);
    expect_status(&c, 200);
    probe_close(&c);
    assert_true(httpd_wait(&h, HTTPD_OPEN, 0));
    assert_int_equal(httpd_count(&h, HTTPD_GONE), 0);
    httpd_stop(&h);
}

void test_http_life__requests_sent_ahead_wait_in_bounded_memory(void **state)
{
    (void)state;
    struct httpd h;
    httpd_start(&h, (struct http_options){.port = 0});
    struct probe c = open_client(&h);
    hold_one(&h, &c);
    int flags = fcntl(c.fd, F_GETFL);
    assert_int_equal(fcntl(c.fd, F_SETFL, flags | O_NONBLOCK), 0);
    size_t sent = 0;
    while (sent < ((size_t)64 << 20) && probe_send(&c, S(GET("/echo"))))
        sent += sizeof GET("/echo") - 1;
    assert_true(sent < (size_t)64 << 20);           /* the kernel's buffers are full … */
    assert_true(httpd_stats(&h).bytes_in < 100000); /* … because we took no more than a head or two */
    probe_abort(&c);
    httpd_release(&h);
    assert_true(httpd_wait(&h, HTTPD_OPEN, 0));
    httpd_stop(&h);
}

void test_http_life__a_stream_waits_for_its_reader(void **state)
{
    (void)state;
    struct httpd h;
    const size_t total = (size_t)48 << 20;
    httpd_start(&h, (struct http_options){.port = 0});
    struct probe c = open_narrow(&h);
    assert_true(probe_send(&c, S(GET("/stream?50331648"))));
    assert_true(probe_more(&c));
    unsigned long made = 0; /* until two looks in a row see the same */
    for (unsigned long now = 1; now != made; now = httpd_count(&h, HTTPD_PRODUCED)) {
        made = now;
        (void)probe_wait(&c, 0);
    }
    assert_true(made < total / 2); /* what the kernel buffers, and one chunk */
    AUTO_REPLY r = probe_take(&c, false);
    assert_true(r.whole);
    assert_int_equal(r.body.len, total);
    for (size_t i = 0; i < total; i += 4093)
        assert_int_equal(r.body.ptr[i], httpd_byte(i));
    probe_close(&c);
    httpd_stop(&h);
}

void test_http_life__a_stalled_stream_is_ended_and_told(void **state)
{
    (void)state;
    struct httpd h;
    httpd_start(&h, (struct http_options){.deadlines.write_us = SHORT_US});
    struct probe c = open_narrow(&h);
    assert_true(probe_send(&c, S("GET /chunked?50331648 HTTP/1.1\r\nHost: a\r\nX-Watch: y\r\n\r\n")));
    assert_true(httpd_wait(&h, HTTPD_GONE, 1));
    assert_true(httpd_wait(&h, HTTPD_OPEN, 0));
    probe_close(&c);
    httpd_stop(&h);
}

void test_http_life__a_stream_whose_reader_leaves_goes_on_without_harm(void **state)
{
    (void)state;
    static const char *const requests[] = {"GET /stream?50331648 HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /chunked?50331648 HTTP/1.1\r\nHost: a\r\nX-Watch: y\r\n\r\n"};
    for (size_t i = 0; i < ARRAY_LEN(requests); i++) {
        struct httpd h;
        httpd_start(&h, (struct http_options){.port = 0});
        struct probe c = open_client(&h);
        assert_true(probe_send(&c, str_of(requests[i])));
        assert_true(probe_more(&c));
        probe_abort(&c);
        assert_true(httpd_wait(&h, HTTPD_REQUESTS, 0));
        assert_true(httpd_wait(&h, HTTPD_OPEN, 0));
        assert_int_equal(httpd_count(&h, HTTPD_GONE), i); /* told where it asked to be */
        httpd_stop(&h);
    }
}

void test_http_life__an_aborted_stream_is_seen_as_cut(void **state)
{
    (void)state;
    static const char *const requests[] = {GET("/cut?1000000"), GET("/cutchunked?1000000")};
    struct httpd h;
    httpd_start(&h, (struct http_options){.port = 0});
    for (size_t i = 0; i < ARRAY_LEN(requests); i++) {
        struct probe c = open_client(&h);
        assert_true(probe_send(&c, str_of(requests[i])));
        AUTO_REPLY r = probe_take(&c, false);
        assert_int_equal(r.status, 200);
        assert_false(r.whole);
        assert_true(r.body.len < 1000000);
        probe_close(&c);
    }
    httpd_stop(&h);
}

void test_http_life__draining_finishes_what_runs(void **state)
{
    (void)state;
    struct httpd h;
    struct probe late;
    httpd_start(&h, (struct http_options){.port = 0});
    struct probe idle = open_client(&h), busy = open_client(&h), half = open_client(&h);
    assert_true(probe_send(&half, S("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\na")));
    hold_one(&h, &busy);
    assert_true(httpd_wait(&h, HTTPD_OPEN, 3));
    httpd_drain(&h);
    expect_closed(&idle);
    late = open_client(&h);
    assert_true(probe_send(&late, S("GET /echo HTTP/1.1\r\nHost: a\r\n\r\n")));
    AUTO_REPLY last = probe_take(&late, false);
    assert_int_equal(last.status, 200);
    expect_str(probe_header(&last, "Connection"), "close");
    expect_closed(&late);
    struct probe unused = open_client(&h);
    assert_true(httpd_wait(&h, HTTPD_OPEN, 3));
    httpd_stop_listening(&h);
    expect_closed(&unused);
    assert_false(probe_open(&late, h.port));
    assert_int_equal(httpd_count(&h, HTTPD_REQUESTS), 1);
    httpd_release(&h);
    AUTO_REPLY r = probe_take(&busy, false);
    assert_int_equal(r.status, 200);
    expect_str(probe_header(&r, "Connection"), "close");
    expect_closed(&busy);
    assert_true(probe_send(&half, S("bc")));
    expect_status(&half, 200);
    expect_closed(&half);
    assert_true(httpd_wait(&h, HTTPD_OPEN, 0));
    httpd_stop(&h);
}

void test_http_life__what_it_cannot_listen_with_is_an_error(void **state)
{
    (void)state;
    struct httpd h;
    struct loop *l;
    struct http_server *s;
    struct err err = ERR_INIT;
    httpd_start(&h, (struct http_options){.port = 0});
    assert_int_equal(loop_new(&l, &err), ERR_OK);
    struct http_options taken = {.host = "127.0.0.1", .port = h.port}, nowhere = {.host = "no such host"},
                        proxies = {.host = "127.0.0.1", .trusted_proxies = "10.0.0.1, x"},
                        origins = {.host = "127.0.0.1"};
    assert_int_equal(http_server_new(l, &taken, &s, &err), ERR_UNAVAILABLE);
    assert_int_equal(http_server_new(l, &nowhere, &s, &err), ERR_INVALID);
    assert_int_equal(http_server_new(l, &proxies, &s, &err), ERR_INVALID);
    expect_str(str_of(err.message), "trusted proxies: \" x\" is not a numeric address");
    static const char *const BAD[] = {"foo", "https://", "://x", "https://a/", "https://*.a", "*,https://a",
        "https://a https://b", "https://a,,https://b", "null"};
    for (size_t i = 0; i < ARRAY_LEN(BAD); i++) {
        origins.cors_origins = BAD[i];
        assert_int_equal(http_server_new(l, &origins, &s, &err), ERR_INVALID);
        assert_non_null(strstr(err.message, "is not an origin like https://app.example.com"));
    }
    loop_free(l);
    httpd_stop(&h);
}
