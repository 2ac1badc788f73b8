/* What the recorder says of random writes, against the database itself: the change set written into the state
 * before gives the state after, and its inverse written into the state after the one before. */
#define SQLITE_ENABLE_PREUPDATE_HOOK 1 /* declares it */
#include "engine/change_apply.h"
#include "engine/change_record.h"
#include "engine/change_view.h"
#include "engine/engine_state.h"
#include "json/jsonw.h"
#include "lib/unit.h"

static const char SCHEMA[] =
    "CREATE TABLE plain (a, b, c);"
    "CREATE TABLE ids (id INTEGER PRIMARY KEY, name TEXT, n REAL, u UNIQUE);"
    "CREATE TABLE named (name TEXT PRIMARY KEY COLLATE NOCASE, v, w);"
    "CREATE TABLE pairs (a, b, v, PRIMARY KEY (a, b)) WITHOUT ROWID;"
    "CREATE TABLE made (id INTEGER PRIMARY KEY AUTOINCREMENT, x, twice AS (x * 2), kept AS (x + 1) STORED, "
    "y);"
    "CREATE TABLE descending (id INTEGER PRIMARY KEY DESC, rowid TEXT, v);"
    "CREATE TABLE parent (id INTEGER PRIMARY KEY, v);"
    "CREATE TABLE child (id INTEGER PRIMARY KEY, p REFERENCES parent ON DELETE CASCADE ON UPDATE CASCADE, v);"
    "CREATE TABLE loose (id INTEGER PRIMARY KEY, p REFERENCES parent ON DELETE SET NULL, v);"
    "CREATE TABLE log (what, old, new);"
    "CREATE TRIGGER ids_log AFTER UPDATE ON ids BEGIN INSERT INTO log VALUES ('ids', old.name, new.name); "
    "END;"
    "CREATE TRIGGER named_gone AFTER DELETE ON named BEGIN UPDATE plain SET c = old.name WHERE a = old.v; "
    "END;"
    "CREATE VIRTUAL TABLE words USING fts5(title, body);";

static const char *const TABLES[] = {
    "plain", "ids", "named", "pairs", "made", "descending", "parent", "child", "loose", "log", "words"};
/* What tells the rows of a table apart, for the comparison of two states. */
static const char *const SELECTS[] = {
    "rowid, *", "*", "rowid, *", "*", "id, x, y", "_rowid_, *", "*", "*", "*", "rowid, *", "rowid, *"};

#ifdef HF_DEBUG
enum { ROUNDS = 300 };
#else
enum { ROUNDS = 1500 };
#endif

struct lab {
    struct engine eng;
    struct recorder recorder;
    struct strbuf set, before, after;
    uint64_t seed;
};

static uint64_t draw(struct lab *f, uint64_t below)
{
    f->seed ^= f->seed << 13;
    f->seed ^= f->seed >> 7;
    f->seed ^= f->seed << 17;
    return f->seed % below;
}

static int sql(struct lab *f, const char *text)
{
    return sqlite3_exec(f->eng.db, text, NULL, NULL, NULL);
}

static void sql_ok(struct lab *f, const char *text)
{
    int rc = sql(f, text);
    if (rc != SQLITE_OK)
        fail_msg("%s: %s", text, sqlite3_errmsg(f->eng.db));
}

static void lab_open(struct lab *f)
{
    *f = (struct lab){.seed = UINT64_C(88172645463325252)};
    assert_int_equal(sqlite3_open(":memory:", &f->eng.db), SQLITE_OK);
    sql_ok(f, "PRAGMA foreign_keys = ON");
    sql_ok(f, SCHEMA);
    strbuf_init(&f->set, 64 << 20);
    strbuf_init(&f->before, 64 << 20);
    strbuf_init(&f->after, 64 << 20);
}

static void lab_close(struct lab *f)
{
    assert_int_equal(sqlite3_close(f->eng.db), SQLITE_OK);
    strbuf_release(&f->set);
    strbuf_release(&f->before);
    strbuf_release(&f->after);
}

static void dump(struct lab *f, struct strbuf *out)
{
    strbuf_reset(out);
    for (size_t i = 0; i < ARRAY_LEN(TABLES); i++) {
        sqlite3_stmt *stmt;
        char *text = sqlite3_mprintf("SELECT %s FROM %s ORDER BY 1, 2", SELECTS[i], TABLES[i]);
        assert_int_equal(sqlite3_prepare_v2(f->eng.db, text, -1, &stmt, NULL), SQLITE_OK);
        strbuf_addf(out, "%s\n", TABLES[i]);
        while (sqlite3_step(stmt) == SQLITE_ROW) {
            for (int c = 0; c < sqlite3_column_count(stmt); c++)
                strbuf_addf(out, "%d:%s|", sqlite3_column_type(stmt, c),
                    sqlite3_column_text(stmt, c) ? (const char *)sqlite3_column_text(stmt, c) : "");
            strbuf_add_char(out, '\n');
        }
        sqlite3_finalize(stmt);
        sqlite3_free(text);
    }
}

static void begin(struct lab *f)
{
    recorder_init(&f->recorder, &f->eng, RECORDER_ROWS);
    recorder_attach(&f->recorder);
}

static void finish(struct lab *f)
{
    struct err err = ERR_INIT;
    strbuf_reset(&f->set);
    enum err_code code = recorder_finish(&f->recorder, &f->set, &err);
    if (code)
        fail_msg("%s", err.message);
    recorder_release(&f->recorder);
    assert_int_equal(change_set_check(strbuf_str(&f->set), &err), ERR_OK);
}

static struct digest hash_of_set(struct str bytes)
{
    struct err err = ERR_INIT;
    struct digest_stream stream;
    digest_stream_init(&stream);
    assert_int_equal(change_set_hash(bytes, &stream, &err), ERR_OK);
    return digest_stream_end(&stream);
}

static void on_conflict(void *arg, const struct change_conflict *c)
{
    char *seen = arg;
    str_print_cut(seen, 200, "%s in " STR_FMT, change_conflict_name(c->kind), STR_ARG(c->table->name));
}

static uint64_t apply(struct lab *f, struct str bytes, char seen[200])
{
    struct err err = ERR_INIT;
    uint64_t conflicts = 0;
    seen[0] = '\0';
    sql_ok(f, "SAVEPOINT a; PRAGMA defer_foreign_keys = ON");
    enum err_code code = change_apply(&f->eng, bytes, on_conflict, seen, &conflicts, &err);
    if (code)
        fail_msg("%s", err.message);
    sql_ok(f, conflicts ? "ROLLBACK TO a; RELEASE a" : "RELEASE a");
    return conflicts;
}

static void expect_applies(struct lab *f, struct str bytes, const struct strbuf *want)
{
    char seen[200];
    AUTO_STRBUF now;
    strbuf_init(&now, 64 << 20);
    if (apply(f, bytes, seen))
        fail_msg("conflict: %s", seen);
    dump(f, &now);
    if (!str_eq(strbuf_str(&now), strbuf_str(want)))
        fail_msg("want\n%s\ngot\n%s", strbuf_cstr(want), strbuf_cstr(&now));
}

/* --- Random writes --- */

static const char *value(struct lab *f, char out[64])
{
    static const char *const FIXED[] = {"NULL", "9223372036854775807", "-9223372036854775808", "0.1",
        "-1e300", "''", "'a'", "'A'", "'\xc3\xa4'", "x'00ff'", "x''", "'it''s'", "1.0", "zeroblob(300)"};
    uint64_t n = draw(f, ARRAY_LEN(FIXED) + 10);
    if (n < ARRAY_LEN(FIXED))
        str_print(out, 64, "%s", FIXED[n]);
    else
        str_print(out, 64, "%d", (int)draw(f, 12));
    return out;
}

static void random_write(struct lab *f)
{
    char v[3][64];
    AUTO_STRBUF text;
    int n = (int)draw(f, 12), m = (int)draw(f, 12);
    for (size_t i = 0; i < ARRAY_LEN(v); i++)
        (void)value(f, v[i]);
    static const char *const WRITES[] = {
        "INSERT INTO plain VALUES (@a, @b, @c)",
        "UPDATE plain SET b = @a WHERE a IS @b OR rowid % 3 = 1",
        "UPDATE plain SET rowid = @n + 100 WHERE rowid = @m",
        "DELETE FROM plain WHERE rowid % 5 = @n % 5",
        "DELETE FROM plain",
        "INSERT OR REPLACE INTO ids VALUES (@n, @a, @m, @m)",
        "INSERT OR IGNORE INTO ids (name, u) VALUES (@a, @b)",
        "UPDATE ids SET name = @a, n = @m WHERE id > @n",
        "UPDATE OR REPLACE ids SET id = id + 1 WHERE id < @n",
        "UPDATE OR IGNORE ids SET u = @m WHERE id = @n",
        "INSERT OR REPLACE INTO named VALUES (@a, @b, @c)",
        "UPDATE named SET name = upper(name) WHERE v IS @b OR rowid = @n",
        "UPDATE named SET w = @a WHERE name = @b OR name IS NULL",
        "DELETE FROM named WHERE rowid = @n OR name IS @a",
        "INSERT OR REPLACE INTO pairs VALUES (@n, ifnull(@a, 0), @b)",
        "UPDATE OR REPLACE pairs SET a = @n WHERE b = @m",
        "UPDATE pairs SET v = @a WHERE a < @n",
        "DELETE FROM pairs WHERE a = @n",
        "INSERT INTO made (x, y) VALUES (@n, @a)",
        "UPDATE made SET x = x + @n WHERE id % 2",
        "DELETE FROM made WHERE id = @n",
        "INSERT OR REPLACE INTO descending VALUES (@n, @a, @b)",
        "UPDATE OR IGNORE descending SET id = @n, v = @a WHERE _rowid_ = @m",
        "INSERT OR IGNORE INTO parent VALUES (@n, @a)",
        "INSERT OR IGNORE INTO child VALUES (@n, (SELECT id FROM parent LIMIT 1 OFFSET @m), @a)",
        "INSERT OR IGNORE INTO loose VALUES (@n, (SELECT id FROM parent LIMIT 1 OFFSET @m), @a)",
        "UPDATE OR IGNORE parent SET id = id + @n WHERE id = @m",
        "DELETE FROM parent WHERE id = @n",
        "DELETE FROM parent WHERE id > @m",
        "UPDATE child SET v = @a WHERE id = @n",
        "UPDATE plain SET b = b",
        "INSERT INTO words VALUES (@a, 'word @n')",
        "UPDATE words SET body = body || ' more' WHERE rowid = @n",
        "DELETE FROM words WHERE rowid = @m",
    };
    const char *write = WRITES[draw(f, ARRAY_LEN(WRITES))];
    for (strbuf_init(&text, 4000); *write; write++) {
        if (*write != '@')
            strbuf_add_char(&text, *write);
        else if (*++write == 'n' || *write == 'm')
            strbuf_add_i64(&text, *write == 'n' ? n : m);
        else
            strbuf_add_cstr(&text, v[*write - 'a']);
    }
    (void)sql(f, strbuf_cstr(&text)); /* a constraint may say no: nothing is changed then */
}

void test_change__random_writes_apply_and_invert(void **state)
{
    struct lab f;
    AUTO_STRBUF inverse;
    (void)state;
    lab_open(&f);
    strbuf_init(&inverse, 64 << 20);
    for (int round = 0; round < ROUNDS; round++) {
        struct err err = ERR_INIT;
        dump(&f, &f.before);
        sql_ok(&f, "BEGIN");
        begin(&f);
        for (uint64_t n = draw(&f, 6); n < 6; n++)
            random_write(&f);
        finish(&f);
        dump(&f, &f.after);
        sql_ok(&f, "COMMIT");
        strbuf_reset(&inverse);
        assert_int_equal(change_set_invert(strbuf_str(&f.set), &inverse, &err), ERR_OK);
        expect_applies(&f, strbuf_str(&inverse), &f.before);
        expect_applies(&f, strbuf_str(&f.set), &f.after);
    }
    lab_close(&f);
}

/* --- One thing at a time --- */

static void record(struct lab *f, const char *text)
{
    begin(f);
    sql_ok(f, text);
    finish(f);
}

static void expect_view(struct lab *f, const char *want)
{
    struct change_view v = {.table = {NULL, 0}, .rows_max = 100, .bytes_max = 1 << 20};
    struct err err = ERR_INIT;
    struct jsonw w;
    AUTO_STRBUF out;
    strbuf_init(&out, 1 << 20);
    jsonw_init(&w, &out);
    jsonw_object(&w);
    assert_int_equal(change_view_write(&v, strbuf_str(&f->set), &w, &err), ERR_OK);
    jsonw_object_end(&w);
    assert_string_equal(strbuf_cstr(&out), want);
}

#define NO_MORE "\"hiddenRows\":0,\"truncated\":false,\"nextCursor\":null}"

void test_change__what_is_shown(void **state)
{
    static const struct {
        const char *before, *write, *want;
    } ROWS[] = {
        {"", "UPDATE plain SET a = 1", "{\"tables\":[],\"rows\":[]," NO_MORE},
        {"INSERT INTO ids VALUES (7, 'open', 1, NULL)",
            "UPDATE parent SET v = 1; UPDATE ids SET n = 2 WHERE id = 7",
            "{\"tables\":[{\"table\":\"ids\",\"insert\":0,\"update\":1,\"delete\":0,\"indirect\":0,"
            "\"columns\":[\"n\"]},"
            "{\"table\":\"log\",\"insert\":1,\"update\":0,\"delete\":0,\"indirect\":1,\"columns\":[]}],"
            "\"rows\":["
            "{\"table\":\"ids\",\"op\":\"update\",\"indirect\":false,\"key\":{\"id\":7},\"before\":{\"n\":1."
            "0},\"after\":{\"n\":2.0}},"
            "{\"table\":\"log\",\"op\":\"insert\",\"indirect\":true,\"key\":{\"rowid\":1},\"before\":null,"
            "\"after\":{\"what\":\"ids\",\"old\":\"open\",\"new\":\"open\"}}]," NO_MORE},
        {"INSERT INTO parent VALUES (1, 'p'); INSERT INTO child VALUES (5, 1, x'00ff'), (6, 1, 2.5)",
            "DELETE FROM parent",
            "{\"tables\":[{\"table\":\"child\",\"insert\":0,\"update\":0,\"delete\":2,\"indirect\":2,"
            "\"columns\":[]},"
            "{\"table\":\"parent\",\"insert\":0,\"update\":0,\"delete\":1,\"indirect\":0,\"columns\":[]}],"
            "\"rows\":["
            "{\"table\":\"child\",\"op\":\"delete\",\"indirect\":true,\"key\":{\"id\":5},"
            "\"before\":{\"id\":5,\"p\":1,\"v\":{\"$blob\":\"AP8=\"}},\"after\":null},"
            "{\"table\":\"child\",\"op\":\"delete\",\"indirect\":true,\"key\":{\"id\":6},"
            "\"before\":{\"id\":6,\"p\":1,\"v\":2.5},\"after\":null},"
            "{\"table\":\"parent\",\"op\":\"delete\",\"indirect\":false,\"key\":{\"id\":1},"
            "\"before\":{\"id\":1,\"v\":\"p\"},\"after\":null}]," NO_MORE},
        {"INSERT INTO named VALUES ('ann', 1, 2), (NULL, 3, 4)",
            "UPDATE named SET name = 'ANN' WHERE name = 'ann'; "
            "UPDATE named SET v = 9 WHERE name IS NULL",
            "{\"tables\":[{\"table\":\"named\",\"insert\":0,\"update\":2,\"delete\":0,\"indirect\":0,"
            "\"columns\":[\"name\",\"v\"]}],"
            "\"rows\":[{\"table\":\"named\",\"op\":\"update\",\"indirect\":false,\"key\":{\"rowid\":2,"
            "\"name\":null},"
            "\"before\":{\"v\":3},\"after\":{\"v\":9}},"
            "{\"table\":\"named\",\"op\":\"update\",\"indirect\":false,\"key\":{\"name\":\"ann\"},"
            "\"before\":{\"name\":\"ann\"},\"after\":{\"name\":\"ANN\"}}]," NO_MORE},
        {"", "INSERT INTO words VALUES ('t', 'b')",
            "{\"tables\":[{\"table\":\"words\",\"insert\":1,\"update\":0,\"delete\":0,\"indirect\":0,"
            "\"columns\":[]}],"
            "\"rows\":[{\"table\":\"words\",\"op\":\"insert\",\"indirect\":false,\"key\":{\"rowid\":1},"
            "\"before\":null,"
            "\"after\":{\"title\":\"t\",\"body\":\"b\"}}]," NO_MORE},
        {"INSERT INTO made (x, y) VALUES (9223372036854775800, NULL)", "UPDATE made SET x = 4",
            "{\"tables\":[{\"table\":\"made\",\"insert\":0,\"update\":1,\"delete\":0,\"indirect\":0,"
            "\"columns\":[\"x\"]}],"
            "\"rows\":[{\"table\":\"made\",\"op\":\"update\",\"indirect\":false,\"key\":{\"id\":1},"
            "\"before\":{\"x\":9223372036854775800},\"after\":{\"x\":4}}]," NO_MORE},
        {"", "INSERT INTO plain VALUES (1, 2, 3); DELETE FROM plain", "{\"tables\":[],\"rows\":[]," NO_MORE},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        struct lab f;
        lab_open(&f);
        sql_ok(&f, ROWS[i].before);
        record(&f, ROWS[i].write);
        expect_view(&f, ROWS[i].want);
        lab_close(&f);
    }
}

/* The same effect has one hash, in whatever order it came about; another effect another one. */
void test_change__hash(void **state)
{
    static const struct {
        const char *before, *one, *other;
        bool same;
    } ROWS[] = {
        {"", "INSERT INTO pairs VALUES (1, 1, 'x'), (2, 2, 'y')",
            "INSERT INTO pairs VALUES (2, 2, 'z'); INSERT INTO pairs VALUES (1, 1, 'x'); UPDATE pairs SET v "
            "= 'y' "
            "WHERE a = 2",
            true},
        {"INSERT INTO ids VALUES (1, 'a', 1, 1), (2, 'b', 2, 2)", "UPDATE ids SET u = u + 10",
            "UPDATE ids SET u = 12 WHERE id = 2; UPDATE ids SET u = 11 WHERE id = 1", true},
        {"INSERT INTO plain VALUES (1, 1, 1)", "UPDATE plain SET a = 2", "UPDATE plain SET a = 2.0", false},
        {"INSERT INTO plain VALUES (1, 1, 1)", "UPDATE plain SET a = 'x'", "UPDATE plain SET a = x'78'",
            false},
        {"INSERT INTO plain VALUES (1, 1, 1)", "UPDATE plain SET a = 2", "UPDATE plain SET b = 2", false},
        {"INSERT INTO plain VALUES (1, 1, 1)", "DELETE FROM plain", "UPDATE plain SET a = NULL, b = NULL",
            false},
        {"", "INSERT INTO plain VALUES (1, 2, 3)", "INSERT INTO plain (rowid, a, b, c) VALUES (9, 1, 2, 3)",
            true},
        {"", "INSERT INTO named VALUES ('a', 2, 3)",
            "INSERT INTO named (rowid, name, v, w) VALUES (9, 'a', 2, 3)", true},
        {"", "INSERT INTO ids (name) VALUES ('a')", "INSERT INTO ids (id, name) VALUES (9, 'a')", false},
        {"INSERT INTO plain VALUES (1, 1, 1), (1, 1, 1)", "DELETE FROM plain WHERE rowid = 1",
            "DELETE FROM plain WHERE rowid = 2", false},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        struct lab f;
        lab_open(&f);
        sql_ok(&f, "DROP TRIGGER ids_log"); /* its rows tell the order */
        sql_ok(&f, ROWS[i].before);
        sql_ok(&f, "SAVEPOINT s");
        record(&f, ROWS[i].one);
        struct digest one = hash_of_set(strbuf_str(&f.set));
        sql_ok(&f, "ROLLBACK TO s");
        record(&f, ROWS[i].other);
        struct digest other = hash_of_set(strbuf_str(&f.set));
        sql_ok(&f, "ROLLBACK TO s; RELEASE s");
        if (digest_eq(&one, &other) != ROWS[i].same)
            fail_msg("row %zu: the hashes should%s be the same", i, ROWS[i].same ? "" : " not");
        lab_close(&f);
    }
}

void test_change__conflicts_are_told(void **state)
{
    static const struct {
        const char *before, *write, *then, *want;
    } ROWS[] = {
        {"INSERT INTO ids VALUES (1, 'a', 1, 1)", "UPDATE ids SET name = 'b'", "UPDATE ids SET name = 'c'",
            "differs in ids"},
        {"INSERT INTO ids VALUES (1, 'a', 1, 1)", "UPDATE ids SET name = 'b'", "DELETE FROM ids",
            "missing in ids"},
        {"INSERT INTO ids VALUES (1, 'a', 1, 1)", "DELETE FROM ids", "UPDATE ids SET n = 3",
            "differs in ids"},
        {"", "INSERT INTO ids VALUES (1, 'a', 1, 1)", "INSERT INTO ids VALUES (1, 'z', 2, 2)",
            "exists in ids"},
        {"", "INSERT INTO ids VALUES (1, 'a', 1, 1)", "INSERT INTO ids VALUES (2, 'z', 2, 1)",
            "constraint in ids"},
        {"", "INSERT INTO plain VALUES (1, 2, 3)", "DROP TABLE plain", "schema in plain"},
        {"INSERT INTO ids VALUES (1, 'a', 1, 1)", "UPDATE ids SET name = 'b'", "UPDATE ids SET u = 7", ""},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        struct lab f;
        char seen[200];
        lab_open(&f);
        sql_ok(&f, "DROP TRIGGER ids_log");
        sql_ok(&f, ROWS[i].before);
        sql_ok(&f, "SAVEPOINT s");
        record(&f, ROWS[i].write);
        sql_ok(&f, "ROLLBACK TO s; RELEASE s");
        sql_ok(&f, ROWS[i].then);
        (void)apply(&f, strbuf_str(&f.set), seen);
        assert_string_equal(seen, ROWS[i].want);
        lab_close(&f);
    }
}

/* Every single bit that is turned in a change set is either refused or read without harm. */
void test_change__damaged_bytes(void **state)
{
    struct lab f;
    struct err err = ERR_INIT;
    size_t refused = 0;
    (void)state;
    lab_open(&f);
    record(&f, "INSERT INTO ids VALUES (1, 'a', 1, 1); INSERT INTO pairs VALUES (1, x'00', 2.5);"
               "UPDATE ids SET name = 'b'; INSERT INTO plain VALUES (NULL, 1, 2)");
    for (size_t bit = 0; bit < 8 * f.set.len; bit++) {
        f.set.buf[bit / 8] ^= (char)(1 << bit % 8);
        refused += change_set_check(strbuf_str(&f.set), &err) != ERR_OK;
        f.set.buf[bit / 8] ^= (char)(1 << bit % 8);
    }
    for (size_t len = 0; len < f.set.len; len++)
        assert_int_equal(change_set_check(str_make(f.set.buf, len), &err), ERR_INTERNAL);
    assert_true(refused > 100);
    assert_int_equal(change_set_check(strbuf_str(&f.set), &err), ERR_OK);
    lab_close(&f);
}

static enum err_code record_only(struct lab *f, const char *text, const char *target, struct err *err)
{
    begin(f);
    sql_ok(f, text);
    sql_ok(f, "SAVEPOINT flush; RELEASE flush");
    recorder_ran(&f->recorder, true, str_of(target));
    enum err_code code = recorder_finish(&f->recorder, &f->set, err);
    recorder_release(&f->recorder);
    return code;
}

void test_change__what_cannot_be_shown_is_refused(void **state)
{
    struct lab f;
    struct err err = ERR_INIT;
    (void)state;
    lab_open(&f);
    sql_ok(&f, "CREATE VIRTUAL TABLE bare USING fts5(x, content='')");
    sql_ok(&f, "CREATE VIRTUAL TABLE over USING fts5(a, content='plain', content_rowid='rowid')");
    assert_int_equal(record_only(&f, "INSERT INTO bare VALUES ('w')", "bare", &err), ERR_INVALID);
    assert_non_null(strstr(err.message, "\"bare\" is a full-text index"));
    err = (struct err)ERR_INIT;
    assert_int_equal(record_only(&f,
                         "UPDATE plain SET a = 1; INSERT INTO plain VALUES (1, 2, 3);"
                         "ALTER TABLE plain ADD COLUMN d",
                         "plain", &err),
        ERR_INVALID);
    assert_non_null(strstr(err.message, "one after the other"));
    sql_ok(&f,
        "CREATE TRIGGER feeds AFTER INSERT ON plain BEGIN INSERT INTO over (rowid, a) VALUES (new.rowid, "
        "new.a); END");
    assert_int_equal(record_only(&f, "INSERT INTO plain VALUES (1, 2, 3, 4)", "plain", &err), ERR_OK);
    lab_close(&f);
}

/* A statement that was prepared before does not visit the rows: that is noticed. */
void test_change__a_missed_change_is_noticed(void **state)
{
    struct lab f;
    struct err err = ERR_INIT;
    sqlite3_stmt *stmt;
    (void)state;
    lab_open(&f);
    sql_ok(&f, "INSERT INTO plain VALUES (1, 2, 3), (4, 5, 6)");
    assert_int_equal(sqlite3_prepare_v2(f.eng.db, "DELETE FROM plain", -1, &stmt, NULL), SQLITE_OK);
    begin(&f);
    assert_int_equal(sqlite3_step(stmt), SQLITE_DONE);
    assert_int_equal(recorder_finish(&f.recorder, &f.set, &err), ERR_INVALID);
    recorder_release(&f.recorder);
    sqlite3_finalize(stmt);
    lab_close(&f);
}

void test_change__pages(void **state)
{
    struct lab f;
    struct err err = ERR_INIT;
    struct jsonw w;
    AUTO_STRBUF out;
    (void)state;
    lab_open(&f);
    strbuf_init(&out, 1 << 20);
    record(&f, "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 250)"
               " INSERT INTO ids (id) SELECT x FROM c; INSERT INTO pairs VALUES (1, 1, 1)");
    struct change_view v = {.table = S("ids"), .from = 200, .rows_max = 30, .bytes_max = 1 << 20};
    jsonw_init(&w, &out);
    jsonw_object(&w);
    assert_int_equal(change_view_write(&v, strbuf_str(&f.set), &w, &err), ERR_OK);
    jsonw_object_end(&w);
    assert_non_null(strstr(strbuf_cstr(&out), "\"insert\":250"));
    assert_non_null(strstr(strbuf_cstr(&out),
        "\"rows\":[{\"table\":\"ids\",\"op\":\"insert\",\"indirect\":false,\"key\":{\"id\":201}"));
    assert_non_null(strstr(strbuf_cstr(&out), "\"truncated\":true,\"nextCursor\":\"230\""));
    lab_close(&f);
}
