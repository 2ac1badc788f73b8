/* The strict scan: a recursive descent of bounded depth that remembers where it is, so that an error can name
 * the field. */
#include "json/scan.h"
#include "base/enc.h"
#include "json/jsonr.h"
#include "json/pointer.h"
#include "json/text.h"
#include <stdarg.h>

enum { NUMBER_MAX = 400, EXACT_DIGITS = 15 };

struct scan_frame {
    struct str key; /* of an object's member, as written; ptr NULL in arrays */
    size_t index;
    bool inside; /* a member is being read: it belongs to the pointer */
};

struct scan {
    const char *start, *p, *end;
    struct scan_found found;
    bool nul_ok;
    unsigned depth;
    struct err *err;
    struct scan_frame frames[JSONR_DEPTH_MAX + 1];
};

static bool scan_value(struct scan *s);

static bool PRINTF_LIKE(2, 3) scan_fail(struct scan *s, const char *fmt, ...)
{
    AUTO_STRBUF pointer, message;
    strbuf_init(&pointer, POINTER_TEXT_MAX);
    strbuf_init(&message, ERR_MESSAGE_MAX);
    for (unsigned i = 1; i <= s->depth; i++) {
        const struct scan_frame *f = &s->frames[i];
        if (f->inside && f->key.ptr)
            pointer_add_key(&pointer, f->key);
        else if (f->inside)
            pointer_add_index(&pointer, f->index);
    }
    va_list ap;
    va_start(ap, fmt);
    strbuf_vaddf(&message, fmt, ap);
    va_end(ap);
    (void)err_field(s->err, strbuf_cstr(&pointer), "%s at byte %zu", strbuf_cstr(&message),
        (size_t)(s->p - s->start) + 1);
    return false;
}

/* The next byte, or NUL at the end: no token begins with NUL. */
static char peek(const struct scan *s)
{
    return s->p < s->end ? *s->p : '\0';
}

static bool take(struct scan *s, char c)
{
    if (peek(s) != c)
        return false;
    s->p++;
    return true;
}

static void skip_space(struct scan *s)
{
    while (s->p < s->end && (*s->p == ' ' || *s->p == '\n' || *s->p == '\r' || *s->p == '\t'))
        s->p++;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static int hex_value(char c)
{
    if (is_digit(c))
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* The four digits behind \u at p; -1 when they are not there. */
static int hex4(const struct scan *s, const char *p)
{
    int v = 0;
    if (s->end - p < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        int digit = hex_value(p[i]);
        if (digit < 0)
            return -1;
        v = v << 4 | digit;
    }
    return v;
}

/* At the 'u' of \uXXXX. */
static bool scan_unicode_escape(struct scan *s)
{
    int unit = hex4(s, s->p + 1);
    if (unit < 0)
        return scan_fail(s, "\\u needs four hexadecimal digits");
    if (unit == 0 && !s->nul_ok)
        return scan_fail(s, "\\u0000 is not allowed in text");
    if (unit >= 0xdc00 && unit <= 0xdfff)
        return scan_fail(s, "lone surrogate \\u%04x", (unsigned)unit);
    s->found.nuls += unit == 0;
    s->p += 5;
    if (unit < 0xd800 || unit > 0xdbff)
        return true;
    int low = s->end - s->p >= 6 && s->p[0] == '\\' && s->p[1] == 'u' ? hex4(s, s->p + 2) : -1;
    if (low < 0xdc00 || low > 0xdfff)
        return scan_fail(s, "lone surrogate \\u%04x", (unsigned)unit);
    s->p += 6;
    return true;
}

static bool scan_escape(struct scan *s)
{
    s->p++;
    char c = peek(s);
    if (c == 'u')
        return scan_unicode_escape(s);
    if (c == '\0' || !strchr("\"\\/bfnrt", c))
        return scan_fail(s, "unknown escape in text");
    s->p++;
    return true;
}

/* One thing inside a string that does not stand for itself. */
static bool scan_special(struct scan *s)
{
    unsigned char c = (unsigned char)*s->p;
    if (c == '\\')
        return scan_escape(s);
    if (c < 0x20)
        return scan_fail(s, "raw control character 0x%02x in text; write it as an escape", c);
    size_t n = utf8_first(str_make(s->p, (size_t)(s->end - s->p)));
    if (!n)
        return scan_fail(s, "text is not valid UTF-8");
    s->p += n;
    return true;
}

static bool scan_string(struct scan *s)
{
    s->p++;
    for (;;) {
        s->p += text_plain_run(str_make(s->p, (size_t)(s->end - s->p)));
        if (s->p == s->end)
            return scan_fail(s, "text is not closed by a quote");
        if (*s->p == '"')
            break;
        if (!scan_special(s))
            return false;
    }
    s->p++;
    return true;
}

static size_t skip_digits(struct scan *s)
{
    const char *from = s->p;
    while (is_digit(peek(s)))
        s->p++;
    return (size_t)(s->p - from);
}

/* The optional fraction and exponent. */
static bool scan_number_tail(struct scan *s)
{
    if (take(s, '.') && !skip_digits(s))
        return scan_fail(s, "a digit is expected behind the decimal point");
    if (peek(s) != 'e' && peek(s) != 'E')
        return true;
    s->p++;
    if (!take(s, '+'))
        (void)take(s, '-');
    return skip_digits(s) > 0 || scan_fail(s, "a digit is expected in the exponent");
}

static bool scan_number(struct scan *s)
{
    const char *from = s->p;
    (void)take(s, '-');
    if (!is_digit(peek(s)))
        return scan_fail(s, "a digit is expected");
    if (take(s, '0') && is_digit(peek(s)))
        return scan_fail(s, "a number may not begin with 0");
    (void)skip_digits(s);
    if (!scan_number_tail(s))
        return false;
    struct str number = str_make(from, (size_t)(s->p - from));
    if (!scan_must_mark(number))
        return true;
    s->found.marks++;
    s->p = from; /* the place an error names */
    if (number.len > NUMBER_MAX)
        return scan_fail(s, "number of more than %d characters; pass it as a string", NUMBER_MAX);
    int64_t v;
    if (!scan_is_real(number) && !str_to_i64(number, INT64_MIN, INT64_MAX, &v))
        return scan_fail(s, "integer " STR_FMT " is outside 64 bits; pass it as a string", STR_ARG(number));
    s->p += number.len;
    return true;
}

static bool scan_word(struct scan *s, struct str word)
{
    if (!str_starts(str_make(s->p, (size_t)(s->end - s->p)), word))
        return scan_fail(s, "a JSON value is expected");
    s->p += word.len;
    return true;
}

static struct scan_frame *scan_enter(struct scan *s)
{
    if (s->depth == JSONR_DEPTH_MAX) {
        (void)scan_fail(s, "more than %d levels of nesting", JSONR_DEPTH_MAX);
        return NULL;
    }
    s->p++;
    skip_space(s);
    struct scan_frame *f = &s->frames[++s->depth];
    *f = (struct scan_frame){.inside = false};
    return f;
}

static bool scan_leave(struct scan *s)
{
    s->depth--;
    return true;
}

/* The value of a member and the space around it. */
static bool scan_inside(struct scan *s, struct scan_frame *f)
{
    f->inside = true;
    skip_space(s);
    if (!scan_value(s))
        return false;
    f->inside = false;
    skip_space(s);
    return true;
}

static bool scan_array(struct scan *s)
{
    struct scan_frame *f = scan_enter(s);
    if (!f)
        return false;
    if (take(s, ']'))
        return scan_leave(s);
    for (;; f->index++) {
        if (!scan_inside(s, f))
            return false;
        if (take(s, ']'))
            return scan_leave(s);
        if (!take(s, ','))
            return scan_fail(s, "',' or ']' is expected");
    }
}

static bool scan_key(struct scan *s, struct scan_frame *f)
{
    skip_space(s);
    if (peek(s) != '"')
        return scan_fail(s, "a member name in quotes is expected");
    const char *from = s->p + 1;
    size_t nuls = s->found.nuls;
    if (!scan_string(s))
        return false;
    if (s->found.nuls != nuls)
        return scan_fail(s, "\\u0000 is not allowed in a member name");
    f->key = str_make(from, (size_t)(s->p - from) - 1);
    skip_space(s);
    return take(s, ':') || scan_fail(s, "':' is expected");
}

static bool scan_object(struct scan *s)
{
    struct scan_frame *f = scan_enter(s);
    if (!f)
        return false;
    if (take(s, '}'))
        return scan_leave(s);
    for (;;) {
        if (!scan_key(s, f) || !scan_inside(s, f))
            return false;
        if (take(s, '}'))
            return scan_leave(s);
        if (!take(s, ','))
            return scan_fail(s, "',' or '}' is expected");
    }
}

static bool scan_value(struct scan *s)
{
    switch (peek(s)) {
    case '{': return scan_object(s);
    case '[': return scan_array(s);
    case '"': return scan_string(s);
    case 't': return scan_word(s, S("true"));
    case 'f': return scan_word(s, S("false"));
    case 'n': return scan_word(s, S("null"));
    case '-': return scan_number(s);
    default: return is_digit(peek(s)) ? scan_number(s) : scan_fail(s, "a JSON value is expected");
    }
}

enum err_code scan_check(struct str text, bool nul_ok, struct scan_found *ret, struct err *err)
{
    struct scan s; /* the frames stay uncleared: scan_enter sets each before use */
    s.start = s.p = text.ptr;
    s.end = text.ptr + text.len;
    s.found = (struct scan_found){0, 0};
    s.nul_ok = nul_ok;
    s.depth = 0;
    s.err = err;
    skip_space(&s);
    if (s.p == s.end)
        return err_set(err, ERR_INVALID, "the body is empty; a JSON value is expected");
    if (!scan_value(&s))
        return ERR_INVALID;
    skip_space(&s);
    if (s.p != s.end) {
        (void)scan_fail(&s, "unexpected text behind the JSON value");
        return ERR_INVALID;
    }
    *ret = s.found;
    return ERR_OK;
}

size_t scan_number_length(struct str s)
{
    size_t n = 0;
    if (s.len == 0 || (s.ptr[0] != '-' && !is_digit(s.ptr[0])))
        return 0;
    while (n < s.len && (is_digit(s.ptr[n]) || (s.ptr[n] && strchr("+-.eE", s.ptr[n]))))
        n++;
    return n;
}

bool scan_is_real(struct str number)
{
    for (size_t i = 0; i < number.len; i++)
        if (number.ptr[i] == '.' || number.ptr[i] == 'e' || number.ptr[i] == 'E')
            return true;
    return false;
}

bool scan_must_mark(struct str number)
{
    size_t sign = number.ptr[0] == '-' ? 1 : 0;
    return number.len - sign > EXACT_DIGITS || scan_is_real(number);
}
