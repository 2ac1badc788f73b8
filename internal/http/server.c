/* The listening socket, the connections it accepts and the clock that ends slow ones. */
#define _GNU_SOURCE /* accept4: the connection given up when descriptors run out */
#include "base/check.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/rand.h"
#include "http/http_internal.h"
#include <errno.h>
#include <event2/buffer.h>
#include <event2/listener.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    BACKLOG = 4096,
    REFUSED_MAX = 64, /* refused connections that linger to read why; further ones are closed at once */
    ID_RANDOM_DIGITS = 8,
    SWEEPS_PER_DEADLINE = 4
};

static const int64_t US_PER_S = 1000000, SWEEP_MAX_US = 500000, SWEEP_MIN_US = 1000;

static struct bufferevent *on_accept(struct event_base *base, void *arg)
{
    struct http_server *s = arg;
    struct bufferevent *bev = bufferevent_socket_new(base, -1, 0);
    CHECK(bev);
    struct http_connection *c = conn_new(s, bev);
    bufferevent_incref(bev); /* evhttp may give up before we look again */
    list_push_back(&s->accepted, &c->node);
    loop_turn_ask(&s->attach_turn);
    return bev;
}

/* Takes the socket away from evhttp's bufferevent; its calls to enable and disable that one then cost
 * nothing. */
static bool take_over(struct http_connection *c)
{
    bufferevent_data_cb read_cb = NULL;
    void *evcon = NULL;
    bufferevent_getcb(c->bev, &read_cb, NULL, NULL, &evcon);
    int fd = bufferevent_getfd(c->bev);
    bool alive = read_cb && fd >= 0;
    if (alive) {
        CHECK(evhttp_connection_get_bufferevent(evcon) == c->bev);
        CHECK(evbuffer_get_length(bufferevent_get_input(c->bev)) == 0);
        CHECK(bufferevent_disable(c->bev, EV_READ | EV_WRITE) == 0);
        CHECK(bufferevent_setfd(c->bev, -1) == 0);
        c->server->stats.open++;
        c->server->stats.accepted++;
        conn_start(c, fd, evcon, read_cb);
    }
    bufferevent_decref(c->bev);
    return alive;
}

static bool exempt(const struct http_server *s, const struct peer *p)
{
    return (p->loopback && !s->opt.limit_loopback) || peer_set_has(s->proxies, str_of(p->text));
}

static bool too_many_of_ip(struct http_connection *c)
{
    struct http_server *s = c->server;
    struct str key = peer_key(&c->peer);
    unsigned *count = map_get(&s->per_ip, key);
    if (exempt(s, &c->peer))
        return false;
    if (count && *count >= s->opt.connections_per_ip_max)
        return true;
    if (!count) {
        count = MEM_NEW(unsigned);
        CHECK(!map_put(&s->per_ip, key, count));
    }
    ++*count;
    c->counted_ip = true;
    return false;
}

static void refuse(struct http_connection *c, enum err_code code, const char *reason)
{
    struct http_server *s = c->server;
    if (s->lingering_refused >= REFUSED_MAX) {
        if (c->tls)
            tls_alert_plain(c->fd);
        conn_kill(c);
        return;
    }
    c->refused = true;
    c->refused_code = code;
    c->refused_reason = reason;
    s->lingering_refused++;
    if (!c->tls)
        reply_refuse(c, code, reason);
}

static void admit(struct http_connection *c)
{
    struct http_server *s = c->server;
    if (!peer_of_socket(c->fd, &c->peer)) {
        conn_kill(c);
    } else if (s->stats.open > s->opt.connections_max) {
        s->stats.refused_full++;
        refuse(c, ERR_BUSY, "the server has too many connections; try again");
    } else if (too_many_of_ip(c)) {
        s->stats.refused_ip++;
        refuse(c, ERR_RATE_LIMITED, "your address has too many connections open; reuse or close some");
    }
}

/* Runs behind the accepting of this turn, before sockets are looked at again. */
static void attach_accepted(void *arg)
{
    struct http_server *s = arg;
    while (!list_empty(&s->accepted)) {
        struct http_connection *c = LIST_FIRST(&s->accepted, struct http_connection, node);
        list_remove(&c->node);
        c->busy++;
        if (take_over(c)) {
            list_push_back(&s->connections, &c->node);
            admit(c);
        } else {
            c->dead = true;
        }
        conn_leave(c);
    }
}

/* Out of descriptors or memory: the sweep listens again. `arg` is evhttp's. */
static void on_accept_error(struct evconnlistener *listener, void *arg)
{
    (void)arg;
    CHECK(evconnlistener_disable(listener) == 0);
}

/* Clients that wait for a descriptor which nobody gives back would wait for ever: the reserve is spent to
 * close them. */
static void turn_away(struct http_server *s, int listen_fd)
{
    int fd;
    if (s->reserve_fd >= 0)
        close(s->reserve_fd);
    while ((fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
        close(fd);
        s->stats.refused_full++;
    }
    s->reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void listen_again(struct http_server *s)
{
    if (!s->bound)
        return;
    CHECK(evconnlistener_enable(evhttp_bound_socket_get_listener(s->bound)) == 0);
    struct pollfd waiting = {.fd = evhttp_bound_socket_get_fd(s->bound), .events = POLLIN};
    if (poll(&waiting, 1, 0) <= 0)
        return;
    int spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (spare >= 0)
        close(spare);
    else if (errno == EMFILE || errno == ENFILE)
        turn_away(s, waiting.fd);
}

static void tell_ready(void *arg)
{
    struct http_server *s = arg;
    struct list now;
    conn_close_freed(s); /* before more are freed in this turn */
    list_init(&now);
    while (!list_empty(&s->ready)) {
        struct list *it = s->ready.next;
        list_remove(it);
        list_push_back(&now, it);
    }
    while (!list_empty(&now)) { /* a call may free any connection, which leaves this list then */
        struct http_connection *c = LIST_FIRST(&now, struct http_connection, ready);
        list_remove(&c->ready);
        conn_tell(c);
    }
}

static void sweep(void *arg)
{
    struct http_server *s = arg;
    struct list *it, *nx;
    int64_t now = clock_mono_us();
    LIST_EACH(it, nx, &s->connections)
    {
        conn_check_deadline(LIST_ITEM(it, struct http_connection, node), now);
    }
    listen_again(s);
    loop_timer_set(&s->sweep_timer, s->sweep_every_us);
}

static void fill_deadline(struct http_server *s, int64_t *deadline_us, int64_t fallback_s)
{
    *deadline_us = *deadline_us > 0 ? *deadline_us : fallback_s * US_PER_S;
    int64_t every = *deadline_us / SWEEPS_PER_DEADLINE;
    if (every < s->sweep_every_us)
        s->sweep_every_us = every > SWEEP_MIN_US ? every : SWEEP_MIN_US;
}

static void fill_deadlines(struct http_server *s)
{
    struct http_deadlines *d = &s->opt.deadlines;
    s->sweep_every_us = SWEEP_MAX_US;
    fill_deadline(s, &d->handshake_us, 10);
    fill_deadline(s, &d->head_us, 20);
    fill_deadline(s, &d->body_us, 20);
    fill_deadline(s, &d->idle_us, 60);
    fill_deadline(s, &d->write_us, 30);
    fill_deadline(s, &d->linger_us, 2);
    d->per_kb_us = d->per_kb_us > 0 ? d->per_kb_us : US_PER_S;
}

static void make_id_prefix(struct http_server *s)
{
    static const char DIGITS[] = "0123456789abcdefghjkmnpqrstvwxyz";
    uint64_t random = rand_u64();
    memcpy(s->id_prefix, "req_", 5);
    for (size_t i = 4; i < 4 + ID_RANDOM_DIGITS; i++, random >>= 5)
        s->id_prefix[i] = DIGITS[random & 31];
}

static enum err_code listen_on(struct http_server *s, const struct addrinfo *ai, struct err *err)
{
    int on = 1, off = 0;
    int fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return err_errno(err, ERR_UNAVAILABLE, "creating the listening socket");
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on); /* these only help */
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); /* accepted sockets inherit it */
    if (ai->ai_family == AF_INET6)
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    if (bind(fd, ai->ai_addr, ai->ai_addrlen) != 0 || listen(fd, BACKLOG) != 0) {
        err_errno(err, ERR_UNAVAILABLE, "listening on the given address");
        close(fd);
        return ERR_UNAVAILABLE;
    }
    s->bound = evhttp_accept_socket_with_handle(s->evhttp, fd);
    CHECK(s->bound);
    evconnlistener_set_error_cb(evhttp_bound_socket_get_listener(s->bound), on_accept_error);
    return ERR_OK;
}

static void note_port(struct http_server *s)
{
    union {
        struct sockaddr any;
        struct sockaddr_in four;
        struct sockaddr_in6 six;
    } name;
    socklen_t len = sizeof name;
    memset(&name, 0, sizeof name);
    CHECK(getsockname(evhttp_bound_socket_get_fd(s->bound), &name.any, &len) == 0);
    s->port = ntohs(name.any.sa_family == AF_INET6 ? name.six.sin6_port : name.four.sin_port);
}

static enum err_code bind_host(struct http_server *s, const char *host, uint16_t port, struct err *err)
{
    struct addrinfo hints = {.ai_flags = AI_PASSIVE | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM},
                    *found = NULL;
    AUTO_STRBUF service, name;
    struct str h = str_of(host);
    strbuf_init(&service, 8);
    strbuf_init(&name, 256);
    strbuf_add_i64(&service, port);
    if (str_starts(h, S("[")) && str_ends(h, S("]")))
        h = str_slice(h, 1, h.len - 1);
    strbuf_add_str(&name, h);
    if (strbuf_failed(&name) || getaddrinfo(strbuf_cstr(&name), strbuf_cstr(&service), &hints, &found) != 0)
        return err_set(err, ERR_INVALID, "the host to listen on is neither an address nor a known name");
    enum err_code code = listen_on(s, found, err);
    freeaddrinfo(found);
    if (code == ERR_OK)
        note_port(s);
    return code;
}

static struct evhttp *make_evhttp(struct http_server *s)
{
    struct evhttp *evhttp = evhttp_new(loop_base(s->loop));
    CHECK(evhttp);
    evhttp_set_allowed_methods(evhttp, 0xffff); /* the guard decides */
    evhttp_set_bevcb(evhttp, on_accept, s);
    evhttp_set_gencb(evhttp, conn_parsed, s);
    return evhttp;
}

static struct http_server *make_server(struct loop *l, const struct http_options *opt)
{
    struct http_server *s = MEM_NEW(struct http_server);
    s->loop = l;
    s->opt = *opt;
    s->listen_host = mem_strdup(opt->host ? opt->host : "");
    s->opt.host = s->opt.tls_cert = s->opt.tls_key = s->opt.cors_origins = s->opt.trusted_proxies = NULL;
    s->opt.head_max = opt->head_max ? opt->head_max : LIMIT_HEAD_BYTES;
    s->opt.body_max = opt->body_max ? opt->body_max : LIMIT_BODY_BYTES;
    s->opt.connections_max = opt->connections_max ? opt->connections_max : LIMIT_CONNECTIONS;
    s->opt.connections_per_ip_max =
        opt->connections_per_ip_max ? opt->connections_per_ip_max : LIMIT_CONNECTIONS_PER_IP;
    fill_deadlines(s);
    make_id_prefix(s);
    list_init(&s->connections);
    list_init(&s->accepted);
    list_init(&s->ready);
    list_init(&s->closing);
    map_init(&s->per_ip);
    strbuf_init(&s->compose, HTTP_REPLY_HEAD_MAX + HTTP_COPY_MAX);
    s->evhttp = make_evhttp(s);
    s->reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    loop_turn_init(&s->attach_turn, l, attach_accepted, s);
    loop_timer_init(&s->ready_timer, l, tell_ready, s);
    loop_timer_init(&s->sweep_timer, l, sweep, s);
    loop_timer_set(&s->sweep_timer, s->sweep_every_us);
    return s;
}

enum err_code http_server_new(
    struct loop *l, const struct http_options *opt, struct http_server **ret, struct err *err)
{
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    CHECK(sigaction(SIGPIPE, &ignore, NULL) == 0); /* OpenSSL writes without MSG_NOSIGNAL */
    const char *through = guard_probe();
    if (through)
        return err_set(err, ERR_INTERNAL, "the request guard is broken: it is wrong about %s", through);
    struct http_server *s = make_server(l, opt);
    enum err_code code = peer_set_new(opt->trusted_proxies, &s->proxies, err);
    if (code == ERR_OK)
        code = cors_new(opt->cors_origins, &s->cors, err);
    if (code == ERR_OK && opt->tls_cert) {
        s->tls_cert = mem_strdup(opt->tls_cert);
        s->tls_key = mem_strdup(opt->tls_key ? opt->tls_key : opt->tls_cert);
        code = http_server_reload_tls(s, err);
    }
    if (code == ERR_OK)
        code = bind_host(s, opt->host, opt->port, err);
    if (code != ERR_OK) {
        http_server_free(s);
        return code;
    }
    *ret = s;
    return ERR_OK;
}

void http_server_set_arg(struct http_server *s, void *arg)
{
    CHECK(s->stats.accepted == 0);
    s->opt.arg = arg;
}

uint16_t http_server_port(const struct http_server *s)
{
    return s->port;
}

enum err_code http_server_reload_tls(struct http_server *s, struct err *err)
{
    struct tls_context *fresh = NULL;
    CHECK(s->tls_cert);
    enum err_code code = tls_context_new(s->tls_cert, s->tls_key, &fresh, err);
    if (code != ERR_OK)
        return code;
    tls_context_free(s->tls);
    s->tls = fresh;
    return ERR_OK;
}

static void end_idle(struct http_server *s)
{
    struct list *it, *nx;
    LIST_EACH(it, nx, &s->connections)
    {
        struct http_connection *c = LIST_ITEM(it, struct http_connection, node);
        if (c->phase == PHASE_IDLE || c->phase == PHASE_HANDSHAKE)
            conn_kill(c);
    }
}

void http_server_drain(struct http_server *s)
{
    s->draining = true;
    end_idle(s);
}

void http_server_stop_listening(struct http_server *s)
{
    if (s->bound)
        evhttp_del_accept_socket(s->evhttp, s->bound);
    s->bound = NULL;
    end_idle(s);
}

unsigned http_server_requests(const struct http_server *s)
{
    return s->open_requests;
}

void http_server_free(struct http_server *s)
{
    struct list *it, *nx;
    if (!s)
        return;
    CHECK(s->open_requests == 0);
    attach_accepted(s);
    LIST_EACH(it, nx, &s->connections)
    {
        conn_free(LIST_ITEM(it, struct http_connection, node));
    }
    conn_close_freed(s);
    evhttp_free(s->evhttp);
    loop_turn_release(&s->attach_turn);
    loop_timer_release(&s->ready_timer);
    loop_timer_release(&s->sweep_timer);
    map_release(&s->per_ip);
    strbuf_release(&s->compose);
    cors_free(s->cors);
    peer_set_free(s->proxies);
    tls_context_free(s->tls);
    mem_free(s->listen_host);
    mem_free(s->tls_cert);
    mem_free(s->tls_key);
    if (s->reserve_fd >= 0)
        close(s->reserve_fd);
    mem_free(s);
}

void http_server_stats(const struct http_server *s, struct http_stats *ret)
{
    *ret = s->stats;
}
