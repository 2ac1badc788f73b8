/* A change set: what a write did, row by row, as bytes in one canonical spelling. A pure codec: no SQLite, no
 * I/O. What is read may come from anywhere (a file that somebody changed, a hostile engine): every length and
 * every kind is checked, and bytes that this codec would not have written are refused.
 *
 *   set    = "HFC1" | count of tables | table …
 *   table  = name | flags | count of columns | (column name | column flags) … | count of rows | length | rows
 *   row    = op | cells          INSERT: the new row, DELETE: the old one, UPDATE: old, then new
 *   cell   = kind | value        CHANGE_SAME stands in an UPDATE for what was not changed: in the new row for
 *                                the key too, when it stayed, in the old one for all but key and changed
 * columns
 *
 * Numbers are varints (7 bits a byte, lowest first, in their shortest form), integers of SQL zigzag varints,
 * reals 8 bytes, names and texts a length and their bytes. Tables stand in the order of their names; rows in
 * that of their keys, which the recorder knows (change_record.c).
 *
 * A table without an INTEGER PRIMARY KEY that is not WITHOUT ROWID has its row id as an additional first
 * column, CHANGE_COLUMN_ROWID: it says which row is meant. change_set_hash() leaves it out where nobody named
 * it, so that inserting into such a table has one hash whatever the row id becomes. Any thread. */
#ifndef ENGINE_CHANGE_SET_H
#define ENGINE_CHANGE_SET_H

#include "base/err.h"
#include "base/strbuf.h"
#include "crypto/digest.h"

enum change_op { CHANGE_INSERT = 1, CHANGE_UPDATE, CHANGE_DELETE, CHANGE_OP_COUNT };

enum change_kind {
    CHANGE_NULL,
    CHANGE_INT,
    CHANGE_REAL,
    CHANGE_TEXT,
    CHANGE_BLOB,
    CHANGE_SAME,
    CHANGE_KINDS
};

enum change_table_flags { CHANGE_TABLE_HAS_KEY = 1, CHANGE_TABLE_WITHOUT_ROWID = 2, CHANGE_TABLE_FLAGS = 3 };

enum change_column_flags { CHANGE_COLUMN_KEY = 1, CHANGE_COLUMN_ROWID = 2, CHANGE_COLUMN_FLAGS = 3 };

enum { CHANGE_INDIRECT = 0x10 /* beside the op: by a trigger or a foreign key's action */ };
enum { CHANGE_CELL_HEAD_MAX = 11 /* bytes of a cell beside those of its text or blob */ };
enum { CHANGE_TABLES_MAX = 1000, CHANGE_COLUMNS_MAX = 2000, CHANGE_NAME_MAX = 100000 };

#define CHANGE_SET_MAGIC "HFC1"

struct change_cell {
    enum change_kind kind;
    int64_t integer;
    double real;
    struct str bytes; /* of a text or blob */
};

struct change_column {
    struct str name;
    unsigned flags;
};

struct change_table_view {
    struct str name;
    unsigned flags;
    size_t column_count;
    struct change_column *columns; /* of the reader; until its next table */
    uint64_t row_count;
    struct str head; /* the bytes from the name to the last column */
    struct str rows; /* the rows' bytes */
};

struct change_row {
    enum change_op op;
    bool indirect;
    struct str old_cells, new_cells; /* ptr NULL: there is none. Read them with change_cell_next */
    struct str bytes;                /* the whole row */
};

/* Writing one part after the other. */
void change_put_number(struct strbuf *out, uint64_t n);
void change_put_name(struct strbuf *out, struct str name);
void change_put_cell(struct strbuf *out, const struct change_cell *cell);
/* The same where there is room for CHANGE_CELL_HEAD_MAX and the bytes; returns the end. */
char *change_write_cell(char *out, const struct change_cell *cell);
/* A table from its name to its last column; then the number of its rows and their bytes follow, the latter
 * with their length, as change_put_name() writes it. */
void change_put_head(struct strbuf *out, const struct change_table_view *t);

/* Takes the next cell from *cells, which was checked before by change_row_next or by its writer. */
struct change_cell change_cell_next(struct str *cells);
/* Passes over it. */
enum change_kind change_cell_skip(struct str *cells);
bool change_cell_eq(const struct change_cell *a, const struct change_cell *b);

struct change_reader {
    struct str rest;
    uint64_t tables_left;
    struct change_column *columns;
    size_t columns_cap;
};

/* Table by table. ERR_INTERNAL: these bytes are no change set. `bytes` lives as long as what was read. */
MUST_CHECK enum err_code change_reader_init(struct change_reader *r, struct str bytes, struct err *err);
void change_reader_release(struct change_reader *r);
MUST_CHECK enum err_code change_table_next(
    struct change_reader *r, bool *ret_found, struct change_table_view *ret, struct err *err);

/* Row by row: start with struct str rest = t->rows. */
MUST_CHECK enum err_code change_row_next(const struct change_table_view *t, struct str *rest, bool *ret_found,
    struct change_row *ret, struct err *err);

/* Of an UPDATE: marks the columns that it changes. */
void change_row_columns(const struct change_table_view *t, const struct change_row *row, bool *touched);

/* Reads all of it. */
MUST_CHECK enum err_code change_set_check(struct str bytes, struct err *err);

/* How many rows its tables say they have. */
MUST_CHECK enum err_code change_set_count(struct str bytes, uint64_t *ret_rows, struct err *err);

/* Adds what identifies the set to a digest. The bytes are this process's own, or were checked. */
MUST_CHECK enum err_code change_set_hash(struct str bytes, struct digest_stream *digest, struct err *err);

/* The set that takes it back: INSERT and DELETE change places, UPDATE its halves. */
MUST_CHECK enum err_code change_set_invert(struct str bytes, struct strbuf *out, struct err *err);

#endif
