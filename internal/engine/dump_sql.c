/* A dump as SQL text. */
#include "engine/dump_sql.h"
#include "engine/sql_literal.h"

static enum err_code write_statement(void *arg, struct str sql, struct err *err)
{
    struct dump_sql *s = arg;
    strbuf_add_str(&s->out->buf, sql);
    strbuf_add_cstr(&s->out->buf, dump_terminator(s->arena, sql));
    strbuf_add_cstr(&s->out->buf, ";\n");
    return sink_row_end(s->out, err);
}

static enum err_code write_note(void *arg, struct str text, struct err *err)
{
    struct dump_sql *s = arg;
    strbuf_add_cstr(&s->out->buf, DUMP_NOTE);
    for (size_t i = 0; i < text.len; i++)
        strbuf_add_char(&s->out->buf, (unsigned char)text.ptr[i] < ' ' ? ' ' : text.ptr[i]);
    strbuf_add_char(&s->out->buf, '\n');
    return sink_row_end(s->out, err);
}

static enum err_code rows_begin(void *arg, const struct dump_rows *rows, struct err *err)
{
    struct dump_sql *s = arg;
    s->into = arena_copy(s->arena, rows->into);
    s->columns = rows->columns;
    return s->into.ptr ? ERR_OK : err_set(err, ERR_TOO_LARGE, "the schema is too large to be exported");
}

static enum err_code write_row(void *arg, sqlite3_stmt *stmt, struct err *err)
{
    struct dump_sql *s = arg;
    struct strbuf *out = &s->out->buf;
    strbuf_add_str(out, s->into);
    strbuf_add_cstr(out, " VALUES(");
    for (int i = 0; i < s->columns; i++) {
        if (i)
            strbuf_add_char(out, ',');
        sql_literal_add(out, stmt, i);
    }
    strbuf_add_cstr(out, ");\n");
    return sink_row_end(s->out, err);
}

static enum err_code rows_end(void *arg, struct err *err)
{
    (void)arg;
    (void)err;
    return ERR_OK;
}

static enum err_code write_sequence(void *arg, struct str table, int64_t value, struct err *err)
{
    struct dump_sql *s = arg;
    struct strbuf *out = &s->out->buf;
    strbuf_add_cstr(out, "DELETE FROM sqlite_sequence WHERE name=");
    sql_literal_text(out, table);
    strbuf_add_cstr(out, ";\nINSERT INTO sqlite_sequence VALUES(");
    sql_literal_text(out, table);
    strbuf_addf(out, ",%lld);\n", (long long)value);
    return sink_row_end(s->out, err);
}

struct dump_sink dump_sql_sink(struct dump_sql *s)
{
    return (struct dump_sink){
        false, write_statement, write_note, rows_begin, write_row, rows_end, write_sequence, s};
}

void dump_sql_open(struct dump_sql *s)
{
    strbuf_add_cstr(&s->out->buf, "PRAGMA foreign_keys=OFF;\nBEGIN TRANSACTION;\n");
}

void dump_sql_close(struct dump_sql *s)
{
    strbuf_add_cstr(&s->out->buf, "COMMIT;\n");
}
