/* Values as SQL literals. */
#include "engine/sql_literal.h"
#include "base/enc.h"
#include "engine/column.h"
#include "engine/tagged.h"
#include <math.h>
#include <stdlib.h>

enum { REAL_TEXT_MAX = 64, DIGITS_LEAST = 15, DIGITS_ENOUGH = 17 };

void sql_literal_real(struct strbuf *out, double v)
{
    char buf[REAL_TEXT_MAX];
    struct strbuf text;
    if (isinf(v)) {
        strbuf_add_cstr(out, v > 0 ? "9e999" : "-9e999");
        return;
    }
    strbuf_init(&text, sizeof buf);
    for (int digits = DIGITS_LEAST; digits <= DIGITS_ENOUGH; digits++) {
        strbuf_reset(&text);
        strbuf_addf(&text, "%.*g", digits, v);
        if (strtod(strbuf_cstr(&text), NULL) == v)
            break;
    }
    strbuf_add_str(out, strbuf_str(&text));
    if (!strpbrk(strbuf_cstr(&text), ".e"))
        strbuf_add_cstr(out, ".0");
    strbuf_release(&text);
}

/* SQL ends at a NUL, and text that is no UTF-8 may not survive the way to the next reader. */
static void add_as_hex(struct strbuf *out, struct str bytes, bool text)
{
    strbuf_add_cstr(out, text ? "CAST(X'" : "X'");
    enc_hex(out, bytes);
    strbuf_add_cstr(out, text ? "' AS TEXT)" : "'");
}

void sql_literal_text(struct strbuf *out, struct str text)
{
    if (tagged_is_odd(text)) {
        add_as_hex(out, text, true);
        return;
    }
    strbuf_add_quoted(out, text, '\'');
}

void sql_literal_add(struct strbuf *out, sqlite3_stmt *stmt, int column)
{
    switch (sqlite3_column_type(stmt, column)) {
    case SQLITE_INTEGER: strbuf_add_i64(out, sqlite3_column_int64(stmt, column)); break;
    case SQLITE_FLOAT: sql_literal_real(out, sqlite3_column_double(stmt, column)); break;
    case SQLITE_TEXT: sql_literal_text(out, column_bytes(stmt, column)); break;
    case SQLITE_BLOB: add_as_hex(out, column_bytes(stmt, column), false); break;
    default: strbuf_add_cstr(out, "NULL");
    }
}
