/* The `when` of a rule: an SQL expression over three tables, evaluated on a connection of its own that has no
 * database:
 *
 *   changes(table_name, op, indirect, pk, old, new)        a row of each changed row, the last three JSON
 * objects: old of an update or delete, new of an insert or update; of an update the columns that changed, in
 * old the key too effects(table_name, op, row_count, share_of_table)     op is insert, update, delete or
 * schema; the share is that of the rows the table had before caller(token_id, role, agent, model, reason,
 * ticket)   one row
 *
 * Rows of a table that was dropped, renamed or replaced are counted in
 * effects but not listed, and so are those of one that lost a column, as updates: reading changes then fails,
 * as does reading row_count and share_of_table of the
 * effect whose rows are not known; so does changes of a write whose rows are too many to be kept, and effects
 * of one to a full-text index without rows of its own; and what fails holds the write. Infinity is 9e999 in
 * JSON, blobs are
 * {"$blob":…}, text with a NUL or not UTF-8 {"$text":…}.
 *
 * Generated columns are in none of them, for a change set has what can be written. A condition whose text
 * names one of a table that was changed, or walks rows with json_each or json_tree, fails when it reads old
 * or new of such a row. The functions are those of the guard. Engine's thread. */
#ifndef ENGINE_RULE_WHEN_H
#define ENGINE_RULE_WHEN_H

#include "engine/rule.h"
#include "engine/rule_touched.h"

struct effect {
    struct effect *next;
    const struct touched *table;
    const char *op;
    int64_t rows;
    int64_t grown;           /* of the table: rows that came less those that went */
    bool removed, uncounted; /* its rows are not known */
};

/* What the tables show of one write. */
struct when_facts {
    struct op *op;
    struct rehearsal *r;
    const struct proposing *in;
    const struct touched *tables;
    struct effect *effects;
    bool counted;
    struct str condition;  /* that is asked */
    const char *unlisted;  /* why changes cannot be read; NULL it can */
    const char *uncounted; /* why effects cannot be read; NULL it can */
};

enum when_answer { WHEN_UNKNOWN, WHEN_TRUE, WHEN_FALSE, WHEN_FAILED };

struct when {
    struct engine *eng;
    sqlite3 *db;
    struct when_facts *facts;
    int64_t until_us;
};

/* "" or what is wrong, in the call's memory. */
struct str when_problem(struct op *op, struct str condition);
/* *ret_problem: why it failed. */
enum when_answer when_ask(struct rule *rule, struct when_facts *facts, struct str *ret_problem);
void when_release(struct engine *eng);

/* rule_effects.c */
/* Fills effects; false: memory is short or a change set is damaged. */
bool when_count(struct when_facts *facts);
/* Part of the rows that the table had before; SQLite's result. */
int when_share(const struct when_facts *facts, const struct effect *e, double *ret);

/* rule_generated.c: a generated column of the table that the condition seems to ask for; ptr NULL: none. */
MUST_CHECK enum err_code when_generated(
    const struct when_facts *f, struct str table, struct str *ret_column, struct err *err);

/* rule_tables.c: the modules, on w->db. SQLite's result. */
int when_tables_register(struct when *w);

#endif
