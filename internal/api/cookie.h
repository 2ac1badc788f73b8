/* The session's cookie, and what else a browser must send for it to count: an unsafe request must come from
 * our own pages and carry the session's token. Loop thread, but for cookie_find: any. */
#ifndef API_COOKIE_H
#define API_COOKIE_H

#include "base/err.h"
#include "base/str.h"

struct api_request;
struct secret;

#define COOKIE_SECURE "__Host-holdfast" /* over HTTPS: bound to the host, never sent in the clear */
#define COOKIE_PLAIN  "holdfast"        /* over plain HTTP, where browsers refuse the other */

/* Value of the cookie of that name in a Cookie header, "" none. */
struct str cookie_find(struct str header, const char *name);

/* A request that another site sent from a person's browser: ERR_CSRF by Sec-Fetch-Site, or by Origin where
 * the browser is too old for that. Clients that are no browsers send neither and pass. */
MUST_CHECK enum err_code cookie_check_site(const struct api_request *r, struct err *err);
/* "https://db.example.com": the public address, else the one that the request was sent to. Arena memory. */
struct str cookie_own_origin(struct api_request *r);
/* ERR_MISDIRECTED: without --public-url that address is what the client wrote into Host, and it is none that
 * this server knows to be its own. What others will believe (an issuer, a redirect) asks for this first. */
MUST_CHECK enum err_code cookie_check_host(const struct api_request *r, struct err *err);
/* Reads the session of a request: fills r->hash and r->csrf. ERR_UNAUTHORIZED, and ERR_CSRF on unsafe
 * methods. */
MUST_CHECK enum err_code cookie_read(struct api_request *r, struct err *err);

/* The same for a page, which shows something to strangers too: no session is no error (r->by_cookie false),
 * and the form's token is checked by the handler. ERR_CSRF. */
MUST_CHECK enum err_code cookie_read_page(struct api_request *r, struct err *err);

/* Headers of the reply: a new cookie, or an end of the one there is. */
void cookie_set(struct api_request *r, const struct secret *secret);
void cookie_clear(struct api_request *r);

#endif
