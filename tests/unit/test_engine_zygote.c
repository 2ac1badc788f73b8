/* The zygote's protocol, and what an engine that it forked looks like from outside. */
#define _GNU_SOURCE /* memmem */
#include "engine/sandbox.h"
#include "lib/engine_fixture.h"
#include "base/fs.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static struct str read_proc(pid_t pid, const char *name, struct strbuf *sb)
{
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
    strbuf_reset(sb);
    assert_int_equal(fs_read_all(path, 1 << 20, sb, NULL), ERR_OK);
    return strbuf_str(sb);
}

static bool has(struct str text, const char *part)
{
    return memmem(text.ptr, text.len, part, strlen(part)) != NULL;
}

/* Seccomp filter mode, no new privileges, its name, and nothing of the environment. */
void test_engine_zygote__engines_are_sandboxed(void **state)
{
    struct engine_fixture fx;
    AUTO_STRBUF sb;
    (void)state;
    strbuf_init(&sb, 1 << 20);
    engine_fixture_start(&fx);
    struct str status = read_proc(fx.pid, "status", &sb);
    assert_true(has(status, "Seccomp:\t2"));
    assert_true(has(status, "NoNewPrivs:\t1"));
    assert_true(has(status, "Name:\thf-engine"));
    assert_true(
        SANDBOX_RELAXED || has(status, "Threads:\t1")); /* the thread sanitizer brings one of its own */
    assert_int_equal(engine_fixture_stop(&fx), 0);
}

void test_engine_zygote__reports_how_an_engine_ended(void **state)
{
    struct engine_fixture fx;
    (void)state;
    engine_fixture_start(&fx);
    (void)engine_ok(&fx, "CREATE TABLE t (x)");
    int status = engine_fixture_end(&fx, true);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    engine_fixture_again(&fx, ENGINE_WRITER);
    (void)engine_ok(&fx, "SELECT * FROM t");
    status = engine_fixture_stop(&fx);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), ENGINE_EXIT_OK);
}

void test_engine_zygote__engines_die_with_it(void **state)
{
    struct engine_fixture fx;
    (void)state;
    engine_fixture_start(&fx);
    assert_int_equal(kill(fx.zygote, SIGKILL), 0);
    struct pollfd p = {.fd = fx.pidfd, .events = POLLIN};
    assert_int_equal(poll(&p, 1, 5000), 1); /* the engine is gone */
    assert_int_equal(waitpid(fx.zygote, NULL, 0), fx.zygote);
    (void)close(fx.zygote_fd);
    (void)close(fx.fd);
    (void)close(fx.pidfd);
    (void)munmap(fx.board, BOARD_SIZE);
    assert_int_equal(fs_remove_tree(fx.dir, NULL), ERR_OK);
    strbuf_release(&fx.in);
    strbuf_release(&fx.out);
    arena_release(&fx.arena);
}

void test_engine_zygote__refuses_bad_requests(void **state)
{
    static const struct {
        const char *what;
        const char *dir;
        uint32_t mode;
        uint64_t bytes;
    } ROWS[] = {
        {"relative directory", "tmp", ENGINE_WRITER, 1 << 20},
        {"empty directory", "", ENGINE_WRITER, 1 << 20},
        {"dots", "/tmp/../etc", ENGINE_WRITER, 1 << 20},
        {"dots at the end", "/tmp/..", ENGINE_WRITER, 1 << 20},
        {"mode", "/tmp", 3, 1 << 20},
        {"no quota", "/tmp", ENGINE_WRITER, 0},
        {"huge quota", "/tmp", ENGINE_WRITER, UINT64_MAX},
    };
    int fd, pidfd;
    (void)state;
    pid_t zygote = zygote_fixture_start(&fd);
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        struct engine_config cfg = engine_fixture_config(ROWS[i].dir, ENGINE_WRITER);
        cfg.mode = ROWS[i].mode;
        cfg.db_bytes_max = ROWS[i].bytes;
        struct zygote_answer a = zygote_ask(fd, &cfg, fd, fd, &pidfd);
        if (a.pid >= 0 || pidfd >= 0)
            fail_msg("%s was accepted", ROWS[i].what);
    }
    assert_int_equal(send(fd, "short", 5, 0), 5);
    assert_true(zygote_next(fd).pid < 0);
    assert_int_equal(zygote_fixture_stop(zygote, fd), 0);
}

/* The directory is not there: the exit status says that the sandbox could not be entered. */
void test_engine_zygote__tells_why_an_engine_did_not_start(void **state)
{
    int fd, pidfd, pair[2];
    (void)state;
    pid_t zygote = zygote_fixture_start(&fd);
    struct engine_config cfg = engine_fixture_config("/nonexistent/holdfast", ENGINE_WRITER);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    int memory = memfd_create("board", MFD_CLOEXEC);
    assert_int_equal(ftruncate(memory, BOARD_SIZE), 0);
    struct zygote_answer a = zygote_ask(fd, &cfg, pair[1], memory, &pidfd);
    assert_true(a.pid > 0);
    struct zygote_answer end = zygote_next(fd);
    assert_int_equal(end.pid, a.pid);
    assert_int_equal(WEXITSTATUS(end.wait_status), ENGINE_EXIT_SANDBOX);
    (void)close(pidfd);
    (void)close(memory);
    (void)close(pair[0]);
    (void)close(pair[1]);
    assert_int_equal(zygote_fixture_stop(zygote, fd), 0);
}
