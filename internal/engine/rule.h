/* Rules: which writes need nobody, a reason, the approval of people, or are not done at all. They are judged
 * by what a write really did, as a rehearsal recorded it (rehearsal.h), never by its text: rows that triggers
 * and foreign keys changed, objects of the schema, and the tables that its statements name as what they
 * change, also when no row was there to be changed.
 *
 *   for each touched table the first rule, in their order, whose tableGlob matches its name and whose `when`
 * is true decides; the strictest of these decisions is the write's. A rule without tableGlob speaks for the
 * whole write, also for one that touches no table. What no rule decides is allowed.
 *
 * A `when` that cannot be evaluated counts as true, and its rule as require_approval: nobody knows. Rules
 * hold for everybody, admins too. They belong to one database: copies of its file have none
 * (RULES_PURGE_SQL). Inside the handler of a write; engine's thread. */
#ifndef ENGINE_RULE_H
#define ENGINE_RULE_H

#include "crypto/digest.h"
#include "engine/op.h"

struct rehearsal;
struct proposing;
struct proposal;
struct jsonr_value;
struct catalog;

#define RULES_PURGE_SQL "DELETE FROM _sys_rule; DELETE FROM _sys_invariant"

/* From the mildest to the strictest. */
enum rule_action { RULE_ALLOW, RULE_REQUIRE_REASON, RULE_REQUIRE_APPROVAL, RULE_DENY, RULE_ACTIONS };
const char *rule_action_name(enum rule_action action);
bool rule_action_read(struct str name, enum rule_action *ret);

struct rule {
    struct rule *next;                                         /* in the order in which they are asked */
    struct str id, table_glob, condition, approver_role, note; /* ptr NULL: none; condition is `when` */
    enum rule_action action;
    int64_t position, approvals, created_ms, updated_ms;
    bool people_only;       /* only people change or remove it, or put another before it */
    bool says_who;          /* while a request is read: it says people_only */
    size_t number;          /* in that order */
    sqlite3_stmt *compiled; /* of rule_when.c, NULL not yet */
};

/* What is decided. `hits` is a JSON array of the rules that decided, the strictest first:
 *   {"ruleId", "tableGlob"|null, "when"|null, "action", "matchedTable"|null, "note"|null, "approvals"?,
 * "approverRole"?} It names everything; show it through rules_write_hits. Arena memory. */
struct verdict {
    enum rule_action action;
    struct str hits;
    bool wants_reason; /* some rule asks for one, and none was given */
    int64_t approvals;
    struct str approver_role; /* ptr NULL: the server's default */
};

/* Cheap. true also when they cannot be read: then judging says so. */
bool rules_exist(struct op *op);
/* Before a write runs that may be judged: counts the rows of tables that it names to be dropped. */
MUST_CHECK enum err_code rules_prepare(struct op *op, struct rehearsal *r, struct err *err);
/* Judges what was rehearsed, while its effects stand. */
MUST_CHECK enum err_code rules_judge(
    struct op *op, struct rehearsal *r, const struct proposing *in, struct verdict *ret, struct err *err);
/* Of all rules, in their order, by what they say; all zero when there are none. Part of every proposal's
 * hash. */
MUST_CHECK enum err_code rules_version(struct op *op, struct digest *ret, struct err *err);
/* A write that is not done: fills err (ERR_RULE, or ERR_REASON) and what the answer says beside it. */
enum err_code rules_refuse(struct op *op, const struct verdict *v, struct err *err);
/* One more rule that asks for approvals. */
void verdict_add(struct verdict *v, int64_t approvals, struct str approver_role);
/* Fills approvals and approver_role from hits that were parsed. */
void rules_read_terms(const struct jsonr_value *hits, struct verdict *ret);
/* Hits as far as the caller may see them; with `all` also those that allow. */
void rules_write_hits(struct op *op, struct jsonw *w, struct str hits, bool all);
/* The rules that a write of the caller's can meet, as an array. */
void rules_describe(struct op *op, struct jsonw *w, const struct catalog *cat);
/* The same as text, a line each. */
struct strbuf;
void rules_describe_lines(struct op *op, struct strbuf *out, const struct catalog *cat);
/* Does it say anything? Spaces and what nobody sees do not. */
bool rules_reason_given(struct str reason);
/* What follows from stored hits: the name of an action. `reason` ptr NULL: none was given. */
const char *rules_decision(struct op *op, struct str hits, struct str reason);

/* Stores a rehearsed write, taken back and with its hash, as a held proposal, and writes the held reply. */
MUST_CHECK enum err_code propose_hold(
    struct op *op, const struct proposing *in, struct rehearsal *r, const struct verdict *v, struct err *err);
/* The same for a proposal that was to be applied: it is held from now on, its execution token is void. */
MUST_CHECK enum err_code proposal_hold(
    struct op *op, const struct proposal *p, const struct verdict *v, struct err *err);
/* propose_hold is these two: the held reply is 403 with head.held, and one JSON object for the front:
 *   {"approvalToken", "proposalId", "hash", "hashHidden", "sql"|null, "statements"?, "params",
 * "paramsTruncated", "action", "estimatedAffectedRows", "hits", "approvals", "approverRole"|null,
 * "expiresAtMs", "rulesVersion"|null, "reason", "agent", "model", "ticket", "requestId"} Its hits are what
 * the requester may see; those of the proposal are complete. */
MUST_CHECK enum err_code propose_store_held(struct op *op, const struct proposing *in, struct rehearsal *r,
    const struct verdict *v, struct proposal *ret, struct err *err);
MUST_CHECK enum err_code held_reply(struct op *op, const struct proposal *p, struct err *err);
/* The members of that object, into one that is open. */
void held_write(struct op *op, struct jsonw *w, const struct proposal *p);
/* Did the caller send this Idempotency-Key before, for what waits? Then that is the answer. */
MUST_CHECK enum err_code held_before(struct op *op, bool *ret_found, struct err *err);

/* Runs a query or batch under rules: it is kept, refused or held. */
MUST_CHECK enum err_code judged_run(struct op *op, struct err *err);

/* Runs `fn`, whose changes cannot wait for people: what rules do not allow is refused. Without rules it just
 * runs. */
MUST_CHECK enum err_code judged_import(
    struct op *op, enum err_code (*fn)(void *arg, struct err *err), void *arg, struct err *err);

/* rule_store.c */
/* All, in their order; memory of the engine until rules_forget. */
MUST_CHECK enum err_code rules_load(struct op *op, struct rule **ret, struct err *err);
/* Copies into the call's memory. ERR_NOT_FOUND. */
MUST_CHECK enum err_code rule_get(struct op *op, struct str id, struct rule *ret, struct err *err);
MUST_CHECK enum err_code rule_put(struct op *op, const struct rule *rule, struct err *err);
MUST_CHECK enum err_code rule_delete(struct op *op, struct str id, struct err *err);
/* While it is `on`, rules_load gives these in place of what is stored: for those who ask what others would
 * decide. To be ended before the handler returns. */
void rules_pretend(struct engine *eng, bool on, struct rule *first);
/* Whoever read or made rules of his own lets go of what was compiled of them. */
void rules_finalize(struct rule *first);
/* They, and invariants, may have changed: read them again before the next call. */
void rules_forget(struct engine *eng);
void rules_release(struct engine *eng);

/* op_rules.c */
/* ERR_FORBIDDEN: rules are an admin's who stands under no limit. */
MUST_CHECK enum err_code rules_check_caller(struct op *op, struct err *err);
/* A list of rules as RULE_REPLACE takes them, each of a larger order than the one before; created_ms 0: the
 * list gives its id. Memory of the call. */
struct jsonr_value;
MUST_CHECK enum err_code rules_read(
    struct op *op, const struct jsonr_value *list, struct rule **ret, struct err *err);

/* rule_kept.c */
/* Is the caller somebody who signed in? */
bool rules_of_person(const struct op *op);
bool rule_says_the_same(const struct rule *a, const struct rule *b); /* ids, order and times aside */
/* Before rules change, and then, what the change may not do unless a person does it: ERR_FORBIDDEN. Memory of
 * the call. */
MUST_CHECK enum err_code rules_remember(struct op *op, struct rule **ret, struct err *err);
MUST_CHECK enum err_code rules_check_kept(struct op *op, const struct rule *before, struct err *err);
/* May the caller put the whole database back? Not a token, where people's rules hold or deny a write, or a
 * rule does so with every write: ERR_FORBIDDEN. */
MUST_CHECK enum err_code rules_check_restore(struct op *op, struct err *err);

/* rule_glob.c: `*` any run, `?` one character; letters of ASCII in either case. */
bool rule_glob_matches(struct str glob, struct str name);

#endif
