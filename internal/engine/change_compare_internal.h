/* A comparison at work, for change_compare*.c. */
#ifndef ENGINE_CHANGE_COMPARE_INTERNAL_H
#define ENGINE_CHANGE_COMPARE_INTERNAL_H

#include "engine/change_compare.h"
#include "engine/change_overlay.h"
#include "engine/change_table.h"

/* A row that differs: where its cells stand in `cells`, -1: it is not there. */
struct difference {
    int64_t old_at, new_at;
    size_t old_len, new_len;
    int64_t old_rowid, new_rowid;
};

struct comparing {
    struct op *op;
    struct comparison *c;
    struct recorder now_columns, base_columns;
    const struct recorder_table *now, *base; /* the table at hand; base NULL: it is not there */
    struct change_table_view t;
    bool *missing;        /* of each column: the first has not got it */
    struct str *defaults; /* … and what it had there: one cell */
    struct change_overlay overlay;
    struct strbuf key, below, cells;
    struct difference *list;
    size_t count, cap;
    unsigned looked;
    struct strbuf tables, whole_tables; /* what is written so far */
    size_t table_count, whole_count;
    uint64_t rows; /* of all tables */
};

static const struct str NO_ROW = {NULL, 0};

enum err_code compare_too_much(const struct comparing *x, struct err *err);
/* change_compare_write.c: the differences of the table at hand, behind those of the tables before it. */
MUST_CHECK enum err_code compare_write_table(struct comparing *x, struct err *err);
void compare_put_all(struct strbuf *out, size_t count, const struct strbuf *tables);

#endif
