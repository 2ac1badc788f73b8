/* Brings a database to the newest schema: the numbered files of migrations/, each in a transaction of its own
 * together with its row in `schema_migration`. Foreign keys are off while a file runs and checked before its
 * commit. Blocks. */
#ifndef SQLITE_MIGRATE_H
#define SQLITE_MIGRATE_H

#include "sqlite/db.h"
#include "sqlite/migrations_embedded.h"

/* Runs what is missing; several processes may try at once. ERR_CONFLICT: the database was written by a newer
 * program, or by one whose migrations have other names; nothing was changed then. */
MUST_CHECK enum err_code migrate_run(struct db *db, const struct migration_file *files, struct err *err);
/* Number of the last migration applied, 0 none. */
MUST_CHECK enum err_code migrate_version(struct db *db, int *ret_version, struct err *err);

#endif
