#include "api/html.h"

#include "api/request.h"
#include "base/check.h"

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
    HEADER("X-Frame-Options", "DENY"),
    HEADER("Cross-Origin-Opener-Policy", "same-origin"),
    HEADER("Cross-Origin-Resource-Policy", "same-origin"),
    HEADER("Permissions-Policy", "camera=(), geolocation=(), microphone=()"),
    HEADER("Cache-Control", "no-store"),
#undef HEADER
};

#define HSTS S("max-age=31536000")

#define POLICY                                                                                               \
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "    \
    "base-uri 'none'; form-action 'self'"
#define POLICY_REST "; frame-ancestors 'none'; require-trusted-types-for 'script'"
#define POLICY_MAX  2048

static void set_policy(struct api_request *r, struct str form_origin)
{
    AUTO_STRBUF text;

    strbuf_init(&text, POLICY_MAX);
    strbuf_add_cstr(&text, POLICY);
    if (form_origin.len) {
        strbuf_add_char(&text, ' ');
        strbuf_add_str(&text, form_origin);
    }
    strbuf_add_cstr(&text, POLICY_REST);
    CHECK(!strbuf_failed(&text));
    http_set_header(r->http, "Content-Security-Policy", strbuf_str(&text));
}

void html_set_headers(struct api_request *r, struct str form_origin)
{
    set_policy(r, form_origin);
    /* with no-referrer a browser sends our own forms with `Origin: null` */
    http_set_header(r->http, "Referrer-Policy", form_origin.ptr ? S("same-origin") : S("no-referrer"));
    for (size_t i = 0; i < ARRAY_LEN(HEADERS); i++)
        http_set_header(r->http, HEADERS[i].name, HEADERS[i].value);
    if (r->api->secure)
        http_set_header(r->http, "Strict-Transport-Security", HSTS);
}

void html_reply(struct api_request *r, int status, struct str page)
{
    html_set_headers(r, (struct str){NULL, 0});
    request_reply(r, status, "text/html; charset=utf-8", page);
}
