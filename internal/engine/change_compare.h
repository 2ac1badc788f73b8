/* Two databases side by side, the second made from the first: the change set that leads from one to the
 * other, table by table, row by row. Rows are told apart by their row id, in a table WITHOUT ROWID by the
 * bytes of their key; a row that went and came back under its declared key is one that was changed. Columns
 * are matched by name: one that the first has not had its default there, one that the second has not is not
 * looked at. What cannot be compared is told with the reason. Engine's thread. */
#ifndef ENGINE_CHANGE_COMPARE_H
#define ENGINE_CHANGE_COMPARE_H

#include "engine/change_set.h"
#include "engine/op.h"

struct map;

struct compare_note {
    struct compare_note *next;
    struct str table;
    const char *reason;
};

struct comparison {
    sqlite3 *base;            /* the first; NULL: it has no rows */
    const struct str *merged; /* change sets that are taken for part of the first, in their order */
    size_t merged_count;
    const struct map *only;     /* names in lower case → bool, set for those that are there; NULL: all */
    struct strbuf *set;         /* the change set */
    struct strbuf *whole;       /* NULL, or: each row that was changed, as an INSERT of what it is now */
    struct compare_note *notes; /* arena memory of the call */
};

/* The second is the call's own database, in one read transaction. ERR_TOO_LARGE: they differ in more than
 * LIMIT_CHANGE_ROWS or LIMIT_CHANGE_BYTES. */
MUST_CHECK enum err_code change_compare(struct op *op, struct comparison *c, struct err *err);

#endif
