/* The job queue: every job comes back on its loop, writes keep their order, a full queue refuses. */
#define _DEFAULT_SOURCE /* getpriority, which is of the thread on Linux */
#include "work/workq.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/resource.h>

enum { THREADS = 4, JOBS = 10000 };

struct tally {
    struct loop *l;
    struct workq *q;
    _Atomic int in_writer, overlaps;
    int writes_run; /* written by the one writer at a time */
    int done;
};

struct job {
    struct workq_job job;
    struct tally *t;
    int write_number; /* -1: a read */
    int ran;
};

static struct job jobs[JOBS];

static struct workq *new_queue(unsigned threads, unsigned max)
{
    struct workq *q;
    struct err err;
    assert_int_equal(
        workq_new(&(struct workq_options){.threads = threads, .queue_max = max}, &q, &err), ERR_OK);
    return q;
}

static struct loop *new_loop(void)
{
    struct loop *l;
    struct err err;
    assert_int_equal(loop_new(&l, &err), ERR_OK);
    return l;
}

static void run(struct workq_job *base, unsigned worker)
{
    struct job *j = CONTAINER_OF(base, struct job, job);
    j->ran++;
    assert_in_range(worker, 0, THREADS - 1);
    if (j->write_number < 0)
        return;
    if (atomic_fetch_add(&j->t->in_writer, 1) != 0 || j->write_number != j->t->writes_run)
        atomic_fetch_add(&j->t->overlaps, 1);
    j->t->writes_run++;
    atomic_fetch_sub(&j->t->in_writer, 1);
}

static void done(struct workq_job *base)
{
    struct job *j = CONTAINER_OF(base, struct job, job);
    assert_true(loop_is_current(j->t->l));
    if (++j->t->done == JOBS)
        loop_stop(j->t->l);
}

static void submit_all(void *arg)
{
    struct tally *t = arg;
    int writes = 0;
    for (int i = 0; i < JOBS; i++) {
        bool write = i % 3 == 0;
        jobs[i] =
            (struct job){.job = {.run = run, .done = done}, .t = t, .write_number = write ? writes++ : -1};
        assert_int_equal(
            workq_submit(t->q, t->l, write ? WORKQ_WRITE : WORKQ_READ, &jobs[i].job, NULL), ERR_OK);
    }
}

void test_workq__ten_thousand_jobs_come_back_and_writes_keep_their_order(void **state)
{
    struct tally t = {.l = new_loop(), .q = new_queue(THREADS, JOBS)};
    (void)state;
    loop_post(t.l, submit_all, &t);
    loop_run(t.l);
    assert_int_equal(t.done, JOBS);
    assert_int_equal(t.overlaps, 0);
    assert_int_equal(t.writes_run, (JOBS + 2) / 3);
    while (workq_depth(t.q) > 0) /* done() may run before the worker has counted its last job out */
        sched_yield();
    for (int i = 0; i < JOBS; i++)
        assert_int_equal(jobs[i].ran, 1);
    workq_free(t.q);
    loop_free(t.l);
}

/* --- a job that waits until it is let go --- */

struct gate {
    struct workq_job job;
    struct loop *l;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool running, open, done;
};

static void gate_run(struct workq_job *base, unsigned worker)
{
    struct gate *g = CONTAINER_OF(base, struct gate, job);
    (void)worker;
    pthread_mutex_lock(&g->lock);
    g->running = true;
    pthread_cond_broadcast(&g->changed);
    while (!g->open)
        pthread_cond_wait(&g->changed, &g->lock);
    pthread_mutex_unlock(&g->lock);
}

static void gate_done(struct workq_job *base)
{
    CONTAINER_OF(base, struct gate, job)->done = true;
}

static void gate_wait_running(struct gate *g)
{
    pthread_mutex_lock(&g->lock);
    while (!g->running)
        pthread_cond_wait(&g->changed, &g->lock);
    pthread_mutex_unlock(&g->lock);
}

static void gate_open(struct gate *g)
{
    pthread_mutex_lock(&g->lock);
    g->open = true;
    pthread_cond_broadcast(&g->changed);
    pthread_mutex_unlock(&g->lock);
}

#define GATE                                                                                                 \
    {                                                                                                        \
        .job = {.run = gate_run, .done = gate_done}, .lock = PTHREAD_MUTEX_INITIALIZER,                      \
        .changed = PTHREAD_COND_INITIALIZER                                                                  \
    }

void test_workq__a_full_queue_refuses_and_leaves_the_job_alone(void **state)
{
    struct loop *l = new_loop();
    struct workq *q = new_queue(1, 2);
    struct gate gates[4] = {GATE, GATE, GATE, GATE};
    struct err err = ERR_INIT;
    (void)state;
    assert_int_equal(workq_submit(q, l, WORKQ_READ, &gates[0].job, &err), ERR_OK);
    gate_wait_running(&gates[0]);
    for (int i = 1; i < 3; i++)
        assert_int_equal(workq_submit(q, l, WORKQ_READ, &gates[i].job, &err), ERR_OK);
    assert_int_equal(workq_depth(q), 3);
    assert_int_equal(workq_submit(q, l, WORKQ_READ, &gates[3].job, &err), ERR_BUSY);
    assert_int_equal(err.code, ERR_BUSY);
    assert_true(err.retry_after_s > 0);
    for (int i = 0; i < 3; i++)
        gate_open(&gates[i]);
    workq_free(q);
    loop_free(l);
    assert_true(gates[0].done && gates[1].done && gates[2].done);
    assert_false(gates[3].running || gates[3].done);
}

void test_workq__a_busy_writer_does_not_hold_up_readers(void **state)
{
    struct loop *l = new_loop();
    struct workq *q = new_queue(2, 8);
    struct gate first = GATE, second = GATE, read = GATE;
    (void)state;
    assert_int_equal(workq_submit(q, l, WORKQ_WRITE, &first.job, NULL), ERR_OK);
    gate_wait_running(&first);
    assert_int_equal(workq_submit(q, l, WORKQ_WRITE, &second.job, NULL), ERR_OK);
    assert_int_equal(workq_submit(q, l, WORKQ_READ, &read.job, NULL), ERR_OK);
    gate_wait_running(&read); /* would hang if it stood behind the second write */
    pthread_mutex_lock(&second.lock);
    assert_false(second.running);
    pthread_mutex_unlock(&second.lock);
    gate_open(&read);
    gate_open(&first);
    gate_wait_running(&second);
    gate_open(&second);
    workq_free(q);
    loop_free(l);
    assert_true(first.done && second.done && read.done);
}

void test_workq__a_closed_queue_finishes_what_it_took(void **state)
{
    struct loop *l = new_loop();
    struct workq *q = new_queue(1, 8);
    struct gate taken[3] = {GATE, GATE, GATE}, late = GATE;
    (void)state;
    for (int i = 0; i < 3; i++)
        assert_int_equal(workq_submit(q, l, i % 2 ? WORKQ_WRITE : WORKQ_READ, &taken[i].job, NULL), ERR_OK);
    workq_close(q);
    assert_int_equal(workq_submit(q, l, WORKQ_READ, &late.job, NULL), ERR_BUSY);
    for (int i = 0; i < 3; i++)
        gate_open(&taken[i]);
    workq_free(q);
    loop_free(l);
    for (int i = 0; i < 3; i++)
        assert_true(taken[i].done);
    assert_false(late.running);
}

static void inline_run(struct workq_job *base, unsigned worker)
{
    assert_int_equal(worker, 0);
    CONTAINER_OF(base, struct gate, job)->running = true;
}

void test_workq__inline_mode_runs_before_it_returns(void **state)
{
    struct workq *q = new_queue(0, 0);
    struct gate job = {.job = {.run = inline_run, .done = gate_done}}, late = job;
    (void)state;
    assert_int_equal(workq_submit(q, NULL, WORKQ_WRITE, &job.job, NULL), ERR_OK);
    assert_true(job.running && job.done);
    assert_int_equal(workq_depth(q), 0);
    workq_close(q);
    assert_int_equal(workq_submit(q, NULL, WORKQ_WRITE, &late.job, NULL), ERR_BUSY);
    assert_false(late.running);
    workq_free(q);
}

struct nice_job {
    struct workq_job job;
    struct loop *l;
    int seen;
};

static void nice_run(struct workq_job *base, unsigned worker)
{
    (void)worker;
    CONTAINER_OF(base, struct nice_job, job)->seen = getpriority(PRIO_PROCESS, 0);
}

static void nice_done(struct workq_job *base)
{
    loop_stop(CONTAINER_OF(base, struct nice_job, job)->l);
}

void test_workq__nice_threads_leave_the_others_as_they_are(void **state)
{
    struct err err = ERR_INIT;
    struct workq *q;
    struct nice_job j = {.job = {.run = nice_run, .done = nice_done}, .seen = -1};
    int before = getpriority(PRIO_PROCESS, 0), want = before < 10 ? 10 : before;
    (void)state;
    assert_int_equal(loop_new(&j.l, &err), ERR_OK);
    assert_int_equal(
        workq_new(&(struct workq_options){.threads = 1, .queue_max = 1, .nice = want}, &q, &err), ERR_OK);
    assert_int_equal(workq_submit(q, j.l, WORKQ_READ, &j.job, &err), ERR_OK);
    loop_run(j.l);
    assert_int_equal(j.seen, want);
    assert_int_equal(getpriority(PRIO_PROCESS, 0), before);
    workq_free(q);
    loop_free(j.l);
}
