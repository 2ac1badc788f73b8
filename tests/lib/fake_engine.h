/* An engine without a database, for tests of the supervisor: a process that does what the body of a call
 * tells it, and the starter that forks it. Calls of one write are one batch: their answers leave together at
 * its end, as a group commit's do.
 *
 *  - echo TEXT      answers TEXT
 *  - pid            answers its pid
 *  - crash          dies by SIGKILL while the call runs
 *  - commit_crash   dies in the middle of the commit
 *  - exit N         ends with that status while the call runs
 *  - break_off      answers half and leaves
 *  - hang           never ends
 *  - until_cancel   ends with 503 once cancelled
 *  - corrupt        answers with ERR_CORRUPT
 *  - bounce         a writer bounces it, a reader answers "reader PID"
 *  - waiting N      answers once board.waiting is N
 *  - chunks N SIZE  answers N pieces of SIZE bytes
 *  - orphan_commit  answers after 1.5 s in phase COMMITTING
 *  - garbage        writes bytes that are no frame
 *  - wrong_id       answers a call that nobody made
 *  - twice          begins its answer twice
 *
 * A database called "exit_N" ends with that status before it is open, "crash_open" dies then. */
#ifndef TESTS_LIB_FAKE_ENGINE_H
#define TESTS_LIB_FAKE_ENGINE_H

#include "supervise/starter.h"

struct fake_starter {
    struct engine_starter base;
    struct loop *loop;
    struct supervisor *s;
    struct list children;
    unsigned started, living;
    int refuse; /* > 0: so many starts fail with EAGAIN */
    bool down;
};

/* The starter made last by fake_starter_make(), for the test that called supervise_new_with(). */
extern struct fake_starter *fake_starter;
struct engine_starter *fake_starter_make(struct loop *l, struct supervisor *s);
void fake_starter_die(
    struct fake_starter *st); /* as a zygote that dies: engines live on, their ends are not told */
void fake_starter_back(struct fake_starter *st);

#endif
