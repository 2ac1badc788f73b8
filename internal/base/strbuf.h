/* Growing text with a mandatory maximum and a sticky error: append freely, ask once at the end.
 * Invariants: buf is NUL-terminated once anything was appended; len never passes limit; after the limit was
 * hit every further append is a no-op and strbuf_failed() stays true until strbuf_reset(). One thread at a
 * time. */
#ifndef BASE_STRBUF_H
#define BASE_STRBUF_H

#include "base/attr.h"
#include "base/str.h"
#include <stdarg.h>

struct strbuf {
    char *buf;
    size_t len;
    size_t cap;
    size_t limit;
    bool failed;
};

/* Holds nothing until the first append. `limit` is the most bytes it may ever hold, terminator aside. */
void strbuf_init(struct strbuf *sb, size_t limit);
void strbuf_release(struct strbuf *sb);             /* frees; the limit stays, so it can be used again */
void strbuf_reset(struct strbuf *sb);               /* empty, no error, keeps its memory */
void strbuf_shrink(struct strbuf *sb, size_t keep); /* as reset, and gives memory above `keep` back */
static inline bool strbuf_failed(const struct strbuf *sb)
{
    return sb->failed;
}
static inline struct str strbuf_str(const struct strbuf *sb)
{
    return sb->len ? (struct str){sb->buf, sb->len} : STR_EMPTY;
}
const char *strbuf_cstr(const struct strbuf *sb); /* never NULL */
char *strbuf_detach(
    struct strbuf *sb, size_t *ret_len); /* caller frees with mem_free; sb is empty afterwards */

void strbuf_add(struct strbuf *sb, const void *data, size_t len);
void strbuf_add_str(struct strbuf *sb, struct str s);
void strbuf_add_cstr(struct strbuf *sb, const char *z);
void strbuf_add_char(struct strbuf *sb, char c);
void strbuf_addf(struct strbuf *sb, const char *fmt, ...) PRINTF_LIKE(2, 3);
void strbuf_vaddf(struct strbuf *sb, const char *fmt, va_list ap) PRINTF_LIKE(2, 0);
void strbuf_add_i64(struct strbuf *sb, int64_t v);
/* `s` between two `quote`s, those inside doubled: SQL's way with names (") and texts ('). */
void strbuf_add_quoted(struct strbuf *sb, struct str s, char quote);

/* Room for `len` bytes at the end: returns where to write, or NULL past the limit. Follow with
 * strbuf_commit(). */
char *strbuf_reserve(struct strbuf *sb, size_t len);
void strbuf_commit(struct strbuf *sb, size_t len);
void strbuf_truncate(struct strbuf *sb, size_t len); /* len <= sb->len */

#define AUTO_STRBUF CLEANUP(strbuf_release) struct strbuf

#endif
