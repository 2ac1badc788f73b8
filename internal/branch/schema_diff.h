/* What a branch did to its schema since it began: objects that it added, changed and removed, and SQL that
 * does the same to the parent's, in an order that runs. Three schemas tell: the one that the branch began
 * with, the parent's and the branch's of now. What the parent alone did is left as it is, what both did alike
 * is nothing, and what both did in two ways is for people, as is what no statement tells. Works on the text
 * that made each object. Pure: no I/O, arena memory. Any thread. */
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
    const struct schema_object *parent, *branch; /* NULL: it has none */
    struct schema_statement *alters;             /* of a changed table: what was done to it */
    const char *by_hand;                         /* why people have to do it; NULL: statements do */
    const char *remark;                          /* what to know of the statements; NULL nothing */
    bool waits;                                  /* for what people do with one that was removed */
    bool rebuilt;                                /* another table takes its place */
};

struct schema_diff {
    struct schema_change *added, *changed, *removed;
    struct schema_statement *statements; /* but for what `by_hand` counts and what may rest on that */
    int by_hand;
    bool base_unknown; /* so nothing is known to be removed */
};

struct schema_sides {
    const struct schema_object *base; /* what the branch began with */
    bool base_unknown;                /* nobody wrote it down: a branch of an older version */
    const struct schema_object *parent, *branch;
};

/* ERR_TOO_LARGE: the arena is used up. */
MUST_CHECK enum err_code schema_diff(
    struct arena *a, const struct schema_sides *sides, struct schema_diff *ret, struct err *err);

#endif
