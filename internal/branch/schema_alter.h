/* What was done to a table, from the text that made it before and the text it has now: columns that have
 * another name, columns that went, columns that came; or else the table is made anew and its rows are written
 * into that. Pure; arena memory. Any thread. */
#ifndef BRANCH_SCHEMA_ALTER_H
#define BRANCH_SCHEMA_ALTER_H

#include "branch/schema_diff.h"

struct schema_rename {
    struct schema_rename *next;
    struct str from, to; /* columns */
    struct str spelled;  /* `to` with its quotes, if it has any: SQLite keeps them */
};

/* Nothing but other names in the same places, and new columns behind them. false: it is not that. *ret_sure
 * false: the last column has another name, which is what one that went and another that came look like. */
bool schema_alter_renames(struct arena *a, const struct schema_object *was, const struct schema_object *is,
    struct schema_rename **ret, struct schema_statement **ret_statements, bool *ret_sure);
/* Columns that went, and new ones behind those that stayed, of which the last is one if there are new ones.
 */
bool schema_alter_drops(struct arena *a, const struct schema_object *was, const struct schema_object *is,
    struct schema_statement **ret_statements);
/* The text is the one it was but for these names: renaming a column changes whoever speaks of it. */
bool schema_alter_follows(struct str was, struct str is, const struct schema_rename *renames);
/* One may be the other under another name: one of two columns has the name of one of the other's, or all are
 * of the same kinds. Also true of what is no list of columns. */
bool schema_alter_like(struct arena *a, const struct schema_object *was, const struct schema_object *is);
/* CREATE, INSERT … SELECT of the columns that both have, the counter of AUTOINCREMENT, DROP, RENAME. false:
 * there are none, columns may have exchanged their names or have other ones, or `temporary`, a name of no
 * object, would be too long. */
bool schema_alter_rebuild(struct arena *a, const struct schema_object *was, const struct schema_object *is,
    struct schema_statement **ret_statements);
/* What rebuilding calls the new table until it has its name. */
struct str schema_alter_temporary(struct arena *a, struct str table);

#endif
