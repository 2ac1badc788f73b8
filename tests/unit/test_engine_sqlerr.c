/* Errors as a person gets them: kind, what it concerns, position and hint; and values on their way in and
 * out. */
#define _GNU_SOURCE /* memmem */
#include "base/limits.h"
#include "lib/engine_fixture.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const SCHEMA[] = {
    "CREATE TABLE users (id INTEGER PRIMARY KEY, email TEXT NOT NULL UNIQUE, age INTEGER CHECK (age >= 0),"
    " team_id INTEGER REFERENCES teams(id), tag TEXT, CONSTRAINT short_tag CHECK (length(tag) < 5), UNIQUE "
    "(team_id, tag))",
    "CREATE TABLE teams (id INTEGER PRIMARY KEY, name TEXT)",
    "CREATE TABLE strict_one (n INTEGER, t TEXT) STRICT",
    "CREATE UNIQUE INDEX lower_email ON users (lower(email))",
    "CREATE VIEW adults AS SELECT * FROM users WHERE age >= 18",
    "CREATE TABLE guarded (x)",
    ("CREATE TRIGGER guarded_bi BEFORE INSERT ON guarded WHEN new.x = 0"
     " BEGIN SELECT RAISE(ABORT, 'zero is not wanted'); END"),
    "CREATE TABLE later (id INTEGER PRIMARY KEY, up REFERENCES later(id) DEFERRABLE INITIALLY DEFERRED)",
    "CREATE VIRTUAL TABLE bare_index USING fts5(a, content='')",
    "CREATE TABLE noted (id INTEGER PRIMARY KEY, a)",
    "CREATE VIRTUAL TABLE noted_index USING fts5(a, content='noted', content_rowid='id')",
    "INSERT INTO noted_index (rowid, a) VALUES (1, 'one two')",
    "INSERT INTO teams VALUES (1, 'one')",
    "INSERT INTO users (id, email, age, team_id, tag) VALUES (1, 'ada@x', 30, 1, 'a')",
};

static struct engine_fixture fx;

int setup_engine_sqlerr(void **state)
{
    (void)state;
    engine_fixture_start(&fx);
    for (size_t i = 0; i < ARRAY_LEN(SCHEMA); i++)
        (void)engine_ok(&fx, SCHEMA[i]);
    return 0;
}

int teardown_engine_sqlerr(void **state)
{
    (void)state;
    return engine_fixture_stop(&fx);
}

static bool has(struct str body, const char *text)
{
    return memmem(body.ptr, body.len, text, strlen(text)) != NULL;
}

struct row {
    const char *sql, *params, *kind;
    const char *parts[4]; /* each must stand in the answer */
};

static const struct row ROWS[] = {
    {"INSERT INTO users (email) VALUES ('ada@x')", NULL, "unique_violation",
        {"\"constraint\":\"'lower_email'\"", "ON CONFLICT DO UPDATE"}},
    {"INSERT INTO users (id, email) VALUES (1, 'b@x')", NULL, "unique_violation",
        {"\"table\":\"users\",\"column\":\"id\"", "UNIQUE constraint failed: users.id",
            "ON CONFLICT DO UPDATE"}},
    {"INSERT INTO users (email, team_id, tag) VALUES ('c@x', 1, 'a')", NULL, "unique_violation",
        {"\"columns\":[{\"table\":\"users\",\"column\":\"team_id\"},{\"table\":\"users\",\"column\":\"tag\"}"
         "]"}},
    {"UPDATE users SET id = 1 WHERE id = 2 OR 1", NULL, NULL, {"\"success\":true"}},
    {"INSERT INTO users (id, email) VALUES (7, 'g@x')", NULL, NULL, {"\"lastInsertRowid\":7"}},
    {"UPDATE users SET id = 1 WHERE id = 7", NULL, "unique_violation", {"Another row has this key already"}},
    {"INSERT INTO users (id) VALUES (9)", NULL, "not_null_violation",
        {"\"table\":\"users\",\"column\":\"email\"", "NOT NULL constraint failed: users.email"}},
    {"INSERT INTO users (email, age) VALUES ('d@x', -1)", NULL, "check_violation",
        {"\"table\":\"users\",\"constraint\":\"age >= 0\""}},
    {"INSERT INTO users (email, tag) VALUES ('d@x', 'too long')", NULL, "check_violation",
        {"\"constraint\":\"short_tag\""}},
    {"INSERT INTO users (email, team_id) VALUES ('d@x', 99)", NULL, "fk_violation",
        {"\"table\":\"users\"", "does not exist: insert it first"}},
    {"DELETE FROM teams WHERE id = 1", NULL, "fk_violation", {"still refer to this row"}},
    {"INSERT INTO later VALUES (1, 5)", NULL, "fk_violation",
        {"\"table\":\"later\"", "FOREIGN KEY constraint failed"}},
    {"SELECT * FROM ordrs", NULL, "unknown_table", {"no such table: ordrs", "\"table\":\"ordrs\""}},
    {"SELECT * FROM user", NULL, "unknown_table", {"did you mean \\\"users\\\"?", "\"position\":14"}},
    {"SELECT * FROM main.usrs", NULL, "unknown_table", {"\"table\":\"usrs\"", "did you mean \\\"users\\\"?"}},
    {"INSERT INTO teems VALUES (1)", NULL, "unknown_table", {"did you mean \\\"teams\\\"?"}},
    {"DROP TABLE nothing_like_it", NULL, "unknown_table", {"\"table\":\"nothing_like_it\""}},
    {"DROP VIEW adult", NULL, "unknown_table", {"did you mean \\\"adults\\\"?"}},
    {"SELECT emial FROM users", NULL, "unknown_column",
        {"\"column\":\"emial\"", "did you mean \\\"email\\\"?", "\"position\":7"}},
    {"SELECT u.nam FROM users u", NULL, "unknown_column",
        {"\"table\":\"u\",\"column\":\"nam\"", "has the columns id, email"}},
    {"UPDATE users SET agee = 1", NULL, "unknown_column", {"did you mean \\\"age\\\"?"}},
    {"INSERT INTO users (emal) VALUES (1)", NULL, "unknown_column",
        {"\"table\":\"users\",\"column\":\"emal\"", "did you mean \\\"email\\\"?"}},
    {"SELECT \"text\" FROM users", NULL, "unknown_column", {"\"kind\":\"unknown_column\""}},
    {"SELECT zzz", NULL, "unknown_column", {"single quotes"}},
    {"SELECT id FROM users, teams", NULL, "unknown_column", {"ambiguous column name", "table.column"}},
    {"SELECT * FROM adults WHERE agge > 3", NULL, "unknown_column", {"did you mean \\\"age\\\"?"}},
    {"SELEC 1", NULL, "syntax_error",
        {"\"near\":\"SELEC\"", "did you mean \\\"SELECT\\\"?", "\"position\":0"}},
    {"UPDTE users SET age = 1", NULL, "syntax_error", {"did you mean \\\"UPDATE\\\"?"}},
    {"SELECT FROM users", NULL, "syntax_error", {"\"near\":\"FROM\"", "\"position\":7"}},
    {"SELECT (1", NULL, "syntax_error", {"incomplete input"}},
    {"SELECT 'abc", NULL, "syntax_error", {"unrecognized token", "a quote may be open"}},
    {"SELECT 1 #", NULL, "syntax_error", {"unrecognized token", "\"near\":\"#\""}},
    {"DELETE FROM users LIMIT 1", NULL, "syntax_error", {"\"near\":\"LIMIT\"", "\"position\":18"}},
    {"SELECT 1; SELECT 2", NULL, "syntax_error",
        {"more than one statement", "statements", "\"near\":\"SELECT 2\""}},
    {" ", NULL, "syntax_error", {"the statement is empty"}},
    {"SELECT lenght('x')", NULL, "unknown", {"did you mean \\\"length\\\"?"}},
    {"SELECT length()", NULL, "unknown", {"wrong number of arguments"}},
    {"INSERT INTO strict_one VALUES ('x', 'y')", NULL, "type_mismatch",
        {"\"table\":\"strict_one\",\"column\":\"n\"", "STRICT"}},
    {"INSERT INTO users (id, email) VALUES ('x', 'e@x')", NULL, "type_mismatch", {"INTEGER PRIMARY KEY"}},
    {"SELECT ?", "[1, 2]", "too_many_params", {"/params", "has 1 parameter, 2 given"}},
    {"SELECT 1", "[1]", "too_many_params", {"has 0 parameters, 1 given"}},
    {"SELECT ?, ?", "[1]", "unknown",
        {"/params: the statement has 2 parameters, 1 given", "one value for each"}},
    {"SELECT ?", NULL, "unknown", {"1 parameter, 0 given", "one value for each"}},
    {"SELECT :a", "{\"b\":1}", "unknown", {"the parameter :a is missing"}},
    {"SELECT :a", "{\"a\":1,\"b\":2}", "too_many_params", {"1 named parameter, 2 given"}},
    {"SELECT ?", "{\"a\":1}", "unknown", {"positional"}},
    {"SELECT ?1001", "[]", "too_many_params", {"variable number"}},
    {"INSERT INTO adults VALUES (1)", NULL, "readonly", {"because it is a view", "INSTEAD OF"}},
    {"UPDATE sqlite_master SET sql = 1", NULL, "readonly", {"may not be modified"}},
    {"INSERT INTO guarded VALUES (0)", NULL, "unknown", {"zero is not wanted"}},
    {"SELECT abs(-9223372036854775808)", NULL, "unknown", {"integer overflow"}},
    {"SELECT json('{')", NULL, "unknown", {"malformed JSON"}},
    {"SELECT zeroblob(5000000)", NULL, "unknown", {"too big", "4,000,000"}},
    {"SELECT group_concat(printf('%100000s', 'x')) FROM (WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT "
     "x+1 FROM c"
     " WHERE x < 100) SELECT x FROM c)",
        NULL, "unknown", {"too big"}},
    {"CREATE TABLE users (x)", NULL, "unknown", {"already exists"}},
    {"INSERT INTO bare_index (bare_index, rowid, a) VALUES ('delete', 1, 'q')", NULL, "unknown",
        {"the full-text index does not hold", "very values that were indexed"}},
    {"INSERT INTO noted_index (noted_index, rowid, a) VALUES ('delete', 1, 'not what was there')", NULL,
        "unknown", {"the full-text index does not hold", "'rebuild'"}},
    {"SELECT count(*) FROM noted_index WHERE noted_index MATCH 'two'", NULL, NULL, {"\"rows\":[[1]]"}},
    {"INSERT INTO teams VALUES (1, 2, 3)", NULL, "unknown", {"2 columns but 3 values"}},
    {"SELECT 1 UNION SELECT 1, 2", NULL, "unknown", {"same number of result columns"}},
    {"WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM c WHERE x < 10001) SELECT x FROM c", NULL,
        "unknown", {"more than 10,000 rows", "LIMIT"}},
};

void test_engine_sqlerr__kinds_and_hints(void **state)
{
    size_t failed = 0;
    char kind[64];
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        const struct row *r = &ROWS[i];
        struct engine_answer a = engine_sql(&fx, r->sql, r->params);
        (void)snprintf(kind, sizeof kind, "\"errorDetail\":{\"kind\":\"%s\"", r->kind ? r->kind : "");
        bool ok = r->kind ? a.head.status == 400 && has(a.body, kind) : a.head.status == 200;
        for (size_t j = 0; j < ARRAY_LEN(r->parts) && r->parts[j]; j++)
            ok = ok && has(a.body, r->parts[j]);
        if (!ok)
            print_error("%s\n  %d %.*s\n", r->sql, a.head.status, STR_ARG(a.body));
        failed += !ok;
    }
    assert_int_equal(failed, 0);
    assert_true(ARRAY_LEN(ROWS) >= 50);
}

/* A limit says what it is, what the statement has where its text tells, and what would pass. */
static const struct {
    const char *before, *part, *after;
    int times;
    const char *parts[3];
} LIMITS[] = {
    {"SELECT 'a' LIKE x FROM (SELECT '", "%", "' AS x)", 51, {"at most 50 bytes", "instr(", "FTS5"}},
    {"SELECT 1", "+1", "", 120, {"maximum depth 100", "each operator", "json_each(?)"}},
    {"SELECT 1 WHERE 0", " OR 1", "", 120, {"maximum depth 100", "IN (…)"}},
    {"SELECT 1", ", 1", "", 104,
        {"too many columns in result set: at most 100 columns, and this statement has 105", "json_object"}},
    {"SELECT 1 ORDER BY 1", ",1", "", 100, {"at most 100 terms, and this statement has 101"}},
    {"CREATE INDEX i ON teams(name", ",name", ")", 100, {"at most 100 columns, and this statement has 101"}},
    {"UPDATE teams SET name=1", ",name=1", "", 100,
        {"in set list: at most 100 columns, and this statement has 101", "batch"}},
    {"SELECT 1", " UNION ALL SELECT 1", "", 60,
        {"at most 50 SELECTs joined by UNION, INTERSECT or EXCEPT, and this statement has 61", "VALUES"}},
    {"SELECT coalesce(1", ",1", ")", 100, {"at most 100 arguments, and this statement has 101", "nest"}},
    {"SELECT 1 WHERE 1 IN (?", ",?", ")", 1000,
        {"at most 1000 parameters, and this statement has 1001", "json_each(?)", "too_many_params"}},
    {"SELECT * FROM users WHERE tag IN (1", ",1", ")", 15000,
        {"compiles to more than 25000 steps: its longest list has 15001 items", "json_each(?)"}},
    {"INSERT INTO teams(name) VALUES(1)", ",(1)", "", 9000,
        {"25000 steps: its longest list has 9001 items", "json_each(?)"}},
    {"SELECT CASE 1", " WHEN random() THEN 1", " END", 4500,
        {"compiles to more than 25000 steps", "several shorter"}},
    {"SELECT 1 FROM teams", ",teams", "", 69, {"at most 64 tables in a join", "join fewer"}},
};

void test_engine_sqlerr__limits_say_what_would_pass(void **state)
{
    size_t failed = 0;
    char *sql = malloc(110000);
    (void)state;
    assert_non_null(sql);
    for (size_t i = 0; i < ARRAY_LEN(LIMITS); i++) {
        size_t len = (size_t)sprintf(sql, "%s", LIMITS[i].before);
        for (int n = 0; n < LIMITS[i].times; n++)
            len += (size_t)sprintf(sql + len, "%s", LIMITS[i].part);
        (void)sprintf(sql + len, "%s", LIMITS[i].after);
        struct engine_answer a = engine_sql(&fx, sql, NULL);
        bool ok = !LIMITS[i].parts[0] || a.head.status == 400;
        for (size_t j = 0; j < ARRAY_LEN(LIMITS[i].parts) && LIMITS[i].parts[j]; j++)
            ok = ok && has(a.body, LIMITS[i].parts[j]);
        if (!ok)
            print_error("%s…\n  %d %.*s\n", LIMITS[i].before, a.head.status, STR_ARG(a.body));
        failed += !ok;
    }
    free(sql);
    (void)engine_ok(&fx, "CREATE TABLE full_one(c0 PRIMARY KEY)");
    for (int n = 1; n < 100; n++) {
        char add[60];
        (void)snprintf(add, sizeof add, "ALTER TABLE full_one ADD COLUMN c%d", n);
        (void)engine_ok(&fx, add);
    }
    struct engine_answer a = engine_sql(&fx, "ALTER TABLE full_one ADD COLUMN one_more", NULL);
    assert_true(has(a.body, "too many columns on full_one: at most 100 columns"));
    assert_true(has(a.body, "split the table"));
    assert_int_equal(failed, 0);
}

/* A name that the token may not see is never suggested. */
void test_engine_sqlerr__hints_tell_no_secrets(void **state)
{
    static const struct str TEAMS[] = {{"teams", 5}};
    (void)state;
    struct wire_call call =
        engine_call_new(WIRE_OP_QUERY, engine_query_body(&fx, "SELECT * FROM usrs", NULL));
    call.has_table_scope = true;
    call.tables = TEAMS;
    call.table_count = 1;
    struct engine_answer a = engine_ask(&fx, &call);
    assert_int_equal(a.head.status, 403); /* as if it were there and hidden */
    assert_false(has(a.body, "users"));
    a = engine_sql(&fx, "SELECT * FROM _sys_mete", NULL);
    assert_false(has(a.body, "_sys_meta"));
}

static const struct {
    const char *params, *rows;
} VALUES[] = {
    {"[null]", "[[null,\"null\"]]"},
    {"[true]", "[[1,\"integer\"]]"},
    {"[false]", "[[0,\"integer\"]]"},
    {"[0]", "[[0,\"integer\"]]"},
    {"[9223372036854775807]", "[[9223372036854775807,\"integer\"]]"},
    {"[-9223372036854775808]", "[[-9223372036854775808,\"integer\"]]"},
    {"[9007199254740993]", "[[9007199254740993,\"integer\"]]"},
    {"[1.5]", "[[1.5,\"real\"]]"},
    {"[1.0]", "[[1.0,\"real\"]]"},
    {"[0.1]", "[[0.1,\"real\"]]"},
    {"[\"\"]", "[[\"\",\"text\"]]"},
    {"[\"a\\\"b\\\\c\\n\"]", "[[\"a\\\"b\\\\c\\n\",\"text\"]]"},
    {"[\"héllo 😀\"]", "[[\"héllo 😀\",\"text\"]]"},
    {"[{\"$blob\":\"\"}]", "[[{\"$blob\":\"\"},\"blob\"]]"},
    {"[{\"$blob\":\"AAECAw==\"}]", "[[{\"$blob\":\"AAECAw==\"},\"blob\"]]"},
    {"{\"a\":5}", "[[5,\"integer\"]]"},
    {"{\":a\":5}", "[[5,\"integer\"]]"},
};

void test_engine_sqlerr__values_come_back_as_they_went(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(VALUES); i++) {
        struct engine_answer a = engine_sql(&fx, "SELECT :a, typeof(:a)", VALUES[i].params);
        if (a.head.status != 200 || !has(a.body, VALUES[i].rows))
            fail_msg("%s gave %.*s", VALUES[i].params, STR_ARG(a.body));
    }
}

static const struct {
    const char *params, *text;
} BAD[] = {
    {"5", "/params: must be an array"},
    {"\"x\"", "/params"},
    {"[[1]]", "/params/0: an array cannot be a parameter"},
    {"[{}]", "/params/0"},
    {"[{\"$blob\":5}]", "/params/0"},
    {"[{\"$blob\":\"%%%\"}]", "base64"},
    {"[{\"$blob\":\"AAECAw==\",\"x\":1}]", "/params/0"},
    {"{\"a\":[1]}", "/params/a"},
};

void test_engine_sqlerr__bad_parameters_are_named(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(BAD); i++) {
        struct engine_answer a = engine_sql(&fx, "SELECT :a", BAD[i].params);
        if (a.head.status != 400 || !has(a.body, BAD[i].text))
            fail_msg("%s gave %d %.*s", BAD[i].params, a.head.status, STR_ARG(a.body));
    }
}

void test_engine_sqlerr__bad_bodies(void **state)
{
    static const struct {
        enum wire_op op;
        const char *body, *text;
    } BODIES[] = {
        {WIRE_OP_QUERY, "", "JSON"},
        {WIRE_OP_QUERY, "[]", "object"},
        {WIRE_OP_QUERY, "{}", "/sql"},
        {WIRE_OP_QUERY, "{\"sql\":5}", "/sql"},
        {WIRE_OP_QUERY, "{\"sql\":null}", "/sql"},
        {WIRE_OP_QUERY, "{\"sql\":\"SELECT 1\",\"sql\":\"SELECT 2\"}", "sql"},
        {WIRE_OP_BATCH, "{}", "/statements"},
        {WIRE_OP_BATCH, "{\"statements\":[]}", "/statements"},
        {WIRE_OP_BATCH, "{\"statements\":[5]}", "/statements/0"},
        {WIRE_OP_BATCH, "{\"statements\":[{\"sql\":\"SELECT 1\"},{}]}", "/statements/1/sql"},
        {WIRE_OP_BATCH, "{\"statements\":[{\"sql\":\"SELECT 1\"}],\"transaction\":1}", "/transaction"},
        {WIRE_OP_BATCH, "{\"statements\":[{\"sql\":\"SELECT ?\",\"params\":[[]]}]}",
            "/statements/0/params/0"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(BODIES); i++) {
        struct wire_call call = engine_call_new(BODIES[i].op, BODIES[i].body);
        struct engine_answer a = engine_ask(&fx, &call);
        if (a.head.status != 400 || !has(a.body, BODIES[i].text))
            fail_msg("%s gave %d %.*s", BODIES[i].body, a.head.status, STR_ARG(a.body));
    }
    static char longer[100200];
    str_print(longer, sizeof longer, "{\"sql\":\"%*s\"}", (int)LIMIT_SQL_BYTES + 1, "SELECT 1");
    struct wire_call statement = engine_call_new(WIRE_OP_QUERY, longer);
    struct engine_answer told = engine_ask(&fx, &statement);
    assert_int_equal(told.head.status, 400);
    assert_true(has(told.body, "/sql: must be text of at most 100000 bytes"));
    struct wire_call unknown = engine_call_new(WIRE_OP_QUERY, "{\"sql\":\"SELECT 1\",\"extra\":{\"x\":[1]}}");
    assert_int_equal(
        engine_ask(&fx, &unknown).head.status, 200); /* clients send members that we do not know */
}
