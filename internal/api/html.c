#include "api/html.h"

#include "api/request.h"

static const struct {
    const char *name;
    struct str value;
} HEADERS[] = {
#define HEADER(name, text)                                                                                   \
    {                                                                                                        \
        name,                                                                                                \
        {                                                                                                    \
            text, sizeof(text) - 1                                                                           \
        }                                                                                                    \
    }
    HEADER("Content-Security-Policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'; require-trusted-types-for 'script'"),
    HEADER("X-Frame-Options", "DENY"),
    HEADER("Referrer-Policy", "no-referrer"),
    HEADER("Cross-Origin-Opener-Policy", "same-origin"),
    HEADER("Cross-Origin-Resource-Policy", "same-origin"),
    HEADER("Permissions-Policy", "camera=(), geolocation=(), microphone=()"),
    HEADER("Cache-Control", "no-store"),
#undef HEADER
};

#define HSTS S("max-age=31536000")

void html_reply(struct api_request *r, int status, struct str page)
{
    for (size_t i = 0; i < ARRAY_LEN(HEADERS); i++)
        http_set_header(r->http, HEADERS[i].name, HEADERS[i].value);
    if (r->api->secure)
        http_set_header(r->http, "Strict-Transport-Security", HSTS);
    request_reply(r, status, "text/html; charset=utf-8", page);
}
