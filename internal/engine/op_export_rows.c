/* The forms of export that hold one table or view. Both come back as they were into a table of the same
 * definition; hidden rowids and descriptions they do not hold.
 *
 * csv: RFC 4180 with a header; NULL is an empty field without quotes, empty text one with quotes, and so is
 * text that looks like a number; a real always has a point or an exponent, infinity is 9e999; a blob and text
 * that is no plain text are tagged (engine/tagged.h). ndjson: one object a row; exact integers; infinity, a
 * blob, text with a NUL or without valid UTF-8 are tagged. */
#include "engine/column.h"
#include "engine/csv.h"
#include "engine/op_export.h"
#include "engine/rowcount.h"
#include "engine/rowsec.h"
#include "engine/sink.h"
#include "engine/sql_literal.h"
#include "engine/tagged.h"

#include <math.h>

enum {
    ROWS_BETWEEN_LOOKS = 256,
    NAME_SQL_MAX = 1 << 16,
    VALUE_MAX = 8 << 20 /* SQLite's longest, in base64 */
};

struct row_writer {
    struct strbuf *out;
    struct strbuf value; /* of a tagged value */
};

static enum err_code pass(void *arg, struct str bytes, struct err *err)
{
    return op_stream(arg, bytes, err);
}

static bool needs_quotes(struct str s)
{
    if (s.len == 0 || s.ptr[0] == ' ' || s.ptr[s.len - 1] == ' ' || csv_number(s) != CSV_NO_NUMBER ||
        str_starts(s, S("\xef\xbb\xbf"))) /* at the start of a file it would be taken for its mark */
        return true;
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] == ',' || s.ptr[i] == '"' || s.ptr[i] == '\r' || s.ptr[i] == '\n')
            return true;
    }
    return false;
}

static void csv_text(struct strbuf *out, struct str s)
{
    if (needs_quotes(s))
        catalog_quote(out, s); /* CSV doubles quotes as SQL does in names */
    else
        strbuf_add_str(out, s);
}

static void csv_tagged(struct row_writer *w, enum tagged_kind kind, struct str bytes)
{
    strbuf_reset(&w->value);
    tagged_add(&w->value, kind, bytes);
    if (strbuf_failed(&w->value))
        w->out->failed = true;
    csv_text(w->out, strbuf_str(&w->value));
}

static void csv_value(struct row_writer *w, sqlite3_stmt *stmt, int column)
{
    struct str s;
    switch (sqlite3_column_type(stmt, column)) {
    case SQLITE_INTEGER: strbuf_add_i64(w->out, sqlite3_column_int64(stmt, column)); break;
    case SQLITE_FLOAT: sql_literal_real(w->out, sqlite3_column_double(stmt, column)); break;
    case SQLITE_TEXT:
        s = column_bytes(stmt, column);
        if (tagged_is_odd(s) || tagged_looks_like(s))
            csv_tagged(w, TAGGED_TEXT, s);
        else
            csv_text(w->out, s);
        break;
    case SQLITE_BLOB: csv_tagged(w, TAGGED_BLOB, column_bytes(stmt, column)); break;
    default: break; /* NULL: nothing at all */
    }
}

static void csv_header(struct row_writer *w, sqlite3_stmt *stmt)
{
    struct strbuf *out = w->out;
    for (int i = 0; i < sqlite3_column_count(stmt); i++) {
        if (i)
            strbuf_add_char(out, ',');
        csv_text(out, str_of(sqlite3_column_name(stmt, i)));
    }
    strbuf_add_cstr(out, "\r\n");
}

static void csv_row(struct row_writer *w, sqlite3_stmt *stmt)
{
    struct strbuf *out = w->out;
    for (int i = 0; i < sqlite3_column_count(stmt); i++) {
        if (i)
            strbuf_add_char(out, ',');
        csv_value(w, stmt, i);
    }
    strbuf_add_cstr(out, "\r\n");
}

static void no_header(struct row_writer *w, sqlite3_stmt *stmt)
{
    (void)w;
    (void)stmt;
}

/* What op_write_column cannot write so that it comes back; false for all else. */
static bool ndjson_tagged(struct row_writer *w, sqlite3_stmt *stmt, int column)
{
    int type = sqlite3_column_type(stmt, column);
    double real = type == SQLITE_FLOAT ? sqlite3_column_double(stmt, column) : 0;
    strbuf_reset(&w->value);
    if (isinf(real))
        tagged_add(&w->value, TAGGED_REAL, real > 0 ? S("Infinity") : S("-Infinity"));
    else if (type == SQLITE_TEXT && tagged_is_odd(column_bytes(stmt, column)))
        tagged_add(&w->value, TAGGED_TEXT, column_bytes(stmt, column));
    return w->value.len > 0;
}

static void ndjson_row(struct row_writer *w, sqlite3_stmt *stmt)
{
    struct jsonw json;
    jsonw_init(&json, w->out);
    jsonw_object(&json);
    for (int i = 0; i < sqlite3_column_count(stmt); i++) {
        jsonw_key_str(&json, str_of(sqlite3_column_name(stmt, i)));
        if (ndjson_tagged(w, stmt, i))
            jsonw_raw(&json, strbuf_str(&w->value));
        else
            op_write_column(&json, stmt, i);
    }
    jsonw_object_end(&json);
    strbuf_add_char(w->out, '\n');
}

/* How one form writes its rows. */
struct row_form {
    void (*header)(struct row_writer *w, sqlite3_stmt *stmt);
    void (*row)(struct row_writer *w, sqlite3_stmt *stmt);
};

/* From the first rows of a table: how long will all of them be? */
static enum err_code estimate_rows(
    struct op *op, const struct cat_table *t, uint64_t rows, size_t bytes, struct err *err)
{
    struct catalog_source src = catalog_source_of_op(op);
    struct rowcount_budget budget;
    struct rowcount all;
    if (t->kind == CAT_VIEW)
        return ERR_OK; /* to count it may be as much work as to read it */
    enum err_code code = rowcount_budget(&src, &budget, err);
    if (!code)
        code = rowsec_rowcount(op, &src, t, &budget, &all, err);
    if (!code && (uint64_t)all.rows >= rows)
        op->head.bytes_estimate = (uint64_t)((double)bytes / (double)rows * (double)all.rows);
    return code;
}

static enum err_code write_rows(struct op *op, const struct cat_table *t, sqlite3_stmt *select,
    const struct row_form *form, struct row_writer *w, struct sink *out, struct err *err)
{
    uint64_t count = 0;
    enum err_code code = ERR_OK;
    int rc;
    form->header(w, select);
    while ((rc = op_step_tenant(op, select)) == SQLITE_ROW) {
        form->row(w, select);
        op->head.rows_read++;
        count++;
        if (sink_begins(out))
            code = estimate_rows(op, t, count, out->buf.len, err);
        if (!code)
            code = sink_row_end(out, err);
        if (!code && count % ROWS_BETWEEN_LOOKS == 0)
            code = op_check_time(op, err);
        if (code)
            return code;
    }
    return rc == SQLITE_DONE ? export_end(op, out, err)
                             : op_sql_error(op, rc, str_of(sqlite3_sql(select)), err);
}

static enum err_code export_rows(
    struct op *op, const struct cat_table *t, const struct row_form *form, struct err *err)
{
    AUTO_STRBUF sql;
    AUTO_SQL *select = NULL;
    AUTO_SINK out;
    strbuf_init(&sql, NAME_SQL_MAX);
    strbuf_add_cstr(&sql, "SELECT * FROM ");
    catalog_quote(&sql, t->name);
    sink_init(&out, pass, op);
    enum err_code code = export_prepare_rows(op, strbuf_str(&sql), &select, err);
    if (code)
        return code;
    struct row_writer w = {.out = &out.buf};
    strbuf_init(&w.value, VALUE_MAX);
    code = write_rows(op, t, select, form, &w, &out, err);
    strbuf_release(&w.value);
    return code;
}

enum err_code export_csv(struct op *op, const struct cat_table *t, struct err *err)
{
    static const struct row_form form = {csv_header, csv_row};
    return export_rows(op, t, &form, err);
}

enum err_code export_ndjson(struct op *op, const struct cat_table *t, struct err *err)
{
    static const struct row_form form = {no_header, ndjson_row};
    return export_rows(op, t, &form, err);
}
