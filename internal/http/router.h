/* Finds the route of a path: a trie of segments, built once from the list of routes, walked without
 * allocating.
 *
 * A pattern is "/v1/db/{ns}/{db}/query": literal segments and {named} ones. A literal segment wins over a
 * named one, for good: what stands below the named one is then not tried, so a reserved word can never be
 * taken for a name. Empty segments are skipped ("//v1/me/" is "/v1/me"), nothing is redirected. Read-only
 * after router_new, so any thread may ask. */
#ifndef HTTP_ROUTER_H
#define HTTP_ROUTER_H

#include "base/arena.h"
#include "base/err.h"
#include "http/http.h"

#define ROUTE_PARAMS_MAX 8

struct route {
    enum http_method method;
    const char *pattern;
    bool head_too;    /* a GET that answers HEAD as well */
    const void *data; /* the caller's */
};

struct route_match {
    const struct route *route;
    struct str params[ROUTE_PARAMS_MAX]; /* decoded, in the order of the pattern */
    unsigned param_count;
    const char *allow; /* with ERR_METHOD: the methods of this path, for the Allow header; the router's */
};

struct router;

/* `routes` must outlive the router. A malformed pattern or the same route twice is a bug and aborts. */
struct router *router_new(const struct route *routes, size_t count);
void router_free(struct router *r);

/* Params point into `path`, or into `arena` where they had escapes. ERR_NOT_FOUND; ERR_METHOD (with allow
 * set); ERR_INVALID: a bad escape; ERR_TOO_LARGE: the arena is full. */
MUST_CHECK enum err_code router_find(const struct router *r, enum http_method method, struct str path,
    struct arena *arena, struct route_match *ret, struct err *err);

/* Value of the named param, "" where the route's pattern has none of that name: no segment is empty. */
struct str route_param(const struct route_match *m, const char *name);

#endif
