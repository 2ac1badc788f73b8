/* Is main.db the file that it was? To SQLite a file that is missing or empty is a new database, and any
 * healthy file is welcome; so a loss would look like success. Three signs stand against it:
 *
 *   <dir>/used      made once the server's tables are durable in main.db, and holds the name of that file
 *                   (_sys_meta, key 'file'). Its existence alone says that main.db must be there.
 *   main.db-wal     a log stands beside a file that has a first page
 *   main.db-shm     an engine that was killed leaves log and index; one that leaves removes the index first.
 * So an index that counts pages of a log that is gone tells of acknowledged writes that are gone. (A log
 * whose index went with it cannot be missed: nothing else tells of it.)
 *
 * Engine's thread; a scratch engine has no file and no identity. */
#ifndef ENGINE_IDENTITY_H
#define ENGINE_IDENTITY_H

#include "engine/engine_state.h"

/* Before SQLite sees the file, because it would remove the log of a missing one. ERR_CORRUPT: it is not what
 * it was. */
MUST_CHECK enum err_code identity_before(const struct engine *eng, struct err *err);

/* Between opening and migrating. ERR_CORRUPT: it is another file. *ret_known: `used` tells its name already.
 */
MUST_CHECK enum err_code identity_compare(const struct engine *eng, bool *ret_known, struct err *err);

/* After the migrations of a writer, when it was not known: makes `used`. A database that was used before gets
 * on without it when the disk is full. */
MUST_CHECK enum err_code identity_keep(const struct engine *eng, bool is_new, struct err *err);

#endif
