/* A database's circuit breaker: a statement that kills its engine must not be able to keep the server busy
 * with starting engines.
 *
 *            third crash in a minute              time is over, first call
 *   CLOSED ────────────────────────────► OPEN ────────────────────────────► TRIAL
 *     ▲                                   ▲                                  │ │
 *     │                                   └────────────── crash ─────────────┘ │
 *     └───────────────────────── the trial call was answered ──────────────────┘
 *
 * What counts is a crash of the process and a kill for breaking the protocol. A kill at a deadline does not:
 * it cannot happen more often than deadlines pass, a new engine costs a millisecond, and a tenant whose
 * queries are merely slow should get 504 for those and answers for the others. Times come from the caller
 * (clock_mono_us). */
#ifndef SUPERVISE_BREAKER_H
#define SUPERVISE_BREAKER_H

#include "base/attr.h"

#define BREAKER_WINDOW_US   60000000
#define BREAKER_CRASHES_MAX 8 /* room for LIMIT_BREAKER_CRASHES */

enum breaker_state { BREAKER_CLOSED, BREAKER_OPEN, BREAKER_TRIAL };

struct breaker {
    enum breaker_state state;
    int64_t open_until_us;
    int64_t crash_us[BREAKER_CRASHES_MAX]; /* ring of the latest crashes, 0 none */
    unsigned next;
};

/* May one more call come in? *ret_trial: it is the trial, so its end must be told. On refusal *ret_retry_s
 * >= 1. */
MUST_CHECK bool breaker_admit(struct breaker *b, int64_t now_us, bool *ret_trial, int *ret_retry_s);
bool breaker_crashed(struct breaker *b, int64_t now_us); /* true: this one opened it */
bool breaker_answered(struct breaker *b);                /* the trial was answered; true: this closed it */
void breaker_trial_dropped(struct breaker *b); /* the trial ended without a verdict: the next call is one */
/* Nothing is left to remember: a new breaker would behave the same. */
bool breaker_forgettable(const struct breaker *b, int64_t now_us);

#endif
