/* Records what statements do to the rows of the database, through SQLite's preupdate hook: every row as it
 * was before the first change and as it is after the last, whoever changed it: the statement itself, a
 * trigger, the action of a foreign key. A row is known by its row id, in a table WITHOUT ROWID by the values
 * of its primary key; so rows with NULL in the key and keys that differ by letter case alone are exact too,
 * which SQLite's session extension does not promise, and a row is read once, not twice.
 *
 * Not recorded: tables of the server and of SQLite; generated columns, which follow from the others; the
 * inner tables of full-text indexes, but for the rows that a full-text table keeps for itself: these are
 * recorded under its name.
 *
 * Statements must be prepared while a recorder is attached: without one SQLite empties a table without
 * visiting its rows. Engine's thread. */
#ifndef ENGINE_CHANGE_RECORD_H
#define ENGINE_CHANGE_RECORD_H

#include "base/err.h"
#include "base/map.h"
#include "base/strbuf.h"
#include "base/arena.h"
#include "engine/catalog.h"

#include <sqlite3.h>

struct engine;

enum recorder_mode {
    RECORDER_ROWS, /* everything */
    RECORDER_KEYS, /* only which rows were touched, and only of tables in `watched` */
};

enum recorder_failure {
    RECORDER_FINE,
    RECORDER_TOO_MANY, /* more than LIMIT_CHANGE_ROWS */
    RECORDER_TOO_LARGE,
    RECORDER_SCHEMA,     /* rows of a table were changed before its columns were */
    RECORDER_BARE_INDEX, /* a full-text table that keeps no rows was written */
    RECORDER_MISSED,     /* SQLite counted a change that the hook was not told of */
    RECORDER_SQL,        /* SQLite failed while a table was looked at */
};

struct recorder_table;
struct recorder_entry;
struct change_cell;
struct change_table_view;

/* A table that a statement named as what it changes; cut when it is longer than GUARD_TARGET_MAX. */
struct recorder_target {
    struct recorder_target *next;
    struct str name;
};

struct recorder {
    struct engine *eng;
    sqlite3 *db;   /* attached to; NULL not */
    sqlite3 *from; /* where the columns of tables are read; NULL: the engine's connection */
    enum recorder_mode mode;
    enum recorder_failure failure;
    struct str failed_table;
    bool may_count; /* where rows cannot be kept it goes on and counts them, instead of failing */
    enum recorder_failure given_up; /* then: why; RECORDER_FINE: it did not */
    bool uncounted;                 /* a full-text table was written of which nobody knows how many rows */
    const struct map *watched;      /* RECORDER_KEYS: names of tables */
    struct arena arena;
    struct recorder_table *tables, *last;
    size_t table_count;
    bool expects_schema; /* schema_digest() was asked before: what is known of tables holds until they change
                          */
    unsigned schema;     /* counts the changes of the schema while it was attached */
    struct recorder_entry *entries;
    size_t entry_count, entry_cap;
    uint32_t *index;           /* open addressing: number of an entry + 1 */
    size_t index_cap, indexed; /* so many entries stand in it */
    struct strbuf cells;       /* rows as the change set wants them, and keys */
    struct strbuf kept;        /* the row that is being written, as it stood */
    struct recorder_cell *row; /* and its columns */
    size_t row_cap;
    bool told;            /* recorder_assigns() is called */
    struct strbuf *heard; /* what it is told, each name with a NUL behind it; NULL: nobody wants it */
    struct map assigned;  /* names of tables and columns */
    bool keys_given;      /* a change set is applied, which says what keys its rows have */
    uint64_t events, inner_events; /* changes; those of them in inner tables of full-text indexes */
    int64_t changes_before; /* sqlite3_total_changes64 when it was attached, and what it was not to see */
    int64_t changes_away;   /* the same when it looked away */
    bool index_only; /* a full-text index without rows of its own followed: what it changed is not in here */
    struct recorder_target *targets;
};

void recorder_init(struct recorder *r, struct engine *eng, enum recorder_mode mode);
void recorder_release(struct recorder *r);

/* Nothing that recorders know of tables outlives a change of the schema. */
void recorder_tables_forget(struct engine *eng);
/* Empty again; what is known of tables stays. */
void recorder_rewind(struct recorder *r);

/* To the connection that is the engine's at the moment; one at a time. Detaching twice is harmless. */
void recorder_attach(struct recorder *r);
void recorder_detach(struct recorder *r);

/* Whoever prepares says which columns an UPDATE assigns, that of a trigger or of a foreign key too, as the
 * authorizer is told. The others stay as they are and are not looked at, after recorder_expect_assigns().
 * (Their representation may not: SQLite casts a value that is not of its column's type, which only a file
 * that was made by hand can have.) */
void recorder_expect_assigns(struct recorder *r);
void recorder_assigns(struct recorder *r, const char *table, const char *column);

/* --- Taking an UPDATE's word for it: change_take.c ---
 * Who is sure of what a statement does to the rows of a table, and that it does nothing else, need not have
 * each of them looked at: the recorder looks away meanwhile, and takes the rows as they stand in a change
 * set. What is recorded is the same. */

/* Before: has nothing been recorded of that table yet, and is it the one that the change set means? */
bool recorder_may_take(struct recorder *r, const struct change_table_view *t);
/* Does a column of that affinity keep the value as it is? Sometimes it does and false is said. */
bool recorder_takes_cell(enum cat_affinity affinity, const struct change_cell *cell);
void recorder_look_away(struct recorder *r);
/* After, whatever became of it. */
void recorder_look_again(struct recorder *r);
/* It was done: at least one row, each once, whose cells stand in t->rows, the old ones and then the new
 * ones. */
struct taken_row {
    int64_t rowid;
    struct str cells;
    size_t old_len;
};
void recorder_take(
    struct recorder *r, const struct change_table_view *t, const struct taken_row *rows, size_t count);

/* After a statement: did it change the schema, and which table did it name as what it writes to ("" none)? */
void recorder_ran(struct recorder *r, bool changes_schema, struct str target);

/* ERR_OK, or why what was recorded cannot be believed. */
MUST_CHECK enum err_code recorder_check(struct recorder *r, struct err *err);

/* Why there is no change set of it: the error that there were without may_count. Only when it has given up.
 */
enum err_code recorder_gave_up(const struct recorder *r, struct err *err);

/* The change set (change_set.h) of what is left when everything that was done is seen together; "" when it
 * has given up. */
MUST_CHECK enum err_code recorder_finish(struct recorder *r, struct strbuf *out, struct err *err);

/* Which rows were touched, as numbers that are the same for the same row of the same table: for each one
 * calls fn. */
typedef enum err_code recorder_key_fn(void *arg, uint64_t key, struct err *err);
MUST_CHECK enum err_code recorder_keys(struct recorder *r, recorder_key_fn *fn, void *arg, struct err *err);
size_t recorder_key_count(const struct recorder *r);

/* A table that was made with its rows, as by CREATE TABLE … AS, of which the hook was not told: all that it
 * holds now counts as inserted, whatever was recorded of it. false: it cannot be listed, or SQLite failed. */
struct op;
MUST_CHECK bool recorder_add_table(struct recorder *r, struct op *op, struct str name, struct err *err);
/* Was any of its rows changed, under this name? */
bool recorder_touched(const struct recorder *r, struct str table);

/* Does fn hold for each full-text table without rows of its own that followed? */
bool recorder_each_bare(const struct recorder *r, bool (*fn)(void *arg, struct str table), void *arg);

/* How many rows of that table are there that were not. */
size_t recorder_inserted(const struct recorder *r, struct str table);

/* The tables of which rows were inserted beyond the highest row id there was: by somebody else's insert the
 * next one gets another. Calls fn with each name. */
void recorder_auto_keys(const struct recorder *r, void (*fn)(void *arg, struct str table), void *arg);

#endif
