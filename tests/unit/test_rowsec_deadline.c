/* Calls under policies end like any others: at their deadline, when they are cancelled, and where others
 * wait on a reader engine. */
#include "lib/engine_fixture.h"
#include "base/clock.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>

/* Processor time beyond the deadline: less than the 500 ms after which the front ends the engine. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { SLOWER = 10 }; /* what a sanitizer makes of copies and checks */
#else
enum { SLOWER = 1 };
#endif
enum { DEADLINE_US = 200000, LATE_US_MAX = 450000 * SLOWER };

#define HEAVY "(SELECT count(*) FROM many a, many b, many c, many d) > 0"

#define DENSE "length(hex(randomblob(1900000))) + length(hex(randomblob(1900000)))"

static struct engine_fixture fx;

static struct wire_call under(const char *sql)
{
    struct wire_call call = engine_call_new(WIRE_OP_QUERY, engine_query_body(&fx, sql, NULL));
    call.role = WIRE_ROLE_READWRITE;
    call.claims = S("{\"tenant\":\"a\"}");
    call.deadline_us = clock_mono_us() + DEADLINE_US;
    return call;
}

static void policy(const char *json)
{
    struct wire_call call = engine_call_new(WIRE_OP_POLICY_SET, json);
    assert_int_equal(engine_ask(&fx, &call).head.status, 200);
}

static void begin(void)
{
    engine_fixture_start(&fx);
    (void)engine_ok(&fx, "CREATE TABLE notes (id INTEGER PRIMARY KEY, tenant TEXT, body)");
    (void)engine_ok(&fx, "CREATE TABLE slow (id INTEGER PRIMARY KEY, body)");
    (void)engine_ok(&fx, "CREATE TABLE many (x)");
    (void)engine_ok(&fx, "CREATE TABLE open (x)");
    (void)engine_ok(&fx, ENGINE_ENDLESS "INSERT INTO many SELECT x FROM c LIMIT 2000");
    (void)engine_ok(&fx, ENGINE_ENDLESS "INSERT INTO notes SELECT x, 'a', x FROM c LIMIT 2000");
    (void)engine_ok(&fx, "INSERT INTO slow VALUES (1, 'x')");
    policy("{\"name\":\"own\",\"tableName\":\"notes\",\"using\":\"tenant = :auth_tenant\"}");
    policy("{\"name\":\"see\",\"tableName\":\"slow\",\"command\":\"select\",\"using\":\"1\"}");
    policy("{\"name\":\"add\",\"tableName\":\"slow\",\"command\":\"insert\",\"withCheck\":\"" HEAVY "\"}");
    policy("{\"name\":\"change\",\"tableName\":\"slow\",\"command\":\"update\",\"using\":\"" HEAVY "\"}");
    policy("{\"name\":\"drop\",\"tableName\":\"slow\",\"command\":\"delete\",\"using\":\"" HEAVY "\"}");
}

static void end(void)
{
    assert_int_equal(engine_fixture_stop(&fx), 0);
}

static int64_t ask_late(const char *sql, int64_t deadline_us)
{
    struct wire_call call = under(sql);
    int64_t before = engine_fixture_cpu_us(&fx);
    call.deadline_us = clock_mono_us() + deadline_us;
    struct engine_answer a = engine_ask(&fx, &call);
    if (a.head.status != 504)
        fail_msg("%s: " STR_FMT, sql, STR_ARG(a.body));
    return engine_fixture_cpu_us(&fx) - before;
}

static void expect_late(const char *sql)
{
    int64_t used_us = ask_late(sql, DEADLINE_US);
    if (used_us > DEADLINE_US + LATE_US_MAX)
        fail_msg("%s: %lld us of processor time", sql, (long long)used_us);
}

void test_rowsec_deadline__work_without_end(void **state)
{
    static const char *const ENDLESS[] = {
        ENGINE_ENDLESS "SELECT count(*) FROM c",
        "SELECT count(*) FROM notes a, notes b, notes c, notes d",
        "SELECT (SELECT max(a.body || b.body) FROM notes a, notes b, notes c) FROM notes",
        "INSERT INTO notes (tenant, body) SELECT 'a', a.body FROM notes a, notes b, notes c",
        "UPDATE notes SET body = (SELECT count(*) FROM notes a, notes b, notes c)",
        "DELETE FROM notes WHERE (SELECT count(*) FROM notes a, notes b, notes c) > 0",
        "INSERT INTO slow VALUES (2, 'y')",
        "UPDATE slow SET body = 'z'",
        "DELETE FROM slow",
        "INSERT INTO open SELECT 1 FROM notes a, notes b, notes c",
    };
    (void)state;
    begin();
    for (size_t i = 0; i < ARRAY_LEN(ENDLESS); i++)
        expect_late(ENDLESS[i]);
    engine_expect_rows(&fx,
        "SELECT count(*), (SELECT body FROM slow), (SELECT count(*) FROM open) FROM notes",
        "[[2000,\"x\",0]]");
    end();
}

/* The pace at which the engine looks at the clock is that of the statement at hand, whichever connection ran
 * the one before. */
void test_rowsec_deadline__heavy_operations(void **state)
{
    static const char *const HEAVY_OPS[] = {"SELECT " DENSE " + " DENSE " + " DENSE " + " DENSE " + " DENSE
                                            " FROM n",
        "SELECT count(DISTINCT randomblob(1000000)) FROM n",
        "SELECT sum(length(hex(randomblob(1900000)))) FROM n",
        "SELECT randomblob(500000) FROM n ORDER BY 1 LIMIT 1"};
    (void)state;
    begin();
    for (size_t i = 0; i < ARRAY_LEN(HEAVY_OPS); i++) {
        char sql[600];
        (void)snprintf(sql, sizeof sql, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) %s",
            HEAVY_OPS[i]);
        (void)engine_ok(&fx, "SELECT 1");
        expect_late(sql);
    }
    end();
}

/* One turn: those before and after keep their work, whoever they are. */
void test_rowsec_deadline__neighbours_keep_their_work(void **state)
{
    struct engine_answer a[5];
    (void)state;
    begin();
    struct wire_call one = under("INSERT INTO notes VALUES (3001, 'a', 1)");
    struct wire_call slow = under("UPDATE slow SET body = 'z'");
    struct wire_call two = under("INSERT INTO notes VALUES (3002, 'a', 1)");
    one.deadline_us = two.deadline_us = clock_mono_us() + 15000000;
    uint64_t first = engine_queue_sql(&fx, "INSERT INTO open VALUES (1)");
    (void)engine_queue(&fx, &one);
    (void)engine_queue(&fx, &slow);
    (void)engine_queue(&fx, &two);
    (void)engine_queue_sql(&fx, "INSERT INTO open VALUES (2)");
    engine_exchange(&fx, first, 5, a);
    for (int i = 0; i < 5; i++)
        assert_int_equal(a[i].head.status, i == 2 ? 504 : 200);
    engine_expect_rows(&fx,
        "SELECT count(*), (SELECT count(*) FROM open), (SELECT body FROM slow) FROM notes WHERE id > 3000",
        "[[2,2,\"x\"]]");
    end();
}

/* Nothing in one operation that writes and reads megabytes heeds an interrupt. */
void test_rowsec_deadline__large_rows(void **state)
{
    (void)state;
    begin();
    (void)engine_ok(&fx, "UPDATE notes SET body = zeroblob(3900000) WHERE id <= 34");
    /* One look at the clock is some copies of 4 MB after the other: on a slow machine the front's SIGKILL
     * comes first. That the engine finds out by itself and keeps everything is what counts. */
    (void)ask_late("UPDATE notes SET body = body || 'x'", 5000);
    (void)ask_late("DELETE FROM notes", 5000);
    engine_expect_rows(&fx, "SELECT count(*), sum(length(body)) > 132600000 FROM notes", "[[2000,1]]");
    end();
}

void test_rowsec_deadline__cancel_and_bounce(void **state)
{
    struct engine_fixture reader;
    (void)state;
    begin();
    struct wire_call call = under("SELECT count(*) FROM notes a, notes b, notes c, notes d");
    call.deadline_us = clock_mono_us() + 15000000;
    uint64_t id = engine_queue(&fx, &call);
    engine_send_all(&fx);
    atomic_store(&fx.board->cancel_call, id);
    struct engine_answer a = engine_receive(&fx);
    assert_int_equal(a.head.status, 503);
    engine_expect(a.body, "cancelled");
    atomic_store(&fx.board->waiting, 1);
    atomic_store(&fx.board->has_readers, 1);
    assert_true(engine_ask(&fx, &call).bounced);
    engine_fixture_beside(&fx, &reader);
    call.deadline_us = clock_mono_us() + DEADLINE_US;
    assert_int_equal(engine_ask(&reader, &call).head.status, 504);
    /* What the reader sees are the caller's rows, also of policies that came after it. */
    struct wire_call count = under("SELECT count(*) FROM open");
    count.deadline_us = clock_mono_us() + 15000000;
    engine_expect(engine_ask(&reader, &count).body, "\"rows\":[[0]]");
    (void)engine_ok(&fx, "INSERT INTO open VALUES (1), (2)");
    engine_expect(engine_ask(&reader, &count).body, "\"rows\":[[2]]");
    policy("{\"name\":\"one\",\"tableName\":\"open\",\"using\":\"x = 1\"}");
    engine_expect(engine_ask(&reader, &count).body, "\"rows\":[[1]]");
    assert_int_equal(engine_fixture_leave(&reader), 0);
    end();
}

/* Memory is the process's; what a statement under policies may not have is refused, and the engine stays. */
void test_rowsec_deadline__memory(void **state)
{
    static const char *const LARGE[] = {
        "SELECT group_concat(randomblob(900000)) FROM notes",
        "SELECT json_group_array(printf('%.*c', 900000, 'x')) FROM notes",
        "SELECT sum(length(s)) OVER (ORDER BY id ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)"
        " FROM (SELECT id, randomblob(900000) AS s FROM notes)",
    };
    (void)state;
    begin();
    for (size_t i = 0; i < ARRAY_LEN(LARGE); i++) {
        struct wire_call call = under(LARGE[i]);
        call.deadline_us = clock_mono_us() + 2000000;
        struct engine_answer a = engine_ask(&fx, &call);
        if (a.head.status == 200)
            fail_msg("%s: " STR_FMT, LARGE[i], STR_ARG(str_slice(a.body, 0, 200)));
    }
    struct wire_call call = under("SELECT count(*) FROM notes");
    call.deadline_us = clock_mono_us() + 15000000;
    engine_expect(engine_ask(&fx, &call).body, "\"rows\":[[2000]]");
    end();
}
