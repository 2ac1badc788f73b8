/* Bytes in: through the guard, the head into evhttp's parser, the body to conn_body.c, the request to its
 * handler. */
#include "base/check.h"
#include "base/clock.h"
#include "http/http_internal.h"
#include <errno.h>
#include <event2/buffer.h>
#include <sys/socket.h>

/* recv() for both kinds: bytes, 0 at the end, -1 for nothing now. Sets c->broken when the connection is lost.
 */
static ssize_t receive(struct http_connection *c, void *buf, size_t len)
{
    ssize_t n;
    if (!c->tls) {
        n = recv(c->fd, buf, len, 0);
        c->broken = n < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR;
    } else {
        n = tls_read(c->tls, buf, len);
        c->tls_wants_write = n == TLS_WANT_WRITE;
        c->broken = n == TLS_FAILED;
    }
    if (n > 0)
        c->server->stats.bytes_in += (uint64_t)n;
    return n < 0 ? -1 : n;
}

void conn_parsed(struct evhttp_request *parsed, void *server)
{
    struct http_server *s = server;
    CHECK(s->parsing && !s->parsing->req.parsed);
    s->parsing->req.parsed = parsed;
}

/* Shows evhttp the head without the hidden parts; it answers by calling conn_parsed(). */
static bool parse_head(struct http_connection *c, const char *head)
{
    struct evbuffer *in = bufferevent_get_input(c->bev);
    size_t at = 0;
    CHECK(evbuffer_get_length(in) == 0);
    for (unsigned i = 0; i <= c->guard.hidden_count; i++) {
        bool last = i == c->guard.hidden_count;
        size_t end = last ? c->guard.head_len : c->guard.hidden[i].at;
        CHECK(evbuffer_add(in, head + at, end - at) == 0);
        at = last ? end : end + c->guard.hidden[i].len;
    }
    c->server->parsing = c;
    c->evhttp_read(c->bev, c->evcon);
    c->server->parsing = NULL;
    return c->req.parsed != NULL;
}

void conn_dispatch(struct http_connection *c)
{
    struct http_server *s = c->server;
    conn_enter(c, PHASE_HANDLING);
    c->req.arrived_us = c->phase_start_us;
    c->req.open = true;
    s->open_requests++;
    if (s->cors && cors_is_preflight(&c->req))
        cors_answer_preflight(&c->req);
    else
        s->opt.on_request(s->opt.arg, &c->req);
}

static struct http_body_rule body_rule(const struct http_connection *c)
{
    const struct http_options *o = &c->server->opt;
    return o->body_rule ? o->body_rule(o->arg, c->req.method, c->req.path)
                        : (struct http_body_rule){.max = o->body_max};
}

static void head_is_complete(struct http_connection *c, const char *head)
{
    const struct guard *g = &c->guard;
    struct http_server *s = c->server;
    c->requests++;
    c->close_after =
        g->close || s->draining ||
        (s->opt.requests_per_connection_max && c->requests >= s->opt.requests_per_connection_max);
    c->req.method = g->method;
    if (!parse_head(c, head)) {
        reply_refuse(c, ERR_INVALID, "the head of the request cannot be parsed");
        return;
    }
    request_begin(c);
    struct http_body_rule rule = body_rule(c);
    body_begin(c, &rule);
    if (g->content_length > rule.max)
        body_fail(c, ERR_TOO_LARGE, NULL);
    else if (rule.streamed || c->body_over)
        conn_dispatch(c);
    else
        conn_enter(c, PHASE_BODY);
}

static void refuse_head(struct http_connection *c)
{
    const struct guard *g = &c->guard;
    struct err err = ERR_INIT;
    c->server->stats.guard_refusals++;
    if (g->actual > 0)
        (void)err_set(
            &err, g->code, "%s: it has %zu bytes, at most %zu pass", g->reason, g->actual, g->limit);
    else if (g->limit > 0)
        (void)err_set(&err, g->code, "%s: at most %zu bytes pass", g->reason, g->limit);
    else
        (void)err_set(&err, g->code, "%s", g->reason);
    reply_refuse_with(c, &err);
}

/* Returns how many of `bytes` belong to the head. A head that came in parts is collected in c->in. */
static size_t take_head(struct http_connection *c, const char *bytes, size_t len)
{
    size_t before = c->in.len;
    if (c->phase == PHASE_IDLE) {
        guard_init(&c->guard, &(struct guard_limits){c->server->opt.head_max, LIMIT_URI_BYTES});
        conn_enter(c, PHASE_HEAD);
    }
    if (before > 0)
        strbuf_add(&c->in, bytes, len);
    const char *head = before > 0 ? c->in.buf : bytes;
    switch (guard_read(&c->guard, head, before + len)) {
    case GUARD_MORE:
        if (before == 0)
            strbuf_add(&c->in, bytes, len);
        CHECK(!strbuf_failed(&c->in));
        return len;
    case GUARD_BAD: refuse_head(c); return len;
    case GUARD_DONE: break;
    }
    size_t used = c->guard.head_len - before;
    head_is_complete(c, head);
    strbuf_release(&c->in);
    if (used == len)
        body_say_continue(c);
    return used;
}

/* Handlers that answer at once let this go on with the next request without recursion; otherwise the rest
 * waits in c->in. */
void conn_take(struct http_connection *c, const char *bytes, size_t len)
{
    CHECK(!c->taking);
    c->taking = true;
    while (len > 0 && !c->dead && !c->broken && c->phase != PHASE_LINGER) {
        size_t used = len;
        if (c->phase == PHASE_IDLE || c->phase == PHASE_HEAD)
            used = take_head(c, bytes, len);
        else if (c->phase == PHASE_BODY)
            used = body_take(c, str_make(bytes, len));
        else if (!c->close_after || body_outstanding(c))
            strbuf_add(&c->in, bytes, len);
        bytes += used;
        len -= used;
    }
    c->taking = false;
    CHECK(!strbuf_failed(&c->in));
}

static bool is_reading(const struct http_connection *c)
{
    return c->phase == PHASE_IDLE || c->phase == PHASE_HEAD || c->phase == PHASE_BODY;
}

static void take_ahead(struct http_connection *c)
{
    AUTO_STRBUF ahead = c->in;
    strbuf_init(&c->in, ahead.limit);
    conn_take(c, ahead.buf, ahead.len);
}

void conn_next(struct http_connection *c)
{
    c->busy++;
    if (c->server->draining && c->in.len == 0)
        conn_kill(c);
    else if (c->in.len > 0)
        take_ahead(c);
    if (c->eof && is_reading(c))
        conn_kill(c);
    if (!c->dead && c->tls && tls_pending(c->tls)) {
        c->read_again = true;
        conn_ready(c);
    }
    conn_leave(c);
}

/* The client sends no more. What it asked for is still answered; see http_on_gone(). */
static void end_of_input(struct http_connection *c)
{
    c->eof = true;
    if (c->phase == PHASE_BODY && c->req.open) {
        body_fail(c, ERR_INVALID, "the connection ended before the body did");
        return;
    }
    if (c->phase != PHASE_HANDLING && c->phase != PHASE_WRITING) {
        conn_kill(c);
        return;
    }
    if (c->req.open) {
        c->tell_gone = true;
        conn_ready(c);
    }
}

static void handle_received(struct http_connection *c, ssize_t n)
{
    if (c->broken)
        conn_break(c);
    else if (n == 0)
        end_of_input(c);
}

/* Straight into the body's memory, which grows by what arrives, not by what was announced. */
static void read_counted(struct http_connection *c)
{
    size_t room = body_room(c);
    char *to = strbuf_reserve(&c->body, room);
    if (!to) {
        body_fail(c, ERR_BUSY, "there is not enough memory for the body now");
        return;
    }
    ssize_t n = receive(c, to, room);
    if (n > 0)
        body_commit(c, (size_t)n);
    else
        handle_received(c, n);
}

static void read_chunks(struct http_connection *c)
{
    size_t room = body_room(c), most = sizeof c->server->scratch;
    ssize_t n = receive(c, c->server->scratch, room < most ? room : most);
    if (n > 0)
        conn_take(c, c->server->scratch, (size_t)n);
    else
        handle_received(c, n);
}

static void read_body(struct http_connection *c)
{
    if (c->in.len > 0)
        take_ahead(c);
    else if (c->guard.chunked)
        read_chunks(c);
    else
        read_counted(c);
}

static void read_other(struct http_connection *c)
{
    ssize_t n = receive(c, c->server->scratch, sizeof c->server->scratch);
    if (n > 0 && c->phase != PHASE_LINGER)
        conn_take(c, c->server->scratch, (size_t)n);
    else if (n <= 0)
        handle_received(c, n);
}

/* A connection over a limit was let in so far to be told so in words that its client understands. */
static void conn_secured(struct http_connection *c)
{
    conn_enter(c, PHASE_IDLE);
    if (c->refused)
        reply_refuse(c, c->refused_code, c->refused_reason);
}

static bool handshake(struct http_connection *c)
{
    ssize_t n = tls_handshake(c->tls);
    c->tls_wants_write = n == TLS_WANT_WRITE;
    if (n > 0)
        conn_secured(c);
    else if (n == TLS_FAILED || n == 0)
        conn_kill(c);
    return n > 0;
}

static bool read_paused(const struct http_connection *c)
{
    return c->eof || c->in.len >= c->server->opt.head_max || (c->phase != PHASE_BODY && body_outstanding(c));
}

void conn_readable(struct http_connection *c)
{
    if (c->broken || (c->phase == PHASE_HANDSHAKE && !handshake(c)))
        return;
    do {
        if (c->phase == PHASE_BODY)
            read_body(c);
        else
            read_other(c);
    } while (!c->dead && !c->broken && c->tls && tls_pending(c->tls) && !read_paused(c));
}
