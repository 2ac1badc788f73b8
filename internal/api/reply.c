/* The two ends of a request's life: taken from the free list, answered, counted, logged, given back. */
#include "api/cookie.h"
#include "api/request.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/mem.h"

#define FREE_REQUESTS_MAX 256

static struct api_request *request_take(struct api *api)
{
    if (list_empty(&api->free)) {
        struct api_request *r = MEM_NEW(struct api_request);
        strbuf_init(&r->body, (size_t)LIMIT_RESULT_BYTES + (1u << 20));
        return r;
    }
    struct api_request *r = LIST_FIRST(&api->free, struct api_request, node);
    list_remove(&r->node);
    api->free_count--;
    return r;
}

struct api_request *request_new(struct api *api, struct http_request *http)
{
    struct api_request *r = request_take(api);
    struct strbuf body = r->body;
    *r = (struct api_request){.api = api, .http = http, .body = body};
    arena_init(&r->arena, REQUEST_ARENA_MAX);
    list_push_back(&api->open, &r->node);
    api->open_count++;
    return r;
}

static void request_free(struct api_request *r)
{
    struct api *api = r->api;
    CHECK(!r->calling && !r->flow);
    bearer_release(r->who);
    secret_release(&r->cookie.secret);
    arena_release(&r->arena);
    list_remove(&r->node);
    api->open_count--;
    if (api->free_count == FREE_REQUESTS_MAX) {
        strbuf_release(&r->body);
        mem_free(r);
        return;
    }
    strbuf_shrink(&r->body, REQUEST_BODY_KEPT);
    list_push_front(&api->free, &r->node);
    api->free_count++;
}

/* Before the answer is sent: afterwards the HTTP request is gone. */
static void request_account(struct api_request *r, int status, enum err_code code)
{
    int64_t took_us = clock_mono_us() - http_arrived_us(r->http);
    request_metrics_count(&r->api->metrics, r->route ? (unsigned)r->route->id : ROUTE_NONE, status, took_us);
    log_event(LOG_INFO, "request", LOG_STR("id", http_request_id(r->http)),
        LOG_CSTR("method", http_method_name(http_method(r->http))),
        LOG_CSTR("route", r->route ? r->route->path : "none"), LOG_INT("status", status),
        LOG_CSTR("code", err_slug(code)), LOG_INT("us", took_us),
        LOG_CSTR("token", r->who ? r->who->id->token_id.text : "-"), LOG_STR("peer", http_peer(r->http)));
}

void request_end(struct api_request *r, int status, enum err_code code)
{
    request_account(r, status, code);
    request_free(r);
}

void request_reply(struct api_request *r, int status, const char *content_type, struct str body)
{
    struct http_request *http = r->http;
    request_account(r, status, ERR_OK);
    http_reply(http, status, content_type, body);
    request_free(r);
}

void request_reply_body(struct api_request *r, int status, const char *content_type)
{
    struct http_request *http = r->http;
    request_account(r, status, (enum err_code)r->head.code);
    if (r->body.len <= REQUEST_BODY_KEPT)
        http_reply(http, status, content_type, strbuf_str(&r->body));
    else
        http_reply_take(http, status, content_type, &r->body);
    request_free(r);
}

/* A browser or a console cannot do anything with being asked for a bearer. */
static bool takes_bearer(const struct api_request *r)
{
    return r->route && (r->route->auth == AUTH_BEARER || r->route->auth == AUTH_EITHER);
}

void request_reply_answer(struct api_request *r)
{
    const struct api_answer *a = &r->answer;
    struct http_request *http = r->http;
    if (a->status == 401)
        r->api->metrics.auth_failures++;
    answer_set_headers(r);
    request_account(r, a->status, ERR_OK);
    if (a->kind == ANSWER_REDIRECT)
        http_reply(http, a->status, NULL, STR_EMPTY);
    else
        http_reply(http, a->status, answer_content_type(a), strbuf_str(&r->body));
    request_free(r);
}

/* People are told on a page. */
static void fail_page(struct api_request *r, const struct err *err)
{
    r->answer = (struct api_answer){
        .kind = ANSWER_PAGE, .status = err_status(err->code), .retry_after_s = err->retry_after_s};
    strbuf_reset(&r->body);
    answer_write_failure(&r->body, err);
    request_reply_answer(r);
}

/* Where a program finds out whom to ask for a token (RFC 9728). */
static struct str bearer_challenge(struct api_request *r)
{
    if (cookie_check_host(r, NULL))
        return S("Bearer realm=\"holdfast\"");
    struct str text = arena_printf(&r->arena,
        "Bearer realm=\"holdfast\", resource_metadata=\"" STR_FMT "/.well-known/oauth-protected-resource\"",
        STR_ARG(cookie_own_origin(r)));
    return text.ptr ? text : S("Bearer realm=\"holdfast\"");
}

void request_fail(struct api_request *r, const struct err *err)
{
    struct http_request *http = r->http;
    CHECK(err->code != ERR_OK);
    if (r->route && r->route->auth == AUTH_PAGE) {
        fail_page(r, err);
        return;
    }
    if (err->code == ERR_UNAUTHORIZED)
        r->api->metrics.auth_failures++;
    if (err->code == ERR_UNAUTHORIZED && takes_bearer(r)) {
        http_set_header(http, "WWW-Authenticate", bearer_challenge(r));
    }
    request_account(r, err_status(err->code), err->code);
    http_reply_error(http, err);
    request_free(r);
}
