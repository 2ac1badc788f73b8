/* Several change sets as one, against applying them one after the other. */
#include "lib/change_lab.h"
#include "engine/change_compose.h"
#include "engine/change_diff.h"
#include "lib/unit.h"
#include <stdlib.h>

#ifdef HF_DEBUG
enum { ROUNDS = 150 };
#else
enum { ROUNDS = 800 };
#endif

enum { SETS_MAX = 6 };

struct sets {
    struct strbuf list[SETS_MAX];
    size_t count;
};

static void sets_release(struct sets *s)
{
    for (size_t i = 0; i < s->count; i++)
        strbuf_release(&s->list[i]);
    s->count = 0;
}

static struct strbuf *sets_add(struct sets *s)
{
    struct strbuf *sb = &s->list[s->count++];
    strbuf_init(sb, 64 << 20);
    return sb;
}

static void record(struct change_lab *f, const char *text, struct sets *s)
{
    change_lab_begin(f);
    change_lab_sql(f, text);
    change_lab_finish(f);
    strbuf_add_str(sets_add(s), strbuf_str(&f->set));
}

static void record_any(struct change_lab *f, struct sets *s)
{
    change_lab_begin(f);
    if (!change_lab_write(f)) {
        recorder_release(&f->recorder);
        return;
    }
    change_lab_finish(f);
    strbuf_add_str(sets_add(s), strbuf_str(&f->set));
}

static void on_gap(void *arg, const struct change_table_view *t, const struct change_row *row)
{
    struct strbuf *seen = arg;
    strbuf_addf(seen, STR_FMT "/%d ", STR_ARG(t->name), (int)row->op);
}

static enum err_code compose(const struct sets *s, struct strbuf *out, struct strbuf *gaps, struct err *err)
{
    struct change_composer c;
    strbuf_reset(out);
    change_composer_init(&c, on_gap, gaps);
    enum err_code code = ERR_OK;
    for (size_t i = 0; i < s->count && !code; i++)
        code = change_composer_add(&c, strbuf_str(&s->list[i]), err);
    if (!code)
        code = change_composer_finish(&c, out, err);
    change_composer_release(&c);
    return code;
}

static void expect_composed(const struct sets *s, struct strbuf *out)
{
    struct err err = ERR_INIT;
    AUTO_STRBUF gaps;
    strbuf_init(&gaps, 4000);
    if (compose(s, out, &gaps, &err))
        fail_msg("%s", err.message);
    assert_string_equal(strbuf_cstr(&gaps), "");
    assert_int_equal(change_set_check(strbuf_str(out), &err), ERR_OK);
}

static void invert_all(const struct sets *s, struct sets *out)
{
    struct err err = ERR_INIT;
    for (size_t i = s->count; i-- > 0;)
        assert_int_equal(change_set_invert(strbuf_str(&s->list[i]), sets_add(out), &err), ERR_OK);
}

/* Unique values that change places among rows cannot be written row by row: a conflict, and nothing is done.
 */
static bool swaps(struct change_lab *f, const struct strbuf *set)
{
    char seen[200];
    change_lab_sql(f, "SAVEPOINT swaps");
    bool found = change_lab_apply(f, strbuf_str(set), seen) > 0;
    if (found)
        assert_string_equal(seen, "constraint in ids");
    change_lab_sql(f, "ROLLBACK TO swaps; RELEASE swaps");
    return found;
}

void test_changecompose__random_sets(void **state)
{
    struct change_lab f;
    struct sets s = {.count = 0}, back = {.count = 0};
    int swapped = 0;
    AUTO_STRBUF one;
    AUTO_STRBUF inverse;
    (void)state;
    change_lab_open(&f);
    const char *seed = getenv("SEED");
    f.seed ^= seed ? (uint64_t)strtoull(seed, NULL, 10) : 0;
    strbuf_init(&one, 64 << 20);
    strbuf_init(&inverse, 64 << 20);
    for (int round = 0; round < ROUNDS; round++) {
        change_lab_dump(&f, false, &f.before);
        change_lab_sql(&f, "SAVEPOINT round");
        for (size_t n = 1 + change_lab_draw(&f, SETS_MAX - 1); s.count < n;)
            record_any(&f, &s);
        change_lab_dump(&f, false, &f.after);
        expect_composed(&s, &one);
        invert_all(&s, &back);
        expect_composed(&back, &inverse);
        if (swaps(&f, &inverse))
            swapped++;
        else
            change_lab_expect(&f, strbuf_str(&inverse), false, &f.before);
        change_lab_sql(&f, "ROLLBACK TO round; RELEASE round");
        if (swaps(&f, &one))
            swapped++;
        else
            change_lab_expect(&f, strbuf_str(&one), false, &f.after);
        sets_release(&s);
        sets_release(&back);
    }
    assert_true(swapped < ROUNDS / 50);
    change_lab_close(&f);
}

/* Its rows as JSON. */
static void expect_rows(const struct strbuf *set, const char *want)
{
    AUTO_STRBUF out;
    change_lab_view(strbuf_str(set), &out);
    const char *rows = strstr(strbuf_cstr(&out), "\"rows\":");
    size_t len = (size_t)(strstr(rows, ",\"hiddenRows\"") - rows);
    struct str got = str_make(rows + 7, len - 7);
    if (!str_eq(got, str_of(want)))
        fail_msg("want %s\ngot " STR_FMT, want, STR_ARG(got));
}

void test_changecompose__chains(void **state)
{
    static const struct {
        const char *before, *writes[4], *want;
    } ROWS[] = {
        {"", {"INSERT INTO ids VALUES (1, 'a', 1, 1)", "UPDATE ids SET name = 'b'", "DELETE FROM ids"}, "[]"},
        {"", {"INSERT INTO parent VALUES (1, 'a')", "UPDATE parent SET v = 'b'"},
            "[{\"table\":\"parent\",\"op\":\"insert\",\"indirect\":false,\"key\":{\"id\":1},\"before\":null,"
            "\"after\":{\"id\":1,\"v\":\"b\"}}]"},
        {"INSERT INTO pairs VALUES (1, 1, 'a')", {"UPDATE pairs SET v = 'b'", "UPDATE pairs SET v = 'c'"},
            "[{\"table\":\"pairs\",\"op\":\"update\",\"indirect\":false,\"key\":{\"a\":1,\"b\":1},"
            "\"before\":{\"v\":\"a\"},\"after\":{\"v\":\"c\"}}]"},
        {"INSERT INTO pairs VALUES (1, 1, 'a')", {"UPDATE pairs SET v = 'b'", "UPDATE pairs SET v = 'a'"},
            "[]"},
        {"INSERT INTO pairs VALUES (1, 1, 'a')", {"UPDATE pairs SET v = 'b'", "DELETE FROM pairs"},
            "[{\"table\":\"pairs\",\"op\":\"delete\",\"indirect\":false,\"key\":{\"a\":1,\"b\":1},"
            "\"before\":{\"a\":1,\"b\":1,\"v\":\"a\"},\"after\":null}]"},
        {"INSERT INTO pairs VALUES (1, 1, 'a')",
            {"DELETE FROM pairs", "INSERT INTO pairs VALUES (1, 1, 'b')", "DELETE FROM pairs",
                "INSERT INTO pairs VALUES (1, 1, 'a')"},
            "[]"},
        {"INSERT INTO named VALUES ('a', 1, 1), ('b', 2, 2)",
            {"UPDATE named SET name = 'c' WHERE name = 'a'", "UPDATE named SET name = 'a' WHERE name = 'b'",
                "UPDATE named SET name = 'b' WHERE name = 'c'", "UPDATE named SET w = 3 WHERE name = 'a'"},
            "[{\"table\":\"named\",\"op\":\"update\",\"indirect\":false,\"key\":{\"name\":\"a\"},"
            "\"before\":{\"name\":\"a\"},\"after\":{\"name\":\"b\"}},"
            "{\"table\":\"named\",\"op\":\"update\",\"indirect\":false,\"key\":{\"name\":\"b\"},"
            "\"before\":{\"name\":\"b\",\"w\":2},\"after\":{\"name\":\"a\",\"w\":3}}]"},
        {"INSERT INTO made (x, y) VALUES (1, 1)", {"UPDATE made SET x = 2", "UPDATE made SET y = 2"},
            "[{\"table\":\"made\",\"op\":\"update\",\"indirect\":false,\"key\":{\"id\":1},"
            "\"before\":{\"x\":1,\"y\":1},\"after\":{\"x\":2,\"y\":2}}]"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        struct change_lab f;
        struct sets s = {.count = 0};
        AUTO_STRBUF one;
        strbuf_init(&one, 64 << 20);
        change_lab_open(&f);
        change_lab_sql(&f, "DROP TRIGGER ids_log; DROP TRIGGER named_gone");
        change_lab_sql(&f, ROWS[i].before);
        for (size_t n = 0; n < 4 && ROWS[i].writes[n]; n++)
            record(&f, ROWS[i].writes[n], &s);
        expect_composed(&s, &one);
        expect_rows(&one, ROWS[i].want);
        sets_release(&s);
        change_lab_close(&f);
    }
}

/* What somebody else did to a row in between is told, whatever it was. */
void test_changecompose__gaps(void **state)
{
    static const struct {
        const char *before, *first, *between, *second, *want;
    } ROWS[] = {
        {"INSERT INTO pairs VALUES (1, 1, 'a')", "UPDATE pairs SET v = 'b'", "UPDATE pairs SET v = 'c'",
            "UPDATE pairs SET v = 'd'", "pairs/2 "},
        {"INSERT INTO pairs VALUES (1, 1, 'a')", "UPDATE pairs SET v = 'b'", "UPDATE pairs SET v = 'c'",
            "DELETE FROM pairs", "pairs/3 "},
        {"", "INSERT INTO pairs VALUES (1, 1, 'a')", "DELETE FROM pairs",
            "INSERT INTO pairs VALUES (1, 1, 'a')", "pairs/1 "},
        {"INSERT INTO pairs VALUES (1, 1, 'a')", "DELETE FROM pairs", "INSERT INTO pairs VALUES (1, 1, 'a')",
            "UPDATE pairs SET v = 'b'", "pairs/2 "},
        {"INSERT INTO pairs VALUES (1, 1, 'a')", "DELETE FROM pairs", "INSERT INTO pairs VALUES (1, 1, 'a')",
            "DELETE FROM pairs", "pairs/3 "},
        {"INSERT INTO made (x, y) VALUES (1, 1)", "UPDATE made SET x = 2", "UPDATE made SET y = 9",
            "UPDATE made SET x = 3", ""},
        {"INSERT INTO named VALUES ('a', 1, 1), ('b', 2, 2)", "UPDATE named SET name = 'c' WHERE name = 'a'",
            "DELETE FROM named WHERE name = 'c'", "UPDATE named SET name = 'c' WHERE name = 'b'", "named/2 "},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        struct change_lab f;
        struct err err = ERR_INIT;
        struct sets s = {.count = 0};
        AUTO_STRBUF one;
        AUTO_STRBUF gaps;
        strbuf_init(&one, 64 << 20);
        strbuf_init(&gaps, 4000);
        change_lab_open(&f);
        change_lab_sql(&f, ROWS[i].before);
        record(&f, ROWS[i].first, &s);
        change_lab_sql(&f, ROWS[i].between);
        record(&f, ROWS[i].second, &s);
        assert_int_equal(compose(&s, &one, &gaps, &err), ERR_OK);
        if (strcmp(strbuf_cstr(&gaps), ROWS[i].want) != 0)
            fail_msg("row %zu: want %s, got %s", i, ROWS[i].want, strbuf_cstr(&gaps));
        sets_release(&s);
        change_lab_close(&f);
    }
}

void test_changecompose__other_columns_are_refused(void **state)
{
    struct change_lab f;
    struct err err = ERR_INIT;
    struct sets s = {.count = 0};
    AUTO_STRBUF one;
    AUTO_STRBUF gaps;
    (void)state;
    strbuf_init(&one, 64 << 20);
    strbuf_init(&gaps, 4000);
    change_lab_open(&f);
    record(&f, "INSERT INTO parent VALUES (1, 'a')", &s);
    change_lab_sql(&f, "ALTER TABLE parent ADD COLUMN more");
    record(&f, "UPDATE parent SET v = 'b'", &s);
    assert_int_equal(compose(&s, &one, &gaps, &err), ERR_CONFLICT);
    assert_non_null(strstr(err.message, "\"parent\" had other columns"));
    s.list[1].buf[s.list[1].len / 2] ^= 0x55;
    err = (struct err)ERR_INIT;
    assert_int_not_equal(compose(&s, &one, &gaps, &err), ERR_OK);
    sets_release(&s);
    change_lab_close(&f);
}
