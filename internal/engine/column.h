/* A value of a result row as a view: text as its bytes, a blob as its own, NULL as "". Valid until the next
 * step. Engine's thread. */
#ifndef ENGINE_COLUMN_H
#define ENGINE_COLUMN_H

#include "base/str.h"

#include <sqlite3.h>

static inline struct str column_bytes(sqlite3_stmt *stmt, int column)
{
    /* sqlite3_column_text would turn a blob into text for good. */
    const void *bytes = sqlite3_column_type(stmt, column) == SQLITE_BLOB
                            ? sqlite3_column_blob(stmt, column)
                            : (const void *)sqlite3_column_text(stmt, column);
    return bytes ? str_make(bytes, (size_t)sqlite3_column_bytes(stmt, column)) : STR_EMPTY;
}

#endif
