/* Names of the files that tell what a branch began with (engine/base.h). The front writes the mark beside the
 * branch's first main.db, durably, before an engine sees it. */
#ifndef ENGINE_BRANCH_BASE_H
#define ENGINE_BRANCH_BASE_H

#define BASE_MARK        "base" /* one of the next two, a space, an id that no other start of a branch has */
#define BASE_MARK_ROWS   "rows" /* it began with the rows of main.db */
#define BASE_MARK_SCHEMA "schema"    /* it began without rows */
#define BASE_COPY        "base.db"   /* the rows it began with, when main.db is written by now, */
#define BASE_KEPT        "base.kept" /* which is so when this is there */
#define BASE_MERGED      "merged"    /* directory: <base's id>-<time>-<proposal>.set, what was merged since */

/* Why a table is not compared. */
#define COMPARE_KEY_CHANGED   "its key is another one by now"
#define COMPARE_COLUMNS_MOVED "its columns were renamed or replaced since, so nobody knows which was which"

#endif
