#include "api/route.h"

#define NAMED(x)           #x
#define RUN_LOOP_FN(h)     .on_loop = h
#define RUN_FLOW_FN(h)     .on_loop = h
#define RUN_UPLOAD_FN(h)   .on_loop = h
#define RUN_WORKER_FN(h)   .on_worker = h
#define RUN_PASSWORD_FN(h) .on_worker = h
#define RUN_ABROAD_FN(h)   .on_worker = h
#define RUN_ENGINE_FN(h)   .on_loop = h

/* Handlers are declared from the list itself, so that a row without a function does not link. RUN_ENGINE rows
 * have none. */
#define DECLARE_RUN_LOOP(h)     route_loop_fn h;
#define DECLARE_RUN_FLOW(h)     route_loop_fn h;
#define DECLARE_RUN_UPLOAD(h)   route_loop_fn h;
#define DECLARE_RUN_WORKER(h)   route_worker_fn h;
#define DECLARE_RUN_PASSWORD(h) route_worker_fn h;
#define DECLARE_RUN_ABROAD(h)   route_worker_fn h;
#define DECLARE_RUN_ENGINE(h)
#define ROUTE(id, method, path, auth, cap, run, op, handler) DECLARE_##run(handler)
#include "api/routes.def"
#undef ROUTE

const struct api_route api_routes[ROUTE_COUNT] = {
#define ROUTE(id_, method_, path_, auth_, cap_, run_, op_, handler_)                                         \
    [ROUTE_##id_] = {.id = ROUTE_##id_,                                                                      \
        .name = NAMED(id_),                                                                                  \
        .method = HTTP_##method_,                                                                            \
        .path = path_,                                                                                       \
        .auth = auth_,                                                                                       \
        .cap = cap_,                                                                                         \
        .run = run_,                                                                                         \
        .op = WIRE_OP_##op_,                                                                                 \
        .in_database = WIRE_OP_##op_ != WIRE_OP_NONE,                                                        \
        run_##_FN(handler_)},
#include "api/routes.def"
#undef ROUTE
};

static const struct route rows[ROUTE_COUNT] = {
#define ROUTE(id_, method_, path_, auth_, cap_, run_, op_, handler_)                                         \
    [ROUTE_##id_] = {.method = HTTP_##method_,                                                               \
        .pattern = path_,                                                                                    \
        .head_too = HTTP_##method_ == HTTP_GET,                                                              \
        .data = &api_routes[ROUTE_##id_]},
#include "api/routes.def"
#undef ROUTE
};

struct router *api_router_new(void)
{
    return router_new(rows, ROUTE_COUNT);
}
