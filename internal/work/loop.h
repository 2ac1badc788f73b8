/* The event loop: a thin cover over one libevent base, owned by the thread that runs it. Everything but
 * loop_post() and loop_stop() is called on that thread. The base is made with the epoll changelist, so one
 * descriptor belongs to one loop and is never duplicated while watched. */
#ifndef WORK_LOOP_H
#define WORK_LOOP_H

#include "base/err.h"
#include "base/list.h"

struct loop;
struct event_base;
struct event;

MUST_CHECK enum err_code loop_new(struct loop **ret, struct err *err);
void loop_free(
    struct loop *l); /* runs what was posted and not run; every turn, io and timer must be released before */
void loop_run(struct loop *l);  /* until loop_stop(); the thread that calls it owns the loop from then on */
void loop_stop(struct loop *l); /* any thread, also a signal-safe context through loop_on_signal */
bool loop_is_current(const struct loop *l);   /* for assertions */
struct event_base *loop_base(struct loop *l); /* internal/http alone */

/* Runs fn(arg) on the loop, in order of posting. Any thread. The eventfd is written only when the queue was
 * empty. */
void loop_post(struct loop *l, void (*fn)(void *arg), void *arg);

/* Work for the end of this turn, after all callbacks of descriptors that are ready now: this is how frames of
 * many requests leave in one write. The same item may be asked for many times and runs once. */
struct loop_turn {
    struct event *ev;
    bool pending;
    void (*fn)(void *arg);
    void *arg;
};
void loop_turn_init(struct loop_turn *t, struct loop *l, void (*fn)(void *arg), void *arg);
void loop_turn_ask(struct loop_turn *t);
void loop_turn_release(struct loop_turn *t);

enum loop_want { LOOP_READ = 1, LOOP_WRITE = 2 };

struct loop_io {
    struct event *read_ev, *write_ev;
    int fd;
    void (*fn)(void *arg, unsigned ready); /* enum loop_want bits; errors and hang-up show as LOOP_READ */
    void *arg;
};
/* Does not own fd. fn may release the io. */
void loop_io_init(
    struct loop_io *io, struct loop *l, int fd, void (*fn)(void *arg, unsigned ready), void *arg);
void loop_io_want(struct loop_io *io, unsigned want);
void loop_io_release(struct loop_io *io);

struct loop_timer {
    struct event *ev;
    void (*fn)(void *arg);
    void *arg;
};
void loop_timer_init(struct loop_timer *t, struct loop *l, void (*fn)(void *arg), void *arg);
void loop_timer_set(struct loop_timer *t, int64_t in_us); /* once; setting again moves it */
void loop_timer_cancel(struct loop_timer *t);
void loop_timer_release(struct loop_timer *t);

/* Delivers a signal as a call on the loop. For the life of the loop. */
void loop_on_signal(struct loop *l, int signum, void (*fn)(void *arg), void *arg);

const char *loop_library_version(void); /* "2.1.12-stable" */

#endif
