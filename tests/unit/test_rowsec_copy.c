/* A dump carries row-level security: a database that is made from it is no more open than the first was. */
#define _GNU_SOURCE /* memmem */
#include "base/strbuf.h"
#include "json/jsonw.h"
#include "lib/op_fixture.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

static const char *const SCRIPT[] = {
    "CREATE TABLE notes (id INTEGER PRIMARY KEY, tenant TEXT)",
    "CREATE TABLE broken (id INTEGER PRIMARY KEY, tenant TEXT)",
    "CREATE TABLE closed (id INTEGER PRIMARY KEY)",
    "CREATE TABLE off (id INTEGER PRIMARY KEY)",
    "CREATE TABLE open (id INTEGER PRIMARY KEY)",
    "INSERT INTO notes VALUES (1, 'a'), (2, 'b')",
    "INSERT INTO broken VALUES (1, 'a')",
    "INSERT INTO closed VALUES (1)",
    "INSERT INTO off VALUES (1)",
    "INSERT INTO open VALUES (1)",
};

static struct op_fixture from, to;

static enum err_code query(struct op_fixture *f, const char *sql)
{
    AUTO_STRBUF body;
    struct jsonw w;
    strbuf_init(&body, 1 << 16);
    jsonw_init(&w, &body);
    jsonw_object(&w);
    JSONW_CSTR(&w, "sql", sql);
    jsonw_object_end(&w);
    return op_fixture_run(f, WIRE_OP_QUERY, strbuf_str(&body), NULL);
}

static void policy(const char *json)
{
    op_fixture_ok(&from, WIRE_OP_POLICY_SET, str_of(json), NULL);
}

static void begin(void)
{
    op_fixture_init(&from);
    op_fixture_init(&to);
    for (size_t i = 0; i < ARRAY_LEN(SCRIPT); i++)
        assert_int_equal(query(&from, SCRIPT[i]), ERR_OK);
    policy("{\"name\":\"own\",\"tableName\":\"notes\",\"using\":\"tenant =\\n "
           ":auth_tenant\",\"withCheck\":\"id > "
           "0\",\"roles\":[\"readonly\",\"readwrite\"]}");
    policy("{\"name\":\"none\",\"tableName\":\"notes\",\"command\":\"insert\",\"withCheck\":\"0\","
           "\"enabled\":false}");
    policy("{\"name\":\"own\",\"tableName\":\"broken\",\"using\":\"tenant = :auth_tenant\"}");
    policy("{\"name\":\"all\",\"tableName\":\"broken\",\"using\":\"1\"}");
    policy("{\"name\":\"all\",\"tableName\":\"off\",\"using\":\"0\"}");
    op_fixture_ok(&from, WIRE_OP_ROW_SECURITY_SET, S("{\"tableName\":\"closed\",\"enabled\":true}"), NULL);
    op_fixture_ok(&from, WIRE_OP_ROW_SECURITY_SET, S("{\"tableName\":\"off\",\"enabled\":false}"), NULL);
    assert_int_equal(query(&from, "ALTER TABLE broken RENAME COLUMN tenant TO owner"), ERR_OK);
}

static void end(void)
{
    op_fixture_release(&from);
    op_fixture_release(&to);
}

/* A copy of the dump; free() it. */
static char *dump(const char *table)
{
    struct op_arg args[] = {{"format", "sql"}, {table ? "table" : NULL, table}, {NULL, NULL}};
    (void)engine_fixture_end(&from.engine, false);
    engine_fixture_again(&from.engine, ENGINE_READER);
    op_fixture_ok(&from, WIRE_OP_EXPORT, STR_EMPTY, args);
    char *copy = strdup(from.out.ptr);
    (void)engine_fixture_end(&from.engine, false);
    engine_fixture_again(&from.engine, ENGINE_WRITER);
    return copy;
}

static void seen(const char *table, int64_t rows)
{
    char sql[80];
    to.role = WIRE_ROLE_READWRITE;
    to.claims = S("{\"tenant\":\"a\"}");
    str_print(sql, sizeof sql, "SELECT count(*) FROM %s", table);
    assert_int_equal(query(&to, sql), ERR_OK);
    assert_int_equal(op_json_int(op_fixture_json(&to), "rows/0/0"), rows);
    to.role = WIRE_ROLE_ADMIN;
    to.claims = STR_EMPTY;
}

#define STORED                                                                                               \
    "SELECT group_concat(name || table_name || command || coalesce(using_sql, '-') || coalesce(check_sql, "  \
    "'-')"                                                                                                   \
    " || roles || enabled ORDER BY table_name, name) FROM _sys_policy"

void test_rowsec_copy__a_dump_carries_policies(void **state)
{
    (void)state;
    begin();
    char *text = dump(NULL);
    op_fixture_ok(&to, WIRE_OP_IMPORT, str_of(text), NULL);
    assert_int_equal(op_json_int(op_fixture_json(&to), "policies"), 5);
    assert_int_equal(jsonr_count(op_json_at(op_fixture_json(&to), "notes")), 0);
    seen("notes", 1);
    seen("broken", 0); /* one of its policies does not compile */
    seen("closed", 0);
    seen("off", 1);
    seen("open", 1);
    char *stored = strdup(op_fixture_value(&from, STORED));
    assert_string_equal(op_fixture_value(&to, STORED), stored);
    /* Again, over what is there: nothing is opened, and each is told. */
    assert_int_equal(query(&to, "DROP TABLE open"), ERR_OK);
    op_fixture_ok(&to, WIRE_OP_IMPORT,
        S("-- policy: {\"name\":\"own\",\"tableName\":\"notes\",\"using\":\"1\"}\n"
          "-- row security: {\"tableName\":\"missing\"}\n-- policy: {\"name\":1}\n-- policy: of mine\n"
          "CREATE TABLE open (id INTEGER PRIMARY KEY);"),
        NULL);
    assert_int_equal(op_json_int(op_fixture_json(&to), "policies"), 0);
    assert_int_equal(jsonr_count(op_json_at(op_fixture_json(&to), "notes")), 3);
    seen("notes", 1);
    assert_string_equal(op_fixture_value(&to, STORED), stored);
    free(stored);
    free(text);
    end();
}

void test_rowsec_copy__a_token_with_a_scope_gets_closed_tables(void **state)
{
    static const struct str SCOPE[] = {{"notes", 5}, {"off", 3}};
    (void)state;
    begin();
    from.tables = SCOPE;
    from.table_count = ARRAY_LEN(SCOPE);
    char *text = dump(NULL);
    assert_null(strstr(text, "auth_tenant"));
    op_fixture_ok(&to, WIRE_OP_IMPORT, str_of(text), NULL);
    assert_non_null(strstr(to.out.ptr, "\\\"notes\\\" is closed until it gets policies"));
    seen("notes", 0);
    seen("off", 1);
    free(text);
    end();
}

void test_rowsec_copy__a_token_with_a_scope_is_told_that_it_opens(void **state)
{
    static const struct str SCOPE[] = {{"notes", 5}};
    (void)state;
    begin();
    char *text = dump("notes");
    assert_int_equal(query(&to, "CREATE TABLE other (x)"), ERR_OK);
    to.tables = SCOPE;
    to.table_count = ARRAY_LEN(SCOPE);
    op_fixture_ok(&to, WIRE_OP_IMPORT, str_of(text), NULL);
    assert_non_null(strstr(to.out.ptr, "of \\\"notes\\\" was not taken over: the token has a table scope"));
    assert_string_equal(op_fixture_value(&to, "SELECT count(*) FROM _sys_policy"), "0");
    free(text);
    end();
}

/* One transaction with the rows. */
void test_rowsec_copy__a_failed_import_stores_no_policy(void **state)
{
    (void)state;
    begin();
    char *text = dump(NULL);
    AUTO_STRBUF script;
    strbuf_init(&script, 1 << 20);
    strbuf_addf(&script, "%s\nSELECT nosuch;", text);
    assert_int_equal(op_fixture_run(&to, WIRE_OP_IMPORT, strbuf_str(&script), NULL), ERR_SQL);
    assert_string_equal(
        op_fixture_value(&to, "SELECT (SELECT count(*) FROM _sys_policy) + (SELECT count(*) FROM "
                              "_sys_row_security)"),
        "0");
    op_fixture_ok(&to, WIRE_OP_IMPORT, str_of(text), NULL);
    seen("notes", 1);
    free(text);
    end();
}
