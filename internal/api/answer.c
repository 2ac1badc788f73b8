#include "api/answer.h"

#include "api/html.h"
#include "api/markup.h"
#include "api/request.h"

static void set_retry_after(struct api_request *r, int seconds)
{
    char text[16];

    str_print(text, sizeof text, "%d", seconds);
    http_set_header(r->http, "Retry-After", str_of(text));
}

void answer_set_headers(struct api_request *r)
{
    const struct api_answer *a = &r->answer;

    if (a->retry_after_s > 0)
        set_retry_after(r, a->retry_after_s);
    if (a->authenticate.len)
        http_set_header(r->http, "WWW-Authenticate", a->authenticate);
    if (a->kind == ANSWER_REDIRECT)
        http_set_header(r->http, "Location", a->location);
    if (a->kind == ANSWER_MARKDOWN) {
        http_set_header(r->http, "X-Content-Type-Options", S("nosniff"));
    } else if (a->kind != ANSWER_JSON) {
        html_set_headers(r, a->form_origin);
    } else if (!a->may_be_cached) {
        http_set_header(r->http, "Cache-Control", S("no-store"));
        http_set_header(r->http, "Pragma", S("no-cache"));
    }
}

const char *answer_content_type(const struct api_answer *a)
{
    if (a->kind == ANSWER_MARKDOWN)
        return "text/markdown; charset=utf-8";
    return a->kind == ANSWER_JSON ? "application/json" : "text/html; charset=utf-8";
}

void answer_write_failure(struct strbuf *out, const struct err *err)
{
    MARKUP(out, "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>That did not work - "
                "Holdfast</title>\n"
                "<h1>That did not work</h1>\n<p>");
    markup_text(out, str_of(err->message));
    MARKUP(out, "</p>\n</html>\n");
}
