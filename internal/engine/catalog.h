/* What stands in a database's schema, read once into arena memory: tables with columns, keys, indexes and
 * triggers, and views. Reserved names and tables outside the caller's scope are left out. Describe, search,
 * doctor, export, import and the check of uploads read the schema through this alone.
 * All strings are NUL-terminated behind their length. Engine's thread. */
#ifndef ENGINE_CATALOG_H
#define ENGINE_CATALOG_H

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

#include <sqlite3.h>

struct op;

/* Where a catalog is read from: the database of a call, or an uploaded file. */
struct catalog_source {
    enum err_code (*prepare)(void *arg, const char *sql, sqlite3_stmt **ret, struct err *err);
    bool (*visible)(void *arg, struct str table);
    enum err_code (*check_time)(void *arg, struct err *err);
    enum err_code (*failed)(void *arg, int rc, struct str sql, struct err *err); /* SQLite's last error */
    void *arg;
    struct arena *arena;
    uint64_t *rows_read; /* counts the rows that are stepped over; NULL: nobody asks */
};

enum cat_kind { CAT_TABLE, CAT_VIRTUAL, CAT_VIEW };

/* How SQLite stores a value in a column: section 3.1 of its datatype page. */
enum cat_affinity { CAT_TEXT, CAT_NUMERIC, CAT_INTEGER, CAT_REAL, CAT_BLOB };

enum cat_generated { CAT_STORED_VALUE, CAT_GENERATED_VIRTUAL, CAT_GENERATED_STORED };

struct cat_column {
    struct cat_column *next;
    struct str name, type, default_sql, collation; /* default_sql.ptr NULL: none */
    enum cat_affinity affinity;
    enum cat_generated generated;
    int pk; /* place in the primary key from 1, 0 not in it */
    bool not_null, hidden;
    struct str description; /* set by descriptions_attach(); "" none */
};

struct cat_fk {
    struct cat_fk *next;
    int id, seq;                                                    /* columns of one key share the id */
    struct str column, ref_table, ref_column, on_update, on_delete; /* ref_column.ptr NULL: unknown */
};

struct cat_index_column {
    struct cat_index_column *next;
    struct str name; /* ptr NULL: an expression */
    struct str collation;
    bool desc;
};

struct cat_index {
    struct cat_index *next;
    struct str name, sql; /* sql.ptr NULL: made by a constraint */
    char origin;          /* 'c' CREATE INDEX, 'u' UNIQUE, 'p' PRIMARY KEY */
    bool unique, partial;
    struct cat_index_column *columns;
    int column_count;
};

struct cat_trigger {
    struct cat_trigger *next;
    struct str name, table, sql;
};

struct cat_table {
    struct cat_table *next;
    enum cat_kind kind;
    struct str name, sql;
    struct str module;      /* of a virtual table, lower case; else "" */
    struct str description; /* set by descriptions_attach(); "" none */
    bool without_rowid, strict, autoincrement;
    int column_count, pk_count;
    struct cat_column *columns;
    struct cat_fk *fks;
    struct cat_index *indexes;
    struct cat_trigger *triggers;
};

struct catalog {
    struct cat_table *tables; /* tables and virtual tables, in order of creation */
    struct cat_table *views;
    int table_count, view_count, object_count;
};

/* Errors of the source, ERR_TOO_LARGE past the arena's cap. */
MUST_CHECK enum err_code catalog_read(const struct catalog_source *src, struct catalog *ret, struct err *err);
/* The same for the database of a call, under its scope. */
MUST_CHECK enum err_code catalog_of_op(struct op *op, struct catalog *ret, struct err *err);
struct catalog_source catalog_source_of_op(struct op *op);

/* One sqlite3_step: *ret_row tells a row from the end. */
MUST_CHECK enum err_code catalog_step(
    const struct catalog_source *src, sqlite3_stmt *stmt, bool *ret_row, struct err *err);
/* Prepares `sql`, binds `name` (ptr NULL: nothing) to its first parameter. */
MUST_CHECK enum err_code catalog_prepare(
    const struct catalog_source *src, const char *sql, struct str name, sqlite3_stmt **ret, struct err *err);

/* The first word after "CREATE VIRTUAL TABLE … USING", in lower case. */
struct str catalog_module(struct arena *a, struct str sql);

/* By name, as SQLite compares names; NULL when absent or hidden. */
const struct cat_table *catalog_table(const struct catalog *cat, struct str name);
const struct cat_table *catalog_view(const struct catalog *cat, struct str name);
const struct cat_column *cat_column(const struct cat_table *t, struct str name);

/* The INTEGER PRIMARY KEY that is the rowid itself, or NULL. */
const struct cat_column *cat_rowid_alias(const struct cat_table *t);
/* A name by which the rowid can be read ("rowid", "_rowid_", "oid"), or NULL: WITHOUT ROWID, or all taken. */
const char *cat_rowid_name(const struct cat_table *t);

enum cat_affinity cat_affinity_of(struct str declared_type);

/* The nearest names for "did you mean": "" or " (did you mean \"x\"?)". Arena memory. */
struct str catalog_suggest_table(const struct catalog *cat, struct arena *a, struct str name);
struct str catalog_suggest_column(const struct cat_table *t, struct arena *a, struct str name);

/* The connection behind a call's statements. */
sqlite3 *catalog_db(struct op *op);

/* An SQL identifier in double quotes, inner quotes doubled. */
struct strbuf;
void catalog_quote(struct strbuf *out, struct str name);

/* Text and blobs of a result column as arena copies; ptr NULL for NULL. */
struct str catalog_text(struct arena *a, sqlite3_stmt *stmt, int column);

static inline void catalog_finalize(sqlite3_stmt **stmt)
{
    (void)sqlite3_finalize(*stmt); /* repeats the error of the last step, which was handled */
    *stmt = NULL;
}
#define AUTO_SQL CLEANUP(catalog_finalize) sqlite3_stmt

#endif
