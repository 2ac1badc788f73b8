/* Setting masks: what fits a schema is kept and told again, what does not is refused by its place. */
#include "lib/op_fixture.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static struct op_fixture fx;

static void begin(void)
{
    op_fixture_init(&fx);
    op_fixture_sql(&fx,
        "CREATE TABLE users(id INTEGER PRIMARY KEY, email TEXT UNIQUE COLLATE NOCASE, name TEXT NOT NULL, "
        "age INT,"
        " born TEXT, up TEXT AS (upper(name)), boss INTEGER REFERENCES users);"
        "CREATE TABLE orders(id INTEGER PRIMARY KEY, buyer TEXT REFERENCES users(email), by INTEGER "
        "REFERENCES users(id),"
        " note TEXT);"
        "CREATE TABLE \"odd \"\"one\"\"\"(\"a'b\" TEXT); CREATE TABLE strict_one(n INTEGER) STRICT;"
        "CREATE VIRTUAL TABLE own USING fts5(body); CREATE VIRTUAL TABLE beside USING fts5(note, "
        "content='orders', content_rowid='id');"
        "CREATE VIEW v AS SELECT 1 AS a;");
}

#define ONE(table, column, kind)                                                                             \
    "{\"masks\":[{\"table\":\"" table "\",\"column\":\"" column "\",\"kind\":\"" kind "\"}]}"

void test_opmasks__are_kept_and_told(void **state)
{
    (void)state;
    begin();
    op_fixture_ok(&fx, WIRE_OP_MASK_SET,
        S("{\"masks\":[{\"table\":\"USERS\",\"column\":\"Email\",\"kind\":\"email\",\"options\":{\"domain\":"
          "\"x.test\"}},"
          "{\"table\":\"odd \\\"one\\\"\",\"column\":\"a'b\",\"kind\":\"shape\"},"
          "{\"table\":\"own\",\"column\":\"body\",\"kind\":\"null\"}]}"),
        NULL);
    op_fixture_ok(&fx, WIRE_OP_MASK_LIST, STR_EMPTY, NULL);
    const struct jsonr_value *v = op_fixture_json(&fx);
    assert_int_equal(jsonr_count(op_json_at(v, "masks")), 3);
    assert_string_equal(op_json_text(v, "masks/0/table"), "odd \"one\"");
    assert_string_equal(op_json_text(v, "masks/2/column"), "email");
    assert_string_equal(op_json_text(v, "masks/2/options/domain"), "x.test");
    assert_string_equal(op_json_text(v, "follows/0/column"), "buyer");
    assert_string_equal(op_json_text(v, "follows/0/refersTo/column"), "email");
    assert_int_equal(jsonr_kind(op_json_at(v, "problem")), JSONR_NULL);
    assert_string_equal(op_fixture_value(&fx, "SELECT count(*) FROM _sys_mask"), "3"); /* not what follows */
    char secret[80];
    str_print(secret, sizeof secret, "%s",
        op_fixture_value(&fx, "SELECT value FROM _sys_meta WHERE key = 'mask_secret'"));
    assert_int_equal(strlen(secret), 64);
    op_fixture_ok(&fx, WIRE_OP_MASK_SET, S("{\"masks\":[]}"), NULL);
    assert_string_equal(op_fixture_value(&fx, "SELECT count(*) FROM _sys_mask"), "0");
    assert_string_equal(
        op_fixture_value(&fx, "SELECT value FROM _sys_meta WHERE key = 'mask_secret'"), secret);
    op_fixture_release(&fx);
}

void test_opmasks__what_does_not_fit_is_refused_by_its_place(void **state)
{
    static const struct {
        const char *body, *text;
    } ROWS[] = {
        {ONE("user", "email", "hash"),
            "/masks/0/table: is no table of this database (did you mean \"users\"?)"},
        {ONE("users", "mail", "hash"), "/masks/0/column: is no column"},
        {ONE("v", "a", "hash"), "/masks/0/table: is no table"},
        {ONE("_sys_meta", "value", "hash"), "/masks/0/table: is no table"},
        {ONE("users", "email", "rot13"), "/masks/0/kind: must be"},
        {ONE("users", "name", "null"), "/masks/0/kind: null is not for a column that is NOT NULL"},
        {ONE("users", "id", "null"), "/masks/0/kind: null is not for a key"},
        {ONE("users", "email", "null"), "/masks/0/kind: null is not for a key"},
        {ONE("users", "email", "name"), "/masks/0/kind: name gives two values the same one"},
        {ONE("users", "age", "email"), "/masks/0/kind: email is a text"},
        {ONE("strict_one", "n", "name"), "/masks/0/kind: name is a text"},
        {ONE("users", "up", "hash"), "/masks/0/column: is computed"},
        {ONE("orders", "buyer", "hash"), "which keeps its values: mask that column"},
        {ONE("own", "text", "hash"), "/masks/0/column: is no column"},
        {ONE("beside", "note", "hash"), "/masks/0/table: keeps no text of its own"},
        {"{\"masks\":[{\"table\":\"users\",\"column\":\"age\",\"kind\":\"hash\"},{\"table\":\"USERS\","
         "\"column\":\"AGE\","
         "\"kind\":\"null\"}]}",
            "/masks/1: is the second mask of this column"},
        {"{\"masks\":[{\"table\":\"users\",\"column\":\"email\",\"kind\":\"hash\"},{\"table\":\"orders\","
         "\"column\":\"buyer\","
         "\"kind\":\"email\"}]}",
            "/masks/1: \"orders\".\"buyer\" refers to"},
        {"{\"masks\":[{\"table\":\"users\",\"column\":\"age\",\"kind\":\"hash\",\"more\":1}]}",
            "/masks/0/more"},
        {"{\"masks\":[{\"table\":\"users\",\"column\":\"age\"}]}", "/masks/0/kind"},
        {"{\"masks\":{}}", "/masks"},
        {"{}", "/masks"},
        {"[]", ""},
        {"", ""},
    };
    (void)state;
    begin();
    op_fixture_ok(&fx, WIRE_OP_MASK_SET, S(ONE("users", "age", "hash")), NULL);
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        assert_int_equal(op_fixture_run(&fx, WIRE_OP_MASK_SET, str_of(ROWS[i].body), NULL), ERR_INVALID);
        if (!strstr(fx.error.ptr, ROWS[i].text)) {
            print_error("%s\n", fx.error.ptr);
            fail();
        }
    }
    assert_string_equal(
        op_fixture_value(&fx, "SELECT group_concat(column_name) FROM _sys_mask"), "age"); /* as they were */
    op_fixture_release(&fx);
}

void test_opmasks__a_reference_may_be_null_or_the_same(void **state)
{
    (void)state;
    begin();
    op_fixture_ok(&fx, WIRE_OP_MASK_SET,
        S("{\"masks\":[{\"table\":\"users\",\"column\":\"id\",\"kind\":\"hash\"},"
          "{\"table\":\"orders\",\"column\":\"by\",\"kind\":\"null\"},{\"table\":\"users\",\"column\":"
          "\"boss\",\"kind\":\"hash\"}]}"),
        NULL);
    op_fixture_ok(&fx, WIRE_OP_MASK_SET, S(ONE("orders", "by", "null")), NULL);
    op_fixture_release(&fx);
}

void test_opmasks__what_was_renamed_is_told(void **state)
{
    (void)state;
    begin();
    op_fixture_ok(&fx, WIRE_OP_MASK_SET, S(ONE("orders", "note", "hash")), NULL);
    op_fixture_sql(&fx, "ALTER TABLE orders ADD COLUMN later");
    op_fixture_ok(&fx, WIRE_OP_MASK_LIST, STR_EMPTY, NULL);
    assert_non_null(strstr(op_json_text(op_fixture_json(&fx), "problem"), "\"orders\".\"later\" is new"));
    op_fixture_sql(&fx, "ALTER TABLE orders RENAME COLUMN note TO memo");
    op_fixture_ok(&fx, WIRE_OP_MASK_LIST, STR_EMPTY, NULL);
    assert_non_null(strstr(op_json_text(op_fixture_json(&fx), "problem"), "\"orders\".\"note\" was renamed"));
    op_fixture_sql(
        &fx, "ALTER TABLE orders RENAME COLUMN memo TO tmp; ALTER TABLE orders RENAME COLUMN later TO note");
    op_fixture_ok(&fx, WIRE_OP_MASK_LIST, STR_EMPTY, NULL); /* another column has the masked name */
    assert_non_null(strstr(op_json_text(op_fixture_json(&fx), "problem"), "\"orders\".\"note\" was renamed"));
    op_fixture_sql(&fx, "DROP TABLE beside; ALTER TABLE orders RENAME TO purchases");
    op_fixture_ok(&fx, WIRE_OP_MASK_LIST, STR_EMPTY, NULL);
    assert_non_null(
        strstr(op_json_text(op_fixture_json(&fx), "problem"), "the table \"orders\" was renamed"));
    op_fixture_release(&fx);
}

void test_opmasks__are_an_admins_who_sees_all(void **state)
{
    static const struct str scope[] = {{"users", 5}};
    (void)state;
    begin();
    fx.role = WIRE_ROLE_READWRITE;
    assert_int_equal(op_fixture_run(&fx, WIRE_OP_MASK_LIST, STR_EMPTY, NULL), ERR_FORBIDDEN);
    assert_int_equal(op_fixture_run(&fx, WIRE_OP_MASK_SET, S("{\"masks\":[]}"), NULL), ERR_FORBIDDEN);
    fx.role = WIRE_ROLE_ADMIN;
    fx.tables = scope;
    fx.table_count = 1;
    assert_int_equal(op_fixture_run(&fx, WIRE_OP_MASK_LIST, STR_EMPTY, NULL), ERR_FORBIDDEN);
    assert_int_equal(op_fixture_run(&fx, WIRE_OP_MASK_SET, S("{\"masks\":[]}"), NULL), ERR_FORBIDDEN);
    op_fixture_release(&fx);
}
