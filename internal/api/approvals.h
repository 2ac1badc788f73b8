/* What the routes of approvals share: how one is shown, waiting for a decision, doing what was approved, and
 * what happens by the clock. approval/ decides; the tenant's engine does. */
#ifndef API_APPROVALS_H
#define API_APPROVALS_H

#include "api/call.h"
#include "approval/approval.h"

/* --- approval_view.c --- */

/* Members of an object that is open: what everybody sees who may see it at all. With `decisions`, who decided
 * and how; `people`: with their names. */
struct approval_shown {
    const struct approval_decision *decisions;
    size_t count;
    bool tells_hash;
    bool whole, people; /* `whole`: one alone, with decisions and what is made visible of its texts */
};
void approval_view(
    struct jsonw *w, struct arena *a, const struct approval *p, const struct approval_shown *s);
/* Reads its decisions and writes the whole object. `extra` NULL: nothing more is in it. Worker thread. */
MUST_CHECK enum err_code approval_view_whole(
    struct api_call *c, const struct approval *p, void (*extra)(struct jsonw *w, void *arg), void *arg);
/* ?status=, ?cursor=, ?limit= of a list. */
MUST_CHECK enum err_code approval_read_filter(struct api_call *c, struct approval_filter *ret);
/* {"approvals", "nextCursor"}; `counts` (NULL: none) by status too. */
MUST_CHECK enum err_code approval_view_list(
    struct api_call *c, struct approval_filter *f, const int64_t *counts);

/* The receipt is the answer. */
MUST_CHECK enum err_code approval_view_receipt(struct api_call *c, const struct approval *p);

/* --- approval_engine.c: asking its engine, on a worker --- */

/* A short call of the server's own, with the rights of an admin. *ret is the value of "data", NULL when the
 * engine answered otherwise than with 200: *ret_status says how. */
struct approval_ask {
    struct supervisor *supervisor;
    const struct id *database_id;
    enum wire_op op;
    enum wire_role role;
    struct str id, body, token_id, request_id;
    struct db *db; /* not NULL: a snapshot that the engine wants to read is laid for it */
    const char *data_dir;
};
MUST_CHECK enum err_code approval_ask(struct arena *a, const struct approval_ask *in, int *ret_status,
    struct str *ret_body, const struct jsonr_value **ret_data, struct err *err);
/* The body of REDEEM: {"hash"}, with "takesBack" when nobody confirmed what it takes back. Arena memory. */
struct str approval_hash_body(struct arena *a, struct str hash, bool takes_back);
/* Inside a write transaction: what PROPOSAL_GET answered of its proposal is written down. */
MUST_CHECK enum err_code approval_settle(
    struct db *db, struct approval *p, int status, const struct jsonr_value *data, struct err *err);
/* An approval of which its database may know more: writes what that says. ERR_OK also when it says nothing.
 */
MUST_CHECK enum err_code approval_reconcile(
    struct db *db, struct supervisor *s, struct arena *a, struct approval *p, struct err *err);

/* --- approval_wait.c: requests that wait for a decision, without a thread. Loop thread --- */

/* May whoever asks see it, in that database? ERR_NOT_FOUND. What its database knows of it is written down.
 * Worker thread. */
MUST_CHECK enum err_code approval_find(
    struct api_call *c, const struct id *database_id, struct approval *ret);
/* Something about approvals changed: those who wait look again. */
void approvals_changed(struct api *api);
/* Nobody waits any longer: the server stops. */
void approvals_stop(struct api *api);

/* --- redeem.c --- */

/* Doing what was approved: begun on the loop once approval_begin_redeem() is committed. */
struct redeem {
    struct approval p;         /* its texts: `arena` */
    const struct identity *as; /* whose rights it is done with */
    bool shows_approval;       /* the answer is the approval with "result", not the result alone */
    bool keyed;                /* an Idempotency-Key came along */
    struct arena arena;
    struct strbuf reply; /* the engine's */
    struct wire_reply_head head;
    struct err failed;
    struct held_reply *held;
};
struct redeem *redeem_new(struct api_request *r);
void redeem_run(struct api_request *r, struct redeem *x);
/* What the engine answered, in x->head and x->reply, is written down; x->held is what waits anew. Worker
 * thread. */
MUST_CHECK enum err_code redeem_note(struct api_call *c, struct redeem *x);

/* --- approval_sweep.c: by the clock --- */

/* Expires, finds out what a crash left, takes back what nobody confirmed. Worker thread. */
void approval_sweep(struct api *api, struct db *db);

#endif
