/* Proposals: writes that were rehearsed and wait to be applied. They live inside the database that they are
 * for, so that one transaction applies a proposal and consumes its token: once, whatever happens.
 *
 *              ┌─ a commit touches its rows ─► stale ─┐
 *   pending ───┴──────────────────────────────────────┼─► applied     it was done, exactly as it was shown
 *                                                     ├─► drifted     it would do something else by now
 *                                                     ├─► withdrawn
 *                                                     └─► expired
 *
 * `stale` only warns: what counts is the rehearsal when it is applied. A file that becomes another database's
 * must not bring them along: PROPOSALS_PURGE_SQL. Tokens hold for one database even so, for its id is part of
 * what is stored. Engine's thread. */
#ifndef ENGINE_PROPOSAL_H
#define ENGINE_PROPOSAL_H

#include "base/id.h"
#include "engine/change_record.h"
#include "engine/op.h"

#define PROPOSALS_PURGE_SQL                                                                                  \
    "DELETE FROM _sys_proposal; DELETE FROM _sys_proposal_part; DELETE FROM _sys_proposal_row;"              \
    " DELETE FROM _sys_proposal_table"

struct proposal {
    int64_t seq;
    struct str id, state, bearer, body, action;
    struct str hash; /* 32 bytes */
    int64_t affected, clock_ms, dice;
    struct str plan, flags, schema_diff; /* JSON */
    struct str rehearsed_on;             /* "live" or "copy" */
    bool no_indirect;
    struct str no_undo, undo_of; /* ptr NULL: none; undo_of: ids with a space between */
    int64_t size;
    struct str reason, ticket, agent, model;    /* ptr NULL: none */
    int64_t created_ms, expires_ms, decided_ms; /* 0: not yet */
    struct str approval;        /* it is held until people have approved it; ptr NULL: it is not */
    struct str rules;           /* those that hit, as JSON: rule.h */
    struct str rules_version;   /* 32 bytes; ptr NULL: there were no rules */
    struct str snapshot;        /* made before it was applied; ptr NULL: none */
    struct str idempotency_key; /* of the request that was held; ptr NULL: none */
};

/* Inserts it as pending, with its change set and the rows it touches. `token_hash` "": it has none. */
MUST_CHECK enum err_code proposal_put(struct op *op, const struct proposal *p, struct str token_hash,
    struct str set, struct recorder *touched, struct err *err);
/* *ret_found false: there is none. Texts are arena memory. */
MUST_CHECK enum err_code proposal_by_token(
    struct op *op, struct str token_hash, bool *ret_found, struct proposal *ret, struct err *err);
MUST_CHECK enum err_code proposal_by_id(
    struct op *op, struct str id, bool *ret_found, struct proposal *ret, struct err *err);
/* The newest that was held for this Idempotency-Key of the caller's. */
MUST_CHECK enum err_code proposal_by_key(
    struct op *op, struct str key, bool *ret_found, struct proposal *ret, struct err *err);
/* Which ones: ptr NULL stands for any. */
struct proposal_filter {
    int64_t before_seq;
    struct str bearer, token_id, agent; /* both of the first two */
};
/* Newest first: calls fn until it returns false. */
typedef bool proposal_fn(void *arg, const struct proposal *p);
MUST_CHECK enum err_code proposal_list(
    struct op *op, const struct proposal_filter *filter, proposal_fn *fn, void *arg, struct err *err);

bool proposal_waits(const struct proposal *p);        /* pending or stale, and not expired */
const char *proposal_state(const struct proposal *p); /* "expired" when its time has come */

/* From waiting to what it became; its token is void. */
MUST_CHECK enum err_code proposal_decide(
    struct op *op, const struct proposal *p, const char *state, struct err *err);
/* Stores its approval, rules and time; its execution token is void. */
MUST_CHECK enum err_code proposal_set_held(struct op *op, const struct proposal *p, struct err *err);
MUST_CHECK enum err_code proposal_set(
    struct op *op, const struct proposal *p, struct strbuf *out, struct err *err);
/* It did something else than was proposed: that is what it says from now on. */
MUST_CHECK enum err_code proposal_replace_facts(struct op *op, const struct proposal *p, struct err *err);
MUST_CHECK enum err_code proposal_replace_set(
    struct op *op, const struct proposal *p, struct str set, struct err *err);

/* proposal_watch.c: who else touches the rows of proposals that wait. */

struct proposal_watch;
/* Before and after a write; true: it is watched. */
bool proposals_watch(struct op *op);
MUST_CHECK enum err_code proposals_watched(struct op *op, bool succeeded, struct err *err);
/* What a rehearsal that is kept has touched. */
MUST_CHECK enum err_code proposals_touch(struct op *op, struct recorder *touched, struct err *err);
/* Proposals came or went otherwise than by the calls above: a rollback, a purge. */
void proposals_forget(struct engine *eng);
/* The schema may have changed. */
void proposals_forget_tables(struct engine *eng);
void proposals_note_table(struct engine *eng, struct str name);
/* ERR_CONFLICT: there are too many, or they hold too much. */
MUST_CHECK enum err_code proposals_make_room(struct op *op, int64_t bytes, struct err *err);
/* For so long is known what became of one, and how to take it back. */
int64_t proposals_kept_ms(const struct engine *eng);
/* Ends those whose time has come and forgets those that are old: at most some hundreds. */
void proposals_purge(struct engine *eng);
void proposals_release(struct engine *eng);

#endif
