/* /healthz, /readyz, /version: for load balancers and operators. No details beyond a word. */
#include "api/housekeeping.h"
#include "api/request.h"
#include "json/jsonw.h"

static void reply_status(struct api_request *r, int status, const char *text)
{
    struct jsonw w;
    strbuf_reset(&r->body);
    jsonw_init(&w, &r->body);
    jsonw_object(&w);
    JSONW_CSTR(&w, "status", text);
    jsonw_object_end(&w);
    request_reply(r, status, "application/json", strbuf_str(&r->body));
}

route_loop_fn ops_healthz, ops_readyz, ops_version;

void ops_healthz(struct api_request *r)
{
    reply_status(r, 200, "ok");
}

void ops_readyz(struct api_request *r)
{
    if (r->api->draining)
        reply_status(r, 503, "draining");
    else
        housekeeping_check(r);
}

void ops_readyz_answer(struct api_request *r)
{
    const struct api *api = r->api;
    if (api->draining)
        reply_status(r, 503, "draining");
    else if (!api->health.control_ok)
        reply_status(r, 503, "control database cannot be written");
    else if (!supervise_ready(api->opt.supervisor))
        reply_status(r, 503, "engines cannot be started");
    else if (api->health.disk_low)
        reply_status(r, 503, "disk is nearly full");
    else
        reply_status(r, 200, "ok");
}

void ops_version(struct api_request *r)
{
    struct jsonw w;
    strbuf_reset(&r->body);
    jsonw_init(&w, &r->body);
    jsonw_object(&w);
    JSONW_CSTR(&w, "name", "holdfast");
    JSONW_CSTR(&w, "version", HF_VERSION);
    JSONW_CSTR(&w, "sqlite", db_library_version());
    jsonw_object_end(&w);
    request_reply(r, 200, "application/json", strbuf_str(&r->body));
}
