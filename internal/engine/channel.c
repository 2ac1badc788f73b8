/* The engine's end of the socket. */
#define _GNU_SOURCE /* MSG_NOSIGNAL is POSIX, poll's EINTR loop needs nothing more; recv flags of Linux */
#include "engine/channel.h"
#include "base/check.h"
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>

enum {
    READ_STEP = 64 << 10,
    KEEP_BYTES = 128 << 10, /* buffers above this are given back after a turn */
    STALL_MS = 30000,       /* a front that takes nothing for so long is gone */
};

void channel_init(struct channel *ch, int fd)
{
    *ch = (struct channel){.fd = fd};
    strbuf_init(&ch->in, (size_t)WIRE_FRAME_MAX + READ_STEP + WIRE_HEADER_SIZE);
    strbuf_init(&ch->out, (size_t)WIRE_FRAME_MAX * 2);
}

void channel_release(struct channel *ch)
{
    strbuf_release(&ch->in);
    strbuf_release(&ch->out);
}

static bool poll_for(struct channel *ch, short what, int timeout_ms)
{
    struct pollfd p = {.fd = ch->fd, .events = what};
    int n;
    do
        n = poll(&p, 1, timeout_ms);
    while (n < 0 && errno == EINTR);
    return n > 0;
}

bool channel_wait(struct channel *ch, int timeout_ms)
{
    return poll_for(ch, POLLIN, timeout_ms);
}

static struct str unread(const struct channel *ch)
{
    struct str all = strbuf_str(&ch->in);
    return str_slice(all, ch->consumed, all.len);
}

/* Room for the rest of a frame that has begun, so that a large body is not read in small steps. */
static size_t wanted(const struct channel *ch)
{
    struct wire_header h;
    size_t size;
    struct str have = unread(ch);
    if (have.len < WIRE_HEADER_SIZE || wire_peek(have, &h, &size, NULL) != ERR_OK || size > 0)
        return READ_STEP;
    size_t missing = WIRE_HEADER_SIZE + (size_t)h.body_len - have.len;
    return missing > READ_STEP ? missing : READ_STEP;
}

void channel_set_patience(int fd, int patience_ms)
{
    struct timeval patience = {
        .tv_sec = patience_ms / 1000, .tv_usec = (suseconds_t)(patience_ms % 1000) * 1000};
    CHECK(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) == 0);
}

/* One read after the other until one comes back short; the first may wait. */
static enum err_code receive(struct channel *ch, int flags, bool *ret_came, struct err *err)
{
    *ret_came = true;
    for (;;) {
        size_t want = wanted(ch);
        char *at = strbuf_reserve(&ch->in, want);
        if (!at)
            return channel_pending(ch) ? ERR_OK : err_set(err, ERR_INVALID, "a frame is too large");
        ssize_t n = recv(ch->fd, at, want, flags);
        if (n < 0 && errno == EINTR)
            continue;
        if (n > 0)
            strbuf_commit(&ch->in, (size_t)n);
        bool nothing = n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
        if (nothing && flags == 0)
            *ret_came = false;
        if (n == 0 || (n < 0 && !nothing))
            ch->closed = true;
        if (n < (ssize_t)want)
            return ERR_OK;
        flags = MSG_DONTWAIT;
    }
}

enum err_code channel_receive(struct channel *ch, bool *ret_came, struct err *err)
{
    return receive(ch, 0, ret_came, err);
}

enum err_code channel_fill(struct channel *ch, struct err *err)
{
    bool came;
    return receive(ch, MSG_DONTWAIT, &came, err);
}

enum err_code channel_next(
    struct channel *ch, bool *ret_found, struct wire_header *ret, struct str *ret_body, struct err *err)
{
    struct str have = unread(ch);
    size_t size = 0;
    *ret_found = false;
    enum err_code rc = wire_peek(have, ret, &size, err);
    if (rc != ERR_OK || size == 0)
        return rc;
    *ret_found = true;
    *ret_body = str_slice(have, WIRE_HEADER_SIZE, size);
    ch->consumed += size;
    return ERR_OK;
}

bool channel_pending(const struct channel *ch)
{
    struct wire_header h;
    size_t size = 0;
    return wire_peek(unread(ch), &h, &size, NULL) != ERR_OK || size > 0;
}

void channel_compact(struct channel *ch)
{
    struct str rest = unread(ch);
    if (rest.len)
        memmove(ch->in.buf, rest.ptr, rest.len);
    strbuf_truncate(&ch->in, rest.len);
    ch->consumed = 0;
    if (rest.len == 0)
        strbuf_shrink(&ch->in, KEEP_BYTES);
}

void channel_flush(struct channel *ch)
{
    struct str left = strbuf_str(&ch->out);
    while (left.len > 0 && !ch->closed) {
        ssize_t n = send(ch->fd, left.ptr, left.len, MSG_NOSIGNAL);
        if (n > 0)
            left = str_slice(left, (size_t)n, left.len);
        else if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            ch->closed = !poll_for(ch, POLLOUT, STALL_MS);
        else if (!(n < 0 && errno == EINTR))
            ch->closed = true;
    }
    if (strbuf_failed(&ch->out))
        ch->closed = true; /* for want of memory an answer is missing: only the closed socket can tell */
    strbuf_shrink(&ch->out, KEEP_BYTES);
}
