/* Calls through a real engine process: answers, group commit, redo, keys, deadlines, failures. */
#define _GNU_SOURCE /* memmem */
#include "lib/engine_fixture.h"
#include "base/clock.h"
#include "json/jsonw.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static bool has(struct str body, const char *text)
{
    return memmem(body.ptr, body.len, text, strlen(text)) != NULL;
}

static void expect_has(struct str body, const char *text)
{
    if (!has(body, text))
        fail_msg("%s\n  is not in %.*s", text, STR_ARG(body));
}

static void expect_rows(struct engine_fixture *fx, const char *sql, const char *rows)
{
    expect_has(engine_ok(fx, sql), rows);
}

/* Queues a query, to be sent with others in one turn. */
static uint64_t queue_sql(struct engine_fixture *fx, const char *sql)
{
    struct wire_call call = engine_call_new(WIRE_OP_QUERY, engine_query_body(fx, sql, NULL));
    return engine_queue(fx, &call);
}

static uint64_t queue_batch(struct engine_fixture *fx, const char *statements, bool transaction)
{
    char body[2000];
    (void)snprintf(body, sizeof body, "{\"statements\":[%s],\"transaction\":%s}", statements,
        transaction ? "true" : "false");
    const char *copy = arena_strdup(&fx->arena, body);
    struct wire_call call = engine_call_new(WIRE_OP_BATCH, copy);
    return engine_queue(fx, &call);
}

/* Sends what is queued and collects `count` answers by their place in the queue. */
static void exchange(struct engine_fixture *fx, uint64_t first, size_t count, struct engine_answer *out)
{
    engine_send_all(fx);
    for (size_t i = 0; i < count; i++) {
        struct engine_answer a = engine_receive(fx);
        assert_true(a.id >= first && a.id < first + count);
        out[a.id - first] = a;
    }
}

void test_engine_turn__answers_a_query(void **state)
{
    struct engine_fixture fx;
    (void)state;
    engine_fixture_start(&fx);
    expect_has(engine_ok(&fx, "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)"), "\"changes\":0");
    expect_has(
        engine_ok(&fx, "INSERT INTO t (v) VALUES ('a'), ('b')"), "\"changes\":2,\"lastInsertRowid\":2");
    struct engine_answer a = engine_sql(&fx, "SELECT id, v FROM t WHERE id = ?", "[2]");
    assert_int_equal(a.head.status, 200);
    expect_has(a.body, "{\"success\":true,\"data\":{\"columns\":[\"id\",\"v\"],\"rows\":[[2,\"b\"]],"
                       "\"rowsRead\":1,\"rowsWritten\":0},");
    expect_has(a.body, "\"costUsd\":0.000000505");
    expect_has(a.body, "\"queryLogId\":\"ql_");
    expect_has(engine_ok(&fx, "SELECT count(*) FROM t"), "\"rowsRead\":2");
    expect_has(engine_ok(&fx, "SELECT * FROM t WHERE v = 'b'"), "\"rowsRead\":2");
    expect_has(engine_ok(&fx, "UPDATE t SET v = 'c'"), "\"rowsWritten\":2,\"changes\":2");
    expect_has(engine_ok(&fx, "INSERT INTO t DEFAULT VALUES RETURNING id"), "\"rows\":[[3]]");
    assert_int_equal(engine_fixture_stop(&fx), 0);
}

#define ST(sql) "{\"sql\":\"" sql "\"}"

/* What a statement did itself is told: no hidden rows of the schema's, and no row of another call. */
void test_engine_turn__counts_are_the_callers_own(void **state)
{
    struct engine_fixture fx;
    (void)state;
    engine_fixture_start(&fx);
    (void)engine_ok(&fx, "CREATE TABLE t (id INTEGER PRIMARY KEY, v)");
    expect_has(engine_ok(&fx, "INSERT INTO t VALUES (41, 'a')"), "\"lastInsertRowid\":41");
    expect_has(engine_ok(&fx, "CREATE VIRTUAL TABLE f USING fts5(a)"),
        "\"rowsWritten\":0,\"changes\":0,\"lastInsertRowid\":0}");
    expect_has(engine_ok(&fx, "CREATE TABLE c AS SELECT * FROM t"),
        "\"rowsWritten\":0,\"changes\":0,\"lastInsertRowid\":0}");
    expect_has(engine_ok(&fx, "DROP TABLE f"), "\"rowsWritten\":0,\"changes\":0,\"lastInsertRowid\":0}");
    expect_has(engine_ok(&fx, "UPDATE t SET v = 'b'"), "\"changes\":1,\"lastInsertRowid\":0}");
    expect_has(engine_ok(&fx, "SELECT last_insert_rowid()"), "\"rows\":[[0]]");
    struct engine_answer a;
    exchange(&fx,
        queue_batch(&fx,
            ST("INSERT INTO t VALUES (42, 'c')") "," ST("CREATE VIRTUAL TABLE f USING fts5(a)") "," ST(
                "SELECT last_insert_rowid()"),
            true),
        1, &a);
    expect_has(a.body, "\"changes\":0,\"lastInsertRowid\":42}");
    expect_has(a.body, "\"rows\":[[42]]");
    assert_int_equal(engine_fixture_stop(&fx), 0);
}

/* Sixty-four writes that arrive together are one commit; each gets its own answer. */
void test_engine_turn__group_commit(void **state)
{
    struct engine_fixture fx;
    struct engine_answer a[64];
    char sql[80];
    (void)state;
    engine_fixture_start(&fx);
    (void)engine_ok(&fx, "CREATE TABLE t (id INTEGER PRIMARY KEY)");
    uint64_t before = fx.board->commits, first = fx.next_id;
    for (int i = 0; i < 64; i++) {
        (void)snprintf(sql, sizeof sql, "INSERT INTO t VALUES (%d)", i == 40 ? 7 : i);
        (void)queue_sql(&fx, sql);
    }
    exchange(&fx, first, 64, a);
    for (int i = 0; i < 64; i++)
        assert_int_equal(a[i].head.status, i == 40 ? 400 : 200);
    /* One, unless the socket cut the frames in two or a slow machine used up a group's time. */
    assert_true(fx.board->commits - before <= 16);
    assert_int_equal(fx.board->writes, 64);
    expect_rows(&fx, "SELECT count(*) FROM t", "[[63]]");
    assert_int_equal(engine_fixture_stop(&fx), 0);
}

/* A statement that ends the transaction of all gets its error; the neighbours' work is there, once. */
void test_engine_turn__redoes_the_neighbours(void **state)
{
    static const char *const CULPRITS[] = {
        "INSERT OR ROLLBACK INTO t VALUES (1, 'again')",
        "UPDATE OR ROLLBACK t SET id = 1 WHERE id = 2",
        "INSERT INTO bomb VALUES (1)",
    };
    (void)state;
    for (size_t c = 0; c < ARRAY_LEN(CULPRITS); c++) {
        struct engine_fixture fx;
        struct engine_answer a[5];
        engine_fixture_start(&fx);
        (void)engine_ok(&fx, "CREATE TABLE t (id INTEGER PRIMARY KEY, v)");
        (void)engine_ok(&fx, "CREATE TABLE count_me (n)");
        (void)engine_ok(&fx, "CREATE TABLE bomb (x)");
        (void)engine_ok(
            &fx, "CREATE TRIGGER boom AFTER INSERT ON bomb BEGIN SELECT RAISE(ROLLBACK, 'boom'); END");
        (void)engine_ok(&fx, "INSERT INTO t VALUES (1, 'one'), (2, 'two')");
        uint64_t first = queue_sql(&fx, "INSERT INTO count_me VALUES (1)");
        (void)queue_sql(&fx, "UPDATE t SET v = v || '!'");
        (void)queue_sql(&fx, CULPRITS[c]);
        (void)queue_sql(&fx, "INSERT INTO count_me VALUES (2)");
        (void)queue_batch(&fx, "{\"sql\":\"INSERT INTO count_me VALUES (3)\"}", true);
        exchange(&fx, first, 5, a);
        for (int i = 0; i < 5; i++)
            assert_int_equal(a[i].head.status, i == 2 ? 400 : 200);
        assert_int_equal(fx.board->rollback_redos, 2);
        expect_rows(&fx, "SELECT group_concat(n) FROM count_me", "[[\"1,2,3\"]]");
        expect_rows(&fx, "SELECT group_concat(v) FROM t", "[[\"one!,two!\"]]");
        expect_rows(&fx, "SELECT count(*) FROM bomb", "[[0]]");
        assert_int_equal(engine_fixture_stop(&fx), 0);
    }
}

/* In a batch without a transaction what came before the culprit stays; with one nothing does; neighbours are
 * untouched. */
void test_engine_turn__culprits_in_batches(void **state)
{
    struct engine_fixture fx;
    struct engine_answer a[4];
    (void)state;
    engine_fixture_start(&fx);
    (void)engine_ok(&fx, "CREATE TABLE t (id INTEGER PRIMARY KEY)");
    uint64_t first = queue_sql(&fx, "INSERT INTO t VALUES (1)");
    (void)queue_batch(&fx,
        ST("INSERT INTO t VALUES (10)") "," ST("INSERT OR ROLLBACK INTO t VALUES (1)") "," ST(
            "INSERT INTO t VALUES (11)"),
        false);
    (void)queue_batch(
        &fx, ST("INSERT INTO t VALUES (20)") "," ST("INSERT OR ROLLBACK INTO t VALUES (1)"), true);
    (void)queue_sql(&fx, "INSERT INTO t VALUES (2)");
    exchange(&fx, first, 4, a);
    assert_int_equal(a[0].head.status, 200);
    assert_int_equal(a[1].head.status, 400);
    expect_has(a[1].body, "\"statementIndex\":1");
    expect_has(a[1].body, "unique_violation");
    assert_int_equal(a[2].head.status, 400);
    expect_has(a[2].body, "\"statementIndex\":1");
    assert_int_equal(a[3].head.status, 200);
    expect_rows(&fx, "SELECT group_concat(id) FROM (SELECT id FROM t ORDER BY id)", "[[\"1,2,10\"]]");
    assert_int_equal(engine_fixture_stop(&fx), 0);
}

void test_engine_turn__batches(void **state)
{
    struct engine_fixture fx;
    struct engine_answer a[1];
    (void)state;
    engine_fixture_start(&fx);
    exchange(&fx,
        queue_batch(&fx,
            ST("CREATE TABLE t (id INTEGER PRIMARY KEY, v)") "," ST("INSERT INTO t (v) VALUES ('x')") "," ST(
                "SELECT count(*) FROM t"),
            true),
        1, a);
    assert_int_equal(a[0].head.status, 200);
    expect_has(a[0].body, "\"data\":[{\"columns\":[],");
    expect_has(a[0].body, "\"rows\":[[1]]");
    expect_has(a[0].body, "\"statementCount\":3");
    exchange(&fx,
        queue_batch(&fx, ST("INSERT INTO t (v) VALUES ('y')") "," ST("SELECT * FROM nowhere"), true), 1, a);
    assert_int_equal(a[0].head.status, 400);
    expect_has(a[0].body, "\"statementIndex\":1");
    expect_rows(&fx, "SELECT count(*) FROM t", "[[1]]");
    exchange(&fx,
        queue_batch(&fx,
            ST("INSERT INTO t (v) VALUES ('y')") "," ST("INSERT INTO t VALUES (1, 1)") "," ST(
                "INSERT INTO t (v) VALUES ('z')"),
            false),
        1, a);
    assert_int_equal(a[0].head.status, 400);
    expect_has(a[0].body, "\"statementIndex\":1");
    expect_rows(&fx, "SELECT group_concat(v) FROM t", "[[\"x,y\"]]");
    exchange(&fx,
        queue_batch(&fx, ST("INSERT INTO t (v) VALUES ('q')") "," ST("SELECT last_insert_rowid()"), false), 1,
        a);
    expect_has(a[0].body, "\"rows\":[[3]]");
    exchange(&fx, queue_batch(&fx, ST("SELECT 1") "," ST("SELECT 2"), false), 1, a);
    expect_has(a[0].body, "\"rows\":[[2]]");
    exchange(&fx, queue_batch(&fx, ST("SELECT 1") "," ST("BEGIN"), true), 1, a);
    assert_int_equal(a[0].head.status, 403);
    expect_has(a[0].body, "\"statementIndex\":1");
    assert_int_equal(engine_fixture_stop(&fx), 0);
}

/* A constraint that waits for the commit hits the call that broke it, and nobody else. */
void test_engine_turn__deferred_constraints(void **state)
{
    struct engine_fixture fx;
    struct engine_answer a[4];
    (void)state;
    engine_fixture_start(&fx);
    (void)engine_ok(&fx, "CREATE TABLE p (id INTEGER PRIMARY KEY)");
    (void)engine_ok(&fx, "CREATE TABLE c (p REFERENCES p(id) DEFERRABLE INITIALLY DEFERRED)");
    (void)engine_ok(&fx, "CREATE TABLE d (p REFERENCES p(id))");
    uint64_t first = queue_sql(&fx, "INSERT INTO p VALUES (1)");
    (void)queue_sql(&fx, "INSERT INTO c VALUES (99)");
    (void)queue_batch(&fx, ST("INSERT INTO c VALUES (2)") "," ST("INSERT INTO p VALUES (2)"), true);
    (void)queue_batch(&fx, ST("INSERT INTO c VALUES (3)") "," ST("INSERT INTO p VALUES (3)"), false);
    exchange(&fx, first, 4, a);
    assert_int_equal(a[0].head.status, 200);
    assert_int_equal(a[1].head.status, 400);
    expect_has(a[1].body, "fk_violation");
    assert_int_equal(a[2].head.status, 200);
    assert_int_equal(a[3].head.status, 400);
    expect_rows(&fx, "SELECT (SELECT group_concat(p) FROM c), (SELECT count(*) FROM p)", "[[\"2\",2]]");
    /* The pragma holds for its batch alone. */
    first = queue_batch(&fx,
        ST("PRAGMA defer_foreign_keys = ON") "," ST("INSERT INTO d VALUES (5)") "," ST(
            "INSERT INTO p VALUES (5)"),
        true);
    (void)queue_batch(&fx, ST("INSERT INTO d VALUES (6)") "," ST("INSERT INTO p VALUES (6)"), true);
    exchange(&fx, first, 2, a);
    assert_int_equal(a[0].head.status, 200);
    assert_int_equal(a[1].head.status, 400);
    assert_int_equal(engine_fixture_stop(&fx), 0);
}

static struct wire_call keyed(struct engine_fixture *fx, const char *sql, struct str key)
{
    struct wire_call call = engine_call_new(WIRE_OP_QUERY, engine_query_body(fx, sql, NULL));
    call.idempotency_key = key;
    return call;
}

/* One execution for each key, also in the same turn, across a crash, and never across tokens. */
void test_engine_turn__idempotency(void **state)
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
    exchange(&fx, first, 3, a);
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
    expect_rows(&fx, "SELECT count(*) FROM t", "[[2]]");
    assert_int_equal(engine_fixture_stop(&fx), 0);
}

/* Who may only read must not fill the file with answers; and what is too large to be kept is said with its
 * limit. */
void test_engine_turn__answers_of_reads_are_not_kept(void **state)
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
    assert_non_null(memmem(a.body.ptr, a.body.len, "[[1]]", 5));
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
    assert_non_null(memmem(a.body.ptr, a.body.len, "3900000 bytes", 13));
    expect_rows(&fx, "SELECT count(*) FROM t", "[[1]]");
    assert_int_equal(engine_fixture_stop(&fx), 0);
}

void test_engine_turn__failures_are_not_kept(void **state)
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

void test_engine_turn__plans(void **state)
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

#define ENDLESS "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) "

/* A read and a write that would run for ever end at their deadline; the write's neighbours keep their work.
 */
void test_engine_turn__deadlines(void **state)
{
    struct engine_fixture fx;
    struct engine_answer a[4];
    (void)state;
    engine_fixture_start(&fx);
    (void)engine_ok(&fx, "CREATE TABLE t (id INTEGER PRIMARY KEY)");
    struct wire_call read =
        engine_call_new(WIRE_OP_QUERY, engine_query_body(&fx, ENDLESS "SELECT count(*) FROM c", NULL));
    struct wire_call write = engine_call_new(
        WIRE_OP_QUERY, engine_query_body(&fx, "INSERT INTO t " ENDLESS "SELECT NULL FROM c", NULL));
    read.deadline_us = clock_mono_us() + 200000;
    write.deadline_us = clock_mono_us() + 400000;
    int64_t begin = clock_mono_us();
    uint64_t first = queue_sql(&fx, "INSERT INTO t VALUES (-1)");
    (void)engine_queue(&fx, &read);
    (void)engine_queue(&fx, &write);
    (void)queue_sql(&fx, "INSERT INTO t VALUES (-2)");
    exchange(&fx, first, 4, a);
    assert_true(clock_mono_us() - begin < 4000000);
    assert_int_equal(a[0].head.status, 200);
    assert_int_equal(a[1].head.status, 504);
    expect_has(a[1].body, "\"code\":\"query_timeout\"");
    assert_int_equal(a[2].head.status, 504);
    assert_int_equal(a[3].head.status, 200);
    expect_rows(&fx, "SELECT group_concat(id) FROM t", "[[\"-2,-1\"]]");
    struct wire_call late = engine_call_new(WIRE_OP_QUERY, "{\"sql\":\"SELECT 1\"}");
    late.deadline_us = clock_mono_us() - 1;
    assert_int_equal(engine_ask(&fx, &late).head.status, 504);
    assert_int_equal(engine_fixture_stop(&fx), 0);
}

void test_engine_turn__cancel_and_bounce(void **state)
{
    struct engine_fixture fx;
    (void)state;
    engine_fixture_start(&fx);
    struct wire_call call =
        engine_call_new(WIRE_OP_QUERY, engine_query_body(&fx, ENDLESS "SELECT count(*) FROM c", NULL));
    call.deadline_us = clock_mono_us() + 15000000;
    uint64_t id = engine_queue(&fx, &call);
    engine_send_all(&fx);
    atomic_store(&fx.board->cancel_call, id);
    struct engine_answer a = engine_receive(&fx);
    assert_int_equal(a.head.status, 503);
    expect_has(a.body, "cancelled");
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

/* A reader engine sees what the writer committed, and cannot write. */
void test_engine_turn__reader_engine(void **state)
{
    struct engine_fixture writer, reader;
    (void)state;
    engine_fixture_start(&writer);
    (void)engine_ok(&writer, "CREATE TABLE t (x)");
    (void)engine_ok(&writer, "INSERT INTO t VALUES (1)");
    engine_fixture_beside(&writer, &reader);
    expect_rows(&reader, "SELECT x FROM t", "[[1]]");
    (void)engine_ok(&writer, "ALTER TABLE t ADD COLUMN y DEFAULT 5");
    expect_rows(&reader, "SELECT * FROM t", "[[1,5]]");
    assert_int_equal(engine_sql(&reader, "INSERT INTO t VALUES (2, 2)", NULL).head.status, 503);
    expect_rows(&writer, "SELECT count(*) FROM t", "[[1]]");
    assert_int_equal(engine_fixture_leave(&reader), 0);
    /* What the reader ran is in the log once the writer has tidied up. */
    (void)engine_fixture_end(&writer, false);
    engine_fixture_again(&writer, ENGINE_WRITER);
    expect_rows(&writer,
        "SELECT count(*), sum(status = 503) FROM _persql_meta_query_log WHERE sql LIKE '%t%'"
        " AND (sql LIKE 'SELECT x%' OR sql LIKE 'SELECT *%' OR sql LIKE 'INSERT INTO t VALUES (2%')",
        "[[3,1]]");
    assert_int_equal(engine_fixture_stop(&writer), 0);
}

/* A frame may end anywhere in what one read brings: the beginning of a call waits for the rest through the
 * turn of the calls before it. */
void test_engine_turn__a_call_in_two_pieces(void **state)
{
    struct engine_fixture fx;
    (void)state;
    engine_fixture_start(&fx);
    (void)engine_ok(&fx, "CREATE TABLE t (v)");
    uint64_t first = queue_sql(&fx, "INSERT INTO t VALUES (1)");
    size_t whole = fx.out.len;
    (void)queue_sql(&fx, "INSERT INTO t VALUES (41)");
    size_t cut = whole + (fx.out.len - whole) / 2;
    char *rest = arena_need(&fx.arena, fx.out.len - cut);
    size_t rest_len = fx.out.len - cut;
    memcpy(rest, fx.out.buf + cut, rest_len);
    strbuf_truncate(&fx.out, cut);
    engine_send_all(&fx);
    struct engine_answer a = engine_receive(&fx);
    assert_int_equal(a.id, first);
    assert_int_equal(a.head.status, 200);
    strbuf_add(&fx.out, rest, rest_len);
    engine_send_all(&fx);
    a = engine_receive(&fx);
    assert_int_equal(a.id, first + 1);
    assert_int_equal(a.head.status, 200);
    expect_rows(&fx, "SELECT sum(v) FROM t", "[[42]]");
    assert_int_equal(engine_fixture_stop(&fx), 0);
}

/* The front sends calls and nothing else: whoever sends another frame is not the front. */
void test_engine_turn__a_frame_that_is_no_call_ends_the_engine(void **state)
{
    struct engine_fixture fx;
    (void)state;
    engine_fixture_start(&fx);
    (void)engine_ok(&fx, "CREATE TABLE t (v)");
    wire_put_plain(&fx.out, WIRE_READY, 1);
    engine_send_all(&fx);
    int status = engine_fixture_end(&fx, false);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), ENGINE_EXIT_PROTOCOL);
    engine_fixture_again(&fx, ENGINE_WRITER);
    (void)engine_ok(&fx, "INSERT INTO t VALUES (1)");
    assert_int_equal(engine_fixture_stop(&fx), 0);
}

/* Acknowledged is durable: the process is killed right after each answer. */
void test_engine_turn__survives_sigkill(void **state)
{
    struct engine_fixture fx;
    (void)state;
    engine_fixture_start(&fx);
    (void)engine_ok(&fx, "CREATE TABLE t (id INTEGER PRIMARY KEY)");
    for (int i = 0; i < 5; i++) {
        (void)engine_ok(&fx, "INSERT INTO t DEFAULT VALUES");
        int status = engine_fixture_end(&fx, true);
        assert_true(WIFSIGNALED(status));
        engine_fixture_again(&fx, ENGINE_WRITER);
    }
    expect_rows(&fx, "SELECT count(*) FROM t", "[[5]]");
    assert_int_equal(engine_fixture_stop(&fx), 0);
}

void test_engine_turn__memory_is_bounded(void **state)
{
    struct engine_fixture fx;
    (void)state;
    engine_fixture_start(&fx);
    struct engine_answer a = engine_sql(&fx,
        "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 3000000)"
        " SELECT json_group_array(x || 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx') FROM c",
        NULL);
    assert_true(a.head.status == 400 || a.head.status == 504); /* a slow machine meets the deadline first */
    a = engine_sql(&fx,
        ENDLESS
        ", d(y) AS (SELECT randomblob(1000000) FROM c LIMIT 200) SELECT count(DISTINCT y), max(y) FROM d",
        NULL);
    assert_true(a.head.status == 400 || a.head.status == 200 || a.head.status == 504);
    expect_rows(&fx, "SELECT 1", "[[1]]");
    assert_int_equal(engine_fixture_stop(&fx), 0);
}

/* More than one frame, byte for byte. */
void test_engine_turn__large_answers(void **state)
{
    struct engine_fixture fx;
    (void)state;
    engine_fixture_start(&fx);
    struct str body = engine_ok(&fx, "SELECT hex(zeroblob(1900000)), 'end'");
    assert_true(body.len > 3800000);
    expect_has(body, "00\",\"end\"]],\"rowsRead\"");
    struct engine_answer a = engine_sql(
        &fx, "SELECT hex(zeroblob(1900000)), hex(zeroblob(1900000)), hex(zeroblob(1900000))", NULL);
    assert_int_equal(a.head.status, 400);
    expect_has(a.body, "too large");
    assert_int_equal(engine_fixture_stop(&fx), 0);
}

/* Each call's row can be read by SQL and by the op, before and after it reached the file; reading writes
 * nothing. */
void test_engine_turn__query_log(void **state)
{
    struct engine_fixture fx;
    (void)state;
    engine_fixture_start(&fx);
    (void)engine_ok(&fx, "CREATE TABLE t (x)");
    (void)engine_sql(&fx, "SELECT nope FROM t", NULL);
    uint64_t commits = fx.board->commits;
    struct str body = engine_ok(
        &fx, "SELECT kind, sql, status, error_kind, token_id, request_id FROM _persql_meta_query_log");
    expect_has(body,
        "[[\"query\",\"CREATE TABLE t (x)\",200,null,\"tok_test\",\"req_test\"],[\"query\",\"SELECT "
        "nope FROM t\",400,\"unknown_column\"");
    assert_int_equal(fx.board->commits, commits);
    (void)engine_sql(&fx, "SELECT ?", "[\"a secret parameter\"]");
    (void)engine_fixture_end(&fx, false);
    engine_fixture_again(&fx, ENGINE_WRITER);
    body = engine_ok(&fx, "SELECT group_concat(sql, '|') FROM _persql_meta_query_log");
    expect_has(body, "CREATE TABLE t (x)|SELECT nope FROM t|");
    assert_false(has(body, "secret parameter"));
    struct wire_call call = engine_call_new(WIRE_OP_QUERY_LOG, "");
    call.args[0] = (struct wire_arg){S("limit"), S("2")};
    call.arg_count = 1;
    struct engine_answer a = engine_ask(&fx, &call);
    assert_int_equal(a.head.status, 200);
    expect_has(a.body, "\"sql\":\"SELECT group_concat(sql, '|') FROM _persql_meta_query_log\",\"rowsRead\"");
    call.args[0].value = S("0");
    assert_int_equal(engine_ask(&fx, &call).head.status, 400);
    assert_int_equal(engine_fixture_stop(&fx), 0);
}

/* Kept statements notice that the schema has changed. */
void test_engine_turn__schema_changes(void **state)
{
    struct engine_fixture fx;
    (void)state;
    engine_fixture_start(&fx);
    (void)engine_ok(&fx, "CREATE TABLE t (a)");
    (void)engine_ok(&fx, "INSERT INTO t VALUES (1)");
    expect_rows(&fx, "SELECT * FROM t", "\"columns\":[\"a\"],\"rows\":[[1]]");
    (void)engine_ok(&fx, "ALTER TABLE t ADD COLUMN b DEFAULT 2");
    expect_rows(&fx, "SELECT * FROM t", "\"columns\":[\"a\",\"b\"],\"rows\":[[1,2]]");
    (void)engine_ok(&fx, "DROP TABLE t");
    assert_int_equal(engine_sql(&fx, "SELECT * FROM t", NULL).head.status, 400);
    (void)engine_ok(&fx, "CREATE VIEW t AS SELECT 7 AS c");
    expect_rows(&fx, "SELECT * FROM t", "\"columns\":[\"c\"],\"rows\":[[7]]");
    assert_int_equal(engine_fixture_stop(&fx), 0);
}

/* FTS5 keeps rows in memory until the commit; those of a table that was never kept must not spoil it. */
void test_engine_turn__a_virtual_table_that_is_not_kept(void **state)
{
    struct engine_fixture fx;
    struct engine_answer a[3];
    (void)state;
    engine_fixture_start(&fx);
    (void)engine_ok(&fx, "CREATE TABLE t (x)");
    uint64_t first = queue_sql(&fx, "INSERT INTO t VALUES (1)");
    (void)queue_batch(&fx,
        "{\"sql\":\"CREATE VIRTUAL TABLE f USING fts5(body)\"},{\"sql\":\"INSERT INTO f VALUES ('a')\"},"
        "{\"sql\":\"INSERT INTO f VALUES (abs(-9223372036854775808))\"}",
        true);
    (void)queue_sql(&fx, "INSERT INTO t VALUES (2)");
    exchange(&fx, first, 3, a);
    assert_int_equal(a[0].head.status, 200);
    assert_int_equal(a[1].head.status, 400);
    expect_has(a[1].body, "integer overflow");
    expect_has(a[1].body, "\"statementIndex\":2");
    assert_int_equal(a[2].head.status, 200);
    /* Undone with the whole transaction, not by a commit that fails: the neighbour was done again, once. */
    assert_int_equal(atomic_load(&fx.board->rollback_redos), 1);
    expect_rows(&fx, "SELECT count(*) FROM sqlite_schema WHERE name LIKE 'f%'", "[[0]]");
    expect_rows(&fx, "SELECT sum(x) FROM t", "[[3]]");
    assert_int_equal(engine_fixture_stop(&fx), 0);
}

/* Bytes overwritten in the file: the call says corrupt, and so does the next start. */
void test_engine_turn__a_damaged_file(void **state)
{
    struct engine_fixture fx;
    char path[300], junk[4096];
    (void)state;
    engine_fixture_start(&fx);
    (void)engine_ok(&fx, "CREATE TABLE t (x)");
    (void)engine_ok(&fx, ENDLESS "INSERT INTO t SELECT x FROM c LIMIT 5000");
    (void)engine_fixture_end(&fx, false);
    (void)snprintf(path, sizeof path, "%s/main.db", fx.dir);
    int fd = open(path, O_WRONLY);
    memset(junk, 0x5a, sizeof junk);
    off_t size = lseek(fd, 0, SEEK_END);
    for (off_t at = size / 2 / 4096 * 4096; at < size; at += 4096)
        assert_int_equal(pwrite(fd, junk, sizeof junk, at), sizeof junk);
    (void)close(fd);
    engine_fixture_again(&fx, ENGINE_WRITER);
    struct engine_answer a = engine_sql(&fx, "SELECT sum(x) FROM t", NULL);
    assert_int_equal(a.head.status, 503);
    expect_has(a.body, "\"code\":\"corrupt\"");
    (void)engine_fixture_stop(&fx);
}

void test_engine_turn__nonsense_ends_the_engine(void **state)
{
    struct engine_fixture fx;
    (void)state;
    engine_fixture_start(&fx);
    assert_int_equal(write(fx.fd, "this is no frame at all, not even close", 39), 39);
    int status = engine_fixture_end(&fx, false);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), ENGINE_EXIT_PROTOCOL);
    engine_fixture_again(&fx, ENGINE_WRITER);
    assert_int_equal(engine_fixture_stop(&fx), 0);
}

/* Nobody kills here: the engine itself must end operations that take milliseconds each. */
void test_engine_turn__heavy_operations_end_at_the_deadline(void **state)
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
        call.deadline_us = clock_mono_us() + 600000;
        struct engine_answer a = engine_ask(&fx, &call);
        assert_int_equal(a.head.status, 504);
        assert_in_range(clock_mono_us() - call.deadline_us, 0, 450000);
    }
    (void)engine_ok(&fx, "SELECT 1");
    assert_int_equal(engine_fixture_stop(&fx), 0);
}

/* One operation that walks more than 32,000 pages: nothing in it heeds an interrupt. */
void test_engine_turn__emptying_a_large_table_ends_at_the_deadline(void **state)
{
    static const char *const WALKS[] = {"DELETE FROM big", "DROP TABLE big"};
    struct engine_fixture fx;
    struct engine_answer a[3];
    (void)state;
    engine_fixture_start(&fx);
    (void)engine_ok(&fx, "CREATE TABLE big (v)");
    (void)engine_ok(&fx, "CREATE TABLE t (x)");
    (void)engine_ok(&fx, ENDLESS "INSERT INTO big SELECT zeroblob(3900000) FROM c LIMIT 34");
    for (size_t i = 0; i < ARRAY_LEN(WALKS); i++) {
        struct wire_call call = engine_call_new(WIRE_OP_QUERY, engine_query_body(&fx, WALKS[i], NULL));
        uint64_t first = queue_sql(&fx, "INSERT INTO t VALUES (1)");
        call.deadline_us = clock_mono_us() + 5000;
        (void)engine_queue(&fx, &call);
        (void)queue_sql(&fx, "INSERT INTO t VALUES (2)");
        exchange(&fx, first, 3, a);
        assert_int_equal(a[0].head.status, 200);
        assert_int_equal(a[1].head.status, 504);
        expect_has(a[1].body, "\"code\":\"query_timeout\"");
        assert_int_equal(a[2].head.status, 200);
    }
    expect_rows(&fx, "SELECT count(*), (SELECT count(*) FROM t) FROM big", "[[34,4]]");
    (void)engine_ok(&fx, "DROP TABLE big");
    assert_int_equal(engine_fixture_stop(&fx), 0);
}

/* A long read lowers the engine's priority, and says so; short reads and long writes do not. */
void test_engine_turn__long_reads_stand_back(void **state)
{
    struct engine_fixture fx;
    (void)state;
    engine_fixture_start(&fx);
    int before = getpriority(PRIO_PROCESS, (id_t)fx.pid);
    (void)engine_ok(&fx, "CREATE TABLE t (x)");
    struct wire_call call = engine_call_new(WIRE_OP_QUERY,
        engine_query_body(&fx, "INSERT INTO t SELECT x FROM (" ENDLESS "SELECT x FROM c) WHERE x < 0", NULL));
    call.deadline_us = clock_mono_us() + 300000;
    assert_int_equal(engine_ask(&fx, &call).head.status, 504);
    assert_int_equal(atomic_load(&fx.board->stands_back), 0);
    assert_int_equal(getpriority(PRIO_PROCESS, (id_t)fx.pid), before);
    call.body = str_of(engine_query_body(&fx, ENDLESS "SELECT count(*) FROM c", NULL));
    call.deadline_us = clock_mono_us() + 300000;
    assert_int_equal(engine_ask(&fx, &call).head.status, 504);
    assert_int_equal(atomic_load(&fx.board->stands_back), 1);
    assert_int_equal(getpriority(PRIO_PROCESS, (id_t)fx.pid), 19);
    (void)engine_ok(&fx, "SELECT 1");
    assert_int_equal(engine_fixture_stop(&fx), 0);
}
