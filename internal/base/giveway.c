/* See giveway.h: a timer whose signal goes to the thread itself. */
#define _GNU_SOURCE /* SIGEV_THREAD_ID, gettid */
#include "base/giveway.h"

#include "base/check.h"
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <unistd.h>

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid /* the C library names it since its version 2.38 */
#endif

#define NS_PER_US 1000L

/* On Linux a bare system call, so it may be made here. */
static void on_time(int sig)
{
    int kept = errno;

    (void)sig;
    (void)sched_yield(); /* cannot fail */
    errno = kept;
}

void giveway_begin(struct giveway *g)
{
    struct sigaction action = {.sa_handler = on_time, .sa_flags = SA_RESTART};
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGRTMIN};
    const struct timespec each = {.tv_nsec = GIVEWAY_US * NS_PER_US};
    const struct itimerspec when = {.it_interval = each, .it_value = each};

    event.sigev_notify_thread_id = gettid();
    CHECK(sigaction(SIGRTMIN, &action, NULL) == 0); /* stays: a last signal may come after the end */
    g->on = timer_create(CLOCK_MONOTONIC, &event, &g->timer) == 0;
    if (g->on)
        CHECK(timer_settime(g->timer, 0, &when, NULL) == 0);
}

void giveway_end(struct giveway *g)
{
    if (g->on)
        CHECK(timer_delete(g->timer) == 0);
    g->on = false;
}
