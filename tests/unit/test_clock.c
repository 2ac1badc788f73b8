/* Civil dates both ways, and clocks that stand still. */
#include "base/clock.h"
#include "lib/unit.h"

#define DAY INT64_C(86400000)

void test_clock__writes_iso_dates(void **state)
{
    static const struct {
        int64_t ms;
        const char *text;
    } ROWS[] = {
        {0, "1970-01-01T00:00:00.000Z"},
        {1, "1970-01-01T00:00:00.001Z"},
        {59 * DAY - 1, "1970-02-28T23:59:59.999Z"},
        {INT64_C(68169600000), "1972-02-29T00:00:00.000Z"},
        {INT64_C(951782400000), "2000-02-29T00:00:00.000Z"},
        {INT64_C(951868800000), "2000-03-01T00:00:00.000Z"},
        {INT64_C(1777984200000), "2026-05-05T12:30:00.000Z"},
        {INT64_C(4107542399999), "2100-02-28T23:59:59.999Z"},
        {INT64_C(4107542400000), "2100-03-01T00:00:00.000Z"},
        {INT64_C(253402300799999), "9999-12-31T23:59:59.999Z"},
    };
    char text[CLOCK_ISO_MAX];
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        int64_t back = -1;
        clock_iso(ROWS[i].ms, text);
        expect_str(str_of(text), ROWS[i].text);
        assert_true(clock_parse_iso(str_of(text), &back));
        assert_true(back == ROWS[i].ms);
    }
}

/* Every day of 1970 to 9999 follows the one before it by the calendar's rules. */
void test_clock__counts_every_day(void **state)
{
    static const int DAYS[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int year = 1970, month = 1, day = 1;
    char text[CLOCK_ISO_MAX];
    (void)state;
    for (int64_t ms = 0; year < 10000; ms += DAY) {
        clock_iso(ms, text);
        if ((text[0] - '0') * 1000 + (text[1] - '0') * 100 + (text[2] - '0') * 10 + text[3] - '0' != year ||
            (text[5] - '0') * 10 + text[6] - '0' != month || (text[8] - '0') * 10 + text[9] - '0' != day)
            fail_msg("%s is not %d-%d-%d", text, year, month, day);
        bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        if (++day > DAYS[month - 1] + (month == 2 && leap)) {
            day = 1;
            month = month % 12 + 1;
            year += month == 1;
        }
    }
}

void test_clock__reads_iso_dates(void **state)
{
    static const struct {
        const char *text;
        int64_t ms; /* -1: refused */
    } ROWS[] = {
        {"1970-01-01T00:00:00Z", 0},
        {"1970-01-01T00:00:01Z", 1000},
        {"1970-01-01T00:00:00.5Z", 500},
        {"1970-01-01T00:00:00.123456Z", 123},
        {"1970-01-01T00:00:00.123456789Z", 123},
        {"1970-01-01T02:00:00+02:00", 0},
        {"1969-12-31T23:00:00-01:00", 0},
        {"1970-01-01T05:30:00.250+05:30", 250},
        {"1970-01-01T00:00:00-00:00", 0},
        {"2024-02-29T00:00:00Z", INT64_C(1709164800000)},
        {"2023-02-29T00:00:00Z", -1},
        {"2100-02-29T00:00:00Z", -1},
        {"2000-02-29T00:00:00Z", INT64_C(951782400000)},
        {"1970-01-01T00:00:00+00:01", -1}, /* before 1970 */
        {"1969-12-31T23:59:59.999Z", -1},
        {"0001-01-01T00:00:00Z", -1},
        {"9999-12-31T23:59:59.999Z", INT64_C(253402300799999)},
        {"9999-12-31T23:59:59-00:01", -1},
        {"10000-01-01T00:00:00Z", -1},
        {"1970-00-01T00:00:00Z", -1},
        {"1970-13-01T00:00:00Z", -1},
        {"1970-01-00T00:00:00Z", -1},
        {"1970-01-32T00:00:00Z", -1},
        {"1970-04-31T00:00:00Z", -1},
        {"1970-01-01T24:00:00Z", -1},
        {"1970-01-01T00:60:00Z", -1},
        {"1970-01-01T00:00:60Z", -1},
        {"1970-01-01T00:00:00.Z", -1},
        {"1970-01-01T00:00:00.1234567890Z", -1},
        {"1970-01-01T00:00:00", -1},
        {"1970-01-01T00:00:00z", -1},
        {"1970-01-01t00:00:00Z", -1},
        {"1970-01-01 00:00:00Z", -1},
        {"1970-01-01", -1},
        {"1970-1-1T00:00:00Z", -1},
        {"1970-01-01T00:00:00Zx", -1},
        {"1970-01-01T00:00:00+24:00", -1},
        {"1970-01-01T00:00:00+0200", -1},
        {"1970-01-01T00:00:00+02", -1},
        {"1970-01-01T00:00:00+02:60", -1},
        {"+970-01-01T00:00:00Z", -1},
        {"", -1},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        int64_t ms = -4711;
        expect_row(clock_parse_iso(str_of(ROWS[i].text), &ms) == (ROWS[i].ms >= 0), ROWS[i].text);
        expect_row(ms == (ROWS[i].ms >= 0 ? ROWS[i].ms : -4711), ROWS[i].text);
    }
}

void test_clock__every_cut_date_is_refused(void **state)
{
    static const char TEXT[] = "2026-05-05T12:30:00.000+02:00";
    int64_t ms;
    (void)state;
    assert_true(clock_parse_iso(str_of(TEXT), &ms));
    for (size_t n = 0; n < sizeof TEXT - 1; n++)
        assert_false(clock_parse_iso(str_make(TEXT, n), &ms));
}

static void write_year_10000(void *arg)
{
    clock_iso(INT64_C(253402300800000), arg);
}

void test_clock__asserts_its_years(void **state)
{
    char text[CLOCK_ISO_MAX];
    (void)state;
    expect_panic(write_year_10000, text, "wall_ms");
}

void test_clock__freezes_for_tests(void **state)
{
    (void)state;
    clock_test_set(1000, 5000);
    assert_true(clock_mono_us() == 1000 && clock_wall_ms() == 5000);
    clock_test_advance(600);
    clock_test_advance(600); /* parts of a millisecond add up */
    assert_true(clock_mono_us() == 2200 && clock_wall_ms() == 5001);
    clock_test_stop();
    assert_true(clock_wall_ms() > INT64_C(1700000000000));
    int64_t first = clock_mono_us();
    assert_true(clock_mono_us() >= first);
}
