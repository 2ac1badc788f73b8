/* Aborts the process, so that whatever supervises it starts it anew, when a loop stands still for ten beats.
 * Start and stop on the loop's thread. */
#ifndef WORK_WATCHDOG_H
#define WORK_WATCHDOG_H

#include "work/loop.h"

#include <pthread.h>
#include <stdatomic.h>

#define WATCHDOG_BEAT_US 1000000 /* ten seconds without a turn are no work, but a hang */

struct watchdog {
    pthread_t thread;
    bool running;
    int64_t beat_us;
    struct loop_timer beat;
    _Atomic uint64_t beats;
    _Atomic bool stop;
};

/* `w` is zeroed. */
void watchdog_start(struct watchdog *w, struct loop *l, int64_t beat_us);
void watchdog_stop(struct watchdog *w); /* fine when it was never started */

#endif
