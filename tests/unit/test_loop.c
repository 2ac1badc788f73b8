/* The loop: posts from other threads, turn items after everything that is ready, descriptors, timers,
 * signals. */
#include "work/loop.h"
#include "base/fs.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

static struct loop *new_loop(void)
{
    struct loop *l;
    struct err err;
    assert_int_equal(loop_new(&l, &err), ERR_OK);
    return l;
}

static void stop(void *arg)
{
    loop_stop(arg);
}

/* --- posts --- */

enum { POSTERS = 4, POSTS = 2000 };

struct posting {
    struct loop *l;
    int next[POSTERS]; /* next number expected of each thread */
    int seen;
};

struct poster {
    struct posting *p;
    int thread, number;
};

static struct poster items[POSTERS][POSTS];

static void on_post(void *arg)
{
    struct poster *item = arg;
    assert_true(loop_is_current(item->p->l));
    assert_int_equal(item->p->next[item->thread]++, item->number);
    if (++item->p->seen == POSTERS * POSTS)
        loop_stop(item->p->l);
}

static void *poster_main(void *arg)
{
    struct poster *first = arg;
    assert_false(loop_is_current(first->p->l));
    for (int i = 0; i < POSTS; i++)
        loop_post(first->p->l, on_post, &first[i]);
    return NULL;
}

void test_loop__posts_of_many_threads_run_in_order(void **state)
{
    struct posting p = {.l = new_loop()};
    pthread_t tids[POSTERS];
    (void)state;
    for (int t = 0; t < POSTERS; t++) {
        for (int i = 0; i < POSTS; i++)
            items[t][i] = (struct poster){&p, t, i};
        assert_int_equal(pthread_create(&tids[t], NULL, poster_main, items[t]), 0);
    }
    loop_run(p.l);
    for (int t = 0; t < POSTERS; t++)
        pthread_join(tids[t], NULL);
    assert_int_equal(p.seen, POSTERS * POSTS);
    loop_free(p.l);
}

static void count(void *arg)
{
    ++*(int *)arg;
}

void test_loop__nothing_that_was_posted_is_lost_at_the_end(void **state)
{
    struct loop *l = new_loop();
    int ran = 0;
    (void)state;
    loop_stop(l);
    loop_post(l, count, &ran);
    loop_run(l);
    assert_int_equal(ran, 1);
    loop_post(l, count, &ran);
    loop_free(l);
    assert_int_equal(ran, 2);
}

void test_loop__a_second_stop_does_not_end_the_next_run(void **state)
{
    struct loop *l = new_loop();
    struct loop_timer end;
    (void)state;
    loop_stop(l);
    loop_stop(l);
    loop_run(l);
    loop_timer_init(&end, l, stop, l);
    loop_timer_set(&end, 1000);
    loop_run(l);
    assert_false(event_pending(end.ev, EV_TIMEOUT, NULL)); /* it ran to the timer's stop */
    loop_timer_release(&end);
    loop_free(l);
}

/* --- turns --- */

struct turning {
    struct loop *l;
    struct loop_turn turn;
    struct loop_io io[8];
    int fds[8][2];
    int read_in_round, turns, most;
};

static void on_pipe(void *arg, unsigned ready)
{
    struct turning *t = arg;
    assert_int_equal(ready, LOOP_READ);
    t->read_in_round++;
    loop_turn_ask(&t->turn);
}

static void on_turn(void *arg)
{
    struct turning *t = arg;
    assert_int_equal(t->read_in_round, 8); /* all pipes were ready, so all come before the turn's end */
    t->read_in_round = 0;
    if (++t->turns == 3) {
        for (int i = 0; i < 8; i++)
            loop_io_want(&t->io[i], 0);
        loop_stop(t->l);
    }
}

void test_loop__a_turn_ends_after_all_descriptors_that_are_ready(void **state)
{
    struct turning t = {.l = new_loop()};
    (void)state;
    loop_turn_init(&t.turn, t.l, on_turn, &t);
    for (int i = 0; i < 8; i++) {
        assert_int_equal(pipe(t.fds[i]), 0);
        assert_int_equal(write(t.fds[i][1], "x", 1), 1);
        loop_io_init(&t.io[i], t.l, t.fds[i][0], on_pipe, &t);
        loop_io_want(&t.io[i], LOOP_READ);
    }
    loop_run(t.l);
    assert_int_equal(t.turns, 3);
    for (int i = 0; i < 8; i++) {
        loop_io_release(&t.io[i]);
        close(t.fds[i][0]);
        close(t.fds[i][1]);
    }
    loop_turn_release(&t.turn);
    loop_free(t.l);
}

/* The same with evhttp: requests that arrived together are handled together, then the turn ends once. */
enum { CLIENTS = 5 };

struct http_turning {
    struct loop *l;
    struct loop_turn turn;
    struct evhttp *http;
    struct evhttp_request *open[CLIENTS];
    int opened, turns, rounds, fds[CLIENTS];
    struct loop_timer next_round;
};

static void on_request(struct evhttp_request *req, void *arg)
{
    struct http_turning *t = arg;
    t->open[t->opened++] = req;
    loop_turn_ask(&t->turn);
}

static void on_http_turn(void *arg)
{
    struct http_turning *t = arg;
    t->turns++;
    assert_int_equal(t->opened, CLIENTS);
    for (int i = 0; i < CLIENTS; i++)
        evhttp_send_reply(t->open[i], 204, "No Content", NULL);
    loop_stop(t->l);
}

/* The connections stand before the loop runs, so its first round accepts them all; then they are watched. */
static void send_requests(void *arg)
{
    static const char REQUEST[] = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    struct http_turning *t = arg;
    if (t->rounds++ < 3) {
        loop_timer_set(&t->next_round, 0);
        return;
    }
    for (int i = 0; i < CLIENTS; i++)
        assert_int_equal(write(t->fds[i], REQUEST, sizeof REQUEST - 1), sizeof REQUEST - 1);
}

void test_loop__a_turn_ends_after_all_requests_of_the_round(void **state)
{
    struct http_turning t = {.l = new_loop()};
    (void)state;
    t.http = evhttp_new(loop_base(t.l));
    evhttp_set_gencb(t.http, on_request, &t);
    struct evhttp_bound_socket *bound = evhttp_bind_socket_with_handle(t.http, "127.0.0.1", 0);
    struct sockaddr_in addr;
    socklen_t len = sizeof addr;
    getsockname(evhttp_bound_socket_get_fd(bound), (struct sockaddr *)&addr, &len);
    for (int i = 0; i < CLIENTS; i++) {
        t.fds[i] = socket(AF_INET, SOCK_STREAM, 0);
        assert_int_equal(connect(t.fds[i], (struct sockaddr *)&addr, len), 0);
    }
    loop_turn_init(&t.turn, t.l, on_http_turn, &t);
    loop_timer_init(&t.next_round, t.l, send_requests, &t);
    loop_timer_set(&t.next_round, 0);
    loop_run(t.l);
    assert_int_equal(t.turns, 1);
    for (int i = 0; i < CLIENTS; i++)
        close(t.fds[i]);
    evhttp_free(t.http);
    loop_timer_release(&t.next_round);
    loop_turn_release(&t.turn);
    loop_free(t.l);
}

/* --- descriptors --- */

struct echo {
    struct loop *l;
    struct loop_io io;
    int fds[2], writes, hangups;
};

static void on_echo(void *arg, unsigned ready)
{
    struct echo *e = arg;
    char c;
    if (ready == LOOP_WRITE) {
        if (e->writes++ == 0) {
            loop_io_want(&e->io, LOOP_READ);
            close(e->fds[1]);
        }
        return;
    }
    assert_int_equal(read(e->fds[0], &c, 1), 0);
    e->hangups++;
    loop_io_release(&e->io); /* inside its own callback */
    loop_stop(e->l);
}

void test_loop__wants_can_change_and_hang_up_reads(void **state)
{
    struct echo e = {.l = new_loop()};
    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, e.fds), 0);
    loop_io_init(&e.io, e.l, e.fds[0], on_echo, &e);
    loop_io_want(&e.io, LOOP_WRITE);
    loop_run(e.l);
    assert_int_equal(e.writes, 1);
    assert_int_equal(e.hangups, 1);
    close(e.fds[0]);
    loop_free(e.l);
}

/* --- timers and signals --- */

void test_loop__a_timer_fires_once_and_can_be_moved_or_cancelled(void **state)
{
    struct loop *l = new_loop();
    struct loop_timer moved, cancelled, end;
    int moved_ran = 0, cancelled_ran = 0;
    (void)state;
    loop_timer_init(&moved, l, count, &moved_ran);
    loop_timer_init(&cancelled, l, count, &cancelled_ran);
    loop_timer_init(&end, l, stop, l);
    loop_timer_set(&moved, 3600LL * 1000000);
    loop_timer_set(&moved, -5);
    loop_timer_set(&cancelled, 0);
    loop_timer_cancel(&cancelled);
    loop_timer_set(&end, 30000);
    loop_run(l);
    assert_int_equal(moved_ran, 1);
    assert_int_equal(cancelled_ran, 0);
    loop_timer_release(&moved);
    loop_timer_release(&cancelled);
    loop_timer_release(&end);
    loop_free(l);
}

void test_loop__a_signal_arrives_as_a_call(void **state)
{
    struct loop *l = new_loop();
    (void)state;
    loop_on_signal(l, SIGUSR2, stop, l);
    assert_int_equal(raise(SIGUSR2), 0);
    loop_run(l);
    loop_free(l);
}
