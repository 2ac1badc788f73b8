/* Makes one thing fail, then the next one, until none is left:
 *
 *     for (fault_start(FAULT_SQLITE_MEM); fault_next();) {
 *         enum err_code code = token_create(…);
 *         fault_off();
 *         expect_all_or_nothing(code, …);
 *     }
 *     assert_in_range(fault_points(), 1, 500); // the loop really injected something
 *
 * In each round a later call of that kind after fault_next() fails: one by one at first, then further and
 * further apart at random, because the hundredth allocation of a parser is much like the next; with
 * FAULTS=all in the environment every one. The loop ends after the first round in which nothing was left to
 * fail. fault_off() lets everything pass, for looking at the outcome. Open connections after the first
 * fault_start(). One thread. */
#ifndef TESTS_LIB_FAULT_H
#define TESTS_LIB_FAULT_H

#include "base/attr.h"

#include <stdint.h>

/* Which call fails after the `at`-th, counted from 1. For loops over faults of other kinds too. */
unsigned fault_step(unsigned at);
bool fault_all(void); /* FAULTS=all was asked for */
/* What the distances are drawn from. */
void fault_seed(uint64_t seed);

enum fault_kind {
    FAULT_SQLITE_MEM,   /* SQLite's allocations */
    FAULT_SQLITE_WRITE, /* its writes to files: no space left */
    FAULT_SQLITE_SYNC,  /* its fsyncs: input/output error */
};

void fault_start(enum fault_kind kind);
bool fault_next(void);
void fault_off(void);
void fault_rearm(void);      /* after fault_off(): preparation of this round is over, count from here */
unsigned fault_points(void); /* rounds in which something failed */
bool fault_fired(void);      /* in this round */

#endif
