/* Absolute addresses of the web, in the one spelling that every reader takes for the same: scheme and host in
 * lower case, no user, no backslash, nothing beyond ASCII. Whoever compares or allows addresses asks here, so
 * that no two parts of the server read one differently. Any thread. */
#ifndef BASE_URL_H
#define BASE_URL_H

#include "base/attr.h"
#include "base/str.h"

struct url {
    bool tls;              /* https */
    struct str host, port; /* an IPv6 host keeps its brackets; port "" none */
    struct str rest;       /* from the path on */
};

/* false without https:// or http:// in front, without a host and for a port that is none. Nothing else is
 * looked at: see url_well_spelled(). */
MUST_CHECK bool url_split(struct str text, struct url *ret);

/* Printable ASCII without white space, quotes, brackets that no address has, backslashes and wildcards. */
bool url_plain_text(struct str text);
/* Lower-case letters, digits, dots and dashes; or an IPv6 address in brackets. */
bool url_plain_host(struct str host);
/* A path that a browser or a library would rewrite (/./, /../, /%2e…) is not the one that was meant. */
bool url_plain_path(struct str rest);
/* All of it: can be split, is plain, has no fragment. */
MUST_CHECK bool url_well_spelled(struct str text, struct url *ret);

/* Same scheme, host and port; 80 and 443 may be left out. */
bool url_same_origin(const struct url *a, const struct url *b);

#endif
