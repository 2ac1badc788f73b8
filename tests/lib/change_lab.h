/* Random writes to a database in memory, with a recorder attached to them, and change sets applied to it.
 * Include it before anything that includes sqlite3.h without its preupdate hook. */
#ifndef TESTS_LIB_CHANGE_LAB_H
#define TESTS_LIB_CHANGE_LAB_H

#define SQLITE_ENABLE_PREUPDATE_HOOK 1 /* declares it */
#include "engine/change_apply.h"
#include "engine/change_record.h"
#include "engine/engine_state.h"

struct change_lab {
    struct engine eng;
    struct recorder recorder;
    struct strbuf set, before, after; /* what was recorded; for the user's dumps */
    uint64_t seed;
    bool tells; /* every other recording hears which columns are assigned */
};

void change_lab_open(struct change_lab *f);
void change_lab_close(struct change_lab *f);
uint64_t change_lab_draw(struct change_lab *f, uint64_t below);

void change_lab_sql(struct change_lab *f, const char *text);
/* Adds what a query answers, as text. */
void change_lab_rows(struct change_lab *f, const char *query, struct strbuf *out);
/* All rows as text. `rowids`: also the row ids of tables that have a key beside. */
void change_lab_dump(struct change_lab *f, bool rowids, struct strbuf *out);
/* One of many kinds of write. false: a constraint said no; what was recorded of it did not happen. */
bool change_lab_write(struct change_lab *f);

/* Around writes: what they did is in f->set. */
void change_lab_begin(struct change_lab *f);
void change_lab_finish(struct change_lab *f);

/* Applies it; conflicts, of which `seen` says the last, leave everything as it was. */
uint64_t change_lab_apply(struct change_lab *f, struct str bytes, char seen[200]);
/* The same; the rows are then as in `want`. */
void change_lab_expect(struct change_lab *f, struct str bytes, bool rowids, const struct strbuf *want);

/* What people see of a change set, as JSON: {"tables", "rows" …}. Initialises `out`. */
void change_lab_view(struct str set, struct strbuf *out);

#endif
