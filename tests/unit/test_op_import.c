/* Imports: dumps of other programs, errors that say where, all or nothing, types that are learnt. */
#include "lib/op_fixture.h"
#include "base/fs.h"
#include "base/strbuf.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static struct op_fixture f;

int setup_opimport(void **state)
{
    (void)state;
    op_fixture_init(&f);
    return 0;
}

int teardown_opimport(void **state)
{
    (void)state;
    op_fixture_release(&f);
    return 0;
}

static enum err_code import(const char *format, const char *table, const char *body)
{
    const struct op_arg args[] = {{"format", format}, {table ? "table" : NULL, table}, {NULL, NULL}};
    return op_fixture_run(&f, WIRE_OP_IMPORT, str_of(body), args);
}

static void fresh(void)
{
    op_fixture_release(&f);
    op_fixture_init(&f);
}

/* As SQLite's own shell writes a database with FTS5 tables, AUTOINCREMENT and statistics. */
static const char SHELL_DUMP[] =
    "PRAGMA foreign_keys=OFF;\nBEGIN TRANSACTION;\n"
    "CREATE TABLE notes(id INTEGER PRIMARY KEY AUTOINCREMENT, body TEXT);\n"
    "INSERT INTO notes VALUES(1,'hello world');\nINSERT INTO notes "
    "VALUES(2,replace('good\\nbye','\\n',char(10)));\n"
    "PRAGMA writable_schema=ON;\n"
    "INSERT INTO sqlite_schema(type,name,tbl_name,rootpage,sql)VALUES('table','own','own',0,'CREATE VIRTUAL "
    "TABLE own USING fts5(title, \"b c\")');\n"
    "CREATE TABLE IF NOT EXISTS 'own_data'(id INTEGER PRIMARY KEY, block BLOB);\nINSERT INTO own_data "
    "VALUES(1,X'00');\n"
    "CREATE TABLE IF NOT EXISTS 'own_idx'(segid, term, pgno, PRIMARY KEY(segid, term)) WITHOUT ROWID;\n"
    "CREATE TABLE IF NOT EXISTS 'own_content'(id INTEGER PRIMARY KEY, c0, c1);\n"
    "INSERT INTO own_content VALUES(5,'it''s a dog','x');\n"
    "CREATE TABLE IF NOT EXISTS 'own_docsize'(id INTEGER PRIMARY KEY, sz BLOB);\nINSERT INTO own_docsize "
    "VALUES(5,X'0301');\n"
    "CREATE TABLE IF NOT EXISTS 'own_config'(k PRIMARY KEY, v) WITHOUT ROWID;\nINSERT INTO own_config "
    "VALUES('version',4);\n"
    "INSERT INTO sqlite_schema(type,name,tbl_name,rootpage,sql)VALUES('table','ext','ext',0,'CREATE VIRTUAL "
    "TABLE ext USING fts5(body, content=''notes'', content_rowid=''id'')');\n"
    "CREATE TABLE IF NOT EXISTS 'ext_data'(id INTEGER PRIMARY KEY, block BLOB);\n"
    "ANALYZE sqlite_schema;\nINSERT INTO sqlite_stat1 VALUES('notes',NULL,'2');\n"
    "CREATE TRIGGER notes_ai AFTER INSERT ON notes BEGIN INSERT INTO ext(rowid, body) VALUES (new.id, "
    "new.body); END;\n"
    "DELETE FROM sqlite_sequence;\nINSERT INTO sqlite_sequence VALUES('notes',40);\n"
    "PRAGMA writable_schema=OFF;\nCOMMIT;\n";

void test_opimport__a_dump_of_the_shell_loads_with_full_text(void **state)
{
    (void)state;
    fresh();
    op_fixture_sql(
        &f, "CREATE TABLE other(id INTEGER PRIMARY KEY AUTOINCREMENT); INSERT INTO other VALUES (7);");
    if (import("sql", NULL, SHELL_DUMP))
        fail_msg("%s", f.error.ptr);
    const struct jsonr_value *v = op_fixture_json(&f);
    assert_string_equal(op_json_text(v, "tables/0"), "notes");
    assert_int_equal(jsonr_count(op_json_at(v, "tables")), 3);
    assert_int_equal(op_json_int(v, "bytesRead"), sizeof SHELL_DUMP - 1);
    assert_string_equal(
        op_fixture_value(&f, "SELECT group_concat(rowid) FROM own WHERE own MATCH 'dog'"), "5");
    assert_string_equal(
        op_fixture_value(&f, "SELECT group_concat(rowid) FROM ext WHERE ext MATCH 'bye'"), "2");
    assert_string_equal(op_fixture_value(&f, "SELECT seq FROM sqlite_sequence WHERE name = 'notes'"), "40");
    assert_string_equal(op_fixture_value(&f, "SELECT seq FROM sqlite_sequence WHERE name = 'other'"), "7");
    assert_string_equal(
        op_fixture_value(&f, "SELECT count(*) FROM sqlite_sequence WHERE name = 'notes'"), "1");
    assert_string_equal(op_fixture_value(&f, "PRAGMA integrity_check"), "ok");
}

void test_opimport__a_failing_script_leaves_nothing_and_says_where(void **state)
{
    static const struct {
        const char *script;
        enum err_code code;
        const char *says;
    } cases[] = {
        {"CREATE TABLE a(v);\nINSERT INTO a VALUES (1);\nINSERT INTO nowhere VALUES (1);", ERR_SQL,
            "statement 3, line 3, byte 45: no such table: nowhere"},
        {"CREATE TABLE a(v);\n\n  SELEC 1;", ERR_SQL, "statement 2, line 3, byte 22:"},
        {"CREATE TABLE a(v);\nINSERT INTO a VALUES ('x\n;\ny'); -- c\n/* \n */ SELEC 1;", ERR_SQL,
            "statement 3, line 6, byte"},
        {"CREATE TABLE a(v); ATTACH 'x' AS y;", ERR_FORBIDDEN, "statement 2"},
        {"CREATE TABLE a(v); INSERT INTO _sys_meta VALUES ('x', 1);", ERR_FORBIDDEN, "_sys_meta"},
        {"CREATE TABLE _sys_x(v);", ERR_FORBIDDEN, "_sys_x"},
        {"CREATE TABLE a(v); ALTER TABLE a RENAME TO _sys_b;", ERR_FORBIDDEN, "reserved"},
        {"CREATE TABLE a(v UNIQUE); INSERT INTO a VALUES (1); INSERT OR ROLLBACK INTO a VALUES (1); INSERT "
         "INTO a VALUES (2);",
            ERR_SQL, "UNIQUE"},
        {"CREATE TABLE p(id INTEGER PRIMARY KEY); CREATE TABLE c(p REFERENCES p); INSERT INTO c VALUES (9);",
            ERR_SQL, "foreign key violated"},
        {"CREATE TABLE a(v); ROLLBACK;", ERR_FORBIDDEN, "statement 2"},
        {"CREATE TABLE a(v); INSERT INTO sqlite_sequence VALUES('_sys_meta', 1);", ERR_FORBIDDEN,
            "_sys_meta"},
        {"CREATE TABLE a(v); INSERT INTO "
         "sqlite_schema(type,name,tbl_name,rootpage,sql)VALUES('table','r','r',0,'CREATE VIRTUAL TABLE r "
         "USING rtree(a,b,c)');",
            ERR_FORBIDDEN, "statement 2"},
    };
    (void)state;
    fresh();
    op_fixture_sql(&f, "CREATE TABLE kept(v); INSERT INTO kept VALUES (1);");
    const char *before = op_fixture_value(&f, "SELECT group_concat(name) FROM sqlite_schema");
    char names[4000] = {0};
    memcpy(names, before, strlen(before));
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        enum err_code code = import("sql", NULL, cases[i].script);
        if (code != cases[i].code || !strstr(f.error.ptr, cases[i].says))
            fail_msg("%s: %s %s", cases[i].script, err_slug(code), f.error.ptr);
        assert_string_equal(op_fixture_value(&f, "SELECT group_concat(name) FROM sqlite_schema"), names);
    }
    /* Foreign keys are enforced again, and at once. */
    op_fixture_sql(&f, "CREATE TABLE p(id INTEGER PRIMARY KEY); CREATE TABLE c(p REFERENCES p)");
    assert_int_equal(engine_sql(&f.engine, "INSERT INTO c VALUES (1)", NULL).head.status, 400);
}

void test_opimport__a_script_may_change_the_schema(void **state)
{
    (void)state;
    fresh();
    if (import("sql", NULL,
            "CREATE TABLE a(v, u); ALTER TABLE a RENAME TO b; ALTER TABLE b RENAME COLUMN v TO w; ALTER "
            "TABLE b DROP COLUMN u;"
            "ALTER TABLE b ADD COLUMN x DEFAULT 5; INSERT INTO b(w) VALUES (1); CREATE VIEW c AS SELECT x "
            "FROM b; DROP VIEW c;"))
        fail_msg("%s", f.error.ptr);
    assert_string_equal(op_fixture_value(&f, "SELECT w || x FROM b"), "15");
}

void test_opimport__needs_admin_and_knows_its_arguments(void **state)
{
    (void)state;
    f.role = WIRE_ROLE_READWRITE;
    assert_int_equal(import("sql", NULL, "SELECT 1"), ERR_FORBIDDEN);
    f.role = WIRE_ROLE_ADMIN;
    assert_int_equal(import("xml", NULL, ""), ERR_INVALID);
    assert_int_equal(import("csv", NULL, "a\n1\n"), ERR_INVALID);
    assert_int_equal(import("csv", "_sys_meta", "key\nx\n"), ERR_INVALID);
    assert_int_equal(import("csv", "sqlite_schema", "a\nx\n"), ERR_INVALID);
    assert_int_equal(import("sql", NULL, ""), ERR_OK);
    static const char *const files[] = {
        "main.db", "in/../main.db", "/etc/passwd", "in/", "in/.x", "in/absent"};
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        const struct op_arg args[] = {{"format", "sql"}, {"file", files[i]}, {NULL, NULL}};
        enum err_code code = op_fixture_run(&f, WIRE_OP_IMPORT, STR_EMPTY, args);
        assert_int_equal(code, i + 1 < ARRAY_LEN(files) ? ERR_INVALID : ERR_NOT_FOUND);
    }
}

void test_opimport__reads_the_file_the_front_names(void **state)
{
    char path[FS_PATH_MAX];
    const struct op_arg args[] = {{"format", "sql"}, {"file", "in/up_1"}, {NULL, NULL}};
    (void)state;
    fresh();
    fs_join(path, f.engine.dir, "in/up_1");
    assert_int_equal(
        fs_write_atomic(path, S("CREATE TABLE a(v);\nINSERT INTO a VALUES (1), (2);\n"), 0600, NULL), ERR_OK);
    op_fixture_ok(&f, WIRE_OP_IMPORT, STR_EMPTY, args);
    assert_int_equal(op_json_int(op_fixture_json(&f), "statements"), 2);
    assert_int_equal(op_json_int(op_fixture_json(&f), "rows"), 2);
    assert_string_equal(op_fixture_value(&f, "SELECT count(*) FROM a"), "2");
}

void test_opimport__csv_learns_the_types_of_a_new_table(void **state)
{
    (void)state;
    fresh();
    assert_int_equal(import("csv", "t",
                         "int,real,mixed,code,date,blob,nothing,big,wide\r\n"
                         "1,1.5,1,007,2026-01-02,\"{\"\"$blob\"\":\"\"AP8=\"\"}\",,9223372036854775808,"
                         "9007199254740993\r\n"
                         "-5,2e3,2.5,12,x,\"{\"\"$blob\"\":\"\"\"\"}\",,1,0.5\r\n"),
        ERR_OK);
    assert_true(jsonr_bool(op_json_at(op_fixture_json(&f), "created")));
    assert_string_equal(
        op_fixture_value(&f, "SELECT group_concat(name || ' ' || type) FROM pragma_table_info('t')"),
        "int INTEGER,real REAL,mixed REAL,code TEXT,date TEXT,blob BLOB,nothing TEXT,big TEXT,wide TEXT");
    assert_string_equal(
        op_fixture_value(&f, "SELECT code || hex(blob) || typeof(\"nothing\") || wide FROM t"),
        "00700FFnull9007199254740993");
}

void test_opimport__rows_say_which_line_is_wrong(void **state)
{
    static const struct {
        const char *format, *body;
        enum err_code code;
        const char *says;
    } cases[] = {
        {"csv", "id,nme\n1,x\n", ERR_INVALID,
            "line 1: table \"t\" has no column \"nme\" (did you mean \"name\"?)"},
        {"csv", "id,name\n1,x\n2\n", ERR_INVALID, "line 3: 1 fields, but the header names 2"},
        {"csv", "id,name\n1,x\n1,y\n", ERR_SQL, "line 3: UNIQUE"},
        {"csv", "id,id\n1,x\n", ERR_INVALID, "twice"},
        {"csv", "id,\n1,x\n", ERR_INVALID, "column 2 has no name"},
        {"csv", "", ERR_INVALID, "header"},
        {"csv", "id,name\n1,\"x\n", ERR_INVALID, "line 2: a quoted field never ends"},
        {"csv", "id,name\n1,\xff\n", ERR_INVALID, "line 2: the text of column \"name\" is not UTF-8"},
        {"csv", "id,name\n5,\n", ERR_SQL, "line 2: NOT NULL"},
        {"ndjson", "{\"id\":1,\"name\":\"x\"}\n\n{\"id\":2,\"nme\":\"y\"}", ERR_INVALID,
            "line 3: table \"t\" has no column \"nme\""},
        {"ndjson", "{\"id\":1,\"name\":\"x\"}\n[1]", ERR_INVALID, "line 2: must be an object"},
        {"ndjson", "{\"id\":1,\"name\":\"x\"}\n{\"id\":}", ERR_INVALID, "line 2:"},
        {"ndjson", "{\"id\":1,\"name\":{\"$blob\":\"?\"}}", ERR_INVALID,
            "line 1: \"name\" must be one of {\"$blob\""},
        {"ndjson", "{\"id\":1,\"ID\":2,\"name\":\"x\"}", ERR_INVALID, "twice"},
    };
    (void)state;
    fresh();
    op_fixture_sql(
        &f, "CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT NOT NULL, up TEXT AS (upper(name)))");
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        enum err_code code = import(cases[i].format, "t", cases[i].body);
        if (code != cases[i].code || !strstr(f.error.ptr, cases[i].says))
            fail_msg("%s: %s %s", cases[i].body, err_slug(code), f.error.ptr);
        assert_string_equal(op_fixture_value(&f, "SELECT count(*) FROM t"), "0");
    }
}

void test_opimport__ndjson_takes_lines_of_different_shapes(void **state)
{
    (void)state;
    fresh();
    op_fixture_sql(&f, "CREATE TABLE t(id INTEGER PRIMARY KEY, a DEFAULT 'dflt', b)");
    assert_int_equal(import("ndjson", "T",
                         "{\"id\":1,\"a\":null,\"b\":true}\n{\"id\":2,\"b\":[1,{\"x\":null}]}\r\n{}\n{\"b\":"
                         "9007199254740993,\"a\":1.0}"),
        ERR_OK);
    assert_int_equal(op_json_int(op_fixture_json(&f), "rows"), 4);
    assert_string_equal(
        op_fixture_value(&f, "SELECT group_concat(id || coalesce(a, '~') || coalesce(b, '~'), '|') FROM t"),
        "1~1|2dflt[1,{\"x\":null}]|3dflt~|41.09007199254740993");
}

void test_opimport__ndjson_keeps_values_inside_values(void **state)
{
    (void)state;
    fresh();
    assert_int_equal(import("ndjson", "deep", "{\"v\":[true,1.5,\"t\",{\"x\":[false,null,-2]},[]]}"), ERR_OK);
    assert_string_equal(
        op_fixture_value(&f, "SELECT v FROM deep"), "[true,1.5,\"t\",{\"x\":[false,null,-2]},[]]");
}

/* A table that is learnt from its rows needs rows with names, and no more columns than a table may have. */
void test_opimport__ndjson_that_makes_no_table(void **state)
{
    AUTO_STRBUF many;
    AUTO_STRBUF two;
    (void)state;
    fresh();
    strbuf_init(&many, 1 << 16);
    strbuf_init(&two, 1 << 16);
    for (int i = 0; i < 101; i++) {
        strbuf_addf(&many, "%s\"c%d\":1", i ? "," : "{", i);
        strbuf_addf(&two, "%s\"c%d\":1", i == 60 ? "}\n{" : i ? "," : "{", i);
    }
    strbuf_add_char(&many, '}');
    strbuf_add_char(&two, '}');
    const struct {
        const char *body, *says;
    } cases[] = {{"\n\n", "no row to learn the columns"}, {"{}\n", "no row to learn the columns"},
        {"{\"\":1}", "line 1: a member without a name"},
        {strbuf_cstr(&many), "line 1: more than 100 members"},
        {strbuf_cstr(&two), "line 2: more than 100 different members in all"}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        enum err_code code = import("ndjson", "none", cases[i].body);
        if (code != ERR_INVALID || !strstr(f.error.ptr, cases[i].says))
            fail_msg("%s: %s %s", cases[i].says, err_slug(code), f.error.ptr);
        assert_string_equal(
            op_fixture_value(&f, "SELECT count(*) FROM sqlite_schema WHERE name = 'none'"), "0");
    }
}

void test_opimport__rows_may_refer_to_rows_further_down(void **state)
{
    (void)state;
    fresh();
    op_fixture_sql(&f, "CREATE TABLE t(id INTEGER PRIMARY KEY, up INTEGER REFERENCES t(id))");
    assert_int_equal(import("csv", "t", "id,up\n1,2\n2,1\n3,\n"), ERR_OK);
    assert_int_equal(import("csv", "t", "id,up\n4,99\n"), ERR_SQL);
    assert_non_null(strstr(f.error.ptr, "line 2: row 4 of \"t\" refers by \"up\""));
    const struct jsonr_value *detail = op_json_at(op_fixture_json(&f), "errorDetail");
    assert_string_equal(op_json_text(detail, "kind"), "fk_violation");
    assert_string_equal(op_json_text(detail, "table"), "t");
    assert_string_equal(op_json_text(detail, "column"), "up");
    assert_int_equal(op_json_int(detail, "row"), 4);
    assert_int_equal(op_json_int(detail, "line"), 2);
    assert_int_equal(
        import("ndjson", "t", "{\"id\":7}\n\n{\"id\":5,\"up\":98}\n{\"id\":6,\"up\":7}\n"), ERR_SQL);
    assert_int_equal(op_json_int(op_fixture_json(&f), "errorDetail/line"), 3);
    assert_string_equal(op_fixture_value(&f, "SELECT count(*) FROM t"), "3");
    /* At once again for everybody else. */
    assert_int_equal(engine_sql(&f.engine, "INSERT INTO t VALUES (5, 98)", NULL).head.status, 400);
}

/* Whatever fails, the detail names kind, table, column and line. */
void test_opimport__errors_carry_their_detail(void **state)
{
    static const struct {
        const char *format, *table, *body, *kind, *in_table, *in_column;
        int line;
    } cases[] = {
        {"sql", NULL, "INSERT INTO p VALUES (1);\nINSERT INTO c VALUES (1, 9);\n", "fk_violation", "c", "p",
            0},
        {"sql", NULL, "INSERT INTO p VALUES (1);\n\nINSERT INTO p VALUES (1);\n", "unique_violation", "p",
            "id", 3},
        {"sql", NULL, "INSERT INTO nowhere VALUES (1)", "unknown_table", "nowhere", NULL, 1},
        {"csv", "c", "id,p\n1,\n1,\n", "unique_violation", "c", "id", 3},
        {"csv", "w", "k,p\nx,9\n", "fk_violation", "w", "p", 0},
        {"ndjson", "c", "{\"id\":\"x\"}", "type_mismatch", NULL, NULL, 1},
    };
    (void)state;
    fresh();
    op_fixture_sql(&f,
        "CREATE TABLE p(id INTEGER PRIMARY KEY); CREATE TABLE c(id INTEGER PRIMARY KEY, p REFERENCES p);"
        "CREATE TABLE w(k TEXT PRIMARY KEY, p REFERENCES p) WITHOUT ROWID;");
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_int_equal(import(cases[i].format, cases[i].table, cases[i].body), ERR_SQL);
        const struct jsonr_value *detail = op_json_at(op_fixture_json(&f), "errorDetail");
        assert_non_null(detail);
        assert_string_equal(op_json_text(detail, "kind"), cases[i].kind);
        if (cases[i].in_table)
            assert_string_equal(op_json_text(detail, "table"), cases[i].in_table);
        if (cases[i].in_column)
            assert_string_equal(op_json_text(detail, "column"), cases[i].in_column);
        if (cases[i].line)
            assert_int_equal(op_json_int(detail, "line"), cases[i].line);
        assert_string_equal(
            op_fixture_value(&f, "SELECT (SELECT count(*) FROM p) + (SELECT count(*) FROM c)"), "0");
    }
}

/* What PUT describe has stored comes back with the dump, as far as there is something to describe. */
void test_opimport__remarks_of_a_dump_are_read(void **state)
{
    static const char DUMP[] =
        "-- description: {\"description\":\"all of it\"}\n-- description: "
        "{\"table\":\"T\",\"description\":\"a "
        "table\"}\n-- description: {\"table\":\"t\",\"column\":\"A\",\"description\":\"it's one\"}\r\n"
        "-- description: {\"table\":\"t\",\"column\":\"gone\",\"description\":\"x\"}\n-- description: "
        "{\"table\":"
        "\"_sys_meta\",\"description\":\"x\"}\n-- description: of my own\n-- description: [1]\n"
        "-- description: {\"table\":\"v\",\"description\":7}\n/* -- note: no */\n-- a remark\n"
        "CREATE TABLE t(a); -- note: behind\n-- note: \"docs\" is empty\nCREATE VIEW v AS SELECT a FROM t;";
    (void)state;
    fresh();
    assert_int_equal(import("sql", NULL, DUMP), ERR_OK);
    assert_int_equal(op_json_int(op_fixture_json(&f), "descriptions"), 3);
    assert_string_equal(op_json_text(op_fixture_json(&f), "notes/0"), "behind");
    assert_string_equal(op_json_text(op_fixture_json(&f), "notes/1"), "\"docs\" is empty");
    assert_int_equal(jsonr_count(op_json_at(op_fixture_json(&f), "notes")), 2);
    assert_string_equal(
        op_fixture_value(&f,
            "SELECT group_concat(table_name || '.' || column_name || '=' || description, '|') FROM (SELECT "
            "* FROM _sys_description ORDER BY 1, 2)"),
        ".=all of it|t.=a table|t.a=it's one");
    assert_int_equal(
        import("sql", NULL, "-- description: {\"table\":\"t\",\"description\":\"other\"}\nSELEC"), ERR_SQL);
    assert_string_equal(
        op_fixture_value(&f, "SELECT count(*) FROM _sys_description WHERE description = 'other'"), "0");
}

/* Schema, rows, hidden tables, counters, header and descriptions: all of it or nothing. */
void test_opimport__a_failure_leaves_nothing_of_any_kind(void **state)
{
    static const char SCRIPT[] =
        "-- description: {\"table\":\"kept\",\"description\":\"told\"}\nPRAGMA user_version=9;\nPRAGMA "
        "application_id=8;\n"
        "CREATE TABLE a(id INTEGER PRIMARY KEY AUTOINCREMENT, v);\nINSERT INTO a(v) VALUES (1);\nINSERT INTO "
        "kept VALUES "
        "(1);\nDELETE FROM sqlite_sequence WHERE name='kept_too';\nINSERT INTO sqlite_sequence "
        "VALUES('kept_too',90);\n"
        "CREATE VIRTUAL TABLE f USING fts5(x);\nINSERT INTO f VALUES ('y');\nCREATE VIEW w AS SELECT 1;\n";
    static const char ALL[] = "SELECT (SELECT group_concat(name) FROM sqlite_schema WHERE name NOT LIKE "
                              "'\\_sys%' ESCAPE '\\' AND name NOT LIKE "
                              "'sqlite%') || (SELECT count(*) FROM kept) || (SELECT seq FROM sqlite_sequence "
                              "WHERE name = 'kept_too') || (SELECT "
                              "count(*) FROM _sys_description) || (SELECT user_version FROM "
                              "pragma_user_version) || (SELECT application_id FROM "
                              "pragma_application_id)";
    static const char *const ends[] = {"SELEC;", "INSERT INTO a VALUES (1, 2);",
        "INSERT INTO kept VALUES (NULL);", "ALTER TABLE a RENAME TO _sys_a;",
        "CREATE TABLE c(x REFERENCES a); INSERT INTO c VALUES (7);", "VALUES ('"};
    AUTO_STRBUF script;
    (void)state;
    strbuf_init(&script, 1 << 16);
    fresh();
    op_fixture_sql(&f,
        "CREATE TABLE kept(v NOT NULL); CREATE TABLE kept_too(id INTEGER PRIMARY KEY AUTOINCREMENT); INSERT "
        "INTO kept_too VALUES (3);");
    for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
        strbuf_reset(&script);
        strbuf_addf(&script, "%s%s", SCRIPT, ends[i]);
        assert_int_not_equal(import("sql", NULL, strbuf_cstr(&script)), ERR_OK);
        assert_string_equal(op_fixture_value(&f, ALL), "kept,kept_too03000");
    }
    assert_int_equal(import("sql", NULL, SCRIPT), ERR_OK);
    assert_string_equal(
        op_fixture_value(&f, "SELECT group_concat(seq) FROM (SELECT seq FROM sqlite_sequence ORDER BY name)"),
        "1,90");
}

/* What SQLite's shell says about FTS5: settings are kept, and what is lost is told. */
void test_opimport__dumps_of_the_shell_keep_what_they_can_of_full_text(void **state)
{
    (void)state;
    fresh();
    assert_int_equal(
        import("sql", NULL,
            "INSERT INTO sqlite_schema(type,name,tbl_name,rootpage,sql)VALUES('table','d','d',0,'CREATE "
            "VIRTUAL "
            "TABLE d USING fts5(x)');\nCREATE TABLE IF NOT EXISTS 'd_config'(k PRIMARY KEY, v) WITHOUT "
            "ROWID;\nINSERT INTO d_config VALUES('version',4);\nINSERT INTO d_config "
            "VALUES('rank','bm25(2.0)');\nINSERT INTO d_content VALUES(1,'dogs');\n"
            "INSERT INTO sqlite_schema(type,name,tbl_name,rootpage,sql)VALUES('table','e','e',0,'CREATE "
            "VIRTUAL "
            "TABLE e USING fts5(x, content='''')');\nINSERT INTO e_data VALUES(1,X'00');\n"),
        ERR_OK);
    assert_string_equal(op_fixture_value(&f, "SELECT v FROM d_config WHERE k = 'rank'"), "bm25(2.0)");
    assert_string_equal(op_fixture_value(&f, "SELECT rowid FROM d WHERE d MATCH 'dogs'"), "1");
    assert_int_equal(jsonr_count(op_json_at(op_fixture_json(&f), "notes")), 1);
    assert_non_null(strstr(op_json_text(op_fixture_json(&f), "notes/0"), "\"e\" keeps no content"));
}

void test_opimport__integrity_tells_what_is_wrong(void **state)
{
    (void)state;
    fresh();
    op_fixture_sql(&f,
        "CREATE TABLE p(id INTEGER PRIMARY KEY); CREATE TABLE c(p REFERENCES p); INSERT INTO c VALUES (9)");
    op_fixture_ok(&f, WIRE_OP_INTEGRITY, STR_EMPTY, NULL);
    const struct jsonr_value *v = op_fixture_json(&f);
    assert_false(jsonr_bool(op_json_at(v, "ok")));
    assert_string_equal(op_json_text(v, "foreignKeys/0/table"), "c");
    assert_int_equal(jsonr_count(op_json_at(v, "integrity")), 0);
    op_fixture_sql(&f, "DELETE FROM c");
    op_fixture_ok(&f, WIRE_OP_INTEGRITY, STR_EMPTY, NULL);
    assert_true(jsonr_bool(op_json_at(op_fixture_json(&f), "ok")));
}
