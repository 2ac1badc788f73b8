/* Calls with an Idempotency-Key or a Plan-Key: one execution each, and what is kept of it. */
#include "lib/engine_fixture.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static struct wire_call keyed(struct engine_fixture *fx, const char *sql, struct str key)
{
    struct wire_call call = engine_call_new(WIRE_OP_QUERY, engine_query_body(fx, sql, NULL));
    call.idempotency_key = key;
    return call;
}

/* One execution for each key, also in the same turn, across a crash, and never across tokens. */
void test_engine_keys__idempotency(void **state)
{
    struct engine_fixture fx;
    struct engine_answer a[3];
    (void)state;
    engine_fixture_start(&fx);
    (void)engine_ok(&fx, "CREATE TABLE t (id INTEGER PRIMARY KEY)");
    struct wire_call call = keyed(&fx, "INSERT INTO t DEFAULT VALUES", S("k1"));
    uint64_t first = fx.next_id;
    for (int i = 0; i < 3; i++)
        (void)engine_queue(&fx, &call);
    engine_exchange(&fx, first, 3, a);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(a[i].head.status, 200);
        assert_int_equal(a[i].head.idempotency_replayed, i > 0);
        assert_true(str_eq(a[i].body, a[0].body));
    }
    (void)engine_fixture_end(&fx, true);
    engine_fixture_again(&fx, ENGINE_WRITER);
    a[1] = engine_ask(&fx, &call);
    assert_int_equal(a[1].head.idempotency_replayed, 1);
    assert_true(str_eq(a[1].body, a[0].body));
    call.token_id = S("tok_other");
    assert_int_equal(engine_ask(&fx, &call).head.idempotency_replayed, 0);
    engine_expect_rows(&fx, "SELECT count(*) FROM t", "[[2]]");
    assert_int_equal(engine_fixture_stop(&fx), 0);
}

/* Who may only read must not fill the file with answers; and what is too large to be kept is said with its
 * limit. */
void test_engine_keys__answers_of_reads_are_not_kept(void **state)
{
    struct engine_fixture fx;
    struct engine_answer a;
    (void)state;
    engine_fixture_start(&fx);
    (void)engine_ok(&fx, "CREATE TABLE t (x)");
    struct wire_call read = keyed(&fx, "SELECT count(*) FROM t", S("read"));
    read.role = WIRE_ROLE_READONLY;
    assert_int_equal(engine_ask(&fx, &read).head.status, 200);
    (void)engine_ok(&fx, "INSERT INTO t VALUES (1)");
    a = engine_ask(&fx, &read);
    assert_int_equal(a.head.idempotency_replayed, 0);
    engine_expect(a.body, "[[1]]");
    struct wire_call batch = engine_call_new(WIRE_OP_BATCH,
        "{\"statements\":[{\"sql\":\"SELECT 1\"},{\"sql\":\"SELECT nope\"}],\"transaction\":false}");
    batch.idempotency_key = S("reads");
    assert_int_equal(engine_ask(&fx, &batch).head.status, 400);
    batch.body = S("{\"statements\":[{\"sql\":\"SELECT 1\"},{\"sql\":\"SELECT 2\"}],\"transaction\":false}");
    assert_int_equal(engine_ask(&fx, &batch).head.status, 200); /* a kept part would make it 422 */
    struct wire_call nothing = keyed(&fx, "UPDATE t SET x = 2 WHERE x = 7", S("none"));
    assert_int_equal(engine_ask(&fx, &nothing).head.status, 200);
    assert_int_equal(engine_ask(&fx, &nothing).head.idempotency_replayed, 1);
    struct wire_call large =
        keyed(&fx, "INSERT INTO t VALUES (3) RETURNING hex(zeroblob(1960000))", S("large"));
    a = engine_ask(&fx, &large);
    assert_int_equal(a.head.status, 400);
    engine_expect(a.body, "3900000 bytes");
    engine_expect_rows(&fx, "SELECT count(*) FROM t", "[[1]]");
    assert_int_equal(engine_fixture_stop(&fx), 0);
}

void test_engine_keys__failures_are_not_kept(void **state)
{
    struct engine_fixture fx;
    (void)state;
    engine_fixture_start(&fx);
    struct wire_call call = keyed(&fx, "INSERT INTO t VALUES (1)", S("k1"));
    assert_int_equal(engine_ask(&fx, &call).head.status, 400);
    (void)engine_ok(&fx, "CREATE TABLE t (id INTEGER PRIMARY KEY)");
    struct engine_answer a = engine_ask(&fx, &call);
    assert_int_equal(a.head.status, 200);
    assert_int_equal(a.head.idempotency_replayed, 0);
    assert_int_equal(engine_ask(&fx, &call).head.idempotency_replayed, 1);
    /* The statement could not even be prepared any more: the stored answer comes all the same. */
    (void)engine_ok(&fx, "DROP TABLE t");
    assert_int_equal(engine_ask(&fx, &call).head.idempotency_replayed, 1);
    assert_int_equal(engine_fixture_stop(&fx), 0);
}

void test_engine_keys__plans(void **state)
{
    struct engine_fixture fx;
    (void)state;
    engine_fixture_start(&fx);
    struct wire_call one = engine_call_new(WIRE_OP_QUERY, engine_query_body(&fx, "CREATE TABLE t (x)", NULL));
    one.plan_key = S("migrate-7");
    one.plan_step = S("1-create");
    struct wire_call two =
        engine_call_new(WIRE_OP_QUERY, engine_query_body(&fx, "ALTER TABLE t ADD COLUMN y", NULL));
    two.plan_key = S("migrate-7");
    two.plan_step = S("2-add");
    for (int round = 0; round < 2; round++) {
        struct engine_answer a = engine_ask(&fx, &one), b = engine_ask(&fx, &two);
        assert_int_equal(a.head.status, 200);
        assert_int_equal(b.head.status, 200);
        assert_int_equal(a.head.plan_replayed, round);
        assert_int_equal(b.head.plan_replayed, round);
        assert_int_equal(b.head.idempotency_replayed, 0);
    }
    assert_int_equal(engine_fixture_stop(&fx), 0);
}
