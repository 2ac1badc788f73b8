/* The socket of one engine: frames out in one write a turn, frames in without a copy. What comes in is
 * hostile. */
#include "base/check.h"
#include "base/clock.h"
#include "base/fs.h"
#include "supervise/state.h"
#include <errno.h>
#include <sys/socket.h>

void peer_want(struct peer *e)
{
    if (e->eof || e->state < PEER_OPENING)
        return;
    unsigned want = e->paused ? 0 : LOOP_READ;
    if (e->out.len > e->out_at)
        want |= LOOP_WRITE;
    loop_io_want(&e->io, want);
}

void peer_close(struct peer *e)
{
    e->eof = true;
    loop_io_release(&e->io);
    fd_close(&e->fd);
    strbuf_release(&e->out); /* not `in`: a callback may still look at a piece of it */
    e->out_at = 0;
}

/* --- out --- */

bool peer_has_room(const struct peer *e)
{
    return e->sent_count == 0 || (e->sent_count < PEER_SENT_MAX && e->sent_bytes < PEER_SENT_BYTES_MAX);
}

bool peer_send(struct peer *e, struct flight *f)
{
    size_t before = e->out.len;
    CHECK(peer_usable(e) && f->call && !f->engine);
    wire_put_call(&e->out, f->id, &f->call->req);
    if (strbuf_failed(&e->out)) {
        e->out.failed = false; /* nothing of the frame was written; those before it are whole */
        return false;
    }
    f->size = e->out.len - before;
    f->engine = e;
    list_push_back(&e->sent, &f->node);
    e->sent_count++;
    e->sent_bytes += f->size;
    peer_set_idle(e, false);
    peer_touch(e);
    return true;
}

void peer_touch(struct peer *e)
{
    if (!list_empty(&e->dirty_node))
        return;
    list_push_back(&e->s->dirty_engines, &e->dirty_node);
    loop_turn_ask(&e->s->turn);
}

/* What was written is dropped from the front of the buffer, at a cost of less than a byte copied for each
 * byte written. */
static void drop_written(struct peer *e)
{
    size_t left = e->out.len - e->out_at;
    if (left == 0)
        strbuf_shrink(&e->out, PEER_OUT_KEEP);
    else if (e->out_at < left)
        return;
    else
        memmove(e->out.buf, e->out.buf + e->out_at, left);
    strbuf_truncate(&e->out, left);
    e->out_at = 0;
}

void peer_flush(struct peer *e)
{
    if (e->eof || e->state < PEER_OPENING)
        return;
    size_t left = e->out.len - e->out_at;
    ssize_t n = left ? send(e->fd, e->out.buf + e->out_at, left, MSG_NOSIGNAL | MSG_DONTWAIT) : 0;
    if (n > 0)
        e->out_at += (size_t)n;
    else if (n < 0 && errno != EAGAIN && errno != EINTR)
        e->out_at = e->out.len; /* it is dying: the end of file tells */
    drop_written(e);
    if (e->out.len == 0 && e->end == END_LEAVE)
        (void)shutdown(e->fd, SHUT_WR); /* the engine answers what it has, checkpoints and leaves */
    peer_want(e);
}

/* --- in --- */

void peer_tell_cancelled(struct peer *e)
{
    struct supervisor *s = e->s;
    struct flight *f = flight_find(s, atomic_load_explicit(&e->board->running_call, memory_order_acquire));
    struct list *it, *nx;
    uint64_t id = 0;
    if (f && f->engine == e && f->cancelled) {
        id = f->id;
    } else {
        LIST_EACH(it, nx, &e->sent)
        {
            f = LIST_ITEM(it, struct flight, node);
            if (f->cancelled && id == 0)
                id = f->id;
        }
    }
    atomic_store_explicit(&e->board->cancel_call, id, memory_order_release);
}

static void reply_over(struct peer *e, struct flight *f)
{
    struct err err = ERR_INIT;
    if (f->trial) {
        f->trial = false;
        database_answered(e->db);
    }
    if (f->cancelled)
        cancel_error(&err);
    flight_finish(f, f->cancelled ? &err : NULL);
    if (e->cancelled_count > 0)
        peer_tell_cancelled(e);
}

static bool on_reply(struct peer *e, const struct wire_header *h, struct str body)
{
    struct flight *f = flight_find(e->s, h->call_id);
    struct wire_reply_head head;
    bool first = h->flags & WIRE_FIRST, last = h->flags & WIRE_LAST;
    struct str chunk;
    if (!f || f->engine != e || first == f->replied)
        return false;
    if (wire_get_reply(h->flags, body, &head, &chunk, NULL) != ERR_OK)
        return false;
    f->replied = true;
    if (first && head.code == ERR_CORRUPT)
        database_quarantine(e->db);
    if (f->call && !f->cancelled && (first || chunk.len > 0))
        f->call->on_data(f->call, first ? &head : NULL, chunk);
    if (last)
        reply_over(e, f);
    return true;
}

static bool on_bounce(struct peer *e, const struct wire_header *h)
{
    struct flight *f = flight_find(e->s, h->call_id);
    struct err err = ERR_INIT;
    if (!f || f->engine != e || f->replied || e->kind != KIND_WRITER || e->s->opt.readers_max == 0)
        return false;
    e->s->gone.bounces++;
    if (!f->call || f->cancelled) {
        cancel_error(&err);
        flight_finish(f, &err);
        return true;
    }
    list_remove(&f->node);
    e->sent_count--;
    e->sent_bytes -= f->size;
    f->engine = NULL;
    f->bounced = true;
    flight_wait(f, false);
    return true;
}

static bool on_ready(struct peer *e)
{
    if (e->state != PEER_OPENING)
        return false;
    e->state = PEER_READY;
    e->s->gone.starts++;
    e->s->gone.start_us += (uint64_t)(e->progress_us - e->asked_us);
    database_touch(e->db);
    return true;
}

static bool on_frame(struct peer *e, const struct wire_header *h, struct str body)
{
    switch (h->type) {
    case WIRE_READY: return on_ready(e);
    case WIRE_REPLY: return e->state == PEER_READY && on_reply(e, h, body);
    case WIRE_BOUNCE: return e->state == PEER_READY && on_bounce(e, h);
    default: return false;
    }
}

/* Hands out whole frames until there is none, the stream is paused or the channel was closed; how much was
 * used. */
static size_t dispatch(struct peer *e, struct str in)
{
    struct wire_header h;
    size_t at = 0, size;
    while (!e->paused && !e->eof) {
        struct str rest = str_make(in.ptr + at, in.len - at);
        bool ok = wire_peek(rest, &h, &size, NULL) == ERR_OK;
        if (ok && size == 0)
            break;
        at += size;
        if (!ok || !on_frame(e, &h, str_slice(rest, WIRE_HEADER_SIZE, size))) {
            peer_kill(e, END_PROTOCOL);
            break;
        }
    }
    return at;
}

static void dispatch_kept(struct peer *e)
{
    size_t used = dispatch(e, str_make(e->in.buf + e->in_at, e->in.len - e->in_at));
    if (e->eof)
        return;
    e->in_at += used;
    if (e->in_at == e->in.len) {
        strbuf_release(&e->in);
        e->in_at = 0;
    }
}

/* Bytes that complete the frame whose start was kept; never more, so that it is copied once. */
static size_t missing(const struct peer *e)
{
    struct str have = str_make(e->in.buf + e->in_at, e->in.len - e->in_at);
    struct wire_header h;
    size_t size;
    if (have.len < WIRE_HEADER_SIZE)
        return WIRE_HEADER_SIZE - have.len;
    if (wire_peek(have, &h, &size, NULL) != ERR_OK || size > 0)
        return 1; /* not reached: dispatch stops at neither unless paused */
    return WIRE_HEADER_SIZE + h.body_len - have.len;
}

enum read_result { READ_FULL, READ_SHORT, READ_NONE };

/* One read and its frames. */
static enum read_result read_once(struct peer *e)
{
    bool kept = e->in.len > e->in_at;
    size_t want = kept ? missing(e) : READ_BUFFER;
    char *to = kept ? strbuf_reserve(&e->in, want) : e->s->read_buffer;
    if (!to) {
        peer_kill(e, END_PROTOCOL);
        return READ_NONE;
    }
    ssize_t n = recv(e->fd, to, want, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return READ_NONE;
    if (n <= 0) {
        peer_close(e);
        return READ_NONE;
    }
    if (kept) {
        strbuf_commit(&e->in, (size_t)n);
        dispatch_kept(e);
    } else {
        size_t used = dispatch(e, str_make(to, (size_t)n));
        if (!e->eof)
            strbuf_add(&e->in, to + used, (size_t)n - used);
    }
    return (size_t)n == want ? READ_FULL : READ_SHORT;
}

/* Reads what is there, at most a few buffers a turn so that one engine cannot keep the loop. */
static void read_some(struct peer *e, unsigned rounds)
{
    e->progress_us = clock_mono_us();
    while (rounds-- > 0 && !e->eof && !e->paused && read_once(e) == READ_FULL) {
    }
}

void peer_drain(struct peer *e)
{
    peer_resume(e);
    while (!e->eof && !e->paused && read_once(e) != READ_NONE) {
    }
    if (!e->eof && !e->paused)
        peer_close(e); /* someone else holds the socket's other end; its owner is gone */
}

/* The engine closed its socket though nobody asked it to: it is dying, or it must. */
static void check_eof(struct peer *e)
{
    if (e->eof && e->end == END_NONE && !e->exited)
        peer_send_kill(e);
}

void peer_resume(struct peer *e)
{
    if (e->paused || e->eof || e->in.len == e->in_at)
        return;
    dispatch_kept(e);
}

void peer_on_io(void *engine, unsigned ready)
{
    struct peer *e = engine;
    if (ready & LOOP_WRITE)
        peer_flush(e);
    if ((ready & LOOP_READ) && !e->eof)
        read_some(e, 4);
    check_eof(e);
    peer_check_ended(e);
}
