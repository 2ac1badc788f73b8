/* An engine for tests. */
#define _GNU_SOURCE /* mkdtemp, memfd_create */
#include "lib/engine_fixture.h"
#include "base/clock.h"
#include "engine/sandbox.h"
#include "base/fs.h"
#include "json/jsonw.h"
#include "lib/unit.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { WAIT_MS = 20000, ANSWERS_BYTES = 512 << 20 };

/* false: the engine ended instead. */
static bool wait_ready(struct engine_fixture *fx)
{
    struct wire_header h;
    size_t size = 0;
    char buf[64];
    size_t have = 0;
    while (size == 0) {
        struct pollfd p = {.fd = fx->fd, .events = POLLIN};
        assert_int_equal(poll(&p, 1, WAIT_MS), 1);
        ssize_t n = read(fx->fd, buf + have, sizeof buf - have);
        if (n <= 0)
            return false;
        have += (size_t)n;
        assert_int_equal(wire_peek(str_make(buf, have), &h, &size, NULL), ERR_OK);
    }
    assert_int_equal(h.type, WIRE_READY);
    assert_int_equal(size, have);
    return true;
}

pid_t zygote_fixture_start(int *ret_fd)
{
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    (void)fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        unit_forget_signals();
        sandbox_tidy(pair[1]);    /* the real one was exec'd: it inherits nothing */
        (void)sqlite3_shutdown(); /* other tests of this binary may have started it */
        _exit(zygote_main(pair[1]));
    }
    (void)close(pair[1]);
    *ret_fd = pair[0];
    return pid;
}

int zygote_fixture_stop(pid_t pid, int fd)
{
    int status;
    (void)close(fd);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static struct zygote_answer receive_answer(int fd, int *ret_pidfd)
{
    struct zygote_answer a = {0};
    char control[CMSG_SPACE(sizeof(int))];
    struct iovec data = {.iov_base = &a, .iov_len = sizeof a};
    struct msghdr m = {
        .msg_iov = &data, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    struct pollfd p = {.fd = fd, .events = POLLIN};
    assert_int_equal(poll(&p, 1, WAIT_MS), 1);
    assert_int_equal(recvmsg(fd, &m, MSG_CMSG_CLOEXEC), sizeof a);
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    *ret_pidfd = -1;
    if (c)
        memcpy(ret_pidfd, CMSG_DATA(c), sizeof *ret_pidfd);
    return a;
}

struct zygote_answer zygote_next(int fd)
{
    int pidfd;
    struct zygote_answer a = receive_answer(fd, &pidfd);
    assert_int_equal(pidfd, -1);
    return a;
}

struct zygote_answer zygote_ask(
    int fd, const struct engine_config *cfg, int socket_fd, int board_fd, int *ret_pidfd)
{
    int fds[2] = {socket_fd, board_fd};
    char control[CMSG_SPACE(sizeof fds)] = {0};
    struct iovec data = {.iov_base = (void *)(uintptr_t)cfg, .iov_len = sizeof *cfg};
    struct msghdr m = {
        .msg_iov = &data, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof fds);
    memcpy(CMSG_DATA(c), fds, sizeof fds);
    assert_int_equal(sendmsg(fd, &m, MSG_NOSIGNAL), sizeof *cfg);
    return receive_answer(fd, ret_pidfd);
}

struct engine_config engine_fixture_config(const char *dir, enum engine_mode mode)
{
    struct engine_config cfg = {.mode = mode,
        .db_bytes_max = 1 << 30,
        .cost_request_nano = 500,
        .cost_read_nano = 5,
        .cost_write_nano = 2000};
    (void)snprintf(cfg.dir, sizeof cfg.dir, "%s", dir);
    return cfg;
}

/* The front's half of an engine: socket, board. *ret_memory and *ret_socket are the engine's. */
static void make_ends(struct engine_fixture *fx, int *ret_socket, int *ret_memory)
{
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    *ret_memory = memfd_create("board", MFD_CLOEXEC);
    assert_int_equal(ftruncate(*ret_memory, BOARD_SIZE), 0);
    fx->board = mmap(NULL, BOARD_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, *ret_memory, 0);
    assert_true(fx->board != MAP_FAILED);
    *ret_socket = pair[1];
    fx->fd = pair[0];
}

void engine_fixture_again(struct engine_fixture *fx, enum engine_mode mode)
{
    int socket_fd, memory;
    struct engine_config cfg = engine_fixture_config(fx->dir, mode);
    make_ends(fx, &socket_fd, &memory);
    fx->zygote = zygote_fixture_start(&fx->zygote_fd);
    struct zygote_answer a = zygote_ask(fx->zygote_fd, &cfg, socket_fd, memory, &fx->pidfd);
    assert_true(a.pid > 0);
    fx->pid = a.pid;
    (void)close(socket_fd);
    (void)close(memory);
    assert_true(wait_ready(fx));
}

bool engine_fixture_fork(
    struct engine_fixture *fx, const struct engine_config *cfg, void (*enter)(void *), void *arg)
{
    int socket_fd, memory;
    make_ends(fx, &socket_fd, &memory);
    fx->zygote = 0;
    (void)fflush(NULL);
    fx->pid = fork();
    assert_true(fx->pid >= 0);
    if (fx->pid == 0) {
        unit_forget_signals();
        (void)sqlite3_shutdown(); /* other tests of this binary may have started it */
        if (enter)
            enter(arg);
        engine_main(cfg, socket_fd, fx->board, NULL);
    }
    (void)close(socket_fd);
    (void)close(memory);
    return wait_ready(fx);
}

static void make_buffers(struct engine_fixture *fx)
{
    *fx = (struct engine_fixture){.next_id = 1};
    strbuf_init(&fx->out, (size_t)WIRE_FRAME_MAX * 2);
    strbuf_init(&fx->in, (size_t)WIRE_FRAME_MAX * 2);
    arena_init(&fx->arena, ANSWERS_BYTES);
}

void engine_fixture_beside(const struct engine_fixture *writer, struct engine_fixture *ret)
{
    make_buffers(ret);
    memcpy(ret->dir, writer->dir, sizeof ret->dir);
    engine_fixture_again(ret, ENGINE_READER);
}

int engine_fixture_leave(struct engine_fixture *fx)
{
    int status = engine_fixture_end(fx, false);
    strbuf_release(&fx->out);
    strbuf_release(&fx->in);
    arena_release(&fx->arena);
    return status;
}

void engine_fixture_init(struct engine_fixture *fx)
{
    make_buffers(fx);
    const char *tmp = getenv("TMPDIR");
    (void)snprintf(fx->dir, sizeof fx->dir, "%s/hf-engine-XXXXXX", tmp ? tmp : "/tmp");
    assert_non_null(mkdtemp(fx->dir));
}

void engine_fixture_start(struct engine_fixture *fx)
{
    engine_fixture_init(fx);
    engine_fixture_again(fx, ENGINE_WRITER);
}

static int wait_for_end(struct engine_fixture *fx)
{
    int status;
    if (fx->zygote == 0) {
        assert_int_equal(waitpid(fx->pid, &status, 0), fx->pid);
        return status;
    }
    struct zygote_answer a = zygote_next(fx->zygote_fd);
    assert_int_equal(a.exited, 1);
    assert_int_equal(a.pid, fx->pid);
    (void)close(fx->pidfd);
    assert_int_equal(zygote_fixture_stop(fx->zygote, fx->zygote_fd), 0);
    return a.wait_status;
}

int engine_fixture_end(struct engine_fixture *fx, bool kill_it)
{
    if (kill_it)
        (void)kill(fx->pid, SIGKILL);
    (void)close(fx->fd);
    int status = wait_for_end(fx);
    (void)munmap(fx->board, BOARD_SIZE);
    strbuf_reset(&fx->in);
    strbuf_reset(&fx->out);
    fx->taken = 0;
    return status;
}

void engine_fixture_release(struct engine_fixture *fx)
{
    assert_int_equal(fs_remove_tree(fx->dir, NULL), ERR_OK);
    strbuf_release(&fx->out);
    strbuf_release(&fx->in);
    arena_release(&fx->arena);
}

int64_t engine_fixture_cpu_us(const struct engine_fixture *fx)
{
    clockid_t clock;
    struct timespec t;
    assert_int_equal(clock_getcpuclockid(fx->pid, &clock), 0);
    assert_int_equal(clock_gettime(clock, &t), 0);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

int engine_fixture_stop(struct engine_fixture *fx)
{
    int status = engine_fixture_end(fx, false);
    engine_fixture_release(fx);
    return status;
}

struct wire_call engine_call_new(enum wire_op op, const char *body)
{
    return (struct wire_call){.op = op,
        .role = WIRE_ROLE_ADMIN,
        .deadline_us = clock_mono_us() + 15000000,
        .request_id = S("req_test"),
        .token_id = S("tok_test"),
        .idempotency_key = STR_EMPTY,
        .plan_key = STR_EMPTY,
        .plan_step = STR_EMPTY,
        .body = str_of(body)};
}

uint64_t engine_queue(struct engine_fixture *fx, const struct wire_call *call)
{
    wire_put_call(&fx->out, fx->next_id, call);
    assert_false(strbuf_failed(&fx->out));
    return fx->next_id++;
}

/* false: the engine has closed its socket. */
static bool read_some(struct engine_fixture *fx)
{
    char *at = strbuf_reserve(&fx->in, 65536);
    assert_non_null(at);
    ssize_t n = recv(fx->fd, at, 65536, MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN)
        return true;
    if (n <= 0)
        return false;
    strbuf_commit(&fx->in, (size_t)n);
    return true;
}

bool engine_try_send_all(struct engine_fixture *fx)
{
    struct str left = strbuf_str(&fx->out);
    bool there = true;
    while (there && left.len > 0) {
        struct pollfd p = {.fd = fx->fd, .events = POLLIN | POLLOUT};
        assert_int_equal(poll(&p, 1, WAIT_MS), 1);
        there = !(p.revents & POLLIN) || read_some(fx);
        ssize_t n = there ? send(fx->fd, left.ptr, left.len, MSG_NOSIGNAL | MSG_DONTWAIT) : 0;
        if (n < 0 && errno == EAGAIN)
            continue;
        there = there && n > 0;
        left = str_slice(left, there ? (size_t)n : 0, left.len);
    }
    strbuf_reset(&fx->out);
    return there;
}

void engine_send_all(struct engine_fixture *fx)
{
    if (!engine_try_send_all(fx))
        fail_msg("the engine has closed its socket");
}

static bool next_frame(struct engine_fixture *fx, struct wire_header *h, struct str *body)
{
    struct str have = str_slice(strbuf_str(&fx->in), fx->taken, fx->in.len);
    size_t size;
    assert_int_equal(wire_peek(have, h, &size, NULL), ERR_OK);
    if (size == 0)
        return false;
    *body = str_slice(have, WIRE_HEADER_SIZE, size);
    fx->taken += size;
    return true;
}

static bool await_frame(struct engine_fixture *fx, struct wire_header *h, struct str *body)
{
    while (!next_frame(fx, h, body)) {
        if (fx->taken == fx->in.len) {
            strbuf_reset(&fx->in);
            fx->taken = 0;
        }
        struct pollfd p = {.fd = fx->fd, .events = POLLIN};
        assert_int_equal(poll(&p, 1, WAIT_MS), 1);
        if (!read_some(fx))
            return false;
    }
    return true;
}

bool engine_try_receive(struct engine_fixture *fx, struct engine_answer *ret)
{
    struct engine_answer a = {0};
    struct wire_header h;
    struct str frame, chunk;
    AUTO_STRBUF body;
    strbuf_init(&body, (size_t)WIRE_FRAME_MAX * 2);
    do {
        struct wire_reply_head head = {0};
        if (!await_frame(fx, &h, &frame))
            return false;
        a.id = h.call_id;
        if (h.type == WIRE_BOUNCE) {
            a.bounced = true;
            *ret = a;
            return true;
        }
        assert_int_equal(h.type, WIRE_REPLY);
        assert_int_equal(wire_get_reply(h.flags, frame, &head, &chunk, NULL), ERR_OK);
        if (h.flags & WIRE_FIRST)
            a.head = head;
        strbuf_add_str(&body, chunk);
    } while (!(h.flags & WIRE_LAST));
    a.body = arena_copy(&fx->arena, strbuf_str(&body));
    assert_non_null(a.body.ptr);
    *ret = a;
    return true;
}

struct engine_answer engine_receive(struct engine_fixture *fx)
{
    struct engine_answer a;
    if (!engine_try_receive(fx, &a))
        fail_msg("the engine has closed its socket");
    return a;
}

struct engine_answer engine_ask(struct engine_fixture *fx, const struct wire_call *call)
{
    uint64_t id = engine_queue(fx, call);
    engine_send_all(fx);
    struct engine_answer a = engine_receive(fx);
    assert_int_equal(a.id, id);
    return a;
}

const char *engine_query_body(struct engine_fixture *fx, const char *sql, const char *params)
{
    AUTO_STRBUF sb;
    struct jsonw w;
    strbuf_init(&sb, 64 << 20);
    jsonw_init(&w, &sb);
    jsonw_object(&w);
    JSONW_CSTR(&w, "sql", sql);
    if (params) {
        jsonw_key(&w, "params");
        jsonw_raw(&w, str_of(params));
    }
    jsonw_object_end(&w);
    const char *copy = arena_copy(&fx->arena, strbuf_str(&sb)).ptr;
    assert_non_null(copy);
    return copy;
}

struct engine_answer engine_sql(struct engine_fixture *fx, const char *sql, const char *params)
{
    struct wire_call call = engine_call_new(WIRE_OP_QUERY, engine_query_body(fx, sql, params));
    return engine_ask(fx, &call);
}

struct engine_answer engine_sql_as(struct engine_fixture *fx, enum wire_role role, const char *sql)
{
    struct wire_call call = engine_call_new(WIRE_OP_QUERY, engine_query_body(fx, sql, NULL));
    call.role = role;
    return engine_ask(fx, &call);
}

struct str engine_ok(struct engine_fixture *fx, const char *sql)
{
    struct engine_answer a = engine_sql(fx, sql, NULL);
    if (a.head.status != 200)
        fail_msg("%s\n  answered %d: %.*s", sql, a.head.status, STR_ARG(a.body));
    return a.body;
}

bool engine_body_has(struct str body, const char *text)
{
    return memmem(body.ptr, body.len, text, strlen(text)) != NULL;
}

void engine_expect(struct str body, const char *text)
{
    if (!engine_body_has(body, text))
        fail_msg("%s\n  is not in %.*s", text, STR_ARG(body));
}

void engine_expect_rows(struct engine_fixture *fx, const char *sql, const char *rows)
{
    engine_expect(engine_ok(fx, sql), rows);
}

uint64_t engine_queue_sql(struct engine_fixture *fx, const char *sql)
{
    struct wire_call call = engine_call_new(WIRE_OP_QUERY, engine_query_body(fx, sql, NULL));
    return engine_queue(fx, &call);
}

uint64_t engine_queue_batch(struct engine_fixture *fx, const char *statements, bool transaction)
{
    char body[2000];
    (void)snprintf(body, sizeof body, "{\"statements\":[%s],\"transaction\":%s}", statements,
        transaction ? "true" : "false");
    const char *copy = arena_strdup(&fx->arena, body);
    struct wire_call call = engine_call_new(WIRE_OP_BATCH, copy);
    return engine_queue(fx, &call);
}

void engine_exchange(struct engine_fixture *fx, uint64_t first, size_t count, struct engine_answer *out)
{
    engine_send_all(fx);
    for (size_t i = 0; i < count; i++) {
        struct engine_answer a = engine_receive(fx);
        assert_true(a.id >= first && a.id < first + count);
        out[a.id - first] = a;
    }
}
