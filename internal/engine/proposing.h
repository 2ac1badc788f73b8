/* Making proposals out of rehearsals; shared by the operations that do. Engine's thread. */
#ifndef ENGINE_PROPOSING_H
#define ENGINE_PROPOSING_H

#include "crypto/secret.h"
#include "engine/proposal_view.h"
#include "engine/rehearsal.h"
#include "engine/rule.h"

struct jsonr_value;

struct proposing {
    struct str reason, ticket, agent, model; /* ptr NULL: none */
    struct str token_id, role;               /* whose it is for rules to see; ptr NULL: the caller's */
    int64_t ttl_s;
    struct str body;        /* the request, stored as it is */
    const char *action;     /* "write", "schema", "undo", "merge" */
    struct str plan;        /* JSON */
    struct str undo_of;     /* ptr NULL: none */
    struct str id;          /* that it gets; ptr NULL: a new one */
    struct verdict verdict; /* of propose_judge; hits ptr NULL: it met no rule */
};

struct proposing proposing_new(struct str body);
/* The members of a body that say for how long and why. */
MUST_CHECK enum err_code proposing_read(
    struct proposing *in, const struct jsonr_value *root, struct err *err);

/* Refuses members that nobody knows, of a body or of the write alone. propose_take has read `root`. */
enum propose_part { PROPOSE_WHOLE, PROPOSE_WRITE };
MUST_CHECK enum err_code propose_check_names(
    const struct jsonr_value *root, const char *at, enum propose_part part, struct err *err);

/* What rules say of it, while its effects stand: into in->verdict. Nothing without rules. */
MUST_CHECK enum err_code propose_judge(
    struct op *op, struct proposing *in, struct rehearsal *r, struct err *err);

/* What it writes that is no row of a table and no definition: then changes and the difference of the schema
 * do not tell of it, and an undo does not take it back. NULL: nothing. */
const char *propose_unshown(const struct rehearsal *r);

/* Stores what was rehearsed and taken back. `p` says beforehand how it is held, if it is. */
MUST_CHECK enum err_code propose_store(struct op *op, const struct proposing *in, struct rehearsal *r,
    struct str token_hash, struct proposal *p, struct err *err);
/* The same of one whose effects stay: it was applied, as if it had waited. *ret is it. */
MUST_CHECK enum err_code propose_store_applied(
    struct op *op, const struct proposing *in, struct rehearsal *r, struct proposal *ret, struct err *err);
/* Stores it; writes it to `w`, with its execution token. */
MUST_CHECK enum err_code propose_rehearsed(
    struct op *op, const struct proposing *in, struct rehearsal *r, struct jsonw *w, struct err *err);

/* Why its rows cannot be put back as such; ptr NULL: they can. This text: it is taken back by itself. */
#define PROPOSE_UNDO_BY_ITSELF                                                                               \
    "it changes the schema, which is not undone row by row but by itself: when it removes rows, a snapshot " \
    "is made before it is applied, from which they come back"
struct str propose_no_undo(const struct rehearsal *r);

/* op_proposal_settings.c: is a proposal applied though it would do something else by now? */
MUST_CHECK enum err_code proposals_on_drift(struct op *op, bool *ret_reapply, struct err *err);

/* How the statements of the call's request would run: the rows of EXPLAIN QUERY PLAN as JSON. Arena memory.
 */
struct str propose_plan(struct op *op);

/* The members {"sql"…} or {"statements"…} of a request. */
MUST_CHECK enum err_code propose_take(struct op *op, const struct jsonr_value *root, struct err *err);

/* What is stored for a token: it holds in this database alone. */
struct digest propose_token_hash(const struct op *op, struct str token);

#endif
