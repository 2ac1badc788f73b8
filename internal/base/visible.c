#include "base/visible.h"

#include "base/enc.h"

struct range {
    uint32_t from, to;
};

/* In order. */
static const struct range HIDDEN[] = {
    {0x0000, 0x0008}, {0x000b, 0x001f}, {0x007f, 0x009f}, {0x00ad, 0x00ad}, /* soft hyphen */
    {0x034f, 0x034f},                                                       /* combining grapheme joiner */
    {0x061c, 0x061c},                                                       /* Arabic letter mark */
    {0x115f, 0x1160},                                                       /* Hangul fillers */
    {0x17b4, 0x17b5},                                                       /* Khmer vowels without a shape */
    {0x180b, 0x180f},                                                       /* Mongolian selectors */
    {0x200b, 0x200f},   /* without width, marks of direction */
    {0x2028, 0x202e},   /* separators, embedding and overriding */
    {0x2060, 0x206f},   /* joiners, isolates */
    {0x3164, 0x3164},   /* Hangul filler */
    {0xd800, 0xf8ff},   /* surrogates, private use */
    {0xfe00, 0xfe0f},   /* variation selectors */
    {0xfeff, 0xfeff},   /* byte order mark */
    {0xffa0, 0xffa0},   /* Hangul filler */
    {0xfff0, 0xfffb},   /* annotations */
    {0x1d173, 0x1d17a}, /* musical controls */
    {0xe0000, 0x10ffff} /* tags, selectors, private use */
};

static bool is_hidden(uint32_t c)
{
    for (size_t i = 0; i < ARRAY_LEN(HIDDEN) && HIDDEN[i].from <= c; i++)
        if (c <= HIDDEN[i].to)
            return true;
    return false;
}

/* A well-formed character of `len` bytes. */
static uint32_t decode(const char *p, size_t len)
{
    static const unsigned char MASKS[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    uint32_t c = (unsigned char)p[0] & MASKS[len];
    for (size_t i = 1; i < len; i++)
        c = c << 6 | ((unsigned char)p[i] & 0x3f);
    return c;
}

void strbuf_add_visible(struct strbuf *out, struct str text)
{
    for (size_t at = 0; at < text.len;) {
        size_t len = utf8_first(str_slice(text, at, text.len));
        uint32_t c = len ? decode(text.ptr + at, len) : 0;
        if (!len)
            strbuf_add_cstr(out, "\xef\xbf\xbd");
        else if (is_hidden(c))
            strbuf_addf(out, "\\u{%X}", (unsigned)c);
        else
            strbuf_add(out, text.ptr + at, len);
        at += len ? len : 1;
    }
}

static bool is_space(uint32_t c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == 0xa0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200a) ||
           c == 0x202f || c == 0x205f || c == 0x2800 || c == 0x3000;
}

bool visible_at_all(struct str text)
{
    for (size_t at = 0, len; at < text.len; at += len ? len : 1) {
        len = utf8_first(str_slice(text, at, text.len));
        uint32_t c = len ? decode(text.ptr + at, len) : 0;
        if (len && !is_hidden(c) && !is_space(c))
            return true;
    }
    return false;
}

bool visible_as_it_is(struct str text)
{
    for (size_t at = 0; at < text.len;) {
        size_t len = utf8_first(str_slice(text, at, text.len));
        if (!len || is_hidden(decode(text.ptr + at, len)))
            return false;
        at += len;
    }
    return true;
}
