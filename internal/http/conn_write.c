/* Bytes out: sent at once as far as the kernel takes them, the rest kept until the socket is writable. */
#include "base/check.h"
#include "base/clock.h"
#include "http/http_internal.h"
#include <errno.h>
#include <sys/socket.h>
#include <sys/uio.h>

/* What we send is bounded where it is made. */
static const size_t OUT_MAX = SIZE_MAX / 8;

bool conn_unsent(const struct http_connection *c)
{
    return c->out.len > 0 || c->out_body.len > 0;
}

void conn_drop_output(struct http_connection *c)
{
    strbuf_release(&c->out);
    strbuf_release(&c->out_body);
    strbuf_init(&c->out, OUT_MAX); /* one that was taken over had a limit of its own */
    strbuf_init(&c->out_body, OUT_MAX);
    c->out_sent = c->out_body_sent = 0;
}

static bool again(void)
{
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
}

/* What was taken of both; sets c->broken when nothing can be sent any more. */
static size_t send_plain(struct http_connection *c, struct str head, struct str body)
{
    struct iovec parts[2] = {
        {(void *)(uintptr_t)head.ptr, head.len}, {(void *)(uintptr_t)body.ptr, body.len}};
    struct msghdr msg = {.msg_iov = parts, .msg_iovlen = body.len > 0 ? 2 : 1};
    ssize_t n =
        body.len > 0 ? sendmsg(c->fd, &msg, MSG_NOSIGNAL) : send(c->fd, head.ptr, head.len, MSG_NOSIGNAL);
    if (n < 0)
        c->broken = !again();
    return n < 0 ? 0 : (size_t)n;
}

static size_t send_tls(struct http_connection *c, struct str part)
{
    size_t sent = 0;
    while (sent < part.len) {
        ssize_t n = tls_write(c->tls, part.ptr + sent, part.len - sent);
        if (n <= 0) {
            c->broken = n == TLS_FAILED || n == 0;
            break;
        }
        sent += (size_t)n;
    }
    return sent;
}

static size_t send_both(struct http_connection *c, struct str head, struct str body)
{
    size_t sent;
    if (!c->tls) {
        sent = send_plain(c, head, body);
    } else {
        sent = send_tls(c, head);
        if (sent == head.len && body.len > 0)
            sent += send_tls(c, body);
    }
    c->server->stats.bytes_out += sent;
    return sent;
}

/* Appends what is left of a part. All of out goes before all of out_body. */
static void keep(struct http_connection *c, struct str part, size_t sent, bool is_body)
{
    struct strbuf *to = is_body || c->out_body.len > 0 ? &c->out_body : &c->out;
    if (sent < part.len)
        strbuf_add(to, part.ptr + sent, part.len - sent);
}

static void keep_owned(struct http_connection *c, struct str body, size_t sent, struct strbuf *owned)
{
    CHECK(owned->buf == body.ptr);
    CHECK(c->out_body.len == 0);
    c->out_body = *owned;
    c->out_body.limit = OUT_MAX;
    c->out_body_sent = sent;
    strbuf_init(owned, owned->limit);
}

void conn_write(struct http_connection *c, struct str head, struct str body, struct strbuf *owned)
{
    size_t sent = 0;
    CHECK(head.len > 0);
    if (!c->broken && !conn_unsent(c))
        sent = send_both(c, head, body);
    size_t body_sent = sent > head.len ? sent - head.len : 0;
    if (!c->broken)
        keep(c, head, sent, false);
    if (!c->broken && owned && body_sent < body.len)
        keep_owned(c, body, body_sent, owned);
    else if (!c->broken)
        keep(c, body, body_sent, true);
    if (owned)
        strbuf_release(owned);
    if (c->broken || strbuf_failed(&c->out) || strbuf_failed(&c->out_body)) /* lost, or out of memory */
        conn_break(c);
}

/* Advances both buffers by what was sent; gives their memory back when all is. */
static void advance(struct http_connection *c, size_t sent)
{
    size_t head = c->out.len - c->out_sent, of_head = sent < head ? sent : head;
    c->out_sent += of_head;
    c->out_body_sent += sent - of_head;
    if (c->out_sent == c->out.len && c->out_body_sent == c->out_body.len)
        conn_drop_output(c);
}

void conn_writable(struct http_connection *c)
{
    if (c->broken || !conn_unsent(c))
        return;
    struct str head = str_slice(strbuf_str(&c->out), c->out_sent, c->out.len);
    struct str body = str_slice(strbuf_str(&c->out_body), c->out_body_sent, c->out_body.len);
    size_t sent = head.len > 0 ? send_both(c, head, body) : send_both(c, body, STR_EMPTY);
    if (c->broken) {
        conn_break(c);
        return;
    }
    advance(c, sent);
    if (sent > 0 && c->phase == PHASE_WRITING)
        c->stall_us = clock_mono_us() + c->server->opt.deadlines.write_us;
    if (!conn_unsent(c) && c->phase == PHASE_WRITING)
        conn_pause(c);
}
