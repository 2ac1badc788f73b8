/* Approvals: writes that a rule holds until people have said yes. What would be done waits in the tenant's
 * database, as a proposal that nobody can apply (engine/proposal.h); who asked, who may decide and who did
 * stands in control.db. An approval covers the hash that was shown, and nothing else.
 *
 *              N people approve            done, exactly that
 *   pending ───────────────────► approved ────────────────────► redeemed ─► (waiting to be confirmed)
 *     │ one denies ─► denied       │ would do something else ─► void        confirmed | undone | conflict
 *     └────── time ─► expired ◄────┤
 *     └── requester ─► withdrawn ◄─┘
 *
 * `expired` follows from the time; a row says so later. What has been done the tenant's database alone knows
 * for sure: redeem_began_at is set, durably, before it is asked, and while that is set and the status is
 * `approved` a reader asks it (api/approval_engine.c). It is set as well when nobody knows whether a
 * withdrawal came to its end: then one that is `pending` is asked about, too.
 *
 * Deciding is for people alone, with the role that is asked for at that moment. Whoever has ever held a
 * secret of the bearer that asked is a requester, and decides only if nobody else could when it was asked and
 * nobody else can now. Every change writes its row of the audit log in the same transaction. Worker thread.
 */
#ifndef APPROVAL_APPROVAL_H
#define APPROVAL_APPROVAL_H

#include "account/session.h"
#include "audit/actor.h"
#include "base/arena.h"
#include "base/slug.h"
#include "sqlite/db.h"
#include "tenant/member.h"

#define APPROVAL_ID_SIZE   64
#define APPROVAL_HASH_SIZE 80 /* "sha256:" and 64 digits */

enum approval_status {
    APPROVAL_PENDING,
    APPROVAL_APPROVED,
    APPROVAL_DENIED,
    APPROVAL_EXPIRED,
    APPROVAL_WITHDRAWN,
    APPROVAL_VOID,
    APPROVAL_REDEEMED,
    APPROVAL_STATUS_COUNT,
};

const char *approval_status_name(enum approval_status status); /* "pending" */
MUST_CHECK bool approval_status_parse(struct str text, enum approval_status *ret);
/* "appr_" and 20 or more letters and digits. */
bool approval_id_valid(struct str id);

/* What is not there has ptr NULL, or is 0. Texts: arena memory. */
struct approval {
    int64_t seq;
    char id[APPROVAL_ID_SIZE];
    struct id namespace_id, database_id, proposal_id, token_id;
    struct id person_id; /* behind the bearer; "" nobody */
    char namespace_slug[SLUG_SIZE], database_slug[SLUG_SIZE];
    char hash[APPROVAL_HASH_SIZE];
    bool hash_hidden; /* there are rows in it that the bearer must not see: it is for those who decide */
    struct str action, sql, statements, params, hits, rules_version, reason, ticket, agent, model;
    bool sql_cut;
    int64_t affected, needed, given;
    enum member_role approver_role;
    enum approval_status status; /* by the time, too */
    int64_t created_at, expires_at, decided_at, redeem_began_at, redeemed_at;
    struct str replaces, replaced_by;
    bool run_at_once;
    int64_t confirm_within_s, confirm_by;
    struct str confirm_state, confirmed_by, undo_proposal, undo_hash, undo_note;
};

/* --- Asking --- */

/* What an engine says of a write that it holds; read from its reply (approval_read_held), which is believed
 * as far as it concerns that database. */
struct approval_new {
    struct str id, proposal_id, action, hash, sql, hits, rules_version, reason, ticket, agent, model;
    bool hash_hidden;         /* there are rows in it that the bearer must not see */
    struct str statements;    /* a JSON array of texts; ptr NULL: one statement */
    struct str params;        /* JSON; ptr NULL: none; "null": more than is kept here */
    int64_t affected, needed; /* needed: at least 1 */
    struct str approver_role; /* ptr NULL: admin */
    int64_t expires_at;
    struct id database_id, namespace_id, token_id;
    const struct id *person; /* the bearer is a person's session; NULL: a token */
    struct str replaces;     /* "" none */
};

/* Inside a write transaction. Registering the same again changes nothing. ERR_INTERNAL: what the engine said
 * makes no sense, or the id is another database's. */
MUST_CHECK enum err_code approval_open(
    struct db *db, const struct actor *by, const struct approval_new *in, struct err *err);

/* --- Reading --- */

/* ERR_NOT_FOUND. */
MUST_CHECK enum err_code approval_get(
    struct db *db, struct arena *a, struct str id, struct approval *ret, struct err *err);
/* The same for a person: as little work where it is another namespace's as where there is none. */
MUST_CHECK enum err_code approval_get_as(struct db *db, struct arena *a, struct str id,
    const struct id *account_id, struct approval *ret, struct err *err);
/* The one of a proposal: ERR_NOT_FOUND. */
MUST_CHECK enum err_code approval_of_proposal(struct db *db, struct arena *a, const struct id *database_id,
    struct str proposal_id, struct approval *ret, struct err *err);

struct approval_filter {
    const struct id *namespace_id;
    const struct id *database_id; /* NULL: of all */
    const struct id *token_id;    /* NULL: of all; with a database alone */
    bool has_status;
    enum approval_status status;
    bool unconfirmed; /* instead: nobody confirmed it in time, and it could not be taken back */
    int64_t before;   /* seq; INT64_MAX the newest */
    int64_t limit;
};
/* Newest first. */
MUST_CHECK enum err_code approval_list(struct db *db, struct arena *a, const struct approval_filter *f,
    struct approval **ret, size_t *ret_count, struct err *err);
/* By status; the last one are those that `unconfirmed` lists. */
enum { APPROVAL_COUNTS = APPROVAL_STATUS_COUNT + 1 };
MUST_CHECK enum err_code approval_counts(
    struct db *db, const struct id *namespace_id, int64_t ret[APPROVAL_COUNTS], struct err *err);

struct approval_decision {
    struct id account_id, session_id;
    struct str name, email; /* of the account, as long as there is one */
    enum member_role role;
    bool approves;
    struct str note;
    char hash[APPROVAL_HASH_SIZE];
    int64_t confirmed_at, created_at;
};
/* Oldest first. */
MUST_CHECK enum err_code approval_decisions(struct db *db, struct arena *a, const struct approval *p,
    struct approval_decision **ret, size_t *ret_count, struct err *err);

/* --- Deciding --- */

struct approval_vote {
    const struct person *person;
    bool approves;
    struct str note;          /* ptr NULL: none */
    struct str hash;          /* that was shown; ptr NULL: the one of the approval */
    bool run;                 /* do it as soon as there are enough */
    int64_t confirm_within_s; /* 0: it stays without a confirmation */
};

/* The role there, or the one of a share of that database. ERR_NOT_FOUND: no member of the namespace, to whom
 * it does not exist, or suspended. */
MUST_CHECK enum err_code approval_role(struct db *db, const struct approval *p, const struct id *account_id,
    enum member_role *ret, struct err *err);
/* May the person decide now? ERR_NOT_FOUND: as above.
 * ERR_FORBIDDEN: the role is too low, or it is the requester. `ret_role` may be NULL. */
MUST_CHECK enum err_code approval_may_decide(struct db *db, const struct approval *p,
    const struct id *account_id, enum member_role *ret_role, struct err *err);

/* Inside a write transaction. Also ERR_CONFLICT: decided, over or voted already, or another hash was shown.
 * *p is what it is afterwards. */
MUST_CHECK enum err_code approval_decide(struct db *db, const struct actor *by, struct approval *p,
    const struct approval_vote *vote, struct err *err);

/* --- Its end --- */

/* Inside a write transaction, which is to be durable before the engine is asked. ERR_NOT_FOUND it was
 * redeemed, ERR_CONFLICT it is not approved. */
MUST_CHECK enum err_code approval_begin_redeem(struct db *db, struct approval *p, struct err *err);
/* Inside a write transaction: the database has done it. `by` NULL-safe no: the server itself where it is
 * found out later. Done twice is fine. */
MUST_CHECK enum err_code approval_redeemed(
    struct db *db, const struct actor *by, struct approval *p, int64_t at_ms, struct err *err);
/* Inside a write transaction: pending or approved becomes `to` (void, withdrawn or expired); what ended
 * before stays. `replaced_by` "" none. */
MUST_CHECK enum err_code approval_end(struct db *db, const struct actor *by, struct approval *p,
    enum approval_status to, struct str replaced_by, struct err *err);
/* Inside a write transaction: its proposal was withdrawn. One that was never held is fine. */
MUST_CHECK enum err_code approval_proposal_withdrawn(struct db *db, const struct actor *by,
    const struct id *database_id, struct str proposal_id, struct err *err);
/* Writes what the time has done, LIMIT_PURGE_ROWS at most; opens its own transaction. */
MUST_CHECK enum err_code approval_expire(struct db *db, int64_t now_ms, bool *more, struct err *err);

/* Inside a write transaction: a withdrawal in this database has an outcome that nobody knows. */
MUST_CHECK enum err_code approval_doubt(struct db *db, const struct id *database_id, struct err *err);
/* At a start, before audit_settle_left(): the same for what was being withdrawn when the server died. Opens
 * its own transaction. */
MUST_CHECK enum err_code approval_doubt_left(struct db *db, struct err *err);
/* Inside a write transaction: its database says that it waits. One that is approved may be redeemed at this
 * moment, and stays in doubt. */
MUST_CHECK enum err_code approval_still_waits(struct db *db, struct approval *p, struct err *err);
/* One that its database may have done or ended a while ago, that is to be asked: ERR_NOT_FOUND none. */
MUST_CHECK enum err_code approval_next_unknown(
    struct db *db, struct arena *a, int64_t now_ms, int64_t after_seq, struct approval *ret, struct err *err);

/* --- Confirming what was done --- */

/* Inside a write transaction; who may decide may confirm. ERR_CONFLICT nothing waits, or it is too late. */
MUST_CHECK enum err_code approval_confirm(
    struct db *db, const struct actor *by, struct approval *p, const struct person *person, struct err *err);
/* One whose time to be confirmed is over. ERR_NOT_FOUND. */
MUST_CHECK enum err_code approval_next_unconfirmed(
    struct db *db, struct arena *a, int64_t now_ms, int64_t after_seq, struct approval *ret, struct err *err);
/* Inside a write transaction, before it is applied: what takes it back. */
MUST_CHECK enum err_code approval_note_undo(
    struct db *db, struct approval *p, struct str proposal_id, struct str hash, struct err *err);
/* Inside a write transaction: it was taken back, or (with the reason) could not be. */
MUST_CHECK enum err_code approval_undone(
    struct db *db, const struct actor *by, struct approval *p, struct str conflict, struct err *err);

#endif
