/* Worker threads over two lanes. A worker takes the older of the two heads; the write lane gives out one job
 * at a time. */
#define _DEFAULT_SOURCE /* setpriority, which is of the thread on Linux */
#include "work/workq.h"
#include "base/check.h"
#include "base/mem.h"
#include <pthread.h>
#include <sys/resource.h>

#define WORKQ_STACK (2u << 20) /* argon2 and SQLite on control.db need little; sanitizers need some more */

struct workq {
    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t wake;
    struct list lanes[2];
    uint64_t next_seq;
    unsigned waiting, waiting_max;
    unsigned threads, started;
    int nice;
    bool writer_busy, closed;
    unsigned open; /* taken, done() not posted yet */
    pthread_t tids[];
};

struct worker_arg {
    struct workq *q;
    unsigned index;
};

static struct workq_job *lane_head(struct workq *q, enum workq_lane lane)
{
    bool held = lane == WORKQ_WRITE && q->writer_busy;
    return held || list_empty(&q->lanes[lane]) ? NULL : LIST_FIRST(&q->lanes[lane], struct workq_job, node);
}

/* Holding the lock: the next job that may run, unlinked; NULL none. */
static struct workq_job *job_take(struct workq *q)
{
    struct workq_job *r = lane_head(q, WORKQ_READ), *w = lane_head(q, WORKQ_WRITE);
    struct workq_job *job = r && (!w || r->seq < w->seq) ? r : w;
    if (!job)
        return NULL;
    list_remove(&job->node);
    q->waiting--;
    if (job->lane == WORKQ_WRITE)
        q->writer_busy = true;
    return job;
}

static void job_done(void *arg)
{
    struct workq_job *job = arg;
    job->done(job);
}

/* Holding the lock before and after. */
static void job_run(struct workq *q, struct workq_job *job, unsigned worker)
{
    bool write = job->lane == WORKQ_WRITE;
    pthread_mutex_unlock(&q->lock);
    job->run(job, worker);
    loop_post(job->loop, job_done, job); /* the job is the loop's from here on */
    pthread_mutex_lock(&q->lock);
    q->open--;
    if (!write)
        return;
    q->writer_busy = false;
    if (!list_empty(&q->lanes[WORKQ_WRITE]))
        pthread_cond_signal(&q->wake);
}

static void *worker_main(void *p)
{
    struct worker_arg arg = *(struct worker_arg *)p;
    struct workq *q = arg.q;
    struct workq_job *job;
    mem_free(p);
    if (q->nice)
        (void)setpriority(PRIO_PROCESS, 0, q->nice); /* being nicer cannot be refused */
    pthread_mutex_lock(&q->lock);
    for (;;) {
        if ((job = job_take(q)))
            job_run(q, job, arg.index);
        else if (q->closed && q->waiting == 0)
            break;
        else
            pthread_cond_wait(&q->wake, &q->lock);
    }
    pthread_cond_broadcast(&q->wake); /* another may wait for the last write job that we ran */
    pthread_mutex_unlock(&q->lock);
    return NULL;
}

static bool worker_start(struct workq *q, unsigned index)
{
    struct worker_arg *arg = MEM_NEW(struct worker_arg);
    pthread_attr_t attr;
    arg->q = q;
    arg->index = index;
    CHECK(pthread_attr_init(&attr) == 0);
    CHECK(pthread_attr_setstacksize(&attr, WORKQ_STACK) == 0);
    bool ok = pthread_create(&q->tids[index], &attr, worker_main, arg) == 0;
    pthread_attr_destroy(&attr);
    if (!ok)
        mem_free(arg);
    return ok;
}

enum err_code workq_new(const struct workq_options *opt, struct workq **ret, struct err *err)
{
    struct workq *q = mem_alloc(sizeof *q + opt->threads * sizeof q->tids[0]);
    CHECK(pthread_mutex_init(&q->lock, NULL) == 0);
    CHECK(pthread_cond_init(&q->wake, NULL) == 0);
    list_init(&q->lanes[WORKQ_READ]);
    list_init(&q->lanes[WORKQ_WRITE]);
    q->threads = opt->threads;
    q->waiting_max = opt->queue_max;
    q->nice = opt->nice;
    for (; q->started < q->threads; q->started++) {
        if (!worker_start(q, q->started)) {
            workq_free(q);
            return err_set(err, ERR_INTERNAL, "worker threads could not be started");
        }
    }
    *ret = q;
    return ERR_OK;
}

static enum err_code job_queue(struct workq *q, struct loop *l, enum workq_lane lane, struct workq_job *job)
{
    if (q->closed || q->waiting >= q->waiting_max)
        return ERR_BUSY;
    job->loop = l;
    job->lane = lane;
    job->seq = q->next_seq++;
    list_push_back(&q->lanes[lane], &job->node);
    q->waiting++;
    q->open++;
    pthread_cond_signal(&q->wake);
    return ERR_OK;
}

enum err_code workq_submit(
    struct workq *q, struct loop *l, enum workq_lane lane, struct workq_job *job, struct err *err)
{
    if (q->threads == 0 && !q->closed) {
        job->run(job, 0);
        job->done(job);
        return ERR_OK;
    }
    pthread_mutex_lock(&q->lock);
    enum err_code code = job_queue(q, l, lane, job);
    pthread_mutex_unlock(&q->lock);
    return code ? err_retry(err, code, 1, "the server is busy; try again in a moment") : ERR_OK;
}

unsigned workq_depth(struct workq *q)
{
    pthread_mutex_lock(&q->lock);
    unsigned open = q->open;
    pthread_mutex_unlock(&q->lock);
    return open;
}

void workq_close(struct workq *q)
{
    pthread_mutex_lock(&q->lock);
    q->closed = true;
    pthread_cond_broadcast(&q->wake);
    pthread_mutex_unlock(&q->lock);
}

void workq_free(struct workq *q)
{
    if (!q)
        return;
    workq_close(q);
    for (unsigned i = 0; i < q->started; i++)
        CHECK(pthread_join(q->tids[i], NULL) == 0);
    CHECK(list_empty(&q->lanes[WORKQ_READ]) && list_empty(&q->lanes[WORKQ_WRITE]));
    pthread_cond_destroy(&q->wake);
    pthread_mutex_destroy(&q->lock);
    mem_free(q);
}
