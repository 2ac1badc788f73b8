/* SQLite values as SQL text that reads back as exactly the same value: integers in full, reals with as many
 * digits as they need, text with its NUL and odd bytes, blobs in hex. Engine's thread. */
#ifndef ENGINE_SQL_LITERAL_H
#define ENGINE_SQL_LITERAL_H

#include "base/strbuf.h"

#include <sqlite3.h>

void sql_literal_add(struct strbuf *out, sqlite3_stmt *stmt, int column);
void sql_literal_text(struct strbuf *out, struct str text);
/* The shortest decimal text that reads back the same and has a point or an exponent; infinities: 9e999. */
void sql_literal_real(struct strbuf *out, double v);

#endif
