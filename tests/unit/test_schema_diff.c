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
                              " AND name NOT LIKE 'sqlite_%' ORDER BY rowid";
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

/* Runs `then` on the branch, and the statements of the difference on the parent. */
static void expect(const char *both, const char *then, int added, int changed, int removed, int by_hand)
{
    sqlite3 *parent = made(both), *branch = made(both);
    struct schema_diff d;
    run(branch, then);
    assert_int_equal(schema_diff(&arena, schema_of(parent), schema_of(branch), &d, NULL), ERR_OK);
    assert_int_equal(count(d.added), added);
    assert_int_equal(count(d.changed), changed);
    assert_int_equal(count(d.removed), removed);
    assert_int_equal(d.by_hand, by_hand);
    for (const struct schema_statement *s = d.statements; s; s = s->next)
        run(parent, arena_printf(&arena, STR_FMT, STR_ARG(s->sql)).ptr);
    assert_int_equal(schema_diff(&arena, schema_of(parent), schema_of(branch), &d, NULL), ERR_OK);
    assert_null(d.added);
    assert_null(d.removed);
    assert_int_equal(count(d.changed), by_hand);
    assert_int_equal(sqlite3_close(parent), SQLITE_OK);
    assert_int_equal(sqlite3_close(branch), SQLITE_OK);
}

void test_schemadiff__statements_make_the_one_the_other(void **state)
{
    static const struct {
        const char *both, *then;
        int added, changed, removed, by_hand;
    } ROWS[] = {
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
        {"CREATE TABLE t(a INT, b INT) STRICT", "ALTER TABLE t ADD COLUMN c TEXT DEFAULT 'x, (y'", 0, 1, 0,
            0},
        {"CREATE TABLE t(aa, ab)", "ALTER TABLE t ADD COLUMN ab_c CHECK (ab_c IN (1, 2))", 0, 1, 0, 0},
        {"CREATE TABLE t(a)", "ALTER TABLE t ADD COLUMN \"primary, key\" REFERENCES t(a)", 0, 1, 0, 0},
        {"CREATE TABLE t(a)", "ALTER TABLE t ADD COLUMN primary_colour", 0, 1, 0, 0},
        {"CREATE TABLE t(a, b)", "ALTER TABLE t RENAME COLUMN b TO c", 0, 1, 0, 1},
        {"CREATE TABLE t(a, b)", "ALTER TABLE t DROP COLUMN b", 0, 1, 0, 1},
        {"CREATE TABLE t(a)", "DROP TABLE t; CREATE TABLE t(a, CHECK (a > 1))", 0, 1, 0, 1},
        {"CREATE TABLE t(a)", "DROP TABLE t; CREATE TABLE t(a, UNIQUE (a))", 0, 1, 0, 1},
        {"CREATE TABLE t(a)", "DROP TABLE t; CREATE TABLE t(a TEXT)", 0, 1, 0, 1},
        {"CREATE TABLE t(a, b); CREATE INDEX i ON t(a); CREATE VIEW v AS SELECT a FROM t",
            "DROP INDEX i; CREATE INDEX i ON t(b); DROP VIEW v; CREATE VIEW v AS SELECT b FROM t", 0, 2, 0,
            0},
        {"CREATE TABLE t(a); CREATE TABLE u(a REFERENCES t(a))", "DROP TABLE u; DROP TABLE t", 0, 0, 2, 0},
        {"CREATE TABLE \"a\"\"b\"(x); CREATE INDEX \"i j\" ON \"a\"\"b\"(x)",
            "DROP INDEX \"i j\"; ALTER TABLE \"a\"\"b\" ADD COLUMN y", 0, 1, 1, 0},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++)
        expect(ROWS[i].both, ROWS[i].then, ROWS[i].added, ROWS[i].changed, ROWS[i].removed, ROWS[i].by_hand);
}
