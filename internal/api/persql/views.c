#include "api/persql/views.h"

#include "base/clock.h"

void view_time(struct jsonw *w, const char *key, int64_t wall_ms)
{
    char text[CLOCK_ISO_MAX];
    jsonw_key(w, key);
    if (!wall_ms) {
        jsonw_null(w);
        return;
    }
    clock_iso(wall_ms, text);
    jsonw_cstr(w, text);
}

/* A damaged file is known to who runs the engines alone; the register calls the database healthy. */
static const char *status_of(struct api_call *c, const struct registry_entry *e)
{
    if (e->status == REGISTRY_HEALTHY && supervise_is_quarantined(c->opt->supervisor, id_str(&e->id)))
        return "corrupt";
    return registry_status_name(e->status);
}

static void text_or_null(struct jsonw *w, const char *key, const char *text)
{
    JSONW_CSTR(w, key, text[0] ? text : NULL);
}

static void members(struct api_call *c, const struct registry_entry *e)
{
    struct jsonw *w = c->out;
    JSONW_TEXT(w, "id", id_str(&e->id));
    JSONW_CSTR(w, "slug", e->slug);
    JSONW_CSTR(w, "name", e->name);
    JSONW_CSTR(w, "status", status_of(c, e));
    JSONW_CSTR(w, "region", e->region);
    text_or_null(w, "branchRef", e->ref);
    text_or_null(w, "forkedFromId", e->parent_id.text);
    view_time(w, "forkedAt", e->forked_at);
    view_time(w, "expiresAt", e->expires_at);
    view_time(w, "createdAt", e->created_at);
    if (e->deleted_at)
        view_time(w, "deletedAt", e->deleted_at);
}

void view_database(struct api_call *c, const struct registry_entry *e)
{
    jsonw_object(c->out);
    members(c, e);
    jsonw_object_end(c->out);
}

/* null when that is gone for good. */
static enum err_code forked_from(struct api_call *c, const struct registry_entry *e)
{
    struct registry_entry parent;
    struct jsonw *w = c->out;
    enum err_code rc = ERR_NOT_FOUND;
    if (e->parent_id.text[0])
        rc = registry_get_by_id(c->db, &e->parent_id, &parent, c->err);
    if (rc && rc != ERR_NOT_FOUND)
        return rc;
    jsonw_key(w, "forkedFrom");
    if (rc) {
        jsonw_null(w);
        return ERR_OK;
    }
    jsonw_object(w);
    JSONW_TEXT(w, "id", id_str(&parent.id));
    JSONW_CSTR(w, "slug", parent.slug);
    JSONW_CSTR(w, "name", parent.name);
    jsonw_object_end(w);
    return ERR_OK;
}

enum err_code view_database_whole(struct api_call *c, const struct registry_entry *e)
{
    jsonw_object(c->out);
    members(c, e);
    enum err_code rc = forked_from(c, e);
    jsonw_object_end(c->out);
    return rc;
}

enum err_code view_branch(struct api_call *c, const struct registry_entry *e, bool created)
{
    jsonw_object(c->out);
    members(c, e);
    enum err_code rc = forked_from(c, e);
    JSONW_CSTR(c->out, "outcome", created ? "created" : "reset");
    jsonw_object_end(c->out);
    return rc;
}

static void view_table_scope(struct jsonw *w, const struct identity *who)
{
    jsonw_key(w, "tableScope");
    if (!who->has_table_scope) {
        jsonw_null(w);
        return;
    }
    jsonw_array(w);
    for (unsigned i = 0; i < who->table_count; i++)
        jsonw_text(w, who->tables[i]);
    jsonw_array_end(w);
}

const char *view_role(enum wire_role role)
{
    static const char *const words[WIRE_ROLE_COUNT] = {
        [WIRE_ROLE_READONLY] = "read", [WIRE_ROLE_READWRITE] = "write", [WIRE_ROLE_ADMIN] = "admin"};
    return words[role];
}

void view_me(struct jsonw *w, const struct identity *who)
{
    jsonw_object(w);
    JSONW_CSTR(w, "namespaceSlug", who->namespace_slug);
    JSONW_TEXT(w, "namespaceId", id_str(&who->namespace_id));
    JSONW_CSTR(w, "role", token_role_name(who->role));
    JSONW_TEXT(w, "tokenId", id_str(&who->token_id));
    JSONW_CSTR(w, "kind", who->branches_only ? "test" : "live");
    view_table_scope(w, who);
    jsonw_key(w, "databaseId");
    jsonw_cstr(w, who->database_id.text[0] ? who->database_id.text : NULL);
    view_time(w, "expiresAt", who->expires_at);
    jsonw_object_end(w);
}
