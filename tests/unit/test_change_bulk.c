/* All updates of a table at once: the same as row by row, or nothing at all. */
#include "lib/change_lab.h"
#include "engine/change_bulk.h"
#include "lib/unit.h"

#define ROWS(n) "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < " #n ") "

enum { ROWS_MAX = 1000 };

static void fill(struct change_lab *f)
{
    change_lab_open(f);
    change_lab_sql(f, ROWS(400) "INSERT INTO plain SELECT x, 'text ' || x, x * 0.5 FROM c");
    change_lab_sql(f, ROWS(400) "INSERT INTO ids SELECT x * 2, 'name', x, x FROM c");
    change_lab_sql(f, ROWS(400) "INSERT INTO parent SELECT x, x FROM c");
}

static void record(struct change_lab *f, const char *text)
{
    change_lab_begin(f);
    change_lab_sql(f, text);
    change_lab_finish(f);
}

static void invert(struct change_lab *f, struct strbuf *out)
{
    struct err err = ERR_INIT;
    strbuf_init(out, 64 << 20);
    assert_int_equal(change_set_invert(strbuf_str(&f->set), out, &err), ERR_OK);
}

/* Takes back the first table of what was recorded; so many rows of it. */
static uint64_t bulk(struct change_lab *f)
{
    struct change_reader r;
    struct change_table_view t;
    struct err err = ERR_INIT;
    struct strbuf inverse;
    bool found, did[ROWS_MAX] = {false};
    uint64_t done, marked = 0;
    invert(f, &inverse);
    assert_int_equal(change_reader_init(&r, strbuf_str(&inverse), &err), ERR_OK);
    assert_int_equal(change_table_next(&r, &found, &t, &err), ERR_OK);
    assert_true(found);
    assert_in_range(t.row_count, 0, ROWS_MAX);
    assert_int_equal(change_bulk(&f->eng, &t, change_rowid_name(&t), did, &done), SQLITE_OK);
    for (size_t i = 0; i < ROWS_MAX; i++)
        marked += did[i];
    assert_int_equal(marked, done);
    change_reader_release(&r);
    strbuf_release(&inverse);
    return done;
}

/* Every kind of value, in tables with a row id of their own and with a column for it. */
void test_change_bulk__takes_back_what_was_done(void **state)
{
    static const char *const WRITES[] = {
        "UPDATE plain SET b = NULL",
        "UPDATE plain SET a = -a, c = x'00ff' || rowid WHERE rowid % 3",
        "UPDATE plain SET a = NULL; UPDATE plain SET a = rowid * 1e300, b = zeroblob(3)",
        "UPDATE plain SET b = upper(b), c = CASE a % 4 WHEN 0 THEN '' WHEN 1 THEN NULL WHEN 2 THEN x'' ELSE "
        "7 END",
        "UPDATE ids SET n = n + 1, name = 'ÄÖ' || id WHERE id > 20",
        "UPDATE parent SET v = 9223372036854775807",
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(WRITES); i++) {
        struct change_lab f;
        AUTO_STRBUF now;
        fill(&f);
        strbuf_init(&now, 64 << 20);
        change_lab_sql(&f, "DROP TRIGGER ids_log");
        change_lab_dump(&f, true, &f.before);
        record(&f, WRITES[i]);
        if (!bulk(&f))
            fail_msg("refused: %s", WRITES[i]);
        change_lab_dump(&f, true, &now);
        assert_string_equal(strbuf_cstr(&now), strbuf_cstr(&f.before));
        change_lab_close(&f);
    }
}

/* Nothing is changed then, and row by row tells what is in the way. */
void test_change_bulk__is_all_or_nothing(void **state)
{
    static const struct {
        const char *write, *between, *conflict;
    } CASES[] = {
        {"UPDATE plain SET b = a", "UPDATE plain SET b = 'other' WHERE rowid = 399", "differs in plain"},
        {"UPDATE plain SET b = a", "DELETE FROM plain WHERE rowid = 1", "missing in plain"},
        {"UPDATE plain SET b = a", "DELETE FROM plain WHERE rowid = 200", "missing in plain"},
        {"UPDATE plain SET b = a", "DELETE FROM plain WHERE rowid = 400", "missing in plain"},
        {"UPDATE plain SET c = 5", "UPDATE plain SET c = '5' WHERE rowid = 70", "differs in plain"},
        {"UPDATE ids SET u = -u WHERE id < 700", "INSERT INTO ids (id, u) VALUES (1, 100)",
            "constraint in ids"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(CASES); i++) {
        struct change_lab f;
        char seen[200];
        struct strbuf inverse;
        AUTO_STRBUF now;
        fill(&f);
        strbuf_init(&now, 64 << 20);
        change_lab_sql(&f, "DROP TRIGGER ids_log");
        record(&f, CASES[i].write);
        change_lab_sql(&f, CASES[i].between);
        change_lab_dump(&f, true, &f.before);
        assert_false(bulk(&f));
        change_lab_dump(&f, true, &now);
        assert_string_equal(strbuf_cstr(&now), strbuf_cstr(&f.before));
        invert(&f, &inverse);
        assert_int_equal(change_lab_apply(&f, strbuf_str(&inverse), seen), 1);
        assert_string_equal(seen, CASES[i].conflict);
        strbuf_release(&inverse);
        change_lab_close(&f);
    }
}

/* What it does not do is done the other way: other rows between, few or scattered rows, columns that differ
 * from row to row, values that change places under a unique index. */
void test_change_bulk__leaves_the_rest_to_the_other_way(void **state)
{
    static const struct {
        bool done;
        const char *write;
    } CASES[] = {
        {false, "UPDATE plain SET b = 1 WHERE rowid < 60"},
        {false, "UPDATE plain SET b = 1 WHERE rowid % 6 = 0"},
        {true, "UPDATE plain SET b = 1 WHERE rowid % 3 = 0"},
        {false, "UPDATE plain SET b = 1; DELETE FROM plain WHERE rowid = 5"},
        {false, "UPDATE plain SET b = 1; INSERT INTO plain VALUES (1, 2, 3)"},
        {false, "UPDATE plain SET b = 1; UPDATE plain SET a = 0 WHERE rowid = 7"},
        {false, "UPDATE plain SET rowid = rowid + 1000"},
        {false, "UPDATE ids SET u = -u; UPDATE ids SET u = -u - 1"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(CASES); i++) {
        struct change_lab f;
        struct strbuf inverse;
        fill(&f);
        change_lab_sql(&f, "DROP TRIGGER ids_log");
        change_lab_dump(&f, true, &f.before);
        record(&f, CASES[i].write);
        change_lab_sql(&f, "SAVEPOINT tried");
        if ((bulk(&f) > 0) != CASES[i].done)
            fail_msg("done or not: %s", CASES[i].write);
        change_lab_sql(&f, "ROLLBACK TO tried; RELEASE tried");
        invert(&f, &inverse);
        change_lab_expect(&f, strbuf_str(&inverse), true, &f.before);
        strbuf_release(&inverse);
        change_lab_close(&f);
    }
}

/* A recording goes on over what was tried and taken back. */
void test_change_bulk__is_recorded_as_what_was_done_in_the_end(void **state)
{
    struct change_lab f;
    struct strbuf inverse;
    char seen[200];
    (void)state;
    fill(&f);
    change_lab_dump(&f, true, &f.before);
    record(&f, "DROP TRIGGER ids_log; UPDATE ids SET u = -u; UPDATE ids SET u = -u - 1");
    invert(&f, &inverse);
    change_lab_begin(&f);
    assert_int_equal(change_lab_apply(&f, strbuf_str(&inverse), seen), 0);
    change_lab_finish(&f);
    assert_true(str_eq(strbuf_str(&f.set), strbuf_str(&inverse)));
    strbuf_release(&inverse);
    change_lab_close(&f);
}

/* What a recorder takes without being told of each row is what it would have been told: by whom each column's
 * value is kept as it is given, and by whom it is not. */
void test_change_bulk__is_taken_as_it_is_recorded(void **state)
{
    static const char *const TYPES[] = {
        "", "TEXT", "INTEGER", "REAL", "NUMERIC", "BLOB", "VARCHAR(3)", "DOUBLE"};
    static const char *const VALUES[] = {"x", "CAST(x AS TEXT)", "'t' || x", "x * 0.5", "x * 1.0", "-0.0 * x",
        "CAST('b' || x AS BLOB)", "CASE x % 2 WHEN 0 THEN NULL ELSE x END", "x * 1e17",
        "9223372036854775807"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(TYPES) * ARRAY_LEN(VALUES); i++) {
        struct change_lab f;
        char sql[200], seen[200];
        struct strbuf sets[2];
        change_lab_open(&f);
        change_lab_sql(&f, "CREATE TABLE w (x INTEGER PRIMARY KEY, v, same)");
        change_lab_sql(&f, ROWS(100) "INSERT INTO w SELECT x, 'old', 1 FROM c");
        change_lab_sql(&f, "SAVEPOINT s");
        str_print(sql, sizeof sql, "UPDATE w SET v = %s WHERE x <> 7", VALUES[i % ARRAY_LEN(VALUES)]);
        record(&f, sql);
        change_lab_sql(&f, "ROLLBACK TO s; RELEASE s; DROP TABLE w");
        str_print(sql, sizeof sql, "CREATE TABLE w (x INTEGER PRIMARY KEY, v %s, same)",
            TYPES[i / ARRAY_LEN(VALUES)]);
        change_lab_sql(&f, sql);
        change_lab_sql(&f, ROWS(100) "INSERT INTO w SELECT x, 'old', 1 FROM c");
        for (int takes = 0; takes < 2; takes++) {
            AUTO_STRBUF set;
            strbuf_init(&set, 1 << 20);
            strbuf_add_str(&set, strbuf_str(&f.set));
            strbuf_init(&sets[takes], 1 << 20);
            change_lab_sql(&f, "SAVEPOINT s");
            change_lab_begin(&f);
            f.eng.recorder = takes ? &f.recorder : NULL;
            f.eng.destroyed = 0;
            assert_int_equal(change_lab_apply(&f, strbuf_str(&set), seen), 0);
            assert_int_equal(f.eng.destroyed, 99);
            f.eng.recorder = NULL;
            change_lab_finish(&f);
            strbuf_add_str(&sets[takes], strbuf_str(&f.set));
            strbuf_reset(&f.set);
            strbuf_add_str(&f.set, strbuf_str(&set));
            change_lab_sql(&f, "ROLLBACK TO s; RELEASE s");
        }
        if (!str_eq(strbuf_str(&sets[0]), strbuf_str(&sets[1])))
            fail_msg("%s into %s", VALUES[i % ARRAY_LEN(VALUES)], TYPES[i / ARRAY_LEN(VALUES)]);
        strbuf_release(&sets[0]);
        strbuf_release(&sets[1]);
        change_lab_close(&f);
    }
}

/* What follows the taken rows in the same recording is of the same rows. */
void test_change_bulk__goes_on_after_it_was_taken(void **state)
{
    struct change_lab f;
    struct strbuf inverse;
    char seen[200];
    (void)state;
    fill(&f);
    record(&f, "UPDATE parent SET v = -v");
    invert(&f, &inverse);
    change_lab_begin(&f);
    f.eng.recorder = &f.recorder;
    assert_int_equal(change_lab_apply(&f, strbuf_str(&inverse), seen), 0);
    f.eng.recorder = NULL;
    assert_int_equal(recorder_key_count(&f.recorder), 400);
    change_lab_sql(
        &f, "UPDATE parent SET v = -v WHERE id < 400; UPDATE parent SET v = 'last' WHERE id = 400");
    change_lab_finish(&f);
    strbuf_release(&inverse);
    AUTO_STRBUF out;
    change_lab_view(strbuf_str(&f.set), &out);
    assert_non_null(
        strstr(strbuf_cstr(&out), "\"key\":{\"id\":400},\"before\":{\"v\":-400},\"after\":{\"v\":\"last\"}"));
    assert_null(strstr(strbuf_cstr(&out), "\"id\":399"));
    change_lab_close(&f);
}

#define TEXTS      "CREATE TABLE named (name TEXT PRIMARY KEY, v, w UNIQUE)"
#define CASELESS   "CREATE TABLE named (name TEXT PRIMARY KEY COLLATE NOCASE, v, w UNIQUE)"
#define PAIRS      "CREATE TABLE named (name TEXT, v, w, PRIMARY KEY (w, name))"
#define DESCENDING "CREATE TABLE named (w INTEGER PRIMARY KEY DESC, rowid TEXT, name, v)"
#define MIXED      "INSERT INTO named (name, v, w) SELECT 'k' || (x * 7 % 400), x, x FROM c"
#define FALLING    "INSERT INTO named (name, v, w) SELECT 'k' || x, x, 401 - x FROM c"
#define NULLS      "INSERT INTO named (name, v, w) SELECT CASE WHEN x % 5 THEN 'k' || x END, x, x FROM c"
#define SET_V      "UPDATE named SET v = 'v' || v"
#define PUT_BACK(which)                                                                                      \
    "CREATE TEMP TABLE kept AS SELECT * FROM named WHERE " which ";"                                         \
    "DELETE FROM named WHERE " which "; INSERT INTO named SELECT * FROM kept; DROP TABLE kept"

struct keyed {
    const char *schema, *rows, *write, *between; /* what somebody else does then */
    uint64_t done;                               /* rows, by one statement */
    const char *conflict;                        /* NULL: none */
};

static void open_keyed(struct change_lab *f, const struct keyed *k)
{
    change_lab_open(f);
    change_lab_sql(f, "DROP TABLE named");
    change_lab_sql(f, k->schema);
    char *rows = sqlite3_mprintf("%s%s", ROWS(400), k->rows);
    change_lab_sql(f, rows);
    sqlite3_free(rows);
}

/* Takes the write back; what a recorder hears of it, or takes, is in `out`. */
static uint64_t take_back(
    struct change_lab *f, struct str inverse, bool takes, char seen[200], struct strbuf *out)
{
    strbuf_init(out, 64 << 20);
    change_lab_begin(f);
    f->eng.recorder = takes ? &f->recorder : NULL;
    uint64_t conflicts = change_lab_apply(f, inverse, seen);
    f->eng.recorder = NULL;
    if (conflicts)
        recorder_release(&f->recorder);
    else
        change_lab_finish(f);
    strbuf_add_str(out, conflicts ? STR_EMPTY : strbuf_str(&f->set));
    return conflicts;
}

static void expect_keyed(const struct keyed *k)
{
    struct change_lab f, want;
    struct strbuf inverse, heard, taken;
    AUTO_STRBUF now;
    char seen[200];
    strbuf_init(&now, 64 << 20);
    open_keyed(&want, k);
    change_lab_sql(&want, k->conflict ? "" : k->between);
    change_lab_dump(&want, true, &want.before);
    open_keyed(&f, k);
    record(&f, k->write);
    change_lab_sql(&f, k->between);
    invert(&f, &inverse);
    change_lab_sql(&f, "SAVEPOINT tried");
    uint64_t done = bulk(&f);
    if (done != k->done)
        fail_msg("%d done: %s; %s; %s", (int)done, k->schema, k->write, k->between);
    change_lab_sql(&f, "ROLLBACK TO tried");
    (void)take_back(&f, strbuf_str(&inverse), false, seen, &heard);
    change_lab_sql(&f, "ROLLBACK TO tried; RELEASE tried");
    assert_int_equal(take_back(&f, strbuf_str(&inverse), true, seen, &taken), k->conflict ? 1 : 0);
    assert_string_equal(seen, k->conflict ? k->conflict : "");
    assert_true(str_eq(strbuf_str(&heard), strbuf_str(&taken)));
    change_lab_dump(&f, true, &now);
    if (!k->conflict && !str_eq(strbuf_str(&now), strbuf_str(&want.before)))
        fail_msg("%s; %s; %s", k->schema, k->write, k->between);
    strbuf_release(&inverse);
    strbuf_release(&heard);
    strbuf_release(&taken);
    change_lab_close(&f);
    change_lab_close(&want);
}

/* A table whose key is not its row id: the row of that id is taken if it has the key; one that has not is
 * looked for by its key, alone if no key changes. */
void test_change_bulk__knows_rows_by_id_and_key(void **state)
{
    static const struct keyed CASES[] = {
        {TEXTS, MIXED, SET_V, "", 400, NULL},
        {TEXTS, MIXED, "UPDATE named SET v = x'00', w = -w", "", 400, NULL},
        {TEXTS, MIXED, "UPDATE named SET name = name || '!'", "", 400, NULL},
        {CASELESS, MIXED, "UPDATE named SET name = upper(name), v = NULL", "", 400, NULL},
        {PAIRS, MIXED, SET_V, "", 400, NULL},
        {PAIRS, MIXED, "UPDATE named SET w = -w", "", 400, NULL},
        {DESCENDING, MIXED, SET_V, "", 400, NULL},
        {TEXTS, NULLS, SET_V, "", 400, NULL},
        {PAIRS, NULLS, SET_V " WHERE w % 3", "", 267, NULL},
        /* row ids that are others now */
        {TEXTS, MIXED, SET_V, "UPDATE named SET rowid = 9000 WHERE name = 'k5'", 399, NULL},
        {TEXTS, MIXED, SET_V, "UPDATE named SET rowid = -rowid; UPDATE named SET rowid = rowid + 401", 0,
            NULL},
        {PAIRS, MIXED, SET_V, "UPDATE named SET rowid = rowid + 400", 0, NULL},
        {TEXTS, MIXED, SET_V,
            "UPDATE named SET rowid = 0 WHERE rowid = 1; UPDATE named SET rowid = 1 WHERE rowid = 2;"
            "UPDATE named SET rowid = 2 WHERE rowid = 0",
            398, NULL},
        {CASELESS, MIXED, SET_V, PUT_BACK("rowid % 40 = 7"), 390, NULL},
        {TEXTS, MIXED, SET_V,
            "UPDATE named SET rowid = 0 WHERE rowid = 1; UPDATE named SET rowid = 1 WHERE rowid = 400", 398,
            NULL},
        /* keys that are spelled in another way, and others */
        {CASELESS, MIXED, SET_V, "UPDATE named SET name = upper(name) WHERE rowid = 400", 399, NULL},
        {TEXTS, MIXED, SET_V, "UPDATE named SET name = upper(name) WHERE rowid = 400", 399,
            "missing in named"},
        {TEXTS, NULLS, SET_V, "UPDATE named SET name = 'now' WHERE rowid = 400", 399, NULL},
        {TEXTS, NULLS, SET_V, "UPDATE named SET name = NULL WHERE rowid = 399", 399, "missing in named"},
        /* unique values that change places */
        {TEXTS, MIXED, "UPDATE named SET w = -w; UPDATE named SET w = -w - 1", "", 0, NULL},
        {TEXTS, MIXED, "UPDATE named SET w = -w; UPDATE named SET w = 401 + w", "", 0, NULL},
        {TEXTS, MIXED,
            "UPDATE named SET name = '-' || name; UPDATE named SET name = 'k' || (400 - substr(name, 3)) "
            "WHERE name <> '-k0'",
            "", 0, NULL},
        {TEXTS, FALLING, "UPDATE named SET w = -w; UPDATE named SET w = -w - 1", "", 400, NULL},
        {TEXTS, FALLING, "UPDATE named SET w = -w; UPDATE named SET w = -w - 1",
            "UPDATE named SET rowid = 9000 WHERE rowid = 200", 0, NULL},
        {TEXTS, FALLING, "UPDATE named SET w = -w; UPDATE named SET w = -w - 1",
            "UPDATE named SET rowid = 9000 WHERE rowid = 400", 399, NULL},
        /* rows that are others now */
        {TEXTS, MIXED, SET_V, "UPDATE named SET v = 'other' WHERE name = 'k77'", 399, "differs in named"},
        {PAIRS, MIXED, SET_V, "UPDATE named SET v = 'other' WHERE name = 'k77'", 399, "differs in named"},
        {TEXTS, MIXED, SET_V, "DELETE FROM named WHERE name = 'k77'", 399, "missing in named"},
        {TEXTS, MIXED, SET_V, "UPDATE named SET name = 'another' WHERE name = 'k77'", 399,
            "missing in named"},
        {TEXTS, MIXED, SET_V,
            "DELETE FROM named WHERE rowid = 9; UPDATE named SET rowid = 9 WHERE rowid = 400", 398,
            "missing in named"},
        {TEXTS, MIXED, "UPDATE named SET w = -w", "INSERT INTO named VALUES ('new', 0, 70)", 0,
            "constraint in named"},
        {TEXTS, MIXED, SET_V, "INSERT INTO named VALUES ('new', 0, 0)", 400, NULL},
        {TEXTS, MIXED, SET_V " WHERE rowid < 390", "UPDATE named SET w = w + 500", 389, NULL},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(CASES); i++)
        expect_keyed(&CASES[i]);
}

/* Nobody else can use its functions. */
void test_change_bulk__functions_need_the_set(void **state)
{
    struct change_lab f;
    (void)state;
    fill(&f);
    record(&f, "UPDATE plain SET b = 1");
    assert_true(bulk(&f));
    assert_int_equal(sqlite3_exec(f.eng.db, "SELECT _sys_changes(1, 2, 3)", NULL, NULL, NULL), SQLITE_ERROR);
    assert_int_equal(
        sqlite3_exec(f.eng.db, "SELECT _sys_change(NULL, 2, 3)", NULL, NULL, NULL), SQLITE_ERROR);
    change_lab_close(&f);
}
