/* Change sets of rows that exchange unique values or hand them round: written into the state before they give
 * the state after, their inverse the one before, in whatever order the rows stand. */
#include "lib/change_lab.h"
#include "lib/unit.h"

enum { MANY = 5000, STEPS = 1000, STEPS_PER_ROW_MAX = 1000 };

static void dump(struct change_lab *f, struct strbuf *out)
{
    strbuf_reset(out);
    change_lab_rows(f, "SELECT * FROM t ORDER BY 1, 2, 3", out);
    change_lab_rows(f, "SELECT * FROM kid ORDER BY id", out);
}

static void expect_apply(struct change_lab *f, struct str set, const struct strbuf *want)
{
    char seen[200];
    AUTO_STRBUF now;
    strbuf_init(&now, 64 << 20);
    if (change_lab_apply(f, set, seen))
        fail_msg("conflict: %s", seen);
    dump(f, &now);
    assert_string_equal(strbuf_cstr(&now), strbuf_cstr(want));
}

static void prepare(struct change_lab *f, const char *schema, const char *rows)
{
    change_lab_open(f);
    change_lab_sql(f, schema);
    if (!strstr(schema, "kid"))
        change_lab_sql(f, "CREATE TABLE kid (id INTEGER PRIMARY KEY, p, v)");
    change_lab_sql(f, rows);
}

static void record(struct change_lab *f, const char *write)
{
    change_lab_begin(f);
    change_lab_sql(f, write);
    change_lab_finish(f);
}

static int count_steps(void *arg)
{
    *(int64_t *)arg += STEPS;
    return 0;
}

/* There and back, twice. Steps of SQLite's machine that it took, by the thousand. */
static int64_t expect_exchange(const char *schema, const char *rows, const char *write)
{
    int64_t steps = 0;
    struct change_lab f;
    struct err err = ERR_INIT;
    AUTO_STRBUF inverse;
    strbuf_init(&inverse, 64 << 20);
    prepare(&f, schema, rows);
    dump(&f, &f.before);
    record(&f, write);
    dump(&f, &f.after);
    assert_string_not_equal(strbuf_cstr(&f.before), strbuf_cstr(&f.after));
    assert_int_equal(change_set_invert(strbuf_str(&f.set), &inverse, &err), ERR_OK);
    sqlite3_progress_handler(f.eng.db, STEPS, count_steps, &steps);
    for (int i = 0; i < 2; i++) {
        expect_apply(&f, strbuf_str(&inverse), &f.before);
        expect_apply(&f, strbuf_str(&f.set), &f.after);
    }
    sqlite3_progress_handler(f.eng.db, 0, NULL, NULL);
    change_lab_close(&f);
    return steps;
}

#define ROUND                                                                                                \
    "UPDATE t SET u = -1 WHERE u = 1; UPDATE t SET u = 1 WHERE u = 2; UPDATE t SET u = 2 WHERE u = 3;"       \
    "UPDATE t SET u = 3 WHERE u = -1"
#define THREE "INSERT INTO t VALUES (1, 1, 'x'), (2, 2, 'y'), (3, 3, 'z')"
#define NAMES "INSERT INTO t VALUES ('a', 1, 'x'), ('b', 2, 'y'), ('c', 3, 'z')"
#define SWAP_KEYS                                                                                            \
    "UPDATE t SET id = '-' WHERE id = 'a'; UPDATE t SET id = 'a' WHERE id = 'b';"                            \
    "UPDATE t SET id = 'b' WHERE id = '-'"
#define CHILDREN(action)                                                                                     \
    "CREATE TABLE t (id INTEGER PRIMARY KEY, u UNIQUE, v);"                                                  \
    "CREATE TABLE kid (id INTEGER PRIMARY KEY, p REFERENCES t (u) ON DELETE " action " ON UPDATE " action    \
    ", v)"
#define KIDS THREE "; INSERT INTO kid VALUES (1, 1, 'of 1'), (2, 2, 'of 2'), (3, 3, 'of 3'), (4, 1, 'also')"

void test_changeexchange__there_and_back(void **state)
{
    static const struct {
        const char *schema, *rows, *write;
    } CASES[] = {
        {"CREATE TABLE t (id INTEGER PRIMARY KEY, u UNIQUE, v)", THREE, ROUND},
        {"CREATE TABLE t (id INTEGER PRIMARY KEY, u UNIQUE, v)", THREE,
            "UPDATE t SET u = -u; UPDATE t SET u = 4 + u"},
        {"CREATE TABLE t (id INTEGER PRIMARY KEY, u UNIQUE ON CONFLICT REPLACE, v)", THREE, ROUND},
        {"CREATE TABLE t (id INTEGER PRIMARY KEY, u UNIQUE ON CONFLICT ROLLBACK, v)", THREE, ROUND},
        {"CREATE TABLE t (id PRIMARY KEY, u UNIQUE, v) WITHOUT ROWID", NAMES, ROUND},
        {"CREATE TABLE t (id PRIMARY KEY, u UNIQUE, v) WITHOUT ROWID", NAMES, SWAP_KEYS},
        {"CREATE TABLE t (id TEXT PRIMARY KEY, u, v)", NAMES, SWAP_KEYS},
        {"CREATE TABLE t (id TEXT PRIMARY KEY COLLATE NOCASE, u, v)", NAMES,
            SWAP_KEYS "; UPDATE t SET id = upper(id)"},
        {"CREATE TABLE t (id TEXT PRIMARY KEY COLLATE NOCASE, u, v) WITHOUT ROWID", NAMES,
            SWAP_KEYS "; UPDATE t SET id = upper(id)"},
        {"CREATE TABLE t (id, u, v); CREATE UNIQUE INDEX part ON t (u) WHERE v <> 'w'", THREE, ROUND},
        {"CREATE TABLE t (id, u, v); CREATE UNIQUE INDEX part ON t (u) WHERE v = 'x'",
            "INSERT INTO t VALUES (1, 1, 'x'), (2, 1, 'y')",
            "UPDATE t SET v = 'z' WHERE id = 1; UPDATE t SET v = 'x' WHERE id = 2"},
        {"CREATE TABLE t (id INTEGER PRIMARY KEY, u, v); CREATE UNIQUE INDEX ex ON t (u + 0, lower(v))",
            "INSERT INTO t VALUES (1, 1, 'x'), (2, 2, 'x'), (3, 3, 'X')", ROUND},
        {"CREATE TABLE t (id INTEGER PRIMARY KEY, u, v, twice AS (u * 2) UNIQUE)",
            "INSERT INTO t (id, u, v) VALUES (1, 1, 'x'), (2, 2, 'y'), (3, 3, 'z')", ROUND},
        {"CREATE TABLE t (id INTEGER PRIMARY KEY, u, v, UNIQUE (u, v))",
            "INSERT INTO t VALUES (1, 1, 'x'), (2, 2, 'x'), (3, 3, 'x')", ROUND},
        {"CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, u UNIQUE NOT NULL, v)", THREE,
            ROUND "; INSERT INTO t VALUES (4, 4, 'w'); UPDATE t SET u = 9 WHERE id = 1; UPDATE t SET u = 3 "
                  "WHERE id = 4"},
        {"CREATE TABLE t (id INTEGER PRIMARY KEY, u UNIQUE, v)", THREE,
            "DELETE FROM t WHERE id = 2; UPDATE t SET u = 2 WHERE id = 1; INSERT INTO t VALUES (2, 1, "
            "'new')"},
        {CHILDREN("CASCADE"), KIDS, ROUND},
        {CHILDREN("CASCADE"), KIDS, "UPDATE t SET u = u + 10; UPDATE t SET u = u - 9"},
        {CHILDREN("CASCADE"), KIDS,
            "UPDATE t SET u = 4 WHERE u = 3; UPDATE t SET u = 3 WHERE u = 2; UPDATE t SET u = 2 WHERE u = 1"},
        {CHILDREN("SET NULL"), KIDS, ROUND},
        {CHILDREN("RESTRICT"), THREE "; INSERT INTO kid VALUES (1, 3, 'of 3')",
            "UPDATE t SET u = -1 WHERE u = 1; UPDATE t SET u = 1 WHERE u = 2; UPDATE t SET u = 2 WHERE u = "
            "-1"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(CASES); i++)
        (void)expect_exchange(CASES[i].schema, CASES[i].rows, CASES[i].write);
}

/* Each row takes the place of the next, so that only the last can go at once: still each is visited a few
 * times, not as often as there are rows. */
void test_changeexchange__chains_cost_little(void **state)
{
    char rows[200];
    (void)state;
    str_print(rows, sizeof rows,
        "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < %d) INSERT INTO t SELECT "
        "x, x, 'v' FROM c",
        MANY);
    int64_t steps = expect_exchange("CREATE TABLE t (id INTEGER PRIMARY KEY, u UNIQUE, v)", rows,
        "UPDATE t SET u = -u; UPDATE t SET u = 1 - u");
    assert_in_range(steps, 1, (int64_t)MANY * STEPS_PER_ROW_MAX);
    steps = expect_exchange("CREATE TABLE t (id TEXT PRIMARY KEY, u, v)", rows,
        "UPDATE t SET u = u + 1, id = '-' || id; UPDATE t SET id = substr(id, 2) + 1");
    assert_in_range(steps, 1, (int64_t)MANY * STEPS_PER_ROW_MAX);
}

static void count_table(void *arg, struct str table)
{
    (void)table;
    ++*(int *)arg;
}

/* A change set says which keys its rows have: none is the next that was free, though it may be the highest,
 * and be put in anew. A statement after it gets one of those. */
void test_changeexchange__keys_are_given(void **state)
{
    static const struct {
        const char *write, *after;
        int given_next; /* tables that got a key that nobody gave */
    } CASES[] = {
        {ROUND, "", 0},
        {"DELETE FROM t WHERE id > 1", "", 0},
        {"DELETE FROM t", "", 0},
        {ROUND, "INSERT INTO t (u) VALUES (9)", 1},
        {"DELETE FROM t WHERE id > 1", "INSERT INTO t (u) VALUES (9)", 1},
        {"UPDATE t SET v = 'w'", "INSERT INTO t VALUES (-1, 9, 'x')", 0},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(CASES); i++) {
        struct change_lab f;
        struct err err = ERR_INIT;
        char seen[200];
        int count = 0;
        AUTO_STRBUF inverse;
        strbuf_init(&inverse, 1 << 20);
        prepare(&f, "CREATE TABLE t (id INTEGER PRIMARY KEY, u UNIQUE, v)", THREE);
        record(&f, CASES[i].write);
        assert_int_equal(change_set_invert(strbuf_str(&f.set), &inverse, &err), ERR_OK);
        change_lab_begin(&f);
        f.eng.recorder = &f.recorder;
        assert_int_equal(change_lab_apply(&f, strbuf_str(&inverse), seen), 0);
        f.eng.recorder = NULL;
        change_lab_sql(&f, CASES[i].after);
        recorder_auto_keys(&f.recorder, count_table, &count);
        if (count != CASES[i].given_next)
            fail_msg("%d: %s; %s", count, CASES[i].write, CASES[i].after);
        change_lab_finish(&f);
        change_lab_close(&f);
    }
}

/* What is really in the way is told, and nothing else is. */
void test_changeexchange__tells_the_row_in_the_way(void **state)
{
    static const struct {
        const char *then, *want;
        uint64_t conflicts;
    } CASES[] = {
        {"UPDATE t SET v = 'w' WHERE id = 1", "", 0},
        {"UPDATE t SET u = 9 WHERE id = 3", "differs in t", 1},
        {"DELETE FROM t WHERE id = 3; INSERT INTO t VALUES (7, 3, 'w')", "missing in t", 2},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(CASES); i++) {
        struct change_lab f;
        char seen[200];
        prepare(&f, "CREATE TABLE t (id INTEGER PRIMARY KEY, u UNIQUE, v)", THREE);
        change_lab_sql(&f, "SAVEPOINT s");
        record(&f, ROUND);
        change_lab_sql(&f, "ROLLBACK TO s; RELEASE s");
        change_lab_sql(&f, CASES[i].then);
        dump(&f, &f.before);
        assert_int_equal(change_lab_apply(&f, strbuf_str(&f.set), seen), CASES[i].conflicts);
        if (CASES[i].conflicts < 2)
            assert_string_equal(seen, CASES[i].want);
        dump(&f, &f.after);
        if (CASES[i].conflicts) /* all was taken back */
            assert_string_equal(strbuf_cstr(&f.before), strbuf_cstr(&f.after));
        change_lab_close(&f);
    }
}
