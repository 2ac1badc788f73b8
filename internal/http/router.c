/* See router.h. Nodes are allocated at start and never change; a node has few children, so they are scanned
 * in line. */
#include "http/router.h"
#include "base/check.h"
#include "base/enc.h"
#include "base/mem.h"

enum { SEGMENTS_MAX = 32, ALLOW_MAX = 64, SEGMENT_BYTES_MAX = 4096 };

struct node {
    struct str literal; /* of the pattern; what leads here from the parent */
    struct node *next;  /* sibling */
    struct node *child; /* first literal child */
    struct node *named; /* child that takes any segment */
    const struct route *routes[HTTP_METHOD_COUNT];
    char *allow; /* "GET, POST"; NULL: no route ends here */
};

struct router {
    struct node *root;
};

static bool next_segment(struct str *rest, struct str *ret_segment)
{
    while (str_cut(rest, '/', ret_segment)) {
        if (ret_segment->len > 0)
            return true;
    }
    return false;
}

static bool is_named(struct str segment)
{
    return segment.ptr[0] == '{';
}

static struct node *find_literal(const struct node *n, struct str segment)
{
    struct node *c = n->child;
    while (c && !str_eq(c->literal, segment))
        c = c->next;
    return c;
}

static struct node *child_of(struct node *parent, struct str segment)
{
    struct node *n = is_named(segment) ? parent->named : find_literal(parent, segment);
    if (n)
        return n;
    n = MEM_NEW(struct node);
    n->literal = segment;
    if (is_named(segment)) {
        CHECK(segment.len > 2 && str_ends(segment, S("}")));
        parent->named = n;
    } else {
        n->next = parent->child;
        parent->child = n;
    }
    return n;
}

static void put_route(struct node *n, enum http_method method, const struct route *r)
{
    AUTO_STRBUF allow;
    strbuf_init(&allow, ALLOW_MAX);
    CHECK(!n->routes[method]); /* the same route twice */
    n->routes[method] = r;
    for (int m = 0; m < HTTP_METHOD_COUNT; m++) {
        if (n->routes[m]) {
            strbuf_add_cstr(&allow, allow.len ? ", " : "");
            strbuf_add_cstr(&allow, http_method_name((enum http_method)m));
        }
    }
    CHECK(!strbuf_failed(&allow));
    mem_free(n->allow);
    n->allow = strbuf_detach(&allow, NULL);
}

static void add_route(struct router *r, const struct route *route)
{
    struct str rest = str_of(route->pattern), segment;
    struct node *n = r->root;
    unsigned named = 0, segments = 0;
    CHECK(str_starts(rest, S("/")));
    while (next_segment(&rest, &segment)) {
        n = child_of(n, segment);
        named += is_named(segment);
        segments++;
    }
    CHECK(named <= ROUTE_PARAMS_MAX);
    CHECK(segments <= SEGMENTS_MAX);
    put_route(n, route->method, route);
    if (route->head_too)
        put_route(n, HTTP_HEAD, route);
}

struct router *router_new(const struct route *routes, size_t count)
{
    struct router *r = MEM_NEW(struct router);
    r->root = MEM_NEW(struct node);
    for (size_t i = 0; i < count; i++)
        add_route(r, &routes[i]);
    return r;
}

/* Recursion is as deep as the longest pattern. */
static void node_free(struct node *n)
{
    if (!n)
        return;
    for (struct node *c = n->child, *next; c; c = next) {
        next = c->next;
        node_free(c);
    }
    node_free(n->named);
    mem_free(n->allow);
    mem_free(n);
}

void router_free(struct router *r)
{
    if (!r)
        return;
    node_free(r->root);
    mem_free(r);
}

static enum err_code decode_segment(struct str raw, struct arena *arena, struct str *ret, struct err *err)
{
    *ret = raw;
    if (!memchr(raw.ptr, '%', raw.len))
        return ERR_OK;
    AUTO_STRBUF out;
    strbuf_init(&out, SEGMENT_BYTES_MAX);
    if (!dec_percent(raw, false, &out))
        return err_set(err, ERR_INVALID, "the path is not percent-encoded UTF-8");
    *ret = arena_copy(arena, strbuf_str(&out));
    return ret->ptr ? ERR_OK : err_set(err, ERR_TOO_LARGE, "the path is too long");
}

static enum err_code not_found(struct err *err)
{
    return err_set(err, ERR_NOT_FOUND, "there is nothing at this path");
}

static enum err_code match_method(
    const struct node *n, enum http_method method, struct route_match *ret, struct err *err)
{
    if (!n->allow)
        return not_found(err);
    ret->route = n->routes[method];
    if (ret->route)
        return ERR_OK;
    ret->allow = n->allow;
    return err_set(
        err, ERR_METHOD, "%s is not allowed here; allowed: %s", http_method_name(method), n->allow);
}

enum err_code router_find(const struct router *r, enum http_method method, struct str path,
    struct arena *arena, struct route_match *ret, struct err *err)
{
    const struct node *n = r->root;
    struct str segment;
    ret->route = NULL;
    ret->allow = NULL;
    ret->param_count = 0;
    while (next_segment(&path, &segment)) {
        enum err_code code = decode_segment(segment, arena, &segment, err);
        if (code != ERR_OK)
            return code;
        const struct node *literal = find_literal(n, segment);
        n = literal ? literal : n->named;
        if (!n)
            return not_found(err);
        if (!literal)
            ret->params[ret->param_count++] = segment;
    }
    return match_method(n, method, ret, err);
}

struct str route_param(const struct route_match *m, const char *name)
{
    struct str rest = str_of(m->route->pattern), segment;
    unsigned i = 0;
    while (i < m->param_count && next_segment(&rest, &segment)) {
        if (!is_named(segment))
            continue;
        if (str_eq(str_slice(segment, 1, segment.len - 1), str_of(name)))
            return m->params[i];
        i++;
    }
    return STR_EMPTY;
}
