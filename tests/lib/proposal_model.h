/* A table of few rows, writes to it and what they do, in memory: what the database is compared with. */
#ifndef TESTS_LIB_PROPOSAL_MODEL_H
#define TESTS_LIB_PROPOSAL_MODEL_H

#include "base/attr.h"

enum { ROWS = 6 };

struct cell {
    bool there;
    int v;
};

struct table {
    struct cell row[ROWS];
};

/* … one row, some, those below a number; a new row; none. */
enum kind { ADD_ONE, ADD_RANGE, SET_LOW, INSERT_ONE, DELETE_ONE, KINDS };

struct write {
    enum kind kind;
    int id, to, n;
};

struct effect {
    bool fails; /* the key is taken */
    struct table before, after;
    unsigned matched, changed; /* rows, as bits */
};

/* What the write does to the table as it is. */
struct effect effect_of(const struct table *t, const struct write *w);
bool cell_eq(const struct cell *a, const struct cell *b);
/* The same rows change from the same to the same; neither fails. */
bool effect_eq(const struct effect *a, const struct effect *b);
/* What takes it back. */
struct effect effect_inverse(const struct effect *e);
/* Are its rows in `t` as they were before it? */
bool effect_fits(const struct effect *e, const struct table *t);
void write_sql(const struct write *w, char out[200]);

#endif
