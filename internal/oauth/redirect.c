/* Redirect addresses: what may be registered, and what equals it. */
#include "oauth/oauth.h"

#include "base/enc.h"

struct parts {
    bool tls;
    struct str host, port; /* port "" none */
    struct str rest;       /* from the path on */
};

static bool is_port(struct str s)
{
    int64_t number;
    return s.len && s.ptr[0] != '0' && str_to_i64(s, 1, 65535, &number);
}

/* Host and port up to the first of "/?". An IPv6 host keeps its brackets. */
static bool split_authority(struct str text, struct parts *ret)
{
    size_t end = 0, colon = SIZE_MAX;
    bool bracket = false;

    for (; end < text.len && !strchr("/?#", text.ptr[end]); end++) {
        char c = text.ptr[end];
        bracket = c == '[' || (bracket && c != ']');
        if (c == ':' && !bracket)
            colon = end;
    }
    ret->rest = str_slice(text, end, text.len);
    ret->host = str_slice(text, 0, colon == SIZE_MAX ? end : colon);
    ret->port = colon == SIZE_MAX ? STR_EMPTY : str_slice(text, colon + 1, end);
    return ret->host.len && (colon == SIZE_MAX || is_port(ret->port));
}

static bool split(struct str uri, struct parts *ret)
{
    ret->tls = str_starts(uri, S("https://"));
    if (!ret->tls && !str_starts(uri, S("http://")))
        return false;
    return split_authority(str_slice(uri, ret->tls ? 8 : 7, uri.len), ret);
}

static bool is_this_machine(struct str host)
{
    return str_eq(host, S("127.0.0.1")) || str_eq(host, S("[::1]")) || str_eq(host, S("localhost"));
}

static bool host_valid(struct str host)
{
    if (host.ptr[0] == '[')
        return str_eq(host, S("[::1]"));
    for (size_t i = 0; i < host.len; i++) {
        char c = host.ptr[i];
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.'))
            return false;
    }
    return true;
}

static bool plain_text(struct str uri)
{
    for (size_t i = 0; i < uri.len; i++) {
        unsigned char c = (unsigned char)uri.ptr[i];
        if (c <= 0x20 || c >= 0x7f || strchr("\"'<>\\^`{|}*", c))
            return false;
    }
    return true;
}

/* A path that a browser would rewrite is not the one that was registered. */
static bool path_plain(struct str path)
{
    struct str part;

    while (str_cut(&path, '/', &part)) {
        if (str_eq(part, S(".")) || str_eq(part, S("..")) || str_starts_nocase(part, S("%2e")))
            return false;
    }
    return true;
}

const char *redirect_check(struct str uri)
{
    struct parts p;

    if (uri.len > REDIRECT_BYTES_MAX)
        return "A redirect URI has at most 1024 bytes";
    if (!plain_text(uri))
        return "A redirect URI has no white space, quotes, wildcards or characters beyond ASCII";
    for (size_t i = 0; i < uri.len; i++)
        if (uri.ptr[i] == '#')
            return "A redirect URI has no fragment";
    if (!split(uri, &p))
        return "A redirect URI is absolute and begins with https://, or with http:// on this machine";
    if (!host_valid(p.host))
        return "A redirect URI has a host in lower case, and no user or password";
    if (!p.tls && !is_this_machine(p.host))
        return "Plain http is for 127.0.0.1, [::1] and localhost alone";
    return path_plain(p.rest) ? NULL : "A redirect URI has no . or .. in its path";
}

bool redirect_is_loopback(struct str uri)
{
    struct parts p;
    return split(uri, &p) && !p.tls && is_this_machine(p.host);
}

bool redirect_matches(struct str registered, struct str given)
{
    struct parts a, b;

    if (str_eq(registered, given))
        return true;
    if (!split(registered, &a) || !split(given, &b) || a.tls || b.tls || !is_this_machine(a.host))
        return false;
    return str_eq(a.host, b.host) && str_eq(a.rest, b.rest);
}

struct str redirect_origin(struct str uri)
{
    struct parts p;

    if (!split(uri, &p))
        return uri;
    return str_slice(uri, 0, uri.len - p.rest.len);
}
