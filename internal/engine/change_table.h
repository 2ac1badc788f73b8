/* What a recorder knows of a table and keeps of its rows. Internal to change_*.c. */
#ifndef ENGINE_CHANGE_TABLE_H
#define ENGINE_CHANGE_TABLE_H

#include "engine/change_record.h"
#include "engine/change_set.h"

struct recorder_column {
    struct str name;
    int cid; /* SQLite's number of it */
    bool key;
    bool stays; /* no statement so far assigns it */
};

struct recorder_table {
    struct recorder_table *next;
    struct str name;     /* as SQLite calls it */
    struct str shown;    /* the full-text table whose rows it keeps, else the same */
    struct str inner_of; /* a full-text table of which it is a part, "" none */
    bool ignored;
    bool gone;    /* there is no such table any more */
    bool bare;    /* part of a full-text table that keeps no rows of its own, or not all of their columns */
    bool written; /* while it was bare */
    bool without_rowid;
    int alias; /* index of the column that is the row id; -1 none */
    size_t column_count;
    struct recorder_column *columns;
    bool has_key; /* declared, and not the row id */
    unsigned schema;
    uint64_t seed;         /* of the hashes of its rows */
    int64_t highest_noted; /* row id of a change, if any was `noted` */
    bool noted;
    int64_t highest; /* row id before the first insert, then with it */
    bool highest_known, auto_keys;
    int64_t counts[CHANGE_OP_COUNT]; /* when the recorder has given up */
    bool direct;                     /* likewise: not by triggers and foreign keys alone */
};

/* Reads the table's columns. NULL: SQLite failed, or it is not there. */
struct recorder_table *recorder_table_read(struct recorder *r, struct str name);
/* change_known.c: tables as they were read, kept while the schema is known (schema_state.h) and was not
 * changed since. A copy of the recorder's own; NULL: not known. */
struct recorder_table *known_table_get(struct recorder *r, struct str name);
void known_table_put(struct engine *eng, const struct recorder_table *t);
/* Which of its columns stay? */
void recorder_table_assigns(struct recorder *r, struct recorder_table *t);
/* Same columns in the same places? */
bool recorder_table_same(const struct recorder_table *a, const struct recorder_table *b);
/* How the row id is called beside its columns; NULL: they have taken all of its names. */
const char *recorder_table_rowid(const struct recorder_table *t);
/* The highest row id that there is; false: unknown. */
bool recorder_table_highest(struct recorder *r, const struct recorder_table *t, int64_t *ret);

/* A row: was it there before the first change, is it there now, and where its bytes stand in r->cells: those
 * of a change set's row, the op aside. */
struct recorder_entry {
    struct recorder_table *table;
    int64_t rowid;
    uint32_t at, len;         /* the bytes; none when it neither was nor is there */
    uint32_t key_at, key_len; /* of a table WITHOUT ROWID; in the end of any declared one */
    bool was, is;
    bool indirect;
    bool same; /* it was, and is as it was */
};

static inline struct str at_bytes(const struct recorder *r, uint32_t at, uint32_t len)
{
    return str_make(r->cells.buf + at, len);
}

/* A column of the row that is being written. */
struct recorder_cell {
    struct change_cell old, now;
};

/* Has the row id a place of its own? */
static inline bool shows_rowid(const struct recorder_table *t)
{
    return !t->without_rowid && t->alias < 0;
}

static inline struct str next_cell_bytes(struct str *cells)
{
    const char *begin = cells->ptr;
    (void)change_cell_next(cells);
    return str_make(begin, (size_t)(cells->ptr - begin));
}

/* change_row.c, from inside the preupdate hook. The key's cells at the end of r->cells, for a table WITHOUT
 * ROWID: returns where they begin. */
typedef int recorder_value_fn(sqlite3 *, int, sqlite3_value **);
size_t recorder_put_key(struct recorder *r, const struct recorder_table *t, recorder_value_fn *fn);
/* One change more of that row, SQLITE_INSERT, _UPDATE or _DELETE. `first`: nothing is known of it yet. false:
 * SQLite or the memory failed. */
bool recorder_put_row(struct recorder *r, struct recorder_entry *e, int op, bool first);

/* change_record.c: NULL when SQLite or the memory failed, which is noted. */
struct recorder_table *recorder_table_of(struct recorder *r, struct str name);
void recorder_fail(struct recorder *r, enum recorder_failure why, struct str table);

/* What is told when a limit was passed. */
enum err_code recorder_too_much(const struct recorder *r, enum recorder_failure which, struct err *err);

/* change_count.c: from now on rows are counted; those that were kept are let go. `why` is no failure of
 * SQLite's own. */
void recorder_give_up(struct recorder *r, enum recorder_failure why, struct str table);
void recorder_count(struct recorder_table *t, int op, bool indirect);
/* For each table with changed rows; what was done to a row twice may count twice. Only when it has given up.
 */
void recorder_counts(const struct recorder *r,
    void (*fn)(void *arg, struct str table, const int64_t counts[CHANGE_OP_COUNT], bool indirect), void *arg);

#endif
