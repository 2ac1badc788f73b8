/* The forms of export that hold one table or view.
 *
 * csv: RFC 4180 with a header; NULL is an empty field without quotes, empty text one with quotes; a blob is
 * \x and hex; a real always has a point or an exponent. ndjson: one object a row; exact integers; a blob is
 * {"$blob":"<base64>"}; JSON has no infinity: null. */
#include "base/enc.h"
#include "engine/op_export.h"
#include "engine/sink.h"
#include "engine/sql_literal.h"

enum { ROWS_BETWEEN_LOOKS = 256, NAME_SQL_MAX = 1 << 16 };

static enum err_code pass(void *arg, struct str bytes, struct err *err)
{
    return op_stream(arg, bytes, err);
}

static void csv_text(struct strbuf *out, struct str s)
{
    bool plain = s.len > 0 && s.ptr[0] != ' ' && s.ptr[s.len - 1] != ' ';
    for (size_t i = 0; i < s.len && plain; i++)
        plain = s.ptr[i] != ',' && s.ptr[i] != '"' && s.ptr[i] != '\r' && s.ptr[i] != '\n';
    if (plain) {
        strbuf_add_str(out, s);
        return;
    }
    strbuf_add_char(out, '"');
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] == '"')
            strbuf_add_char(out, '"');
        strbuf_add_char(out, s.ptr[i]);
    }
    strbuf_add_char(out, '"');
}

static void csv_value(struct strbuf *out, sqlite3_stmt *stmt, int column)
{
    const void *bytes;
    switch (sqlite3_column_type(stmt, column)) {
    case SQLITE_INTEGER: strbuf_add_i64(out, sqlite3_column_int64(stmt, column)); break;
    case SQLITE_FLOAT: sql_literal_real(out, sqlite3_column_double(stmt, column)); break;
    case SQLITE_TEXT:
        bytes = sqlite3_column_text(stmt, column);
        csv_text(out, str_make(bytes ? bytes : "", (size_t)sqlite3_column_bytes(stmt, column)));
        break;
    case SQLITE_BLOB:
        bytes = sqlite3_column_blob(stmt, column);
        strbuf_add_cstr(out, "\\x");
        enc_hex(out, str_make(bytes ? bytes : "", (size_t)sqlite3_column_bytes(stmt, column)));
        break;
    default: break; /* NULL: nothing at all */
    }
}

static void csv_header(struct strbuf *out, sqlite3_stmt *stmt)
{
    for (int i = 0; i < sqlite3_column_count(stmt); i++) {
        if (i)
            strbuf_add_char(out, ',');
        csv_text(out, str_of(sqlite3_column_name(stmt, i)));
    }
    strbuf_add_cstr(out, "\r\n");
}

static void csv_row(struct strbuf *out, sqlite3_stmt *stmt)
{
    for (int i = 0; i < sqlite3_column_count(stmt); i++) {
        if (i)
            strbuf_add_char(out, ',');
        csv_value(out, stmt, i);
    }
    strbuf_add_cstr(out, "\r\n");
}

static void no_header(struct strbuf *out, sqlite3_stmt *stmt)
{
    (void)out;
    (void)stmt;
}

static void ndjson_row(struct strbuf *out, sqlite3_stmt *stmt)
{
    struct jsonw w;
    jsonw_init(&w, out);
    jsonw_object(&w);
    for (int i = 0; i < sqlite3_column_count(stmt); i++) {
        jsonw_key_str(&w, str_of(sqlite3_column_name(stmt, i)));
        op_write_column(&w, stmt, i);
    }
    jsonw_object_end(&w);
    strbuf_add_char(out, '\n');
}

/* How one form writes its rows. */
struct row_form {
    void (*header)(struct strbuf *out, sqlite3_stmt *stmt);
    void (*row)(struct strbuf *out, sqlite3_stmt *stmt);
};

static enum err_code write_rows(
    struct op *op, sqlite3_stmt *select, const struct row_form *form, struct err *err)
{
    AUTO_SINK out;
    uint64_t count = 0;
    enum err_code code = ERR_OK;
    int rc;
    sink_init(&out, pass, op);
    form->header(&out.buf, select);
    while ((rc = op_step_tenant(op, select)) == SQLITE_ROW) {
        form->row(&out.buf, select);
        code = sink_row_end(&out, err);
        if (!code && ++count % ROWS_BETWEEN_LOOKS == 0)
            code = op_check_time(op, err);
        if (code)
            return code;
    }
    return rc == SQLITE_DONE ? sink_end(&out, err) : op_sql_error(op, rc, str_of(sqlite3_sql(select)), err);
}

static enum err_code export_rows(
    struct op *op, const struct cat_table *t, const struct row_form *form, struct err *err)
{
    AUTO_STRBUF sql;
    AUTO_SQL *select = NULL;
    strbuf_init(&sql, NAME_SQL_MAX);
    strbuf_add_cstr(&sql, "SELECT * FROM ");
    catalog_quote(&sql, t->name);
    enum err_code code = export_prepare_rows(op, strbuf_str(&sql), &select, err);
    return code ? code : write_rows(op, select, form, err);
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
