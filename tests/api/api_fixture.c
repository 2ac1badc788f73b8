/* See api_fixture.h. */
#define _GNU_SOURCE /* memmem */
#include "api_fixture.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/limits.h"
#include "crypto/secret.h"
#include "token/token.h"

#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define ANSWER_MAX (64u << 20)
#define POLL_US    2000

#ifdef __SANITIZE_THREAD__
/* libevent's changelist may call epoll_ctl for a descriptor that was closed in the same turn. When a client
 * of ours, a thread of the same process, was given that number meanwhile, the kernel answers ENOENT and
 * nothing happens. */
const char *__tsan_default_suppressions(void);
const char *__tsan_default_suppressions(void)
{
    return "race:epoll_ctl\n";
}
#endif

static void must(enum err_code rc, const struct err *err)
{
    if (rc) {
        (void)fprintf(stderr, "fixture: %s\n", err->message);
        abort();
    }
}

static void mint(struct api_fixture *fx, enum wire_role role, char *out, size_t size)
{
    struct err err = ERR_INIT;
    struct token made;
    struct secret secret = SECRET_INIT;
    struct token_new in = {.namespace_id = fx->control.tenant.id, .name = STR_EMPTY, .role = role};
    AUTO_ARENA a;
    arena_init(&a, 1 << 16);
    must(tx_begin_write(fx->control.db, &err), &err);
    enum err_code rc = token_create(fx->control.db, &TEST_ACTOR, &a, &in, &made, &secret, &err);
    must(tx_end(fx->control.db, rc, &err), &err);
    CHECK(secret.len < size);
    memcpy(out, secret_reveal(&secret).ptr, secret.len + 1);
    secret_release(&secret);
}

static void make_data(struct api_fixture *fx)
{
    struct err err = ERR_INIT;
    struct registry_entry entry;
    must(registry_create(fx->control.db, &fx->control.disk, &TEST_ACTOR, &fx->control.tenant.id, S("main"),
             S("Main"), S("auto"), &entry, &err),
        &err);
    mint(fx, WIRE_ROLE_ADMIN, fx->admin, sizeof(fx->admin));
    mint(fx, WIRE_ROLE_READONLY, fx->readonly, sizeof(fx->readonly));
}

static void make_front(struct api_fixture *fx, int64_t timeout_s)
{
    struct err err = ERR_INIT;
    struct workq_options workers = {.threads = 3, .queue_max = 64};
    struct workq_options pool = {.threads = 2, .queue_max = 64};
    struct supervise_options engines = {.data_dir = fx->control.dir.path,
        .idle_us = LIMIT_ENGINE_IDLE_MS * 1000,
        .kill_grace_us = LIMIT_KILL_GRACE_MS * 1000,
        .engines_max = 20,
        .calls_per_db_max = 256,
        .readers_max = 2,
        .no_sandbox =
            true, /* sanitizers need what the sandbox forbids; its own test is tests/unit/test_sandbox.c */
        .db_bytes_max = 64 << 20,
        .cost_request_nano = 500,
        .cost_read_nano = 5,
        .cost_write_nano = 2000};
    must(loop_new(&fx->loop, &err), &err);
    must(supervise_new(fx->loop, &engines, &fx->supervisor, &err), &err);
    must(workq_new(&workers, &fx->workq, &err), &err);
    must(workq_new(&pool, &fx->passwords, &err), &err);
    must(issuers_new(NULL, 0, NULL, &fx->issuers, &err), &err);
    struct api_options api = {.loop = fx->loop,
        .workq = fx->workq,
        .workers = 3,
        .passwords = fx->passwords,
        .password_workers = 2,
        .abroad = fx->passwords,
        .abroad_workers = 2,
        .signup = SIGNUP_OPEN,
        .supervisor = fx->supervisor,
        .issuers = fx->issuers,
        .control = &fx->control.control,
        .data_dir = fx->control.dir.path,
        .public_url = "",
        .statement_timeout_us = timeout_s * 1000000,
        .disk_low_bytes = 0};
    must(api_new(&api, &fx->api, &err), &err);
    struct http_options http = {.host = "127.0.0.1",
        .connections_max = 500,
        .connections_per_ip_max = 500,
        .head_max = (size_t)LIMIT_HEAD_BYTES,
        .body_max = (size_t)LIMIT_BODY_BYTES,
        .body_rule = api_body_rule,
        .on_request = api_on_request,
        .arg = fx->api};
    must(http_server_new(fx->loop, &http, &fx->http, &err), &err);
    api_set_server(fx->api, fx->http);
    fx->port = http_server_port(fx->http);
}

static void *run(void *arg)
{
    struct api_fixture *fx = arg;
    loop_run(fx->loop);
    return NULL;
}

void api_fixture_init(struct api_fixture *fx, int64_t timeout_s)
{
    memset(fx, 0, sizeof(*fx));
    (void)signal(SIGPIPE, SIG_IGN);
    control_fixture_init(&fx->control);
    make_data(fx);
    make_front(fx, timeout_s);
    CHECK(pthread_create(&fx->thread, NULL, run, fx) == 0);
}

static void gone(void *arg)
{
    ((struct api_fixture *)arg)->engines_gone = true;
}

static void stop_step(void *arg)
{
    struct api_fixture *fx = arg;
    if (fx->engines_gone && http_server_requests(fx->http) == 0 && api_open_requests(fx->api) == 0 &&
        workq_depth(fx->workq) == 0 && workq_depth(fx->passwords) == 0)
        loop_stop(fx->loop);
    else
        loop_timer_set(&fx->stop_timer, POLL_US);
}

static void stop(void *arg)
{
    struct api_fixture *fx = arg;
    api_drain(fx->api);
    http_server_drain(fx->http);
    api_interrupt(fx->api);
    supervise_shutdown(fx->supervisor, gone, fx);
    loop_timer_init(&fx->stop_timer, fx->loop, stop_step, fx);
    loop_timer_set(&fx->stop_timer, 0);
}

void api_fixture_release(struct api_fixture *fx)
{
    loop_post(fx->loop, stop, fx);
    CHECK(pthread_join(fx->thread, NULL) == 0);
    loop_timer_release(&fx->stop_timer);
    http_server_free(fx->http);
    workq_free(fx->workq);
    workq_free(fx->passwords);
    api_free(fx->api);
    issuers_free(fx->issuers);
    supervise_free(fx->supervisor);
    loop_free(fx->loop);
    control_fixture_release(&fx->control);
}

/* --- The client --- */

void client_open(struct client *c, const struct api_fixture *fx)
{
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons(fx->port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    struct timeval limit = {60, 0};
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(c->fd >= 0);
    CHECK(setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) == 0);
    CHECK(connect(c->fd, (struct sockaddr *)&to, sizeof(to)) == 0);
}

void client_close(struct client *c)
{
    if (c->fd >= 0)
        (void)close(c->fd);
    c->fd = -1;
}

static void send_all(int fd, struct str data)
{
    while (data.len) {
        ssize_t n = send(fd, data.ptr, data.len, MSG_NOSIGNAL);
        if (n <= 0)
            return; /* the answer, or its absence, tells */
        data = str_slice(data, (size_t)n, data.len);
    }
}

void client_send(struct client *c, const char *method, const char *path, const char *token, const char *more,
    struct str body)
{
    AUTO_STRBUF out;
    strbuf_init(&out, ANSWER_MAX);
    strbuf_addf(&out, "%s %s HTTP/1.1\r\nHost: test\r\n%s", method, path, more);
    if (token)
        strbuf_addf(&out, "Authorization: Bearer %s\r\n", token);
    if (body.ptr)
        strbuf_addf(&out, "Content-Length: %zu\r\n", body.len);
    strbuf_add_cstr(&out, "\r\n");
    if (body.ptr)
        strbuf_add_str(&out, body);
    send_all(c->fd, strbuf_str(&out));
}

static bool read_more(int fd, struct strbuf *in)
{
    char *to = strbuf_reserve(in, 65536);
    ssize_t n = to ? recv(fd, to, 65536, 0) : -1;
    if (n > 0)
        strbuf_commit(in, (size_t)n);
    return n > 0;
}

static bool read_until(int fd, struct strbuf *in, size_t len)
{
    while (in->len < len)
        if (!read_more(fd, in))
            return false;
    return true;
}

static struct str header(struct str head, const char *name)
{
    struct str line, key;
    while (str_cut(&head, '\n', &line)) {
        struct str value = line;
        if (str_cut(&value, ':', &key) && value.ptr && str_eq_nocase(key, str_of(name)))
            return str_trim(value);
    }
    return (struct str){NULL, 0};
}

/* Joins the chunks that stand from `at` on, reading on as needed. false: cut short. */
static bool join_chunks(int fd, struct strbuf *in, size_t at)
{
    size_t out = at;
    for (;;) {
        const char *eol;
        while (!(eol = in->len > at ? memmem(in->buf + at, in->len - at, "\r\n", 2) : NULL))
            if (!read_more(fd, in))
                return false;
        size_t size = strtoul(in->buf + at, NULL, 16);
        at = (size_t)(eol - in->buf) + 2;
        if (!read_until(fd, in, at + size + 2))
            return false;
        memmove(in->buf + out, in->buf + at, size);
        out += size;
        at += size + 2;
        if (size == 0) {
            strbuf_truncate(in, out);
            return true;
        }
    }
}

void client_read(struct client *c, struct answer *a)
{
    const char *end;
    strbuf_init(&a->text, ANSWER_MAX);
    a->status = 0;
    a->head = a->body = STR_EMPTY;
    while (!(end = a->text.len ? memmem(a->text.buf, a->text.len, "\r\n\r\n", 4) : NULL))
        if (!read_more(c->fd, &a->text))
            return;
    size_t head = (size_t)(end - a->text.buf) + 4;
    struct str seen = str_make(a->text.buf, head), length = header(seen, "Content-Length");
    int status = atoi(a->text.buf + strlen("HTTP/1.1 "));
    bool chunked = header(seen, "Transfer-Encoding").ptr != NULL;
    bool whole = chunked
                     ? join_chunks(c->fd, &a->text, head)
                     : read_until(c->fd, &a->text, head + (length.ptr ? strtoul(length.ptr, NULL, 10) : 0));
    a->head = str_make(a->text.buf, head);
    a->body = str_slice(strbuf_str(&a->text), head, a->text.len);
    a->status = whole ? status : 0;
}

void answer_release(struct answer *a)
{
    strbuf_release(&a->text);
}

bool answer_has(const struct answer *a, const char *text)
{
    return a->body.len && memmem(a->body.ptr, a->body.len, text, strlen(text)) != NULL;
}

void call(const struct api_fixture *fx, const char *method, const char *path, const char *token,
    struct str body, struct answer *a)
{
    struct client c;
    client_open(&c, fx);
    client_send(&c, method, path, token, "Connection: close\r\n", body);
    client_read(&c, a);
    client_close(&c);
}

void query(const struct api_fixture *fx, const char *token, const char *json, struct answer *a)
{
    call(fx, "POST", "/v1/db/acme/main/query", token, str_of(json), a);
}
