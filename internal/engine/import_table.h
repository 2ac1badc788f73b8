/* The table that csv and ndjson fill: found or made, its columns matched by name, rows inserted under the
 * caller's rights. Engine's thread. */
#ifndef ENGINE_IMPORT_TABLE_H
#define ENGINE_IMPORT_TABLE_H

#include "engine/ndjson.h"
#include "engine/op_import.h"

/* What a column of a table that does not exist yet has held so far. */
struct import_guess {
    struct str name;
    bool integer, real, text, blob, wide; /* wide: an integer that a double does not hold exactly */
};

enum { IMPORT_COLUMNS_MAX = NDJSON_COLUMNS_MAX, IMPORT_SHAPES = 8, IMPORT_RUNS = 256 };

/* One list of columns and the INSERT for it; rows of NDJSON may differ. */
struct import_shape {
    struct str key; /* the names, each behind a NUL */
    sqlite3_stmt *insert;
    const struct cat_column
        *columns[IMPORT_COLUMNS_MAX]; /* NULL: computed by the table, the value is passed over */
    int places[IMPORT_COLUMNS_MAX];   /* parameter of the column, 0 none */
    int count;
};

/* Rows whose ids and lines count up together. */
struct import_run {
    int64_t rowid;
    uint64_t line, count;
};

struct import_table {
    struct import *im;
    struct str name;
    struct catalog cat;
    const struct cat_table *table; /* NULL: does not exist yet */
    struct import_shape shapes[IMPORT_SHAPES];
    int shape_count, oldest;
    struct import_run runs[IMPORT_RUNS]; /* of the first rows; past that lines are not remembered */
    int run_count;
};

MUST_CHECK enum err_code import_table_find(
    struct import_table *t, struct import *im, struct str name, struct err *err);
MUST_CHECK enum err_code import_table_make(
    struct import_table *t, const struct import_guess *guesses, int count, struct err *err);
/* The INSERT for these columns; errors name the column, and the line they came from. */
MUST_CHECK enum err_code import_table_shape(struct import_table *t, const struct str *names, int count,
    uint64_t line, struct import_shape **ret, struct err *err);
/* Runs it with what was bound. */
MUST_CHECK enum err_code import_table_insert(
    struct import_table *t, struct import_shape *shape, uint64_t line, struct err *err);
/* Checks the foreign keys of what was inserted, when `code` is ERR_OK, and gives everything back; returns the
 * first error. */
MUST_CHECK enum err_code import_table_end(struct import_table *t, enum err_code code, struct err *err);

#endif
