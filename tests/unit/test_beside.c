/* A rehearsal that held up others goes on on a copy, in a reader engine; what it proposes is the database's.
 */
#include "lib/engine_fixture.h"
#include "base/clock.h"
#include "lib/unit.h"
#include <dirent.h>

static struct engine_fixture g_writer, g_reader;

#define MANY "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 3000) "

int setup_beside(void **state)
{
    (void)state;
    engine_fixture_start(&g_writer);
    engine_ok(&g_writer, "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)");
    engine_ok(&g_writer, MANY "INSERT INTO t SELECT x, 'v' || x FROM c");
    engine_fixture_beside(&g_writer, &g_reader);
    return 0;
}

int teardown_beside(void **state)
{
    (void)state;
    (void)engine_fixture_leave(&g_reader);
    (void)engine_fixture_stop(&g_writer);
    return 0;
}

static struct engine_answer ask(struct engine_fixture *fx, enum wire_op op, const char *body)
{
    struct wire_call call = engine_call_new(op, body);
    call.role = WIRE_ROLE_ADMIN;
    return engine_ask(fx, &call);
}

static struct engine_answer ask_about(
    struct engine_fixture *fx, enum wire_op op, const char *id, const char *body)
{
    struct wire_call call = engine_call_new(op, body);
    call.role = WIRE_ROLE_ADMIN;
    call.args[call.arg_count++] = (struct wire_arg){S("id"), str_of(id)};
    return engine_ask(fx, &call);
}

static void take_id(struct str body, char out[40])
{
    const char *at = strstr(body.ptr, "\"proposalId\":\"");
    assert_non_null(at);
    at += strlen("\"proposalId\":\"");
    str_print(out, 40, "%.*s", (int)strcspn(at, "\""), at);
}

static void take_token(struct str body, char out[200])
{
    const char *at = strstr(body.ptr, "\"executionToken\":\"");
    assert_non_null(at);
    at += strlen("\"executionToken\":\"");
    size_t len = strcspn(at, "\"");
    assert_true(len < 150);
    str_print(out, 200, "{\"executionToken\":\"%.*s\"}", (int)len, at);
}

static size_t count_leftovers(void)
{
    size_t n = 0;
    DIR *dir = opendir(g_writer.dir);
    assert_non_null(dir);
    for (struct dirent *e = readdir(dir); e; e = readdir(dir))
        n += strncmp(e->d_name, "rehearsal-", 10) == 0;
    (void)closedir(dir);
    return n;
}

/* What was rehearsed on the copy is done by the writer, as it was shown. */
void test_beside__proposes_for_the_writer(void **state)
{
    char token[200];
    (void)state;
    struct engine_answer a =
        ask(&g_reader, WIRE_OP_PROPOSE, "{\"sql\":\"UPDATE t SET v = 'new' WHERE id < 2001\"}");
    engine_expect(a.body, "\"rehearsedOn\":\"copy\"");
    engine_expect(a.body, "\"estimatedAffectedRows\":2000");
    take_token(a.body, token);
    engine_expect_rows(&g_writer, "SELECT count(*) FROM t WHERE v = 'new'", "[[0]]");
    assert_int_equal(count_leftovers(), 0);
    a = ask(&g_writer, WIRE_OP_APPLY, token);
    assert_int_equal(a.head.status, 200);
    engine_expect_rows(&g_writer, "SELECT count(*) FROM t WHERE v = 'new'", "[[2000]]");
    assert_int_equal(ask(&g_writer, WIRE_OP_APPLY, token).head.status, 404);
}

/* The writer has looked before which rows wait: those that came from the reader are watched as well. */
void test_beside__others_make_it_stale(void **state)
{
    (void)state;
    engine_ok(&g_writer, "UPDATE t SET v = 'x' WHERE id = 2999");
    (void)ask(&g_reader, WIRE_OP_PROPOSE, "{\"sql\":\"UPDATE t SET v = 'y' WHERE id > 2998\"}");
    engine_expect(ask(&g_writer, WIRE_OP_PROPOSAL_LIST, "").body, "\"status\":\"pending\"");
    engine_ok(&g_writer, "UPDATE t SET v = 'z' WHERE id = 3000");
    engine_expect(ask(&g_writer, WIRE_OP_PROPOSAL_LIST, "").body, "\"status\":\"stale\"");
}

/* Schema changes are rehearsed there too; what fails leaves nothing, and the reader reads on. */
void test_beside__failures_leave_nothing(void **state)
{
    (void)state;
    assert_int_equal(
        ask(&g_reader, WIRE_OP_PROPOSE, "{\"sql\":\"UPDATE nowhere SET v = 1\"}").head.status, 400);
    assert_int_equal(
        ask(&g_reader, WIRE_OP_PROPOSE, "{\"sql\":\"INSERT INTO t (id) VALUES (1)\"}").head.status, 400);
    assert_int_equal(ask(&g_reader, WIRE_OP_PROPOSE, "{\"sql\":\"SELECT 1\"}").head.status, 400);
    engine_expect(
        ask(&g_reader, WIRE_OP_PROPOSE, "{\"sql\":\"ALTER TABLE t ADD COLUMN w\"}").body, "\"copy\"");
    engine_expect_rows(&g_reader, "SELECT count(*) FROM pragma_table_info('t')", "[[2]]");
    assert_int_equal(count_leftovers(), 0);
    assert_int_equal(ask(&g_reader, WIRE_OP_QUERY, "{\"sql\":\"DELETE FROM t\"}").head.status, 503);
    engine_expect_rows(&g_writer, "SELECT count(*) FROM t", "[[3000]]");
}

static const char LONG[] =
    "{\"sql\":\"UPDATE t SET v = (WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c "
    "WHERE x < 2000000) SELECT sum(x) FROM c) WHERE id = 1\"}";

/* What is taken back on the copy, and what cannot be. */
void test_beside__takes_back(void **state)
{
    char token[200], id[40], undo[40];
    (void)state;
    struct engine_answer a =
        ask(&g_writer, WIRE_OP_PROPOSE, "{\"sql\":\"UPDATE t SET v = 'gone' WHERE id < 1001\"}");
    take_token(a.body, token);
    take_id(a.body, id);
    assert_int_equal(ask(&g_writer, WIRE_OP_APPLY, token).head.status, 200);
    a = ask_about(&g_reader, WIRE_OP_PROPOSAL_UNDO, id, "{\"reason\":\"no\"}");
    assert_int_equal(a.head.status, 200);
    engine_expect(a.body, "\"rehearsedOn\":\"copy\"");
    engine_expect(a.body, "\"estimatedAffectedRows\":1000");
    take_token(a.body, token);
    take_id(a.body, undo);
    engine_expect_rows(&g_writer, "SELECT count(*) FROM t WHERE v = 'gone'", "[[1000]]");
    assert_int_equal(ask(&g_writer, WIRE_OP_APPLY, token).head.status, 200);
    engine_expect_rows(&g_writer, "SELECT count(*) FROM t WHERE v = 'gone'", "[[0]]");
    assert_int_equal(ask_about(&g_reader, WIRE_OP_PROPOSAL_UNDO, id, "{}").head.status, 409);
    engine_ok(&g_writer, "UPDATE t SET v = 'other' WHERE id = 7");
    a = ask_about(&g_reader, WIRE_OP_PROPOSAL_UNDO, undo, "{}");
    assert_int_equal(a.head.status, 409);
    engine_expect(a.body, "\"kind\":\"differs\"");
    assert_int_equal(ask(&g_reader, WIRE_OP_UNDO, "{\"tokenId\":\"tok_nobody\"}").head.status, 404);
    assert_int_equal(count_leftovers(), 0);
}

/* A call with a key that is sent again has its answer, wherever it came the first time. */
void test_beside__keys(void **state)
{
    (void)state;
    struct wire_call call =
        engine_call_new(WIRE_OP_PROPOSE, "{\"sql\":\"UPDATE t SET v = 'k' WHERE id = 1\"}");
    call.role = WIRE_ROLE_ADMIN;
    call.idempotency_key = S("beside");
    struct engine_answer first = engine_ask(&g_reader, &call);
    engine_expect(first.body, "\"rehearsedOn\":\"copy\"");
    assert_false(first.head.idempotency_replayed);
    struct engine_fixture *again[] = {&g_reader, &g_writer};
    for (size_t i = 0; i < ARRAY_LEN(again); i++) {
        struct engine_answer a = engine_ask(again[i], &call);
        assert_true(a.head.idempotency_replayed);
        assert_true(str_eq(a.body, first.body));
    }
    call.body = S("{\"sql\":\"UPDATE t SET v = 'l' WHERE id = 1\"}");
    assert_int_equal(engine_ask(&g_reader, &call).head.code, ERR_KEY_REUSED);
    call.idempotency_key = S("fails");
    call.body = S("{\"sql\":\"UPDATE t SET nope = 1\"}");
    assert_int_equal(engine_ask(&g_reader, &call).head.status, 400);
    call.body = S("{\"sql\":\"UPDATE t SET v = 'm' WHERE id = 1\"}"); /* a failure keeps no receipt */
    assert_int_equal(engine_ask(&g_reader, &call).head.status, 200);
    assert_int_equal(count_leftovers(), 0);
}

/* Under policies the copy shows and changes what the caller sees, and nothing else. */
void test_beside__policies(void **state)
{
    char token[200];
    (void)state;
    engine_ok(&g_writer, "CREATE TABLE notes (id INTEGER PRIMARY KEY, tenant TEXT, v)");
    engine_ok(&g_writer, "INSERT INTO notes VALUES (1, 'a', 1), (2, 'b', 1), (3, 'a', 1)");
    struct engine_answer a = ask(&g_writer, WIRE_OP_POLICY_SET,
        "{\"name\":\"own\",\"tableName\":\"notes\",\"using\":\"tenant = :auth_tenant\"}");
    engine_expect(a.body, "\"success\":true");
    struct wire_call call = engine_call_new(WIRE_OP_PROPOSE, "{\"sql\":\"UPDATE notes SET v = 2\"}");
    call.role = WIRE_ROLE_READWRITE;
    call.claims = S("{\"tenant\":\"a\"}");
    a = engine_ask(&g_reader, &call);
    engine_expect(a.body, "\"success\":true");
    engine_expect(a.body, "\"rehearsedOn\":\"copy\"");
    engine_expect(a.body, "\"estimatedAffectedRows\":2");
    assert_null(strstr(a.body.ptr, "\"id\":2"));
    take_token(a.body, token);
    call.op = WIRE_OP_APPLY;
    call.body = str_of(token);
    assert_int_equal(engine_ask(&g_writer, &call).head.status, 200);
    engine_expect_rows(&g_writer, "SELECT group_concat(v, '') FROM notes", "[[\"212\"]]");
    engine_expect_rows(&g_reader, "SELECT count(*) FROM notes", "[[3]]");
    engine_expect(ask(&g_reader, WIRE_OP_PROPOSE, "{\"sql\":\"UPDATE notes SET v = 3\"}").body, "Rows\":3");
    assert_int_equal(count_leftovers(), 0);
}

/* The writer gives it away only when others wait and somebody can take it. */
void test_beside__the_writer_gives_it_away(void **state)
{
    (void)state;
    struct wire_call call = engine_call_new(WIRE_OP_PROPOSE, LONG);
    call.role = WIRE_ROLE_ADMIN;
    call.deadline_us = clock_mono_us() + INT64_C(120000000); /* of all five, sanitizers beneath */
    atomic_store(&g_writer.board->waiting, 1);
    atomic_store(&g_writer.board->has_readers, 1);
    assert_true(engine_ask(&g_writer, &call).bounced);
    call.idempotency_key = S("k1");
    assert_true(engine_ask(&g_writer, &call).bounced);
    call.idempotency_key = STR_EMPTY;
    atomic_store(&g_writer.board->has_readers, 0);
    assert_int_equal(engine_ask(&g_writer, &call).head.status, 503);
    atomic_store(&g_writer.board->waiting, 0);
    engine_expect(engine_ask(&g_writer, &call).body, "\"rehearsedOn\":\"live\"");
    engine_expect(engine_ask(&g_reader, &call).body, "\"rehearsedOn\":\"copy\"");
}
