/* Words and their likeness. */
#include "engine/search_words.h"

/* What a match is worth. */
static const double SAME = 1.0, SAME_STEM = 0.95, BEGINS = 0.8, BEGUN = 0.6, INSIDE = 0.45, SLIP = 0.55,
                    TWO_SLIPS = 0.4;

enum { PREFIX_LEAST = 2, INSIDE_LEAST = 4, SLIP_LEAST = 4, TWO_SLIPS_LEAST = 7 };

static bool is_upper(char c)
{
    return c >= 'A' && c <= 'Z';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_word_char(char c)
{
    return is_upper(c) || is_digit(c) || (c >= 'a' && c <= 'z') || (unsigned char)c >= 0x80;
}

/* Between "order" and "Items", between "HTTP" and "Server", between "line" and "2". */
static bool is_boundary(const struct str s, size_t at)
{
    char before = s.ptr[at - 1], c = s.ptr[at];
    if (is_digit(before) != is_digit(c))
        return true;
    if (is_upper(c) && !is_upper(before))
        return true;
    return is_upper(c) && at + 1 < s.len && s.ptr[at + 1] >= 'a' && s.ptr[at + 1] <= 'z';
}

static bool ends(const struct search_word *w, struct str tail)
{
    return str_ends(str_make(w->text, w->len), tail);
}

/* "boxes" and "box", "carts" and "cart"; "ies" is left to the prefix rule but for its y: "categories",
 * "category". */
static size_t stem_length(const struct search_word *w)
{
    if (w->len < 4 || !ends(w, S("s")) || ends(w, S("ss")))
        return w->len;
    if (ends(w, S("sses")) || ends(w, S("xes")) || ends(w, S("ches")) || ends(w, S("shes")) ||
        ends(w, S("zes")))
        return w->len - 2;
    return ends(w, S("ies")) ? w->len - 3 : w->len - 1;
}

static size_t stem_without_y(const struct search_word *w)
{
    return w->len > 3 && ends(w, S("y")) ? w->len - 1 : w->stem;
}

bool search_word_next(struct str *rest, struct search_word *ret)
{
    size_t at = 0, len = 1;
    while (at < rest->len && !is_word_char(rest->ptr[at]))
        at++;
    struct str s = str_slice(*rest, at, rest->len);
    if (s.len == 0)
        return false;
    while (len < s.len && is_word_char(s.ptr[len]) && !is_boundary(s, len))
        len++;
    *rest = str_slice(s, len, s.len);
    *ret = (struct search_word){.len = len < SEARCH_WORD_MAX ? len : SEARCH_WORD_MAX};
    for (size_t i = 0; i < ret->len; i++)
        ret->text[i] = (char)(is_upper(s.ptr[i]) ? s.ptr[i] + ('a' - 'A') : s.ptr[i]);
    ret->stem = stem_length(ret);
    return true;
}

static bool same_stem(const struct search_word *a, const struct search_word *b)
{
    struct str x = str_make(a->text, a->stem), y = str_make(b->text, b->stem);
    if (str_eq(x, y))
        return true;
    /* category, categories */
    return (ends(a, S("ies")) && str_eq(x, str_make(b->text, stem_without_y(b)))) ||
           (ends(b, S("ies")) && str_eq(y, str_make(a->text, stem_without_y(a))));
}

static bool contains(struct str s, struct str part)
{
    for (size_t i = 0; i + part.len <= s.len; i++) {
        if (memcmp(s.ptr + i, part.ptr, part.len) == 0)
            return true;
    }
    return false;
}

double search_word_match(const struct search_word *asked, const struct search_word *found)
{
    struct str a = str_make(asked->text, asked->len), f = str_make(found->text, found->len);
    if (str_eq(a, f))
        return SAME;
    if (same_stem(asked, found))
        return SAME_STEM;
    if (a.len >= PREFIX_LEAST && str_starts(f, a))
        return BEGINS * (0.7 + 0.3 * (double)a.len / (double)f.len);
    if (f.len > PREFIX_LEAST && str_starts(a, f))
        return BEGUN * (double)f.len / (double)a.len;
    unsigned distance = a.len >= SLIP_LEAST && f.len >= SLIP_LEAST ? str_distance(a, f) : UINT32_MAX;
    if (distance == 1)
        return SLIP;
    if (distance == 2 && a.len >= TWO_SLIPS_LEAST)
        return TWO_SLIPS;
    return a.len >= INSIDE_LEAST && contains(f, a) ? INSIDE : 0;
}
