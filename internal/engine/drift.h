/* The answer to what can no longer be done as it was shown: 409 with the rows that differ. {"success":false,
 * "error", "code":"drift", "proposalId", "requestId", "errorDetail"?, "drift":{"rows", "truncated"},
 * "proposal"|null}. Engine's thread. */
#ifndef ENGINE_DRIFT_H
#define ENGINE_DRIFT_H

#include "engine/change_foreign.h"
#include "engine/proposal_view.h"

struct change_conflict;

struct drift {
    struct op *op;
    const struct proposal *p;
    struct strbuf out;
    struct jsonw w;
    struct change_view view;
    size_t rows;
    bool told, fresh; /* "drift" and "proposal" were written */
};

void drift_begin(struct drift *d, struct op *op, const struct proposal *p, const char *why);
void drift_release(struct drift *d);
/* A change_conflict_fn; `arg` is the struct drift. */
void drift_conflict(void *arg, const struct change_conflict *c);
/* A change_foreign_fn: rows that break a foreign key by now. */
void drift_foreign(void *arg, const struct change_table_view *table, const struct change_row *row,
    const struct change_foreign_key *key, const struct change_cell *values);
/* What differs between two change sets. */
MUST_CHECK enum err_code drift_differences(
    struct drift *d, const struct proposal *p, struct str proposed, struct str now, struct err *err);
/* The value of "proposal" follows, through the writer. */
struct jsonw *drift_fresh(struct drift *d);
/* What was written is the answer: a success of the engine's, for what was noted must be committed. */
MUST_CHECK enum err_code drift_end(struct drift *d, struct err *err);

#endif
