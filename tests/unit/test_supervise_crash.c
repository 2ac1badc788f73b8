/* Engines that crash, hang and lie: who pays, and what the others notice. */
#include "lib/supervise_fixture.h"
#include <string.h>

void test_supervise_crash__a_crash_costs_the_running_call_and_no_other(void **state)
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
void test_supervise_crash__a_crash_in_the_commit_is_not_repeated_blindly(void **state)
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

void test_supervise_crash__a_call_is_sent_again_only_so_often(void **state)
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

void test_supervise_crash__the_breaker_opens_tries_and_closes(void **state)
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

void test_supervise_crash__an_engine_that_cannot_open_says_why(void **state)
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

void test_supervise_crash__a_start_that_fails_is_told_and_not_blamed(void **state)
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

void test_supervise_crash__a_damaged_database_is_set_aside(void **state)
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

void test_supervise_crash__a_silent_engine_is_killed_and_neighbours_run_again(void **state)
{
    struct fixture *fx = fixture_with(options());
    struct tcall before = tcall(fx, "db_1", "echo before"), hang = tcall(fx, "db_1", "hang"),
                 after = tcall(fx, "db_1", "echo after");
    (void)state;
    expect_call(fx, "db_1", "echo warm", "warm");
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
void test_supervise_crash__deadline_kills_do_not_open_the_breaker(void **state)
{
    struct fixture *fx = fixture_with(options());
    (void)state;
    for (int i = 0; i < LIMIT_BREAKER_CRASHES + 1; i++) {
        struct tcall hang = tcall(fx, "db_1", "hang");
        expect_call(fx, "db_1", "echo warm", "warm");
        hang.call.req.deadline_us = clock_mono_us();
        submit(&hang);
        run(fx);
        expect_failed(&hang, ERR_QUERY_TIMEOUT);
    }
    expect_call(fx, "db_1", "echo fine", "fine");
    assert_int_equal(stats(fx).kills_deadline, LIMIT_BREAKER_CRASHES + 1);
    fixture_free(fx);
}

/* The one that stands behind a slower one with more time is told, and the slower one is not killed for it. */
void test_supervise_crash__a_call_behind_a_slow_one_times_out_alone(void **state)
{
    struct supervise_options opt = options();
    opt.kill_grace_us = SECOND; /* time enough for the engine to begin, on a machine with much to do */
    struct fixture *fx = fixture_with(opt);
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
void test_supervise_crash__an_engine_is_not_killed_while_it_commits(void **state)
{
    struct supervise_options opt = options();
    opt.kill_grace_us = SECOND; /* time enough for the engine to begin, on a machine with much to do */
    struct fixture *fx = fixture_with(opt);
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

void test_supervise_crash__a_running_call_is_cancelled_through_the_board(void **state)
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

void test_supervise_crash__a_waiting_call_is_cancelled_but_not_at_once(void **state)
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

void test_supervise_crash__an_engine_that_breaks_the_protocol_is_killed(void **state)
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
