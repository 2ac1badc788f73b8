/* A copy of the schema without rows, in memory, for questions to SQLite's planner: which plan would a
 * statement have, and which with another index. Statistics of ANALYZE are copied, so that it plans as the
 * database does. Only what the caller may see is in it. Engine's thread. */
#ifndef ENGINE_WHATIF_H
#define ENGINE_WHATIF_H

#include "engine/catalog.h"
#include "engine/op.h"

struct whatif {
    struct op *op;
    sqlite3 *plain;            /* the schema as it is */
    sqlite3 *listen;           /* the same with tables that note what the planner asks them: advice.c */
    struct advice_scan *scans; /* noted while a statement was prepared on `listen` */
    struct arena *arena;
};

struct plan_line {
    struct plan_line *next;
    struct str detail; /* "SEARCH t USING INDEX i (a=?)" */
};

/* What the planner wanted of one table in one place of one statement. */
struct advice_term {
    struct advice_term *next;
    struct str column, collation; /* collation "" when it is the column's own */
    bool desc;
};

struct advice_scan {
    struct advice_scan *next;
    const struct cat_table *table;
    struct advice_term *equal, *range, *order;
};

MUST_CHECK enum err_code whatif_open(
    struct whatif *w, struct op *op, const struct catalog *cat, struct err *err);
void whatif_release(struct whatif *w);

/* The plan of `sql`, or NULL with *ret_ok false when it cannot be prepared here. */
struct plan_line *whatif_plan(struct whatif *w, struct str sql, bool *ret_ok);
/* Does the plan use that index? */
bool plan_uses_index(const struct plan_line *plan, struct str index);
/* Does it read all of that table, or sort? */
bool plan_is_costly(const struct plan_line *plan);

/* Notes in w->scans what the planner asks for `sql`. */
void whatif_listen(struct whatif *w, struct str sql);
/* Runs SQL of ours on the plain copy; false when SQLite refuses. */
bool whatif_exec(struct whatif *w, const char *sql);

/* advice.c: registers the listening module and makes the listening tables. */
MUST_CHECK enum err_code advice_open(struct whatif *w, const struct catalog *cat, struct err *err);

#endif
