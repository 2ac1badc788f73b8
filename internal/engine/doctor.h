/* The examination of a database, in parts that share one report. Internal to op_doctor*.c.
 *
 * Each part looks at the clock and stops when the time for the whole is used up; the report then says so. */
#ifndef ENGINE_DOCTOR_H
#define ENGINE_DOCTOR_H

#include "engine/op.h"
#include "engine/rowcount.h"

enum doctor_severity { DOCTOR_ERROR, DOCTOR_WARNING, DOCTOR_INFO };

struct doctor_finding {
    struct doctor_finding *next;
    enum doctor_severity severity;
    const char *kind;                  /* "fk_without_index" */
    struct str subject;                /* what makes it different from others of its kind */
    struct str table, column, message; /* "" none */
    struct str sql;                    /* what mends it, ptr NULL: nothing that could be run blindly */
    struct str evidence;               /* a JSON object, "" none */
};

struct doctor {
    struct op *op;
    struct catalog_source src;
    struct catalog cat;
    struct rowcount *rows; /* one for each table, in the catalog's order */
    struct doctor_finding *findings;
    int64_t until_us;
    bool cut;
    /* what was looked at */
    int64_t tables, rows_sampled, statements;
    const char *integrity; /* "full", "quick" or "skipped" */
    bool foreign_keys;
};

/* Adds a finding; `message` is arena memory. Returns it, to be completed; NULL when there are too many. */
struct doctor_finding *doctor_add(struct doctor *d, enum doctor_severity severity, const char *kind,
    const struct cat_table *t, struct str subject, struct str message);
bool doctor_late(struct doctor *d); /* true from then on: the report is cut */
const struct rowcount *doctor_rows(const struct doctor *d, const struct cat_table *t);

/* "CREATE INDEX …" over these columns, with a name that is free. Arena memory. */
struct doctor_index_column {
    struct str name, collation; /* collation "" the column's own */
    bool desc;
};
struct str doctor_create_index(struct doctor *d, const struct cat_table *t,
    const struct doctor_index_column *columns, int count, bool unique);

void doctor_schema(struct doctor *d); /* keys, foreign keys, indexes, views */
MUST_CHECK enum err_code doctor_data(
    struct doctor *d, struct err *err); /* types, integrity, statistics, full text */
MUST_CHECK enum err_code doctor_queries(
    struct doctor *d, struct err *err); /* the query log against the planner */

#endif
