/* What the recorder says of random writes, against the database itself: the change set written into the state
 * before gives the state after, and its inverse written into the state after the one before. */
#include "lib/change_lab.h"
#include "engine/change_view.h"
#include "json/jsonw.h"
#include "lib/unit.h"

#ifdef HF_DEBUG
enum { ROUNDS = 300 };
#else
enum { ROUNDS = 1500 };
#endif

void test_change__random_writes_apply_and_invert(void **state)
{
    struct change_lab f;
    AUTO_STRBUF inverse;
    (void)state;
    change_lab_open(&f);
    strbuf_init(&inverse, 64 << 20);
    for (int round = 0; round < ROUNDS; round++) {
        struct err err = ERR_INIT;
        change_lab_dump(&f, true, &f.before);
        change_lab_sql(&f, "BEGIN");
        change_lab_begin(&f);
        for (uint64_t n = change_lab_draw(&f, 6); n < 6; n++)
            (void)change_lab_write(&f); /* these fail before they change anything */
        change_lab_finish(&f);
        change_lab_dump(&f, true, &f.after);
        change_lab_sql(&f, "COMMIT");
        strbuf_reset(&inverse);
        assert_int_equal(change_set_invert(strbuf_str(&f.set), &inverse, &err), ERR_OK);
        change_lab_expect(&f, strbuf_str(&inverse), true, &f.before);
        change_lab_expect(&f, strbuf_str(&f.set), true, &f.after);
    }
    change_lab_close(&f);
}

/* --- One thing at a time --- */

static struct digest hash_of_set(struct str bytes)
{
    struct err err = ERR_INIT;
    struct digest_stream stream;
    digest_stream_init(&stream);
    assert_int_equal(change_set_hash(bytes, &stream, &err), ERR_OK);
    return digest_stream_end(&stream);
}

static void record(struct change_lab *f, const char *text)
{
    change_lab_begin(f);
    change_lab_sql(f, text);
    change_lab_finish(f);
}

static void expect_view(struct change_lab *f, const char *want)
{
    AUTO_STRBUF out;
    change_lab_view(strbuf_str(&f->set), &out);
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
        {"INSERT INTO parent VALUES (1, 9e999), (2, CAST(x'ff41' AS TEXT))",
            "UPDATE parent SET v = -9e999 WHERE id = 1; UPDATE parent SET v = 'a' || char(0) WHERE id = 2;"
            "INSERT INTO parent VALUES (3, -0.0)",
            "{\"tables\":[{\"table\":\"parent\",\"insert\":1,\"update\":2,\"delete\":0,\"indirect\":0,"
            "\"columns\":[\"v\"]}],"
            "\"rows\":[{\"table\":\"parent\",\"op\":\"update\",\"indirect\":false,\"key\":{\"id\":1},"
            "\"before\":{\"v\":{\"$real\":\"Infinity\"}},\"after\":{\"v\":{\"$real\":\"-Infinity\"}}},"
            "{\"table\":\"parent\",\"op\":\"update\",\"indirect\":false,\"key\":{\"id\":2},"
            "\"before\":{\"v\":{\"$text\":\"/0E=\"}},\"after\":{\"v\":{\"$text\":\"YQA=\"}}},"
            "{\"table\":\"parent\",\"op\":\"insert\",\"indirect\":false,\"key\":{\"id\":3},"
            "\"before\":null,\"after\":{\"id\":3,\"v\":-0.0}}]," NO_MORE},
        {"", "INSERT INTO plain VALUES (1, 2, 3); DELETE FROM plain", "{\"tables\":[],\"rows\":[]," NO_MORE},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        struct change_lab f;
        change_lab_open(&f);
        change_lab_sql(&f, ROWS[i].before);
        record(&f, ROWS[i].write);
        expect_view(&f, ROWS[i].want);
        change_lab_close(&f);
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
        struct change_lab f;
        change_lab_open(&f);
        change_lab_sql(&f, "DROP TRIGGER ids_log"); /* its rows tell the order */
        change_lab_sql(&f, ROWS[i].before);
        change_lab_sql(&f, "SAVEPOINT s");
        record(&f, ROWS[i].one);
        struct digest one = hash_of_set(strbuf_str(&f.set));
        change_lab_sql(&f, "ROLLBACK TO s");
        record(&f, ROWS[i].other);
        struct digest other = hash_of_set(strbuf_str(&f.set));
        change_lab_sql(&f, "ROLLBACK TO s; RELEASE s");
        if (digest_eq(&one, &other) != ROWS[i].same)
            fail_msg("row %zu: the hashes should%s be the same", i, ROWS[i].same ? "" : " not");
        change_lab_close(&f);
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
        struct change_lab f;
        char seen[200];
        change_lab_open(&f);
        change_lab_sql(&f, "DROP TRIGGER ids_log");
        change_lab_sql(&f, ROWS[i].before);
        change_lab_sql(&f, "SAVEPOINT s");
        record(&f, ROWS[i].write);
        change_lab_sql(&f, "ROLLBACK TO s; RELEASE s");
        change_lab_sql(&f, ROWS[i].then);
        (void)change_lab_apply(&f, strbuf_str(&f.set), seen);
        assert_string_equal(seen, ROWS[i].want);
        change_lab_close(&f);
    }
}

/* Every single bit that is turned in a change set is either refused or read without harm. */
void test_change__damaged_bytes(void **state)
{
    struct change_lab f;
    struct err err = ERR_INIT;
    size_t refused = 0;
    (void)state;
    change_lab_open(&f);
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
    change_lab_close(&f);
}

static enum err_code record_only(struct change_lab *f, const char *text, const char *target, struct err *err)
{
    change_lab_begin(f);
    change_lab_sql(f, text);
    change_lab_sql(f, "SAVEPOINT flush; RELEASE flush");
    recorder_ran(&f->recorder, true, str_of(target));
    enum err_code code = recorder_finish(&f->recorder, &f->set, err);
    recorder_release(&f->recorder);
    return code;
}

void test_change__what_cannot_be_shown_is_refused(void **state)
{
    struct change_lab f;
    struct err err = ERR_INIT;
    (void)state;
    change_lab_open(&f);
    change_lab_sql(&f, "CREATE VIRTUAL TABLE bare USING fts5(x, content='')");
    change_lab_sql(&f, "CREATE VIRTUAL TABLE over USING fts5(a, content='plain', content_rowid='rowid')");
    assert_int_equal(record_only(&f, "INSERT INTO bare VALUES ('w')", "bare", &err), ERR_INVALID);
    assert_non_null(strstr(err.message, "\"bare\" is a full-text index"));
    err = (struct err)ERR_INIT;
    assert_int_equal(record_only(&f,
                         "UPDATE plain SET a = 1; INSERT INTO plain VALUES (1, 2, 3);"
                         "ALTER TABLE plain ADD COLUMN d",
                         "plain", &err),
        ERR_INVALID);
    assert_non_null(strstr(err.message, "one after the other"));
    change_lab_sql(&f,
        "CREATE TRIGGER feeds AFTER INSERT ON plain BEGIN INSERT INTO over (rowid, a) VALUES (new.rowid, "
        "new.a); END");
    assert_int_equal(record_only(&f, "INSERT INTO plain VALUES (1, 2, 3, 4)", "plain", &err), ERR_OK);
    change_lab_close(&f);
}

/* A statement that was prepared before does not visit the rows: that is noticed. */
void test_change__a_missed_change_is_noticed(void **state)
{
    struct change_lab f;
    struct err err = ERR_INIT;
    sqlite3_stmt *stmt;
    (void)state;
    change_lab_open(&f);
    change_lab_sql(&f, "INSERT INTO plain VALUES (1, 2, 3), (4, 5, 6)");
    assert_int_equal(sqlite3_prepare_v2(f.eng.db, "DELETE FROM plain", -1, &stmt, NULL), SQLITE_OK);
    change_lab_begin(&f);
    assert_int_equal(sqlite3_step(stmt), SQLITE_DONE);
    assert_int_equal(recorder_finish(&f.recorder, &f.set, &err), ERR_INVALID);
    recorder_release(&f.recorder);
    sqlite3_finalize(stmt);
    change_lab_close(&f);
}

void test_change__pages(void **state)
{
    struct change_lab f;
    struct err err = ERR_INIT;
    struct jsonw w;
    AUTO_STRBUF out;
    (void)state;
    change_lab_open(&f);
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
    change_lab_close(&f);
}
