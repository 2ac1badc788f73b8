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

void view_database(struct api_call *c, const struct registry_entry *e)
{
    struct jsonw *w = c->out;
    jsonw_object(w);
    JSONW_TEXT(w, "id", id_str(&e->id));
    JSONW_CSTR(w, "slug", e->slug);
    JSONW_CSTR(w, "name", e->name);
    JSONW_CSTR(w, "status", status_of(c, e));
    JSONW_CSTR(w, "region", e->region);
    JSONW_NULL(w, "forkedFromId");
    JSONW_NULL(w, "expiresAt");
    view_time(w, "createdAt", e->created_at);
    if (e->deleted_at)
        view_time(w, "deletedAt", e->deleted_at);
    jsonw_object_end(w);
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

void view_me(struct jsonw *w, const struct identity *who)
{
    jsonw_object(w);
    JSONW_CSTR(w, "namespaceSlug", who->namespace_slug);
    JSONW_TEXT(w, "namespaceId", id_str(&who->namespace_id));
    JSONW_CSTR(w, "role", token_role_name(who->role));
    JSONW_TEXT(w, "tokenId", id_str(&who->token_id));
    view_table_scope(w, who);
    jsonw_key(w, "databaseId");
    jsonw_cstr(w, who->database_id.text[0] ? who->database_id.text : NULL);
    view_time(w, "expiresAt", who->expires_at);
    jsonw_object_end(w);
}
