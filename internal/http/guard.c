/* See guard.h. Bytes are scanned once for what may stand in a head at all; each complete line is then read as
 * the request line, a header, or the end. */
#include "http/guard.h"
#include "base/check.h"

enum {
    METHOD_MAX = 16,
    VERSION_LEN = 8,
    FIRST_LINE_SLACK = METHOD_MAX + VERSION_LEN + 2,
    LENGTH_DIGITS_MAX = 18
};

/* C_TEXT: may stand in a header's value; C_TOKEN: in a name or a method (RFC 9110, 5.6.2); C_URI: in a
 * request target; C_HOST: in a host name, address or port. Bytes from 0x80 are legal in values alone. */
enum { C_TEXT = 1, C_TOKEN = 2, C_URI = 4, C_HOST = 8 };

#define T C_TEXT
#define N (C_TEXT | C_TOKEN | C_URI | C_HOST)
#define M (C_TEXT | C_TOKEN | C_URI)
#define P (C_TEXT | C_URI)
#define H (C_TEXT | C_URI | C_HOST)
/* clang-format off */
static const unsigned char CLASS[256] = {
    0, 0, 0, 0, 0, 0, 0, 0, 0, T, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    T, M, P, M, M, M, M, M, P, P, M, M, P, N, N, P,
    N, N, N, N, N, N, N, N, N, N, H, P, P, P, P, P,
    P, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N,
    N, N, N, N, N, N, N, N, N, N, N, H, P, H, M, N,
    M, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N,
    N, N, N, N, N, N, N, N, N, N, N, P, M, P, M, 0,
    T, T, T, T, T, T, T, T, T, T, T, T, T, T, T, T,
    T, T, T, T, T, T, T, T, T, T, T, T, T, T, T, T,
    T, T, T, T, T, T, T, T, T, T, T, T, T, T, T, T,
    T, T, T, T, T, T, T, T, T, T, T, T, T, T, T, T,
    T, T, T, T, T, T, T, T, T, T, T, T, T, T, T, T,
    T, T, T, T, T, T, T, T, T, T, T, T, T, T, T, T,
    T, T, T, T, T, T, T, T, T, T, T, T, T, T, T, T,
    T, T, T, T, T, T, T, T, T, T, T, T, T, T, T, T,
};
/* clang-format on */
#undef T
#undef N
#undef M
#undef P
#undef H

/* Headers the guard acts on. ONCE: a second one would let two readers see different requests. */
enum known {
    K_NONE,
    K_CONNECTION,
    K_ONCE,
    K_HOST = K_ONCE,
    K_CONTENT_LENGTH,
    K_TRANSFER_ENCODING,
    K_EXPECT,
    K_CONTENT_ENCODING,
    K_CONTENT_TYPE,
    K_OTHER_ONCE
};

struct known_header {
    struct str name;
    enum known what;
    const char *twice;
};

/* A string literal's view in a constant table, where S() is not allowed. */
#define LIT(z)                                                                                               \
    {                                                                                                        \
        (z), sizeof(z) - 1                                                                                   \
    }

static const struct known_header KNOWN[] = {
    {LIT("connection"), K_CONNECTION, NULL},
    {LIT("host"), K_HOST, "the Host header is given twice"},
    {LIT("content-length"), K_CONTENT_LENGTH, "the Content-Length header is given twice"},
    {LIT("transfer-encoding"), K_TRANSFER_ENCODING, "the Transfer-Encoding header is given twice"},
    {LIT("expect"), K_EXPECT, "the Expect header is given twice"},
    {LIT("content-encoding"), K_CONTENT_ENCODING, "the Content-Encoding header is given twice"},
    {LIT("authorization"), K_OTHER_ONCE, "the Authorization header is given twice"},
    {LIT("content-type"), K_CONTENT_TYPE, "the Content-Type header is given twice"},
    {LIT("cookie"), K_OTHER_ONCE, "the Cookie header is given twice"},
    {LIT("origin"), K_OTHER_ONCE, "the Origin header is given twice"},
    {LIT("idempotency-key"), K_OTHER_ONCE, "the Idempotency-Key header is given twice"},
    {LIT("plan-key"), K_OTHER_ONCE, "the Plan-Key header is given twice"},
    {LIT("plan-step"), K_OTHER_ONCE, "the Plan-Step header is given twice"},
};

void guard_init(struct guard *g, const struct guard_limits *limits)
{
    size_t first = limits->uri_max + FIRST_LINE_SLACK;
    *g = (struct guard){.limits = *limits, .stop = first < limits->head_max ? first : limits->head_max};
}

static enum guard_status bad(struct guard *g, enum err_code code, const char *reason)
{
    g->code = code;
    g->reason = reason;
    return GUARD_BAD;
}

static enum guard_status too_long(
    struct guard *g, enum err_code code, const char *reason, size_t limit, size_t actual)
{
    g->limit = limit;
    g->actual = actual;
    return bad(g, code, reason);
}

static bool all_of(struct str s, unsigned char wanted)
{
    for (size_t i = 0; i < s.len; i++) {
        if (!(CLASS[(unsigned char)s.ptr[i]] & wanted))
            return false;
    }
    return true;
}

static struct str span_of(const char *head, struct guard_span at)
{
    return str_make(head + at.at, at.len);
}

static void hide(struct guard *g, size_t at, size_t len)
{
    CHECK(g->hidden_count < GUARD_HIDDEN_MAX);
    g->hidden[g->hidden_count++] = (struct guard_span){at, len};
}

static enum guard_status read_method(struct guard *g, struct str name)
{
    if (name.len == 0 || name.len > METHOD_MAX || !all_of(name, C_TOKEN))
        return bad(g, ERR_INVALID, "the request line does not begin with a method");
    for (int m = 0; m < HTTP_METHOD_COUNT; m++) {
        if (str_eq(name, str_of(http_method_name((enum http_method)m)))) {
            g->method = (enum http_method)m;
            return GUARD_MORE;
        }
    }
    if (str_eq(name, S("TRACE")) || str_eq(name, S("CONNECT")))
        return bad(g, ERR_METHOD, "the method is not allowed here");
    return bad(g, ERR_NOT_IMPLEMENTED, "the method is not known");
}

static enum guard_status read_version(struct guard *g, struct str v)
{
    if (str_eq(v, S("HTTP/1.1")))
        return GUARD_MORE;
    if (str_eq(v, S("HTTP/1.0"))) {
        g->http_1_0 = g->close = true;
        return GUARD_MORE;
    }
    if (v.len == VERSION_LEN && str_starts(v, S("HTTP/")) && v.ptr[6] == '.')
        return bad(g, ERR_HTTP_VERSION, "the server speaks HTTP/1.1 and HTTP/1.0");
    return bad(g, ERR_INVALID, "the request line is not: method, one space, target, one space, HTTP/1.1");
}

/* Cuts "http://authority" off, so that one form reaches the routes; the authority is compared with Host at
 * the end. */
static enum guard_status read_absolute(struct guard *g, struct str *target, size_t *at)
{
    size_t scheme = str_starts_nocase(*target, S("http://"))    ? 7
                    : str_starts_nocase(*target, S("https://")) ? 8
                                                                : 0;
    struct str rest = str_slice(*target, scheme, target->len);
    const char *slash = scheme ? memchr(rest.ptr, '/', rest.len) : NULL;
    if (!slash)
        return bad(g, ERR_INVALID, "the request target must begin with a slash");
    g->authority = (struct guard_span){*at + scheme, (size_t)(slash - rest.ptr)};
    if (g->authority.len == 0 || !all_of(str_make(rest.ptr, g->authority.len), C_HOST))
        return bad(g, ERR_INVALID, "the host in the request target is malformed");
    size_t cut = scheme + g->authority.len;
    *target = str_slice(*target, cut, target->len);
    *at += cut;
    return GUARD_MORE;
}

static enum guard_status read_target(struct guard *g, struct str target, size_t at)
{
    size_t from = at;
    if (target.len > g->limits.uri_max)
        return too_long(g, ERR_URI_TOO_LONG, "the request target is too long", g->limits.uri_max, target.len);
    if (!all_of(target, C_URI) || memchr(target.ptr, '#', target.len))
        return bad(g, ERR_INVALID, "the request target has a byte that must be percent-encoded");
    if (!(g->method == HTTP_OPTIONS && str_eq(target, S("*"))) && !str_starts(target, S("/")) &&
        read_absolute(g, &target, &at) == GUARD_BAD)
        return GUARD_BAD;
    for (; str_starts(target, S("//")); at++) /* evhttp would read a host from "//host/path" */
        target = str_slice(target, 1, target.len);
    if (at > from)
        hide(g, from, at - from);
    g->target = (struct guard_span){at, target.len};
    return GUARD_MORE;
}

static enum guard_status read_request_line(struct guard *g, struct str line)
{
    struct str rest = line, method, target;
    if (!str_cut(&rest, ' ', &method) || !rest.ptr || !str_cut(&rest, ' ', &target) || !rest.ptr)
        return bad(g, ERR_INVALID, "the request line is not: method, one space, target, one space, HTTP/1.1");
    if (target.len == 0 || memchr(line.ptr, '\t', line.len))
        return bad(g, ERR_INVALID, "the request line is not: method, one space, target, one space, HTTP/1.1");
    if (read_version(g, rest) == GUARD_BAD || read_method(g, method) == GUARD_BAD)
        return GUARD_BAD;
    return read_target(g, target, g->line + (size_t)(target.ptr - line.ptr));
}

static enum guard_status read_length(struct guard *g, struct str value)
{
    if (value.len == 0 || value.len > LENGTH_DIGITS_MAX)
        return bad(g, ERR_INVALID, "Content-Length must be a decimal number of at most 18 digits");
    for (size_t i = 0; i < value.len; i++) {
        if (value.ptr[i] < '0' || value.ptr[i] > '9')
            return bad(g, ERR_INVALID, "Content-Length must be a decimal number of at most 18 digits");
        g->content_length = g->content_length * 10 + (uint64_t)(value.ptr[i] - '0');
    }
    g->has_length = true;
    return GUARD_MORE;
}

static void read_transfer_encoding(struct guard *g, struct str value)
{
    struct str last = STR_EMPTY, rest = value;
    while (str_cut(&rest, ',', &last)) {
    }
    g->transfer_encoding = true;
    g->chunked = str_eq_nocase(value, S("chunked"));
    g->chunked_last = str_eq_nocase(str_trim(last), S("chunked"));
}

static void read_connection(struct guard *g, struct str value)
{
    struct str part;
    while (str_cut(&value, ',', &part)) {
        if (str_eq_nocase(str_trim(part), S("close")))
            g->close = true;
    }
}

static enum guard_status read_host(struct guard *g, struct str value, size_t at)
{
    if (value.len == 0 || !all_of(value, C_HOST))
        return bad(g, ERR_INVALID, "the Host header is malformed");
    g->host = (struct guard_span){at, value.len};
    return GUARD_MORE;
}

/* Text is taken as UTF-8 everywhere; whoever says that his is not would find other characters in his
 * database. */
static void read_charset(struct guard *g, struct str value)
{
    struct str part, name;
    while (str_cut(&value, ';', &part)) {
        if (!str_cut(&part, '=', &name) || !part.ptr || !str_eq_nocase(str_trim(name), S("charset")))
            continue;
        part = str_trim(part);
        if (part.len >= 2 && part.ptr[0] == '"' && part.ptr[part.len - 1] == '"')
            part = str_slice(part, 1, part.len - 1);
        g->foreign_charset = !str_eq_nocase(part, S("utf-8")) && !str_eq_nocase(part, S("utf8")) &&
                             !str_eq_nocase(part, S("us-ascii"));
    }
}

static const struct known_header *find_known(struct str name)
{
    for (size_t i = 0; i < ARRAY_LEN(KNOWN); i++) {
        if (name.len == KNOWN[i].name.len && str_eq_nocase(name, KNOWN[i].name))
            return &KNOWN[i];
    }
    return NULL;
}

static enum guard_status read_known(
    struct guard *g, const struct known_header *k, struct str value, size_t at, size_t line_len)
{
    uint32_t bit = (uint32_t)1 << (k - KNOWN);
    if (k->twice && (g->seen & bit))
        return bad(g, ERR_INVALID, k->twice);
    g->seen |= bit;
    switch (k->what) {
    case K_HOST: return read_host(g, value, at);
    case K_CONTENT_LENGTH: hide(g, g->line, line_len); return read_length(g, value);
    case K_TRANSFER_ENCODING:
        hide(g, g->line, line_len);
        read_transfer_encoding(g, value);
        return GUARD_MORE;
    case K_CONNECTION: read_connection(g, value); return GUARD_MORE;
    case K_CONTENT_TYPE: read_charset(g, value); return GUARD_MORE;
    case K_CONTENT_ENCODING: g->encoded = !str_eq_nocase(value, S("identity")); return GUARD_MORE;
    case K_EXPECT:
        hide(g, g->line, line_len);
        g->expect_continue = str_eq_nocase(value, S("100-continue"));
        return g->expect_continue ? GUARD_MORE
                                  : bad(g, ERR_INVALID, "the only Expect header understood is 100-continue");
    default: return GUARD_MORE;
    }
}

static struct str trim_blanks(struct str s)
{
    while (s.len && (s.ptr[s.len - 1] == ' ' || s.ptr[s.len - 1] == '\t'))
        s.len--;
    while (s.len && (s.ptr[0] == ' ' || s.ptr[0] == '\t')) {
        s.ptr++;
        s.len--;
    }
    return s;
}

static enum guard_status read_header(struct guard *g, struct str line)
{
    const char *colon = memchr(line.ptr, ':', line.len);
    if (line.ptr[0] == ' ' || line.ptr[0] == '\t')
        return bad(g, ERR_INVALID, "a header is folded over two lines");
    if (!colon)
        return bad(g, ERR_INVALID, "a header line has no colon");
    struct str name = str_make(line.ptr, (size_t)(colon - line.ptr));
    if (name.len && (colon[-1] == ' ' || colon[-1] == '\t'))
        return bad(g, ERR_INVALID, "a header has a space before its colon");
    if (name.len == 0 || !all_of(name, C_TOKEN))
        return bad(g, ERR_INVALID, "a header's name is malformed");
    if (g->lines > GUARD_HEADERS_MAX)
        return bad(g, ERR_HEADERS_TOO_LARGE, "the request has more than 100 headers");
    const struct known_header *k = find_known(name);
    if (!k)
        return GUARD_MORE;
    struct str value = trim_blanks(str_slice(line, name.len + 1, line.len));
    return read_known(g, k, value, g->line + (size_t)(value.ptr - line.ptr), line.len + 2);
}

static enum guard_status finish_content(struct guard *g)
{
    if (g->content_length == 0 && !g->transfer_encoding)
        return GUARD_DONE;
    if (g->encoded)
        return bad(
            g, ERR_MEDIA_TYPE, "a request body must not be compressed: send it without Content-Encoding");
    if (g->foreign_charset)
        return bad(g, ERR_MEDIA_TYPE, "the charset of a request body must be utf-8");
    return GUARD_DONE;
}

/* RFC 9112, 6.3. evhttp buffers chunks without a bound, so it is not shown that there are any. */
static enum guard_status finish_framing(struct guard *g)
{
    if (!g->transfer_encoding)
        return GUARD_DONE;
    if (g->has_length)
        return bad(g, ERR_INVALID, "Transfer-Encoding and Content-Length exclude each other");
    if (g->http_1_0)
        return bad(g, ERR_INVALID, "HTTP/1.0 has no Transfer-Encoding");
    if (g->chunked)
        return GUARD_DONE;
    if (g->chunked_last)
        return bad(g, ERR_NOT_IMPLEMENTED,
            "the transfer encoding is not implemented: send chunked alone, or Content-Length");
    return bad(g, ERR_INVALID, "the transfer encoding does not end with chunked");
}

static enum guard_status finish(struct guard *g, const char *head)
{
    struct str host = span_of(head, g->host), authority = span_of(head, g->authority);
    if (host.len == 0 && !g->http_1_0)
        return bad(g, ERR_INVALID, "the Host header is missing");
    if (authority.len && host.len && !str_eq_nocase(host, authority))
        return bad(g, ERR_MISDIRECTED, "the request target names another host than the Host header");
    g->head_len = g->pos;
    return finish_framing(g) == GUARD_BAD ? GUARD_BAD : finish_content(g);
}

/* `end`: where the line's CR stands. */
static enum guard_status read_line(struct guard *g, const char *head, size_t end)
{
    struct str line = str_make(head + g->line, end - g->line);
    if (g->lines == 0 && line.len == 0) {
        if (g->line > 0)
            return bad(g, ERR_INVALID, "the request begins with empty lines");
        hide(g, 0, 2); /* one is tolerated, as RFC 9112, 2.2 asks */
        g->stop += 2;
        return GUARD_MORE;
    }
    if (line.len == 0)
        return finish(g, head);
    enum guard_status st = g->lines == 0 ? read_request_line(g, line) : read_header(g, line);
    g->lines++;
    g->stop = g->limits.head_max;
    return st;
}

static enum guard_status bad_byte(struct guard *g, unsigned char c)
{
    if (c == '\n')
        return bad(g, ERR_INVALID, "a line ends with a bare LF; lines end with CR LF");
    return bad(g, ERR_INVALID,
        c == 0 ? "the head of the request has a NUL byte" : "the head of the request has a control byte");
}

enum guard_status guard_read(struct guard *g, const char *head, size_t len)
{
    while (g->pos < len && g->pos < g->stop) {
        unsigned char c = (unsigned char)head[g->pos];
        if (CLASS[c]) {
            g->pos++;
            continue;
        }
        if (c != '\r')
            return bad_byte(g, c);
        if (g->pos + 1 == len)
            return GUARD_MORE;
        if (head[g->pos + 1] != '\n')
            return bad(g, ERR_INVALID, "the head of the request has a bare CR");
        size_t end = g->pos;
        g->pos += 2;
        enum guard_status st = read_line(g, head, end);
        if (st != GUARD_MORE)
            return st;
        g->line = g->pos;
    }
    if (g->pos < g->stop)
        return GUARD_MORE;
    return g->lines == 0
               ? too_long(g, ERR_URI_TOO_LONG, "the request target is too long", g->limits.uri_max, 0)
               : too_long(
                     g, ERR_HEADERS_TOO_LARGE, "the head of the request is too large", g->limits.head_max, 0);
}
