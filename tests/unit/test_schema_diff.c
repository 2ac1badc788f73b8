/* Differences of schemas: what is told, and that the statements, run on the one, make it the other. */
#include "branch/schema_diff.h"
#include "base/str.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <sqlite3.h>

static struct arena arena;

int setup_schemadiff(void **state)
{
    (void)state;
    arena_init(&arena, 1 << 20);
    return 0;
}

int teardown_schemadiff(void **state)
{
    (void)state;
    arena_release(&arena);
    return 0;
}

static void run(sqlite3 *db, const char *sql)
{
    char *message = NULL;
    if (sqlite3_exec(db, sql, NULL, NULL, &message) != SQLITE_OK)
        fail_msg("%s: %s", message, sql);
}

static sqlite3 *made(const char *sql)
{
    sqlite3 *db;
    assert_int_equal(sqlite3_open(":memory:", &db), SQLITE_OK);
    run(db, sql);
    return db;
}

static struct str column(sqlite3_stmt *stmt, int at)
{
    return arena_copy(&arena, str_of((const char *)sqlite3_column_text(stmt, at)));
}

static struct schema_object *schema_of(sqlite3 *db)
{
    static const char SQL[] = "SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE sql IS NOT NULL"
                              " AND name NOT LIKE 'sqlite_%' AND name NOT IN (SELECT name FROM"
                              " pragma_table_list WHERE type = 'shadow') ORDER BY sqlite_schema.rowid";
    struct schema_object *list = NULL, **end = &list;
    sqlite3_stmt *stmt;
    assert_int_equal(sqlite3_prepare_v2(db, SQL, -1, &stmt, NULL), SQLITE_OK);
    while (sqlite3_step(stmt) == SQLITE_ROW) {
        struct schema_object *o = ARENA_NEW(&arena, struct schema_object);
        struct str type = column(stmt, 0);
        for (unsigned k = 0; k < SCHEMA_KIND_COUNT; k++)
            if (str_eq(type, str_of(schema_kind_name((enum schema_kind)k))))
                o->kind = (enum schema_kind)k;
        o->name = column(stmt, 1);
        o->table = column(stmt, 2);
        o->sql = column(stmt, 3);
        *end = o;
        end = &o->next;
    }
    assert_int_equal(sqlite3_finalize(stmt), SQLITE_OK);
    return list;
}

static int count(const struct schema_change *list)
{
    int n = 0;
    for (; list; list = list->next)
        n++;
    return n;
}

static int by_hand(const struct schema_change *list)
{
    int n = 0;
    for (; list; list = list->next)
        n += list->by_hand != NULL;
    return n;
}

struct side {
    const char *base, *parent, *branch; /* what made the first, and what each side did to it */
};

struct sides {
    sqlite3 *base, *parent, *branch;
};

static struct sides open_sides(const struct side *s)
{
    struct sides out = {made(s->base), made(s->base), made(s->base)};
    run(out.parent, s->parent);
    run(out.branch, s->branch);
    return out;
}

static void close_sides(const struct sides *s)
{
    assert_int_equal(sqlite3_close(s->base), SQLITE_OK);
    assert_int_equal(sqlite3_close(s->parent), SQLITE_OK);
    assert_int_equal(sqlite3_close(s->branch), SQLITE_OK);
}

static struct schema_diff compare(const struct sides *s, bool base_unknown)
{
    struct schema_diff d;
    const struct schema_sides in = {.base = base_unknown ? NULL : schema_of(s->base),
        .base_unknown = base_unknown,
        .parent = schema_of(s->parent),
        .branch = schema_of(s->branch)};
    assert_int_equal(schema_diff(&arena, &in, &d, NULL), ERR_OK);
    assert_int_equal(by_hand(d.added) + by_hand(d.changed) + by_hand(d.removed), d.by_hand);
    return d;
}

static void run_statements(sqlite3 *db, const struct schema_diff *d)
{
    for (const struct schema_statement *s = d->statements; s; s = s->next)
        run(db, arena_printf(&arena, STR_FMT, STR_ARG(s->sql)).ptr);
}

/* Runs `then` on the branch, and the statements of the difference on the parent. */
static void expect(const char *both, const char *then, int added, int changed, int removed, int hands)
{
    const struct side side = {both, "", then};
    struct sides s = open_sides(&side);
    struct schema_diff d = compare(&s, false);
    assert_int_equal(count(d.added), added);
    assert_int_equal(count(d.changed), changed);
    assert_int_equal(count(d.removed), removed);
    if (d.by_hand != hands)
        fail_msg("%s | %s: %d by hand, " STR_FMT, both, then, d.by_hand,
            STR_ARG(d.changed ? d.changed->branch->sql : STR_EMPTY));
    run_statements(s.parent, &d);
    d = compare(&s, false);
    assert_null(d.added);
    assert_null(d.removed);
    if (count(d.changed) != hands)
        fail_msg("%s | %s: " STR_FMT " is still to be " STR_FMT, both, then, STR_ARG(d.changed->parent->sql),
            STR_ARG(d.changed->branch->sql));
    close_sides(&s);
}

/* `told`: the statements, each behind a line break. */
static void expect_told(const struct side *side, bool base_unknown, const char *told, int hands)
{
    struct sides s = open_sides(side);
    struct schema_diff d = compare(&s, base_unknown);
    struct str all = STR_EMPTY;
    for (const struct schema_statement *t = d.statements; t; t = t->next)
        all = arena_printf(&arena, STR_FMT "\n" STR_FMT, STR_ARG(all), STR_ARG(t->sql));
    if (!str_eq(all, str_of(told)) || d.by_hand != hands)
        fail_msg("%s | %s | %s: %d by hand, " STR_FMT, side->base, side->parent, side->branch, d.by_hand,
            STR_ARG(all));
    if (!hands) {
        run_statements(s.parent, &d);
        d = compare(&s, base_unknown);
        assert_null(d.statements); /* merged twice is merged once */
        if (d.by_hand)
            fail_msg("%s | %s: then %s %s", side->base, side->branch, d.changed->by_hand,
                d.changed->parent->sql.ptr);
    }
    close_sides(&s);
}

static const struct {
    const char *both, *then;
    int added, changed, removed, by_hand;
} ONE_SIDE[] = {
    {"CREATE TABLE t(a)", "", 0, 0, 0, 0},
    {"",
        "CREATE TABLE t(a); CREATE INDEX i ON t(a); CREATE VIEW v AS SELECT * FROM t; CREATE VIEW w AS "
        "SELECT * FROM v",
        4, 0, 0, 0},
    {"CREATE TABLE t(a); CREATE INDEX i ON t(a); CREATE TRIGGER r AFTER INSERT ON t BEGIN SELECT 1; END",
        "DROP TABLE t", 0, 0, 3, 0},
    {"CREATE TABLE t(a, b)", "ALTER TABLE t ADD COLUMN c", 0, 1, 0, 0},
    {"CREATE TABLE t(a, b, PRIMARY KEY (a, b))",
        "ALTER TABLE t ADD COLUMN c INT DEFAULT (1); ALTER TABLE t ADD COLUMN d TEXT", 0, 1, 0, 0},
    {"CREATE TABLE t(a INT, b INT) STRICT", "ALTER TABLE t ADD COLUMN c TEXT DEFAULT 'x, (y'", 0, 1, 0, 0},
    {"CREATE TABLE t(aa, ab)", "ALTER TABLE t ADD COLUMN ab_c CHECK (ab_c IN (1, 2))", 0, 1, 0, 0},
    {"CREATE TABLE t(a)", "ALTER TABLE t ADD COLUMN \"primary, key\" REFERENCES t(a)", 0, 1, 0, 0},
    {"CREATE TABLE t(a)", "ALTER TABLE t ADD COLUMN primary_colour", 0, 1, 0, 0},
    {"CREATE TABLE t(a, b)", "ALTER TABLE t RENAME COLUMN a TO c", 0, 1, 0, 0},
    {"CREATE TABLE t(a, b)", "ALTER TABLE t RENAME COLUMN b TO c", 0, 1, 0, 1},
    {"CREATE TABLE t(a, b)", "ALTER TABLE t DROP COLUMN b; ALTER TABLE t ADD COLUMN c", 0, 1, 0, 1},
    {"CREATE TABLE t(a, b, c)",
        "ALTER TABLE t DROP b; ALTER TABLE t DROP c; ALTER TABLE t ADD d; ALTER TABLE t ADD e", 0, 1, 0, 1},
    {"CREATE TABLE t(a, b)", "ALTER TABLE t RENAME COLUMN b TO B", 0, 1, 0, 0},
    {"CREATE TABLE t(a, b)", "ALTER TABLE t DROP COLUMN b", 0, 1, 0, 0},
    {"CREATE TABLE t(a)", "DROP TABLE t; CREATE TABLE t(a, CHECK (a > 1))", 0, 1, 0, 0},
    {"CREATE TABLE t(a)", "DROP TABLE t; CREATE TABLE t(a, UNIQUE (a))", 0, 1, 0, 0},
    {"CREATE TABLE t(a)", "DROP TABLE t; CREATE TABLE t(a TEXT)", 0, 1, 0, 0},
    {"CREATE TABLE t(a, b INT, c, CHECK (b > 0)); CREATE INDEX i ON t(b); CREATE VIEW v AS SELECT b FROM "
     "t;"
     " CREATE TRIGGER r AFTER UPDATE OF b ON t BEGIN SELECT new.b; END; CREATE TABLE u(x REFERENCES "
     "t(b))",
        "ALTER TABLE t RENAME COLUMN b TO \"B b\"; ALTER TABLE t ADD COLUMN d", 0, 5, 0, 0},
    {"CREATE TABLE t(a, b, c)", "ALTER TABLE t RENAME a TO x; ALTER TABLE t RENAME b TO z", 0, 1, 0, 0},
    {"CREATE TABLE t(a, b, c, UNIQUE (b))", "ALTER TABLE t DROP a; ALTER TABLE t DROP c; ALTER TABLE t ADD d",
        0, 1, 0, 1},
    {"CREATE TABLE t(a, b, c, UNIQUE (b))", "ALTER TABLE t DROP a; ALTER TABLE t ADD d", 0, 1, 0, 0},
    {"CREATE TABLE x(id, p, q)",
        "ALTER TABLE x RENAME p TO t; ALTER TABLE x RENAME q TO p; ALTER TABLE x RENAME t TO q", 0, 1, 0, 1},
    {"CREATE TABLE x(p, q)", "ALTER TABLE x RENAME p TO r; ALTER TABLE x RENAME q TO p", 0, 1, 0, 1},
    {"CREATE TABLE t(a, b, c)", "ALTER TABLE t DROP b; ALTER TABLE t ADD b", 0, 1, 0, 1},
    {"CREATE TABLE t(a, b, c)", "DROP TABLE t; CREATE TABLE t(n, a TEXT, c)", 0, 1, 0, 1},
    {"CREATE TABLE t(a, b, c)", "DROP TABLE t; CREATE TABLE t(a TEXT, c)", 0, 1, 0, 0},
    {"CREATE TABLE t(a, b)", "DROP TABLE t; CREATE TABLE t(n, a TEXT, b, m)", 0, 1, 0, 0},
    {"CREATE TABLE t(a, b); CREATE INDEX i ON t(b); CREATE VIEW v AS SELECT b FROM t",
        "DROP VIEW v; DROP INDEX i; ALTER TABLE t DROP b", 0, 1, 2, 0},
    {"CREATE TABLE t(a, b UNIQUE, c); CREATE INDEX i ON t(a); CREATE INDEX j ON t(c)",
        "CREATE TABLE n(a, b); DROP TABLE t; ALTER TABLE n RENAME TO t; CREATE INDEX i ON t(a)", 0, 1, 1, 0},
    {"CREATE TABLE \"a\"\"b\"(x INTEGER PRIMARY KEY, y AS (x + 1), z); CREATE VIEW v AS SELECT z FROM "
     "\"a\"\"b\";"
     " CREATE VIEW w AS SELECT * FROM v; CREATE TRIGGER r INSTEAD OF INSERT ON w BEGIN SELECT 1; END",
        "DROP VIEW w; DROP VIEW v; DROP TABLE \"a\"\"b\"; CREATE TABLE \"a\"\"b\"(x INTEGER PRIMARY KEY, "
        "y AS (x + 2), z);"
        " CREATE VIEW v AS SELECT z FROM \"a\"\"b\"; CREATE VIEW w AS SELECT * FROM v;"
        " CREATE TRIGGER r INSTEAD OF INSERT ON w BEGIN SELECT 1; END",
        0, 1, 0, 0},
    {"CREATE VIEW v AS SELECT 1 AS a; CREATE TRIGGER r INSTEAD OF INSERT ON v BEGIN SELECT 1; END",
        "DROP VIEW v; CREATE VIEW v AS SELECT 2 AS a; CREATE TRIGGER r INSTEAD OF INSERT ON v BEGIN "
        "SELECT 1; END",
        0, 1, 0, 0},
    {"CREATE TABLE t(a PRIMARY KEY); CREATE TABLE u(a REFERENCES t)",
        "DROP TABLE u; DROP TABLE t; CREATE TABLE t(a TEXT PRIMARY KEY); CREATE TABLE u(a REFERENCES t)", 0,
        1, 0, 1},
    {"CREATE TABLE t(a); CREATE TABLE t__new(a)", "DROP TABLE t; CREATE TABLE t(a TEXT)", 0, 1, 0, 1},
    {"CREATE TABLE t(a)", "DROP TABLE t; CREATE TABLE t(b TEXT)", 0, 1, 0, 1},
    {"CREATE TABLE t(a, b)", "DROP TABLE t; CREATE TABLE t(b, a)", 0, 1, 0, 1},
    {"CREATE TABLE t(a, b); CREATE INDEX i ON t(a); CREATE VIEW v AS SELECT a FROM t",
        "DROP INDEX i; CREATE INDEX i ON t(b); DROP VIEW v; CREATE VIEW v AS SELECT b FROM t", 0, 2, 0, 0},
    {"CREATE TABLE t(a); CREATE TABLE u(a REFERENCES t(a))", "DROP TABLE u; DROP TABLE t", 0, 0, 2, 0},
    {"CREATE TABLE \"a\"\"b\"(x); CREATE INDEX \"i j\" ON \"a\"\"b\"(x)",
        "DROP INDEX \"i j\"; ALTER TABLE \"a\"\"b\" ADD COLUMN y", 0, 1, 1, 0},
};

void test_schemadiff__statements_make_the_one_the_other(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(ONE_SIDE); i++)
        expect(ONE_SIDE[i].both, ONE_SIDE[i].then, ONE_SIDE[i].added, ONE_SIDE[i].changed,
            ONE_SIDE[i].removed, ONE_SIDE[i].by_hand);
}

static const struct {
    struct side side;
    const char *told;
    int by_hand;
} BOTH_SIDES[] = {
    {{"", "CREATE TABLE t1(a)", "CREATE TABLE t2(a)"}, "\nCREATE TABLE t2(a)", 0},
    {{"CREATE TABLE t(a)", "ALTER TABLE t ADD COLUMN b", ""}, "", 0},
    {{"CREATE TABLE t(a)", "ALTER TABLE t RENAME COLUMN a TO b", ""}, "", 0},
    {{"CREATE TABLE t(a)", "DROP TABLE t", ""}, "", 0},
    {{"CREATE TABLE t(a)", "DROP TABLE t", "DROP TABLE t"}, "", 0},
    {{"CREATE TABLE t(a)", "ALTER TABLE t ADD COLUMN b", "ALTER TABLE t ADD COLUMN b"}, "", 0},
    {{"CREATE TABLE t(a)", "ALTER TABLE t ADD COLUMN b", "ALTER TABLE t ADD COLUMN c"},
        "\nALTER TABLE \"t\" ADD COLUMN c", 0},
    {{"CREATE TABLE t(a)", "ALTER TABLE t ADD COLUMN b",
         "ALTER TABLE t ADD COLUMN b; ALTER TABLE t ADD COLUMN c"},
        "\nALTER TABLE \"t\" ADD COLUMN c", 0},
    {{"CREATE TABLE t(a)", "ALTER TABLE t ADD COLUMN b INT", "ALTER TABLE t ADD COLUMN \"B\" TEXT"}, "", 1},
    {{"CREATE TABLE t(a)", "ALTER TABLE t RENAME COLUMN a TO b", "ALTER TABLE t ADD COLUMN c"}, "", 1},
    {{"", "CREATE TABLE t(a)", "CREATE TABLE t(a, b)"}, "\nALTER TABLE \"t\" ADD COLUMN b", 0},
    {{"", "CREATE TABLE t(a, b)", "CREATE TABLE t(a)"}, "", 0},
    {{"", "CREATE TABLE t(a)", "CREATE TABLE t(b)"}, "", 1},
    {{"CREATE TABLE t(a)", "DROP TABLE t", "ALTER TABLE t ADD COLUMN c"}, "", 1},
    {{"CREATE TABLE t(a)", "ALTER TABLE t ADD COLUMN c", "DROP TABLE t"}, "", 1},
    {{"CREATE TABLE t(a)", "CREATE INDEX i ON t(a)", "DROP TABLE t"}, "", 1},
    {{"CREATE TABLE t(a); CREATE INDEX i ON t(a)", "DROP INDEX i", "DROP TABLE t"}, "\nDROP TABLE \"t\"", 0},
    {{"CREATE VIEW v AS SELECT 1", "DROP VIEW v; CREATE VIEW v AS SELECT 2", ""}, "", 0},
    {{"CREATE VIEW v AS SELECT 1", "DROP VIEW v; CREATE VIEW v AS SELECT 2",
         "DROP VIEW v; CREATE VIEW v AS SELECT 3"},
        "", 1},
    {{"CREATE VIEW v AS SELECT 1", "", "DROP VIEW v; CREATE VIEW v AS SELECT 3"},
        "\nDROP VIEW \"v\"\nCREATE VIEW v AS SELECT 3", 0},
    {{"CREATE TABLE t(a, z); CREATE TABLE u(a)", "",
         "ALTER TABLE t RENAME COLUMN a TO b; CREATE INDEX i ON t(b); CREATE VIEW v AS SELECT b FROM t;"
         " CREATE INDEX j ON u(a); CREATE TABLE w(a)"},
        "\nCREATE TABLE w(a)\nALTER TABLE \"t\" RENAME COLUMN \"a\" TO b\nCREATE INDEX i ON t(b)\n"
        "CREATE INDEX j ON u(a)\nCREATE VIEW v AS SELECT b FROM t",
        0},
    {{"CREATE TABLE t(a); CREATE TABLE u(a); CREATE TABLE x(a PRIMARY KEY); CREATE TABLE y(a REFERENCES "
      "x)",
         "",
         "DROP TABLE y; DROP TABLE x; CREATE TABLE x(a PRIMARY KEY CHECK (a > 0)); CREATE TABLE y(a "
         "REFERENCES x);"
         " CREATE VIEW v AS SELECT a FROM t; CREATE INDEX j ON u(a); CREATE INDEX k ON x(a)"},
        "\nCREATE INDEX j ON u(a)", 1},
    {{"CREATE TABLE t(a, b); CREATE INDEX i ON t(a); CREATE VIEW v AS SELECT a FROM t",
         "CREATE INDEX ours ON t(b)",
         "DROP VIEW v; DROP TABLE t; CREATE TABLE t(a INT, b, c AS (a)); CREATE INDEX i ON t(a);"
         " CREATE VIEW v AS SELECT a FROM t"},
        "\nDROP VIEW \"v\"\nCREATE TABLE \"t__new\"(a INT, b, c AS (a))\nINSERT INTO \"t__new\" (rowid, "
        "\"a\", "
        "\"b\") "
        "SELECT rowid, \"a\", \"b\" FROM \"t\"\nDROP TABLE \"t\"\nALTER TABLE \"t__new\" RENAME TO "
        "\"t\"\nCREATE INDEX i ON "
        "t(a)\nCREATE INDEX ours ON t(b)\nCREATE VIEW v AS SELECT a FROM t",
        0},
    {{"CREATE TABLE p(id PRIMARY KEY, v); CREATE INDEX i ON p(v); CREATE TABLE c(p REFERENCES p(id))", "",
         "ALTER TABLE p RENAME TO pp; CREATE TABLE n(a)"},
        "\nCREATE TABLE n(a)", 2},
    {{"CREATE TABLE p(id, v)", "", "ALTER TABLE p RENAME TO q; ALTER TABLE q ADD w; CREATE INDEX i ON q(v)"},
        "", 1},
    {{"CREATE TABLE p(v INT, w)", "", "DROP TABLE p; CREATE TABLE q(a INT, b)"}, "", 1},
    {{"CREATE TABLE p(id, v)", "", "CREATE TABLE q AS SELECT * FROM p; DROP TABLE p"}, "", 1},
    {{"CREATE TABLE p(id, v)", "CREATE TABLE q(id, v)", "ALTER TABLE p RENAME TO q"}, "", 1},
    {{"CREATE TABLE p(id, v)", "ALTER TABLE p RENAME TO q", "ALTER TABLE p RENAME TO q"}, "", 0},
    {{"CREATE TABLE p(id, v)", "DROP TABLE p", "ALTER TABLE p RENAME TO q"}, "\nCREATE TABLE \"q\"(id, v)",
        0},
    {{"CREATE TABLE p(id, v, w)", "", "DROP TABLE p; CREATE TABLE q(id, a INT, b)"},
        "\nDROP TABLE \"p\"\nCREATE TABLE q(id, a INT, b)", 0},
    {{"CREATE TABLE q(id PRIMARY KEY); CREATE TABLE d(pid REFERENCES q(id) ON DELETE CASCADE, note)", "",
         "DROP TABLE d; DROP TABLE q; CREATE TABLE d(pid, note)"},
        "\nCREATE TABLE \"d__new\"(pid, note)\nINSERT INTO \"d__new\" (rowid, \"pid\", \"note\") SELECT "
        "rowid, "
        "\"pid\", \"note\" FROM \"d\"\nDROP TABLE \"d\"\nALTER TABLE \"d__new\" RENAME TO \"d\"",
        1},
    {{"CREATE TABLE q(id PRIMARY KEY); CREATE TABLE d(pid REFERENCES q(id))", "", "DROP TABLE q"}, "", 1},
    {{"CREATE TABLE a(id PRIMARY KEY)", "CREATE TABLE kid(a REFERENCES 'a')", "DROP TABLE a"}, "", 1},
    {{"CREATE TABLE \"a\"\"b\"(id PRIMARY KEY); CREATE TABLE kid(a REFERENCES \"a\"\"b\")", "",
         "DROP TABLE \"a\"\"b\""},
        "", 1},
    {{"CREATE TABLE a(id PRIMARY KEY, a REFERENCES a); CREATE TABLE b(a PRIMARY KEY REFERENCES a); "
      "CREATE TABLE c(b REFERENCES b)",
         "", "DROP TABLE c; DROP TABLE b; DROP TABLE a"},
        "\nDROP TABLE \"c\"\nDROP TABLE \"b\"\nDROP TABLE \"a\"", 0},
    {{"CREATE TABLE a(id PRIMARY KEY); CREATE TABLE b(a PRIMARY KEY REFERENCES a); "
      "CREATE TABLE c(b REFERENCES b)",
         "", "DROP TABLE b; DROP TABLE a"},
        "", 2},
    {{"CREATE VIRTUAL TABLE f USING fts5(p)", "DROP TABLE f; CREATE VIRTUAL TABLE f USING fts5(p, r)",
         "DROP TABLE f; CREATE VIRTUAL TABLE f USING fts5(p, q)"},
        "", 1},
    {{"", "CREATE VIRTUAL TABLE f USING fts5(p)", "CREATE VIRTUAL TABLE f USING fts5(p, q)"}, "", 1},
    {{"CREATE VIRTUAL TABLE f USING fts5(a)", "", "ALTER TABLE f RENAME TO g"}, "", 1},
};

void test_schemadiff__only_what_the_branch_did(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(BOTH_SIDES); i++)
        expect_told(&BOTH_SIDES[i].side, false, BOTH_SIDES[i].told, BOTH_SIDES[i].by_hand);
}

void test_schemadiff__an_unknown_start_removes_nothing(void **state)
{
    static const struct {
        struct side side;
        const char *told;
        int by_hand;
    } ROWS[] = {
        {{"CREATE TABLE t(a)", "CREATE TABLE t1(a)", "CREATE TABLE t2(a)"}, "\nCREATE TABLE t2(a)", 0},
        {{"CREATE TABLE t(a)", "", "DROP TABLE t"}, "", 0},
        {{"CREATE TABLE t(a)", "ALTER TABLE t ADD COLUMN b", ""}, "", 0},
        {{"CREATE TABLE t(a)", "", "ALTER TABLE t ADD COLUMN b"}, "\nALTER TABLE \"t\" ADD COLUMN b", 0},
        {{"CREATE TABLE t(a, z)", "", "ALTER TABLE t RENAME COLUMN a TO b"}, "", 1},
        {{"CREATE VIEW v AS SELECT 1", "", "DROP VIEW v; CREATE VIEW v AS SELECT 3"},
            "\nDROP VIEW \"v\"\nCREATE VIEW v AS SELECT 3", 0},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++)
        expect_told(&ROWS[i].side, true, ROWS[i].told, ROWS[i].by_hand);
}

/* Why a table that was made otherwise has no statement. */
void test_schemadiff__reasons(void **state)
{
    static const struct {
        const char *both, *then, *reason;
    } ROWS[] = {
        {"CREATE TABLE t(a); CREATE TABLE t__new(a)", "DROP TABLE t; CREATE TABLE t(a TEXT)", "__new"},
        {"CREATE TABLE t(a PRIMARY KEY); CREATE TABLE u(a REFERENCES t)",
            "DROP TABLE t; CREATE TABLE t(a TEXT PRIMARY KEY)", "other tables refer to it"},
        {"CREATE TABLE t(a, b)", "DROP TABLE t; CREATE TABLE t(b, a)", "in another order"},
        {"CREATE VIRTUAL TABLE f USING fts5(p)",
            "DROP TABLE f; CREATE VIRTUAL TABLE f USING fts5(p, q, tokenize='porter')", "virtual table"},
        {"CREATE TABLE f(p)", "DROP TABLE f; CREATE VIRTUAL TABLE f USING fts5(p)", "virtual table"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        const struct side side = {ROWS[i].both, "", ROWS[i].then};
        struct sides s = open_sides(&side);
        struct schema_diff d = compare(&s, false);
        assert_int_equal(d.by_hand, 1);
        assert_non_null(d.changed);
        assert_non_null(strstr(d.changed->by_hand, ROWS[i].reason));
        close_sides(&s);
    }
}

/* A table that was made anew counts on where it stood. */
void test_schemadiff__counters_go_on(void **state)
{
    const struct side side = {"CREATE TABLE t(id INTEGER PRIMARY KEY AUTOINCREMENT, v)",
        "INSERT INTO t VALUES (3, 'a'), (100, 'b'); DELETE FROM t WHERE id = 100",
        "DROP TABLE t; CREATE TABLE t(id INTEGER PRIMARY KEY AUTOINCREMENT, v TEXT)"};
    struct sides s = open_sides(&side);
    struct schema_diff d = compare(&s, false);
    (void)state;
    assert_int_equal(d.by_hand, 0);
    run_statements(s.parent, &d);
    run(s.parent, "INSERT INTO t (v) VALUES ('c')");
    assert_int_equal(sqlite3_last_insert_rowid(s.parent), 101);
    run(s.parent,
        "CREATE TABLE once(n CHECK (n = 1)); INSERT INTO once SELECT count(*) FROM sqlite_sequence");
    close_sides(&s);
}
