/* Reader engines, streams with a slow receiver, scratch engines. */
#include "lib/supervise_fixture.h"

void test_supervise_stream__a_long_read_moves_to_a_reader(void **state)
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

void test_supervise_stream__without_readers_nothing_is_bounced(void **state)
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

void test_supervise_stream__a_reader_that_crashes_costs_its_call(void **state)
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
void test_supervise_stream__a_stream_that_breaks_off_fails(void **state)
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

void test_supervise_stream__a_stream_stops_and_goes_on(void **state)
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
    while (beside.ends == 0)
        run_for(fx, 1000);
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
void test_supervise_stream__a_paused_stream_outlives_its_engine(void **state)
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

void test_supervise_stream__a_stalled_stream_is_killed(void **state)
{
    struct fixture *fx = fixture_with(options());
    struct tcall t = tcall(fx, "db_1", "chunks 200 50000"), late;
    (void)state;
    t.call.place = ENGINE_STREAM;
    t.pause_after = 1;
    submit(&t);
    run(fx);
    clock_test_set(clock_mono_us() + 31LL * SECOND, clock_wall_ms());
    late = tcall(fx, "db_1", "echo late");
    late.call.req.deadline_us =
        clock_mono_us() - 10 * SECOND; /* so that the supervisor looks at its clock now */
    submit(&late);
    run(fx);
    clock_test_stop();
    expect_failed(&t, ERR_UNAVAILABLE);
    strbuf_release(&late.got);
    assert_int_equal(stats(fx).kills_stalled, 1);
    fixture_free(fx);
}

void test_supervise_stream__a_cancelled_stream_ends(void **state)
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

void test_supervise_stream__scratch_engines_are_thrown_away(void **state)
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
