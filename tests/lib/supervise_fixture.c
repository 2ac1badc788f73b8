/* What the tests of the supervisor share. */
#include "lib/supervise_fixture.h"
#include <stdlib.h>

enum { BOUND_US = 20 * SECOND };

static void on_bound(void *arg)
{
    struct fixture *fx = arg;
    fx->timed_out = true;
    loop_stop(fx->l);
}

struct supervise_options options(void)
{
    return (struct supervise_options){.idle_us = 3600LL * SECOND,
        .kill_grace_us = 100000,
        .engines_max = 50,
        .calls_per_db_max = 1000,
        .readers_max = 2,
        .db_bytes_max = 1 << 20};
}

struct fixture *fixture_made(
    struct supervise_options opt, struct engine_starter *(*make)(struct loop *l, struct supervisor *s))
{
    struct fixture *fx = calloc(1, sizeof *fx);
    struct err err;
    tmpdir_init(&fx->dir);
    opt.data_dir = fx->dir.path;
    assert_int_equal(loop_new(&fx->l, &err), ERR_OK);
    assert_int_equal(supervise_new_with(fx->l, &opt, make, &fx->s, &err), ERR_OK);
    loop_timer_init(&fx->bound, fx->l, on_bound, fx);
    return fx;
}

struct fixture *fixture_with(struct supervise_options opt)
{
    return fixture_made(opt, fake_starter_make);
}

void run(struct fixture *fx)
{
    loop_timer_set(&fx->bound, BOUND_US);
    loop_run(fx->l);
    loop_timer_cancel(&fx->bound);
    assert_false(fx->timed_out);
}

void fixture_on_stopped(void *arg)
{
    struct fixture *fx = arg;
    fx->stopped = true;
    loop_stop(fx->l);
}

void fixture_stop(struct fixture *fx)
{
    supervise_shutdown(fx->s, fixture_on_stopped, fx);
    while (!fx->stopped) /* the end of the last call stops the loop too */
        run(fx);
}

void fixture_free(struct fixture *fx)
{
    if (!fx->stopped)
        fixture_stop(fx);
    assert_int_equal(fx->open, 0);
    if (fake_starter)
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

/* Every database has a directory: one without is a lost one. */
static void make_directory(struct fixture *fx, const char *db)
{
    char all[FS_PATH_MAX], path[FS_PATH_MAX];
    fs_join(all, fx->dir.path, "db");
    fs_join(path, all, db);
    assert_int_equal(fs_mkdir_p(path, 0700, NULL), ERR_OK);
}

struct tcall tcall(struct fixture *fx, const char *db, const char *body)
{
    struct tcall t = {.fx = fx, .err = ERR_INIT};
    make_directory(fx, db);
    t.call = (struct engine_call){.db_id = str_of(db), .on_data = on_data, .on_done = on_done};
    t.call.req = (struct wire_call){.op = WIRE_OP_QUERY,
        .role = WIRE_ROLE_ADMIN,
        .deadline_us = clock_mono_us() + FAR_US,
        .body = str_of(body)};
    strbuf_init(&t.got, 32 << 20);
    return t;
}

void submit(struct tcall *t)
{
    struct err err = ERR_INIT;
    if (supervise_submit(t->fx->s, &t->call, &err) != ERR_OK)
        fail_msg("refused: %s", err.message);
    t->fx->open++;
}

int expect_refused(struct tcall *t, enum err_code code)
{
    struct err err = ERR_INIT;
    assert_int_equal(supervise_submit(t->fx->s, &t->call, &err), code);
    assert_int_equal(err.code, code);
    assert_int_equal(t->ends, 0);
    return err.retry_after_s;
}

void expect_answer(struct tcall *t, const char *text)
{
    if (t->err.code != ERR_OK)
        fail_msg("%s instead of %s", t->err.message, text);
    assert_int_equal(t->ends, 1);
    assert_int_equal(t->heads, 1);
    assert_int_equal(t->head.status, 200);
    assert_string_equal(strbuf_cstr(&t->got), text);
    strbuf_release(&t->got);
}

void expect_failed(struct tcall *t, enum err_code code)
{
    assert_int_equal(t->ends, 1);
    assert_int_equal(t->err.code, code);
    strbuf_release(&t->got);
}

void expect_call(struct fixture *fx, const char *db, const char *body, const char *text)
{
    struct tcall t = tcall(fx, db, body);
    submit(&t);
    while (t.ends == 0)
        run(fx);
    expect_answer(&t, text);
}

void expect_crash(struct fixture *fx, const char *db)
{
    struct tcall t = tcall(fx, db, "crash");
    submit(&t);
    while (t.ends == 0)
        run(fx);
    expect_failed(&t, ERR_WORKER_CRASHED);
}

struct supervise_stats stats(struct fixture *fx)
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

void run_for(struct fixture *fx, int64_t us)
{
    struct loop_timer t;
    loop_timer_init(&t, fx->l, wake, fx);
    loop_timer_set(&t, us);
    run(fx);
    loop_timer_release(&t);
}

void run_until_sent(struct fixture *fx)
{
    while (stats(fx).waiting > 0)
        run_for(fx, 1000);
}
