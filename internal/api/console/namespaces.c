/* /api/namespaces: one's own, making, renaming, deleting, restoring, leaving. Worker thread. */
#include "api/call.h"
#include "api/console/views.h"
#include "oauth/grant.h"

route_worker_fn console_ns_list, console_ns_create, console_ns_get, console_ns_update, console_ns_delete,
    console_ns_restore, console_ns_leave;

static const struct id *me(const struct api_call *c)
{
    return &c->person->account.id;
}

/* The namespace of the path, inside the transaction that changes it. */
static enum err_code find(struct api_call *c, enum member_role least, struct membership *ret)
{
    enum member_role own;
    enum err_code rc = member_find(c->db, str_of(c->who->namespace_slug), me(c), ret, c->err);
    return rc ? rc : member_require(c->db, &ret->tenant.id, me(c), least, &own, c->err);
}

enum err_code console_ns_list(struct api_call *c)
{
    struct membership *rows;
    struct str after;
    size_t count;
    int64_t limit;
    enum err_code rc = call_read_page(c, &after, &limit);
    if (!rc)
        rc = member_list_of(c->db, c->arena, me(c), after, limit, &rows, &count, c->err);
    if (rc)
        return rc;
    jsonw_array(c->out);
    for (size_t i = 0; i < count; i++)
        if (!rows[i].tenant.deleted_at || rows[i].role == MEMBER_OWNER)
            view_namespace(c->out, &rows[i], -1);
    jsonw_array_end(c->out);
    return ERR_OK;
}

struct names {
    struct str name, slug;
};

static const struct jsonr_field create_fields[] = {
    {"name", JF_TEXT, offsetof(struct names, name), JF_NULL_OK, 1, 200},
    {"slug", JF_TEXT, offsetof(struct names, slug), JF_NULL_OK, 1, 63},
};

/* Domain functions know the slug as the namespace of a command line. */
static enum err_code create(struct api_call *c, struct str slug, struct str name, struct membership *ret)
{
    enum err_code rc = tenant_create(c->db, c->by, slug, name, &ret->tenant, c->err);
    if (rc == ERR_INVALID && str_eq(str_of(c->err->pointer), S("/namespace")))
        return err_field(c->err, "/slug",
            "must be 1 to 63 of a-z, 0-9 and hyphens, begin and end with a letter or digit, "
            "and not be a word that addresses use");
    ret->role = MEMBER_OWNER;
    return rc ? rc : member_add(c->db, c->by, &ret->tenant.id, me(c), MEMBER_OWNER, c->err);
}

enum err_code console_ns_create(struct api_call *c)
{
    struct names in = {STR_EMPTY, STR_EMPTY};
    struct membership m;
    enum err_code rc = call_read_body(c, create_fields, ARRAY_LEN(create_fields), &in);
    struct str slug = in.slug.len ? in.slug : slug_from_text(c->arena, in.name, SLUG_SIZE - 1);
    if (!rc && !slug.len)
        rc = err_field(c->err, "/slug", "Send a slug, or a name to make one from");
    if (!rc)
        rc = tx_begin_write(c->db, c->err);
    if (!rc)
        rc = tx_end(c->db, create(c, slug, in.name, &m), c->err);
    if (!rc)
        view_namespace(c->out, &m, 1);
    return rc;
}

enum err_code console_ns_get(struct api_call *c)
{
    struct membership m;
    int64_t count;
    enum err_code rc = member_find(c->db, str_of(c->who->namespace_slug), me(c), &m, c->err);
    if (!rc)
        rc = member_count(c->db, &m.tenant.id, &count, c->err);
    if (!rc)
        view_namespace(c->out, &m, count);
    return rc;
}

static const struct jsonr_field update_fields[] = {
    {"name", JF_TEXT, offsetof(struct names, name), JF_REQUIRED, 1, 200},
};

static enum err_code update(struct api_call *c, struct str name, struct membership *ret)
{
    enum err_code rc = find(c, MEMBER_ADMIN, ret);
    if (!rc)
        rc = tenant_rename(c->db, c->by, &ret->tenant, name, c->err);
    return rc ? rc : member_find(c->db, str_of(ret->tenant.slug), me(c), ret, c->err);
}

enum err_code console_ns_update(struct api_call *c)
{
    struct names in = {STR_EMPTY, STR_EMPTY};
    struct membership m;
    enum err_code rc = call_read_body(c, update_fields, ARRAY_LEN(update_fields), &in);
    if (!rc)
        rc = tx_begin_write(c->db, c->err);
    if (!rc)
        rc = tx_end(c->db, update(c, in.name, &m), c->err);
    if (!rc)
        view_namespace(c->out, &m, -1);
    return rc;
}

static enum err_code delete (struct api_call *c, struct membership *ret) {
    enum err_code rc = find(c, MEMBER_OWNER, ret);
    if (!rc) rc = tenant_delete(c->db, c->by, &ret->tenant, c->err);
    return rc ? rc : member_find_deleted(c->db, str_of(ret->tenant.slug), me(c), ret, c->err);
}

enum err_code console_ns_delete(struct api_call *c)
{
    struct membership m;
    enum err_code rc = tx_begin_write(c->db, c->err);
    if (!rc)
        rc = tx_end(c->db, delete (c, &m), c->err);
    if (!rc)
        view_namespace(c->out, &m, -1);
    return rc;
}

static enum err_code restore(struct api_call *c, struct membership *ret)
{
    enum err_code rc = member_find_deleted(c->db, c->item, me(c), ret, c->err);
    if (!rc && ret->role != MEMBER_OWNER)
        rc = err_set(c->err, ERR_NOT_FOUND, "No such namespace");
    if (!rc)
        rc = tenant_restore(c->db, c->by, &ret->tenant, c->err);
    return rc ? rc : member_find(c->db, c->item, me(c), ret, c->err);
}

enum err_code console_ns_restore(struct api_call *c)
{
    struct membership m;
    enum err_code rc = tx_begin_write(c->db, c->err);
    if (!rc)
        rc = tx_end(c->db, restore(c, &m), c->err);
    if (!rc)
        view_namespace(c->out, &m, -1);
    return rc;
}

static enum err_code leave(struct api_call *c)
{
    struct membership m;
    enum err_code rc = find(c, MEMBER_VIEWER, &m);
    if (!rc)
        rc = member_change(c->db, c->by, &m.tenant, me(c), id_str(me(c)), MEMBER_NONE, c->err);
    return rc ? rc : grant_withdraw_all(c->db, c->by, me(c), &m.tenant.id, c->err);
}

enum err_code console_ns_leave(struct api_call *c)
{
    enum err_code rc = tx_begin_write(c->db, c->err);
    if (!rc)
        rc = tx_end(c->db, leave(c), c->err);
    if (!rc)
        view_done(c->out);
    return rc;
}
