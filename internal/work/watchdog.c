/* A thread that counts the beats that the loop missed. It counts its own turns rather than looking at a
 * clock, so that a process that was stopped and continued is not taken for a stalled one. */
#include "work/watchdog.h"
#include "base/check.h"
#include "base/log.h"

#include <time.h>

enum { STALLED_BEATS = 10, TURNS_A_BEAT = 4 };

static void beat(void *arg)
{
    struct watchdog *w = arg;
    atomic_fetch_add(&w->beats, 1);
    loop_timer_set(&w->beat, w->beat_us);
}

static void *watch(void *arg)
{
    struct watchdog *w = arg;
    int64_t turn_us = w->beat_us / TURNS_A_BEAT;
    const struct timespec turn = {(time_t)(turn_us / 1000000), (long)(turn_us % 1000000) * 1000};
    uint64_t seen = 0;
    unsigned missed = 0;
    while (!atomic_load(&w->stop)) {
        (void)nanosleep(&turn, NULL); /* a signal only makes one turn shorter */
        uint64_t now = atomic_load(&w->beats);
        missed = now == seen ? missed + 1 : 0;
        seen = now;
        if (missed > STALLED_BEATS * TURNS_A_BEAT) {
            log_event(
                LOG_ERROR, "loop_stalled", LOG_INT("beats", STALLED_BEATS), LOG_INT("beat_us", w->beat_us));
            UNREACHABLE("the event loop stands still");
        }
    }
    return NULL;
}

void watchdog_start(struct watchdog *w, struct loop *l, int64_t beat_us)
{
    CHECK(!w->running && beat_us >= TURNS_A_BEAT);
    w->beat_us = beat_us;
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
