/* Growing text. Memory doubles up to the limit; running out of memory counts as reaching the limit, because
 * the size is a user's. */
#include "base/strbuf.h"
#include "base/check.h"
#include "base/mem.h"
#include <stdio.h>

enum { STRBUF_FIRST = 64 };

void strbuf_init(struct strbuf *sb, size_t limit)
{
    CHECK(limit < SIZE_MAX / 4);
    *sb = (struct strbuf){.limit = limit};
}

void strbuf_release(struct strbuf *sb)
{
    mem_free(sb->buf);
    *sb = (struct strbuf){.limit = sb->limit};
}

void strbuf_reset(struct strbuf *sb)
{
    sb->len = 0;
    sb->failed = false;
    if (sb->buf)
        sb->buf[0] = '\0';
}

void strbuf_shrink(struct strbuf *sb, size_t keep)
{
    if (sb->cap > keep)
        strbuf_release(sb);
    else
        strbuf_reset(sb);
}

const char *strbuf_cstr(const struct strbuf *sb)
{
    return sb->buf ? sb->buf : "";
}

char *strbuf_detach(struct strbuf *sb, size_t *ret_len)
{
    char *buf = sb->buf ? sb->buf : mem_alloc(1);
    if (ret_len)
        *ret_len = sb->len;
    sb->buf = NULL;
    strbuf_release(sb);
    return buf;
}

static bool strbuf_grow(struct strbuf *sb, size_t need)
{
    size_t cap = sb->cap ? sb->cap : STRBUF_FIRST;
    while (cap < need)
        cap *= 2;
    if (cap > sb->limit + 1)
        cap = sb->limit + 1;
    char *grown = mem_try_grow(sb->buf, cap);
    if (!grown)
        return false;
    sb->buf = grown;
    sb->cap = cap;
    return true;
}

/* Makes room for `len` bytes and the terminator. */
static bool strbuf_room(struct strbuf *sb, size_t len)
{
    if (sb->failed)
        return false;
    CHECK(sb->len <= sb->limit);
    size_t need = sb->len + len + 1; /* meaningful once len is known to fit below the limit */
    if (len > sb->limit - sb->len || (need > sb->cap && !strbuf_grow(sb, need))) {
        sb->failed = true;
        return false;
    }
    return true;
}

char *strbuf_reserve(struct strbuf *sb, size_t len)
{
    if (!strbuf_room(sb, len))
        return NULL;
    sb->buf[sb->len] = '\0';
    return sb->buf + sb->len;
}

void strbuf_commit(struct strbuf *sb, size_t len)
{
    CHECK(sb->len + len < sb->cap);
    sb->len += len;
    sb->buf[sb->len] = '\0';
}

void strbuf_truncate(struct strbuf *sb, size_t len)
{
    CHECK(len <= sb->len);
    sb->len = len;
    if (sb->buf)
        sb->buf[len] = '\0';
}

void strbuf_add(struct strbuf *sb, const void *data, size_t len)
{
    if (!strbuf_room(sb, len))
        return;
    if (len)
        memcpy(sb->buf + sb->len, data, len);
    sb->len += len;
    sb->buf[sb->len] = '\0';
}

void strbuf_add_str(struct strbuf *sb, struct str s)
{
    strbuf_add(sb, s.ptr, s.len);
}

void strbuf_add_cstr(struct strbuf *sb, const char *z)
{
    strbuf_add(sb, z, strlen(z));
}

void strbuf_add_char(struct strbuf *sb, char c)
{
    strbuf_add(sb, &c, 1);
}

void strbuf_addf(struct strbuf *sb, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    strbuf_vaddf(sb, fmt, ap);
    va_end(ap);
}

void strbuf_vaddf(struct strbuf *sb, const char *fmt, va_list ap)
{
    va_list again;
    va_copy(again, ap);
    size_t space = sb->failed || !sb->buf ? 0 : sb->cap - sb->len;
    int n = vsnprintf(space ? sb->buf + sb->len : NULL, space, fmt, ap);
    CHECK(n >= 0);
    if ((size_t)n < space) {
        sb->len += (size_t)n;
    } else if (strbuf_room(sb, (size_t)n)) {
        (void)vsnprintf(sb->buf + sb->len, (size_t)n + 1, fmt, again); /* same text as measured above */
        sb->len += (size_t)n;
    } else if (sb->buf) {
        sb->buf[sb->len] = '\0'; /* the first attempt may have written a part */
    }
    va_end(again);
}

void strbuf_add_i64(struct strbuf *sb, int64_t v)
{
    char digits[20];
    char *p = digits + sizeof digits;
    uint64_t u = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
    do {
        *--p = (char)('0' + u % 10);
        u /= 10;
    } while (u);
    if (v < 0)
        *--p = '-';
    strbuf_add(sb, p, (size_t)(digits + sizeof digits - p));
}

void strbuf_add_quoted(struct strbuf *sb, struct str s, char quote)
{
    struct str rest = s;
    strbuf_add_char(sb, quote);
    while (rest.len) {
        const char *inner = memchr(rest.ptr, quote, rest.len);
        size_t run = inner ? (size_t)(inner - rest.ptr) + 1 : rest.len;
        strbuf_add(sb, rest.ptr, run);
        if (inner)
            strbuf_add_char(sb, quote);
        rest = str_slice(rest, run, rest.len);
    }
    strbuf_add_char(sb, quote);
}
