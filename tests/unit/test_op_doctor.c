/* The doctor's findings: each has a database that has the fault, and the SQL it offers mends it. */
#include "lib/op_fixture.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static struct op_fixture f;

int setup_opdoctor(void **state)
{
    (void)state;
    op_fixture_init(&f);
    return 0;
}

int teardown_opdoctor(void **state)
{
    (void)state;
    op_fixture_release(&f);
    return 0;
}

static const struct jsonr_value *examine(void)
{
    op_fixture_ok(&f, WIRE_OP_DOCTOR, STR_EMPTY, NULL);
    return op_fixture_json(&f);
}

/* The first finding of that kind; NULL when there is none. */
static const struct jsonr_value *finding(const char *kind)
{
    const struct jsonr_value *list = op_json_at(examine(), "findings");
    for (const struct jsonr_value *v = jsonr_first(list); v; v = jsonr_next(v)) {
        if (str_eq(jsonr_text(jsonr_member(v, S("kind"))), str_of(kind)))
            return v;
    }
    return NULL;
}

static void fresh(const char *sql)
{
    op_fixture_release(&f);
    op_fixture_init(&f);
    op_fixture_sql(&f, sql);
}

static const struct {
    const char *kind, *severity, *sql;
    const char *says;  /* in the message */
    const char *mends; /* what it offers; NULL: nothing */
} FAULTS[] = {
    {"no_primary_key", "warning", "CREATE TABLE t(a)", "\"t\" has no primary key", NULL},
    {"autoincrement", "info", "CREATE TABLE t(a INTEGER PRIMARY KEY AUTOINCREMENT)", "second table", NULL},
    {"fk_without_index", "info",
        "CREATE TABLE p(id INTEGER PRIMARY KEY); CREATE TABLE c(id INTEGER PRIMARY KEY, p_id INTEGER "
        "REFERENCES p)",
        "\"c\".\"p_id\"", "CREATE INDEX \"c_p_id\" ON \"c\" (\"p_id\")"},
    {"fk_without_index", "warning",
        "CREATE TABLE p(a, b, PRIMARY KEY (a, b)); CREATE TABLE c(id INTEGER PRIMARY KEY, x, y, FOREIGN KEY "
        "(y, x) REFERENCES p);"
        "CREATE INDEX c_y_x ON c(x); WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i "
        "< 1001) INSERT INTO c SELECT i, NULL, NULL FROM n",
        "\"c\".\"y\"", "CREATE INDEX \"c_y_x_2\" ON \"c\" (\"y\", \"x\")"},
    {"fk_mismatch", "error",
        "CREATE TABLE c(id INTEGER PRIMARY KEY, p REFERENCES parnt); CREATE TABLE parent(id INTEGER PRIMARY "
        "KEY)",
        "did you mean \"parent\"?", NULL},
    {"fk_mismatch", "error",
        "CREATE TABLE p(id INTEGER PRIMARY KEY, code TEXT); CREATE TABLE c(id INTEGER PRIMARY KEY, code "
        "REFERENCES p(code))",
        "neither its primary key nor unique", "CREATE UNIQUE INDEX \"p_code\" ON \"p\" (\"code\")"},
    {"redundant_index", "warning",
        "CREATE TABLE t(id INTEGER PRIMARY KEY, a, b); CREATE INDEX one ON t(a); CREATE INDEX two ON t(a, b)",
        "\"one\" on \"t\" is needless", "DROP INDEX \"one\""},
    {"redundant_index", "warning",
        "CREATE TABLE t(id INTEGER PRIMARY KEY, a UNIQUE); CREATE UNIQUE INDEX again ON t(a)", "\"again\"",
        "DROP INDEX \"again\""},
    {"redundant_index", "warning", "CREATE TABLE t(id INTEGER PRIMARY KEY, a); CREATE INDEX ids ON t(id)",
        "the table itself", "DROP INDEX \"ids\""},
    {"broken_view", "warning", "CREATE TABLE t(a INTEGER PRIMARY KEY); CREATE VIEW v AS SELECT b FROM t",
        "no such column: b", NULL},
    {"type_mismatch", "warning",
        "CREATE TABLE t(id INTEGER PRIMARY KEY, n INTEGER); INSERT INTO t(n) VALUES (1), ('two'), (NULL)",
        "holds text (1 of 3 rows", NULL},
    {"type_mismatch", "warning",
        "CREATE TABLE t(id INTEGER PRIMARY KEY, n TEXT); INSERT INTO t(n) VALUES (1), (X'00')", "holds blobs",
        NULL},
    {"null_in_primary_key", "warning",
        "CREATE TABLE t(k TEXT PRIMARY KEY); INSERT INTO t VALUES (NULL), ('a')", "1 rows of \"t\" have NULL",
        NULL},
    {"fk_violation", "error",
        "CREATE TABLE p(id INTEGER PRIMARY KEY); CREATE TABLE c(p INTEGER PRIMARY KEY REFERENCES p); INSERT "
        "INTO c VALUES (1)",
        "1 row of \"c\" refers to parents that do not exist", NULL},
    {"missing_statistics", "info",
        "CREATE TABLE t(id INTEGER PRIMARY KEY, a); CREATE INDEX ta ON t(a);"
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000) INSERT INTO t "
        "SELECT i, i FROM n",
        "never analyzed", "ANALYZE \"t\""},
    {"stale_statistics", "info",
        "CREATE TABLE t(id INTEGER PRIMARY KEY, a); CREATE INDEX ta ON t(a); INSERT INTO t VALUES (0, 0); "
        "ANALYZE;"
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000) INSERT INTO t "
        "SELECT i, i FROM n",
        "had 1 when it was analyzed", "ANALYZE \"t\""},
    {"fts_out_of_date", "warning",
        "CREATE TABLE t(id INTEGER PRIMARY KEY, a TEXT); CREATE VIRTUAL TABLE f USING fts5(a, content='t', "
        "content_rowid='id');"
        "INSERT INTO t(a) VALUES ('x'), ('y')",
        "knows 0 rows, but its content has 2", "INSERT INTO \"f\"(\"f\") VALUES('rebuild')"},
    {"fts_without_triggers", "info",
        "CREATE TABLE t(id INTEGER PRIMARY KEY, a TEXT); CREATE VIRTUAL TABLE f USING fts5(a, content='t', "
        "content_rowid='id')",
        "no trigger", NULL},
};

void test_opdoctor__finds_each_fault_and_mends_it(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(FAULTS); i++) {
        fresh(FAULTS[i].sql);
        const struct jsonr_value *v = finding(FAULTS[i].kind);
        if (!v)
            fail_msg("%s not found in %s: %.*s", FAULTS[i].kind, FAULTS[i].sql, STR_ARG(f.out));
        assert_string_equal(op_json_text(v, "severity"), FAULTS[i].severity);
        if (!strstr(op_json_text(v, "message"), FAULTS[i].says))
            fail_msg("%s: %s", FAULTS[i].kind, op_json_text(v, "message"));
        if (!FAULTS[i].mends) {
            assert_int_equal(jsonr_kind(op_json_at(v, "sql")), JSONR_NULL);
            continue;
        }
        assert_string_equal(op_json_text(v, "sql"), FAULTS[i].mends);
        (void)engine_ok(&f.engine, FAULTS[i].mends);
        if (finding(FAULTS[i].kind))
            fail_msg("%s is still there after %s", FAULTS[i].kind, FAULTS[i].mends);
    }
}

void test_opdoctor__a_sound_database_is_ok(void **state)
{
    (void)state;
    fresh("CREATE TABLE p(id INTEGER PRIMARY KEY, name TEXT NOT NULL, at DATETIME, ok BOOLEAN, price "
          "DECIMAL(10, 2));"
          "CREATE TABLE c(id INTEGER PRIMARY KEY, p_id INTEGER NOT NULL REFERENCES p, what TEXT); CREATE "
          "INDEX c_p ON c(p_id, what);"
          "CREATE TABLE l(a INTEGER REFERENCES p, b INTEGER REFERENCES c, PRIMARY KEY (a, b)) WITHOUT ROWID; "
          "CREATE INDEX l_b ON l(b);"
          "CREATE UNIQUE INDEX p_name ON p(name); CREATE INDEX p_ok ON p(at) WHERE ok; CREATE VIEW v AS "
          "SELECT * FROM p;"
          "CREATE VIRTUAL TABLE f USING fts5(a);"
          "INSERT INTO p VALUES (1, 'a', '2026-01-01', 1, 9.5); INSERT INTO c VALUES (1, 1, 'x'); INSERT "
          "INTO l VALUES (1, 1);");
    const struct jsonr_value *v = examine();
    if (jsonr_count(op_json_at(v, "findings")))
        fail_msg("%.*s", STR_ARG(f.out));
    assert_true(jsonr_bool(op_json_at(v, "ok")));
    assert_false(jsonr_bool(op_json_at(v, "cut")));
    assert_string_equal(op_json_text(v, "checked/integrity"), "full");
    assert_true(jsonr_bool(op_json_at(v, "checked/foreignKeys")));
    assert_int_equal(op_json_int(v, "checked/rowsSampled"), 3);
}

static void log_statement(const char *sql, double ms, int rows_read)
{
    sqlite3_stmt *stmt = NULL;
    assert_int_equal(sqlite3_prepare_v2(f.db,
                         "INSERT INTO _sys_query_log (id, ts, kind, sql, rows_read, rows_written, "
                         "duration_ms, token_id, status, request_id)"
                         " VALUES ('ql', 1, 'query', ?1, ?2, 0, ?3, 't', 200, 'r')",
                         -1, &stmt, NULL),
        SQLITE_OK);
    (void)sqlite3_bind_text(stmt, 1, sql, -1, SQLITE_STATIC);
    (void)sqlite3_bind_int(stmt, 2, rows_read);
    (void)sqlite3_bind_double(stmt, 3, ms);
    assert_int_equal(sqlite3_step(stmt), SQLITE_DONE);
    (void)sqlite3_finalize(stmt);
}

void test_opdoctor__slow_statements_get_the_index_that_helps(void **state)
{
    static const struct {
        const char *statement, *index; /* NULL: none would help */
        bool slow;                     /* and it reads all of a table: said so */
    } cases[] = {
        {"SELECT * FROM t WHERE a = ?", "CREATE INDEX \"t_a\" ON \"t\" (\"a\")", false},
        {"SELECT * FROM t WHERE b > ? AND a = ?", "CREATE INDEX \"t_a_b\" ON \"t\" (\"a\", \"b\")", false},
        {"SELECT * FROM t WHERE a = 1 ORDER BY c DESC LIMIT 5",
            "CREATE INDEX \"t_a_c\" ON \"t\" (\"a\", \"c\" DESC)", false},
        {"SELECT * FROM t ORDER BY c LIMIT 5", "CREATE INDEX \"t_c\" ON \"t\" (\"c\")", false},
        {"SELECT * FROM t WHERE s = 'x' COLLATE NOCASE",
            "CREATE INDEX \"t_s\" ON \"t\" (\"s\" COLLATE \"NOCASE\")", false},
        {"UPDATE t SET b = 1 WHERE a = 5", "CREATE INDEX \"t_a\" ON \"t\" (\"a\")", false},
        {"DELETE FROM t WHERE a IN (1, 2, 3)", "CREATE INDEX \"t_a\" ON \"t\" (\"a\")", false},
        {"SELECT * FROM u JOIN t ON t.a = u.id WHERE u.name = 'x'", "CREATE INDEX \"t_a\" ON \"t\" (\"a\")",
            false},
        {"SELECT * FROM v WHERE a = 3", "CREATE INDEX \"t_a\" ON \"t\" (\"a\")", false},
        {"SELECT max(a + b) FROM t", NULL, true},
        {"SELECT count(*) FROM t", NULL, true},
        {"SELECT * FROM t WHERE id = 5", NULL, false},
        {"SELECT * FROM gone WHERE a = 5", NULL, false},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        fresh("CREATE TABLE t(id INTEGER PRIMARY KEY, a INTEGER, b, c, s TEXT); CREATE TABLE u(id INTEGER "
              "PRIMARY "
              "KEY, name TEXT); CREATE VIEW v AS SELECT * FROM t;"
              "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300) INSERT INTO t "
              "SELECT i, i, i, i, i FROM n");
        log_statement(cases[i].statement, 250, 90000);
        const struct jsonr_value *v = finding("missing_index");
        if (!cases[i].index) {
            if (v)
                fail_msg("%s: %s", cases[i].statement, op_json_text(v, "sql"));
            if ((finding("slow_query") != NULL) != cases[i].slow)
                fail_msg("%s: %.*s", cases[i].statement, STR_ARG(f.out));
            continue;
        }
        if (!v)
            fail_msg("%s: %.*s", cases[i].statement, STR_ARG(f.out));
        if (strcmp(op_json_text(v, "sql"), cases[i].index) != 0)
            fail_msg("%s: %.*s", cases[i].statement, STR_ARG(f.out));
        assert_string_equal(op_json_text(v, "severity"), "warning");
        assert_non_null(strstr(op_json_text(v, "evidence/planBefore/0"), "S"));
        assert_null(strstr(f.out.ptr, "holdfast_try"));
        (void)engine_ok(&f.engine, cases[i].index);
        v = finding("missing_index");
        if (v)
            fail_msg("with %s: %s", cases[i].index, op_json_text(v, "sql"));
    }
}

void test_opdoctor__an_index_without_use_is_named_when_the_log_is_long_enough(void **state)
{
    char sql[64] = "SELECT * FROM t WHERE a = 00";
    (void)state;
    fresh("CREATE TABLE t(id INTEGER PRIMARY KEY, a, b); CREATE INDEX ta ON t(a); CREATE INDEX tb ON t(b)");
    for (int i = 0; i < 25; i++) {
        sql[26] = (char)('0' + i / 10);
        sql[27] = (char)('0' + i % 10);
        log_statement(sql, 0.1, 1);
        if (i == 15)
            assert_null(finding("unused_index"));
    }
    const struct jsonr_value *v = finding("unused_index");
    assert_non_null(v);
    assert_string_equal(op_json_text(v, "sql"), "DROP INDEX \"tb\"");
}

void test_opdoctor__a_scope_limits_what_is_said(void **state)
{
    static const struct str scope[] = {{"seen", 4}};
    (void)state;
    fresh("CREATE TABLE seen(a); CREATE TABLE hidden(a); CREATE VIEW w AS SELECT x FROM hidden");
    log_statement("SELECT * FROM hidden WHERE a = 1", 300, 100000);
    f.tables = scope;
    f.table_count = 1;
    const struct jsonr_value *v = examine();
    assert_int_equal(jsonr_count(op_json_at(v, "findings")), 1);
    assert_string_equal(op_json_text(v, "findings/0/table"), "seen");
    assert_null(strstr(f.out.ptr, "hidden"));
    assert_string_equal(op_json_text(v, "checked/integrity"), "skipped");
    f.tables = NULL;
}

/* What others sent, with their values, is not for whoever may not read the query log. */
void test_opdoctor__a_scope_hides_the_statements_of_others(void **state)
{
    static const struct str scope[] = {{"seen", 4}, {"_persql_meta_query_log", 22}};
    (void)state;
    fresh("CREATE TABLE seen(id INTEGER PRIMARY KEY, card);"
          "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)"
          " INSERT INTO seen SELECT i, 'card ' || i FROM n");
    log_statement("SELECT * FROM seen WHERE card = 'CARD-4111'", 300, 100000);
    log_statement("SELECT count(*), 'LITERAL' FROM seen", 300, 100000);
    assert_non_null(finding("missing_index"));
    assert_non_null(strstr(f.out.ptr, "CARD-4111"));
    f.tables = scope;
    f.table_count = 1;
    assert_null(finding("missing_index"));
    assert_null(finding("slow_query"));
    assert_null(strstr(f.out.ptr, "CARD-4111"));
    assert_null(strstr(f.out.ptr, "LITERAL"));
    f.table_count = 2;
    assert_non_null(finding("missing_index"));
    f.tables = NULL;
    f.table_count = 0;
}

/* Such a table could be made before its arguments were looked at. FTS5 keeps its inner statements: one that
 * the doctor's own rights have prepared must not serve a caller. */
void test_opdoctor__an_old_virtual_table_over_our_own_stays_shut(void **state)
{
    static const char *const TRIES[] = {"SELECT * FROM spy", "SELECT key, value FROM spy WHERE rowid = 1",
        "SELECT highlight(spy, 0, '', '') FROM spy WHERE spy MATCH 'secret'",
        "INSERT INTO spy(spy) VALUES('rebuild')", "INSERT INTO spy(spy, rank) VALUES('integrity-check', 1)",
        "SELECT snippet(spy, 0, '', '', '', 5) FROM spy('secret')"};
    (void)state;
    op_fixture_sql(&f,
        "INSERT INTO _sys_applied(kind, token_id, key, step, created_ms, status, body) VALUES('key', 't', "
        "'secret', '', 1, 200, 'secret')");
    op_fixture_sql(&f, "CREATE VIRTUAL TABLE spy USING fts5(key, body, content='_sys_applied')");
    op_fixture_sql(&f, "INSERT INTO spy(spy) VALUES('rebuild')");
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < ARRAY_LEN(TRIES); i++) {
            struct engine_answer a = engine_sql(&f.engine, TRIES[i], NULL);
            if (a.head.status == 200)
                fail_msg("round %d: %s\n  %.*s", round, TRIES[i], STR_ARG(a.body));
        }
        (void)examine();
    }
}
