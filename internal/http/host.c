/* See host.h. */
#include "http/host.h"
#include "http/http_internal.h"
#include <netinet/in.h>
#include <sys/socket.h>

enum { PORT_HTTP = 80, PORT_HTTPS = 443, PORT_MAX = 65535 };

/* "name:8080", "[::1]:8080", without the port too; *ret_port -1: none. */
static bool split(struct str host, struct str *ret_name, int64_t *ret_port)
{
    bool literal = host.len > 0 && host.ptr[0] == '[';
    const char *end = literal ? memchr(host.ptr, ']', host.len) : memchr(host.ptr, ':', host.len);
    size_t name_len = end ? (size_t)(end - host.ptr) : host.len;
    if (literal && !end)
        return false;
    *ret_name = str_slice(host, literal ? 1 : 0, name_len);
    struct str rest = str_slice(host, name_len + (literal ? 1 : 0), host.len);
    *ret_port = -1;
    return rest.len == 0 ||
           (rest.ptr[0] == ':' && str_to_i64(str_slice(rest, 1, rest.len), 1, PORT_MAX, ret_port));
}

static bool is_same(const struct peer *a, const struct peer *b)
{
    return a->key_len > 0 && strcmp(a->text, b->text) == 0;
}

bool host_is_own(struct str host, const struct host_place *at)
{
    struct str name;
    struct peer said, listen;
    int64_t port;
    if (!split(host, &name, &port))
        return false;
    bool numeric = peer_parse(name, &said);
    if (host.len && host.ptr[0] == '[' && !numeric)
        return false;
    if (str_eq_nocase(name, S("localhost")) || (numeric && said.loopback))
        return true;
    if ((port < 0 ? (at->https ? PORT_HTTPS : PORT_HTTP) : port) != at->port)
        return false;
    if (numeric && is_same(&said, &at->local))
        return true;
    bool listens = at->listen && (numeric && peer_parse(str_of(at->listen), &listen)
                                         ? is_same(&said, &listen)
                                         : name.len > 0 && str_eq_nocase(name, str_of(at->listen)));
    return listens;
}

bool http_host_is_own(const struct http_request *req)
{
    const struct http_connection *c = CONN_OF(req);
    struct str host = http_header(req, "Host");
    struct host_place at = {
        .listen = c->server->listen_host, .port = http_server_port(c->server), .https = c->tls != NULL};
    if (c->fd >= 0)
        (void)peer_local(c->fd, &at.local); /* unknown is nobody's */
    return host.ptr && host_is_own(host, &at);
}
