/* Taking back parts of writes, and many of them as one, on a real engine. */
#include "base/limits.h"
#include "lib/op_fixture.h"
#include "lib/unit.h"

static struct op_fixture f;
static char g_token[100], g_id[60];

int setup_undo(void **state)
{
    (void)state;
    op_fixture_init(&f);
    return 0;
}

int teardown_undo(void **state)
{
    (void)state;
    op_fixture_release(&f);
    return 0;
}

static void fresh(void)
{
    op_fixture_fresh(&f, "DROP TABLE IF EXISTS stock; DROP TABLE IF EXISTS notes;"
                         "DELETE FROM _sys_meta WHERE key = 'undo_since';"
                         "CREATE TABLE stock (id INTEGER PRIMARY KEY, n INTEGER);"
                         "INSERT INTO stock VALUES (1, 10), (2, 20), (3, 30);"
                         "CREATE TABLE notes (name TEXT PRIMARY KEY, body TEXT);");
}

#define STOCK "SELECT ifnull(group_concat(id || ':' || n, ' '), '') FROM (SELECT * FROM stock ORDER BY id)"
#define NOTES "SELECT ifnull(group_concat(name || body, ' '), '') FROM (SELECT * FROM notes ORDER BY name)"

static void expect(const char *stock, const char *notes)
{
    assert_string_equal(op_fixture_value(&f, STOCK), stock);
    assert_string_equal(op_fixture_value(&f, NOTES), notes);
}

static void remember(void)
{
    const struct jsonr_value *v = op_fixture_json(&f);
    str_print(g_token, sizeof g_token, "%s", op_json_text(v, "executionToken"));
    str_print(g_id, sizeof g_id, "%s", op_json_text(v, "proposalId"));
}

static void apply(void)
{
    char body[200];
    str_print(body, sizeof body, "{\"executionToken\":\"%s\"}", g_token);
    op_fixture_ok(&f, WIRE_OP_APPLY, str_of(body), NULL);
    assert_int_equal(f.head.status, 200);
}

/* Proposes and applies one statement; its id is in `id`. */
static void write_as(const char *token_id, const char *sql, char id[60])
{
    char body[1000];
    f.token_id = str_of(token_id);
    str_print(body, sizeof body, "{\"sql\":\"%s\"}", sql);
    op_fixture_ok(&f, WIRE_OP_PROPOSE, str_of(body), NULL);
    remember();
    str_print(id, 60, "%s", g_id);
    apply();
    f.token_id = S("tok_test");
}

static enum err_code undo_one(const char *id, const char *body)
{
    const struct op_arg args[] = {{"id", id}, {NULL, NULL}};
    return op_fixture_run(&f, WIRE_OP_PROPOSAL_UNDO, str_of(body), args);
}

static enum err_code undo_all(const char *body)
{
    return op_fixture_run(&f, WIRE_OP_UNDO, str_of(body), NULL);
}

/* It was proposed, as so many rows; and is done. */
static void done(enum err_code code, int64_t rows)
{
    if (code)
        fail_msg("%s", f.error.ptr);
    assert_int_equal(f.head.status, 200);
    assert_int_equal(op_json_int(op_fixture_json(&f), "estimatedAffectedRows"), rows);
    remember();
    apply();
}

static void refused(enum err_code code, enum err_code want, const char *message)
{
    if (code != want || !strstr(f.error.ptr, message))
        fail_msg("want %s \"%s\", got %s \"%s\"", err_slug(want), message, err_slug(code), f.error.ptr);
}

/* Columns that came since are nobody's business, but for what somebody wrote into them. */
void test_undo__fits_tables_that_got_columns(void **state)
{
    char a[60], b[60], c[60];
    (void)state;
    fresh();
    write_as("tok_test", "UPDATE stock SET n = n + 1", a);
    write_as("tok_test", "INSERT INTO stock VALUES (4, 40), (5, 50)", b);
    write_as("tok_test", "DELETE FROM stock WHERE id = 1", c);
    op_fixture_sql(&f, "ALTER TABLE stock ADD COLUMN more; ALTER TABLE stock ADD COLUMN kind TEXT NOT NULL "
                       "DEFAULT 'it''s'; UPDATE stock SET more = 'kept' WHERE id < 5");
    done(undo_one(c, "{}"), 1);
    expect("1:11 2:21 3:31 4:40 5:50", "");
    assert_string_equal(
        op_fixture_value(&f, "SELECT ifnull(more, '-') || kind FROM stock WHERE id = 1"), "-it's");
    (void)undo_one(b, "{}"); /* with a row would go what was written to it since */
    assert_int_equal(f.head.status, 409);
    const struct jsonr_value *v = op_fixture_json(&f);
    assert_int_equal(jsonr_count(op_json_at(v, "drift/rows")), 1);
    assert_int_equal(op_json_int(v, "drift/rows/0/key/id"), 4);
    assert_string_equal(op_json_text(v, "drift/rows/0/now/more"), "kept");
    done(undo_one(b, "{\"rows\":[{\"table\":\"stock\",\"key\":{\"id\":5}}]}"), 1);
    done(undo_one(a, "{}"), 3);
    expect("1:10 2:20 3:30 4:40", "");
    assert_string_equal(op_fixture_value(&f, "SELECT group_concat(more) FROM stock"), "kept,kept,kept");
    done(undo_one(g_id, "{}"), 3);
    expect("1:11 2:21 3:31 4:40", "");
}

void test_undo__is_cut_to_tables_and_rows(void **state)
{
    char a[60], part[60];
    (void)state;
    fresh();
    op_fixture_sql(&f, "CREATE TRIGGER told AFTER UPDATE ON stock BEGIN INSERT INTO notes VALUES "
                       "('n' || new.id, new.n); END");
    write_as("tok_test", "UPDATE stock SET n = n + 1", a);
    expect("1:11 2:21 3:31", "n111 n221 n331");
    done(undo_one(a, "{\"rows\":[{\"table\":\"stock\",\"key\":{\"id\":2}}]}"), 1);
    str_print(part, sizeof part, "%s", g_id);
    expect("1:11 2:20 3:31", "n111 n221 n331");
    refused(undo_one(a, "{\"rows\":[{\"table\":\"stock\",\"key\":{\"id\":2}}]}"), ERR_INVALID,
        "/rows/0: this row");
    done(undo_one(a, "{\"tables\":[\"NOTES\"]}"), 3);
    expect("1:11 2:20 3:31", "");
    done(undo_one(part, ""), 1);
    expect("1:11 2:21 3:31", "");
    done(undo_one(a, ""), 3); /* what is left of it */
    expect("1:10 2:20 3:30", "");
    refused(undo_one(a, ""), ERR_CONFLICT, "already");
}

void test_undo__cuts_that_mean_nothing(void **state)
{
    static const struct {
        const char *body, *message;
    } ROWS[] = {
        {"{\"tables\":[]}", "/tables"},
        {"{\"tables\":[1]}", "/tables/0: must be the name"},
        {"{\"tables\":[\"stock\",\"notes\"]}", "/tables/1: no row"},
        {"{\"tables\":\"stock\"}", "/tables"},
        {"{\"rows\":[{\"table\":\"stock\"}]}", "/rows/0/key"},
        {"{\"rows\":[{\"table\":\"stock\",\"key\":{}}]}", "a column of it is missing"},
        {"{\"rows\":[{\"table\":\"stock\",\"key\":{\"id\":1,\"n\":11}}]}", "something else"},
        {"{\"rows\":[{\"table\":\"stock\",\"key\":{\"id\":[1]}}]}", "none of a column"},
        {"{\"rows\":[{\"table\":\"stock\",\"key\":{\"id\":\"1\"}}]}", "/rows/0: this row"},
        {"{\"rows\":[{\"table\":\"nowhere\",\"key\":{\"id\":1}}]}", "/rows/0: this row"},
        {"{\"rows\":[1]}", "/rows/0"},
    };
    char a[60];
    (void)state;
    fresh();
    write_as("tok_test", "UPDATE stock SET n = n + 1", a);
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++)
        refused(undo_one(a, ROWS[i].body), ERR_INVALID, ROWS[i].message);
}

/* As many columns as a table may have, and a row id besides. */
static void make_wide(const char *first)
{
    AUTO_STRBUF sql;
    strbuf_init(&sql, 10000);
    strbuf_addf(&sql, "DROP TABLE IF EXISTS wide; CREATE TABLE wide (%s", first);
    for (int i = 1; i < LIMIT_SQL_COLUMNS; i++)
        strbuf_addf(&sql, ", c%d", i);
    strbuf_add_char(&sql, ')');
    op_fixture_sql(&f, strbuf_cstr(&sql));
}

void test_undo__a_table_is_as_wide_as_it_may_be(void **state)
{
    static const char *const FIRST[] = {"c0", "c0 TEXT PRIMARY KEY"};
    char id[60];
    (void)state;
    fresh();
    for (size_t i = 0; i < ARRAY_LEN(FIRST); i++) {
        make_wide(FIRST[i]);
        write_as("tok_test", "INSERT INTO wide (c1, c99) VALUES (5, 7)", id);
        done(undo_one(id, ""), 1);
        assert_string_equal(op_fixture_value(&f, "SELECT count(*) FROM wide"), "0");
        op_fixture_sql(&f, "INSERT INTO wide (c1, c99) VALUES (5, 7)");
        write_as("tok_test", "UPDATE wide SET c99 = 8", id);
        done(undo_one(id, ""), 1);
        assert_string_equal(op_fixture_value(&f, "SELECT c99 FROM wide"), "7");
        write_as("tok_test", "DELETE FROM wide", id);
        done(undo_one(id, ""), 1);
        assert_string_equal(op_fixture_value(&f, "SELECT c1 + c99 FROM wide"), "12");
    }
    refused(op_fixture_run(&f, WIRE_OP_QUERY, S("{\"sql\":\"SELECT rowid, * FROM wide\"}"), NULL), ERR_SQL,
        "too many columns"); /* a caller's own statements have the limit still */
}

void test_undo__takes_back_all_of_a_bearer(void **state)
{
    char id[5][60];
    (void)state;
    fresh();
    write_as("tok_a", "UPDATE stock SET n = 11 WHERE id = 1", id[0]);
    write_as("tok_a", "INSERT INTO notes VALUES ('x', 1)", id[1]);
    write_as("tok_b", "UPDATE stock SET n = 22 WHERE id = 2", id[2]);
    write_as("tok_a", "UPDATE stock SET n = 12 WHERE id = 1", id[3]);
    write_as("tok_a", "DELETE FROM notes", id[4]);
    assert_int_equal(undo_all("{\"tokenId\":\"tok_a\",\"reason\":\"all of it\"}"), ERR_OK);
    const struct jsonr_value *v = op_fixture_json(&f);
    assert_int_equal(jsonr_count(op_json_at(v, "undoOf")), 4);
    assert_string_equal(op_json_text(v, "undoOf/0"), id[4]);
    assert_string_equal(op_json_text(v, "undoOf/3"), id[0]);
    assert_string_equal(op_json_text(v, "action"), "undo");
    assert_int_equal(op_json_int(v, "changes/rows/0/before/n"), 12);
    assert_int_equal(op_json_int(v, "changes/rows/0/after/n"), 10);
    done(ERR_OK, 1);
    expect("1:10 2:22 3:30", "");
    refused(undo_all("{\"tokenId\":\"tok_a\"}"), ERR_NOT_FOUND, "left");
    for (size_t i = 0; i < 5; i++) {
        if (i != 2)
            refused(undo_one(id[i], ""), ERR_CONFLICT, "already");
    }
    char undo[60];
    str_print(undo, sizeof undo, "%s", g_id);
    done(undo_one(undo, ""), 1); /* and have it again */
    expect("1:12 2:22 3:30", "");
    done(undo_all("{\"tokenId\":\"tok_a\"}"), 1);
    expect("1:10 2:22 3:30", "");
    done(undo_all("{\"from\":0,\"tables\":[\"stock\"],\"except\":[]}"), 1); /* of everybody */
    expect("1:10 2:20 3:30", "");
    done(undo_one(g_id, ""), 1);
    expect("1:10 2:22 3:30", "");
}

void test_undo__times(void **state)
{
    char a[60], b[60], c[60], body[200];
    (void)state;
    fresh();
    write_as("tok_a", "UPDATE stock SET n = 1 WHERE id = 1", a);
    write_as("tok_a", "UPDATE stock SET n = 2 WHERE id = 2", b);
    write_as("tok_a", "UPDATE stock SET n = 3 WHERE id = 3", c);
    op_fixture_sql(&f, "UPDATE _sys_proposal SET decided_at_ms = 1000 * applied_seq");
    done(undo_all("{\"tokenId\":\"tok_a\",\"from\":\"1970-01-01T00:00:02Z\",\"to\":2500}"), 1);
    expect("1:1 2:20 3:3", "");
    str_print(body, sizeof body, "{\"tokenId\":\"tok_a\",\"from\":1,\"except\":[\"%s\"]}", c);
    done(undo_all(body), 1);
    expect("1:10 2:20 3:3", "");
    refused(undo_all("{\"from\":9,\"to\":8}"), ERR_INVALID, "/to");
    refused(undo_all("{\"from\":\"yesterday\"}"), ERR_INVALID, "/from");
    refused(undo_all("{\"from\":-1}"), ERR_INVALID, "/from");
    refused(undo_all("{\"to\":8}"), ERR_INVALID, "tokenId");
    refused(undo_all("{\"from\":null}"), ERR_INVALID, "tokenId");
    refused(undo_all("{}"), ERR_INVALID, "tokenId");
    refused(undo_all("{\"tokenId\":\"tok_none\"}"), ERR_NOT_FOUND, "left");
}

/* All within one millisecond, and with a clock that went back. */
void test_undo__the_order_is_that_of_applying(void **state)
{
    char id[60];
    (void)state;
    fresh();
    for (int i = 1; i < 5; i++)
        write_as("tok_a", i % 2 ? "UPDATE stock SET n = n + 1" : "UPDATE stock SET n = n * 2", id);
    op_fixture_sql(&f, "UPDATE _sys_proposal SET decided_at_ms = 5000 - applied_seq / 3");
    done(undo_all("{\"tokenId\":\"tok_a\"}"), 3);
    expect("1:10 2:20 3:30", "");
}

void test_undo__what_somebody_else_did_in_between(void **state)
{
    char a[60], b[60], c[60];
    (void)state;
    fresh();
    write_as("tok_a", "UPDATE stock SET n = n + 1", a);
    write_as("tok_b", "UPDATE stock SET n = n + 100 WHERE id = 2", b);
    write_as("tok_a", "UPDATE stock SET n = n + 1", c);
    assert_int_equal(undo_all("{\"tokenId\":\"tok_a\"}"), ERR_CONFLICT);
    const struct jsonr_value *v = op_fixture_json(&f);
    assert_string_equal(op_json_text(v, "code"), "drift");
    assert_int_equal(jsonr_count(op_json_at(v, "drift/rows")), 1);
    assert_string_equal(op_json_text(v, "drift/rows/0/kind"), "between");
    assert_int_equal(op_json_int(v, "drift/rows/0/key/id"), 2);
    expect("1:12 2:122 3:32", "");
    done(undo_all("{\"tokenId\":\"tok_a\",\"rows\":[{\"table\":\"stock\",\"key\":{\"id\":1}},"
                  "{\"table\":\"stock\",\"key\":{\"id\":3}}]}"),
        2);
    expect("1:10 2:122 3:30", "");
    done(undo_all("{\"from\":0}"), 1); /* and the undo, of which the rest is taken back with the rest */
    expect("1:10 2:20 3:30", "");
}

void test_undo__whose(void **state)
{
    char a[60], b[60];
    (void)state;
    fresh();
    write_as("tok_a", "UPDATE stock SET n = 1 WHERE id = 1", a);
    write_as("tok_b", "UPDATE stock SET n = 2 WHERE id = 2", b);
    f.token_id = S("tok_a");
    f.role = WIRE_ROLE_READONLY;
    refused(undo_all("{\"from\":0}"), ERR_FORBIDDEN, "role");
    f.role = WIRE_ROLE_READWRITE;
    refused(undo_all("{\"tokenId\":\"tok_b\"}"), ERR_FORBIDDEN, "others");
    const struct str scope[] = {S("notes")};
    f.role = WIRE_ROLE_ADMIN;
    f.tables = scope;
    f.table_count = 1;
    refused(undo_all("{\"tokenId\":\"tok_b\"}"), ERR_FORBIDDEN, "others");
    refused(undo_all("{\"from\":0}"), ERR_FORBIDDEN, "scope");
    f.tables = NULL;
    f.role = WIRE_ROLE_READWRITE;
    done(undo_all("{\"from\":0}"), 1);
    expect("1:10 2:2 3:30", "");
}

void test_undo__what_cannot_be_taken_back_is_named(void **state)
{
    char a[60], ddl[60], c[60], body[200];
    (void)state;
    fresh();
    write_as("tok_a", "UPDATE stock SET n = 1 WHERE id = 1", a);
    write_as("tok_a", "DROP TABLE notes", ddl);
    write_as("tok_a", "UPDATE stock SET n = 2 WHERE id = 2", c);
    assert_int_equal(undo_all("{\"tokenId\":\"tok_a\"}"), ERR_CONFLICT);
    const struct jsonr_value *v = op_fixture_json(&f);
    assert_int_equal(f.head.status, 409);
    assert_string_equal(op_json_text(v, "code"), "not_undoable");
    assert_int_equal(jsonr_count(op_json_at(v, "writes")), 1);
    assert_string_equal(op_json_text(v, "writes/0/proposalId"), ddl);
    str_print(body, sizeof body, "{\"tokenId\":\"tok_a\",\"except\":[\"%s\"]}", ddl);
    done(undo_all(body), 2);
    assert_string_equal(op_fixture_value(&f, STOCK), "1:10 2:20 3:30");
}

/* A table that had other columns in between. */
void test_undo__over_a_change_of_the_schema(void **state)
{
    char a[60], b[60];
    (void)state;
    fresh();
    write_as("tok_a", "INSERT INTO stock VALUES (4, 40)", a);
    op_fixture_sql(&f, "ALTER TABLE stock ADD COLUMN more");
    write_as("tok_a", "UPDATE stock SET more = 1 WHERE id = 4", b);
    refused(undo_all("{\"tokenId\":\"tok_a\"}"), ERR_CONFLICT, "other columns in between");
    assert_string_equal(op_fixture_value(&f, STOCK), "1:10 2:20 3:30 4:40");
}

/* What is not kept any more is not passed over in silence. */
void test_undo__what_is_not_kept_any_more(void **state)
{
    char a[60], b[60];
    (void)state;
    fresh();
    write_as("tok_a", "UPDATE stock SET n = 1 WHERE id = 1", a);
    write_as("tok_a", "UPDATE stock SET n = 2 WHERE id = 2", b);
    op_fixture_sql(&f, "INSERT INTO _sys_meta VALUES ('undo_since', 5000)");
    refused(undo_all("{\"tokenId\":\"tok_a\"}"), ERR_INVALID, "1970-01-01T00:00:05.000Z");
    refused(undo_all("{\"tokenId\":\"tok_a\",\"from\":4999}"), ERR_INVALID, "/from");
    done(undo_all("{\"tokenId\":\"tok_a\",\"from\":5000}"), 2);
    expect("1:10 2:20 3:30", "");
}

/* --- Full-text indexes without rows of their own --- */

static void expect_index(const char *match, const char *ids)
{
    char sql[300];
    op_fixture_sql(&f, "INSERT INTO words (words, rank) VALUES ('integrity-check', 1)");
    str_print(sql, sizeof sql,
        "SELECT ifnull(group_concat(rowid, ' '), '') FROM words WHERE words MATCH '%s'", match);
    const char *got = op_fixture_value(&f, sql);
    assert_string_equal(got, ids);
}

/* They follow by triggers, which are not run when rows are put back: each row is told to them. */
void test_undo__full_text_indexes_follow(void **state)
{
    static const char *const DECLARED[] = {"content='docs', content_rowid='id'", "content=docs",
        "content='docs', content_rowid='id', columnsize=0"};
    char id[60];
    (void)state;
    fresh();
    for (size_t i = 0; i < ARRAY_LEN(DECLARED); i++) {
        char sql[400];
        op_fixture_sql(&f, "CREATE TABLE docs (id INTEGER PRIMARY KEY, title TEXT, n INTEGER, body TEXT)");
        str_print(sql, sizeof sql, "CREATE VIRTUAL TABLE words USING fts5(title, body, %s)", DECLARED[i]);
        op_fixture_sql(&f, sql);
        op_fixture_sql(&f,
            "CREATE TRIGGER docs_in AFTER INSERT ON docs BEGIN"
            " INSERT INTO words (rowid, title, body) VALUES (new.id, new.title, new.body); END;"
            "CREATE TRIGGER docs_out AFTER DELETE ON docs BEGIN"
            " INSERT INTO words (words, rowid, title, body) VALUES ('delete', old.id, old.title, old.body); "
            "END;"
            "CREATE TRIGGER docs_change AFTER UPDATE ON docs BEGIN"
            " INSERT INTO words (words, rowid, title, body) VALUES ('delete', old.id, old.title, old.body);"
            " INSERT INTO words (rowid, title, body) VALUES (new.id, new.title, new.body); END;"
            "INSERT INTO docs VALUES (1, 'one', 0, 'apple'), (2, 'two', 0, 'berry'), (3, NULL, 0, 'cherry')");
        write_as("tok_test", "UPDATE docs SET body = 'plum', n = 1 WHERE id < 3", id);
        expect_index("plum", "1 2");
        done(undo_one(id, "{}"), 2);
        expect_index("plum", "");
        expect_index("apple OR berry", "1 2");
        write_as("tok_test", "DELETE FROM docs WHERE id > 1", id);
        expect_index("cherry OR berry", "");
        done(undo_one(id, "{}"), 2);
        expect_index("cherry OR two", "2 3");
        write_as("tok_test", "INSERT INTO docs VALUES (9, 'nine', 0, 'fig')", id);
        done(undo_one(id, "{}"), 1);
        expect_index("fig OR nine", "");
        write_as("tok_test", "UPDATE docs SET n = 5", id);
        done(undo_one(id, "{}"), 3);
        expect_index("one OR two OR cherry", "1 2 3");
        op_fixture_sql(&f, "DROP TABLE words; DROP TABLE docs");
    }
}

/* An index of some of the rows stays one. */
void test_undo__full_text_indexes_of_some_rows(void **state)
{
    char id[60];
    (void)state;
    op_fixture_sql(&f, ""
                       "CREATE TABLE docs (title TEXT, shown INTEGER);"
                       "CREATE VIRTUAL TABLE words USING fts5(title, content='docs');"
                       "CREATE TRIGGER docs_in AFTER INSERT ON docs WHEN new.shown BEGIN"
                       " INSERT INTO words (rowid, title) VALUES (new.rowid, new.title); END;"
                       "CREATE TRIGGER docs_change AFTER UPDATE ON docs WHEN old.shown AND new.shown BEGIN"
                       " INSERT INTO words (words, rowid, title) VALUES ('delete', old.rowid, old.title);"
                       " INSERT INTO words (rowid, title) VALUES (new.rowid, new.title); END;"
                       "INSERT INTO docs VALUES ('apple', 1), ('berry', 0)");
    write_as("tok_test", "UPDATE docs SET title = title || ' pie'", id);
    done(undo_one(id, "{}"), 2);
    const char *got = op_fixture_value(
        &f, "SELECT group_concat(rowid) FROM words WHERE words MATCH 'apple OR berry OR pie'");
    assert_string_equal(got, "1");
    op_fixture_sql(&f, "DROP TABLE words; DROP TABLE docs");
}

/* What an index is built from must be rows that can be read: else it is said beforehand. */
void test_undo__full_text_indexes_that_cannot_follow(void **state)
{
    static const char *const DECLARED[] = {"title, content=''", "title, content='shown', content_rowid='id'"};
    char id[60], sql[300];
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(DECLARED); i++) {
        fresh();
        op_fixture_sql(
            &f, "CREATE TABLE docs (id INTEGER PRIMARY KEY, title); CREATE VIEW shown AS SELECT * FROM docs");
        str_print(sql, sizeof sql, "CREATE VIRTUAL TABLE words USING fts5(%s)", DECLARED[i]);
        op_fixture_sql(&f, sql);
        op_fixture_sql(&f, "CREATE TRIGGER docs_in AFTER INSERT ON docs BEGIN"
                           " INSERT INTO words (rowid, title) VALUES (new.id, new.title); END");
        write_as("tok_test", "INSERT INTO docs VALUES (1, 'apple')", id);
        refused(undo_one(id, "{}"), ERR_CONFLICT, "full-text");
        write_as("tok_test", "INSERT INTO stock VALUES (7, 70)", id); /* others are not concerned */
        done(undo_one(id, "{}"), 1);
        op_fixture_sql(&f, "DROP TABLE words; DROP VIEW shown; DROP TABLE docs");
    }
}
