/* Masks of single values: the same again for the same, two for two, and a form that stays. */
#include "engine/mask.h"
#include "base/limits.h"
#include "base/mem.h"
#include "lib/unit.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

static const struct str ONE = {"0123456789abcdef0123456789abcdef", 32};
static const struct str OTHER = {"0123456789abcdef0123456789abcdeg", 32};
static struct strbuf out;

int setup_mask(void **state)
{
    (void)state;
    strbuf_init(&out, LIMIT_SQL_VALUE_BYTES);
    return 0;
}

int teardown_mask(void **state)
{
    (void)state;
    strbuf_release(&out);
    return 0;
}

static struct mask kind(const char *name)
{
    struct mask m;
    assert_int_equal(mask_read(str_of(name), NULL, "", &m, NULL), ERR_OK);
    return m;
}

static struct mask_value of(struct str secret, const struct mask *m, unsigned fold, struct mask_value v)
{
    struct mask_keys keys;
    mask_keys_make(&keys, secret);
    return mask_value(&keys, m, fold, &v, &out);
}

static struct mask_value text(const char *z)
{
    return (struct mask_value){.type = MASK_T_TEXT, .bytes = str_of(z)};
}

static struct mask_value integer(int64_t n)
{
    return (struct mask_value){.type = MASK_T_INT, .number = n};
}

static const char *text_of(const char *kind_name, const char *z)
{
    static char copy[400];
    struct mask m = kind(kind_name);
    struct mask_value v = of(ONE, &m, 0, text(z));
    assert_int_equal(v.type, MASK_T_TEXT);
    str_print_cut(copy, sizeof copy, STR_FMT, STR_ARG(v.bytes));
    return copy;
}

void test_mask__is_a_function_of_value_and_secret(void **state)
{
    static const char *const KINDS[] = {"hash", "shape", "name", "email", "date"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(KINDS); i++) {
        struct mask m = kind(KINDS[i]);
        char first[400];
        str_print(first, sizeof first, "%s", text_of(KINDS[i], "Johanna-1999@host"));
        assert_string_not_equal(first, "Johanna-1999@host");
        assert_string_equal(text_of(KINDS[i], "Johanna-1999@host"), first);
        assert_string_not_equal(text_of(KINDS[i], "Johanna-1998@host"), first);
        struct mask_value v = of(OTHER, &m, 0, text("Johanna-1999@host"));
        assert_false(str_eq(v.bytes, str_of(first)));
    }
}

void test_mask__null_and_the_empty_text_stay(void **state)
{
    static const char *const KINDS[] = {"hash", "shape", "name", "email", "date", "keep"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(KINDS); i++) {
        struct mask m = kind(KINDS[i]);
        struct mask_value v = of(ONE, &m, 0, (struct mask_value){.type = MASK_T_NULL});
        assert_int_equal(v.type, MASK_T_NULL);
        v = of(ONE, &m, 0, text(""));
        assert_int_equal(v.type, MASK_T_TEXT);
        assert_int_equal(v.bytes.len, 0);
        v = of(ONE, &m, 0, (struct mask_value){.type = MASK_T_BLOB, .bytes = STR_EMPTY});
        assert_int_equal(v.type, MASK_T_BLOB);
    }
    struct mask null = kind("null");
    assert_int_equal(of(ONE, &null, 0, text("")).type, MASK_T_NULL);
    assert_int_equal(of(ONE, &null, 0, integer(7)).type, MASK_T_NULL);
}

void test_mask__forms_stay(void **state)
{
    (void)state;
    const char *t = text_of("shape", "DE-4711 xY");
    assert_true(t[0] >= 'A' && t[0] <= 'Z' && t[2] == '-' && t[3] >= '0' && t[3] <= '9' && t[7] == ' ' &&
                t[8] >= 'a' && t[8] <= 'z' && t[9] >= 'A' && t[9] <= 'Z' && !t[10]);
    t = text_of("hash", "1234");
    assert_int_equal(strlen(t), 32);
    assert_true(t[0] >= 'a' && t[0] <= 'p');
    t = text_of("email", "Johanna@host.test");
    assert_non_null(strstr(t, "@example.com"));
    assert_null(strstr(t, "Johanna"));
    t = text_of("name", "Johanna");
    assert_non_null(strchr(t, ' '));
    t = text_of("date", "2024-02-29T12:30:00.5Z");
    assert_string_equal(t + 10, "T12:30:00.5Z");
    t = text_of("shape", "\xc3\xa4\xc3\xb6");
    assert_int_equal(strlen(t), 32);
    t = text_of("shape", "\xff\xfe");
    assert_int_equal(strlen(t), 32);
    t = text_of("shape", "---");
    assert_int_equal(strlen(t), 32);
}

/* Every number of up to three digits, every text of two letters, every blob of two bytes. */
void test_mask__what_is_small_is_moved_about_one_to_one(void **state)
{
    static unsigned char seen[65536];
    struct mask hash = kind("hash"), shape = kind("shape");
    (void)state;
    memset(seen, 0, sizeof seen);
    for (int i = 0; i < 1000; i++) {
        struct mask_value v = of(ONE, &shape, 0, integer(i));
        assert_true(v.type == MASK_T_INT && v.number >= 0 && v.number < 1000 && !seen[v.number]);
        assert_true((v.number >= 100) == (i >= 100) && (v.number >= 10) == (i >= 10));
        seen[v.number] = 1;
    }
    memset(seen, 0, sizeof seen);
    for (int i = 0; i < 676; i++) {
        char two[3] = {(char)('a' + i / 26), (char)('a' + i % 26), 0};
        struct mask_value v = of(ONE, &shape, 0, text(two));
        int at = (v.bytes.ptr[0] - 'a') * 26 + v.bytes.ptr[1] - 'a';
        assert_true(v.bytes.len == 2 && at >= 0 && at < 676 && !seen[at]);
        seen[at] = 1;
    }
    memset(seen, 0, sizeof seen);
    for (int i = 0; i < 65536; i += 7) {
        unsigned char two[2] = {(unsigned char)i, (unsigned char)(i >> 8)};
        struct mask_value in = {.type = MASK_T_BLOB, .bytes = str_make(two, 2)};
        struct mask_value v = of(ONE, &hash, 0, in);
        assert_true(v.type == MASK_T_BLOB && v.bytes.len == 2);
        int at = (unsigned char)v.bytes.ptr[0] | (unsigned char)v.bytes.ptr[1] << 8;
        assert_false(seen[at]);
        seen[at] = 1;
    }
}

void test_mask__integers_stay_where_javascript_reads_them(void **state)
{
    static const int64_t EDGES[] = {0, 1, -1, 4503599627370495, 4503599627370496, INT64_MAX, INT64_MIN,
        999999999999999999, 1000000000000000000, -9, -10};
    struct mask hash = kind("hash"), shape = kind("shape");
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(EDGES); i++) {
        int64_t n = of(ONE, &hash, 0, integer(EDGES[i])).number;
        bool small = EDGES[i] >= 0 && EDGES[i] < INT64_C(1) << 52;
        assert_int_equal(n >= 0 && n < INT64_C(1) << 52, small);
        n = of(ONE, &shape, 0, integer(EDGES[i])).number;
        char was[24], is[24];
        str_print(was, sizeof was, "%lld", (long long)EDGES[i]);
        str_print(is, sizeof is, "%lld", (long long)n);
        assert_int_equal(strlen(was), strlen(is));
    }
    for (int64_t i = 1; i < 500; i++)
        assert_true(of(ONE, &hash, 0, integer(i)).number != of(ONE, &hash, 0, integer(i - 1)).number);
}

void test_mask__reals_stay_in_their_order_of_size(void **state)
{
    static const double EDGES[] = {0.5, -1234.5, 1e300, 1e-200, 1.7e308, INFINITY, 5e-324};
    struct mask hash = kind("hash"), shape = kind("shape");
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(EDGES); i++) {
        struct mask_value in = {.type = MASK_T_REAL, .real = EDGES[i]};
        struct mask_value v = of(ONE, &hash, 0, in);
        assert_true(v.type == MASK_T_REAL && v.real >= 0 && v.real < 1);
        v = of(ONE, &shape, 0, in);
        assert_true(v.type == MASK_T_REAL && isfinite(v.real));
    }
    struct mask_value v = of(ONE, &shape, 0, (struct mask_value){.type = MASK_T_REAL, .real = -1234.5});
    assert_true(v.real <= -1000 && v.real > -10000);
    v = of(ONE, &hash, 0, (struct mask_value){.type = MASK_T_REAL, .real = 7.0});
    assert_int_equal(v.type, MASK_T_INT); /* equal to the integer 7, and so is its mask */
    assert_int_equal(v.number, of(ONE, &hash, 0, integer(7)).number);
}

static int64_t shift(void)
{
    struct mask m = kind("date");
    struct mask_value v = of(ONE, &m, 0, integer(0));
    return v.number;
}

/* Of 1970, the slow way. */
static int64_t days_from_1900(int year, int month, int day)
{
    static const int LEN[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int64_t days = day - 1 - 25567;
    for (int y = 1900; y < year; y++)
        days += 365 + (y % 4 == 0 && (y % 100 != 0 || y % 400 == 0));
    for (int m = 1; m < month; m++)
        days += LEN[m - 1] + (m == 2 && year % 4 == 0 && (year % 100 != 0 || year % 400 == 0));
    return days;
}

void test_mask__dates_move_together_by_whole_weeks(void **state)
{
    struct mask kind_date = kind("date");
    int64_t by = shift();
    (void)state;
    assert_int_equal(by % (7 * 86400), 0);
    assert_true(by != 0 && llabs(by) <= 365 * 86400);
    assert_int_equal(of(ONE, &kind_date, 0, integer(1700000000)).number, 1700000000 + by);
    assert_int_equal(of(ONE, &kind_date, 0, integer(1700000000000)).number, 1700000000000 + by * 1000);
    struct mask_value julian = {.type = MASK_T_REAL, .real = 2460000.0};
    assert_true(of(ONE, &kind_date, 0, julian).real == 2460000.0 + (double)by / 86400);
    static const struct {
        const char *was;
        int64_t unix_s;
    } ROWS[] = {{"1970-01-01", 0}, {"2024-02-29", 1709164800}, {"1912-03-01 08:00", -1825200000},
        {"2000-12-31", 978220800}};
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        int y, m, d;
        assert_int_equal(sscanf(text_of("date", ROWS[i].was), "%4d-%2d-%2d", &y, &m, &d), 3);
        assert_int_equal(days_from_1900(y, m, d) * 86400, ROWS[i].unix_s + by);
    }
    assert_string_equal(text_of("date", "9999-12-31"), "9999-12-31");
}

void test_mask__what_is_no_date_does_not_pass(void **state)
{
    static const char *const ODD[] = {
        "2024-02-30", "12.03.2021", "2024-13-01", "soon", "2024-02-01 Johanna", "2024-02-01\xff", "20240201"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(ODD); i++)
        assert_string_not_equal(text_of("date", ODD[i]), ODD[i]);
    assert_null(strstr(text_of("date", "2024-02-01 Johanna"), "Johanna"));
}

void test_mask__texts_that_a_key_takes_for_equal_stay_equal(void **state)
{
    static const char *const KINDS[] = {"hash", "shape", "name", "email"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(KINDS); i++) {
        struct mask m = kind(KINDS[i]);
        struct mask_value v = of(ONE, &m, MASK_FOLD_CASE, text("JoHanna"));
        char first[100];
        str_print(first, sizeof first, STR_FMT, STR_ARG(v.bytes));
        v = of(ONE, &m, MASK_FOLD_CASE, text("johaNNA"));
        assert_true(str_eq(v.bytes, str_of(first)));
        v = of(ONE, &m, MASK_FOLD_CASE | MASK_FOLD_SPACES, text("johaNNA  "));
        assert_true(str_eq(v.bytes, str_of(first)));
        v = of(ONE, &m, MASK_FOLD_SPACES, text("   "));
        assert_int_equal(v.bytes.len, 0);
    }
}

void test_mask__huge_values_are_covered_whole(void **state)
{
    struct mask shape = kind("shape"), hash = kind("hash");
    enum { LEN = 3000000 };
    char *text = mem_alloc(LEN);
    (void)state;
    memset(text, 'x', LEN);
    struct mask_value in = {.type = MASK_T_TEXT, .bytes = str_make(text, LEN)};
    struct mask_value v = of(ONE, &shape, 0, in);
    size_t same = 0;
    assert_int_equal(v.bytes.len, LEN);
    for (size_t i = 0; i < LEN; i++)
        same += v.bytes.ptr[i] == 'x';
    assert_true(same < LEN / 20);
    in.type = MASK_T_BLOB;
    assert_int_equal(of(ONE, &hash, 0, in).bytes.len, 64);
    mem_free(text);
}

void test_mask__options_are_checked(void **state)
{
    static const struct {
        const char *kind, *options, *pointer;
    } ROWS[] = {{"name", "{\"part\":\"last\"}", NULL}, {"name", "{\"part\":\"middle\"}", "/m/options/part"},
        {"name", "{\"domain\":\"x.test\"}", "/m/options/domain"},
        {"email", "{\"domain\":\"x-y.test\"}", NULL}, {"email", "{\"domain\":\"a@b\"}", "/m/options/domain"},
        {"email", "{\"domain\":\".x\"}", "/m/options/domain"},
        {"email", "{\"domain\":\"X.de\"}", "/m/options/domain"},
        {"date", "{\"maxDays\":29}", "/m/options/maxDays"}, {"date", "{\"maxDays\":3650}", NULL},
        {"hash", "{\"part\":\"last\"}", "/m/options/part"}, {"hash", "{}", NULL}, {"rot13", "{}", "/m/kind"}};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        AUTO_ARENA a;
        const struct jsonr_value *options;
        struct mask m;
        struct err err = ERR_INIT;
        arena_init(&a, 1 << 16);
        assert_int_equal(jsonr_parse(&a, str_of(ROWS[i].options), &options, NULL), ERR_OK);
        assert_int_equal(
            mask_read(str_of(ROWS[i].kind), options, "/m", &m, &err), ROWS[i].pointer ? ERR_INVALID : ERR_OK);
        if (ROWS[i].pointer)
            assert_string_equal(err.pointer, ROWS[i].pointer);
    }
}
