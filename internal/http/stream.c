/* Streamed replies: at most one chunk that the kernel has not taken, so a slow reader costs one chunk of
 * memory. */
#include "base/check.h"
#include "http/http_internal.h"

enum { CHUNK_LINE_MAX = 32 };

void http_stream_begin(struct http_request *req, int status, const char *content_type, uint64_t bytes_total)
{
    struct http_connection *c = CONN_OF(req);
    CHECK(req->open);
    CHECK(req->answer == ANSWER_NONE);
    CHECK(bytes_total <= INT64_MAX);
    if (!c->broken) {
        struct str head = reply_head(c, status, content_type, bytes_total > 0 ? (int64_t)bytes_total : -1);
        conn_write(c, head, STR_EMPTY, NULL);
    }
    req->answer = ANSWER_STREAM;
    req->counted = bytes_total > 0;
    req->left = bytes_total;
    req->chunked = !req->counted && !c->guard.http_1_0;
    req->first_chunk = true;
    conn_pause(c);
}

static void write_chunk(struct http_connection *c, struct str chunk)
{
    AUTO_STRBUF line;
    strbuf_init(&line, CHUNK_LINE_MAX);
    if (!c->req.chunked) {
        conn_write(c, chunk, STR_EMPTY, NULL);
        return;
    }
    strbuf_addf(&line, "%s%zx\r\n", c->req.first_chunk ? "" : "\r\n", chunk.len);
    c->req.first_chunk = false;
    conn_write(c, strbuf_str(&line), chunk, NULL);
}

void http_stream_send(struct http_request *req, struct str chunk, void (*on_drained)(void *arg), void *arg)
{
    struct http_connection *c = CONN_OF(req);
    CHECK(req->open);
    CHECK(req->answer == ANSWER_STREAM);
    CHECK(!req->drained_fn); /* one chunk in flight */
    CHECK(!req->counted || chunk.len <= req->left);
    req->left -= req->counted ? chunk.len : 0;
    req->drained_fn = on_drained;
    req->drained_arg = arg;
    if (!c->broken && chunk.len > 0 && req->method != HTTP_HEAD)
        write_chunk(c, chunk);
    conn_pause(c);
}

void http_stream_end(struct http_request *req)
{
    struct http_connection *c = CONN_OF(req);
    CHECK(req->open);
    CHECK(req->answer == ANSWER_STREAM);
    CHECK(!req->counted || req->left == 0 || c->broken);
    if (!c->broken && req->chunked && req->method != HTTP_HEAD)
        conn_write(c, req->first_chunk ? S("0\r\n\r\n") : S("\r\n0\r\n\r\n"), STR_EMPTY, NULL);
    conn_answered(c);
}

void http_stream_abort(struct http_request *req)
{
    struct http_connection *c = CONN_OF(req);
    CHECK(req->open);
    CHECK(req->answer == ANSWER_STREAM);
    c->broken = true;
    conn_drop_output(c);
    conn_answered(c);
}
