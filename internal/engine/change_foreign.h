/* Rows of a change set that leave a foreign key without the row it refers to: new and changed ones that refer
 * to none, and removed or changed ones that others still refer to. Asked when the set was written and SQLite
 * counts keys that are open; looks at rows of the set alone. Engine's thread. */
#ifndef ENGINE_CHANGE_FOREIGN_H
#define ENGINE_CHANGE_FOREIGN_H

#include "engine/change_set.h"
#include "json/jsonw.h"

struct op;

struct change_foreign_key {
    struct change_foreign_key *next;
    struct str child, parent; /* a row of `child` refers to one of `parent` */
    size_t count;
    struct str *from, *to; /* columns of the one, and of the other in that order; to[].ptr NULL: unknown */
};

/* `values`: what `from` has and `to` lacks, until the function returns. */
typedef void change_foreign_fn(void *arg, const struct change_table_view *table, const struct change_row *row,
    const struct change_foreign_key *key, const struct change_cell *values);

/* What would have to be there: "missing", the row that is referred to, and "referencedBy", who refers to it.
 */
void change_foreign_write(
    struct jsonw *w, const struct change_foreign_key *key, const struct change_cell *values);

/* Calls `fn` once for each such row. *ret_rows counts them; 0 when the culprit is none of the set's rows. */
MUST_CHECK enum err_code change_foreign_check(
    struct op *op, struct str set, change_foreign_fn *fn, void *arg, uint64_t *ret_rows, struct err *err);

#endif
