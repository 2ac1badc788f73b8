/* What runs too long: deadlines, cancels, long reads that go elsewhere or stand back. */
#include "lib/engine_fixture.h"
#include "base/clock.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <sys/resource.h>

/* A read and a write that would run for ever end at their deadline; the write's neighbours keep their work.
 */
void test_engine_deadline__deadlines(void **state)
{
    struct engine_fixture fx;
    struct engine_answer a[4];
    (void)state;
    engine_fixture_start(&fx);
    (void)engine_ok(&fx, "CREATE TABLE t (id INTEGER PRIMARY KEY)");
    struct wire_call read =
        engine_call_new(WIRE_OP_QUERY, engine_query_body(&fx, ENGINE_ENDLESS "SELECT count(*) FROM c", NULL));
    struct wire_call write = engine_call_new(
        WIRE_OP_QUERY, engine_query_body(&fx, "INSERT INTO t " ENGINE_ENDLESS "SELECT NULL FROM c", NULL));
    read.deadline_us = clock_mono_us() + 200000;
    write.deadline_us = clock_mono_us() + 400000;
    int64_t begin = clock_mono_us();
    uint64_t first = engine_queue_sql(&fx, "INSERT INTO t VALUES (-1)");
    (void)engine_queue(&fx, &read);
    (void)engine_queue(&fx, &write);
    (void)engine_queue_sql(&fx, "INSERT INTO t VALUES (-2)");
    engine_exchange(&fx, first, 4, a);
    assert_true(clock_mono_us() - begin < 4000000);
    assert_int_equal(a[0].head.status, 200);
    assert_int_equal(a[1].head.status, 504);
    engine_expect(a[1].body, "\"code\":\"query_timeout\"");
    assert_int_equal(a[2].head.status, 504);
    assert_int_equal(a[3].head.status, 200);
    engine_expect_rows(&fx, "SELECT group_concat(id) FROM t", "[[\"-2,-1\"]]");
    struct wire_call late = engine_call_new(WIRE_OP_QUERY, "{\"sql\":\"SELECT 1\"}");
    late.deadline_us = clock_mono_us() - 1;
    assert_int_equal(engine_ask(&fx, &late).head.status, 504);
    assert_int_equal(engine_fixture_stop(&fx), 0);
}

void test_engine_deadline__cancel_and_bounce(void **state)
{
    struct engine_fixture fx;
    (void)state;
    engine_fixture_start(&fx);
    struct wire_call call =
        engine_call_new(WIRE_OP_QUERY, engine_query_body(&fx, ENGINE_ENDLESS "SELECT count(*) FROM c", NULL));
    call.deadline_us = clock_mono_us() + 15000000;
    uint64_t id = engine_queue(&fx, &call);
    engine_send_all(&fx);
    atomic_store(&fx.board->cancel_call, id);
    struct engine_answer a = engine_receive(&fx);
    assert_int_equal(a.head.status, 503);
    engine_expect(a.body, "cancelled");
    atomic_store(&fx.board->waiting, 1);
    atomic_store(&fx.board->has_readers, 1);
    a = engine_ask(&fx, &call);
    assert_true(a.bounced);
    /* A write is never bounced. */
    call.body = str_of("{\"sql\":\"CREATE TABLE t AS WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 "
                       "FROM c WHERE x < 400000) SELECT x FROM c\"}");
    a = engine_ask(&fx, &call);
    assert_false(a.bounced);
    assert_int_equal(a.head.status, 200);
    assert_int_equal(engine_fixture_stop(&fx), 0);
}

/* Nobody kills here: the engine itself must end operations that take milliseconds each. */
void test_engine_deadline__heavy_operations_end_at_the_deadline(void **state)
{
    static const char *const HEAVY[] = {"SELECT count(DISTINCT randomblob(1000000)) FROM n",
        "SELECT sum(length(hex(randomblob(1900000)))) FROM n",
        "SELECT randomblob(500000) FROM n ORDER BY 1 LIMIT 1"};
    struct engine_fixture fx;
    (void)state;
    engine_fixture_start(&fx);
    for (size_t i = 0; i < ARRAY_LEN(HEAVY); i++) {
        char sql[200];
        (void)snprintf(
            sql, sizeof sql, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) %s", HEAVY[i]);
        struct wire_call call = engine_call_new(WIRE_OP_QUERY, engine_query_body(&fx, sql, NULL));
        int64_t before = engine_fixture_cpu_us(&fx);
        call.deadline_us = clock_mono_us() + 600000;
        struct engine_answer a = engine_ask(&fx, &call);
        assert_int_equal(a.head.status, 504);
        assert_true(clock_mono_us() >= call.deadline_us);
        assert_in_range(engine_fixture_cpu_us(&fx) - before, 0, 600000 + 450000);
    }
    (void)engine_ok(&fx, "SELECT 1");
    assert_int_equal(engine_fixture_stop(&fx), 0);
}

/* One operation that walks more than 32,000 pages: nothing in it heeds an interrupt. */
void test_engine_deadline__emptying_a_large_table_ends_at_the_deadline(void **state)
{
    static const char *const WALKS[] = {"DELETE FROM big", "DROP TABLE big"};
    struct engine_fixture fx;
    struct engine_answer a[3];
    (void)state;
    engine_fixture_start(&fx);
    (void)engine_ok(&fx, "CREATE TABLE big (v)");
    (void)engine_ok(&fx, "CREATE TABLE t (x)");
    (void)engine_ok(&fx, ENGINE_ENDLESS "INSERT INTO big SELECT zeroblob(3900000) FROM c LIMIT 34");
    for (size_t i = 0; i < ARRAY_LEN(WALKS); i++) {
        struct wire_call call = engine_call_new(WIRE_OP_QUERY, engine_query_body(&fx, WALKS[i], NULL));
        uint64_t first = engine_queue_sql(&fx, "INSERT INTO t VALUES (1)");
        call.deadline_us = clock_mono_us() + 5000;
        (void)engine_queue(&fx, &call);
        (void)engine_queue_sql(&fx, "INSERT INTO t VALUES (2)");
        engine_exchange(&fx, first, 3, a);
        assert_int_equal(a[0].head.status, 200);
        assert_int_equal(a[1].head.status, 504);
        engine_expect(a[1].body, "\"code\":\"query_timeout\"");
        assert_int_equal(a[2].head.status, 200);
    }
    engine_expect_rows(&fx, "SELECT count(*), (SELECT count(*) FROM t) FROM big", "[[34,4]]");
    (void)engine_ok(&fx, "DROP TABLE big");
    assert_int_equal(engine_fixture_stop(&fx), 0);
}

/* A long read lowers the engine's priority, and says so; short reads and long writes do not. */
void test_engine_deadline__long_reads_stand_back(void **state)
{
    struct engine_fixture fx;
    (void)state;
    engine_fixture_start(&fx);
    int before = getpriority(PRIO_PROCESS, (id_t)fx.pid);
    (void)engine_ok(&fx, "CREATE TABLE t (x)");
    struct wire_call call = engine_call_new(WIRE_OP_QUERY,
        engine_query_body(
            &fx, "INSERT INTO t SELECT x FROM (" ENGINE_ENDLESS "SELECT x FROM c) WHERE x < 0", NULL));
    call.deadline_us = clock_mono_us() + 300000;
    assert_int_equal(engine_ask(&fx, &call).head.status, 504);
    assert_int_equal(atomic_load(&fx.board->stands_back), 0);
    assert_int_equal(getpriority(PRIO_PROCESS, (id_t)fx.pid), before);
    call.body = str_of(engine_query_body(&fx, ENGINE_ENDLESS "SELECT count(*) FROM c", NULL));
    call.deadline_us = clock_mono_us() + 300000;
    assert_int_equal(engine_ask(&fx, &call).head.status, 504);
    assert_int_equal(atomic_load(&fx.board->stands_back), 1);
    assert_int_equal(getpriority(PRIO_PROCESS, (id_t)fx.pid), 19);
    (void)engine_ok(&fx, "SELECT 1");
    assert_int_equal(engine_fixture_stop(&fx), 0);
}
