/* /api/namespaces/{ns}/tokens: for people who are admins, and for admin tokens, which make none that reaches
 * further than themselves. Worker thread. */
#include "api/call.h"
#include "api/console/views.h"
#include "base/limits.h"
#include "oauth/access.h"

route_worker_fn console_token_list, console_token_create, console_token_revoke, console_token_rotate;

#define PAGE_DEFAULT 100
#define PAGE_MOST    500
#define ROLE_BYTES   20
#define SLUG_BYTES   63

/* Dispatch saw this role outside the transaction; a token is looked at again by the domain. */
static enum err_code check_member(struct api_call *c)
{
    enum member_role role;
    return c->person ? member_require(
                           c->db, &c->who->namespace_id, &c->person->account.id, MEMBER_ADMIN, &role, c->err)
                     : ERR_OK;
}

/* --- List --- */

static enum err_code read_with_revoked(struct api_call *c, bool *ret)
{
    struct str text = query_get(c->args, "revoked");
    if (text.ptr && !str_eq(text, S("include")))
        return err_set(c->err, ERR_INVALID,
            "Query parameter \"revoked\" must be include; leave it out for tokens that are not revoked");
    *ret = text.ptr != NULL;
    return ERR_OK;
}

enum err_code console_token_list(struct api_call *c)
{
    struct token *rows;
    size_t count;
    int64_t limit;
    bool with_revoked = false;
    struct str after = query_get(c->args, "after");
    enum err_code rc = query_i64(c->args, "limit", PAGE_DEFAULT, 1, PAGE_MOST, &limit, c->err);
    if (!rc)
        rc = read_with_revoked(c, &with_revoked);
    if (!rc)
        rc = token_page(c->db, c->arena, &c->who->namespace_id, with_revoked, after.ptr ? after : STR_EMPTY,
            limit, &rows, &count, c->err);
    if (rc)
        return rc;
    jsonw_array(c->out);
    for (size_t i = 0; i < count; i++)
        view_token(c->out, &rows[i], NULL);
    jsonw_array_end(c->out);
    return ERR_OK;
}

/* --- Create --- */

struct token_wish {
    struct str name, role, kind, database, branch;
    const struct jsonr_value *tables, *addresses, *claims;
    int64_t expires_in_s;
};

static const struct jsonr_field create_fields[] = {
    {"name", JF_TEXT, offsetof(struct token_wish, name), JF_NULL_OK, 1, 80},
    {"role", JF_TEXT, offsetof(struct token_wish, role), JF_NULL_OK, 1, ROLE_BYTES},
    {"database", JF_TEXT, offsetof(struct token_wish, database), JF_NULL_OK, 1, SLUG_BYTES},
    {"branch", JF_TEXT, offsetof(struct token_wish, branch), JF_NULL_OK, 1, 64},
    {"kind", JF_TEXT, offsetof(struct token_wish, kind), JF_NULL_OK, 1, 8},
    {"tableScope", JF_ARRAY, offsetof(struct token_wish, tables), JF_NULL_OK, 0, WIRE_TABLES_MAX},
    {"allowedAddresses", JF_ARRAY, offsetof(struct token_wish, addresses), JF_NULL_OK, 1, 32},
    {"claims", JF_OBJECT, offsetof(struct token_wish, claims), JF_NULL_OK, 0, 0},
    {"expiresIn", JF_INT, offsetof(struct token_wish, expires_in_s), JF_NULL_OK, 1, 315360000},
};

/* NULL is an array without a member. */
static enum err_code read_texts(struct api_call *c, const struct jsonr_value *array, const char *name,
    const struct str **ret, size_t *ret_count)
{
    size_t count = array ? jsonr_count(array) : 0, n = 0;
    struct str *texts = arena_alloc(c->arena, (count + 1) * sizeof *texts);
    if (!texts)
        return err_set(c->err, ERR_TOO_LARGE, "The body is too large");
    for (const struct jsonr_value *v = array ? jsonr_first(array) : NULL; v; v = jsonr_next(v)) {
        char pointer[48];
        str_print(pointer, sizeof pointer, "/%s/%zu", name, n);
        if (jsonr_kind(v) != JSONR_TEXT)
            return err_field(c->err, pointer, "must be a text, not %s", jsonr_kind_name(jsonr_kind(v)));
        texts[n++] = jsonr_text(v);
    }
    *ret = texts;
    *ret_count = count;
    return ERR_OK;
}

static enum err_code find_database(struct api_call *c, const struct token_wish *in, struct id *ret)
{
    struct registry_entry entry, branch;
    if (!in->database.len)
        return in->branch.len ? err_field(c->err, "/branch", "needs database, which it is a branch of")
                              : ERR_OK;
    enum err_code rc = registry_get(c->db, &c->who->namespace_id, in->database, &entry, c->err);
    if (rc == ERR_NOT_FOUND)
        return err_field(c->err, "/database", "is no database of this namespace");
    if (!rc && in->branch.len) {
        rc = registry_get_branch(c->db, &entry.id, in->branch, &branch, c->err);
        if (rc == ERR_NOT_FOUND)
            return err_field(c->err, "/branch", "is no branch of that database");
        entry = branch;
    }
    if (!rc)
        *ret = entry.id;
    return rc;
}

static enum err_code create_tx(struct api_call *c, struct token_new *in, const struct token_wish *wish,
    struct token *ret, struct secret *ret_secret)
{
    enum err_code rc = check_member(c);
    if (!rc)
        rc = find_database(c, wish, &in->database_id);
    return rc ? rc : token_create(c->db, c->by, c->arena, in, ret, ret_secret, c->err);
}

static enum err_code read_wish(struct api_call *c, struct token_new *ret, struct token_wish *ret_wish)
{
    struct token_wish wish = {.name = STR_EMPTY, .role = S("admin"), .kind = S("live")};
    enum err_code rc = call_read_body(c, create_fields, ARRAY_LEN(create_fields), &wish);
    if (!rc && !token_role_parse(wish.role, &ret->role))
        rc = err_field(c->err, "/role", "must be admin, readwrite or readonly");
    if (!rc)
        rc = token_kind_parse(wish.kind, &ret->branches_only, c->err);
    if (!rc)
        rc = read_texts(c, wish.tables, "tableScope", &ret->tables, &ret->table_count);
    if (!rc)
        rc = read_texts(c, wish.addresses, "allowedAddresses", &ret->addresses, &ret->address_count);
    if (!rc && wish.claims)
        rc = token_claims_text(c->arena, wish.claims, &ret->claims, c->err);
    if (rc)
        return rc;
    ret->namespace_id = c->who->namespace_id;
    ret->name = wish.name;
    ret->has_table_scope = wish.tables != NULL;
    ret->expires_in_s = wish.expires_in_s;
    *ret_wish = wish;
    return ERR_OK;
}

enum err_code console_token_create(struct api_call *c)
{
    struct token_new in = {.name = STR_EMPTY};
    struct token_wish wish;
    struct token made;
    AUTO_SECRET secret = SECRET_INIT;
    enum err_code rc = read_wish(c, &in, &wish);
    if (!rc)
        rc = tx_begin_write(c->db, c->err);
    if (!rc)
        rc = tx_end(c->db, create_tx(c, &in, &wish, &made, &secret), c->err);
    if (!rc)
        view_token(c->out, &made, &secret);
    return rc;
}

/* --- Rotate, revoke --- */

struct rotation {
    int64_t overlap_s;
};

static const struct jsonr_field rotate_fields[] = {
    {"overlap", JF_INT, offsetof(struct rotation, overlap_s), JF_NULL_OK, 0, 604800},
};

static enum err_code rotate_tx(
    struct api_call *c, const struct rotation *in, struct token *ret, struct secret *ret_secret)
{
    enum err_code rc = check_member(c);
    return rc ? rc
              : token_rotate(c->db, c->by, c->arena, &c->who->namespace_id, c->item, in->overlap_s, ret,
                    ret_secret, c->err);
}

enum err_code console_token_rotate(struct api_call *c)
{
    struct rotation in = {.overlap_s = LIMIT_TOKEN_OVERLAP_S};
    struct token made;
    AUTO_SECRET secret = SECRET_INIT;
    enum err_code rc = call_read_body(c, rotate_fields, ARRAY_LEN(rotate_fields), &in);
    if (!rc)
        rc = tx_begin_write(c->db, c->err);
    if (!rc)
        rc = tx_end(c->db, rotate_tx(c, &in, &made, &secret), c->err);
    if (!rc)
        view_token(c->out, &made, &secret);
    return rc;
}

static enum err_code revoke_tx(struct api_call *c)
{
    enum err_code rc = check_member(c);
    return rc ? rc : access_revoke_token(c->db, c->by, &c->who->namespace_id, c->item, c->err);
}

enum err_code console_token_revoke(struct api_call *c)
{
    enum err_code rc = tx_begin_write(c->db, c->err);
    if (!rc)
        rc = tx_end(c->db, revoke_tx(c), c->err);
    return call_answer_id(c, rc);
}
