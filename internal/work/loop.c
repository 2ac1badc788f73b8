/* The event loop over libevent. See loop.h for who may call what. */
#include "work/loop.h"
#include "base/check.h"
#include "base/mem.h"
#include <errno.h>
#include <event2/event.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct loop {
    struct event_base *base;
    _Atomic pthread_t owner;
    struct event *wake_ev;
    int wake_fd;
    pthread_mutex_t lock; /* guards posts */
    struct list posts;
    atomic_uint
        posting; /* threads inside loop_post: what they post may run, and end the loop, before they return */
    struct list signals;
    bool stopping; /* so that a second stop does not end the next run */
};

struct post {
    struct list node;
    void (*fn)(void *arg);
    void *arg;
};

struct loop_signal {
    struct list node;
    struct event *ev;
    void (*fn)(void *arg);
    void *arg;
};

static struct event *event_need(struct loop *l, int fd, short what, event_callback_fn fn, void *arg)
{
    struct event *ev = event_new(l->base, fd, what, fn, arg);
    CHECK(ev); /* out of memory, or a misuse of ours */
    return ev;
}

/* Runs what was posted until now; what these post is for the next wake-up. */
static bool posts_run(struct loop *l)
{
    struct list taken;
    list_init(&taken);
    pthread_mutex_lock(&l->lock);
    if (!list_empty(&l->posts)) {
        list_insert_before(l->posts.next, &taken); /* taken becomes the head of the whole chain */
        list_remove(&l->posts);
    }
    pthread_mutex_unlock(&l->lock);
    bool any = !list_empty(&taken);
    while (!list_empty(&taken)) {
        struct post *p = LIST_FIRST(&taken, struct post, node);
        list_remove(&p->node);
        p->fn(p->arg);
        mem_free(p);
    }
    return any;
}

static void on_wake(evutil_socket_t fd, short what, void *arg)
{
    uint64_t count;
    (void)what;
    /* The counter is cleared before the queue is taken, so that a post in between wakes us again. */
    CHECK(read(fd, &count, sizeof count) == sizeof count || errno == EAGAIN);
    posts_run(arg);
}

static struct event_base *base_new(void)
{
    struct event_config *config = event_config_new();
    struct event_base *base = NULL;
    if (config &&
        event_config_set_flag(config, EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST | EVENT_BASE_FLAG_NOLOCK) == 0)
        base = event_base_new_with_config(config);
    if (config)
        event_config_free(config);
    return base;
}

enum err_code loop_new(struct loop **ret, struct err *err)
{
    struct event_base *base = base_new();
    if (!base)
        return err_set(err, ERR_INTERNAL, "the event loop could not be created");
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (fd < 0) {
        event_base_free(base);
        return err_errno(err, ERR_INTERNAL, "creating an eventfd");
    }
    struct loop *l = MEM_NEW(struct loop);
    l->base = base;
    l->wake_fd = fd;
    atomic_store(&l->owner, pthread_self());
    CHECK(pthread_mutex_init(&l->lock, NULL) == 0);
    list_init(&l->posts);
    list_init(&l->signals);
    l->wake_ev = event_need(l, fd, EV_READ | EV_PERSIST, on_wake, l);
    CHECK(event_add(l->wake_ev, NULL) == 0);
    *ret = l;
    return ERR_OK;
}

void loop_free(struct loop *l)
{
    struct list *it, *nx;
    if (!l)
        return;
    while (posts_run(l)) {
    }
    while (atomic_load(&l->posting))
        sched_yield(); /* for moments */
    LIST_EACH(it, nx, &l->signals)
    {
        struct loop_signal *s = LIST_ITEM(it, struct loop_signal, node);
        event_free(s->ev);
        mem_free(s);
    }
    event_free(l->wake_ev);
    close(l->wake_fd);
    event_base_free(l->base);
    pthread_mutex_destroy(&l->lock);
    mem_free(l);
}

void loop_run(struct loop *l)
{
    atomic_store(&l->owner, pthread_self());
    l->stopping = false;
    CHECK(event_base_loop(l->base, EVLOOP_NO_EXIT_ON_EMPTY) >= 0);
    while (posts_run(l)) {
    }
}

static void stop_now(void *arg)
{
    struct loop *l = arg;
    if (l->stopping)
        return;
    l->stopping = true;
    CHECK(event_base_loopexit(l->base, NULL) == 0);
}

void loop_stop(struct loop *l)
{
    loop_post(l, stop_now, l);
}

bool loop_is_current(const struct loop *l)
{
    return pthread_equal(atomic_load(&l->owner), pthread_self());
}

struct event_base *loop_base(struct loop *l)
{
    return l->base;
}

void loop_post(struct loop *l, void (*fn)(void *arg), void *arg)
{
    struct post *p = MEM_NEW(struct post);
    uint64_t one = 1;
    p->fn = fn;
    p->arg = arg;
    atomic_fetch_add(&l->posting, 1);
    pthread_mutex_lock(&l->lock);
    bool was_empty = list_empty(&l->posts);
    list_push_back(&l->posts, &p->node);
    pthread_mutex_unlock(&l->lock);
    /* Not inside the lock: the loop wakes at once and would wait for it, and who posts may be a thread that
     * gets no processor while others want it. */
    if (was_empty)
        CHECK(write(l->wake_fd, &one, sizeof one) == sizeof one);
    atomic_fetch_sub(&l->posting, 1);
}

static void on_turn(evutil_socket_t fd, short what, void *arg)
{
    struct loop_turn *t = arg;
    (void)fd;
    (void)what;
    t->pending = false;
    t->fn(t->arg);
}

void loop_turn_init(struct loop_turn *t, struct loop *l, void (*fn)(void *arg), void *arg)
{
    *t = (struct loop_turn){.fn = fn, .arg = arg};
    t->ev = event_need(l, -1, 0, on_turn, t);
}

/* An event made active goes to the tail of libevent's active queue, behind everything that this round of
 * epoll found. */
void loop_turn_ask(struct loop_turn *t)
{
    if (t->pending)
        return;
    t->pending = true;
    event_active(t->ev, EV_TIMEOUT, 0);
}

void loop_turn_release(struct loop_turn *t)
{
    if (t->ev)
        event_free(t->ev);
    t->ev = NULL;
    t->pending = false;
}

static void on_read(evutil_socket_t fd, short what, void *arg)
{
    struct loop_io *io = arg;
    (void)fd;
    (void)what;
    io->fn(io->arg, LOOP_READ);
}

static void on_write(evutil_socket_t fd, short what, void *arg)
{
    struct loop_io *io = arg;
    (void)fd;
    (void)what;
    io->fn(io->arg, LOOP_WRITE);
}

void loop_io_init(
    struct loop_io *io, struct loop *l, int fd, void (*fn)(void *arg, unsigned ready), void *arg)
{
    *io = (struct loop_io){.fd = fd, .fn = fn, .arg = arg};
    io->read_ev = event_need(l, fd, EV_READ | EV_PERSIST, on_read, io);
    io->write_ev = event_need(l, fd, EV_WRITE | EV_PERSIST, on_write, io);
}

static void event_set(struct event *ev, short what, bool on)
{
    if (on == (event_pending(ev, what, NULL) != 0))
        return;
    CHECK((on ? event_add(ev, NULL) : event_del(ev)) == 0);
}

void loop_io_want(struct loop_io *io, unsigned want)
{
    event_set(io->read_ev, EV_READ, want & LOOP_READ);
    event_set(io->write_ev, EV_WRITE, want & LOOP_WRITE);
}

void loop_io_release(struct loop_io *io)
{
    if (!io->read_ev)
        return;
    event_free(io->read_ev);
    event_free(io->write_ev);
    io->read_ev = io->write_ev = NULL;
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct loop_timer *t = arg;
    (void)fd;
    (void)what;
    t->fn(t->arg);
}

void loop_timer_init(struct loop_timer *t, struct loop *l, void (*fn)(void *arg), void *arg)
{
    *t = (struct loop_timer){.fn = fn, .arg = arg};
    t->ev = event_need(l, -1, 0, on_timer, t);
}

void loop_timer_set(struct loop_timer *t, int64_t in_us)
{
    if (in_us < 0)
        in_us = 0;
    struct timeval tv = {.tv_sec = (time_t)(in_us / 1000000), .tv_usec = (suseconds_t)(in_us % 1000000)};
    CHECK(event_add(t->ev, &tv) == 0);
}

void loop_timer_cancel(struct loop_timer *t)
{
    CHECK(event_del(t->ev) == 0);
}

void loop_timer_release(struct loop_timer *t)
{
    if (t->ev)
        event_free(t->ev);
    t->ev = NULL;
}

static void on_signal(evutil_socket_t signum, short what, void *arg)
{
    struct loop_signal *s = arg;
    (void)signum;
    (void)what;
    s->fn(s->arg);
}

void loop_on_signal(struct loop *l, int signum, void (*fn)(void *arg), void *arg)
{
    struct loop_signal *s = MEM_NEW(struct loop_signal);
    s->fn = fn;
    s->arg = arg;
    s->ev = event_need(l, signum, EV_SIGNAL | EV_PERSIST, on_signal, s);
    CHECK(event_add(s->ev, NULL) == 0);
    list_push_back(&l->signals, &s->node);
}

const char *loop_library_version(void)
{
    return event_get_version();
}
