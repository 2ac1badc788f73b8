/* One request on its way through the API, and the state of the API itself. Loop thread, but for what a worker
 * job is given.
 *
 *   new ─► routed ─► (lookup on a worker) ─► admitted ─► engine | worker | flow ─► answered ─► back to the
 * free list
 *
 * Every path ends in exactly one of request_reply*, request_fail or request_end. */
#ifndef API_REQUEST_H
#define API_REQUEST_H

#include "api/api.h"
#include "api/cache.h"
#include "account/session.h"
#include "api/answer.h"
#include "api/last_used.h"
#include "api/request_metrics.h"
#include "api/route.h"
#include "http/query.h"
#include "base/arena.h"
#include "base/list.h"

#define API_WORKERS_MAX          64
#define API_PASSWORD_WORKERS_MAX 16
#define API_ABROAD_WORKERS_MAX   16
#define REQUEST_ARENA_MAX        (2 << 20)
#define REQUEST_BODY_KEPT        (64 << 10) /* a free request keeps a reply buffer of at most this size */

struct health {
    bool control_ok, disk_low;
    uint64_t disk_free;  /* at the last look; 0 not known */
    int64_t checked_us;  /* 0 never */
    struct list waiting; /* requests that wait for the running check */
    bool running;
};

struct api {
    struct api_options opt;
    struct router *router;
    struct cache *cache;
    struct last_used last_used;
    struct request_metrics metrics;
    struct http_server *server; /* for its counters */
    struct strbuf openapi;
    struct list open, free;
    unsigned open_count, free_count;
    bool draining, interrupted;
    struct list uploads;   /* persql/upload.h: those that hold some of the spool */
    uint64_t spooled;      /* bytes they hold */
    unsigned writing;      /* workers that write pieces of them */
    struct list unwritten; /* those whose piece waits for such a worker */
    unsigned archiving;    /* archives that are being made */
    struct health health;
    struct list approval_waits; /* approval_wait.c: those that wait for a decision */
    unsigned approval_waiters;
    uint64_t approval_changes;
    struct list applied;    /* applied.c: those whose row of the audit log waits for the next transaction */
    bool appending;         /* one is under way */
    bool sweeping;          /* approvals, by the clock */
    struct loop_timer tick; /* disk guard, trash, temporary files */
    int64_t purged_us, signed_us, expired_us;
    struct throttle *throttle;
    bool secure; /* the address that people use is HTTPS */
    /* each touched by its worker alone */
    struct db *worker_db[API_WORKERS_MAX + API_PASSWORD_WORKERS_MAX + API_ABROAD_WORKERS_MAX];
};

struct actor;

/* A new session cookie for the client, or the end of the one it has. */
struct cookie_order {
    struct secret secret; /* empty: none */
    bool clear;
};

struct api_request {
    struct list node;
    struct api *api;
    struct http_request *http;
    const struct api_route *route; /* NULL: none found */
    struct str ns, db, item;       /* of the path, decoded; "" where it has none */
    struct query args;
    struct arena arena;
    struct digest hash; /* of the token or the session */
    struct digest key;  /* the same at this place: a person is another one in another namespace */
    bool by_cookie;
    char csrf[SESSION_CSRF_SIZE]; /* what the session's unsafe requests carry */
    struct str base_url;          /* where people reach the server */
    struct str link_base;         /* the same, "" where Host alone says so and names no address of ours */
    struct cookie_order cookie;   /* what the handler wants */
    struct api_answer answer;     /* the same */
    struct bearer *who;           /* held; NULL on public routes */
    const struct actor *by;       /* the same, once request_actor() was asked */
    struct place place;           /* of {ns}/{db} */
    struct workq_job job;
    uint64_t statements;  /* that the job ran on control.db */
    struct err err;       /* of the job */
    struct id intent;     /* "" none: audited.c */
    struct list settling; /* of api->applied */
    struct err failed;    /* what the request is answered with once that is settled; code 0: the reply */
    void (*intended)(struct api_request *r, const struct err *err);
    struct strbuf body; /* reply being gathered */
    struct wire_reply_head head;
    struct engine_call call;
    bool calling;         /* the engine call is out */
    bool receiving;       /* a piece of the body is asked for */
    bool gone;            /* the client is */
    uint64_t generation;  /* before the lookup */
    struct bearer *found; /* lookup's result */
    bool found_db;
    void *flow;                           /* state of a RUN_FLOW or RUN_UPLOAD handler */
    route_worker_fn *step;                /* what runs on the worker */
    void (*after)(struct api_request *r); /* goes on when that succeeded; NULL: what it wrote is the answer */
};

/* --- dispatch.c --- */

/* A job of this request came back. Loop thread, from its done(). */
void request_count_job(struct api_request *r);

/* A connection to control.db for this worker. Worker thread. */
MUST_CHECK enum err_code request_worker_db(
    struct api *api, unsigned worker, struct db **ret, struct err *err);

/* --- reply.c --- */

struct api_request *request_new(struct api *api, struct http_request *http);
void request_reply(struct api_request *r, int status, const char *content_type, struct str body);
void request_reply_body(
    struct api_request *r, int status, const char *content_type); /* r->body, without copying */
void request_fail(struct api_request *r, const struct err *err);
/* r->body, as r->answer says. */
void request_reply_answer(struct api_request *r);
/* The answer was sent by other means (a stream): counts, logs and frees. */
void request_end(struct api_request *r, int status, enum err_code code);

/* --- engine_route.c --- */

const char *request_content_type(const struct api_request *r); /* by r->head */

/* A body is JSON by its content type, or has none: a form or a file sent here by mistake is told so. */
MUST_CHECK enum err_code request_check_json(const struct api_request *r, struct err *err);

/* The JSON body of a flow's request, on the loop; other members are refused. Its texts are in the request's
 * arena. */
struct jsonr_field;
MUST_CHECK enum err_code request_read_body(
    struct api_request *r, const struct jsonr_field *fields, size_t count, void *out, struct err *err);

/* Fills r->call.req from the request: role, scope, deadline, headers, arguments, body. */
MUST_CHECK enum err_code request_fill_call(struct api_request *r, int64_t timeout_us, struct err *err);
/* The engine's whole body becomes the answer. */
void request_expect_body(struct api_request *r);
/* Submits r->call; *done* is called as for supervise_submit. The client's going away cancels it. */
MUST_CHECK enum err_code request_submit(struct api_request *r, struct err *err);
/* Gathers the reply in r->head and r->body; for r->call.on_data. */
void request_gather(struct engine_call *call, const struct wire_reply_head *head, struct str chunk);
/* Answers with what was gathered. */
void request_reply_gathered(struct api_request *r);
MUST_CHECK enum err_code engine_route_run(struct api_request *r, struct err *err);

/* --- actor.c --- */

/* Who asks, for the audit log; kept in r->by. Views of the request: valid while it is. */
const struct actor *request_actor(struct api_request *r);

/* --- audited.c --- */

/* Does the route change something in an engine that the audit log tells of? */
bool request_is_audited(const struct api_request *r);
/* Notes what is about to happen, durably, then calls `then`; err NULL: now it may begin. r->call.req is
 * filled. */
MUST_CHECK enum err_code request_intend(
    struct api_request *r, void (*then)(struct api_request *r, const struct err *err), struct err *err);
/* What failed with another code than these has surely left nothing. */
bool request_may_be_done(enum err_code code);
/* Answers with what was gathered, or with `failed` (NULL: it did not), after the row of the audit log where
 * something was intended. */
void request_reply_audited(struct api_request *r, const struct err *failed);
/* The row is written, or `failed` has a code: answers. */
void request_settled(struct api_request *r, const struct err *failed);
/* For supervise_on_quarantine(); arg is the struct api. */
void audited_quarantine(void *arg, struct str db_id);

/* --- applied.c --- */

/* Writes the row of a proposal that was applied, together with others' that wait; then request_settled(). */
void applied_append(struct api_request *r);

/* --- worker_route.c --- */

MUST_CHECK enum err_code worker_route_run(struct api_request *r, struct err *err);
/* A step of a flow on a worker, with a connection to control.db. The flow's state lies in the request's arena
 * and ends with the last step. */
MUST_CHECK enum err_code request_run_step(struct api_request *r, enum workq_lane lane, route_worker_fn *step,
    void (*after)(struct api_request *r), struct err *err);
/* Ends a flow with an error. */
void request_flow_fail(struct api_request *r, const struct err *err);
/* on_done of an engine's part of a flow: `step` follows in the writing lane. What the engine refused is the
 * answer as it stands. */
void request_flow_next(struct engine_call *call, const struct err *failed, route_worker_fn *step);

#endif
