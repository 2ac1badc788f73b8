/* Raw bytes against a server: every head of the guard's table and sequences of requests, whole, byte by byte
 * and over TLS. Whatever is sent, what comes back is a row of well-formed replies; evhttp's own pages are
 * never among them. */
#include "lib/probe.h"
#include "lib/httpd.h"
#include "lib/tmpdir.h"
#include "lib/unit.h"
#include "base/check.h"
#include "base/mem.h"
#include "http/guard.h"
#include "unit/guard_rows.h"

static struct httpd plain, secure;
static struct tmpdir dir;

int setup_http_raw(void **state)
{
    (void)state;
    tmpdir_init(&dir);
    const char *cert = tmpdir_path(&dir, "cert"), *key = tmpdir_path(&dir, "key");
    probe_make_certificate("raw", cert, key);
    httpd_start(&plain, (struct http_options){.head_max = 4096});
    httpd_start(&secure, (struct http_options){.head_max = 4096, .tls_cert = cert, .tls_key = key});
    return 0;
}

int teardown_http_raw(void **state)
{
    (void)state;
    httpd_stop(&plain);
    httpd_stop(&secure);
    tmpdir_release(&dir);
    return 0;
}

enum how { WHOLE, BYTEWISE, OVER_TLS };

static void send_all(struct probe *c, struct str bytes, enum how how)
{
    if (how == OVER_TLS)
        CHECK(probe_open_tls(c, secure.port));
    else
        CHECK(probe_open(c, plain.port));
    /* A refusal may come before all is sent, so these may fail. */
    if (how == BYTEWISE)
        (void)probe_send_bytewise(c, bytes);
    else
        (void)probe_send(c, bytes);
    probe_end(c);
}

static bool has_html(struct str s)
{
    for (size_t i = 0; i + 5 <= s.len; i++) {
        if (str_eq_nocase(str_slice(s, i, i + 5), S("<html")))
            return true;
    }
    return false;
}

/* A refusal is the error envelope, says that the connection closes, and the client can read it. */
static void expect_error(const struct probe_reply *r, const char *name)
{
    expect_row(str_eq(probe_header(r, "Content-Type"), S("application/json")), name);
    expect_row(str_starts(r->body, S("{\"success\":false,\"error\":\"")), name);
    expect_row(str_eq(probe_header(r, "X-Content-Type-Options"), S("nosniff")), name);
    expect_row(probe_header(r, "X-Request-Id").len >= 8, name);
}

/* Statuses of all replies until the server closes, as "200 400". */
static void collect(struct probe *c, const char *methods, struct strbuf *got, const char *name)
{
    strbuf_init(got, 4096);
    for (unsigned i = 0;; i++) {
        bool head_only = i < strlen(methods) && methods[i] == 'H';
        AUTO_REPLY r = probe_take(c, head_only);
        if (r.status == 0)
            break;
        expect_row(r.whole, name);
        expect_row(!has_html(r.body), name);
        if (r.status >= 400 && !head_only)
            expect_error(&r, name);
        strbuf_addf(got, "%s%d", got->len ? " " : "", r.status);
    }
    expect_row(!c->reset, name);
    expect_row(c->in.len == 0, name);
}

/* The guard's rows: a good head is followed by the body it announces. */
static void expect_guard_row(const struct guard_row *row, enum how how)
{
    AUTO_STRBUF raw, got, want;
    struct probe c;
    struct guard g;
    int status = row->want == ERR_OK ? 404 : err_status(row->want); /* no row asks for a path that exists */
    guard_init(&g, &(struct guard_limits){4096, 8192});
    strbuf_init(&raw, 1 << 20);
    strbuf_init(&want, 64);
    strbuf_add(&raw, row->raw, row->len);
    if (guard_read(&g, row->raw, row->len) == GUARD_DONE && g.content_length > HTTPD_BODY_MAX)
        status = 413;
    for (uint64_t i = 0; status == 404 && i < g.content_length; i++)
        strbuf_add_char(&raw, 'x');
    if (status == 404 && g.chunked)
        strbuf_add_cstr(&raw, "0\r\n\r\n");
    if (status == 404 && g.expect_continue && how == BYTEWISE)
        strbuf_add_cstr(&want, "100 ");
    strbuf_addf(&want, "%d", status);
    send_all(&c, strbuf_str(&raw), how);
    collect(&c, g.method == HTTP_HEAD ? "H" : "", &got, row->raw);
    /* The word to go on is said only when the body was not there yet, which bytewise sending leaves to
     * chance. */
    if (g.expect_continue && str_eq(strbuf_str(&got), S("404")))
        strbuf_truncate(&want, 0), strbuf_add_cstr(&want, "404");
    if (!str_eq(strbuf_str(&got), strbuf_str(&want)))
        fail_msg("got \"%s\", wanted \"%s\" (%d): %s", strbuf_cstr(&got), strbuf_cstr(&want), how, row->raw);
    probe_close(&c);
}

void test_http_raw__heads_of_the_guards_table_whole(void **state)
{
    (void)state;
    assert_true(ARRAY_LEN(GUARD_ROWS) >= 200);
    for (size_t i = 0; i < ARRAY_LEN(GUARD_ROWS); i++)
        expect_guard_row(&GUARD_ROWS[i], WHOLE);
}

void test_http_raw__heads_of_the_guards_table_byte_by_byte(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(GUARD_ROWS); i++)
        expect_guard_row(&GUARD_ROWS[i], BYTEWISE);
}

void test_http_raw__heads_of_the_guards_table_over_tls(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(GUARD_ROWS); i++)
        expect_guard_row(&GUARD_ROWS[i], OVER_TLS);
}

#define GOOD          "GET /echo HTTP/1.1\r\nHost: a\r\n\r\n"
#define LATER         "GET /later HTTP/1.1\r\nHost: a\r\n\r\n"
#define BODY          "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"
#define BAD           "GET / HTTP/1.1\nHost: a\r\n\r\n"
#define CHUNKED(path) "POST " path " HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"

struct sequence {
    const char *raw, *want, *methods;
};

static const struct sequence SEQUENCES[] = {
    {"", "", ""},
    {"\r\n", "", ""},
    {"G", "", ""},
    {"GET /echo HTTP/1.1\r\nHost: a\r\n", "", ""},
    {"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhell", "", ""},
    {GOOD GOOD, "200 200", ""},
    {GOOD "\r\n" GOOD, "200 200", ""},
    {GOOD "\r\n\r\n" GOOD, "200 400", ""},
    {GOOD GOOD GOOD GOOD GOOD GOOD GOOD GOOD, "200 200 200 200 200 200 200 200", ""},
    {BODY BODY BODY, "200 200 200", ""},
    {LATER LATER LATER, "200 200 200", ""},
    {LATER GOOD LATER BODY, "200 200 200 200", ""},
    {GOOD BAD, "200 400", ""},
    {LATER BAD, "200 400", ""},
    {BODY BAD GOOD, "200 400", ""},
    {BAD GOOD, "400", ""},
    {LATER LATER BAD LATER, "200 200 400", ""},
    {GOOD "G", "200", ""},
    {BODY "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n", "200", ""},
    {"GET /echo HTTP/1.0\r\n\r\n" GOOD, "200", ""},
    {"GET /echo HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" GOOD, "200", ""},
    {"GET /later HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" BAD, "200", ""},
    {"HEAD /echo HTTP/1.1\r\nHost: a\r\n\r\n" GOOD, "200 200", "HG"},
    {"HEAD /nowhere HTTP/1.1\r\nHost: a\r\n\r\n", "404", "H"},
    {"HEAD /stream?100 HTTP/1.1\r\nHost: a\r\n\r\n" GOOD, "200 200", "HG"},
    {"HEAD /chunked?100 HTTP/1.1\r\nHost: a\r\n\r\n" GOOD, "200 200", "HG"},
    {"GET /stream?200000 HTTP/1.1\r\nHost: a\r\n\r\n" GOOD, "200 200", ""},
    {"GET /chunked?200000 HTTP/1.1\r\nHost: a\r\n\r\n" GOOD, "200 200", ""},
    {"GET /chunked?0 HTTP/1.1\r\nHost: a\r\n\r\n" GOOD, "200 200", ""},
    {"GET /chunked?1000 HTTP/1.0\r\n\r\n", "200", ""},
    {"GET /big?3000000 HTTP/1.1\r\nHost: a\r\n\r\n" GOOD, "200 200", ""},
    {"GET /take?3000000 HTTP/1.1\r\nHost: a\r\n\r\n" GOOD, "200 200", ""},
    {"GET /take?100 HTTP/1.1\r\nHost: a\r\n\r\n" GOOD, "200 200", ""},
    {"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n" GOOD, "404 200", ""},
    {"DELETE /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc" GOOD, "200 200", ""},
    {"GET /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc" GOOD, "200 200", ""},
    {"HEAD /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc" GOOD, "200 200", "HG"},
    {"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n" GOOD, "200 200", ""},
    {"POST /echo HTTP/1.1\r\nHost: a\r\n\r\n" GOOD, "200 200", ""},
    {"POST /small HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n0123456789" GOOD, "200 200", ""},
    {"POST /small HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\n01234567890" GOOD, "413", ""},
    {"POST /small HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\nExpect: 100-continue\r\n\r\n", "413", ""},
    {"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\nabc" GOOD, "200 200",
        ""},
    {"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 8388609\r\n\r\n", "413", ""},
    {CHUNKED("/echo") "3\r\nabc\r\n0\r\n\r\n" GOOD, "200 200", ""},
    {CHUNKED("/echo") "1\r\na\r\n02\r\nbc\r\n0\r\n\r\n\r\n" GOOD GOOD, "200 200 200", ""},
    {CHUNKED("/echo") "0\r\n\r\n" GOOD, "200 200", ""},
    {CHUNKED("/small") "A\r\n0123456789\r\n0\r\n\r\n" GOOD, "200 200", ""},
    {CHUNKED("/small") "B\r\n01234567890\r\n0\r\n\r\n" GOOD, "413", ""},
    {CHUNKED("/small") "9\r\n012345678\r\n2\r\n90\r\n0\r\n\r\n" GOOD, "413", ""},
    {CHUNKED("/echo") "+3\r\nabc\r\n0\r\n\r\n" GOOD, "400", ""},
    {CHUNKED("/echo") " 3\r\nabc\r\n0\r\n\r\n" GOOD, "400", ""},
    {CHUNKED("/echo") "0x3\r\nabc\r\n0\r\n\r\n" GOOD, "400", ""},
    {CHUNKED("/echo") "3\nabc\n0\n\n" GOOD, "400", ""},
    {CHUNKED("/echo") "3;a=b\r\nabc\r\n0\r\n\r\n" GOOD, "400", ""},
    {CHUNKED("/echo") "3\r\nabc\r\n0\r\nX: y\r\n\r\n" GOOD, "400", ""},
    {CHUNKED("/echo") "3\r\nabcd\r\n0\r\n\r\n" GOOD, "400", ""},
    {CHUNKED("/echo") "fffffffffffffffff\r\n", "400", ""},
    {CHUNKED("/up") "3\r\nabc\r\n0\r\n\r\n" GOOD, "200 200", ""},
    {CHUNKED("/up") "0\r\n\r\n" GOOD, "200 200", ""},
    {CHUNKED("/up") "3;a\r\nabc\r\n0\r\n\r\n" GOOD, "400", ""},
    {"POST /up HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc" GOOD, "200 200", ""},
    {"POST /up HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc" GOOD, "200", ""},
    {"POST /up HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n" GOOD, "200 200", ""},
    {"POST /up HTTP/1.1\r\nHost: a\r\n\r\n" GOOD, "200 200", ""},
    {"POST /up HTTP/1.0\r\nContent-Length: 3\r\n\r\nabc", "200", ""},
    {"POST /later HTTP/1.0\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\nabc", "200", ""},
    {"POST /up HTTP/1.1\r\nHost: a\r\nContent-Length: 67108865\r\n\r\n", "413", ""},
    {"POST /upno HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc" GOOD, "403", ""},
    {"POST /upno HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n" GOOD, "403 200", ""},
    {"POST /upno HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n", "403", ""},
    {"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Encoding: gzip\r\n\r\nabc" GOOD, "415",
        ""},
    {"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 5\r\n\r\nabcGE" GOOD, "400", ""},
    {"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nX",
        "400", ""},
    {"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: foo\r\n\r\n" GOOD, "400", ""},
    {"GET //echo HTTP/1.1\r\nHost: a\r\n\r\n" GOOD, "200 200", ""},
    {"GET http://a/echo HTTP/1.1\r\nHost: a\r\n\r\n" GOOD, "200 200", ""},
    {"GET http://b/echo HTTP/1.1\r\nHost: a\r\n\r\n" GOOD, "421", ""},
    {GOOD "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "200 505", ""},
};

static void expect_sequence(const struct sequence *s, enum how how)
{
    AUTO_STRBUF got;
    struct probe c;
    send_all(&c, str_of(s->raw), how);
    collect(&c, s->methods, &got, s->raw);
    if (!str_eq(strbuf_str(&got), str_of(s->want)) &&
        !(how == BYTEWISE &&
            str_starts(strbuf_str(&got), S("100 ")))) /* where the body came after the head */
        fail_msg("got \"%s\", wanted \"%s\" (%d): %s", strbuf_cstr(&got), s->want, how, s->raw);
    probe_close(&c);
}

void test_http_raw__sequences_are_answered_in_order(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(SEQUENCES); i++) {
        expect_sequence(&SEQUENCES[i], WHOLE);
        expect_sequence(&SEQUENCES[i], BYTEWISE);
        expect_sequence(&SEQUENCES[i], OVER_TLS);
    }
}

void test_http_raw__a_body_may_be_split_anywhere(void **state)
{
    (void)state;
    struct str raw =
        S("POST /echo?q HTTP/1.1\r\nHost: a\r\nContent-Type: x/y\r\nContent-Length: 10\r\n\r\n0123456789");
    struct probe c;
    assert_true(probe_open(&c, plain.port));
    for (size_t at = 0; at <= raw.len; at++) {
        assert_true(probe_send(&c, str_slice(raw, 0, at)) && probe_send(&c, str_slice(raw, at, raw.len)));
        AUTO_REPLY r = probe_take(&c, false);
        assert_int_equal(r.status, 200);
        expect_str(r.body, "0123456789");
        expect_str(probe_header(&r, "X-Type"), "x/y");
        expect_str(probe_header(&r, "X-Query"), "q");
    }
    probe_close(&c);
    assert_true(httpd_wait(&plain, HTTPD_OPEN, 0));
}

void test_http_raw__large_bodies_come_through_unharmed(void **state)
{
    (void)state;
    for (int tls = 0; tls < 2; tls++) {
        AUTO_STRBUF raw;
        struct probe c;
        size_t size = HTTPD_BODY_MAX;
        strbuf_init(&raw, size + 4096);
        strbuf_addf(&raw,
            "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: %zu\r\nExpect: 100-continue\r\n\r\n", size);
        assert_true(tls ? probe_open_tls(&c, secure.port) : probe_open(&c, plain.port));
        assert_true(probe_send(&c, strbuf_str(&raw)));
        AUTO_REPLY go_on = probe_take(&c, false);
        assert_int_equal(go_on.status, 100);
        strbuf_reset(&raw);
        for (size_t i = 0; i < size; i++)
            strbuf_add_char(&raw, httpd_byte(i));
        assert_true(probe_send(&c, strbuf_str(&raw)));
        AUTO_REPLY r = probe_take(&c, false);
        assert_int_equal(r.status, 200);
        assert_true(r.whole && str_eq(r.body, strbuf_str(&raw)));
        probe_close(&c);
    }
}

/* Clients that leave at any moment leave nothing behind. */
static void leave_at_every_byte(const char *raw, bool reset)
{
    unsigned long before = httpd_count(&plain, HTTPD_ACCEPTED);
    for (size_t at = 0; at <= strlen(raw); at++) {
        struct probe c;
        assert_true(probe_open(&c, plain.port));
        assert_true(probe_send(&c, str_make(raw, at)));
        if (reset)
            probe_abort(&c);
        else
            probe_close(&c);
    }
    assert_true(httpd_wait(&plain, HTTPD_ACCEPTED, before + strlen(raw) + 1));
    assert_true(httpd_wait(&plain, HTTPD_OPEN, 0));
    assert_int_equal(httpd_count(&plain, HTTPD_REQUESTS), 0);
}

void test_http_raw__early_close_at_every_byte(void **state)
{
    (void)state;
    for (int reset = 0; reset < 2; reset++) {
        leave_at_every_byte(BODY LATER, reset);
        leave_at_every_byte("GET /stream?500000 HTTP/1.1\r\nHost: a\r\n\r\n" BODY, reset);
        leave_at_every_byte(
            "POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello",
            reset);
    }
}

/* Random damage to good requests: replies stay well-formed and the parser behind the guard never refuses what
 * the guard passed. */
static void damage(struct strbuf *raw, unsigned *seed)
{
    static const char BYTES[] = "\0\r\n\t :/?#%,;@[]0aZ-\x7f\x80\xff";
    for (unsigned n = 1 + *seed % 3; n > 0; n--) {
        *seed = *seed * 1103515245u + 12345u;
        size_t at = (*seed >> 8) % raw->len;
        char c = BYTES[(*seed >> 4) % (sizeof BYTES - 1)];
        if (*seed % 3 == 0) {
            raw->buf[at] = c;
        } else if (*seed % 3 == 1 && raw->len > 1) {
            memmove(raw->buf + at, raw->buf + at + 1, raw->len - at - 1);
            strbuf_truncate(raw, raw->len - 1);
        } else {
            strbuf_add_char(raw, 'x');
            memmove(raw->buf + at + 1, raw->buf + at, raw->len - at - 1);
            raw->buf[at] = c;
        }
    }
}

void test_http_raw__damaged_requests_get_well_formed_replies(void **state)
{
    (void)state;
    unsigned seed = 1;
    for (int round = 0; round < 1500; round++) {
        AUTO_STRBUF raw;
        struct probe c;
        strbuf_init(&raw, 4096);
        strbuf_add_cstr(&raw,
            round % 2 ? BODY GOOD : "\r\nGET http://a/echo?b=c HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\n" BODY);
        damage(&raw, &seed);
        send_all(&c, strbuf_str(&raw), WHOLE);
        for (;;) {
            AUTO_REPLY r = probe_take(&c, false);
            if (r.status == 0)
                break;
            assert_true(!has_html(r.body) && r.whole);
            assert_false(str_starts(
                r.body, S("{\"success\":false,\"error\":\"the head of the request cannot be parsed")));
        }
        assert_int_equal(c.in.len, 0);
        probe_close(&c);
    }
}

static void expect_said(struct str request, int status, const char *text)
{
    AUTO_REPLY r = probe_ask(plain.port, request);
    assert_int_equal(r.status, status);
    if (!strstr(strbuf_cstr(&r.own), text))
        fail_msg("wanted \"%s\" in: %s", text, strbuf_cstr(&r.own));
}

void test_http_raw__refusals_name_their_limit(void **state)
{
    AUTO_STRBUF uri, line, head;
    (void)state;
    strbuf_init(&uri, 20000);
    strbuf_init(&line, 20000);
    strbuf_init(&head, 20000);
    strbuf_addf(&uri, "GET /%0*d HTTP/1.1\r\nHost: a\r\n\r\n", 9000, 0);
    expect_said(strbuf_str(&uri), 414, "at most 8192 bytes pass");
    strbuf_addf(&head,
        "GET / HTTP/1.1\r\nHost: a\r\n"
        "X: %0*d\r\n\r\n",
        5000, 0);
    expect_said(strbuf_str(&head), 431, "the head of the request is too large: at most 4096 bytes pass");
    strbuf_add_cstr(&line, "GET / HTTP/1.1\r\nHost: a\r\n");
    for (int i = 0; i < 101; i++)
        strbuf_add_cstr(&line, "X: y\r\n");
    strbuf_add_cstr(&line, "\r\n");
    expect_said(strbuf_str(&line), 431, "more than 100 headers");
    expect_said(S("POST /small HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\n"), 413,
        "the body of 11 bytes is larger than the 10 this path accepts");
    expect_said(S("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Encoding: gzip\r\n\r\n"),
        415, "send it without Content-Encoding");
    expect_said(
        S("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Type: a/b;charset=x\r\n\r\n"), 415,
        "must be utf-8");
}
