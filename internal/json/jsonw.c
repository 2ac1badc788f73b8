/* The streaming writer: commas, nesting, escapes and numbers. */
#include "json/jsonw.h"
#include "base/check.h"
#include "base/enc.h"
#include "json/text.h"
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { IN_ARRAY = 1, IN_OBJECT = 2, NOT_EMPTY = 4 };

void jsonw_init(struct jsonw *w, struct strbuf *out)
{
    *w = (struct jsonw){.out = out};
}

bool jsonw_done(const struct jsonw *w)
{
    return w->depth == 0 && w->state[0] == NOT_EMPTY;
}

/* Every value passes here: takes the key's place, or writes the comma of an array. */
static void before_value(struct jsonw *w)
{
    unsigned char *state = &w->state[w->depth];
    if (*state & IN_OBJECT) {
        CHECK(w->have_key);
        w->have_key = false;
        return;
    }
    if (*state & NOT_EMPTY) {
        CHECK(*state & IN_ARRAY); /* a second value at the top */
        strbuf_add_char(w->out, ',');
    }
    *state |= NOT_EMPTY;
}

static void open_level(struct jsonw *w, unsigned char state, char bracket)
{
    before_value(w);
    CHECK(w->depth + 1 < JSONW_DEPTH_MAX);
    w->state[++w->depth] = state;
    strbuf_add_char(w->out, bracket);
}

static void close_level(struct jsonw *w, unsigned char state, char bracket)
{
    CHECK(w->depth > 0 && (w->state[w->depth] & state) && !w->have_key);
    w->depth--;
    strbuf_add_char(w->out, bracket);
}

void jsonw_object(struct jsonw *w)
{
    open_level(w, IN_OBJECT, '{');
}

void jsonw_array(struct jsonw *w)
{
    open_level(w, IN_ARRAY, '[');
}

void jsonw_array_end(struct jsonw *w)
{
    close_level(w, IN_ARRAY, ']');
}

#ifdef HF_DEBUG
/* Keys of ours may not repeat. Keys that come from a database may: a query can return two columns of one
 * name. */
static void remember_key(struct jsonw *w, const char *key)
{
    for (unsigned i = 0; i < w->key_count; i++)
        CHECK(w->keys[i].depth != w->depth || strcmp(w->keys[i].key, key) != 0);
    if (w->key_count < JSONW_KEYS_MAX) {
        w->keys[w->key_count].depth = w->depth;
        w->keys[w->key_count++].key = key;
    }
}

static void forget_keys(struct jsonw *w)
{
    while (w->key_count && w->keys[w->key_count - 1].depth >= w->depth)
        w->key_count--;
}
#else
static void remember_key(const struct jsonw *w, const char *key)
{
    (void)w;
    (void)key;
}

static void forget_keys(const struct jsonw *w)
{
    (void)w;
}
#endif

void jsonw_object_end(struct jsonw *w)
{
    forget_keys(w);
    close_level(w, IN_OBJECT, '}');
}

static void before_key(struct jsonw *w)
{
    unsigned char *state = &w->state[w->depth];
    CHECK((*state & IN_OBJECT) && !w->have_key);
    if (*state & NOT_EMPTY)
        strbuf_add_char(w->out, ',');
    *state |= NOT_EMPTY;
    w->have_key = true;
}

void jsonw_key(struct jsonw *w, const char *key)
{
    remember_key(w, key);
    before_key(w);
    size_t len = strlen(key);
    char *p = strbuf_reserve(w->out, len + 3);
    if (!p)
        return;
    p[0] = '"';
    memcpy(p + 1, key, len);
    memcpy(p + 1 + len, "\":", 2);
    strbuf_commit(w->out, len + 3);
}

static void add_escape(struct strbuf *out, unsigned char c)
{
    static const char SHORT[] = "\"\"\\\\\bb\ff\nn\rr\tt"; /* pairs: character, letter of its escape */
    static const char HEX[] = "0123456789abcdef";
    for (size_t i = 0; i + 1 < sizeof SHORT; i += 2)
        if (c == (unsigned char)SHORT[i]) {
            strbuf_add(out, (const char[]){'\\', SHORT[i + 1]}, 2);
            return;
        }
    strbuf_add(out, (const char[]){'\\', 'u', '0', '0', HEX[c >> 4], HEX[c & 15]}, 6);
}

/* Adds the one character at the front, which is not plain, and returns its length. */
static size_t add_special(struct strbuf *out, struct str s)
{
    if ((unsigned char)s.ptr[0] < 0x80) {
        add_escape(out, (unsigned char)s.ptr[0]);
        return 1;
    }
    size_t n = utf8_first(s);
    if (n)
        strbuf_add(out, s.ptr, n);
    else
        strbuf_add(out, "\xef\xbf\xbd", 3);
    return n ? n : 1;
}

static void add_quoted(struct strbuf *out, struct str s)
{
    strbuf_add_char(out, '"');
    for (;;) {
        size_t n = text_plain_run(s);
        strbuf_add(out, s.ptr, n);
        if (n == s.len)
            break;
        s = str_slice(s, n, s.len);
        s = str_slice(s, add_special(out, s), s.len);
    }
    strbuf_add_char(out, '"');
}

void jsonw_key_str(struct jsonw *w, struct str key)
{
    before_key(w);
    add_quoted(w->out, key);
    strbuf_add_char(w->out, ':');
}

void jsonw_text(struct jsonw *w, struct str s)
{
    before_value(w);
    add_quoted(w->out, s);
}

void jsonw_text_or_null(struct jsonw *w, struct str s)
{
    if (s.ptr)
        jsonw_text(w, s);
    else
        jsonw_null(w);
}

void jsonw_cstr(struct jsonw *w, const char *z)
{
    if (z)
        jsonw_text(w, str_of(z));
    else
        jsonw_null(w);
}

void jsonw_int(struct jsonw *w, int64_t v)
{
    before_value(w);
    strbuf_add_i64(w->out, v);
}

enum { REAL_TEXT_MAX = 40 };

/* Most reals people store have a few decimals: v = n / 10^k with a small n. Both are exact doubles then, so
 * the division, which is rounded correctly, proves that the decimal text reads back as v; and 15 digits or
 * fewer are always the shortest text. */
static bool add_short_real(struct strbuf *out, double v)
{
    static const double POWERS[] = {1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6};
    for (unsigned k = 0; k < ARRAY_LEN(POWERS); k++) {
        double scaled = nearbyint(v * POWERS[k]);
        if (!(fabs(scaled) < 1e15))
            return false;
        if (scaled / POWERS[k] != v)
            continue;
        int64_t n = (int64_t)fabs(scaled), unit = (int64_t)POWERS[k];
        if (signbit(v))
            strbuf_add_char(out, '-');
        strbuf_add_i64(out, n / unit);
        strbuf_add_char(out, '.');
        for (int64_t rest = n % unit, place = unit / 10; place > 0; place /= 10)
            strbuf_add_char(out, (char)('0' + rest / place % 10));
        if (k == 0)
            strbuf_add_char(out, '0');
        return true;
    }
    return false;
}

static void add_long_real(struct strbuf *out, double v)
{
    char text[REAL_TEXT_MAX];
    int n = 0;
    for (int digits = fabs(v) < DBL_MIN ? 1 : 15; digits <= 17; digits++) { /* subnormals hold fewer digits */
        n = snprintf(text, sizeof text, "%.*g", digits, v);
        CHECK(n > 0 && (size_t)n < sizeof text);
        if (strtod(text, NULL) == v)
            break;
    }
    strbuf_add(out, text, (size_t)n);
    if (!strpbrk(text, ".e"))
        strbuf_add(out, ".0", 2);
}

void jsonw_real(struct jsonw *w, double v)
{
    if (!isfinite(v)) {
        jsonw_null(w);
        return;
    }
    before_value(w);
    if (!add_short_real(w->out, v))
        add_long_real(w->out, v);
}

void jsonw_bool(struct jsonw *w, bool v)
{
    jsonw_raw(w, v ? S("true") : S("false"));
}

void jsonw_null(struct jsonw *w)
{
    jsonw_raw(w, S("null"));
}

void jsonw_blob(struct jsonw *w, struct str bytes)
{
    before_value(w);
    strbuf_add_str(w->out, S("{\"$blob\":\""));
    enc_base64(w->out, bytes);
    strbuf_add_str(w->out, S("\"}"));
}

void jsonw_base64(struct jsonw *w, struct str bytes)
{
    before_value(w);
    strbuf_add_char(w->out, '"');
    enc_base64(w->out, bytes);
    strbuf_add_char(w->out, '"');
}

void jsonw_raw(struct jsonw *w, struct str json)
{
    before_value(w);
    strbuf_add_str(w->out, json);
}
