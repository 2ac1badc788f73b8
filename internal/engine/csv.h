/* Reads CSV as RFC 4180 has it, with LF as good as CRLF. Tells an empty field from a quoted empty one: NULL
 * and
 * "". Engine's thread. */
#ifndef ENGINE_CSV_H
#define ENGINE_CSV_H

#include "base/strbuf.h"
#include "engine/import_source.h"

enum {
    CSV_FIELDS_MAX = 100,      /* columns of a table: policy/limits.def, SQL_COLUMNS */
    CSV_RECORD_MAX = 16 << 20, /* bytes of one record: SQLite's limit on a row, in hex and with room */
};

struct csv_field {
    struct str text; /* ptr NULL: null */
    size_t start;    /* private: until the record is whole */
    size_t len;
    bool quoted;
    bool null; /* empty and not quoted */
};

struct csv {
    struct import_source *in;
    struct strbuf text;
    struct csv_field fields[CSV_FIELDS_MAX];
    int count;
    uint64_t line; /* where the record begins */
};

/* What a number looks like: as SQLite would print it, so that nothing is lost. No sign +, no leading zero. */
enum csv_number { CSV_NO_NUMBER, CSV_INTEGER, CSV_REAL };
enum csv_number csv_number(struct str s);

void csv_init(struct csv *c, struct import_source *in);
void csv_release(struct csv *c);
/* The next record; its text stays valid until the next call. *ret_found false at the end. ERR_INVALID names
 * the line. */
MUST_CHECK enum err_code csv_next(struct csv *c, bool *ret_found, struct err *err);

#endif
