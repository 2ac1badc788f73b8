#include "api/oauth/reply.h"

#include "api/oauth/form.h"
#include "base/enc.h"

void oauth_reply_json(struct api_call *c, int status)
{
    c->answer->kind = ANSWER_JSON;
    c->answer->status = status;
}

void oauth_reply_empty(struct api_call *c)
{
    *c->answer = (struct api_answer){.kind = ANSWER_JSON, .status = 200};
}

void oauth_redirect(struct api_call *c, struct str location)
{
    c->answer->kind = ANSWER_REDIRECT;
    c->answer->status = 303;
    c->answer->location = location;
}

static int status_of(enum oauth_error error)
{
    switch (error) {
    case OAUTH_INVALID_CLIENT:
    case OAUTH_INVALID_TOKEN: return 401;
    case OAUTH_INSUFFICIENT_SCOPE: return 403;
    case OAUTH_TEMPORARILY_UNAVAILABLE: return 429;
    default: return 400;
    }
}

enum err_code oauth_reply_refusal(struct api_call *c, const struct refusal *no)
{
    jsonw_object(c->out);
    JSONW_CSTR(c->out, "error", oauth_error_name(no->error));
    JSONW_CSTR(c->out, "error_description", no->text);
    jsonw_object_end(c->out);
    oauth_reply_json(c, status_of(no->error));
    if (no->error == OAUTH_INVALID_CLIENT)
        c->answer->authenticate = S("Basic realm=\"holdfast\", charset=\"UTF-8\"");
    return ERR_OK;
}

enum err_code oauth_check_resource(struct api_call *c, struct str given, struct refusal *no)
{
    if (!given.ptr || str_eq(given, c->base_url))
        return ERR_OK;
    if (given.len == c->base_url.len + 1 && str_starts(given, c->base_url) && str_ends(given, S("/")))
        return ERR_OK;
    return oauth_refuse(no, OAUTH_INVALID_TARGET, "resource is this server's own address");
}

/* --- Who asks --- */

enum err_code oauth_find_person(struct api_call *c, struct person *ret, bool *ret_found)
{
    struct err none = ERR_INIT;
    enum err_code rc = c->session ? session_lookup(c->db, c->session, ret, &none) : ERR_UNAUTHORIZED;

    *ret_found = rc == ERR_OK;
    return rc == ERR_OK || rc == ERR_UNAUTHORIZED ? ERR_OK : err_set(c->err, rc, "%s", none.message);
}

/* RFC 6749, 2.3.1: both halves are form-encoded before they are joined. */
static bool read_basic(struct api_call *c, struct str *ret_id, struct str *ret_secret)
{
    AUTO_STRBUF text;
    struct str pair, id;

    strbuf_init(&text, 2048);
    if (!dec_base64(str_trim(str_slice(c->authorization, 6, c->authorization.len)), &text))
        return false;
    pair = strbuf_str(&text);
    return str_cut(&pair, ':', &id) && pair.ptr && form_decode(c->arena, id, ret_id) &&
           form_decode(c->arena, pair, ret_secret);
}

#define TWICE "The client proves itself in one way: by the Authorization header or in the form"

enum err_code oauth_read_client(
    struct api_call *c, const struct query *form, struct client *ret, struct refusal *no)
{
    struct str id = query_get(form, "client_id"), secret = query_get(form, "client_secret"), named = id;

    if (c->authorization.ptr) {
        if (secret.ptr)
            return oauth_refuse(no, OAUTH_INVALID_REQUEST, TWICE);
        if (!str_starts_nocase(c->authorization, S("Basic ")) || !read_basic(c, &id, &secret))
            return oauth_refuse(no, OAUTH_INVALID_CLIENT, "The Authorization header is no Basic credential");
        if (named.ptr && !str_eq(named, id))
            return oauth_refuse(no, OAUTH_INVALID_REQUEST, TWICE);
    }
    if (!id.ptr || !id.len)
        return oauth_refuse(
            no, OAUTH_INVALID_CLIENT, "Send client_id, and the client's secret where it has one");
    return client_authenticate(c->db, id, secret, ret, no, c->err);
}
