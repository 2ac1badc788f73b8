/* A thread that counts the seconds in which the loop did not beat. It counts its own turns rather than
 * looking at a clock, so that a process that was stopped and continued is not taken for a stalled one. */
#include "base/check.h"
#include "base/log.h"
#include "serve.h"

#include <time.h>

#define BEAT_US       1000000
#define STALLED_BEATS 10

static void beat(void *arg)
{
    struct watchdog *w = arg;
    atomic_fetch_add(&w->beats, 1);
    loop_timer_set(&w->beat, BEAT_US);
}

static void *watch(void *arg)
{
    struct watchdog *w = arg;
    uint64_t seen = 0;
    unsigned missed = 0;
    while (!atomic_load(&w->stop)) {
        struct timespec tick = {0, (long)BEAT_US / 4 * 1000};
        (void)nanosleep(&tick, NULL); /* a signal only makes one turn shorter */
        uint64_t now = atomic_load(&w->beats);
        missed = now == seen ? missed + 1 : 0;
        seen = now;
        if (missed > STALLED_BEATS * 4) {
            log_event(LOG_ERROR, "loop_stalled", LOG_INT("seconds", STALLED_BEATS));
            UNREACHABLE("the event loop stands still");
        }
    }
    return NULL;
}

void watchdog_start(struct watchdog *w, struct loop *l)
{
    loop_timer_init(&w->beat, l, beat, w);
    loop_timer_set(&w->beat, 0);
    CHECK(pthread_create(&w->thread, NULL, watch, w) == 0);
    w->running = true;
}

void watchdog_stop(struct watchdog *w)
{
    if (!w->running)
        return;
    atomic_store(&w->stop, true);
    CHECK(pthread_join(w->thread, NULL) == 0);
    loop_timer_release(&w->beat);
    w->running = false;
}
