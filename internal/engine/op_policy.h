/* op_policy_check.c: is the text of a policy one? Inside of an operation, on the connection of an admin; the
 * answer, in the call's memory, is "" or what is wrong. */
#ifndef ENGINE_OP_POLICY_H
#define ENGINE_OP_POLICY_H

#include "engine/op.h"

/* Does it compile? */
struct str policy_problem(struct op *op, struct str table, struct str expression);
/* Does a policy for SELECT come back to its own table by the policies of others, as they are stored? Then no
 * order to ask them in exists, and their tables are closed. `expression` compiles. */
struct str policy_circle(struct op *op, struct str table, struct str expression);

#endif
