/* Reads NDJSON: one object a line; blank lines are passed over. Engine's thread. */
#ifndef ENGINE_NDJSON_H
#define ENGINE_NDJSON_H

#include "base/strbuf.h"
#include "engine/import_source.h"
#include "json/jsonr.h"

enum {
    NDJSON_COLUMNS_MAX = 100,   /* columns of a table: policy/limits.def, SQL_COLUMNS */
    NDJSON_LINE_MAX = 26 << 20, /* SQLite's limit on a row, every byte as \u00xx, and room for names */
};

struct ndjson {
    struct import_source *in;
    struct arena *arena; /* of one row: released before the next */
    struct strbuf text;
    uint64_t line;                 /* where the row stands */
    const struct jsonr_value *row; /* an object */
};

void ndjson_init(struct ndjson *n, struct import_source *in, struct arena *arena);
void ndjson_release(struct ndjson *n);
/* The next row, valid until the next call. *ret_found false at the end. ERR_INVALID names the line. */
MUST_CHECK enum err_code ndjson_next(struct ndjson *n, bool *ret_found, struct err *err);

#endif
