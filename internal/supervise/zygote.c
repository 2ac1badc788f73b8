/* The production starter: a zygote, which is this binary exec'd anew with nothing but its control socket.
 * When it dies it is started again, at once and then with growing pauses. */
#define _GNU_SOURCE /* posix_spawn_file_actions_addclosefrom_np */
#include "base/check.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "supervise/pidfd.h"
#include "supervise/starter.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    BACKOFF_MIN_US = 10000,
    BACKOFF_MAX_US = 5000000,
    FREE_WAIT_MS = 1000,
    STEADY_US = 10000000, /* a zygote that lived so long starts the pauses anew */
};

struct zygote {
    struct engine_starter base;
    struct loop *loop;
    struct supervisor *s;
    char *exe;
    int fd, pidfd; /* -1: none runs */
    pid_t pid;
    struct loop_io io, pid_io;
    struct loop_timer again;
    int64_t started_us, backoff_us;
};

static void zygote_start(void *arg);

static void zygote_wait_and_start(struct zygote *z)
{
    if (clock_mono_us() - z->started_us > STEADY_US)
        z->backoff_us = 0;
    loop_timer_set(&z->again, z->backoff_us);
    z->backoff_us = z->backoff_us == 0 ? BACKOFF_MIN_US : z->backoff_us * 2;
    if (z->backoff_us > BACKOFF_MAX_US)
        z->backoff_us = BACKOFF_MAX_US;
}

/* --- the control socket --- */

/* One datagram; its descriptor in *ret_fd or -1. */
static ssize_t receive(int sock, struct zygote_answer *answer, int *ret_fd)
{
    union {
        struct cmsghdr align;
        char buf[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec iov = {answer, sizeof *answer};
    struct msghdr msg = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.buf, .msg_controllen = sizeof control.buf};
    *ret_fd = -1;
    ssize_t n = recvmsg(sock, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    struct cmsghdr *c = n > 0 ? CMSG_FIRSTHDR(&msg) : NULL;
    if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS &&
        c->cmsg_len == CMSG_LEN(sizeof(int)))
        memcpy(ret_fd, CMSG_DATA(c), sizeof(int));
    return n;
}

static bool answer_valid(const struct zygote_answer *a, ssize_t n, int fd)
{
    if (n != sizeof *a || a->exited > 1)
        return false;
    return a->exited || a->pid <= 0 ? fd < 0 : fd >= 0;
}

/* The zygote is trusted, but it may be dying or of another build: end it, its pidfd tells when it is gone. */
static void give_up(struct zygote *z)
{
    loop_io_release(&z->io);
    fd_close(&z->fd);
    (void)pidfd_kill(z->pidfd);
}

static void on_answer(void *arg, unsigned ready)
{
    struct zygote *z = arg;
    (void)ready;
    while (z->fd >= 0) {
        struct zygote_answer answer;
        int fd;
        ssize_t n = receive(z->fd, &answer, &fd);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (answer_valid(&answer, n, fd)) {
            starter_answered(z->s, &answer, fd);
            continue;
        }
        fd_close(&fd);
        give_up(z);
    }
}

static void on_dead(void *arg, unsigned ready)
{
    struct zygote *z = arg;
    int status = 0;
    (void)ready;
    if (waitpid(z->pid, &status, WNOHANG) == 0)
        return;
    on_answer(z, LOOP_READ); /* what it said before it died */
    loop_io_release(&z->io);
    loop_io_release(&z->pid_io);
    fd_close(&z->fd);
    fd_close(&z->pidfd);
    log_event(LOG_WARN, "zygote_restart", LOG_INT("pid", z->pid), LOG_INT("wait_status", status));
    starter_lost(z->s);
    zygote_wait_and_start(z);
}

/* --- the process --- */

/* stdin and stdout are nobody's, stderr stays for panics; nothing above the control socket is inherited. */
static bool fill_actions(posix_spawn_file_actions_t *fa, int sock)
{
    return posix_spawn_file_actions_adddup2(fa, sock, ZYGOTE_FD) == 0 &&
           posix_spawn_file_actions_addopen(fa, 0, "/dev/null", O_RDONLY, 0) == 0 &&
           posix_spawn_file_actions_addopen(fa, 1, "/dev/null", O_WRONLY, 0) == 0 &&
           posix_spawn_file_actions_addclosefrom_np(fa, ZYGOTE_FD + 1) == 0;
}

/* A process group of its own: Ctrl-C in a terminal is for the front, which then lets engines finish. */
static bool fill_attributes(posix_spawnattr_t *attr)
{
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    return posix_spawnattr_setsigmask(attr, &none) == 0 && posix_spawnattr_setsigdefault(attr, &all) == 0 &&
           posix_spawnattr_setpgroup(attr, 0) == 0 &&
           posix_spawnattr_setflags(
               attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP) == 0;
}

static bool spawn(const char *exe, int sock, pid_t *ret_pid)
{
    char name[] = "holdfast", role[] = "zygote";
    char *argv[] = {name, role, NULL}, *envp[] = {NULL};
    posix_spawn_file_actions_t fa;
    posix_spawnattr_t attr;
    CHECK(posix_spawn_file_actions_init(&fa) == 0 && posix_spawnattr_init(&attr) == 0);
    bool ok = fill_actions(&fa, sock) && fill_attributes(&attr) &&
              posix_spawn(ret_pid, exe, &fa, &attr, argv, envp) == 0;
    posix_spawnattr_destroy(&attr);
    posix_spawn_file_actions_destroy(&fa);
    return ok;
}

static bool spawn_with_socket(struct zygote *z)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
        return false;
    AUTO_FD ours = pair[0], theirs = pair[1];
    if (fcntl(ours, F_SETFL, O_NONBLOCK) != 0 || !spawn(z->exe, theirs, &z->pid))
        return false;
    z->pidfd = pidfd_of(z->pid);
    CHECK(z->pidfd >= 0); /* our own child, not reaped yet */
    z->fd = ours;
    ours = -1;
    return true;
}

static void zygote_start(void *arg)
{
    struct zygote *z = arg;
    z->started_us = clock_mono_us();
    if (!spawn_with_socket(z)) {
        log_event(LOG_ERROR, "zygote_start_failed", LOG_INT("errno", errno));
        zygote_wait_and_start(z);
        return;
    }
    loop_io_init(&z->io, z->loop, z->fd, on_answer, z);
    loop_io_want(&z->io, LOOP_READ);
    loop_io_init(&z->pid_io, z->loop, z->pidfd, on_dead, z);
    loop_io_want(&z->pid_io, LOOP_READ);
    starter_back(z->s);
}

/* --- the starter --- */

static bool starter_alive(const struct engine_starter *st)
{
    return CONTAINER_OF(st, struct zygote, base)->fd >= 0;
}

static bool starter_start(struct engine_starter *st, const struct engine_config *cfg, int sock, int board_fd)
{
    struct zygote *z = CONTAINER_OF(st, struct zygote, base);
    struct engine_config copy = *cfg;
    int fds[2] = {sock, board_fd};
    union {
        struct cmsghdr align;
        char buf[CMSG_SPACE(sizeof fds)];
    } control = {.buf = {0}};
    struct iovec iov = {&copy, sizeof copy};
    struct msghdr msg = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.buf, .msg_controllen = sizeof control.buf};
    struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof fds);
    memcpy(CMSG_DATA(c), fds, sizeof fds);
    return z->fd >= 0 && sendmsg(z->fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT) == sizeof copy;
}

/* The end of file on its socket ends the zygote; only once every engine has gone, so nobody is orphaned. */
static void starter_free(struct engine_starter *st)
{
    struct zygote *z = CONTAINER_OF(st, struct zygote, base);
    struct pollfd gone = {.fd = z->pidfd, .events = POLLIN};
    loop_io_release(&z->io);
    loop_io_release(&z->pid_io);
    loop_timer_release(&z->again);
    fd_close(&z->fd);
    if (z->pidfd >= 0) {
        if (poll(&gone, 1, FREE_WAIT_MS) <= 0)
            (void)pidfd_kill(z->pidfd);
        (void)waitpid(z->pid, NULL, 0);
    }
    fd_close(&z->pidfd);
    mem_free(z->exe);
    mem_free(z);
}

struct engine_starter *zygote_starter_new(struct loop *l, struct supervisor *s, const char *exe)
{
    struct zygote *z = MEM_NEW(struct zygote);
    z->base = (struct engine_starter){starter_start, starter_alive, starter_free};
    z->loop = l;
    z->s = s;
    z->exe = mem_strdup(exe);
    z->fd = z->pidfd = -1;
    loop_timer_init(&z->again, l, zygote_start, z);
    zygote_start(z);
    return &z->base;
}
