/* What the schema operations say about a database: tables, schema, describe in both forms, descriptions,
 * explain, validate. */
#include "lib/op_fixture.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static const char SHOP[] = "CREATE TABLE customers(id INTEGER PRIMARY KEY, email TEXT NOT NULL UNIQUE "
                           "COLLATE NOCASE, name TEXT DEFAULT 'x');"
                           "CREATE TABLE orders(id INTEGER PRIMARY KEY, customer_id INTEGER NOT NULL "
                           "REFERENCES customers ON DELETE CASCADE,"
                           " total REAL, net REAL AS (total / 1.2) VIRTUAL, \"odd \"\"name\" TEXT);"
                           "CREATE INDEX orders_customer ON orders(customer_id, total DESC) WHERE total > 0;"
                           "CREATE INDEX orders_half ON orders(total / 2);"
                           "CREATE TABLE tags(a TEXT, b TEXT, PRIMARY KEY (b, a)) STRICT, WITHOUT ROWID;"
                           "CREATE VIEW big AS SELECT id, total FROM orders WHERE total > 100;"
                           "CREATE VIEW broken AS SELECT * FROM nowhere;"
                           "CREATE TRIGGER orders_ai AFTER INSERT ON orders BEGIN SELECT 1; END;"
                           "CREATE VIRTUAL TABLE docs USING fts5(title, body);"
                           "INSERT INTO customers(email) VALUES ('a@x'), ('b@x');"
                           "INSERT INTO orders(customer_id, total) VALUES (1, 10), (1, 20), (2, 500);"
                           "INSERT INTO docs(title, body) VALUES ('hi', 'there');";

static struct op_fixture f;

int setup_opdescribe(void **state)
{
    (void)state;
    op_fixture_init(&f);
    op_fixture_sql(&f, SHOP);
    return 0;
}

int teardown_opdescribe(void **state)
{
    (void)state;
    op_fixture_release(&f);
    return 0;
}

static const struct jsonr_value *ask(enum wire_op which, const char *body)
{
    op_fixture_ok(&f, which, str_of(body), NULL);
    return op_fixture_json(&f);
}

static const char *expect_refused(enum wire_op which, const char *body, enum err_code code)
{
    enum err_code got = op_fixture_run(&f, which, str_of(body), NULL);
    if (got != code)
        fail_msg("%s answered %s, not %s: %.*s", body, err_slug(got), err_slug(code), STR_ARG(f.out));
    return f.error.ptr;
}

void test_opdescribe__tables_lists_user_tables_with_counts(void **state)
{
    (void)state;
    (void)ask(WIRE_OP_TABLES, "");
    assert_string_equal(f.out.ptr, "[{\"name\":\"customers\",\"rowCount\":2},{\"name\":\"orders\","
                                   "\"rowCount\":3},{\"name\":\"tags\",\"rowCount\":0},"
                                   "{\"name\":\"docs\",\"rowCount\":1}]");
}

void test_opdescribe__a_scope_shows_its_tables_alone(void **state)
{
    static const struct str scope[] = {{"ORDERS", 6}};
    static const enum wire_op ops[] = {WIRE_OP_TABLES, WIRE_OP_SCHEMA, WIRE_OP_DESCRIBE};
    (void)state;
    f.tables = scope;
    f.table_count = 1;
    for (size_t i = 0; i < ARRAY_LEN(ops); i++) {
        (void)ask(ops[i], "");
        assert_non_null(strstr(f.out.ptr, "\"orders\""));
        assert_null(strstr(f.out.ptr, "\"customers\",\"type\""));
        assert_null(strstr(f.out.ptr, "email"));
        assert_null(strstr(f.out.ptr, "docs"));
        assert_null(strstr(f.out.ptr, "\"big\""));
    }
    f.tables = NULL;
}

void test_opdescribe__schema_has_every_definition_and_a_hash_that_follows_them(void **state)
{
    (void)state;
    const struct jsonr_value *v = ask(WIRE_OP_SCHEMA, "");
    assert_int_equal(jsonr_count(op_json_at(v, "tables")), 4);
    assert_int_equal(jsonr_count(op_json_at(v, "indexes")), 2);
    assert_int_equal(jsonr_count(op_json_at(v, "views")), 2);
    assert_string_equal(op_json_text(v, "tables/3/type"), "virtual");
    assert_string_equal(op_json_text(v, "triggers/0/table"), "orders");
    assert_null(strstr(f.out.ptr, "_sys_"));
    assert_null(strstr(f.out.ptr, "docs_data"));
    char before[32] = {0}, after[32] = {0};
    memcpy(before, op_json_text(v, "schemaHash"), 16);
    memcpy(after, op_json_text(ask(WIRE_OP_SCHEMA, ""), "schemaHash"), 16);
    assert_string_equal(before, after);
    op_fixture_sql(&f, "CREATE TABLE more(a)");
    memcpy(after, op_json_text(ask(WIRE_OP_SCHEMA, ""), "schemaHash"), 16);
    op_fixture_sql(&f, "DROP TABLE more");
    assert_string_not_equal(before, after);
}

void test_opdescribe__describe_gives_the_whole_graph(void **state)
{
    (void)state;
    const struct jsonr_value *v = ask(WIRE_OP_DESCRIBE, "");
    const struct jsonr_value *orders = op_json_at(v, "tables/1");
    assert_string_equal(op_json_text(orders, "table"), "orders");
    assert_string_equal(op_json_text(orders, "columns/3/generated"), "virtual");
    assert_string_equal(op_json_text(orders, "columns/4/name"), "odd \"name");
    assert_string_equal(op_json_text(orders, "foreignKeys/0/refTable"), "customers");
    assert_string_equal(op_json_text(orders, "foreignKeys/0/refColumn"), "id"); /* not written in the SQL */
    assert_string_equal(op_json_text(orders, "foreignKeys/0/onDelete"), "CASCADE");
    assert_string_equal(op_json_text(orders, "indexes/0/columns/1"), "total");
    assert_true(jsonr_bool(op_json_at(orders, "indexes/0/partial")));
    assert_int_equal(jsonr_kind(op_json_at(orders, "indexes/1/columns/0")), JSONR_NULL);
    assert_string_equal(op_json_text(orders, "triggers/0/name"), "orders_ai");
    assert_int_equal(op_json_int(orders, "rowCount"), 3);
    assert_true(jsonr_bool(op_json_at(orders, "rowCountExact")));
    assert_string_equal(op_json_text(v, "tables/0/columns/1/collation"), "NOCASE");
    assert_string_equal(op_json_text(v, "tables/0/columns/2/default"), "'x'");
    assert_string_equal(op_json_text(v, "tables/2/primaryKey/0"), "b");
    assert_true(jsonr_bool(op_json_at(v, "tables/2/withoutRowid")));
    assert_true(jsonr_bool(op_json_at(v, "tables/2/strict")));
    assert_string_equal(op_json_text(v, "tables/3/module"), "fts5");
    assert_string_equal(op_json_text(v, "views/0/columns/1/type"), "REAL");
    assert_int_equal(jsonr_count(op_json_at(v, "views/1/columns")), 0); /* broken, and no error */
}

/* An empty prompt would say less than nothing. */
void test_opdescribe__compact_says_that_nothing_is_there(void **state)
{
    static const struct str scope[] = {{"nowhere", 7}};
    const struct op_arg args[] = {{"format", "compact"}, {NULL, NULL}};
    (void)state;
    f.tables = scope;
    f.table_count = 1;
    op_fixture_ok(&f, WIRE_OP_DESCRIBE, STR_EMPTY, args);
    assert_string_equal(f.out.ptr, "-- no table or view is in this token's scope\n");
    f.tables = NULL;
    f.table_count = 0;
}

void test_opdescribe__rows_that_were_counted_are_told(void **state)
{
    (void)state;
    op_fixture_ok(&f, WIRE_OP_DESCRIBE, STR_EMPTY, NULL);
    assert_true(f.head.rows_read > 10);
}

void test_opdescribe__the_log_knows_what_was_validated(void **state)
{
    (void)state;
    op_fixture_ok(&f, WIRE_OP_VALIDATE, S("{\"sql\":\"SELECT 4711\"}"), NULL);
    op_fixture_ok(&f, WIRE_OP_EXPLAIN, S("{\"sql\":\"SELECT 4712\"}"), NULL);
    op_fixture_ok(&f, WIRE_OP_QUERY_LOG, STR_EMPTY, NULL);
    const struct jsonr_value *log = op_fixture_json(&f);
    assert_string_equal(op_json_text(log, "1/kind"), "validate");
    assert_string_equal(op_json_text(log, "1/sql"), "SELECT 4711");
    assert_string_equal(op_json_text(log, "0/sql"), "SELECT 4712");
}

void test_opdescribe__compact_is_one_line_a_table(void **state)
{
    const struct op_arg args[] = {{"format", "compact"}, {NULL, NULL}};
    (void)state;
    (void)ask(WIRE_OP_DESCRIBE_SET, "{\"table\":\"tags\",\"description\":\"two\\nlines\"}");
    op_fixture_ok(&f, WIRE_OP_DESCRIBE, STR_EMPTY, args);
    assert_int_equal(f.head.content, WIRE_CONTENT_TEXT);
    assert_string_equal(f.out.ptr,
        "customers(id INTEGER PK, email TEXT NOT NULL, name TEXT DEFAULT 'x') 2 rows; unique(email)\n"
        "orders(id INTEGER PK, customer_id INTEGER NOT NULL -> customers.id, total REAL, net REAL GENERATED, "
        "\"odd \"\"name\" TEXT)"
        " 3 rows; index(customer_id, total) partial; index(<expr>); trigger orders_ai\n"
        "tags(a TEXT PK, b TEXT PK) 0 rows -- two lines\n"
        "docs(title, body) 1 row; fts5\n"
        "view big(id INTEGER, total REAL)\n"
        "view broken()\n");
    (void)ask(WIRE_OP_DESCRIBE_SET, "{\"table\":\"tags\",\"description\":null}");
}

void test_opdescribe__compact_tells_the_rules(void **state)
{
    static const struct str scope[] = {{"tags", 4}};
    const struct op_arg args[] = {{"format", "compact"}, {NULL, NULL}};
    (void)state;
    op_fixture_ok(&f, WIRE_OP_RULE_REPLACE,
        S("{\"rules\":[{\"tableGlob\":\"ORDERS\",\"action\":\"allow\"},"
          "{\"tableGlob\":\"*s\",\"action\":\"deny\",\"when\":\"(SELECT role FROM caller) <> 'admin'\"},"
          "{\"tableGlob\":\"log_*\",\"action\":\"deny\"},"
          "{\"action\":\"require_approval\",\"note\":\"ask\\nLin\"}]}"),
        NULL);
    op_fixture_ok(&f, WIRE_OP_DESCRIBE, STR_EMPTY, args);
    assert_non_null(strstr(f.out.ptr,
        "view broken()\n"
        "rule allow: ORDERS\n"
        "rule deny: *s (customers, orders, tags, docs) when (SELECT role FROM caller) <> 'admin'\n"
        "rule deny: log_*\n"
        "rule require_approval: any write -- ask Lin\n"));
    f.tables = scope;
    f.table_count = 1;
    op_fixture_ok(&f, WIRE_OP_DESCRIBE, STR_EMPTY, args);
    assert_non_null(strstr(f.out.ptr, "rule deny: *s (tags) under a condition\n"
                                      "rule require_approval: any write -- ask Lin\n"));
    assert_null(strstr(f.out.ptr, "log_*"));
    f.tables = NULL;
    f.table_count = 0;
    op_fixture_ok(&f, WIRE_OP_RULE_REPLACE, S("{\"rules\":[]}"), NULL);
}

void test_opdescribe__descriptions_are_stored_replaced_and_removed(void **state)
{
    (void)state;
    const struct jsonr_value *v =
        ask(WIRE_OP_DESCRIBE_SET, "{\"table\":\"Orders\",\"column\":\"TOTAL\",\"description\":\"in euro\"}");
    assert_string_equal(op_json_text(v, "table"), "orders"); /* as the schema spells it */
    assert_string_equal(op_json_text(v, "column"), "total");
    (void)ask(WIRE_OP_DESCRIBE_SET,
        "{\"descriptions\":[{\"description\":\"A shop\"},{\"table\":\"big\",\"description\":\"large ones\"},"
        "{\"table\":\"orders\",\"column\":\"total\",\"description\":\"in cents\"}]}");
    v = ask(WIRE_OP_DESCRIBE, "");
    assert_string_equal(op_json_text(v, "databaseDescription"), "A shop");
    assert_string_equal(op_json_text(v, "tables/1/columns/2/description"), "in cents");
    assert_string_equal(op_json_text(v, "views/0/description"), "large ones");
    (void)ask(WIRE_OP_DESCRIBE_SET,
        "{\"descriptions\":[{\"description\":null},{\"table\":\"big\",\"description\":\"\"},"
        "{\"table\":\"orders\",\"column\":\"total\",\"description\":null}]}");
    assert_string_equal(op_fixture_value(&f, "SELECT count(*) FROM _sys_description"), "0");
}

void test_opdescribe__descriptions_refuse_what_is_not_there(void **state)
{
    static const struct {
        const char *body;
        enum err_code code;
        const char *says;
    } cases[] = {
        {"{\"table\":\"ordrs\",\"description\":\"x\"}", ERR_NOT_FOUND, "did you mean \"orders\"?"},
        {"{\"table\":\"orders\",\"column\":\"totl\",\"description\":\"x\"}", ERR_NOT_FOUND,
            "did you mean \"total\"?"},
        {"{\"table\":\"_sys_description\",\"description\":\"x\"}", ERR_NOT_FOUND, "no such table"},
        {"{\"column\":\"total\",\"description\":\"x\"}", ERR_INVALID, "a column needs its table"},
        {"{\"table\":\"orders\"}", ERR_INVALID, "/description"},
        {"{\"table\":\"orders\",\"description\":7}", ERR_INVALID, "/description"},
        {"{\"descriptions\":[]}", ERR_INVALID, "/descriptions"},
        {"{\"descriptions\":[{\"description\":\"kept?\"},{\"table\":\"ordrs\",\"description\":\"x\"}]}",
            ERR_NOT_FOUND, "ordrs"},
        {"{\"descriptions\":[{\"table\":5,\"description\":\"x\"}]}", ERR_INVALID, "/descriptions/0/table"},
        {"[]", ERR_INVALID, ""},
        {"", ERR_INVALID, ""},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const char *error = expect_refused(WIRE_OP_DESCRIBE_SET, cases[i].body, cases[i].code);
        if (!strstr(error, cases[i].says))
            fail_msg("%s: %s", cases[i].body, error);
    }
    f.role = WIRE_ROLE_READWRITE;
    (void)expect_refused(WIRE_OP_DESCRIBE_SET, "{\"description\":\"x\"}", ERR_FORBIDDEN);
    f.role = WIRE_ROLE_ADMIN;
    assert_string_equal(op_fixture_value(&f, "SELECT count(*) FROM _sys_description"), "0");
}

void test_opdescribe__explain_plans_a_write_and_does_not_run_it(void **state)
{
    (void)state;
    const struct jsonr_value *v =
        ask(WIRE_OP_EXPLAIN, "{\"sql\":\"DELETE FROM orders WHERE total > ?\",\"params\":[1]}");
    assert_string_equal(op_json_text(v, "scans/0/table"), "orders");
    assert_string_equal(op_json_text(v, "rows/0/3"), "SCAN orders");
    assert_string_equal(op_json_text(v, "plan/0/detail"), "SCAN orders");
    assert_false(jsonr_bool(op_json_at(v, "readonly")));
    assert_string_equal(op_fixture_value(&f, "SELECT count(*) FROM orders"), "3");
    v = ask(WIRE_OP_EXPLAIN, "{\"sql\":\"EXPLAIN QUERY PLAN SELECT * FROM orders WHERE id = 1\"}");
    assert_int_equal(jsonr_count(op_json_at(v, "scans")), 0);
    (void)expect_refused(WIRE_OP_EXPLAIN, "{\"sql\":\"SELECT 1; SELECT 2\"}", ERR_INVALID);
    (void)expect_refused(WIRE_OP_EXPLAIN, "{\"sql\":\"-- nothing\"}", ERR_INVALID);
    (void)expect_refused(WIRE_OP_EXPLAIN, "{\"sql\":\"SELECT * FROM ordrs\"}", ERR_SQL);
    (void)expect_refused(WIRE_OP_EXPLAIN, "{\"sql\":\"SELECT * FROM _sys_meta\"}", ERR_FORBIDDEN);
    f.role = WIRE_ROLE_READONLY;
    (void)expect_refused(WIRE_OP_EXPLAIN, "{\"sql\":\"DELETE FROM orders\"}", ERR_FORBIDDEN);
    f.role = WIRE_ROLE_ADMIN;
}

void test_opdescribe__validate_answers_and_never_runs(void **state)
{
    static const struct {
        const char *body;
        bool ok;
        const char *says; /* somewhere in the answer */
    } cases[] = {
        {"{\"sql\":\"SELECT id, total FROM orders WHERE id = ?\",\"params\":[1]}", true,
            "\"columns\":[\"id\",\"total\"]"},
        {"{\"sql\":\"DELETE FROM orders\"}", true, "\"readonly\":false"},
        {"{\"sql\":\"DROP TABLE orders\"}", true, "\"readonly\":false"},
        {"{\"sql\":\"SELECT :a, @b, $c, ?\"}", true, "[\":a\",\"@b\",\"$c\",null]"},
        {"{\"sql\":\"SELECT * FROM ordrs\"}", false, "\"kind\":\"unknown_table\""},
        {"{\"sql\":\"SELECT totl FROM orders\"}", false, "\"kind\":\"unknown_column\""},
        {"{\"sql\":\"SELEC 1\"}", false, "\"kind\":\"syntax_error\""},
        {"{\"sql\":\"SELECT ?\",\"params\":[1,2]}", false, "\"kind\":\"too_many_params\""},
        {"{\"sql\":\"SELECT ?, ?\",\"params\":[1]}", false, "\"error\":"},
        {"{\"sql\":\"SELECT :a\",\"params\":{\"b\":1}}", false, "\"error\":"},
        {"{\"sql\":\"SELECT 1; DELETE FROM orders\"}", false, "one statement"},
        {"{\"sql\":\"ATTACH 'x' AS y\"}", false, "\"error\":"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct jsonr_value *v = ask(WIRE_OP_VALIDATE, cases[i].body);
        if (jsonr_bool(op_json_at(v, "ok")) != cases[i].ok || !strstr(f.out.ptr, cases[i].says))
            fail_msg("%s: %.*s", cases[i].body, STR_ARG(f.out));
        assert_int_equal(f.head.status, 200);
    }
    assert_string_equal(op_fixture_value(&f, "SELECT count(*) FROM orders"), "3");
    (void)expect_refused(WIRE_OP_VALIDATE, "{}", ERR_INVALID);
    (void)expect_refused(WIRE_OP_VALIDATE, "{\"sql\":\"SELECT 1\",\"params\":7}", ERR_INVALID);
}

void test_opdescribe__a_huge_table_is_estimated(void **state)
{
    struct op_fixture big;
    (void)state;
    op_fixture_init(&big);
    /* More pages than are counted whole, of rows that are all zero and cheap to make. */
    op_fixture_sql(&big, "CREATE TABLE t(id INTEGER PRIMARY KEY, v BLOB); WITH RECURSIVE n(i) AS (SELECT 1 "
                         "UNION ALL SELECT i + 1"
                         " FROM n WHERE i < 60000) INSERT INTO t SELECT i, zeroblob(2000) FROM n;");
    op_fixture_ok(&big, WIRE_OP_TABLES, STR_EMPTY, NULL);
    int64_t rows = op_json_int(op_fixture_json(&big), "0/rowCount");
    assert_in_range(rows, 54000, 66000); /* exact on a fast machine */
    op_fixture_release(&big);
}

/* Every reader of the schema looks into the views, also into those that cannot be read; what is wrong with
 * them is not what was wrong with the call. */
void test_opdescribe__errors_speak_of_the_call_alone(void **state)
{
    static const struct op_arg EXPORT[] = {{"format", "csv"}, {NULL, NULL}};
    (void)state;
    op_fixture_sql(&f, "CREATE VIEW a1 AS SELECT * FROM a2; CREATE VIEW a2 AS SELECT * FROM a1");
    (void)expect_refused(WIRE_OP_DESCRIBE_SET, "{}", ERR_INVALID);
    assert_null(strstr(f.out.ptr, "errorDetail"));
    assert_int_not_equal(
        op_fixture_run(&f, WIRE_OP_DESCRIBE_SET, S("{\"table\":\"nothing\",\"description\":\"x\"}"), NULL),
        ERR_OK);
    assert_null(strstr(f.out.ptr, "errorDetail"));
    assert_int_not_equal(op_fixture_run(&f, WIRE_OP_EXPORT, STR_EMPTY, EXPORT), ERR_OK);
    assert_null(strstr(f.out.ptr, "errorDetail"));
    op_fixture_sql(&f, "DROP VIEW a1; DROP VIEW a2");
}
