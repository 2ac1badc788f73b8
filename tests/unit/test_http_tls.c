/* TLS: versions, reload, renegotiation, and that a client that leaves is noticed there too. */
#include "lib/probe.h"
#include "lib/httpd.h"
#include "lib/tmpdir.h"
#include "lib/unit.h"
#include "base/check.h"
#include <openssl/ssl.h>

static struct tmpdir dir;
static struct httpd h;

int setup_http_tls(void **state)
{
    (void)state;
    tmpdir_init(&dir);
    probe_make_certificate("first", tmpdir_path(&dir, "cert"), tmpdir_path(&dir, "key"));
    httpd_start(&h,
        (struct http_options){.tls_cert = tmpdir_path(&dir, "cert"), .tls_key = tmpdir_path(&dir, "key")});
    return 0;
}

int teardown_http_tls(void **state)
{
    (void)state;
    httpd_stop(&h);
    tmpdir_release(&dir);
    return 0;
}

#define GET(path) S("GET " path " HTTP/1.1\r\nHost: a\r\n\r\n")

static void expect_served(struct probe *c)
{
    assert_true(probe_send(c, GET("/echo")));
    AUTO_REPLY r = probe_take(c, false);
    assert_int_equal(r.status, 200);
}

void test_http_tls__streams_and_large_replies_arrive_whole(void **state)
{
    (void)state;
    static const char *const paths[] = {
        "/take?9000000", "/big?9000000", "/stream?9000000", "/chunked?9000000"};
    struct probe c;
    assert_true(probe_open_tls(&c, h.port));
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        AUTO_STRBUF raw;
        strbuf_init(&raw, 256);
        strbuf_addf(&raw, "GET %s HTTP/1.1\r\nHost: a\r\n\r\n", paths[i]);
        assert_true(probe_send(&c, strbuf_str(&raw)));
        AUTO_REPLY r = probe_take(&c, false);
        assert_true(r.whole);
        assert_int_equal(r.body.len, 9000000);
        for (size_t at = 0; at < r.body.len; at += 997)
            assert_int_equal(r.body.ptr[at], httpd_byte(at));
    }
    probe_close(&c);
}

void test_http_tls__a_client_that_leaves_is_noticed(void **state)
{
    (void)state;
    for (int how = 0; how < 3; how++) {
        struct probe c;
        unsigned long before = httpd_count(&h, HTTPD_GONE);
        assert_true(probe_open_tls(&c, h.port));
        assert_true(probe_send(&c, GET("/hold")));
        assert_true(httpd_wait(&h, HTTPD_HELD, 1));
        if (how == 0)
            probe_end(&c); /* with a word of goodbye */
        else if (how == 1)
            probe_abort(&c);
        else
            probe_close(&c);
        assert_true(httpd_wait(&h, HTTPD_GONE, before + 1));
        httpd_release(&h);
        if (how == 0) {
            AUTO_REPLY r = probe_take(&c, false);
            assert_int_equal(r.status, 200);
            probe_close(&c);
        }
        assert_true(httpd_wait(&h, HTTPD_OPEN, 0));
    }
}

void test_http_tls__reload_serves_the_new_certificate_and_keeps_old_connections(void **state)
{
    (void)state;
    struct probe old, fresh;
    char name[64];
    struct err err = ERR_INIT;
    assert_true(probe_open_tls(&old, h.port));
    expect_served(&old);
    probe_make_certificate("second", tmpdir_path(&dir, "cert"), tmpdir_path(&dir, "key"));
    assert_int_equal(httpd_reload_tls(&h, &err), ERR_OK);
    assert_true(probe_open_tls(&fresh, h.port));
    probe_peer_name(&fresh, name, sizeof name);
    assert_string_equal(name, "second");
    expect_served(&fresh);
    expect_served(&old);
    probe_close(&old);
    probe_close(&fresh);
}

void test_http_tls__a_broken_certificate_is_refused_and_the_old_one_stays(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct probe c;
    AUTO_STRBUF good;
    strbuf_init(&good, 1 << 16);
    const char *cert = tmpdir_path(&dir, "cert");
    assert_int_equal(fs_read_all(cert, 1 << 16, &good, &err), ERR_OK);
    assert_int_equal(fs_write_atomic(cert, S("not a certificate"), 0600, &err), ERR_OK);
    assert_int_equal(httpd_reload_tls(&h, &err), ERR_INVALID);
    assert_true(str_starts(str_of(err.message), S("the TLS certificate: ")));
    assert_int_equal(fs_write_atomic(cert, strbuf_str(&good), 0600, &err), ERR_OK);
    assert_true(probe_open_tls(&c, h.port));
    expect_served(&c);
    probe_close(&c);
}

static bool connects_with(int version)
{
    struct probe c;
    assert_true(probe_open(&c, h.port));
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_security_level(ctx, 0);
    assert_int_equal(SSL_CTX_set_min_proto_version(ctx, version), 1);
    assert_int_equal(SSL_CTX_set_max_proto_version(ctx, version), 1);
    SSL *ssl = SSL_new(ctx);
    SSL_CTX_free(ctx);
    assert_int_equal(SSL_set_fd(ssl, c.fd), 1);
    c.tls = ssl;
    bool ok = SSL_connect(ssl) == 1;
    if (ok) {
        expect_served(&c);
        if (version ==
            TLS1_2_VERSION) /* renegotiation is the client's wish that the server ignores or refuses */
            assert_false(
                SSL_renegotiate(ssl) == 1 && SSL_do_handshake(ssl) == 1 && !SSL_renegotiate_pending(ssl));
    }
    probe_close(&c);
    return ok;
}

void test_http_tls__old_versions_are_refused(void **state)
{
    (void)state;
    assert_true(connects_with(TLS1_3_VERSION));
    assert_true(connects_with(TLS1_2_VERSION));
    assert_false(connects_with(TLS1_1_VERSION));
    assert_false(connects_with(TLS1_VERSION));
}

/* Over the limit: the first few are told so inside TLS, the others by an alert; all are counted. */
void test_http_tls__a_connection_over_the_limit_is_told(void **state)
{
    struct httpd few;
    struct probe in, over;
    struct probe waiting[64];
    (void)state;
    httpd_start(&few, (struct http_options){.connections_max = 1,
                          .tls_cert = tmpdir_path(&dir, "cert"),
                          .tls_key = tmpdir_path(&dir, "key")});
    assert_true(probe_open_tls(&in, few.port));
    expect_served(&in);
    assert_true(probe_open_tls(&over, few.port));
    AUTO_REPLY r = probe_take(&over, false);
    assert_int_equal(r.status, 503);
    expect_str(probe_header(&r, "Retry-After"), "1");
    probe_close(&over);
    assert_true(httpd_wait(&few, HTTPD_OPEN, 1));
    for (size_t i = 0; i < ARRAY_LEN(waiting); i++) /* they do not shake hands */
        assert_true(probe_open(&waiting[i], few.port));
    assert_true(httpd_wait(&few, HTTPD_OPEN, 1 + ARRAY_LEN(waiting)));
    assert_true(probe_open(&over, few.port));
    while (probe_more(&over)) {
    }
    assert_int_equal(over.in.len, 7);
    assert_memory_equal(over.in.buf, "\x15\x03\x03\x00\x02\x02\x50", 7);
    probe_close(&over);
    assert_int_equal(httpd_stats(&few).refused_full, 2 + ARRAY_LEN(waiting));
    expect_served(&in);
    for (size_t i = 0; i < ARRAY_LEN(waiting); i++)
        probe_close(&waiting[i]);
    probe_close(&in);
    httpd_stop(&few);
}
