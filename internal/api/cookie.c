/* See cookie.h. */
#include "api/cookie.h"

#include "account/session.h"
#include "api/request.h"
#include "base/check.h"
#include "base/limits.h"
#include "base/mem.h"

#define COOKIE_LINE_MAX 512

static const char *cookie_name(const struct api *api)
{
    return api->secure ? COOKIE_SECURE : COOKIE_PLAIN;
}

struct str cookie_find(struct str header, const char *name)
{
    struct str part, key;
    while (header.ptr && str_cut(&header, ';', &part)) {
        struct str value = str_trim(part);
        if (str_cut(&value, '=', &key) && value.ptr && str_eq(key, str_of(name)))
            return value;
    }
    return STR_EMPTY;
}

/* "https://db.example.com/path" and "https://db.example.com" have the same origin. */
static struct str origin_of(struct str url)
{
    size_t slashes = 0;
    for (size_t i = 0; i < url.len; i++)
        if (url.ptr[i] == '/' && ++slashes == 3)
            return str_slice(url, 0, i);
    return url;
}

static bool is_own_origin(const struct api_request *r, struct str origin)
{
    struct str host = http_header(r->http, "Host"), rest = origin;
    struct str scheme = r->api->opt.https ? S("https://") : S("http://");
    if (origin.len && str_eq_nocase(origin, origin_of(str_of(r->api->opt.public_url))))
        return true;
    if (!str_starts_nocase(origin, scheme))
        return false;
    rest = str_slice(origin, scheme.len, origin.len);
    return host.ptr && rest.len && str_eq_nocase(rest, host);
}

struct str cookie_own_origin(struct api_request *r)
{
    struct str host = http_header(r->http, "Host");
    if (r->api->opt.public_url[0])
        return origin_of(str_of(r->api->opt.public_url));
    return arena_printf(&r->arena, "%s" STR_FMT, r->api->opt.https ? "https://" : "http://",
        STR_ARG(host.ptr ? host : STR_EMPTY));
}

enum err_code cookie_check_host(const struct api_request *r, struct err *err)
{
    if (r->api->opt.public_url[0] || http_host_is_own(r->http))
        return ERR_OK;
    return err_set(err, ERR_MISDIRECTED,
        "The Host header does not name an address of this server, and it was not told its name: start it "
        "with "
        "--public-url https://…, which is then the issuer");
}

enum err_code cookie_check_site(const struct api_request *r, struct err *err)
{
    struct str site = http_header(r->http, "Sec-Fetch-Site"), origin = http_header(r->http, "Origin");
    if (site.ptr && !str_eq(site, S("same-origin")) && !str_eq(site, S("none")))
        return err_set(err, ERR_CSRF, "A page of another site sent this request");
    if (origin.ptr && !is_own_origin(r, origin))
        return err_set(err, ERR_CSRF, "A page of another origin sent this request; see --public-url");
    return ERR_OK;
}

static enum err_code check_token(const struct api_request *r, struct err *err)
{
    struct str given = http_header(r->http, "X-CSRF-Token");
    if (!given.ptr || !secret_eq(given, str_of(r->csrf)))
        return err_set(err, ERR_CSRF,
            "Send the header X-CSRF-Token with the csrfToken that GET /api/auth/get-session answers");
    return ERR_OK;
}

enum err_code cookie_read(struct api_request *r, struct err *err)
{
    struct str secret = cookie_find(http_header(r->http, "Cookie"), cookie_name(r->api));
    enum err_code rc = session_parse(secret, &r->hash, err);
    if (rc)
        return rc;
    session_csrf(secret, r->csrf);
    if (r->route->method == HTTP_GET)
        return ERR_OK;
    rc = cookie_check_site(r, err);
    return rc ? rc : check_token(r, err);
}

enum err_code cookie_read_page(struct api_request *r, struct err *err)
{
    struct str secret = cookie_find(http_header(r->http, "Cookie"), cookie_name(r->api));
    r->by_cookie = session_parse(secret, &r->hash, NULL) == ERR_OK;
    if (r->by_cookie)
        session_csrf(secret, r->csrf);
    return r->route->method == HTTP_GET ? ERR_OK : cookie_check_site(r, err);
}

static void set(struct api_request *r, struct str value, int64_t max_age_s)
{
    AUTO_STRBUF line;
    strbuf_init(&line, COOKIE_LINE_MAX);
    CHECK(strbuf_reserve(&line, COOKIE_LINE_MAX)); /* at once, so that growing leaves no copies behind */
    strbuf_addf(&line, "%s=" STR_FMT "; Path=/; HttpOnly; SameSite=Lax; Max-Age=%lld%s", cookie_name(r->api),
        STR_ARG(value), (long long)max_age_s, r->api->secure ? "; Secure" : "");
    CHECK(!strbuf_failed(&line));
    http_set_header(r->http, "Set-Cookie", strbuf_str(&line));
    mem_wipe(line.buf, line.len);
}

void cookie_set(struct api_request *r, const struct secret *secret)
{
    char csrf[SESSION_CSRF_SIZE];
    set(r, secret_reveal(secret), LIMIT_SESSION_MS / 1000);
    session_csrf(secret_reveal(secret), csrf);
    http_set_header(r->http, "X-CSRF-Token", str_of(csrf)); /* it changed with the secret */
}

void cookie_clear(struct api_request *r)
{
    set(r, STR_EMPTY, 0);
}
