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

void view_done(struct jsonw *w)
{
    jsonw_object(w);
    JSONW_BOOL(w, "success", true);
    jsonw_object_end(w);
}
