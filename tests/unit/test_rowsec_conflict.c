/* ON CONFLICT DO UPDATE and REPLACE under policies: they do what INSERT, UPDATE and DELETE would do to rows
 * that the caller sees, and learn nothing of others but that a key is taken. */
#define _GNU_SOURCE /* memmem */
#include "base/strbuf.h"
#include "json/jsonw.h"
#include "lib/op_fixture.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <string.h>

#define SECRET "zqxsecret"

static const char *const SCHEMA[] = {
    "CREATE TABLE notes (id INTEGER PRIMARY KEY, tenant TEXT NOT NULL, body TEXT, n INT NOT NULL DEFAULT 20,"
    " slug TEXT COLLATE NOCASE, UNIQUE (tenant, n))",
    "CREATE UNIQUE INDEX notes_slug ON notes (slug)",
    "CREATE TABLE wr (k TEXT PRIMARY KEY, tenant TEXT, body TEXT) WITHOUT ROWID",
    "CREATE TABLE odd (id INTEGER PRIMARY KEY, tenant TEXT, a INT, b INT)",
    "CREATE UNIQUE INDEX odd_a ON odd (a) WHERE b > 0",
    "CREATE TABLE once (n INT NOT NULL DEFAULT 20 UNIQUE, tenant TEXT, id INTEGER PRIMARY KEY)",
    "CREATE TABLE parts (id INTEGER PRIMARY KEY, tenant TEXT, body TEXT)",
    "CREATE TABLE log (what TEXT)",
    "CREATE TRIGGER notes_au AFTER UPDATE ON notes BEGIN INSERT INTO log VALUES (OLD.body); END",
    "INSERT INTO notes VALUES (1, 'a', 'mine', 10, 'One'), (2, 'b', '" SECRET "', 20, 'Two')",
    "INSERT INTO wr VALUES ('k1', 'a', 'mine'), ('k2', 'b', '" SECRET "')",
    "INSERT INTO odd VALUES (1, 'a', 1, 1), (2, 'b', 2, 1)",
    "INSERT INTO once VALUES (10, 'a', 1), (20, 'b', 2)",
    "INSERT INTO parts VALUES (1, 'a', 'x'), (2, 'b', '" SECRET "')",
};

static struct op_fixture fx;

static enum err_code run(enum wire_op op, const char *key, const char *value)
{
    AUTO_STRBUF body;
    struct jsonw w;
    strbuf_init(&body, 1 << 16);
    jsonw_init(&w, &body);
    jsonw_object(&w);
    JSONW_CSTR(&w, key, value);
    jsonw_object_end(&w);
    return op_fixture_run(&fx, op, strbuf_str(&body), NULL);
}

static enum err_code query(const char *sql)
{
    return run(WIRE_OP_QUERY, "sql", sql);
}

static void changes(const char *sql, int64_t count)
{
    if (query(sql) != ERR_OK)
        fail_msg("%s: " STR_FMT, sql, STR_ARG(fx.out));
    if (op_json_int(op_fixture_json(&fx), "changes") != count)
        fail_msg("%s: " STR_FMT, sql, STR_ARG(fx.out));
}

static void refused(const char *sql, const char *why)
{
    if (query(sql) == ERR_OK)
        fail_msg("%s: " STR_FMT, sql, STR_ARG(fx.out));
    if (!strstr(fx.error.ptr, why) || strstr(fx.error.ptr, SECRET))
        fail_msg("%s: " STR_FMT, sql, STR_ARG(fx.error));
}

static void as(const char *tenant)
{
    fx.role = tenant ? WIRE_ROLE_READWRITE : WIRE_ROLE_ADMIN;
    fx.claims = tenant ? str_of(tenant) : STR_EMPTY;
}

#define TENANT_A "{\"tenant\":\"a\"}"
#define TENANT_B "{\"tenant\":\"b\"}"

static void policy(const char *json)
{
    as(NULL);
    op_fixture_ok(&fx, WIRE_OP_POLICY_SET, str_of(json), NULL);
}

static void begin(void)
{
    static const char *const TABLES[] = {"notes", "wr", "odd", "once"};
    op_fixture_init(&fx);
    as(NULL);
    for (size_t i = 0; i < ARRAY_LEN(SCHEMA); i++)
        assert_int_equal(query(SCHEMA[i]), ERR_OK);
    for (size_t i = 0; i < ARRAY_LEN(TABLES); i++) {
        char json[200];
        str_print(json, sizeof json,
            "{\"name\":\"own\",\"tableName\":\"%s\",\"using\":\"tenant = :auth_tenant\"}", TABLES[i]);
        policy(json);
    }
    policy("{\"name\":\"see\",\"tableName\":\"parts\",\"command\":\"select\",\"using\":\"1\"}");
    policy("{\"name\":\"add\",\"tableName\":\"parts\",\"command\":\"insert\",\"withCheck\":\"1\"}");
    policy("{\"name\":\"change\",\"tableName\":\"parts\",\"command\":\"update\",\"using\":\"tenant = "
           ":auth_tenant\",\"withCheck\":\"body <> 'bad'\"}");
    as(TENANT_A);
}

static void end(void)
{
    op_fixture_release(&fx);
}

static void expect(const char *sql, const char *value)
{
    assert_string_equal(op_fixture_value(&fx, sql), value);
}

void test_rowsec_conflict__own_rows_are_updated_and_replaced(void **state)
{
    (void)state;
    begin();
    changes("INSERT INTO notes (id, tenant, body, n) VALUES (1, 'a', 'new', 10)"
            " ON CONFLICT (id) DO UPDATE SET body = notes.body || '+' || excluded.body",
        1);
    expect("SELECT body FROM notes WHERE id = 1", "mine+new");
    expect("SELECT what FROM log", "mine"); /* triggers ran */
    changes(
        "INSERT INTO notes AS t (id, tenant, n) VALUES (1, 'a', 10), (3, 'a', 30) ON CONFLICT DO UPDATE SET "
        "n = t.n + 1, body = (SELECT group_concat(id) FROM notes) WHERE t.n = 10 RETURNING id, n",
        2);
    expect("SELECT group_concat(id || ':' || n) FROM notes WHERE tenant = 'a'", "1:11,3:30");
    expect("SELECT body FROM notes WHERE id = 1", "1"); /* the subquery sees no hidden row */
    changes("INSERT OR REPLACE INTO notes (id, tenant, body, n) VALUES (1, 'a', 'again', 10)", 1);
    changes("REPLACE INTO wr VALUES ('k1', 'a', 'w'), ('k3', 'a', 'w')", 2);
    changes("INSERT INTO wr VALUES ('k1', 'a', 'v') ON CONFLICT (k) DO UPDATE SET body = excluded.body", 1);
    changes("INSERT INTO notes (id, tenant, n) VALUES (1, 'a', 10) ON CONFLICT DO NOTHING", 0);
    changes(
        "INSERT INTO notes (id, tenant, n) VALUES (1, 'a', 10) ON CONFLICT (id) DO UPDATE SET n = 5 WHERE 0",
        0);
    expect("SELECT body FROM notes WHERE id = 1", "again");
    expect("SELECT group_concat(body) FROM wr WHERE tenant = 'a'", "v,w");
    end();
}

void test_rowsec_conflict__hidden_rows_stay_as_they_are(void **state)
{
    static const char *const KEYS[] = {"notes (id, tenant, n) VALUES (2, 'a', 50)",
        "notes (tenant, n, slug) VALUES ('a', 50, 'TWO')", "notes (tenant, n) VALUES ('b', 20)",
        "notes (rowid, tenant, n) VALUES ('2', 'a', 50)", "wr VALUES ('k2', 'a', 'x')",
        "notes (id, tenant, n) SELECT id + 1, 'a', 50 FROM notes", "once VALUES (20, 'a', 9)",
        "once VALUES ('20', 'a', 9)"};
    (void)state;
    begin();
    for (size_t i = 0; i < ARRAY_LEN(KEYS); i++) {
        char sql[300];
        str_print(sql, sizeof sql, "REPLACE INTO %s", KEYS[i]);
        refused(sql, "row-level security");
        str_print(sql, sizeof sql, "INSERT INTO %s%s ON CONFLICT DO UPDATE SET tenant = 'a' RETURNING *",
            KEYS[i], strstr(KEYS[i], "SELECT") ? " WHERE 1" : "");
        refused(sql, "row-level security");
        str_print(sql, sizeof sql, "INSERT OR REPLACE INTO %s%s ON CONFLICT DO NOTHING", KEYS[i],
            strstr(KEYS[i], "SELECT") ? " WHERE 1" : "");
        refused(sql, "row-level security");
    }
    /* A default that REPLACE puts in place of NULL. */
    refused("INSERT OR REPLACE INTO once VALUES (NULL, 'a', 9)", "row-level security");
    refused("INSERT OR REPLACE INTO notes (tenant, n) VALUES ('a', NULL)", "row-level security");
    expect("SELECT group_concat(id || tenant || body || n || slug) FROM notes WHERE id = 2",
        "2b" SECRET "20Two");
    expect("SELECT group_concat(k || tenant || body) FROM wr WHERE k = 'k2'", "k2b" SECRET);
    expect("SELECT group_concat(n || tenant || id) FROM once", "10a1,20b2");
    expect("SELECT count(*) FROM notes", "2");
    expect("SELECT count(*) FROM log", "0");
    end();
}

/* Whether a condition over a hidden row is true shows neither in an error nor in a count. */
void test_rowsec_conflict__nothing_is_told_of_hidden_rows(void **state)
{
    static const char *const FORMS[] = {
        "INSERT INTO notes (id, tenant, n) VALUES (2, 'a', 50) ON CONFLICT DO UPDATE SET n = 1 WHERE "
        "notes.body = '%s'",
        "INSERT INTO notes (id, tenant, n) VALUES (2, 'a', 50) ON CONFLICT DO UPDATE SET n = 1"
        " WHERE CASE WHEN notes.body = '%s' THEN abs(-9223372036854775807 - 1) ELSE 0 END",
        "INSERT INTO notes (id, tenant, n) VALUES (2, 'a', 50) ON CONFLICT (id) DO UPDATE SET"
        " n = CASE WHEN body = '%s' THEN abs(-9223372036854775807 - 1) ELSE 0 END RETURNING body",
        "INSERT INTO wr VALUES ('k2', 'a', 'x') ON CONFLICT (k) DO UPDATE SET body = 'y' WHERE wr.body <> "
        "'%s'",
        "INSERT INTO wr VALUES ('k9', 'a', 'x') ON CONFLICT (k) DO UPDATE SET body ="
        " (SELECT count(*) FROM wr WHERE body = '%s') RETURNING (SELECT count(*) FROM wr WHERE body = 'x')",
        "REPLACE INTO wr SELECT 'k8', 'a', count(*) FROM wr WHERE body = '%s' RETURNING *",
    };
    (void)state;
    begin();
    for (size_t i = 0; i < ARRAY_LEN(FORMS); i++) {
        char first[2000];
        char *hit = sqlite3_mprintf(FORMS[i], SECRET), *miss = sqlite3_mprintf(FORMS[i], "nothing");
        (void)query("DELETE FROM wr WHERE k > 'k2'");
        enum err_code code = query(hit);
        str_print_cut(first, sizeof first, STR_FMT, STR_ARG(code ? fx.error : fx.out));
        (void)query("DELETE FROM wr WHERE k > 'k2'");
        assert_int_equal(query(miss), code);
        if (strcmp(first, code ? fx.error.ptr : fx.out.ptr) != 0 || strstr(first, SECRET))
            fail_msg("%s: %s / " STR_FMT, hit, first, STR_ARG(fx.out));
        sqlite3_free(hit);
        sqlite3_free(miss);
    }
    end();
}

void test_rowsec_conflict__each_command_asks_its_policies(void **state)
{
    (void)state;
    begin();
    changes("INSERT INTO parts VALUES (1, 'a', 'y') ON CONFLICT (id) DO UPDATE SET body = excluded.body", 1);
    refused(
        "INSERT INTO parts VALUES (1, 'a', 'y') ON CONFLICT (id) DO UPDATE SET body = 'bad'", "for UPDATE");
    refused("INSERT INTO parts VALUES (2, 'a', 'y') ON CONFLICT (id) DO UPDATE SET body = 'good'",
        "may not change");
    refused("REPLACE INTO parts VALUES (1, 'a', 'y')", "may not change"); /* no policy for DELETE */
    changes("REPLACE INTO parts VALUES (3, 'a', 'new')", 1);
    refused(
        "INSERT INTO notes (id, tenant, n) VALUES (1, 'a', 1) ON CONFLICT (id) DO UPDATE SET tenant = 'b'",
        "for UPDATE");
    refused("INSERT INTO notes (id, tenant, n) VALUES (7, 'b', 1) ON CONFLICT (id) DO UPDATE SET n = 1",
        "for INSERT");
    refused(
        "INSERT INTO odd VALUES (1, 'a', 1, 1) ON CONFLICT (id) DO UPDATE SET b = 2", "unique index over");
    changes("INSERT INTO odd VALUES (5, 'a', 5, 5)", 1);
    expect("SELECT group_concat(id || body) FROM parts", "1y,2" SECRET ",3new");
    as(TENANT_B);
    changes("INSERT INTO notes (id, tenant, n) VALUES (2, 'b', 1) ON CONFLICT (id) DO UPDATE SET n = 77", 1);
    fx.role = WIRE_ROLE_READONLY;
    assert_int_equal(query("REPLACE INTO parts VALUES (3, 'a', 'new')"), ERR_FORBIDDEN);
    end();
}

void test_rowsec_conflict__a_rowid_goes_by_the_name_of_the_key(void **state)
{
    (void)state;
    begin();
    assert_int_equal(query("SELECT rowid FROM notes"), ERR_SQL);
    assert_non_null(strstr(fx.out.ptr, "name its INTEGER PRIMARY KEY"));
    end();
}

/* Policies that refer to each other's tables close them, and say so. */
void test_rowsec_conflict__a_circle_of_policies_is_a_problem(void **state)
{
    (void)state;
    begin();
    policy(
        "{\"name\":\"by log\",\"tableName\":\"wr\",\"command\":\"select\",\"using\":\"EXISTS (SELECT 1 FROM "
        "log WHERE what = k)\"}");
    assert_null(strstr(fx.out.ptr, "refers"));
    policy("{\"name\":\"by wr\",\"tableName\":\"log\",\"command\":\"select\",\"using\":\"EXISTS (SELECT 1 "
           "FROM wr "
           "WHERE k = what)\"}");
    assert_non_null(strstr(fx.out.ptr, "\"problem\":\"refers in a circle"));
    op_fixture_ok(&fx, WIRE_OP_POLICY_LIST, STR_EMPTY, NULL);
    int problems = 0;
    for (const char *p = fx.out.ptr; (p = strstr(p, "refers in a circle")) != NULL; p++)
        problems++;
    assert_int_equal(problems, 2);
    as(TENANT_A);
    assert_int_equal(query("SELECT * FROM log"), ERR_OK);
    assert_int_equal(jsonr_count(op_json_at(op_fixture_json(&fx), "rows")), 0);
    end();
}
