/* GET /v1/me and GET /v1/whoami. */
#include "api/persql/views.h"
#include "api/request.h"

route_loop_fn persql_me, persql_whoami;

void persql_me(struct api_request *r)
{
    struct jsonw w;
    strbuf_reset(&r->body);
    jsonw_init(&w, &r->body);
    jsonw_object(&w);
    JSONW_BOOL(&w, "success", true);
    jsonw_key(&w, "data");
    view_me(&w, r->who->id);
    jsonw_object_end(&w);
    request_reply(r, 200, "application/json", strbuf_str(&r->body));
}

void persql_whoami(struct api_request *r)
{
    struct jsonw w;
    strbuf_reset(&r->body);
    jsonw_init(&w, &r->body);
    jsonw_object(&w);
    JSONW_CSTR(&w, "namespace", r->who->id->namespace_slug);
    jsonw_object_end(&w);
    request_reply(r, 200, "application/json", strbuf_str(&r->body));
}
