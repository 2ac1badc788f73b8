/* /api/namespaces/{ns}: members, invitations, databases shared with one of them. Worker thread. */
#include "api/call.h"
#include "api/console/views.h"
#include "api/persql/views.h"
#include "oauth/grant.h"
#include "tenant/invitation.h"
#include "tenant/share.h"

route_worker_fn console_member_list, console_member_update, console_member_remove, console_invitation_list,
    console_invitation_create, console_invitation_revoke, console_invitation_accept, console_share_list,
    console_share_set, console_share_remove;

static const struct id *me(const struct api_call *c)
{
    return &c->person->account.id;
}

struct wish {
    struct str email, role;
};

static const struct jsonr_field role_fields[] = {
    {"role", JF_TEXT, offsetof(struct wish, role), JF_REQUIRED, 1, 20},
};

static enum err_code read_role(
    struct api_call *c, struct str text, enum member_role most, enum member_role *ret)
{
    if (member_role_parse(text, ret) && *ret <= most)
        return ERR_OK;
    return err_field(c->err, "/role",
        most == MEMBER_OWNER ? "must be viewer, editor, admin or owner" : "must be viewer or editor");
}

/* --- Members --- */

enum err_code console_member_list(struct api_call *c)
{
    struct member *rows;
    struct str after;
    size_t count;
    int64_t limit;
    enum err_code rc = call_read_page(c, &after, &limit);
    if (!rc)
        rc = member_list(c->db, c->arena, &c->who->namespace_id, after, limit, &rows, &count, c->err);
    if (rc)
        return rc;
    jsonw_array(c->out);
    for (size_t i = 0; i < count; i++)
        view_member(c->out, &rows[i]);
    jsonw_array_end(c->out);
    return ERR_OK;
}

/* What somebody took of the session before must not get what it may from now on. */
static enum err_code renew_own(struct api_call *c)
{
    return session_renew(c->db, c->by, &c->person->session_id, &c->cookie->secret, c->err);
}

static enum err_code renew_if_me(struct api_call *c)
{
    return str_eq(c->item, id_str(me(c))) ? renew_own(c) : ERR_OK;
}

/* Removal ends the person's sessions with the membership, and what programs were given of the namespace. */
static enum err_code change_tx(struct api_call *c, enum member_role role)
{
    struct membership m;
    struct id target = {.text = ""};
    enum err_code rc = member_find(c->db, str_of(c->who->namespace_slug), me(c), &m, c->err);
    if (!rc)
        rc = member_change(c->db, c->by, &m.tenant, me(c), c->item, role, c->err);
    if (rc || role)
        return rc ? rc : renew_if_me(c);
    memcpy(target.text, c->item.ptr, c->item.len); /* it was found, so it fits */
    rc = grant_withdraw_all(c->db, c->by, &target, &m.tenant.id, c->err);
    if (rc)
        return rc;
    return session_end_all(c->db, c->by, &target, NULL, c->err);
}

/* Gives the person of the path a role, or takes it, and answers what is so from now on. */
static enum err_code set_role(
    struct api_call *c, enum member_role role, enum err_code (*set_tx)(struct api_call *, enum member_role))
{
    enum err_code rc = tx_begin_write(c->db, c->err);
    if (!rc)
        rc = tx_end(c->db, set_tx(c, role), c->err);
    if (rc)
        return rc;
    jsonw_object(c->out);
    JSONW_TEXT(c->out, "userId", c->item);
    JSONW_CSTR(c->out, "role", role ? member_role_name(role) : NULL);
    jsonw_object_end(c->out);
    return ERR_OK;
}

static enum err_code set_wanted_role(struct api_call *c, enum member_role highest,
    enum err_code (*set_tx)(struct api_call *, enum member_role))
{
    struct wish in = {STR_EMPTY, STR_EMPTY};
    enum member_role role;
    enum err_code rc = call_read_body(c, role_fields, ARRAY_LEN(role_fields), &in);
    if (!rc)
        rc = read_role(c, in.role, highest, &role);
    return rc ? rc : set_role(c, role, set_tx);
}

enum err_code console_member_update(struct api_call *c)
{
    return set_wanted_role(c, MEMBER_OWNER, change_tx);
}

enum err_code console_member_remove(struct api_call *c)
{
    return set_role(c, MEMBER_NONE, change_tx);
}

/* --- Invitations --- */

enum err_code console_invitation_list(struct api_call *c)
{
    struct invitation *rows;
    struct str after;
    size_t count;
    int64_t limit;
    enum err_code rc = call_read_page(c, &after, &limit);
    if (!rc)
        rc = invitation_list(c->db, c->arena, &c->who->namespace_id, after, limit, &rows, &count, c->err);
    if (rc)
        return rc;
    jsonw_array(c->out);
    for (size_t i = 0; i < count; i++)
        view_invitation(c->out, &rows[i], STR_EMPTY);
    jsonw_array_end(c->out);
    return ERR_OK;
}

static const struct jsonr_field invite_fields[] = {
    {"email", JF_TEXT, offsetof(struct wish, email), JF_REQUIRED, 1, ACCOUNT_EMAIL_SIZE - 1},
    {"role", JF_TEXT, offsetof(struct wish, role), JF_REQUIRED, 1, 20},
};

static enum err_code invite_tx(struct api_call *c, struct str email, enum member_role role,
    struct invitation *ret, struct secret *ret_secret)
{
    char key[ACCOUNT_EMAIL_SIZE];
    struct membership m;
    enum err_code rc = member_find(c->db, str_of(c->who->namespace_slug), me(c), &m, c->err);
    return rc ? rc
              : invitation_create(c->db, c->by, &m.tenant, me(c), email, account_email_key(email, key), role,
                    ret, ret_secret, c->err);
}

enum err_code console_invitation_create(struct api_call *c)
{
    struct wish in = {STR_EMPTY, STR_EMPTY};
    struct invitation made;
    AUTO_SECRET secret = SECRET_INIT;
    enum member_role role;
    enum err_code rc = call_read_body(c, invite_fields, ARRAY_LEN(invite_fields), &in);
    if (!rc)
        rc = account_check_email(in.email, c->err);
    if (!rc)
        rc = read_role(c, in.role, MEMBER_OWNER, &role);
    if (!rc)
        rc = tx_begin_write(c->db, c->err);
    if (!rc)
        rc = tx_end(c->db, invite_tx(c, in.email, role, &made, &secret), c->err);
    if (!rc)
        view_invitation(c->out, &made,
            arena_printf(c->arena, STR_FMT "/invite/" STR_FMT, STR_ARG(c->link_base),
                STR_ARG(secret_reveal(&secret))));
    return rc;
}

enum err_code console_invitation_revoke(struct api_call *c)
{
    enum err_code rc = tx_begin_write(c->db, c->err);
    if (!rc)
        rc = tx_end(c->db, invitation_revoke(c->db, c->by, &c->who->namespace_id, c->item, c->err), c->err);
    return call_answer_id(c, rc);
}

static enum err_code accept_tx(struct api_call *c, struct membership *ret)
{
    char key[ACCOUNT_EMAIL_SIZE];
    struct str email_key = account_email_key(str_of(c->person->account.email), key);
    enum err_code rc = invitation_accept(c->db, c->by, c->item, me(c), email_key, ret, c->err);
    return rc ? rc : renew_own(c);
}

enum err_code console_invitation_accept(struct api_call *c)
{
    struct membership m;
    enum err_code rc = tx_begin_write(c->db, c->err);
    if (!rc)
        rc = tx_end(c->db, accept_tx(c, &m), c->err);
    if (!rc)
        view_namespace(c->out, &m, -1);
    return rc;
}

/* --- Shares --- */

static enum err_code find_shared(struct api_call *c, struct membership *ret, struct registry_entry *ret_entry)
{
    enum err_code rc = member_find(c->db, str_of(c->who->namespace_slug), me(c), ret, c->err);
    return rc ? rc : registry_get(c->db, &ret->tenant.id, c->db_slug, ret_entry, c->err);
}

enum err_code console_share_list(struct api_call *c)
{
    struct share *rows;
    struct membership m;
    struct registry_entry entry;
    struct str after;
    size_t count;
    int64_t limit;
    enum err_code rc = call_read_page(c, &after, &limit);
    if (!rc)
        rc = find_shared(c, &m, &entry);
    if (!rc)
        rc = share_list(c->db, c->arena, &entry.id, after, limit, &rows, &count, c->err);
    if (rc)
        return rc;
    jsonw_array(c->out);
    for (size_t i = 0; i < count; i++)
        view_share(c->out, &rows[i]);
    jsonw_array_end(c->out);
    return ERR_OK;
}

/* MEMBER_NONE ends the share. */
static enum err_code share_tx(struct api_call *c, enum member_role role)
{
    struct membership m;
    struct registry_entry entry;
    enum err_code rc = find_shared(c, &m, &entry);
    if (rc)
        return rc;
    rc = role ? share_set(c->db, c->by, &m.tenant, me(c), &entry.id, c->item, role, c->err)
              : share_remove(c->db, c->by, &m.tenant, me(c), &entry.id, c->item, c->err);
    return rc ? rc : renew_if_me(c);
}

enum err_code console_share_set(struct api_call *c)
{
    return set_wanted_role(c, MEMBER_EDITOR, share_tx);
}

enum err_code console_share_remove(struct api_call *c)
{
    return set_role(c, MEMBER_NONE, share_tx);
}
