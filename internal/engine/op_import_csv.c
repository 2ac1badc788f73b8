/* Import of CSV. The first record names the columns. An empty field without quotes is NULL; a number without
 * quotes is a number, except in a column of text; {"$blob":"<base64>"} and {"$text":"<base64>"} are what they
 * say (engine/tagged.h); all else is text and takes the column's type by SQLite's own rules. A table that is
 * absent is made, with the types that fit all of the file. */
#include "base/enc.h"
#include "engine/csv.h"
#include "engine/import_table.h"
#include "engine/tagged.h"

#include <stdlib.h>

enum {
    EXACT_DIGITS = 15, /* every integer of so many digits is a double */
    VALUE_MAX_BYTES = CSV_RECORD_MAX,
};

struct loader {
    struct import *im;
    struct csv rows;
    struct strbuf value; /* a tagged one as bytes */
};

static void guess(struct import_guess *g, struct str s, struct strbuf *buf)
{
    enum csv_number number = csv_number(s);
    if (!s.ptr)
        return;
    g->integer |= number == CSV_INTEGER;
    g->wide |= number == CSV_INTEGER && s.len > EXACT_DIGITS;
    g->real |= number == CSV_REAL;
    if (number != CSV_NO_NUMBER)
        return;
    bool blob = tagged_of_text(s, buf).kind == TAGGED_BLOB;
    g->blob |= blob;
    g->text |= !blob;
}

static enum err_code read_header(
    struct csv *c, struct import *im, struct str *names, int *ret_count, struct err *err)
{
    bool found;
    enum err_code code = csv_next(c, &found, err);
    if (code)
        return code;
    if (!found)
        return err_set(err, ERR_INVALID, "line 1: a header with the names of the columns is required");
    for (int i = 0; i < c->count; i++) {
        if (c->fields[i].null) /* a quoted empty name is one */
            return err_set(
                err, ERR_INVALID, "line %llu: column %d has no name", (unsigned long long)c->line, i + 1);
        if (!utf8_valid(c->fields[i].text) || memchr(c->fields[i].text.ptr, '\0', c->fields[i].text.len))
            return err_set(err, ERR_INVALID, "line %llu: the name of column %d is not valid text",
                (unsigned long long)c->line, i + 1);
        names[i] = arena_copy(im->op->arena, c->fields[i].text);
        if (!names[i].ptr)
            return err_set(err, ERR_TOO_LARGE, "the column names are too long");
    }
    *ret_count = c->count;
    return ERR_OK;
}

static enum err_code check_count(const struct csv *c, int count, struct err *err)
{
    if (c->count == count)
        return ERR_OK;
    return err_set(err, ERR_INVALID, "line %llu: %d fields, but the header names %d",
        (unsigned long long)c->line, c->count, count);
}

/* A blank line is a row with NULL where there is one column, and nothing otherwise. */
static bool is_blank(const struct csv *c, int count)
{
    return count > 1 && c->count == 1 && c->fields[0].null;
}

/* Reads all of it once to learn the types, makes the table, and goes back to the first row. */
static enum err_code make_table(
    struct import_table *t, struct loader *l, const struct str *names, int count, struct err *err)
{
    struct csv *c = &l->rows;
    struct import_guess *guesses = arena_need(t->im->op->arena, (size_t)count * sizeof *guesses);
    bool found = true;
    enum err_code code = ERR_OK;
    for (int i = 0; i < count; i++)
        guesses[i].name = names[i];
    while (!code && !(code = csv_next(c, &found, err)) && found) {
        if (is_blank(c, count))
            continue;
        code = check_count(c, count, err);
        for (int i = 0; i < count && !code; i++)
            guess(&guesses[i], c->fields[i].text, &l->value);
    }
    if (!code)
        code = import_table_make(t, guesses, count, err);
    if (!code)
        code = import_source_rewind(c->in, err);
    return code ? code : csv_next(c, &found, err); /* the header again */
}

/* A number without quotes is a number, except in a column of text; all else is text that takes the column's
 * type by SQLite's own rules. */
static int bind_plain(
    sqlite3_stmt *stmt, int place, const struct cat_column *column, const struct csv_field *f)
{
    enum csv_number number = f->quoted || column->affinity == CAT_TEXT ? CSV_NO_NUMBER : csv_number(f->text);
    int64_t integer;
    if (number == CSV_INTEGER && str_to_i64(f->text, INT64_MIN, INT64_MAX, &integer))
        return sqlite3_bind_int64(stmt, place, integer);
    if (number == CSV_REAL)
        return sqlite3_bind_double(stmt, place, strtod(f->text.ptr, NULL)); /* a NUL stands behind it */
    return sqlite3_bind_text64(stmt, place, f->text.ptr, f->text.len, SQLITE_STATIC, SQLITE_UTF8);
}

static enum err_code bind_field(struct loader *l, sqlite3_stmt *stmt, int place,
    const struct cat_column *column, const struct csv_field *f, struct err *err)
{
    struct tagged t = tagged_of_text(f->text, &l->value);
    unsigned long long line = l->rows.line;
    if (t.kind == TAGGED_BAD)
        return err_set(err, ERR_INVALID, "line %llu: column \"" STR_FMT "\" must hold base64", line,
            STR_ARG(column->name));
    if (t.kind == TAGGED_NONE && !utf8_valid(f->text))
        return err_set(err, ERR_INVALID,
            "line %llu: the text of column \"" STR_FMT
            "\" is not UTF-8; write it as {\"$text\":\"<base64>\"}",
            line, STR_ARG(column->name));
    int rc = t.kind == TAGGED_NONE ? bind_plain(stmt, place, column, f) : tagged_bind(stmt, place, &t);
    if (rc)
        return err_set(err, ERR_TOO_LARGE, "line %llu: column \"" STR_FMT "\" is too large", line,
            STR_ARG(column->name));
    return ERR_OK;
}

static enum err_code bind_row(struct loader *l, struct import_shape *shape, struct err *err)
{
    enum err_code code = ERR_OK;
    for (int i = 0; i < shape->count && !code; i++) {
        if (shape->columns[i] && !l->rows.fields[i].null) /* not computed, not NULL */
            code = bind_field(l, shape->insert, shape->places[i], shape->columns[i], &l->rows.fields[i], err);
    }
    return code;
}

static enum err_code insert_rows(
    struct import_table *t, struct loader *l, const struct str *names, int count, struct err *err)
{
    struct csv *c = &l->rows;
    struct import_shape *shape;
    bool found = true;
    enum err_code code = import_table_shape(t, names, count, 1, &shape, err);
    while (!code && !(code = csv_next(c, &found, err)) && found) {
        if (is_blank(c, count))
            continue;
        code = check_count(c, count, err);
        if (!code)
            code = bind_row(l, shape, err);
        if (!code)
            code = import_table_insert(t, shape, c->line, err);
    }
    return code;
}

enum err_code import_csv(struct import *im, struct str table, struct err *err)
{
    struct loader *l = ARENA_NEW(im->op->arena, struct loader);
    struct import_table *t = ARENA_NEW(im->op->arena, struct import_table);
    struct str names[CSV_FIELDS_MAX];
    int count = 0;
    l->im = im;
    csv_init(&l->rows, &im->in);
    strbuf_init(&l->value, VALUE_MAX_BYTES);
    enum err_code code = read_header(&l->rows, im, names, &count, err);
    if (!code) {
        code = import_table_find(t, im, table, err);
        if (!code && !t->table)
            code = make_table(t, l, names, count, err);
        if (!code)
            code = insert_rows(t, l, names, count, err);
        code = import_table_end(t, code, err);
    }
    csv_release(&l->rows);
    strbuf_release(&l->value);
    return code;
}
