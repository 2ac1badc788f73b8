/* Row-level security in a real engine: what a token under policies sees and changes, and what it never
 * learns. */
#define _GNU_SOURCE /* memmem */
#include "base/strbuf.h"
#include "engine/rowsec.h"
#include "lib/op_fixture.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#define SECRET "zqxsecret"

/* Statements that try to get at the row of tenant b, one a line. */
static const char *const ATTACKS[] = {
#define ATTACK(sql) sql,
#include "unit/rowsec_attacks.def"
#undef ATTACK
};

static const char *const SCHEMA[] = {
    "CREATE TABLE notes (id INTEGER PRIMARY KEY, tenant TEXT NOT NULL, body TEXT DEFAULT 'plain', n INT "
    "UNIQUE)",
    "CREATE INDEX notes_body ON notes (body)",
    "CREATE INDEX notes_tenant ON notes (tenant)",
    "CREATE TABLE tags (id INTEGER PRIMARY KEY, note INTEGER REFERENCES notes (id) ON DELETE CASCADE, tag "
    "TEXT)",
    "CREATE TABLE loose (tenant TEXT, body TEXT)",
    "CREATE TABLE log (what TEXT)",
    "CREATE TABLE wr (k TEXT PRIMARY KEY, tenant TEXT, body TEXT) WITHOUT ROWID",
    "CREATE TABLE eager (id INTEGER PRIMARY KEY ON CONFLICT REPLACE, tenant TEXT, body TEXT)",
    "CREATE TABLE nulls (k TEXT PRIMARY KEY, tenant TEXT, body TEXT)",
    "CREATE VIRTUAL TABLE \"od\"\"d\" USING fts5(body)",
    "INSERT INTO \"od\"\"d\" VALUES ('" SECRET "')",
    "INSERT INTO eager VALUES (1, 'a', 'mine'), (2, 'b', '" SECRET "')",
    "INSERT INTO nulls VALUES (NULL, 'a', 'mine'), (NULL, 'b', '" SECRET "'), ('k', 'a', 'mine')",
    "CREATE VIEW all_notes AS SELECT id, tenant, body FROM notes",
    "CREATE VIEW deep AS WITH notes_ai AS (SELECT * FROM main.notes) SELECT * FROM notes_ai",
    "CREATE VIEW loud AS SELECT id, '<' || body || '>' AS body FROM notes",
    "CREATE VIRTUAL TABLE words USING fts5(body, content='notes', content_rowid='id')",
    "CREATE VIRTUAL TABLE own USING fts5(body)",
    "CREATE VIRTUAL TABLE vocab USING fts5vocab(words, row)",
    "CREATE TRIGGER notes_ai AFTER INSERT ON loose BEGIN SELECT 1; END",
    "CREATE TRIGGER notes_words AFTER INSERT ON notes BEGIN INSERT INTO words(rowid, body) VALUES (NEW.id, "
    "NEW.body); END",
    "CREATE TRIGGER notes_au AFTER UPDATE OF body ON notes BEGIN INSERT INTO log VALUES ('changed ' || "
    "NEW.id); END",
    "INSERT INTO notes VALUES (1, 'a', 'mine', 10), (2, 'b', '" SECRET "', 20), (3, 'a', 'also mine', 30)",
    "INSERT INTO tags VALUES (1, 1, 'x'), (2, 2, '" SECRET "')",
    "INSERT INTO loose VALUES ('a', 'mine'), ('b', '" SECRET "')",
    "INSERT INTO wr VALUES ('k1', 'a', 'mine'), ('k2', 'b', '" SECRET "')",
    "INSERT INTO own VALUES ('" SECRET "')",
    "ANALYZE",
};

static struct op_fixture fx;

static struct str sql_body(const char *sql, struct strbuf *out)
{
    struct jsonw w;
    strbuf_init(out, 1 << 20);
    jsonw_init(&w, out);
    jsonw_object(&w);
    JSONW_CSTR(&w, "sql", sql);
    jsonw_object_end(&w);
    return strbuf_str(out);
}

static enum err_code query(const char *sql)
{
    AUTO_STRBUF body;
    return op_fixture_run(&fx, WIRE_OP_QUERY, sql_body(sql, &body), NULL);
}

static void query_ok(const char *sql)
{
    if (query(sql) != ERR_OK)
        fail_msg("%s: %.*s", sql, STR_ARG(fx.out));
}

static void as_admin(void)
{
    fx.role = WIRE_ROLE_ADMIN;
    fx.claims = STR_EMPTY;
}

static void as(const char *tenant)
{
    fx.role = WIRE_ROLE_READWRITE;
    fx.claims = tenant ? str_of(tenant) : STR_EMPTY;
}

#define TENANT_A "{\"tenant\":\"a\"}"
#define TENANT_B "{\"tenant\":\"b\"}"

static void policy(const char *json)
{
    as_admin();
    op_fixture_ok(&fx, WIRE_OP_POLICY_SET, str_of(json), NULL);
}

static const char *rows(const char *sql)
{
    AUTO_STRBUF out;
    struct jsonw w;
    query_ok(sql);
    const struct jsonr_value *list = op_json_at(op_fixture_json(&fx), "rows");
    strbuf_init(&out, 1 << 16);
    jsonw_init(&w, &out);
    for (const struct jsonr_value *row = jsonr_first(list); row; row = jsonr_next(row)) {
        for (const struct jsonr_value *v = jsonr_first(row); v; v = jsonr_next(v)) {
            if (jsonr_kind(v) == JSONR_INT)
                strbuf_addf(&out, "%lld ", (long long)jsonr_int(v));
            else if (jsonr_kind(v) == JSONR_TEXT)
                strbuf_addf(&out, STR_FMT " ", STR_ARG(jsonr_text(v)));
            else
                strbuf_addf(&out, "%s ", jsonr_kind_name(jsonr_kind(v)));
        }
        strbuf_add_char(&out, ';');
    }
    return arena_strdup(&fx.arena, strbuf_cstr(&out));
}

static void begin(void)
{
    static const char *const TABLES[] = {"notes", "tags", "loose", "wr", "eager", "nulls"};
    op_fixture_init(&fx);
    for (size_t i = 0; i < ARRAY_LEN(SCHEMA); i++)
        query_ok(SCHEMA[i]);
    for (size_t i = 0; i < ARRAY_LEN(TABLES); i++) {
        AUTO_STRBUF json;
        strbuf_init(&json, 1000);
        strbuf_addf(&json, "{\"name\":\"own rows\",\"tableName\":\"%s\",\"expression\":\"%s\"}", TABLES[i],
            i == 1 ? "EXISTS (SELECT 1 FROM notes WHERE notes.id = tags.note)" : "tenant = :auth_tenant");
        policy(strbuf_cstr(&json));
    }
}

static void end(void)
{
    op_fixture_release(&fx);
}

void test_rowsec__shows_each_tenant_its_rows(void **state)
{
    (void)state;
    begin();
    as(TENANT_A);
    assert_string_equal(rows("SELECT id, body FROM notes ORDER BY id"), "1 mine ;3 also mine ;");
    assert_string_equal(rows("SELECT count(*) FROM notes"), "2 ;");
    assert_string_equal(rows("SELECT tag FROM tags"), "x ;");
    assert_string_equal(rows("SELECT k FROM wr"), "k1 ;");
    assert_string_equal(rows("SELECT id, body FROM all_notes"), "1 mine ;3 also mine ;");
    assert_string_equal(rows("SELECT body FROM loud"), "<mine> ;<also mine> ;");
    as(TENANT_B);
    assert_string_equal(rows("SELECT id FROM notes ORDER BY id"), "2 ;");
    as(NULL); /* a missing claim is NULL */
    assert_string_equal(rows("SELECT id FROM notes"), "");
    as_admin();
    assert_string_equal(rows("SELECT count(*) FROM notes"), "3 ;");
    fx.claims = S(TENANT_A); /* claims put an admin under the policies too */
    assert_string_equal(rows("SELECT count(*) FROM notes"), "2 ;");
    end();
}

void test_rowsec__one_cached_statement_serves_each_token_its_own(void **state)
{
    (void)state;
    begin();
    for (int i = 0; i < 3; i++) {
        as(TENANT_A);
        assert_string_equal(rows("SELECT id FROM notes WHERE id = 1"), "1 ;");
        as(TENANT_B);
        assert_string_equal(rows("SELECT id FROM notes WHERE id = 1"), "");
        as("{\"tenant\":7}");
        assert_string_equal(rows("SELECT id FROM notes WHERE id = 1"), "");
    }
    end();
}

void test_rowsec__writes_what_the_policies_let_it(void **state)
{
    (void)state;
    begin();
    as(TENANT_A);
    query_ok("INSERT INTO notes (tenant, n) VALUES ('a', 40) RETURNING id, body");
    assert_string_equal(op_json_text(op_fixture_json(&fx), "rows/0/1"), "plain");
    assert_int_equal(op_json_int(op_fixture_json(&fx), "changes"), 1);
    assert_int_equal(op_json_int(op_fixture_json(&fx), "lastInsertRowid"), 4);
    assert_int_equal(query("INSERT INTO notes (tenant) VALUES ('b')"), ERR_SQL);
    assert_non_null(strstr(fx.error.ptr, "own rows"));
    assert_int_equal(query("INSERT OR IGNORE INTO notes (tenant) VALUES ('b')"), ERR_SQL);
    query_ok("UPDATE notes SET body = 'new' WHERE id IN (1, 2, 3) RETURNING id");
    assert_int_equal(op_json_int(op_fixture_json(&fx), "changes"), 2);
    assert_int_equal(op_json_int(op_fixture_json(&fx), "rowsWritten"), 2);
    query_ok("UPDATE notes SET body = 'new' WHERE id = 2"); /* hidden is absent */
    assert_int_equal(op_json_int(op_fixture_json(&fx), "changes"), 0);
    assert_int_equal(query("UPDATE notes SET tenant = 'b' WHERE id = 1"), ERR_SQL);
    assert_non_null(strstr(fx.error.ptr, "row-level security"));
    query_ok("DELETE FROM notes WHERE id = 2");
    assert_int_equal(op_json_int(op_fixture_json(&fx), "changes"), 0);
    query_ok("DELETE FROM notes WHERE id = 3 RETURNING body");
    assert_string_equal(op_json_text(op_fixture_json(&fx), "rows/0/0"), "new");
    query_ok("UPDATE wr SET body = 'w' WHERE k >= 'k'");
    assert_int_equal(op_json_int(op_fixture_json(&fx), "changes"), 1);
    assert_int_equal(query("DELETE FROM loose"), ERR_SQL); /* no key */
    as_admin();
    assert_string_equal(
        rows("SELECT id, tenant, body FROM notes ORDER BY id"), "1 a new ;2 b " SECRET " ;4 a plain ;");
    assert_string_equal(rows("SELECT body FROM wr"), "w ;" SECRET " ;");
    assert_string_equal(rows("SELECT count(*) FROM log"), "2 ;"); /* triggers ran */
    assert_string_equal(rows("SELECT rowid FROM words WHERE words MATCH 'plain'"), "4 ;");
    end();
}

void test_rowsec__cascades_act_as_the_system(void **state)
{
    (void)state;
    begin();
    as_admin();
    query_ok("INSERT INTO tags VALUES (3, 3, 'of three')");
    as(TENANT_A);
    query_ok("DELETE FROM notes WHERE id = 3");
    assert_int_equal(op_json_int(op_fixture_json(&fx), "changes"), 1);
    assert_int_equal(query("INSERT INTO tags VALUES (9, 77, 'no parent')"), ERR_SQL);
    as_admin();
    assert_string_equal(rows("SELECT count(*) FROM tags WHERE id = 3"), "0 ;");
    end();
}

static void corpus(const char *claims, enum wire_role role)
{
    for (size_t i = 0; i < ARRAY_LEN(ATTACKS); i++) {
        fx.role = role;
        fx.claims = str_of(claims);
        (void)query(ATTACKS[i]);
        if (memmem(fx.out.ptr, fx.out.len, SECRET, strlen(SECRET)))
            fail_msg("%s: %.*s", ATTACKS[i], STR_ARG(fx.out));
        AUTO_STRBUF body;
        struct str json = sql_body(ATTACKS[i], &body);
        static const enum wire_op OPS[] = {WIRE_OP_EXPLAIN, WIRE_OP_VALIDATE};
        for (size_t k = 0; k < ARRAY_LEN(OPS); k++) {
            (void)op_fixture_run(&fx, OPS[k], json, NULL);
            if (memmem(fx.out.ptr, fx.out.len, SECRET, strlen(SECRET)))
                fail_msg("%s: %.*s", ATTACKS[i], STR_ARG(fx.out));
        }
    }
}

/* The rows of tenant b stand as they were: nothing was read, nothing changed. */
void test_rowsec__no_attack_reaches_the_hidden_row(void **state)
{
    (void)state;
    begin();
    assert_true(ARRAY_LEN(ATTACKS) >= 150);
    corpus(TENANT_A, WIRE_ROLE_READWRITE);
    corpus(TENANT_A, WIRE_ROLE_ADMIN);
    corpus("{}", WIRE_ROLE_READONLY);
    as_admin();
    assert_string_equal(
        rows("SELECT id, tenant, body, n FROM notes WHERE tenant = 'b'"), "2 b " SECRET " 20 ;");
    assert_string_equal(rows("SELECT * FROM tags WHERE note = 2"), "2 2 " SECRET " ;");
    assert_string_equal(rows("SELECT count(*) FROM loose WHERE tenant = 'b'"), "1 ;");
    assert_string_equal(rows("SELECT k, tenant, body FROM wr WHERE tenant = 'b'"), "k2 b " SECRET " ;");
    assert_string_equal(rows("SELECT body FROM eager WHERE id = 2"), SECRET " ;");
    assert_string_equal(rows("SELECT count(*) FROM nulls WHERE tenant = 'b'"), "1 ;");
    assert_string_equal(rows("SELECT count(*) FROM notes WHERE tenant NOT IN ('a', 'b')"), "0 ;");
    end();
}

static void expect_same(const char *hit, const char *miss)
{
    enum err_code first = query(hit);
    AUTO_STRBUF kept;
    strbuf_init(&kept, 1 << 20);
    strbuf_add_str(&kept, first ? fx.error : fx.out);
    enum err_code second = query(miss);
    struct str now = second ? fx.error : fx.out;
    if (first != second || !str_eq(strbuf_str(&kept), now))
        fail_msg("%s: %s / %.*s", hit, strbuf_cstr(&kept), STR_ARG(now));
}

/* An error on a hidden row would answer questions about it: each pair asks something true and something
 * false. */
void test_rowsec__errors_tell_nothing_about_hidden_rows(void **state)
{
    static const char *const FORMS[] = {
        "SELECT id FROM notes WHERE CASE WHEN body = '%s' THEN abs(-9223372036854775807 - 1) ELSE 1 END",
        "SELECT id FROM notes WHERE body >= '' AND CASE WHEN body = '%s' THEN abs(-9223372036854775807 - 1) "
        "END IS NULL",
        "SELECT id FROM notes WHERE CASE WHEN body = '%s' THEN json_extract('x', '$') ELSE 1 END",
        "SELECT id FROM notes WHERE CASE WHEN body = '%s' THEN 'x' -> '$.a' ELSE 1 END",
        "SELECT id FROM notes WHERE body > '' AND CASE WHEN body = '%s' THEN length(zeroblob(999999999)) "
        "ELSE 1 END",
        "SELECT count(*) FROM log LEFT JOIN notes ON CASE WHEN body = '%s' THEN abs(-9223372036854775807 - "
        "1) END",
        "SELECT (SELECT max(id) FROM notes WHERE CASE WHEN body = '%s' THEN abs(-9223372036854775807 - 1) "
        "ELSE 1 END) AS m",
        "SELECT 1 WHERE EXISTS (SELECT 1 FROM notes WHERE CASE WHEN body = '%s' THEN "
        "abs(-9223372036854775807 - 1) END)",
        "UPDATE notes SET n = n WHERE CASE WHEN body = '%s' THEN abs(-9223372036854775807 - 1) ELSE 0 END",
        "DELETE FROM notes WHERE CASE WHEN body = '%s' THEN abs(-9223372036854775807 - 1) ELSE 0 END",
        "SELECT id FROM all_notes WHERE CASE WHEN body = '%s' THEN abs(-9223372036854775807 - 1) ELSE 1 END",
        "SELECT k FROM wr WHERE k > '' AND CASE WHEN body = '%s' THEN abs(-9223372036854775807 - 1) ELSE 1 "
        "END",
        "SELECT id FROM notes WHERE body = '%s' AND (SELECT sum(x) FROM (SELECT 9223372036854775807 AS x "
        "UNION ALL SELECT 1))",
        "SELECT id FROM notes WHERE body = '%s' AND (SELECT 1 LIMIT 'x')",
        "SELECT id FROM notes WHERE body = '%s' AND EXISTS (SELECT 1 FROM json_each('x'))",
        "SELECT id FROM notes, json_each('x') WHERE body = '%s'",
        "SELECT id FROM notes WHERE body = '%s' AND (SELECT count(*) OVER (ROWS (-1) PRECEDING))",
        "SELECT id FROM notes WHERE body = '%s' AND n = 20",
        "SELECT id FROM notes WHERE id = 2 OR body = '%s'",
    };
    (void)state;
    begin();
    as(TENANT_A);
    for (size_t i = 0; i < ARRAY_LEN(FORMS); i++) {
        char *hit = sqlite3_mprintf(FORMS[i], SECRET), *miss = sqlite3_mprintf(FORMS[i], "nothing");
        expect_same(hit, miss);
        sqlite3_free(hit);
        sqlite3_free(miss);
    }
    end();
}

/* The same without a function: an operator whose result is too long. */
void test_rowsec__long_text_tells_nothing(void **state)
{
    static const char *const FORM =
        "{\"sql\":\"SELECT id FROM notes WHERE body > '' AND CASE WHEN body = '%s' THEN "
        "length(?1 || ?1 || ?1 || ?1 || ?1 || ?1 || ?1 || ?1 || ?1 || ?1) ELSE 1 END\",\"params\":[\"%s\"]}";
    (void)state;
    begin();
    enum { LONG = 900000 };
    char *text = malloc(LONG + 1);
    memset(text, 'x', LONG);
    text[LONG] = '\0';
    char *hit = sqlite3_mprintf(FORM, SECRET, text), *own = sqlite3_mprintf(FORM, "mine", text);
    as(TENANT_A);
    assert_int_equal(op_fixture_run(&fx, WIRE_OP_QUERY, str_of(hit), NULL), ERR_OK);
    assert_int_equal(op_fixture_run(&fx, WIRE_OP_QUERY, str_of(own), NULL), ERR_SQL); /* it would be told */
    sqlite3_free(hit);
    sqlite3_free(own);
    free(text);
    end();
}

void test_rowsec__a_point_read_still_uses_the_key(void **state)
{
    (void)state;
    begin();
    as(TENANT_A);
    assert_non_null(
        strstr(rows("EXPLAIN QUERY PLAN SELECT body FROM notes WHERE id = 1"), "INTEGER PRIMARY KEY"));
    query_ok("SELECT body FROM notes WHERE id = 2");
    assert_int_equal(fx.head.rows_read, 0); /* nor is a visit counted */
    end();
}

void test_rowsec__other_operations_see_no_more(void **state)
{
    static const enum wire_op REFUSED[] = {WIRE_OP_DOCTOR, WIRE_OP_QUERY_LOG, WIRE_OP_IMPORT,
        WIRE_OP_DESCRIBE_SET, WIRE_OP_POLICY_LIST, WIRE_OP_POLICY_SET, WIRE_OP_POLICY_DROP,
        WIRE_OP_ROW_SECURITY_SET, WIRE_OP_INTEGRITY};
    (void)state;
    begin();
    as(TENANT_A);
    for (size_t i = 0; i < ARRAY_LEN(REFUSED); i++)
        assert_int_equal(op_fixture_run(&fx, REFUSED[i], S("{}"), NULL), ERR_FORBIDDEN);
    fx.role = WIRE_ROLE_ADMIN;
    for (size_t i = 0; i < ARRAY_LEN(REFUSED); i++)
        assert_int_equal(op_fixture_run(&fx, REFUSED[i], S("{}"), NULL), ERR_FORBIDDEN);
    op_fixture_ok(&fx, WIRE_OP_TABLES, STR_EMPTY, NULL);
    assert_string_equal(op_json_text(op_fixture_json(&fx), "0/name"), "notes");
    assert_int_equal(op_json_int(op_fixture_json(&fx), "0/rowCount"), 2);
    op_fixture_ok(&fx, WIRE_OP_DESCRIBE, STR_EMPTY, NULL);
    assert_int_equal(op_json_int(op_fixture_json(&fx), "tables/0/rowCount"), 2);
    assert_string_equal(op_json_text(op_fixture_json(&fx), "tables/0/primaryKey/0"), "id");
    end();
}

void test_rowsec__an_export_holds_the_visible_rows(void **state)
{
    (void)state;
    begin();
    (void)engine_fixture_end(&fx.engine, false);
    engine_fixture_again(&fx.engine, ENGINE_READER);
    as(TENANT_A);
    op_fixture_ok(&fx, WIRE_OP_EXPORT, STR_EMPTY,
        (struct op_arg[]){{"format", "csv"}, {"table", "notes"}, {NULL, NULL}});
    assert_string_equal(fx.out.ptr, "id,tenant,body,n\r\n1,a,mine,10\r\n3,a,also mine,30\r\n");
    assert_int_equal(op_fixture_run(&fx, WIRE_OP_EXPORT, STR_EMPTY, NULL), ERR_FORBIDDEN);
    end();
}

void test_rowsec__without_a_policy_a_table_is_closed(void **state)
{
    (void)state;
    begin();
    as_admin();
    op_fixture_ok(&fx, WIRE_OP_ROW_SECURITY_SET, S("{\"tableName\":\"log\",\"enabled\":true}"), NULL);
    query_ok("INSERT INTO log VALUES ('" SECRET "')");
    as(TENANT_A);
    assert_string_equal(rows("SELECT * FROM log"), "");
    assert_int_equal(query("INSERT INTO log VALUES ('mine')"), ERR_SQL);
    as_admin();
    op_fixture_ok(&fx, WIRE_OP_ROW_SECURITY_SET, S("{\"tableName\":\"log\",\"enabled\":false}"), NULL);
    as(TENANT_A);
    assert_string_equal(rows("SELECT * FROM log"), SECRET " ;");
    end();
}

/* A policy that lost its column closes the table and says so; a table with row security keeps its name. */
void test_rowsec__a_changed_table_closes(void **state)
{
    (void)state;
    begin();
    as_admin();
    assert_int_equal(query("ALTER TABLE notes RENAME TO notes2"), ERR_FORBIDDEN);
    assert_int_equal(query("DROP TABLE wr"), ERR_FORBIDDEN);
    query_ok("ALTER TABLE wr RENAME COLUMN tenant TO owner");
    as(TENANT_A);
    assert_string_equal(rows("SELECT * FROM wr"), "");
    assert_string_equal(rows("SELECT id FROM notes ORDER BY id"), "1 ;3 ;");
    as_admin();
    op_fixture_ok(&fx, WIRE_OP_POLICY_LIST, STR_EMPTY, NULL);
    assert_non_null(strstr(fx.out.ptr, "does not compile: no such column: tenant"));
    query_ok("ALTER TABLE notes ADD COLUMN extra DEFAULT 5");
    as(TENANT_A);
    assert_string_equal(rows("SELECT extra FROM notes WHERE id = 1"), "5 ;");
    end();
}

void test_rowsec__commands_and_roles(void **state)
{
    (void)state;
    begin();
    policy("{\"name\":\"all "
           "see\",\"tableName\":\"log\",\"command\":\"select\",\"using\":\"1\",\"roles\":[\"readonly\"]}");
    policy("{\"name\":\"some add\",\"tableName\":\"log\",\"command\":\"insert\",\"withCheck\":\"what <> "
           "'bad'\"}");
    as(TENANT_A);
    query_ok("INSERT INTO log VALUES ('good')");
    assert_int_equal(query("INSERT INTO log VALUES ('bad')"), ERR_SQL);
    assert_string_equal(rows("SELECT * FROM log"), "");
    fx.role = WIRE_ROLE_READONLY;
    assert_string_equal(rows("SELECT * FROM log"), "good ;");
    assert_int_equal(query("DELETE FROM notes"), ERR_FORBIDDEN);
    end();
}

void test_rowsec__bad_policies_are_refused(void **state)
{
    static const char *const BAD[] = {"1) OR (1", "1; DROP TABLE notes", "1 -- x", "1 /* x */", "(1",
        "nosuch = 1", "random() > 0", "tenant = ?1", "tenant = :other", "tenant = $x", "tenant = 'open", "",
        "  ", "count(*) > 1", "EXISTS (SELECT 1 FROM notes)", "EXISTS (SELECT 1 FROM _sys_policy)",
        "load_extension('x')", "_sys_holds(1)", "[x", "\"tenant", "tenant = :auth_", "tenant, body"};
    (void)state;
    begin();
    as_admin();
    for (size_t i = 0; i < ARRAY_LEN(BAD); i++) {
        AUTO_STRBUF out;
        struct jsonw w;
        strbuf_init(&out, 4000);
        jsonw_init(&w, &out);
        jsonw_object(&w);
        JSONW_CSTR(&w, "name", "bad");
        JSONW_CSTR(&w, "tableName", "notes");
        JSONW_CSTR(&w, "using", BAD[i]);
        jsonw_object_end(&w);
        if (op_fixture_run(&fx, WIRE_OP_POLICY_SET, strbuf_str(&out), NULL) != ERR_INVALID)
            fail_msg("%s: %.*s", BAD[i], STR_ARG(fx.out));
        if (!memmem(fx.out.ptr, fx.out.len, "/using", 6))
            fail_msg("%s: %.*s", BAD[i], STR_ARG(fx.out));
    }
    end();
}

void test_rowsec__policies_are_changed_and_dropped(void **state)
{
    char id[64];
    (void)state;
    begin();
    as_admin();
    op_fixture_ok(&fx, WIRE_OP_POLICY_LIST, STR_EMPTY, NULL);
    str_print(id, sizeof id, "%s", op_json_text(op_fixture_json(&fx), "policies/0/id"));
    const struct op_arg arg[] = {{"id", id}, {NULL, NULL}};
    op_fixture_ok(&fx, WIRE_OP_POLICY_SET, S("{\"using\":\"id = 3\"}"), arg);
    as(TENANT_B);
    assert_string_equal(rows("SELECT id FROM notes"), "3 ;");
    as_admin();
    op_fixture_ok(&fx, WIRE_OP_POLICY_DROP, STR_EMPTY, arg);
    assert_int_equal(op_fixture_run(&fx, WIRE_OP_POLICY_DROP, STR_EMPTY, arg), ERR_NOT_FOUND);
    as(TENANT_A);
    assert_string_equal(rows("SELECT id FROM notes"), "");
    end();
}

/* The connection is that of all callers under policies. */
void test_rowsec__counts_tell_a_call_of_its_own_writes_alone(void **state)
{
    AUTO_STRBUF body;
    (void)state;
    begin();
    as(TENANT_B);
    query_ok("UPDATE notes SET body = 'x'");
    query_ok("INSERT INTO wr VALUES ('k9', 'b', 'x')");
    as(TENANT_A);
    assert_string_equal(rows("SELECT changes(), total_changes(), last_insert_rowid()"), "0 0 0 ;");
    assert_string_equal(
        rows("INSERT INTO wr SELECT 'k8', 'a', changes() || total_changes() RETURNING body"), "00 ;");
    strbuf_init(&body, 1 << 12);
    strbuf_add_cstr(&body, "{\"statements\":[{\"sql\":\"UPDATE wr SET body = body\"},"
                           "{\"sql\":\"DELETE FROM wr WHERE k = 'k8'\"},"
                           "{\"sql\":\"SELECT changes() AS c, total_changes() AS t\"}]}");
    op_fixture_ok(&fx, WIRE_OP_BATCH, strbuf_str(&body), NULL);
    assert_non_null(memmem(fx.out.ptr, fx.out.len, "[[1,3]]", 7));
    as_admin();
    assert_string_equal(rows("SELECT changes(), total_changes(), last_insert_rowid()"), "0 0 0 ;");
    end();
}

/* As in PostgreSQL a table's owner: whoever made the trigger, for every command alike. */
void test_rowsec__triggers_act_with_the_rights_of_their_maker(void **state)
{
    static const char *const MADE[] = {"CREATE TABLE trail (id INTEGER PRIMARY KEY, what TEXT)",
        "CREATE TABLE sums (k TEXT PRIMARY KEY, n INT)", "INSERT INTO sums VALUES ('all', 0)",
        "CREATE TRIGGER trail_i AFTER INSERT ON wr BEGIN INSERT INTO trail (what) VALUES ('+' || NEW.k);"
        " UPDATE sums SET n = n + 1; END",
        "CREATE TRIGGER trail_u AFTER UPDATE ON wr BEGIN INSERT INTO trail (what) VALUES ('=' || NEW.k);"
        " UPDATE sums SET n = n + 1; END",
        "CREATE TRIGGER trail_d AFTER DELETE ON wr BEGIN INSERT INTO trail (what) VALUES ('-' || OLD.k);"
        " DELETE FROM trail WHERE what = '+' || OLD.k; END"};
    (void)state;
    begin();
    for (size_t i = 0; i < ARRAY_LEN(MADE); i++)
        query_ok(MADE[i]);
    policy("{\"name\":\"nobody\",\"tableName\":\"trail\",\"expression\":\"0\"}");
    policy("{\"name\":\"nobody\",\"tableName\":\"sums\",\"expression\":\"0\"}");
    as(TENANT_A);
    query_ok("INSERT INTO wr VALUES ('k5', 'a', 'x')");
    query_ok("UPDATE wr SET body = 'y' WHERE k = 'k5'");
    query_ok("INSERT INTO wr VALUES ('k5', 'a', 'z') ON CONFLICT (k) DO UPDATE SET body = 'z'");
    query_ok("DELETE FROM wr WHERE k = 'k5'");
    assert_string_equal(rows("SELECT count(*) FROM trail"), "0 ;");
    assert_int_equal(query("INSERT INTO trail (what) VALUES ('mine')"), ERR_SQL); /* its own is looked at */
    assert_int_equal(query("INSERT INTO wr VALUES ('k6', 'b', 'x')"), ERR_SQL);
    assert_int_equal(query("INSERT OR REPLACE INTO wr VALUES ('k2', 'a', 'x')"), ERR_SQL);
    as_admin();
    assert_string_equal(rows("SELECT what FROM trail ORDER BY id"), "=k5 ;=k5 ;-k5 ;");
    assert_string_equal(rows("SELECT n FROM sums"), "3 ;");
    assert_string_equal(rows("SELECT count(*) FROM wr WHERE k = 'k6'"), "0 ;");
    end();
}

/* As in PostgreSQL: it would be read in no other way. */
void test_rowsec__returning_shows_no_row_that_select_hides(void **state)
{
    (void)state;
    begin();
    query_ok("CREATE TABLE drop_box (id INTEGER PRIMARY KEY, tenant TEXT, body TEXT DEFAULT 'plain')");
    policy("{\"name\":\"in\",\"tableName\":\"drop_box\",\"command\":\"insert\",\"withCheck\":\"1\"}");
    policy("{\"name\":\"see\",\"tableName\":\"drop_box\",\"command\":\"select\","
           "\"using\":\"tenant = :auth_tenant\"}");
    policy("{\"name\":\"change\",\"tableName\":\"drop_box\",\"command\":\"update\",\"using\":\"1\"}");
    as(TENANT_A);
    query_ok("INSERT INTO drop_box VALUES (1, 'b', 'x'), (2, 'a', 'y')");
    assert_int_equal(query("INSERT INTO drop_box VALUES (3, 'b', 'x') RETURNING body"), ERR_SQL);
    assert_non_null(strstr(fx.error.ptr, "which RETURNING asks for"));
    assert_string_equal(rows("INSERT INTO drop_box VALUES (4, 'a', 'z') RETURNING body"), "z ;");
    assert_int_equal(query("UPDATE drop_box SET tenant = 'b' WHERE id = 2 RETURNING body"), ERR_SQL);
    assert_non_null(strstr(fx.error.ptr, "because of RETURNING"));
    assert_int_equal(query("INSERT INTO drop_box VALUES (4, 'a', 'n') ON CONFLICT (id)"
                           " DO UPDATE SET tenant = 'b' RETURNING body"),
        ERR_SQL);
    query_ok("UPDATE drop_box SET tenant = 'b' WHERE id = 2");
    as_admin();
    assert_string_equal(rows("SELECT id, tenant FROM drop_box ORDER BY id"), "1 b ;2 b ;4 a ;");
    end();
}
