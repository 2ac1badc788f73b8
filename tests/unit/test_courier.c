/* The server's own requests, against real servers on loopback: what comes back, what is refused before a
 * connection is made, what has an end. */
#include "base/clock.h"
#include "base/limits.h"
#include "http/courier.h"
#include "lib/canned.h"
#include "lib/httpd.h"
#include "lib/probe.h"
#include "lib/tmpdir.h"
#include "lib/unit.h"
#include <stdlib.h>

#define ROOM 1000 /* bytes of an answer */

/* A server, and a courier whose operator listed it. */
struct pair {
    struct canned server;
    struct courier *courier;
    char origin[64];
};

static struct courier *courier_for(const char *origin, const char *ca_file)
{
    struct str list[] = {str_of(origin)};
    struct courier_options opt = {.origins = list, .origin_count = origin ? 1 : 0, .ca_file = ca_file};
    struct courier *c = NULL;

    assert_int_equal(courier_new(&opt, &c, NULL), ERR_OK);
    return c;
}

static void pair_init(struct pair *p)
{
    canned_start(&p->server);
    str_print(p->origin, sizeof p->origin, "http://127.0.0.1:%u", p->server.port);
    p->courier = courier_for(p->origin, NULL);
}

static void pair_release(struct pair *p)
{
    courier_free(p->courier);
    canned_stop(&p->server);
}

struct got {
    enum err_code rc;
    struct err err;
    struct strbuf body;
    struct courier_reply reply;
    int64_t timeout_ms;
};

static void ask(struct courier *c, const char *url, struct got *g)
{
    struct courier_request req = {
        .url = str_of(url), .accept = "application/json", .timeout_ms = g->timeout_ms};

    strbuf_init(&g->body, ROOM);
    g->err = (struct err)ERR_INIT;
    g->reply = (struct courier_reply){.body = &g->body};
    g->rc = courier_get(c, &req, &g->reply, &g->err);
}

static void got_release(struct got *g)
{
    strbuf_release(&g->body);
}

#define AUTO_GOT CLEANUP(got_release) struct got

/* Asks the pair's server for `path`. */
static void ask_pair(struct pair *p, const char *path, struct got *g)
{
    char url[200];
    str_print(url, sizeof url, "%s%s", p->origin, path);
    ask(p->courier, url, g);
}

static uint64_t ended(struct courier *c, enum courier_outcome outcome)
{
    struct courier_stats s;
    courier_stats(c, &s);
    return s.ended[outcome];
}

void test_courier__an_answer_comes_back_and_the_request_tells_little(void **state)
{
    struct pair p;
    AUTO_GOT g = {.timeout_ms = 0};
    AUTO_STRBUF head;
    (void)state;
    pair_init(&p);
    strbuf_init(&head, 10000);
    canned_answer(&p.server,
        S("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nCache-Control: public, max-age=77\r\n\r\n{}"), false);
    ask_pair(&p, "/x?secret=1", &g);
    assert_int_equal(g.rc, ERR_OK);
    assert_int_equal(g.reply.status, 200);
    assert_int_equal(g.reply.max_age_s, 77);
    expect_str(strbuf_str(&g.body), "{}");
    canned_head(&p.server, &head);
    const char *sent = strbuf_cstr(&head);
    assert_ptr_equal(strstr(sent, "GET /x?secret=1 HTTP/1.1\r\n"), sent);
    assert_non_null(strstr(sent, "\r\nAccept: application/json\r\n"));
    assert_non_null(strstr(sent, "\r\nUser-Agent: Holdfast/" HF_VERSION "\r\n"));
    static const char *const never[] = {
        "Cookie", "Authorization", "Accept-Encoding", "Referer", "Expect", "Upgrade"};
    for (size_t i = 0; i < ARRAY_LEN(never); i++)
        expect_row(!strstr(sent, never[i]), never[i]);
    assert_int_equal(ended(p.courier, COURIER_ANSWERED), 1);
    pair_release(&p);
}

/* Not one connection is made for any of these. */
void test_courier__what_the_operator_did_not_list_stays_unreached(void **state)
{
    static const char *const ROWS[] = {"http://127.0.0.1:%u/", "https://127.0.0.1:%u/",
        "https://localhost:%u/", "http://localhost:%u/", "https://[::1]:%u/",
        "https://[::ffff:127.0.0.1]:%u/", "https://[::ffff:7f00:1]:%u/", "https://127.1:%u/",
        "https://2130706433:%u/", "https://0x7f000001:%u/", "https://0x7f.1:%u/", "https://017700000001:%u/",
        "https://0:%u/", "https://0.0.0.0:%u/", "https://[::]:%u/", "https://[64:ff9b::7f00:1]:%u/",
        "https://10.255.255.1:%u/", "https://172.16.0.1:%u/", "https://192.168.0.1:%u/",
        "https://100.64.0.1:%u/", "https://169.254.169.254:%u/", "https://[fd00:ec2::254]:%u/",
        "https://[fe80::1]:%u/", "https://[fc00::1]:%u/", "https://224.0.0.1:%u/",
        "https://255.255.255.255:%u/", "https://100.100.100.200:%u/", "https://[2002:7f00:1::]:%u/",
        "https://ip6-localhost:%u/"};
    struct canned server;
    struct courier *other;
    (void)state;
    canned_start(&server);
    /* Another port of the same host, and the same port over https, were listed: neither is this origin. */
    char listed[64];
    str_print(listed, sizeof listed, "http://127.0.0.1:%u", server.port == 65535 ? 65534 : server.port + 1);
    other = courier_for(listed, NULL);
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        AUTO_GOT g = {.timeout_ms = 2000};
        char url[100], port[8];
        str_print(port, sizeof port, "%u", server.port);
        const char *at = strstr(ROWS[i], "%u");
        str_print(url, sizeof url, "%.*s%s%s", (int)(at - ROWS[i]), ROWS[i], port, at + 2);
        ask(other, url, &g);
        bool unknown_name =
            g.rc == ERR_UNAVAILABLE && strstr(ROWS[i], "ip6-localhost"); /* not on every machine */
        if (g.rc != ERR_FORBIDDEN && !unknown_name)
            fail_msg("%s: %d %s", url, g.rc, g.err.message);
    }
    assert_int_equal(canned_accepted(&server), 0);
    assert_true(ended(other, COURIER_FORBIDDEN) >= ARRAY_LEN(ROWS) - 1);
    courier_free(other);
    canned_stop(&server);
}

/* What nobody runs a service on is refused to the operator too. */
void test_courier__some_addresses_are_for_nobody(void **state)
{
    static const char *const ROWS[] = {"http://0.0.0.0:9/", "http://169.254.169.254/", "http://[fe80::1]/",
        "http://[fd00:ec2::254]/", "http://224.0.0.1/", "http://255.255.255.255/", "http://[ff02::1]/",
        "http://168.63.129.16/"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        AUTO_GOT g = {.timeout_ms = 2000};
        struct courier *c = courier_for(ROWS[i], NULL);
        ask(c, ROWS[i], &g);
        expect_row(g.rc == ERR_FORBIDDEN, ROWS[i]);
        courier_free(c);
    }
}

void test_courier__other_addresses_are_no_urls(void **state)
{
    static const char *const ROWS[] = {"", "file:///etc/passwd", "ftp://127.0.0.1/", "gopher://127.0.0.1/",
        "HTTP://127.0.0.1/", "http://a@127.0.0.1/", "http://127.0.0.1\\@b/", "http://127.0.0.1/ x",
        "http://127.0.0.1/\r\nX: y", "dict://127.0.0.1:1/", "//127.0.0.1/", "http://127.0.0.1:70000/",
        "http:///x"};
    struct pair p;
    (void)state;
    pair_init(&p);
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        AUTO_GOT g = {.timeout_ms = 2000};
        ask(p.courier, ROWS[i], &g);
        expect_row(g.rc == ERR_INVALID, ROWS[i]);
    }
    assert_int_equal(canned_accepted(&p.server), 0);
    pair_release(&p);
}

void test_courier__redirects_are_not_followed(void **state)
{
    static const int CODES[] = {301, 302, 303, 307, 308};
    struct pair p;
    struct canned target;
    (void)state;
    pair_init(&p);
    canned_start(&target);
    for (size_t i = 0; i < ARRAY_LEN(CODES); i++) {
        AUTO_GOT g = {.timeout_ms = 5000};
        char reply[300];
        str_print(reply, sizeof reply,
            "HTTP/1.1 %d Over there\r\nLocation: http://127.0.0.1:%u/\r\nContent-Length: 0\r\n\r\n", CODES[i],
            target.port);
        canned_answer(&p.server, str_of(reply), false);
        ask_pair(&p, "/", &g);
        assert_int_equal(g.rc, ERR_OK);
        assert_int_equal(g.reply.status, CODES[i]);
    }
    assert_int_equal(canned_accepted(&target), 0);
    assert_int_equal(ended(p.courier, COURIER_STATUS), ARRAY_LEN(CODES));
    canned_stop(&target);
    pair_release(&p);
}

void test_courier__the_environment_names_no_proxy(void **state)
{
    static const char *const NAMES[] = {"http_proxy", "https_proxy", "all_proxy", "HTTPS_PROXY", "ALL_PROXY"};
    struct pair p;
    struct canned proxy;
    AUTO_GOT g = {.timeout_ms = 5000};
    char url[64];
    (void)state;
    canned_start(&proxy);
    str_print(url, sizeof url, "http://127.0.0.1:%u", proxy.port);
    for (size_t i = 0; i < ARRAY_LEN(NAMES); i++)
        assert_int_equal(setenv(NAMES[i], url, 1), 0);
    pair_init(&p);
    canned_answer(&p.server, S("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), false);
    ask_pair(&p, "/", &g);
    for (size_t i = 0; i < ARRAY_LEN(NAMES); i++)
        assert_int_equal(unsetenv(NAMES[i]), 0);
    assert_int_equal(g.rc, ERR_OK);
    assert_int_equal(canned_accepted(&proxy), 0);
    pair_release(&p);
    canned_stop(&proxy);
}

/* --- Bounds --- */

static void fill(struct strbuf *out, const char *head, char c, size_t count)
{
    strbuf_init(out, 4 << 20);
    strbuf_add_cstr(out, head);
    for (size_t i = 0; i < count; i++)
        strbuf_add_char(out, c);
}

void test_courier__answers_have_a_size(void **state)
{
    static const struct {
        const char *name, *head;
        size_t bytes;
        enum err_code rc;
    } ROWS[] = {
        {"just fits", "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", 1000, ERR_OK},
        {"announced", "HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n", 1001, ERR_TOO_LARGE},
        {"huge", "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999\r\n\r\n", 10, ERR_TOO_LARGE},
        {"to the end of the connection", "HTTP/1.1 200 OK\r\n\r\n", 1001, ERR_TOO_LARGE},
        {"endless chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffff\r\n", 4000,
            ERR_TOO_LARGE},
        {"one endless header", "HTTP/1.1 200 OK\r\nX: ", 2 << 20, ERR_UNAVAILABLE},
        {"too short", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n", 9, ERR_UNAVAILABLE},
        {"no HTTP", "", 500, ERR_UNAVAILABLE},
        {"HTTP/0.9", "<html>", 5, ERR_UNAVAILABLE},
        {"nothing", "", 0, ERR_UNAVAILABLE},
    };
    struct pair p;
    (void)state;
    pair_init(&p);
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        AUTO_GOT g = {.timeout_ms = 5000};
        AUTO_STRBUF reply;
        fill(&reply, ROWS[i].head, 'x', ROWS[i].bytes);
        canned_answer(&p.server, strbuf_str(&reply), false);
        ask_pair(&p, "/", &g);
        if (g.rc != ROWS[i].rc)
            fail_msg("%s: %d %s", ROWS[i].name, g.rc, g.err.message);
        assert_true(g.body.len <= ROOM);
    }
    pair_release(&p);
}

void test_courier__many_headers_are_too_large(void **state)
{
    struct pair p;
    AUTO_GOT g = {.timeout_ms = 5000};
    AUTO_STRBUF reply;
    (void)state;
    pair_init(&p);
    fill(&reply, "HTTP/1.1 200 OK\r\n", 'x', 0);
    for (int i = 0; i < 4000; i++)
        strbuf_addf(&reply, "X-%d: some text\r\n", i);
    strbuf_add_cstr(&reply, "Content-Length: 0\r\n\r\n");
    canned_answer(&p.server, strbuf_str(&reply), false);
    ask_pair(&p, "/", &g);
    assert_int_equal(g.rc, ERR_TOO_LARGE);
    assert_int_equal(ended(p.courier, COURIER_TOO_LARGE), 1);
    pair_release(&p);
}

void test_courier__who_is_slow_is_given_up(void **state)
{
    static const char *const ROWS[] = {
        "", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n123"};
    struct pair p;
    (void)state;
    pair_init(&p);
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        AUTO_GOT g = {.timeout_ms = 100};
        canned_answer(&p.server, str_of(ROWS[i]), true);
        ask_pair(&p, "/", &g);
        expect_row(g.rc == ERR_UNAVAILABLE, ROWS[i]);
        assert_string_equal(g.err.message, "127.0.0.1 did not answer in time");
    }
    assert_int_equal(ended(p.courier, COURIER_TIMEOUT), ARRAY_LEN(ROWS));
    pair_release(&p);
}

void test_courier__nobody_listens(void **state)
{
    struct pair p;
    AUTO_GOT g = {.timeout_ms = 5000};
    (void)state;
    pair_init(&p);
    canned_stop(&p.server);
    ask_pair(&p, "/path?secret=1", &g);
    assert_int_equal(g.rc, ERR_UNAVAILABLE);
    assert_null(strstr(g.err.message, "secret"));
    assert_int_equal(ended(p.courier, COURIER_CONNECT), 1);
    courier_free(p.courier);
}

void test_courier__for_how_long_it_may_be_kept(void **state)
{
    static const struct {
        const char *headers;
        int64_t max_age_s;
    } ROWS[] = {
        {"", -1},
        {"Cache-Control: max-age=0\r\n", 0},
        {"Cache-Control: max-age=3600, must-revalidate\r\n", 3600},
        {"cache-control:PUBLIC,MAX-AGE=10\r\n", 10},
        {"Cache-Control: no-store\r\n", 0},
        {"Cache-Control: max-age=10, no-cache\r\n", 0},
        {"Cache-Control: max-age=-1\r\n", -1},
        {"Cache-Control: max-age=soon\r\n", -1},
        {"Cache-Control: max-age=99999999999999999999\r\n", -1},
        {"Cache-Control: s-maxage=10\r\n", -1},
        {"Cache-Control: max-age=100\r\nAge: 30\r\n", 70},
        {"Cache-Control: max-age=100\r\nAge: 300\r\n", 0},
        {"Cache-Control: max-age=100\r\nAge: old\r\n", 100},
    };
    struct pair p;
    (void)state;
    pair_init(&p);
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        AUTO_GOT g = {.timeout_ms = 5000};
        AUTO_STRBUF reply;
        fill(&reply, "HTTP/1.1 200 OK\r\n", 'x', 0);
        strbuf_addf(&reply, "%sContent-Length: 0\r\n\r\n", ROWS[i].headers);
        canned_answer(&p.server, strbuf_str(&reply), false);
        ask_pair(&p, "/", &g);
        assert_int_equal(g.rc, ERR_OK);
        expect_row(g.reply.max_age_s == ROWS[i].max_age_s, ROWS[i].headers);
    }
    pair_release(&p);
}

/* --- Many, and the end --- */

#define MANY 40

struct asker {
    struct pair *pair;
    pthread_t thread;
    struct got got;
};

static void *ask_in_thread(void *arg)
{
    struct asker *a = arg;
    ask_pair(a->pair, "/", &a->got);
    return NULL;
}

static void askers_start(struct asker *all, unsigned count, struct pair *p)
{
    for (unsigned i = 0; i < count; i++) {
        all[i] = (struct asker){.pair = p};
        assert_int_equal(pthread_create(&all[i].thread, NULL, ask_in_thread, &all[i]), 0);
    }
}

static void askers_end(struct asker *all, unsigned count, enum err_code rc)
{
    for (unsigned i = 0; i < count; i++) {
        assert_int_equal(pthread_join(all[i].thread, NULL), 0);
        assert_int_equal(all[i].got.rc, rc);
        got_release(&all[i].got);
    }
}

/* Each in its turn, never more than the limit at once. */
void test_courier__many_at_once_are_served_by_few_connections(void **state)
{
    struct pair p;
    struct asker all[MANY];
    struct courier_stats s;
    (void)state;
    pair_init(&p);
    canned_answer(&p.server, S("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"), true);
    askers_start(all, MANY, &p);
    for (unsigned left = MANY; left > 0;) {
        unsigned now = left < LIMIT_COURIER_PARALLEL ? left : (unsigned)LIMIT_COURIER_PARALLEL;
        canned_wait_held(&p.server, now);
        courier_stats(p.courier, &s);
        assert_true(s.running <= (unsigned)LIMIT_COURIER_PARALLEL);
        assert_true(canned_accepted(&p.server) <= MANY - left + now);
        canned_let_go(&p.server, S("{}"));
        left -= now;
    }
    askers_end(all, MANY, ERR_OK);
    courier_stats(p.courier, &s);
    assert_int_equal(s.ended[COURIER_ANSWERED], MANY);
    assert_int_equal(s.running + s.waiting, 0);
    assert_int_equal(metrics_count(&s.took), MANY);
    pair_release(&p);
}

void test_courier__closing_ends_what_runs_and_what_waits(void **state)
{
    struct pair p;
    struct asker all[MANY];
    AUTO_GOT g = {.timeout_ms = 0};
    (void)state;
    pair_init(&p);
    canned_answer(&p.server, STR_EMPTY, true);
    askers_start(all, MANY, &p);
    canned_wait_held(&p.server, (unsigned)LIMIT_COURIER_PARALLEL);
    int64_t begun_us = clock_mono_us();
    courier_close(p.courier);
    askers_end(all, MANY, ERR_UNAVAILABLE);
    assert_true(clock_mono_us() - begun_us < LIMIT_COURIER_TOTAL_MS * 1000 / 2);
    assert_int_equal(ended(p.courier, COURIER_STOPPED), MANY);
    ask_pair(&p, "/", &g);
    assert_int_equal(g.rc, ERR_UNAVAILABLE);
    assert_string_equal(g.err.message, "the server is stopping");
    pair_release(&p);
}

/* --- TLS --- */

void test_courier__certificates_are_checked(void **state)
{
    struct tmpdir dir;
    struct httpd h;
    char good[64], other[64];
    (void)state;
    tmpdir_init(&dir);
    probe_make_certificate("localhost", tmpdir_path(&dir, "cert"), tmpdir_path(&dir, "key"));
    httpd_start(&h,
        (struct http_options){.tls_cert = tmpdir_path(&dir, "cert"), .tls_key = tmpdir_path(&dir, "key")});
    str_print(good, sizeof good, "https://localhost:%u", h.port);
    str_print(other, sizeof other, "https://127.0.0.1:%u", h.port);
    static const struct {
        const char *name;
        bool knows_ca, by_name;
        enum err_code rc;
    } ROWS[] = {
        {"nobody vouches for it", false, true, ERR_UNAVAILABLE},
        {"the right certificate", true, true, ERR_OK},
        {"that of another host", true, false, ERR_UNAVAILABLE},
    };
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        AUTO_GOT g = {.timeout_ms = 5000};
        const char *origin = ROWS[i].by_name ? good : other;
        struct courier *c = courier_for(origin, ROWS[i].knows_ca ? tmpdir_path(&dir, "cert") : NULL);
        ask(c, origin, &g);
        if (g.rc != ROWS[i].rc)
            fail_msg("%s: %d %s", ROWS[i].name, g.rc, g.err.message);
        assert_int_equal(ended(c, COURIER_TLS), ROWS[i].rc ? 1 : 0);
        courier_free(c);
    }
    httpd_stop(&h);
    tmpdir_release(&dir);
}

void test_courier__an_origin_must_be_a_url(void **state)
{
    struct str list[] = {S("https://a.example"), S("b.example")};
    struct courier_options opt = {.origins = list, .origin_count = 2};
    struct courier *c = NULL;
    (void)state;
    assert_int_equal(courier_new(&opt, &c, NULL), ERR_INVALID);
    assert_null(c);
}
