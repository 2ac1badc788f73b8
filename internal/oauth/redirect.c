/* Redirect addresses: what may be registered, and what equals it. */
#include "oauth/oauth.h"

#include "base/url.h"

static bool is_this_machine(struct str host)
{
    return str_eq(host, S("127.0.0.1")) || str_eq(host, S("[::1]")) || str_eq(host, S("localhost"));
}

static bool host_valid(struct str host)
{
    return host.ptr[0] == '[' ? str_eq(host, S("[::1]")) : url_plain_host(host);
}

const char *redirect_check(struct str uri)
{
    struct url p;

    if (uri.len > REDIRECT_BYTES_MAX)
        return "A redirect URI has at most 1024 bytes";
    if (!url_plain_text(uri))
        return "A redirect URI has no white space, quotes, wildcards or characters beyond ASCII";
    for (size_t i = 0; i < uri.len; i++)
        if (uri.ptr[i] == '#')
            return "A redirect URI has no fragment";
    if (!url_split(uri, &p))
        return "A redirect URI is absolute and begins with https://, or with http:// on this machine";
    if (!host_valid(p.host))
        return "A redirect URI has a host in lower case, and no user or password";
    if (!p.tls && !is_this_machine(p.host))
        return "Plain http is for 127.0.0.1, [::1] and localhost alone";
    return url_plain_path(p.rest) ? NULL : "A redirect URI has no . or .. in its path";
}

bool redirect_is_loopback(struct str uri)
{
    struct url p;
    return url_split(uri, &p) && !p.tls && is_this_machine(p.host);
}

bool redirect_matches(struct str registered, struct str given)
{
    struct url a, b;

    if (str_eq(registered, given))
        return true;
    if (!url_split(registered, &a) || !url_split(given, &b) || a.tls || b.tls || !is_this_machine(a.host))
        return false;
    return str_eq(a.host, b.host) && str_eq(a.rest, b.rest);
}

struct str redirect_origin(struct str uri)
{
    struct url p;

    if (!url_split(uri, &p))
        return uri;
    return str_slice(uri, 0, uri.len - p.rest.len);
}
