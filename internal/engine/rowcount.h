/* How many rows a table has, without ever scanning a huge one to its end: exact when the count fits in the
 * budget of time that all tables of a call share, an estimate otherwise. Engine's thread. */
#ifndef ENGINE_ROWCOUNT_H
#define ENGINE_ROWCOUNT_H

#include "engine/catalog.h"

struct rowcount {
    int64_t rows;
    bool exact;
};

struct rowcount_budget {
    int64_t until_us; /* clock_mono_us() */
    bool small;       /* the whole database is so small that every count is cheap */
};

MUST_CHECK enum err_code rowcount_budget(
    const struct catalog_source *src, struct rowcount_budget *ret, struct err *err);
MUST_CHECK enum err_code rowcount_of(const struct catalog_source *src, const struct cat_table *t,
    const struct rowcount_budget *budget, struct rowcount *ret, struct err *err);

#endif
