/* The yardstick of `make bench`: evhttp on a default event base that answers every request with one constant
 * JSON reply of the size of a point read's. Usage: bare_evhttp; prints its port. Ends when standard input
 * closes. */
#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

static const char reply[] =
    "{\"success\":true,\"data\":{\"columns\":[\"id\",\"email\"],\"rows\":[[4242,\"user4242@example.com\"]],"
    "\"rowsRead\":1,\"rowsWritten\":0},\"meta\":{\"rowsRead\":1,\"rowsWritten\":0,\"durationMs\":0.021,"
    "\"statementCount\":1,\"costUsd\":0.000000505,\"queryLogId\":\"ql_01jd0000000000000000000000\"}}";

static void on_request(struct evhttp_request *req, void *arg)
{
    (void)arg;
    evhttp_add_header(evhttp_request_get_output_headers(req), "Content-Type", "application/json");
    struct evbuffer *out = evhttp_request_get_output_buffer(req);
    if (evbuffer_add(out, reply, sizeof(reply) - 1) != 0)
        abort();
    evhttp_send_reply(req, HTTP_OK, "OK", NULL);
}

static void on_stdin(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    event_base_loopbreak(arg);
}

int main(void)
{
    struct event_base *base = event_base_new();
    struct evhttp *http = evhttp_new(base);
    evhttp_set_gencb(http, on_request, NULL);
    struct evhttp_bound_socket *bound = evhttp_bind_socket_with_handle(http, "127.0.0.1", 0);
    if (!bound)
        return 1;
    struct sockaddr_in sin = {0};
    socklen_t len = sizeof(sin);
    if (getsockname(evhttp_bound_socket_get_fd(bound), (struct sockaddr *)&sin, &len) != 0)
        return 1;
    printf("%d\n", ntohs(sin.sin_port));
    fflush(stdout);
    event_add(event_new(base, 0, EV_READ, on_stdin, base), NULL);
    event_base_dispatch(base);
    return 0;
}
