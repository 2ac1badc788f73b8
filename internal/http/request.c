/* What a handler can ask of a request. */
#include "base/check.h"
#include "base/rand.h"
#include "http/http_internal.h"
#include <event2/keyvalq_struct.h>

enum { ID_COUNT_DIGITS = 10 };

void request_new_id(struct http_server *s, struct http_request *req)
{
    static const char DIGITS[] = "0123456789abcdefghjkmnpqrstvwxyz";
    size_t n = strlen(s->id_prefix);
    uint64_t count = s->id_count++;
    memcpy(req->id, s->id_prefix, n);
    for (size_t i = ID_COUNT_DIGITS; i > 0; i--, count >>= 5)
        req->id[n + i - 1] = DIGITS[count & 31];
    req->id_len = n + ID_COUNT_DIGITS;
    req->id[req->id_len] = '\0';
}

static bool id_is_fit(struct str id)
{
    if (id.len == 0 || id.len > HTTP_ID_MAX)
        return false;
    if (str_starts(id, S("psql_"))) /* a token in the wrong header must not reach a log */
        return false;
    for (size_t i = 0; i < id.len; i++) {
        char c = id.ptr[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
                c == '_' || c == '.'))
            return false;
    }
    return true;
}

void request_begin(struct http_connection *c)
{
    struct http_request *req = &c->req;
    req->query = str_of(evhttp_request_get_uri(req->parsed));
    if (!str_cut(&req->query, '?', &req->path) || !req->query.ptr)
        req->query = STR_EMPTY;
    struct str given = http_header(req, "X-Request-Id");
    if (!id_is_fit(given)) {
        request_new_id(c->server, req);
        return;
    }
    memcpy(req->id, given.ptr, given.len);
    req->id_len = given.len;
}

void request_reset(struct http_request *req)
{
    struct strbuf headers = req->headers;
    strbuf_release(&headers);
    *req = (struct http_request){.headers = headers};
}

enum http_method http_method(const struct http_request *req)
{
    return req->method;
}

struct str http_path(const struct http_request *req)
{
    return req->path;
}

struct str http_query(const struct http_request *req)
{
    return req->query;
}

struct str http_header(const struct http_request *req, const char *name)
{
    const char *value =
        req->parsed ? evhttp_find_header(evhttp_request_get_input_headers(req->parsed), name) : NULL;
    return value ? str_trim(str_of(value)) : (struct str){NULL, 0};
}

struct str http_body(struct http_request *req)
{
    return strbuf_str(&CONN_OF(req)->body);
}

/* A proxy adds a line of its own or appends to the last one, so only the last line can be its. */
static struct str last_forwarded(const struct http_request *req)
{
    struct str found = STR_EMPTY;
    const struct evkeyval *h;
    for (h = evhttp_request_get_input_headers(req->parsed)->tqh_first; h; h = h->next.tqe_next) {
        if (str_eq_nocase(str_of(h->key), S("X-Forwarded-For")))
            found = str_of(h->value);
    }
    return found;
}

struct str http_peer(const struct http_request *req)
{
    const struct http_connection *c = CONN_OF(req);
    struct str direct = str_of(c->peer.text), behind = {NULL, 0};
    if (peer_set_has(c->server->proxies, direct))
        behind = peer_forwarded(c->server->proxies, last_forwarded(req));
    return behind.ptr ? behind : direct;
}

struct str http_request_id(const struct http_request *req)
{
    return str_make(req->id, req->id_len);
}

int64_t http_arrived_us(const struct http_request *req)
{
    return req->arrived_us;
}

void http_set_arg(struct http_request *req, void *arg)
{
    req->arg = arg;
}

void *http_arg(const struct http_request *req)
{
    return req->arg;
}

void http_on_gone(struct http_request *req, void (*fn)(void *arg), void *arg)
{
    struct http_connection *c = CONN_OF(req);
    CHECK(req->open);
    req->gone_fn = fn;
    req->gone_arg = arg;
    if (fn && (c->eof || c->broken)) {
        c->tell_gone = true;
        conn_ready(c);
    }
}
