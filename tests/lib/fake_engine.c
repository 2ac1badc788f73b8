/* The fake engine and the starter that forks it. */
#include "lib/fake_engine.h"
#include "base/check.h"
#include "base/fs.h"
#include "base/mem.h"
#include "supervise/pidfd.h"
#include "wire/board.h"
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* --- the engine --- */

struct fake {
    const struct engine_config *cfg;
    int sock;
    struct board *board;
    struct strbuf in, out;
    struct arena arena;
};

static void nap_ms(int ms)
{
    struct timespec ts = {ms / 1000, ms % 1000 * 1000000L};
    nanosleep(&ts, NULL);
}

static NORETURN void die(void)
{
    kill(getpid(), SIGKILL);
    for (;;)
        pause();
}

static void flush(struct fake *f)
{
    for (size_t at = 0; at < f->out.len;) {
        ssize_t n = write(f->sock, f->out.buf + at, f->out.len - at);
        if (n <= 0)
            _exit(0);
        at += (size_t)n;
    }
    strbuf_reset(&f->out);
}

static void answer_code(struct fake *f, uint64_t id, enum err_code code, struct str body)
{
    struct wire_reply_head head = {
        .status = (uint16_t)err_status(code), .code = (uint16_t)code, .rows_read = 1};
    wire_put_reply(&f->out, id, &head, body, true);
}

static void answer(struct fake *f, uint64_t id, const char *text)
{
    answer_code(f, id, ERR_OK, str_of(text));
}

static void until_cancel(struct fake *f, uint64_t id)
{
    while (atomic_load(&f->board->cancel_call) != id)
        nap_ms(1);
    answer_code(f, id, ERR_UNAVAILABLE, S("cancelled"));
}

static void bounce(struct fake *f, uint64_t id)
{
    char text[32];
    if (f->cfg->mode == ENGINE_WRITER && atomic_load(&f->board->has_readers)) {
        wire_put_plain(&f->out, WIRE_BOUNCE, id);
        return;
    }
    (void)snprintf(
        text, sizeof text, "%s %d", f->cfg->mode == ENGINE_READER ? "reader" : "writer", (int)getpid());
    answer(f, id, text);
}

static void chunks(struct fake *f, uint64_t id, int count, int size)
{
    struct wire_reply_head head = {.status = 200, .bytes_total = (uint64_t)count * (uint64_t)size};
    char *piece = malloc((size_t)size + 1);
    for (int i = 0; i < count; i++) {
        memset(piece, 'a' + i % 26, (size_t)size);
        wire_put_reply(&f->out, id, i == 0 ? &head : NULL, str_make(piece, (size_t)size), i == count - 1);
        flush(f);
    }
    free(piece);
}

static void misbehave(struct fake *f, uint64_t id, const char *what)
{
    struct wire_reply_head head = {.status = 200};
    if (strcmp(what, "garbage") == 0)
        strbuf_add_cstr(&f->out, "this is no frame at all");
    else if (strcmp(what, "wrong_id") == 0)
        answer(f, id + 7, "not yours");
    else
        for (int i = 0; i < 2; i++)
            wire_put_reply(&f->out, id, &head, S("again"), false);
    flush(f);
}

static void run_call(struct fake *f, uint64_t id, struct str body)
{
    char text[512], pid[16];
    int a = 0, b = 0;
    (void)snprintf(text, sizeof text, "%.*s", STR_ARG(body));
    (void)snprintf(pid, sizeof pid, "%d", (int)getpid());
    if (str_starts(body, S("echo ")))
        answer_code(f, id, ERR_OK, str_slice(body, 5, body.len));
    else if (strcmp(text, "pid") == 0)
        answer(f, id, pid);
    else if (strcmp(text, "crash") == 0)
        die();
    else if (strcmp(text, "commit_crash") == 0) {
        atomic_store(&f->board->running_call, 0);
        atomic_store(&f->board->phase, BOARD_COMMITTING);
        die();
    } else if (strcmp(text, "orphan_commit") == 0) {
        atomic_store(&f->board->running_call, 0);
        atomic_store(&f->board->phase, BOARD_COMMITTING);
        nap_ms(1500);
        answer(f, id, "late");
    } else if (strcmp(text, "hang") == 0)
        for (;;)
            pause();
    else if (sscanf(text, "exit %d", &a) == 1)
        _exit(a);
    else if (strcmp(text, "break_off") == 0) {
        struct wire_reply_head head = {.status = 200};
        wire_put_reply(&f->out, id, &head, S("half"), false);
        flush(f);
        _exit(ENGINE_EXIT_IO);
    } else if (strcmp(text, "until_cancel") == 0)
        until_cancel(f, id);
    else if (strcmp(text, "corrupt") == 0)
        answer_code(f, id, ERR_CORRUPT, S("damaged"));
    else if (strcmp(text, "bounce") == 0)
        bounce(f, id);
    else if (sscanf(text, "waiting %d", &a) == 1) {
        while ((int)atomic_load(&f->board->waiting) != a)
            nap_ms(1);
        answer(f, id, "seen");
    } else if (sscanf(text, "chunks %d %d", &a, &b) == 2)
        chunks(f, id, a, b);
    else
        misbehave(f, id, text);
}

static void run_batch(struct fake *f)
{
    struct str rest = strbuf_str(&f->in);
    struct wire_header h;
    struct wire_call call;
    size_t size;
    atomic_store(&f->board->phase, BOARD_OPEN);
    while (wire_peek(rest, &h, &size, NULL) == ERR_OK && size > 0) {
        if (h.type != WIRE_CALL ||
            wire_get_call(str_slice(rest, WIRE_HEADER_SIZE, size), &f->arena, &call, NULL) != ERR_OK)
            _exit(ENGINE_EXIT_PROTOCOL);
        atomic_store(&f->board->running_call, h.call_id);
        run_call(f, h.call_id, call.body);
        rest = str_slice(rest, size, rest.len);
    }
    atomic_store(&f->board->running_call, 0);
    atomic_fetch_add(&f->board->commits, 1);
    flush(f);
    atomic_store(&f->board->phase, BOARD_IDLE);
    memmove(f->in.buf, rest.ptr, rest.len);
    strbuf_truncate(&f->in, rest.len);
    arena_release(&f->arena);
}

static void open_database(struct fake *f)
{
    const char *name = strrchr(f->cfg->dir, '/') + 1;
    int status;
    if (sscanf(name, "exit_%d", &status) == 1)
        _exit(status);
    if (strcmp(name, "crash_open") == 0)
        die();
    wire_put_plain(&f->out, WIRE_READY, 0);
    flush(f);
}

static NORETURN void fake_main(const struct engine_config *cfg, int sock, int board_fd)
{
    struct fake f = {.cfg = cfg, .sock = sock};
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (int fd = 3; fd < 1024; fd++) {
        if (fd != sock && fd != board_fd)
            close(fd);
    }
    void *p = mmap(NULL, BOARD_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, board_fd, 0);
    f.board = p;
    close(board_fd);
    strbuf_init(&f.in, 2 * WIRE_FRAME_MAX);
    strbuf_init(&f.out, 2 * WIRE_FRAME_MAX);
    arena_init(&f.arena, 1 << 20);
    open_database(&f);
    for (;;) {
        char *to = strbuf_reserve(&f.in, 1 << 20);
        ssize_t n = read(sock, to, 1 << 20);
        if (n <= 0)
            _exit(0);
        strbuf_commit(&f.in, (size_t)n);
        run_batch(&f);
    }
}

/* --- the starter --- */

struct fake_starter *fake_starter;

struct child {
    struct list node;
    struct fake_starter *st;
    pid_t pid;
    int fail; /* errno, when it never lived */
    int pidfd;
    bool orphan; /* its starter died: nobody tells its end */
    struct loop_io io;
};

static void on_ended(void *arg, unsigned ready)
{
    struct child *c = arg;
    struct zygote_answer answer = {.pid = c->pid, .exited = 1};
    struct fake_starter *st = c->st;
    (void)ready;
    /* A fork keeps descriptors that we close open for a moment, and epoll reports them under their old
     * number. */
    if (waitpid(c->pid, &answer.wait_status, WNOHANG) != c->pid)
        return;
    loop_io_release(&c->io);
    fd_close(&c->pidfd);
    list_remove(&c->node);
    st->living--;
    bool told = !c->orphan;
    mem_free(c);
    if (told)
        starter_answered(st->s, &answer, -1);
}

static void tell_start(void *arg)
{
    struct child *c = arg;
    struct zygote_answer answer = {.pid = c->fail ? -c->fail : c->pid};
    if (c->fail) {
        struct fake_starter *st = c->st;
        mem_free(c);
        starter_answered(st->s, &answer, -1);
        return;
    }
    c->pidfd = pidfd_of(c->pid);
    CHECK(c->pidfd >= 0);
    loop_io_init(&c->io, c->st->loop, c->pidfd, on_ended, c);
    loop_io_want(&c->io, LOOP_READ);
    starter_answered(c->st->s, &answer, pidfd_of(c->pid));
}

static bool start(struct engine_starter *base, const struct engine_config *cfg, int sock, int board_fd)
{
    struct fake_starter *st = CONTAINER_OF(base, struct fake_starter, base);
    if (st->down)
        return false;
    struct child *c = MEM_NEW(struct child);
    c->st = st;
    list_init(&c->node);
    st->started++;
    if (st->refuse > 0) {
        st->refuse--;
        c->fail = EAGAIN;
    } else {
        c->pid = fork();
        CHECK(c->pid >= 0);
        if (c->pid == 0)
            fake_main(cfg, sock, board_fd);
        list_push_back(&st->children, &c->node);
        st->living++;
    }
    loop_post(st->loop, tell_start, c);
    return true;
}

static bool alive(const struct engine_starter *base)
{
    return !CONTAINER_OF(base, struct fake_starter, base)->down;
}

static void release(struct engine_starter *base)
{
    struct fake_starter *st = CONTAINER_OF(base, struct fake_starter, base);
    CHECK(list_empty(&st->children));
    fake_starter = NULL;
    mem_free(st);
}

struct engine_starter *fake_starter_make(struct loop *l, struct supervisor *s)
{
    struct fake_starter *st = MEM_NEW(struct fake_starter);
    st->base = (struct engine_starter){start, alive, release};
    st->loop = l;
    st->s = s;
    list_init(&st->children);
    fake_starter = st;
    return &st->base;
}

void fake_starter_die(struct fake_starter *st)
{
    struct list *it, *nx;
    st->down = true;
    LIST_EACH(it, nx, &st->children)
    LIST_ITEM(it, struct child, node)->orphan = true;
    starter_lost(st->s);
}

void fake_starter_back(struct fake_starter *st)
{
    st->down = false;
    starter_back(st->s);
}
