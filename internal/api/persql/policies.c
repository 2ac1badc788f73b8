/* POST …/policies/test: asks the engine as if the caller had the role and the claims of the body. Loop
 * thread. */
#include "api/request.h"

#include "json/jsonr.h"
#include "json/jsonw.h"
#include "token/token.h"

route_loop_fn persql_policy_test;

struct test_body {
    struct str table, role;
    const struct jsonr_value *claims;
    int64_t limit;
};

static const struct jsonr_field FIELDS[] = {
    {"tableName", JF_TEXT, offsetof(struct test_body, table), JF_REQUIRED, 1, 255},
    {"role", JF_TEXT, offsetof(struct test_body, role), 0, 1, 20},
    {"claims", JF_OBJECT, offsetof(struct test_body, claims), JF_NULL_OK, 0, 0},
    {"limit", JF_INT, offsetof(struct test_body, limit), 0, 1, 1000},
};

static void add_arg(struct wire_call *call, const char *name, struct str value)
{
    call->args[call->arg_count++] = (struct wire_arg){str_of(name), value};
}

static enum err_code read_body(struct api_request *r, struct test_body *in, struct err *err)
{
    const struct jsonr_value *root;
    enum err_code rc = request_check_json(r, err);
    if (!rc && !http_body(r->http).len)
        rc = err_field(err, "", "The body is empty; send {\"tableName\":…,\"claims\":{…}}");
    if (!rc)
        rc = jsonr_parse(&r->arena, http_body(r->http), &root, err);
    return rc ? rc : jsonr_fields(root, "", FIELDS, ARRAY_LEN(FIELDS), JSONR_UNKNOWN_REFUSE, in, err);
}

static enum err_code start(struct api_request *r, struct err *err)
{
    struct test_body in = {.role = S("readonly"), .claims = NULL, .limit = 100};
    struct wire_call *call = &r->call.req;
    enum err_code rc = request_fill_call(r, r->api->opt.statement_timeout_us, err);
    if (!rc && call->claims.len)
        rc = err_set(err, ERR_FORBIDDEN, "A token with claims stands under the policies itself");
    if (!rc)
        rc = read_body(r, &in, err);
    if (!rc && !token_role_parse(in.role, &call->role))
        rc = err_field(err, "/role", "must be readonly, readwrite or admin");
    if (!rc && in.claims)
        rc = token_claims_text(&r->arena, in.claims, &call->claims, err);
    if (rc)
        return rc;
    add_arg(call, "tableName", in.table);
    add_arg(call, "limit", arena_printf(&r->arena, "%lld", (long long)in.limit));
    request_expect_body(r);
    return request_submit(r, err);
}

void persql_policy_test(struct api_request *r)
{
    struct err err = ERR_INIT;
    if (start(r, &err))
        request_fail(r, &err);
}
