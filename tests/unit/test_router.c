/* The router: which route a path means, and what it says when none does. */
#include "http/router.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static const struct route ROUTES[] = {
    {HTTP_GET, "/", false, "root"},
    {HTTP_GET, "/healthz", true, "health"},
    {HTTP_GET, "/v1/me", false, "me"},
    {HTTP_GET, "/v1/databases", false, "list"},
    {HTTP_POST, "/v1/databases", false, "create"},
    {HTTP_GET, "/v1/databases/{slug}", false, "get"},
    {HTTP_DELETE, "/v1/databases/{slug}", false, "delete"},
    {HTTP_POST, "/v1/databases/{slug}/restore", false, "restore"},
    {HTTP_POST, "/v1/db/{ns}/{db}/query", false, "query"},
    {HTTP_GET, "/v1/db/{namespace}/{db}/tables", false, "tables"},
    {HTTP_GET, "/v1/{agent}/strand/{x}", false, "strand"},
    {HTTP_GET, "/{a}/{b}/{c}/{d}/{e}/{f}/{g}/{h}", false, "eight"},
};

static struct router *router;

int setup_router(void **state)
{
    (void)state;
    router = router_new(ROUTES, ARRAY_LEN(ROUTES));
    return 0;
}

int teardown_router(void **state)
{
    (void)state;
    router_free(router);
    return 0;
}

struct row {
    enum http_method method;
    const char *path;
    enum err_code code;
    const char *want;  /* data of the route; with ERR_METHOD: the Allow list */
    const char *first; /* value of the first param */
};

static const struct row ROWS[] = {
    {HTTP_GET, "/", ERR_OK, "root", NULL},
    {HTTP_GET, "//", ERR_OK, "root", NULL},
    {HTTP_GET, "/healthz", ERR_OK, "health", NULL},
    {HTTP_HEAD, "/healthz", ERR_OK, "health", NULL},
    {HTTP_HEAD, "/v1/me", ERR_METHOD, "GET", NULL},
    {HTTP_GET, "/healthz/", ERR_OK, "health", NULL},
    {HTTP_GET, "/health%7a", ERR_OK, "health", NULL},
    {HTTP_GET, "//v1//me//", ERR_OK, "me", NULL},
    {HTTP_POST, "//v1/databases/", ERR_OK, "create", NULL},
    {HTTP_GET, "/v1/databases/main", ERR_OK, "get", "main"},
    {HTTP_GET, "/v1/databases/m%61in", ERR_OK, "get", "main"},
    {HTTP_GET, "/v1/databases/a%2Fb", ERR_OK, "get", "a/b"},
    {HTTP_GET, "/v1/databases/a+b", ERR_OK, "get", "a+b"},
    {HTTP_GET, "/v1/databases/{slug}", ERR_OK, "get", "{slug}"},
    {HTTP_GET, "/v1/databases/..", ERR_OK, "get", ".."},
    {HTTP_GET, "/v1/databases/%C3%A9", ERR_OK, "get", "\xc3\xa9"},
    {HTTP_DELETE, "/v1/databases/main/", ERR_OK, "delete", "main"},
    {HTTP_POST, "/v1/databases/main/restore", ERR_OK, "restore", "main"},
    {HTTP_POST, "/v1/db/acme/main/query", ERR_OK, "query", "acme"},
    {HTTP_GET, "/v1/db/acme/main/tables", ERR_OK, "tables", "acme"},
    {HTTP_GET, "/v1/robot/strand/7", ERR_OK, "strand", "robot"},
    {HTTP_GET, "/1/2/3/4/5/6/7/8", ERR_OK, "eight", "1"},
    {HTTP_GET, "/v1/databases/strand/7", ERR_NOT_FOUND, NULL, NULL}, /* the literal wins for good */
    {HTTP_GET, "/v1/db/strand/7", ERR_NOT_FOUND, NULL, NULL},
    {HTTP_GET, "/v1", ERR_NOT_FOUND, NULL, NULL},
    {HTTP_GET, "/v1/robot", ERR_NOT_FOUND, NULL, NULL},
    {HTTP_GET, "/V1/me", ERR_NOT_FOUND, NULL, NULL},
    {HTTP_GET, "/v1/me/x", ERR_NOT_FOUND, NULL, NULL},
    {HTTP_GET, "/nowhere", ERR_NOT_FOUND, NULL, NULL},
    {HTTP_GET, "/1/2/3/4/5/6/7/8/9", ERR_NOT_FOUND, NULL, NULL},
    {HTTP_GET, "*", ERR_NOT_FOUND, NULL, NULL},
    {HTTP_GET, "", ERR_OK, "root", NULL},
    {HTTP_PUT, "/v1/databases", ERR_METHOD, "GET, POST", NULL},
    {HTTP_PATCH, "/v1/databases/x", ERR_METHOD, "GET, DELETE", NULL},
    {HTTP_DELETE, "/healthz", ERR_METHOD, "GET, HEAD", NULL},
    {HTTP_GET, "/v1/db/acme/main/query", ERR_METHOD, "POST", NULL},
    {HTTP_OPTIONS, "/", ERR_METHOD, "GET", NULL},
    {HTTP_GET, "/v1/databases/%", ERR_INVALID, NULL, NULL},
    {HTTP_GET, "/v1/databases/%2", ERR_INVALID, NULL, NULL},
    {HTTP_GET, "/v1/databases/%zz", ERR_INVALID, NULL, NULL},
    {HTTP_GET, "/v1/databases/%00", ERR_INVALID, NULL, NULL},
    {HTTP_GET, "/v1/databases/a%00b", ERR_INVALID, NULL, NULL},
    {HTTP_GET, "/v1/databases/%ff", ERR_INVALID, NULL, NULL},
    {HTTP_GET, "/v1/databases/%C0%AF", ERR_INVALID, NULL, NULL},
    {HTTP_GET, "/v1/databases/%ED%A0%80", ERR_INVALID, NULL, NULL},
};

static void expect_cstr(struct str got, const char *want)
{
    assert_int_equal(got.len, strlen(want));
    assert_memory_equal(got.ptr, want, got.len);
}

static void expect_row(const struct row *row, struct arena *arena)
{
    struct route_match m;
    struct err err = ERR_INIT;
    enum err_code code = router_find(router, row->method, str_of(row->path), arena, &m, &err);
    if (code != row->code)
        fail_msg("%s %s: got %s, wanted %s", http_method_name(row->method), row->path, err_slug(code),
            err_slug(row->code));
    assert_int_equal(err.code, code);
    if (code == ERR_OK)
        assert_string_equal(m.route->data, row->want);
    if (code == ERR_METHOD)
        assert_string_equal(m.allow, row->want);
    if (row->first)
        expect_cstr(m.params[0], row->first);
}

void test_router__finds_by_the_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        AUTO_ARENA arena;
        arena_init(&arena, 4096);
        expect_row(&ROWS[i], &arena);
    }
}

void test_router__params_have_the_names_of_the_route_found(void **state)
{
    (void)state;
    AUTO_ARENA arena;
    struct route_match m;
    arena_init(&arena, 4096);
    struct str path = S("/v1/db/a/b/tables");
    assert_int_equal(router_find(router, HTTP_GET, path, &arena, &m, NULL), ERR_OK);
    assert_int_equal(m.param_count, 2);
    expect_cstr(route_param(&m, "namespace"), "a");
    expect_cstr(route_param(&m, "db"), "b");
    expect_cstr(route_param(&m, "slug"), "");
    assert_ptr_equal(m.params[0].ptr, path.ptr + 7); /* no copy without an escape */
    assert_int_equal(router_find(router, HTTP_POST, S("/v1/db/a/b/query"), &arena, &m, NULL), ERR_OK);
    expect_cstr(route_param(&m, "ns"), "a");
}

void test_router__message_names_the_allowed_methods(void **state)
{
    (void)state;
    struct route_match m;
    struct err err = ERR_INIT;
    assert_int_equal(router_find(router, HTTP_PUT, S("/v1/databases"), NULL, &m, &err), ERR_METHOD);
    assert_string_equal(err.message, "PUT is not allowed here; allowed: GET, POST");
}

void test_router__a_full_arena_is_an_error(void **state)
{
    (void)state;
    AUTO_ARENA arena;
    struct route_match m;
    arena_init(&arena, 16);
    struct str path = S("/v1/databases/%61aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
    assert_int_equal(router_find(router, HTTP_GET, path, &arena, &m, NULL), ERR_TOO_LARGE);
}
