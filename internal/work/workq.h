/* Worker threads for what blocks: control-database transactions, files, and in a queue of its own password
 * hashing. Bounded: when the queue is full, workq_submit refuses and the caller answers 503. A job owns all
 * its memory and is seen by one thread at a time: run() on a worker, then done() on the loop that submitted
 * it, always, also at shutdown. run() cannot fail: its errors live in the job. WORKQ_WRITE jobs run one at a
 * time in order (they write control.db); WORKQ_READ jobs run in parallel. */
#ifndef WORK_WORKQ_H
#define WORK_WORKQ_H

#include "base/err.h"
#include "base/list.h"
#include "work/loop.h"

struct workq;

enum workq_lane { WORKQ_READ, WORKQ_WRITE };

struct workq_job {
    /* private */
    struct list node;
    struct loop *loop;
    enum workq_lane lane;
    uint64_t seq;
    /* in */
    void (*run)(struct workq_job *job,
        unsigned worker); /* `worker` < thread count: index of per-worker connections */
    void (*done)(struct workq_job *job);
};

struct workq_options {
    unsigned
        threads; /* 0: run inline inside workq_submit, for tests; run() and done() happen before it returns */
    unsigned queue_max;
    int nice; /* of its threads: 0 as the others, up to 19 for work that must not hold them up */
};

MUST_CHECK enum err_code workq_new(const struct workq_options *opt, struct workq **ret, struct err *err);
/* Loop thread. ERR_BUSY with retry_after_s when the queue is full; the job is then untouched. */
MUST_CHECK enum err_code workq_submit(
    struct workq *q, struct loop *l, enum workq_lane lane, struct workq_job *job, struct err *err);
/* Jobs waiting and running. At 0 every done() was called or is posted to its loop. Any thread. */
unsigned workq_depth(struct workq *q);
/* Refuses new jobs; what was taken is finished. Does not wait: the depth tells when all is over. */
void workq_close(struct workq *q);
/* Closes and joins the threads: blocks until every job has run, so no job may be waiting for this loop any
 * more. done() calls that are still due run when the loop runs next, or in loop_free(); they do not touch the
 * queue. */
void workq_free(struct workq *q);

#endif
