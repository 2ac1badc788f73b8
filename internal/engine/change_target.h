/* One table that a change set is applied to: its statements, and the row that was looked at last. Internal to
 * change_apply.c and what prepares statements over whole rows. */
#ifndef ENGINE_CHANGE_TARGET_H
#define ENGINE_CHANGE_TARGET_H

#include "engine/change_set.h"
#include <sqlite3.h>

struct engine;
struct strbuf;

/* Which columns find a row: its declared key, or its row id. */
enum target_finder { BY_KEY, BY_ROWID, FINDERS };
enum {
    DO_INSERT = FINDERS,
    DO_INSERT_ANYWHERE,
    DO_DELETE,
    DO_DELETE_BY_ROWID,
    DO_PARK,
    DO_PARK_BY_ROWID,
    TARGET_STATEMENTS
};

struct change_target {
    struct engine *eng;
    const struct change_table_view *t;
    bool missing; /* the table or a column is not there */
    const char *rowid;
    sqlite3_stmt *stmt[TARGET_STATEMENTS];
    sqlite3_stmt *update; /* for the columns of `mask`, found by `by` */
    bool *mask;
    enum target_finder by; /* as is `strict` */
    bool strict;
    struct change_cell *now; /* the row that was looked at, until its statement is reset */
};

void target_init(struct change_target *g, struct engine *eng, const struct change_table_view *t);
void target_release(struct change_target *g);

/* By its key where that can find it: the row id of a row that was put back may be another. */
enum target_finder target_finder_of(const struct change_target *g, struct str cells);

/* Before the first statement of an application. */
void target_forget_actions(struct engine *eng);

/* sqlite3_prepare_v2() for a table that is as wide as it may be: its row id is a column more. */
int change_prepare(sqlite3 *db, const struct strbuf *sql, sqlite3_stmt **ret);

/* Without `actions` those of foreign keys are left alone; the keys are counted in any case. */
int target_prepare(struct engine *eng, const struct strbuf *sql, bool actions, sqlite3_stmt **ret);

/* NULL: it cannot be prepared, for the table is another one. `which`: a finder selects the row, DO_PARK is a
 * delete that is no end of the row. But for DO_DELETE none sets off actions of foreign keys: what these did
 * is in the set. */
sqlite3_stmt *target_statement(struct change_target *g, int which);
/* Of the columns that `row` changes. `strict`: it finds the row only while what it changes is as it was. */
sqlite3_stmt *target_update(
    struct change_target *g, const struct change_row *row, enum target_finder by, bool strict);

/* Binds the columns that find the row, or all of `cells` that are told. */
int target_bind(
    sqlite3_stmt *stmt, const struct change_target *g, enum target_finder by, bool all, struct str cells);
/* What an update makes of them. */
int target_bind_new(sqlite3_stmt *stmt, const struct change_target *g, struct str cells);
/* A statement that was bound with the result `bound`; resets it. */
int target_run(struct change_target *g, sqlite3_stmt *stmt, int bound);

#endif
