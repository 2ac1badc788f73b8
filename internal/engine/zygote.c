/* The process that forks engines. It was exec'd from this binary: no thread, no secret, and never any SQLite,
 * whose global state a child would inherit. Protocol: wire/zygote.h. */
#define _GNU_SOURCE /* pidfd_open, signalfd, SCM_RIGHTS with MSG_CMSG_CLOEXEC */
#include "base/check.h"
#include "base/fs.h"
#include "base/str.h"
#include "engine/engine.h"
#include "crypto/digest.h"
#include "engine/sandbox.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { REQUEST_FDS = 2 };

struct zygote {
    int control_fd, signal_fd;
    struct sandbox sandbox;
    bool sandbox_tried;
};

/* --- Answers --- */

static bool answer(struct zygote *z, struct zygote_answer a, int pidfd)
{
    char control[CMSG_SPACE(sizeof(int))] = {0};
    struct iovec data = {.iov_base = &a, .iov_len = sizeof a};
    struct msghdr m = {.msg_iov = &data, .msg_iovlen = 1};
    if (pidfd >= 0) {
        m.msg_control = control;
        m.msg_controllen = sizeof control;
        struct cmsghdr *c = CMSG_FIRSTHDR(&m);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(c), &pidfd, sizeof pidfd);
    }
    ssize_t n;
    do
        n = sendmsg(z->control_fd, &m, MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    return n == (ssize_t)sizeof a;
}

static bool reap(struct zygote *z)
{
    struct signalfd_siginfo info;
    int status;
    pid_t pid;
    while (read(z->signal_fd, &info, sizeof info) == (ssize_t)sizeof info)
        continue; /* several ends may share one signal: all are asked for below */
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        if (!answer(z, (struct zygote_answer){.pid = pid, .exited = 1, .wait_status = status}, -1))
            return false;
    }
    return true;
}

/* --- Requests --- */

static bool config_valid(const struct engine_config *c)
{
    struct str dir = str_make(c->dir, strnlen(c->dir, sizeof c->dir));
    return c->mode <= ENGINE_SCRATCH_MODE && c->no_sandbox <= 1 && dir.len < sizeof c->dir &&
           str_starts(dir, S("/")) && !memmem(dir.ptr, dir.len, "/../", 4) && !str_ends(dir, S("/..")) &&
           c->db_bytes_max > 0 && c->db_bytes_max <= INT64_MAX / 2 && c->cost_request_nano >= 0 &&
           c->cost_read_nano >= 0 && c->cost_write_nano >= 0;
}

/* Takes the descriptors out of a message; all are closed when their number is wrong. */
static bool take_fds(struct msghdr *m, int fds[REQUEST_FDS])
{
    int count = 0;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < n; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
            if (count < REQUEST_FDS)
                fds[count++] = fd;
            else
                fd_close(&fd);
        }
    }
    if (count == REQUEST_FDS)
        return true;
    while (count > 0)
        fd_close(&fds[--count]);
    return false;
}

NORETURN static void child(
    struct zygote *z, const struct engine_config *cfg, int fds[REQUEST_FDS], pid_t parent)
{
    sigset_t none;
    (void)sigemptyset(&none); /* cannot fail */
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0 || getppid() != parent)
        _exit(ENGINE_EXIT_SANDBOX);
    struct board *board = mmap(NULL, BOARD_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fds[1], 0);
    if (board == MAP_FAILED)
        _exit(ENGINE_EXIT_SANDBOX);
    engine_main(cfg, fds[0], board, cfg->no_sandbox ? NULL : &z->sandbox);
}

static bool sandbox_ready(struct zygote *z, const struct engine_config *cfg)
{
    struct err err = ERR_INIT;
    if (cfg->no_sandbox)
        return true;
    if (!z->sandbox_tried && sandbox_prepare(&z->sandbox, &err) != ERR_OK)
        sandbox_release(&z->sandbox); /* the front has looked before it started us, and is told below */
    z->sandbox_tried = true;
    return z->sandbox.filter.len > 0;
}

static bool start_engine(struct zygote *z, const struct engine_config *cfg, int fds[REQUEST_FDS])
{
    if (!sandbox_ready(z, cfg))
        return answer(z, (struct zygote_answer){.pid = -EPERM}, -1);
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid == 0)
        child(z, cfg, fds, parent);
    if (pid < 0)
        return answer(z, (struct zygote_answer){.pid = -errno}, -1);
    AUTO_FD pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    return answer(z, (struct zygote_answer){.pid = pid}, pidfd);
}

static bool handle_request(struct zygote *z)
{
    struct engine_config cfg;
    char control[CMSG_SPACE(REQUEST_FDS * sizeof(int))];
    struct iovec data = {.iov_base = &cfg, .iov_len = sizeof cfg};
    struct msghdr m = {
        .msg_iov = &data, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    int fds[REQUEST_FDS] = {-1, -1};
    ssize_t n = recvmsg(z->control_fd, &m, MSG_CMSG_CLOEXEC);
    if (n < 0 && errno == EINTR)
        return true;
    if (n <= 0)
        return false;
    bool valid = take_fds(&m, fds) && n == (ssize_t)sizeof cfg && !(m.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) &&
                 config_valid(&cfg);
    bool ok = valid ? start_engine(z, &cfg, fds) : answer(z, (struct zygote_answer){.pid = -EINVAL}, -1);
    fd_close(&fds[0]);
    fd_close(&fds[1]);
    return ok;
}

/* --- The process --- */

/* A terminal's Ctrl-C and a service manager's SIGTERM reach the whole group: the front alone decides when
 * engines leave. */
static int set_signals(void)
{
    sigset_t child_ended;
    (void)signal(SIGINT, SIG_IGN); /* these four cannot fail */
    (void)signal(SIGTERM, SIG_IGN);
    (void)signal(SIGHUP, SIG_IGN);
    (void)signal(SIGPIPE, SIG_IGN);
    (void)sigemptyset(&child_ended);
    (void)sigaddset(&child_ended, SIGCHLD);
    (void)sigprocmask(SIG_BLOCK, &child_ended, NULL);
    return signalfd(-1, &child_ended, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* Descriptors 0 and 1 must be open, or SQLite's files would get their numbers; 2 is for a panic's last line.
 */
static bool set_standard_files(void)
{
    AUTO_FD null = open("/dev/null", O_RDWR | O_CLOEXEC);
    return null >= 0 && dup2(null, STDIN_FILENO) >= 0 && dup2(null, STDOUT_FILENO) >= 0 &&
           (fcntl(STDERR_FILENO, F_GETFD) >= 0 || dup2(null, STDERR_FILENO) >= 0);
}

static bool serve(struct zygote *z)
{
    struct pollfd p[] = {{.fd = z->control_fd, .events = POLLIN}, {.fd = z->signal_fd, .events = POLLIN}};
    if (poll(p, ARRAY_LEN(p), -1) < 0)
        return errno == EINTR;
    if (p[1].revents && !reap(z))
        return false;
    return !p[0].revents || handle_request(z);
}

int zygote_main(int control_fd)
{
    struct zygote z = {.control_fd = control_fd};
    check_set_context("zygote");
    (void)prctl(PR_SET_NAME, "hf-zygote", 0, 0, 0); /* only a name */
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    (void)clearenv(); /* cannot fail in glibc */
    z.signal_fd = set_signals();
    if (z.signal_fd < 0 || !set_standard_files())
        return EXIT_FAILURE;
    (void)digest_sha256(STR_EMPTY); /* OpenSSL starts here once, for all engines, outside the sandbox */
    while (serve(&z))
        continue;
    sandbox_release(&z.sandbox);
    return EXIT_SUCCESS;
}
