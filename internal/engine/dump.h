/* Walks a database in an order that loads: user_version and application_id, tables with their rows and
 * rowids, AUTOINCREMENT counters, indexes, views, FTS5 tables with their settings and rows (or an order to
 * rebuild them), triggers. What is done with each is the sink's: SQL text, or rows of another database.
 * Foreign keys have to be off while it is loaded.
 *
 * Left out: reserved tables, what the catalog does not show, the statistics of ANALYZE, and rowids that no
 * name can reach because columns have taken all three. Generated columns are computed again. The index of an
 * FTS5 table whose rows cannot be read again (content='', or a content table that is not part of the dump),
 * or not with their locales, goes as it is into a sink that `keeps_indexes`; elsewhere the table comes out
 * empty, with a note. `schema_only` leaves out all rows and counters. Engine's thread. */
#ifndef ENGINE_DUMP_H
#define ENGINE_DUMP_H

#include "engine/catalog.h"

struct strbuf;

struct dump_rows {
    struct str into; /* "INSERT INTO …" up to VALUES, exclusive */
    int columns;
};

struct dump_sink {
    bool keeps_indexes; /* takes the hidden tables of FTS5 */
    /* One statement without its semicolon. */
    enum err_code (*statement)(void *arg, struct str sql, struct err *err);
    /* A remark of one line. */
    enum err_code (*note)(void *arg, struct str text, struct err *err);
    enum err_code (*rows_begin)(void *arg, const struct dump_rows *rows, struct err *err);
    enum err_code (*row)(void *arg, sqlite3_stmt *stmt, struct err *err);
    enum err_code (*rows_end)(void *arg, struct err *err);
    /* AUTOINCREMENT has given out ids up to `value`. */
    enum err_code (*sequence)(void *arg, struct str table, int64_t value, struct err *err);
    void *arg;
};

struct dump {
    const struct catalog_source *src; /* schema, counters, content of FTS5 tables */
    /* Reads the rows of a table under the caller's rights. */
    enum err_code (*prepare_rows)(void *arg, struct str sql, sqlite3_stmt **ret, struct err *err);
    int (*step_rows)(void *arg, sqlite3_stmt *stmt);
    void *arg;
    const struct dump_sink *sink;
    bool whole; /* the database, not one table of it: with its header's settings */
    bool schema_only;
    uint64_t rows; /* dumped so far */
    /* Other values or fewer rows than there are; NULL: all as it is. Appends SQL that reads a stored column,
     * whose name in the statement is `sql`. Then prepare_rows and step_rows read all rows, of `at`, those
     * that search tables keep themselves too; indexes are never taken as they are. */
    void (*add_column)(
        void *arg, const struct cat_table *t, struct str column, struct str sql, struct strbuf *out);
    const struct cat_table *at;
};

MUST_CHECK enum err_code dump_run(struct dump *d, const struct catalog *cat, struct err *err);

/* Gives the sink every row of `select`. */
MUST_CHECK enum err_code dump_copy_rows(struct dump *d, sqlite3_stmt *select,
    int (*step)(void *arg, sqlite3_stmt *stmt), const struct dump_rows *rows, struct err *err);
/* The same for a statement that prepare_rows makes, of the rows of `t`. */
MUST_CHECK enum err_code dump_rows_of(struct dump *d, const struct cat_table *t, struct str select,
    const struct dump_rows *rows, struct err *err);
void dump_add_column(
    const struct dump *d, const struct cat_table *t, struct str column, struct str sql, struct strbuf *out);
/* A virtual table with what it needs to be searched again. */
MUST_CHECK enum err_code dump_virtual_table(
    struct dump *d, const struct catalog *cat, const struct cat_table *t, struct err *err);

/* What has to stand behind `sql`, and before a semicolon, so that a comment at its end does not swallow it.
 */
const char *dump_terminator(struct arena *a, struct str sql);

#endif
