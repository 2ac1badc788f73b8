/* Rules and writes whose rows are too many to be kept, or cannot be: they are judged by what is counted. */
#include "base/limits.h"
#include "lib/op_fixture.h"
#include "lib/unit.h"

static struct op_fixture f;

int setup_rule_count(void **state)
{
    (void)state;
    op_fixture_init(&f);
    return 0;
}

int teardown_rule_count(void **state)
{
    (void)state;
    op_fixture_release(&f);
    return 0;
}

static void rules(const char *list)
{
    char body[2000];
    str_print(body, sizeof body, "{\"rules\":[%s]}", list);
    op_fixture_ok(&f, WIRE_OP_RULE_REPLACE, str_of(body), NULL);
}

static void fresh(void)
{
    f.role = WIRE_ROLE_ADMIN;
    rules("");
    op_fixture_sql(&f, "DROP TABLE IF EXISTS big; DROP TABLE IF EXISTS few; DROP TABLE IF EXISTS words;"
                       "CREATE TABLE big (a INT); CREATE TABLE few (a INT); INSERT INTO few VALUES (1), (2);"
                       "CREATE VIRTUAL TABLE words USING fts5(a, content='');");
}

static enum err_code run(const char *sql)
{
    char body[1000];
    str_print(body, sizeof body, "{\"sql\":\"%s\"}", sql);
    return op_fixture_run(&f, WIRE_OP_QUERY, str_of(body), NULL);
}

static enum err_code fill(void)
{
    char sql[300];
    str_print(sql, sizeof sql,
        "WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %lld) INSERT INTO big SELECT i FROM "
        "n",
        (long long)LIMIT_CHANGE_ROWS + 100);
    return run(sql);
}

static void finds(const char *sql, const char *wanted)
{
    assert_string_equal(op_fixture_value(&f, sql), wanted);
}

static void problem_says(const char *text)
{
    assert_non_null(strstr(op_json_text(op_fixture_json(&f), "hits/0/problem"), text));
}

void test_rule_count__large_writes_are_judged_by_their_counts(void **state)
{
    (void)state;
    fresh();
    op_fixture_ok(&f, WIRE_OP_PROPOSE, S("{\"sql\":\"INSERT INTO big VALUES (1)\"}"), NULL);
    rules("{\"tableGlob\":\"few\",\"action\":\"deny\"},"
          "{\"action\":\"deny\",\"when\":\"(SELECT sum(row_count) FROM effects) > 200100\"},"
          "{\"tableGlob\":\"b*\",\"action\":\"allow\"}");
    assert_int_equal(fill(), ERR_OK);
    assert_int_equal(f.head.rows_written, 200100);
    finds("SELECT count(*) FROM big", "200100");
    finds("SELECT count(*) FROM _sys_proposal WHERE state = 'pending'", "0"); /* nobody followed its rows */
    struct str more =
        S("{\"statements\":[{\"sql\":\"UPDATE big SET a = -a\"},{\"sql\":\"DELETE FROM big WHERE a = "
          "-1\"}]}");
    assert_int_equal(op_fixture_run(&f, WIRE_OP_BATCH, more, NULL), ERR_RULE);
    finds("SELECT min(a) FROM big", "1");
    rules("{\"action\":\"deny\",\"when\":\"EXISTS (SELECT 1 FROM effects WHERE share_of_table = 1)\"}");
    assert_int_equal(run("DELETE FROM big"), ERR_RULE);
    assert_int_equal(run("UPDATE big SET a = 0 WHERE a > 1"), ERR_OK);
}

void test_rule_count__whoever_needs_the_rows_says_how_to_split(void **state)
{
    (void)state;
    fresh();
    rules("{\"action\":\"deny\",\"when\":\"EXISTS (SELECT 1 FROM changes WHERE new ->> 'a' = 7)\"}");
    assert_int_equal(fill(), ERR_TOO_LARGE);
    assert_non_null(strstr(f.error.ptr, "split it, for instance by ranges of the key of \"big\""));
    problem_says("ask effects");
    finds("SELECT count(*) FROM big", "0");
    rules("{\"tableGlob\":\"big\",\"action\":\"require_approval\"}");
    assert_int_equal(fill(), ERR_TOO_LARGE);
    finds("SELECT count(*) FROM big", "0");
    finds("SELECT count(*) FROM _sys_proposal WHERE approval IS NOT NULL", "0");
}

void test_rule_count__what_keeps_no_rows(void **state)
{
    (void)state;
    fresh();
    rules("{\"tableGlob\":\"few\",\"action\":\"deny\"}");
    assert_int_equal(run("INSERT INTO words (rowid, a) VALUES (1, 'one')"), ERR_OK);
    rules("{\"tableGlob\":\"words\",\"action\":\"deny\"}");
    assert_int_equal(run("INSERT INTO words (rowid, a) VALUES (2, 'two')"), ERR_RULE);
    rules("{\"action\":\"deny\",\"when\":\"(SELECT total(row_count) FROM effects) > 100\"}");
    assert_int_equal(run("INSERT INTO words (rowid, a) VALUES (2, 'two')"), ERR_INVALID);
    problem_says("full-text index without rows");
    finds("SELECT count(*) FROM words WHERE words MATCH 'one OR two'", "1");
}

void test_rule_count__rows_and_then_columns(void **state)
{
    struct str both =
        S("{\"statements\":[{\"sql\":\"UPDATE few SET a = 9\"},{\"sql\":\"ALTER TABLE few ADD COLUMN "
          "b\"},{\"sql\":\"UPDATE few SET b = 1\"}]}");
    (void)state;
    fresh();
    rules("{\"action\":\"deny\",\"when\":\"(SELECT sum(row_count) FROM effects WHERE op = 'update') > 3\"}");
    assert_int_equal(op_fixture_run(&f, WIRE_OP_BATCH, both, NULL), ERR_RULE);
    rules("{\"action\":\"deny\",\"when\":\"(SELECT sum(row_count) FROM effects WHERE op = 'update') > 4\"}");
    assert_int_equal(op_fixture_run(&f, WIRE_OP_BATCH, both, NULL), ERR_OK);
    finds("SELECT sum(a + b) FROM few", "20");
}

/* The same of a file, and of a table that is made with its rows. */
void test_rule_count__imports_and_new_tables(void **state)
{
    AUTO_STRBUF csv;
    const struct op_arg args[] = {{"format", "csv"}, {"table", "big"}, {NULL, NULL}};
    (void)state;
    fresh();
    strbuf_init(&csv, 1 << 22);
    strbuf_add_cstr(&csv, "a\n");
    for (int64_t i = 0; i < LIMIT_CHANGE_ROWS + 1; i++)
        strbuf_add_cstr(&csv, "1\n");
    rules("{\"action\":\"deny\",\"when\":\"(SELECT sum(row_count) FROM effects WHERE op <> 'schema') <> "
          "200001\"}");
    assert_int_equal(op_fixture_run(&f, WIRE_OP_IMPORT, strbuf_str(&csv), args), ERR_OK);
    finds("SELECT count(*) FROM big", "200001");
    op_fixture_sql(&f, "DROP TABLE IF EXISTS made; DROP TABLE IF EXISTS more");
    assert_int_equal(run("CREATE TABLE made AS SELECT a FROM big"), ERR_OK);
    assert_int_equal(run("CREATE TABLE more AS SELECT a FROM big LIMIT 5"), ERR_RULE);
    rules("{\"tableGlob\":\"big\",\"action\":\"require_approval\"}");
    assert_int_equal(op_fixture_run(&f, WIRE_OP_IMPORT, strbuf_str(&csv), args), ERR_RULE);
    finds("SELECT count(*) FROM big", "200001");
}
