/* The HTTP API: every request that the HTTP server reads comes in at api_on_request and is answered by what
 * routes.def says. Owns the caches of identities and of database names, and the counters of /metrics. Loop
 * thread only. */
#ifndef API_API_H
#define API_API_H

#include "federation/signup.h"
#include "http/courier.h"
#include "http/http.h"
#include "sqlite/control.h"
#include "supervise/supervise.h"
#include "work/loop.h"
#include "work/workq.h"

struct api;

/* Who may make an account over HTTP. */
enum api_signup { SIGNUP_CLOSED, SIGNUP_INVITE, SIGNUP_OPEN };

/* All of it belongs to the caller and outlives the api. */
struct api_options {
    struct loop *loop;
    struct workq *workq;
    unsigned workers;          /* threads of workq; 0: inline */
    struct workq *passwords;   /* the pool that hashes passwords */
    unsigned password_workers; /* its threads; 0: inline */
    struct workq *abroad;      /* the pool that may wait for other servers */
    unsigned abroad_workers;   /* its threads; 0: inline */
    enum api_signup signup;
    bool https; /* the server itself speaks TLS */
    struct supervisor *supervisor;
    const struct signup_rules *self_signup; /* which machines may make a namespace; NULL none */
    struct issuers *issuers;                /* whose JWTs are trusted; may be an empty list */
    struct courier *courier;                /* for /metrics; NULL: nothing goes out */
    const struct control *control;
    const char *data_dir;
    const char *public_url; /* "" none */
    int64_t statement_timeout_us;
    int64_t disk_low_bytes; /* below this much free space writes are refused */
};

MUST_CHECK enum err_code api_new(const struct api_options *opt, struct api **ret, struct err *err);
/* No request open, and the workq closed and empty. */
void api_free(struct api *api);

/* For http_options: arg is the struct api. */
void api_on_request(void *arg, struct http_request *req);
struct http_body_rule api_body_rule(void *arg, enum http_method method, struct str path);

/* The server whose counters /metrics shows. */
void api_set_server(struct api *api, struct http_server *server);

/* Readiness off: /readyz answers 503 from now on. */
void api_drain(struct api *api);
unsigned api_open_requests(const struct api *api);
/* Interrupts every statement and upload that still runs; the requests are answered as their engines come
 * back. */
void api_interrupt(struct api *api);

#endif
