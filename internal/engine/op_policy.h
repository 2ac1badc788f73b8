/* Policies outside of their own operations. Inside of one, on the connection of an admin. */
#ifndef ENGINE_OP_POLICY_H
#define ENGINE_OP_POLICY_H

#include "engine/catalog.h"

struct jsonr_value;

/* May the caller read and change policies? */
bool policies_allowed(const struct op *op);
/* The policies and the row security of the tables in `cat`, as remarks of a dump: for a caller who may not
 * read policies the second alone, with a note. */
MUST_CHECK enum err_code policies_dump(
    struct op *op, const struct catalog *cat, struct strbuf *out, struct err *err);
/* Takes such remarks back. A policy is stored as it stands, compiling or not, and switches nothing on.
 * *ret_known false: it is none, or its table is not there. ERR_CONFLICT: one of its name is there, or there
 * are too many; the caller may go on. */
MUST_CHECK enum err_code policy_load(
    struct op *op, const struct jsonr_value *root, bool *ret_known, struct err *err);
MUST_CHECK enum err_code policies_close(struct op *op, struct str table, bool *ret_known, struct err *err);

/* op_policy_check.c: is the text of a policy one? The answer, in the call's memory, is "" or what is wrong.
 */

/* Does it compile? */
struct str policy_problem(struct op *op, struct str table, struct str expression);
/* Does a policy for SELECT come back to its own table by the policies of others, as they are stored? Then no
 * order to ask them in exists, and their tables are closed. `expression` compiles. */
struct str policy_circle(struct op *op, struct str table, struct str expression);

#endif
