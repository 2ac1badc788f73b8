/* The statements that dumps contain and tenants may not run: what they mean here. Recognised by their fixed
 * forms alone, as `sqlite3 .dump`, this server and others write them; everything else is an ordinary
 * statement.
 *
 *   BEGIN, COMMIT, END, PRAGMA foreign_keys|writable_schema|defer_foreign_keys   the import is one
 * transaction ANALYZE sqlite_schema, INSERT INTO sqlite_stat1 …                             statistics are
 * not taken over DELETE FROM sqlite_sequence …                                                 skipped INSERT
 * INTO sqlite_sequence VALUES('t', n)                                    the counter is raised to n INSERT
 * INTO sqlite_schema … VALUES('table', …, 'CREATE VIRTUAL TABLE …')      that statement, as the caller's own
 *   CREATE TABLE and INSERT INTO the hidden tables of such an FTS5 table          its content is inserted,
 * the rest skipped Engine's thread. */
#ifndef ENGINE_IMPORT_DUMP_H
#define ENGINE_IMPORT_DUMP_H

#include "engine/op.h"

enum import_meaning {
    IMPORT_RUN, /* an ordinary statement: run `sql` */
    IMPORT_SKIP,
    IMPORT_SEQUENCE, /* raise the counter of `table` to `value` */
};

struct import_dump_table; /* FTS5 tables whose hidden tables follow in the dump */

struct import_dump {
    struct op *op;
    struct import_dump_table *virtual_tables;
};

struct import_step {
    enum import_meaning meaning;
    struct str sql;   /* arena or the text given */
    struct str table; /* the table it is about where that is plain to see, else "" */
    int64_t value;
};

MUST_CHECK enum err_code import_dump_read(
    struct import_dump *d, struct arena *scratch, struct str sql, struct import_step *ret, struct err *err);
/* The orders to rebuild FTS5 tables with external content, once everything is there: *pos from NULL; false at
 * the end. */
bool import_dump_rebuild(const struct import_dump *d, struct arena *scratch,
    const struct import_dump_table **pos, struct str *ret_sql);

/* FTS5 tables whose index was in the dump and cannot be taken over, for they keep no content: *pos as above.
 */
bool import_dump_lost(
    const struct import_dump *d, const struct import_dump_table **pos, struct str *ret_table);

#endif
