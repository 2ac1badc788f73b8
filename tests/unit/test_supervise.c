/* The supervisor over fake engines: calls, the population of engines, eviction, the end. */
#include "lib/supervise_fixture.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

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
    assert_int_equal(cold.ends, 0); /* there is nobody to start its engine */
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
    submit(&running);
    run_until_sent(fx);
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
    supervise_shutdown(fx->s, fixture_on_stopped, fx);
    (void)expect_refused(&late, ERR_UNAVAILABLE);
    assert_false(supervise_ready(fx->s));
    while (!fx->stopped)
        run(fx);
    expect_answer(&runs, "runs");
    expect_failed(&waits, ERR_UNAVAILABLE);
    assert_int_equal(fake_starter->living, 0);
    fixture_free(fx);
}
