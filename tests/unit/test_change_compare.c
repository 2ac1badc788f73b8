/* Two databases side by side: what the comparison says leads from the first to the second, whatever was
 * written, also when some of it was merged before. */
#include "lib/change_lab.h"
#include "base/map.h"
#include "engine/change_compare.h"
#include "lib/unit.h"

#ifdef HF_DEBUG
enum { ROUNDS = 120 };
#else
enum { ROUNDS = 400 };
#endif

static void copy_into(struct change_lab *to, struct change_lab *from)
{
    sqlite3_backup *b = sqlite3_backup_init(to->eng.db, "main", from->eng.db, "main");
    assert_non_null(b);
    assert_int_equal(sqlite3_backup_step(b, -1), SQLITE_DONE);
    assert_int_equal(sqlite3_backup_finish(b), SQLITE_OK);
}

struct pair {
    struct change_lab base, now;
    struct arena arena;
    struct strbuf set, whole;
    struct comparison c;
};

static void pair_open(struct pair *p, uint64_t seed)
{
    change_lab_open(&p->base);
    change_lab_open(&p->now);
    p->base.seed += seed;
    p->now.seed += seed * 7919;
    arena_init(&p->arena, 16 << 20);
    strbuf_init(&p->set, 64 << 20);
    strbuf_init(&p->whole, 64 << 20);
    p->c = (struct comparison){.base = p->base.eng.db, .set = &p->set, .whole = &p->whole};
}

static void pair_close(struct pair *p)
{
    guard_release(&p->now.eng.guard);
    own_release(&p->now.eng);
    change_lab_close(&p->base);
    change_lab_close(&p->now);
    arena_release(&p->arena);
    strbuf_release(&p->set);
    strbuf_release(&p->whole);
}

static void writes(struct change_lab *f, uint64_t count)
{
    for (uint64_t n = 0; n < count; n++)
        (void)change_lab_write(f);
}

static void compare(struct pair *p)
{
    struct err err = ERR_INIT;
    struct op op = {
        .eng = &p->now.eng, .arena = &p->arena, .call = {.role = WIRE_ROLE_ADMIN, .deadline_us = INT64_MAX}};
    strbuf_reset(&p->set);
    strbuf_reset(&p->whole);
    p->c.notes = NULL;
    enum err_code code = change_compare(&op, &p->c, &err);
    if (code)
        fail_msg("%s", err.message);
    assert_int_equal(change_set_check(strbuf_str(&p->set), &err), ERR_OK);
    assert_int_equal(change_set_check(strbuf_str(&p->whole), &err), ERR_OK);
}

static uint64_t rows_of(struct str set)
{
    uint64_t rows;
    assert_int_equal(change_set_count(set, &rows, NULL), ERR_OK);
    return rows;
}

/* Without triggers, so that two writes are two writes. */
static void expect_leads_there(struct pair *p, struct str set)
{
    change_lab_dump(&p->now, false, &p->now.after);
    change_lab_expect(&p->base, set, false, &p->now.after);
}

void test_change_compare__leads_from_one_to_the_other(void **state)
{
    (void)state;
    for (uint64_t round = 0; round < ROUNDS; round++) {
        struct pair p;
        pair_open(&p, round);
        writes(&p.base, change_lab_draw(&p.base, 40));
        copy_into(&p.now, &p.base);
        writes(&p.now, change_lab_draw(&p.now, 25));
        compare(&p);
        expect_leads_there(&p, strbuf_str(&p.set));
        compare(&p); /* now they are the same */
        if (rows_of(strbuf_str(&p.set)) > 0) {
            /* but for the row ids of keyed tables, which nobody named */
            change_lab_dump(&p.now, false, &p.now.after);
            change_lab_expect(&p.base, strbuf_str(&p.set), false, &p.now.after);
        }
        pair_close(&p);
    }
}

/* What was merged counts as the base's: the next comparison leads from there on. */
void test_change_compare__goes_on_from_what_was_merged(void **state)
{
    (void)state;
    for (uint64_t round = 0; round < ROUNDS; round++) {
        struct pair p;
        AUTO_STRBUF first;
        AUTO_STRBUF second;
        char seen[200];
        pair_open(&p, round + 5000);
        strbuf_init(&first, 64 << 20);
        strbuf_init(&second, 64 << 20);
        writes(&p.base, change_lab_draw(&p.base, 40));
        copy_into(&p.now, &p.base);
        writes(&p.now, change_lab_draw(&p.now, 15));
        compare(&p);
        strbuf_add_str(&first, strbuf_str(&p.set));
        writes(&p.now, change_lab_draw(&p.now, 15));
        struct str merged[2] = {strbuf_str(&first)};
        p.c.merged = merged;
        p.c.merged_count = 1;
        compare(&p);
        strbuf_add_str(&second, strbuf_str(&p.set));
        merged[1] = strbuf_str(&second);
        p.c.merged_count = 2;
        compare(&p);
        assert_int_equal(rows_of(strbuf_str(&p.set)), 0);
        if (change_lab_apply(&p.base, strbuf_str(&first), seen))
            fail_msg("round %d: %s", (int)round, seen);
        expect_leads_there(&p, strbuf_str(&second));
        pair_close(&p);
    }
}

static void expect_rows(struct pair *p, const char *before, const char *then, uint64_t want)
{
    change_lab_sql(&p->base, before);
    copy_into(&p->now, &p->base);
    change_lab_sql(&p->now, then);
    compare(p);
    if (rows_of(strbuf_str(&p->set)) != want)
        fail_msg("%s: want %d rows, got %d", then, (int)want, (int)rows_of(strbuf_str(&p->set)));
}

void test_change_compare__rows_are_what_was_changed(void **state)
{
    static const struct {
        const char *before, *then;
        uint64_t rows;
    } ROWS[] = {
        {"INSERT INTO ids VALUES (1, 'a', 1, 1)", "UPDATE ids SET name = name", 0},
        {"INSERT INTO ids VALUES (1, 'a', 1, 1)", "DELETE FROM ids; INSERT INTO ids VALUES (1, 'a', 1, 1)",
            0},
        {"INSERT INTO named VALUES ('a', 1, 1)",
            "INSERT INTO named VALUES ('z', 0, 0); DELETE FROM named WHERE name = 'a';"
            "INSERT INTO named VALUES ('a', 2, 1); DELETE FROM named WHERE name = 'z'",
            1},
        {"INSERT INTO pairs VALUES (1, 1, 'x'), (2, 2, 'y')", "UPDATE pairs SET v = 'z' WHERE a = 2", 1},
        {"INSERT INTO words VALUES ('t', 'b')", "UPDATE words SET body = 'c'", 1},
        /* columns that are new had their default before */
        {"INSERT INTO plain VALUES (1, 2, 3), (4, 5, 6)", "ALTER TABLE plain ADD COLUMN d DEFAULT 7", 0},
        {"INSERT INTO plain VALUES (1, 2, 3), (4, 5, 6)",
            "ALTER TABLE plain ADD COLUMN d DEFAULT 7; UPDATE plain SET d = 8 WHERE a = 1", 1},
        {"INSERT INTO plain VALUES (1, 2, 3)", "ALTER TABLE plain ADD COLUMN d; UPDATE plain SET d = NULL",
            0},
        {"INSERT INTO plain VALUES (1, 2, 3)", "ALTER TABLE plain DROP COLUMN c", 0},
        {"", "CREATE TABLE made_new (a); INSERT INTO made_new VALUES (1), (2)", 2},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        struct pair p;
        pair_open(&p, i);
        change_lab_sql(&p.base, "DROP TRIGGER ids_log; DROP TRIGGER named_gone");
        expect_rows(&p, ROWS[i].before, ROWS[i].then, ROWS[i].rows);
        pair_close(&p);
    }
}

void test_change_compare__tells_what_it_does_not_compare(void **state)
{
    struct pair p;
    (void)state;
    pair_open(&p, 1);
    change_lab_sql(&p.base, "DROP TRIGGER named_gone; DROP TRIGGER ids_log; CREATE TABLE other (a, b PRIMARY "
                            "KEY)");
    expect_rows(&p, "INSERT INTO other VALUES (1, 2); INSERT INTO pairs VALUES (1, 1, 1)",
        "DROP TABLE other; CREATE TABLE other (a PRIMARY KEY, b); INSERT INTO other VALUES (1, 3);"
        "DROP TABLE pairs; INSERT INTO plain VALUES (1, 2, 3)",
        1);
    assert_true(str_eq(p.c.notes->table, S("other")));
    assert_non_null(strstr(p.c.notes->reason, "key"));
    assert_true(str_eq(p.c.notes->next->table, S("pairs")));
    assert_non_null(strstr(p.c.notes->next->reason, "removed"));
    assert_null(p.c.notes->next->next);
    pair_close(&p);
}

/* Each row that was changed stands whole in the second set, and no other. */
void test_change_compare__has_whole_rows(void **state)
{
    struct pair p;
    struct change_reader r;
    struct change_table_view t;
    struct change_row row;
    bool found;
    (void)state;
    pair_open(&p, 1);
    change_lab_sql(&p.base, "DROP TRIGGER ids_log");
    expect_rows(&p, "INSERT INTO ids VALUES (1, 'a', 1, 1), (2, 'b', 2, 2)",
        "UPDATE ids SET name = 'c' WHERE id = 2; INSERT INTO ids VALUES (3, 'd', 3, 3)", 2);
    assert_int_equal(rows_of(strbuf_str(&p.whole)), 1);
    assert_int_equal(change_reader_init(&r, strbuf_str(&p.whole), NULL), ERR_OK);
    assert_int_equal(change_table_next(&r, &found, &t, NULL), ERR_OK);
    struct str rest = t.rows;
    assert_int_equal(change_row_next(&t, &rest, &found, &row, NULL), ERR_OK);
    assert_int_equal(row.op, CHANGE_INSERT);
    struct str cells = row.new_cells;
    assert_int_equal(change_cell_next(&cells).integer, 2);
    assert_true(str_eq(change_cell_next(&cells).bytes, S("c")));
    assert_true(change_cell_next(&cells).real == 2.0);
    change_reader_release(&r);
    pair_close(&p);
}

/* A branch without rows began with none. */
void test_change_compare__without_a_base(void **state)
{
    struct pair p;
    (void)state;
    pair_open(&p, 1);
    p.c.base = NULL;
    change_lab_sql(&p.now, "INSERT INTO ids VALUES (1, 'a', 1, 1); INSERT INTO pairs VALUES (1, 2, 3);"
                           "INSERT INTO plain VALUES (1, 2, 3)");
    compare(&p);
    assert_int_equal(rows_of(strbuf_str(&p.set)), 3);
    struct map only;
    map_init(&only);
    bool pairs = false, none = false;
    (void)map_put(&only, S("pairs"), &pairs);
    (void)map_put(&only, S("none"), &none);
    p.c.only = &only;
    compare(&p);
    assert_int_equal(rows_of(strbuf_str(&p.set)), 1);
    assert_true(pairs && !none); /* it says which are there */
    map_release(&only);
    pair_close(&p);
}
