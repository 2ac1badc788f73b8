/* The life of a connection: its phases, their deadlines, its end. */
#include "base/check.h"
#include "base/clock.h"
#include "base/mem.h"
#include "http/http_internal.h"
#include <event2/buffer.h>
#include <sys/socket.h>

enum { US_PER_KB_BYTES = 1000 };

#define BIT(phase) (1U << (phase))

/* The arrows of http_internal.h. */
static const unsigned ALLOWED_NEXT[] = {
    [PHASE_HANDSHAKE] = BIT(PHASE_IDLE),
    [PHASE_IDLE] = BIT(PHASE_HEAD) | BIT(PHASE_WRITING) | BIT(PHASE_LINGER),
    [PHASE_HEAD] = BIT(PHASE_BODY) | BIT(PHASE_HANDLING) | BIT(PHASE_WRITING) | BIT(PHASE_LINGER),
    [PHASE_BODY] = BIT(PHASE_HANDLING) | BIT(PHASE_WRITING) | BIT(PHASE_LINGER),
    [PHASE_HANDLING] = BIT(PHASE_BODY) | BIT(PHASE_WRITING) | BIT(PHASE_IDLE) | BIT(PHASE_LINGER),
    [PHASE_WRITING] = BIT(PHASE_WRITING) | BIT(PHASE_HANDLING) | BIT(PHASE_IDLE) | BIT(PHASE_LINGER),
    [PHASE_LINGER] = 0,
};

struct http_connection *conn_new(struct http_server *s, struct bufferevent *bev)
{
    struct http_connection *c = MEM_NEW(struct http_connection);
    c->server = s;
    c->bev = bev;
    c->fd = -1;
    list_init(&c->node);
    list_init(&c->ready);
    strbuf_init(&c->in, s->opt.head_max + HTTP_READ_MAX);
    conn_drop_output(c);
    strbuf_init(&c->body, 0);
    strbuf_init(&c->req.headers, HTTP_REPLY_HEAD_MAX / 2);
    return c;
}

/* evhttp ends connections on its own accord only after errors, which the guard leaves none of. */
static void on_evhttp_close(struct evhttp_connection *evcon, void *arg)
{
    const struct http_connection *c = arg;
    (void)evcon;
    CHECK(c->dead);
}

static void on_io(void *arg, unsigned ready)
{
    struct http_connection *c = arg;
    bool read_waited = c->tls_wants_write; /* TLS had to write before it could go on reading */
    c->busy++;
    c->tls_wants_write = false;
    if (ready & LOOP_WRITE)
        conn_writable(c);
    if ((ready & LOOP_READ || read_waited) && !c->dead)
        conn_readable(c);
    if (!c->dead)
        conn_want(c);
    conn_leave(c);
}

void conn_start(
    struct http_connection *c, int fd, struct evhttp_connection *evcon, bufferevent_data_cb evhttp_read)
{
    c->fd = fd;
    c->evcon = evcon;
    c->evhttp_read = evhttp_read;
    evhttp_connection_set_closecb(evcon, on_evhttp_close, c);
    loop_io_init(&c->io, c->server->loop, fd, on_io, c);
    if (c->server->tls) {
        c->tls = tls_session_new(c->server->tls, fd);
        c->phase_start_us = clock_mono_us();
        c->deadline_us = c->phase_start_us + c->server->opt.deadlines.handshake_us;
    } else {
        c->phase = PHASE_IDLE;
        c->phase_start_us = clock_mono_us();
        c->deadline_us = c->phase_start_us + c->server->opt.deadlines.idle_us;
    }
    conn_want(c);
}

static int64_t allowance_us(const struct http_connection *c, uint64_t bytes)
{
    return (int64_t)(bytes / US_PER_KB_BYTES) * c->server->opt.deadlines.per_kb_us;
}

static size_t unsent_bytes(const struct http_connection *c)
{
    return c->out.len - c->out_sent + c->out_body.len - c->out_body_sent;
}

void conn_enter(struct http_connection *c, enum http_phase phase)
{
    const struct http_deadlines *d = &c->server->opt.deadlines;
    CHECK(ALLOWED_NEXT[c->phase] & BIT(phase));
    c->phase = phase;
    c->phase_start_us = clock_mono_us();
    c->stall_us = 0;
    switch (phase) {
    case PHASE_HANDSHAKE: UNREACHABLE("a connection begins with its handshake");
    case PHASE_IDLE: c->deadline_us = c->phase_start_us + d->idle_us; break;
    case PHASE_HEAD: c->deadline_us = c->phase_start_us + d->head_us; break;
    case PHASE_BODY: c->deadline_us = c->phase_start_us + d->body_us - c->body_waited_us; break;
    case PHASE_HANDLING:
        c->deadline_us = 0;
        break; /* how long an answer may take is the handler's business */
    case PHASE_WRITING:
        c->stall_us = c->phase_start_us + d->write_us;
        c->deadline_us = c->stall_us + allowance_us(c, unsent_bytes(c));
        break;
    case PHASE_LINGER: c->deadline_us = c->phase_start_us + d->linger_us; break;
    }
}

static bool wants_bytes(const struct http_connection *c)
{
    if (c->eof)
        return false;
    /* Requests sent ahead wait in the kernel once there is more than one head's worth; so does a body that
     * its handler has not asked for. */
    if (c->phase == PHASE_HANDLING || c->phase == PHASE_WRITING)
        return c->in.len < c->server->opt.head_max && !body_outstanding(c);
    return true;
}

void conn_want(struct http_connection *c)
{
    unsigned want = 0;
    if (!c->broken) {
        want |= wants_bytes(c) ? LOOP_READ : 0;
        want |= conn_unsent(c) || c->tls_wants_write ? LOOP_WRITE : 0;
    }
    if (want != c->want)
        loop_io_want(&c->io, want);
    c->want = want;
}

static void uncount_ip(struct http_connection *c)
{
    struct map *per_ip = &c->server->per_ip;
    unsigned *count = map_get(per_ip, peer_key(&c->peer));
    CHECK(count && *count > 0);
    if (--*count == 0)
        mem_free(map_del(per_ip, peer_key(&c->peer)));
}

void conn_free(struct http_connection *c)
{
    struct http_server *s = c->server;
    CHECK(!c->req.open);
    c->dead = true;
    list_remove(&c->node);
    list_remove(&c->ready);
    if (c->counted_ip)
        uncount_ip(c);
    s->lingering_refused -= c->refused;
    loop_io_release(&c->io);
    if (c->tls)
        tls_session_free(c->tls);
    strbuf_release(&c->in);
    body_release(c);
    strbuf_release(&c->out);
    strbuf_release(&c->out_body);
    strbuf_release(&c->req.headers);
    list_push_back(&s->closing, &c->node);
    loop_timer_set(&s->ready_timer, 0);
}

void conn_close_freed(struct http_server *s)
{
    while (!list_empty(&s->closing)) {
        struct http_connection *c = LIST_FIRST(&s->closing, struct http_connection, node);
        list_remove(&c->node);
        if (c->evcon) { /* closes the descriptor and frees a request that has not been answered */
            evhttp_connection_free(c->evcon);
            CHECK(s->stats.open > 0);
            s->stats.open--;
        }
        mem_free(c);
    }
}

void conn_kill(struct http_connection *c)
{
    c->dead = true;
    if (c->busy > 0)
        return;
    if (c->req.open) { /* the handler still holds the request: its answer comes here again */
        conn_break(c);
        return;
    }
    conn_free(c);
}

void conn_leave(struct http_connection *c)
{
    CHECK(c->busy > 0);
    c->busy--;
    if (c->dead)
        conn_kill(c);
}

void conn_break(struct http_connection *c)
{
    c->broken = true;
    c->tls_wants_write = false;
    conn_drop_output(c);
    if (!c->req.open) {
        conn_kill(c);
        return;
    }
    c->dead = false;
    c->deadline_us = c->stall_us = 0;
    c->tell_gone = true;
    c->tell_drained = c->req.drained_fn != NULL;
    conn_ready(c);
    conn_want(c);
}

void conn_ready(struct http_connection *c)
{
    list_remove(&c->ready);
    list_push_back(&c->server->ready, &c->ready);
    loop_timer_set(&c->server->ready_timer, 0);
}

static void tell_gone(struct http_connection *c)
{
    void (*fn)(void *) = c->req.gone_fn;
    c->tell_gone = false;
    c->req.gone_fn = NULL;
    if (c->req.open && fn)
        fn(c->req.gone_arg);
}

static void tell_drained(struct http_connection *c)
{
    void (*fn)(void *) = c->req.drained_fn;
    c->tell_drained = false;
    c->req.drained_fn = NULL;
    if (c->req.open && fn)
        fn(c->req.drained_arg);
}

void conn_tell(struct http_connection *c)
{
    c->busy++;
    if (c->tell_gone)
        tell_gone(c);
    if (c->tell_drained)
        tell_drained(c);
    body_tell(c);
    if (c->read_again && !c->dead) {
        c->read_again = false;
        conn_readable(c);
    }
    if (!c->dead)
        conn_want(c);
    conn_leave(c);
}

/* The connection's last reply has left: says so to the client and waits a moment for it to read that and
 * close. Closing at once with unread input would reset the connection, and the reset may overtake the reply.
 */
static void linger(struct http_connection *c)
{
    if (c->tls)
        tls_close_notify(c->tls);
    if (c->eof || shutdown(c->fd, SHUT_WR) != 0) {
        conn_kill(c);
        return;
    }
    conn_enter(c, PHASE_LINGER);
    conn_want(c);
}

/* evhttp frees the request and waits for the next one. */
static void release_request(struct http_connection *c)
{
    struct evhttp_request *parsed = c->req.parsed;
    request_reset(&c->req);
    if (parsed)
        evhttp_send_reply_end(parsed);
    body_release(c);
}

static void reply_has_left(struct http_connection *c)
{
    if (c->close_after) {
        linger(c);
        return;
    }
    release_request(c);
    conn_enter(c, PHASE_IDLE);
    if (!c->taking)
        conn_next(c);
}

void conn_answered(struct http_connection *c)
{
    if (c->req.open) {
        CHECK(c->server->open_requests > 0);
        c->server->open_requests--;
    }
    c->req.open = false;
    c->req.answer = ANSWER_DONE;
    c->req.gone_fn = c->req.drained_fn = NULL;
    c->req.body_fn = NULL;
    c->tell_gone = c->tell_drained = false;
    if (c->broken) {
        conn_kill(c);
        return;
    }
    conn_pause(c);
}

void conn_pause(struct http_connection *c)
{
    c->busy++;
    if (c->broken) {
        c->tell_drained = c->req.drained_fn != NULL;
        conn_ready(c);
    } else if (conn_unsent(c)) {
        conn_enter(c, PHASE_WRITING);
    } else if (c->req.answer == ANSWER_STREAM) {
        if (c->phase == PHASE_WRITING)
            conn_enter(c, PHASE_HANDLING);
        c->tell_drained = c->req.drained_fn != NULL;
        if (c->tell_drained)
            conn_ready(c);
    } else {
        reply_has_left(c);
    }
    if (!c->dead)
        conn_want(c);
    conn_leave(c);
}

/* Only what a client has begun and not finished is answered; one that is merely silent is closed. */
static void time_is_up(struct http_connection *c)
{
    c->server->stats.timeouts +=
        c->phase != PHASE_IDLE && c->phase != PHASE_LINGER; /* these are no one's fault */
    if (c->phase == PHASE_HEAD)
        reply_refuse(c, ERR_REQUEST_TIMEOUT, "the head of the request did not arrive in time");
    else if (c->phase == PHASE_BODY)
        body_fail(c, ERR_REQUEST_TIMEOUT, "the body of the request did not arrive in time");
    else
        conn_break(c);
}

void conn_check_deadline(struct http_connection *c, int64_t now_us)
{
    int64_t deadline = c->deadline_us;
    if (deadline == 0)
        return;
    if (c->phase == PHASE_BODY)
        deadline += allowance_us(c, c->body_got);
    if (now_us < deadline && (c->stall_us == 0 || now_us < c->stall_us))
        return;
    c->busy++;
    time_is_up(c);
    conn_leave(c);
}
