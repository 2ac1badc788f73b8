/* Writing JSON as a stream into a strbuf. Knows where commas go; unbalanced nesting, a value without a key, a
 * key outside an object and (in debug builds) a jsonw_key written twice are bugs and assert. Text is escaped;
 * invalid UTF-8 from a database is written with U+FFFD in place of each bad byte, so that the output is
 * always valid. The strbuf's limit is the only failure: ask strbuf_failed() once at the end. One thread at a
 * time. */
#ifndef JSON_JSONW_H
#define JSON_JSONW_H

#include "base/str.h"
#include "base/strbuf.h"

#define JSONW_DEPTH_MAX 40
#define JSONW_KEYS_MAX  64 /* keys of open objects that debug builds remember */

struct jsonw {
    struct strbuf *out;
    unsigned depth;
    bool have_key;
    unsigned char state[JSONW_DEPTH_MAX];
#ifdef HF_DEBUG
    unsigned key_count;
    struct {
        unsigned depth;
        const char *key;
    } keys[JSONW_KEYS_MAX];
#endif
};

void jsonw_init(struct jsonw *w, struct strbuf *out);
void jsonw_object(struct jsonw *w);
void jsonw_object_end(struct jsonw *w);
void jsonw_array(struct jsonw *w);
void jsonw_array_end(struct jsonw *w);
void jsonw_key(struct jsonw *w, const char *key);    /* a literal of ours: not escaped */
void jsonw_key_str(struct jsonw *w, struct str key); /* escaped */
void jsonw_text(struct jsonw *w, struct str s);
void jsonw_text_or_null(struct jsonw *w, struct str s); /* null when s.ptr is NULL */
void jsonw_cstr(struct jsonw *w, const char *z);        /* NULL is written as null */
void jsonw_int(struct jsonw *w, int64_t v);             /* exact, all 64 bits */
void jsonw_real(struct jsonw *w,
    double v); /* shortest form that reads back the same, always with . or e; NaN and infinities: null */
void jsonw_bool(struct jsonw *w, bool v);
void jsonw_null(struct jsonw *w);
void jsonw_blob(struct jsonw *w, struct str bytes);   /* {"$blob":"<base64>"}: the one JSON form of a blob */
void jsonw_base64(struct jsonw *w, struct str bytes); /* as text */
void jsonw_raw(struct jsonw *w, struct str json);     /* one complete value that is JSON already */
/* The writer is back at its start: exactly one value was written and all is closed. */
bool jsonw_done(const struct jsonw *w);

/* key + value in one line */
#define JSONW_TEXT(w, k, s)         (jsonw_key((w), (k)), jsonw_text((w), (s)))
#define JSONW_TEXT_OR_NULL(w, k, s) (jsonw_key((w), (k)), jsonw_text_or_null((w), (s)))
#define JSONW_CSTR(w, k, z)         (jsonw_key((w), (k)), jsonw_cstr((w), (z)))
#define JSONW_INT(w, k, n)          (jsonw_key((w), (k)), jsonw_int((w), (n)))
#define JSONW_BOOL(w, k, b)         (jsonw_key((w), (k)), jsonw_bool((w), (b)))
#define JSONW_NULL(w, k)            (jsonw_key((w), (k)), jsonw_null((w)))

#endif
