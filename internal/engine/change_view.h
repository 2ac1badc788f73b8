/* A change set as JSON, for people and programs. Reads bytes that were stored and may be anything; shows only
 * the tables and rows that the caller may read, and says how many it left out. Engine's thread. */
#ifndef ENGINE_CHANGE_VIEW_H
#define ENGINE_CHANGE_VIEW_H

#include "engine/change_set.h"
#include "json/jsonw.h"

struct change_view {
    bool (*sees)(void *arg, struct str table); /* NULL: everything */
    void *arg;
    bool no_indirect; /* what triggers and foreign keys did is left out */
    struct str table; /* only of this one; ptr NULL: of all */
    uint64_t from;    /* rows before this one of the set are passed over */
    size_t rows_max, bytes_max;
};

struct change_totals {
    uint64_t rows, hidden;
};

/* Counts rows, and of them those that the view leaves out. */
MUST_CHECK enum err_code change_view_count(
    const struct change_view *v, struct str bytes, struct change_totals *ret, struct err *err);

/* The members "tables", "rows", "hiddenRows", "truncated" and "nextCursor", into an object that is open. */
MUST_CHECK enum err_code change_view_write(
    const struct change_view *v, struct str bytes, struct jsonw *w, struct err *err);

/* One row as a value, "table" included. */
void change_view_row(struct jsonw *w, const struct change_table_view *t, const struct change_row *row);
/* {"id":7}: how the row is found. `cells` are its old or new ones. */
void change_view_key(struct jsonw *w, const struct change_table_view *t, struct str cells);
/* {"name": value} of the columns that are told, but for the row id. */
void change_view_cells(struct jsonw *w, const struct change_table_view *t, struct str cells);
/* What JSON has no form for is tagged (tagged.h): infinity, blobs, text with a NUL or not UTF-8. */
void change_view_cell(struct jsonw *w, const struct change_cell *cell);
/* The same for SQLite's JSON functions, which take 9e999 for infinity. */
void change_view_sql_key(struct jsonw *w, const struct change_table_view *t, struct str cells);
void change_view_sql_cells(struct jsonw *w, const struct change_table_view *t, struct str cells);

#endif
