/* Replies: the head in one buffer, small bodies behind it. */
#include "base/check.h"
#include "base/clock.h"
#include "http/http_internal.h"
#include "json/jsonw.h"
#include <time.h>

enum { MS_PER_S = 1000, ERROR_BODY_MAX = 8192 };

struct status_text {
    int status;
    struct str line; /* without the version */
};

#define ROW(code, text)                                                                                      \
    {                                                                                                        \
        code,                                                                                                \
        {                                                                                                    \
#code " " text, sizeof(#code " " text) - 1                                                       \
        }                                                                                                    \
    }

static const struct status_text STATUS[] = {
    ROW(200, "OK"),
    ROW(201, "Created"),
    ROW(202, "Accepted"),
    ROW(204, "No Content"),
    ROW(206, "Partial Content"),
    ROW(301, "Moved Permanently"),
    ROW(302, "Found"),
    ROW(303, "See Other"),
    ROW(304, "Not Modified"),
    ROW(307, "Temporary Redirect"),
    ROW(308, "Permanent Redirect"),
    ROW(400, "Bad Request"),
    ROW(401, "Unauthorized"),
    ROW(402, "Payment Required"),
    ROW(403, "Forbidden"),
    ROW(404, "Not Found"),
    ROW(405, "Method Not Allowed"),
    ROW(406, "Not Acceptable"),
    ROW(408, "Request Timeout"),
    ROW(409, "Conflict"),
    ROW(410, "Gone"),
    ROW(411, "Length Required"),
    ROW(412, "Precondition Failed"),
    ROW(413, "Content Too Large"),
    ROW(414, "URI Too Long"),
    ROW(415, "Unsupported Media Type"),
    ROW(416, "Range Not Satisfiable"),
    ROW(421, "Misdirected Request"),
    ROW(422, "Unprocessable Content"),
    ROW(423, "Locked"),
    ROW(428, "Precondition Required"),
    ROW(429, "Too Many Requests"),
    ROW(431, "Request Header Fields Too Large"),
    ROW(500, "Internal Server Error"),
    ROW(501, "Not Implemented"),
    ROW(502, "Bad Gateway"),
    ROW(503, "Service Unavailable"),
    ROW(504, "Gateway Timeout"),
    ROW(505, "HTTP Version Not Supported"),
    ROW(507, "Insufficient Storage"),
};

static void add_status(struct strbuf *out, int status)
{
    strbuf_add_cstr(out, "HTTP/1.1 ");
    for (size_t i = 0; i < ARRAY_LEN(STATUS); i++) {
        if (STATUS[i].status == status) {
            strbuf_add_str(out, STATUS[i].line);
            strbuf_add_cstr(out, "\r\n");
            return;
        }
    }
    CHECK(status >= 200 && status <= 599);
    strbuf_addf(out, "%d Status\r\n", status);
}

static void add_line(struct strbuf *out, const char *name_and_colon, struct str value)
{
    strbuf_add_cstr(out, name_and_colon);
    strbuf_add_str(out, value);
    strbuf_add_cstr(out, "\r\n");
}

/* The text of the current second is made once. */
static struct str date_text(struct http_server *s)
{
    time_t now = (time_t)(clock_wall_ms() / MS_PER_S);
    struct tm tm;
    if (now != s->date_s) {
        s->date_s = now;
        CHECK(gmtime_r(&now, &tm) && strftime(s->date, sizeof s->date, "%a, %d %b %Y %H:%M:%S GMT", &tm) > 0);
    }
    return str_of(s->date);
}

bool reply_has_body(const struct http_request *req, int status)
{
    return req->method != HTTP_HEAD && status != 204 && status != 304;
}

/* length < 0: the body is chunked, or ends with the connection where the client is too old for that. */
static void add_framing(struct http_connection *c, int status, int64_t length)
{
    struct strbuf *out = &c->server->compose;
    if (length < 0 && c->guard.http_1_0) {
        c->close_after = true;
    } else if (length < 0) {
        strbuf_add_cstr(out, "Transfer-Encoding: chunked\r\n");
    } else if (status != 204) {
        strbuf_add_cstr(out, "Content-Length: ");
        strbuf_add_i64(out, length);
        strbuf_add_cstr(out, "\r\n");
    }
}

struct str reply_head(struct http_connection *c, int status, const char *content_type, int64_t length)
{
    struct http_server *s = c->server;
    struct strbuf *out = &s->compose;
    strbuf_reset(out);
    add_status(out, status);
    if (content_type)
        add_line(out, "Content-Type: ", str_of(content_type));
    add_framing(c, status, length);
    add_line(out, "X-Request-Id: ", http_request_id(&c->req));
    add_line(out, "X-Content-Type-Options: nosniff\r\nDate: ", date_text(s));
    if (s->cors && c->req.parsed)
        cors_add_headers(s->cors, &c->req, out);
    strbuf_add_str(out, strbuf_str(&c->req.headers));
    c->close_after = c->close_after || s->draining || body_outstanding(c);
    strbuf_add_cstr(out, c->close_after ? "Connection: close\r\n\r\n" : "\r\n");
    CHECK(!strbuf_failed(out));
    return strbuf_str(out);
}

void http_set_header(struct http_request *req, const char *name, struct str value)
{
    CHECK(req->answer == ANSWER_NONE);
    for (size_t i = 0; i < value.len; i++)
        CHECK(value.ptr[i] != '\r' && value.ptr[i] != '\n' && value.ptr[i] != '\0');
    strbuf_add_cstr(&req->headers, name);
    strbuf_add_cstr(&req->headers, ": ");
    strbuf_add_str(&req->headers, value);
    strbuf_add_cstr(&req->headers, "\r\n");
    CHECK(!strbuf_failed(&req->headers));
}

static void write_reply(
    struct http_connection *c, int status, const char *content_type, struct str body, struct strbuf *owned)
{
    struct str head = reply_head(c, status, content_type, (int64_t)body.len);
    if (!reply_has_body(&c->req, status))
        body = STR_EMPTY;
    if (body.len > 0 && body.len <= HTTP_COPY_MAX) {
        strbuf_add_str(&c->server->compose, body);
        head = strbuf_str(&c->server->compose);
        body = STR_EMPTY;
    }
    conn_write(c, head, body, owned);
}

static void answer(
    struct http_request *req, int status, const char *content_type, struct str body, struct strbuf *owned)
{
    struct http_connection *c = CONN_OF(req);
    CHECK(req->open);
    CHECK(req->answer == ANSWER_NONE);
    if (c->broken && owned)
        strbuf_release(owned);
    if (!c->broken)
        write_reply(c, status, content_type, body, owned);
    conn_answered(c);
}

void http_reply(struct http_request *req, int status, const char *content_type, struct str body)
{
    answer(req, status, content_type, body, NULL);
}

void http_reply_take(struct http_request *req, int status, const char *content_type, struct strbuf *body)
{
    answer(req, status, content_type, strbuf_str(body), body);
}

static void error_body(const struct http_request *req, const struct err *err, struct strbuf *out)
{
    struct jsonw w;
    jsonw_init(&w, out);
    jsonw_object(&w);
    JSONW_BOOL(&w, "success", false);
    JSONW_CSTR(&w, "error", err->message);
    JSONW_CSTR(&w, "code", err_slug(err->code));
    if (err->pointer[0])
        JSONW_CSTR(&w, "pointer", err->pointer);
    JSONW_TEXT(&w, "requestId", http_request_id(req));
    jsonw_object_end(&w);
    CHECK(jsonw_done(&w) && !strbuf_failed(out));
}

static void add_retry_after(struct http_request *req, const struct err *err)
{
    if (err->retry_after_s <= 0)
        return;
    AUTO_STRBUF seconds;
    strbuf_init(&seconds, 16);
    strbuf_add_i64(&seconds, err->retry_after_s);
    http_set_header(req, "Retry-After", strbuf_str(&seconds));
}

void http_reply_error(struct http_request *req, const struct err *err)
{
    AUTO_STRBUF body;
    strbuf_init(&body, ERROR_BODY_MAX);
    add_retry_after(req, err);
    error_body(req, err, &body);
    http_reply_take(req, err_status(err->code), "application/json", &body);
}

void reply_refuse_with(struct http_connection *c, const struct err *err)
{
    AUTO_STRBUF body;
    enum err_code code = err->code;
    CHECK(!c->req.open);
    if (c->req.id_len == 0)
        request_new_id(c->server, &c->req);
    if (code == ERR_METHOD || code == ERR_NOT_IMPLEMENTED)
        http_set_header(&c->req, "Allow", S("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"));
    add_retry_after(&c->req, err);
    strbuf_init(&body, ERROR_BODY_MAX);
    error_body(&c->req, err, &body);
    c->close_after = true;
    write_reply(c, err_status(code), "application/json", strbuf_str(&body), &body);
    if (!c->dead)
        conn_answered(c);
}

void reply_refuse(struct http_connection *c, enum err_code code, const char *reason)
{
    struct err err = ERR_INIT;
    err_set(&err, code, "%s", reason);
    err.retry_after_s = code == ERR_BUSY || code == ERR_RATE_LIMITED;
    reply_refuse_with(c, &err);
}
