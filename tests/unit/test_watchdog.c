/* The watchdog over a loop that hangs, over one that works, and over a process that is stopped for a while.
 */
#include "work/watchdog.h"
#include "lib/unit.h"
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

enum { BEAT_US = 40000, STOPPED_MS = 700, BOUND_S = 30 };

static void hang(void *arg)
{
    (void)arg;
    for (;;)
        (void)pause();
}

/* In a child process: the loop and its watchdog, until somebody stops the loop. */
static void serve(int64_t beat_us, void (*then)(void *), void *arg, struct loop **ret)
{
    static struct watchdog w;
    (void)alarm(BOUND_S); /* a watchdog that sleeps must not hang the tests */
    if (loop_new(ret, NULL) != ERR_OK)
        _exit(3);
    watchdog_start(&w, *ret, beat_us);
    loop_post(*ret, then, arg);
    loop_run(*ret);
    watchdog_stop(&w);
    loop_free(*ret);
}

static void hang_for_ever(void *arg)
{
    struct loop *l;
    (void)arg;
    serve(1000, hang, NULL, &l);
}

void test_watchdog__a_loop_that_stands_still_ends_the_process(void **state)
{
    (void)state;
    expect_panic(hang_for_ever, NULL, "the event loop stands still");
}

struct worker {
    struct loop *l;
    struct loop_timer t;
    int left, ready_fd;
};

/* Beats are far apart here, turns of the loop many. */
static void work(void *arg)
{
    struct worker *k = arg;
    if (k->left-- == 0)
        loop_stop(k->l);
    else
        loop_timer_set(&k->t, BEAT_US / 4);
}

static void begin(void *arg)
{
    struct worker *k = arg;
    loop_timer_init(&k->t, k->l, work, k);
    loop_timer_set(&k->t, 0);
    if (write(k->ready_fd, "r", 1) != 1)
        _exit(4);
}

static pid_t start_worker(struct worker *k)
{
    int fds[2];
    char c;
    assert_int_equal(pipe(fds), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        unit_forget_signals();
        k->ready_fd = fds[1];
        serve(BEAT_US, begin, k, &k->l);
        _exit(0);
    }
    assert_int_equal(read(fds[0], &c, 1), 1);
    (void)close(fds[0]);
    (void)close(fds[1]);
    return pid;
}

/* Longer than a stalled loop would live, on both sides of a stop that is as long: a laptop that slept, a
 * debugger, a frozen container. */
void test_watchdog__a_process_that_was_stopped_goes_on(void **state)
{
    struct worker k = {.left = 80};
    int status;
    (void)state;
    pid_t pid = start_worker(&k);
    assert_int_equal(kill(pid, SIGSTOP), 0);
    assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
    assert_true(WIFSTOPPED(status));
    (void)poll(NULL, 0, STOPPED_MS); /* the time that passes is what is tested */
    assert_int_equal(kill(pid, SIGCONT), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

void test_watchdog__one_that_never_started_stops(void **state)
{
    struct watchdog w = {.running = false};
    (void)state;
    watchdog_stop(&w);
    assert_false(w.running);
}
