/* Import of NDJSON: one object a line, its members by name into the columns of the table; members that a line
 * leaves out take the column's default. A boolean is stored as 0 or 1, {"$blob":"<base64>"} as a blob, any
 * other object or array as its JSON. A table that is absent is made from the names and types of all lines. */
#include "engine/import_table.h"
#include "engine/ndjson.h"
#include "json/rewrite.h"
#include "engine/tagged.h"

enum { EXACT_MAX_BITS = 53, VALUE_MAX_BYTES = 32 << 20 };

struct loader {
    struct import *im;
    struct ndjson rows;
    struct strbuf value; /* a nested value as text, a tagged one as bytes */
};

static int bind_nested(struct loader *l, sqlite3_stmt *stmt, int place, const struct jsonr_value *v)
{
    struct jsonw w;
    struct tagged t = tagged_of_json(v, &l->value);
    if (t.kind != TAGGED_NONE)
        return t.kind == TAGGED_BAD ? SQLITE_MISMATCH : tagged_bind(stmt, place, &t);
    strbuf_reset(&l->value);
    jsonw_init(&w, &l->value);
    jsonw_value(&w, v, NULL);
    if (strbuf_failed(&l->value))
        return SQLITE_TOOBIG;
    return sqlite3_bind_text64(stmt, place, l->value.buf, l->value.len, SQLITE_TRANSIENT, SQLITE_UTF8);
}

static int bind_value(struct loader *l, sqlite3_stmt *stmt, int place, const struct jsonr_value *v)
{
    struct str s;
    switch (jsonr_kind(v)) {
    case JSONR_NULL: return sqlite3_bind_null(stmt, place);
    case JSONR_BOOL: return sqlite3_bind_int(stmt, place, jsonr_bool(v));
    case JSONR_INT: return sqlite3_bind_int64(stmt, place, jsonr_int(v));
    case JSONR_REAL: return sqlite3_bind_double(stmt, place, jsonr_real(v));
    case JSONR_TEXT:
        s = jsonr_text(v);
        return sqlite3_bind_text64(stmt, place, s.ptr, s.len, SQLITE_TRANSIENT, SQLITE_UTF8);
    case JSONR_ARRAY:
    case JSONR_OBJECT: break;
    }
    return bind_nested(l, stmt, place, v);
}

static enum err_code bind_failed(uint64_t line, struct str name, int rc, struct err *err)
{
    if (rc == SQLITE_MISMATCH)
        return err_set(err, ERR_INVALID, "line %llu: \"" STR_FMT "\" must be %s", (unsigned long long)line,
            STR_ARG(name), TAGGED_FORMS);
    return err_set(err, ERR_TOO_LARGE, "line %llu: \"" STR_FMT "\" is too large", (unsigned long long)line,
        STR_ARG(name));
}

static enum err_code insert_row(struct import_table *t, struct loader *l, struct err *err)
{
    struct str names[IMPORT_COLUMNS_MAX];
    struct import_shape *shape;
    uint64_t line = l->rows.line;
    int count = 0, i = 0;
    for (const struct jsonr_value *v = jsonr_first(l->rows.row); v; v = jsonr_next(v))
        names[count++] = jsonr_name(v);
    enum err_code code = import_table_shape(t, names, count, line, &shape, err);
    for (const struct jsonr_value *v = jsonr_first(l->rows.row); v && !code; v = jsonr_next(v), i++) {
        int rc = shape->places[i] ? bind_value(l, shape->insert, shape->places[i], v) : SQLITE_OK;
        if (rc)
            code = bind_failed(line, names[i], rc, err);
    }
    return code ? code : import_table_insert(t, shape, line, err);
}

static void guess(struct import_guess *g, const struct jsonr_value *v, struct strbuf *buf)
{
    enum jsonr_kind kind = jsonr_kind(v);
    enum tagged_kind tag = tagged_of_json(v, buf).kind;
    int64_t exact = (int64_t)1 << EXACT_MAX_BITS;
    g->integer |= kind == JSONR_BOOL || kind == JSONR_INT;
    g->real |= kind == JSONR_REAL || tag == TAGGED_REAL;
    g->wide |= kind == JSONR_INT && (jsonr_int(v) > exact || jsonr_int(v) < -exact);
    g->blob |= tag == TAGGED_BLOB;
    g->text |= kind == JSONR_TEXT || tag == TAGGED_TEXT || kind == JSONR_ARRAY ||
               (kind == JSONR_OBJECT && tag == TAGGED_NONE);
}

static enum err_code guess_row(struct loader *l, struct import_guess *guesses, int *count, struct err *err)
{
    for (const struct jsonr_value *v = jsonr_first(l->rows.row); v; v = jsonr_next(v)) {
        struct str name = jsonr_name(v);
        int i = 0;
        while (i < *count && !str_eq_nocase(guesses[i].name, name))
            i++;
        if (i == *count) {
            if (i == IMPORT_COLUMNS_MAX)
                return err_set(err, ERR_INVALID, "line %llu: more than %d different members in all",
                    (unsigned long long)l->rows.line, (int)IMPORT_COLUMNS_MAX);
            guesses[(*count)++] = (struct import_guess){.name = arena_copy(l->im->op->arena, name)};
            if (name.len == 0 || !guesses[i].name.ptr)
                return err_set(
                    err, ERR_INVALID, "line %llu: a member without a name", (unsigned long long)l->rows.line);
        }
        guess(&guesses[i], v, &l->value);
    }
    return ERR_OK;
}

static enum err_code make_table(struct import_table *t, struct loader *l, struct err *err)
{
    struct import_guess *guesses = arena_need(l->im->op->arena, IMPORT_COLUMNS_MAX * sizeof *guesses);
    int count = 0;
    bool found = true;
    enum err_code code = ERR_OK;
    while (!code && !(code = ndjson_next(&l->rows, &found, err)) && found)
        code = guess_row(l, guesses, &count, err);
    if (!code && count == 0)
        code = err_set(err, ERR_INVALID, "there is no row to learn the columns of \"" STR_FMT "\" from",
            STR_ARG(t->name));
    if (!code)
        code = import_table_make(t, guesses, count, err);
    return code ? code : import_source_rewind(&l->im->in, err);
}

enum err_code import_ndjson(struct import *im, struct str table, struct err *err)
{
    struct import_table *t = ARENA_NEW(im->op->arena, struct import_table);
    struct loader l = {.im = im};
    bool found = true;
    ndjson_init(&l.rows, &im->in, &im->scratch);
    strbuf_init(&l.value, VALUE_MAX_BYTES);
    enum err_code code = import_table_find(t, im, table, err);
    if (!code && !t->table)
        code = make_table(t, &l, err);
    while (!code && !(code = ndjson_next(&l.rows, &found, err)) && found)
        code = insert_row(t, &l, err);
    code = import_table_end(t, code, err);
    ndjson_release(&l.rows);
    strbuf_release(&l.value);
    return code;
}
