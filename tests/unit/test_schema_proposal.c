/* Proposals that make, fill and rename tables, on a real engine. */
#include "lib/op_fixture.h"
#include "lib/unit.h"

static struct op_fixture f;
static char g_token[100], g_id[60];

int setup_schema_proposal(void **state)
{
    (void)state;
    op_fixture_init(&f);
    return 0;
}

int teardown_schema_proposal(void **state)
{
    (void)state;
    op_fixture_release(&f);
    return 0;
}

static void fresh(void)
{
    op_fixture_sql(&f, "DROP TABLE IF EXISTS stock; DROP TABLE IF EXISTS copy; DROP TABLE IF EXISTS words;"
                       "DROP TABLE IF EXISTS goods; CREATE TABLE stock (id INTEGER PRIMARY KEY, n INTEGER);"
                       "INSERT INTO stock VALUES (1, 10), (2, 20), (3, 30);");
}

static const struct jsonr_value *propose(const char *body)
{
    op_fixture_ok(&f, WIRE_OP_PROPOSE, str_of(body), NULL);
    const struct jsonr_value *v = op_fixture_json(&f);
    str_print(g_token, sizeof g_token, "%s", op_json_text(v, "executionToken"));
    str_print(g_id, sizeof g_id, "%s", op_json_text(v, "proposalId"));
    return v;
}

static void apply(uint16_t status)
{
    char body[200];
    str_print(body, sizeof body, "{\"executionToken\":\"%s\"}", g_token);
    (void)op_fixture_run(&f, WIRE_OP_APPLY, str_of(body), NULL);
    assert_int_equal(f.head.status, status);
}

static void query(const char *sql)
{
    char body[500];
    str_print(body, sizeof body, "{\"sql\":\"%s\"}", sql);
    op_fixture_ok(&f, WIRE_OP_QUERY, str_of(body), NULL);
}

#define TABLES                                                                                               \
    "SELECT ifnull(group_concat(name, ' '), '') FROM (SELECT name FROM sqlite_schema WHERE type = 'table'"   \
    " AND name NOT LIKE '\\_sys\\_%' ESCAPE '\\' AND name NOT LIKE 'sqlite%' ORDER BY name)"

void test_schema_proposal__rows_that_a_table_is_made_with_are_inserts(void **state)
{
    (void)state;
    fresh();
    const char *body = "{\"statements\":[{\"sql\":\"CREATE TABLE copy AS SELECT * FROM stock WHERE id > 1\"},"
                       "{\"sql\":\"UPDATE copy SET n = n + 1 WHERE id = 2\"},"
                       "{\"sql\":\"DELETE FROM copy WHERE id = 3\"},"
                       "{\"sql\":\"INSERT INTO copy VALUES (9, 90)\"}]}";
    const struct jsonr_value *v = propose(body);
    assert_int_equal(op_json_int(v, "changes/tables/0/insert"), 2);
    assert_int_equal(op_json_int(v, "changes/tables/0/update"), 0);
    assert_int_equal(op_json_int(v, "changes/tables/0/delete"), 0);
    assert_int_equal(op_json_int(v, "changes/rows/0/after/n"), 21);
    assert_int_equal(op_json_int(v, "changes/rows/1/after/id"), 9);
    assert_string_equal(op_fixture_value(&f, TABLES), "stock");
    query("UPDATE stock SET n = 200 WHERE id = 2");
    apply(409); /* other rows than those that were shown */
    assert_string_equal(op_fixture_value(&f, TABLES), "stock");
    propose(body);
    apply(200);
    assert_string_equal(
        op_fixture_value(&f, "SELECT group_concat(id || ':' || n, ' ') FROM copy"), "2:201 9:90");
}

void test_schema_proposal__a_table_gets_another_name_with_its_rows(void **state)
{
    (void)state;
    fresh();
    const struct jsonr_value *v =
        propose("{\"statements\":[{\"sql\":\"ALTER TABLE main.stock RENAME TO \\\"copy\\\"\"},"
                "{\"sql\":\"/* once more */ alter table [copy] rename to goods\"},"
                "{\"sql\":\"UPDATE goods SET n = 11 WHERE id = 1\"}]}");
    assert_string_equal(op_json_text(v, "schemaDiff/0/change"), "added");
    assert_string_equal(op_json_text(v, "schemaDiff/0/renamedFrom"), "stock");
    assert_string_equal(op_json_text(v, "schemaDiff/1/renamedTo"), "goods");
    assert_int_equal(jsonr_kind(op_json_at(v, "schemaDiff/1/rows")), JSONR_NULL); /* none is lost */
    assert_string_equal(op_json_text(v, "changes/rows/0/op"), "update");
    assert_int_equal(jsonr_count(op_json_at(v, "changes/rows")), 1);
    apply(200);
    assert_string_equal(op_fixture_value(&f, TABLES), "goods");
    assert_string_equal(op_fixture_value(&f, "SELECT sum(n) FROM goods"), "61");
}

/* A page that a removed table leaves may be the new one's: that is no rename. */
void test_schema_proposal__what_takes_the_place_of_another_is_new(void **state)
{
    (void)state;
    fresh();
    const struct jsonr_value *v = propose("{\"statements\":[{\"sql\":\"DROP TABLE stock\"},"
                                          "{\"sql\":\"CREATE TABLE copy AS SELECT 1 AS id, 'x' AS n\"}]}");
    assert_null(op_json_at(v, "schemaDiff/0/renamedFrom"));
    assert_int_equal(op_json_int(v, "schemaDiff/1/rows"), 3);
    assert_string_equal(op_json_text(v, "changes/rows/0/after/n"), "x");
}

/* What SQLite does not take back alone is written out before it is: the neighbours' commit must hold. */
void test_schema_proposal__a_full_text_table_is_made_and_filled(void **state)
{
    (void)state;
    fresh();
    const char *body = "{\"statements\":[{\"sql\":\"CREATE VIRTUAL TABLE words USING fts5(body)\"},"
                       "{\"sql\":\"INSERT INTO words VALUES ('first words'), ('second')\"}]}";
    for (int i = 0; i < 3; i++) {
        const struct jsonr_value *v = propose(body);
        assert_int_equal(jsonr_count(op_json_at(v, "schemaDiff")), 1); /* its inner tables are not told */
        assert_int_equal(op_json_int(v, "changes/tables/0/insert"), 2);
        assert_string_equal(op_fixture_value(&f, TABLES), "stock");
        query("UPDATE stock SET n = n + 1");
    }
    apply(200);
    assert_string_equal(
        op_fixture_value(&f, "SELECT body FROM words WHERE words MATCH 'words'"), "first words");
    op_fixture_sql(&f, "INSERT INTO words (words) VALUES ('integrity-check')");
    propose("{\"sql\":\"CREATE VIRTUAL TABLE goods USING fts5(n, content='stock')\"}"); /* it keeps no rows */
    apply(200);
    op_fixture_sql(&f, "DROP TABLE goods");
}

/* What is made again with the same text is another one all the same: its rows are gone. */
void test_schema_proposal__what_is_dropped_and_made_again_is_told(void **state)
{
    static const char *const ROWS[] = {
        "{\"sql\":\"DROP TABLE stock\"},{\"sql\":\"CREATE TABLE stock (id INTEGER PRIMARY KEY, n INTEGER)\"}",
        "{\"sql\":\"; drop table if exists \\\"main\\\" . [stock]\"},"
        "{\"sql\":\"CREATE TABLE stock (id INTEGER PRIMARY KEY, n INTEGER)\"}",
        "{\"sql\":\"DROP \xef\xbb\xbf TABLE stock\"},"
        "{\"sql\":\"CREATE TABLE stock (id INTEGER PRIMARY KEY, n INTEGER)\"}",
        "{\"sql\":\"ALTER TABLE \\\"main\\\".\\\"stock\\\" RENAME TO goods\"},"
        "{\"sql\":\"CREATE TABLE stock (id INTEGER PRIMARY KEY, n INTEGER)\"},{\"sql\":\"DROP TABLE goods\"}",
        "{\"sql\":\"ALTER TABLE stock DROP COLUMN n\"},{\"sql\":\"ALTER TABLE stock ADD COLUMN n INTEGER\"}",
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        char body[600];
        fresh();
        str_print(body, sizeof body, "{\"statements\":[%s]}", ROWS[i]);
        const struct jsonr_value *v = propose(body);
        assert_int_equal(jsonr_count(op_json_at(v, "schemaDiff")), 1);
        assert_string_equal(op_json_text(v, "schemaDiff/0/change"), "changed");
        assert_string_equal(op_json_text(v, "schemaDiff/0/name"), "stock");
        assert_non_null(op_json_at(v, "schemaDiff/0/replaced"));
        assert_int_equal(op_json_int(v, "schemaDiff/0/rows"), 3);
        query("INSERT INTO stock VALUES (4, 40)");
        apply(409); /* more rows would go than were shown */
        assert_string_equal(op_fixture_value(&f, "SELECT sum(n) FROM stock"), "100");
        v = propose(body);
        assert_int_equal(op_json_int(v, "schemaDiff/0/rows"), 4);
        apply(200);
        assert_string_equal(op_fixture_value(&f, "SELECT ifnull(sum(n), 0) FROM stock"), "0");
    }
}

void test_schema_proposal__tables_that_change_places_are_told(void **state)
{
    (void)state;
    fresh();
    op_fixture_sql(
        &f, "CREATE TABLE goods (id INTEGER PRIMARY KEY, n INTEGER); INSERT INTO goods VALUES (7, 70)");
    const struct jsonr_value *v = propose("{\"statements\":[{\"sql\":\"ALTER TABLE stock RENAME TO x\"},"
                                          "{\"sql\":\"ALTER TABLE goods RENAME TO stock\"},"
                                          "{\"sql\":\"ALTER TABLE x RENAME TO goods\"}]}");
    assert_int_equal(jsonr_count(op_json_at(v, "schemaDiff")), 2);
    assert_string_equal(op_json_text(v, "schemaDiff/0/name"), "goods");
    assert_int_equal(op_json_int(v, "schemaDiff/0/rows"), 1);
    assert_int_equal(op_json_int(v, "schemaDiff/1/rows"), 3);
    v = propose(
        "{\"statements\":[{\"sql\":\"ALTER TABLE stock RENAME TO x\"},"
        "{\"sql\":\"ALTER TABLE x RENAME TO stock\"}]}"); /* and back: it is the same, in other quotes */
    assert_int_equal(jsonr_count(op_json_at(v, "schemaDiff")), 1);
    assert_null(op_json_at(v, "schemaDiff/0/replaced"));
}

void test_schema_proposal__what_was_off_for_one_write_is_told(void **state)
{
    (void)state;
    fresh();
    op_fixture_sql(&f, "CREATE TRIGGER noted AFTER UPDATE ON stock BEGIN SELECT 1; END");
    const struct jsonr_value *v =
        propose("{\"statements\":[{\"sql\":\"DROP TRIGGER noted\"},{\"sql\":\"UPDATE stock SET n = 5\"},"
                "{\"sql\":\"CREATE TRIGGER noted AFTER UPDATE ON stock BEGIN SELECT 1; END\"}]}");
    assert_int_equal(jsonr_count(op_json_at(v, "schemaDiff")), 1);
    assert_string_equal(op_json_text(v, "schemaDiff/0/type"), "trigger");
    assert_non_null(op_json_at(v, "schemaDiff/0/remade"));
    assert_int_equal(op_json_int(v, "changes/tables/0/update"), 3);
}
