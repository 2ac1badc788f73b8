/* Invariants: SELECTs that must return no rows when a write ends. Each call that changed something is asked
 * before its savepoint is released: by a statement that may have written a table that the invariant reads, or
 * by one of which nobody can tell. A row undoes the whole call.
 *
 * An invariant is looked at with the rights of a reader of everything when it is stored, and run with the
 * engine's own afterwards, which see all rows, but go through no view: a table that became one since, or
 * whose name is a shadow of row-level security (then it must say main.<table>), fails the write instead of
 * passing it. So does one that takes more than LIMIT_INVARIANT_MS of processor time. Engine's thread. */
#ifndef ENGINE_INVARIANT_H
#define ENGINE_INVARIANT_H

#include "engine/op.h"

struct cached;
struct guard_names;

struct invariant {
    struct invariant *next;
    struct str id, name, query, note; /* note: ptr NULL none */
    int64_t created_ms;
    struct str reads; /* names of tables, each with a NUL behind it; ptr NULL: not known */
    bool people_only; /* only people remove it */
    bool due;         /* the running call may have broken it */
};

/* All, by name; memory of the engine until invariants_forget. */
MUST_CHECK enum err_code invariants_load(struct op *op, struct invariant **ret, struct err *err);
void invariants_forget(struct engine *eng);

/* A call begins; a statement is run; something is written of which nobody can tell the tables. */
void invariants_begin(struct op *op);
void invariants_touch(struct op *op, const struct cached *c);
void invariants_touch_all(struct op *op);
/* Those that are due. ERR_INVARIANT: one is broken, or cannot be asked. */
MUST_CHECK enum err_code invariants_check(struct op *op, struct err *err);
/* The names of those that are broken, as a JSON array in the call's memory. */
MUST_CHECK enum err_code invariants_broken(struct op *op, struct str *ret, struct err *err);
/* One of them, whether it is due or not. */
MUST_CHECK enum err_code invariant_ask(struct op *op, struct invariant *i, struct err *err);

#endif
