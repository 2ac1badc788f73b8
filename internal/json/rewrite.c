#include "json/rewrite.h"

struct rewriting {
    struct jsonw *w;
    void (*text)(struct strbuf *out, struct str s);
    struct strbuf room;
};

/* Lives until the next one. */
static struct str changed(struct rewriting *x, struct str s)
{
    if (!x->text)
        return s;
    strbuf_reset(&x->room);
    x->text(&x->room, s);
    return strbuf_str(&x->room);
}

static void open_it(struct rewriting *x, const struct jsonr_value *v)
{
    if (jsonr_kind(v) == JSONR_OBJECT)
        jsonw_object(x->w);
    else
        jsonw_array(x->w);
}

static void close_it(struct rewriting *x, const struct jsonr_value *v)
{
    if (jsonr_kind(v) == JSONR_OBJECT)
        jsonw_object_end(x->w);
    else
        jsonw_array_end(x->w);
}

static void leaf(struct rewriting *x, const struct jsonr_value *v)
{
    switch (jsonr_kind(v)) {
    case JSONR_BOOL: jsonw_bool(x->w, jsonr_bool(v)); return;
    case JSONR_INT: jsonw_int(x->w, jsonr_int(v)); return;
    case JSONR_REAL: jsonw_real(x->w, jsonr_real(v)); return;
    case JSONR_TEXT: jsonw_text(x->w, changed(x, jsonr_text(v))); return;
    default: jsonw_null(x->w); return;
    }
}

static bool is_open(const struct jsonr_value *v)
{
    return jsonr_kind(v) == JSONR_OBJECT || jsonr_kind(v) == JSONR_ARRAY;
}

/* What is read is no deeper than JSONR_DEPTH_MAX. */
static void rewrite(struct rewriting *x, const struct jsonr_value *root)
{
    const struct jsonr_value *path[JSONR_DEPTH_MAX + 1], *next = root;
    unsigned depth = 0;

    while (next || depth) {
        if (!next) { /* the end of what is open */
            close_it(x, path[--depth]);
            next = depth ? jsonr_next(path[depth]) : NULL;
            continue;
        }
        if (depth && jsonr_kind(path[depth - 1]) == JSONR_OBJECT)
            jsonw_key_str(x->w, changed(x, jsonr_name(next)));
        if (!is_open(next)) {
            leaf(x, next);
            next = depth ? jsonr_next(next) : NULL;
            continue;
        }
        open_it(x, next);
        path[depth++] = next;
        next = jsonr_first(next);
    }
}

void jsonw_value(struct jsonw *w, const struct jsonr_value *v, void (*text)(struct strbuf *out, struct str s))
{
    struct rewriting x = {.w = w, .text = text};

    strbuf_init(&x.room, 16u << 20);
    rewrite(&x, v);
    strbuf_release(&x.room);
}
