/* The authorizer: what tenant SQL may do, by the tables of policy/sql_guard.def. One for each connection, set
 * once (setting it again would expire every statement); what it enforces is switched by its mode:
 *
 *   GUARD_OWN     the engine's own SQL: anything, except what a trigger or a view of the tenant causes
 *   GUARD_TENANT  SQL of a caller: role and table scope of one call; with `rowsec`, under policies
 *   GUARD_SYSTEM  SQL of ours that changes rows for a caller under policies, with the triggers that follow
 *
 * The mode must be right while a statement is prepared and while it is stepped, since SQLite prepares again
 * after a schema change, and FTS5 and the pragma functions prepare while they run. */
#ifndef ENGINE_GUARD_H
#define ENGINE_GUARD_H

#include "base/err.h"
#include "base/map.h"
#include "engine/sql_text.h"
#include "wire/wire.h"
#include <sqlite3.h>

enum guard_mode { GUARD_OWN, GUARD_TENANT, GUARD_SYSTEM };

/* What can destroy rows, as the authorizer was told of it. */
enum guard_act {
    GUARD_INSERTS = 1,
    GUARD_UPDATES = 2,
    GUARD_DELETES = 4,
    GUARD_TRIGGERS_DELETE = 8,
    GUARD_DROPS_TABLE = 16,
    GUARD_DROPS_COLUMN = 32,
};

struct rowsec;
struct recorder;

#define GUARD_TEXT_MAX   320
#define GUARD_TARGET_MAX 128

/* Names that the authorizer is told of, each with a NUL behind it. */
struct guard_names {
    char text[1000];
    size_t len;
    bool full; /* there are more */
};

struct guard {
    enum guard_mode mode;
    struct recorder *recorder;    /* of the running rehearsal, NULL none: hears what UPDATE assigns */
    struct rowsec *rowsec;        /* of the connection under policies; NULL: the other */
    const struct wire_call *call; /* GUARD_TENANT: whose role and scope */
    enum sql_verb verb;
    struct guard_names *names;     /* not NULL: takes tables read in GUARD_OWN, written in GUARD_TENANT */
    struct guard_names *accessors; /* not NULL: in GUARD_OWN views and common table expressions are let be and
                                      named here: to be looked at before anything runs */
    bool policy_text;   /* a policy is looked at before it is stored: its own functions, and the same answer
                           twice */
    struct str sql;     /* the statement, for what the authorizer is not told */
    struct map fts5;    /* name of an FTS5 table → table that it indexes, "" its own (mem_), as of
                           schema_version: its parts are in a scope that holds it */
    struct map indexes; /* name of an index → name of its table (mem_), as of schema_version */
    int64_t schema_version; /* -1: not read yet */
    /* set by the authorizer */
    bool refused;                  /* since guard_enter: `text` says why */
    bool role_too_low;             /* the reason was the role */
    bool one_shot;                 /* preparing had an effect of its own (PRAGMA x = y): never cache */
    char created_view[128];        /* by CREATE VIEW, since guard_enter; "" when it is longer */
    bool drops;                    /* since guard_enter: something that exists is to be dropped */
    char dropped[128];             /* table or view, likewise */
    char target[GUARD_TARGET_MAX]; /* table or view whose rows the statement itself is to change, likewise */
    unsigned acts;                 /* enum guard_act: what the statement itself does, likewise */
    char loses[GUARD_TARGET_MAX];  /* table that goes, or a column or rows of it, likewise */
    bool defers_foreign_keys;      /* PRAGMA defer_foreign_keys was set: the turn must reset it */
    bool own_reads;           /* since guard_shut_fts5: SQL of ours ran that may have gone through FTS5 */
    bool makes_virtual_table; /* CREATE VIRTUAL TABLE was allowed: the turn resets it with each call;
                                 a statement that was prepared before sets it again when it is run */
    char text[GUARD_TEXT_MAX];
};

/* What guard_enter returns and guard_leave restores. */
struct guard_saved {
    enum guard_mode mode;
    const struct wire_call *call;
    enum sql_verb verb;
    struct str sql;
};

/* `g` lives as long as the connection. */
void guard_attach(struct guard *g, sqlite3 *db);
void guard_release(struct guard *g);
void guard_watch(struct guard *g, sqlite3 *db); /* a second connection under the same guard */
/* `sql` with its verb lives until guard_leave. */
struct guard_saved guard_enter_tenant(
    struct guard *g, const struct wire_call *call, enum sql_verb verb, struct str sql);
struct guard_saved guard_enter_own(struct guard *g);
struct guard_saved guard_enter_system(struct guard *g);
void guard_leave(struct guard *g, struct guard_saved saved);

/* What follows answers SQLITE_OK, or SQLite's code: the call may not go on then, and its transaction may be
 * gone. */
struct engine;
/* Before SQL of a call with a table scope is prepared: learns which tables are FTS5's and whose the indexes
 * are, when the schema has changed. */
MUST_CHECK int guard_learn_scope(struct engine *eng);
/* Before SQL of any call runs: the inner statements of FTS5 that were prepared with our own rights are not
 * its.
 */
MUST_CHECK int guard_shut_fts5(struct engine *eng);
/* Both, for one call, and FTS5 asks for its inner statements again when the call has a table scope. */
MUST_CHECK int guard_prepare_for(struct engine *eng, const struct wire_call *call);

/* SQLITE_DENY, and the reason for the caller; the first one counts. */
int guard_refuse(struct guard *g, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* guard_scope.c: the reasons that must not tell a hidden object from a missing one. */
int guard_refuse_table(struct guard *g, struct str table);
int guard_refuse_index(struct guard *g);
int guard_refuse_trigger(struct guard *g);
int guard_refuse_rename(struct guard *g);
int guard_refuse_role(struct guard *g, enum wire_role least);
/* SQLite's message about a call with a table scope, inside guard_enter: true: g->text is to be said in its
 * place. */
bool guard_hides_error(struct guard *g, struct str message, struct str missing_table);
/* After preparing, inside guard_enter: true: what would do nothing is refused like what exists but is hidden.
 */
bool guard_hides_drop(struct guard *g);
/* The table that an FTS5 table indexes, "" none. */
struct str guard_fts5_content(struct str create_table, struct arena *a);

/* Statements that are refused by their first word; fills g->text. false: let SQLite look at it. */
bool guard_refuses_verb(struct guard *g, enum sql_verb verb);

bool guard_function_listed(const char *name); /* may any caller use it? */
bool guard_name_reserved(struct str name); /* our prefixes and table functions: nobody may make such a name */
bool guard_in_scope(const struct wire_call *call, struct str table);

#endif
