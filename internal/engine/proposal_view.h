/* Proposals as JSON. Who may see one: its bearer, and an admin who stands under no limit; what of its rows is
 * told follows from what the caller may read now. Engine's thread. */
#ifndef ENGINE_PROPOSAL_VIEW_H
#define ENGINE_PROPOSAL_VIEW_H

#include "engine/change_view.h"
#include "engine/proposal.h"

/* An admin with neither table scope nor claims. */
bool proposal_sees_all(const struct op *op);
/* Finds it for the caller. ERR_NOT_FOUND: there is none, or it is not the caller's to see. */
MUST_CHECK enum err_code proposal_find(struct op *op, struct proposal *ret, struct err *err);

/* "rows", "schema", or NULL: not at all. Of what the proposal says in `no_undo`. */
const char *proposal_undo_by(struct str no_undo);
/* Until when it can be taken back; 0: it was not applied, or cannot be at all. */
int64_t proposal_undo_until_ms(const struct op *op, const struct proposal *p);

/* What of its change set the caller sees. */
struct change_view proposal_rows(struct op *op, const struct proposal *p);

/* The whole object, with a page of its rows. `token` "": not told. */
MUST_CHECK enum err_code proposal_write(struct op *op, struct jsonw *w, const struct proposal *p,
    struct str set, struct str token, struct err *err);
/* The members "sql" and "statements", into an object that is open. */
void proposal_write_request(struct op *op, struct jsonw *w, const struct proposal *p);
/* "params" as they were sent, of several statements a list with one entry for each; null: none has any, or
 * they are larger than 16 KiB ("paramsTruncated"). */
void proposal_write_params(struct op *op, struct jsonw *w, const struct proposal *p);
/* The same without rows, for lists. */
void proposal_write_brief(struct op *op, struct jsonw *w, const struct proposal *p);

#endif
