/* Faults in another process: a plan in shared memory, made before the fork, armed by the parent at the moment
 * it likes, obeyed by the child's system calls on files (faultio.c, SQLite's table of system calls) and by
 * its allocations.
 *
 *     struct faultplan *plan = faultplan_new();        // then fork, faultplan_enter(plan) in the child
 *     faultplan_arm(plan, FAULT_AT_SYNC, n, EIO, false);
 *     … let the child work …
 *     faultplan_off(plan);  plan->hits tells whether the nth call was reached
 *
 * The child's fsyncs do not reach the disk. Instead what was synced is copied to plan->durable, when that is
 * set: a directory as a power cut would leave it, in which nothing survives that was not synced. */
#ifndef TESTS_LIB_FAULTPLAN_H
#define TESTS_LIB_FAULTPLAN_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

enum fault_at {
    FAULT_AT_NONE,
    FAULT_AT_WRITE,
    FAULT_AT_SYNC,
    FAULT_AT_TRUNCATE,
    FAULT_AT_OPEN,
    FAULT_AT_READ,
    FAULT_AT_MMAP,
    FAULT_AT_SQLITE_MEM,
    FAULT_AT_MEM, /* our own allocations that may fail */
};

#define FAULT_SHORT 0    /* as error: writes half of it, which is no failure; other calls pass */
#define FAULT_DIE   (-1) /* as error: SIGKILL before the call */

struct faultplan {
    _Atomic bool armed;
    enum fault_at at;
    unsigned nth;
    int error;
    bool for_ever; /* every later call of the kind fails too */
    _Atomic unsigned seen, hits;
    _Atomic unsigned trespasses;      /* writes, syncs and truncations after a failed sync */
    _Atomic unsigned directory_syncs; /* that succeeded: a later one may fail without harm … */
    _Atomic bool harmless;            /* … and did */
    char durable[4096];
};

struct faultplan *faultplan_new(void);
void faultplan_free(struct faultplan *p);
void faultplan_arm(struct faultplan *p, enum fault_at at, unsigned nth, int error, bool for_ever);
void faultplan_off(struct faultplan *p);

/* In the child, before SQLite starts. */
void faultplan_enter(struct faultplan *p);

/* For the replaced calls. NULL: this process has no plan. */
struct faultplan *faultplan_mine(void);
/* True when this call must fail with *ret_error (or be short). Does not return from FAULT_DIE. */
bool faultplan_fails(enum fault_at at, int *ret_error);
bool faultplan_sync_fails(int fd, int *ret_error);
void faultplan_synced(int fd);

#endif
