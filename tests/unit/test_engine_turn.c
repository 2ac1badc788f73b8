/* Calls through a real engine process: answers, group commit, redo, keys, deadlines, failures. */
#include "base/clock.h"
#include "lib/engine_fixture.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

void test_engine_turn__answers_a_query(void **state)
{
    struct engine_fixture fx;
    (void)state;
    engine_fixture_start(&fx);
    engine_expect(engine_ok(&fx, "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)"), "\"changes\":0");
    engine_expect(
        engine_ok(&fx, "INSERT INTO t (v) VALUES ('a'), ('b')"), "\"changes\":2,\"lastInsertRowid\":2");
    struct engine_answer a = engine_sql(&fx, "SELECT id, v FROM t WHERE id = ?", "[2]");
    assert_int_equal(a.head.status, 200);
    engine_expect(a.body, "{\"success\":true,\"data\":{\"columns\":[\"id\",\"v\"],\"rows\":[[2,\"b\"]],"
                          "\"rowsRead\":1,\"rowsWritten\":0},");
    engine_expect(a.body, "\"costUsd\":0.000000505");
    engine_expect(a.body, "\"queryLogId\":\"ql_");
    engine_expect(engine_ok(&fx, "SELECT count(*) FROM t"), "\"rowsRead\":2");
    engine_expect(engine_ok(&fx, "SELECT * FROM t WHERE v = 'b'"), "\"rowsRead\":2");
    engine_expect(engine_ok(&fx, "UPDATE t SET v = 'c'"), "\"rowsWritten\":2,\"changes\":2");
    engine_expect(engine_ok(&fx, "INSERT INTO t DEFAULT VALUES RETURNING id"), "\"rows\":[[3]]");
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
    engine_expect(engine_ok(&fx, "INSERT INTO t VALUES (41, 'a')"), "\"lastInsertRowid\":41");
    engine_expect(engine_ok(&fx, "CREATE VIRTUAL TABLE f USING fts5(a)"),
        "\"rowsWritten\":0,\"changes\":0,\"lastInsertRowid\":0}");
    engine_expect(engine_ok(&fx, "CREATE TABLE c AS SELECT * FROM t"),
        "\"rowsWritten\":0,\"changes\":0,\"lastInsertRowid\":0}");
    engine_expect(engine_ok(&fx, "DROP TABLE f"), "\"rowsWritten\":0,\"changes\":0,\"lastInsertRowid\":0}");
    engine_expect(engine_ok(&fx, "UPDATE t SET v = 'b'"), "\"changes\":1,\"lastInsertRowid\":0}");
    engine_expect(engine_ok(&fx, "SELECT last_insert_rowid()"), "\"rows\":[[0]]");
    struct engine_answer a;
    engine_exchange(&fx,
        engine_queue_batch(&fx,
            ST("INSERT INTO t VALUES (42, 'c')") "," ST("CREATE VIRTUAL TABLE f USING fts5(a)") "," ST(
                "SELECT last_insert_rowid()"),
            true),
        1, &a);
    engine_expect(a.body, "\"changes\":0,\"lastInsertRowid\":42}");
    engine_expect(a.body, "\"rows\":[[42]]");
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
        (void)engine_queue_sql(&fx, sql);
    }
    engine_exchange(&fx, first, 64, a);
    for (int i = 0; i < 64; i++)
        assert_int_equal(a[i].head.status, i == 40 ? 400 : 200);
    /* One, unless the socket cut the frames in two or a slow machine used up a group's time. */
    assert_true(fx.board->commits - before <= 16);
    assert_int_equal(fx.board->writes, 64);
    engine_expect_rows(&fx, "SELECT count(*) FROM t", "[[63]]");
    assert_int_equal(engine_fixture_stop(&fx), 0);
}

/* A proposal is answered before the writes that came with it have waited for the disk, and waits for none. */
void test_engine_turn__proposals_do_not_wait(void **state)
{
    struct engine_fixture fx;
    (void)state;
    engine_fixture_start(&fx);
    (void)engine_ok(&fx, "CREATE TABLE t (id INTEGER PRIMARY KEY)");
    uint64_t commits = fx.board->commits, fsyncs = fx.board->fsyncs;
    uint64_t write = engine_queue_sql(&fx, "INSERT INTO t VALUES (1)");
    struct wire_call call = engine_call_new(WIRE_OP_PROPOSE, "{\"sql\":\"INSERT INTO t VALUES (2)\"}");
    call.deadline_us = clock_mono_us() + 10000000;
    uint64_t proposal = engine_queue(&fx, &call);
    engine_send_all(&fx);
    struct engine_answer first = engine_receive(&fx), second = engine_receive(&fx);
    assert_int_equal(first.id, proposal);
    assert_int_equal(second.id, write);
    assert_int_equal(first.head.status, 200);
    assert_int_equal(second.head.status, 200);
    assert_int_equal(fx.board->commits - commits, 2);
    assert_int_equal(fx.board->fsyncs - fsyncs, 1);
    engine_expect_rows(&fx, "SELECT group_concat(id) FROM t", "[[\"1\"]]");
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
        uint64_t first = engine_queue_sql(&fx, "INSERT INTO count_me VALUES (1)");
        (void)engine_queue_sql(&fx, "UPDATE t SET v = v || '!'");
        (void)engine_queue_sql(&fx, CULPRITS[c]);
        (void)engine_queue_sql(&fx, "INSERT INTO count_me VALUES (2)");
        (void)engine_queue_batch(&fx, "{\"sql\":\"INSERT INTO count_me VALUES (3)\"}", true);
        engine_exchange(&fx, first, 5, a);
        for (int i = 0; i < 5; i++)
            assert_int_equal(a[i].head.status, i == 2 ? 400 : 200);
        assert_int_equal(fx.board->rollback_redos, 2);
        engine_expect_rows(&fx, "SELECT group_concat(n) FROM count_me", "[[\"1,2,3\"]]");
        engine_expect_rows(&fx, "SELECT group_concat(v) FROM t", "[[\"one!,two!\"]]");
        engine_expect_rows(&fx, "SELECT count(*) FROM bomb", "[[0]]");
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
    uint64_t first = engine_queue_sql(&fx, "INSERT INTO t VALUES (1)");
    (void)engine_queue_batch(&fx,
        ST("INSERT INTO t VALUES (10)") "," ST("INSERT OR ROLLBACK INTO t VALUES (1)") "," ST(
            "INSERT INTO t VALUES (11)"),
        false);
    (void)engine_queue_batch(
        &fx, ST("INSERT INTO t VALUES (20)") "," ST("INSERT OR ROLLBACK INTO t VALUES (1)"), true);
    (void)engine_queue_sql(&fx, "INSERT INTO t VALUES (2)");
    engine_exchange(&fx, first, 4, a);
    assert_int_equal(a[0].head.status, 200);
    assert_int_equal(a[1].head.status, 400);
    engine_expect(a[1].body, "\"statementIndex\":1");
    engine_expect(a[1].body, "unique_violation");
    assert_int_equal(a[2].head.status, 400);
    engine_expect(a[2].body, "\"statementIndex\":1");
    assert_int_equal(a[3].head.status, 200);
    engine_expect_rows(&fx, "SELECT group_concat(id) FROM (SELECT id FROM t ORDER BY id)", "[[\"1,2,10\"]]");
    assert_int_equal(engine_fixture_stop(&fx), 0);
}

void test_engine_turn__batches(void **state)
{
    struct engine_fixture fx;
    struct engine_answer a[1];
    (void)state;
    engine_fixture_start(&fx);
    engine_exchange(&fx,
        engine_queue_batch(&fx,
            ST("CREATE TABLE t (id INTEGER PRIMARY KEY, v)") "," ST("INSERT INTO t (v) VALUES ('x')") "," ST(
                "SELECT count(*) FROM t"),
            true),
        1, a);
    assert_int_equal(a[0].head.status, 200);
    engine_expect(a[0].body, "\"data\":[{\"columns\":[],");
    engine_expect(a[0].body, "\"rows\":[[1]]");
    engine_expect(a[0].body, "\"statementCount\":3");
    engine_exchange(&fx,
        engine_queue_batch(&fx, ST("INSERT INTO t (v) VALUES ('y')") "," ST("SELECT * FROM nowhere"), true),
        1, a);
    assert_int_equal(a[0].head.status, 400);
    engine_expect(a[0].body, "\"statementIndex\":1");
    engine_expect_rows(&fx, "SELECT count(*) FROM t", "[[1]]");
    engine_exchange(&fx,
        engine_queue_batch(&fx,
            ST("INSERT INTO t (v) VALUES ('y')") "," ST("INSERT INTO t VALUES (1, 1)") "," ST(
                "INSERT INTO t (v) VALUES ('z')"),
            false),
        1, a);
    assert_int_equal(a[0].head.status, 400);
    engine_expect(a[0].body, "\"statementIndex\":1");
    engine_expect_rows(&fx, "SELECT group_concat(v) FROM t", "[[\"x,y\"]]");
    engine_exchange(&fx,
        engine_queue_batch(
            &fx, ST("INSERT INTO t (v) VALUES ('q')") "," ST("SELECT last_insert_rowid()"), false),
        1, a);
    engine_expect(a[0].body, "\"rows\":[[3]]");
    engine_exchange(&fx, engine_queue_batch(&fx, ST("SELECT 1") "," ST("SELECT 2"), false), 1, a);
    engine_expect(a[0].body, "\"rows\":[[2]]");
    engine_exchange(&fx, engine_queue_batch(&fx, ST("SELECT 1") "," ST("BEGIN"), true), 1, a);
    assert_int_equal(a[0].head.status, 403);
    engine_expect(a[0].body, "\"statementIndex\":1");
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
    uint64_t first = engine_queue_sql(&fx, "INSERT INTO p VALUES (1)");
    (void)engine_queue_sql(&fx, "INSERT INTO c VALUES (99)");
    (void)engine_queue_batch(&fx, ST("INSERT INTO c VALUES (2)") "," ST("INSERT INTO p VALUES (2)"), true);
    (void)engine_queue_batch(&fx, ST("INSERT INTO c VALUES (3)") "," ST("INSERT INTO p VALUES (3)"), false);
    engine_exchange(&fx, first, 4, a);
    assert_int_equal(a[0].head.status, 200);
    assert_int_equal(a[1].head.status, 400);
    engine_expect(a[1].body, "fk_violation");
    assert_int_equal(a[2].head.status, 200);
    assert_int_equal(a[3].head.status, 400);
    engine_expect_rows(
        &fx, "SELECT (SELECT group_concat(p) FROM c), (SELECT count(*) FROM p)", "[[\"2\",2]]");
    /* The pragma holds for its batch alone. */
    first = engine_queue_batch(&fx,
        ST("PRAGMA defer_foreign_keys = ON") "," ST("INSERT INTO d VALUES (5)") "," ST(
            "INSERT INTO p VALUES (5)"),
        true);
    (void)engine_queue_batch(&fx, ST("INSERT INTO d VALUES (6)") "," ST("INSERT INTO p VALUES (6)"), true);
    engine_exchange(&fx, first, 2, a);
    assert_int_equal(a[0].head.status, 200);
    assert_int_equal(a[1].head.status, 400);
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
    engine_expect_rows(&reader, "SELECT x FROM t", "[[1]]");
    (void)engine_ok(&writer, "ALTER TABLE t ADD COLUMN y DEFAULT 5");
    engine_expect_rows(&reader, "SELECT * FROM t", "[[1,5]]");
    assert_int_equal(engine_sql(&reader, "INSERT INTO t VALUES (2, 2)", NULL).head.status, 503);
    engine_expect_rows(&writer, "SELECT count(*) FROM t", "[[1]]");
    assert_int_equal(engine_fixture_leave(&reader), 0);
    /* What the reader ran is in the log once the writer has tidied up. */
    (void)engine_fixture_end(&writer, false);
    engine_fixture_again(&writer, ENGINE_WRITER);
    engine_expect_rows(&writer,
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
    uint64_t first = engine_queue_sql(&fx, "INSERT INTO t VALUES (1)");
    size_t whole = fx.out.len;
    (void)engine_queue_sql(&fx, "INSERT INTO t VALUES (41)");
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
    engine_expect_rows(&fx, "SELECT sum(v) FROM t", "[[42]]");
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
    engine_expect_rows(&fx, "SELECT count(*) FROM t", "[[5]]");
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
        ENGINE_ENDLESS
        ", d(y) AS (SELECT randomblob(1000000) FROM c LIMIT 200) SELECT count(DISTINCT y), max(y) FROM d",
        NULL);
    assert_true(a.head.status == 400 || a.head.status == 200 || a.head.status == 504);
    engine_expect_rows(&fx, "SELECT 1", "[[1]]");
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
    engine_expect(body, "00\",\"end\"]],\"rowsRead\"");
    struct engine_answer a = engine_sql(
        &fx, "SELECT hex(zeroblob(1900000)), hex(zeroblob(1900000)), hex(zeroblob(1900000))", NULL);
    assert_int_equal(a.head.status, 400);
    engine_expect(a.body, "too large");
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
    engine_expect(body,
        "[[\"query\",\"CREATE TABLE t (x)\",200,null,\"tok_test\",\"req_test\"],[\"query\",\"SELECT "
        "nope FROM t\",400,\"unknown_column\"");
    assert_int_equal(fx.board->commits, commits);
    (void)engine_sql(&fx, "SELECT ?", "[\"a secret parameter\"]");
    (void)engine_fixture_end(&fx, false);
    engine_fixture_again(&fx, ENGINE_WRITER);
    body = engine_ok(&fx, "SELECT group_concat(sql, '|') FROM _persql_meta_query_log");
    engine_expect(body, "CREATE TABLE t (x)|SELECT nope FROM t|");
    assert_false(engine_body_has(body, "secret parameter"));
    struct wire_call call = engine_call_new(WIRE_OP_QUERY_LOG, "");
    call.args[0] = (struct wire_arg){S("limit"), S("2")};
    call.arg_count = 1;
    struct engine_answer a = engine_ask(&fx, &call);
    assert_int_equal(a.head.status, 200);
    engine_expect(
        a.body, "\"sql\":\"SELECT group_concat(sql, '|') FROM _persql_meta_query_log\",\"rowsRead\"");
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
    engine_expect_rows(&fx, "SELECT * FROM t", "\"columns\":[\"a\"],\"rows\":[[1]]");
    (void)engine_ok(&fx, "ALTER TABLE t ADD COLUMN b DEFAULT 2");
    engine_expect_rows(&fx, "SELECT * FROM t", "\"columns\":[\"a\",\"b\"],\"rows\":[[1,2]]");
    (void)engine_ok(&fx, "DROP TABLE t");
    assert_int_equal(engine_sql(&fx, "SELECT * FROM t", NULL).head.status, 400);
    (void)engine_ok(&fx, "CREATE VIEW t AS SELECT 7 AS c");
    engine_expect_rows(&fx, "SELECT * FROM t", "\"columns\":[\"c\"],\"rows\":[[7]]");
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
    uint64_t first = engine_queue_sql(&fx, "INSERT INTO t VALUES (1)");
    (void)engine_queue_batch(&fx,
        "{\"sql\":\"CREATE VIRTUAL TABLE f USING fts5(body)\"},{\"sql\":\"INSERT INTO f VALUES ('a')\"},"
        "{\"sql\":\"INSERT INTO f VALUES (abs(-9223372036854775808))\"}",
        true);
    (void)engine_queue_sql(&fx, "INSERT INTO t VALUES (2)");
    engine_exchange(&fx, first, 3, a);
    assert_int_equal(a[0].head.status, 200);
    assert_int_equal(a[1].head.status, 400);
    engine_expect(a[1].body, "integer overflow");
    engine_expect(a[1].body, "\"statementIndex\":2");
    assert_int_equal(a[2].head.status, 200);
    /* Undone with the whole transaction, not by a commit that fails: the neighbour was done again, once. */
    assert_int_equal(atomic_load(&fx.board->rollback_redos), 1);
    engine_expect_rows(&fx, "SELECT count(*) FROM sqlite_schema WHERE name LIKE 'f%'", "[[0]]");
    engine_expect_rows(&fx, "SELECT sum(x) FROM t", "[[3]]");
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
    (void)engine_ok(&fx, ENGINE_ENDLESS "INSERT INTO t SELECT x FROM c LIMIT 20000");
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
    engine_expect(a.body, "\"code\":\"corrupt\"");
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
