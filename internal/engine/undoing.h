/* Proposing to take back what was applied: which writes, and what is left of them to take back. Engine's
 * thread. */
#ifndef ENGINE_UNDOING_H
#define ENGINE_UNDOING_H

#include "engine/proposing.h"
#include "engine/undo_graph.h"

/* One that was applied. */
struct undo_item {
    struct undo_item *next; /* what was applied before it */
    struct str id, action;
    struct str no_undo;  /* why its rows cannot be put back; ptr NULL: they can */
    struct str snapshot; /* made before it; ptr NULL: none */
    int64_t seq, size, decided_ms;
    bool no_indirect;
    struct strbuf inverse; /* what is to be done */
};

struct undoing {
    struct op *op;
    struct proposing in;
    const struct jsonr_value *root; /* the body */
    struct change_cut cut;
    struct undo_graph graph;
    struct undo_item *items; /* the last that was applied first */
    size_t count;
    int64_t bytes;
    struct strbuf inverse;
    struct rehearsal rehearsal; /* of that */
    bool lose_rows;             /* also when tables that it made got rows since */
    bool rehearsed;             /* it holds what is to be stored */
};

void undoing_init(struct undoing *u, struct op *op);
/* Reads the members of a body that every undo takes: "tables", "rows" and those of proposing_read. Others
 * than these and `own` are refused. */
struct jsonr_field;
MUST_CHECK enum err_code undoing_begin(
    struct undoing *u, const struct jsonr_field *own, size_t own_count, struct err *err);
void undoing_release(struct undoing *u);
MUST_CHECK enum err_code undoing_check_role(const struct op *op, struct err *err);

/* Makes the inverse of the items, newest first, without what was taken back already; those of which nothing
 * is left are dropped. Many become one. false in *ret_proposable: rows were changed in between by somebody
 * else, and the answer says so. */
MUST_CHECK enum err_code undoing_invert(struct undoing *u, bool *ret_proposable, struct err *err);

/* Rehearses the inverse, or answers with the rows that are no longer as they were left. */
MUST_CHECK enum err_code undoing_rehearse(struct undoing *u, struct err *err);

#endif
