/* The supervisor over fake engines (tests/lib/fake_engine.h): real processes, real sockets, real signals. */
#include "base/clock.h"
#include "base/limits.h"
#include "lib/fake_engine.h"
#include "lib/tmpdir.h"
#include "lib/unit.h"
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

enum { SECOND = 1000000, FAR_US = 60 * SECOND, BOUND_US = 20 * SECOND };

struct fixture {
    struct loop *l;
    struct supervisor *s;
    struct loop_timer bound;
    bool timed_out, stopped;
    unsigned open; /* calls without their end */
    struct tmpdir dir;
};

struct tcall {
    struct engine_call call;
    struct fixture *fx;
    struct wire_reply_head head;
    struct strbuf got;
    struct err err;
    int heads, ends;
    size_t pause_after; /* > 0: pauses once that much has come */
    bool paused;
};

static void on_bound(void *arg)
{
    struct fixture *fx = arg;
    fx->timed_out = true;
    loop_stop(fx->l);
}

static struct supervise_options options(void)
{
    return (struct supervise_options){.idle_us = 3600LL * SECOND,
        .kill_grace_us = 100000,
        .engines_max = 50,
        .calls_per_db_max = 1000,
        .readers_max = 2,
        .db_bytes_max = 1 << 20};
}

static struct fixture *fixture_with(struct supervise_options opt)
{
    struct fixture *fx = calloc(1, sizeof *fx);
    struct err err;
    tmpdir_init(&fx->dir);
    opt.data_dir = fx->dir.path;
    assert_int_equal(loop_new(&fx->l, &err), ERR_OK);
    assert_int_equal(supervise_new_with(fx->l, &opt, fake_starter_make, &fx->s, &err), ERR_OK);
    loop_timer_init(&fx->bound, fx->l, on_bound, fx);
    return fx;
}

/* Runs the loop until somebody stops it. */
static void run(struct fixture *fx)
{
    loop_timer_set(&fx->bound, BOUND_US);
    loop_run(fx->l);
    loop_timer_cancel(&fx->bound);
    assert_false(fx->timed_out);
}

static void on_stopped(void *arg)
{
    struct fixture *fx = arg;
    fx->stopped = true;
    loop_stop(fx->l);
}

static void fixture_free(struct fixture *fx)
{
    supervise_shutdown(fx->s, on_stopped, fx);
    run(fx);
    assert_true(fx->stopped);
    assert_int_equal(fx->open, 0);
    assert_int_equal(fake_starter->living, 0);
    supervise_free(fx->s);
    loop_timer_release(&fx->bound);
    loop_free(fx->l);
    tmpdir_release(&fx->dir);
    free(fx);
}

static void on_data(struct engine_call *call, const struct wire_reply_head *head, struct str chunk)
{
    struct tcall *t = CONTAINER_OF(call, struct tcall, call);
    assert_int_equal(t->ends, 0);
    assert_false(t->paused);
    if (head) {
        t->heads++;
        t->head = *head;
    }
    strbuf_add_str(&t->got, chunk);
    if (t->pause_after > 0 && t->got.len >= t->pause_after) {
        t->pause_after = 0;
        t->paused = true;
        supervise_pause(t->fx->s, call);
        loop_stop(t->fx->l);
    }
}

static void on_done(struct engine_call *call, const struct err *err)
{
    struct tcall *t = CONTAINER_OF(call, struct tcall, call);
    t->ends++;
    if (err)
        t->err = *err;
    if (--t->fx->open == 0)
        loop_stop(t->fx->l);
}

static struct tcall tcall(struct fixture *fx, const char *db, const char *body)
{
    struct tcall t = {.fx = fx, .err = ERR_INIT};
    t.call = (struct engine_call){.db_id = str_of(db), .on_data = on_data, .on_done = on_done};
    t.call.req = (struct wire_call){.op = WIRE_OP_QUERY,
        .role = WIRE_ROLE_ADMIN,
        .deadline_us = clock_mono_us() + FAR_US,
        .body = str_of(body)};
    strbuf_init(&t.got, 32 << 20);
    return t;
}

static void submit(struct tcall *t)
{
    struct err err = ERR_INIT;
    if (supervise_submit(t->fx->s, &t->call, &err) != ERR_OK)
        fail_msg("refused: %s", err.message);
    t->fx->open++;
}

/* Submits and expects a refusal. */
static int expect_refused(struct tcall *t, enum err_code code)
{
    struct err err = ERR_INIT;
    assert_int_equal(supervise_submit(t->fx->s, &t->call, &err), code);
    assert_int_equal(err.code, code);
    assert_int_equal(t->ends, 0);
    return err.retry_after_s;
}

static void expect_answer(struct tcall *t, const char *text)
{
    if (t->err.code != ERR_OK)
        fail_msg("%s instead of %s", t->err.message, text);
    assert_int_equal(t->ends, 1);
    assert_int_equal(t->heads, 1);
    assert_int_equal(t->head.status, 200);
    assert_string_equal(strbuf_cstr(&t->got), text);
    strbuf_release(&t->got);
}

static void expect_failed(struct tcall *t, enum err_code code)
{
    assert_int_equal(t->ends, 1);
    assert_int_equal(t->err.code, code);
    strbuf_release(&t->got);
}

/* One call to its end. */
static void expect_call(struct fixture *fx, const char *db, const char *body, const char *text)
{
    struct tcall t = tcall(fx, db, body);
    submit(&t);
    run(fx);
    expect_answer(&t, text);
}

static void expect_crash(struct fixture *fx, const char *db)
{
    struct tcall t = tcall(fx, db, "crash");
    submit(&t);
    run(fx);
    expect_failed(&t, ERR_WORKER_CRASHED);
}

static struct supervise_stats stats(struct fixture *fx)
{
    struct supervise_stats st;
    supervise_stats(fx->s, &st);
    return st;
}

static void wake(void *arg)
{
    struct fixture *fx = arg;
    loop_stop(fx->l);
}

static void run_for(struct fixture *fx, int64_t us)
{
    struct loop_timer t;
    loop_timer_init(&t, fx->l, wake, fx);
    loop_timer_set(&t, us);
    run(fx);
    loop_timer_release(&t);
}

/* --- the ordinary way --- */

void test_supervise__calls_of_many_databases_are_answered(void **state)
{
    struct fixture *fx = fixture_with(options());
    static char names[20][16];
    static struct tcall calls[20][30];
    (void)state;
    for (int d = 0; d < 20; d++) {
        (void)snprintf(names[d], sizeof names[d], "db_%d", d);
        for (int i = 0; i < 30; i++) {
            calls[d][i] = tcall(fx, names[d], i % 2 ? "echo odd" : "echo even");
            submit(&calls[d][i]);
        }
    }
    run(fx);
    for (int d = 0; d < 20; d++) {
        for (int i = 0; i < 30; i++)
            expect_answer(&calls[d][i], i % 2 ? "odd" : "even");
    }
    assert_int_equal(fake_starter->started, 20);
    assert_int_equal(stats(fx).engines, 20);
    assert_int_equal(stats(fx).starts, 20);
    assert_int_equal(stats(fx).waiting, 0);
    fixture_free(fx);
}

void test_supervise__calls_of_one_turn_leave_in_one_write(void **state)
{
    struct fixture *fx = fixture_with(options());
    struct tcall calls[10];
    (void)state;
    expect_call(fx, "db_1", "echo warm", "warm");
    uint64_t commits = stats(fx).commits;
    for (int i = 0; i < 10; i++) {
        calls[i] = tcall(fx, "db_1", "echo x");
        submit(&calls[i]);
    }
    run(fx);
    for (int i = 0; i < 10; i++)
        expect_answer(&calls[i], "x");
    assert_int_equal(stats(fx).commits - commits, 1);
    fixture_free(fx);
}

void test_supervise__a_body_larger_than_the_socket_goes_through(void **state)
{
    struct fixture *fx = fixture_with(options());
    size_t len = 20 << 20;
    char *body = malloc(len + 1);
    (void)state;
    memset(body, 'q', len);
    memcpy(body, "echo ", 5);
    body[len] = '\0';
    struct tcall t = tcall(fx, "db_1", body), small = tcall(fx, "db_1", "echo s");
    submit(&t);
    submit(&small);
    run(fx);
    assert_int_equal(t.got.len, len - 5);
    assert_memory_equal(t.got.buf, body + 5, len - 5);
    expect_answer(&t, body + 5);
    expect_answer(&small, "s");
    free(body);
    fixture_free(fx);
}

void test_supervise__what_one_engine_has_in_flight_is_bounded(void **state)
{
    struct fixture *fx = fixture_with(options());
    static struct tcall calls[400];
    (void)state;
    expect_call(fx, "db_1", "echo warm", "warm");
    calls[0] = tcall(fx, "db_1", "waiting 399");
    for (int i = 1; i < 400; i++)
        calls[i] = tcall(fx, "db_1", "echo x");
    for (int i = 0; i < 400; i++)
        submit(&calls[i]);
    assert_int_equal(stats(fx).waiting, 400 - 128);
    run(fx);
    expect_answer(&calls[0], "seen");
    for (int i = 1; i < 400; i++)
        expect_answer(&calls[i], "x");
    fixture_free(fx);
}

void test_supervise__too_many_calls_of_one_database_are_refused(void **state)
{
    struct supervise_options opt = options();
    opt.calls_per_db_max = 3;
    struct fixture *fx = fixture_with(opt);
    struct tcall calls[4];
    (void)state;
    for (int i = 0; i < 4; i++)
        calls[i] = tcall(fx, "db_1", "echo x");
    for (int i = 0; i < 3; i++)
        submit(&calls[i]);
    assert_int_equal(expect_refused(&calls[3], ERR_RATE_LIMITED), 1);
    expect_call(fx, "db_2", "echo other", "other");
    run_for(fx, 1000);
    for (int i = 0; i < 3; i++)
        expect_answer(&calls[i], "x");
    fixture_free(fx);
}

/* --- crashes --- */

void test_supervise__a_crash_costs_the_running_call_and_no_other(void **state)
{
    struct fixture *fx = fixture_with(options());
    struct tcall before = tcall(fx, "db_1", "echo before"), bad = tcall(fx, "db_1", "crash"),
                 after = tcall(fx, "db_1", "echo after"), other = tcall(fx, "db_2", "pid");
    (void)state;
    submit(&before);
    submit(&bad);
    submit(&after);
    submit(&other);
    run(fx);
    expect_answer(&before, "before");
    expect_failed(&bad, ERR_WORKER_CRASHED);
    assert_null(strstr(bad.err.message, fx->dir.path));
    expect_answer(&after, "after");
    expect_call(fx, "db_2", "pid", strbuf_cstr(&other.got));
    strbuf_release(&other.got);
    struct supervise_stats st = stats(fx);
    assert_int_equal(st.crashes, 1);
    assert_int_equal(st.retries, 2);
    assert_int_equal(fake_starter->started, 3);
    fixture_free(fx);
}

/* During a commit nobody knows: only a call with an idempotency key and one that reads may run again. */
void test_supervise__a_crash_in_the_commit_is_not_repeated_blindly(void **state)
{
    struct fixture *fx = fixture_with(options());
    struct tcall plain = tcall(fx, "db_1", "echo plain"), key = tcall(fx, "db_1", "echo key"),
                 read = tcall(fx, "db_1", "echo read"), bad = tcall(fx, "db_1", "commit_crash");
    (void)state;
    key.call.req.idempotency_key = S("k1");
    read.call.req.op = WIRE_OP_TABLES;
    submit(&plain);
    submit(&key);
    submit(&read);
    submit(&bad);
    run(fx);
    expect_failed(&plain, ERR_WORKER_CRASHED);
    assert_non_null(strstr(plain.err.message, "Idempotency-Key"));
    expect_failed(&bad, ERR_WORKER_CRASHED);
    expect_answer(&key, "key");
    expect_answer(&read, "read");
    fixture_free(fx);
}

void test_supervise__a_call_is_sent_again_only_so_often(void **state)
{
    struct supervise_options opt = options();
    struct fixture *fx = fixture_with(opt);
    struct tcall victims[1], killers[SUPERVISE_RETRY_MAX + 1];
    (void)state;
    victims[0] = tcall(fx, "db_1", "echo innocent");
    submit(&victims[0]);
    for (int i = 0; i < SUPERVISE_RETRY_MAX + 1; i++) {
        killers[i] = tcall(fx, "db_1", "exit 1");
        submit(&killers[i]);
    }
    run(fx);
    expect_failed(&victims[0], ERR_WORKER_CRASHED);
    for (int i = 0; i < SUPERVISE_RETRY_MAX + 1; i++)
        assert_true(killers[i].ends == 1 && killers[i].err.code != ERR_OK);
    fixture_free(fx);
}

void test_supervise__the_breaker_opens_tries_and_closes(void **state)
{
    struct fixture *fx = fixture_with(options());
    struct tcall refused = tcall(fx, "db_1", "echo x"), trial, waits;
    (void)state;
    clock_test_set(clock_mono_us(), clock_wall_ms());
    for (int i = 0; i < LIMIT_BREAKER_CRASHES; i++)
        expect_crash(fx, "db_1");
    assert_int_equal(expect_refused(&refused, ERR_UNAVAILABLE), 30);
    assert_int_equal(stats(fx).breakers_open, 1);
    expect_call(fx, "db_2", "echo other", "other");
    clock_test_advance(30 * SECOND);
    trial = tcall(fx, "db_1", "crash");
    waits = tcall(fx, "db_1", "echo x");
    submit(&trial);
    assert_int_equal(expect_refused(&waits, ERR_UNAVAILABLE), 1);
    run(fx);
    expect_failed(&trial, ERR_WORKER_CRASHED);
    assert_int_equal(expect_refused(&refused, ERR_UNAVAILABLE), 30);
    clock_test_advance(30 * SECOND);
    expect_call(fx, "db_1", "echo back", "back");
    assert_int_equal(stats(fx).breakers_open, 0);
    expect_call(fx, "db_1", "echo more", "more");
    clock_test_stop();
    fixture_free(fx);
}

void test_supervise__an_engine_that_cannot_open_says_why(void **state)
{
    static const struct {
        const char *db;
        enum err_code code;
    } rows[] = {{"exit_64", ERR_UNAVAILABLE}, {"exit_65", ERR_IO}, {"exit_66", ERR_CORRUPT},
        {"exit_67", ERR_FULL}, {"exit_68", ERR_IO}, {"exit_3", ERR_WORKER_CRASHED},
        {"crash_open", ERR_WORKER_CRASHED}};
    struct fixture *fx = fixture_with(options());
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct tcall t = tcall(fx, rows[i].db, "echo x");
        submit(&t);
        run(fx);
        expect_failed(&t, rows[i].code);
    }
    struct tcall again = tcall(fx, "exit_66", "echo x");
    (void)expect_refused(&again, ERR_CORRUPT);
    fixture_free(fx);
}

void test_supervise__a_start_that_fails_is_told_and_not_blamed(void **state)
{
    struct fixture *fx = fixture_with(options());
    struct tcall t = tcall(fx, "db_1", "echo x");
    (void)state;
    fake_starter->refuse = 1;
    submit(&t);
    run(fx);
    expect_failed(&t, ERR_UNAVAILABLE);
    assert_int_equal(t.err.retry_after_s, 1);
    expect_call(fx, "db_1", "echo y", "y");
    assert_int_equal(stats(fx).crashes, 0);
    fixture_free(fx);
}

void test_supervise__a_damaged_database_is_set_aside(void **state)
{
    struct fixture *fx = fixture_with(options());
    struct tcall t = tcall(fx, "db_1", "corrupt"), later = tcall(fx, "db_1", "echo x");
    (void)state;
    submit(&t);
    run(fx);
    assert_int_equal(t.head.status, 503);
    assert_string_equal(strbuf_cstr(&t.got), "damaged");
    strbuf_release(&t.got);
    (void)expect_refused(&later, ERR_CORRUPT);
    expect_call(fx, "db_2", "echo fine", "fine");
    supervise_allow(fx->s, S("db_1"));
    expect_call(fx, "db_1", "echo restored", "restored");
    fixture_free(fx);
}

/* --- deadlines --- */

void test_supervise__a_silent_engine_is_killed_and_neighbours_run_again(void **state)
{
    struct fixture *fx = fixture_with(options());
    struct tcall before = tcall(fx, "db_1", "echo before"), hang = tcall(fx, "db_1", "hang"),
                 after = tcall(fx, "db_1", "echo after");
    (void)state;
    int64_t start = clock_mono_us();
    hang.call.req.deadline_us = start + 50000;
    submit(&before);
    submit(&hang);
    submit(&after);
    run(fx);
    expect_failed(&hang, ERR_QUERY_TIMEOUT);
    expect_answer(&before, "before");
    expect_answer(&after, "after");
    assert_in_range(clock_mono_us() - start, 150000, 150000 + 5 * SECOND);
    assert_int_equal(stats(fx).kills_deadline, 1);
    assert_int_equal(stats(fx).crashes, 0);
    fixture_free(fx);
}

/* Slow is not broken: kills at deadlines leave the breaker alone. */
void test_supervise__deadline_kills_do_not_open_the_breaker(void **state)
{
    struct fixture *fx = fixture_with(options());
    (void)state;
    for (int i = 0; i < LIMIT_BREAKER_CRASHES + 1; i++) {
        struct tcall hang = tcall(fx, "db_1", "hang");
        hang.call.req.deadline_us = clock_mono_us() - 100000;
        submit(&hang);
        run(fx);
        expect_failed(&hang, ERR_QUERY_TIMEOUT);
    }
    expect_call(fx, "db_1", "echo fine", "fine");
    fixture_free(fx);
}

/* The one that stands behind a slower one with more time is told, and the slower one is not killed for it. */
void test_supervise__a_call_behind_a_slow_one_times_out_alone(void **state)
{
    struct fixture *fx = fixture_with(options());
    struct tcall slow = tcall(fx, "db_1", "until_cancel"), behind = tcall(fx, "db_1", "echo late");
    (void)state;
    expect_call(fx, "db_1", "echo warm", "warm");
    behind.call.req.deadline_us = clock_mono_us() + 20000;
    submit(&slow);
    submit(&behind);
    while (behind.ends == 0)
        run_for(fx, 20000);
    expect_failed(&behind, ERR_QUERY_TIMEOUT);
    assert_int_equal(slow.ends, 0);
    supervise_cancel(fx->s, &slow.call);
    run(fx);
    expect_failed(&slow, ERR_UNAVAILABLE);
    assert_int_equal(stats(fx).kills_deadline, 0);
    expect_call(fx, "db_1", "echo alive", "alive");
    assert_int_equal(fake_starter->started, 1);
    fixture_free(fx);
}

/* A slow disk is no reason to lose the knowledge whether the batch is durable. */
void test_supervise__an_engine_is_not_killed_while_it_commits(void **state)
{
    struct fixture *fx = fixture_with(options());
    struct tcall t = tcall(fx, "db_1", "orphan_commit");
    (void)state;
    expect_call(fx, "db_1", "echo warm", "warm");
    t.call.req.deadline_us = clock_mono_us();
    submit(&t);
    run(fx);
    expect_failed(&t, ERR_QUERY_TIMEOUT);
    expect_call(fx, "db_1", "echo next", "next");
    assert_int_equal(stats(fx).kills_deadline, 0);
    fixture_free(fx);
}

/* --- cancelling --- */

void test_supervise__a_running_call_is_cancelled_through_the_board(void **state)
{
    struct fixture *fx = fixture_with(options());
    struct tcall first = tcall(fx, "db_1", "until_cancel"), second = tcall(fx, "db_1", "until_cancel"),
                 third = tcall(fx, "db_1", "echo x");
    (void)state;
    submit(&first);
    submit(&second);
    submit(&third);
    run_for(fx, 50000);
    supervise_cancel(fx->s, &second.call); /* told in the wrong order */
    supervise_cancel(fx->s, &first.call);
    supervise_cancel(fx->s, &first.call);
    run(fx);
    expect_failed(&first, ERR_UNAVAILABLE);
    expect_failed(&second, ERR_UNAVAILABLE);
    expect_answer(&third, "x");
    fixture_free(fx);
}

void test_supervise__a_waiting_call_is_cancelled_but_not_at_once(void **state)
{
    struct fixture *fx = fixture_with(options());
    struct tcall t = tcall(fx, "db_1", "echo x");
    (void)state;
    fake_starter->down = true;
    submit(&t);
    supervise_cancel(fx->s, &t.call);
    assert_int_equal(t.ends, 0);
    run(fx);
    expect_failed(&t, ERR_UNAVAILABLE);
    fixture_free(fx);
}

/* --- readers, streams, scratch --- */

void test_supervise__a_long_read_moves_to_a_reader(void **state)
{
    struct fixture *fx = fixture_with(options());
    struct tcall calls[5], echo = tcall(fx, "db_1", "echo x");
    (void)state;
    expect_call(fx, "db_1", "echo warm", "warm");
    for (int i = 0; i < 5; i++) {
        calls[i] = tcall(fx, "db_1", "bounce");
        submit(&calls[i]);
    }
    submit(&echo);
    run(fx);
    for (int i = 0; i < 5; i++) {
        assert_true(str_starts(strbuf_str(&calls[i].got), S("reader ")));
        strbuf_release(&calls[i].got);
    }
    expect_answer(&echo, "x");
    assert_int_equal(stats(fx).bounces, 5);
    assert_int_equal(stats(fx).readers, 2);
    assert_int_equal(fake_starter->started, 3);
    fixture_free(fx);
}

void test_supervise__without_readers_nothing_is_bounced(void **state)
{
    struct supervise_options opt = options();
    opt.readers_max = 0;
    struct fixture *fx = fixture_with(opt);
    struct tcall t = tcall(fx, "db_1", "bounce");
    (void)state;
    submit(&t);
    run(fx);
    assert_true(str_starts(strbuf_str(&t.got), S("writer ")));
    strbuf_release(&t.got);
    fixture_free(fx);
}

void test_supervise__a_reader_that_crashes_costs_its_call(void **state)
{
    struct fixture *fx = fixture_with(options());
    struct tcall t = tcall(fx, "db_1", "crash");
    (void)state;
    t.call.place = ENGINE_STREAM;
    submit(&t);
    run(fx);
    expect_failed(&t, ERR_WORKER_CRASHED);
    expect_call(fx, "db_1", "echo x", "x");
    assert_int_equal(fake_starter->started, 2);
    fixture_free(fx);
}

/* An export that meets its deadline half-way has no other means to tell; that is no crash. */
void test_supervise__a_stream_that_breaks_off_fails(void **state)
{
    struct fixture *fx = fixture_with(options());
    (void)state;
    for (int i = 0; i < LIMIT_BREAKER_CRASHES + 1; i++) {
        struct tcall t = tcall(fx, "db_1", "break_off");
        t.call.place = ENGINE_STREAM;
        submit(&t);
        run(fx);
        assert_string_equal(strbuf_cstr(&t.got), "half");
        expect_failed(&t, ERR_UNAVAILABLE);
    }
    assert_int_equal(stats(fx).crashes, 0);
    fixture_free(fx);
}

void test_supervise__a_stream_stops_and_goes_on(void **state)
{
    struct fixture *fx = fixture_with(options());
    struct tcall t = tcall(fx, "db_1", "chunks 200 50000"), beside = tcall(fx, "db_1", "echo beside");
    (void)state;
    t.call.place = ENGINE_STREAM;
    t.pause_after = 100000;
    submit(&t);
    run(fx);
    size_t had = t.got.len;
    submit(&beside);
    run_for(fx, 30000);
    expect_answer(&beside, "beside");
    assert_int_equal(t.got.len, had);
    assert_int_equal(t.ends, 0);
    for (int i = 0; i < 3; i++) { /* it may be paused again with whole frames left over */
        t.paused = false;
        t.pause_after = t.got.len + 1;
        supervise_resume(fx->s, &t.call);
        run(fx);
    }
    t.paused = false;
    supervise_resume(fx->s, &t.call);
    run(fx);
    assert_int_equal(t.err.code, ERR_OK);
    assert_int_equal(t.got.len, 200 * 50000);
    for (size_t i = 0; i < 200; i++)
        assert_int_equal(t.got.buf[i * 50000], 'a' + i % 26);
    strbuf_release(&t.got);
    fixture_free(fx);
}

/* The process may end while its receiver is paused: what it wrote still arrives. */
void test_supervise__a_paused_stream_outlives_its_engine(void **state)
{
    struct fixture *fx = fixture_with(options());
    struct tcall t = tcall(fx, "db_1", "chunks 3 1000");
    (void)state;
    t.call.place = ENGINE_STREAM;
    t.pause_after = 1;
    submit(&t);
    run(fx);
    run_for(fx, 20000);
    t.paused = false;
    supervise_resume(fx->s, &t.call);
    run(fx);
    assert_int_equal(t.err.code, ERR_OK);
    assert_int_equal(t.got.len, 3000);
    strbuf_release(&t.got);
    fixture_free(fx);
}

void test_supervise__a_stalled_stream_is_killed(void **state)
{
    struct fixture *fx = fixture_with(options());
    struct tcall t = tcall(fx, "db_1", "chunks 200 50000");
    (void)state;
    t.call.place = ENGINE_STREAM;
    t.call.req.deadline_us = clock_mono_us() + 300000; /* sooner than the 30 s of a stall; the same way out */
    t.pause_after = 1;
    submit(&t);
    run(fx);
    run(fx);
    expect_failed(&t, ERR_UNAVAILABLE);
    assert_int_equal(stats(fx).kills_stalled, 1);
    fixture_free(fx);
}

void test_supervise__a_cancelled_stream_ends(void **state)
{
    struct fixture *fx = fixture_with(options());
    struct tcall t = tcall(fx, "db_1", "chunks 2000 50000"), queued[4];
    (void)state;
    t.call.place = ENGINE_STREAM;
    t.pause_after = 1;
    submit(&t);
    run(fx);
    for (int i = 0; i < 4; i++) {
        queued[i] = tcall(fx, "db_1", "echo s");
        queued[i].call.place = ENGINE_STREAM;
        submit(&queued[i]);
    }
    supervise_cancel(fx->s, &t.call);
    run(fx);
    expect_failed(&t, ERR_UNAVAILABLE);
    for (int i = 0; i < 4; i++)
        expect_answer(&queued[i], "s");
    assert_int_equal(stats(fx).crashes, 0);
    fixture_free(fx);
}

void test_supervise__scratch_engines_are_thrown_away(void **state)
{
    struct fixture *fx = fixture_with(options());
    struct tcall good = tcall(fx, "", "echo ok"), bad = tcall(fx, "", "crash");
    (void)state;
    good.call.place = bad.call.place = ENGINE_SCRATCH;
    good.call.scratch_dir = bad.call.scratch_dir = fx->dir.path;
    good.call.req.op = bad.call.req.op = WIRE_OP_UPLOAD_CHECK;
    submit(&good);
    submit(&bad);
    run(fx);
    expect_answer(&good, "ok");
    expect_failed(&bad, ERR_WORKER_CRASHED);
    while (fake_starter->living > 0)
        run_for(fx, 5000);
    assert_int_equal(stats(fx).engines, 0);
    fixture_free(fx);
}

/* --- hostile engines --- */

void test_supervise__an_engine_that_breaks_the_protocol_is_killed(void **state)
{
    static const char *const HOW[] = {"garbage", "wrong_id", "twice"};
    struct fixture *fx = fixture_with(options());
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(HOW); i++) {
        char db[] = {'d', 'b', '_', (char)('a' + i), '\0'};
        struct tcall t = tcall(fx, db, HOW[i]);
        submit(&t);
        run(fx);
        expect_failed(&t, ERR_WORKER_CRASHED);
        assert_int_equal(stats(fx).kills_protocol, i + 1);
        expect_call(fx, db, "echo clean", "clean");
    }
    assert_int_equal(stats(fx).crashes, ARRAY_LEN(HOW));
    fixture_free(fx);
}

/* --- the population --- */

void test_supervise__idle_engines_leave(void **state)
{
    struct supervise_options opt = options();
    opt.idle_us = 20000;
    struct fixture *fx = fixture_with(opt);
    (void)state;
    expect_call(fx, "db_1", "echo x", "x");
    while (fake_starter->living > 0)
        run_for(fx, 5000);
    assert_int_equal(stats(fx).idle_exits, 1);
    assert_int_equal(stats(fx).crashes, 0);
    expect_call(fx, "db_1", "echo back", "back");
    fixture_free(fx);
}

void test_supervise__at_the_maximum_the_idlest_engine_makes_room(void **state)
{
    struct supervise_options opt = options();
    opt.engines_max = 2;
    struct fixture *fx = fixture_with(opt);
    struct tcall pid = tcall(fx, "db_2", "pid");
    (void)state;
    expect_call(fx, "db_1", "echo a", "a");
    submit(&pid);
    run(fx);
    expect_call(fx, "db_3", "echo c", "c");
    expect_call(fx, "db_2", "pid", strbuf_cstr(&pid.got)); /* db_1 had to go, not this one */
    strbuf_release(&pid.got);
    assert_true(fake_starter->living <= 2);
    expect_call(fx, "db_1", "echo again", "again");
    fixture_free(fx);
}

void test_supervise__engines_outlive_the_zygote_and_new_ones_wait(void **state)
{
    struct fixture *fx = fixture_with(options());
    struct tcall pid = tcall(fx, "db_1", "pid"), cold = tcall(fx, "db_2", "echo cold");
    (void)state;
    submit(&pid);
    run(fx);
    fake_starter_die(fake_starter);
    assert_false(supervise_ready(fx->s));
    expect_call(fx, "db_1", "pid", strbuf_cstr(&pid.got));
    submit(&cold);
    run_for(fx, 20000);
    assert_int_equal(cold.ends, 0);
    fake_starter_back(fake_starter);
    assert_true(supervise_ready(fx->s));
    run(fx);
    expect_answer(&cold, "cold");
    strbuf_release(&pid.got);
    fixture_free(fx);
}

/* An engine that dies together with the zygote is no tenant's fault. */
void test_supervise__the_death_of_the_zygote_blames_nobody(void **state)
{
    struct fixture *fx = fixture_with(options());
    struct tcall t = tcall(fx, "db_1", "echo x"), warm = tcall(fx, "db_1", "pid");
    (void)state;
    submit(&warm);
    run(fx);
    fake_starter_die(fake_starter);
    assert_int_equal(kill((pid_t)atoi(strbuf_cstr(&warm.got)), SIGKILL), 0);
    strbuf_release(&warm.got);
    submit(&t);
    run_for(fx, 20000);
    fake_starter_back(fake_starter);
    run(fx);
    expect_answer(&t, "x");
    assert_int_equal(stats(fx).crashes, 0);
    fixture_free(fx);
}

/* --- eviction and the end --- */

static void on_evicted(void *arg)
{
    loop_stop(arg);
}

void test_supervise__an_evicted_database_has_no_engine_and_takes_no_call(void **state)
{
    struct fixture *fx = fixture_with(options());
    struct tcall late = tcall(fx, "db_1", "echo late"), stream = tcall(fx, "db_1", "hang"),
                 running = tcall(fx, "db_1", "waiting 0");
    (void)state;
    stream.call.place = ENGINE_STREAM;
    submit(&stream);
    run_for(fx, 30000);
    submit(&running);
    run_for(fx, 10000);
    supervise_evict(fx->s, S("db_1"), on_evicted, fx->l);
    (void)expect_refused(&late, ERR_NOT_FOUND);
    run(fx);
    while (fake_starter->living > 0)
        run_for(fx, 5000);
    expect_failed(&stream, ERR_UNAVAILABLE);
    expect_answer(&running, "seen");
    (void)expect_refused(&late, ERR_NOT_FOUND);
    supervise_allow(fx->s, S("db_1"));
    expect_call(fx, "db_1", "echo x", "x");
    supervise_evict(fx->s, S("db_unknown"), on_evicted, fx->l);
    run(fx);
    fixture_free(fx);
}

void test_supervise__shutdown_finishes_what_runs_and_fails_what_waits(void **state)
{
    struct fixture *fx = fixture_with(options());
    struct tcall runs = tcall(fx, "db_1", "echo runs"), waits = tcall(fx, "db_2", "echo waits"),
                 late = tcall(fx, "db_3", "echo late");
    (void)state;
    expect_call(fx, "db_1", "echo warm", "warm");
    submit(&runs);
    submit(&waits);
    supervise_shutdown(fx->s, on_stopped, fx);
    (void)expect_refused(&late, ERR_UNAVAILABLE);
    assert_false(supervise_ready(fx->s));
    while (!fx->stopped)
        run(fx);
    expect_answer(&runs, "runs");
    expect_failed(&waits, ERR_UNAVAILABLE);
    assert_int_equal(fake_starter->living, 0);
    supervise_free(fx->s);
    loop_timer_release(&fx->bound);
    loop_free(fx->l);
    tmpdir_release(&fx->dir);
    free(fx);
}

/* --- worker threads --- */

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

void test_supervise__workers_call_and_wait(void **state)
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

void test_supervise__a_worker_learns_of_failures(void **state)
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

void test_supervise__workers_evict_and_allow(void **state)
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
void test_supervise__a_worker_does_not_wait_for_a_loop_that_stops(void **state)
{
    struct fixture *fx = fixture_with(options());
    struct sync_case posted = {.fx = fx, .err = ERR_INIT}, late = posted;
    pthread_t tid;
    (void)state;
    assert_int_equal(pthread_create(&tid, NULL, late_main, &posted), 0);
    supervise_shutdown(fx->s, on_stopped, fx); /* before or after the call was posted: it ends either way */
    pthread_join(tid, NULL);
    assert_int_equal(posted.code, ERR_UNAVAILABLE);
    assert_int_equal(pthread_create(&tid, NULL, late_main, &late), 0);
    pthread_join(tid, NULL);
    assert_int_equal(late.code, ERR_UNAVAILABLE);
    run(fx);
    supervise_free(fx->s);
    loop_timer_release(&fx->bound);
    loop_free(fx->l);
    tmpdir_release(&fx->dir);
    free(fx);
}
