/* Taking back changes of the schema, with the rows of a snapshot, on a real engine. */
#include "base/fs.h"
#include "lib/op_fixture.h"
#include "lib/unit.h"
#include <stdio.h>
#include <unistd.h>

static struct op_fixture f;
static char g_token[100], g_id[60];

#define SNAPSHOT "snap_00000000zz0000000000000000"
#define COPY     "db_00000000zz0000000000000000"

int setup_undo_schema(void **state)
{
    (void)state;
    op_fixture_init(&f);
    return 0;
}

int teardown_undo_schema(void **state)
{
    (void)state;
    op_fixture_release(&f);
    return 0;
}

static void fresh(void)
{
    op_fixture_sql(&f,
        "DROP VIEW IF EXISTS low; DROP TABLE IF EXISTS lines; DROP TABLE IF EXISTS stock; DROP TABLE IF "
        "EXISTS "
        "notes; DROP TABLE IF EXISTS words; DROP TABLE IF EXISTS goods; DROP TABLE IF EXISTS made;"
        "CREATE TABLE stock (id INTEGER PRIMARY KEY AUTOINCREMENT, n INTEGER NOT NULL, \"a b\" TEXT);"
        "INSERT INTO stock VALUES (1, 10, 'x'), (2, 20, NULL), (3, 30, 'z');"
        "CREATE INDEX by_n ON stock (n); CREATE TABLE notes (body TEXT UNIQUE, at REAL DEFAULT 1.5 CHECK (at "
        "> 0));"
        "CREATE TRIGGER noted AFTER INSERT ON stock BEGIN INSERT INTO notes (body) VALUES (new.id); END;"
        "INSERT INTO notes (rowid, body) VALUES (7, 'seven'), (9, 'nine');"
        "CREATE VIEW low AS SELECT * FROM stock WHERE n < 15;"
        "CREATE TABLE lines (id INTEGER PRIMARY KEY, stock INTEGER REFERENCES stock ON DELETE CASCADE);"
        "INSERT INTO lines VALUES (1, 2);"
        "CREATE VIRTUAL TABLE words USING fts5(body); INSERT INTO words VALUES ('first words'), ('second')");
}

static void remember(void)
{
    const struct jsonr_value *v = op_fixture_json(&f);
    str_print(g_token, sizeof g_token, "%s", op_json_text(v, "executionToken"));
    str_print(g_id, sizeof g_id, "%s", op_json_text(v, "proposalId"));
}

static void apply(uint16_t status)
{
    char body[200];
    str_print(body, sizeof body, "{\"executionToken\":\"%s\"}", g_token);
    (void)op_fixture_run(&f, WIRE_OP_APPLY, str_of(body), NULL);
    if (f.head.status != status)
        fail_msg("%u: %.*s", f.head.status, STR_ARG(f.out));
}

/* As the front does: the state before it is kept, and noted with it. */
static void keep_snapshot(void)
{
    char out[FS_PATH_MAX], path[FS_PATH_MAX + 100];
    fs_join(out, f.engine.dir, "out");
    assert_int_equal(fs_mkdir_p(out, 0700, NULL), ERR_OK);
    str_print(path, sizeof path, "%s/kept.db", out);
    (void)unlink(path); /* of a test that did not need it */
    str_print(path, sizeof path, "VACUUM INTO '%s/kept.db'", out);
    op_fixture_sql(&f, path);
}

static void lay_snapshot(void)
{
    char from[FS_PATH_MAX], to[FS_PATH_MAX];
    fs_join(from, f.engine.dir, "out/kept.db");
    fs_join(to, f.engine.dir, "out/" COPY ".from.db");
    assert_int_equal(link(from, to), 0); /* it may be asked for once more */
}

/* Proposes and applies statements, [{"sql":…}]; what was there before is kept. */
static void write_sql(const char *statements)
{
    char body[2000];
    keep_snapshot();
    str_print(body, sizeof body, "{\"statements\":[%s]}", statements);
    op_fixture_ok(&f, WIRE_OP_PROPOSE, str_of(body), NULL);
    remember();
    apply(200);
    str_print(body, sizeof body, "UPDATE _sys_proposal SET snapshot = '" SNAPSHOT "' WHERE id = '%s'", g_id);
    op_fixture_sql(&f, body);
}

static void query(const char *sql)
{
    char body[500];
    str_print(body, sizeof body, "{\"sql\":\"%s\"}", sql);
    op_fixture_ok(&f, WIRE_OP_QUERY, str_of(body), NULL);
}

static const struct jsonr_value *undo_with(const char *body, uint16_t status)
{
    const struct op_arg args[] = {
        {"id", g_id}, {"copy", COPY}, {"snapshot", SNAPSHOT}, {"label", "before it"}, {NULL, NULL}};
    char path[FS_PATH_MAX];
    lay_snapshot();
    (void)op_fixture_run(&f, WIRE_OP_PROPOSAL_UNDO, str_of(body), args);
    if (f.head.status != status)
        fail_msg("%u: %.*s", f.head.status, STR_ARG(f.out));
    fs_join(path, f.engine.dir, "out/" COPY ".from.db");
    (void)unlink(path); /* where it was not needed it stays */
    return op_fixture_json(&f);
}

static const struct jsonr_value *undo(uint16_t status)
{
    return undo_with("{}", status);
}

static void undone(void)
{
    (void)undo(200);
    remember();
    apply(200);
}

#define SCHEMA                                                                                               \
    "SELECT group_concat(sql, ';') FROM (SELECT sql FROM sqlite_schema WHERE sql NOT NULL AND tbl_name NOT " \
    "LIKE "                                                                                                  \
    "'\\_sys%' ESCAPE '\\' AND name NOT LIKE 'sqlite%' ORDER BY type, name)"
#define STOCK                                                                                                \
    "SELECT group_concat(id || ':' || n || ifnull(\"a b\", '-'), ' ') FROM (SELECT * FROM stock ORDER BY "   \
    "id)"
#define NOTES "SELECT group_concat(rowid || body || at, ' ') FROM (SELECT rowid, * FROM notes ORDER BY rowid)"

static char g_schema[4000];

static void note_schema(void)
{
    str_print(g_schema, sizeof g_schema, "%s", op_fixture_value(&f, SCHEMA));
}

static void check_schema(void)
{
    assert_string_equal(op_fixture_value(&f, SCHEMA), g_schema);
    assert_string_equal(op_fixture_value(&f, "SELECT count(*) FROM pragma_foreign_key_check"), "0");
    assert_string_equal(op_fixture_value(&f, "PRAGMA integrity_check"), "ok");
}

/* With rows, indexes and triggers; what other tables got since stays. */
void test_undo_schema__a_dropped_table_comes_back(void **state)
{
    (void)state;
    fresh();
    note_schema();
    write_sql("{\"sql\":\"DROP TABLE notes\"},{\"sql\":\"DROP TABLE words\"}");
    query("UPDATE stock SET n = 21 WHERE id = 2");
    const struct jsonr_value *v = undo(200);
    assert_string_equal(op_json_text(v, "flags/undo/snapshot/label"), "before it");
    assert_string_equal(op_json_text(v, "flags/undo/snapshot/id"), SNAPSHOT);
    assert_string_equal(op_json_text(v, "schemaDiff/0/name"), "notes");
    assert_int_equal(op_json_int(v, "changes/tables/0/insert"), 2);
    assert_string_equal(op_json_text(v, "changes/rows/0/after/body"), "seven");
    assert_null(op_json_at(v, "flags/undo/lost/0"));
    assert_string_equal(op_fixture_value(&f, "SELECT count(*) FROM sqlite_schema WHERE name = 'notes'"), "0");
    remember();
    apply(200);
    check_schema();
    assert_string_equal(op_fixture_value(&f, NOTES), "7seven1.5 9nine1.5");
    assert_string_equal(op_fixture_value(&f, STOCK), "1:10x 2:21- 3:30z");
    assert_string_equal(
        op_fixture_value(&f, "SELECT body FROM words WHERE words MATCH 'first'"), "first words");
    op_fixture_sql(&f, "INSERT INTO words (words) VALUES ('integrity-check')");
    keep_snapshot();
    undone(); /* the undo itself: it is gone again */
    assert_string_equal(op_fixture_value(&f, "SELECT count(*) FROM sqlite_schema WHERE name = 'notes'"), "0");
}

/* Rows that are still there get their values, what they got since stays; new ones have none. */
void test_undo_schema__a_dropped_column_comes_back(void **state)
{
    (void)state;
    fresh();
    note_schema();
    write_sql("{\"sql\":\"DROP VIEW low\"},{\"sql\":\"ALTER TABLE stock DROP COLUMN \\\"a b\\\"\"}");
    query("DELETE FROM stock WHERE id = 1");
    query("UPDATE stock SET n = 31 WHERE id = 3");
    query("INSERT INTO stock (n) VALUES (40)");
    const struct jsonr_value *v = undo(200);
    assert_string_equal(op_json_text(v, "flags/undo/lost/0/column"), "a b");
    assert_int_equal(op_json_int(v, "changes/tables/0/update"), 1);
    assert_string_equal(op_json_text(v, "changes/rows/0/after/a b"), "z");
    remember();
    apply(200);
    check_schema();
    assert_string_equal(op_fixture_value(&f, STOCK), "2:20- 3:31z 4:40-");
    assert_string_equal(op_fixture_value(&f, "SELECT seq FROM sqlite_sequence WHERE name = 'stock'"), "4");
    assert_string_equal(op_fixture_value(&f, "SELECT count(*) FROM lines"), "1"); /* no cascade */
    keep_snapshot();
    undone();
    assert_string_equal(
        op_fixture_value(&f, "SELECT group_concat(name) FROM pragma_table_info('stock')"), "id,n");
}

/* Whether it is the same row its key alone tells: that is said. */
void test_undo_schema__a_key_that_was_used_again_is_told(void **state)
{
    (void)state;
    fresh();
    write_sql("{\"sql\":\"DROP VIEW low\"},{\"sql\":\"ALTER TABLE stock DROP COLUMN \\\"a b\\\"\"}");
    query("DELETE FROM stock WHERE id = 3");
    query("INSERT INTO stock (id, n) VALUES (3, 33)");
    const struct jsonr_value *v = undo(200);
    assert_string_equal(op_json_text(v, "changes/rows/1/after/a b"), "z");
    assert_non_null(
        strstr(op_json_text(v, "flags/undo/lost/0/why"), "of a row that is gone gets that one's value"));
}

/* A column that may not be NULL, and rules that the values alone fulfil. */
void test_undo_schema__a_table_that_was_built_anew_gets_its_definition(void **state)
{
    (void)state;
    fresh();
    note_schema();
    write_sql("{\"sql\":\"DROP INDEX by_n\"},{\"sql\":\"DROP VIEW low\"},{\"sql\":\"DROP TRIGGER noted\"},"
              "{\"sql\":\"ALTER TABLE stock DROP COLUMN n\"},"
              "{\"sql\":\"CREATE TABLE made (body PRIMARY KEY) WITHOUT ROWID\"},"
              "{\"sql\":\"INSERT INTO made SELECT body FROM notes\"},{\"sql\":\"DROP TABLE notes\"},"
              "{\"sql\":\"ALTER TABLE made RENAME TO notes\"}");
    const struct jsonr_value *v = undo(409);
    assert_string_equal(op_json_text(v, "code"), "drift");
    assert_int_equal(op_json_int(v, "drift/objects/0/rows"), 2);
    v = undo_with("{\"loseRows\":true}", 200);
    assert_non_null(strstr(op_json_text(v, "flags/undo/lost/0/why"), "took the place"));
    remember();
    apply(200);
    check_schema();
    assert_string_equal(op_fixture_value(&f, STOCK), "1:10x 2:20- 3:30z");
    assert_string_equal(op_fixture_value(&f, NOTES), "7seven1.5 9nine1.5");
    fresh();
    write_sql("{\"sql\":\"DROP INDEX by_n\"},{\"sql\":\"DROP VIEW low\"},"
              "{\"sql\":\"ALTER TABLE stock DROP COLUMN n\"}");
    op_fixture_sql(&f, "INSERT INTO stock (id) VALUES (4)"); /* which has no n */
    v = undo(409);
    assert_string_equal(op_json_text(v, "code"), "restore_needed");
    assert_non_null(strstr(op_json_text(v, "error"), "NOT NULL"));
    assert_string_equal(op_json_text(v, "restore/snapshotId"), SNAPSHOT);
}

/* The same columns, rows that refer to it, an index of the same name: what was there is there again. */
void test_undo_schema__a_table_whose_place_was_taken_comes_back(void **state)
{
    (void)state;
    fresh();
    note_schema();
    write_sql(
        "{\"sql\":\"CREATE TABLE made (id INTEGER PRIMARY KEY AUTOINCREMENT, n INTEGER NOT NULL, \\\"a b\\\" "
        "TEXT)\"},{\"sql\":\"INSERT INTO made VALUES (2, 5, NULL)\"},{\"sql\":\"DROP VIEW low\"},"
        "{\"sql\":\"PRAGMA defer_foreign_keys = ON\"},{\"sql\":\"DROP TABLE stock\"},"
        "{\"sql\":\"ALTER TABLE made RENAME TO stock\"},{\"sql\":\"CREATE INDEX by_n ON stock (n)\"}");
    op_fixture_sql(&f, "DELETE FROM lines; INSERT INTO lines VALUES (1, 2)");
    query("UPDATE stock SET n = 6");
    const struct jsonr_value *v = undo_with("{\"loseRows\":true}", 200);
    assert_int_equal(op_json_int(v, "flags/undo/lost/0/rows"), 1);
    assert_int_equal(op_json_int(v, "changes/tables/0/insert"), 3);
    assert_string_equal(op_json_text(v, "schemaDiff/0/name"), "stock");
    remember();
    keep_snapshot();
    apply(200);
    check_schema();
    assert_string_equal(op_fixture_value(&f, STOCK), "1:10x 2:20- 3:30z");
    assert_string_equal(op_fixture_value(&f, "SELECT count(*) FROM lines"), "1"); /* no cascade */
    op_fixture_sql(&f, "UPDATE _sys_proposal SET snapshot = '" SNAPSHOT "' WHERE undo_of <> ''");
    (void)undo_with("{\"loseRows\":true}", 200); /* the undo itself */
    remember();
    apply(200);
    assert_string_equal(op_fixture_value(&f, STOCK), "2:6-");
}

/* Other columns, no key, and no snapshot. */
void test_undo_schema__what_took_a_place_is_never_left_as_if_it_were_the_other(void **state)
{
    (void)state;
    fresh(); /* a rename reads every trigger, also one whose table another test left dropped */
    op_fixture_sql(&f,
        "DROP TABLE IF EXISTS h; DROP TABLE IF EXISTS ha; DROP TABLE IF EXISTS hb;"
        "CREATE TABLE h (x, y); INSERT INTO h (rowid, x, y) VALUES (10, 1, 2), (20, 3, 4);"
        "CREATE TABLE ha (id INTEGER PRIMARY KEY, v); CREATE TABLE hb (id INTEGER PRIMARY KEY, v);"
        "INSERT INTO ha VALUES (1, 'a'); INSERT INTO hb VALUES (1, 'b')");
    write_sql("{\"sql\":\"CREATE TABLE hn (a, b)\"},{\"sql\":\"INSERT INTO hn SELECT x, y FROM h\"},"
              "{\"sql\":\"DROP TABLE h\"},{\"sql\":\"ALTER TABLE hn RENAME TO h\"}");
    query("INSERT INTO h VALUES (5, 6)");
    (void)undo_with("{\"loseRows\":true}", 200);
    remember();
    apply(200);
    assert_string_equal(
        op_fixture_value(&f, "SELECT group_concat(rowid || ':' || x || y, ' ') FROM h"), "10:12 20:34");
    write_sql("{\"sql\":\"ALTER TABLE ha RENAME TO hx\"},{\"sql\":\"ALTER TABLE hb RENAME TO ha\"},"
              "{\"sql\":\"ALTER TABLE hx RENAME TO hb\"}");
    op_fixture_sql(&f, "UPDATE _sys_proposal SET snapshot = NULL");
    const struct jsonr_value *v = undo_with("{\"loseRows\":true}", 409);
    assert_string_equal(op_json_text(v, "code"), "restore_needed");
    assert_string_equal(op_fixture_value(&f, "SELECT v FROM ha"), "b");
    op_fixture_sql(&f, "DROP TABLE h; DROP TABLE ha; DROP TABLE hb");
}

/* Nothing of it is in the schema; what it destroyed is in the snapshot alone. */
void test_undo_schema__what_left_no_difference(void **state)
{
    (void)state;
    fresh();
    write_sql("{\"sql\":\"REINDEX\"},{\"sql\":\"CREATE TABLE made (a)\"},{\"sql\":\"DROP TABLE made\"}");
    const struct jsonr_value *v = undo(409);
    assert_string_equal(op_json_text(v, "code"), "restore_needed");
    assert_string_equal(op_json_text(v, "restore/snapshotId"), SNAPSHOT);
    assert_non_null(strstr(op_json_text(v, "error"), "left no difference"));
    assert_null(strstr(op_json_text(v, "error"), "Change the schema"));
    op_fixture_sql(&f, "UPDATE _sys_proposal SET snapshot = NULL");
    (void)undo_with("{}", 409);
    assert_non_null(strstr(f.error.ptr, "left no difference"));
}

void test_undo_schema__what_was_made_goes(void **state)
{
    (void)state;
    fresh();
    note_schema();
    write_sql(
        "{\"sql\":\"CREATE TABLE made (a)\"},{\"sql\":\"INSERT INTO made VALUES (1)\"},"
        "{\"sql\":\"CREATE INDEX by_a ON made (a)\"},{\"sql\":\"CREATE VIEW high AS SELECT * FROM made\"},"
        "{\"sql\":\"CREATE INDEX by_ab ON stock (\\\"a b\\\")\"},"
        "{\"sql\":\"ALTER TABLE notes ADD COLUMN more\"},{\"sql\":\"UPDATE notes SET more = 1\"},"
        "{\"sql\":\"UPDATE stock SET n = 11 WHERE id = 1\"},"
        "{\"sql\":\"CREATE TRIGGER t AFTER DELETE ON made BEGIN DELETE FROM lines; END\"}");
    query("INSERT INTO made VALUES (2)");
    const struct jsonr_value *v = undo(409);
    assert_string_equal(op_json_text(v, "code"), "drift");
    assert_string_equal(op_json_text(v, "drift/objects/0/name"), "made");
    assert_int_equal(op_json_int(v, "drift/objects/0/rowsSince"), 1);
    keep_snapshot();
    v = undo_with("{\"loseRows\":true}", 200);
    assert_int_equal(op_json_int(v, "flags/undo/lost/0/rows"), 1);
    remember();
    query("INSERT INTO made VALUES (3)"); /* which was not shown */
    apply(409);
    keep_snapshot();
    str_print(g_id, sizeof g_id, "%s",
        op_fixture_value(
            &f, "SELECT id FROM _sys_proposal WHERE state = 'applied' ORDER BY seq DESC LIMIT 1"));
    (void)undo_with("{\"loseRows\":true}", 200);
    remember();
    apply(200);
    check_schema();
    assert_string_equal(op_fixture_value(&f, STOCK), "1:10x 2:20- 3:30z");
    assert_string_equal(op_fixture_value(&f, "SELECT count(*) FROM lines"), "1");
}

void test_undo_schema__names_come_back(void **state)
{
    (void)state;
    fresh();
    write_sql("{\"sql\":\"ALTER TABLE stock RENAME TO goods\"}");
    op_fixture_sql(&f, "UPDATE _sys_proposal SET snapshot = NULL");
    query("UPDATE goods SET n = 12 WHERE id = 1");
    undone();
    assert_string_equal(op_fixture_value(&f, STOCK), "1:12x 2:20- 3:30z");
    assert_string_equal(op_fixture_value(&f, "SELECT count(*) FROM low"), "1");
    write_sql("{\"sql\":\"ALTER TABLE stock RENAME COLUMN n TO amount\"}");
    op_fixture_sql(&f, "UPDATE _sys_proposal SET snapshot = NULL");
    query("UPDATE stock SET amount = 13 WHERE id = 1");
    undone();
    assert_string_equal(op_fixture_value(&f, STOCK), "1:13x 2:20- 3:30z");
}

void test_undo_schema__another_change_is_drift_by_object(void **state)
{
    (void)state;
    fresh();
    write_sql("{\"sql\":\"DROP INDEX by_n\"},{\"sql\":\"CREATE TABLE made (a)\"}");
    query("CREATE INDEX by_n ON lines (stock)");
    query("CREATE INDEX by_a ON made (a)");
    const struct jsonr_value *v = undo(409);
    assert_string_equal(op_json_text(v, "code"), "drift");
    assert_string_equal(op_json_text(v, "drift/objects/0/name"), "by_n");
    assert_string_equal(op_json_text(v, "drift/objects/0/now"), "CREATE INDEX by_n ON lines (stock)");
    assert_string_equal(op_json_text(v, "drift/objects/1/name"), "by_a");
    op_fixture_sql(&f, "DROP INDEX by_n; DROP INDEX by_a");
    keep_snapshot();
    (void)undo(200);
    remember();
    query("CREATE TABLE by_n (a)"); /* between the proposal and its being applied */
    apply(409);
    op_fixture_sql(&f, "DROP TABLE by_n");
}

/* Nothing is left that reads or refers to what is gone. */
void test_undo_schema__what_rests_on_it_keeps_it(void **state)
{
    (void)state;
    fresh();
    note_schema();
    write_sql("{\"sql\":\"CREATE TABLE made (a PRIMARY KEY)\"}");
    query("CREATE VIEW sees AS SELECT a FROM made");
    const struct jsonr_value *v = undo(409);
    assert_string_equal(op_json_text(v, "code"), "restore_needed");
    assert_non_null(strstr(op_json_text(v, "error"), "the view \"sees\" reads what would go"));
    query("DROP VIEW sees");
    query("CREATE TABLE refers (m REFERENCES made)");
    v = undo(409);
    assert_string_equal(op_json_text(v, "code"), "drift");
    assert_string_equal(op_json_text(v, "drift/objects/0/name"), "refers");
    query("DROP TABLE refers");
    query("CREATE VIEW sees AS SELECT n AS made FROM stock");
    undone();
    op_fixture_sql(&f, "DROP VIEW sees");
    check_schema();
}

void test_undo_schema__refusals(void **state)
{
    static const struct op_arg gone[] = {{"id", g_id}, {"snapshot", ""}, {NULL, NULL}};
    (void)state;
    fresh();
    write_sql("{\"sql\":\"DROP TABLE notes\"}");
    (void)undo_with("{\"tables\":[\"notes\"]}", 400);
    keep_snapshot();
    (void)undo_with("{\"loseRows\":1}", 400);
    keep_snapshot();
    (void)op_fixture_run(&f, WIRE_OP_PROPOSAL_UNDO, S("{}"), gone);
    assert_string_equal(op_json_text(op_fixture_json(&f), "code"), "restore_needed");
    assert_non_null(strstr(op_json_text(op_fixture_json(&f), "error"), "not kept any more"));
    f.role = WIRE_ROLE_READWRITE;
    (void)undo_with("{}", 403);
    f.role = WIRE_ROLE_ADMIN;
    assert_string_equal(op_fixture_value(&f, "SELECT count(*) FROM sqlite_schema WHERE name = 'notes'"), "0");
}

/* Rules hold it like any other, and what people approved is what is done. */
void test_undo_schema__rules_hold_it(void **state)
{
    char rule[60], body[300];
    (void)state;
    fresh();
    note_schema();
    write_sql("{\"sql\":\"DROP TABLE notes\"}");
    op_fixture_ok(&f, WIRE_OP_RULE_SET,
        S("{\"action\":\"require_approval\",\"when\":\"(SELECT count(*) FROM effects WHERE op = 'schema') > "
          "0\"}"),
        NULL);
    str_print(rule, sizeof rule, "%s", op_json_text(op_fixture_json(&f), "id"));
    assert_string_equal(op_json_text(undo(200), "decision"), "require_approval");
    remember();
    apply(403);
    assert_int_equal(f.head.held, 1);
    str_print(body, sizeof body, "{\"hash\":\"%s\"}", op_json_text(op_fixture_json(&f), "hash"));
    const struct op_arg args[] = {{"id", g_id}, {NULL, NULL}}, drop[] = {{"id", rule}, {NULL, NULL}};
    op_fixture_ok(&f, WIRE_OP_REDEEM, str_of(body), args);
    check_schema();
    assert_string_equal(op_fixture_value(&f, NOTES), "7seven1.5 9nine1.5");
    op_fixture_ok(&f, WIRE_OP_RULE_DROP, STR_EMPTY, drop);
}
