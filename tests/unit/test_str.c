/* Views of text: comparing, cutting, numbers, durations, distance. */
#include "lib/unit.h"

void test_str__print_fits_or_cuts_between_characters(void **state)
{
    char out[8];
    (void)state;
    str_print(out, sizeof out, "%s-%d", "abc", 123);
    assert_string_equal(out, "abc-123");
    str_print_cut(out, sizeof out, "%s", "abcdefg");
    assert_string_equal(out, "abcdefg");
    str_print_cut(out, sizeof out, "%s", "abcdefgh");
    assert_string_equal(out, "abcdef");
    str_print_cut(out, sizeof out, "%s", "abcde\u00e9\u00e9");
    assert_string_equal(out, "abcde");
    str_print_cut(out, sizeof out, "%s", "abc\xf0\x9f\x99\x82xyz");
    assert_string_equal(out, "abc");
}

void test_str__compares(void **state)
{
    (void)state;
    assert_true(str_eq(S(""), STR_EMPTY));
    assert_true(str_eq((struct str){NULL, 0}, S("")));
    assert_false(str_eq(S("a"), S("A")));
    assert_false(str_eq(S("a"), S("ab")));
    assert_true(str_eq_nocase(S("Content-TYPE"), S("content-type")));
    assert_false(str_eq_nocase(S("content-type"), S("content-typ")));
    assert_false(str_eq_nocase(S("["), S("{"))); /* 32 apart, but no letters */
    assert_false(str_eq_nocase(S("@"), S("`")));
    assert_false(str_eq_nocase(S("Ä"), S("ä"))); /* ASCII letters only */
    assert_true(str_starts(S("abc"), S("")));
    assert_true(str_starts(S("abc"), S("abc")));
    assert_false(str_starts(S("ab"), S("abc")));
    assert_true(str_starts_nocase(S("Bearer x"), S("bEARER ")));
    assert_false(str_starts_nocase(S("Bear"), S("bearer")));
    assert_true(str_ends(S("abc"), S("bc")));
    assert_true(str_ends(S("abc"), S("")));
    assert_false(str_ends(S("bc"), S("abc")));
}

void test_str__trims_and_slices(void **state)
{
    (void)state;
    expect_str(str_trim(S(" \t\r\n\v\fa b ")), "a b");
    expect_str(str_trim(S("  ")), "");
    expect_str(str_trim(S("")), "");
    expect_str(str_trim(S("\xc2\xa0")), "\xc2\xa0");
    expect_str(str_slice(S("abcd"), 1, 3), "bc");
    expect_str(str_slice(S("abcd"), 2, 99), "cd");
    expect_str(str_slice(S("abcd"), 99, 99), "");
    expect_str(str_slice(S("abcd"), 3, 1), "");
}

static void expect_parts(struct str text, char sep, const char *joined)
{
    AUTO_STRBUF out;
    struct str part;
    strbuf_init(&out, 100);
    while (str_cut(&text, sep, &part))
        strbuf_addf(&out, "<" STR_FMT ">", STR_ARG(part));
    expect_str(strbuf_str(&out), joined);
    assert_null(text.ptr);
}

void test_str__cuts_into_parts(void **state)
{
    (void)state;
    expect_parts(S("a,,b"), ',', "<a><><b>");
    expect_parts(S(""), ',', "<>");
    expect_parts(S(","), ',', "<><>");
    expect_parts(S("abc"), ',', "<abc>");
    expect_parts((struct str){NULL, 0}, ',', "");
}

void test_str__reads_whole_numbers(void **state)
{
    static const struct {
        const char *text;
        int64_t min, max;
        bool ok;
        int64_t value;
    } ROWS[] = {
        {"0", 0, 10, true, 0},
        {"10", 0, 10, true, 10},
        {"11", 0, 10, false, 0},
        {"007", 0, 10, true, 7},
        {"-1", 0, 10, false, 0},
        {"+1", 0, 10, false, 0},
        {"-1", -1, 10, true, -1},
        {"+1", -1, 10, true, 1},
        {"-0", -1, 10, true, 0},
        {"-2", -1, 10, false, 0},
        {"4", 5, 10, false, 0},
        {"", INT64_MIN, INT64_MAX, false, 0},
        {"-", INT64_MIN, INT64_MAX, false, 0},
        {"--1", INT64_MIN, INT64_MAX, false, 0},
        {" 1", INT64_MIN, INT64_MAX, false, 0},
        {"1 ", INT64_MIN, INT64_MAX, false, 0},
        {"0x1", INT64_MIN, INT64_MAX, false, 0},
        {"1.0", INT64_MIN, INT64_MAX, false, 0},
        {"9223372036854775807", INT64_MIN, INT64_MAX, true, INT64_MAX},
        {"9223372036854775808", INT64_MIN, INT64_MAX, false, 0},
        {"-9223372036854775808", INT64_MIN, INT64_MAX, true, INT64_MIN},
        {"-9223372036854775809", INT64_MIN, INT64_MAX, false, 0},
        {"18446744073709551616", INT64_MIN, INT64_MAX, false, 0},
        {"99999999999999999999999", INT64_MIN, INT64_MAX, false, 0},
        {"00000000000000000000000000000000000005", 0, 10, true, 5},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        int64_t v = 4711;
        expect_row(
            str_to_i64(str_of(ROWS[i].text), ROWS[i].min, ROWS[i].max, &v) == ROWS[i].ok, ROWS[i].text);
        expect_row(v == (ROWS[i].ok ? ROWS[i].value : 4711), ROWS[i].text);
    }
}

void test_str__reads_durations(void **state)
{
    static const struct {
        const char *text;
        int64_t seconds; /* -1: refused */
    } ROWS[] = {
        {"0", 0},
        {"90", 90},
        {"90s", 90},
        {"15m", 900},
        {"12h", 43200},
        {"30d", 2592000},
        {"2w", 1209600},
        {"3653d", 315619200},
        {"3654d", -1},
        {"521w", 315100800},
        {"522w", -1},
        {"315619200", 315619200},
        {"315619201", -1},
        {"", -1},
        {"s", -1},
        {"-1s", -1},
        {"+1s", -1},
        {"1.5h", -1},
        {"1y", -1},
        {"1 d", -1},
        {"1D", -1},
        {"1ms", -1},
        {"99999999999999999999d", -1},
        {"9223372036854775807w", -1},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        int64_t v = 4711;
        expect_row(str_to_duration(str_of(ROWS[i].text), &v) == (ROWS[i].seconds >= 0), ROWS[i].text);
        expect_row(v == (ROWS[i].seconds >= 0 ? ROWS[i].seconds : 4711), ROWS[i].text);
    }
}

void test_str__measures_distance(void **state)
{
    static const struct {
        const char *a, *b;
        unsigned distance;
    } ROWS[] = {
        {"", "", 0},
        {"a", "", 1},
        {"", "abc", 3},
        {"email", "email", 0},
        {"emial", "email", 1},
        {"emal", "email", 1},
        {"emaill", "email", 1},
        {"imail", "email", 1},
        {"kitten", "sitting", 3},
        {"ab", "ba", 1},
        {"abc", "ca", 3},
    };
    char x[201], y[201];
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        expect_row(str_distance(str_of(ROWS[i].a), str_of(ROWS[i].b)) == ROWS[i].distance, ROWS[i].a);
        expect_row(str_distance(str_of(ROWS[i].b), str_of(ROWS[i].a)) == ROWS[i].distance, ROWS[i].a);
    }
    memset(x, 'x', sizeof x);
    memset(y, 'y', sizeof y);
    assert_int_equal(str_distance(str_make(x, 200), str_make(y, 200)), 64);
    assert_int_equal(
        str_distance(str_make(x, 64), str_make(x, 200)), 0); /* what lies past 64 is not compared */
}
