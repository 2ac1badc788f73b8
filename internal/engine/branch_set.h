/* The file in which what a branch changed goes from its engine to its parent's: how long the change set is (8
 * bytes, the lowest first), the change set, and one that has every row that was changed as it is now, whole,
 * as an INSERT: for when the parent has that row no more. Engine's thread. */
#ifndef ENGINE_BRANCH_SET_H
#define ENGINE_BRANCH_SET_H

#include "base/strbuf.h"
#include "engine/op.h"

struct branch_set {
    struct strbuf bytes;
    struct str set, whole; /* views of them */
};

/* `name` is one of ours, below the directory of the call's database. Durable. */
MUST_CHECK enum err_code branch_set_write(
    struct op *op, struct str name, struct str set, struct str whole, struct err *err);
/* Reads and checks it. Released by branch_set_release(), also after an error. */
MUST_CHECK enum err_code branch_set_read(
    struct op *op, struct str name, struct branch_set *ret, struct err *err);
void branch_set_release(struct branch_set *s);

#endif
