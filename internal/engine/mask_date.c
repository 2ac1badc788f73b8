/* Dates that move: texts as SQLite's date functions write them, Unix times, Julian days. */
#include "engine/mask.h"

#include <math.h>

enum { TIME_DAY_S = 86400 };

static const double JULIAN_FIRST = 1721059.5, JULIAN_LAST = 5373484.5; /* of the years 0 to 9999 */

/* Days since 1970-01-01 of the proleptic Gregorian calendar, and back. */
static int64_t days_of(int64_t year, int64_t month, int64_t day)
{
    year -= month <= 2;
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    int64_t of_era = year - era * 400;
    int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static void date_of(int64_t days, int64_t *year, int64_t *month, int64_t *day)
{
    days += 719468;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    int64_t of_era = days - era * 146097;
    int64_t y = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * y + y / 4 - y / 100);
    int64_t m = (5 * of_year + 2) / 153;
    *day = of_year - (153 * m + 2) / 5 + 1;
    *month = m < 10 ? m + 3 : m - 9;
    *year = y + era * 400 + (*month <= 2);
}

static bool digits(struct str s, size_t at, size_t len, int64_t *ret)
{
    *ret = 0;
    for (size_t i = at; i < at + len; i++) {
        if (i >= s.len || s.ptr[i] < '0' || s.ptr[i] > '9')
            return false;
        *ret = *ret * 10 + (s.ptr[i] - '0');
    }
    return true;
}

/* "2024-02-29" and whatever time stands behind it; that goes on as it is, so it has to be one. */
static bool is_time(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (!memchr("0123456789:.,+-TZtz ", s.ptr[i], 20))
            return false;
    }
    return s.len <= 30 && (s.len == 0 || s.ptr[0] == ' ' || s.ptr[0] == 'T' || s.ptr[0] == 't');
}

static bool shift_text(int64_t by, struct str s, struct mask_value *ret, struct strbuf *out)
{
    int64_t year, month, day, y, m, d;
    if (!digits(s, 0, 4, &year) || !digits(s, 5, 2, &month) || !digits(s, 8, 2, &day))
        return false;
    if (s.ptr[4] != '-' || s.ptr[7] != '-' || !is_time(str_slice(s, 10, s.len)))
        return false;
    int64_t days = days_of(year, month, day);
    date_of(days, &y, &m, &d);
    if (y != year || m != month || d != day)
        return false; /* the 30th of February */
    if (year == 9999 || year <= 1)
        by = 0; /* stands for "never": of nobody */
    date_of(days + by, &y, &m, &d);
    if (y < 0 || y > 9999)
        return false;
    strbuf_addf(out, "%04d-%02d-%02d" STR_FMT, (int)y, (int)m, (int)d, STR_ARG(str_slice(s, 10, s.len)));
    ret->type = MASK_T_TEXT;
    ret->bytes = strbuf_str(out);
    return true;
}

/* Seconds since 1970, or thousands or millions of them: what is larger than any year 5000 has is smaller
 * units. */
static bool shift_number(int64_t by, int64_t n, struct mask_value *ret)
{
    int64_t size = n < 0 ? -(n + 1) : n, unit = 1, shift;
    if (size >= 100000000000)
        unit = 1000;
    if (size >= 100000000000000)
        unit = 1000000;
    shift = by * TIME_DAY_S * unit;
    if (shift > 0 ? n > INT64_MAX - shift : n < INT64_MIN - shift)
        return false;
    ret->type = MASK_T_INT;
    ret->number = n + shift;
    return true;
}

static bool shift_real(int64_t by, double n, struct mask_value *ret)
{
    bool julian = n >= JULIAN_FIRST && n <= JULIAN_LAST;
    if (!isfinite(n))
        return false;
    ret->type = MASK_T_REAL;
    ret->real = n + (double)by * (julian ? 1.0 : (double)TIME_DAY_S);
    return true;
}

bool mask_date(int64_t days, const struct mask_value *in, struct mask_value *ret, struct strbuf *out)
{
    switch (in->type) {
    case MASK_T_TEXT: return shift_text(days, in->bytes, ret, out);
    case MASK_T_INT: return shift_number(days, in->number, ret);
    case MASK_T_REAL: return shift_real(days, in->real, ret);
    default: return false;
    }
}
