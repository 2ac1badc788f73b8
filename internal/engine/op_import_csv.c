/* Import of CSV. The first record names the columns. A field goes in as text and takes the column's type by
 * SQLite's own rules; an empty field without quotes is NULL; \x and hex is a blob in a column declared BLOB.
 * A table that is absent is made, with the types that fit all of the file. */
#include "base/enc.h"
#include "engine/csv.h"
#include "engine/import_table.h"

enum { EXACT_DIGITS = 15 /* every integer of so many digits is a double */ };

static bool is_hex_blob(struct str s)
{
    if (s.len < 2 || s.len % 2 || s.ptr[0] != '\\' || s.ptr[1] != 'x')
        return false;
    for (size_t i = 2; i < s.len; i++) {
        char c = s.ptr[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
            return false;
    }
    return true;
}

/* As SQLite would print it, so that nothing is lost: no sign +, no leading zero. */
static bool is_integer(struct str s)
{
    int64_t value;
    size_t digits = s.len && s.ptr[0] == '-' ? 1 : 0;
    if (s.len > digits + 1 && s.ptr[digits] == '0')
        return false;
    return s.len > digits && str_to_i64(s, INT64_MIN, INT64_MAX, &value) && !str_eq(s, S("-0"));
}

static size_t count_digits(struct str s, size_t *at)
{
    size_t from = *at;
    while (*at < s.len && s.ptr[*at] >= '0' && s.ptr[*at] <= '9')
        ++*at;
    return *at - from;
}

/* A decimal number with a fraction or an exponent. */
static bool is_real(struct str s)
{
    size_t at = s.len && s.ptr[0] == '-' ? 1 : 0, start = at, fraction = 0;
    size_t whole = count_digits(s, &at);
    if (whole == 0 || (whole > 1 && s.ptr[start] == '0'))
        return false; /* a code, not a number */
    bool marked = false;
    if (at < s.len && s.ptr[at] == '.') {
        at++;
        fraction = count_digits(s, &at);
        marked = fraction > 0;
    }
    if (at < s.len && (s.ptr[at] == 'e' || s.ptr[at] == 'E')) {
        at++;
        if (at < s.len && (s.ptr[at] == '-' || s.ptr[at] == '+'))
            at++;
        marked = count_digits(s, &at) > 0;
    }
    return marked && at == s.len;
}

static void guess(struct import_guess *g, struct str s)
{
    if (!s.ptr)
        return;
    if (is_integer(s)) {
        g->integer = true;
        g->wide |= s.len > EXACT_DIGITS;
    } else if (is_real(s)) {
        g->real = true;
    } else if (is_hex_blob(s)) {
        g->blob = true;
    } else {
        g->text = true;
    }
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
        if (!c->fields[i].text.ptr || c->fields[i].text.len == 0)
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
    struct import_table *t, struct csv *c, const struct str *names, int count, struct err *err)
{
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
            guess(&guesses[i], c->fields[i].text);
    }
    if (!code)
        code = import_table_make(t, guesses, count, err);
    if (!code)
        code = import_source_rewind(c->in, err);
    return code ? code : csv_next(c, &found, err); /* the header again */
}

static enum err_code bind_hex(struct import *im, sqlite3_stmt *stmt, int place, struct str s, struct err *err)
{
    size_t cap = s.len / 2, len = 0;
    arena_release(&im->scratch);
    unsigned char *bytes = arena_alloc(&im->scratch, cap);
    if (!bytes || !dec_hex(str_slice(s, 2, s.len), bytes, cap, &len))
        return err_set(err, ERR_TOO_LARGE, "a blob is too large");
    return sqlite3_bind_blob64(stmt, place, bytes, len, SQLITE_TRANSIENT)
               ? op_sql_error(im->op, SQLITE_TOOBIG, str_of(sqlite3_sql(stmt)), err)
               : ERR_OK;
}

static enum err_code bind_row(
    struct import *im, struct import_shape *shape, const struct csv *c, struct err *err)
{
    for (int i = 0; i < shape->count; i++) {
        const struct cat_column *column = shape->columns[i];
        struct str s = c->fields[i].text;
        enum err_code code = ERR_OK;
        if (!column || !s.ptr)
            continue; /* computed, or NULL */
        if (column->affinity == CAT_BLOB && column->type.len && is_hex_blob(s))
            code = bind_hex(im, shape->insert, shape->places[i], s, err);
        else if (sqlite3_bind_text64(
                     shape->insert, shape->places[i], s.ptr, s.len, SQLITE_STATIC, SQLITE_UTF8))
            code = op_sql_error(im->op, SQLITE_TOOBIG, str_of(sqlite3_sql(shape->insert)), err);
        if (!code && !utf8_valid(s))
            code = err_set(err, ERR_INVALID, "line %llu: the text of column \"" STR_FMT "\" is not UTF-8",
                (unsigned long long)c->line, STR_ARG(column->name));
        if (code)
            return code;
    }
    return ERR_OK;
}

static enum err_code insert_rows(
    struct import_table *t, struct csv *c, const struct str *names, int count, struct err *err)
{
    struct import_shape *shape;
    bool found = true;
    enum err_code code = import_table_shape(t, names, count, 1, &shape, err);
    while (!code && !(code = csv_next(c, &found, err)) && found) {
        if (is_blank(c, count))
            continue;
        code = check_count(c, count, err);
        if (!code)
            code = bind_row(t->im, shape, c, err);
        if (!code)
            code = import_table_insert(t, shape, c->line, err);
    }
    return code;
}

enum err_code import_csv(struct import *im, struct str table, struct err *err)
{
    struct csv *c = ARENA_NEW(im->op->arena, struct csv);
    struct import_table *t = ARENA_NEW(im->op->arena, struct import_table);
    struct str names[CSV_FIELDS_MAX];
    int count = 0;
    csv_init(c, &im->in);
    enum err_code code = read_header(c, im, names, &count, err);
    if (!code) {
        code = import_table_find(t, im, table, err);
        if (!code && !t->table)
            code = make_table(t, c, names, count, err);
        if (!code)
            code = insert_rows(t, c, names, count, err);
        code = import_table_end(t, code, err);
    }
    csv_release(c);
    return code;
}
