/* The examination of a database, in parts that share one report. Internal to op_doctor*.c.
 *
 * Each part looks at the clock and stops when the time for the whole is used up; the report then says so. */
#ifndef ENGINE_EXAM_H
#define ENGINE_EXAM_H

#include "engine/op.h"
#include "engine/rowcount.h"

enum exam_severity { EXAM_ERROR, EXAM_WARNING, EXAM_INFO };

struct exam_finding {
    struct exam_finding *next;
    enum exam_severity severity;
    const char *kind;                  /* "fk_without_index" */
    struct str subject;                /* what makes it different from others of its kind */
    struct str table, column, message; /* "" none */
    struct str sql;                    /* what mends it, ptr NULL: nothing that could be run blindly */
    struct str evidence;               /* a JSON object, "" none */
};

struct exam {
    struct op *op;
    struct catalog_source src;
    struct catalog cat;
    struct rowcount *rows; /* one for each table, in the catalog's order */
    struct exam_finding *findings;
    int64_t until_us;
    bool cut;
    /* what was looked at */
    int64_t tables, rows_sampled, statements;
    const char *integrity; /* "full", "quick" or "skipped" */
    bool foreign_keys;
};

/* Adds a finding; `message` is arena memory. Returns it, to be completed; NULL when there are too many. */
struct exam_finding *exam_add(struct exam *d, enum exam_severity severity, const char *kind,
    const struct cat_table *t, struct str subject, struct str message);
/* Evidence of one figure, or of two: {"first":1,"second":2}. */
struct str exam_counts(struct exam *d, const char *first, int64_t a, const char *second, int64_t b);
bool exam_late(struct exam *d); /* true from then on: the report is cut */
const struct rowcount *exam_rows(const struct exam *d, const struct cat_table *t);

/* "CREATE INDEX …" over these columns, with a name that is free. Arena memory. */
struct exam_index_column {
    struct str name, collation; /* collation "" the column's own */
    bool desc;
};
struct str exam_create_index(struct exam *d, const struct cat_table *t,
    const struct exam_index_column *columns, int count, bool unique);

void exam_schema(struct exam *d); /* keys, foreign keys, indexes, views */
MUST_CHECK enum err_code exam_data(
    struct exam *d, struct err *err); /* types, integrity, statistics, full text */
MUST_CHECK enum err_code exam_queries(
    struct exam *d, struct err *err); /* the query log against the planner */

#endif
