/* POST …/branches/{ref}/pin makes a secret for one branch that can be given away; POST /v1/handoff/redeem
 * takes it, once. Worker thread. */
#include "api/call.h"
#include "api/persql/views.h"
#include "base/clock.h"
#include "base/limits.h"
#include "branch/branch.h"
#include "branch/handoff.h"

route_worker_fn persql_branch_pin, persql_handoff_redeem;

struct pin_wish {
    struct str role;
    int64_t ttl_s;
};

static const struct jsonr_field pin_fields[] = {
    {"role", JF_TEXT, offsetof(struct pin_wish, role), JF_NULL_OK, 1, 20},
    {"ttlSec", JF_INT, offsetof(struct pin_wish, ttl_s), JF_NULL_OK, 60, 86400},
};

/* Said before anything is looked up: it is the same for every branch. */
static enum err_code check_caller(const struct identity *who, struct err *err)
{
    if (who->has_table_scope)
        return err_set(err, ERR_FORBIDDEN,
            "A branch has all tables of its parent: this needs a token without a table scope");
    if (who->account_id.text[0])
        return err_set(err, ERR_FORBIDDEN, "A program that acts for a person makes and renews no tokens");
    return ERR_OK;
}

static enum err_code read_pin(struct api_call *c, struct pin_wish *in, enum wire_role *ret_role)
{
    const struct jsonr_value *root;
    enum err_code rc = ERR_OK;
    if (c->body.len)
        rc = jsonr_parse(c->arena, c->body, &root, c->err);
    if (!rc && c->body.len)
        rc = jsonr_fields(root, "", pin_fields, ARRAY_LEN(pin_fields), JSONR_UNKNOWN_REFUSE, in, c->err);
    if (!rc && !token_role_parse(in->role, ret_role))
        rc = err_field(c->err, "/role", "must be read, write or admin");
    return rc;
}

static void view_pinned(
    struct api_call *c, const struct secret *secret, enum wire_role role, int64_t expires_at)
{
    jsonw_object(c->out);
    JSONW_TEXT(c->out, "token", secret_reveal(secret));
    JSONW_TEXT(c->out, "branchRef", c->item);
    JSONW_CSTR(c->out, "role", view_role(role));
    view_time(c->out, "expiresAt", expires_at);
    jsonw_object_end(c->out);
}

static enum err_code pin_tx(struct api_call *c, const struct token_new *in, int64_t ttl_s,
    struct secret *secret, int64_t *ret_expires_at)
{
    struct registry_entry parent, branch;
    enum err_code rc = call_database(c, CAP_BRANCH, &parent);
    if (!rc)
        rc = registry_get_branch(c->db, &parent.id, c->item, &branch, c->err);
    return rc ? rc : handoff_make(c->db, c->by, c->arena, &branch, in, ttl_s, secret, ret_expires_at, c->err);
}

enum err_code persql_branch_pin(struct api_call *c)
{
    struct pin_wish in = {.role = S("write"), .ttl_s = LIMIT_HANDOFF_S};
    struct token_new wish = {.branches_only = c->who->branches_only};
    AUTO_SECRET secret = SECRET_INIT;
    int64_t expires_at = 0;
    enum err_code rc = check_caller(c->who, c->err);
    if (!rc)
        rc = read_pin(c, &in, &wish.role);
    if (!rc)
        rc = branch_check_ref(c->item, "/ref", c->err);
    if (rc)
        return rc;
    wish.name = arena_printf(c->arena, "handoff " STR_FMT, STR_ARG(c->item));
    wish.expires_in_s = identity_left_s(c->who, clock_wall_ms());
    rc = tx_begin_write(c->db, c->err);
    if (!rc)
        rc = tx_end(c->db, pin_tx(c, &wish, in.ttl_s, &secret, &expires_at), c->err);
    if (!rc)
        view_pinned(c, &secret, wish.role, expires_at);
    return rc;
}

struct redeem_wish {
    struct str token;
};

static const struct jsonr_field redeem_fields[] = {
    {"token", JF_TEXT, offsetof(struct redeem_wish, token), JF_REQUIRED, 1, 200},
};

enum err_code persql_handoff_redeem(struct api_call *c)
{
    struct redeem_wish in;
    struct token token;
    struct registry_entry branch;
    AUTO_SECRET secret = SECRET_INIT;
    enum err_code rc = call_read_body(c, redeem_fields, ARRAY_LEN(redeem_fields), &in);
    if (!rc)
        rc = tx_begin_write(c->db, c->err);
    if (!rc)
        rc = tx_end(c->db, handoff_redeem(c->db, c->by, c->arena, in.token, &token, &secret, &branch, c->err),
            c->err);
    if (rc)
        return rc;
    jsonw_object(c->out);
    JSONW_TEXT(c->out, "token", secret_reveal(&secret));
    JSONW_CSTR(c->out, "namespaceSlug", branch.namespace_slug);
    JSONW_CSTR(c->out, "databaseSlug", branch.slug);
    JSONW_CSTR(c->out, "branchRef", branch.ref);
    JSONW_CSTR(c->out, "role", view_role(token.role));
    view_time(c->out, "expiresAt", token.expires_at);
    jsonw_object_end(c->out);
    return ERR_OK;
}
