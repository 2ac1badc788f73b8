/* Hex, base64, base62, CRC-32, UTF-8 and percent-encoding. */
#include "base/enc.h"
#include "base/check.h"

static const char HEX[] = "0123456789abcdef";

void enc_hex(struct strbuf *out, struct str bytes)
{
    char *p = strbuf_reserve(out, bytes.len * 2);
    if (!p)
        return;
    for (size_t i = 0; i < bytes.len; i++) {
        *p++ = HEX[(unsigned char)bytes.ptr[i] >> 4];
        *p++ = HEX[(unsigned char)bytes.ptr[i] & 15];
    }
    strbuf_commit(out, bytes.len * 2);
}

static int hex_lower(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int hex_any(char c)
{
    return hex_lower(c >= 'A' && c <= 'F' ? (char)(c - 'A' + 'a') : c);
}

bool dec_hex(struct str text, unsigned char *out, size_t cap, size_t *ret_len)
{
    if (text.len % 2 || text.len / 2 > cap)
        return false;
    for (size_t i = 0; i < text.len; i += 2) {
        int hi = hex_lower(text.ptr[i]), lo = hex_lower(text.ptr[i + 1]);
        if (hi < 0 || lo < 0)
            return false;
        out[i / 2] = (unsigned char)(hi << 4 | lo);
    }
    *ret_len = text.len / 2;
    return true;
}

static const char BASE64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void enc_base64(struct strbuf *out, struct str bytes)
{
    const unsigned char *in = (const unsigned char *)bytes.ptr;
    size_t total = (bytes.len + 2) / 3 * 4;
    char *p = strbuf_reserve(out, total);
    if (!p)
        return;
    for (size_t i = 0; i < bytes.len; i += 3, p += 4) {
        size_t left = bytes.len - i;
        unsigned v =
            (unsigned)in[i] << 16 | (left > 1 ? (unsigned)in[i + 1] << 8 : 0) | (left > 2 ? in[i + 2] : 0U);
        p[0] = BASE64[v >> 18];
        p[1] = BASE64[v >> 12 & 63];
        p[2] = left > 1 ? BASE64[v >> 6 & 63] : '=';
        p[3] = left > 2 ? BASE64[v & 63] : '=';
    }
    strbuf_commit(out, total);
}

/* -1 when not of the alphabet. */
static int base64_value(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* One group of four characters, of which the last `pad` are '='. Bits that no byte uses must be zero. */
static bool dec_base64_group(const char *in, unsigned pad, char *out)
{
    int v = 0;
    for (unsigned i = 0; i < 4; i++) {
        int digit = i < 4 - pad ? base64_value(in[i]) : 0;
        if (digit < 0)
            return false;
        v = v << 6 | digit;
    }
    if ((pad == 1 && (v & 0xff)) || (pad == 2 && (v & 0xffff)))
        return false;
    for (unsigned i = 0; i < 3 - pad; i++)
        out[i] = (char)(unsigned char)(v >> (16 - 8 * i) & 0xff);
    return true;
}

bool dec_base64(struct str text, struct strbuf *out)
{
    if (text.len % 4)
        return false;
    if (!text.len)
        return true;
    unsigned pad = text.ptr[text.len - 1] != '=' ? 0 : text.ptr[text.len - 2] != '=' ? 1 : 2;
    size_t total = text.len / 4 * 3 - pad;
    char *p = strbuf_reserve(out, total);
    if (!p)
        return false;
    for (size_t i = 0; i < text.len; i += 4, p += 3)
        if (!dec_base64_group(text.ptr + i, i + 4 == text.len ? pad : 0, p))
            return false;
    strbuf_commit(out, total);
    return true;
}

/* The other alphabet and no padding, by way of the standard form. */
void enc_base64url(struct strbuf *out, struct str bytes)
{
    size_t from = out->len;

    enc_base64(out, bytes);
    if (strbuf_failed(out))
        return;
    while (out->len > from && out->buf[out->len - 1] == '=')
        strbuf_truncate(out, out->len - 1);
    for (size_t i = from; i < out->len; i++) {
        if (out->buf[i] == '+')
            out->buf[i] = '-';
        else if (out->buf[i] == '/')
            out->buf[i] = '_';
    }
}

bool dec_base64url(struct str text, struct strbuf *out)
{
    AUTO_STRBUF standard;

    strbuf_init(&standard, text.len + 3);
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (c == '+' || c == '/' || c == '=')
            return false;
        strbuf_add_char(&standard, c == '-' ? '+' : c == '_' ? '/' : c);
    }
    for (size_t i = text.len; i % 4 > 1; i++)
        strbuf_add_char(&standard, '=');
    return !strbuf_failed(&standard) && dec_base64(strbuf_str(&standard), out);
}

enum { BASE62_BYTES_MAX = 64, BASE62_WIDTH_MAX = 88, BASE62_FIVE = 62 * 62 * 62 * 62 * 62 };

/* Returns what is left. */
static uint32_t divide_words(uint32_t *num, size_t words, uint32_t by)
{
    uint64_t rest = 0;
    for (size_t i = 0; i < words; i++) {
        uint64_t v = rest << 32 | num[i];
        num[i] = (uint32_t)(v / by);
        rest = v % by;
    }
    return (uint32_t)rest;
}

void enc_base62(struct strbuf *out, const unsigned char *bytes, size_t len, size_t width)
{
    static const char BASE62[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    uint32_t num[BASE62_BYTES_MAX / 4] = {0}; /* the same number in larger digits */
    char digits[BASE62_WIDTH_MAX];
    size_t words = (len + 3) / 4;
    CHECK(len <= BASE62_BYTES_MAX && width <= sizeof digits);
    for (size_t i = 0; i < len; i++)
        num[words - 1 - i / 4] |= (uint32_t)bytes[len - 1 - i] << 8 * (i % 4);
    for (size_t at = width; at > 0;) {
        uint32_t few = divide_words(num, words, BASE62_FIVE);
        for (int i = 0; i < 5 && at > 0; i++, few /= 62)
            digits[--at] = BASE62[few % 62];
        CHECK(few == 0); /* the number fits in `width` digits */
    }
    for (size_t i = 0; i < words; i++)
        CHECK(num[i] == 0); /* as above */
    strbuf_add(out, digits, width);
}

uint32_t enc_crc32(struct str bytes)
{
    static const uint32_t NIBBLE[16] = {0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190,
        0x6b6b51f4, 0x4db26158, 0x5005713c, 0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c, 0x9b64c2b0,
        0x86d3d2d4, 0xa00ae278, 0xbdbdf21c};
    uint32_t crc = UINT32_MAX;
    for (size_t i = 0; i < bytes.len; i++) {
        crc ^= (unsigned char)bytes.ptr[i];
        crc = crc >> 4 ^ NIBBLE[crc & 15];
        crc = crc >> 4 ^ NIBBLE[crc & 15];
    }
    return ~crc;
}

static bool is_continuation(unsigned char c)
{
    return (c & 0xc0) == 0x80;
}

/* Unicode's table 3-7. */
static size_t utf8_char(const unsigned char *p, size_t left)
{
    if (p[0] < 0x80)
        return 1;
    if (p[0] < 0xc2 || p[0] > 0xf4)
        return 0;
    size_t n = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
    if (left < n)
        return 0;
    unsigned char low = p[0] == 0xe0 ? 0xa0 : p[0] == 0xf0 ? 0x90 : 0x80;
    unsigned char high = p[0] == 0xed ? 0x9f : p[0] == 0xf4 ? 0x8f : 0xbf;
    if (p[1] < low || p[1] > high)
        return 0;
    for (size_t i = 2; i < n; i++)
        if (!is_continuation(p[i]))
            return 0;
    return n;
}

size_t utf8_first(struct str s)
{
    return s.len ? utf8_char((const unsigned char *)s.ptr, s.len) : 0;
}

bool utf8_valid(struct str s)
{
    const unsigned char *p = (const unsigned char *)s.ptr;
    size_t i = 0;
    while (i < s.len) {
        uint64_t eight;
        if (s.len - i >= 8) {
            memcpy(&eight, p + i, 8);
            if (!(eight & UINT64_C(0x8080808080808080))) {
                i += 8;
                continue;
            }
        }
        size_t n = utf8_char(p + i, s.len - i);
        if (!n)
            return false;
        i += n;
    }
    return true;
}

size_t utf8_cut(struct str s, size_t max)
{
    if (s.len <= max)
        return s.len;
    size_t at = max;
    while (at > 0 && max - at < 3 && is_continuation((unsigned char)s.ptr[at]))
        at--;
    return is_continuation((unsigned char)s.ptr[at]) ? max : at; /* not UTF-8 there: any cut is as good */
}

bool dec_percent(struct str s, bool form, struct strbuf *out)
{
    size_t start = out->len;
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] == '\0')
            return false;
        if (s.ptr[i] != '%') {
            strbuf_add_char(out, form && s.ptr[i] == '+' ? ' ' : s.ptr[i]);
            continue;
        }
        int hi = s.len - i > 2 ? hex_any(s.ptr[i + 1]) : -1, lo = hi >= 0 ? hex_any(s.ptr[i + 2]) : -1;
        if (lo < 0 || (hi | lo) == 0)
            return false;
        strbuf_add_char(out, (char)(unsigned char)(hi << 4 | lo));
        i += 2;
    }
    return !out->failed && utf8_valid(str_slice(strbuf_str(out), start, out->len));
}
