/* The CSV reader. */
#include "engine/csv.h"

void csv_init(struct csv *c, struct import_source *in)
{
    *c = (struct csv){.in = in};
    strbuf_init(&c->text, CSV_RECORD_MAX);
}

void csv_release(struct csv *c)
{
    strbuf_release(&c->text);
}

static enum err_code bad(const struct csv *c, struct err *err, const char *what)
{
    return err_set(err, ERR_INVALID, "line %llu: %s", (unsigned long long)c->in->line, what);
}

/* Behind the opening quote, up to the closing one. */
static enum err_code quoted(struct csv *c, struct err *err)
{
    for (;;) {
        int ch = import_next(c->in);
        if (ch == IMPORT_END)
            return err_set(
                err, ERR_INVALID, "line %llu: a quoted field never ends", (unsigned long long)c->line);
        if (ch == '"' && import_peek(c->in) != '"')
            break;
        if (ch == '"')
            (void)import_next(c->in);
        strbuf_add_char(&c->text, (char)ch);
    }
    int next = import_peek(c->in);
    if (next != IMPORT_END && next != ',' && next != '\n' && next != '\r')
        return bad(c, err, "text follows a quoted field; a quote inside one is written twice");
    return ERR_OK;
}

static enum err_code bare(struct csv *c, struct err *err)
{
    for (;;) {
        int ch = import_peek(c->in);
        if (ch == IMPORT_END || ch == ',' || ch == '\n' || ch == '\r')
            return ERR_OK;
        if (ch == '"')
            return bad(c, err, "a quote stands inside a field that is not quoted");
        strbuf_add_char(&c->text, (char)import_next(c->in));
    }
}

static enum err_code field(struct csv *c, struct err *err)
{
    if (c->count == CSV_FIELDS_MAX)
        return bad(c, err, "more than 100 fields");
    struct csv_field *f = &c->fields[c->count++];
    bool is_quoted = import_peek(c->in) == '"';
    f->start = c->text.len;
    if (is_quoted)
        (void)import_next(c->in);
    enum err_code code = is_quoted ? quoted(c, err) : bare(c, err);
    f->len = c->text.len - f->start;
    f->quoted = is_quoted;
    f->null = !is_quoted && f->len == 0;
    strbuf_add_char(&c->text, '\0'); /* so that no view ends where the next begins */
    return code;
}

/* Takes what ends a field; true when the record goes on. */
static bool more_fields(struct csv *c)
{
    int ch = import_next(c->in);
    if (ch == '\r' && import_peek(c->in) == '\n')
        (void)import_next(c->in);
    return ch == ',';
}

enum err_code csv_next(struct csv *c, bool *ret_found, struct err *err)
{
    enum err_code code;
    strbuf_reset(&c->text);
    c->count = 0;
    c->line = c->in->line;
    *ret_found = import_peek(c->in) != IMPORT_END;
    if (c->in->failed)
        return err_set(err, ERR_IO, "the file to import could not be read to its end");
    if (!*ret_found)
        return ERR_OK;
    do
        code = field(c, err);
    while (!code && more_fields(c));
    if (!code && strbuf_failed(&c->text))
        code = err_set(err, ERR_TOO_LARGE, "line %llu: the record is longer than %d bytes",
            (unsigned long long)c->line, (int)CSV_RECORD_MAX);
    for (int i = 0; i < c->count && !code; i++) {
        struct csv_field *f = &c->fields[i];
        f->text = f->null ? (struct str){NULL, 0} : str_make(c->text.buf + f->start, f->len);
    }
    return code;
}

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

enum csv_number csv_number(struct str s)
{
    return is_integer(s) ? CSV_INTEGER : is_real(s) ? CSV_REAL : CSV_NO_NUMBER;
}
