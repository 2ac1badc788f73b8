/* Calls through a real engine process: answers, group commit, redo, keys. */
#define _GNU_SOURCE /* memmem */
#include "lib/engine_fixture.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>

static void expect_has(struct str body, const char *text)
{
    if (!memmem(body.ptr, body.len, text, strlen(text)))
        fail_msg("%s\n  is not in %.*s", text, STR_ARG(body));
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
    assert_int_equal(engine_fixture_stop(&fx), 0);
}
