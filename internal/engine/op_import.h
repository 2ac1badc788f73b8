/* What the forms of import share. Internal to op_import*.c. */
#ifndef ENGINE_OP_IMPORT_H
#define ENGINE_OP_IMPORT_H

#include "base/map.h"
#include "engine/catalog.h"
#include "engine/import_remarks.h"
#include "engine/import_source.h"
#include "engine/op.h"

struct import {
    struct op *op;
    struct import_source in;
    struct arena scratch; /* of one statement or row */
    uint64_t statements;  /* that were run: sql only */
    uint64_t rows;
    bool created;      /* the table was made: csv and ndjson */
    struct map tables; /* names touched; the values are themselves arena strings */
    struct str *table_names;
    size_t table_count;
    struct import_remarks remarks; /* sql only */
};

enum { IMPORT_SCRATCH_MAX = 48 << 20, IMPORT_ROWS_BETWEEN_LOOKS = 256, IMPORT_TABLES_MAX = 1024 };

MUST_CHECK enum err_code import_sql(struct import *im, struct err *err);
MUST_CHECK enum err_code import_csv(struct import *im, struct str table, struct err *err);
MUST_CHECK enum err_code import_ndjson(struct import *im, struct str table, struct err *err);

/* ERR_SQL with a detail when a row of `table` (ptr NULL: of any table) refers to a row that is not there.
 * `line_of` (NULL: unknown) tells which line a row came from, 0 when it cannot. */
struct import_row_lines {
    uint64_t (*line_of)(void *arg, int64_t rowid);
    void *arg;
};
MUST_CHECK enum err_code import_foreign_keys(
    struct op *op, struct str table, const struct import_row_lines *lines, struct err *err);

/* Remembers a table for the answer; "" and repetitions are fine. */
void import_note_table(struct import *im, struct str table);

#endif
