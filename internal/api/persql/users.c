/* POST /v1/users: the database of one person of an app, and a token for it alone. Worker thread. */
#include "api/call.h"
#include "api/persql/subject.h"
#include "api/persql/template.h"
#include "api/persql/views.h"
#include "base/check.h"
#include "base/clock.h"
#include "registry/user.h"

route_worker_fn persql_user_provision;

#define SUBJECT_CHARS 256
#define EXPIRES_S     3600

struct user_wish {
    struct str subject, template, role;
    int64_t expires_in_s; /* 0 not said */
};

static const struct jsonr_field user_fields[] = {
    {"subject", JF_TEXT, offsetof(struct user_wish, subject), JF_REQUIRED, 1, (int64_t)4 * SUBJECT_CHARS},
    {"template", JF_TEXT, offsetof(struct user_wish, template), JF_NULL_OK, 1, 63},
    {"role", JF_TEXT, offsetof(struct user_wish, role), JF_NULL_OK, 1, 20},
    {"expiresIn", JF_INT, offsetof(struct user_wish, expires_in_s), JF_NULL_OK, 60, 86400},
};

static enum err_code read_wish(struct api_call *c, struct user_wish *in, enum wire_role *ret_role)
{
    const struct jsonr_value *root;
    if (!c->body.len)
        return err_field(c->err, "", "The body is empty; send {\"subject\":…}");
    enum err_code rc = jsonr_parse(c->arena, c->body, &root, c->err);
    if (!rc)
        rc = jsonr_fields(root, "", user_fields, ARRAY_LEN(user_fields), JSONR_UNKNOWN_IGNORE, in, c->err);
    if (!rc)
        rc = subject_check(in->subject, SUBJECT_CHARS, "/subject", c->err);
    if (!rc && (!token_role_parse(in->role, ret_role) || *ret_role == WIRE_ROLE_ADMIN))
        rc = err_field(c->err, "/role", "must be write or read");
    return rc;
}

static enum err_code find_template(struct api_call *c, struct str slug, struct registry_entry *ret)
{
    enum err_code rc = registry_get(c->db, &c->who->namespace_id, slug, ret, c->err);
    return rc == ERR_NOT_FOUND ? err_field(c->err, "/template", "is no database of this namespace") : rc;
}

/* What cannot be finished is of no use to anybody. */
static void put_away(struct api_call *c, const struct registry_entry *made)
{
    struct registry_entry gone;
    err_ignore(registry_delete(c->db, c->disk, c->by, &made->namespace_id, str_of(made->slug), &gone,
        NULL)); /* else it is begun anew after a while */
}

static int64_t left_s(const struct api_call *c)
{
    int64_t left = c->who->expires_at ? (c->who->expires_at - clock_wall_ms()) / 1000 : INT64_MAX;
    return left > 0 ? left : 1;
}

/* An hour, or what is left of the token that asks. */
static int64_t expires_in(const struct api_call *c, int64_t wish_s)
{
    if (wish_s)
        return wish_s;
    return left_s(c) < EXPIRES_S ? left_s(c) : EXPIRES_S;
}

/* Before anything is made: a token that reaches too far would leave its database behind. */
static enum err_code check_reach(struct api_call *c, const struct token_new *wish)
{
    enum err_code rc = tx_begin_write(c->db, c->err);
    return rc ? rc : tx_end(c->db, token_check_create(c->db, c->by, c->arena, wish, c->err), c->err);
}

static enum err_code mint_tx(struct api_call *c, const struct registry_entry *of, bool made,
    const struct token_new *in, struct token *ret, struct secret *ret_secret)
{
    enum err_code rc = made ? registry_user_ready(c->db, &of->id, c->err) : ERR_OK;
    return rc ? rc : token_create(c->db, c->by, c->arena, in, ret, ret_secret, c->err);
}

static void view(struct api_call *c, const struct registry_entry *e, const struct token *t,
    const struct secret *secret, bool made)
{
    jsonw_object(c->out);
    jsonw_key(c->out, "database");
    view_database(c, e);
    JSONW_CSTR(c->out, "namespaceSlug", e->namespace_slug);
    JSONW_TEXT(c->out, "token", secret_reveal(secret));
    JSONW_TEXT(c->out, "tokenId", id_str(&t->id));
    view_time(c->out, "expiresAt", t->expires_at);
    JSONW_BOOL(c->out, "created", made);
    jsonw_object_end(c->out);
}

static enum err_code mint(struct api_call *c, const struct registry_entry *of, bool made,
    struct token_new *wish, struct token *ret, struct secret *ret_secret)
{
    wish->name = str_of(of->slug);
    wish->database_id = of->id;
    if (wish->expires_in_s > left_s(c)) /* it was not, when it was asked for */
        wish->expires_in_s = left_s(c);
    enum err_code rc = tx_begin_write(c->db, c->err);
    return rc ? rc : tx_end(c->db, mint_tx(c, of, made, wish, ret, ret_secret), c->err);
}

static enum err_code provision(struct api_call *c, const struct user_wish *in, enum wire_role role)
{
    struct token_new wish = {
        .namespace_id = c->who->namespace_id, .role = role, .expires_in_s = expires_in(c, in->expires_in_s)};
    struct registry_entry template, entry;
    struct token token;
    AUTO_SECRET secret = SECRET_INIT;
    bool made = false;
    enum err_code rc = in->template.len ? find_template(c, in->template, &template) : ERR_OK;
    if (!rc)
        rc = check_reach(c, &wish);
    if (!rc)
        rc = registry_user_open(
            c->db, c->disk, c->by, &c->who->namespace_id, in->subject, &entry, &made, c->err);
    if (!rc && made && in->template.len)
        rc = template_copy(c, &template.id, &entry.id);
    if (!rc)
        rc = mint(c, &entry, made, &wish, &token, &secret);
    if (!rc)
        view(c, &entry, &token, &secret, made);
    else if (made)
        put_away(c, &entry);
    return rc;
}

enum err_code persql_user_provision(struct api_call *c)
{
    struct user_wish in = {.subject = STR_EMPTY, .template = STR_EMPTY, .role = S("write")};
    enum wire_role role;
    enum err_code rc = read_wish(c, &in, &role);
    return rc ? rc : provision(c, &in, role);
}
