/* Taking back a write that changed the schema: what it made goes, what it changed gets its old definition,
 * what it removed comes back, with the rows and values that the snapshot from before it holds. Other tables,
 * and what was written to these since, stay.
 *
 *   difference of the schema, as it was applied ─┐
 *   rows of it, as they were applied             ├─► statements of ours, and change sets ─► rehearsal
 *   the snapshot: rows of tables and columns    ─┘
 *
 * While it is proposed the rows are read from the snapshot; the proposal then holds them as its change set,
 * so that it is applied without the snapshot. Tables whose definition no statement leads back to are built
 * anew. Engine's thread. */
#ifndef ENGINE_UNDO_SCHEMA_H
#define ENGINE_UNDO_SCHEMA_H

#include "engine/copy_source.h"
#include "engine/rehearsal.h"
#include "engine/undoing.h"

struct schema_undo_column {
    struct schema_undo_column *next;
    struct str name, to; /* to: what it was called before, of a column that got another name */
};

/* An object of the difference. */
struct schema_undo_change {
    struct schema_undo_change *next;
    enum { SCHEMA_ADDED, SCHEMA_CHANGED, SCHEMA_REMOVED } what;
    struct str type, name, table, sql, before;
    struct str renamed; /* a table that got another name; ptr NULL: it did not */
    int64_t rows;       /* that a removed table held */
    bool replaced;      /* a table: another one took its name, with rows of its own. Here it is one that was
                           added and, next, one that was removed */
    const struct schema_object *now;
    struct schema_undo_column *back, *gone, *pairs; /* of a changed table: columns */
};

/* Of an AUTOINCREMENT table that comes back: the highest row id that it ever had. */
struct schema_undo_counter {
    struct schema_undo_counter *next;
    struct str table;
    int64_t value;
};

struct schema_undo_view {
    struct schema_undo_view *next;
    struct str name;
};

struct schema_undo_set {
    struct schema_undo_set *next;
    struct strbuf set;
};

struct schema_undo {
    struct op *op;
    const struct proposal *of;
    struct schema_undo_change *changes;
    struct schema_object *now;
    struct recorder columns; /* reads the columns of tables, records nothing */
    sqlite3 *old;            /* in memory: the old definitions */
    struct copy_source from;
    bool has_from;
    struct schema_undo_set *sets; /* to be written, the first first */
    struct schema_undo_counter *counters;
    struct schema_undo_view *views; /* none of the difference, that can be read */
    struct strbuf steps, lost;      /* JSON: statements, and what is lost */
    struct jsonw steps_w, lost_w;
};

/* Is it one that changed the schema? */
bool schema_undo_concerns(const struct proposal *p);

/* POST …/proposals/{id}/undo of such a one: as undoing_rehearse. */
MUST_CHECK enum err_code schema_undo_rehearse(struct undoing *u, const struct proposal *p, struct err *err);

/* The answer restore_needed: 409, with the snapshot, if there is one. */
MUST_CHECK enum err_code schema_undo_tell_restore(
    struct op *op, const struct proposal *p, const char *why, struct err *err);

/* Reads the difference. *ret_drifted: objects are no longer as it left them, and the answer says so.
 * schema_undo_release whatever happened. */
MUST_CHECK enum err_code schema_undo_begin(
    struct schema_undo *s, struct op *op, const struct proposal *of, bool *ret_drifted, struct err *err);
void schema_undo_release(struct schema_undo *s);
/* The difference alone. */
MUST_CHECK enum err_code schema_undo_read(
    struct schema_undo *s, struct op *op, const struct proposal *of, struct err *err);
/* What the proposal of an undo says of counters. */
MUST_CHECK enum err_code schema_undo_read_counters(struct schema_undo *s, struct str flags, struct err *err);

/* undo_schema_columns.c. Opens its tables without rows, as they were defined before, or are after it. */
MUST_CHECK enum err_code schema_undo_open_tables(
    struct schema_undo *s, bool old, sqlite3 **ret, struct err *err);
/* Fills `back`, `gone` and `pairs`. `now_db` NULL: with the tables of the database. */
MUST_CHECK enum err_code schema_undo_compare(struct schema_undo *s, sqlite3 *now_db, struct err *err);
/* Of a write that was rehearsed: false when it is known already that it could not be taken back by itself. */
bool schema_undo_foreseen(struct op *op, struct str diff, struct str set, struct str *ret_why);

/* undo_schema_rows.c. ERR_CONFLICT: it wrote rows of tables whose columns or name it changed. */
MUST_CHECK enum err_code schema_undo_check_mixed(struct schema_undo *s, struct str set, struct err *err);

/* The rows that are to be written. ERR_CONFLICT: they cannot be had. */
MUST_CHECK enum err_code schema_undo_read_rows(struct schema_undo *s, struct err *err);

/* undo_schema_run.c: does it, as rehearsal_run_set does. */
MUST_CHECK enum err_code schema_undo_run(struct schema_undo *s, struct rehearsal *r,
    void (*fn)(void *arg, const struct change_conflict *c), void *arg, uint64_t *ret_conflicts,
    struct err *err);

/* undo_schema_users.c. ERR_CONFLICT: views that were noted cannot be read any more. */
void schema_undo_note_views(struct schema_undo *s);
MUST_CHECK enum err_code schema_undo_check_views(struct schema_undo *s, struct err *err);
/* Tables that have a foreign key to it, and are none of the difference. */
MUST_CHECK enum err_code schema_undo_each_referring(struct schema_undo *s, const struct schema_undo_change *c,
    void (*fn)(void *arg, const struct schema_object *o), void *arg, struct err *err);

bool schema_undo_is_table(const struct schema_undo_change *c);
struct schema_undo_change *schema_undo_find(const struct schema_undo *s, struct str type, struct str name);

#endif
