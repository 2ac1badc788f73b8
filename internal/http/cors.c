/* Cross-origin requests: browsers ask first (preflight, answered here) and need headers on every reply. */
#include "base/check.h"
#include "base/mem.h"
#include "http/http_internal.h"

struct http_cors {
    bool any;
    char *origins; /* comma-separated, as configured */
};

static const char ALLOW_HEADERS[] =
    "Authorization, Content-Type, Idempotency-Key, Plan-Key, Plan-Step, X-Request-Id";
static const char EXPOSE_HEADERS[] = "X-Request-Id, Retry-After, Content-Disposition, Idempotency-Replayed, "
                                     "Plan-Replayed, X-Import-Bytes, X-Export-Bytes-Estimate";

struct http_cors *cors_new(const char *origins)
{
    if (!origins || !origins[0])
        return NULL;
    struct http_cors *cors = MEM_NEW(struct http_cors);
    cors->any = str_eq(str_trim(str_of(origins)), S("*"));
    cors->origins = mem_strdup(origins);
    return cors;
}

void cors_free(struct http_cors *cors)
{
    if (!cors)
        return;
    mem_free(cors->origins);
    mem_free(cors);
}

static bool allowed(const struct http_cors *cors, struct str origin)
{
    struct str rest = str_of(cors->origins), part;
    if (cors->any)
        return true;
    while (str_cut(&rest, ',', &part)) {
        if (str_eq_nocase(str_trim(part), origin))
            return true;
    }
    return false;
}

static void add(struct strbuf *out, const char *name, struct str value)
{
    strbuf_add_cstr(out, name);
    strbuf_add_str(out, value);
    strbuf_add_cstr(out, "\r\n");
}

void cors_add_headers(const struct http_cors *cors, const struct http_request *req, struct strbuf *out)
{
    struct str origin = http_header(req, "Origin");
    if (!cors->any)
        add(out, "Vary: ", S("Origin"));
    if (!origin.ptr || !allowed(cors, origin))
        return;
    add(out, "Access-Control-Allow-Origin: ", cors->any ? S("*") : origin);
    add(out, "Access-Control-Expose-Headers: ", str_of(EXPOSE_HEADERS));
}

bool cors_is_preflight(const struct http_request *req)
{
    return req->method == HTTP_OPTIONS && http_header(req, "Origin").ptr &&
           http_header(req, "Access-Control-Request-Method").ptr;
}

void cors_answer_preflight(struct http_request *req)
{
    if (allowed(CONN_OF(req)->server->cors, http_header(req, "Origin"))) {
        http_set_header(req, "Access-Control-Allow-Methods", S("GET, HEAD, POST, PUT, PATCH, DELETE"));
        http_set_header(req, "Access-Control-Allow-Headers", str_of(ALLOW_HEADERS));
        http_set_header(req, "Access-Control-Max-Age", S("600"));
    }
    http_reply(req, 204, NULL, STR_EMPTY);
}
