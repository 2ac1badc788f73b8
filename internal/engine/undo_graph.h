/* What of the writes that were applied has been taken back since. An undo can be cut to tables or rows and
 * can be taken back itself, so this is asked row by row. Engine's thread. */
#ifndef ENGINE_UNDO_GRAPH_H
#define ENGINE_UNDO_GRAPH_H

#include "engine/change_cut.h"
#include "engine/op.h"

struct undo_node;

struct undo_graph {
    struct map nodes; /* by the id of a proposal */
    struct undo_node *all;
};

enum undo_state {
    UNDO_STANDS, /* it stands as it was applied */
    UNDO_PARTLY, /* some of its rows may have been taken back */
    UNDO_UNDONE, /* all of it was */
};

/* Everything that was applied to take something back. */
MUST_CHECK enum err_code undo_graph_load(struct undo_graph *g, struct op *op, struct err *err);
void undo_graph_release(struct undo_graph *g);
/* This one is taken back now: what it took back counts as standing. Before any of the questions below. */
void undo_graph_drop(struct undo_graph *g, struct str id);

enum undo_state undo_graph_state(const struct undo_graph *g, struct str id);
/* Who took it back; ptr NULL: nobody did. */
struct str undo_graph_by(const struct undo_graph *g, struct str id);
/* Was this row of it taken back? */
bool undo_graph_row(const struct undo_graph *g, struct str id, const struct change_table_view *t,
    const struct change_row *row);

#endif
