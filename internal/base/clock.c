/* Clocks and civil dates. The calendar is computed here: gmtime may read files, and this also runs inside the
 * sandbox. */
#include "base/clock.h"
#include "base/check.h"
#include <stdatomic.h>
#include <time.h>

static atomic_bool g_frozen;
static _Atomic int64_t g_mono_us,
    g_wall_ms_us; /* the frozen wall clock is kept in microseconds, so that steps add up */

static int64_t clock_read_us(clockid_t which)
{
    struct timespec ts;
    CHECK(clock_gettime(which, &ts) == 0);
    return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

int64_t clock_mono_us(void)
{
    return atomic_load_explicit(&g_frozen, memory_order_relaxed) ? atomic_load(&g_mono_us)
                                                                 : clock_read_us(CLOCK_MONOTONIC);
}

int64_t clock_cpu_us(void)
{
    return clock_read_us(CLOCK_THREAD_CPUTIME_ID);
}

int64_t clock_wall_ms(void)
{
    int64_t us = atomic_load_explicit(&g_frozen, memory_order_relaxed) ? atomic_load(&g_wall_ms_us)
                                                                       : clock_read_us(CLOCK_REALTIME);
    return us / 1000;
}

void clock_test_set(int64_t mono_us, int64_t wall_ms)
{
    atomic_store(&g_mono_us, mono_us);
    atomic_store(&g_wall_ms_us, wall_ms * 1000);
    atomic_store(&g_frozen, true);
}

void clock_test_advance(int64_t us)
{
    CHECK(atomic_load(&g_frozen));
    atomic_fetch_add(&g_mono_us, us);
    atomic_fetch_add(&g_wall_ms_us, us);
}

void clock_test_stop(void)
{
    atomic_store(&g_frozen, false);
}

#define MS_PER_DAY   INT64_C(86400000)
#define DAYS_TO_1970 719468 /* from 0000-03-01, where the calendar's 400-year cycle is easiest to count */

static int64_t days_from_civil(int64_t year, int64_t month, int64_t day)
{
    year -= month <= 2;
    int64_t era = year / 400;
    int64_t year_of_era = year - era * 400;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - DAYS_TO_1970;
}

static void civil_from_days(int64_t days, int64_t *ret_year, int64_t *ret_month, int64_t *ret_day)
{
    days += DAYS_TO_1970;
    int64_t era = days / 146097;
    int64_t day_of_era = days - era * 146097;
    int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t shifted = (5 * day_of_year + 2) / 153;
    *ret_day = day_of_year - (153 * shifted + 2) / 5 + 1;
    *ret_month = shifted + (shifted < 10 ? 3 : -9);
    *ret_year = year_of_era + era * 400 + (*ret_month <= 2);
}

static char *put_digits(char *p, int64_t v, int width)
{
    for (int i = width - 1; i >= 0; i--, v /= 10)
        p[i] = (char)('0' + v % 10);
    return p + width;
}

void clock_iso(int64_t wall_ms, char out[CLOCK_ISO_MAX])
{
    CHECK(wall_ms >= 0 && wall_ms < CLOCK_WALL_MS_END);
    int64_t year, month, day, ms = wall_ms % MS_PER_DAY;
    civil_from_days(wall_ms / MS_PER_DAY, &year, &month, &day);
    const struct {
        int64_t v;
        int width;
        char after;
    } parts[] = {{year, 4, '-'}, {month, 2, '-'}, {day, 2, 'T'}, {ms / 3600000, 2, ':'},
        {ms / 60000 % 60, 2, ':'}, {ms / 1000 % 60, 2, '.'}, {ms % 1000, 3, 'Z'}};
    char *p = out;
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        p = put_digits(p, parts[i].v, parts[i].width);
        *p++ = parts[i].after;
    }
    *p = '\0';
}

/* Takes `width` digits off the front of *s. */
static bool take_digits(struct str *s, size_t width, int64_t min, int64_t max, int64_t *ret)
{
    if (s->len < width || !str_to_i64(str_slice(*s, 0, width), 0, INT64_MAX, ret) || *ret < min || *ret > max)
        return false;
    *s = str_slice(*s, width, s->len);
    return true;
}

static bool take_char(struct str *s, char c)
{
    if (!s->len || s->ptr[0] != c)
        return false;
    *s = str_slice(*s, 1, s->len);
    return true;
}

static int64_t days_in_month(int64_t year, int64_t month)
{
    static const unsigned char DAYS[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return DAYS[month - 1] + (month == 2 && leap ? 1 : 0);
}

/* ".123" to milliseconds; finer digits are cut. Nothing there means 0. */
static bool take_fraction(struct str *s, int64_t *ret_ms)
{
    *ret_ms = 0;
    if (!take_char(s, '.'))
        return true;
    size_t n = 0;
    for (int64_t scale = 100; n < 9 && n < s->len && s->ptr[n] >= '0' && s->ptr[n] <= '9'; n++, scale /= 10)
        *ret_ms += (s->ptr[n] - '0') * scale;
    *s = str_slice(*s, n, s->len);
    return n > 0;
}

/* "Z", "+02:00" or "-05:30", to the end of the text. */
static bool take_offset(struct str s, int64_t *ret_ms)
{
    *ret_ms = 0;
    if (take_char(&s, 'Z'))
        return s.len == 0;
    bool minus = take_char(&s, '-');
    int64_t hours, minutes;
    if (!minus && !take_char(&s, '+'))
        return false;
    if (!take_digits(&s, 2, 0, 23, &hours) || !take_char(&s, ':') || !take_digits(&s, 2, 0, 59, &minutes))
        return false;
    *ret_ms = (hours * 60 + minutes) * (minus ? -60000 : 60000);
    return s.len == 0;
}

bool clock_parse_iso(struct str s, int64_t *ret_wall_ms)
{
    int64_t year, month, day, hour, minute, second, ms, offset_ms;
    if (!take_digits(&s, 4, 1, 9999, &year) || !take_char(&s, '-') || !take_digits(&s, 2, 1, 12, &month) ||
        !take_char(&s, '-') || !take_digits(&s, 2, 1, days_in_month(year, month), &day))
        return false;
    if (!take_char(&s, 'T') || !take_digits(&s, 2, 0, 23, &hour) || !take_char(&s, ':') ||
        !take_digits(&s, 2, 0, 59, &minute) || !take_char(&s, ':') || !take_digits(&s, 2, 0, 59, &second))
        return false;
    if (!take_fraction(&s, &ms) || !take_offset(s, &offset_ms))
        return false;
    int64_t at = days_from_civil(year, month, day) * MS_PER_DAY +
                 ((hour * 60 + minute) * 60 + second) * 1000 + ms - offset_ms;
    if (at < 0 || at >= CLOCK_WALL_MS_END)
        return false;
    *ret_wall_ms = at;
    return true;
}
