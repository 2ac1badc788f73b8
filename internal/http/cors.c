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

static bool only(struct str text, const char *passing)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!plain && (c == '\0' || !strchr(passing, c)))
            return false;
    }
    return text.len > 0;
}

/* As browsers write it: scheme://host or scheme://host:port, no path. Anything else would never match. */
static bool is_origin(struct str text)
{
    size_t at = 0;
    while (at < text.len && !str_starts(str_slice(text, at, text.len), S("://")))
        at++;
    return at < text.len && only(str_slice(text, 0, at), "+-.") &&
           only(str_slice(text, at + 3, text.len), "-._:[]");
}

static enum err_code check_origins(struct str origins, struct err *err)
{
    struct str part;
    while (origins.len > 0 && str_cut(&origins, ',', &part)) {
        if (!is_origin(str_trim(part)))
            return err_set(err, ERR_INVALID,
                "CORS origins: \"" STR_FMT "\" is not an origin like https://app.example.com or "
                "http://localhost:5173; * alone allows all",
                STR_ARG(str_slice(str_trim(part), 0, 64)));
    }
    return ERR_OK;
}

enum err_code cors_new(const char *origins, struct http_cors **ret, struct err *err)
{
    *ret = NULL;
    if (!origins || !origins[0])
        return ERR_OK;
    bool any = str_eq(str_trim(str_of(origins)), S("*"));
    enum err_code code = any ? ERR_OK : check_origins(str_of(origins), err);
    if (code)
        return code;
    struct http_cors *cors = MEM_NEW(struct http_cors);
    cors->any = any;
    cors->origins = mem_strdup(origins);
    *ret = cors;
    return ERR_OK;
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
