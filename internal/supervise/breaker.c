/* The circuit breaker's three states. */
#include "supervise/breaker.h"
#include "base/check.h"
#include "base/limits.h"

static void breaker_open(struct breaker *b, int64_t now_us)
{
    b->state = BREAKER_OPEN;
    b->open_until_us = now_us + LIMIT_BREAKER_OPEN_MS * 1000;
}

bool breaker_admit(struct breaker *b, int64_t now_us, bool *ret_trial, int *ret_retry_s)
{
    *ret_trial = false;
    *ret_retry_s = 1;
    switch (b->state) {
    case BREAKER_CLOSED: return true;
    case BREAKER_TRIAL: return false; /* its verdict is near */
    case BREAKER_OPEN: break;
    }
    if (now_us < b->open_until_us) {
        *ret_retry_s = (int)((b->open_until_us - now_us + 999999) / 1000000);
        return false;
    }
    b->state = BREAKER_TRIAL;
    *ret_trial = true;
    return true;
}

static unsigned recent_crashes(const struct breaker *b, int64_t now_us)
{
    unsigned n = 0;
    for (int i = 0; i < BREAKER_CRASHES_MAX; i++)
        n += b->crash_us[i] != 0 && now_us - b->crash_us[i] < BREAKER_WINDOW_US;
    return n;
}

bool breaker_crashed(struct breaker *b, int64_t now_us)
{
    CHECK(LIMIT_BREAKER_CRASHES <= BREAKER_CRASHES_MAX);
    b->crash_us[b->next] = now_us;
    b->next = (b->next + 1) % BREAKER_CRASHES_MAX;
    if (b->state == BREAKER_OPEN)
        return false;
    if (b->state == BREAKER_CLOSED && recent_crashes(b, now_us) < LIMIT_BREAKER_CRASHES)
        return false;
    breaker_open(b, now_us);
    return true;
}

bool breaker_answered(struct breaker *b)
{
    if (b->state != BREAKER_TRIAL)
        return false;
    *b = (struct breaker){.state = BREAKER_CLOSED};
    return true;
}

void breaker_trial_dropped(struct breaker *b)
{
    if (b->state == BREAKER_TRIAL)
        b->state = BREAKER_OPEN; /* its time is over already, so the next call is the trial */
}

bool breaker_forgettable(const struct breaker *b, int64_t now_us)
{
    if (b->state == BREAKER_TRIAL)
        return false;
    if (b->state == BREAKER_OPEN)
        return now_us - b->open_until_us >= BREAKER_WINDOW_US;
    return recent_crashes(b, now_us) == 0;
}
