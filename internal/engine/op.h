/* One call inside the engine, and what its handler may use. A handler is a function of ops table
 * (op_table.c), one for each row of wire/ops.def; it writes the `data` of PerSQL's envelope through op->w and
 * returns. The turn loop (turn.c) opens and closes the envelope, adds `meta`, wraps writes in savepoints and
 * answers after the commit: a handler never begins or ends a transaction and never writes to the socket,
 * except op_stream() in the STREAM and SCRATCH lanes. */
#ifndef ENGINE_OP_H
#define ENGINE_OP_H

#include "base/arena.h"
#include "base/err.h"
#include "json/jsonw.h"
#include "wire/wire.h"

#include <sqlite3.h>

struct engine;      /* state of the process: engine_state.h */
struct schema_deed; /* schema_state.h */

struct op {
    struct engine *eng;
    uint64_t id;
    struct wire_call call;
    struct arena *arena;         /* freed after the answer */
    struct jsonw *w;             /* writes the value of "data" */
    struct wire_reply_head head; /* rows_read and rows_written are summed here by exec.c */
    unsigned statement_count;
    struct str error_detail; /* JSON object for "errorDetail", set together with a returned error; "" none */
    struct str hits;         /* JSON array for "hits", likewise: rules that refuse the write; "" none */
    struct str invariant;    /* JSON object for "invariant", likewise: one that would not hold; "" none */
    struct str proposal;     /* id for meta.proposalId; "" none */
    bool takes_back;         /* what was approved for a time alone: rules decided about it then */
    bool drift;              /* meta.drift: it did something else than was proposed */
    int64_t undo_until_ms;   /* for meta.undoUntil beside it; 0: null */
    struct str snapshot;     /* JSON for meta.snapshot; "" none */
    struct str destroys;     /* label of the snapshot that the call deserves (destruction.h); "" none */
    struct tally *tally;     /* of the call, destruction.c; NULL nothing yet */
    struct str lay;          /* id of a snapshot that the front is to lay beside the database; "" none */
    bool drops;              /* with it goes a table or a column that had rows */
    struct schema_deed *deeds; /* what its statements dropped and renamed, the last first; NULL nothing */
    struct str plain;    /* arena memory; when a handler sets it (ptr not NULL), this is the whole body of the
                          * answer, of type head.content, in place of the envelope; w holds nothing then */
    struct str about;    /* SQL that an operation beside query and batch is about, for the query log */
    int statement_index; /* index of the failing statement of a batch, -1 none */
};

typedef enum err_code op_fn(struct op *op, struct err *err);

#define OP(name, lane) op_fn op_run_##name;
#include "wire/ops.def"
#undef OP

/* Prepares the engine's own SQL (constants of ours, never built from a user's text; table names are quoted
 * with %w through sqlite3_mprintf) with the authorizer in internal mode: `_sys_` tables may be touched, but
 * nothing that a user's trigger or view causes. The statement is the caller's (sqlite3_finalize) and must be
 * finished before tenant SQL runs. */
MUST_CHECK enum err_code op_prepare_internal(
    struct op *op, const char *sql, sqlite3_stmt **ret, struct err *err);

/* Prepares tenant SQL under this call's role and table scope. On failure fills err and op->error_detail.
 * *ret_tail_empty is false when more than one statement stands in `sql`. Not cached: for explain, validate,
 * import and export. */
MUST_CHECK enum err_code op_prepare_tenant(
    struct op *op, struct str sql, sqlite3_stmt **ret, bool *ret_tail_empty, struct err *err);

/* sqlite3_step for a statement of op_prepare_tenant: a statement may be prepared again, and FTS5 and the
 * pragma functions prepare while they run, all of which must happen under the caller's rights. */
int op_step_tenant(struct op *op, sqlite3_stmt *stmt);

/* To be asked after statements that change the schema, before the call succeeds: are reserved names untouched
 * (a rename hides from the authorizer), and is the number of objects within its limit? */
MUST_CHECK enum err_code op_check_schema(struct op *op, struct err *err);

/* After a statement of a caller was prepared: what its scope cannot read, or what something hidden depends
 * on, is not its to drop. */
MUST_CHECK enum err_code op_check_drop(struct op *op, struct err *err);

/* Turns SQLite's last error on the connection into err and op->error_detail (kind, table, column, near,
 * position, hint). `sql` is the statement at fault, for the hint. */
enum err_code op_sql_error(struct op *op, int rc, struct str sql, struct err *err);

/* The call's ?id=; "" when it has none, which nothing is called. */
struct str op_id(const struct op *op);

/* Opens the answer of what removed `id`: {"id", "deleted": true. Members about what it was follow. */
void op_write_dropped(struct op *op, struct str id);

/* Writes one SQLite value in the wire form: exact integers, {"$blob":…}, text as text. */
void op_write_column(struct jsonw *w, sqlite3_stmt *stmt, int column);

/* Binds a JSON array (positional) or object (named; ":name", "@name", "$name" or bare "name") of parameters.
 * Errors name "/params/…", or for one statement of a batch (`statement` counts from 0, else -1)
 * "/statements/3/params/…". */
struct jsonr_value;
MUST_CHECK enum err_code op_bind_params(
    struct op *op, sqlite3_stmt *stmt, const struct jsonr_value *params, int statement, struct err *err);

/* STREAM and SCRATCH lanes only: sends bytes of the body now and blocks while the front does not read. The
 * first call sends op->head. ERR_UNAVAILABLE when the front is gone. */
MUST_CHECK enum err_code op_stream(struct op *op, struct str bytes, struct err *err);

/* True when the name is ours or SQLite's (`sqlite_`, `_sys_`, `_persql_`): hidden and reserved. Shadow tables
 * of FTS5 cannot be told by their name: ask PRAGMA table_list. */
bool op_name_reserved(struct str name);

/* May this call's table scope see that table? True without a scope. */
bool op_table_visible(const struct op *op, struct str table);

/* The call is cancelled or past its deadline: long loops in C ask now and then. Fills err. */
MUST_CHECK enum err_code op_check_time(struct op *op, struct err *err);

#endif
