/* Import of NDJSON: one object a line, its members by name into the columns of the table; members that a line
 * leaves out take the column's default. A boolean is stored as 0 or 1, {"$blob":"<base64>"} as a blob, any
 * other object or array as its JSON. A table that is absent is made from the names and types of all lines. */
#include "base/enc.h"
#include "engine/import_table.h"
#include "json/jsonr.h"

enum { LINE_MAX_BYTES = 16 << 20, EXACT_MAX_BITS = 53 };

struct ndjson {
    struct import *im;
    struct strbuf text;
    struct strbuf value; /* a nested value as text, a blob */
    uint64_t line;
    const struct jsonr_value *row;
};

static enum err_code fail_at(const struct ndjson *n, enum err_code code, struct err *err)
{
    struct err inner;
    if (!err)
        return code;
    inner = *err;
    return err_set(err, code, "line %llu: %s", (unsigned long long)n->line, inner.message);
}

/* The next line that is not blank; *ret_found false at the end. */
static enum err_code next_line(struct ndjson *n, bool *ret_found, struct err *err)
{
    int c;
    do {
        strbuf_reset(&n->text);
        n->line = n->im->in.line;
        while ((c = import_next(&n->im->in)) != IMPORT_END && c != '\n')
            strbuf_add_char(&n->text, (char)c);
    } while (c != IMPORT_END && str_trim(strbuf_str(&n->text)).len == 0 && !strbuf_failed(&n->text));
    if (n->im->in.failed)
        return err_set(err, ERR_IO, "the file to import could not be read to its end");
    if (strbuf_failed(&n->text))
        return err_set(err, ERR_TOO_LARGE, "line %llu is longer than %d bytes", (unsigned long long)n->line,
            (int)LINE_MAX_BYTES);
    *ret_found = str_trim(strbuf_str(&n->text)).len > 0;
    return ERR_OK;
}

static enum err_code next_row(struct ndjson *n, bool *ret_found, struct err *err)
{
    enum err_code code = next_line(n, ret_found, err);
    if (code || !*ret_found)
        return code;
    arena_release(&n->im->scratch);
    code = jsonr_parse(&n->im->scratch, str_trim(strbuf_str(&n->text)), &n->row, err);
    if (code)
        return fail_at(n, code, err);
    if (jsonr_kind(n->row) != JSONR_OBJECT)
        return err_set(err, ERR_INVALID, "line %llu: must be an object, is %s", (unsigned long long)n->line,
            jsonr_kind_name(jsonr_kind(n->row)));
    if (jsonr_count(n->row) > IMPORT_COLUMNS_MAX)
        return err_set(err, ERR_INVALID, "line %llu: more than %d members", (unsigned long long)n->line,
            (int)IMPORT_COLUMNS_MAX);
    return ERR_OK;
}

/* {"$blob": "…"} */
static bool is_blob(const struct jsonr_value *v)
{
    const struct jsonr_value *b = jsonr_kind(v) == JSONR_OBJECT ? jsonr_member(v, S("$blob")) : NULL;
    return b && jsonr_count(v) == 1 && jsonr_kind(b) == JSONR_TEXT;
}

static void write_json(struct jsonw *w, const struct jsonr_value *v)
{
    bool object = jsonr_kind(v) == JSONR_OBJECT;
    switch (jsonr_kind(v)) {
    case JSONR_NULL: jsonw_null(w); break;
    case JSONR_BOOL: jsonw_bool(w, jsonr_bool(v)); break;
    case JSONR_INT: jsonw_int(w, jsonr_int(v)); break;
    case JSONR_REAL: jsonw_real(w, jsonr_real(v)); break;
    case JSONR_TEXT: jsonw_text(w, jsonr_text(v)); break;
    case JSONR_ARRAY:
    case JSONR_OBJECT:
        object ? jsonw_object(w) : jsonw_array(w);
        for (const struct jsonr_value *c = jsonr_first(v); c; c = jsonr_next(c)) {
            if (object)
                jsonw_key_str(w, jsonr_name(c));
            write_json(w, c);
        }
        object ? jsonw_object_end(w) : jsonw_array_end(w);
    }
}

static int bind_nested(struct ndjson *n, sqlite3_stmt *stmt, int place, const struct jsonr_value *v)
{
    struct jsonw w;
    strbuf_reset(&n->value);
    if (is_blob(v)) {
        if (!dec_base64(jsonr_text(jsonr_member(v, S("$blob"))), &n->value))
            return SQLITE_MISMATCH;
        struct str bytes = strbuf_str(&n->value);
        return sqlite3_bind_blob64(stmt, place, bytes.ptr, bytes.len, SQLITE_TRANSIENT);
    }
    jsonw_init(&w, &n->value);
    write_json(&w, v);
    if (strbuf_failed(&n->value))
        return SQLITE_TOOBIG;
    return sqlite3_bind_text64(stmt, place, n->value.buf, n->value.len, SQLITE_TRANSIENT, SQLITE_UTF8);
}

static int bind_value(struct ndjson *n, sqlite3_stmt *stmt, int place, const struct jsonr_value *v)
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
    return bind_nested(n, stmt, place, v);
}

static enum err_code insert_row(struct import_table *t, struct ndjson *n, struct err *err)
{
    struct str names[IMPORT_COLUMNS_MAX];
    struct import_shape *shape;
    int count = 0, i = 0;
    for (const struct jsonr_value *v = jsonr_first(n->row); v; v = jsonr_next(v))
        names[count++] = jsonr_name(v);
    enum err_code code = import_table_shape(t, names, count, n->line, &shape, err);
    for (const struct jsonr_value *v = jsonr_first(n->row); v && !code; v = jsonr_next(v), i++) {
        int rc = shape->places[i] ? bind_value(n, shape->insert, shape->places[i], v) : SQLITE_OK;
        if (rc == SQLITE_MISMATCH)
            code = err_set(err, ERR_INVALID, "line %llu: \"" STR_FMT "\" is not base64",
                (unsigned long long)n->line, STR_ARG(names[i]));
        else if (rc)
            code = err_set(err, ERR_TOO_LARGE, "line %llu: \"" STR_FMT "\" is too large",
                (unsigned long long)n->line, STR_ARG(names[i]));
    }
    return code ? code : import_table_insert(t, shape, n->line, err);
}

static void guess(struct import_guess *g, const struct jsonr_value *v)
{
    enum jsonr_kind kind = jsonr_kind(v);
    int64_t exact = (int64_t)1 << EXACT_MAX_BITS;
    g->integer |= kind == JSONR_BOOL || kind == JSONR_INT;
    g->real |= kind == JSONR_REAL;
    g->wide |= kind == JSONR_INT && (jsonr_int(v) > exact || jsonr_int(v) < -exact);
    g->blob |= is_blob(v);
    g->text |= kind == JSONR_TEXT || kind == JSONR_ARRAY || (kind == JSONR_OBJECT && !is_blob(v));
}

static enum err_code guess_row(struct ndjson *n, struct import_guess *guesses, int *count, struct err *err)
{
    for (const struct jsonr_value *v = jsonr_first(n->row); v; v = jsonr_next(v)) {
        struct str name = jsonr_name(v);
        int i = 0;
        while (i < *count && !str_eq_nocase(guesses[i].name, name))
            i++;
        if (i == *count) {
            if (i == IMPORT_COLUMNS_MAX)
                return err_set(err, ERR_INVALID, "line %llu: more than %d different members in all",
                    (unsigned long long)n->line, (int)IMPORT_COLUMNS_MAX);
            guesses[(*count)++] = (struct import_guess){.name = arena_copy(n->im->op->arena, name)};
            if (name.len == 0 || !guesses[i].name.ptr)
                return err_set(
                    err, ERR_INVALID, "line %llu: a member without a name", (unsigned long long)n->line);
        }
        guess(&guesses[i], v);
    }
    return ERR_OK;
}

static enum err_code make_table(struct import_table *t, struct ndjson *n, struct err *err)
{
    struct import_guess *guesses = arena_need(n->im->op->arena, IMPORT_COLUMNS_MAX * sizeof *guesses);
    int count = 0;
    bool found = true;
    enum err_code code = ERR_OK;
    while (!code && !(code = next_row(n, &found, err)) && found)
        code = guess_row(n, guesses, &count, err);
    if (!code && count == 0)
        code = err_set(err, ERR_INVALID, "there is no row to learn the columns of \"" STR_FMT "\" from",
            STR_ARG(t->name));
    if (!code)
        code = import_table_make(t, guesses, count, err);
    return code ? code : import_source_rewind(&n->im->in, err);
}

enum err_code import_ndjson(struct import *im, struct str table, struct err *err)
{
    struct import_table *t = ARENA_NEW(im->op->arena, struct import_table);
    struct ndjson n = {.im = im};
    bool found = true;
    strbuf_init(&n.text, LINE_MAX_BYTES);
    strbuf_init(&n.value, LINE_MAX_BYTES);
    enum err_code code = import_table_find(t, im, table, err);
    if (!code && !t->table)
        code = make_table(t, &n, err);
    while (!code && !(code = next_row(&n, &found, err)) && found)
        code = insert_row(t, &n, err);
    code = import_table_end(t, code, err);
    strbuf_release(&n.text);
    strbuf_release(&n.value);
    return code;
}
