/* Copies that leave rows out or mask them: what comes out is whole, keeps its schema's promises, and holds no
 * value that was masked, anywhere in its file. */
#include "base/fs.h"
#include "base/id.h"
#include "base/rand.h"
#include "lib/op_fixture.h"
#include "lib/unit.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include <unistd.h>

static struct op_fixture fx;

struct copied {
    sqlite3 *db;
    char path[FS_PATH_MAX];
};

static enum err_code try_copy(
    struct copied *c, const char *data, const char *rows, const char *seed, bool masked)
{
    struct id id = id_new("db");
    const struct op_arg args[] = {{"copy", id.text}, {"data", data}, {rows ? "rows" : "x", rows ? rows : ""},
        {seed ? "seed" : "x", seed ? seed : ""}, {masked ? "masked" : "x", "1"}, {NULL, NULL}};
    char name[64];
    str_print(name, sizeof name, "out/%s.db", id.text);
    fs_join(c->path, fx.engine.dir, name);
    return op_fixture_run(&fx, WIRE_OP_COPY, STR_EMPTY, args);
}

static struct copied copy(const char *data, const char *rows, const char *seed, bool masked)
{
    struct copied c;
    if (try_copy(&c, data, rows, seed, masked) != ERR_OK)
        print_error("%s\n", fx.error.ptr);
    assert_string_equal(fx.error.ptr, "");
    assert_int_equal(sqlite3_open_v2(c.path, &c.db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
    return c;
}

static void close_copy(struct copied *c)
{
    assert_int_equal(sqlite3_close(c->db), SQLITE_OK);
    assert_int_equal(unlink(c->path), 0);
}

static const char *value(struct copied *c, const char *sql)
{
    static char text[8000];
    sqlite3_stmt *stmt;
    if (sqlite3_prepare_v2(c->db, sql, -1, &stmt, NULL) != SQLITE_OK)
        fail_msg("%s: %s", sql, sqlite3_errmsg(c->db));
    str_print(text, sizeof text, "none");
    if (sqlite3_step(stmt) == SQLITE_ROW)
        str_print_cut(text, sizeof text, "%s",
            sqlite3_column_type(stmt, 0) == SQLITE_NULL ? "NULL"
                                                        : (const char *)sqlite3_column_text(stmt, 0));
    (void)sqlite3_finalize(stmt);
    return text;
}

static void assert_sound(struct copied *c)
{
    assert_string_equal(value(c, "PRAGMA integrity_check"), "ok");
    assert_string_equal(value(c, "SELECT \"table\" || ' ' || parent FROM pragma_foreign_key_check"), "none");
}

/* Byte by byte, whatever SQLite thinks of the pages. */
static bool file_has(const char *path, const char *needle)
{
    AUTO_STRBUF file;
    strbuf_init(&file, 64 << 20);
    assert_int_equal(fs_read_all(path, 64 << 20, &file, NULL), ERR_OK);
    size_t len = strlen(needle);
    for (size_t i = 0; i + len <= file.len; i++) {
        if (memcmp(file.buf + i, needle, len) == 0)
            return true;
    }
    return false;
}

static void set_masks(const char *masks)
{
    char body[4000];
    str_print(body, sizeof body, "{\"masks\":[%s]}", masks);
    op_fixture_ok(&fx, WIRE_OP_MASK_SET, str_of(body), NULL);
}

#define MASK(table, column, kind) "{\"table\":\"" table "\",\"column\":\"" column "\",\"kind\":\"" kind "\"}"

static void begin(void)
{
    op_fixture_init(&fx);
}

static void fill_shop(void)
{
    op_fixture_sql(&fx, "CREATE TABLE users(id INTEGER PRIMARY KEY AUTOINCREMENT, email TEXT NOT NULL UNIQUE "
                        "COLLATE NOCASE, name TEXT,"
                        " born TEXT, code TEXT CHECK (length(code) = 7), low TEXT AS (lower(name)) STORED, "
                        "boss INTEGER REFERENCES users);"
                        "CREATE INDEX by_name ON users(name); CREATE INDEX by_low ON users(substr(name, 1, "
                        "3)) WHERE name IS NOT NULL;"
                        "CREATE TABLE orders(nr TEXT PRIMARY KEY, buyer TEXT REFERENCES users(email), by_id "
                        "INT REFERENCES users(id), note) WITHOUT ROWID;"
                        "CREATE VIRTUAL TABLE found USING fts5(name, content='users', content_rowid='id');"
                        "CREATE VIRTUAL TABLE contentless USING fts5(name, content='');"
                        "CREATE TABLE told(what); CREATE TRIGGER tell AFTER INSERT ON users BEGIN INSERT "
                        "INTO told VALUES(new.email); END;"
                        "INSERT INTO users(email, name, born, code) VALUES('Johanna@host.test', 'Johanna "
                        "Secretname', '1970-05-06', 'ab-1234');"
                        "INSERT INTO users(email, name, born, code, boss) VALUES('other@host.test', NULL, "
                        "'1970-05-08', 'cd-9999', 1);"
                        "DELETE FROM told; INSERT INTO orders VALUES('A-1', 'johanna@HOST.test', 1, x'00'), "
                        "('A-2', NULL, 2, 'plain');"
                        "INSERT INTO found(found) VALUES('rebuild'); INSERT INTO contentless(rowid, name) "
                        "VALUES(1, 'Secretname');"
                        "ANALYZE; INSERT INTO _sys_query_log(id, ts, kind, sql, rows_read, rows_written, "
                        "duration_ms, token_id, status, request_id)"
                        " VALUES('q', 1, 'query', 'SELECT ''Johanna@host.test''', 0, 0, 0, '', 200, '');");
}

#define SHOP_MASKS                                                                                           \
    MASK("users", "id", "hash")                                                                              \
    "," MASK("users", "email", "email") "," MASK("users", "name", "name") "," MASK(                          \
        "users", "born", "date") "," MASK("users", "code", "shape") "," MASK("orders", "nr", "shape")

void test_copyrows__masked_values_are_nowhere_in_the_file(void **state)
{
    static const char *const ORIGINALS[] = {"Johanna", "johanna", "Secretname", "secretname", "host.test",
        "HOST.test", "1970-05-0", "ab-1234", "cd-9999"};
    (void)state;
    begin();
    fill_shop();
    set_masks(SHOP_MASKS);
    struct copied c = copy("masked", NULL, NULL, false);
    assert_sound(&c);
    for (size_t i = 0; i < ARRAY_LEN(ORIGINALS); i++) {
        if (file_has(c.path, ORIGINALS[i]))
            fail_msg("the copy holds %s", ORIGINALS[i]);
    }
    assert_true(file_has(c.path, "plain"));
    assert_string_equal(
        value(&c, "SELECT count(*) FROM users u JOIN orders o ON o.buyer = u.email AND o.by_id = u.id"), "1");
    assert_string_equal(value(&c, "SELECT count(*) FROM users u JOIN users b ON b.id = u.boss"), "1");
    assert_string_equal(
        value(&c, "SELECT count(*) FROM orders WHERE typeof(note) = 'blob' OR note = 'plain'"), "2");
    assert_string_equal(
        value(&c,
            "SELECT count(*) FROM users WHERE email LIKE '%@example.com' AND code GLOB '[a-z][a-z]-[0-9]*'"),
        "2");
    assert_string_equal(value(&c, "SELECT julianday(max(born)) - julianday(min(born)) FROM users"), "2.0");
    assert_string_equal(
        value(&c, "SELECT group_concat(low = lower(name)) FROM users WHERE name IS NOT NULL"), "1");
    assert_string_equal(value(&c, "SELECT count(*) FROM users u, found f WHERE f.rowid = u.id AND u.name IS "
                                  "NOT NULL AND f.name = u.name"),
        "1");
    assert_string_equal(
        value(&c, "SELECT (SELECT count(*) FROM told) + (SELECT count(*) FROM contentless)"), "0");
    assert_string_equal(value(&c, "SELECT count(*) FROM sqlite_schema WHERE name = 'tell'"), "1");
    close_copy(&c);
    op_fixture_release(&fx);
}

void test_copyrows__masks_are_the_same_each_time_and_no_copy_knows_the_secret(void **state)
{
    (void)state;
    begin();
    fill_shop();
    set_masks(SHOP_MASKS);
    struct copied one = copy("masked", NULL, NULL, false), two = copy("masked", NULL, NULL, false);
    char emails[400];
    str_print(
        emails, sizeof emails, "%s", value(&one, "SELECT group_concat(id || email || name) FROM users"));
    assert_string_equal(value(&two, "SELECT group_concat(id || email || name) FROM users"), emails);
    char secret[80];
    str_print(secret, sizeof secret, "%s",
        op_fixture_value(&fx, "SELECT value FROM _sys_meta WHERE key = 'mask_secret'"));
    assert_int_equal(strlen(secret), 64);
    assert_false(file_has(one.path, secret));
    assert_string_equal(value(&one, "SELECT count(*) FROM _sys_mask"), "6");
    struct copied full = copy("full", NULL, NULL, false), schema = copy("schema", NULL, NULL, false);
    assert_false(file_has(full.path, secret));
    assert_false(file_has(schema.path, secret));
    assert_int_equal(strlen(value(&full, "SELECT value FROM _sys_meta WHERE key = 'mask_secret'")), 64);
    assert_string_equal(value(&schema, "SELECT count(*) FROM users"), "0");
    close_copy(&one);
    close_copy(&two);
    close_copy(&full);
    close_copy(&schema);
    op_fixture_release(&fx);
}

/* A file that is refused is not there. */
static void refused(const char *data, enum err_code code, const char *text)
{
    struct copied c;
    assert_int_equal(try_copy(&c, data, NULL, NULL, false), code);
    if (!strstr(fx.error.ptr, text))
        fail_msg("%s", fx.error.ptr);
    assert_int_equal(access(c.path, F_OK), -1);
}

void test_copyrows__what_does_not_fit_is_refused_and_leaves_nothing(void **state)
{
    (void)state;
    begin();
    fill_shop();
    refused("masked", ERR_CONFLICT, "has no masks");
    set_masks(MASK("users", "code", "hash"));
    refused("masked", ERR_CONFLICT, "CHECK constraint failed");
    set_masks(MASK("users", "born", "date"));
    op_fixture_sql(&fx, "ALTER TABLE users RENAME COLUMN born TO birthday");
    refused("masked", ERR_CONFLICT, "\"users\".\"born\" was renamed");
    op_fixture_sql(&fx, "CREATE VIRTUAL TABLE own USING fts5(body)");
    set_masks(MASK("users", "birthday", "date"));
    refused("masked", ERR_CONFLICT, "search table with text of its own");
    set_masks(MASK("own", "body", "hash"));
    op_fixture_sql(&fx, "INSERT INTO own VALUES('Johanna')");
    struct copied c = copy("masked", NULL, NULL, false);
    assert_string_equal(value(&c, "SELECT count(*) FROM own WHERE own MATCH 'Johanna'"), "0");
    assert_string_equal(value(&c, "SELECT length(body) FROM own"), "32");
    close_copy(&c);
    op_fixture_release(&fx);
}

/* The definition says that a row goes when another of its key comes: in a copy none may. */
void test_copyrows__no_row_replaces_another(void **state)
{
    (void)state;
    begin();
    op_fixture_sql(&fx, "CREATE TABLE t(a TEXT UNIQUE ON CONFLICT REPLACE, b TEXT); CREATE UNIQUE INDEX "
                        "short ON t(substr(b, 1, 1));"
                        "INSERT INTO t VALUES('1', 'a'), ('2', 'b'), ('3', 'c')");
    set_masks(MASK("t", "a", "shape"));
    struct copied c = copy("masked", NULL, NULL, false);
    assert_string_equal(value(&c, "SELECT count(*) FROM t"), "3");
    close_copy(&c);
    set_masks(MASK("t", "b", "email"));
    op_fixture_sql(&fx, "DROP INDEX short; CREATE UNIQUE INDEX short ON t(substr(b, -3))");
    refused("masked", ERR_CONFLICT, "UNIQUE constraint failed: index 'short'");
    op_fixture_release(&fx);
}

void test_copyrows__hostile_names_and_values(void **state)
{
    (void)state;
    begin();
    op_fixture_sql(&fx, "CREATE TABLE \"a\"\"b');--\"(\"x\"\"y'); DROP TABLE t;--\" TEXT, \"select\" BLOB, "
                        "\"\xc3\xa4\" TEXT);"
                        "INSERT INTO \"a\"\"b');--\" VALUES('''); DROP TABLE t; --', x'ff00', 'x' || char(0) "
                        "|| 'y'), ('', x'', NULL),"
                        " (CAST(x'fffe41' AS TEXT), 7, '1e5')");
    set_masks("{\"table\":\"a\\\"b');--\",\"column\":\"x\\\"y'); DROP TABLE t;--\",\"kind\":\"shape\"},"
              "{\"table\":\"a\\\"b');--\",\"column\":\"select\",\"kind\":\"hash\"},"
              "{\"table\":\"a\\\"b');--\",\"column\":\"\xc3\xa4\",\"kind\":\"hash\"}");
    struct copied c = copy("masked", NULL, NULL, false);
    assert_sound(&c);
    assert_string_equal(value(&c, "SELECT group_concat(typeof(\"select\") || length(\"select\")) FROM "
                                  "(SELECT * FROM \"a\"\"b');--\" ORDER BY rowid LIMIT 2)"),
        "blob2,blob0");
    assert_false(file_has(c.path, "DROP TABLE t; --"));
    close_copy(&c);
    struct copied s = copy("sample", "2", NULL, false);
    assert_string_equal(value(&s, "SELECT count(*) FROM \"a\"\"b');--\""), "2");
    close_copy(&s);
    op_fixture_release(&fx);
}

/* --- Samples --- */

void test_copyrows__a_sample_shares_its_rows_out(void **state)
{
    (void)state;
    begin();
    op_fixture_sql(&fx,
        "CREATE TABLE few(a); CREATE TABLE many(a); CREATE TABLE more(a PRIMARY KEY) WITHOUT ROWID; CREATE "
        "TABLE none(a);"
        "CREATE VIRTUAL TABLE words USING fts5(w);"
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000) INSERT INTO many "
        "SELECT i FROM n;"
        "INSERT INTO more SELECT 'key ' || a FROM many; INSERT INTO few SELECT a FROM many LIMIT 10;"
        "INSERT INTO words SELECT 'word' || a FROM many;");
    struct copied c = copy("sample", "310", NULL, false);
    assert_sound(&c);
    assert_string_equal(
        value(&c, "SELECT (SELECT count(*) FROM few) || ' ' || (SELECT count(*) FROM many) || ' ' ||"
                  " (SELECT count(*) FROM more) || ' ' || (SELECT count(*) FROM words)"),
        "10 100 100 100");
    /* evenly: each fifth has some, none has half */
    assert_string_equal(value(&c, "SELECT min(n) > 5 AND max(n) < 50 AND count(*) = 5 FROM (SELECT count(*) "
                                  "AS n FROM many GROUP BY (a - 1) / 1000)"),
        "1");
    assert_string_equal(
        value(
            &c, "SELECT count(*) FROM words WHERE words MATCH 'word*' AND rowid IN (SELECT rowid FROM many)"),
        "100");
    char picked[8000];
    str_print_cut(picked, sizeof picked, "%s", value(&c, "SELECT group_concat(a) FROM many"));
    close_copy(&c);
    struct copied same = copy("sample", "310", NULL, false), other = copy("sample", "310", "7", false);
    assert_string_equal(value(&same, "SELECT group_concat(a) FROM many"), picked);
    assert_string_not_equal(value(&other, "SELECT group_concat(a) FROM many"), picked);
    close_copy(&same);
    close_copy(&other);
    struct copied all = copy("sample", "100000", NULL, false);
    assert_string_equal(value(&all, "SELECT count(*) FROM many"), "5000");
    close_copy(&all);
    op_fixture_release(&fx);
}

void test_copyrows__a_sample_can_be_masked(void **state)
{
    (void)state;
    begin();
    fill_shop();
    set_masks(SHOP_MASKS);
    struct copied c = copy("sample", "3", NULL, true);
    assert_sound(&c);
    assert_false(file_has(c.path, "Johanna"));
    assert_string_equal(value(&c, "SELECT count(*) > 0 FROM users WHERE email LIKE '%@example.com'"), "1");
    close_copy(&c);
    op_fixture_release(&fx);
}

void test_copyrows__rows_that_hang_in_the_air_are_left_out(void **state)
{
    (void)state;
    begin();
    op_fixture_sql(&fx, "CREATE TABLE p(id INTEGER PRIMARY KEY, up REFERENCES p); CREATE TABLE c(id INTEGER "
                        "PRIMARY KEY, p REFERENCES p, gone REFERENCES nowhere,"
                        " odd REFERENCES p(up));"
                        "INSERT INTO p VALUES(1, NULL), (2, 99), (3, 2), (4, 1); INSERT INTO c VALUES(1, 1, "
                        "NULL, NULL), (2, 3, NULL, NULL), (3, 98, NULL, NULL), (4, 4, 5, 6)");
    struct copied c = copy("sample", "1000", NULL, false);
    assert_string_equal(
        value(&c, "SELECT (SELECT group_concat(id) FROM p) || ' ' || (SELECT group_concat(id) FROM c)"),
        "1,4 1,4");
    close_copy(&c);
    op_fixture_sql(&fx, "CREATE TABLE nameless(rowid, _rowid_, oid)");
    refused("sample", ERR_CONFLICT, "\"nameless\" has columns called rowid");
    op_fixture_release(&fx);
}

/* --- Any schema --- */

static uint64_t dice;

static unsigned roll(unsigned sides)
{
    dice = dice * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (unsigned)(dice >> 33) % sides;
}

enum { TABLES = 6, ROWS = 60 };

/* A key of one or two columns, a rowid or none; references to any table, itself and later ones too. */
static void make_table(struct strbuf *sql, int t, const bool *two, const int *parent)
{
    bool without = roll(2);
    strbuf_addf(sql, "CREATE TABLE t%d(a %s", t, roll(2) ? "INT NOT NULL" : "TEXT COLLATE NOCASE NOT NULL");
    strbuf_addf(sql, ", b INT NOT NULL DEFAULT 0, v TEXT");
    for (int k = 0; k < 2; k++)
        strbuf_addf(sql, ", f%d_a, f%d_b", k, k);
    for (int k = 0; k < 2; k++) {
        int p = parent[k];
        strbuf_addf(sql,
            two[p] ? ", FOREIGN KEY(f%d_a, f%d_b) REFERENCES t%d(a, b)"
                   : ", FOREIGN KEY(f%d_a) REFERENCES t%d(a)",
            k, two[p] ? k : p, p);
    }
    strbuf_addf(sql, ", PRIMARY KEY(a%s))%s;", two[t] ? ", b" : "", without ? " WITHOUT ROWID" : "");
}

static void make_rows(struct strbuf *sql, int t, const bool *two, const int *parent, const int *counts)
{
    for (int i = 0; i < counts[t]; i++) {
        strbuf_addf(sql, "INSERT INTO t%d VALUES('%d', %d, 'v%d'", t, i, two[t] ? i % 3 : 0, i);
        for (int k = 0; k < 2; k++) {
            int p = parent[k], row = counts[p] ? (int)roll((unsigned)counts[p]) : 0;
            if (counts[p] == 0 || roll(4) == 0)
                strbuf_addf(sql, ", NULL, %s", roll(2) ? "NULL" : "1");
            else
                strbuf_addf(sql, roll(2) ? ", '%d', %d" : ", %d, %d", row, two[p] ? row % 3 : 7);
        }
        strbuf_add_cstr(sql, ");");
    }
}

static int count_all(struct copied *c)
{
    char sql[60];
    int all = 0;
    for (int t = 0; t < TABLES; t++) {
        str_print(sql, sizeof sql, "SELECT count(*) FROM t%d", t);
        all += atoi(value(c, sql));
    }
    return all;
}

static void make_any_schema(struct strbuf *sql, int *ret_rows)
{
    bool two[TABLES];
    int parents[TABLES][2], counts[TABLES];
    *ret_rows = 0;
    for (int t = 0; t < TABLES; t++) {
        two[t] = roll(2);
        counts[t] = (int)roll(ROWS);
        *ret_rows += counts[t];
        for (int k = 0; k < 2; k++)
            parents[t][k] = (int)roll(TABLES);
    }
    for (int t = 0; t < TABLES; t++)
        make_table(sql, t, two, parents[t]);
    for (int t = 0; t < TABLES; t++)
        make_rows(sql, t, two, parents[t], counts);
}

/* Whatever refers to what, in circles or not: the sample is whole, and so it is when every key is masked. */
void test_copyrows__samples_of_any_schema_are_whole(void **state)
{
    (void)state;
    dice = rand_u64();
    for (int turn = 0; turn < 25; turn++) {
        AUTO_STRBUF sql;
        AUTO_STRBUF masks;
        char rows[16];
        int there, asked = 1 + (int)roll(120);
        strbuf_init(&sql, 4 << 20);
        strbuf_init(&masks, 4000);
        print_message("turn %d, dice %llu, %d rows\n", turn, (unsigned long long)dice, asked);
        make_any_schema(&sql, &there);
        begin();
        op_fixture_sql(&fx, strbuf_cstr(&sql));
        str_print(rows, sizeof rows, "%d", asked);
        struct copied c = copy("sample", rows, NULL, false);
        assert_sound(&c);
        assert_true(count_all(&c) >= (asked < there ? asked : there) && count_all(&c) <= there);
        close_copy(&c);
        for (int i = 0; i < 2 * TABLES; i++)
            strbuf_addf(&masks, "%s{\"table\":\"t%d\",\"column\":\"%s\",\"kind\":\"hash\"}", i ? "," : "",
                i / 2, i % 2 ? "b" : "a");
        set_masks(strbuf_cstr(&masks));
        c = copy("masked", NULL, NULL, false);
        assert_sound(&c);
        assert_int_equal(count_all(&c), there);
        close_copy(&c);
        op_fixture_release(&fx);
    }
}
