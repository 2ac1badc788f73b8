/* GET /api/namespaces/{ns}/audit. Worker thread. */
#include "audit/list.h"
#include "api/call.h"
#include "base/clock.h"
#include "base/enc.h"

#define LIMIT_DEFAULT    100
#define LIMIT_MOST       500
#define VALUES_ARENA_MAX (1 << 20)

route_worker_fn console_audit_list;

/* Who edits the database's file may write anything there: only JSON is passed on. */
static struct str checked_json(struct str text)
{
    AUTO_ARENA arena;
    const struct jsonr_value *root;

    arena_init(&arena, VALUES_ARENA_MAX);
    bool json = text.ptr && jsonr_parse(&arena, text, &root, NULL) == ERR_OK;
    return json ? text : (struct str){NULL, 0};
}

static void values(struct jsonw *w, const char *key, struct str json)
{
    jsonw_key(w, key);
    if (json.ptr)
        jsonw_raw(w, json);
    else
        jsonw_null(w);
}

/* The first one that is there. */
static struct str either(struct str a, struct str b)
{
    return a.ptr ? a : b;
}

static void view_actor(struct jsonw *w, const struct audit_entry *e)
{
    const struct audit_row *row = &e->row;
    struct str user = e->user_name.len ? e->user_name : e->user_email;

    jsonw_key(w, "actor");
    jsonw_object(w);
    JSONW_TEXT(w, "kind", row->actor_kind);
    JSONW_TEXT_OR_NULL(w, "id", either(row->actor_user_id, row->actor_token_id));
    JSONW_TEXT_OR_NULL(w, "name", row->actor_user_id.ptr ? user : either(e->token_name, row->actor_name));
    JSONW_TEXT_OR_NULL(w, "email", e->user_email);
    jsonw_object_end(w);
}

static void view_time(struct jsonw *w, const char *key, int64_t wall_ms)
{
    char iso[CLOCK_ISO_MAX];

    jsonw_key(w, key);
    if (wall_ms < 0 || wall_ms >= CLOCK_WALL_MS_END) { /* the file was edited */
        jsonw_null(w);
        return;
    }
    clock_iso(wall_ms, iso);
    jsonw_cstr(w, iso);
}

static void view_entry(void *arg, const struct audit_entry *e)
{
    struct jsonw *w = arg;
    const struct audit_row *row = &e->row;
    struct str before = checked_json(row->before_values), after = checked_json(row->after_values);
    char hash[AUDIT_HEX_SIZE];

    audit_hex(&row->hash, hash);
    jsonw_object(w);
    JSONW_TEXT(w, "id", row->id);
    JSONW_TEXT(w, "action", row->action);
    view_actor(w, e);
    JSONW_TEXT_OR_NULL(w, "actorUserId", row->actor_user_id);
    JSONW_TEXT_OR_NULL(w, "actorTokenId", row->actor_token_id);
    JSONW_TEXT_OR_NULL(w, "actorIp", row->address);
    JSONW_TEXT_OR_NULL(w, "client", row->client);
    JSONW_TEXT_OR_NULL(w, "requestId", row->request_id);
    JSONW_TEXT(w, "targetType", row->target_type);
    JSONW_TEXT(w, "targetId", row->target_id);
    JSONW_TEXT_OR_NULL(w, "targetName", row->target_name);
    values(w, "metadata", either(either(after, before), S("{}")));
    values(w, "before", before);
    values(w, "after", after);
    view_time(w, "createdAt", row->created_at);
    JSONW_INT(w, "seq", row->seq);
    JSONW_CSTR(w, "hash", hash);
    jsonw_object_end(w);
}

static enum err_code read_filter(struct api_call *c, struct audit_filter *ret)
{
    struct str before = query_get(c->args, "before"), action = query_get(c->args, "action");

    *ret = (struct audit_filter){.before_ms = INT64_MAX, .action = action.ptr ? action : STR_EMPTY};
    if (action.ptr && !action.len)
        return err_set(
            c->err, ERR_INVALID, "Query parameter \"action\" is empty; name one, like token.created");
    if (before.ptr && !clock_parse_iso(before, &ret->before_ms))
        return err_set(c->err, ERR_INVALID,
            "Query parameter \"before\" must be a time like 2026-06-01T10:00:00.000Z: the createdAt of a "
            "row");
    return query_i64(c->args, "limit", LIMIT_DEFAULT, 1, LIMIT_MOST, &ret->limit, c->err);
}

enum err_code console_audit_list(struct api_call *c)
{
    struct audit_filter filter;
    enum err_code rc = read_filter(c, &filter);

    if (rc)
        return rc;
    jsonw_array(c->out);
    rc = audit_page(c->db, &c->who->namespace_id, &filter, view_entry, c->out, c->err);
    jsonw_array_end(c->out);
    return rc;
}
