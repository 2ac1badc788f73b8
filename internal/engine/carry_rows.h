/* Copying rows of the server's own tables from one connection to another. Results are SQLite's. */
#ifndef ENGINE_CARRY_ROWS_H
#define ENGINE_CARRY_ROWS_H

#include <sqlite3.h>

struct carry_step {
    const char *select; /* on the one; its columns are ?1, ?2 … of */
    const char *run;    /* on the other, for each row */
};

int carry_rows(sqlite3 *from, sqlite3 *to, const struct carry_step *step);
/* All rows of a table, whose columns are the same in both. */
int carry_table(sqlite3 *from, sqlite3 *to, const char *table);

/* Tables that go as they are; ends with NULL. */
extern const char *const CARRY_TABLES[];

#endif
