/* Row-level security. Calls that stand under policies have a connection of their own beside the engine's
 * usual one (seat.c), on which every table with row security is shadowed by a temporary view of its name:
 *
 *   FROM t           temp.t, a view of the rows that the policies for SELECT let through
 *   UPDATE, DELETE   INSTEAD OF triggers of that view; they change the real rows one by one, by primary key
 *                  and only where the policy for the command agrees, and look at the new row (rowsec_write.c)
 *   INSERT INTO t  is prepared as INSERT INTO main.t; temporary triggers look at the rows in its way, when it
 *                  would change or delete them (rowsec_conflict.c), and at the new row
 *
 * What the database's own triggers do to real tables is done with the rights of whoever made them: the
 * temporary triggers look at rows of the table that the statement itself inserts into, not at theirs.
 *
 * Nothing depends on the shadows alone: the authorizer refuses the real table to everybody but them, the
 * database's own triggers and SQLite's foreign keys (rowsec_guard.c). A view and its readers are planned so
 * that no function that can fail sees a row before the policy did (policy/leakproof.def).
 *
 * Under policies stand all calls but those of an admin without claims. Tables are known by name; whoever
 * changes the schema or a policy makes the seat be built anew. Engine's thread. */
#ifndef ENGINE_ROWSEC_H
#define ENGINE_ROWSEC_H

#include "base/arena.h"
#include "engine/guard.h"
#include "engine/op.h"

struct jsonr_value;
struct rowcount;
struct rowcount_budget;
struct catalog_source;
struct cat_table;

#define ROWSEC_PREFIX    "_sys_rls_"
#define ROWSEC_ROLES_ALL 7 /* bits of the stored roles: 1 << (wire_role - 1) */

enum rowsec_command { ROWSEC_SELECT, ROWSEC_INSERT, ROWSEC_UPDATE, ROWSEC_DELETE, ROWSEC_COMMAND_COUNT };

/* What an INSERT does to rows that are in its way: bits. */
enum { ROWSEC_UPDATES = 1, ROWSEC_REPLACES = 2 };

/* In place of the number of a table. */
enum { ROWSEC_ANY = -1, ROWSEC_NONE = -2 };

/* Statements that the shadow's triggers run. */
enum rowsec_write { ROWSEC_DO_UPDATE, ROWSEC_CHECK_UPDATE, ROWSEC_DO_DELETE, ROWSEC_WRITE_COUNT };

struct rowsec_table {
    struct rowsec_table *next;
    struct str name;
    bool replaces; /* rows that conflict, unseen: it is not written */
    int key_count, value_count;
    const char *sql[ROWSEC_WRITE_COUNT]; /* NULL: the table has no primary key */
    sqlite3_stmt *stmt[ROWSEC_WRITE_COUNT];
};

struct rowsec_name {
    struct rowsec_name *next;
    struct str name;
    bool leaky; /* of a view: its text can fail on a value */
};

/* What the seat under policies knows. */
struct rowsec {
    struct arena arena;
    int64_t schema_version, policy_version;
    struct rowsec_table *tables;
    struct rowsec_name *views;    /* of the database, shadowed so that they read the shadows */
    struct rowsec_name *triggers; /* of the database, whose names cannot be mistaken for another's */
    struct rowsec_name *closed;   /* virtual tables that hold or index rows of who knows where */

    const struct jsonr_value *claims; /* of the running call; NULL none */
    enum wire_role role;
    int64_t changed;                 /* rows that the shadow's triggers changed in the running statement */
    int64_t counted, counted_in_all; /* rows that the call's last write changed; and all of them */
    bool leaky, used; /* since the guard was entered: a function that can fail; a table with row security */
    int conflicting;  /* ROWSEC_UPDATES, ROWSEC_REPLACES: what was prepared since then does */
    int conflicts;    /* the running statement does; both, unless its bits are known */
    bool returns;     /* the running statement does (RETURNING); unless it is known that it does not */
    int inserting;    /* the number of the table that what was prepared since then INSERTs into itself */
    int inserts;      /* the running statement does; ROWSEC_ANY unless it is known */
};

/* Is row security on for any table, and does this call stand under it? */
bool rowsec_applies(struct engine *eng, const struct wire_call *call);
bool rowsec_changed_by(enum wire_op op); /* may the operation change policies? */
/* Row security may have been switched on or off: look again before the next call. */
void rowsec_forget(struct engine *eng);
/* Whose call runs, for the policies. */
void rowsec_tell(struct engine *eng, const struct wire_call *call, const struct jsonr_value *claims);
/* May a call under policies use this operation at all? */
MUST_CHECK enum err_code rowsec_check_op(struct op *op, struct err *err);

/* rowsec_write.c: the functions of policies and shadows, on every connection. */
int rowsec_register(struct engine *eng, sqlite3 *db);

/* rowsec_build.c: the shadows, on the connection that is the engine's at the moment. */
MUST_CHECK enum err_code rowsec_build(struct engine *eng, struct rowsec *rs, struct err *err);
void rowsec_release(struct rowsec *rs);
bool rowsec_is_current(struct engine *eng, const struct rowsec *rs);

/* rowsec_conflict.c: appends a condition, for a trigger before INSERT: a row of `table` has a key of NEW and
 * is not `allowed`. `rowid`: its name, NULL none. *ret_known false: the table has keys that cannot be looked
 * up. SQLite's result. */
MUST_CHECK int rowsec_conflict_text(sqlite3 *db, struct str table, const char *rowid, const char *allowed,
    struct strbuf *out, bool *ret_known);

/* rowsec_text.c: an expression of a person as SQL of ours. false: ret_problem says what is wrong. */
bool rowsec_translate(struct str expression, struct strbuf *out, const char **ret_problem);

/* Without a quote or bracket: then its only spelling in a statement is itself. */
bool rowsec_is_plain(struct str name);
/* Does the definition of a table say ON CONFLICT REPLACE? */
bool rowsec_replaces(struct str create_table);

/* Where the table of an INSERT stands. ok false: it is none, or none that this reads. */
struct rowsec_target {
    bool ok, qualified, replaces;
    size_t at; /* of the name, or of its schema */
    struct str name;
};
struct rowsec_target rowsec_insert_target(struct arena *a, struct str sql);

/* rowsec_guard.c */
#define ROWSEC_PASS (-1) /* the usual rules decide */
int rowsec_authorize(struct guard *g, int action, const char *first, const char *second, const char *database,
    const char *accessor);
int rowsec_authorize_system(struct guard *g, int action, const char *first, const char *second);
bool rowsec_is_shadow(const struct rowsec *rs, struct str name); /* of a table or a view */
const struct rowsec_table *rowsec_table(const struct rowsec *rs, struct str name);
/* The text to prepare in place of `sql`: itself, or INSERT INTO main.t. Arena memory. ERR_FORBIDDEN for names
 * that are ours. */
MUST_CHECK enum err_code rowsec_prepare_text(struct op *op, struct str sql, struct str *ret, struct err *err);
/* Must this statement, just prepared, be prepared again behind a barrier? */
bool rowsec_needs_barrier(const struct guard *g, struct str sql);
void rowsec_barrier(struct engine *eng, bool on);

/* rowcount_of; under policies the rows that the call sees, counted up to a bound. */
MUST_CHECK enum err_code rowsec_rowcount(struct op *op, const struct catalog_source *src,
    const struct cat_table *t, const struct rowcount_budget *budget, struct rowcount *ret, struct err *err);

/* seat.c: which connection is the engine's. ERR_BUSY: the policies changed under calls that wait. */
struct seat;
MUST_CHECK enum err_code seat_take(struct engine *eng, bool under_policies, struct err *err);
void seat_close(struct engine *eng);

/* A reader engine's usual connections are laid aside for one that may write: to the copy at eng->elsewhere,
 * or to the database. Outside of a transaction; seat_take_up closes it. beside.h */
enum seat_aside { SEAT_USUAL, SEAT_COPY, SEAT_WRITER };
MUST_CHECK enum err_code seat_lay_aside(struct engine *eng, enum seat_aside which, struct err *err);
void seat_take_up(struct engine *eng);
bool seat_is_aside(const struct engine *eng);

#endif
