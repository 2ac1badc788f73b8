/* Doing what a proposal showed; shared by the operations that do. Inside the handler of a write. */
#ifndef ENGINE_APPLYING_H
#define ENGINE_APPLYING_H

#include "engine/proposal.h"
#include "engine/rehearsal.h"

/* Rehearses a proposal that waits once more and keeps that when it is the same; else tells the drift. When
 * the call is REDEEM people have approved exactly this: rules that ask for them are satisfied, those that
 * deny are not, and what drifted is held anew. */
MUST_CHECK enum err_code proposal_apply(struct op *op, const struct proposal *p, struct err *err);

/* op_redeem.c: what was approved would do something else: 409, held. `r` is taken back and hashed. */
struct proposing;
MUST_CHECK enum err_code redeem_drifted(struct op *op, const struct proposal *p, const struct proposing *in,
    struct rehearsal *r, struct err *err);

#endif
