/* Writes a change set into the database row by row, as it stands: triggers do not run, for what they did is
 * in the set; foreign keys hold, at the end. A row that is not as the set says it was is a conflict; it is
 * told and left alone, and so are all others: the caller takes everything back when there was one.
 *
 *   insert   the row must not be there      missing    an update's row is not there
 *   delete   it must be as it was           differs    it is, with other values
 *   update   its changed columns must be    exists     an insert's key is taken
 *            as they were                   constraint a unique index, a CHECK or a foreign key says no
 *                                           schema     table or column is not there
 *
 * What is as it should be already (by an action of a foreign key that came before) is no conflict; whether
 * exactly these rows were changed, and no others, tells a recorder: change_set_same_rows(). Engine's thread.
 */
#ifndef ENGINE_CHANGE_APPLY_H
#define ENGINE_CHANGE_APPLY_H

#include "engine/change_set.h"
#include <sqlite3.h>

struct engine;

enum change_conflict_kind {
    CONFLICT_MISSING,
    CONFLICT_DIFFERS,
    CONFLICT_EXISTS,
    CONFLICT_CONSTRAINT,
    CONFLICT_SCHEMA,
    CONFLICT_BETWEEN, /* of writes that are taken back together: somebody else changed it between them */
    CONFLICT_KINDS
};

struct change_conflict {
    enum change_conflict_kind kind;
    const struct change_table_view *table;
    const struct change_row *row;
    const struct change_cell *now; /* one for each column; NULL: the row is not there, or was not looked at */
    bool unsure;                   /* perhaps only another conflict is in its way */
};

/* A value of a row of SQLite's, until its next step. */
struct change_cell change_cell_column(sqlite3_stmt *stmt, int column);
/* SQLITE_OK, or its error. What `cell` points to must live until the step. */
int change_bind_cell(sqlite3_stmt *stmt, int index, const struct change_cell *cell);
/* sqlite3_step for statements over tenants' tables that are ours. */
int change_step(struct engine *eng, sqlite3_stmt *stmt);
/* How the row id of a table with CHANGE_COLUMN_ROWID is called beside its columns. */
const char *change_rowid_name(const struct change_table_view *t);

const char *change_conflict_name(enum change_conflict_kind kind);

typedef void change_conflict_fn(void *arg, const struct change_conflict *c);

/* Inside a savepoint of the caller's. *ret_conflicts counts them all; `fn` is called for each. Errors are
 * those of SQLite: time, disk, memory. */
MUST_CHECK enum err_code change_apply(struct engine *eng, struct str bytes, change_conflict_fn *fn, void *arg,
    uint64_t *ret_conflicts, struct err *err);

#endif
