/* Calls of worker threads. */
#include "lib/supervise_fixture.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

enum { WORKERS = 4, SYNC_CALLS = 50 };

struct worker {
    struct fixture *fx;
    pthread_t tid;
    unsigned number, wrong;
    _Atomic unsigned *running;
};

static void sync_once(struct worker *w, int i)
{
    char db[32], body[64], want[32];
    struct wire_reply_head head = {0};
    struct err err = ERR_INIT;
    AUTO_STRBUF out;
    strbuf_init(&out, 1 << 16);
    (void)snprintf(db, sizeof db, "db_%u", (w->number + (unsigned)i) % 3);
    (void)snprintf(want, sizeof want, "%u.%d", w->number, i);
    (void)snprintf(body, sizeof body, "echo %s", want);
    struct wire_call req = {.op = WIRE_OP_QUERY,
        .role = WIRE_ROLE_ADMIN,
        .deadline_us = clock_mono_us() + FAR_US,
        .body = str_of(body)};
    enum err_code code = supervise_call_sync(w->fx->s, str_of(db), &req, &head, &out, &err);
    if (code != ERR_OK || head.status != 200 || strcmp(strbuf_cstr(&out), want) != 0)
        w->wrong++;
}

static void *worker_main(void *arg)
{
    struct worker *w = arg;
    for (int i = 0; i < SYNC_CALLS; i++)
        sync_once(w, i);
    if (atomic_fetch_sub(w->running, 1) == 1)
        loop_stop(w->fx->l);
    return NULL;
}

void test_supervise_sync__workers_call_and_wait(void **state)
{
    struct fixture *fx = fixture_with(options());
    struct worker workers[WORKERS];
    _Atomic unsigned running = WORKERS;
    (void)state;
    for (unsigned i = 0; i < WORKERS; i++) {
        workers[i] = (struct worker){.fx = fx, .number = i, .running = &running};
        assert_int_equal(pthread_create(&workers[i].tid, NULL, worker_main, &workers[i]), 0);
    }
    run(fx);
    for (unsigned i = 0; i < WORKERS; i++) {
        pthread_join(workers[i].tid, NULL);
        assert_int_equal(workers[i].wrong, 0);
    }
    fixture_free(fx);
}

struct sync_case {
    struct fixture *fx;
    const char *body;
    size_t limit;
    enum err_code code;
    struct err err;
};

static void *sync_case_main(void *arg)
{
    struct sync_case *c = arg;
    struct wire_reply_head head;
    AUTO_STRBUF out;
    struct wire_call req = {.op = WIRE_OP_EXPORT,
        .role = WIRE_ROLE_ADMIN,
        .deadline_us = clock_mono_us() + FAR_US,
        .body = str_of(c->body)};
    strbuf_init(&out, c->limit);
    c->code = supervise_call_sync(c->fx->s, S("db_1"), &req, &head, &out, &c->err);
    loop_stop(c->fx->l);
    return NULL;
}

static struct sync_case run_sync_case(struct fixture *fx, const char *body, size_t limit)
{
    struct sync_case c = {.fx = fx, .body = body, .limit = limit, .err = ERR_INIT};
    pthread_t tid;
    assert_int_equal(pthread_create(&tid, NULL, sync_case_main, &c), 0);
    run(fx);
    pthread_join(tid, NULL);
    return c;
}

void test_supervise_sync__a_worker_learns_of_failures(void **state)
{
    struct fixture *fx = fixture_with(options());
    (void)state;
    assert_int_equal(run_sync_case(fx, "chunks 20 50000", 2 << 20).code, ERR_OK);
    assert_int_equal(run_sync_case(fx, "chunks 100 50000", 70000).code, ERR_TOO_LARGE);
    assert_int_equal(run_sync_case(fx, "crash", 1000).code, ERR_WORKER_CRASHED);
    fixture_free(fx);
}

static void *evict_main(void *arg)
{
    struct fixture *fx = arg;
    supervise_evict_sync(fx->s, S("db_1"));
    fx->open = fake_starter->living; /* the loop is idle meanwhile: nobody else touches it */
    loop_stop(fx->l);
    return NULL;
}

static void *allow_main(void *arg)
{
    struct fixture *fx = arg;
    supervise_allow_sync(fx->s, S("db_1"));
    loop_stop(fx->l);
    return NULL;
}

void test_supervise_sync__workers_evict_and_allow(void **state)
{
    struct fixture *fx = fixture_with(options());
    struct tcall t = tcall(fx, "db_1", "echo x");
    pthread_t tid;
    (void)state;
    expect_call(fx, "db_1", "echo warm", "warm");
    assert_int_equal(pthread_create(&tid, NULL, evict_main, fx), 0);
    run(fx);
    pthread_join(tid, NULL);
    assert_int_equal(fx->open, 0);
    (void)expect_refused(&t, ERR_NOT_FOUND);
    assert_int_equal(pthread_create(&tid, NULL, allow_main, fx), 0);
    run(fx);
    pthread_join(tid, NULL);
    expect_call(fx, "db_1", "echo back", "back");
    fixture_free(fx);
}

static void *late_main(void *arg)
{
    struct sync_case *c = arg;
    struct wire_reply_head head;
    AUTO_STRBUF out;
    struct wire_call req = {
        .op = WIRE_OP_PING, .role = WIRE_ROLE_ADMIN, .deadline_us = clock_mono_us() + FAR_US};
    strbuf_init(&out, 100);
    c->code = supervise_call_sync(c->fx->s, S("db_1"), &req, &head, &out, &c->err);
    return NULL;
}

/* Nobody waits for a loop that will not run again. */
void test_supervise_sync__a_worker_does_not_wait_for_a_loop_that_stops(void **state)
{
    struct fixture *fx = fixture_with(options());
    struct sync_case posted = {.fx = fx, .err = ERR_INIT}, late = posted;
    pthread_t tid;
    (void)state;
    assert_int_equal(pthread_create(&tid, NULL, late_main, &posted), 0);
    supervise_shutdown(
        fx->s, fixture_on_stopped, fx); /* before or after the call was posted: it ends either way */
    pthread_join(tid, NULL);
    assert_int_equal(posted.code, ERR_UNAVAILABLE);
    assert_int_equal(pthread_create(&tid, NULL, late_main, &late), 0);
    pthread_join(tid, NULL);
    assert_int_equal(late.code, ERR_UNAVAILABLE);
    run(fx);
    fixture_free(fx);
}
