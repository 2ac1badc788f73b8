/* The rows of routes.def as a table, and the router made from it. Built once at start, then only read: any
 * thread. */
#ifndef API_ROUTE_H
#define API_ROUTE_H

#include "api/capability.h"
#include "http/router.h"
#include "wire/wire.h"

struct api_request;
struct api_call;

enum route_id {
#define ROUTE(id, method, path, auth, cap, run, op, handler) ROUTE_##id,
#include "api/routes.def"
#undef ROUTE
    ROUTE_COUNT
};

enum route_auth { AUTH_NONE, AUTH_OPEN, AUTH_PAGE, AUTH_BEARER, AUTH_COOKIE, AUTH_EITHER };

enum route_run { RUN_LOOP, RUN_ENGINE, RUN_WORKER, RUN_PASSWORD, RUN_ABROAD, RUN_FLOW, RUN_UPLOAD };

/* RUN_LOOP, RUN_FLOW and RUN_UPLOAD handlers run on the loop and answer the request themselves, now or later.
 */
typedef void route_loop_fn(struct api_request *r);
/* RUN_WORKER, RUN_PASSWORD and RUN_ABROAD handlers run on a worker: they write the value of "data" (or the
 * whole answer of a route that is documented without an envelope) and return. */
typedef enum err_code route_worker_fn(struct api_call *c);

struct api_route {
    enum route_id id;
    const char *name; /* "QUERY": for tests */
    enum http_method method;
    const char *path; /* the template: label of logs and metrics */
    enum route_auth auth;
    enum capability cap;
    enum route_run run;
    enum wire_op op;
    bool in_database; /* an engine works in the database that the path names: {ns} and {db} */
    route_loop_fn *on_loop;
    route_worker_fn *on_worker;
};

extern const struct api_route api_routes[ROUTE_COUNT];

struct router *api_router_new(void); /* rows' data are rows of api_routes; freed with router_free */

#endif
