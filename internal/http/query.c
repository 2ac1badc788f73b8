/* See query.h. */
#include "http/query.h"
#include "base/check.h"
#include "base/enc.h"
#include <inttypes.h>

#define NAME_SHOWN_MAX 64

static struct str shown(struct str name)
{
    return str_slice(name, 0, utf8_cut(name, NAME_SHOWN_MAX));
}

/* Good as it stands: no escape, and text that dec_percent() would take. */
static bool is_literal(struct str raw)
{
    return !raw.len || (!memchr(raw.ptr, '%', raw.len) && !memchr(raw.ptr, '+', raw.len) &&
                           !memchr(raw.ptr, '\0', raw.len) && utf8_valid(raw));
}

static enum err_code refuse(struct str name, struct err *err)
{
    if (!utf8_valid(name))
        return err_set(err, ERR_INVALID, "the name of a query parameter is not percent-encoded UTF-8");
    return err_set(err, ERR_INVALID, "query parameter \"" STR_FMT "\" is not percent-encoded UTF-8",
        STR_ARG(shown(name)));
}

static enum err_code decode(
    struct str raw, struct str name, struct arena *arena, struct str *ret, struct err *err)
{
    if (is_literal(raw)) {
        *ret = raw.ptr ? raw : STR_EMPTY;
        return ERR_OK;
    }
    AUTO_STRBUF out;
    strbuf_init(&out, raw.len);
    if (!dec_percent(raw, true, &out))
        return refuse(name, err);
    *ret = arena_copy(arena, strbuf_str(&out));
    return ret->ptr ? ERR_OK : err_set(err, ERR_TOO_LARGE, "the query string is too large");
}

static enum err_code parse_one(struct str part, struct arena *arena, struct query *q, struct err *err)
{
    struct query_param p;
    struct str value = part, name;
    CHECK(str_cut(&value, '=', &name));
    enum err_code code = decode(name, name, arena, &p.name, err);
    if (code == ERR_OK)
        code = decode(value, name, arena, &p.value, err);
    if (code != ERR_OK)
        return code;
    if (p.name.len == 0)
        return err_set(err, ERR_INVALID, "the query string has a parameter without a name");
    for (unsigned i = 0; i < q->count; i++) {
        if (str_eq(q->items[i].name, p.name))
            return err_set(
                err, ERR_INVALID, "query parameter \"" STR_FMT "\" is given twice", STR_ARG(shown(p.name)));
    }
    if (q->count == QUERY_PARAMS_MAX)
        return err_set(err, ERR_INVALID, "the query string has more than %d parameters", QUERY_PARAMS_MAX);
    q->items[q->count++] = p;
    return ERR_OK;
}

enum err_code query_parse(struct str raw, struct arena *arena, struct query *ret, struct err *err)
{
    struct str part;
    ret->count = 0;
    if (raw.len == 0)
        return ERR_OK;
    while (str_cut(&raw, '&', &part)) {
        enum err_code code = part.len ? parse_one(part, arena, ret, err) : ERR_OK;
        if (code != ERR_OK)
            return code;
    }
    return ERR_OK;
}

struct str query_get(const struct query *q, const char *name)
{
    for (unsigned i = 0; i < q->count; i++) {
        if (str_eq(q->items[i].name, str_of(name)))
            return q->items[i].value;
    }
    return (struct str){NULL, 0};
}

enum err_code query_i64(const struct query *q, const char *name, int64_t absent, int64_t min, int64_t max,
    int64_t *ret, struct err *err)
{
    struct str value = query_get(q, name);
    if (!value.ptr) {
        *ret = absent;
        return ERR_OK;
    }
    if (str_to_i64(value, min, max, ret))
        return ERR_OK;
    AUTO_STRBUF pointer;
    strbuf_init(&pointer, sizeof err->pointer);
    strbuf_addf(&pointer, "/%s", name);
    return err_field(
        err, strbuf_cstr(&pointer), "must be a whole number from %" PRId64 " to %" PRId64, min, max);
}
