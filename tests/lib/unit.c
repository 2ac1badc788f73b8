/* Comparisons for unit tests. */
#include "lib/unit.h"
#include "base/fs.h"
#include <stdlib.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

void unit_expect_str(struct str got, const char *want, const char *file, int line)
{
    if (!got.ptr)
        got = S("(none)");
    if (!str_eq(got, str_of(want)))
        print_error("got  \"" STR_FMT "\"\nwant \"%s\"\n", STR_ARG(got), want);
    _assert_true(str_eq(got, str_of(want)), "got equals want", file, line);
}

void unit_forget_signals(void)
{
    static const int CAUGHT_BY_CMOCKA[] = {SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGSYS};
    for (size_t i = 0; i < sizeof CAUGHT_BY_CMOCKA / sizeof CAUGHT_BY_CMOCKA[0]; i++)
        (void)signal(CAUGHT_BY_CMOCKA[i], SIG_DFL);
}

static void run_child(void (*fn)(void *), void *arg, int stderr_fd)
{
    (void)setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    unit_forget_signals();
    if (dup2(stderr_fd, STDERR_FILENO) < 0)
        _exit(2);
    fn(arg);
    _exit(0);
}

/* The panic line may not be the first one. */
static size_t read_to_end(int fd, char *out, size_t room)
{
    size_t len = 0;
    ssize_t n;

    while (len < room && (n = read(fd, out + len, room - len)) > 0)
        len += (size_t)n;
    return len;
}

void expect_panic(void (*fn)(void *arg), void *arg, const char *expr)
{
    char text[1024];
    int fds[2], status;
    assert_int_equal(pipe(fds), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        run_child(fn, arg, fds[1]);
    assert_int_equal(close(fds[1]), 0);
    size_t len = read_to_end(fds[0], text, sizeof text - 1);
    assert_int_equal(close(fds[0]), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    text[len] = '\0';
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGABRT || !strstr(text, "panic: ") ||
        !strstr(text, expr))
        fail_msg("no panic with \"%s\": status %d, standard error \"%s\"", expr, status, text);
}
