/* Public ids: form, order and validity. */
#include "base/clock.h"
#include "base/id.h"
#include "lib/unit.h"

void test_id__has_prefix_time_and_randomness(void **state)
{
    (void)state;
    clock_test_set(0, 0);
    struct id first = id_new("db"), second = id_new("db");
    clock_test_stop();
    assert_true(str_starts(id_str(&first), S("db_0000000000")));
    assert_int_equal(id_str(&first).len, 3 + 26);
    assert_false(str_eq(id_str(&first), id_str(&second)));
    assert_true(id_valid(id_str(&first), "db"));
}

void test_id__encodes_the_time_as_crockford(void **state)
{
    (void)state;
    clock_test_set(0, INT64_C(1777984200000)); /* 0x019df81ddd40 */
    struct id id = id_new("tok");
    clock_test_stop();
    expect_str(
        str_slice(id_str(&id), 0, 14), "tok_01kqw1vqa0"); /* two zero bits and 48 of time: ten characters */
}

void test_id__sorts_by_creation(void **state)
{
    struct id before = {.text = ""};
    (void)state;
    clock_test_set(0, INT64_C(1777984200000));
    for (int64_t i = 0; i < 1000; i++) {
        struct id id = id_new("q");
        assert_true(strcmp(before.text, id.text) < 0);
        before = id;
        clock_test_advance(INT64_C(1000) * (1 + i * i));
    }
    clock_test_stop();
}

/* Ids of a sequence rise within a millisecond, from one to the next and when the clock is set back. */
void test_id__a_sequence_always_rises(void **state)
{
    struct id_sequence seq = {.ms = 0};
    struct id before = {.text = ""};
    (void)state;
    for (int64_t i = 0; i < 3000; i++) {
        clock_test_set(0, INT64_C(1777984200000) + (i % 1000 < 900 ? i / 3 : i / 3 - 50));
        struct id id = id_next(&seq, "ql");
        assert_true(id_valid(id_str(&id), "ql"));
        assert_true(strcmp(before.text, id.text) < 0);
        before = id;
    }
    clock_test_set(0, INT64_C(1777985000000));
    struct id last = id_next(&seq, "ql"), plain = id_new("ql");
    clock_test_stop();
    assert_true(str_eq(str_slice(id_str(&last), 0, 13), str_slice(id_str(&plain), 0, 13)));
}

void test_id__validates(void **state)
{
    static const struct {
        const char *text;
        bool ok;
    } ROWS[] = {
        {"db_0000000000000000000000000", false},
        {"db_00000000000000000000000000", true},
        {"db_000000000000000000000000000", false},
        {"db_7zzzzzzzzzzzzzzzzzzzzzzzzz", true},
        {"db_8zzzzzzzzzzzzzzzzzzzzzzzzz", false}, /* more than 128 bits */
        {"tok_0000000000000000000000000", false},
        {"db-00000000000000000000000000", false},
        {"DB_00000000000000000000000000", false},
        {"db_0000000000000000000000000A", false},
        {"db_0000000000000000000000000i", false},
        {"db_0000000000000000000000000l", false},
        {"db_0000000000000000000000000o", false},
        {"db_0000000000000000000000000u", false},
        {"db_0000000000000000000000000/", false},
        {"db_", false},
        {"", false},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++)
        expect_row(id_valid(str_of(ROWS[i].text), "db") == ROWS[i].ok, ROWS[i].text);
    assert_false(id_valid(str_make("db_0000000000000000000000000\0", 29), "db"));
}

void test_id__tells_when_it_was_made(void **state)
{
    (void)state;
    clock_test_set(1, 1700000000123);
    struct id id = id_new("snap");
    clock_test_stop();
    assert_int_equal(id_time_ms(id_str(&id), "snap"), 1700000000123);
    assert_int_equal(id_time_ms(id_str(&id), "db"), 0);
    assert_int_equal(id_time_ms(S("snap_1"), "snap"), 0);
}
