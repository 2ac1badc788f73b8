/* Comparing, cutting and reading views of text. ASCII rules throughout: no locale. */
#include "base/str.h"
#include "base/check.h"
#include "base/enc.h"
#include <stdio.h>

static unsigned char ascii_lower(char c)
{
    return (unsigned char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
}

static bool ascii_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

bool str_eq_nocase(struct str a, struct str b)
{
    return a.len == b.len && str_starts_nocase(a, b);
}

bool str_starts(struct str s, struct str prefix)
{
    return s.len >= prefix.len && (prefix.len == 0 || memcmp(s.ptr, prefix.ptr, prefix.len) == 0);
}

bool str_starts_nocase(struct str s, struct str prefix)
{
    if (s.len < prefix.len)
        return false;
    for (size_t i = 0; i < prefix.len; i++)
        if (ascii_lower(s.ptr[i]) != ascii_lower(prefix.ptr[i]))
            return false;
    return true;
}

bool str_ends(struct str s, struct str suffix)
{
    return s.len >= suffix.len && str_eq(str_slice(s, s.len - suffix.len, s.len), suffix);
}

struct str str_trim(struct str s)
{
    while (s.len && ascii_space(s.ptr[s.len - 1]))
        s.len--;
    while (s.len && ascii_space(s.ptr[0])) {
        s.ptr++;
        s.len--;
    }
    return s;
}

struct str str_slice(struct str s, size_t from, size_t to)
{
    if (to > s.len)
        to = s.len;
    if (from > to)
        from = to;
    return from == 0 ? (struct str){s.ptr, to} : (struct str){s.ptr + from, to - from};
}

bool str_cut(struct str *rest, char sep, struct str *ret_part)
{
    if (!rest->ptr)
        return false;
    const char *at = rest->len ? memchr(rest->ptr, sep, rest->len) : NULL;
    if (!at) {
        *ret_part = *rest;
        *rest = (struct str){NULL, 0};
        return true;
    }
    size_t n = (size_t)(at - rest->ptr);
    *ret_part = (struct str){rest->ptr, n};
    *rest = (struct str){at + 1, rest->len - n - 1};
    return true;
}

/* Digits alone, as a negative number: the negative half of the range is the larger one. */
static bool digits_to_negative(struct str s, int64_t *ret)
{
    int64_t v = 0;
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] < '0' || s.ptr[i] > '9')
            return false;
        if (__builtin_mul_overflow(v, 10, &v) || __builtin_sub_overflow(v, s.ptr[i] - '0', &v))
            return false;
    }
    *ret = v;
    return s.len > 0;
}

bool str_to_i64(struct str s, int64_t min, int64_t max, int64_t *ret)
{
    bool negative = min < 0 && s.len && s.ptr[0] == '-';
    bool sign = negative || (min < 0 && s.len && s.ptr[0] == '+');
    int64_t v;
    if (!digits_to_negative(str_slice(s, sign ? 1 : 0, s.len), &v))
        return false;
    if (!negative) {
        if (v == INT64_MIN)
            return false;
        v = -v;
    }
    if (v < min || v > max)
        return false;
    *ret = v;
    return true;
}

static int64_t duration_unit(char c)
{
    switch (c) {
    case 's': return 1;
    case 'm': return 60;
    case 'h': return 3600;
    case 'd': return 86400;
    case 'w': return (int64_t)7 * 86400;
    default: return 0;
    }
}

bool str_to_duration(struct str s, int64_t *ret_seconds)
{
    static const int64_t TEN_YEARS = INT64_C(3653) * 86400;
    int64_t unit = s.len ? duration_unit(s.ptr[s.len - 1]) : 0;
    int64_t n;
    if (!str_to_i64(unit ? str_slice(s, 0, s.len - 1) : s, 0, TEN_YEARS, &n))
        return false;
    int64_t total = n * (unit ? unit : 1); /* at most ten years of weeks: far from overflow */
    if (total > TEN_YEARS)
        return false;
    *ret_seconds = total;
    return true;
}

enum { DISTANCE_MAX = 64 };

void str_print(char *out, size_t size, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(out, size, fmt, ap);
    va_end(ap);
    CHECK(n >= 0 && (size_t)n < size);
}

void str_vprint_cut(char *out, size_t size, const char *fmt, va_list ap)
{
    int n = vsnprintf(out, size, fmt, ap);
    CHECK(n >= 0 && size > 1);
    if ((size_t)n >= size)
        out[utf8_cut(str_make(out, size - 1), size - 2)] = '\0';
}

void str_print_cut(char *out, size_t size, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    str_vprint_cut(out, size, fmt, ap);
    va_end(ap);
}

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
    unsigned ab = a < b ? a : b;
    return ab < c ? ab : c;
}

/* Optimal string alignment over three rolling rows. */
unsigned str_distance(struct str a, struct str b)
{
    unsigned rows[3][DISTANCE_MAX + 1];
    a = str_slice(a, 0, DISTANCE_MAX);
    b = str_slice(b, 0, DISTANCE_MAX);
    for (unsigned j = 0; j <= b.len; j++)
        rows[0][j] = j;
    for (unsigned i = 1; i <= a.len; i++) {
        unsigned *row = rows[i % 3];
        const unsigned *above = rows[(i - 1) % 3];
        row[0] = i;
        for (unsigned j = 1; j <= b.len; j++) {
            unsigned swap_cost = a.ptr[i - 1] == b.ptr[j - 1] ? 0 : 1;
            row[j] = min3(above[j] + 1, row[j - 1] + 1, above[j - 1] + swap_cost);
            if (i > 1 && j > 1 && a.ptr[i - 1] == b.ptr[j - 2] && a.ptr[i - 2] == b.ptr[j - 1]) {
                unsigned swapped = rows[(i - 2) % 3][j - 2] + 1;
                row[j] = swapped < row[j] ? swapped : row[j];
            }
        }
    }
    return rows[a.len % 3][b.len];
}
