#include "api/api.h"

#include "account/throttle.h"
#include "api/approvals.h"
#include "api/housekeeping.h"
#include "api/openapi.h"
#include "api/request.h"
#include "base/check.h"
#include "base/limits.h"
#include "base/mem.h"

#define OPENAPI_BYTES_MAX  (1 << 20)
#define MULTIPART_OVERHEAD (64 << 10) /* boundaries and part headers around an uploaded file */

enum err_code api_new(const struct api_options *opt, struct api **ret, struct err *err)
{
    if (opt->workers > API_WORKERS_MAX || opt->password_workers > API_PASSWORD_WORKERS_MAX ||
        opt->abroad_workers > API_ABROAD_WORKERS_MAX)
        return err_set(err, ERR_INVALID, "At most %d worker threads", API_WORKERS_MAX);
    struct api *api = MEM_NEW(struct api);
    api->opt = *opt;
    api->router = api_router_new();
    api->throttle = throttle_new();
    api->secure = opt->https || str_starts_nocase(str_of(opt->public_url), S("https://"));
    api->cache = cache_new(opt->control->gen);
    list_init(&api->open);
    list_init(&api->free);
    list_init(&api->uploads);
    list_init(&api->unwritten);
    list_init(&api->health.waiting);
    list_init(&api->approval_waits);
    list_init(&api->applied);
    strbuf_init(&api->openapi, OPENAPI_BYTES_MAX);
    openapi_write(&api->openapi, str_of(opt->public_url));
    last_used_init(&api->last_used, api);
    housekeeping_start(api);
    supervise_on_quarantine(opt->supervisor, audited_quarantine, api);
    *ret = api;
    return ERR_OK;
}

void api_free(struct api *api)
{
    if (!api)
        return;
    CHECK(api->open_count == 0);
    housekeeping_stop(api);
    supervise_on_quarantine(api->opt.supervisor, NULL, NULL);
    last_used_release(&api->last_used);
    while (!list_empty(&api->free)) {
        struct api_request *r = LIST_FIRST(&api->free, struct api_request, node);
        list_remove(&r->node);
        strbuf_release(&r->body);
        mem_free(r);
    }
    for (size_t i = 0; i < ARRAY_LEN(api->worker_db); i++)
        db_close(api->worker_db[i]);
    throttle_free(api->throttle);
    cache_free(api->cache);
    router_free(api->router);
    strbuf_release(&api->openapi);
    mem_free(api);
}

struct http_body_rule api_body_rule(void *arg, enum http_method method, struct str path)
{
    const struct api *api = arg;
    struct route_match m;
    AUTO_ARENA a;
    arena_init(&a, REQUEST_ARENA_MAX);
    if (router_find(api->router, method, path, &a, &m, NULL) != ERR_OK)
        return (struct http_body_rule){.max = UINT64_MAX, .streamed = true}; /* refused by its head alone */
    const struct api_route *route = m.route->data;
    if (route->run == RUN_UPLOAD)
        return (struct http_body_rule){.max = LIMIT_IMPORT_BYTES + MULTIPART_OVERHEAD, .streamed = true};
    return (struct http_body_rule){.max = LIMIT_BODY_BYTES};
}

void api_set_server(struct api *api, struct http_server *server)
{
    api->server = server;
}

void api_drain(struct api *api)
{
    api->draining = true;
    approvals_stop(api);
    last_used_save(&api->last_used);
}

unsigned api_open_requests(const struct api *api)
{
    return api->open_count;
}

void api_interrupt(struct api *api)
{
    struct list *it, *next;
    api->interrupted = true;
    LIST_EACH(it, next, &api->open)
    {
        struct api_request *r = LIST_ITEM(it, struct api_request, node);
        if (r->calling)
            supervise_cancel(api->opt.supervisor, &r->call);
        if (r->receiving)
            http_body_cancel(r->http, ERR_UNAVAILABLE, "the server is shutting down");
    }
}
