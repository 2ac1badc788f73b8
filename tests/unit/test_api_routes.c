/* routes.def and what is made from it: no row without its documentation, its capability, its place in the
 * OpenAPI document. */
#include "api/openapi.h"
#include "api/route.h"
#include "json/jsonr.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static const struct jsonr_value *member(const struct jsonr_value *v, const char *name)
{
    const struct jsonr_value *found = jsonr_member(v, str_of(name));
    if (!found)
        fail_msg("no member %s", name);
    return found;
}

static const struct jsonr_value *document(struct arena *a, struct strbuf *text)
{
    const struct jsonr_value *root;
    struct err err = ERR_INIT;
    strbuf_init(text, 1 << 20);
    openapi_write(text, S("https://db.example.com"));
    assert_false(strbuf_failed(text));
    arena_init(a, 8 << 20);
    if (jsonr_parse(a, strbuf_str(text), &root, &err))
        fail_msg("the document does not parse: %s", err.message);
    return root;
}

void test_api_routes__every_route_is_in_the_document(void **state)
{
    static const char *const methods[] = {"get", "head", "post", "put", "patch", "delete", "options"};
    AUTO_ARENA a;
    AUTO_STRBUF text;
    const struct jsonr_value *paths = member(document(&a, &text), "paths");
    (void)state;
    for (unsigned i = 0; i < ROUTE_COUNT; i++) {
        const struct jsonr_value *op =
            member(member(paths, api_routes[i].path), methods[api_routes[i].method]);
        assert_true(jsonr_text(member(op, "summary")).len > 0);
        assert_true(str_eq(jsonr_text(member(op, "operationId")), str_of(api_routes[i].name)));
        (void)member(member(op, "responses"), "200");
        (void)member(member(op, "responses"), "default");
        const struct jsonr_value *security =
            jsonr_member(op, S("security")); /* a bearer when it says nothing */
        static const size_t schemes[] = {[AUTH_NONE] = 0,
            [AUTH_OPEN] = 0,
            [AUTH_PAGE] = 0,
            [AUTH_BEARER] = 1,
            [AUTH_COOKIE] = 1,
            [AUTH_EITHER] = 2};
        assert_int_equal(security ? jsonr_count(security) : 1, schemes[api_routes[i].auth]);
    }
}

static void expect_refs(const struct jsonr_value *v, const struct jsonr_value *schemas)
{
    struct str prefix = S("#/components/schemas/");
    enum jsonr_kind kind = jsonr_kind(v);
    if (kind != JSONR_OBJECT && kind != JSONR_ARRAY)
        return;
    const struct jsonr_value *ref = kind == JSONR_OBJECT ? jsonr_member(v, S("$ref")) : NULL;
    if (ref) {
        struct str name = jsonr_text(ref);
        assert_true(str_starts(name, prefix));
        if (!jsonr_member(schemas, str_slice(name, prefix.len, name.len)))
            fail_msg("schema %.*s does not exist", STR_ARG(name));
    }
    for (const struct jsonr_value *c = jsonr_first(v); c; c = jsonr_next(c))
        expect_refs(c, schemas);
}

void test_api_routes__every_schema_that_is_named_exists(void **state)
{
    AUTO_ARENA a;
    AUTO_STRBUF text;
    const struct jsonr_value *root = document(&a, &text);
    (void)state;
    expect_refs(root, member(member(root, "components"), "schemas"));
    const struct jsonr_value *server = jsonr_first(member(root, "servers"));
    assert_true(str_eq(jsonr_text(member(server, "url")), S("https://db.example.com")));
}

void test_api_routes__rows_are_consistent(void **state)
{
    (void)state;
    for (unsigned i = 0; i < ROUTE_COUNT; i++) {
        const struct api_route *r = &api_routes[i];
        if (r->in_database)
            assert_true(strstr(r->path, "{ns}") && strstr(r->path, "{db}"));
        assert_int_equal(r->auth <= AUTH_PAGE, r->cap == CAP_PUBLIC);
        assert_int_equal(
            r->run == RUN_WORKER || r->run == RUN_PASSWORD || r->run == RUN_ABROAD, r->on_worker != NULL);
        if (strstr(r->path, "{ns}") && (r->auth == AUTH_COOKIE || r->auth == AUTH_EITHER))
            assert_int_equal(
                capability_check_member(r->cap, MEMBER_OWNER, NULL), ERR_OK); /* roles.def has a row */
        assert_int_equal(
            r->run == RUN_LOOP || r->run == RUN_FLOW || r->run == RUN_UPLOAD, r->on_loop != NULL);
        if (r->run == RUN_ENGINE)
            assert_true(r->op != WIRE_OP_NONE && r->cap != CAP_PUBLIC);
        unsigned args = 0;
        while (openapi_query_arg(i, args))
            args++;
        assert_true(args <= WIRE_ARGS_MAX);
    }
}

void test_api_routes__the_router_finds_each_row(void **state)
{
    struct router *router = api_router_new();
    (void)state;
    for (unsigned i = 0; i < ROUTE_COUNT; i++) {
        AUTO_ARENA a;
        AUTO_STRBUF path;
        struct route_match m;
        struct err err = ERR_INIT;
        arena_init(&a, 4096);
        strbuf_init(&path, 256);
        for (const char *p = api_routes[i].path; *p; p++)
            if (*p != '{' && *p != '}')
                strbuf_add_char(&path, *p);
        assert_int_equal(router_find(router, api_routes[i].method, strbuf_str(&path), &a, &m, &err), ERR_OK);
        assert_ptr_equal(m.route->data, &api_routes[i]);
    }
    router_free(router);
}

void test_api_routes__capabilities(void **state)
{
    static const struct {
        enum capability cap;
        enum wire_role role;
        bool limited;
        enum err_code want;
    } rows[] = {
        {CAP_SQL, WIRE_ROLE_READONLY, true, ERR_OK},
        {CAP_EXPORT, WIRE_ROLE_READONLY, true, ERR_OK},
        {CAP_IMPORT, WIRE_ROLE_READWRITE, false, ERR_FORBIDDEN},
        {CAP_IMPORT, WIRE_ROLE_ADMIN, true, ERR_OK},
        {CAP_SCHEMA_EDIT, WIRE_ROLE_READWRITE, false, ERR_FORBIDDEN},
        {CAP_DB_MANAGE, WIRE_ROLE_READWRITE, false, ERR_FORBIDDEN},
        {CAP_DB_MANAGE, WIRE_ROLE_ADMIN, true, ERR_FORBIDDEN},
        {CAP_DB_MANAGE, WIRE_ROLE_ADMIN, false, ERR_OK},
        {CAP_DB_LIST, WIRE_ROLE_READONLY, true, ERR_OK},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct err err = ERR_INIT;
        assert_int_equal(capability_check(rows[i].cap, rows[i].role, rows[i].limited, &err), rows[i].want);
    }
}

void test_api_routes__members(void **state)
{
    static const struct {
        enum capability cap;
        enum member_role least; /* MEMBER_ROLE_COUNT: nobody */
    } rows[] = {
        {CAP_DB_LIST, MEMBER_VIEWER},
        {CAP_EXPORT, MEMBER_VIEWER},
        {CAP_SCHEMA_EDIT, MEMBER_EDITOR},
        {CAP_IMPORT, MEMBER_ADMIN},
        {CAP_DB_MANAGE, MEMBER_ADMIN},
        {CAP_NS_READ, MEMBER_VIEWER},
        {CAP_MEMBERS, MEMBER_ADMIN},
        {CAP_NS_DELETE, MEMBER_OWNER},
        {CAP_IDENTITY, MEMBER_VIEWER},
        {CAP_SESSION_MINT, MEMBER_ROLE_COUNT},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        for (int role = MEMBER_VIEWER; role < MEMBER_ROLE_COUNT; role++) {
            struct err err = ERR_INIT;
            bool may = capability_check_member(rows[i].cap, (enum member_role)role, &err) == ERR_OK;
            assert_int_equal(may, role >= (int)rows[i].least);
        }
    assert_true(capability_needs_confirmation(CAP_ACCOUNT_END));
    assert_false(capability_needs_confirmation(CAP_ACCOUNT));
}
