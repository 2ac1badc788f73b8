/* Reading and writing of tagged values. */
#include "engine/tagged.h"
#include "base/enc.h"
#include <math.h>

static const struct str TAGS[] = {
    [TAGGED_BLOB] = {"$blob", 5}, [TAGGED_TEXT] = {"$text", 5}, [TAGGED_REAL] = {"$real", 5}};

static enum tagged_kind kind_of(struct str tag)
{
    for (enum tagged_kind kind = TAGGED_BLOB; kind <= TAGGED_REAL; kind++) {
        if (str_eq(tag, TAGS[kind]))
            return kind;
    }
    return TAGGED_NONE;
}

static struct tagged decode(enum tagged_kind kind, struct str data, struct strbuf *buf)
{
    struct tagged t = {kind, STR_EMPTY, 0};
    strbuf_reset(buf);
    if (kind == TAGGED_REAL) {
        t.real = str_eq(data, S("-Infinity")) ? -HUGE_VAL : HUGE_VAL;
        if (t.real > 0 && !str_eq(data, S("Infinity")))
            t.kind = TAGGED_BAD;
    } else if (dec_base64(data, buf)) {
        t.bytes = buf->len ? strbuf_str(buf) : STR_EMPTY;
    } else {
        t.kind = TAGGED_BAD;
    }
    return t;
}

struct tagged tagged_of_json(const struct jsonr_value *v, struct strbuf *buf)
{
    const struct jsonr_value *data = jsonr_kind(v) == JSONR_OBJECT ? jsonr_first(v) : NULL;
    enum tagged_kind kind = data && jsonr_count(v) == 1 ? kind_of(jsonr_name(data)) : TAGGED_NONE;
    if (kind == TAGGED_NONE)
        return (struct tagged){TAGGED_NONE, STR_EMPTY, 0};
    if (jsonr_kind(data) != JSONR_TEXT)
        return (struct tagged){TAGGED_BAD, STR_EMPTY, 0};
    return decode(kind, jsonr_text(data), buf);
}

/* {"$blob":"…"} to the letter, as tagged_add writes it. */
struct tagged tagged_of_text(struct str field, struct strbuf *buf)
{
    static const struct tagged none = {TAGGED_NONE, {"", 0}, 0};
    if (!tagged_looks_like(field) || !str_ends(field, S("\"}")))
        return none;
    enum tagged_kind kind = kind_of(str_slice(field, 2, 7));
    struct str rest = str_slice(field, 7, field.len);
    if ((kind != TAGGED_BLOB && kind != TAGGED_TEXT) || !str_starts(rest, S("\":\"")) || rest.len < 5)
        return none;
    return decode(kind, str_slice(rest, 3, rest.len - 2), buf);
}

bool tagged_is_odd(struct str text)
{
    return (text.len && memchr(text.ptr, '\0', text.len)) || !utf8_valid(text);
}

bool tagged_looks_like(struct str text)
{
    return text.len > 2 && text.ptr[0] == '{' && text.ptr[1] == '"' && text.ptr[2] == '$';
}

void tagged_write(struct jsonw *w, enum tagged_kind kind, struct str bytes)
{
    jsonw_object(w);
    jsonw_key(w, TAGS[kind].ptr);
    if (kind == TAGGED_REAL)
        jsonw_text(w, bytes);
    else
        jsonw_base64(w, bytes);
    jsonw_object_end(w);
}

void tagged_add(struct strbuf *out, enum tagged_kind kind, struct str bytes)
{
    struct jsonw w;
    jsonw_init(&w, out);
    tagged_write(&w, kind, bytes);
}

int tagged_bind(sqlite3_stmt *stmt, int place, const struct tagged *t)
{
    if (t->kind == TAGGED_REAL)
        return sqlite3_bind_double(stmt, place, t->real);
    if (t->kind == TAGGED_TEXT)
        return sqlite3_bind_text64(stmt, place, t->bytes.ptr, t->bytes.len, SQLITE_TRANSIENT, SQLITE_UTF8);
    return t->bytes.len ? sqlite3_bind_blob64(stmt, place, t->bytes.ptr, t->bytes.len, SQLITE_TRANSIENT)
                        : sqlite3_bind_zeroblob(stmt, place, 0);
}
