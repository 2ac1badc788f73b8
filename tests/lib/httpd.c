/* See httpd.h. */
#include "lib/httpd.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/mem.h"
#include <poll.h>

enum { CHUNK = 64 << 10, WAIT_MS = 10000 };

struct flow {
    struct httpd *h;
    struct http_request *req;
    size_t total, sent;
    bool cut;
};

/* In pieces: the sanitizers make a call for each byte slow. */
static void fill(struct strbuf *sb, size_t from, size_t len)
{
    char piece[26 * 40];
    for (size_t i = 0; i < sizeof piece; i++)
        piece[i] = httpd_byte(from + i);
    for (size_t n; len > 0; len -= n) {
        n = len < sizeof piece ? len : sizeof piece;
        strbuf_add(sb, piece, n);
    }
}

static size_t number(struct http_request *req)
{
    int64_t n = 0;
    CHECK(str_to_i64(http_query(req), 0, 1 << 30, &n));
    return (size_t)n;
}

static void echo(struct http_request *req)
{
    http_set_header(req, "X-Method", str_of(http_method_name(http_method(req))));
    http_set_header(req, "X-Path", http_path(req));
    http_set_header(req, "X-Query", http_query(req));
    http_set_header(req, "X-Peer", http_peer(req));
    struct str type = http_header(req, "content-type");
    http_set_header(req, "X-Type", type.ptr ? type : S("none"));
    http_reply(req, 200, "application/octet-stream", http_body(req));
}

static void on_hold_gone(void *arg)
{
    struct httpd *h = arg;
    h->gone++;
}

static void hold(struct httpd *h, struct http_request *req)
{
    CHECK(h->held_count < ARRAY_LEN(h->held));
    h->held[h->held_count++] = req;
    h->held_now++;
    http_on_gone(req, on_hold_gone, h);
}

static void reply_later(void *arg)
{
    http_reply(arg, 200, "text/plain", S("later"));
}

static void big(struct http_request *req, bool take)
{
    AUTO_STRBUF sb;
    strbuf_init(&sb, (size_t)1 << 30);
    fill(&sb, 0, number(req));
    if (take)
        http_reply_take(req, 200, "text/plain", &sb);
    else
        http_reply(req, 200, "text/plain", strbuf_str(&sb));
}

static void flow_on(void *arg)
{
    struct flow *f = arg;
    size_t left = f->total - f->sent, n = left < CHUNK ? left : CHUNK;
    if (f->cut && f->sent * 2 >= f->total) {
        http_stream_abort(f->req);
        mem_free(f);
        return;
    }
    if (n == 0) {
        http_stream_end(f->req);
        mem_free(f);
        return;
    }
    AUTO_STRBUF sb;
    strbuf_init(&sb, CHUNK);
    fill(&sb, f->sent, n);
    f->sent += n;
    f->h->produced += n;
    http_stream_send(f->req, strbuf_str(&sb), flow_on, f);
}

static void on_flow_gone(void *arg)
{
    struct flow *f = arg;
    f->h->gone++;
    http_stream_abort(f->req);
    mem_free(f);
}

static void flow(struct httpd *h, struct http_request *req, bool counted, bool cut)
{
    struct flow *f = MEM_NEW(struct flow);
    *f = (struct flow){.h = h, .req = req, .total = number(req), .cut = cut};
    if (http_header(req, "X-Watch").ptr)
        http_on_gone(req, on_flow_gone, f);
    http_stream_begin(req, 200, "text/plain", counted ? f->total : 0);
    flow_on(f);
}

struct httpd_upload {
    struct httpd *h;
    struct http_request *req;
    uint64_t bytes, hash;
    bool slow;
};

static void on_piece(void *arg, struct str piece, const struct err *err);

static void next_piece(struct httpd_upload *u)
{
    http_body_receive(u->req, on_piece, u);
}

static void up_end(struct httpd_upload *u, const struct err *err)
{
    AUTO_STRBUF text;
    strbuf_init(&text, 64);
    strbuf_addf(&text, "%llu %llx", (unsigned long long)u->bytes, (unsigned long long)u->hash);
    u->h->failed += err != NULL;
    if (err)
        http_reply_error(u->req, err);
    else
        http_reply(u->req, 200, "text/plain", strbuf_str(&text));
    mem_free(u);
}

static void on_piece(void *arg, struct str piece, const struct err *err)
{
    struct httpd_upload *u = arg;
    if (err || piece.len == 0) {
        up_end(u, err);
        return;
    }
    u->bytes += piece.len;
    u->hash = httpd_hash(u->hash, piece);
    u->h->pieces++;
    if (piece.len > u->h->widest)
        u->h->widest = piece.len;
    if (u->slow)
        u->h->slow = u;
    else
        next_piece(u);
}

static void up(struct httpd *h, struct http_request *req, bool slow)
{
    struct httpd_upload *u = MEM_NEW(struct httpd_upload);
    *u = (struct httpd_upload){.h = h, .req = req, .slow = slow};
    next_piece(u);
}

static void forbid(struct http_request *req)
{
    struct err err = ERR_INIT;
    (void)err_set(&err, ERR_FORBIDDEN, "not you");
    http_reply_error(req, &err);
}

static void refuse(struct http_request *req)
{
    struct err err = ERR_INIT;
    (void)err_field(&err, "/a/0", "must be \"quoted\"");
    err.retry_after_s = 7;
    http_reply_error(req, &err);
}

static void not_found(struct http_request *req)
{
    struct err err = ERR_INIT;
    (void)err_set(&err, ERR_NOT_FOUND, "there is nothing at this path");
    http_reply_error(req, &err);
}

static void on_request(void *arg, struct http_request *req)
{
    struct httpd *h = arg;
    struct str path = http_path(req);
    if (str_eq(path, S("/echo")) || str_eq(path, S("/small")))
        echo(req);
    else if (str_eq(path, S("/error")))
        refuse(req);
    else if (str_eq(path, S("/hold")))
        hold(h, req);
    else if (str_eq(path, S("/later")))
        loop_post(h->loop, reply_later, req);
    else if (str_eq(path, S("/big")) || str_eq(path, S("/take")))
        big(req, str_eq(path, S("/take")));
    else if (str_eq(path, S("/stream")) || str_eq(path, S("/chunked")))
        flow(h, req, str_eq(path, S("/stream")), false);
    else if (str_eq(path, S("/cut")) || str_eq(path, S("/cutchunked")))
        flow(h, req, str_eq(path, S("/cut")), true);
    else if (str_eq(path, S("/up")) || str_eq(path, S("/upslow")))
        up(h, req, str_eq(path, S("/upslow")));
    else if (str_eq(path, S("/upno")))
        forbid(req);
    else
        not_found(req);
}

static struct http_body_rule body_rule(void *arg, enum http_method method, struct str path)
{
    (void)arg;
    (void)method;
    if (str_starts(path, S("/up")))
        return (struct http_body_rule){.max = HTTPD_UP_MAX, .streamed = true};
    return (struct http_body_rule){.max = str_eq(path, S("/small")) ? HTTPD_SMALL_BODY : HTTPD_BODY_MAX};
}

static void *run(void *arg)
{
    struct httpd *h = arg;
    loop_run(h->loop);
    return NULL;
}

void httpd_start(struct httpd *h, struct http_options opt)
{
    struct err err = ERR_INIT;
    *h = (struct httpd){.port = 0};
    CHECK(loop_new(&h->loop, &err) == ERR_OK);
    opt.host = opt.host ? opt.host : "127.0.0.1";
    opt.body_rule = body_rule;
    opt.on_request = on_request;
    opt.arg = h;
    CHECK(http_server_new(h->loop, &opt, &h->server, &err) == ERR_OK);
    h->port = http_server_port(h->server);
    CHECK(pthread_create(&h->thread, NULL, run, h) == 0);
}

/* Runs fn on the loop and waits for it. */
struct visit {
    struct httpd *h;
    void (*fn)(struct visit *v);
    enum httpd_counter which;
    unsigned long value;
    struct http_stats stats;
    enum err_code code;
    struct err *err;
    pthread_mutex_t lock;
    pthread_cond_t cond;
    bool done;
};

static void visited(void *arg)
{
    struct visit *v = arg;
    v->fn(v);
    pthread_mutex_lock(&v->lock);
    v->done = true;
    pthread_cond_signal(&v->cond);
    pthread_mutex_unlock(&v->lock);
}

static void visit(struct visit *v)
{
    CHECK(pthread_mutex_init(&v->lock, NULL) == 0 && pthread_cond_init(&v->cond, NULL) == 0);
    loop_post(v->h->loop, visited, v);
    pthread_mutex_lock(&v->lock);
    while (!v->done)
        pthread_cond_wait(&v->cond, &v->lock);
    pthread_mutex_unlock(&v->lock);
    pthread_cond_destroy(&v->cond);
    pthread_mutex_destroy(&v->lock);
}

static void do_release(struct visit *v)
{
    struct httpd *h = v->h;
    unsigned n = h->held_count;
    h->held_count = 0;
    h->held_now = 0;
    for (unsigned i = 0; i < n; i++)
        http_reply(h->held[i], 200, "text/plain", S("released"));
    struct httpd_upload *u = h->slow;
    h->slow = NULL;
    if (u)
        next_piece(u);
}

void httpd_release(struct httpd *h)
{
    struct visit v = {.h = h, .fn = do_release};
    visit(&v);
}

static void do_drain(struct visit *v)
{
    http_server_drain(v->h->server);
}

void httpd_drain(struct httpd *h)
{
    struct visit v = {.h = h, .fn = do_drain};
    visit(&v);
}

static void do_stop_listening(struct visit *v)
{
    http_server_stop_listening(v->h->server);
}

void httpd_stop_listening(struct httpd *h)
{
    struct visit v = {.h = h, .fn = do_stop_listening};
    visit(&v);
}

static void do_reload(struct visit *v)
{
    v->code = http_server_reload_tls(v->h->server, v->err);
}

enum err_code httpd_reload_tls(struct httpd *h, struct err *err)
{
    struct visit v = {.h = h, .fn = do_reload, .err = err};
    visit(&v);
    return v.code;
}

static void do_count(struct visit *v)
{
    http_server_stats(v->h->server, &v->stats);
    switch (v->which) {
    case HTTPD_HELD: v->value = v->h->held_now; break;
    case HTTPD_GONE: v->value = v->h->gone; break;
    case HTTPD_PRODUCED: v->value = v->h->produced; break;
    case HTTPD_OPEN: v->value = v->stats.open; break;
    case HTTPD_ACCEPTED: v->value = (unsigned long)v->stats.accepted; break;
    case HTTPD_REQUESTS: v->value = http_server_requests(v->h->server); break;
    case HTTPD_PIECES: v->value = v->h->pieces; break;
    case HTTPD_FAILED: v->value = v->h->failed; break;
    case HTTPD_WIDEST: v->value = v->h->widest; break;
    }
}

unsigned long httpd_count(struct httpd *h, enum httpd_counter which)
{
    struct visit v = {.h = h, .fn = do_count, .which = which};
    visit(&v);
    return v.value;
}

struct http_stats httpd_stats(struct httpd *h)
{
    struct visit v = {.h = h, .fn = do_count, .which = HTTPD_OPEN};
    visit(&v);
    return v.stats;
}

static bool wait_for(struct httpd *h, enum httpd_counter which, unsigned long value, bool more)
{
    int64_t end = clock_mono_us() + (int64_t)WAIT_MS * 1000;
    while (clock_mono_us() < end) {
        unsigned long now = httpd_count(h, which);
        if (more ? now > value : now == value)
            return true;
        poll(NULL, 0, 1);
    }
    return false;
}

bool httpd_wait(struct httpd *h, enum httpd_counter which, unsigned long value)
{
    return wait_for(h, which, value, false);
}

bool httpd_wait_more(struct httpd *h, enum httpd_counter which, unsigned long than)
{
    return wait_for(h, which, than, true);
}

static void do_free(struct visit *v)
{
    http_server_free(v->h->server);
}

void httpd_stop(struct httpd *h)
{
    struct visit v = {.h = h, .fn = do_free};
    httpd_release(h);
    CHECK(httpd_wait(h, HTTPD_REQUESTS, 0));
    visit(&v);
    loop_stop(h->loop);
    CHECK(pthread_join(h->thread, NULL) == 0);
    loop_free(h->loop);
}
