/* What goes out comes back: exports in every form, imported into a second database, hold the same content. */
#define _GNU_SOURCE /* memmem */
#include "lib/op_fixture.h"
#include "base/fs.h"
#include "json/jsonr.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <unistd.h>

static struct op_fixture from, to, scratch;

int setup_opexport(void **state)
{
    (void)state;
    op_fixture_init(&from);
    op_fixture_init(&to);
    op_fixture_init_scratch(&scratch);
    return 0;
}

int teardown_opexport(void **state)
{
    (void)state;
    op_fixture_release(&from);
    op_fixture_release(&to);
    op_fixture_release(&scratch);
    return 0;
}

static void fresh(const char *sql)
{
    op_fixture_release(&from);
    op_fixture_release(&to);
    op_fixture_init(&from);
    op_fixture_init(&to);
    op_fixture_sql(&from, sql);
}

static struct str export_as(const char *format, const char *table)
{
    const struct op_arg args[] = {{"format", format}, {table ? "table" : NULL, table}, {NULL, NULL}};
    op_fixture_ok(&from, WIRE_OP_EXPORT, STR_EMPTY, args);
    return from.out;
}

static void import_as(const char *format, const char *table, struct str body)
{
    const struct op_arg args[] = {{"format", format}, {table ? "table" : NULL, table}, {NULL, NULL}};
    op_fixture_ok(&to, WIRE_OP_IMPORT, body, args);
}

/* The same answer from both databases, which is not "none". */
static void expect_same(const char *sql)
{
    const char *a = op_fixture_value(&from, sql), *b = op_fixture_value(&to, sql);
    if (strcmp(a, b) != 0 || strcmp(a, "none") == 0)
        fail_msg("%s: %s became %s", sql, a, b);
}

static const struct {
    const char *name, *sql;
    const char *checks[6];
} ROUND_TRIPS[] = {
    {"values of every kind",
        "CREATE TABLE t(id INTEGER PRIMARY KEY, v);"
        "INSERT INTO t(v) VALUES "
        "(NULL),(0),(-1),(9223372036854775807),(-9223372036854775808),(0.1),(1e300),(-0.0),(3.0),"
        "(9e999),(-9e999),(1.7976931348623157e308),(5e-324),(0.30000000000000004),(123456789012345680.0),"
        "(''),('it''s'),('a' || char(10) || 'b' || char(13)),(CAST(X'610062' AS TEXT)),(CAST(X'ff41' AS "
        "TEXT)),"
        "(X''),(X'00ff27'),('-- no comment'),('ünïcödé 😀'),('5'),('NULL');",
        {"SELECT group_concat(typeof(v) || ':' || hex(v) || quote(v), ' ') FROM t",
            "SELECT count(*) FROM t"}},
    {"odd identifiers",
        "CREATE TABLE \"we\"\"ird ; -- name\"(\"col umn\" TEXT, [br x] INT, \"select\" REAL, \"quo'te\" "
        "TEXT);"
        "INSERT INTO \"we\"\"ird ; -- name\" VALUES ('a', 1, 2.5, 'x');"
        "CREATE INDEX \"in;dex\" ON \"we\"\"ird ; -- name\"(\"col umn\");",
        {"SELECT \"col umn\" || \"select\" || \"quo'te\" FROM \"we\"\"ird ; -- name\"",
            "SELECT group_concat(sql, '|') FROM sqlite_schema WHERE name NOT LIKE '\\_sys\\_%' ESCAPE '\\' "
            "AND name NOT LIKE 'sqlite%'"}},
    {"comments at the end of a definition",
        "CREATE VIEW v AS SELECT 1 AS one -- the one\n; CREATE VIEW w AS SELECT 2 AS two /* the two */;",
        {"SELECT one || two FROM v, w"}},
    {"generated columns",
        "CREATE TABLE g(a INTEGER, b INTEGER AS (a * 2) VIRTUAL, c TEXT, d INTEGER AS (a + 1) STORED);"
        "INSERT INTO g(a, c) VALUES (1, 'x'), (2, 'y'); CREATE INDEX gb ON g(b);",
        {"SELECT group_concat(a || b || c || d) FROM g"}},
    {"tables without rowid, strict, autoincrement",
        "CREATE TABLE w(k TEXT PRIMARY KEY, n INT) WITHOUT ROWID; INSERT INTO w VALUES ('b', 2), ('a', 1);"
        "CREATE TABLE s(i INTEGER, r REAL, t TEXT, b BLOB, a ANY) STRICT; INSERT INTO s VALUES (1, 2, '3', "
        "X'04', '5');"
        "CREATE TABLE n(id INTEGER PRIMARY KEY AUTOINCREMENT, v); INSERT INTO n(v) VALUES (1), (2), (3); "
        "DELETE FROM n WHERE id > 1;"
        "CREATE TABLE empty(id INTEGER PRIMARY KEY AUTOINCREMENT); INSERT INTO empty DEFAULT VALUES; DELETE "
        "FROM empty;",
        {"SELECT group_concat(k || n) FROM w", "SELECT typeof(r) || typeof(a) || hex(b) FROM s",
            "SELECT group_concat(name || seq) FROM (SELECT * FROM sqlite_sequence WHERE name NOT LIKE "
            "'\\_sys%' ESCAPE '\\' ORDER BY name)"}},
    {"foreign keys in a circle, children before parents",
        "CREATE TABLE a(id INTEGER PRIMARY KEY, b INTEGER REFERENCES b(id)); CREATE TABLE b(id INTEGER "
        "PRIMARY KEY, a INTEGER REFERENCES a(id));"
        "INSERT INTO a VALUES (1, NULL), (2, NULL); INSERT INTO b VALUES (1, 2), (2, 1); UPDATE a SET b = 3 "
        "- id;",
        {"SELECT group_concat(id || b) FROM a", "SELECT group_concat(id || a) FROM b"}},
    {"foreign keys that name nothing unique, or nothing at all",
        "CREATE TABLE p(name); CREATE TABLE c(x REFERENCES p(name), y REFERENCES nowhere); INSERT INTO p "
        "VALUES ('a'); "
        "INSERT INTO c VALUES (NULL, NULL), ('a', NULL);",
        {"SELECT count(*) || group_concat(x) FROM c"}},
    {"triggers do not fire while rows are loaded",
        "CREATE TABLE t(v); CREATE TABLE log(v); CREATE TRIGGER tr AFTER INSERT ON t BEGIN INSERT INTO log "
        "VALUES (new.v); SELECT CASE WHEN 1 THEN 2 END; END;"
        "INSERT INTO t VALUES (1), (2); CREATE VIEW tv AS SELECT v FROM t;"
        "CREATE TRIGGER tvi INSTEAD OF INSERT ON tv BEGIN INSERT INTO t VALUES (new.v); END;",
        {"SELECT count(*) FROM log", "SELECT group_concat(sql) FROM sqlite_schema WHERE type = 'trigger'"}},
    {"full text with its own content",
        "CREATE VIRTUAL TABLE docs USING fts5(title, \"bo dy\" UNINDEXED, tokenize = 'porter unicode61');"
        "INSERT INTO docs(rowid, title, \"bo dy\") VALUES (7, 'running dogs', 'x'), (9, 'a cat', 'it''s');",
        {"SELECT group_concat(rowid || title || \"bo dy\") FROM docs",
            "SELECT group_concat(rowid) FROM docs WHERE docs MATCH 'run'"}},
    {"full text over another table, kept by triggers",
        "CREATE TABLE notes(id INTEGER PRIMARY KEY, body TEXT);"
        "CREATE VIRTUAL TABLE notes_fts USING fts5(body, content='notes', content_rowid='id');"
        "CREATE TRIGGER notes_ai AFTER INSERT ON notes BEGIN INSERT INTO notes_fts(rowid, body) VALUES "
        "(new.id, new.body); END;"
        "INSERT INTO notes(body) VALUES ('hello world'), ('good bye');",
        {"SELECT group_concat(rowid) FROM notes_fts WHERE notes_fts MATCH 'bye'",
            "SELECT count(*) FROM notes", "SELECT group_concat(body) FROM notes_fts"}},
    {"full text: its settings, and the tables that look into it",
        "CREATE VIRTUAL TABLE docs USING fts5(a, b); INSERT INTO docs(docs, rank) VALUES ('rank', "
        "'bm25(10.0, 2.0)'), "
        "('automerge', 7); INSERT INTO docs VALUES ('x y', 'z'); CREATE VIRTUAL TABLE words USING "
        "fts5vocab(docs, row);",
        {"SELECT group_concat(k || v) FROM (SELECT k, v FROM docs_config ORDER BY k)",
            "SELECT group_concat(term) FROM words"}},
    {"what the header says, hidden rowids",
        "PRAGMA user_version = -7; PRAGMA application_id = 1213483588; CREATE TABLE t(rowid, v); INSERT INTO "
        "t(_rowid_, v) VALUES (5, 'a'), (-3, 'b'), (9, 'c'); DELETE FROM t WHERE v = 'a'; CREATE TABLE k(id "
        "INTEGER "
        "PRIMARY KEY DESC, v); INSERT INTO k(rowid, id) VALUES (77, 1);",
        {"SELECT group_concat(_rowid_ || v) FROM t", "SELECT group_concat(rowid || id) FROM k",
            "PRAGMA user_version", "PRAGMA application_id"}},
    {"views over views and over full text",
        "CREATE TABLE t(a); INSERT INTO t VALUES (1); CREATE VIEW v2 AS SELECT a + 1 AS b FROM t; CREATE "
        "VIEW v1 AS SELECT b FROM v2;",
        {"SELECT b FROM v1"}},
    {"expression and partial indexes",
        "CREATE TABLE t(a, b); INSERT INTO t VALUES (1, 'X'), (2, 'y'); CREATE UNIQUE INDEX i ON t(lower(b), "
        "a DESC) WHERE a > 0;",
        {"SELECT sql FROM sqlite_schema WHERE name = 'i'",
            "SELECT a FROM t INDEXED BY i WHERE lower(b) = 'x' AND a > 0"}},
};

static void expect_round_trip(size_t i)
{
    for (size_t c = 0; c < ARRAY_LEN(ROUND_TRIPS[i].checks) && ROUND_TRIPS[i].checks[c]; c++)
        expect_same(ROUND_TRIPS[i].checks[c]);
    assert_string_equal(op_fixture_value(&to, "PRAGMA integrity_check"), "ok");
}

void test_opexport__sql_comes_back_the_same(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(ROUND_TRIPS); i++) {
        fresh(ROUND_TRIPS[i].sql);
        struct str dump = export_as("sql", NULL);
        import_as("sql", NULL, dump);
        expect_round_trip(i);
        assert_int_equal(from.head.content, WIRE_CONTENT_SQL);
    }
}

/* Through the check of uploads, as a user's own file goes. */
void test_opexport__a_database_file_comes_back_the_same(void **state)
{
    char path[FS_PATH_MAX];
    struct err err = ERR_INIT;
    struct strbuf dump;
    (void)state;
    strbuf_init(&dump, 1 << 20);
    for (size_t i = 0; i < ARRAY_LEN(ROUND_TRIPS); i++) {
        fresh(ROUND_TRIPS[i].sql);
        struct str file = export_as("sqlite", NULL);
        assert_int_equal(from.head.bytes_total, file.len);
        assert_null(memmem(file.ptr, file.len, "_sys_", 5));
        fs_join(path, scratch.engine.dir, "upload.db");
        assert_int_equal(fs_write_atomic(path, file, 0600, &err), ERR_OK);
        op_fixture_ok(&scratch, WIRE_OP_UPLOAD_CHECK, STR_EMPTY, NULL);
        fs_join(path, scratch.engine.dir, "out/dump.sql");
        strbuf_reset(&dump);
        assert_int_equal(fs_read_all(path, 1 << 20, &dump, &err), ERR_OK);
        import_as("sql", NULL, strbuf_str(&dump));
        expect_round_trip(i);
    }
    strbuf_release(&dump);
}

void test_opexport__csv_and_ndjson_come_back_the_same(void **state)
{
    static const char SQL[] =
        "CREATE TABLE t(id INTEGER PRIMARY KEY, n INTEGER, r REAL, s TEXT, b BLOB, g AS (n + 1));"
        "INSERT INTO t(n, r, s, b) VALUES (1, 2.0, 'a,b', X'00ff'), (NULL, NULL, NULL, NULL), (-5, 0.1, '', "
        "X''),"
        "(9223372036854775807, 1e-300, 'line' || char(13, 10) || 'two \"q\"', NULL), (0, 3, ' padded ', "
        "X'41'), (7, 1, 'ü😀', NULL);";
    static const char ALL[] =
        "SELECT group_concat(id || quote(n) || quote(r) || quote(s) || quote(b) || quote(g)) FROM t";
    (void)state;
    for (int i = 0; i < 4; i++) {
        const char *format = i % 2 ? "ndjson" : "csv";
        fresh(SQL);
        if (i < 2) /* into a table that is there */
            op_fixture_sql(&to,
                "CREATE TABLE t(id INTEGER PRIMARY KEY, n INTEGER, r REAL, s TEXT, b BLOB, g AS (n + 1))");
        import_as(format, "t", export_as(format, "t"));
        if (i < 2)
            expect_same(ALL);
        else
            expect_same("SELECT group_concat(id || quote(n) || quote(r) || quote(s)) FROM t");
        assert_int_equal(to.head.rows_written, 6);
    }
    assert_string_equal(op_fixture_value(&to, "SELECT group_concat(type) FROM pragma_table_info('t')"),
        "INTEGER,INTEGER,REAL,TEXT,BLOB,REAL");
}

/* Plain values plain, everything else so that it cannot be mistaken for one. */
void test_opexport__csv_has_rfc_4180_form(void **state)
{
    (void)state;
    fresh("CREATE TABLE t(a, \"b,c\", d); INSERT INTO t VALUES (NULL, '', 'x\"y'), (1, 2.0, X'0a'), ('1', "
          "'2.0', "
          "'\\x41'), ('{\"$blob\":\"QQ==\"}', CAST(X'610062' AS TEXT), CAST(X'ff' AS TEXT)), (9e999, -9e999, "
          "'{}'), "
          "(X'', -0.5, ' ');");
    struct str csv = export_as("csv", "t");
    assert_string_equal(csv.ptr,
        "a,\"b,c\",d\r\n,\"\",\"x\"\"y\"\r\n1,2.0,\"{\"\"$blob\"\":\"\"Cg==\"\"}\"\r\n\"1\",\"2.0\",\\x41\r\n"
        "\"{\"\"$text\"\":\"\"eyIkYmxvYiI6IlFRPT0ifQ==\"\"}\",\"{\"\"$text\"\":\"\"YQBi\"\"}\","
        "\"{\"\"$text\"\":\"\"/w==\"\"}\"\r\n9e999,-9e999,{}\r\n\"{\"\"$blob\"\":\"\"\"\"}\",-0.5,\" \"\r\n");
    op_fixture_sql(&to, "CREATE TABLE t(a, \"b,c\", d)");
    import_as("csv", "t", csv);
    expect_same(
        "SELECT group_concat(quote(a) || hex(\"b,c\") || typeof(\"b,c\") || typeof(d) || hex(d)) FROM t");
}

void test_opexport__ndjson_tags_what_json_has_no_form_for(void **state)
{
    (void)state;
    fresh("CREATE TABLE t(a, b); INSERT INTO t VALUES (9e999, -9e999), (X'0a', '{\"$blob\":\"QQ==\"}'), "
          "(CAST(X'610062' "
          "AS TEXT), CAST(X'ff' AS TEXT)), (1, '1'), (1.0, NULL);");
    struct str lines = export_as("ndjson", "t");
    assert_string_equal(lines.ptr, "{\"a\":{\"$real\":\"Infinity\"},\"b\":{\"$real\":\"-Infinity\"}}\n"
                                   "{\"a\":{\"$blob\":\"Cg==\"},\"b\":\"{\\\"$blob\\\":\\\"QQ==\\\"}\"}\n"
                                   "{\"a\":{\"$text\":\"YQBi\"},\"b\":{\"$text\":\"/"
                                   "w==\"}}\n{\"a\":1,\"b\":\"1\"}\n{\"a\":1.0,\"b\":null}\n");
    op_fixture_sql(&to, "CREATE TABLE t(a, b)");
    import_as("ndjson", "t", lines);
    expect_same("SELECT group_concat(quote(a) || hex(a) || quote(b) || hex(b)) FROM t");
}

/* No line at all is an answer too. */
void test_opexport__an_empty_table_is_an_empty_body(void **state)
{
    (void)state;
    fresh("CREATE TABLE t(a)");
    assert_int_equal(export_as("ndjson", "t").len, 0);
    assert_int_equal(from.head.content, WIRE_CONTENT_NDJSON);
    assert_string_equal(export_as("csv", "t").ptr, "a\r\n");
}

void test_opexport__a_scope_hides_the_other_tables(void **state)
{
    static const struct str scope[] = {{"seen", 4}};
    (void)state;
    fresh("CREATE TABLE seen(v); CREATE TABLE hidden(v); INSERT INTO seen VALUES ('open'); INSERT INTO "
          "hidden VALUES ('confidential');"
          "CREATE VIEW peek AS SELECT v FROM hidden; CREATE TABLE gone(v); INSERT INTO gone VALUES "
          "('confidential'); DROP TABLE gone;");
    from.tables = scope;
    from.table_count = 1;
    from.role = WIRE_ROLE_READONLY;
    static const char *const formats[] = {"sql", "sqlite"};
    for (size_t i = 0; i < ARRAY_LEN(formats); i++) {
        struct str out = export_as(formats[i], NULL);
        assert_non_null(memmem(out.ptr, out.len, "open", 4));
        assert_null(memmem(out.ptr, out.len, "confidential", 12));
        assert_null(memmem(out.ptr, out.len, "hidden", 6));
    }
    const struct op_arg args[] = {{"format", "csv"}, {"table", "hidden"}, {NULL, NULL}};
    assert_int_equal(op_fixture_run(&from, WIRE_OP_EXPORT, STR_EMPTY, args), ERR_NOT_FOUND);
}

/* FTS5's locales have no literal form: a file keeps them, a dump says that it does not. */
void test_opexport__locales_stay_in_a_file_and_are_told_in_a_dump(void **state)
{
    char path[FS_PATH_MAX];
    sqlite3 *db = NULL;
    sqlite3_stmt *stmt = NULL;
    (void)state;
    fresh("CREATE VIRTUAL TABLE d USING fts5(x, locale=1); INSERT INTO d VALUES (fts5_locale('en_US', "
          "'hello'));");
    assert_non_null(strstr(export_as("sql", NULL).ptr, "-- note: the locales in \"d\""));
    fs_join(path, scratch.engine.dir, "locale.db");
    assert_int_equal(fs_write_atomic(path, export_as("sqlite", NULL), 0600, NULL), ERR_OK);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(
        sqlite3_prepare_v2(db, "SELECT fts5_get_locale(d, 0) FROM d WHERE d MATCH 'hello'", -1, &stmt, NULL),
        SQLITE_OK);
    assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
    assert_string_equal((const char *)sqlite3_column_text(stmt, 0), "en_US");
    assert_int_equal(sqlite3_finalize(stmt), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

/* The authorizer decides, and decides the same for every form. */
void test_opexport__what_reaches_past_the_scope_is_refused_in_all_forms(void **state)
{
    static const struct str scope[] = {{"seen", 4}, {"fts", 3}, {"words", 5}, {"own", 3}, {"peek", 4}};
    static const char *const formats[] = {"sql", "sqlite", "csv", "ndjson"};
    static const struct {
        const char *name;
        enum err_code code;
    } tables[] = {{"fts", ERR_FORBIDDEN}, {"words", ERR_FORBIDDEN}, {"own", ERR_OK}, {"seen", ERR_OK},
        {"peek", ERR_NOT_FOUND}};
    (void)state;
    fresh("CREATE TABLE seen(v); CREATE TABLE hidden(v); INSERT INTO hidden VALUES ('confidential');"
          "CREATE VIRTUAL TABLE fts USING fts5(v, content='hidden'); INSERT INTO fts(fts) VALUES ('rebuild');"
          "CREATE VIRTUAL TABLE words USING fts5vocab(fts, row); CREATE VIRTUAL TABLE own USING fts5(v); "
          "INSERT INTO own "
          "VALUES ('open'); CREATE VIEW peek AS SELECT v FROM hidden;");
    from.tables = scope;
    from.table_count = ARRAY_LEN(scope);
    for (size_t f = 0; f < ARRAY_LEN(formats); f++) {
        for (size_t t = 0; t < ARRAY_LEN(tables); t++) {
            const struct op_arg args[] = {{"format", formats[f]}, {"table", tables[t].name}, {NULL, NULL}};
            enum err_code code = op_fixture_run(&from, WIRE_OP_EXPORT, STR_EMPTY, args);
            if (code != tables[t].code || (t < 2 && strstr(from.error.ptr, "\"hidden\""))) /* unsaid */
                fail_msg("%s of %s: %s %s", formats[f], tables[t].name, err_slug(code), from.error.ptr);
            assert_null(memmem(from.out.ptr, from.out.len, "confidential", 12));
        }
        const struct op_arg whole[] = {{"format", formats[f]}, {NULL, NULL}};
        enum err_code code = op_fixture_run(&from, WIRE_OP_EXPORT, STR_EMPTY, whole);
        assert_int_equal(code, f < 2 ? ERR_FORBIDDEN : ERR_INVALID);
    }
}

/* Random bit patterns of finite doubles. */
static void insert_reals(sqlite3_stmt *insert, int count)
{
    uint64_t bits = 88172645463325252u;
    while (count > 0) {
        double v;
        bits ^= bits << 13;
        bits ^= bits >> 7;
        bits ^= bits << 17;
        memcpy(&v, &bits, sizeof v);
        if (!isfinite(v))
            continue;
        assert_int_equal(sqlite3_bind_double(insert, 1, v), SQLITE_OK);
        assert_int_equal(sqlite3_step(insert), SQLITE_DONE);
        (void)sqlite3_reset(insert);
        count--;
    }
}

void test_opexport__reals_come_back_bit_for_bit(void **state)
{
    sqlite3_stmt *stmt[3] = {NULL};
    int same = 0;
    (void)state;
    fresh("CREATE TABLE t(v REAL); BEGIN");
    assert_int_equal(sqlite3_prepare_v2(from.db, "INSERT INTO t VALUES (?)", -1, &stmt[0], NULL), SQLITE_OK);
    insert_reals(stmt[0], 20000);
    op_fixture_sql(&from, "COMMIT");
    import_as("sql", NULL, export_as("sql", NULL));
    assert_int_equal(sqlite3_prepare_v2(from.db, "SELECT v FROM t", -1, &stmt[1], NULL), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(to.db, "SELECT v FROM t", -1, &stmt[2], NULL), SQLITE_OK);
    while (sqlite3_step(stmt[1]) == SQLITE_ROW && sqlite3_step(stmt[2]) == SQLITE_ROW) {
        double a = sqlite3_column_double(stmt[1], 0), b = sqlite3_column_double(stmt[2], 0);
        same += memcmp(&a, &b, sizeof a) == 0;
    }
    for (size_t i = 0; i < ARRAY_LEN(stmt); i++)
        (void)sqlite3_finalize(stmt[i]);
    assert_int_equal(same, 20000);
}

/* For a progress bar: exact where all of it is at hand, else a guess that is not far off. */
void test_opexport__how_long_it_will_be_is_told(void **state)
{
    static const struct {
        const char *format, *table;
    } rows[] = {{"csv", "big"}, {"ndjson", "big"}, {"sql", NULL}};
    (void)state;
    fresh("CREATE TABLE big(id INTEGER PRIMARY KEY, body TEXT); CREATE VIEW seen AS SELECT * FROM big;"
          "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)"
          " INSERT INTO big(body) SELECT printf('%.*c', 30 + i % 60, 'x') FROM n;"
          "CREATE TABLE small(a); INSERT INTO small VALUES(1);");
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct str out = export_as(rows[i].format, rows[i].table);
        assert_int_equal(from.head.bytes_total, 0);
        double off = (double)from.head.bytes_estimate / (double)out.len;
        if (off < 0.7 || off > 1.5)
            fail_msg("%s: estimated %llu, came %zu", rows[i].format,
                (unsigned long long)from.head.bytes_estimate, out.len);
    }
    struct str small = export_as("csv", "small");
    assert_int_equal(from.head.bytes_total, small.len);
    small = export_as("sql", "small");
    assert_int_equal(from.head.bytes_total, small.len);
    (void)export_as("csv", "seen");
    assert_int_equal(from.head.bytes_total + from.head.bytes_estimate, 0);
    (void)export_as("sql", "big");
    assert_int_equal(from.head.bytes_total + from.head.bytes_estimate, 0);
}
