/* A copy of the schema: everything but the rows, in a file that an engine can begin with. */
#include "lib/op_fixture.h"
#include "lib/unit.h"
#include "base/fs.h"
#include "base/id.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <unistd.h>

static struct op_fixture from;

int setup_opcopy(void **state)
{
    (void)state;
    op_fixture_init(&from);
    return 0;
}

int teardown_opcopy(void **state)
{
    (void)state;
    op_fixture_release(&from);
    return 0;
}

static sqlite3 *copied(enum wire_op which)
{
    struct id id = id_new("db");
    const struct op_arg args[] = {{"copy", id.text}, {NULL, NULL}};
    char name[64], path[FS_PATH_MAX];
    sqlite3 *db;
    op_fixture_ok(&from, which, STR_EMPTY, args);
    str_print(name, sizeof name, "out/%s.db", id.text);
    fs_join(path, from.engine.dir, name);
    assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
    return db;
}

static const char *value(sqlite3 *db, const char *sql)
{
    static char text[200];
    sqlite3_stmt *stmt;
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL), SQLITE_OK);
    str_print(text, sizeof text, "none");
    if (sqlite3_step(stmt) == SQLITE_ROW)
        str_print(text, sizeof text, "%s", (const char *)sqlite3_column_text(stmt, 0));
    (void)sqlite3_finalize(stmt);
    return text;
}

void test_opcopy__has_the_schema_and_no_rows(void **state)
{
    (void)state;
    op_fixture_sql(&from,
        "CREATE TABLE t(a INTEGER PRIMARY KEY AUTOINCREMENT, b); INSERT INTO t(b) VALUES('x');"
        "CREATE TABLE u(a REFERENCES t(a)); CREATE INDEX i ON t(lower(b));"
        "CREATE VIEW v AS SELECT b FROM t; CREATE TRIGGER tr AFTER INSERT ON t BEGIN SELECT 1; END;"
        "CREATE VIRTUAL TABLE f USING fts5(x); INSERT INTO f VALUES('word');"
        "INSERT INTO f(f, rank) VALUES('automerge', 8); PRAGMA application_id = 5;"
        "INSERT INTO _sys_description VALUES('t', '', 'what it is', 1);"
        "INSERT INTO _sys_policy VALUES('pol_1', 'p', 't', 'select', '1', NULL, 7, 1, 1, 1);"
        "INSERT INTO _sys_row_security VALUES('t');"
        "INSERT OR REPLACE INTO _sys_applied(kind, token_id, key, step, created_ms, status, body)"
        " VALUES('key', 'tok', 'k', '', 1, 200, x'00');");
    sqlite3 *db = copied(WIRE_OP_COPY_SCHEMA);
    static const char SQL_OBJECTS[] = "SELECT group_concat(type || ' ' || name || ' ' || coalesce(sql, '')) "
                                      "FROM (SELECT * FROM sqlite_schema"
                                      " WHERE name NOT LIKE '\\_sys\\_%' ESCAPE '\\' AND name NOT LIKE "
                                      "'sqlite_autoindex%' ORDER BY type, name)";
    char *wanted = sqlite3_mprintf("%s", op_fixture_value(&from, SQL_OBJECTS));
    sqlite3_stmt *stmt;
    assert_int_equal(sqlite3_prepare_v2(db, SQL_OBJECTS, -1, &stmt, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
    assert_string_equal((const char *)sqlite3_column_text(stmt, 0), wanted);
    (void)sqlite3_finalize(stmt);
    sqlite3_free(wanted);
    assert_string_equal(
        value(db, "SELECT (SELECT count(*) FROM t) + (SELECT count(*) FROM sqlite_sequence)"), "0");
    assert_string_equal(value(db, "SELECT count(*) FROM f"), "0");
    assert_string_equal(value(db, "SELECT v FROM f_config WHERE k = 'automerge'"), "8");
    assert_string_equal(value(db, "PRAGMA application_id"), "5");
    assert_string_equal(value(db, "SELECT description FROM _sys_description"), "what it is");
    assert_string_equal(value(db, "SELECT using_sql FROM _sys_policy"), "1");
    assert_string_equal(value(db, "SELECT table_name FROM _sys_row_security"), "t");
    assert_string_equal(value(db, "SELECT count(*) FROM _sys_applied"), "0");
    assert_string_equal(value(db, "PRAGMA integrity_check"), "ok");
    char file[100];
    str_print(file, sizeof file, "%s", value(db, "SELECT value FROM _sys_meta WHERE key = 'file'"));
    assert_string_not_equal(file, op_fixture_value(&from, "SELECT value FROM _sys_meta WHERE key = 'file'"));
    (void)sqlite3_close(db);
}

void test_opcopy__a_whole_copy_is_another_file_with_the_same_rows(void **state)
{
    (void)state;
    op_fixture_sql(&from,
        "CREATE TABLE w(a INTEGER PRIMARY KEY AUTOINCREMENT, b); INSERT INTO w(b) VALUES('x'), ('y');"
        "CREATE VIRTUAL TABLE g USING fts5(x); INSERT INTO g VALUES('word');"
        "INSERT OR REPLACE INTO _sys_applied(kind, token_id, key, step, created_ms, status, body)"
        " VALUES('key', 'tok', 'k', '', 1, 200, x'00');");
    op_fixture_ok(&from, WIRE_OP_PROPOSE, S("{\"sql\":\"DELETE FROM w\"}"), NULL);
    sqlite3 *db = copied(WIRE_OP_COPY);
    assert_string_equal(value(db, "SELECT (SELECT count(*) FROM _sys_proposal) + (SELECT count(*) FROM "
                                  "_sys_proposal_part) + (SELECT count(*) FROM _sys_proposal_row)"),
        "0");
    assert_string_equal(value(db, "SELECT group_concat(b) FROM w"), "x,y");
    assert_string_equal(value(db, "SELECT seq FROM sqlite_sequence WHERE name = 'w'"), "2");
    assert_string_equal(value(db, "SELECT count(*) FROM g WHERE g MATCH 'word'"), "1");
    assert_string_equal(
        value(db, "SELECT (SELECT count(*) FROM _sys_applied) + (SELECT count(*) FROM _sys_query_log)"), "0");
    assert_string_equal(value(db, "PRAGMA integrity_check"), "ok");
    char file[100];
    str_print(file, sizeof file, "%s", value(db, "SELECT value FROM _sys_meta WHERE key = 'file'"));
    assert_string_not_equal(file, op_fixture_value(&from, "SELECT value FROM _sys_meta WHERE key = 'file'"));
    (void)sqlite3_close(db);
}

/* The value of `sql` in one copy more. */
static const char *of_a_copy(const char *sql)
{
    static char text[4][200];
    static unsigned next;
    sqlite3 *db = copied(WIRE_OP_COPY_SCHEMA);
    char *out = text[next++ % 4];
    assert_string_equal(value(db, "PRAGMA integrity_check"), "ok");
    str_print(out, sizeof text[0], "%s", value(db, sql));
    (void)sqlite3_close(db);
    return out;
}

void test_opcopy__a_copy_like_the_last_one_has_an_id_of_its_own(void **state)
{
    (void)state;
    static const char ID[] = "SELECT value FROM _sys_meta WHERE key = 'file'";
    op_fixture_sql(&from, "DROP TABLE IF EXISTS f; DROP TABLE IF EXISTS g; CREATE TABLE like_last(a); INSERT "
                          "INTO like_last VALUES(1)");
    const char *first = of_a_copy(ID), *second = of_a_copy(ID), *third = of_a_copy(ID);
    assert_int_equal(strlen(second), 32);
    assert_string_not_equal(first, second);
    assert_string_not_equal(second, third);
    assert_string_not_equal(third, op_fixture_value(&from, ID));
    assert_string_equal(of_a_copy("SELECT count(*) FROM like_last"), "0");
    assert_string_equal(of_a_copy("SELECT count(*) FROM _sys_meta WHERE key = 'start:table:like_last'"), "1");
}

void test_opcopy__a_copy_like_the_last_one_is_as_the_database_is_now(void **state)
{
    (void)state;
    static const struct {
        const char *change, *sql, *want;
    } ROWS[] = {
        {"CREATE TABLE now(a)", "SELECT count(*) FROM pragma_table_info('now')", "1"},
        {"ALTER TABLE now ADD COLUMN b", "SELECT count(*) FROM pragma_table_info('now')", "2"},
        {"PRAGMA user_version = 7", "PRAGMA user_version", "7"},
        {"INSERT INTO _sys_description VALUES('now', '', 'one', 1)",
            "SELECT description FROM _sys_description WHERE table_name = 'now'", "one"},
        {"UPDATE _sys_description SET description = 'two' WHERE table_name = 'now'",
            "SELECT description FROM _sys_description WHERE table_name = 'now'", "two"},
        {"INSERT INTO _sys_row_security VALUES('now')",
            "SELECT count(*) FROM _sys_row_security WHERE table_name = 'now'", "1"},
        {"DELETE FROM _sys_row_security WHERE table_name = 'now'",
            "SELECT count(*) FROM _sys_row_security WHERE table_name = 'now'", "0"},
        {"CREATE VIRTUAL TABLE words USING fts5(x); INSERT INTO words(words, rank) VALUES('automerge', 8)",
            "SELECT v FROM words_config WHERE k = 'automerge'", "8"},
        {"INSERT INTO words(words, rank) VALUES('automerge', 4)",
            "SELECT v FROM words_config WHERE k = 'automerge'", "4"},
        {"DROP TABLE words; DROP TABLE now; DELETE FROM _sys_description WHERE table_name = 'now'",
            "SELECT count(*) FROM sqlite_schema WHERE name = 'now'", "0"},
    };
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        (void)of_a_copy("SELECT 1");
        op_fixture_sql(&from, ROWS[i].change);
        expect_row(strcmp(of_a_copy(ROWS[i].sql), ROWS[i].want) == 0, ROWS[i].change);
        expect_row(strcmp(of_a_copy(ROWS[i].sql), ROWS[i].want) == 0, ROWS[i].change);
    }
}

void test_opcopy__masks_get_a_secret_of_their_own_in_each_copy(void **state)
{
    (void)state;
    static const char SECRET[] = "SELECT value FROM _sys_meta WHERE key = 'mask_secret'";
    op_fixture_sql(&from, "INSERT INTO _sys_mask(table_name, column_name, kind) VALUES('t', 'b', 'null');"
                          "INSERT OR REPLACE INTO _sys_meta(key, value) VALUES('mask_secret', 'ours')");
    const char *first = of_a_copy(SECRET), *second = of_a_copy(SECRET);
    assert_int_equal(strlen(first), 64);
    assert_string_not_equal(first, second);
    op_fixture_sql(&from, "DELETE FROM _sys_mask; DELETE FROM _sys_meta WHERE key = 'mask_secret'");
}

void test_opcopy__is_for_admins_and_needs_a_name_of_ours(void **state)
{
    static const char *const NAMES[] = {
        "", "db_", "../x", "tok_01k4w8c0v3e7q2m9x5n6r1t0zp", "db_01k4w8c0v3e7q2m9x5n6r1t0z/"};
    struct id id = id_new("db");
    const struct op_arg good[] = {{"copy", id.text}, {NULL, NULL}};
    const struct str tables[] = {S("t")};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(NAMES); i++) {
        const struct op_arg args[] = {{"copy", NAMES[i]}, {NULL, NULL}};
        assert_int_equal(op_fixture_run(&from, WIRE_OP_COPY_SCHEMA, STR_EMPTY, args), ERR_INVALID);
    }
    assert_int_equal(op_fixture_run(&from, WIRE_OP_COPY_SCHEMA, STR_EMPTY, NULL), ERR_INVALID);
    from.role = WIRE_ROLE_READWRITE;
    assert_int_equal(op_fixture_run(&from, WIRE_OP_COPY_SCHEMA, STR_EMPTY, good), ERR_FORBIDDEN);
    from.role = WIRE_ROLE_ADMIN;
    from.tables = tables;
    from.table_count = 1;
    assert_int_equal(op_fixture_run(&from, WIRE_OP_COPY_SCHEMA, STR_EMPTY, good), ERR_FORBIDDEN);
    from.tables = NULL;
    from.table_count = 0;
}
