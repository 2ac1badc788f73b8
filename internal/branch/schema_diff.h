/* What tells the schema of a branch from its parent's: objects that were added, changed and removed, and SQL
 * that would make the parent's into the branch's, in an order that runs. Works on the text that made each
 * object; says what it cannot put into a statement. Pure: no I/O, arena memory. Any thread. */
#ifndef BRANCH_SCHEMA_DIFF_H
#define BRANCH_SCHEMA_DIFF_H

#include "base/arena.h"
#include "base/err.h"

enum schema_kind { SCHEMA_TABLE, SCHEMA_VIEW, SCHEMA_INDEX, SCHEMA_TRIGGER, SCHEMA_KIND_COUNT };

const char *schema_kind_name(enum schema_kind kind); /* "table" */

struct schema_object {
    struct schema_object *next; /* in order of creation */
    enum schema_kind kind;
    struct str name, table, sql; /* table: of indexes and triggers */
};

struct schema_statement {
    struct schema_statement *next;
    struct str sql;
};

struct schema_change {
    struct schema_change *next;
    const struct schema_object *parent, *branch; /* one of them NULL: added or removed */
    struct schema_statement *
        alters; /* of a table: what was done to it; NULL for a changed table: more than statements can tell */
};

struct schema_diff {
    struct schema_change *added, *changed, *removed;
    struct schema_statement
        *statements; /* the way from the parent's schema to the branch's, but for what `by_hand` counts */
    int by_hand;     /* changed tables without statements */
};

/* ERR_TOO_LARGE: the arena is used up. */
MUST_CHECK enum err_code schema_diff(struct arena *a, const struct schema_object *parent,
    const struct schema_object *branch, struct schema_diff *ret, struct err *err);

#endif
