/* Snapshots: states of a database that are kept for LIMIT_SNAPSHOT_MS, or until they are deleted. Restoring
 * one puts a copy of it in the place of the database's files; what stood there becomes a snapshot itself, so
 * that a restore can be taken back. Worker thread. */
#ifndef BRANCH_SNAPSHOT_H
#define BRANCH_SNAPSHOT_H

#include "registry/registry.h"

#define SNAPSHOT_LABEL_SIZE 321 /* LIMIT_SNAPSHOT_LABEL_BYTES and a terminator */

/* Made because somebody asked; before a write that destroys; what a restore replaced. */
enum snapshot_kind { SNAPSHOT_MANUAL, SNAPSHOT_AUTOMATIC, SNAPSHOT_OF_RESTORE, SNAPSHOT_KINDS };
const char *snapshot_kind_name(enum snapshot_kind kind);

struct snapshot {
    struct id id, database_id;
    char label[SNAPSHOT_LABEL_SIZE];
    enum snapshot_kind kind;
    int64_t bytes, created_at;
    int64_t state_from, state_to; /* the database was exactly so between these; from > to: no such moment is
                                     known */
};

struct snapshot_new {
    struct id id; /* the copy is out/<id>.db of the database's engine */
    struct str label;
    enum snapshot_kind kind; /* manual or automatic */
    int64_t read_at;         /* just before its engine began to read */
    int64_t changed_at;      /* after it had read: the last commit as its writer knows it; 0 unknown */
};

/* Takes the copy. Opens its own transaction. ERR_CONFLICT the database has as many as it may; of automatic
 * ones the oldest goes instead. */
MUST_CHECK enum err_code snapshot_put(struct db *db, const struct registry_disk *disk, const struct actor *by,
    const struct registry_entry *e, const struct snapshot_new *in, struct snapshot *ret, struct err *err);

/* What a write that destroys is to do about its snapshot. */
struct snapshot_plan {
    enum { SNAPSHOT_PLAN_MAKE, SNAPSHOT_PLAN_USE, SNAPSHOT_PLAN_SKIP } what;
    struct snapshot use; /* there is one that will do: nothing was written since */
    const char *why;     /* there can be none, or there were many of late */
};
/* `drops`: a table or a column goes, with what is in it. However many there were of late, it has its own. */
MUST_CHECK enum err_code snapshot_plan(struct db *db, const struct registry_disk *disk,
    const struct id *database_id, bool drops, struct snapshot_plan *ret, struct err *err);
/* Of that database: ERR_NOT_FOUND. */
MUST_CHECK enum err_code snapshot_get(
    struct db *db, const struct id *database_id, struct str id, struct snapshot *ret, struct err *err);
/* One that holds exactly the state of a moment. ERR_CONFLICT there is none: says which are the nearest, or
 * that the database is in that state. `changed_at` as above, of now. */
MUST_CHECK enum err_code snapshot_at(struct db *db, const struct registry_disk *disk,
    const struct id *database_id, int64_t at_ms, int64_t changed_at, struct snapshot *ret, struct err *err);
/* An opaque word for a snapshot, and back: ERR_NOT_FOUND it is none. */
#define SNAPSHOT_BOOKMARK_SIZE ID_MAX
void snapshot_bookmark(const struct id *id, char out[SNAPSHOT_BOOKMARK_SIZE]);
MUST_CHECK enum err_code snapshot_of_bookmark(struct str bookmark, struct id *ret, struct err *err);
/* Newest first, those before `before` ("" the newest). Arena memory. */
MUST_CHECK enum err_code snapshot_list(struct db *db, struct arena *a, const struct id *database_id,
    struct str before, int64_t limit, struct snapshot **ret, size_t *ret_count, struct err *err);
/* Opens its own transaction. ERR_NOT_FOUND. */
MUST_CHECK enum err_code snapshot_delete(struct db *db, const struct registry_disk *disk,
    const struct actor *by, const struct registry_entry *e, struct str id, struct snapshot *ret,
    struct err *err);

/* Restoring has two halves. The first copies the files, which takes a while, and needs no transaction: they
 * wait under `copy_id`, an id of ours. */
MUST_CHECK enum err_code snapshot_copy(const struct registry_disk *disk, const struct registry_entry *e,
    const struct snapshot *s, const struct id *copy_id, struct err *err);
/* The second exchanges them for the database's, whose engine has written out/<copy_id>.db and takes no more
 * writes (`lost`: it could not read its file). *ret_kept is what stood there. Opens its own transactions:
 * whatever fails or crashes, the database is as it was or as it was to be. */
MUST_CHECK enum err_code snapshot_restore(struct db *db, const struct registry_disk *disk,
    const struct actor *by, struct registry_entry *e, const struct snapshot *s, const struct id *copy_id,
    bool lost, struct snapshot *ret_kept, struct err *err);

/* Removes what is older than LIMIT_SNAPSHOT_MS, and directories of snapshots that are none any more: of
 * deleted databases, or left by a crash. At a start, and on the lane that writes. */
MUST_CHECK enum err_code snapshot_clean(struct db *db, const char *data_dir, int64_t now_ms, struct err *err);

#endif
