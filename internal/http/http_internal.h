/* What the files of this folder share: the server, a connection and its one request.
 *
 * Sockets are read and written here, not by evhttp: its bufferevent has no descriptor. evhttp accepts, and
 * parses heads that the guard has passed, one at a time and from memory; Content-Length, Expect and anything
 * else it would act on are left out of what it is shown. So it never has an error to report, never writes to
 * a client, and a request costs one recv() and one send() and no change of what epoll watches.
 *
 *     HANDSHAKE ──► IDLE ──► HEAD ──► BODY ◄──► HANDLING ◄──► WRITING ──► IDLE, or LINGER ──► freed
 *
 * BODY is skipped without one, WRITING when the kernel takes the whole reply. A body that is streamed begins
 * when its handler asks for it: HEAD ──► HANDLING, and then to BODY and back for each piece. A refusal goes
 * to WRITING or LINGER from anywhere. Loop thread only. */
#ifndef HTTP_HTTP_INTERNAL_H
#define HTTP_HTTP_INTERNAL_H

#include "base/limits.h"
#include "base/map.h"
#include "http/chunked.h"
#include "http/guard.h"
#include "http/http.h"
#include "http/peer.h"
#include "http/tls.h"
#include "work/loop.h"
#include <event2/bufferevent.h>
#include <event2/http.h>

#define HTTP_READ_MAX       ((size_t)16 << 10) /* one recv() outside a body; a TLS record fits */
#define HTTP_BODY_READ_MAX  ((size_t)64 << 10)
#define HTTP_PIECE_MAX      ((size_t)128 << 10) /* of a streamed body: what one upload costs in memory */
#define HTTP_REPLY_HEAD_MAX ((size_t)16 << 10)
#define HTTP_COPY_MAX                                                                                        \
    ((size_t)16 << 10) /* a body up to this is copied behind its head, to leave in one send() */
#define HTTP_ID_MAX 64

enum http_phase {
    PHASE_HANDSHAKE,
    PHASE_IDLE,
    PHASE_HEAD,
    PHASE_BODY,
    PHASE_HANDLING,
    PHASE_WRITING,
    PHASE_LINGER,
};

enum http_answer { ANSWER_NONE, ANSWER_STREAM, ANSWER_DONE };

struct http_request {
    struct evhttp_request *parsed; /* evhttp's: target and headers; NULL when there is none */
    enum http_method method;
    struct str path, query;
    char id[HTTP_ID_MAX + 1];
    size_t id_len;
    int64_t arrived_us;
    bool open; /* the handler has it and has not answered */
    enum http_answer answer;
    void *arg;
    void (*gone_fn)(void *arg);
    void *gone_arg;
    struct strbuf headers; /* of the reply, as lines */

    void (*body_fn)(void *arg, struct str piece, const struct err *err); /* waits for a piece of the body */
    void *body_arg;

    bool chunked, first_chunk; /* of a stream */
    bool counted;              /* the stream's length was announced: */
    uint64_t left;             /* bytes still to come */
    void (*drained_fn)(void *arg);
    void *drained_arg;
};

struct http_connection {
    struct list node;  /* server's connections */
    struct list ready; /* server's ready list: something is to be told to the handler */
    struct http_server *server;
    struct evhttp_connection *evcon;
    struct bufferevent *bev;
    bufferevent_data_cb evhttp_read; /* evhttp's own callback: parses what stands in bev's input */
    int fd;
    struct loop_io io;
    unsigned want;
    struct tls_session *tls;
    struct peer peer;

    enum http_phase phase;
    int64_t deadline_us, stall_us; /* clock_mono_us(); 0: none */
    int64_t phase_start_us;

    struct guard guard;
    struct strbuf in;   /* an unfinished head, or what came after the request at hand */
    struct strbuf body; /* of the request at hand, or a piece of it */
    struct chunked chunks;
    uint64_t body_max, body_got; /* decoded bytes */
    int64_t body_waited_us;      /* for earlier pieces */
    enum err_code body_failed;   /* ERR_OK: it did not */
    const char *body_reason;     /* NULL: too large */
    bool body_streamed, body_over, continued;
    struct strbuf out, out_body; /* not yet taken by the kernel, in this order */
    size_t out_sent, out_body_sent;

    unsigned requests; /* begun on this connection */
    unsigned busy;     /* callbacks on the stack; freed when none is left */
    bool taking;       /* conn_take() is on the stack and goes on by itself */
    bool close_after;  /* the reply at hand is the last */
    bool eof;          /* the client sends no more */
    bool broken;       /* nothing can be sent any more; output is dropped */
    bool dead;         /* free as soon as nothing uses it */
    bool counted_ip;
    bool refused; /* over a limit: lingers to be told so */
    enum err_code refused_code;
    const char *refused_reason;
    bool tls_wants_write;
    bool tell_gone, tell_drained, read_again; /* reasons to be on the ready list */

    struct http_request req;
};

#define CONN_OF(request) CONTAINER_OF(request, struct http_connection, req)

struct http_cors;

struct http_server {
    struct loop *loop;
    struct http_options opt; /* its strings are not kept */
    struct evhttp *evhttp;
    struct evhttp_bound_socket *bound;
    uint16_t port;
    int reserve_fd; /* given up to close those who wait when descriptors ran out */
    bool draining;
    char *listen_host, *tls_cert, *tls_key;
    struct tls_context *tls;
    struct http_cors *cors;
    struct peer_set *proxies;

    struct list connections, accepted;
    struct list ready, closing;
    struct loop_turn attach_turn;
    struct loop_timer sweep_timer,
        ready_timer; /* the latter is due at once, but behind a look at the sockets */
    int64_t sweep_every_us;
    struct map per_ip;               /* address → unsigned *: its connections */
    struct http_connection *parsing; /* whose head evhttp reads now */

    struct strbuf compose; /* one reply's head, reused */
    char scratch[HTTP_READ_MAX];
    char id_prefix[16];
    uint64_t id_count;
    int64_t date_s;
    char date[32]; /* "Tue, 05 May 2026 12:30:00 GMT" */

    unsigned open_requests, lingering_refused;
    struct http_stats stats;
};

/* connection.c: phases, deadlines, end. */
struct http_connection *conn_new(struct http_server *s, struct bufferevent *bev);
void conn_start(
    struct http_connection *c, int fd, struct evhttp_connection *evcon, bufferevent_data_cb evhttp_read);
void conn_enter(struct http_connection *c, enum http_phase phase);
void conn_want(struct http_connection *c); /* watches what this phase needs */
void conn_kill(struct http_connection *c); /* frees it now, or when the callbacks on the stack are done */
/* The end of a callback that began with busy++: frees what was killed meanwhile. */
void conn_leave(struct http_connection *c);
void conn_break(
    struct http_connection *c); /* nothing can be sent any more: as kill, but a handler's request lives on */
/* Takes the connection down but for its descriptor, which conn_close_freed() closes when epoll has been told:
 * with the changelist that is at the next turn, and the number must not be someone else's by then. */
void conn_free(struct http_connection *c);
void conn_close_freed(struct http_server *s);
void conn_check_deadline(struct http_connection *c, int64_t now_us);
void conn_ready(struct http_connection *c); /* asks for conn_tell() soon, from the loop */
void conn_tell(struct http_connection *c);
void conn_answered(struct http_connection *c); /* the reply was given to conn_write() completely */
void conn_pause(struct http_connection *c);    /* what was written so far: waits until it has left */

/* conn_read.c: bytes in, requests out. */
void conn_readable(struct http_connection *c);
void conn_take(struct http_connection *c, const char *bytes, size_t len);
void conn_next(struct http_connection *c); /* goes on with what came after the request just answered */
void conn_parsed(struct evhttp_request *parsed, void *server); /* evhttp's generic callback */
void conn_dispatch(struct http_connection *c);                 /* gives the request to its handler */

/* conn_body.c: the body of the request at hand. */
void body_begin(struct http_connection *c, const struct http_body_rule *rule); /* the head is complete */
void body_release(struct http_connection *c);
bool body_outstanding(const struct http_connection *c); /* the handler has the request, not all of its body */
size_t body_room(const struct http_connection *c);      /* how much may be read now; 0 only when it is over */
size_t body_take(struct http_connection *c, struct str bytes); /* how many of these belong to it */
void body_commit(struct http_connection *c, size_t len); /* bytes of an announced length, read into c->body */
void body_say_continue(struct http_connection *c);
/* Refuses the request, or tells its handler, soon. `reason` is static; NULL: too large. */
void body_fail(struct http_connection *c, enum err_code code, const char *reason);
void body_tell(
    struct http_connection *c); /* calls the handler that waits for a piece, if there is something to say */

/* conn_write.c: bytes out. */
/* Sends or keeps both parts. `owned`: the strbuf whose text `body` is; its memory may be taken, it is empty
 * afterwards. */
void conn_write(struct http_connection *c, struct str head, struct str body, struct strbuf *owned);
void conn_writable(struct http_connection *c);
bool conn_unsent(const struct http_connection *c);
void conn_drop_output(struct http_connection *c);

/* reply.c: answers and closes; no handler has seen the request. */
void reply_refuse(struct http_connection *c, enum err_code code, const char *reason);
void reply_refuse_with(struct http_connection *c, const struct err *err);
struct str reply_head(struct http_connection *c, int status, const char *content_type, int64_t length);
bool reply_has_body(const struct http_request *req, int status);
void request_reset(struct http_request *req);
void request_begin(struct http_connection *c); /* the head is parsed: path, query, id */
void request_new_id(struct http_server *s, struct http_request *req);

/* cors.c */
/* *ret is NULL for none. ERR_INVALID says what an origin looks like. */
MUST_CHECK enum err_code cors_new(const char *origins, struct http_cors **ret, struct err *err);
void cors_free(struct http_cors *cors);
void cors_add_headers(const struct http_cors *cors, const struct http_request *req, struct strbuf *out);
bool cors_is_preflight(const struct http_request *req);
void cors_answer_preflight(struct http_request *req);

#endif
