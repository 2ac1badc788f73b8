#include "api/console/views.h"

#include "api/persql/views.h"
#include "base/limits.h"

static void view_user(struct jsonw *w, const struct account *a)
{
    jsonw_object(w);
    JSONW_TEXT(w, "id", id_str(&a->id));
    JSONW_CSTR(w, "email", a->email);
    JSONW_CSTR(w, "name", a->name);
    JSONW_NULL(w, "image");
    JSONW_BOOL(w, "emailVerified", false);
    view_time(w, "createdAt", a->created_at);
    jsonw_object_end(w);
}

void view_signed_in(struct jsonw *w, const struct person *p, const char *csrf)
{
    jsonw_object(w);
    jsonw_key(w, "session");
    jsonw_object(w);
    JSONW_TEXT(w, "id", id_str(&p->session_id));
    JSONW_TEXT(w, "userId", id_str(&p->account.id));
    view_time(w, "createdAt", p->started_at);
    view_time(w, "expiresAt", p->expires_at);
    view_time(w, "confirmedUntil", p->confirmed_at + LIMIT_CONFIRM_MS);
    jsonw_object_end(w);
    jsonw_key(w, "user");
    view_user(w, &p->account);
    JSONW_CSTR(w, "csrfToken", csrf);
    jsonw_object_end(w);
}

void view_session_row(struct jsonw *w, const struct session *s, bool current)
{
    jsonw_object(w);
    JSONW_TEXT(w, "id", id_str(&s->id));
    JSONW_BOOL(w, "current", current);
    view_time(w, "createdAt", s->created_at);
    view_time(w, "lastSeenAt", s->seen_at);
    view_time(w, "expiresAt", s->expires_at);
    JSONW_CSTR(w, "address", s->address);
    JSONW_CSTR(w, "userAgent", s->agent);
    jsonw_object_end(w);
}

void view_namespace(struct jsonw *w, const struct membership *m, int64_t members)
{
    jsonw_object(w);
    JSONW_TEXT(w, "id", id_str(&m->tenant.id));
    JSONW_CSTR(w, "slug", m->tenant.slug);
    JSONW_CSTR(w, "name", m->tenant.name);
    JSONW_CSTR(w, "role", member_role_name(m->role));
    if (members >= 0)
        JSONW_INT(w, "memberCount", members);
    view_time(w, "createdAt", m->tenant.created_at);
    if (m->tenant.deleted_at)
        view_time(w, "deletedAt", m->tenant.deleted_at);
    jsonw_object_end(w);
}

void view_member(struct jsonw *w, const struct member *m)
{
    jsonw_object(w);
    JSONW_TEXT(w, "userId", id_str(&m->account_id));
    JSONW_CSTR(w, "email", m->email);
    JSONW_CSTR(w, "name", m->name);
    JSONW_CSTR(w, "role", member_role_name(m->role));
    view_time(w, "joinedAt", m->joined_at);
    jsonw_object_end(w);
}

void view_invitation(struct jsonw *w, const struct invitation *i, struct str url)
{
    jsonw_object(w);
    JSONW_TEXT(w, "id", id_str(&i->id));
    JSONW_CSTR(w, "email", i->email);
    JSONW_CSTR(w, "role", member_role_name(i->role));
    if (url.len)
        JSONW_TEXT(w, "url", url);
    JSONW_BOOL(w, "emailed", false);
    view_time(w, "createdAt", i->created_at);
    view_time(w, "expiresAt", i->expires_at);
    jsonw_object_end(w);
}

void view_share(struct jsonw *w, const struct share *s)
{
    jsonw_object(w);
    JSONW_TEXT(w, "userId", id_str(&s->account_id));
    JSONW_CSTR(w, "email", s->email);
    JSONW_CSTR(w, "role", member_role_name(s->role));
    view_time(w, "createdAt", s->created_at);
    jsonw_object_end(w);
}

/* null where there is no limit. */
static void view_texts(struct jsonw *w, const char *key, bool limited, const struct str *texts, size_t count)
{
    jsonw_key(w, key);
    if (!limited) {
        jsonw_null(w);
        return;
    }
    jsonw_array(w);
    for (size_t i = 0; i < count; i++)
        jsonw_text(w, texts[i]);
    jsonw_array_end(w);
}

void view_token(struct jsonw *w, const struct token *t, const struct secret *secret)
{
    jsonw_object(w);
    JSONW_TEXT(w, "id", id_str(&t->id));
    if (secret)
        JSONW_TEXT(w, "token", secret_reveal(secret));
    JSONW_CSTR(w, "name", t->name);
    JSONW_CSTR(w, "preview", t->preview);
    JSONW_CSTR(w, "role", token_role_name(t->role));
    JSONW_CSTR(w, "namespace", t->namespace_slug);
    JSONW_CSTR(w, "kind", t->branches_only ? "test" : "live");
    const char *database = t->ref[0] && t->parent_slug[0] ? t->parent_slug : t->database_slug;
    JSONW_CSTR(w, "database", database[0] ? database : NULL);
    JSONW_CSTR(w, "branch", t->ref[0] ? t->ref : NULL);
    view_texts(w, "tableScope", t->has_table_scope, t->tables, t->table_count);
    view_texts(w, "allowedAddresses", t->address_count > 0, t->addresses, t->address_count);
    jsonw_key(w, "claims");
    if (t->claims.len)
        jsonw_raw(w, t->claims);
    else
        jsonw_null(w);
    view_time(w, "createdAt", t->created_at);
    view_time(w, "expiresAt", t->expires_at);
    view_time(w, "lastUsedAt", t->last_used_at);
    view_time(w, "revokedAt", t->revoked_at);
    view_time(w, "overlapEndsAt", t->overlap_ends_at);
    jsonw_object_end(w);
}

void view_repo(struct jsonw *w, const struct repo_binding *r, const bool *trusted)
{
    jsonw_object(w);
    JSONW_TEXT(w, "id", id_str(&r->id));
    JSONW_TEXT(w, "repo", r->name);
    JSONW_TEXT(w, "issuer", r->issuer);
    if (trusted)
        JSONW_BOOL(w, "trusted", *trusted);
    JSONW_CSTR(w, "namespace", r->namespace_slug);
    JSONW_CSTR(w, "repositoryId", r->pinned_at ? r->pinned_id.ptr : NULL);
    view_time(w, "createdAt", r->created_at);
    view_time(w, "pinnedAt", r->pinned_at);
    view_time(w, "lastUsedAt", r->last_used_at);
    jsonw_object_end(w);
}

void view_done(struct jsonw *w)
{
    jsonw_object(w);
    JSONW_BOOL(w, "success", true);
    jsonw_object_end(w);
}
