/* See url.h. */
#include "base/url.h"

#define HTTP  "http://"
#define HTTPS "https://"

static bool is_port(struct str s)
{
    int64_t number;
    return s.len && s.ptr[0] != '0' && str_to_i64(s, 1, UINT16_MAX, &number);
}

/* Host and port up to the first of "/?#". */
static bool split_authority(struct str text, struct url *ret)
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

bool url_split(struct str text, struct url *ret)
{
    ret->tls = str_starts(text, S(HTTPS));
    if (!ret->tls && !str_starts(text, S(HTTP)))
        return false;
    return split_authority(str_slice(text, ret->tls ? strlen(HTTPS) : strlen(HTTP), text.len), ret);
}

bool url_plain_text(struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if (c <= 0x20 || c >= 0x7f || strchr("\"'<>\\^`{|}*", c))
            return false;
    }
    return true;
}

static bool all_of(struct str s, const char *marks, char last_letter)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        if (!((c >= 'a' && c <= last_letter) || (c >= '0' && c <= '9') || strchr(marks, c)) || c == '\0')
            return false;
    }
    return s.len > 0;
}

bool url_plain_host(struct str host)
{
    if (host.len > 2 && host.ptr[0] == '[' && host.ptr[host.len - 1] == ']')
        return all_of(str_slice(host, 1, host.len - 1), ":.", 'f');
    return all_of(host, "-.", 'z');
}

bool url_plain_path(struct str rest)
{
    struct str part;

    while (str_cut(&rest, '/', &part)) {
        if (str_eq(part, S(".")) || str_eq(part, S("..")) || str_starts_nocase(part, S("%2e")))
            return false;
    }
    return true;
}

bool url_well_spelled(struct str text, struct url *ret)
{
    return url_plain_text(text) && url_split(text, ret) && url_plain_host(ret->host) &&
           url_plain_path(ret->rest) && (!ret->rest.len || !memchr(ret->rest.ptr, '#', ret->rest.len));
}

static struct str port_of(const struct url *u)
{
    if (u->port.len)
        return u->port;
    return u->tls ? S("443") : S("80");
}

bool url_same_origin(const struct url *a, const struct url *b)
{
    return a->tls == b->tls && str_eq(a->host, b->host) && str_eq(port_of(a), port_of(b));
}
