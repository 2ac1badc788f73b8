/* Archives: SQL dumps of a database, files that are kept until they are deleted or the database is gone for
 * good. Worker thread. */
#ifndef BRANCH_ARCHIVE_H
#define BRANCH_ARCHIVE_H

#include "base/spool.h"
#include "branch/snapshot.h"

struct archive {
    struct id id, database_id;
    char label[SNAPSHOT_LABEL_SIZE];
    int64_t bytes, created_at;
};

/* ERR_CONFLICT: the database has as many as it may. */
MUST_CHECK enum err_code archive_check_room(struct db *db, const struct id *database_id, struct err *err);
/* Where the dump is written until it is whole: a spool's directory, made when it is absent. */
void archive_dir(char out[FS_PATH_MAX], const char *data_dir);
/* Keeps a dump that is whole and durable; opens its own transaction. On the lane that writes, or the cleaning
 * could take the file for nobody's. ERR_CONFLICT as above, ERR_NOT_FOUND the database was deleted. */
MUST_CHECK enum err_code archive_put(struct db *db, const char *data_dir, const struct actor *by,
    const struct id *database_id, struct str label, struct spool *dump, struct archive *ret, struct err *err);

/* Of that database: ERR_NOT_FOUND. */
MUST_CHECK enum err_code archive_get(
    struct db *db, const struct id *database_id, struct str id, struct archive *ret, struct err *err);
/* To read all `bytes` of it, also when it is deleted meanwhile. ERR_CORRUPT the file is not what was kept. */
MUST_CHECK enum err_code archive_open(
    const char *data_dir, const struct archive *a, int *ret_fd, struct err *err);
/* Newest first, those before `before` ("" the newest). Arena memory. */
struct archive_page {
    struct archive *rows;
    size_t count;
};
MUST_CHECK enum err_code archive_list(struct db *db, struct arena *a, const struct id *database_id,
    struct str before, int64_t limit, struct archive_page *ret, struct err *err);
/* Opens its own transaction. ERR_NOT_FOUND. */
MUST_CHECK enum err_code archive_delete(struct db *db, const char *data_dir, const struct actor *by,
    const struct registry_entry *e, struct str id, struct archive *ret, struct err *err);

/* Removes files of archives that are none any more: of databases that are gone, or left by a crash. On the
 * lane that writes. `start`: also what was being written when the server ended. */
MUST_CHECK enum err_code archive_clean(struct db *db, const char *data_dir, bool start, struct err *err);

#endif
