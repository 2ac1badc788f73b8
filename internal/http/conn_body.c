/* Bodies: into one buffer until they are whole, or, where the path takes its body in pieces, as far as a
 * piece goes and then no further until the handler asks for the next one. */
#include "base/check.h"
#include "base/clock.h"
#include "http/http_internal.h"

bool body_outstanding(const struct http_connection *c)
{
    return c->body_streamed && !c->body_over;
}

void body_begin(struct http_connection *c, const struct http_body_rule *rule)
{
    c->body_streamed = rule->streamed;
    c->body_max = rule->max;
    c->body_got = 0;
    c->body_waited_us = 0;
    c->body_over = !c->guard.chunked && c->guard.content_length == 0;
    c->body_failed = ERR_OK;
    c->continued = false;
    if (c->guard.chunked)
        chunked_init(&c->chunks);
    uint64_t whole = c->guard.chunked ? rule->max : c->guard.content_length;
    strbuf_init(&c->body, rule->streamed ? HTTP_PIECE_MAX : (size_t)whole);
}

void body_release(struct http_connection *c)
{
    strbuf_release(&c->body);
    c->body_streamed = false;
}

size_t body_room(const struct http_connection *c)
{
    size_t room = c->body_streamed ? HTTP_PIECE_MAX - c->body.len : HTTP_BODY_READ_MAX;
    if (c->guard.chunked)
        return room;
    uint64_t missing = c->guard.content_length - c->body_got;
    return missing < room ? (size_t)missing : room;
}

/* `reason` NULL: it is too large. */
static void describe(const struct http_connection *c, enum err_code code, const char *reason, struct err *err)
{
    if (reason)
        (void)err_set(err, code, "%s", reason);
    else if (c->guard.has_length)
        (void)err_set(err, code, "the body of %llu bytes is larger than the %llu this path accepts",
            (unsigned long long)c->guard.content_length, (unsigned long long)c->body_max);
    else
        (void)err_set(err, code, "the body is larger than the %llu bytes this path accepts",
            (unsigned long long)c->body_max);
    err->retry_after_s = code == ERR_BUSY;
}

void body_fail(struct http_connection *c, enum err_code code, const char *reason)
{
    struct err err = ERR_INIT;
    if (!c->req.open) {
        describe(c, code, reason, &err);
        reply_refuse_with(c, &err);
        return;
    }
    if (c->phase == PHASE_BODY)
        conn_enter(c, PHASE_HANDLING);
    c->body_failed = code;
    c->body_reason = reason;
    conn_ready(c);
}

static void hand_piece(struct http_connection *c)
{
    void (*fn)(void *, struct str, const struct err *) = c->req.body_fn;
    CHECK(fn);
    c->req.body_fn = NULL;
    if (c->phase == PHASE_BODY) {
        c->body_waited_us += clock_mono_us() - c->phase_start_us;
        conn_enter(c, PHASE_HANDLING);
    }
    fn(c->req.body_arg, strbuf_str(&c->body), NULL);
}

/* The body grew, or is over: is there something to do with it? */
static void body_grew(struct http_connection *c)
{
    if (strbuf_failed(&c->body))
        body_fail(c, ERR_BUSY, "there is not enough memory for the body now");
    else if (!c->body_streamed && c->body_over)
        conn_dispatch(c);
    else if (c->body_streamed && (c->body_over || c->body.len == HTTP_PIECE_MAX))
        hand_piece(c);
}

void body_commit(struct http_connection *c, size_t len)
{
    strbuf_commit(&c->body, len);
    c->body_got += len;
    c->body_over = c->body_got == c->guard.content_length;
    body_grew(c);
}

static size_t take_counted(struct http_connection *c, struct str bytes)
{
    uint64_t missing = c->guard.content_length - c->body_got;
    size_t room = c->body_streamed ? HTTP_PIECE_MAX - c->body.len : bytes.len;
    size_t used = bytes.len < room ? bytes.len : room;
    used = used < missing ? used : (size_t)missing;
    strbuf_add(&c->body, bytes.ptr, used);
    c->body_got += used;
    c->body_over = c->body_got == c->guard.content_length;
    body_grew(c);
    return used;
}

/* What is decoded is never longer than what is read, so as much is read as there is room. */
static size_t take_chunks(struct http_connection *c, struct str bytes)
{
    size_t room = c->body_streamed ? HTTP_PIECE_MAX - c->body.len : bytes.len;
    struct str rest = str_slice(bytes, 0, room), data;
    enum chunked_status st;
    size_t given = rest.len;
    while ((st = chunked_read(&c->chunks, &rest, &data)) == CHUNKED_DATA) {
        if (data.len > c->body_max - c->body_got) {
            body_fail(c, ERR_TOO_LARGE, NULL);
            return bytes.len;
        }
        strbuf_add_str(&c->body, data);
        c->body_got += data.len;
    }
    if (st == CHUNKED_BAD) {
        c->server->stats.guard_refusals++;
        body_fail(c, ERR_INVALID, c->chunks.reason);
        return bytes.len;
    }
    c->body_over = st == CHUNKED_DONE;
    body_grew(c);
    return given - rest.len;
}

size_t body_take(struct http_connection *c, struct str bytes)
{
    return c->guard.chunked ? take_chunks(c, bytes) : take_counted(c, bytes);
}

/* The client waits for a word before it sends a body that the limit allows. */
void body_say_continue(struct http_connection *c)
{
    if (!c->guard.expect_continue || c->guard.http_1_0 || c->continued || c->phase != PHASE_BODY)
        return;
    c->continued = true;
    conn_write(c, S("HTTP/1.1 100 Continue\r\n\r\n"), STR_EMPTY, NULL);
}

void body_tell(struct http_connection *c)
{
    void (*fn)(void *, struct str, const struct err *) = c->req.body_fn;
    struct err err = ERR_INIT;
    if (!fn || !c->req.open)
        return;
    if (c->broken && !c->body_failed)
        body_fail(c, ERR_INVALID, "the connection ended before the body did");
    if (c->body_failed) {
        describe(c, c->body_failed, c->body_reason, &err);
        c->req.body_fn = NULL;
        fn(c->req.body_arg, STR_EMPTY, &err);
    } else if (c->body_over) {
        hand_piece(c);
    }
}

void http_body_receive(
    struct http_request *req, void (*fn)(void *arg, struct str piece, const struct err *err), void *arg)
{
    struct http_connection *c = CONN_OF(req);
    CHECK(req->open && c->body_streamed);
    CHECK(req->answer == ANSWER_NONE && !req->body_fn);
    strbuf_reset(&c->body);
    req->body_fn = fn;
    req->body_arg = arg;
    if (!c->broken && !c->body_failed && !c->body_over) {
        conn_enter(c, PHASE_BODY);
        c->read_again = true;
        if (c->in.len == 0)
            body_say_continue(c);
    }
    conn_ready(c);
}

void http_body_cancel(struct http_request *req, enum err_code code, const char *reason)
{
    struct http_connection *c = CONN_OF(req);
    CHECK(req->open && c->body_streamed);
    if (!c->body_failed)
        body_fail(c, code, reason);
}

uint64_t http_body_length(const struct http_request *req)
{
    return CONN_OF(req)->guard.content_length;
}

bool http_body_framed(const struct http_request *req)
{
    const struct http_connection *c = CONN_OF(req);
    return c->guard.has_length || c->guard.chunked;
}
