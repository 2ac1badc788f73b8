/* HTTP/1.1 over evhttp, and the only place that knows it. A guard stands in front of evhttp's own parser and
 * refuses what the library lets through (strict framing, one Host, one Content-Length, no bare LF …); there
 * are total deadlines, connection and size limits. Every refusal is the one JSON error envelope; evhttp
 * itself never writes to a client.
 *
 * A request reaches the handler whole (head and body), or with its head alone where its path takes the body
 * in pieces (http_body_receive), and is answered exactly once: http_reply*, or http_stream_begin …
 * http_stream_end. It stays valid until then, also when the client is gone; replies are then dropped. Loop
 * thread only. */
#ifndef HTTP_HTTP_H
#define HTTP_HTTP_H

#include "base/err.h"
#include "base/strbuf.h"
#include "work/loop.h"

enum http_method {
    HTTP_GET,
    HTTP_HEAD,
    HTTP_POST,
    HTTP_PUT,
    HTTP_PATCH,
    HTTP_DELETE,
    HTTP_OPTIONS,
    HTTP_METHOD_COUNT
};

struct http_server;
struct http_request;

/* Microseconds; 0 takes the default. A deadline covers the whole step, however the bytes trickle in. */
struct http_deadlines {
    int64_t handshake_us; /* 10 s: of TLS */
    int64_t head_us;      /* 20 s: from a request's first byte to the end of its head */
    int64_t body_us;      /* 20 s, and per_kb_us more for each 1,000 bytes that have arrived */
    int64_t idle_us;      /* 60 s: without a request */
    int64_t write_us;  /* 30 s without progress; a reply or chunk has this and per_kb_us for each 1,000 bytes
                          of it in all */
    int64_t per_kb_us; /* 1 s */
    int64_t linger_us; /* 2 s: for the client to read the last answer of a connection */
};

/* What the body of a request may be, asked when its head is complete. */
struct http_body_rule {
    uint64_t max;  /* more is refused with 413, before a byte of it is read where the length is announced */
    bool streamed; /* on_request is called with the head, and takes the body with http_body_receive() */
};

struct http_options {
    const char *host;               /* numeric address or name to bind */
    uint16_t port;                  /* 0: the kernel picks, see http_server_port() */
    const char *tls_cert, *tls_key; /* PEM files; NULL: plain */
    const char *cors_origins;       /* comma-separated origins, "*" or NULL for none */
    const char *trusted_proxies;    /* comma-separated addresses whose X-Forwarded-For is believed, or NULL */
    unsigned connections_max,
        connections_per_ip_max;           /* loopback and trusted proxies are exempt from the second */
    bool limit_loopback;                  /* tests: loopback is not exempt */
    unsigned requests_per_connection_max; /* 0: no limit */
    size_t head_max, body_max;
    struct http_deadlines deadlines;
    /* NULL: body_max for all, none streamed. */
    struct http_body_rule (*body_rule)(void *arg, enum http_method method, struct str path);
    void (*on_request)(void *arg, struct http_request *req);
    void *arg;
};

MUST_CHECK enum err_code http_server_new(
    struct loop *l, const struct http_options *opt, struct http_server **ret, struct err *err);
/* For who listens before there is anyone to serve: options.arg, until the loop runs. */
void http_server_set_arg(struct http_server *s, void *arg);
uint16_t http_server_port(const struct http_server *s);
MUST_CHECK enum err_code http_server_reload_tls(
    struct http_server *s, struct err *err); /* new connections use the new files */
/* Replies carry Connection: close, idle connections end; new ones are still taken and get one answer each. */
void http_server_drain(struct http_server *s);
void http_server_stop_listening(struct http_server *s);     /* no new connections; idle ones end again */
unsigned http_server_requests(const struct http_server *s); /* not yet answered */
void http_server_free(struct http_server *s);               /* only with no request open */

struct http_stats {
    uint64_t accepted, refused_full, refused_ip, guard_refusals, timeouts, bytes_in, bytes_out;
    unsigned open;
};
void http_server_stats(const struct http_server *s, struct http_stats *ret);

enum http_method http_method(const struct http_request *req);
const char *http_method_name(enum http_method m);
struct str http_path(const struct http_request *req);  /* raw, still percent-encoded, without the query */
struct str http_query(const struct http_request *req); /* raw, without '?'; "" none */
/* The first of that name, without blanks around it; ptr NULL when absent. Content-Length and Expect are dealt
 * with here and not shown. */
struct str http_header(const struct http_request *req, const char *name);
struct str http_body(struct http_request *req); /* whole and contiguous, of one that is not streamed; valid
                                                   until answered */
struct str http_peer(const struct http_request *req); /* client address, through trusted proxies */
/* Was it sent to a name or address that is this server's own (host.h)? Not while a worker has the request. */
bool http_host_is_own(const struct http_request *req);
struct str http_request_id(const struct http_request
        *req); /* the client's X-Request-Id when it is 1 to 64 of [A-Za-z0-9._-], else ours */
int64_t http_arrived_us(const struct http_request *req); /* clock_mono_us() when the handler was called */

/* The body of a streamed request. Nothing of it is read, and Expect is not answered, before the first call; a
 * request that is answered with some of its body unread ends its connection. Each call asks for one piece: fn
 * is called once, later, with up to 128 KiB that stay valid until the next call or the answer (also while the
 * client is gone), with an empty piece at the end, or with what went wrong: too long, too slow, malformed,
 * the client gone. After that nothing more comes and the request is to be answered. While no piece is asked
 * for, the client has to wait. */
void http_body_receive(
    struct http_request *req, void (*fn)(void *arg, struct str piece, const struct err *err), void *arg);
/* The piece that is asked for, or the next one, fails with this; `reason` is static. */
void http_body_cancel(struct http_request *req, enum err_code code, const char *reason);
uint64_t http_body_length(const struct http_request *req); /* as announced; 0: not */
bool http_body_framed(
    const struct http_request *req); /* there may be a body: Content-Length or chunks were given */

/* Slot for the API layer's state of this request. */
void http_set_arg(struct http_request *req, void *arg);
void *http_arg(const struct http_request *req);

/* Header of the reply; before http_reply/http_stream_begin. `value` is copied; CR and LF in it assert. */
void http_set_header(struct http_request *req, const char *name, struct str value);

/* Answers and ends the request. Copies `body`. X-Request-Id, nosniff and CORS headers are added. */
void http_reply(struct http_request *req, int status, const char *content_type, struct str body);
/* As above; takes the strbuf's memory instead of copying and leaves it empty. */
void http_reply_take(struct http_request *req, int status, const char *content_type, struct strbuf *body);
/* {"success":false,"error":…,"code":…,"pointer":…,"requestId":…} with the status of err->code and
 * Retry-After. */
void http_reply_error(struct http_request *req, const struct err *err);

/* Streamed reply, one chunk in flight: send, wait for on_drained, send. bytes_total > 0 sets Content-Length,
 * and exactly that many bytes must follow. `chunk` is copied or sent. on_drained is called later than
 * http_stream_send, always, also when the client is gone, unless the stream was ended or aborted before. */
void http_stream_begin(struct http_request *req, int status, const char *content_type, uint64_t bytes_total);
void http_stream_send(struct http_request *req, struct str chunk, void (*on_drained)(void *arg), void *arg);
void http_stream_end(struct http_request *req);
void http_stream_abort(
    struct http_request *req); /* the body cannot be completed: closes the connection so the client sees it */

/* Calls fn once if the client closes before the answer is complete, later than this call. A client that
 * closes its sending side alone cannot be told from one that is gone and counts as gone; a reply is sent to
 * it all the same. Cleared by the answer. */
void http_on_gone(struct http_request *req, void (*fn)(void *arg), void *arg);

#endif
