/* A sample of a database's rows that is whole: whatever a row of it refers to is in it, and what that refers
 * to, through cycles and tables that refer to themselves. Every table gets an even share of the rows that are
 * asked for; what small tables leave goes to the others, and rows that others refer to count. Within a table
 * a row is in or out by a hash of its key and the seed: the same rows of the same database are the same
 * sample, rows that come and go change little of it, and tables with equal keys get equal rows.
 *
 * Rows whose parent is missing in the database itself are left out, and those that refer to them. References
 * to what is no key, or no table, are nothing that rows could break. Engine's thread. */
#ifndef ENGINE_SAMPLE_H
#define ENGINE_SAMPLE_H

#include "engine/catalog.h"

struct sample;

/* ERR_CONFLICT: a table whose rows have no name. ERR_TOO_LARGE: too many rows are referred to. The caller
 * frees; on failure there is nothing to free. */
MUST_CHECK enum err_code sample_pick(const struct catalog_source *src, const struct catalog *cat,
    int64_t rows, uint64_t seed, struct sample **ret, struct err *err);
void sample_free(struct sample *s);

/* Reading what was picked: the condition for a SELECT over the table's rows ("" when nothing was picked is
 * never asked), then one row after the other. */
void sample_add_condition(const struct sample *s, const struct cat_table *t, struct strbuf *out);
/* Goes through the picked rows of `t` from the start. */
void sample_rewind(struct sample *s, const struct cat_table *t);
/* sqlite3_step() over all of them, with the condition's parameters bound anew for each. */
int sample_step(struct sample *s, sqlite3_stmt *stmt);

#endif
