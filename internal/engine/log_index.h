/* What the index of the log (main.db-shm) says of the log, without reading the log itself. Its head is part
 * of SQLite's file format (https://www.sqlite.org/walformat.html, "The WAL-Index File Format"). Engine's
 * thread.
 */
#ifndef ENGINE_LOG_INDEX_H
#define ENGINE_LOG_INDEX_H

#include <sqlite3.h>
#include <stdint.h>

/* From the beginning of the log to the end of its last commit, at a moment during the call; 0: all of that is
 * in the file as well, which stays so for as long as the caller's read transaction, begun before, lasts. The
 * file behind it is often longer: a log that is begun anew keeps its size. -1: not known. */
int64_t log_index_bytes(sqlite3 *db);

#endif
