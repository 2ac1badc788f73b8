/* Requests of a command to a server that the person at the terminal named: blocking, one at a time, over
 * libcurl. Unlike the courier's they may go anywhere, for nobody else chose the address. No redirects: a
 * token goes to where it was meant for alone. One thread at a time. */
#ifndef HTTP_CLIENT_H
#define HTTP_CLIENT_H

#include "base/err.h"
#include "base/strbuf.h"

struct http_client;

struct http_client_options {
    struct str base;     /* "https://db.example.com", with a path if need be */
    struct str token;    /* sent as a bearer; "" none */
    const char *ca_file; /* PEM: trusted besides the system's certificates; NULL none */
};

/* Copies the options. ERR_INVALID: no such address, or a token with characters that none has.
 * ERR_UNAVAILABLE: libcurl cannot be loaded. */
MUST_CHECK enum err_code http_client_new(
    const struct http_client_options *opt, struct http_client **ret, struct err *err);
void http_client_free(struct http_client *c); /* NULL is fine */

/* `path` is appended to the base: "/v1/me". `body` is JSON, "" for none. *out gets the answer's body,
 * at most its limit. ERR_OK whatever the status is. ERR_UNAVAILABLE: no answer, with the reason;
 * ERR_TOO_LARGE. */
MUST_CHECK enum err_code http_client_send(struct http_client *c, const char *method, const char *path,
    struct str body, struct strbuf *out, int *ret_status, struct err *err);

#endif
